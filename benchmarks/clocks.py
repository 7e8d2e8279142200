"""What is read besides the time: how long the event loop was busy, processor time, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import selectors
import time
from pathlib import Path
from typing import Any


class BusySelector(selectors.DefaultSelector):
    """The platform's selector; it notes the longest time between two looks at the sockets.

    That is the longest pass of the event loop, to the microsecond, and watching it costs next to
    nothing: no task that ticks, so no pass is cut short or added.

    Attributes:
        longest: Seconds of the longest pass by the clock: what a call in this loop has to wait.
        longest_processor: The same in processor time: what others on the machine can't lengthen.
    """

    longest = 0.0
    longest_processor = 0.0
    _left: tuple[float, float] | None = None

    def restart(self) -> None:
        """Forget what was noted."""
        self.longest = self.longest_processor = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait as ever."""
        if self._left is not None:
            begun, used = self._left
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.longest_processor = max(self.longest_processor, time.thread_time() - used)
        ready: list[Any] = super().select(timeout)
        self._left = (time.perf_counter(), time.thread_time())
        return ready


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop whose longest pass can be read."""
    selector = BusySelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.busy = selector  # type: ignore[attr-defined]
    return loop


def busy() -> BusySelector:
    """Return the clock of the running loop."""
    selector = asyncio.get_running_loop().busy  # type: ignore[attr-defined]
    assert isinstance(selector, BusySelector)
    return selector


async def settle() -> None:
    """Collect garbage now, so that no sample pays for what another left behind."""
    gc.collect()
    await asyncio.sleep(0)  # What follows is not in the same pass of the loop.


def leave_imports_alone() -> None:
    """Keep what importing made out of later collections: it is the same for all and never garbage."""
    gc.collect()
    gc.freeze()


def resident_bytes() -> int | None:
    """Return the memory that this process has in use, or None where the system doesn't tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

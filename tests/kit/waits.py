"""Waits that know no clock, and a clock that a test puts forward."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 20.0
"""Seconds that a loaded machine may take for what is due at once."""


async def until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait for a condition that only other tasks of this loop can bring about."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is watched notifies nobody
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Wait for several looks at the track, however loaded the machine is."""
    for _ in range(5):
        await asyncio.sleep(0.005)


@contextmanager
def logged(words: str) -> Iterator[asyncio.Event]:
    """Yield an event that is set once the plugin logs ``words``."""
    logger, seen = logging.getLogger("videosdk.plugins.lokutor"), asyncio.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                seen.set()

    handler, level = Handler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class Lateness:
    """Watches the running loop: how late it is, because the machine has other things to do.

    Attributes:
        total: Seconds that it was late, together.
    """

    _LOOK = 0.005
    _KEPT = 5.0

    def __init__(self) -> None:
        self.total = 0.0
        self._loop = asyncio.get_running_loop()
        self._looks: deque[tuple[float, float]] = deque()
        self._look(self._loop.time())

    def in_the_last(self, seconds: float) -> float:
        """Return by how many seconds it was late at most, in up to 5 s, or is now."""
        now = self._loop.time()
        return max([now - self._due, *(late for at, late in self._looks if at > now - seconds)])

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self, due: float) -> None:
        now = self._loop.time()
        self.total += now - due
        self._looks.append((now, now - due))
        while self._looks[0][0] < now - self._KEPT:
            self._looks.popleft()
        self._due = now + self._LOOK
        self._handle = self._loop.call_at(self._due, self._look, self._due)


class Clock:
    """The running loop's clock, which a test can put forward.

    Only for loops written in Python: uvloop's clock is not to be replaced.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self._now  # type: ignore[method-assign]

    async def advance(self, seconds: float) -> None:
        """Let so much time have passed, and whatever is due by then happen."""
        self.skip(seconds)
        for _ in range(12):  # A timer takes this for a blocked loop, and lets some passes go by.
            await asyncio.sleep(0)

    def skip(self, seconds: float) -> None:
        """Let so much time have passed, and nothing happen yet."""
        self._ahead += seconds

    def _now(self) -> float:
        return self._real() + self._ahead

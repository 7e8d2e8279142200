"""What a run leaves behind: memory, descriptors, sockets, tasks and complaints."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import socket
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.clocks import resident_bytes
from soak.report import STALL, Report

BLOCKS_PER_TURN = 2
"""Bound for what a turn may keep of Python's memory. A call that isn't let go keeps hundreds of blocks."""
SPARE_BLOCKS = 3_500
"""Bound for what differs between two moments of rest: a few sockets in waiting, caches, free lists, and what
ten plugins go on to learn of the service. It doesn't grow with the turns: 2,600 for 200, 1,700 for 500."""
BYTES_PER_TURN = 2_048
"""Bound for resident memory. A resampler that isn't freed keeps far more."""
SPARE_BYTES = 4 * 2**20
"""Bound for what the allocator can't return, for it lies between things in use."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process holds at a moment of rest."""

    blocks: int
    resident: int | None
    descriptors: int | None
    sockets: int

    @classmethod
    def now(cls) -> Self:
        gc.collect()
        trim_heap()
        return cls(sys.getallocatedblocks(), resident_bytes(), open_descriptors(), len(open_sockets()))


def trim_heap() -> None:
    """Have the C library return what it only keeps for later, where it can: that isn't growth."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def open_descriptors() -> int | None:
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else None


def open_sockets() -> list[socket.socket]:
    return [thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0]


def check_memory(first: Usage, last: Usage, turns: int) -> list[str]:
    """Return what is wrong with the growth of memory over so many turns.

    Python's own memory is counted in blocks of its allocator, which is exact and costs nothing, so that
    bound is tight; resident memory shows what native code keeps, and moves by megabytes on its own.
    """
    violations = []
    blocks = last.blocks - first.blocks
    if blocks > SPARE_BLOCKS + BLOCKS_PER_TURN * turns:
        violations.append(f"memory grew by {blocks} blocks in {turns} turns")
    if first.resident is not None and last.resident is not None:
        resident = last.resident - first.resident
        if resident > SPARE_BYTES + BYTES_PER_TURN * turns:
            violations.append(f"resident memory grew by {resident / 2**20:.1f} MiB in {turns} turns")
    return violations


def check_leftovers(before: Usage, after: Usage, tasks: set[asyncio.Task[Any]]) -> list[str]:
    """Return what was left behind."""
    violations = [f"a task was left: {task.get_coro()!r}" for task in tasks]
    if after.sockets > before.sockets:
        violations.append(f"{after.sockets - before.sockets} sockets were left open")
    if before.descriptors is not None and after.descriptors is not None:
        left = after.descriptors - before.descriptors
        if left > 0:
            violations.append(f"{left} file descriptors were left open")
    return violations


class Watchdog:
    """Ends the process, and says where everybody waits, when nothing has ended for a long time.

    A call that hangs can hang again while it is cancelled, so there is no gentler way.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ended = -1
        self._look()

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        ended = self._report.turns + self._report.streams
        if ended == self._ended:
            self._give_up()
        self._ended = ended
        self._handle = asyncio.get_running_loop().call_later(STALL, self._look)

    def _give_up(self) -> None:
        for task in asyncio.all_tasks():
            task.print_stack()
        for violation in [*self._report.violations, f"nothing has ended for {STALL:g} s"]:
            print(f"VIOLATION      {violation}", file=sys.stderr, flush=True)
        os._exit(1)


class Complaints(logging.Handler):
    """Collects what asyncio, the interpreter and every logger complain about."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(self._on_loop_exception)
        sys.unraisablehook = self._on_unraisable
        logging.getLogger().addHandler(self)
        warnings.simplefilter("error")

    def emit(self, record: logging.LogRecord) -> None:
        self._report.blame(f"{record.name} logged: {record.getMessage()}")

    def _on_loop_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._report.blame(f"asyncio: {context['message']} {context.get('exception')!r}")

    def _on_unraisable(self, unraisable: Any) -> None:
        self._report.blame(f"unraisable: {unraisable.exc_value!r} in {unraisable.object!r}")

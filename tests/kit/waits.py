"""Waits that know no clock, and a clock that a test puts forward."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 20.0
"""Seconds that a loaded machine may take for what is due at once."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that only other tasks of this loop can bring about."""
    async with asyncio.timeout(PATIENCE):
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
        self._ahead += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    def _now(self) -> float:
        return self._real() + self._ahead

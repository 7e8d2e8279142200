"""Permits for handshakes and requests: the application's rate limiter, and what was learned from refusals.

Rule of this file: it knows no socket. It decides whether, and when, somebody may use the account's quota.

A plan is one quota for all processes, and nobody but the application knows how many there are. So the plugin
has no limiter of its own: it asks the application's before each handshake and before each request. A limiter
is never more important than a caller:

- Who waits for a permit and is cancelled gets none, or keeps it for the next one who asks.
- A permit that wasn't used is kept for the next one who asks.
- A limiter that fails, or hangs, lets everything pass: that is logged once, and it is asked again later.
- The standby connection takes what is free at this moment, and only while no turn waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from .._tasks import keep
from ..errors import RateLimitError

logger = logging.getLogger("videosdk.plugins.lokutor")

Kind: TypeAlias = Literal["handshake", "request"]
AskPermit: TypeAlias = Callable[[Kind, float], Awaitable[bool]]
"""Waits up to so many seconds (0: not at all) for a permit, and returns whether there is one."""

_GRACE = 1.0
"""Seconds that a limiter may take on top of the time that it was given, before it seems to hang."""
_PASSING = 5.0
"""Seconds for which a limiter that has failed isn't asked."""
_SCARCE = 60.0
"""Seconds for which requests are scarce after one had to wait or was refused: plans count by the minute."""
_AT_ONCE = 0.05
"""Seconds of waiting that don't count: a limiter may be on another machine."""


@runtime_checkable
class Bucket(Protocol):
    """A limiter of one process, such as ``aiolimiter.AsyncLimiter``. It counts requests.

    Attributes:
        max_rate: How many requests there may be in a period.
        time_period: Its seconds.
    """

    max_rate: float
    time_period: float

    def has_capacity(self, amount: float = 1) -> bool:
        """Return whether so many requests may be sent now."""

    async def acquire(self, amount: float = 1) -> None:
        """Wait until so many requests may be sent."""


Limiter: TypeAlias = AskPermit | Bucket
"""What ``LokutorTTS(limiter=…)`` takes."""


class Permits:
    """The permits of one event loop's connections. Create it inside the loop.

    Args:
        limiter: The application's. None permits everything.
        longest_wait: Seconds that a turn may wait for a permit.
    """

    def __init__(self, limiter: Limiter | None, longest_wait: float) -> None:
        self.longest_wait = longest_wait
        """Seconds that a turn may wait for a permit."""
        self._ask = _asking(limiter)
        self._loop = asyncio.get_running_loop()
        self._kept: Counter[Kind] = Counter()
        self._waiting = 0
        self._passing_until = float("-inf")  # Until then a limiter that has failed isn't asked.
        self._failed = False
        self._scarce_until = float("-inf")
        self.usual_wait = 0.0
        """Seconds that the last request had to wait for its permit."""

    @property
    def limited(self) -> bool:
        """Whether there is a limiter to ask."""
        return self._ask is not None

    @property
    def scarce(self) -> bool:
        """Whether a permit had to be waited for, or the service has refused something, within a minute."""
        return self._loop.time() < self._scarce_until

    def note_refusal(self) -> None:
        """Note that the service has refused something because of the plan's limits."""
        self._scarce_until = self._loop.time() + _SCARCE

    async def take(self, kind: Kind, within: float) -> None:
        """Wait for a permit.

        Raises:
            RateLimitError: There is none within so many seconds.
        """
        begun = self._loop.time()
        self._waiting += 1
        try:
            permitted = await self._obtain(kind, within)
        finally:
            self._waiting -= 1
        waited = self._loop.time() - begun
        if kind == "request":
            self.usual_wait = waited if waited > _AT_ONCE else 0.0
        if not permitted or waited > _AT_ONCE:
            self.note_refusal()
        if not permitted:
            error = RateLimitError(f"The limiter has no permit for a {kind} within {within:g} s")
            error.retryable = False  # Waiting was tried.
            raise error

    async def take_spare(self, kind: Kind) -> None:
        """Take a permit that nobody waits for.

        Raises:
            RateLimitError: There is none now.
        """
        if self._waiting or not await self._obtain(kind, 0.0):
            raise RateLimitError(f"The limiter has no {kind} to spare")

    def give_back(self, kind: Kind) -> None:
        """Keep a permit that wasn't used."""
        if self._ask is not None:
            self._kept[kind] += 1

    async def _obtain(self, kind: Kind, within: float) -> bool:
        if self._ask is None or self._loop.time() < self._passing_until:
            return True
        if self._kept[kind]:
            self._kept[kind] -= 1
            return True
        asking = self._loop.create_task(_asked(self._ask, kind, within))
        try:
            done, _ = await asyncio.wait({asking}, timeout=within + _GRACE)
        except asyncio.CancelledError:
            self._leave(asking, kind)
            raise
        if not done:
            self._leave(asking, kind)
            return self._pass(TimeoutError(f"no answer within {within + _GRACE:g} s"))
        return self._answer(asking)

    def _answer(self, asked: asyncio.Task[bool]) -> bool:
        error = asyncio.CancelledError() if asked.cancelled() else asked.exception()
        if error is not None:
            return self._pass(error)
        self._failed = False
        return asked.result() is not False

    def _pass(self, error: BaseException) -> bool:
        """Let everything pass for a while: a limiter that fails must not silence a caller."""
        self._passing_until = self._loop.time() + _PASSING
        if not self._failed:
            self._failed = True
            logger.warning(
                "The limiter failed, and everything passes until it works again: %s: %s",
                type(error).__name__,
                error,
            )
        return True

    def _leave(self, asking: asyncio.Task[bool], kind: Kind) -> None:
        """End the asking, and keep the permit if it has come already."""

        def keep_permit(asked: asyncio.Task[bool]) -> None:
            if not asked.cancelled() and asked.exception() is None and asked.result() is not False:
                self.give_back(kind)

        asking.add_done_callback(keep_permit)
        asking.cancel()
        keep([asking])


async def _asked(ask: AskPermit, kind: Kind, within: float) -> bool:
    """Ask in a task of its own: whatever the function does, it is the limiter's failure."""
    return await ask(kind, within)


def check_limiter(limiter: object) -> None:
    """Check that something can be asked for permits.

    Raises:
        ValueError: It can't.
    """
    if limiter is not None and not isinstance(limiter, Bucket) and not callable(limiter):
        raise ValueError(
            "limiter must be an async function (kind, timeout) -> bool, or have acquire() and has_capacity() "
            f"as aiolimiter.AsyncLimiter has, got a {type(limiter).__name__}"
        )


def _asking(limiter: Limiter | None) -> AskPermit | None:
    """Return how a limiter is asked."""
    return _BucketQueue(limiter).ask if isinstance(limiter, Bucket) else limiter


class _BucketQueue:
    """Asks a limiter that only knows how to wait."""

    _waiting: ClassVar[Counter[int]] = Counter()
    """Who waits for each limiter, of all plugins in the process that share it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def ask(self, kind: Kind, within: float) -> bool:
        if kind != "request":
            return True
        bucket, waiting, name = self._bucket, self._waiting, id(self._bucket)
        leaked = within * bucket.max_rate / bucket.time_period
        if not bucket.has_capacity(waiting[name] + 1 - leaked):  # Nobody queues who would wait in vain.
            return False
        waiting[name] += 1
        try:
            async with asyncio.timeout(within + _GRACE):
                await bucket.acquire()
        except TimeoutError:  # Somebody else was faster.
            return False
        finally:
            waiting[name] -= 1
            if not waiting[name]:
                del waiting[name]
        return True

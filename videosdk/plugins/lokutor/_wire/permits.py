"""Permits for handshakes and requests: the application's rate limiter, and what was learned from refusals.

Rule of this file: it knows no socket. It decides whether, and when, somebody may use the account's quota.

A plan is one quota for all processes, and nobody but the application knows how many there are. So the plugin
has no limiter of its own: it asks the application's before each handshake and before each request. A limiter
is never more important than a caller:

- Who waits for a permit and is cancelled gets none.
- A permit that wasn't used goes back to a limiter that takes it back. Else the next one who asks gets it.
- A permit is good for some seconds only: what the limiter has counted long ago, the service would count now.
- A limiter that fails, or hangs, lets everything pass: that is logged once. It is asked again later, ever
  more rarely, and nobody waits for it before it has answered.
- The standby connection takes what is free at this moment, and only while no turn waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._tasks import keep
from ..errors import RateLimitError
from .limiters import GRACE, AskPermit, Kind, Limiter, ask_limiter, find_ask, find_take_back, return_permit

logger = logging.getLogger("videosdk.plugins.lokutor")

_GOOD_FOR = 5.0
"""Seconds for which a permit is good: the service may count so much later than the limiter. They are enough
for a language model's first words, and few beside a plan's minute."""
_PASSING = 5.0
"""Seconds for which a limiter that has failed isn't asked. They double with each failure in a row."""
_LONGEST_PASSING = 60.0
"""The most of them. Asking again costs no caller anything, and a plan's minute is over by then."""
_SCARCE = 60.0
"""Seconds for which requests are scarce after one had to wait or was refused: plans count by the minute."""
_AT_ONCE = 0.05
"""Seconds of waiting that don't count: a limiter may be on another machine."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What allows one handshake or one request.

    Attributes:
        kind: Which of them.
        until: The loop's time until which it is good.
        counted: Whether the limiter has counted it. It hasn't while it fails.
    """

    kind: Kind
    until: float
    counted: bool


class Permits:
    """The permits of one event loop's connections. Create it inside the loop.

    Args:
        limiter: The application's. None permits everything.
        longest_wait: Seconds that a turn may wait for a permit.
    """

    def __init__(self, limiter: Limiter | None, longest_wait: float) -> None:
        self.longest_wait = longest_wait
        """Seconds that a turn may wait for a permit."""
        self._ask = find_ask(limiter)
        self._take_back = find_take_back(limiter)
        self._loop = asyncio.get_running_loop()
        self._kept: list[Permit] = []
        self._waiting = 0
        self._failed = False  # Until the limiter answers, everything passes.
        self._fails: asyncio.Future[None] = self._loop.create_future()  # Ends all waiting when it fails.
        self._pause = 0.0  # Seconds for which it isn't asked after its last failure,
        self._paused_until = float("-inf")  # and when they are over.
        self._trial: asyncio.Task[None] | None = None  # Asks it again.
        self._returning: set[asyncio.Task[None]] = set()  # Tell it of permits that weren't used.
        self._return_failed = False
        self._scarce_until = float("-inf")
        self.usual_wait = 0.0
        """Seconds that the last request had to wait for its permit."""

    @property
    def scarce(self) -> bool:
        """Whether a permit had to be waited for, or the service has refused something, within a minute."""
        return self._loop.time() < self._scarce_until

    def note_refusal(self) -> None:
        """Note that the service has refused something because of the plan's limits."""
        self._scarce_until = self._loop.time() + _SCARCE

    def unlimited(self, kind: Kind) -> Permit | None:
        """Return a permit where there is no limiter to ask, else None."""
        return Permit(kind, float("inf"), counted=False) if self._ask is None else None

    def is_good(self, permit: Permit) -> bool:
        """Return whether it isn't too old."""
        return self._loop.time() < permit.until

    async def take(self, kind: Kind, within: float) -> Permit:
        """Wait for a permit.

        Raises:
            RateLimitError: There is none within so many seconds.
        """
        begun = self._loop.time()
        self._waiting += 1
        try:
            permit = await self._obtain(kind, within)
        finally:
            self._waiting -= 1
        waited = self._loop.time() - begun
        if kind == "request":
            self.usual_wait = waited if waited > _AT_ONCE else 0.0
        if permit is None or waited > _AT_ONCE:
            self.note_refusal()
        if permit is None:
            error = RateLimitError(f"The limiter has no permit for a {kind} within {within:g} s")
            error.retryable = False  # Waiting was tried.
            raise error
        return permit

    async def take_all(self, kinds: Sequence[Kind], within: float) -> list[Permit]:
        """Wait for several permits at once: all, or none.

        Raises:
            RateLimitError: There is none of one kind. Those of the others go back.
        """
        taking = [self._loop.create_task(self.take(kind, within)) for kind in kinds]
        try:
            await asyncio.wait(taking, return_when=asyncio.FIRST_EXCEPTION)
            for task in taking:
                if task.done():
                    task.result()
            return [task.result() for task in taking]
        except BaseException:
            for task in taking:
                task.add_done_callback(self._withdraw)
                task.cancel()
            keep(taking)
            raise

    async def take_spare(self, kind: Kind) -> Permit:
        """Take a permit that nobody waits for.

        Raises:
            RateLimitError: There is none now.
        """
        permit = None if self._waiting else await self._obtain(kind, 0.0)
        if permit is None:
            raise RateLimitError(f"The limiter has no {kind} to spare")
        return permit

    def give_back(self, permit: Permit) -> None:
        """Give a permit that wasn't used to the limiter, or keep it for the next one who asks."""
        if not permit.counted:
            return
        if self._take_back is not None:
            task = self._loop.create_task(return_permit(self._take_back, permit.kind))
            self._returning.add(task)
            task.add_done_callback(self._note_return)
        elif self.is_good(permit):
            self._kept.append(permit)

    async def close(self) -> None:
        """Wait until the limiter has been told of all permits that weren't used, and ask it no more.

        One that hangs there, and swallows its cancellation, isn't waited for.
        """
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.wait({self._trial})
        until = self._loop.time() + 2.0 * GRACE  # Each is cancelled after half of that.
        while self._returning and (left := until - self._loop.time()) > 0:
            await asyncio.wait(set(self._returning), timeout=left)
        if self._returning:
            logger.warning("The limiter hangs in give_back() and ignores its cancellation: it is left alone")
            keep(self._returning)

    async def _obtain(self, kind: Kind, within: float) -> Permit | None:
        if self._ask is None:
            return self.unlimited(kind)
        if self._failed:
            self._try_again(self._ask, kind, within)
            return self._new(kind, counted=False)
        return self._take_kept(kind) or await self._question(self._ask, kind, within)

    def _new(self, kind: Kind, *, counted: bool) -> Permit:
        return Permit(kind, self._loop.time() + _GOOD_FOR, counted)

    def _take_kept(self, kind: Kind) -> Permit | None:
        self._kept = [permit for permit in self._kept if self.is_good(permit)]
        permit = next((permit for permit in self._kept if permit.kind == kind), None)
        if permit is not None:
            self._kept.remove(permit)
        return permit

    async def _question(self, ask: AskPermit, kind: Kind, within: float) -> Permit | None:
        """Ask the limiter; if it fails, there is a permit that it hasn't counted."""
        asking = self._loop.create_task(ask_limiter(ask, kind, within))
        fails, failed_before = self._fails, self._failed
        # A trial has nobody waiting for it, so another's failure doesn't end it.
        waits: set[asyncio.Future[Any]] = {asking} if failed_before else {asking, fails}
        try:
            await asyncio.wait(waits, timeout=within + GRACE, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._leave(asking, kind)
            raise
        if asking.done():
            error = asyncio.CancelledError() if asking.cancelled() else asking.exception()
            if error is None:
                self._works()
                return self._new(kind, counted=True) if asking.result() else None
            self._fail(error)
        else:
            self._leave(asking, kind)
            if failed_before or not fails.done():
                self._fail(TimeoutError(f"no answer within {within + GRACE:g} s"))
        return self._new(kind, counted=False)

    def _works(self) -> None:
        if self._failed:
            self._failed = False
            self._fails = self._loop.create_future()
        self._pause = 0.0

    def _fail(self, error: BaseException) -> None:
        """Let everything pass: a limiter that fails must not silence a caller."""
        now = self._loop.time()
        if now >= self._paused_until:  # Else others who have asked as well tell the same.
            self._pause = min(max(_PASSING, 2.0 * self._pause), _LONGEST_PASSING)
            self._paused_until = now + self._pause
        if not self._failed:
            self._failed = True
            self._fails.set_result(None)
            logger.warning(
                "The limiter failed, and everything passes until it works again: %s: %s",
                type(error).__name__,
                error,
            )

    def _try_again(self, ask: AskPermit, kind: Kind, within: float) -> None:
        """Ask a limiter that has failed for what passes now. Nobody waits for its answer."""
        if self._loop.time() >= self._paused_until and (self._trial is None or self._trial.done()):
            self._trial = self._loop.create_task(self._ask_again(ask, kind, within))

    async def _ask_again(self, ask: AskPermit, kind: Kind, within: float) -> None:
        await self._question(ask, kind, within)  # The permit is that of who has passed meanwhile.

    def _leave(self, asking: asyncio.Task[bool], kind: Kind) -> None:
        """End the asking, and give the permit back if it has come already."""

        def give_back(asked: asyncio.Task[bool]) -> None:
            if not asked.cancelled() and asked.exception() is None and asked.result():
                self.give_back(self._new(kind, counted=True))

        asking.add_done_callback(give_back)
        asking.cancel()
        keep([asking])

    def _withdraw(self, taking: asyncio.Task[Permit]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            self.give_back(taking.result())

    def _note_return(self, returning: asyncio.Task[None]) -> None:
        self._returning.discard(returning)
        error = None if returning.cancelled() else returning.exception()
        if error is not None and not self._return_failed:
            logger.warning("The limiter took no permit back: %s: %s", type(error).__name__, error)
        self._return_failed = error is not None

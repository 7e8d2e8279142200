"""The limits of a plan, by API key: requests a minute, and sessions at a time.

Rule of this file: pure. The time is passed in, and refusing is the caller's business.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Counted = Literal["handshakes", "requests"]
"""What uses up the requests of a plan. Nobody outside Lokutor knows which of them the service counts."""

MINUTE = 60.0
_MANY_ACCOUNTS = 1_000
"""Accounts above which those are forgotten that use nothing: a server that takes any key must not grow."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is one too many.

    Attributes:
        limit: Requests a minute.
        retry_after: Seconds until there is room for one.
    """

    limit: int
    retry_after: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an HTTP 429. Seconds are rounded up, so that nobody who obeys is refused again."""
        seconds = str(math.ceil(self.retry_after))
        return {
            "Retry-After": seconds,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": seconds,
        }


class SlidingWindow:
    """Lets at most ``limit`` through within any ``seconds``. Who is refused isn't counted."""

    def __init__(self, limit: int, seconds: float = MINUTE) -> None:
        self._limit = limit
        self._seconds = seconds
        self._taken: deque[float] = deque()

    def used(self, now: float) -> int:
        """Return how many were let through in the window that ends now."""
        while self._taken and self._taken[0] + self._seconds <= now:
            self._taken.popleft()
        return len(self._taken)

    def wait(self, now: float) -> float:
        """Return the seconds until there is room for one."""
        if self.used(now) < self._limit:
            return 0.0
        return self._taken[0] + self._seconds - now

    def take(self, now: float) -> float:
        """Count one if there is room. Return the seconds until there is; 0 if it was counted."""
        wait = self.wait(now)
        if not wait:
            self._taken.append(now)
        return wait


class Account:
    """What one key has used of its plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._window = SlidingWindow(plan.requests_per_minute or 0)
        self._sessions = 0

    def handshake(self, now: float) -> Refusal | None:
        """Take note of a handshake, or refuse it.

        Where requests are counted, a handshake only needs room for one.
        """
        counted = self._plan.count == "handshakes"
        return self._check(self._window.take if counted else self._window.wait, now)

    def request(self, now: float) -> Refusal | None:
        """Take note of a request inside a connection, or refuse it."""
        return None if self._plan.count == "handshakes" else self._check(self._window.take, now)

    def begin_session(self) -> bool:
        """Return whether there is room for a session; it is :meth:`end_session` that ends it."""
        if self._plan.sessions is not None and self._sessions >= self._plan.sessions:
            return False
        self._sessions += 1
        return True

    def end_session(self) -> None:
        """Take note of the end of a session that was begun."""
        self._sessions -= 1

    def used(self, now: float) -> int:
        """Return how many requests were counted in the last minute."""
        return self._window.used(now)

    def idle(self, now: float) -> bool:
        """Return whether it uses nothing."""
        return not self._sessions and not self.used(now)

    def _check(self, ask: Callable[[float], float], now: float) -> Refusal | None:
        limit = self._plan.requests_per_minute
        if limit is None:
            return None
        wait = ask(now)
        return Refusal(limit, wait) if wait else None


class Plan:
    """What every key may use.

    Args:
        requests_per_minute: Requests within any 60 seconds. None allows any number.
        sessions: Connections at a time. None allows any number.
        count: Whether each handshake is a request, or each request inside a connection.

    Raises:
        ValueError: A limit is below 1, or ``count`` is neither.
    """

    def __init__(
        self, requests_per_minute: int | None = None, sessions: int | None = None, count: Counted = "requests"
    ) -> None:
        for name, limit in {"requests_per_minute": requests_per_minute, "sessions": sessions}.items():
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be at least 1, or None for no limit, not {limit!r}")
        if count not in get_args(Counted):
            raise ValueError(f"count must be one of {', '.join(get_args(Counted))}, not {count!r}")
        self.requests_per_minute = requests_per_minute
        self.sessions = sessions
        self.count = count
        self._accounts: dict[str, Account] = {}

    def account(self, key: str, now: float) -> Account:
        """Return the account of ``key``."""
        if key not in self._accounts:
            self._forget_idle(now)
            self._accounts[key] = Account(self)
        return self._accounts[key]

    def _forget_idle(self, now: float) -> None:
        if len(self._accounts) >= _MANY_ACCOUNTS:
            self._accounts = {key: one for key, one in self._accounts.items() if not one.idle(now)}

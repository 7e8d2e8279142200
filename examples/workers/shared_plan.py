"""A rate limiter for all processes of an account: ``pyrate-limiter``'s bucket in Redis.

Copy it into your agent, and pass ``await SharedPlan.connect(url, 100)`` to ``LokutorTTS(limiter=…)``.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable
from typing import Self, TypeVar

from pyrate_limiter import Duration, Rate, RateItem, RedisBucket
from redis.asyncio import Redis

T = TypeVar("T")
RESERVE = 0.1
"""Part of the plan that no standby connection counts on: while one connects, turns go on to use requests."""
MARGIN = 1_000
"""Milliseconds by which the plan's minute is longer than the service's: requests take time to arrive."""


class SharedPlan:
    """Permits requests as long as the plan has room for them.

    Args:
        bucket: Where all processes count.
        per_minute: Requests that the plan allows.
    """

    def __init__(self, bucket: RedisBucket, per_minute: int) -> None:
        self._bucket = bucket
        self._per_minute = per_minute

    @classmethod
    async def connect(cls, url: str, per_minute: int, key: str = "lokutor") -> Self:
        """Return the plan that is kept in the Redis at ``url``."""
        # A limiter that hangs would delay turns.
        redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        bucket = await RedisBucket.init([Rate(per_minute, Duration.MINUTE + MARGIN)], redis, key)
        return cls(bucket, per_minute)

    async def __call__(self, kind: str, within: float) -> bool:
        """Wait for room, but not if there is none within so many seconds."""
        if kind == "handshake":
            # A turn's own belongs to a request that has its permit. The standby connection must wait.
            return within > 0 or await self._has_room()
        deadline = time.monotonic() + within
        while True:
            item = RateItem("request", _now())
            if await _answer(self._bucket.put(item)):
                return True
            wait = await _answer(self._bucket.waiting(item)) / 1000
            if time.monotonic() + wait > deadline:
                return False
            await asyncio.sleep(max(wait, 0.01))

    async def _has_room(self) -> bool:
        await _answer(self._bucket.leak(_now()))
        count: int = await _answer(self._bucket.count())  # type: ignore[no-untyped-call]
        return count < (1 - RESERVE) * self._per_minute


def _now() -> int:
    """Return the milliseconds of the clock that all machines share."""
    return time.time_ns() // 1_000_000


async def _answer(answer: T | Awaitable[T]) -> T:
    """Return what a bucket says: some answers have to be awaited."""
    return await answer if inspect.isawaitable(answer) else answer

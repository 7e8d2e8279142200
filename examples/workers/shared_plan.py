"""A rate limiter for all processes of an account, in Redis: nothing but a script of a few lines.

Copy it into your agent, and pass ``SharedPlan.from_url(url, 100)`` to ``LokutorTTS(limiter=…)``.

Where Redis is down, whoever asks for a permit gets an exception, and the plugin lets everything pass for some
seconds. It counts again as soon as Redis answers, also if Redis has lost everything.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import RedisError

RESERVE = 0.1
"""Part of the plan that no standby connection counts on: while one connects, turns go on to use requests."""
WINDOW = 66_000
"""Milliseconds of the plan's minute: longer than the service's, for a permit may be used for 5 s, while the
language model thinks, and requests take time to arrive."""
PATIENCE = 0.5
"""Seconds that Redis may take for an answer: a turn waits meanwhile."""

# A place is the moment at which a request may be sent. Redis's own clock orders them: those of the processes
# differ. A place is free one window behind the place that is as many before it as the plan has requests.
RESERVE_PLACE = """
local limit, window, within, name = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window - 1)
local place = now
local before = redis.call('ZRANGE', KEYS[1], -limit, -limit, 'WITHSCORES')
if before[2] then
    place = math.max(now, before[2] + window + 1)
end
if place - now > within then
    return -1
end
redis.call('ZADD', KEYS[1], place, name)
redis.call('PEXPIRE', KEYS[1], place - now + window + 1)
return place - now
"""


class SharedPlan:
    """Permits requests as long as the plan has room for them.

    A turn that has to wait reserves the next place that becomes free. So turns are permitted in the order in
    which they have asked, and one that would wait in vain is told so at once.

    Args:
        redis: Where all processes count. Nothing is asked of it yet: it may be down.
        per_minute: Requests that the plan allows.
        key: What the plan is called there.
    """

    def __init__(self, redis: Redis, per_minute: int, key: str = "lokutor") -> None:
        self._redis = redis
        self._per_minute = per_minute
        self._key = key
        self._asks: set[asyncio.Task[bool]] = set()
        self._reserve = redis.register_script(RESERVE_PLACE)  # A Redis that doesn't know it is told.

    @classmethod
    def from_url(cls, url: str, per_minute: int, key: str = "lokutor", *, timeout: float = PATIENCE) -> Self:
        """Return the plan that is kept in the Redis at ``url``.

        Args:
            url: Where it is.
            per_minute: Requests that the plan allows.
            key: What the plan is called there.
            timeout: Seconds that Redis may take for an answer.
        """
        redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # One more try, at once: the default ones would delay a turn by seconds where Redis is down.
            retry=Retry(NoBackoff(), 1, supported_errors=(LostConnectionError,)),
        )
        return cls(redis, per_minute, key)

    async def __call__(self, kind: str, within: float) -> bool:
        """Wait for room, but not if there is none within so many seconds."""
        ask = asyncio.create_task(self._ask(kind, within))
        self._asks.add(ask)
        ask.add_done_callback(self._asks.discard)
        try:
            return await ask
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise LostConnectionError("The plan was closed") from None

    async def aclose(self) -> None:
        """Ask for nothing more, and close the connections to Redis.

        Commands that are under way end first: redis-py (8.1.0) closes their connections as well, connects
        again to repeat them, and leaves those connections open.
        """
        for ask in self._asks:
            if not ask.cancelling():  # Such a one gives its place to others.
                ask.cancel()
        while asks := [ask for ask in self._asks if not ask.done()]:
            _, lasting = await asyncio.wait(asks, timeout=PATIENCE)
            for ask in lasting:
                ask.cancel()  # Python 3.11 loses one that comes when a command was just sent.
        await self._redis.aclose()

    async def _ask(self, kind: str, within: float) -> bool:
        if kind == "handshake":
            # A turn's own belongs to a request that has its permit. The standby connection must wait.
            return within > 0 or await self._has_room()
        name = uuid.uuid4().hex
        try:
            wait = await self._reserve([self._key], [self._per_minute, WINDOW, round(within * 1_000), name])
            if wait < 0:
                return False
            await asyncio.sleep(wait / 1_000)
        except asyncio.CancelledError:  # Redis may have given a place, and its answer be on the way.
            with suppress(RedisError):  # The place is lost for a minute.
                await self._redis.zrem(self._key, name)
            raise
        return True

    async def _has_room(self) -> bool:
        seconds, _ = await self._redis.time()
        taken = await self._redis.zcount(self._key, seconds * 1_000 - WINDOW, "+inf")
        return taken < (1 - RESERVE) * self._per_minute

"""The standby connection: open, never used, for the next turn.

Rule of this file: a connection that has carried a request never comes back, so stale audio is impossible by
construction: the connection itself knows, and refuses to be parked. A call never waits longer for it than
connecting by itself would take.

It is an extra, so it is the first to step back when the service speaks of the plan's limits, on whichever
connection: turns go on, each with a handshake of its own.

When the next one is opened: behind a turn's first request. Before it, the turn's own is as good as new, and
comes back if the turn ends; after it, the service is at work for longer than a handshake takes, as a rule.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..errors import SESSION_LIMIT, LokutorError, RateLimitError
from .connection import Connection

logger = logging.getLogger("videosdk.plugins.lokutor")

IDLE_LIMIT = 300.0
"""Seconds without a turn after which the socket is let go: it costs the service a session."""
REPLACE_INTERVAL = 10.0
"""Seconds between the first two replacements, against a server that hangs up on idle sockets. Each interval
is twice the one before, so that an idle plugin doesn't use up a plan of a few requests a minute."""
SESSION_PAUSE = 60.0
"""Seconds without a standby connection after the service had a session too many. Nobody tells us when another
call of the account ends, and that a turn ended well shows only that there was room for the turn. A minute is
long beside a turn, so that others get the session, and short beside a call."""
_SLOWER = 4.0
"""How many times as long as the last one a handshake may take before it seems to hang,"""
_SHORTEST_PATIENCE = 0.5
"""and at least so many seconds."""
_HANGS = 5.0
"""The same, where none is known."""
_MOST_OPEN = 2
"""Connections that the turns of a plugin have open at a time, as the service sees it."""


class Standby:
    """Keeps at most one connection open for the next turn, and opens another when it is used.

    Nothing happens before the first :meth:`fill`.

    Args:
        open_connection: Opens a connection.
        spawn: Starts a background task that the owner awaits before it closes.
        idle_limit: Seconds without a turn after which the connection is closed.
        replace_interval: Minimum seconds between the first two replacements of a dead connection. It doubles
            with each, up to ``idle_limit``, until a turn uses a connection.
        active: Whether the first :meth:`refill` opens a connection, without a :meth:`fill` before it.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[Connection]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        idle_limit: float = IDLE_LIMIT,
        replace_interval: float = REPLACE_INTERVAL,
        active: bool = False,
    ) -> None:
        self._open_connection = open_connection
        self._spawn = spawn
        self._idle_limit = idle_limit
        self._replace_interval = replace_interval
        self._active = active
        self._connection: Connection | None = None
        self._others: set[Connection] = set()  # Those that aren't parked, each until its socket is closed.
        self._own = 0  # Connections that calls are opening by themselves.
        self._opening: asyncio.Task[None] | None = None
        self._deferred = False  # Whether one is to be opened once another is closed.
        self._replacing: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._handshake: float | None = None  # Seconds that the last one took.
        self._opening_at = 0.0  # When the last one was begun.
        self._replaced_at = float("-inf")
        self._replacements = 0  # Since the last turn.
        self._pause = 0.0  # Seconds that it paused after the last limit, until one was of use again.
        self._paused_until = float("-inf")  # None is opened before.
        self._without_until = float("-inf")  # None is kept before.

    @property
    def active(self) -> bool:
        """Whether it opens connections."""
        return self._active

    @property
    def coming(self) -> bool:
        """Whether there is a connection, or one on its way."""
        return self._connection is not None or self._is_opening

    async def fill(self, within: float | None = None) -> None:
        """Open a connection unless there is one or one is being opened, and wait for it. Never raises.

        Args:
            within: Longest wait in seconds. After that, opening continues in the background. None waits for
                it.
        """
        self._active = True
        self._begin_anew()
        self.refill()
        await self._arrival(within)

    def refill(self) -> None:
        """Open a connection in the background unless there is one for the next turn, or one on its way."""
        if not self._active:
            return
        self._restart_idle_limit()
        if self._replacing is None:
            self._open_if_needed()

    async def take(self, within: float | None = None) -> Connection | None:
        """Return the connection for the caller's own use, or None if there is none alive.

        If one is being opened, wait for it: it will be open before a new one could be. But not for one that
        hangs: it has had longer by now than the others took.

        Args:
            within: Seconds to wait at most: its handshake may hang. None waits for its end.
        """
        if self._connection is None:
            await self._arrival(None if within is None else self._patience(within))
        connection, self._connection = self._connection, None
        if connection is None:
            return None
        self.lend(connection)
        if not connection.unpark():
            connection.drop()
            return None
        self._pause = 0.0
        return connection

    async def connect(self, opening: Awaitable[Connection]) -> Connection:
        """Return the connection that a call opens by itself; none is opened for the next turn meanwhile.

        Raises:
            LokutorError: It can't be opened.
        """
        self._own += 1
        try:
            connection = await opening
        finally:
            self._own -= 1
        if self._is_opening and self._patience(_HANGS) <= 0:  # It hangs, and the service is well.
            self._stop_opening()
        self._handshake = connection.handshake_time
        self.lend(connection)
        return connection

    def lend(self, connection: Connection) -> None:
        """Take note of a connection that a call uses: it may come back, and counts until it is closed."""
        connection.keeper = self
        self._others.add(connection)

    def take_back(self, connection: Connection) -> bool:
        """Park a connection that a call has not used, unless there is another. Return whether it is."""
        if not self._active or self._connection is not None or self._now() < self._without_until:
            return False
        if not connection.park():
            return False
        self._stop_opening()  # This one is open already.
        self._others.discard(connection)
        self._connection = connection
        self._restart_idle_limit()
        return True

    def on_first_request(self) -> None:
        """Open the next connection: the call's own won't come back."""
        self._begin_anew()
        self.refill()

    def on_closed(self, connection: Connection) -> None:
        """Open what had to wait until the socket of ``connection`` is closed."""
        self._others.discard(connection)
        if self._deferred:
            self._open_if_needed()

    def forget(self, connection: Connection) -> None:
        """Let ``connection`` count no more, and open nothing for it."""
        self._others.discard(connection)

    def on_parked_end(self) -> None:
        """Replace the connection, which ended while it waited."""
        self._let_go()
        self._replace_at(self._replaced_at + self._interval)

    def on_limit(self, error: RateLimitError) -> None:
        """Leave what the plan has to the turns.

        Too many requests: none is opened for some time, but one that is open costs no more. Too many
        sessions: it is one of them, and is given up at once.
        """
        too_many_sessions = error.code == SESSION_LIMIT
        self._pause_after(error, SESSION_PAUSE if too_many_sessions else self._replace_interval)
        if too_many_sessions:
            self._without_until = self._paused_until
            self._stop_opening()
            self._let_go()
            if self._leaving is not None:  # Else there was no turn for long.
                self._replace_at(self._paused_until)

    def _pause_after(self, error: RateLimitError, shortest: float) -> None:
        """Open none before the service wants it, nor before a pause that doubles until one is of use."""
        now = self._now()
        doubled = self._pause if now < self._paused_until else 2.0 * self._pause  # Once for each pause.
        self._pause = min(max(shortest, doubled), self._idle_limit)
        self._paused_until = max(self._paused_until, now + max(self._pause, error.retry_after or 0.0))
        logger.debug("No standby connection for %.0f s: %s", self._paused_until - now, error)

    def close(self) -> None:
        """Close the connection, and open no more."""
        self._active = False
        self._empty()

    def abandon(self) -> None:
        """Let the connection go, where its event loop is closed."""
        self._active = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    @property
    def _is_opening(self) -> bool:
        # An eager task may be over before its creator knows of it, so only the task itself can tell.
        return self._opening is not None and not self._opening.done()

    def _patience(self, longest: float) -> float:
        """Return for how many seconds the connection that is being opened is worth waiting for."""
        if self._handshake is not None:
            longest = min(longest, max(_SLOWER * self._handshake, _SHORTEST_PATIENCE))
        return max(self._opening_at + longest - self._now(), 0.0)

    async def _arrival(self, within: float | None = None) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening}, timeout=within)

    def _open_if_needed(self) -> None:
        """Open a connection unless there is one, one is on its way or may come back, or too many are open."""
        if self._connection is not None or self._is_opening:
            return
        # One that is untouched comes back, or is used, which leads here again.
        coming_back = self._own > 0 or any(one.untouched for one in self._others)
        self._deferred = coming_back or len(self._others) >= _MOST_OPEN
        if self._deferred:
            return
        now = self._now()
        if now < self._paused_until:
            self._replace_at(self._paused_until)
            return
        self._opening_at = now
        self._opening = self._spawn(self._fetch())

    def _stop_opening(self) -> None:
        self._deferred = False
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()

    async def _fetch(self) -> None:
        try:
            connection = await self._open_connection()
        except LokutorError as error:
            # The next call connects by itself, and reports what it meets.
            logger.debug("No standby connection: %s", type(error).__name__)
            self._try_later(error)
            return
        self._handshake = connection.handshake_time
        connection.keeper = self
        if self._active and self._connection is None and connection.park():
            self._connection = connection
            logger.debug("The standby connection is open, after %.3f s", connection.handshake_time)
        else:
            connection.drop()

    @property
    def _interval(self) -> float:
        doubled = max(self._replacements - 1, 0)
        return min(self._replace_interval * 2.0**doubled, self._idle_limit)

    def _try_later(self, error: LokutorError) -> None:
        """Open a connection some time after ``error``, unless it is final or there was no turn for long."""
        if not error.retryable or self._leaving is None:
            return
        self._replacements = max(self._replacements, 1)
        self._replace_at(max(self._now() + self._interval, self._paused_until))

    def _replace_at(self, due: float) -> None:
        self._stop_replacing()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._replacing = loop.call_at(max(due, now), self._replace)
        logger.debug("The next standby connection is opened in %.1f s", max(due - now, 0.0))

    def _replace(self) -> None:
        self._replacing = None
        self._replaced_at = self._now()
        self._replacements += 1
        self._open_if_needed()

    def _stop_replacing(self) -> None:
        if self._replacing is not None:
            self._replacing.cancel()
            self._replacing = None

    def _begin_anew(self) -> None:
        """Forget what was replaced before: what comes next needn't wait for its interval."""
        self._stop_replacing()
        self._replacements = 0

    def _restart_idle_limit(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = asyncio.get_running_loop().call_later(self._idle_limit, self._empty)

    def _empty(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        self._stop_replacing()
        self._stop_opening()  # Else it would arrive later, and stay without a limit.
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._others.add(connection)
            connection.drop()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

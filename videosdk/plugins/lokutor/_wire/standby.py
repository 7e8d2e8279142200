"""The standby connection: open, never used, for the next turn.

Rule of this file: a connection is taken once and never comes back, so stale audio is impossible by
construction. A call never waits longer for it than connecting by itself would take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..errors import LokutorError
from .connection import Connection

logger = logging.getLogger("videosdk.plugins.lokutor")

IDLE_LIMIT = 300.0
"""Seconds without a turn after which the socket is let go: it costs the service a session."""
REPLACE_INTERVAL = 10.0
"""Seconds between two replacements, against a server that hangs up on idle sockets."""


class Standby:
    """Keeps at most one connection open for the next turn, and opens another when it is taken.

    Nothing happens before the first :meth:`fill`.

    Args:
        open_connection: Opens a connection.
        spawn: Starts a background task that the owner awaits before it closes.
        idle_limit: Seconds without a turn after which the connection is closed.
        replace_interval: Minimum seconds between two replacements of a dead connection.
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
        self._opening: asyncio.Task[None] | None = None
        self._replacing: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._replaced_at = float("-inf")

    @property
    def active(self) -> bool:
        """Whether it opens connections."""
        return self._active

    async def fill(self, within: float | None = None) -> None:
        """Open a connection unless there is one or one is being opened, and wait for it. Never raises.

        Args:
            within: Longest wait in seconds. After that, opening continues in the background. None waits for
                it.
        """
        self._active = True
        self.refill()
        await self._arrival(within)

    def refill(self) -> None:
        """Open a connection in the background unless there is one or one is being opened."""
        if not self._active:
            return
        self._restart_idle_limit()
        if self._connection is None and not self._is_opening and self._replacing is None:
            self._open()

    async def take(self, within: float | None = None) -> Connection | None:
        """Return the connection for the caller's own use, or None if there is none alive.

        If one is being opened, wait for it: it will be open before a new one could be.

        Args:
            within: Seconds to wait at most: its handshake may hang. None waits for its end.
        """
        if self._connection is None:
            await self._arrival(within)
        connection, self._connection = self._connection, None
        if connection is not None and not connection.unpark():
            connection.drop()
            return None
        return connection

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

    async def _arrival(self, within: float | None = None) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening}, timeout=within)

    def _open(self) -> None:
        self._opening = self._spawn(self._fetch())

    async def _fetch(self) -> None:
        try:
            connection = await self._open_connection()
        except LokutorError as error:
            # The next call connects by itself, and reports what it meets.
            logger.debug("No standby connection: %s", type(error).__name__)
            return
        if self._active:
            self._connection = connection
            connection.park(self._on_end)
        else:
            connection.drop()

    def _on_end(self) -> None:
        """Replace a connection that ended while it waited."""
        if self._connection is not None:
            self._connection.drop()
            self._connection = None
        loop = asyncio.get_running_loop()
        due = max(loop.time(), self._replaced_at + self._replace_interval)
        self._replacing = loop.call_at(due, self._replace)

    def _replace(self) -> None:
        self._replacing = None
        self._replaced_at = asyncio.get_running_loop().time()
        if self._connection is None and not self._is_opening:
            self._open()

    def _restart_idle_limit(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = asyncio.get_running_loop().call_later(self._idle_limit, self._empty)

    def _empty(self) -> None:
        for timer in (self._leaving, self._replacing):
            if timer is not None:
                timer.cancel()
        self._leaving = self._replacing = None
        if self._opening is not None:  # Else it would arrive later, and stay without a limit.
            self._opening.cancel()
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

"""The plugin's connections, and what they need: one :class:`Connector` for each event loop.

Rule of this file: sessions, sockets and tasks belong to the loop and the process that they were made in.
They are never used from another one, and never closed from a forked process: its sockets are its parent's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp

from ..errors import RateLimitError
from .connection import Connection, new_session
from .endpoint import Endpoint
from .limiters import Limiter
from .permits import Permit, Permits
from .proxy import find_proxy
from .standby import Standby

_inherited: list[Connector] = []
"""Those of the parent, in a forked process: kept, for if they were collected, aiohttp would complain."""


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """How connections are opened.

    Attributes:
        endpoint: URL and key.
        connect_timeout: Seconds to open the standby connection.
        heartbeat: Seconds between the pings on an open connection; None sends none.
        session: The user's own session, or None for one that is made when it is needed.
        limiter: Who permits handshakes and requests, or None.
        longest_wait: Seconds that a turn may wait for a permit.
    """

    endpoint: Endpoint
    connect_timeout: float
    heartbeat: float | None
    session: aiohttp.ClientSession | None
    limiter: Limiter | None = None
    longest_wait: float = 5.0

    def __post_init__(self) -> None:
        if self.session is not None and not isinstance(self.session, aiohttp.ClientSession):
            raise ValueError(f"session must be an aiohttp.ClientSession, got a {type(self.session).__name__}")


class Connector:
    """Opens connections in the running loop.

    Args:
        settings: How.
        active: Whether a standby connection is opened without :meth:`Standby.fill`.
    """

    def __init__(self, settings: ConnectorSettings, *, active: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._settings = settings
        self._own_session: aiohttp.ClientSession | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.permits = Permits(settings.limiter, settings.longest_wait)
        """Who may use the account's quota."""
        self.standby = Standby(self._open_standby, self.spawn, active=active)
        """The standby connection."""

    @property
    def inherited(self) -> bool:
        """Whether it is the parent's, in a forked process."""
        return self._process != os.getpid()

    @property
    def usable(self) -> bool:
        """Whether its loop can still run, in this process."""
        return not self.inherited and not self._loop.is_closed()

    def needs_handshake(self) -> bool:
        """Return whether :meth:`take_or_connect` is likely to open a new connection."""
        return not self.standby.coming

    async def take_or_connect(self, fresh: bool, within: float, permit: Permit | None = None) -> Connection:
        """Return the standby connection or a new one; with ``fresh`` always a new one.

        Args:
            fresh: Whether it must be a new one.
            within: Seconds to connect.
            permit: For the handshake, or None to ask for it where it is needed.
        """
        deadline = self._loop.time() + within
        try:
            # Half of the time: the other half is for a handshake of its own, should that one hang.
            waiting = None if fresh else await self.standby.take(within / 2)
        except asyncio.CancelledError:
            self._give_back(permit)
            raise
        if waiting is not None:
            self._give_back(permit)
            return waiting
        # What the waiting for a socket on its way took is not there any more for connecting.
        left = max(deadline - self._loop.time(), 0.0)
        await self._permit_handshake(permit)
        return await self.standby.connect(self._connect(left, self._settings.heartbeat))

    async def connect_stream(self, _fresh: bool, within: float, permit: Permit | None = None) -> Connection:
        """Return a new connection for a consumer that may be slow."""
        await self._permit_handshake(permit)
        # No heartbeat: it would kill a healthy connection whose consumer is slow.
        return await self._connect(within, None)

    def session(self) -> aiohttp.ClientSession:
        """Return the session to connect with."""
        if self._settings.session is not None:
            return self._settings.session
        if self._own_session is None:
            self._own_session = new_session()
        return self._own_session

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a background task, which :meth:`close` waits for."""
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        """Close all that is open, and wait until it is."""
        self.standby.close()
        while self._background:
            await asyncio.wait(set(self._background))
        await self.permits.close()
        await self._close_session()

    def close_from_elsewhere(self) -> None:
        """Let this connector's own loop close all that is open when it next runs."""
        self._loop.call_soon_threadsafe(self._close_soon)

    async def abandon(self) -> None:
        """Close what can be closed where this connector's loop is not to be used any more."""
        if self.inherited:
            _inherited.append(self)
            return
        self.standby.abandon()
        await self._close_session()

    def _close_soon(self) -> None:
        self.standby.close()
        self.spawn(self.permits.close())
        self.spawn(self._close_session())

    async def _close_session(self) -> None:
        if self._own_session is not None:
            await self._own_session.close()
            self._own_session = None  # Not before: whoever is cancelled here can close it again.

    async def _open_standby(self) -> Connection:
        await self.permits.take_spare("handshake")
        return await self._connect(self._settings.connect_timeout, self._settings.heartbeat)

    async def _permit_handshake(self, permit: Permit | None) -> None:
        """Wait until a handshake is permitted, unless ``permit`` says so."""
        if permit is None or not self.permits.is_good(permit):
            self._give_back(permit)
            await self.permits.take("handshake", self.permits.longest_wait)

    def _give_back(self, permit: Permit | None) -> None:
        if permit is not None:
            self.permits.give_back(permit)

    async def _connect(self, within: float, heartbeat: float | None) -> Connection:
        endpoint = self._settings.endpoint
        # A session of the user's own knows its way.
        proxy = find_proxy(endpoint.url) if self._settings.session is None else None
        return await Connection.open(
            self.session(),
            endpoint,
            connect_timeout=within,
            heartbeat=heartbeat,
            spawn=self.spawn,
            proxy=proxy,
            on_limit=self._on_limit,
        )

    def _on_limit(self, error: RateLimitError) -> None:
        self.permits.note_refusal()
        self.standby.on_limit(error)


class Connectors:
    """The connector of each loop that the plugin is used in.

    Args:
        settings: How connections are opened.
    """

    def __init__(self, settings: ConnectorSettings) -> None:
        self._settings = settings
        self._by_loop: dict[asyncio.AbstractEventLoop, Connector] = {}

    def here(self) -> Connector:
        """Return the running loop's connector.

        A new one keeps a standby connection if one that it takes over from did.
        """
        loop = asyncio.get_running_loop()
        connector = self._by_loop.get(loop)
        if connector is not None and connector.usable:
            return connector
        left = self._leave()
        active = any(other.standby.active for other in left)
        connector = Connector(self._settings, active=active)
        self._by_loop[loop] = connector
        for other in left:
            connector.spawn(other.abandon())
        return connector

    async def close(self) -> None:
        """Close all of them, and wait for the running loop's.

        Each is forgotten when it is closed, and not before: a caller who is cancelled half-way can try again.
        """
        here = asyncio.get_running_loop()
        for loop, connector in sorted(self._by_loop.items(), key=lambda item: item[0] is here):
            if not connector.usable:
                await connector.abandon()
            elif loop is here:
                await connector.close()
            else:
                connector.close_from_elsewhere()
            self._by_loop.pop(loop, None)

    def _leave(self) -> list[Connector]:
        """Forget those that can't be used any more, and return them."""
        left = [connector for connector in self._by_loop.values() if not connector.usable]
        self._by_loop = {loop: connector for loop, connector in self._by_loop.items() if connector.usable}
        return left

"""The plugin's connections, and what they need: one :class:`Network` for each event loop.

Rule of this file: sessions, sockets and tasks belong to the loop and the process that they were made in.
They are never used from another one, and never closed from a forked process: its sockets are its parent's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import aiohttp

from ._connection import Connection, new_session
from ._options import Endpoint, Limits
from ._waiting import WaitingRoom

_inherited: list[Network] = []
"""Those of the parent, in a forked process: kept, for if they were collected, aiohttp would complain."""


class Network:
    """Opens connections in the running loop.

    Args:
        endpoint: URL and key.
        limits: How long to try.
        session: The user's own session, or None for one that is made when it is needed.
        active: Whether the room is filled without :meth:`WaitingRoom.fill`.
    """

    def __init__(
        self, endpoint: Endpoint, limits: Limits, session: aiohttp.ClientSession | None, *, active: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._endpoint = endpoint
        self._limits = limits
        self._user_session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.room = WaitingRoom(self._open_waiting, self.spawn, active=active)
        """The socket in waiting."""

    @property
    def inherited(self) -> bool:
        """Whether it is the parent's, in a forked process."""
        return self._process != os.getpid()

    @property
    def usable(self) -> bool:
        """Whether its loop can still run, in this process."""
        return not self.inherited and not self._loop.is_closed()

    async def take_or_connect(self, fresh: bool, within: float) -> Connection:
        """Return the connection in waiting or a new one; with ``fresh`` always a new one."""
        deadline = self._loop.time() + within
        waiting = None if fresh else await self.room.take()
        # What the waiting for a socket on its way took is not there any more for connecting.
        return waiting or await self._connect(max(deadline - self._loop.time(), 0.0), self._limits.heartbeat)

    async def connect_stream(self, _fresh: bool, within: float) -> Connection:
        """Return a new connection for a consumer that may be slow."""
        # No heartbeat: it would kill a healthy connection whose consumer is slow.
        return await self._connect(within, None)

    def session(self) -> aiohttp.ClientSession:
        """Return the session to connect with."""
        if self._user_session is not None:
            return self._user_session
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
        self.room.close()
        while self._background:
            await asyncio.wait(set(self._background))
        await self._close_session()

    def close_from_elsewhere(self) -> None:
        """Let this network's own loop close all that is open when it next runs."""
        self._loop.call_soon_threadsafe(self._close_soon)

    async def abandon(self) -> None:
        """Close what can be closed where this network's loop is not to be used any more."""
        if self.inherited:
            _inherited.append(self)
            return
        self.room.abandon()
        await self._close_session()

    def _close_soon(self) -> None:
        self.room.close()
        self.spawn(self._close_session())

    async def _close_session(self) -> None:
        session, self._own_session = self._own_session, None
        if session is not None:
            await session.close()

    async def _open_waiting(self) -> Connection:
        return await self._connect(self._limits.connect_timeout, self._limits.heartbeat)

    async def _connect(self, within: float, heartbeat: float | None) -> Connection:
        return await Connection.open(
            self.session(), self._endpoint, connect_timeout=within, heartbeat=heartbeat, spawn=self.spawn
        )


class Networks:
    """The network of each loop that the plugin is used in.

    Args:
        endpoint: URL and key.
        limits: How long to try.
        session: The user's own session, or None.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, session: aiohttp.ClientSession | None) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._session = session
        self._networks: dict[asyncio.AbstractEventLoop, Network] = {}

    def here(self) -> Network:
        """Return the running loop's network.

        A new one keeps a socket in waiting if one that it takes over from did.
        """
        loop = asyncio.get_running_loop()
        network = self._networks.get(loop)
        if network is not None and network.usable:
            return network
        left = self._leave()
        active = any(other.room.active for other in left)
        network = Network(self._endpoint, self._limits, self._session, active=active)
        self._networks[loop] = network
        for other in left:
            network.spawn(other.abandon())
        return network

    async def close(self) -> None:
        """Close all of them, and wait for the running loop's."""
        for other in self._leave():
            await other.abandon()
        own = self._networks.pop(asyncio.get_running_loop(), None)
        for network in self._networks.values():
            network.close_from_elsewhere()
        self._networks.clear()
        if own is not None:
            await own.close()

    def _leave(self) -> list[Network]:
        """Forget those that can't be used any more, and return them."""
        left = [network for network in self._networks.values() if not network.usable]
        self._networks = {loop: network for loop, network in self._networks.items() if network.usable}
        return left

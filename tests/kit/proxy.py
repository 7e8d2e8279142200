"""A proxy that does to each connection what it is told to.

It knows TCP and just enough HTTP to tell the handshake from what follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from kit import PATIENCE, ScriptedServer
from kit.ports import held_port
from kit.server import accept_no_more


class Link:
    """One client's connection to the proxy, and the proxy's own connection to the server."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.reader = reader
        self.writer = writer
        self.closed = asyncio.Event()
        self.head = b""
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read_head(self) -> None:
        """Read the client's handshake."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")

    async def shake_hands(self, size: int = 65_536) -> None:
        """Pass the handshake on, and its answer back in pieces of ``size`` bytes."""
        await self.read_head()
        reader, writer = self._upstream = await asyncio.open_connection(*self.proxy.server_address)
        writer.write(self.head)
        await self.send(await reader.readuntil(b"\r\n\r\n"), size)

    async def send(self, data: bytes, size: int = 65_536) -> None:
        for start in range(0, len(data), size):
            self.writer.write(data[start : start + size])
            await self.writer.drain()
            await asyncio.sleep(0)

    async def reach(self) -> None:
        """Connect to the server, without a handshake of HTTP."""
        self._upstream = await asyncio.open_connection(*self.proxy.server_address)

    async def pass_request(self) -> None:
        """Pass on what the client sends next."""
        assert self._upstream is not None
        self._upstream[1].write(await self._some(self.reader))

    async def pump(self, limit: float = float("inf"), size: int = 65_536) -> None:
        """Forward both ways until one side ends, or until ``limit`` bytes went to the client."""
        assert self._upstream is not None
        forth = asyncio.create_task(self._forward(self.reader, self._upstream[1]))
        back = asyncio.create_task(self._forward(self._upstream[0], self.writer, limit, size))
        try:
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (forth, back):
                task.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)

    async def swallow(self) -> None:
        """Take everything and answer nothing until the client is gone."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65_536):
                pass

    async def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def finish(self) -> None:
        self.writer.close()

    @property
    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self.writer] if self._upstream is None else [self.writer, self._upstream[1]]

    def abort(self) -> None:
        """Close what is still open, without a wait."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
        self.closed.set()

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        limit: float = float("inf"),
        size: int = 65_536,
    ) -> None:
        sent = 0
        while sent < limit:
            data = await self._some(source, int(min(size, limit - sent)))
            target.write(data)
            await target.drain()
            if size == 1:
                await asyncio.sleep(0)
            sent += len(data)

    @staticmethod
    async def _some(source: asyncio.StreamReader, size: int = 65_536) -> bytes:
        data = await source.read(size)
        if not data:
            raise EOFError
        return data


Play = Callable[[Link], Awaitable[None]]


async def pass_through(link: Link) -> None:
    await link.shake_hands()
    await link.pump()


async def tunnel(link: Link) -> None:
    """Connect the client to where it wants, and see nothing of what it says."""
    await link.read_head()
    await link.reach()
    await link.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await link.pump()


class FaultProxy:
    """Stands between the plugin and a server; each connection meets the next of ``faults``."""

    def __init__(self, server: ScriptedServer | FaultProxy, tls: ssl.SSLContext | None = None) -> None:
        self.faults: deque[Play] = deque()
        self.links: list[Link] = []
        self.elsewhere = ""  # Where a redirect leads.
        self._server = server
        self._tls = tls
        self._port = 0
        self._holder: socket.socket | None = None  # Of the port, while nobody listens.
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    @property
    def server_address(self) -> tuple[str, int]:
        host, _, port = self._server.url.removeprefix("ws://").partition(":")
        return host, int(port)

    @property
    def port(self) -> int:
        return self._port

    @property
    def listening(self) -> bool:
        return self._listener is not None and self._listener.is_serving()

    async def listen(self) -> None:
        self._let_go()
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Listen no more: the port refuses connections until :meth:`listen`."""
        assert self._listener is not None
        await accept_no_more(*self._listener.sockets)
        self._listener.close()
        await self._listener.wait_closed()
        self._holder = held_port(self._port)

    def _let_go(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    async def all_closed(self) -> None:
        """Wait until every client is gone. A plugin that leaves a socket open lets this time out."""
        async with asyncio.timeout(PATIENCE):
            for link in list(self.links):
                await link.closed.wait()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._let_go()
        await accept_no_more(*self._listener.sockets)
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for link in self.links:
            link.abort()  # Its task may have been cancelled before it had begun.

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self.links.append(link)
        task = asyncio.get_running_loop().create_task(self._play(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, link: Link) -> None:
        play = self.faults.popleft() if self.faults else pass_through
        try:
            await play(link)
        except (EOFError, OSError):
            pass  # The client or the server went away: the end of every play.
        finally:
            await link.close()

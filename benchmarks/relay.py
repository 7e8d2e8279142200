"""A TCP relay that makes a loopback connection as slow as one over a network.

Rule of this file: it moves bytes and knows no TLS and no WebSocket. TLS runs through it from end to
end, so that each round trip of a handshake is delayed as a real one would be.

Every byte, and the end of each direction, arrives half a round trip late. TCP's own handshake can't be
held back on loopback: the kernel accepts at once. A client's first bytes therefore wait for one whole
round trip more, which is when they could have left if SYN and SYN-ACK had travelled. What a client
does between connecting and its first bytes is not hidden by that wait; it comes on top, as in reality.

Bandwidth is not limited and nothing is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from typing import cast

from .processes import parent_gone, run_precisely, say

_RETRY = 0.001
"""Seconds until another look, while the connection to the server is still being made."""


class _Lane:
    """One direction: what entered it leaves ``delay`` seconds later, in order."""

    def __init__(self, delay: float, *, head_start: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay = delay
        self._head_start = head_start
        self._under_way: deque[tuple[float, bytes | None]] = deque()
        self._armed = False
        self.exit: asyncio.Transport | None = None
        self.ended = False

    def enter(self, data: bytes | None) -> None:
        """Take bytes, or None for the end of this direction."""
        due = self._loop.time() + self._delay + self._head_start
        self._head_start = 0.0
        if self._under_way:  # Nothing overtakes the first bytes.
            due = max(due, self._under_way[-1][0])
        self._under_way.append((due, data))
        if not self._armed:
            self._arm(due)

    def _arm(self, due: float) -> None:
        self._armed = True
        self._loop.call_at(due, self._leave)

    def _leave(self) -> None:
        self._armed = False
        if self.exit is None:
            self._arm(self._loop.time() + _RETRY)
            return
        now = self._loop.time()
        while self._under_way and self._under_way[0][0] <= now:
            self._pass_on(self.exit, self._under_way.popleft()[1])
        if self._under_way:
            self._arm(self._under_way[0][0])

    def _pass_on(self, exit_: asyncio.Transport, data: bytes | None) -> None:
        if exit_.is_closing():
            return
        if data is not None:
            exit_.write(data)
            return
        self.ended = True
        with contextlib.suppress(OSError):  # It was reset, which its protocol hears of as well.
            exit_.write_eof()


class _Connection:
    """A client's connection and its counterpart to the server."""

    def __init__(self, server_port: int, round_trip: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._half = round_trip / 2
        self.up = _Lane(self._half, head_start=round_trip)
        self.down = _Lane(self._half)
        self._ends: list[asyncio.Transport] = []
        self._task = self._loop.create_task(self._reach(server_port))

    async def _reach(self, port: int) -> None:
        await self._loop.create_connection(lambda: _End(self, self.down, self.up), "127.0.0.1", port)

    def opened(self, transport: asyncio.Transport) -> None:
        self._ends.append(transport)

    def lost(self) -> None:
        """One end is gone: the other end hears of it half a round trip later."""
        self._loop.call_later(self._half, self.abort)

    def ended(self) -> None:
        """Close for good once both directions have ended and their last bytes have left."""
        self._loop.call_later(2 * self._half, self._close_if_ended)

    def abort(self) -> None:
        for end in self._ends:
            end.abort()

    def _close_if_ended(self) -> None:
        if self.up.ended and self.down.ended:
            for end in self._ends:
                end.close()


class _End(asyncio.Protocol):
    """One end: what arrives here enters ``lane``; what leaves ``other`` goes out here."""

    def __init__(self, connection: _Connection, lane: _Lane, other: _Lane) -> None:
        self._connection = connection
        self._lane = lane
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._other.exit = cast(asyncio.Transport, transport)
        self._connection.opened(self._other.exit)

    def data_received(self, data: bytes) -> None:
        self._lane.enter(data)

    def eof_received(self) -> bool:
        self._lane.enter(None)
        self._connection.ended()
        return True  # Half open: the other direction may still carry data.

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.lost()


class Relay:
    """Listens, and connects each client to the server at ``server_port``.

    Args:
        server_port: Port on this machine.
        round_trip: Seconds.
    """

    def __init__(self, server_port: int, round_trip: float) -> None:
        self._server_port = server_port
        self._round_trip = round_trip
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Start, and return the port."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening. Connections live on until their ends close them."""
        if self._server is not None:
            self._server.close()

    def _accept(self) -> _End:
        connection = _Connection(self._server_port, self._round_trip)
        return _End(connection, connection.up, connection.down)


async def _main(server_port: int, round_trip: float) -> None:
    relay = Relay(server_port, round_trip)
    say(port=await relay.listen())
    await parent_gone()
    relay.close()


if __name__ == "__main__":
    run_precisely(_main(int(sys.argv[1]), float(sys.argv[2])))

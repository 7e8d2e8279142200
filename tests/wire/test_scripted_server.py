"""The scripted server of the kit: it leaves nothing open that a later test would be blamed for."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import closing, suppress

import pytest
from kit import PATIENCE, ScriptedServer
from yarl import URL


@pytest.mark.parametrize("passes", range(5))
def test_a_connection_that_comes_as_the_server_closes_is_closed(passes: int) -> None:
    async def come_late() -> socket.socket:
        async with ScriptedServer() as server:
            client = socket.create_connection(("127.0.0.1", URL(server.url).port or 0))
            for _ in range(passes):
                await asyncio.sleep(0)
        return client

    with closing(asyncio.run(come_late())) as client:
        client.settimeout(PATIENCE)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    gc.collect()  # A transport that was left open would say so.

"""Asking a service for what it offers: what goes wrong is an error of ours, whatever the network says."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest
from kit import refusing
from kit.certificates import server_context

from videosdk.plugins.lokutor._wire.discovery import discover
from videosdk.plugins.lokutor.errors import ConfigurationError, NetworkError


@pytest.mark.parametrize("location", ["http://api..lokutor.com/", "http://[", "mailto:a@b"])
async def test_a_redirect_to_no_address_is_a_network_error(location: str) -> None:
    runner, url = await refusing(302, {"Location": location})
    try:
        with pytest.raises(NetworkError, match="can't be reached"):
            await discover(url)
    finally:
        await runner.cleanup()


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_server_that_hangs_up_is_a_network_error() -> None:
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NetworkError, match=r"^127\.0\.0\.1 can't be reached"):
            await discover(f"ws://127.0.0.1:{port}")


async def test_nobody_at_the_address_is_a_network_error_with_the_systems_reason() -> None:
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    with pytest.raises(NetworkError) as caught:
        await discover(f"ws://127.0.0.1:{port}")
    assert str(caught.value) == f"Connecting to 127.0.0.1:{port} failed: {os.strerror(errno.ECONNREFUSED)}"


async def test_an_untrusted_certificate_is_for_the_developer_to_mend() -> None:
    """As where the plugin connects: the exceptions of the network are mapped in one place."""
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0, ssl=server_context()) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigurationError, match=r"The certificate of 127\.0\.0\.1 is not trusted"):
            await discover(f"wss://127.0.0.1:{port}")

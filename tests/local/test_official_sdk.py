"""The official SDK, as it is on PyPI, against the local server."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from kit import PATIENCE, until

from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine, character_samples, signal

TEXT = "Hello from the SDK."


@pytest.fixture(scope="module")
def sdk() -> Iterator[ModuleType]:
    """Import the SDK without what it does to the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    module = importlib.import_module("lokutor")
    root.handlers[:] = handlers
    root.setLevel(level)
    yield module
    gc.collect()  # So that a socket which it left open warns here.


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer(SignalEngine(), api_key="sdk-key") as server:
        yield server


def client(sdk: ModuleType, server: LocalServer, key: str = "sdk-key", path: str = "/ws/tts") -> Any:
    tts = sdk.TTSClient(api_key=key)
    tts.server_url = server.url + path
    return tts


async def synthesize(tts: Any, text: str = TEXT, **options: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(tts.synthesize, text, play=False, **options)


@pytest.mark.parametrize("path", ["/ws/tts", "/ws"])
async def test_it_hears_the_audio(sdk: ModuleType, server: LocalServer, path: str) -> None:
    chunks: list[bytes] = []
    first: list[float] = []
    await synthesize(client(sdk, server, path=path), on_audio=chunks.append, on_ttfb=first.append)
    assert b"".join(chunks) == signal(TEXT, 1.05)
    assert len(first) == 1
    (entry,) = server.requests
    assert (entry.request.voice, entry.request.language, entry.request.steps) == ("F1", "en", 24)
    assert server.connections[0].key_in_header
    await server.wait_until(lambda: not server.open_connections, PATIENCE)


async def test_it_gets_visemes_in_the_form_that_it_reads(sdk: ModuleType, server: LocalServer) -> None:
    items: list[dict[str, Any]] = []
    chunks: list[bytes] = []
    await synthesize(
        client(sdk, server),
        voice=sdk.VoiceStyle.M2,
        language=sdk.Language.SPANISH,
        speed=1.5,
        visemes=True,
        on_visemes=items.extend,
        on_audio=chunks.append,
    )
    assert b"".join(chunks) == signal(TEXT, 1.5)
    step = character_samples(1.5) / 44_100
    assert [item["v"] for item in items] == list(range(len(TEXT)))
    assert [item["c"] for item in items] == ["sil" if char == " " else char for char in TEXT]
    for number, item in enumerate(items):
        assert item["t"] == pytest.approx(number * step, abs=1e-5)
    assert server.requests[0].request.language == "es"


async def test_a_wrong_key_is_an_error_to_it(
    sdk: ModuleType, server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    chunks: list[bytes] = []
    await synthesize(client(sdk, server, key="wrong"), on_audio=chunks.append)
    assert chunks == []
    assert "401" in caplog.text
    assert server.handshakes == 1
    assert server.connections == []


async def test_a_refused_request_leaves_it_connected(sdk: ModuleType, server: LocalServer) -> None:
    # It ignores error messages and would wait for 30 s; so it isn't made to wait.
    chunks: list[bytes] = []
    app = await synthesize(client(sdk, server), voice="nobody", on_audio=chunks.append, block=False)
    await server.wait_until(lambda: server.open_connections == 1, PATIENCE)
    # The SDK's thread may still be at its handshake, and would not notice.
    await until(lambda: app.sock is not None and app.sock.connected)
    await asyncio.to_thread(app.close)
    await server.wait_until(lambda: not server.open_connections, PATIENCE)
    assert chunks == []
    assert server.requests == []


async def test_several_at_once(sdk: ModuleType, server: LocalServer) -> None:
    heard: dict[str, list[bytes]] = {f"Client number {number}.": [] for number in range(5)}
    await asyncio.gather(
        *(synthesize(client(sdk, server), text, on_audio=chunks.append) for text, chunks in heard.items())
    )
    assert {text: b"".join(chunks) for text, chunks in heard.items()} == {
        text: signal(text, 1.05) for text in heard
    }

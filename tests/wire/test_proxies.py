"""The proxy that the environment names: it carries replies, and learns no key."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from faults.plays import answering
from kit import ScriptedServer, chunks_of, heard_for, listen, on_track, until
from kit.certificates import client_context, server_context
from kit.proxy import FaultProxy, Link, tunnel
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire import connector
from videosdk.plugins.lokutor._wire.connection import new_session
from videosdk.plugins.lokutor._wire.discovery import discover
from videosdk.plugins.lokutor.errors import ConfigurationError, LokutorError, NetworkError

Maker = Callable[..., LokutorTTS]
TEXT = "Heard by way of a proxy."
SERVICE = "wss://tts.example"
BASIC = b"Proxy-Authorization: Basic YWRhOmxvdmVsYWNl"
"""Of ``ada`` and ``lovelace``."""


@pytest.fixture
async def service(scripted: ScriptedServer) -> AsyncIterator[FaultProxy]:
    """Return the service behind TLS, with a certificate for the name that only the proxy can resolve."""
    async with FaultProxy(scripted, server_context()) as service:
        yield service


@pytest.fixture
async def proxy(
    service: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[FaultProxy]:
    """Return the proxy that the environment names, in front of the service."""
    trust_the_test_service(monkeypatch)
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "machine tts.example login ada password of-netrc\nmachine 127.0.0.1 login a password b\n"
    )
    monkeypatch.setenv("NETRC", str(netrc))
    async with FaultProxy(service) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:lovelace@127.0.0.1:{proxy.port}")
        yield proxy
        await proxy.all_closed()


def trust_the_test_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the plugin's own sessions trust the test's authority, and change nothing else of them."""

    def trusting() -> aiohttp.ClientSession:
        session = new_session()
        assert isinstance(session.connector, aiohttp.TCPConnector)
        session.connector._ssl = client_context()
        return session

    monkeypatch.setattr(connector, "new_session", trusting)


async def fail(tts: LokutorTTS) -> LokutorError:
    emitted = listen(tts)
    with pytest.raises(LokutorError) as caught:
        await tts.synthesize(chunks_of([TEXT]))
    assert emitted == [caught.value]
    return caught.value


async def test_a_reply_goes_through_the_proxy_of_the_environment_which_never_sees_the_key(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, proxy: FaultProxy
) -> None:
    proxy.faults.extend([tunnel] * 2)
    tts = make_tts(SERVICE)
    await tts.prewarm()
    await tts.synthesize(TEXT)
    await until(lambda: len(scripted.conversations) == 2)  # One is for the next turn.
    await tts.aclose()
    await until(lambda: all(link.closed.is_set() for link in proxy.links))
    assert on_track(track) == heard_for(TEXT)
    for link in proxy.links:
        assert link.head.startswith(b"CONNECT tts.example:443 HTTP/1.1\r\n")
        assert BASIC in link.head
        assert b"test-key" not in link.head
        assert b"x-api-key" not in link.head.lower()
    for conversation in scripted.conversations:
        headers = conversation.http.headers
        assert headers["X-API-Key"] == "test-key"
        assert not {"Authorization", "Proxy-Authorization"} & set(headers)


async def test_a_proxy_may_be_asked_through_tls(
    make_tts: Maker,
    service: FaultProxy,
    track: CustomAudioStreamTrack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trust_the_test_service(monkeypatch)
    async with FaultProxy(service, server_context()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        proxy.faults.append(tunnel)
        tts = make_tts(SERVICE)
        await tts.synthesize(TEXT)
        await tts.aclose()
        assert on_track(track) == heard_for(TEXT)
        assert len(proxy.links) == 1


async def test_an_unencrypted_address_that_was_allowed_goes_through_http_proxy(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultProxy(scripted) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        tts = make_tts("ws://tts.example", allow_insecure=True)
        await tts.synthesize(TEXT)
        await tts.aclose()
        [link] = proxy.links
    assert on_track(track) == heard_for(TEXT)
    assert link.head.startswith(b"GET ws://tts.example/ws/tts HTTP/1.1\r\n")


async def test_no_proxy_is_told_of_a_service_on_this_machine(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "WS_PROXY", "WSS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    await make_tts(scripted.url).synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)
    assert not proxy.links


async def test_no_proxy_is_told_of_a_service_that_is_spared(
    make_tts: Maker, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,.example")
    error = await fail(make_tts(SERVICE.replace("tts.example", "tts.example.invalid.example"), max_retries=0))
    assert type(error) is NetworkError
    assert not proxy.links


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("407 Proxy Authentication Required", ConfigurationError),
        ("403 Forbidden", ConfigurationError),
        ("502 Bad Gateway", NetworkError),
    ],
)
async def test_a_proxy_that_refuses_is_named_without_its_credentials(
    make_tts: Maker,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
    answer: str,
    kind: type[LokutorError],
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.faults.extend([answering(answer, body="ada:lovelace")] * 2)
    tts = make_tts(SERVICE, max_retries=0)
    await tts.prewarm()
    error = await fail(tts)
    assert (type(error), error.status) == (kind, int(answer[:3]))
    assert str(error).startswith(f"The proxy refused to connect (HTTP {answer[:3]})")
    told = "".join(traceback.format_exception(error)) + repr(error) + caplog.text + repr(tts)
    for secret in ("lovelace", "YWRhOmxvdmVsYWNl", "test-key"):
        assert secret not in told


async def test_a_proxy_that_is_not_there_is_named_without_its_credentials(
    make_tts: Maker, proxy: FaultProxy
) -> None:
    await proxy.refuse()
    error = await fail(make_tts(SERVICE, max_retries=0))
    assert type(error) is NetworkError
    assert str(error).startswith("Connecting to the proxy failed: ")
    assert "lovelace" not in "".join(traceback.format_exception(error))


async def test_a_variable_that_names_no_proxy_fails_the_turn_and_not_the_start(
    make_tts: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://ada:lovelace@proxy.example")
    for options in ({}, {"keep_warm": False}):
        tts = make_tts(SERVICE, **options)
        await tts.prewarm()
        error = await fail(tts)
        assert type(error) is ConfigurationError
        assert str(error).startswith("HTTPS_PROXY must be")


async def test_a_session_of_ones_own_knows_its_own_way(
    make_tts: Maker, service: FaultProxy, track: CustomAudioStreamTrack, proxy: FaultProxy
) -> None:
    url = service.url.replace("ws://", "wss://")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context())) as session:
        tts = make_tts(url, session=session)
        await tts.synthesize(TEXT)
        await tts.aclose()
    assert on_track(track) == heard_for(TEXT)
    assert not proxy.links


@pytest.fixture
async def plain_proxy(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(scripted) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://ada:lovelace@127.0.0.1:{proxy.port}")
        yield proxy
        await proxy.all_closed()


def listing(name: str) -> Callable[[Link], Any]:
    return answering(
        "200 OK",
        "Content-Type: application/json\r\nConnection: close\r\n",
        f'{{"{name}":[{{"id":"F1","code":"en"}}]}}',
    )


async def test_the_voices_are_asked_for_through_the_proxy(plain_proxy: FaultProxy) -> None:
    plain_proxy.faults.extend([listing("voices"), listing("languages")])
    offer = await discover("ws://tts.example")
    assert [voice.id for voice in offer.voices] == ["F1"]
    assert plain_proxy.links[0].head.startswith(b"GET http://tts.example/voices HTTP/1.1\r\n")
    assert BASIC in plain_proxy.links[0].head


async def test_a_proxy_that_refuses_to_ask_for_the_voices_is_named(plain_proxy: FaultProxy) -> None:
    plain_proxy.faults.append(answering("407 Proxy Authentication Required"))
    with pytest.raises(ConfigurationError, match=r"The proxy refused to connect \(HTTP 407\)"):
        await discover("ws://tts.example")


async def test_a_proxy_that_refuses_a_tunnel_to_the_voices_is_named(proxy: FaultProxy) -> None:
    proxy.faults.append(answering("407 Proxy Authentication Required"))
    with pytest.raises(ConfigurationError, match=r"The proxy refused to connect \(HTTP 407\)"):
        await discover(SERVICE)

"""An aiohttp session of the user's own: whatever it is set to, the same audio and the same errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from faults.plays import answering
from faults.stage import MineError
from kit import (
    Conversation,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    listen,
    on_track,
    refusing,
    speech_of,
    until,
)
from kit.certificates import client_context, server_context
from kit.proxy import FaultProxy, tunnel
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import (
    AuthenticationError,
    ConfigurationError,
    LokutorError,
    NetworkError,
    RateLimitError,
    ServiceError,
)

Maker = Callable[..., LokutorTTS]
TEXT = "Heard through a session of your own."


async def fail(make_tts: Maker, url: str, **options: Any) -> LokutorError:
    """Speak to where it must fail; return the error, which is emitted once and raised before any text."""
    tts = make_tts(url, **options)
    emitted = listen(tts)
    with pytest.raises(LokutorError) as caught:
        await tts.synthesize(chunks_of([TEXT]))
    assert emitted == [caught.value]
    return caught.value


# --- It raises for each status by itself --------------------------------------------------------------


async def check_status(response: aiohttp.ClientResponse) -> None:
    response.raise_for_status()


@pytest.mark.parametrize("raise_for_status", [True, check_status])
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (302, ConfigurationError, False),
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, ConfigurationError, False),
        (408, ServiceError, True),
        (429, RateLimitError, True),
        (503, ServiceError, True),
    ],
)
async def test_a_session_that_raises_for_status_changes_no_error(
    make_tts: Maker, raise_for_status: Any, status: int, kind: type[LokutorError], retryable: bool
) -> None:
    runner, url = await refusing(status, {"Location": "http://127.0.0.1:9/", "Retry-After": "7"})
    try:
        async with aiohttp.ClientSession(raise_for_status=raise_for_status) as session:
            error = await fail(make_tts, url, session=session, max_retries=0)
    finally:
        await runner.cleanup()
    assert (type(error), error.status, error.retryable) == (kind, status, retryable)
    assert getattr(error, "retry_after", 7) == 7


async def raise_mine(*_: Any) -> Any:
    raise MineError("with X-API-Key: test-key")


async def raise_cancelled(*_: Any) -> Any:
    """Wait for something that somebody else has cancelled."""
    raise asyncio.CancelledError


def raising_trace() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(raise_mine)
    return trace


@pytest.mark.parametrize(
    "options",
    [
        {"raise_for_status": raise_mine},
        {"middlewares": (raise_mine,)},
        {"trace_configs": [raising_trace()]},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_what_a_session_raises_itself_is_a_configuration_error(
    make_tts: Maker, scripted: ScriptedServer, options: dict[str, Any]
) -> None:
    async with aiohttp.ClientSession(**options) as session:
        error = await fail(make_tts, scripted.url, session=session)
    assert type(error) is ConfigurationError
    assert "MineError" in str(error)
    assert "test-key" not in str(error)
    assert error.__context__ is None


async def test_a_cancellation_of_a_sessions_own_is_a_configuration_error(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async with aiohttp.ClientSession(middlewares=(raise_cancelled,)) as session:
        error = await fail(make_tts, scripted.url, session=session)
    assert type(error) is ConfigurationError
    assert "CancelledError" in str(error)


# --- What must not matter -----------------------------------------------------------------------------


async def speak_slowly(conversation: Conversation) -> None:
    """Pause in the middle, for longer than the session's own time-outs."""
    request = await conversation.request()
    speech = speech_of(request["text"])
    await conversation.audio(speech[:20_000])
    await asyncio.sleep(0.5)
    await conversation.audio(speech[20_000:])
    await conversation.end()
    await conversation.gone()


async def pass_on(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> Any:
    return await handler(request)


SETTINGS: dict[str, dict[str, Any]] = {
    "base_url": {"base_url": "https://elsewhere.invalid/api/"},
    "its own key": {"headers": {"X-API-Key": "another", "X-Mine": "yes"}},
    "cookies": {"cookies": {"mine": "yes"}},
    "trust_env": {"trust_env": True},
    "a middleware": {"middlewares": (pass_on,)},
    "a total time-out": {"timeout": aiohttp.ClientTimeout(total=0.3)},
    "a read time-out": {"timeout": aiohttp.ClientTimeout(sock_read=0.2)},
    "no time-out": {"timeout": aiohttp.ClientTimeout(total=None)},
    "auto_decompress": {"auto_decompress": False},
    "json_serialize": {"json_serialize": repr},
    "requote_redirect_url": {"requote_redirect_url": False},
    "skip_auto_headers": {"skip_auto_headers": ("User-Agent", "Accept", "Accept-Encoding")},
    "a small buffer": {"read_bufsize": 256},
    "a trace": {"trace_configs": [aiohttp.TraceConfig()]},
    "HTTP/1.0": {"version": aiohttp.HttpVersion10},
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_reply_is_heard_whole_whatever_the_session_is_set_to(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, name: str
) -> None:
    if "time-out" in name:
        scripted.scripts.append(speak_slowly)
    async with aiohttp.ClientSession(**SETTINGS[name]) as session:
        tts = make_tts(scripted.url, session=session)
        errors = listen(tts)
        metrics = emitted_by(tts, "metrics")
        await tts.synthesize(TEXT)
        await tts.aclose()
        await scripted.all_closed()
    assert on_track(track) == heard_for(TEXT)
    assert errors == []
    assert metrics[0].retries == 0
    [conversation] = scripted.conversations
    assert conversation.http.headers.getall("X-API-Key") == ["test-key"]


async def test_compression_is_not_asked_for(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await make_tts(scripted.url).synthesize(TEXT)
    assert "Sec-WebSocket-Extensions" not in scripted.conversations[0].http.headers


# --- Its connector ------------------------------------------------------------------------------------


@asynccontextmanager
async def one_at_a_time() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        yield session


async def test_turns_go_on_with_a_connector_that_allows_one_connection(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with one_at_a_time() as session:
        tts = make_tts(scripted.url, session=session)
        errors = listen(tts)
        await tts.prewarm()
        for _ in range(3):
            await tts.synthesize(TEXT)
        await tts.aclose()
        await scripted.all_closed()
    assert on_track(track) == heard_for(TEXT) * 3
    assert errors == []
    assert scripted.peak == 1


async def test_a_connector_that_has_no_connection_left_is_named(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async with one_at_a_time() as session:
        tts = make_tts(scripted.url, session=session, connect_timeout=0.1)
        await tts.prewarm()
        with pytest.raises(NetworkError, match="allows only 1 at a time"):
            assert [piece async for piece in tts.stream_synthesize(TEXT)]
        await tts.aclose()
        await scripted.all_closed()


class SeveralAddresses(AbstractResolver):
    """Knows every host by two addresses, of which only the last is alive."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    async def close(self) -> None:
        pass


@contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Let nothing answer at an address: its backlog is full, so that the system drops who else comes."""
    with closing(socket.socket()) as listener:
        try:
            listener.bind((address, port))
        except OSError:
            pytest.skip(f"{address} is no address of this machine")
        listener.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex((address, port))
        try:
            yield
        finally:
            for caller in callers:
                caller.close()


@pytest.mark.parametrize("silent", [False, True])
async def test_an_address_that_is_dead_costs_less_than_a_second(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, silent: bool
) -> None:
    """Its next address is tried after 0.25 s, long before the first would time out."""
    port = int(scripted.url.rpartition(":")[2])
    connector = aiohttp.TCPConnector(resolver=SeveralAddresses())
    async with aiohttp.ClientSession(connector=connector) as session:
        tts = make_tts(f"ws://tts.localhost:{port}", session=session, max_retries=0)
        if silent:
            with black_hole("127.0.0.2", port):
                await tts.synthesize(TEXT)
        else:
            await tts.synthesize(TEXT)
        await tts.aclose()
        await scripted.all_closed()
    assert on_track(track) == heard_for(TEXT)


# --- Its proxy ----------------------------------------------------------------------------------------


@asynccontextmanager
async def through_a_proxy(scripted: ScriptedServer) -> AsyncIterator[tuple[str, FaultProxy, dict[str, Any]]]:
    """Yield the service's TLS address, the proxy, and the options of a session that goes through it."""
    async with FaultProxy(scripted, server_context()) as service, FaultProxy(service) as proxy:
        connector = aiohttp.TCPConnector(ssl=client_context())
        options = {"connector": connector, "proxy": f"http://127.0.0.1:{proxy.port}"}
        yield service.url.replace("ws://", "wss://"), proxy, options


@pytest.mark.parametrize("from_environment", [False, True])
async def test_a_proxy_carries_a_reply_and_never_sees_the_key(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    monkeypatch: pytest.MonkeyPatch,
    from_environment: bool,
) -> None:
    async with through_a_proxy(scripted) as (url, proxy, options):
        if from_environment:
            monkeypatch.setenv("WSS_PROXY", options.pop("proxy"))
            monkeypatch.setenv("NO_PROXY", "")
            options["trust_env"] = True
        proxy.faults.append(tunnel)
        async with aiohttp.ClientSession(**options) as session:
            tts = make_tts(url, session=session)
            await tts.synthesize(TEXT)
            await tts.aclose()
            await until(lambda: all(link.closed.is_set() for link in proxy.links))
        [link] = proxy.links
    assert on_track(track) == heard_for(TEXT)
    assert link.head.startswith(b"CONNECT 127.0.0.1:")
    assert b"test-key" not in link.head
    assert b"x-api-key" not in link.head.lower()


@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        ("401 Unauthorized", ConfigurationError, False),
        ("403 Forbidden", ConfigurationError, False),
        ("407 Proxy Authentication Required", ConfigurationError, False),
        ("502 Bad Gateway", NetworkError, True),
    ],
)
async def test_a_proxy_that_refuses_is_not_taken_for_the_service(
    make_tts: Maker, scripted: ScriptedServer, answer: str, kind: type[LokutorError], retryable: bool
) -> None:
    async with through_a_proxy(scripted) as (url, proxy, options):
        proxy.faults.append(answering(answer))
        async with aiohttp.ClientSession(**options) as session:
            error = await fail(make_tts, url, session=session, max_retries=0)
    assert (type(error), error.retryable) == (kind, retryable)
    assert str(error).startswith(f"The proxy refused to connect (HTTP {answer[:3]})")


async def test_a_proxy_that_refuses_an_unencrypted_socket_is_not_taken_for_the_service(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async with FaultProxy(scripted) as proxy:
        proxy.faults.append(answering("407 Proxy Authentication Required"))
        async with aiohttp.ClientSession(proxy=f"http://127.0.0.1:{proxy.port}") as session:
            error = await fail(make_tts, scripted.url, session=session, max_retries=0)
    assert (type(error), error.status) == (ConfigurationError, 407)
    assert str(error).startswith("The proxy refused to connect (HTTP 407)")


async def test_a_proxy_that_is_not_there_is_named(make_tts: Maker, scripted: ScriptedServer) -> None:
    async with through_a_proxy(scripted) as (url, proxy, options):
        await proxy.refuse()
        async with aiohttp.ClientSession(**options) as session:
            error = await fail(make_tts, url, session=session, max_retries=0)
    assert type(error) is NetworkError
    assert str(error).startswith("Connecting to the proxy failed: ")

"""The server over real sockets: what clients of all kinds may rely on, and what must not hurt it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import PATIENCE
from websockets.asyncio.client import connect as websockets_connect

from videosdk.plugins.lokutor._wire.protocol import LANGUAGES, SpeechRequest
from videosdk.plugins.lokutor.local import _wire
from videosdk.plugins.lokutor.local.engine import Speech, SynthesisError
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine, signal
from videosdk.plugins.lokutor.version import __version__

KEY = "secret-key-4711"
TEXT = "The rain in Spain stays mainly in the plain."
PIECE = bytes(range(256)) * 64  # 16 KiB of the endless voice.


class Endless(SignalEngine):
    """Speaks for ever, and records how far it came and how each speech ended."""

    def __init__(self) -> None:
        self.pieces = 0
        self.speaking = 0
        self.closings = 0
        self.all_ended = asyncio.Event()
        self.shut = 0

    async def close(self) -> None:
        self.shut += 1

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        self.speaking += 1
        self.all_ended.clear()
        try:
            while True:
                self.pieces += 1
                yield Speech(PIECE)
        finally:
            self.speaking -= 1
            self.closings += 1
            if not self.speaking:
                self.all_ended.set()


class Waiting(SignalEngine):
    """Says nothing until it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        self.begun.set()
        try:
            await self.go_on.wait()
            yield Speech(signal(request.text, request.speed))
        finally:
            self.ended.set()


class Failing(SignalEngine):
    """Fails in the middle of a text that asks for it."""

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        yield Speech(signal("ab"))
        if request.text == "fail":
            raise SynthesisError("the voice is hoarse")
        if request.text == "break":
            raise ZeroDivisionError("a mistake of the engine")


@pytest.fixture(autouse=True)
def nothing_unclosed() -> Any:
    yield
    gc.collect()  # So that an unclosed socket or an unread exception warns in the test that caused it.


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer(SignalEngine()) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def connected(
    server: LocalServer, path: str = "/ws/tts", key: str = KEY
) -> AsyncIterator[ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url + path, headers={"X-API-Key": key}, max_msg_size=0) as ws,
    ):
        yield ws


def request(text: str = TEXT, **fields: Any) -> dict[str, Any]:
    return {"text": text, "speed": 1.0, **fields}


async def reply(ws: ClientWebSocketResponse) -> list[str | bytes]:
    """Return the messages of one request: up to its EOS, or the one error."""
    messages: list[str | bytes] = []
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await ws.receive()
            assert message.type in {WSMsgType.TEXT, WSMsgType.BINARY}, message
            if message.data == "EOS":
                return messages
            messages.append(message.data)
            if isinstance(message.data, str) and message.data.startswith("{"):
                return messages


def audio_of(messages: list[str | bytes]) -> bytes:
    return b"".join(message for message in messages if isinstance(message, bytes))


async def error_code(ws: ClientWebSocketResponse) -> str:
    (*_, message) = await reply(ws)
    error = json.loads(message)
    assert error["type"] == "error"
    assert error["data"]["message"]
    return str(error["data"]["code"])


async def speaks(ws: ClientWebSocketResponse, text: str = "Still here.") -> None:
    await ws.send_json(request(text))
    assert audio_of(await reply(ws)) == signal(text)


# Keys


async def refused(http: aiohttp.ClientSession, url: str, **options: Any) -> tuple[int, str]:
    """Return the status and the code of the catalogue with which a handshake is refused."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await http.ws_connect(url, **options)
    plain = url.replace("ws://", "http://")
    async with http.get(plain, **options) as response:
        assert response.status == caught.value.status
        return response.status, (await response.json())["data"]["code"]


@pytest.mark.parametrize("path", ["/ws/tts", "/ws"])
async def test_a_key_is_needed(server: LocalServer, http: aiohttp.ClientSession, path: str) -> None:
    assert await refused(http, server.url + path) == (401, "auth.missing_key")
    assert await refused(http, server.url + path + "?api_key=") == (401, "auth.missing_key")
    assert await refused(http, server.url + path, headers={"X-API-Key": " "}) == (401, "auth.missing_key")
    assert server.connections == []


@pytest.mark.parametrize("path", ["/ws/tts", "/ws"])
@pytest.mark.parametrize("in_header", [True, False])
async def test_any_key_opens_both_paths_in_both_ways(
    server: LocalServer, http: aiohttp.ClientSession, path: str, in_header: bool
) -> None:
    headers, query = ({"X-API-Key": KEY}, "") if in_header else ({}, f"?api_key={KEY}")
    async with http.ws_connect(server.url + path + query, headers=headers) as ws:
        await speaks(ws)
    (record,) = server.connections
    assert (record.path, record.key_in_header) == (path, in_header)


async def test_with_a_key_given_only_that_one_opens(http: aiohttp.ClientSession) -> None:
    async with LocalServer(SignalEngine(), api_key=KEY) as server:
        url = server.url + "/ws/tts"
        assert await refused(http, url) == (401, "auth.missing_key")
        assert await refused(http, url + "?api_key=other") == (401, "auth.invalid_key")
        assert await refused(http, url, headers={"X-API-Key": KEY + " x"}) == (401, "auth.invalid_key")
        for headers, query in (({"X-API-Key": KEY}, ""), ({}, f"?api_key={KEY}")):
            async with http.ws_connect(url + query, headers=headers) as ws:
                await speaks(ws)


async def raw_handshake(server: LocalServer, key: bytes) -> bytes:
    """Return the first line of the answer to a handshake with an arbitrary key."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /ws/tts HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"X-API-Key: " + key + b"\r\n\r\n"
    )
    async with asyncio.timeout(PATIENCE):
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_a_key_that_is_not_utf_8() -> None:
    async with LocalServer(SignalEngine(), api_key="clé") as server:
        assert b" 401 " in await raw_handshake(server, b"cl\xe9\xff")
        assert b" 101 " in await raw_handshake(server, "clé".encode())


async def test_no_key_in_logs_nor_in_records(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with LocalServer(Failing(), api_key=KEY) as server:
        url = f"{server.url}/ws/tts?api_key={KEY}"
        for text in ("Fine.", "fail", "break"):
            async with http.ws_connect(url) as ws:
                await ws.send_json(request(text))
                await ws.receive()
        async with connected(server) as ws:
            await ws.send_str("garbage")
            await reply(ws)
        assert await refused(http, f"{server.url}/ws/tts?api_key={KEY}x") == (401, "auth.invalid_key")
        await server.wait_until(lambda: not server.open_connections)
        assert KEY not in repr(server.connections)
        assert KEY not in repr(server.requests)
    assert KEY not in caplog.text


# Who may come in

FOREIGN = [
    "http://evil.example",
    "https://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "null",
    "file://",
    "",
]
LOCAL = ["http://localhost:3000", "http://127.0.0.1:8000", "https://app.localhost", "http://[::1]:5173"]
ROUTES = ["/ws/tts", "/ws", "/voices", "/health", "/nothing"]


async def answer_to(server: LocalServer, path: str, headers: dict[str, str]) -> tuple[int, str | None, str]:
    """Return the status, the origin that may read the answer, and the answer."""
    url = server.url.replace("ws://", "http://") + path
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"X-API-Key": KEY, **headers}) as response,
    ):
        return response.status, response.headers.get("Access-Control-Allow-Origin"), await response.text()


async def opens(server: LocalServer, **headers: str) -> bool:
    """Return whether a WebSocket with these headers is let in, and speaks."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{server.url}/ws/tts?api_key=x", headers=headers) as ws:
                await speaks(ws)
                return True
        except WSServerHandshakeError as error:
            if error.status != 403:
                raise
            return False


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_page_from_elsewhere_is_refused(server: LocalServer, origin: str) -> None:
    assert not await opens(server, Origin=origin)
    for path in ROUTES:
        status, reader, text = await answer_to(server, path, {"Origin": origin})
        assert (status, reader, json.loads(text)["data"]["code"]) == (403, None, "local.origin_not_allowed")
    assert server.connections == []


@pytest.mark.parametrize("origin", LOCAL)
async def test_a_page_of_this_machine_may_speak_and_read(server: LocalServer, origin: str) -> None:
    assert await opens(server, Origin=origin)
    assert (await answer_to(server, "/voices", {"Origin": origin}))[:2] == (200, origin)


async def test_a_client_that_is_no_page_needs_no_origin(server: LocalServer) -> None:
    assert await opens(server)
    assert (await answer_to(server, "/voices", {}))[:2] == (200, None)


async def test_named_origins_are_let_in_and_no_others() -> None:
    allowed = ["https://App.example", "http://site.example:8080/", "chrome-extension://abcdef"]
    async with LocalServer(SignalEngine(), allowed_origins=allowed) as server:
        for origin in ("https://app.example", "http://site.example:8080", "chrome-extension://abcdef"):
            assert await opens(server, Origin=origin)
            assert (await answer_to(server, "/voices", {"Origin": origin}))[:2] == (200, origin)
        for origin in ("http://app.example", "https://app.example:8443", "http://site.example", *FOREIGN):
            assert not await opens(server, Origin=origin)


@pytest.mark.parametrize(
    "origins", ["https://a.example", ["*"], ["null"], ["a.example"], ["https://a.example/x"], [7]]
)
def test_what_is_no_origin_can_not_be_allowed(origins: Any) -> None:
    with pytest.raises(ValueError, match="origin"):
        LocalServer(SignalEngine(), allowed_origins=origins)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "192.0.2.1", "[", "a b"]
)
async def test_a_domain_that_was_pointed_at_this_machine_is_refused(server: LocalServer, host: str) -> None:
    host = host.format(port=server.port)
    assert not await opens(server, Host=host)
    assert not await opens(server, Host=host, Origin=f"http://{host}")
    for path in ROUTES:
        status, _, text = await answer_to(server, path, {"Host": host})
        assert (status, json.loads(text)["data"]["code"]) == (403, "local.host_not_allowed")


async def test_a_proxy_of_an_allowed_origin_may_pass_its_name_on() -> None:
    async with LocalServer(SignalEngine(), allowed_origins=["https://app.example"]) as server:
        assert await opens(server, Host="app.example", Origin="https://app.example")
        assert await opens(server, Host="LocalHost:80")
        assert not await opens(server, Host="other.example")


async def test_a_server_for_other_machines_goes_by_any_name_and_asks_for_its_key() -> None:
    async with LocalServer(SignalEngine(), host="0.0.0.0", api_key="x") as server:  # noqa: S104
        assert await opens(server, Host="voice.lan:8765")
        assert await opens(server, Origin=server.url.replace("ws", "http"))
        assert not await opens(server, Host="voice.lan", Origin="http://voice.lan")
        async with aiohttp.ClientSession() as http:
            assert await refused(http, server.url + "/ws?api_key=y") == (401, "auth.invalid_key")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])  # noqa: S104
def test_a_host_that_others_can_reach_needs_a_key(host: str) -> None:
    with pytest.raises(ValueError, match=f"{host}.*api_key"):
        LocalServer(SignalEngine(), host=host)
    LocalServer(SignalEngine(), host=host, api_key=KEY)


@pytest.mark.parametrize(
    "options", [{"host": ""}, {"host": " "}, {"host": None}, {"api_key": ""}, {"api_key": " "}]
)
def test_an_empty_host_or_key_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        LocalServer(SignalEngine(), **{"api_key": KEY, **options})


# Discovery


async def body(http: aiohttp.ClientSession, server: LocalServer, path: str) -> dict[str, Any]:
    async with http.get(server.url.replace("ws://", "http://") + path) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        answer = await response.json()
        assert isinstance(answer, dict)
        return answer


async def test_discovery_needs_no_key(server: LocalServer, http: aiohttp.ClientSession) -> None:
    voices = (await body(http, server, "/voices"))["voices"]
    assert [set(voice) for voice in voices] == [{"id", "gender", "languages"}] * 30
    assert {voice["id"] for voice in voices} == set(_wire.VOICES)
    assert all(set(voice["languages"]) == LANGUAGES for voice in voices)
    assert {voice["id"]: voice["gender"] for voice in voices}["esca_m2"] == "male"
    languages = (await body(http, server, "/languages"))["languages"]
    assert {language["code"] for language in languages} == LANGUAGES
    assert all(language["name"] for language in languages)
    (model,) = (await body(http, server, "/models"))["models"]
    assert set(model) == {"name", "description", "default"}
    assert model["default"] is True


async def test_limits_and_health(server: LocalServer, http: aiohttp.ClientSession) -> None:
    assert await body(http, server, "/config") == {
        "max_text_length": 5000,
        "min_speed": 0.5,
        "max_speed": 2.0,
        "min_steps": 1,
        "max_steps": 50,
        "sample_rate": 44_100,
        "channels": 1,
    }
    for path in ("/health", "/status"):
        assert await body(http, server, path) == {"status": "ok", "version": __version__}


async def test_an_unknown_path_and_a_plain_get(server: LocalServer, http: aiohttp.ClientSession) -> None:
    base = server.url.replace("ws://", "http://")
    async with http.get(base + "/nothing") as response:
        assert response.status == 404
    async with http.get(base + "/ws/tts", headers={"X-API-Key": KEY}) as response:
        assert response.status == 400
    assert (server.connections, server.open_connections) == ([], 0)


# Requests


@pytest.mark.parametrize("fields", [{}, {"language": "gl"}, {"lang": "de"}, {"flush": True, "codec": "pcm"}])
async def test_requests_of_every_age(server: LocalServer, fields: dict[str, Any]) -> None:
    async with connected(server) as ws:
        await ws.send_json(request(**fields))
        assert audio_of(await reply(ws)) == signal(TEXT)
    (entry,) = server.requests
    assert entry.request.language == fields.get("language", fields.get("lang", "en"))
    assert entry.text == TEXT
    assert entry.completed
    assert entry.audio_bytes_sent == len(signal(TEXT))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not JSON", "validation.invalid_request_format"),
        (b'{"text": "binary"}', "validation.invalid_request_format"),
        ('{"text": "  "}', "validation.invalid_request_format"),
        ('{"text": "a", "voice": "nobody"}', "validation.invalid_voice"),
        ('{"text": "a", "lang": "tlh"}', "validation.invalid_language"),
        (json.dumps({"text": "a" * 5001}), "validation.text_too_long"),
        ('{"text": "a", "speed": 2.5}', "validation.speed_out_of_range"),
        ('{"text": "a", "steps": 0}', "validation.steps_out_of_range"),
    ],
)
async def test_a_refused_request_leaves_the_connection_usable(
    server: LocalServer, message: str | bytes, code: str
) -> None:
    async with connected(server) as ws:
        await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
        assert await error_code(ws) == code
        await speaks(ws)


async def test_a_failed_synthesis_leaves_the_connection_usable() -> None:
    async with LocalServer(Failing()) as server, connected(server) as ws:
        await ws.send_json(request("fail"))
        assert await error_code(ws) == "tts.synthesis_failed"
        await ws.send_json(request("fine"))
        assert audio_of(await reply(ws)) == signal("ab")
        assert [entry.completed for entry in server.requests] == [False, True]


async def test_a_mistake_of_the_engine_closes_with_1011_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with LocalServer(Failing()) as server:
        async with connected(server) as ws:
            await ws.send_json(request("break"))
            async with asyncio.timeout(PATIENCE):
                while (message := await ws.receive()).type != WSMsgType.CLOSE:
                    assert message.data != "EOS"
            assert message.data == 1011
        async with connected(server) as ws:
            await ws.send_json(request("fine"))
            assert audio_of(await reply(ws)) == signal("ab")
    assert "a mistake of the engine" in caplog.text


async def test_early_requests_wait_for_their_turn() -> None:
    engine = Waiting()
    async with LocalServer(engine) as server, connected(server) as ws:
        texts = ["First.", "Second, longer.", "Third."]
        for text in texts:
            await ws.send_json(request(text))
        await engine.begun.wait()
        assert [entry.text for entry in server.requests] == texts[:1]
        engine.go_on.set()
        for text in texts:
            assert audio_of(await reply(ws)) == signal(text)
        assert [entry.text for entry in server.requests] == texts


async def test_too_many_early_requests_hang_up() -> None:
    engine = Waiting()
    async with LocalServer(engine) as server, connected(server) as ws:
        for _ in range(40):
            await ws.send_json(request("More."))
        async with asyncio.timeout(PATIENCE):
            message = await ws.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)
            await engine.ended.wait()
        await server.wait_until(lambda: not server.open_connections)


async def test_many_requests_on_one_connection_and_many_connections(server: LocalServer) -> None:
    async def client(number: int) -> None:
        async with connected(server) as ws:
            for turn in range(5):
                await speaks(ws, f"Client {number}, turn {turn}.")

    await asyncio.gather(*(client(number) for number in range(20)))
    assert len(server.connections) == 20
    assert server.peak_connections <= 20
    assert len(server.requests) == 100
    await server.wait_until(lambda: not server.open_connections)


# Audio


@pytest.mark.parametrize(
    "chunk_bytes", [(1, 1), (1, 7), (3, 3), (1_001, 5_555), (1_024, 16_384), (10**6, 10**6)]
)
async def test_audio_is_the_same_in_any_chunks(chunk_bytes: tuple[int, int]) -> None:
    text = "Odd sizes."
    async with LocalServer(SignalEngine(), chunk_bytes=chunk_bytes) as server, connected(server) as ws:
        await ws.send_json(request(text, speed=2.0))
        messages = await reply(ws)
    sizes = [len(message) for message in messages]
    assert audio_of(messages) == signal(text, 2.0)
    assert all(chunk_bytes[0] <= size <= chunk_bytes[1] for size in sizes[:-1])
    assert 1 <= sizes[-1] <= chunk_bytes[1]
    assert chunk_bytes[0] == chunk_bytes[1] or len(set(sizes)) > 1


async def test_the_seed_decides_the_sizes() -> None:
    async def sizes(seed: int) -> list[list[int]]:
        async with LocalServer(SignalEngine(), seed=seed) as server, connected(server) as ws:
            found = []
            for _ in range(2):
                await ws.send_json(request())
                found.append([len(message) for message in await reply(ws)])
            return found

    first, again, other = await sizes(1), await sizes(1), await sizes(2)
    assert first == again
    assert first[0] == first[1]
    assert first != other


@pytest.mark.parametrize("speed", [0.5, 1.05, 2.0])
async def test_speed_is_honoured(server: LocalServer, speed: float) -> None:
    async with connected(server) as ws:
        await ws.send_json(request(speed=speed))
        assert audio_of(await reply(ws)) == signal(TEXT, speed)


async def test_the_first_audio_is_delayed_and_the_rest_is_paced() -> None:
    loop = asyncio.get_running_loop()
    text = "Paced."  # 0.36 s
    engine: SignalEngine = SignalEngine()
    options: dict[str, Any] = {"first_audio_delay": 0.2, "pace": 1.0, "chunk_bytes": (882, 882)}
    async with LocalServer(engine, **options) as server, connected(server) as ws:
        begun = loop.time()
        await ws.send_json(request(text))
        pcm = (await ws.receive()).data
        first = loop.time() - begun
        pcm += audio_of(await reply(ws))
        whole = loop.time() - begun
    assert pcm == signal(text)
    assert 0.19 <= first < 5
    assert whole >= 0.19 + 0.34  # The last 10 ms are sent when those before them have been.


@pytest.mark.parametrize(
    "options",
    [
        {"chunk_bytes": (0, 0)},
        {"chunk_bytes": (0, 4)},
        {"chunk_bytes": (8, 4)},
        {"pace": 0},
        {"pace": float("nan")},
        {"first_audio_delay": -1},
        {"max_connections": 0},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        LocalServer(SignalEngine(), **options)


async def test_visemes_come_before_their_audio_when_asked_for(server: LocalServer) -> None:
    async with connected(server) as ws:
        await ws.send_json(request(visemes=True))
        messages = await reply(ws)
        heard, items = 0.0, []
        for message in messages:
            if isinstance(message, bytes):
                heard += len(message) / 88_200
            else:
                new = json.loads(message)
                assert all(item["t"] >= heard - 1e-6 for item in new)
                items += new
        assert [item["v"] for item in items] == list(range(len(TEXT)))
        assert [item["c"] for item in items] == ["sil" if char == " " else char for char in TEXT]
        assert audio_of(messages) == signal(TEXT)
        await ws.send_json(request())
        assert all(isinstance(message, bytes) for message in await reply(ws))


async def test_nothing_is_compressed(server: LocalServer) -> None:
    async with websockets_connect(server.url + "/ws/tts", additional_headers={"X-API-Key": KEY}) as ws:
        assert "Sec-WebSocket-Extensions" not in ws.response.headers  # type: ignore[union-attr]


# Clients that go away


async def raw_client(server: LocalServer, *, receive_buffer: int | None = None) -> socket.socket:
    """Return a socket after its handshake and its request: a client of which nobody reads."""
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(plain, ("127.0.0.1", server.port))
    await loop.sock_sendall(
        plain,
        b"GET /ws/tts HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"X-API-Key: k\r\n\r\n",
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += await loop.sock_recv(plain, 1)
    payload = json.dumps(request()).encode()
    assert len(payload) < 126
    await loop.sock_sendall(plain, struct.pack(">BBI", 0x81, 0x80 | len(payload), 0) + payload)
    return plain


def reset(plain: socket.socket) -> None:
    """Close so that the other side gets a TCP reset."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


@pytest.fixture
async def endless() -> AsyncIterator[tuple[Endless, LocalServer]]:
    engine = Endless()
    async with LocalServer(engine) as server:
        yield engine, server


async def ended(engine: Endless, server: LocalServer) -> None:
    async with asyncio.timeout(PATIENCE):
        await engine.all_ended.wait()
    await server.wait_until(lambda: not server.open_connections, PATIENCE)
    assert not any(record.open for record in server.connections)
    assert not any(entry.completed for entry in server.requests)


async def test_a_close_frame_ends_the_synthesis(endless: tuple[Endless, LocalServer]) -> None:
    engine, server = endless
    async with connected(server) as ws:
        await ws.send_json(request())
        await ws.receive()
        assert engine.speaking == 1
    await ended(engine, server)
    assert server.connections[0].close_code == 1000


async def test_a_close_frame_is_heard_behind_early_requests(endless: tuple[Endless, LocalServer]) -> None:
    engine, server = endless
    async with connected(server) as ws:
        for _ in range(20):
            await ws.send_json(request())
        await ws.receive()
    await ended(engine, server)
    assert engine.closings == 1


async def test_a_tcp_reset_ends_the_synthesis(endless: tuple[Endless, LocalServer]) -> None:
    engine, server = endless
    plain = await raw_client(server)
    await server.wait_until(lambda: engine.speaking == 1)
    reset(plain)
    await ended(engine, server)


async def test_a_reset_ends_a_synthesis_that_is_silent() -> None:
    engine = Waiting()
    async with LocalServer(engine) as server:
        plain = await raw_client(server)
        await engine.begun.wait()
        reset(plain)
        async with asyncio.timeout(PATIENCE):
            await engine.ended.wait()
        await server.wait_until(lambda: not server.open_connections)


async def settled(value: Callable[[], int]) -> int:
    """Return a figure once it has stood still over many turns of the event loop."""
    still, last = 0, value()
    async with asyncio.timeout(PATIENCE):
        while still < 2_000:
            await asyncio.sleep(0)
            still, last = (still + 1, last) if value() == last else (0, value())
    return last


async def test_a_client_that_stops_reading_stops_the_voice(endless: tuple[Endless, LocalServer]) -> None:
    engine, server = endless
    plain = await raw_client(server, receive_buffer=4_096)
    await server.wait_until(lambda: server.requests != [] and server.requests[0].audio_bytes_sent > 0)
    made = await settled(lambda: engine.pieces) * len(PIECE)
    # The kernel's buffers of both sides, and 64 KiB of the server's: not what an endless voice could make.
    assert made < 16 * 1024 * 1024
    assert engine.speaking == 1
    async with connected(server) as other:  # Nobody else is held up.
        await other.send_json(request())
        assert len((await other.receive()).data) > 0
    reset(plain)
    await ended(engine, server)


async def test_a_client_that_takes_nothing_for_too_long_counts_as_gone() -> None:
    engine = Endless()
    async with LocalServer(engine, stall_timeout=0.1) as server:
        plain = await raw_client(server, receive_buffer=4_096)
        await server.wait_until(lambda: engine.speaking == 1)
        await ended(engine, server)
        plain.close()


@pytest.mark.parametrize("times", range(3))
async def test_an_aborted_request_is_not_heard_in_the_next_connection(
    server: LocalServer, times: int
) -> None:
    async with connected(server) as ws:
        await ws.send_json(request("x" * 2_000))
        for _ in range(times):
            await ws.receive()
    async with connected(server) as ws:
        await speaks(ws)


# Garbage


async def test_an_oversized_message_closes_with_1009(server: LocalServer) -> None:
    async with connected(server) as ws:
        await ws.send_json({"text": "a", "more": "x" * 300_000})
        async with asyncio.timeout(PATIENCE):
            message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
    async with connected(server) as ws:
        await speaks(ws)


async def test_text_that_is_not_utf_8_closes_with_1007(server: LocalServer) -> None:
    async with connected(server) as ws:
        await ws._writer.send_frame(b"\xff\xfe\xff", WSMsgType.TEXT)
        async with asyncio.timeout(PATIENCE):
            message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1007)
    async with connected(server) as ws:
        await speaks(ws)


async def test_bytes_that_are_no_http_at_all(server: LocalServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x16\x03\x01\x02\x00 hello \x00\xff\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert b" 400 " in await reader.read()
    writer.close()
    await writer.wait_closed()
    async with connected(server) as ws:
        await speaks(ws)


@pytest.mark.parametrize(
    "message",
    [
        "[" * 100_000,
        '{"a":' * 30_000,
        '{"text": "\\ud800"}',
        '{"text": "a", "speed": 1' + "0" * 400 + "}",
        '{"text": "a", "steps": ' + "9" * 100_000 + "}",
        '{"text": "\\u0000"}' * 3,
        "\0" * 1000,
        "",
    ],
    ids=["deep list", "deep object", "surrogate", "huge", "very huge", "three", "NULs", "empty"],
)
async def test_hostile_messages_are_answered(server: LocalServer, message: str) -> None:
    async with connected(server) as ws:
        await ws.send_str(message)
        assert (await error_code(ws)).startswith("validation.")
        await speaks(ws)


async def test_nul_is_a_character_like_others(server: LocalServer) -> None:
    async with connected(server) as ws:
        await speaks(ws, "a\0b")


async def test_arbitrary_messages_over_one_socket(server: LocalServer) -> None:
    async with connected(server) as ws:
        loop = asyncio.get_running_loop()

        async def exchange(message: str | bytes) -> None:
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
            await reply(ws)

        @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
            | st.binary(max_size=200)
            | st.builds(
                json.dumps,
                st.dictionaries(
                    st.sampled_from(["text", "voice", "lang", "speed", "steps", "visemes"]),
                    st.text(max_size=5) | st.integers() | st.floats() | st.none() | st.booleans(),
                ),
            )
        )
        def fuzz(message: str | bytes) -> None:
            asyncio.run_coroutine_threadsafe(exchange(message), loop).result(PATIENCE)

        await asyncio.to_thread(fuzz)
        await speaks(ws)


# Limits


async def test_more_connections_than_the_limit_are_refused(http: aiohttp.ClientSession) -> None:
    async with LocalServer(SignalEngine(), max_connections=2) as server:
        async with connected(server) as first, connected(server) as second:
            refusal = await refused(http, server.url + "/ws/tts", headers={"X-API-Key": KEY})
            assert refusal == (429, "tts.session_limit_reached")
            await speaks(first)
            await speaks(second)
        await server.wait_until(lambda: not server.open_connections)
        async with connected(server) as third:
            await speaks(third)
        assert server.peak_connections == 2


async def test_many_handshakes_at_once_do_not_pass_the_limit(http: aiohttp.ClientSession) -> None:
    async with LocalServer(SignalEngine(), max_connections=3) as server:
        attempts = [http.ws_connect(server.url + "/ws", headers={"X-API-Key": KEY}) for _ in range(20)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        opened = [ws for ws in results if not isinstance(ws, BaseException)]
        assert len(opened) == server.peak_connections == 3
        assert {error.status for error in results if isinstance(error, WSServerHandshakeError)} == {429}
        for ws in opened:
            await ws.close()


# The server's own life


async def test_closing_hangs_up_on_everybody_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    engine = Endless()
    server = LocalServer(engine)
    await server.start()
    loop = asyncio.get_running_loop()
    async with connected(server) as idle, connected(server) as speaking:
        await speaking.send_json(request())
        await speaking.receive()
        stuck = await raw_client(server, receive_buffer=4_096)
        await server.wait_until(lambda: engine.speaking == 2)
        await settled(lambda: engine.pieces // 1_000)
        begun = loop.time()
        closing = asyncio.create_task(server.close())
        async with asyncio.timeout(PATIENCE):
            message = await idle.receive()
            while (last := await speaking.receive()).type is WSMsgType.BINARY:
                pass
            await closing
        assert loop.time() - begun < 10
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    assert (last.type, last.data) == (WSMsgType.CLOSE, 1001)
    assert (engine.speaking, engine.closings, engine.shut, server.open_connections) == (0, 2, 1, 0)
    assert not any(record.open for record in server.connections)
    stuck.close()
    assert not caplog.records


async def test_a_client_that_leaves_during_the_handshake_is_no_error(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = (
        "GET /ws/tts HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: k\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(handshake.encode())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
    await server.wait_until(lambda: server.handshakes == 10 and server.open_connections == 0)
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{server.port}/health"):
        pass  # By now aiohttp has ended the others.
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_server_whose_closing_was_cancelled_can_be_closed_again() -> None:
    steps, cancelled = 0, True
    while cancelled:
        engine = Endless()
        server = LocalServer(engine)
        await server.start()
        port = server.port
        async with aiohttp.ClientSession() as http:
            await http.ws_connect(f"{server.url}/ws/tts", headers={"X-API-Key": KEY})
            closing = asyncio.create_task(server.close())
            for _ in range(steps):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            cancelled = closing.cancelled()
            await server.close()
        assert engine.shut == 1
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port))
        steps += 1
    assert steps > 3


async def test_starting_and_closing_twice() -> None:
    engine = Endless()
    server = LocalServer(engine)
    await server.close()
    assert engine.shut == 0
    await asyncio.gather(server.start(), server.start())
    port = server.port
    await server.start()
    assert server.port == port
    await asyncio.gather(server.close(), server.close())
    await server.close()
    assert engine.shut == 1
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.url
    async with server, connected(server) as ws:
        await ws.send_json(request())
        assert (await ws.receive()).type is WSMsgType.BINARY


async def test_a_port_in_use_is_an_os_error_and_the_engine_is_closed(server: LocalServer) -> None:
    engine = Endless()
    second = LocalServer(engine, port=server.port)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    assert engine.shut == 1


async def test_an_engine_that_does_not_start_is_closed() -> None:
    class Mute(Endless):
        async def start(self) -> None:
            raise SynthesisError("no voice")

    engine = Mute()
    with pytest.raises(SynthesisError, match="no voice"):
        await LocalServer(engine).start()
    assert engine.shut == 1


async def test_ipv6_where_there_is_any() -> None:
    try:
        server = LocalServer(SignalEngine(), host="::1")
        await server.start()
    except OSError:
        pytest.skip("no IPv6 here")
    assert server.url == f"ws://[::1]:{server.port}"
    async with connected(server) as ws:
        await speaks(ws)
    await server.close()


async def test_waiting_wakes_for_every_change(server: LocalServer, http: aiohttp.ClientSession) -> None:
    waits = [
        asyncio.create_task(server.wait_until(condition, PATIENCE))
        for condition in (
            lambda: server.handshakes == 2,
            lambda: server.open_connections == 1,
            lambda: bool(server.requests),
            lambda: any(entry.audio_bytes_sent for entry in server.requests),
            lambda: any(entry.completed for entry in server.requests),
            lambda: bool(server.connections) and not server.open_connections,
        )
    ]
    await refused_once(http, server)
    async with connected(server) as ws:
        await speaks(ws)
    await asyncio.gather(*waits)


async def refused_once(http: aiohttp.ClientSession, server: LocalServer) -> None:
    with pytest.raises(WSServerHandshakeError):
        await http.ws_connect(server.url + "/ws/tts")


async def test_waiting_wakes_for_a_refused_handshake(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    waiting = asyncio.create_task(server.wait_until(lambda: server.handshakes == 1))
    await refused_once(http, server)
    await waiting


async def test_waiting_in_vain_ends(server: LocalServer) -> None:
    with pytest.raises(TimeoutError):
        await server.wait_until(lambda: False, 0.01)


# A client that we did not write


async def test_the_websockets_client(server: LocalServer) -> None:
    async with websockets_connect(server.url + "/ws/tts", additional_headers={"X-API-Key": KEY}) as ws:
        for text in ("One.", "Two, with visemes."):
            await ws.send(json.dumps(request(text, visemes=True)))
            heard, timed = b"", 0
            while (message := await ws.recv()) != "EOS":
                if isinstance(message, bytes):
                    heard += message
                else:
                    timed += len(json.loads(message))
            assert (heard, timed) == (signal(text), len(text))
        await ws.send(b"\0\1")
        assert json.loads(await ws.recv())["data"]["code"] == "validation.invalid_request_format"
        pong = await ws.ping()
        async with asyncio.timeout(PATIENCE):
            await pong
    await server.wait_until(lambda: not server.open_connections)

"""A Lokutor-compatible server. Its voice is an :class:`Engine` of your choice."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSCloseCode, WSMsgType, web

from .._audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE
from .._wire.endpoint import is_loopback
from .._wire.protocol import API_KEY_HEADER, SPEED_RANGE, STEPS_RANGE, TTS_PATH, SpeechRequest
from ..version import __version__
from . import _wire
from ._limits import Account, Counted, Plan
from ._origins import OriginPolicy
from .engine import Engine, Speech, SynthesisError

logger = logging.getLogger("videosdk.plugins.lokutor.local")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_MESSAGE = 256 * 1024
"""Largest request in bytes: far more than the longest legal text takes."""
_MAX_CONNECTIONS = 1000
_MAX_QUEUED = 32
"""Early requests held for a connection. No known client sends even one, and whoever sends more is hung up
on: to stop reading instead would be deaf to the client's going away."""
_MAX_RECORDS = 10_000
"""Connections remembered, and requests of each: a server that runs for weeks must not grow."""
_CLOSE_TIMEOUT = 1.0
"""Seconds for a client to answer a close frame, and for the frame to get out at all."""
_CHUNK_BYTES = (1_024, 16_384)
_LANGUAGE_NAMES = {
    "en": "English",
    "es": "Spanish",
    "ca": "Catalan",
    "gl": "Galician",
    "eu": "Basque",
    "pt": "Portuguese",
    "fr": "French",
    "it": "Italian",
    "de": "German",
}


@dataclass(slots=True)
class RequestRecord:
    """One request that was served, as it went."""

    request: SpeechRequest
    audio_bytes_sent: int = 0
    completed: bool = False

    @property
    def text(self) -> str:
        """The text to speak."""
        return self.request.text


@dataclass(slots=True)
class ConnectionRecord:
    """One WebSocket that was accepted. It never holds the key."""

    path: str
    key_in_header: bool
    requests: list[RequestRecord] = field(default_factory=list)
    open: bool = True
    close_code: int | None = None


class LocalServer:
    """Serves Lokutor's protocol on this machine.

    Use it as ``async with LocalServer(engine) as server: ... server.url``. :attr:`connections` records what
    happened, and :meth:`wait_until` waits for what will.

    Args:
        engine: The voice. The server starts and closes it.
        host: Address to listen on. An address that other machines can reach needs an ``api_key``.
        port: Port; 0 picks a free one.
        api_key: The only accepted key. None accepts any key that isn't empty.
        allowed_origins: Origins of web pages that may connect, such as ``https://app.example``. Pages that
            this machine serves, and clients that aren't web pages, may always connect.
        first_audio_delay: Extra seconds from a request to its first audio.
        pace: Seconds of audio to send per second. None sends as fast as the client reads.
        chunk_bytes: Smallest and largest size of a binary message. Odd sizes split samples.
        seed: Seed for these sizes. The same seed gives the same sizes for every request.
        max_connections: Largest number of open WebSockets. More are refused with HTTP 429.
        stall_timeout: Seconds without reading after which a client is disconnected.
        requests_per_minute: Requests of one API key within any 60 seconds. More are refused: a handshake with
            HTTP 429, a request inside a connection with ``auth.rate_limited``. None allows any number.
        sessions: Connections of one API key at a time. One more is told ``tts.session_limit_reached``, and
            closed. None allows any number.
        count: What ``requests_per_minute`` counts: each handshake, or each request inside a connection. Then
            a handshake isn't counted, but is refused while there is no room for a request.

    Raises:
        ValueError: A number is out of range, ``host`` or ``api_key`` is empty, a key is missing, or an
            allowed origin is not an origin.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        allowed_origins: Iterable[str] = (),
        first_audio_delay: float = 0.0,
        pace: float | None = None,
        chunk_bytes: tuple[int, int] = _CHUNK_BYTES,
        seed: int = 0,
        max_connections: int = _MAX_CONNECTIONS,
        stall_timeout: float = 30.0,
        requests_per_minute: int | None = None,
        sessions: int | None = None,
        count: Counted = "requests",
    ) -> None:
        _check_options(first_audio_delay, pace, chunk_bytes, max_connections)
        _check_access(host, api_key)
        self._engine = engine
        self._host = host
        self._wanted_port = port
        self._api_key = api_key
        self._origins = OriginPolicy(host, allowed_origins)
        self._first_audio_delay = first_audio_delay
        self._pace = pace
        self._chunk_bytes = chunk_bytes
        self._seed = seed
        self._max_connections = max_connections
        self._stall_timeout = stall_timeout
        self._plan = Plan(requests_per_minute, sessions, count)
        self._runner: web.AppRunner | None = None
        self._switching = asyncio.Lock()
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._changed = asyncio.Event()
        self.connections: list[ConnectionRecord] = []
        self.handshakes = 0
        self.peak_connections = 0
        self.refusals: Counter[str] = Counter()
        """How often was refused, by what the client was told: an HTTP status or a code of the catalogue."""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._runner is None:
            raise RuntimeError("the server is not started")
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """The base URL for clients, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Number of open WebSockets."""
        return len(self._sockets)

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests that were served, by connection."""
        return [request for connection in self.connections for request in connection.requests]

    async def start(self) -> None:
        """Start the engine and listen. Idempotent.

        Raises:
            OSError: The address isn't available.
            SynthesisError: The engine can't speak at all.
        """
        async with self._switching:
            if self._runner is not None:
                return
            try:
                await self._engine.start()
                self._runner = await self._listen()
            except BaseException:
                await self._engine.close()
                raise

    async def close(self) -> None:
        """Close all connections and the engine. Idempotent."""
        async with self._switching:
            if self._runner is None:
                return
            leaving = [_hang_up(*socket, WSCloseCode.GOING_AWAY) for socket in self._sockets.items()]
            await asyncio.gather(*leaving)
            await self._runner.cleanup()
            await self._engine.close()
            self._runner = None  # Not before: whoever is cancelled here can close it again.

    async def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Wait until ``condition()`` is true. It is checked whenever something happens on the server.

        Raises:
            TimeoutError: It wasn't true within ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _listen(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._admit])
        for path in (TTS_PATH, "/ws"):
            app.router.add_get(path, self._serve)
        for path, answer in self._routes().items():
            app.router.add_get(path, _json_handler(answer))
        # No access log: it would show the key of clients that send it in the URL.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await web.TCPSite(runner, self._host, self._wanted_port).start()
        except BaseException:
            await runner.cleanup()
            raise
        return runner

    def _routes(self) -> dict[str, Any]:
        return _discovery()

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn pages away that may not use this server; what the others ask for, they may read."""
        origins = request.headers.getall("Origin", [])
        if not all(self._origins.admits_host(host) for host in request.headers.getall("Host", [])):
            return _refusal(403, "local.host_not_allowed", "call the server 127.0.0.1 or localhost")
        if not all(self._origins.admits_origin(origin, self._own_origin) for origin in origins):
            return _refusal(403, "local.origin_not_allowed", "pages of this origin are not allowed")
        response = await handler(request)
        if origins and not response.prepared:
            response.headers.update({"Access-Control-Allow-Origin": origins[0], "Vary": "Origin"})
        return response

    @property
    def _own_origin(self) -> str:
        return self.url.replace("ws", "http", 1)

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        refusal = self._refuse(http)
        if refusal is not None:
            self._note_refusal(str(refusal.status))
            return refusal
        account = self._account(http)
        # No compression: PCM hardly shrinks, and to try would cost more than all else here.
        ws = web.WebSocketResponse(max_msg_size=_MAX_MESSAGE, timeout=_CLOSE_TIMEOUT, compress=False)
        self._sockets[ws] = http.transport  # Before the await: else many at once would pass the limit.
        try:
            await ws.prepare(http)
            await self._hold_session(ws, self._record(http), account)
        except ConnectionError:
            logger.debug("A client left during the handshake")
            return web.Response()  # For nobody. aiohttp fails to end a WebSocket that was not begun.
        finally:
            del self._sockets[ws]
            self._note()
        return ws

    async def _hold_session(
        self, ws: web.WebSocketResponse, record: ConnectionRecord, account: Account
    ) -> None:
        if not account.begin_session():
            await self._turn_away(ws, record)
            return
        try:
            await self._converse(ws, record, account)
        finally:
            account.end_session()

    async def _turn_away(self, ws: web.WebSocketResponse, record: ConnectionRecord) -> None:
        self._note_refusal(_wire.Refusal.SESSIONS)
        error = _wire.encode_error(_wire.Refusal.SESSIONS, "too many sessions")
        try:
            with suppress(ConnectionError, TimeoutError):  # It is gone, or takes nothing.
                await self._send(ws.send_str(error))
            await _hang_up(ws, self._sockets[ws], WSCloseCode.TRY_AGAIN_LATER)
        finally:
            record.open, record.close_code = False, ws.close_code

    def _record(self, http: web.Request) -> ConnectionRecord:
        record = ConnectionRecord(http.path, bool(http.headers.get(API_KEY_HEADER)))
        self.connections.append(record)
        del self.connections[:-_MAX_RECORDS]
        self.peak_connections = max(self.peak_connections, self.open_connections)
        self._note()
        return record

    def _refuse(self, http: web.Request) -> web.Response | None:
        key = _key_of(http)
        if not key:
            return _refusal(401, "auth.missing_key", "no API key: send it in the X-API-Key header")
        if self._api_key is not None and not hmac.compare_digest(_octets(key), _octets(self._api_key)):
            return _refusal(401, "auth.invalid_key", "this API key is not accepted")
        if self.open_connections >= self._max_connections:
            return _refusal(429, _wire.Refusal.SESSIONS, "too many connections")
        too_many = self._account(http).handshake(_now())
        if too_many is not None:
            return _refusal(429, _wire.Refusal.RATE, "too many requests", too_many.headers)
        return None

    def _account(self, http: web.Request) -> Account:
        return self._plan.account(_key_of(http), _now())

    async def _converse(self, ws: web.WebSocketResponse, record: ConnectionRecord, account: Account) -> None:
        """Read for as long as the client is there, so that its going away ends what is being spoken."""
        queue: asyncio.Queue[str | bytes] = asyncio.Queue(_MAX_QUEUED)
        speaker = asyncio.create_task(self._speak_all(ws, record, queue, account))
        reader = asyncio.create_task(_read(ws, queue))
        code: int = WSCloseCode.OK
        try:
            await asyncio.wait({speaker, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (speaker, reader):
                task.cancel()
            try:
                for result in await asyncio.gather(speaker, reader, return_exceptions=True):
                    code = _close_code(result) or code
                await _hang_up(ws, self._sockets[ws], code)
            finally:
                record.open, record.close_code = False, ws.close_code

    async def _speak_all(
        self,
        ws: web.WebSocketResponse,
        record: ConnectionRecord,
        queue: asyncio.Queue[str | bytes],
        account: Account,
    ) -> None:
        while True:
            message = await queue.get()
            try:
                entry = RequestRecord(_decode(message))
                _count(account)
                record.requests.append(entry)
                del record.requests[:-_MAX_RECORDS]
                self._note()
                await self._speak(ws, entry)
            except _wire.RequestRefusedError as refused:
                self._note_refusal(refused.code)
                await self._send(ws.send_str(_wire.encode_error(refused.code, str(refused))))
            except SynthesisError as failed:
                await self._send(ws.send_str(_wire.encode_error(_wire.Refusal.FAILED, str(failed))))

    async def _speak(self, ws: web.WebSocketResponse, entry: RequestRecord) -> None:
        if self._first_audio_delay:
            await asyncio.sleep(self._first_audio_delay)
        pacer = _Pacer(self._pace)
        sizes = _sizes(self._chunk_bytes, random.Random(self._seed))  # noqa: S311 - sizes, not secrets
        async with (
            aclosing(self._engine.synthesize(entry.request)) as speech,
            aclosing(_messages(speech, sizes, visemes=entry.request.visemes)) as messages,
        ):
            async for message in messages:
                if isinstance(message, bytes):
                    await pacer.wait(entry.audio_bytes_sent)
                    await self._send(ws.send_bytes(message))
                    entry.audio_bytes_sent += len(message)
                    self._note()
                else:
                    await self._send(ws.send_str(message))
        await self._send(ws.send_str(_wire.END_OF_REQUEST))
        entry.completed = True
        self._note()

    async def _send(self, sending: Awaitable[None]) -> None:
        async with asyncio.timeout(self._stall_timeout):
            await sending

    def _note_refusal(self, answer: str) -> None:
        self.refusals[str(answer)] += 1  # A code is an enum's member, and shown as such.
        self._note()

    def _note(self) -> None:
        self._changed.set()


async def _read(ws: web.WebSocketResponse, queue: asyncio.Queue[str | bytes]) -> None:
    async for message in ws:
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            queue.put_nowait(message.data)


def _close_code(result: BaseException | None) -> int | None:
    """Return the close code for what a task of a connection ended with, or None if it tells nothing."""
    match result:
        case asyncio.QueueFull():
            return WSCloseCode.POLICY_VIOLATION
        # The client is gone or takes nothing; a cancellation is how we end these tasks ourselves.
        case None | ConnectionError() | TimeoutError() | asyncio.CancelledError():
            return None
        case _:
            logger.error("A connection failed", exc_info=result)
            return WSCloseCode.INTERNAL_ERROR


async def _hang_up(ws: web.WebSocketResponse, transport: asyncio.Transport | None, code: int) -> None:
    """Close, by force where the client takes nothing: the close frame queues behind what it left."""
    try:
        async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
            if ws.prepared:
                await ws.close(code=code)
    except TimeoutError:
        if transport is not None:
            transport.abort()


def _key_of(http: web.Request) -> str:
    return http.headers.get(API_KEY_HEADER) or http.query.get("api_key") or ""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _count(account: Account) -> None:
    """Count a request inside a connection, or refuse it in words of the catalogue."""
    too_many = account.request(_now())
    if too_many is not None:
        reason = f"too many requests: try again in {too_many.retry_after:.1f} s"
        raise _wire.RequestRefusedError(_wire.Refusal.RATE, reason)


def _octets(key: str) -> bytes:
    """Return a key as it was on the wire, where it need not have been UTF-8."""
    return key.encode(errors="surrogateescape")


def _check_options(
    first_audio_delay: float, pace: float | None, chunk_bytes: tuple[int, int], max_connections: int
) -> None:
    if first_audio_delay < 0:
        raise ValueError(f"first_audio_delay must not be negative, not {first_audio_delay!r}")
    if pace is not None and not pace > 0:
        raise ValueError(f"pace must be above 0, not {pace!r}")
    if not 1 <= chunk_bytes[0] <= chunk_bytes[1]:
        raise ValueError(f"chunk_bytes must be (smallest, largest) and at least 1, not {chunk_bytes!r}")
    if max_connections < 1:
        raise ValueError(f"max_connections must be at least 1, not {max_connections!r}")


def _check_access(host: str, api_key: str | None) -> None:
    if not host or not host.strip():  # To listen on "" is to listen everywhere.
        raise ValueError("host must not be empty: use 127.0.0.1, or 0.0.0.0 and an api_key for every address")
    if api_key is not None and not api_key.strip():
        raise ValueError("api_key must not be empty: None accepts any key")
    if api_key is None and not is_loopback(host):
        raise ValueError(f"host {host!r} can be reached by other machines: it needs an api_key")


def _decode(message: str | bytes) -> SpeechRequest:
    if isinstance(message, bytes):
        raise _wire.RequestRefusedError(_wire.Refusal.FORMAT, "a request is a text message")
    return _wire.decode_request(message)


async def _messages(
    speech: AsyncGenerator[Speech, None], sizes: Iterator[int], *, visemes: bool
) -> AsyncGenerator[str | bytes, None]:
    """Yield the messages of one request: timing ahead of its audio, and audio in chosen sizes."""
    rest = b""
    size = next(sizes)
    async for piece in speech:
        if visemes and piece.visemes:
            yield _wire.encode_visemes(piece.visemes)
        audio = rest + piece.pcm
        start = 0
        while len(audio) - start >= size:
            yield audio[start : start + size]
            start, size = start + size, next(sizes)
        rest = audio[start:]
        await asyncio.sleep(0)  # Neither a voice nor a socket need ever wait: others get their turn here.
    if rest:
        yield rest


def _sizes(limits: tuple[int, int], chooser: random.Random) -> Iterator[int]:
    while True:
        yield chooser.randint(*limits)


class _Pacer:
    """Holds audio back to ``pace`` seconds of it in a second."""

    def __init__(self, pace: float | None) -> None:
        self._pace = pace
        self._begun = asyncio.get_running_loop().time()

    async def wait(self, sent: int) -> None:
        if self._pace is None:
            return
        due = self._begun + sent / (BYTES_PER_SECOND * self._pace)
        delay = due - asyncio.get_running_loop().time()
        if delay > 0:
            await asyncio.sleep(delay)


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    error = {"type": "error", "data": {"code": code, "message": message}}
    return web.json_response(error, status=status, headers=headers)


def _json_handler(answer: dict[str, Any]) -> Callable[[web.Request], Any]:
    async def handle(_http: web.Request) -> web.Response:
        return web.json_response(answer)

    return handle


def _discovery() -> dict[str, dict[str, Any]]:
    """Return what each discovery route answers. Forms: Lokutor's documentation."""
    languages = list(_LANGUAGE_NAMES)
    voices = [
        {"id": voice, "gender": "female" if base.startswith("F") else "male", "languages": languages}
        for voice, base in _wire.VOICES.items()
    ]
    health = {"status": "ok", "version": __version__}
    return {
        "/voices": {"voices": voices},
        "/languages": {"languages": [{"code": code, "name": name} for code, name in _LANGUAGE_NAMES.items()]},
        "/models": {"models": [{"name": "local", "description": "A voice on this machine", "default": True}]},
        "/config": {
            "max_text_length": _wire.MAX_TEXT_LENGTH,
            "min_speed": SPEED_RANGE[0],
            "max_speed": SPEED_RANGE[1],
            "min_steps": STEPS_RANGE[0],
            "max_steps": STEPS_RANGE[1],
            "sample_rate": SAMPLE_RATE,
            "channels": 1,
        },
        "/health": health,
        "/status": health,
    }

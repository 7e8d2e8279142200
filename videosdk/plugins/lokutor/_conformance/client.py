"""A client that speaks the protocol without the plugin: what it gets is told as it came.

Rule of this file: nothing is retried, repaired or left out, and no text carries the key. Errors of the
connection are those of ``errors.py``.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from .._audio.pcm import BYTES_PER_SECOND
from .._audio.silence import silence_at_start
from .._wire.connection import new_session, open_socket, redirected_to, unreached
from .._wire.endpoint import Endpoint
from .._wire.protocol import (
    Audio,
    EndOfRequest,
    ErrorReply,
    Event,
    Unknown,
    Visemes,
    decode_binary,
    decode_rest,
    decode_text,
)
from .._wire.proxy import find_proxy
from ..errors import LokutorError, NetworkError, ProtocolError
from .formats import whole
from .recorder import Recorder, redact_message
from .replies import LOST_CODES, Came, Ending, Reply, kind_of_event, shortened

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",  # Of RFC 6455, section 1.3.
}
_CLOSE_TIMEOUT = 1.0
"""Seconds for a close frame to leave."""
_SWITCHING = 101
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAILED = range(500, 600)
_PING = b"lokutor"
_LONGEST = 10.0
_LONGEST_CHARACTER = 0.5
"""Seconds of audio that any reply may have, and for each character: several times of what speech takes."""
_OVERHEAD = 100
"""Bytes that a message takes beside what it holds."""
_MOST_HELD = 32 << 20
"""Bytes of messages that wait to be looked at. Behind them, the socket isn't read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What plain HTTP was answered with.

    Attributes:
        status: HTTP status.
        body: The JSON in it, or None.
        headers: Its headers, by their names in lower case.
        text: What it says, shortened.
        redirects_to: The host that it redirects to, or nothing. It is not followed.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    redirects_to: str = ""

    @property
    def status_line(self) -> str:
        """Its status, and where it redirects to."""
        return f"HTTP {self.status}" + (f" to {self.redirects_to}" if self.redirects_to else "")

    @property
    def error_code(self) -> str | None:
        """The code of the error that it tells, in whatever form, or None."""
        event = None if self.body is None else _decode(json.dumps(self.body))
        return event.code if isinstance(event, ErrorReply) else None


@dataclass(slots=True)
class Habits:
    """How a service ends its requests, if it is otherwise than noted.

    Attributes:
        end: What comes in place of an end, as :func:`~.replies.kind_of` names it, or nothing.
        closes: Whether the connection is closed in its place.
        more_ends: How many ends have come behind an end.
    """

    end: str = ""
    closes: bool = False
    more_ends: int = 0

    def learn(self, reply: Reply) -> bool:
        """Take what a reply has in place of an end for one from now on, and return whether it has."""
        if not reply.pcm:
            return False
        self.closes = reply.ending is Ending.CLOSED and reply.close_code == aiohttp.WSCloseCode.OK
        if reply.ending is Ending.SILENT:
            self.end = reply.last_kind
        return bool(self.closes or self.end)

    def end_of(self, found: list[Came] | Ending, came: list[Came], close_code: int | None) -> str:
        """Return what of that has come, or nothing."""
        if isinstance(found, Ending):
            is_end = self.closes and found is Ending.CLOSED and close_code == aiohttp.WSCloseCode.OK
            spoken = any(isinstance(item.event, Audio) and item.event.pcm for item in came)
            return f"the connection is closed (code {close_code})" if is_end and spoken else ""
        return self.end if self.end and kind_of_event(found[-1].event) == self.end else ""


class Wire:
    """One open WebSocket. A task reads it all the time, so that each message has its time.

    Attributes:
        held: Bytes that have come and that nobody has taken yet.
    """

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        client: Client,
        number: int = 0,
    ) -> None:
        self._ws = ws
        self._client = client
        self._endpoint = client.endpoint
        self._habits = client.habits
        self._recorder = client.recorder
        self._has_ended = False  # Whether the last request has.
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[tuple[float, aiohttp.WSMessage]] = asyncio.Queue()
        self.held = self._taken = 0
        self._room = asyncio.Event()
        self._ponged = asyncio.Event()
        self._reader = self._loop.create_task(self._read())

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._reader.done()

    async def send(self, message: Mapping[str, Any] | str) -> None:
        """Send a request, or any other text."""
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        if self._recorder is not None:
            self._recorder.on_message(self._number, text, sent=True)
        with suppress(aiohttp.ClientError, OSError):  # What it ended with is seen by reading.
            await self._ws.send_str(text)

    async def ask(
        self, message: Mapping[str, Any] | str, patience: float, within: float | None = None
    ) -> Reply:
        """Send a request and return what comes for it.

        Args:
            message: The request.
            patience: Seconds without a sound after which it is given up.
            within: Seconds after which it is given up whatever comes; None for no such limit.
        """
        begun = self._loop.time()
        await self.send(message)
        return await self.reply(message, begun, patience, within)

    async def reply(
        self, message: Mapping[str, Any] | str, begun: float, patience: float, within: float | None = None
    ) -> Reply:
        """Return what comes for a request that was sent at ``begun``.

        It ends also when nothing was heard for ``patience`` seconds, whatever else comes, or when more has
        come than any speech of the text: a service may end no request, and go on for ever.
        """
        text = "" if isinstance(message, str) else str(message.get("text", ""))
        came: list[Came] = []
        waited = _Waited(self._loop.time() - begun, patience, within, len(text))
        taken = self._taken
        strays: list[Came] = []
        while True:
            found = await self._next(begun, waited.left(self._loop.time() - begun))
            odd_end = self._habits.end_of(found, came, self._ws.close_code)
            if isinstance(found, Ending):
                ending: Ending | None = found
            elif self._is_stray(found[-1].event, came, strays):
                strays += found  # Another end of the request before.
                continue
            else:
                came += found
                ending = _ending_of(found[-1].event) or waited.ending(found, self._taken - taken)
            if odd_end:
                ending = Ending.END
            if ending is Ending.SILENT and strays and not came:
                came, ending = strays, Ending.END  # It was this one's.
            elif ending is not None:
                self._habits.more_ends += len(strays)
            if ending is not None:
                self._has_ended = ending in {Ending.END, Ending.ERROR}
                return Reply(text, tuple(came), ending, self._ws.close_code, odd_end)

    def _is_stray(self, event: Event, came: list[Came], strays: list[Came]) -> bool:
        return isinstance(event, EndOfRequest) and self._has_ended and not came and not strays

    async def until_audio(self, patience: float) -> ErrorReply | Ending | None:
        """Wait for the first audio, and return None, or what came in its place."""
        due = self._loop.time() + patience
        while (left := due - self._loop.time()) > 0:
            came = await self._next(0.0, left)
            if isinstance(came, Ending):
                return came
            for event in (item.event for item in came):
                if isinstance(event, Audio) and event.pcm:
                    return None
                if isinstance(event, ErrorReply):
                    return event
                if isinstance(event, EndOfRequest):
                    return Ending.END
        return Ending.SILENT

    async def rest(self, seconds: float) -> list[Event]:
        """Return what comes within so many seconds, or until it ends."""
        due = self._loop.time() + seconds
        events: list[Event] = []
        while (left := due - self._loop.time()) > 0:
            came = await self._next(due, left)
            if isinstance(came, Ending):
                break
            events += [item.event for item in came]
        return events

    async def ping(self, within: float) -> float | None:
        """Return how many seconds the answer to a ping takes, or None if there is none."""
        begun = self._loop.time()
        try:
            async with asyncio.timeout(within):
                await self._ws.ping(_PING)
                await self._ponged.wait()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None
        return self._loop.time() - begun

    async def ended(self, within: float) -> bool:
        """Return whether it ends within so many seconds, while nothing is asked."""
        done, _ = await asyncio.wait({self._reader}, timeout=within)
        return bool(done)

    async def close(self) -> None:
        """Close it."""
        self._reader.cancel()
        await asyncio.wait({self._reader})
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._ws.close()

    async def _next(self, begun: float, patience: float) -> list[Came] | Ending:
        if self.closed and self._inbox.empty():
            return Ending.CLOSED
        try:
            async with asyncio.timeout(patience):
                at, message = await self._inbox.get()
        except TimeoutError:
            return Ending.SILENT
        self.held -= _size(message)
        self._taken += _size(message)
        self._room.set()
        if message.type is aiohttp.WSMsgType.BINARY:
            return [Came(at - begun, decode_binary(message.data), binary=True)]
        if message.type is aiohttp.WSMsgType.TEXT:
            return [Came(at - begun, self._redacted(event)) for event in _decode_all(message.data)]
        return Ending.CLOSED

    def _redacted(self, event: Event) -> Event:
        """Return an event without the key, before anything of it is shortened."""
        hide = self._endpoint.redact
        match event:
            case Unknown(text):
                return Unknown(redact_message(self._endpoint, text))
            case ErrorReply(message, code, request_id):
                return ErrorReply(hide(message), code and hide(code), request_id and hide(request_id))
            case _:
                return event

    async def _read(self) -> None:
        while True:
            message = await self._ws.receive()
            if message.type is aiohttp.WSMsgType.PING:
                with suppress(aiohttp.ClientError, OSError):
                    await self._ws.pong(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                self._ponged.set()
            else:
                self._inbox.put_nowait((self._loop.time(), message))
                self.held += _size(message)
                self._record(message)
            if message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}:
                if self._ws.close_code in LOST_CODES:
                    self._client.count_loss()
                return
            while self.held > _MOST_HELD:
                self._room.clear()
                await self._room.wait()

    def _record(self, message: aiohttp.WSMessage) -> None:
        if self._recorder is None:
            return
        if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            self._recorder.on_message(self._number, message.data, sent=False)
        else:
            self._recorder.on_close(self._number, self._ws.close_code)


class _Waited:
    """Decides when a reply is waited for no longer. Times are seconds since its request.

    Args:
        since: When waiting has begun.
        patience: Seconds without a sound.
        within: Seconds altogether, or None.
        characters: Of the text.
    """

    def __init__(self, since: float, patience: float, within: float | None, characters: int) -> None:
        self._heard_at = since
        self._patience = patience
        self._due = math.inf if within is None else since + within
        self._most = round((_LONGEST + _LONGEST_CHARACTER * characters) * BYTES_PER_SECOND)
        self._audio = 0
        self._half = b""

    def left(self, now: float) -> float:
        """Return for how long to wait for the next message."""
        return max(min(self._heard_at + self._patience, self._due) - now, 0.0)

    def ending(self, came: list[Came], size: int) -> Ending | None:
        """Return how the reply ends, if it does: all that has come so far has ``size`` bytes."""
        at = came[0].at
        for item in came:
            if isinstance(item.event, Audio):
                self._take(item.event.pcm, at)
        # As JSON, audio is a third larger.
        if self._audio > self._most or size > 2 * self._most or at > self._due:
            return Ending.ENDLESS
        return Ending.SILENT if at > self._heard_at + self._patience else None

    def _take(self, pcm: bytes, at: float) -> None:
        self._audio += len(pcm)
        data = self._half + pcm
        samples = whole(data)
        self._half = data[len(samples) :]
        if silence_at_start(samples) < len(samples):
            self._heard_at = at


def _ending_of(event: Event) -> Ending | None:
    match event:
        case EndOfRequest():
            return Ending.END
        case ErrorReply():
            return Ending.ERROR
        case _:
            return None


def _size(message: aiohttp.WSMessage) -> int:
    return _OVERHEAD + (len(message.data) if isinstance(message.data, str | bytes) else 0)


def _decode_all(text: str) -> list[Event]:
    event = _decode(text)
    events = [event]
    while isinstance(event, Visemes) and event.rest:
        event = decode_rest(event)
        events.append(event)
    return events


def _decode(text: str) -> Event:
    try:
        return decode_text(text)
    except ProtocolError:
        return Unknown(text)


class Client:
    """Opens connections to one service.

    Args:
        endpoint: Its address, and the key.
        session: To connect with.
        within: Seconds for a handshake or an answer of plain HTTP.
        recorder: Told what goes over the wire.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: aiohttp.ClientSession,
        within: float,
        recorder: Recorder | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.recorder = recorder
        self.habits = Habits()
        self.handshakes = 0
        self.losses = 0
        """How often a connection was lost or not made, or the service said that it failed."""
        self._session = session
        self._within = within
        self._proxy = find_proxy(endpoint.url)
        self._ways: list[float] = []
        session.trace_configs.append(_timing(self._ways))

    @property
    def way(self) -> float:
        """Seconds of the way there and back: the fastest answer to a handshake, once it was connected.

        A ping may be answered by something on the way.
        """
        return min(self._ways, default=0.0)

    @asynccontextmanager
    async def wire(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[Wire]:
        """Open a WebSocket, and close it.

        Args:
            url: Where; on the host of the endpoint.
            headers: Of the handshake.

        Raises:
            LokutorError: The handshake failed.
        """
        self.handshakes += 1
        try:
            ws = await open_socket(self._session, url, headers, within=self._within, proxy=self._proxy)
        except LokutorError as error:
            self._note(url, headers, error.status)
            if is_loss(error):
                self.count_loss()
            raise
        number = self._note(url, headers, _SWITCHING)
        wire = Wire(ws, self, number)
        try:
            yield wire
        finally:
            await wire.close()

    async def knock(self, url: URL, headers: Mapping[str, str]) -> Answer:
        """Begin a handshake and return what it is answered with, whose body a WebSocket would not show."""
        self.handshakes += 1
        answer = await self._get(_plain(url), {**_UPGRADE, **headers})
        self._note(url, headers, answer.status, answer.body)
        return answer

    async def route(self, name: str) -> Answer:
        """Ask a route of discovery, without the key."""
        url = _plain(self.endpoint.url).origin() / name
        answer = await self._get(url, {})
        if self.recorder is not None:
            self.recorder.on_route(url.path, answer.status, answer.body)
        return answer

    def count_loss(self) -> None:
        """Note that something was lost."""
        self.losses += 1

    def _note(self, url: URL, headers: Mapping[str, str], status: int | None, body: Any = None) -> int:
        """Record a handshake, and return the number of its connection."""
        if self.recorder is None or status is None:
            return 0
        return self.recorder.on_handshake(url, headers, status, body)

    async def _get(self, url: URL, headers: Mapping[str, str]) -> Answer:
        try:
            async with (
                asyncio.timeout(self._within),
                self._session.get(url, headers=headers, allow_redirects=False, proxy=self._proxy) as response,
            ):
                # Who switches protocols has no body, and no end.
                body = b"" if response.status == _SWITCHING else await response.read()
                names = {name.lower(): value for name, value in response.headers.items()}
                if response.status in _FAILED:
                    self.count_loss()
                told = redact_message(self.endpoint, body.decode(errors="replace"))
                redirect = redirected_to(names, url) if response.status in _REDIRECTS else ""
                return Answer(response.status, _json(body), names, shortened(told), redirect)
        except TimeoutError:
            failure: LokutorError = NetworkError(f"{url.host} did not answer within {self._within:g} s")
        except (aiohttp.ClientError, OSError) as error:
            failure = unreached(error, url)
        if is_loss(failure):
            self.count_loss()
        raise failure


def _timing(ways: list[float]) -> aiohttp.TraceConfig:
    """Return what notes how long the answer to each handshake takes, from when its headers have left."""
    clock = asyncio.get_running_loop().time

    async def on_sent(
        _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        context.sent_at = clock()

    async def on_end(
        _: aiohttp.ClientSession, context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        if end.response.status == _SWITCHING:
            ways.append(clock() - context.sent_at)

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(on_sent)
    config.on_request_end.append(on_end)
    config.freeze()
    return config


def is_loss(error: LokutorError) -> bool:
    """Return whether an error may be chance: the network's, or one that the service says is its own."""
    return isinstance(error, NetworkError) or error.status in _FAILED


@asynccontextmanager
async def connected(
    endpoint: Endpoint, within: float, record: Callable[[str], object] | None = None
) -> AsyncIterator[Client]:
    """Yield a client with a session of its own; ``record`` takes each line of a recording."""
    recorder = None if record is None else Recorder(endpoint, record)
    async with new_session() as session:
        yield Client(endpoint, session, within, recorder)


def _plain(url: URL) -> URL:
    return url.with_scheme("https" if url.scheme == "wss" else "http")


def _json(body: bytes) -> Any:
    try:
        value = json.loads(body)
        json.dumps(value)  # What is nested too deeply to be written is of no use.
    except (ValueError, RecursionError):
        return None
    return value

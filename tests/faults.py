"""Everything that goes wrong, as data: the fault, its moment, what is heard then and what is seen.

:data:`ROWS` is the table. ``test_faults.py`` holds the plugin to each of its rows, and
:func:`reliability_table` tells the same rows in words, so that promise and test can't drift apart.

Between the plugin and a healthy :class:`~support.ScriptedServer` stands a :class:`FaultProxy`. It knows
TCP and just enough HTTP to tell the handshake from what follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import ipaddress
import socket
import ssl
import struct
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support import PATIENCE, Conversation, Script, ScriptedServer, heard_for, speech_of, until
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    LokutorError,
    NetworkError,
    ProtocolError,
    RateLimitError,
    ReplyTimeoutError,
    ServiceError,
    TrackError,
)
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

TEXT = "A reply that is to be heard once, and whole."
NEXT_TEXT = "The turn after it."
ALWAYS = 1_000
"""How many connections meet a fault that doesn't pass."""
SHORT = {"first_audio_timeout": 0.5, "idle_timeout": 0.5}
"""Limits for faults that only a limit ends."""


# --- The proxy -----------------------------------------------------------------------------------------


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

    async def close(self) -> None:
        writers = [self.writer] if self._upstream is None else [self.writer, self._upstream[1]]
        for writer in writers:
            writer.close()
        for writer in writers:
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


class FaultProxy:
    """Stands between the plugin and a server; each connection meets the next of ``faults``."""

    def __init__(self, server: ScriptedServer | FaultProxy, tls: ssl.SSLContext | None = None) -> None:
        self.faults: deque[Play] = deque()
        self.links: list[Link] = []
        self.elsewhere = ""  # Where a redirect leads.
        self._server = server
        self._tls = tls
        self._port = 0
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
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Listen no more: the port refuses connections until :meth:`listen`."""
        assert self._listener is not None
        self._listener.close()
        await self._listener.wait_closed()

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
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

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


# --- Plays: what the proxy does to one connection ----------------------------------------------------------


class Moment(Enum):
    """When it goes wrong."""

    DNS = "name lookup"
    TCP = "connecting"
    TLS = "TLS handshake"
    UPGRADE = "upgrade"
    BEFORE_AUDIO = "before the first audio"
    MID_AUDIO = "in the middle of the audio"
    AFTER_AUDIO = "after the audio, before its EOS"
    BETWEEN = "between requests"
    WAITING = "while the socket waits"
    YOURS = "in the application's own code"


_MIDDLE = 30_000
"""Bytes after which a connection is cut in mid-audio: inside of a WebSocket frame."""


def at(moment: Moment, ending: Play) -> Play:
    """Return a play that goes well up to ``moment`` and then ends like ``ending``."""

    async def play(link: Link) -> None:
        match moment:
            case Moment.TLS:
                await link.reader.read(1)
            case Moment.UPGRADE:
                await link.read_head()
            case Moment.BEFORE_AUDIO:
                await link.shake_hands()
                await link.pass_request()
            case Moment.MID_AUDIO:
                await link.shake_hands()
                await link.pump(_MIDDLE)
            case Moment.WAITING:
                await link.shake_hands()
            case _:
                pass
        await ending(link)

    return play


def answering(status: str, headers: str = "", body: str = "") -> Play:
    """Return a play that answers the handshake with plain HTTP."""

    async def play(link: Link) -> None:
        await link.read_head()
        where = headers.replace("{elsewhere}", link.proxy.elsewhere)
        answer = f"HTTP/1.1 {status}\r\n{where}Content-Length: {len(body)}\r\n\r\n{body}"
        await link.send(answer.encode())
        await link.swallow()

    return play


def saying(data: bytes) -> Play:
    """Return a play that answers the handshake with ``data``."""

    async def play(link: Link) -> None:
        await link.read_head()
        await link.send(data)

    return play


def injecting(frame: bytes) -> Play:
    """Return a play in which ``frame``, raw, precedes the server's first answer."""

    async def play(link: Link) -> None:
        await link.shake_hands()
        await link.pass_request()
        await link.send(frame)
        await link.pump()

    return play


async def drip(link: Link) -> None:
    """Bring everything, one byte at a time."""
    await link.shake_hands(1)
    await link.pump(size=1)


# --- Scripts: what the server does on one connection ---------------------------------------------------


def closing(code: int, size: int = 0) -> Script:
    """Return a script that closes with ``code`` after ``size`` bytes of audio, without ``EOS``."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:size])
        await conversation.ws.close(code=code)

    return script


def replying(message: str | bytes, size: int = 0) -> Script:
    """Return a script that sends ``message`` after ``size`` bytes of audio, and then nothing more."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:size])
        if isinstance(message, str):
            await conversation.text(message)
        else:
            await conversation.ws.send_bytes(message)
        await conversation.gone()

    return script


def surrounding(*messages: str | bytes) -> Script:
    """Return a script that speaks with ``messages`` before, in the middle of, and after the audio."""

    async def noise(conversation: Conversation) -> None:
        for message in messages:
            if isinstance(message, str):
                await conversation.text(message)
            else:
                await conversation.ws.send_bytes(message)

    async def script(conversation: Conversation) -> None:
        await noise(conversation)
        while True:
            speech = speech_of((await conversation.request())["text"])
            await noise(conversation)
            await conversation.audio(speech[:9_999])
            await noise(conversation)
            await conversation.audio(speech[9_999:])
            await noise(conversation)
            await conversation.end()

    return script


async def out_of_order(conversation: Conversation) -> None:
    """Send timing after the audio that it is about, and audio after the end."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.text('[{"v":0,"c":"A","t":0.0}]')
    await conversation.end()
    await conversation.audio(speech_of("too late"))
    await conversation.gone()


def ending_with(message: str) -> Script:
    """Return a script that speaks and ends each request with ``message``."""

    async def script(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await conversation.audio(speech_of(request["text"]))
            await conversation.text(message)

    return script


def in_pieces(size: int) -> Script:
    """Return a script that speaks in messages of ``size`` bytes."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]), size)
        await conversation.end()
        await conversation.gone()

    return script


async def mute(conversation: Conversation) -> None:
    while True:
        await conversation.request()
        await conversation.end()


async def endless(conversation: Conversation) -> None:
    await conversation.request()
    while True:
        await conversation.ws.send_bytes(bytes(88_200))


async def trickle(conversation: Conversation) -> None:
    """Send so little audio at a time that nothing of it is ever heard."""
    for byte in speech_of((await conversation.request())["text"]):
        await conversation.ws.send_bytes(bytes([byte]))
        await asyncio.sleep(0.02)


async def speak_silence(conversation: Conversation) -> None:
    """Send silence, at the pace at which it is played, and no end."""
    await conversation.request()
    while True:
        await conversation.ws.send_bytes(bytes(8_820))
        await asyncio.sleep(0.1)


async def refuse_at_once(conversation: Conversation) -> None:
    """Refuse the key right after the upgrade, before there was a request."""
    await conversation.text(_coded("auth.invalid_key"))
    await conversation.ws.close(code=1008)


async def refuse_later(conversation: Conversation) -> None:
    """Refuse the key between two requests."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.end()
    await conversation.text(_coded("auth.time_limited"))
    await conversation.ws.close(code=1008)


async def with_half_a_sample(conversation: Conversation) -> None:
    """End each request in the middle of a sample."""
    while True:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]) + b"\x7f")
        await conversation.end()


async def send_one_byte(conversation: Conversation) -> None:
    """Send half a sample for a whole text."""
    await conversation.request()
    await conversation.audio(b"\x7f")
    await conversation.end()
    await conversation.gone()


def ending_twice(first: str, second: str) -> Script:
    """Return a script that speaks, and says twice that a request has ended."""

    async def script(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await conversation.audio(speech_of(request["text"]))
            await conversation.text(first)
            await conversation.text(second)

    return script


def pinging(size: int) -> Script:
    """Return a script that sends nothing but pings after ``size`` bytes of audio."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:size])
        while not conversation.ws.closed:
            await conversation.ws.ping()
            await asyncio.sleep(0.05)

    return script


def between_requests(ending: Callable[[Conversation], Awaitable[object]]) -> Script:
    """Return a script that speaks the first request and then ends the connection."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await ending(conversation)

    return script


# --- One turn under a fault ----------------------------------------------------------------------------


class Outcome(Enum):
    """How a fault ends: what is heard, and what the developer sees."""

    IGNORED = ("The whole reply", "Nothing")
    HEALED = (
        "The whole reply, once, after a pause at most",
        "`retries` in the metrics",
    )
    SILENT = ("Nothing; the turn ends at once", "Nothing")
    RAISED = (
        "Nothing; with `FallbackTTS` the whole reply, in another voice",
        "{errors}: emitted, and raised before any text is taken",
    )
    REPORTED = (
        "What came before it; the turn ends at once",
        "{errors}: emitted",
    )
    PASSED_ON = (
        "What came before it; the turn ends at once",
        "{errors}, as it is, out of `synthesize()`",
    )
    STOPPED = ("Nothing from the interruption on", "`interrupted` in the metrics")

    @property
    def heard(self) -> str:
        return self.value[0]

    @property
    def seen(self) -> str:
        return self.value[1]


class MineError(Exception):
    """What the application's own code raises in these tests."""


@dataclass
class Turn:
    """What one turn is made of, and what came of it."""

    stage: Stage
    tts: LokutorTTS
    text: Any = TEXT
    drive: Callable[[Turn], Awaitable[None]] | None = None
    first_audio: Callable[[], None] = lambda: None
    listener: Callable[[LokutorError], None] = lambda _: None
    order: list[str] = field(default_factory=list)
    emitted: list[LokutorError] = field(default_factory=list)
    metrics: list[SynthesisMetrics] = field(default_factory=list)
    streamed: bytearray = field(default_factory=bytearray)
    raised: BaseException | None = None
    seconds: float = 0.0

    async def speak(self) -> None:
        """Speak, and note what happens in which order."""
        self._listen()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(PATIENCE):
                await (self.drive or _synthesize)(self)
            self.order.append("returned")
        except (LokutorError, MineError, TypeError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.raised = error
            self.order.append("raised")
        self.seconds = loop.time() - begun

    def _listen(self) -> None:
        async def on_first_audio() -> None:
            self.order.append("first audio")
            self.first_audio()

        def on_error(error: LokutorError) -> None:
            self.order.append("error")
            self.emitted.append(error)
            self.listener(error)

        def on_metrics(metrics: SynthesisMetrics) -> None:
            self.order.append("metrics")
            self.metrics.append(metrics)

        self.tts.on_first_audio_byte(on_first_audio)
        self.tts.on("error", on_error)
        self.tts.on("metrics", on_metrics)  # type: ignore[arg-type]


async def _synthesize(turn: Turn) -> None:
    await turn.tts.synthesize(turn.text)


Arrange = Callable[[Turn], None]


@dataclass(frozen=True)
class Row:
    """One fault at one moment, and the promise for it.

    Attributes:
        line: Which line of the reliability table it belongs to.
        name: What goes wrong, as the test's name.
        moment: When.
        outcome: How it ends.
        link: What the proxy does to a connection.
        script: What the server does on a connection.
        times: How many connections meet the fault, one after another.
        error: What is emitted or raised.
        code: The error's code.
        status: The error's status.
        retryable: The error's own word on trying again.
        heard: Bytes of the service's audio that are heard of a reply that isn't whole; None: any.
        options: Options of the plugin.
        within: Seconds that the turn may take.
        at_least: Seconds that the turn must take.
        tries: How many connections the fault must see; None: not counted.
        warm: Whether the connection is opened ahead of the turn.
        arrange: Changes the turn before it begins.
        host: What else is special about the way to the service: ``refused``, ``unresolved``, ``nameless``,
            ``tls``, ``untrusted``, ``plain`` (TLS is expected, the proxy speaks none), ``own`` or ``strict``
            (the application's own session, which may raise for each status).
    """

    line: str
    name: str
    moment: Moment
    outcome: Outcome
    link: Play | None = None
    script: Script | None = None
    times: int = 1
    error: type[Exception] | None = None
    code: str | None = None
    status: int | None = None
    retryable: bool = False
    heard: int | None = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    within: float = 10.0
    at_least: float = 0.0
    tries: int | None = None
    warm: bool = False
    arrange: Arrange | None = None
    host: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.moment.value}".replace(" ", "_")


class Stage:
    """A healthy server, the proxy before it, and a plugin that speaks through both under ``row``."""

    def __init__(self, row: Row, api_key: str = "test-key") -> None:
        self.row = row
        self.server = ScriptedServer()
        tls = server_context() if row.host in {"tls", "untrusted"} else None
        self.proxy = FaultProxy(self.server, tls)
        self.elsewhere = FaultProxy(self.server)  # Records who else is called.
        self.resolver = _Resolver()
        self._api_key = api_key
        self._session: aiohttp.ClientSession | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for part in (self.server, self.proxy, self.elsewhere):
            await self._stack.enter_async_context(part)
        self.proxy.elsewhere = f"http://localhost:{self.elsewhere.port}/ws/tts"
        if self.row.host in {"tls", "own", "strict", "unresolved"}:
            self._session = await self._stack.enter_async_context(self._own_session())
        self.tts = LokutorTTS(
            api_key=self._api_key, base_url=self.url, session=self._session, **self.row.options
        )
        self._stack.push_async_callback(self.tts.aclose)
        self.tts.audio_track = self.new_track()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where the plugin believes the service to be."""
        if self.row.host == "nameless":
            return "wss://tts.invalid"
        scheme = "wss" if self.row.host in {"tls", "untrusted", "plain"} else "ws"
        host = "tts.localhost" if self.row.host == "unresolved" else "127.0.0.1"
        return f"{scheme}://{host}:{self.proxy.port}"

    @property
    def is_quiet_between_turns(self) -> bool:
        """Whether nothing is meant to be open between two turns."""
        return not self.tts._standby._active and self._session is None

    def new_track(self) -> CustomAudioStreamTrack:
        """Return an empty track, and let the plugin speak on it."""
        track = CustomAudioStreamTrack(asyncio.get_running_loop())
        if hasattr(self, "tts"):
            self.tts.audio_track = track
        return track

    async def break_down(self) -> None:
        """Let the fault be there."""
        row = self.row
        if row.link is not None:
            self.proxy.faults.extend([row.link] * row.times)
        if row.script is not None:
            self.server.scripts.extend([row.script] * row.times)
        if row.host == "unresolved":
            self.resolver.failures = row.times
        if row.host == "refused":
            await self.proxy.refuse()
        if row.warm:
            await self.tts.prewarm()

    async def repair(self) -> None:
        """Let the fault be over. One that lies in the address itself stays."""
        self.proxy.faults.clear()
        self.server.scripts.clear()
        self.resolver.failures = 0
        if not self.proxy.listening:
            await self.proxy.listen()

    async def speak(self) -> Turn:
        """Speak one turn while the fault is there."""
        turn = Turn(self, self.tts)
        if self.row.arrange is not None:
            self.row.arrange(turn)
        await turn.speak()
        return turn

    async def all_closed(self) -> None:
        """Wait until nothing of the plugin is open, on the other side either."""
        if self._session is not None and self.tts._closed:
            await self._session.close()  # It keeps refused connections alive, for its other users.
        await self.proxy.all_closed()
        await self.server.all_closed()
        await until(lambda: not plugin_tasks())

    def _own_session(self) -> aiohttp.ClientSession:
        trust = client_context() if self.row.host == "tls" else True
        connector = aiohttp.TCPConnector(ssl=trust, resolver=self.resolver, use_dns_cache=False)
        return aiohttp.ClientSession(connector=connector, raise_for_status=self.row.host == "strict")


class _Resolver(AbstractResolver):
    """Knows every host as this machine, after ``failures`` times of knowing none."""

    def __init__(self) -> None:
        self.failures = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self.failures:
            self.failures -= 1
            raise OSError(None, "no such host")
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def plugin_tasks() -> list[asyncio.Task[Any]]:
    """Return the running tasks whose code is the plugin's or aiohttp's client's."""
    return [task for task in asyncio.all_tasks() if _is_plugins(task)]


def _is_plugins(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = "" if code is None else Path(code.co_filename).as_posix()
    return "videosdk/plugins/lokutor" in file or "aiohttp/client" in file


@functools.cache
def _certificate() -> tuple[bytes, bytes]:
    """Return the PEM of a certificate for this machine that nobody has signed, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fault proxy")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.write_bytes(b"".join(_certificate()))
        context.load_cert_chain(file)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return a context that trusts the proxy's certificate."""
    return ssl.create_default_context(cadata=_certificate()[0].decode())


# --- Faults of the application's own code --------------------------------------------------------------


def with_text(text: Callable[[], AsyncIterator[Any]]) -> Arrange:
    """Return an arrangement in which the turn speaks what ``text`` yields."""

    def arrange(turn: Turn) -> None:
        turn.text = text()

    return arrange


async def raises_at_once() -> AsyncIterator[str]:
    raise MineError
    yield ""


async def raises_later() -> AsyncIterator[str | FlushMarker]:
    yield TEXT
    yield FlushMarker()
    raise MineError


async def with_nones() -> AsyncIterator[str | FlushMarker | None]:
    yield None
    yield TEXT
    yield None


async def of_bytes() -> AsyncIterator[bytes]:
    yield TEXT.encode()


async def with_half_a_character() -> AsyncIterator[str]:
    yield TEXT.removesuffix(".")
    yield "\ud83d."


def saying_only(text: str) -> Arrange:
    """Return an arrangement in which the turn has nothing but ``text`` to say."""

    async def chunks() -> AsyncIterator[str | FlushMarker]:
        yield text
        yield FlushMarker()

    return with_text(chunks)


async def beginning_late() -> AsyncIterator[str]:
    await asyncio.sleep(0.6)  # Longer than a listener is kept waiting for text that is there.
    yield TEXT


def stalled(turn: Turn) -> None:
    """Let the text stop coming, and the listener interrupt then."""
    waiting = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "The beginning of"
        waiting.set()
        await asyncio.Event().wait()

    async def interrupted(turn: Turn) -> None:
        call = asyncio.create_task(turn.tts.synthesize(text()))
        await waiting.wait()
        await turn.tts.interrupt()
        await call

    turn.drive = interrupted


def stubborn(turn: Turn) -> None:
    """Let the text ignore its cancellation, for a while that is longer than the turn waits."""
    waiting, let_go = asyncio.Event(), asyncio.Event()

    async def text() -> AsyncIterator[str]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_go.wait()
        yield "Too late."

    async def interrupted(turn: Turn) -> None:
        call = asyncio.create_task(turn.tts.synthesize(text()))
        await waiting.wait()
        await turn.tts.interrupt()
        await call
        let_go.set()

    turn.drive = interrupted


async def of_a_cancelled_task() -> AsyncIterator[str]:
    """Wait for a model's task that somebody else has cancelled."""
    model: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    model.cancel()
    yield await model


class BrokenTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """Takes so many bytes, then raises."""

    def __init__(self, size: int) -> None:
        super().__init__(asyncio.get_running_loop())
        self._left = size

    async def add_new_bytes(self, audio_data: bytes) -> None:
        self._left -= len(audio_data)
        if self._left < 0:
            raise MineError("the track is gone")
        await super().add_new_bytes(audio_data)


class CancellingTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """Waits for a task of its own that somebody has cancelled."""

    async def add_new_bytes(self, audio_data: bytes) -> None:
        raise asyncio.CancelledError


class SlowTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """Takes longer for its first push than the service may be silent."""

    async def add_new_bytes(self, audio_data: bytes) -> None:
        if not self._cumulative_input_samples:
            await asyncio.sleep(1.3)
        await super().add_new_bytes(audio_data)


class MiscountingTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """Fails when it is asked how much it has played."""

    def snapshot_playback(self) -> tuple[int, int]:
        raise MineError("no such counter")


def on_broken_track(size: int) -> Arrange:
    def arrange(turn: Turn) -> None:
        turn.tts.audio_track = BrokenTrack(size)

    return arrange


def on_cancelling_track(turn: Turn) -> None:
    turn.tts.audio_track = CancellingTrack(asyncio.get_running_loop())


def on_slow_track(turn: Turn) -> None:
    turn.tts.audio_track = SlowTrack(asyncio.get_running_loop())


def on_miscounting_track(turn: Turn) -> None:
    turn.tts.audio_track = MiscountingTrack(asyncio.get_running_loop())


def on_track_without_a_rate(turn: Turn) -> None:
    turn.tts.audio_track.sample_rate = 0


def raising_callback(turn: Turn) -> None:
    turn.first_audio = _raise_mine


def raising_listener(turn: Turn) -> None:
    turn.listener = _raise_mine


def closed_session(turn: Turn) -> None:
    """Let the application close the session that it gave."""

    session = aiohttp.ClientSession()
    turn.tts = LokutorTTS(api_key="test-key", base_url=turn.stage.url, session=session)
    turn.tts.audio_track = turn.stage.tts.audio_track

    async def drive(turn: Turn) -> None:
        await session.close()
        await turn.tts.synthesize(turn.text)

    turn.drive = drive


def _raise_mine(*_: object) -> None:
    raise MineError


# --- The table -----------------------------------------------------------------------------------------

LINES: dict[str, str] = {
    "passing": "The service can't be reached for a moment: name lookup, refused or lost connection, "
    "broken TLS handshake, HTTP 408, 429, 5xx",
    "down": "It can't be reached within `connect_timeout` or `max_retries`",
    "key": "It refuses the API key (HTTP 401, 403)",
    "limit": "Its rate limit lasts longer than `connect_timeout` (HTTP 429 with `Retry-After`)",
    "address": "The address is wrong: HTTP 404, no WebSocket there, an untrusted certificate, a redirect "
    "(never followed: the key would travel along)",
    "waiting": "The standby connection has died, noticed or not",
    "lost": "The connection is lost or falls silent inside a reply, or between two requests",
    "gone": "It is lost again and again without progress, or no other can be opened",
    "slow": "The network is slow, or cuts messages into single bytes",
    "passing error": "The service reports an error that may pass, ends a request without any audio, or "
    "breaks the WebSocket protocol: once",
    "lasting error": "It does so at every attempt",
    "final error": "It refuses the request for good: key, voice, language, speed, steps, text, close 1008",
    "excess": "It sends unreadable audio, a message over 16 MiB, or more audio than the text can need",
    "nonsense": "It sends messages that the protocol doesn't know, or in another order",
    "text raises": "Your text iterator raises, is cancelled, or yields something that isn't text",
    "silent text": "Your text holds nothing that can be heard: `...`, a lone quotation mark, an emoji "
    "that the service keeps silent about",
    "late text": "Your text iterator takes longer than any time-out to yield its first text",
    "odd text": "Your text iterator yields `None` or half a character",
    "text stalls": "Your text iterator stalls, and the user interrupts",
    "track raises": "Your audio track raises",
    "callbacks": "Your audio track is slow or tells nonsense, or your callback or listener raises",
}
"""Lines of the reliability table: what goes wrong, in words."""

_BEFORE, _MID, _AFTER = Moment.BEFORE_AUDIO, Moment.MID_AUDIO, Moment.AFTER_AUDIO
_SPEECH = len(speech_of(TEXT))
_HEARD = len(heard_for(TEXT))
_PART = 20_001
"""Bytes of audio before a fault in the middle: half a sample is among them."""
_MESSAGES = {_BEFORE: 0, _MID: _PART, _AFTER: _SPEECH}
_ENDINGS: dict[str, Play] = {"reset": Link.reset, "FIN": Link.finish, "silence": Link.swallow}
_UNKNOWN = (
    "hello",
    "",
    "[]",
    "{broken",
    '{"type":"new"}',
    '{"type":["error"]}',
    '{"type":"timing","ttfb_ms":139}',
    '{"type":"visemes","data":7}',
    "[" * 9_000,
    '{"a":' * 9_000,
    "9" * 9_000,
    "[" + "9" * 9_000 + "]",
    b"",
)
_ERRORS = {
    "ERR: with a space": "ERR: busy",
    "ERR: without a space": "ERR:busy",
    "type error with a message": '{"type":"error","message":"busy"}',
    "type error with data": '{"type":"error","data":{"code":"tts.synthesis_failed","message":"busy"}}',
    "type error with a code on top": '{"type":"error","code":"internal.error","message":"busy"}',
    "type error with nothing": '{"type":"error"}',
    "type error with an unknown code": '{"type":"error","code":"new.code","message":"busy"}',
}
_FINAL: dict[str, type[LokutorError]] = {
    "auth.missing_key": AuthenticationError,
    "auth.invalid_key": AuthenticationError,
    "auth.time_limited": AuthenticationError,
    "validation.invalid_voice": InvalidRequestError,
    "validation.invalid_language": InvalidRequestError,
    "validation.text_too_long": InvalidRequestError,
    "validation.speed_out_of_range": InvalidRequestError,
    "validation.steps_out_of_range": InvalidRequestError,
    "validation.invalid_request_format": InvalidRequestError,
    "internal.cancelled": ServiceError,
}


def _handshake_rows() -> list[Row]:
    """Return what goes wrong before there is a WebSocket."""
    passing = {
        Moment.TCP: {"reset": at(Moment.TCP, Link.reset), "FIN": at(Moment.TCP, Link.finish)},
        Moment.UPGRADE: {
            "reset": at(Moment.UPGRADE, Link.reset),
            "FIN": at(Moment.UPGRADE, Link.finish),
            "408": answering("408 Request Timeout"),
            "429": answering("429 Too Many Requests"),
            "429 with a Retry-After that is no number": answering(
                "429 Too Many Requests", "Retry-After: \u00b2\r\n"
            ),
            "500": answering("500 Internal Server Error"),
            "503": answering("503 Service Unavailable"),
            "garbage": saying(b"\x00\xff\x15 garbage\r\n\r\n"),
            "half an answer": saying(b"HTTP/1.1 101 Switching Pro"),
        },
    }
    rows = [
        Row(
            "passing", name, moment, Outcome.HEALED, link, tries=2
        )  # aiohttp itself tries a lost one once more.
        for moment, plays in passing.items()
        for name, link in plays.items()
    ]
    return [
        *rows,
        Row("passing", "unknown host", Moment.DNS, Outcome.HEALED, times=2, host="unresolved"),
        Row("passing", "cut off", Moment.TLS, Outcome.HEALED, _drop_tls, host="tls", tries=2),
        Row(
            "passing",
            "429 with Retry-After",
            Moment.UPGRADE,
            Outcome.HEALED,
            answering("429 Too Many Requests", "Retry-After: 1\r\n"),
            at_least=1.0,
            tries=2,
        ),
        Row(
            "down",
            "a name that nobody has",
            Moment.DNS,
            Outcome.RAISED,
            error=NetworkError,
            retryable=True,
            host="nameless",
            options={"connect_timeout": 2.0},
            tries=0,
        ),
        Row("passing", "refused", Moment.TCP, Outcome.HEALED, host="refused", arrange=listening_late),
        *_unreachable_rows(),
        *_refusal_rows(),
    ]


async def _drop_tls(link: Link) -> None:
    """Cut the connection right after the TLS handshake, which the client then sees fail or end."""
    await link.reset()


def _unreachable_rows() -> list[Row]:
    down = functools.partial(Row, "down", outcome=Outcome.RAISED, retryable=True, times=ALWAYS)
    network = functools.partial(down, error=NetworkError)
    brief, once = {"connect_timeout": 0.3}, {"max_retries": 1}
    black_holes = {Moment.TCP: "", Moment.TLS: "plain", Moment.UPGRADE: ""}
    return [
        network("unknown host", Moment.DNS, host="unresolved", options={"max_retries": 2}),
        network("refused", Moment.TCP, host="refused", options={"max_retries": 2}),
        network("reset", Moment.TCP, link=at(Moment.TCP, Link.reset), options=once),
        network("cut off", Moment.TLS, link=at(Moment.TLS, Link.reset), host="plain", options=brief),
        network("ended", Moment.TLS, link=at(Moment.TLS, Link.finish), host="plain", options=brief),
        network(
            "garbage", Moment.UPGRADE, link=saying(b"\x00\xff\x15 garbage\r\n\r\n"), options=once, tries=2
        ),
        *(
            network(
                "silence",
                moment,
                link=at(moment, Link.swallow),
                host=host,
                options=brief,
                at_least=0.3,
                tries=1,
            )
            for moment, host in black_holes.items()
        ),
        *(
            down(
                str(status),
                Moment.UPGRADE,
                link=answering(str(status)),
                error=ServiceError,
                status=status,
                tries=4,
            )
            for status in (500, 503)
        ),
        network(
            "silence for a socket in waiting",
            Moment.UPGRADE,
            link=at(Moment.UPGRADE, Link.swallow),
            options={"connect_timeout": 1.5},
            at_least=1.4,
            within=2.9,
            arrange=while_warming,
        ),
    ]


def listening_late(turn: Turn) -> None:
    """Let the port be open when the first try has failed."""

    async def drive(turn: Turn) -> None:
        call = asyncio.create_task(turn.tts.synthesize(turn.text))
        await until(lambda: any(utterance._tally.retries for utterance in turn.tts._turns))
        await turn.stage.proxy.listen()
        await call

    turn.drive = drive


def while_warming(turn: Turn) -> None:
    """Let the turn begin while the socket for it is being opened."""

    async def drive(turn: Turn) -> None:
        warming = asyncio.create_task(turn.tts.prewarm())
        await until(lambda: turn.tts._standby._opening is not None)
        try:
            await turn.tts.synthesize(turn.text)
        finally:
            await warming

    turn.drive = drive


def _refusal_rows() -> list[Row]:
    refused = functools.partial(Row, moment=Moment.UPGRADE, outcome=Outcome.RAISED, times=ALWAYS, tries=1)
    redirect = "Location: {elsewhere}\r\nConnection: close\r\n"
    wrong = functools.partial(refused, "address", error=ConfigurationError)
    return [
        *(
            refused("key", str(status), link=answering(str(status)), error=AuthenticationError, status=status)
            for status in (401, 403)
        ),
        refused(
            "limit",
            "429 with a long Retry-After",
            link=answering("429 Too Many Requests", "Retry-After: 60\r\n"),
            error=RateLimitError,
            status=429,
            retryable=True,
        ),
        wrong("400", link=answering("400 Bad Request"), status=400),
        wrong("404", link=answering("404 Not Found"), status=404),
        wrong("200 without upgrade", link=answering("200 OK", body="hello"), status=200),
        *(
            wrong(
                f"{status} to another host{' for a session of your own' * bool(host)}",
                link=answering(f"{status} Moved", redirect),
                status=status,
                host=host,
            )
            for status, host in [(301, ""), (302, ""), (302, "own"), (303, ""), (307, "own"), (308, "")]
        ),
        *(
            refused(
                line,
                f"{answer[:3]} for a session that raises for each status",
                link=answering(answer, f"Connection: close\r\n{headers}"),
                error=error,
                status=int(answer[:3]),
                retryable=error is RateLimitError,
                host="strict",
            )
            for line, answer, headers, error in [
                ("key", "401 Unauthorized", "", AuthenticationError),
                ("limit", "429 Too Many Requests", "Retry-After: 60\r\n", RateLimitError),
                ("address", "404 Not Found", "", ConfigurationError),
            ]
        ),
        wrong("302 to nowhere", link=answering("302 Found"), status=302),
        wrong(
            "302 to something unreadable", link=answering("302 Found", "Location: http://[\r\n"), status=302
        ),
        wrong("untrusted certificate", moment=Moment.TLS, host="untrusted", tries=None),
        wrong(
            "a session that is closed", moment=Moment.YOURS, arrange=closed_session, host="own", tries=None
        ),
    ]


def _connection_rows() -> list[Row]:
    """Return what goes wrong with the connection once it is open."""
    healed = functools.partial(Row, "lost", outcome=Outcome.HEALED, options=SHORT)
    gone = functools.partial(Row, "gone", outcome=Outcome.REPORTED, times=ALWAYS, retryable=True)
    codes, once = (1000, 1001, 1009, 1011, 1013), {"max_retries": 1}
    return [
        *(
            healed(f"{name}{' over TLS' * bool(host)}", moment, link=at(moment, ending), host=host)
            for name, ending in _ENDINGS.items()
            for moment in (_BEFORE, _MID)
            for host in ("", "tls")
        ),
        *(
            healed(f"close {code}", moment, script=closing(code, size))
            for code in codes
            for moment, size in _MESSAGES.items()
        ),
        *(
            gone(
                f"close {code}",
                moment,
                script=closing(code, size),
                status=code,
                error=NetworkError,
                heard=size,
                options=once,
            )
            for code in codes
            for moment, size in {_BEFORE: 0, _MID: _PART}.items()
        ),
        *(healed("nothing but pings", moment, script=pinging(size)) for moment, size in _MESSAGES.items()),
        gone(
            "nothing but pings",
            _BEFORE,
            script=pinging(0),
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "silence",
            _BEFORE,
            link=at(_BEFORE, Link.swallow),
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "silence",
            _MID,
            link=at(_MID, Link.swallow),
            error=ReplyTimeoutError,
            heard=None,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "part of it, then silence",
            _MID,
            script=replying(b"", _PART),
            heard=_PART,
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0, "max_retries": 100},
            within=6.0,
        ),
        *(
            gone(
                name,
                _MID,
                script=script,
                heard=None,
                error=ReplyTimeoutError,
                options={**SHORT, "connect_timeout": 1.0, "max_retries": 100},
                within=6.0,
            )
            for name, script in {
                "a trickle of bytes": trickle,
                "silence as audio": speak_silence,
            }.items()
        ),
        gone("reset", _BEFORE, link=at(_BEFORE, Link.reset), error=NetworkError, status=1006, options=once),
        gone(
            "FIN", _MID, link=at(_MID, Link.finish), error=NetworkError, heard=None, status=1006, options=once
        ),
        *_between_rows(),
        *_waiting_rows(),
        Row("slow", "one byte at a time", _MID, Outcome.IGNORED, drip),
        Row("slow", "one byte at a time, over TLS", _MID, Outcome.IGNORED, drip, host="tls"),
        *(
            Row("slow", f"messages of {size}", _MID, Outcome.IGNORED, script=in_pieces(size))
            for size in (1, 3, 4097)
        ),
    ]


def _between_rows() -> list[Row]:
    endings: dict[str, Callable[[Conversation], Awaitable[object]]] = {
        "close 1000": lambda conversation: conversation.ws.close(),
        "close 1011": lambda conversation: conversation.ws.close(code=1011),
        "cut off": _abort,
        "an error": lambda conversation: conversation.text("ERR: restarting"),
    }
    return [
        Row(
            "lost",
            name,
            Moment.BETWEEN,
            Outcome.HEALED,
            script=between_requests(ending),
            arrange=in_two_requests,
        )
        for name, ending in endings.items()
    ]


async def of_three_requests() -> AsyncIterator[str | FlushMarker]:
    for text in (TEXT, NEXT_TEXT, "And one more."):
        yield text
        yield FlushMarker()


async def _abort(conversation: Conversation) -> None:
    await asyncio.sleep(0.05)  # So that the audio leaves before the reset overtakes it.
    conversation.abort()


def in_two_requests(turn: Turn) -> None:
    """Let the second request's text come when the first request has ended."""

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield TEXT
        yield FlushMarker()
        await until(lambda: turn.tts.audio_track._cumulative_input_samples >= _SPEECH // 2 * 240 // 441 - 40)
        yield NEXT_TEXT

    turn.text = text()


def _waiting_rows() -> list[Row]:
    waiting = functools.partial(Row, "waiting", outcome=Outcome.HEALED, warm=True)
    return [
        *(
            waiting(name, Moment.WAITING, link=at(Moment.WAITING, ending))
            for name, ending in _ENDINGS.items()
        ),
        *(
            waiting(f"{name} when it is needed", _BEFORE, link=at(_BEFORE, ending))
            for name, ending in _ENDINGS.items()
        ),
        waiting("silence over TLS", Moment.WAITING, link=at(Moment.WAITING, Link.swallow), host="tls"),
        waiting("reset over TLS", Moment.WAITING, link=at(Moment.WAITING, Link.reset), host="tls"),
        waiting("close 1008 when it is needed", _BEFORE, script=closing(1008)),
        Row(
            "gone",
            "silence, and the service is down",
            Moment.WAITING,
            Outcome.REPORTED,
            at(Moment.WAITING, Link.swallow),
            error=ServiceError,
            status=503,
            retryable=True,
            warm=True,
            arrange=then_down,
        ),
    ]


def then_down(turn: Turn) -> None:
    """Let nothing take the place of the waiting socket."""
    turn.stage.proxy.faults.extend([answering("503")] * ALWAYS)


def _service_rows() -> list[Row]:
    """Return what the service itself does wrong."""
    return [
        *(
            Row("passing error", name, moment, Outcome.HEALED, script=replying(message, size))
            for name, message in _ERRORS.items()
            for moment, size in _MESSAGES.items()
        ),
        *_lasting_rows(),
        *_final_rows(),
        Row("passing error", "EOS without audio", _BEFORE, Outcome.HEALED, script=_mute_once),
        Row("passing error", "EOS after half a sample", _BEFORE, Outcome.HEALED, script=send_one_byte),
        Row(
            "passing error",
            "EOS without audio after a reset",
            _BEFORE,
            Outcome.HEALED,
            script=mute,
            link=None,
            arrange=reset_first,
        ),
        Row(
            "lasting error",
            "EOS without audio",
            _BEFORE,
            Outcome.REPORTED,
            script=mute,
            times=ALWAYS,
            error=ServiceError,
        ),
        Row(
            "excess",
            "audio without end",
            _MID,
            Outcome.REPORTED,
            script=endless,
            error=ServiceError,
            heard=None,
            within=20.0,
        ),
        *_nonsense_rows(),
        *_unreadable_rows(),
    ]


async def _mute_once(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.end()
    await conversation.gone()


def reset_first(turn: Turn) -> None:
    turn.stage.server.scripts.appendleft(closing(1011))


def _lasting_rows() -> list[Row]:
    lasting = functools.partial(
        Row,
        "lasting error",
        outcome=Outcome.REPORTED,
        times=ALWAYS,
        retryable=True,
        options={"max_retries": 1},
    )
    codes: dict[str, type[LokutorError]] = {
        "tts.synthesis_failed": ServiceError,
        "tts.voice_unavailable": ServiceError,
        "tts.model_not_found": ServiceError,
        "internal.error": ServiceError,
        "internal.timeout": ServiceError,
        "auth.rate_limited": RateLimitError,
        "tts.session_limit_reached": RateLimitError,
    }
    return [
        *(
            lasting(code, _BEFORE, script=replying(_coded(code)), code=code, error=error)
            for code, error in codes.items()
        ),
        lasting("ERR:", _MID, script=replying("ERR: busy", _PART), heard=_PART, error=ServiceError),
        lasting(
            "an error of 1 MB", _BEFORE, script=replying("ERR: " + "busy " * 200_000), error=ServiceError
        ),
    ]


def _final_rows() -> list[Row]:
    final = functools.partial(Row, "final error", outcome=Outcome.REPORTED, times=ALWAYS, tries=1)
    return [
        *(
            final(code, _BEFORE, script=replying(_coded(code)), code=code, error=error)
            for code, error in _FINAL.items()
        ),
        *(
            final(
                "validation.invalid_voice",
                moment,
                script=replying(_coded("validation.invalid_voice"), size),
                code="validation.invalid_voice",
                error=InvalidRequestError,
                heard=size,
            )
            for moment, size in {_MID: _PART, _AFTER: _SPEECH}.items()
        ),
        final(
            "auth.invalid_key before a request",
            Moment.UPGRADE,
            script=refuse_at_once,
            code="auth.invalid_key",
            error=AuthenticationError,
        ),
        final(
            "auth.time_limited",
            Moment.BETWEEN,
            script=refuse_later,
            code="auth.time_limited",
            error=AuthenticationError,
            heard=_SPEECH,
            arrange=in_two_requests,
        ),
        *(
            final(
                "close 1008", moment, script=closing(1008, size), status=1008, error=ServiceError, heard=size
            )
            for moment, size in {_BEFORE: 0, _MID: _PART}.items()
        ),
    ]


def _coded(code: str) -> str:
    return f'{{"type":"error","data":{{"code":"{code}","message":"no"}}}}'


def _nonsense_rows() -> list[Row]:
    nonsense = functools.partial(Row, "nonsense", outcome=Outcome.IGNORED)
    ends = (" EOS", "EOS\n", "\tEOS \r\n", '{"type":"eos"}', ' {"type": "eos"}\n')
    return [
        *(
            nonsense(f"message {number}", _MID, script=surrounding(message))
            for number, message in enumerate(_UNKNOWN)
        ),
        *(nonsense(f"the end as {end!r}", _AFTER, script=ending_with(end)) for end in ends),
        *(
            nonsense(
                f"two ends, {first!r} and {second!r}",
                Moment.BETWEEN,
                script=ending_twice(first, second),
                arrange=with_text(of_three_requests),
                tries=1,
            )
            for first, second in (("EOS", '{"type":"eos"}'), ('{"type":"eos"}', "EOS"))
        ),
        nonsense(
            "half a sample at the end",
            Moment.BETWEEN,
            script=with_half_a_sample,
            arrange=with_text(of_three_requests),
            tries=1,
        ),
        nonsense("timing after audio, audio after EOS", _AFTER, script=out_of_order),
        nonsense("EOS before any request", Moment.WAITING, script=_early_end, warm=True),
    ]


async def _early_end(conversation: Conversation) -> None:
    await conversation.end()
    await conversation.audio(b"\1\2\3")
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.end()
    await conversation.gone()


def _unreadable_rows() -> list[Row]:
    frames = {
        "text that isn't UTF-8": b"\x81\x02\xff\xfe",
        "an unknown opcode": b"\x83\x00",
        "reserved bits": b"\xf1\x01a",
        "a continuation of nothing": b"\x80\x01a",
        "a ping that is too long": b"\x89\x7e\x00\x7e" + bytes(126),
    }
    broken = '{"type":"audio","data":"%%%"}'
    final = functools.partial(Row, "excess", outcome=Outcome.REPORTED, error=ProtocolError, times=ALWAYS)
    return [
        *(
            Row("passing error", name, _BEFORE, Outcome.HEALED, injecting(frame))
            for name, frame in frames.items()
        ),
        Row(
            "lasting error",
            "text that isn't UTF-8",
            _BEFORE,
            Outcome.REPORTED,
            injecting(frames["text that isn't UTF-8"]),
            times=ALWAYS,
            error=ProtocolError,
            status=1007,
            retryable=True,
        ),
        *(
            final("audio that isn't base64", moment, script=replying(broken, size), heard=size, tries=1)
            for moment, size in _MESSAGES.items()
        ),
        final("64 MiB", _BEFORE, script=replying(bytes(64 * 1024**2)), status=1009, tries=1),
        final("64 MiB", _MID, script=replying(bytes(64 * 1024**2), _PART), status=1009, heard=_PART, tries=1),
        final("64 MiB of text", _BEFORE, script=replying("x" * 64 * 1024**2), status=1009, tries=1),
    ]


def _own_rows() -> list[Row]:
    """Return what goes wrong in the application itself."""
    yours = functools.partial(Row, moment=Moment.YOURS)
    passed_on, ignored = Outcome.PASSED_ON, Outcome.IGNORED
    return [
        yours(
            "text raises",
            "the text raises at once",
            outcome=passed_on,
            error=MineError,
            arrange=with_text(raises_at_once),
        ),
        yours(
            "text raises",
            "the text raises later",
            outcome=passed_on,
            error=MineError,
            heard=None,
            arrange=with_text(raises_later),
        ),
        yours(
            "text raises",
            "the text yields bytes",
            outcome=passed_on,
            error=TypeError,
            arrange=with_text(of_bytes),
        ),
        yours(
            "text raises",
            "the text is cancelled",
            outcome=passed_on,
            error=asyncio.CancelledError,
            arrange=with_text(of_a_cancelled_task),
        ),
        *(
            yours("silent text", f"the text is {text!r}", outcome=Outcome.SILENT, arrange=saying_only(text))
            for text in ("...", "—", "?!", '"', "。", " ")
        ),
        yours(
            "silent text",
            "the text is an emoji without a sound",
            outcome=Outcome.SILENT,
            arrange=saying_only("🙂"),
            script=mute,
        ),
        yours(
            "late text",
            "the text begins late",
            outcome=ignored,
            arrange=with_text(beginning_late),
            options={"connect_timeout": 0.3, "first_audio_timeout": 0.1},
        ),
        yours("odd text", "the text yields None", outcome=ignored, arrange=with_text(with_nones)),
        yours(
            "odd text",
            "the text yields half a character",
            outcome=ignored,
            arrange=with_text(with_half_a_character),
        ),
        yours("text stalls", "the text stalls", outcome=Outcome.STOPPED, arrange=stalled),
        yours("text stalls", "the text ignores its cancellation", outcome=Outcome.STOPPED, arrange=stubborn),
        *(
            yours(
                "track raises",
                f"the track raises at {where}",
                outcome=Outcome.REPORTED,
                error=TrackError,
                arrange=on_broken_track(size),
                heard=None,
            )
            for where, size in {"once": 0, "a later time": 20_000, "the very end": _HEARD - 10}.items()
        ),
        yours(
            "track raises",
            "the track raises CancelledError",
            outcome=Outcome.REPORTED,
            error=TrackError,
            arrange=on_cancelling_track,
            heard=None,
        ),
        yours(
            "callbacks",
            "the track is slow",
            outcome=ignored,
            arrange=on_slow_track,
            options={"idle_timeout": 1.0},
        ),
        yours(
            "callbacks",
            "the track's count raises",
            outcome=ignored,
            arrange=on_miscounting_track,
            options={"word_timestamps": True, "visemes": True},
        ),
        yours("callbacks", "the track's rate is 0", outcome=ignored, arrange=on_track_without_a_rate),
        yours("callbacks", "the first-audio callback raises", outcome=ignored, arrange=raising_callback),
        yours(
            "lasting error",
            "the error listener raises",
            outcome=Outcome.REPORTED,
            arrange=raising_listener,
            script=replying("ERR: busy"),
            times=ALWAYS,
            error=ServiceError,
            retryable=True,
            options={"max_retries": 0},
        ),
    ]


ROWS: list[Row] = [*_handshake_rows(), *_connection_rows(), *_service_rows(), *_own_rows()]
"""The table: each row is a test."""


def reliability_table() -> str:
    """Return the table in words, as Markdown: one line for each kind of fault."""
    lines = ["| What goes wrong | What the caller hears | What the developer sees |", "|---|---|---|"]
    for key, fault in LINES.items():
        rows = [row for row in ROWS if row.line == key]
        [outcome] = {row.outcome for row in rows}
        names = dict.fromkeys(_name(row.error) for row in rows if row.error is not None)
        errors = " or ".join(names)
        lines.append(f"| {fault} | {outcome.heard} | {outcome.seen.format(errors=errors)} |")
    return "\n".join(lines) + "\n"


def _name(error: type[Exception]) -> str:
    return "Your exception" if error is MineError else f"`{error.__name__}`"

"""What the tests share: a scripted server, what a track was given, and a wait that knows no clock."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

import numpy as np
from aiohttp import web
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.resample import Resampler
from videosdk.plugins.lokutor.errors import LokutorError

PATIENCE = 20.0
"""Seconds that a loaded machine may take for what is due at once."""
SAMPLES_PER_CHARACTER = 882


def speech_of(text: str) -> bytes:
    """Return the 44 100 Hz PCM that the scripted server speaks for ``text``: 20 ms a character."""
    steps = np.arange(SAMPLES_PER_CHARACTER)
    waves = [np.sin(2 * np.pi * (100 + ord(char) % 251) * steps / 44_100) for char in text]
    return (np.concatenate(waves or [np.zeros(0)]) * 12_000).astype("<i2").tobytes()


def at_track_rate(pcm: bytes, rate: int = 24_000) -> bytes:
    """Return what the listener gets for ``pcm``: resampled, then silence up to a whole 20 ms frame."""
    resampler = Resampler(44_100, rate)
    heard = resampler.process(pcm) + resampler.flush()
    return heard + bytes(-len(heard) % (rate // 50 * 2))


def heard_for(*texts: str, rate: int = 24_000) -> bytes:
    """Return what a listener hears of a whole reply whose requests were ``texts``."""
    return at_track_rate(b"".join(map(speech_of, texts)), rate)


def on_track(track: CustomAudioStreamTrack) -> bytes:
    """Return all PCM that waits on a track nobody plays, a rest shorter than a frame included."""
    frames = [frame.to_ndarray().astype("<i2").tobytes() for frame in track.frame_buffer]
    return b"".join(frames) + bytes(track.audio_data_buffer)


def pushed_samples(track: CustomAudioStreamTrack) -> int:
    """Return how many samples the track ever accepted."""
    return int(track._cumulative_input_samples)


class Listener:
    """Plays a track a frame at a time, as fast as it is asked to: its ``recv()`` never waits."""

    def __init__(self, track: CustomAudioStreamTrack) -> None:
        self._track = track
        self.heard = b""

    async def hear(self, frames: int = 1) -> None:
        """Play so many frames of 20 ms."""
        for _ in range(frames):
            self._track._start = 0.0  # type: ignore[assignment]  # Long ago: there is much to catch up on.
            frame = await self._track.recv()
            self.heard += frame.to_ndarray().astype("<i2").tobytes()


class BareTrack:
    """A track of somebody else's: it takes audio, and that is all."""

    def __init__(self) -> None:
        self.pcm = b""

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.pcm += pcm

    def interrupt(self) -> None:
        return


async def chunks_of(chunks: Iterable[str | FlushMarker]) -> AsyncIterator[str | FlushMarker]:
    for chunk in chunks:
        yield chunk


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that only other tasks of this loop can bring about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is watched notifies nobody
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Wait for several looks at the track, however loaded the machine is."""
    for _ in range(5):
        await asyncio.sleep(0.005)


def emitted_by(tts: LokutorTTS, event: str) -> list[Any]:
    """Return a list that grows by what ``tts`` emits with each ``event``."""
    emitted: list[Any] = []

    def on_event(what: Any) -> None:
        emitted.append(what)

    tts.on(event, on_event)  # type: ignore[arg-type]  # Some of the events are the plugin's own.
    return emitted


def listen(tts: LokutorTTS) -> list[LokutorError]:
    """Return a list that grows by each error that ``tts`` emits."""
    return emitted_by(tts, "error")


async def interrupt_late(tts: LokutorTTS, track: CustomAudioStreamTrack, following: str) -> None:
    """Talk over a turn once it is heard, and speak ``following`` whole.

    The framework's second interrupt, from the task of the turn that it has cancelled, comes when that one
    has begun.
    """
    next_begun = asyncio.Event()

    async def first_turn() -> None:
        try:
            await tts.synthesize("To be talked over.")
        finally:
            await next_begun.wait()
            await tts.interrupt()

    first = asyncio.create_task(first_turn())
    await until(lambda: pushed_samples(track) > 0)
    await tts.interrupt()
    first.cancel()
    await asyncio.sleep(0)
    track.frame_buffer.clear()
    second = asyncio.create_task(tts.synthesize(following))
    await asyncio.sleep(0)
    next_begun.set()
    await asyncio.wait({first}, timeout=PATIENCE)
    await asyncio.wait_for(second, PATIENCE)


class Clock:
    """The running loop's clock, which a test can put forward.

    Only for loops written in Python: uvloop's clock is not to be replaced.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self._now  # type: ignore[method-assign]

    async def advance(self, seconds: float) -> None:
        """Let so much time have passed, and whatever is due by then happen."""
        self._ahead += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    def _now(self) -> float:
        return self._real() + self._ahead


class Conversation:
    """The server's side of one connection."""

    def __init__(self, ws: web.WebSocketResponse, http: web.Request) -> None:
        self.ws = ws
        self.http = http
        self.requests: list[dict[str, Any]] = []
        self.closed = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [request["text"] for request in self.requests]

    async def request(self) -> dict[str, Any]:
        """Return the client's next request.

        Raises:
            EOFError: The client is gone.
        """
        message = await self.ws.receive()
        if message.type is not web.WSMsgType.TEXT:
            raise EOFError
        self.requests.append(json.loads(message.data))
        return self.requests[-1]

    async def audio(self, pcm: bytes, size: int = 4096) -> None:
        for start in range(0, len(pcm), size):
            await self.ws.send_bytes(pcm[start : start + size])

    async def text(self, message: str) -> None:
        await self.ws.send_str(message)

    async def end(self) -> None:
        await self.text("EOS")

    async def gone(self) -> None:
        """Wait until the client is gone, answering nothing."""
        while True:
            await self.request()

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        assert self.http.transport is not None
        self.http.transport.abort()


Script = Callable[[Conversation], Awaitable[None]]


async def speak(conversation: Conversation) -> None:
    """Answer every request with its speech: the script of a healthy server."""
    while True:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()


def visemes_of(text: str) -> str:
    """Return the message with the visemes of what :func:`speech_of` speaks: one for each character."""
    items = [
        {"v": index, "c": "sil" if char.isspace() else char, "t": index * SAMPLES_PER_CHARACTER / 44_100}
        for index, char in enumerate(text)
    ]
    return json.dumps(items)


async def speak_timed(conversation: Conversation) -> None:
    """Answer every request with its visemes and its speech."""
    while True:
        request = await conversation.request()
        await conversation.text(visemes_of(request["text"]))
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()


async def close_on_request(conversation: Conversation) -> None:
    """Close without an answer, instead of speaking."""
    await conversation.request()
    await conversation.ws.close()


async def cut_on_request(conversation: Conversation) -> None:
    """Cut the connection without a close frame, instead of speaking."""
    await conversation.request()
    conversation.abort()


async def refusing(status: int, headers: dict[str, str] | None = None) -> tuple[web.AppRunner, str]:
    """Start a server that answers every handshake with ``status``."""

    async def refuse(http: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"ws://127.0.0.1:{runner.addresses[0][1]}"


class LoopbackServer(ABC):
    """A real HTTP server on loopback, at a free port.

    Args:
        path: The only one that it knows.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        assert self._runner is not None
        return f"ws://127.0.0.1:{self._runner.addresses[0][1]}"

    @abstractmethod
    async def _serve(self, http: web.Request) -> web.StreamResponse:
        """Answer what is asked at the path."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get(self._path, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1_024).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


class ScriptedServer(LoopbackServer):
    """A WebSocket server; each connection plays the next script, then :func:`speak`."""

    def __init__(self) -> None:
        super().__init__("/ws/tts")
        self.scripts: deque[Script] = deque()
        self.conversations: list[Conversation] = []
        self.peak = 0  # Most connections that were ever open at once.
        self.away = False  # Whether every handshake is refused.
        self.refused = 0
        self.waiting = 0  # Handshakes that wait for an answer.
        self.answering = asyncio.Event()  # While it is not set, handshakes wait.
        self.answering.set()

    @property
    def url(self) -> str:
        return self.address

    @property
    def texts(self) -> list[str]:
        """Texts of all requests, in order of their connections."""
        return [text for conversation in self.conversations for text in conversation.texts]

    @property
    def open_connections(self) -> int:
        return sum(not conversation.closed.is_set() for conversation in self.conversations)

    async def all_closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            for conversation in self.conversations:
                await conversation.closed.wait()

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        self.waiting += 1
        await self.answering.wait()
        self.waiting -= 1
        if self.away:
            self.refused += 1
            return web.Response(status=503)
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(http)
        conversation = Conversation(ws, http)
        self.conversations.append(conversation)
        self.peak = max(self.peak, self.open_connections)
        script = self.scripts.popleft() if self.scripts else speak
        try:
            await script(conversation)
        except (EOFError, ConnectionError):
            pass  # The client went away: the end of every script.
        finally:
            conversation.closed.set()
        return ws

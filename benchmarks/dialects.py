"""One synthetic voice that speaks three services' WebSocket protocols.

All three do the same work for the same text: the same signal (at the rate that the client asks for),
the same wait before the first audio, the same pieces at the same pace. Only the wrapping differs, and
each is what that service's plugin expects. What the voice sent, and when, is noted for the rows that
ask how long a server goes on after a barge-in.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from aiohttp import WSMsgType, web

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE as LOKUTOR_RATE
from videosdk.plugins.lokutor._audio.pcm import SAMPLE_WIDTH
from videosdk.plugins.lokutor._audio.resample import Resampler
from videosdk.plugins.lokutor.local.signal_engine import signal as local_signal

from .plan import ServiceBehaviour

_HANG = 60.0
"""Seconds that a stubborn server keeps a connection it doesn't read."""

Send = Callable[[bytes], Awaitable[None]]
Step = Callable[[], Awaitable[None]]


@lru_cache(maxsize=64)
def signal(text: str, rate: int) -> bytes:
    """Return the PCM of ``text``: signed 16-bit little-endian mono at ``rate``."""
    pcm = local_signal(text)
    if rate == LOKUTOR_RATE:
        return pcm
    resampler = Resampler(LOKUTOR_RATE, rate)
    return resampler.process(pcm) + resampler.flush()


class Voice:
    """Speaks in the current behaviour, and notes what it sent."""

    def __init__(self) -> None:
        self.behaviour = ServiceBehaviour()
        self.sent: list[tuple[float, str, str, float]] = []
        """Moment (monotonic clock), dialect, text and seconds of each piece."""

    async def speak(self, dialect: str, text: str, rate: int, send: Send) -> None:
        """Send the audio of ``text``; each piece leaves when it is due, however late the one before."""
        asked = time.monotonic()
        behaviour = self.behaviour
        pcm = signal(text, rate)
        size = min(int(behaviour.piece * rate) * SAMPLE_WIDTH, len(pcm))
        for start in range(0, len(pcm), size):
            played = start / SAMPLE_WIDTH / rate
            await _sleep_until(asked + behaviour.first_audio + played / behaviour.pace)
            piece = pcm[start : start + size]
            await send(piece)
            self.sent.append((time.monotonic(), dialect, text, len(piece) / SAMPLE_WIDTH / rate))


class _Turn:
    """Steps (texts to speak, messages to send) that are done one after another."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[Step] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())

    def then(self, step: Step) -> None:
        self._steps.put_nowait(step)

    def cancel(self) -> None:
        self._task.cancel()

    async def _work(self) -> None:
        try:
            while True:
                await (await self._steps.get())()
        except ConnectionError:
            pass  # The client is gone, which its connection's handler notices as well.


class _Dialect:
    """One client's connection."""

    name: str

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        self._voice = voice
        self._ws = ws
        self._turns: list[_Turn] = []

    def take(self, message: dict[str, Any]) -> bool:
        """Take one message of the client; return whether it was a text to speak."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop speaking."""
        for turn in self._turns:
            turn.cancel()

    def _new_turn(self) -> _Turn:
        self._turns.append(_Turn())
        return self._turns[-1]


class Lokutor(_Dialect):
    """A request is a text; its audio is binary and ends with ``EOS``."""

    name = "lokutor"

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._turn = self._new_turn()

    def take(self, message: dict[str, Any]) -> bool:
        """Every message is a text."""
        text = message["text"]
        self._turn.then(lambda: self._voice.speak(self.name, text, LOKUTOR_RATE, self._ws.send_bytes))
        self._turn.then(lambda: self._ws.send_str("EOS"))
        return True


class Lmnt(_Dialect):
    """Settings come first, then texts; after ``eof`` the server drains and closes."""

    name = "lmnt"

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._turn = self._new_turn()
        self._rate = 0

    def take(self, message: dict[str, Any]) -> bool:
        """Settings, a text, or the end; ``flush`` changes nothing, for every text is spoken at once."""
        if "sample_rate" in message:
            self._rate = message["sample_rate"]
        if message.get("eof") and not self._voice.behaviour.stubborn:
            self._turn.then(self._close)
        text = message.get("text")
        if text:
            self._turn.then(lambda: self._voice.speak(self.name, text, self._rate, self._ws.send_bytes))
        return bool(text)

    async def _close(self) -> None:
        await self._ws.close()


class Cartesia(_Dialect):
    """Many turns on one connection, told apart by a context id; audio is base64 in JSON."""

    name = "cartesia"

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._contexts: dict[str, _Turn] = {}

    def take(self, message: dict[str, Any]) -> bool:
        """A text of a context, or its end."""
        context = message["context_id"]
        turn = self._contexts.get(context) or self._contexts.setdefault(context, self._new_turn())
        text = message["transcript"].strip()
        rate = message["output_format"]["sample_rate"]
        if text:
            turn.then(lambda: self._voice.speak(self.name, text, rate, lambda pcm: self._send(context, pcm)))
        if not message["continue"]:
            turn.then(lambda: self._send(context, b"", done=True))
        return bool(text)

    async def _send(self, context: str, pcm: bytes, *, done: bool = False) -> None:
        reply: dict[str, Any] = {"type": "done" if done else "chunk", "context_id": context, "done": done}
        if pcm:
            reply["data"] = base64.b64encode(pcm).decode("ascii")
        await self._ws.send_str(json.dumps(reply))


_PATHS: dict[str, type[_Dialect]] = {
    "/lokutor": Lokutor,
    "/lmnt": Lmnt,
    "/cartesia/tts/websocket": Cartesia,
}


def make_app(voice: Voice) -> web.Application:
    """Return the service, one path per dialect."""

    def handler(dialect: type[_Dialect]) -> Callable[[web.Request], Awaitable[web.WebSocketResponse]]:
        return lambda http: _converse(http, dialect, voice)

    app = web.Application()
    for path, dialect in _PATHS.items():
        app.router.add_get(path, handler(dialect))
    return app


async def _converse(http: web.Request, dialect: type[_Dialect], voice: Voice) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(timeout=1.0)
    await ws.prepare(http)
    client = dialect(voice, ws)
    try:
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                break
            if client.take(json.loads(message.data)) and voice.behaviour.stubborn:
                await _stop_reading(http)
    finally:
        client.cancel()
    return ws


async def _stop_reading(http: web.Request) -> None:
    assert http.transport is not None
    http.transport.pause_reading()
    await asyncio.sleep(_HANG)


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def make_control(voice: Voice) -> web.Application:
    """Return the control URL: the behaviour is set and the notes are fetched over plain HTTP."""

    async def set_behaviour(http: web.Request) -> web.Response:
        voice.behaviour = ServiceBehaviour(**await http.json())
        return web.Response()

    async def prepare(http: web.Request) -> web.Response:
        signal(**await http.json())  # So that no run of a row waits for the signal to be computed.
        return web.Response()

    async def take_notes(_http: web.Request) -> web.Response:
        notes, voice.sent = voice.sent, []
        return web.json_response(notes)

    app = web.Application()
    app.router.add_post("/behaviour", set_behaviour)
    app.router.add_post("/signal", prepare)
    app.router.add_get("/sent", take_notes)
    return app

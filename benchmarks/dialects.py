"""One synthetic voice that speaks five services' WebSocket protocols.

All of them do the same work for the same text: the same signal (at the rate that the client asks for),
the same wait before the first audio, the same pieces at the same pace. Only the wrapping differs, and
each is what that service's plugin expects. What was asked of the voice and what it sent, and when, is noted
for the rows that ask what a server still does after a barge-in, and what was sent to it in vain.
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

from .contenders import FLOOR
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
        self.asked: list[tuple[float, str, bool, int]] = []
        """Moment, dialect, whether a request began with it, and characters of each text."""
        self.late: list[float] = []
        """Seconds that pieces left after they were due."""

    def note(self, dialect: str, text: str, *, begins: bool) -> None:
        """Note a text that came."""
        self.asked.append((time.monotonic(), dialect, begins, len(text)))

    async def speak(self, dialect: str, text: str, rate: int, send: Send) -> None:
        """Send the audio of ``text``; each piece leaves when it is due, however late the one before."""
        asked = time.monotonic()
        behaviour = self.behaviour
        pcm = signal(text, rate)
        size = min(int(behaviour.piece * rate) * SAMPLE_WIDTH, len(pcm))
        for start in range(0, len(pcm), size):
            played = start / SAMPLE_WIDTH / rate
            due = asked + behaviour.first_audio + played / behaviour.pace
            await _sleep_until(due)
            self.late.append(time.monotonic() - due)
            piece = pcm[start : start + size]
            await send(piece)
            self.sent.append((time.monotonic(), dialect, text, len(piece) / SAMPLE_WIDTH / rate))


class _Turn:
    """Steps (texts to speak, messages to send) that are done one after another."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())

    def then(self, step: Step) -> None:
        self._steps.put_nowait(step)

    def end(self) -> None:
        """Take no more steps."""
        self._steps.put_nowait(None)

    def cancel(self) -> None:
        self._task.cancel()

    async def _work(self) -> None:
        try:
            while (step := await self._steps.get()) is not None:
                await step()
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
    rate = LOKUTOR_RATE

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._turn = self._new_turn()

    def take(self, message: dict[str, Any]) -> bool:
        """Every message is a text."""
        text = message["text"]
        self._voice.note(self.name, text, begins=True)
        self._turn.then(lambda: self._voice.speak(self.name, text, self.rate, self._ws.send_bytes))
        self._turn.then(lambda: self._ws.send_str("EOS"))
        return True


class Floor(Lokutor):
    """The same at the track's rate, for what needs no conversion."""

    name = FLOOR
    rate = 24_000


class Lmnt(_Dialect):
    """Settings come first, then texts; after ``eof`` the server drains and closes."""

    name = "lmnt"

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._turn = self._new_turn()
        self._rate = 0
        self._begun = False

    def take(self, message: dict[str, Any]) -> bool:
        """Settings, a text, or the end; ``flush`` changes nothing, for every text is spoken at once."""
        if "sample_rate" in message:
            self._rate = message["sample_rate"]
        if message.get("eof") and not self._voice.behaviour.stubborn:
            self._turn.then(self._close)
        text = message.get("text")
        if text:
            self._voice.note(self.name, text, begins=not self._begun)
            self._begun = True
            self._turn.then(lambda: self._voice.speak(self.name, text, self._rate, self._ws.send_bytes))
        return bool(text)

    async def _close(self) -> None:
        await self._ws.close()


class _Contexts(_Dialect):
    """Many turns on one connection, told apart by a context id; audio is base64 in JSON."""

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._contexts: dict[str, _Turn] = {}

    def _speak(self, context: str, text: str, rate: int) -> None:
        begins = context not in self._contexts
        if begins:
            self._contexts[context] = self._new_turn()
        self._voice.note(self.name, text, begins=begins)
        self._contexts[context].then(
            lambda: self._voice.speak(self.name, text, rate, lambda pcm: self._send(context, pcm))
        )

    def _end(self, context: str) -> None:
        """End ``context`` once all of its text is spoken."""
        turn = self._contexts.pop(context, None)
        if turn is not None:
            turn.then(lambda: self._send(context, b""))
            turn.end()

    async def _send(self, context: str, pcm: bytes) -> None:
        """Send audio, or the end where there is none."""
        await self._ws.send_str(json.dumps(self._reply(context, base64.b64encode(pcm).decode("ascii"))))

    def _reply(self, context: str, data: str) -> dict[str, Any]:
        raise NotImplementedError


class Cartesia(_Contexts):
    """A context ends with ``continue: false``."""

    name = "cartesia"

    def take(self, message: dict[str, Any]) -> bool:
        """A text of a context, or its end."""
        context, text = message["context_id"], message["transcript"].strip()
        if text:
            self._speak(context, text, message["output_format"]["sample_rate"])
        if not message["continue"]:
            self._end(context)
        return bool(text)

    def _reply(self, context: str, data: str) -> dict[str, Any]:
        done = not data
        reply = {"type": "done" if done else "chunk", "context_id": context, "done": done}
        return reply if done else {**reply, "data": data}


class ElevenLabs(_Contexts):
    """A context begins with a blank, and ends with ``close_context``.

    By the service's own reference, a context that "has already been set to flush" goes on flushing when it
    is closed. The plugin sets it with every text, so that closing cancels nothing.
    """

    name = "elevenlabs"

    def take(self, message: dict[str, Any]) -> bool:
        """A text of a context, or its end; ``flush`` changes nothing, for every text is spoken at once."""
        text = message.get("text", "").strip()
        if text:
            self._speak(message["context_id"], text, 24_000)
        if message.get("close_context"):
            self._end(message["context_id"])
        return bool(text)

    def _reply(self, context: str, data: str) -> dict[str, Any]:
        return {"contextId": context, "audio": data} if data else {"contextId": context, "isFinal": True}


class Deepgram(_Dialect):
    """Texts, and ``Flush``, which is answered with ``Flushed`` behind the audio.

    Nothing in it tells turns apart. ``Clear`` would drop what is left of a turn; the plugin never sends it.
    """

    name = "deepgram"

    def __init__(self, voice: Voice, ws: web.WebSocketResponse) -> None:
        super().__init__(voice, ws)
        self._turn = self._new_turn()
        self._flushed = True

    def take(self, message: dict[str, Any]) -> bool:
        """A text, which is spoken at once, or ``Flush``."""
        if message["type"] == "Flush":
            self._flushed = True
            self._turn.then(lambda: self._ws.send_str(json.dumps({"type": "Flushed", "sequence_id": 0})))
        if message["type"] != "Speak":
            return False
        text = message["text"]
        self._voice.note(self.name, text, begins=self._flushed)
        self._flushed = False
        self._turn.then(lambda: self._voice.speak(self.name, text, 24_000, self._ws.send_bytes))
        return True


_PATHS: dict[str, type[_Dialect]] = {
    f"/{FLOOR}": Floor,
    "/lokutor": Lokutor,
    "/lmnt": Lmnt,
    "/cartesia/tts/websocket": Cartesia,
    "/elevenlabs/v1/text-to-speech/{voice}/multi-stream-input": ElevenLabs,
    "/deepgram": Deepgram,
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

    async def take_asked(_http: web.Request) -> web.Response:
        asked, voice.asked = voice.asked, []
        return web.json_response(asked)

    async def take_load(_http: web.Request) -> web.Response:
        late, voice.late = voice.late, []
        voice.sent, voice.asked = [], []
        return web.json_response({"processor": time.process_time(), "late": late})

    app = web.Application()
    app.router.add_get("/asked", take_asked)
    app.router.add_get("/load", take_load)
    app.router.add_post("/behaviour", set_behaviour)
    app.router.add_post("/signal", prepare)
    app.router.add_get("/sent", take_notes)
    return app

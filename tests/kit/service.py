"""A service that is all that our notes say, and of which any part can be made otherwise."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

import numpy as np
from aiohttp import web

from kit.server import Conversation, LoopbackServer
from videosdk.plugins.lokutor.local.server import _discovery

KEY = "the-right-key-5f2c9e"
TIMED = {"ping", "cancel", "first-audio", "first-audio-length", "real-time"}
"""Facts about seconds, which a busy machine may take from a service that is as noted."""
SAMPLES = 882
"""Of a character at speed 1."""
_KEYS = frozenset({"text", "voice", "language", "lang", "speed", "steps", "visemes", "version"})
_LANGUAGES = frozenset({"en", "es", "ca", "gl", "eu", "pt", "fr", "it", "de"})
_VOICES = frozenset(voice["id"] for voice in _discovery()["/voices"]["voices"])
_NUMBERS = {
    "en": {"$7,777": "seven thousand seven hundred seventy-seven dollars", "1999": "nineteen ninety-nine"},
    "es": {"1999": "mil novecientos noventa y nueve"},
}
_LONGEST = 5_000

Fields = dict[str, Any]
Sent = str | bytes


class Refused(Exception):  # noqa: N818 - a value, rather than a failure
    """A request that is answered with an error."""


class NotedService(LoopbackServer):
    """Each part is an attribute or a method, so that a test can replace it."""

    def __init__(self) -> None:
        super().__init__("/{path:.*}")
        self.paths = {"/ws/tts", "/ws"}
        self.routes: dict[str, Any] = _discovery()
        self.raw_routes: dict[str, str] = {}  # Answers that are sent as they are.
        self.takes_header = True
        self.takes_key_in_url = True
        self.keyless: tuple[int, str] | None = (401, "auth.missing_key")
        self.wrong_key: tuple[int, str] | None = (401, "auth.invalid_key")
        self.endings: tuple[str, ...] = ("EOS",)
        self.coded = True  # Whether errors have a code.
        self.codes: dict[str, str] = {}  # What an error's code is instead.
        self.reads = {"language", "lang"}
        self.default_voice = "F1"
        self.voices = _VOICES
        self.most_steps = 50
        self.ignored: set[str] = set()  # Checks that aren't made.
        self.conversations: list[Conversation] = []
        self.refuse_handshake: Callable[[], bool] = lambda: False
        self.before: Callable[[Conversation, Fields], Awaitable[None]] = _nothing
        self.after: Callable[[Conversation, Fields], Awaitable[None]] = _nothing
        self.check: Callable[[Fields], None] = self.check_fields
        self.speak: Callable[[Fields], bytes] = speech
        self.time: Callable[[Fields, Conversation], list[dict[str, Any]]] = timing
        self.arrange: Callable[[list[dict[str, Any]], bytes], list[Sent]] = timing_first
        self.served: deque[Fields] = deque(maxlen=1_000)

    @property
    def open_now(self) -> list[Conversation]:
        return [conversation for conversation in self.conversations if not conversation.closed.is_set()]

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        if http.path in self.raw_routes:
            return web.Response(text=self.raw_routes[http.path])
        if http.path in self.routes:
            return web.json_response(self.routes[http.path])
        if http.path not in self.paths:
            return web.Response(status=404)
        refusal = self._refusal_of(http)
        if refusal is not None:
            return web.json_response({"type": "error", "data": {"code": refusal[1]}}, status=refusal[0])
        if self.refuse_handshake():
            return web.Response(status=429)
        return await self._converse(http, self._talk, self.conversations.append)

    def _refusal_of(self, http: web.Request) -> tuple[int, str] | None:
        header = http.headers.get("X-API-Key") if self.takes_header else None
        key = header or (http.query.get("api_key") if self.takes_key_in_url else None)
        if not key:
            return self.keyless
        return None if key == KEY else self.wrong_key

    async def _talk(self, conversation: Conversation) -> None:
        while True:
            message = await conversation.receive()
            if message.type is not web.WSMsgType.TEXT:
                raise EOFError
            await self._answer(conversation, message.data)

    async def _answer(self, conversation: Conversation, text: str) -> None:
        try:
            fields = self._fields(text)
        except Refused as refused:
            code = self.codes.get(str(refused), str(refused))
            coded = json.dumps({"type": "error", "data": {"code": code, "message": "no"}})
            await conversation.text(coded if self.coded else f"ERR: {code}")
            await self.after(conversation, {"refused": code})
            return
        self.served.append(fields)
        conversation.requests.append(fields)
        await self.before(conversation, fields)
        pcm = self.speak(fields)
        visemes = self.time(fields, conversation) if fields["visemes"] else []
        for piece in self.arrange(visemes, pcm):
            await (conversation.text(piece) if isinstance(piece, str) else conversation.ws.send_bytes(piece))
        for ending in self.endings:
            await conversation.text(ending)
        await self.after(conversation, fields)

    def _fields(self, text: str) -> Fields:
        try:
            sent = json.loads(text)
        except ValueError:
            raise Refused("validation.invalid_request_format") from None
        languages = [sent[name] for name in ("language", "lang") if name in sent and name in self.reads]
        fields = {"voice": self.default_voice, "speed": 1.05, "steps": 5, "visemes": False, **sent}
        fields["language"] = languages[0] if languages else "en"
        fields["sent"] = sent
        self.check(fields)
        return fields

    def check_fields(self, fields: Fields) -> None:
        """Refuse what the catalogue refuses.

        Raises:
            Refused: One of them.
        """
        wrong = {
            "validation.invalid_request_format": not fields["text"].strip(),
            "validation.text_too_long": len(fields["text"]) > _LONGEST,
            "validation.invalid_voice": fields["voice"] not in self.voices,
            "validation.invalid_language": fields["language"] not in _LANGUAGES,
            "validation.speed_out_of_range": not 0.5 <= fields["speed"] <= 2.0,
            "validation.steps_out_of_range": not 1 <= fields["steps"] <= self.most_steps,
        }
        for code, is_wrong in wrong.items():
            if is_wrong and code not in self.ignored:
                raise Refused(code)


async def _nothing(_conversation: Conversation, _fields: Fields) -> None:
    """Do nothing: there is nothing else to it."""


def speech(fields: Fields) -> bytes:
    """Return a tone for each character of the text, in which numbers are words."""
    return tones(read(fields["text"], fields["language"]), fields["speed"])


def read(text: str, language: str) -> str:
    for digits, words in _NUMBERS.get(language, {}).items():
        text = text.replace(digits, words)
    return text


@lru_cache(maxsize=256)
def tones(text: str, speed: float) -> bytes:
    steps = np.arange(round(SAMPLES / speed))
    waves = [np.sin(2 * np.pi * (100 + ord(char) % 251) * steps / 44_100) for char in text]
    return (np.concatenate(waves or [np.zeros(0)]) * 12_000).astype("<i2").tobytes()


def timing(fields: Fields, _: Conversation | None = None) -> list[dict[str, Any]]:
    """Return a viseme for each character, as it is spoken."""
    length = round(SAMPLES / fields["speed"]) / 44_100
    return [
        {"v": index, "c": "sil" if char.isspace() else char, "t": index * length}
        for index, char in enumerate(fields["text"])
    ]


def timing_first(visemes: list[dict[str, Any]], pcm: bytes) -> list[Sent]:
    """Return the messages: timing, then audio in odd pieces."""
    return [*([json.dumps(visemes)] if visemes else []), *pieces(pcm)]


def pieces(pcm: bytes, size: int = 9_999) -> list[Sent]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]

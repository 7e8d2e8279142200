"""Lokutor's text-to-speech protocol as a pure codec.

Rule of this file: no I/O, no clock, no state. A request becomes text, a message becomes an event, and
what the protocol doesn't know becomes an explicit :class:`Unknown`. The only exception raised for
arbitrary input is :class:`~videosdk.plugins.lokutor.errors.ProtocolError`.

Sources: Lokutor's public documentation, its official SDKs (``lokutor`` 1.6.0 for Python and the
JavaScript SDK), ``pipecat-lokutor`` 0.2.0. Where servers of different ages spell a thing differently,
both spellings are sent or understood.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ProtocolError
from ..visemes import Viseme

TTS_PATH = "/ws/tts"
"""Path of the WebSocket endpoint; older clients use ``/ws``."""
API_KEY_HEADER = "X-API-Key"
"""Header of the API key. Older clients put the key into the URL, where proxies log it."""

Voice = (
    Literal[
        "en_f1", "en_f2", "en_f3", "en_f4", "en_f5",
        "en_m1", "en_m2", "en_m3", "en_m4", "en_m5",
        "esca_f1", "esca_f2", "esca_f3", "esca_f4", "esca_f5",
        "esca_m1", "esca_m2", "esca_m3", "esca_m4", "esca_m5",
        "F1", "F2", "F3", "F4", "F5",
        "M1", "M2", "M3", "M4", "M5",
    ]
    | str
)  # fmt: skip
"""A voice id: Versa 2.0 names, Versa 1.x names, or any other string (cloned voices)."""
Language = Literal["en", "es", "ca", "gl", "eu", "pt", "fr", "it", "de"] | str
"""A language code: the nine of Versa 2.0, or any other string."""
SPEED_RANGE = (0.5, 2.0)
"""Slowest and fastest speed that the service takes."""
STEPS_RANGE = (1, 50)
"""Fewest and most denoising steps that the service takes."""
_NUMBER = re.compile(r"\s*[+-]?\d{1,20}(?:\.\d{0,20})?(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)
_PART = 250
"""Visemes that are decoded at a time: under a millisecond's work for all that follows from them."""
LANGUAGES = frozenset({"en", "es", "ca", "gl", "eu", "pt", "fr", "it", "de"})
"""Languages of Versa 2.0."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One request: the unit of synthesis, and of flushing.

    Attributes:
        text: What to speak, not blank.
        voice: Voice id.
        language: Two-letter code.
        speed: 0.5 to 2.0.
        steps: Denoising steps, 1 to 50.
        visemes: Whether to ask for timing messages.
        model: Model such as ``"versa-1.0"``, or None for the service's default.
    """

    text: str
    voice: str
    language: str
    speed: float
    steps: int
    visemes: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of PCM. It may be empty, and may end in the middle of a sample."""

    pcm: bytes


Spelling = Literal["EOS", "eos"]
"""How the service says that a request's audio is complete: as plain text, or in JSON."""


@dataclass(frozen=True, slots=True)
class EndOfRequest:
    """The current request's audio is complete.

    Attributes:
        spelling: How the service said it: ``"EOS"`` or ``"eos"`` (JSON). A service may send both.
    """

    spelling: Spelling = "EOS"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The service refused or gave up the current request."""

    message: str
    code: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Visemes:
    """Timing of the current request, sent slightly before the audio that it describes.

    Indices are as the service counts, starts from the first audio of this request.

    Attributes:
        items: The first visemes of the message.
        rest: What else it holds, for :func:`decode_rest`: a message can hold more than the event loop
            should be held up for.
        unread: Those of the first that can't be read, as they came.
    """

    items: tuple[Viseme, ...]
    rest: Sequence[object] = ()
    unread: Sequence[object] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Informational figures of the service, such as ``ttfb_ms``."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message that the protocol doesn't list. Clients ignore it."""

    text: str


Event = Audio | EndOfRequest | ErrorReply | Visemes | Telemetry | Unknown


def encode_request(request: SpeechRequest) -> str:
    """Return the text message for ``request``.

    The language goes out as ``language`` and as ``lang``: SDK 1.6.0 and Pipecat send the first,
    older clients the second, and servers ignore the key that they don't know.
    """
    message: dict[str, Any] = {
        "text": request.text,
        "voice": request.voice,
        "language": request.language,
        "lang": request.language,
        "speed": request.speed,
        "steps": request.steps,
        "visemes": request.visemes,
    }
    if request.model is not None:
        message["version"] = request.model
    return json.dumps(message, ensure_ascii=False)


def decode_binary(data: bytes) -> Audio:
    """Return the event of a binary message: always audio."""
    return Audio(data)


def decode_text(text: str) -> Event:
    """Return the event of a text message.

    Args:
        text: The message as received.

    Returns:
        The event; :class:`Unknown` for anything that the protocol doesn't list.

    Raises:
        ProtocolError: The message claims to be of a known kind but can't be read as one, so that
            ignoring it would lose audio.
    """
    stripped = text.strip()
    if stripped == "EOS":
        return EndOfRequest()
    if stripped.startswith("ERR:"):
        return ErrorReply(stripped.removeprefix("ERR:").strip())
    if not stripped.startswith(("{", "[")):
        return Unknown(text)
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        return Unknown(text)
    if isinstance(value, list):
        return _timing(value)
    return _decode_object(value, text)


def decode_rest(visemes: Visemes) -> Visemes:
    """Return the next visemes of a message that holds more of them."""
    return _part(visemes.rest)


def _decode_object(value: dict[str, Any], text: str) -> Event:
    match value.get("type"):
        case "eos":
            return EndOfRequest("eos")
        case "error":
            return _error(value)
        case "visemes":
            return _timing(value.get("data"))
        case "audio":
            return Audio(_base64(value.get("data")))
        case "timing":
            return Telemetry({key: field for key, field in value.items() if key != "type"})
        case _:
            return Unknown(text)


def _error(value: dict[str, Any]) -> ErrorReply:
    data = value.get("data")
    details = {**value, **data} if isinstance(data, dict) else value
    message = _text(details.get("message")) or _text(data) or ""
    return ErrorReply(message, _text(details.get("code")), _text(details.get("request_id")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _base64(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise ProtocolError("An audio message does not contain valid base64.")


def _timing(value: object) -> Visemes:
    if not isinstance(value, list):
        return Visemes(())
    if len(value) > _PART:  # So that each part can be taken like a message of its own.
        value.sort(key=_raw_start)
    return _part(value)


def _part(raw: Sequence[object]) -> Visemes:
    """Read the first items. Timing is an extra, so a broken item is left out, never fatal."""
    read: list[Viseme] = []
    unread: list[object] = []
    for item in raw[:_PART]:
        viseme = _viseme(item)
        if viseme is None:
            unread.append(item)
        else:
            read.append(viseme)
    return Visemes(tuple(read), tuple(raw[_PART:]), tuple(unread))


def _raw_start(item: object) -> float:
    start = _number(item.get("t", item.get("timestamp"))) if isinstance(item, dict) else None
    return math.inf if start is None else start


def _number(value: object) -> float | None:
    """Return a finite number, also of a string that says one, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):  # Python reads more than JSON has.
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _index(value: object) -> int | None:
    """Return a whole number, however it is written, or None."""
    if type(value) is int:
        return value
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _viseme(item: object) -> Viseme | None:
    if not isinstance(item, dict):
        return None
    index = _index(item.get("v", item.get("id")))
    sound = item.get("c", item.get("char"))
    start = _number(item.get("t", item.get("timestamp")))
    if index is None or start is None or not isinstance(sound, str):
        return None
    return Viseme(index, sound, start)

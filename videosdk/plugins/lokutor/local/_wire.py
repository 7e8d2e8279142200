"""Lokutor's protocol from the server's side: the plugin's codec in reverse.

Rule of this file: pure, like the codec. Arbitrary text becomes a request or a :class:`RequestRefusedError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from .._wire.protocol import LANGUAGES, SPEED_RANGE, STEPS_RANGE, SpeechRequest
from ..visemes import Viseme

MAX_TEXT_LENGTH = 5000
END_OF_REQUEST = "EOS"

_BASE_VOICES = tuple(f"{kind}{number}" for kind in "FM" for number in range(1, 6))
VOICES: dict[str, str] = {
    **{f"en_{name.lower()}": name for name in _BASE_VOICES},
    **{f"esca_{name.lower()}": name for name in _BASE_VOICES},
    **{name: name for name in _BASE_VOICES},
}
"""Every listed voice id, and the one of the ten base voices that it sounds like here."""
CLONE_PREFIX = "clone_"


class Refusal(StrEnum):
    """Codes of the catalogue that this server uses."""

    FORMAT = "validation.invalid_request_format"
    VOICE = "validation.invalid_voice"
    LANGUAGE = "validation.invalid_language"
    TOO_LONG = "validation.text_too_long"
    SPEED = "validation.speed_out_of_range"
    STEPS = "validation.steps_out_of_range"
    FAILED = "tts.synthesis_failed"
    RATE = "auth.rate_limited"
    SESSIONS = "tts.session_limit_reached"


class RequestRefusedError(Exception):
    """A request that the service would refuse.

    Attributes:
        code: Code of Lokutor's error catalogue.
    """

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode_request(message: str) -> SpeechRequest:
    """Return the request in a text message.

    What is left out or null takes the default of the official SDKs; keys that it doesn't know are ignored.

    Raises:
        RequestRefusedError: The service would answer with an error of its catalogue.
    """
    fields = _fields(message)
    return SpeechRequest(
        text=_text(fields.get("text")),
        voice=_voice(fields.get("voice", "F1")),
        language=_language(fields.get("language", fields.get("lang", "en"))),
        speed=_number(fields.get("speed", 1.05), SPEED_RANGE, Refusal.SPEED, "speed"),
        steps=_whole(fields.get("steps", 5), STEPS_RANGE, Refusal.STEPS, "steps"),
        visemes=_switch(fields.get("visemes", False)),
        model=_model(fields.get("version")),
    )


def encode_error(code: str, message: str) -> str:
    """Return the error reply."""
    return json.dumps({"type": "error", "data": {"code": code, "message": message}})


def encode_visemes(visemes: Iterable[Viseme]) -> str:
    """Return the timing reply: a bare array, as the service sends it."""
    return json.dumps(
        [{"v": item.index, "c": item.sound, "t": round(item.start, 6)} for item in visemes],
        ensure_ascii=False,
    )


def base_voice(voice: str) -> str:
    """Return which of the ten base voices ``voice`` sounds like; a cloned one always like the same."""
    known = VOICES.get(voice)
    return known or _BASE_VOICES[sum(map(ord, voice)) % len(_BASE_VOICES)]


def _fields(message: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        raise RequestRefusedError(Refusal.FORMAT, "the request is not valid JSON") from None
    if not isinstance(fields, dict):
        raise RequestRefusedError(Refusal.FORMAT, "the request is not a JSON object")
    return {key: value for key, value in fields.items() if value is not None}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RequestRefusedError(Refusal.FORMAT, "text must be a non-empty string")
    if len(value) > MAX_TEXT_LENGTH:
        raise RequestRefusedError(Refusal.TOO_LONG, f"text is longer than {MAX_TEXT_LENGTH} characters")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise RequestRefusedError(Refusal.FORMAT, "text holds half a surrogate pair")
    return value


def _voice(value: object) -> str:
    if isinstance(value, str) and (value in VOICES or value.startswith(CLONE_PREFIX)):
        return value
    raise RequestRefusedError(Refusal.VOICE, "no such voice: GET /voices lists them")


def _language(value: object) -> str:
    if isinstance(value, str) and value in LANGUAGES:
        return value
    raise RequestRefusedError(Refusal.LANGUAGE, "no such language: GET /languages lists them")


def _number(value: object, limits: tuple[float, float], code: Refusal, name: str) -> float:
    low, high = limits
    # The comparison refuses NaN, and unlike a conversion to float it takes an integer of any size.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise RequestRefusedError(code, f"{name} must be from {low} to {high}")


def _whole(value: object, limits: tuple[int, int], code: Refusal, name: str) -> int:
    number = _number(value, limits, code, name)
    if number != int(number):
        raise RequestRefusedError(code, f"{name} must be a whole number")
    return int(number)


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise RequestRefusedError(Refusal.FORMAT, "visemes must be true or false")


def _model(value: object) -> str | None:
    """Return the model: any name, for whichever it is, the same voice speaks."""
    if value is None or isinstance(value, str):
        return value or None
    raise RequestRefusedError(Refusal.FORMAT, "version must be a string")

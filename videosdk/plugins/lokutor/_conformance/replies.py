"""What came back for one request, and what can be said of it.

Rule of this file: pure. Times are seconds from the moment when the request was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from .._audio.pcm import BYTES_PER_SECOND
from .._audio.silence import silence_at_end, silence_at_start
from .._timing.words import is_sound
from .._wire.protocol import Audio, EndOfRequest, ErrorReply, Event, Unknown, Visemes
from ..visemes import Viseme
from .formats import Waveform, whole, without_header

LOST_CODES = frozenset({None, 1001, 1006, 1011, 1012, 1013, 1014})
"""Close codes of a connection that was lost, or that the service or something before it gave up."""


_AUDIO = "audio"
_BINARY_ENDS = {b"": "an empty binary message", b"EOS": "EOS in binary", b"eos": "eos in binary"}
_SHOWN = 120
"""Characters that are shown of a message."""
_MOST_KINDS = 3
_LONG = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_ERROR_KEYS = frozenset({"error", "errors", "detail", "details", "message", "msg", "reason", "title"})


class Ending(Enum):
    """How the messages of a request ended."""

    END = auto()
    ERROR = auto()
    CLOSED = auto()
    SILENT = auto()
    ENDLESS = auto()


@dataclass(frozen=True, slots=True)
class Came:
    """One message, decoded.

    Attributes:
        at: When it came.
        event: What it says.
        binary: Whether it was a binary message.
    """

    at: float
    event: Event
    binary: bool = False


@dataclass(frozen=True)
class Reply:
    """All that came for one request, up to its end.

    Attributes:
        text: What was to be spoken.
        messages: What came, in order.
        ending: How it ended.
        close_code: Of the WebSocket, where it was closed.
        odd_end: What came in place of an end and is taken for one, or nothing.
    """

    text: str
    messages: tuple[Came, ...]
    ending: Ending
    close_code: int | None = None
    odd_end: str = ""

    @cached_property
    def spoken(self) -> bool:
        """Whether audio came, and an end behind it."""
        return self.ending is Ending.END and bool(self.pcm)

    @property
    def is_unended(self) -> bool:
        """Whether nothing has ended it, as far as was waited."""
        return self.ending in {Ending.SILENT, Ending.ENDLESS}

    @property
    def lost(self) -> bool:
        """Whether its connection was lost, which may be chance."""
        return self.ending is Ending.CLOSED and self.close_code in LOST_CODES

    @cached_property
    def pcm(self) -> bytes:
        """All audio."""
        return b"".join(came.event.pcm for came in self.messages if isinstance(came.event, Audio))

    @cached_property
    def waveform(self) -> Waveform:
        """The audio behind the header of a file, if it begins with one."""
        return Waveform(without_header(self.pcm))

    @cached_property
    def seconds(self) -> float:
        """Length of the audio, if it is what it should be."""
        return len(self.pcm) / BYTES_PER_SECOND

    @cached_property
    def sounding(self) -> float:
        """Seconds of the audio without the silence at its ends."""
        return max(self.seconds - self.silence[0] - self.silence[1], 0.0)

    @cached_property
    def silence(self) -> tuple[float, float]:
        """Seconds of silence in front of the first sound, and behind the last."""
        pcm = whole(without_header(self.pcm))
        return silence_at_start(pcm) / BYTES_PER_SECOND, silence_at_end(pcm) / BYTES_PER_SECOND

    @cached_property
    def first_audio(self) -> float | None:
        """When the first audio came."""
        return next((at for at, _ in self.arrivals), None)

    @cached_property
    def arrivals(self) -> list[tuple[float, int]]:
        """When each piece of audio came, and its bytes."""
        return [
            (came.at, len(came.event.pcm))
            for came in self.messages
            if isinstance(came.event, Audio) and came.event.pcm
        ]

    @cached_property
    def visemes(self) -> list[Viseme]:
        """All timing, in the order in which it came."""
        return [item for _, items in self.timing for item in items]

    @cached_property
    def sounds(self) -> list[Viseme]:
        """Those that aren't silence, by their times."""
        return sorted((item for item in self.visemes if is_sound(item.sound)), key=lambda item: item.start)

    @cached_property
    def unread_visemes(self) -> list[object]:
        """All timing that can't be read, as it came."""
        return [
            item for came in self.messages if isinstance(came.event, Visemes) for item in came.event.unread
        ]

    @cached_property
    def timing(self) -> list[tuple[float, tuple[Viseme, ...]]]:
        """Each timing message, with the seconds of audio that had come before it."""
        found, heard = [], 0
        for came in self.messages:
            if isinstance(came.event, Audio):
                heard += len(came.event.pcm)
            elif isinstance(came.event, Visemes) and came.event.items:
                found.append((heard / BYTES_PER_SECOND, came.event.items))
        return found

    @cached_property
    def error(self) -> ErrorReply | None:
        """The refusal, if it was one."""
        return next((came.event for came in self.messages if isinstance(came.event, ErrorReply)), None)

    @cached_property
    def end_spelling(self) -> str | None:
        """How the end was spelled."""
        spelling = (came.event.spelling for came in self.messages if isinstance(came.event, EndOfRequest))
        return next(spelling, None)

    @cached_property
    def unknown(self) -> list[str]:
        """Messages of no known kind."""
        return [came.event.text for came in self.messages if isinstance(came.event, Unknown)]

    @property
    def outcome(self) -> str:
        """What came of it, in a few words."""
        match self.ending:
            case Ending.END:
                return (
                    f"{self.seconds:.2f} s of audio" if self.pcm else f"an end without audio{self._besides}"
                )
            case Ending.ERROR:
                return f"refused: {named(self.error)}"
            case Ending.CLOSED:
                after = f", after {self.seconds:.2f} s of audio" if self.pcm else self._besides
                return f"the connection was closed (code {self.close_code}){after}"
            case Ending.SILENT | Ending.ENDLESS:
                return f"no end came, after {self.seconds:.2f} s of audio{self._besides}"

    @property
    def _besides(self) -> str:
        came = ", ".join(self.came_besides)
        return f"; what came: {came}" if came else ""

    @cached_property
    def came_besides(self) -> list[str]:
        """Each kind of message that isn't known, with its words if it may be an error; only a few."""
        return list(dict.fromkeys(map(words_of, self.unknown)))[:_MOST_KINDS]

    @cached_property
    def last_kind(self) -> str:
        """What came behind the audio, once and nowhere else, so that it may be an end; or nothing."""
        kinds = [kind_of_event(came.event) for came in self.messages]
        at = max((n for n, kind in enumerate(kinds) if kind == _AUDIO), default=len(kinds))
        behind = [kind for kind in kinds[at + 1 :] if kind]
        return next((kind for kind in reversed(behind) if kinds.count(kind) == 1), "")


def named(error: ErrorReply | None) -> str:
    """Return an error's code, or what it says instead."""
    if error is None:
        return "no error"
    return error.code or f"no code ({shortened(error.message) or 'and no message'})"


def kind_of_event(event: Event) -> str:
    """Return what kind of message an event was, if it is none that a request consists of."""
    match event:
        case Audio(pcm):
            return {b"": "an empty binary message", b"EOS": "EOS in binary", b"eos": "eos in binary"}.get(
                pcm, _AUDIO
            )
        case Unknown(text):
            return kind_of(text)
        case _:
            return ""


def kind_of(text: str) -> str:
    """Return what kind of message it is, without what it says."""
    value = _loaded(text)
    if value is None:
        return f"text of {len(text)} characters"
    if not isinstance(value, dict):
        return f"JSON {type(value).__name__}"
    keys = ", ".join(sorted(f"{key}{_content(item)}" for key, item in value.items()))
    return shortened(f"type {value.get('type')!r} with {keys or 'nothing'}")


def _content(value: object) -> str:
    """Return what a long text may be."""
    if not (isinstance(value, str) and len(value) >= _LONG):
        return ""
    return " (base64)" if _BASE64.fullmatch(value) else " (a long text)"


def words_of(text: str) -> str:
    """Return the kind of a message, or its words where it may be an error."""
    value = _loaded(text)
    is_plain = value is None or isinstance(value, str)
    if is_plain or (isinstance(value, dict) and _ERROR_KEYS & set(map(str.lower, value))):
        return shortened(text)
    return kind_of(text)


def shortened(text: str) -> str:
    """Return a text in one line, for evidence. A part of a key can't be hidden: that was done before."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, by least squares.

    Attributes:
        base: Where it begins.
        slope: How steep it is.
        error: Standard error of the slope.
    """

    base: float
    slope: float
    error: float


def fit(points: Iterable[tuple[float, float]]) -> Line:
    """Return the line through at least three points that don't all lie above each other."""
    xs, ys = zip(*points, strict=True)
    count = len(xs)
    middle_x, middle_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    base = middle_y - slope * middle_x
    rest = sum((y - base - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    return Line(base, slope, (rest / (count - 2) / spread) ** 0.5)

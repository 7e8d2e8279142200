"""What came back for one request, and what can be said of it.

Rule of this file: pure. Times are seconds from the moment when the request was sent.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from operator import sub

from .._audio.pcm import BYTES_PER_SECOND, SAMPLE_WIDTH
from .._audio.silence import silence_at_end, silence_at_start
from .._timing.words import is_sound
from .._wire.protocol import Audio, EndOfRequest, ErrorReply, Event, Unknown, Visemes
from ..visemes import Viseme

LOST_CODES = frozenset({None, 1001, 1006, 1011, 1012, 1013, 1014})
"""Close codes of a connection that was lost, or that the service or something before it gave up."""


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
    """

    text: str
    messages: tuple[Came, ...]
    ending: Ending
    close_code: int | None = None

    @cached_property
    def spoken(self) -> bool:
        """Whether audio came, and an end behind it."""
        return self.ending is Ending.END and bool(self.pcm)

    @property
    def lost(self) -> bool:
        """Whether its connection was lost, which may be chance."""
        return self.ending is Ending.CLOSED and self.close_code in LOST_CODES

    @cached_property
    def pcm(self) -> bytes:
        """All audio."""
        return b"".join(came.event.pcm for came in self.messages if isinstance(came.event, Audio))

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
        pcm = whole(self.pcm)
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
                return f"{self.seconds:.2f} s of audio" if self.pcm else "an end without audio"
            case Ending.ERROR:
                return f"refused: {named(self.error)}"
            case Ending.CLOSED:
                return f"the connection was closed (code {self.close_code})"
            case Ending.SILENT | Ending.ENDLESS:
                return f"no end came, after {self.seconds:.2f} s of audio"


def named(error: ErrorReply | None) -> str:
    """Return an error's code, or what it says instead."""
    if error is None:
        return "no error"
    return error.code or f"no code ({error.message[:80] or 'and no message'})"


def whole(pcm: bytes) -> bytes:
    """Return audio without half a sample at its end."""
    return pcm[: len(pcm) - len(pcm) % SAMPLE_WIDTH]


def roughness(pcm: bytes, *, big: bool = False) -> float:
    """Return how much neighbouring samples differ, beside how loud they are: little in speech."""
    samples = _samples(pcm, "h", big=big)
    loud = sum(map(abs, samples))
    return _variation(samples) / loud if loud else 1.0


def is_smoother_unsigned(pcm: bytes, times: float) -> bool:
    """Return whether neighbouring samples differ so many times less if none of them is negative.

    What is read with the wrong sign leaps over its whole range wherever a wave crosses its middle.
    """
    signed, unsigned = (_variation(_samples(pcm, kind)) for kind in ("h", "H"))
    return unsigned * times < signed


def _samples(pcm: bytes, kind: str, *, big: bool = False) -> array[int]:
    samples: array[int] = array(kind, whole(pcm))
    if big is (sys.byteorder == "little"):
        samples.byteswap()
    return samples


def _variation(samples: array[int]) -> int:
    return sum(map(abs, map(sub, samples[1:], samples)))  # In C: there are a hundred thousand.


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

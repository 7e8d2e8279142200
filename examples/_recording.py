"""What happened in a call: both sides' audio, and the moments that matter, on one clock.

The clock is the line's own: what the caller hears at ``t`` seconds is sample ``t * RATE`` of it.
Nothing in here knows VideoSDK or Lokutor; everything is measured, nothing is estimated.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]

RATE = 24_000
FRAME = RATE // 50
"""Samples in one frame of 20 ms: what a track hands out at a time."""

AUDIBLE = 33
"""A sample above this (-60 dB of full scale) counts as sound: below it, no telephone line is quieter."""


@dataclass(frozen=True)
class Speech:
    """Something that the caller said."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Request:
    """A text that was sent to Lokutor."""

    text: str
    at: float


@dataclass(frozen=True)
class Word:
    """A word of the agent, as the caller came to hear it."""

    text: str
    reply: str
    """The reply up to and including it."""
    at: float


@dataclass(frozen=True)
class Mouth:
    """A shape that the agent's mouth took. It keeps it until the next."""

    shape: str
    at: float


@dataclass
class Turn:
    """One reply of the agent, from what caused it to how it ended. Times are seconds of the call."""

    question: Speech | None = None
    planned: str = ""
    requests: list[Request] = field(default_factory=list)
    first_audio_at: float | None = None
    words: list[Word] = field(default_factory=list)
    mouths: list[Mouth] = field(default_factory=list)
    interruption: Speech | None = None
    cut_at: float | None = None
    remembered: str | None = None
    """Where the turn was cut: what the agent's memory keeps of it. None for a turn that was played out."""

    @property
    def sent(self) -> str:
        """All of the text that was sent."""
        return " ".join(request.text for request in self.requests)

    @property
    def heard_text(self) -> str:
        """All of the text that was heard."""
        return self.words[-1].reply if self.words else ""

    @property
    def wait(self) -> float | None:
        """Seconds from the first text to the first audio, None where one of them is missing."""
        if self.first_audio_at is None or not self.requests:
            return None
        return self.first_audio_at - self.requests[0].at


@dataclass
class Recording:
    """A call as it goes on: :meth:`add_frame` for each 20 ms, and a :class:`Turn` for each reply."""

    turns: list[Turn] = field(default_factory=list)
    _agent: list[bytes] = field(default_factory=list)
    _caller: list[bytes] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the call has been going on."""
        return len(self._agent) * FRAME / RATE

    @property
    def agent(self) -> Samples:
        """What the caller has heard."""
        return np.frombuffer(b"".join(self._agent), np.int16)

    @property
    def caller(self) -> Samples:
        """What the caller has said."""
        return np.frombuffer(b"".join(self._caller), np.int16)

    def add_frame(self, agent: bytes, caller: bytes) -> None:
        """Append 20 ms of both sides."""
        self._agent.append(agent)
        self._caller.append(caller)

    def heard(self, turn: Turn) -> tuple[float, float] | None:
        """Return when the first and the last audible sample of a turn was heard, None if none was."""
        if turn.first_audio_at is None:
            return None
        later = [other.first_audio_at for other in self.turns if other.first_audio_at is not None]
        end = min((at for at in later if at > turn.first_audio_at), default=self.seconds)
        return audible_span(self.agent, turn.first_audio_at, end)

    def fade(self, turn: Turn) -> float | None:
        """Return how long a turn was still heard after it was cut, None if it wasn't cut."""
        heard = self.heard(turn)
        return None if turn.cut_at is None or heard is None else max(0.0, heard[1] - turn.cut_at)

    def write_wav(self, path: Path) -> None:
        """Write both sides as a stereo file: the agent on the left, the caller on the right."""
        stereo = np.column_stack((self.agent, self.caller))
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(stereo.tobytes())


def audible_span(samples: Samples, start: float, end: float) -> tuple[float, float] | None:
    """Return the times of the first and the last audible sample in a span, None if all is silent."""
    first = max(0, round(start * RATE))
    loud = np.flatnonzero(np.abs(samples[first : round(end * RATE)].astype(np.int32)) > AUDIBLE)
    if not loud.size:
        return None
    return (first + int(loud[0])) / RATE, (first + int(loud[-1]) + 1) / RATE


def is_audible(frame: bytes) -> bool:
    """Tell whether a frame holds sound."""
    return bool((np.abs(np.frombuffer(frame, np.int16).astype(np.int32)) > AUDIBLE).any())


def trim(pcm: bytes) -> bytes:
    """Cut the silence off both ends of a recording."""
    samples = np.frombuffer(pcm, np.int16)
    first, last = audible_span(samples, 0.0, len(samples) / RATE) or (0.0, 0.0)
    return samples[round(first * RATE) : round(last * RATE)].tobytes()

"""A voice with a known value for every sample, for tests and benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import lru_cache

import numpy as np

from .._audio.pcm import SAMPLE_RATE
from .._wire.protocol import SpeechRequest
from ..visemes import Viseme
from .engine import Speech

CHARACTER_SECONDS = 0.06
"""Length of one character at speed 1."""
_AMPLITUDE = 12_000
_PIECE_CHARACTERS = 16
_LOWEST = 150
_TONES = 509  # Prime, so that neighbours in the alphabet and in the text don't share a tone.


def character_samples(speed: float = 1.0) -> int:
    """Return how many samples one character takes at ``speed``."""
    return round(CHARACTER_SECONDS * SAMPLE_RATE / speed)


def signal(text: str, speed: float = 1.0) -> bytes:
    """Return the speech for ``text``: a tone for each character, chosen by it and by its index.

    Args:
        text: What to speak.
        speed: Divides the length.

    Returns:
        44 100 Hz signed 16-bit little-endian mono PCM, ``len(text) * character_samples(speed)`` long.
    """
    samples = character_samples(speed)
    return b"".join(_tone((ord(char) + 37 * index) % _TONES, samples) for index, char in enumerate(text))


@lru_cache(maxsize=4096)
def _tone(number: int, samples: int) -> bytes:
    phase = 2 * np.pi * (_LOWEST + 5 * number) * np.arange(samples) / SAMPLE_RATE
    return (np.sin(phase) * _AMPLITUDE).astype("<i2").tobytes()


class SignalEngine:
    """Speaks :func:`signal`, with one viseme for each character at exactly its time."""

    async def start(self) -> None:
        """Do nothing: there is nothing to get ready."""

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        """Yield the speech for ``request``."""
        pcm = signal(request.text, request.speed)
        samples = character_samples(request.speed)
        for first in range(0, len(request.text), _PIECE_CHARACTERS):
            characters = request.text[first : first + _PIECE_CHARACTERS]
            visemes = tuple(
                Viseme(index, "sil" if char.isspace() else char, index * samples / SAMPLE_RATE)
                for index, char in enumerate(characters, first)
            )
            start = first * samples * 2
            yield Speech(pcm[start : start + len(characters) * samples * 2], visemes)
            await asyncio.sleep(0)

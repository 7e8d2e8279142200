"""How far a voice is in its text, where nothing but the length of its audio is known.

Rule of this file: pure. It is told what was spoken in full, and says what to expect.
"""

from __future__ import annotations

from collections import deque

from .._text.characters import is_spaceless
from .times import USUAL_AUDIO_PER_CHARACTER

_WINDOW = 8
"""Texts that are remembered."""
_TELLING_CHARACTERS = 20
"""Length from which on a text tells how fast a voice is: shorter ones are mostly pauses."""
_SPACELESS = 3
"""How much longer than a letter a Chinese or Japanese character takes: it is a syllable or two."""
_LONG_SIDE = 1.1
"""How much longer than usual a text may take: some sentences are spoken more slowly than others."""
_WHOLE = 0.95
"""The share of its usual audio with which a text counts as spoken in full."""


class SpeakingRate:
    """How fast one voice speaks."""

    def __init__(self) -> None:
        self._spoken: deque[tuple[int, float]] = deque(maxlen=_WINDOW)

    def note(self, text: str, seconds: float) -> None:
        """Note that ``text`` was spoken in full, in so many ``seconds``."""
        if seconds > 0 and _length(text) >= _TELLING_CHARACTERS:
            self._spoken.append((_length(text), seconds))

    def reached(self, text: str, seconds: float) -> int:
        """Return how many characters of ``text`` so many ``seconds`` surely have spoken: rather too few."""
        length = sum(length for length, _ in self._spoken)
        spoken = sum(seconds for _, seconds in self._spoken)
        usual = spoken / length if length else USUAL_AUDIO_PER_CHARACTER
        if length and seconds >= _WHOLE * usual * _length(text):
            return len(text)
        left = seconds / (_LONG_SIDE * usual)
        for place, character in enumerate(text):
            left -= _length(character)
            if left < 0:
                return place
        return len(text)


def _length(text: str) -> int:
    return sum(_SPACELESS if is_spaceless(character) else 1 for character in text)

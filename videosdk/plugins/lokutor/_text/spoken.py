"""Two texts and the map between them: what is written, and what is sent to be spoken.

Rule of this file: pure. The written text is what the language model wrote: the agent's memory, the words and
the indices of visemes are told in it. The spoken text is what the service gets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .characters import joined


@dataclass(frozen=True, slots=True)
class Replacement:
    """A part of a text that is spoken in another way.

    Attributes:
        start: Where it begins in the text, in code points.
        end: Where it ends.
        spoken: What is said instead.
    """

    start: int
    end: int
    spoken: str

    def moved(self, count: int) -> Replacement:
        """Return it ``count`` characters further back in the text."""
        return Replacement(self.start + count, self.end + count, self.spoken)


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of both texts. Where the lengths are the same, each character stands for itself."""

    written: int
    written_end: int
    spoken: int
    spoken_end: int

    def to_written(self, index: int) -> int:
        share = (index - self.spoken) * (self.written_end - self.written) // (self.spoken_end - self.spoken)
        return self.written + share


class SpokenText:
    """A text as it is spoken, and which of its characters stands for which of the written text.

    Args:
        written: The text as it was written.
        replacements: What is spoken in another way, in order; none overlaps another.
        touches: Whether no space stands between it and the text before it.
    """

    def __init__(
        self, written: str, replacements: Iterable[Replacement] = (), *, touches: bool = False
    ) -> None:
        self.written = written
        """The text as it was written."""
        self._touches = touches
        self._spans: list[_Span] = []
        pieces: list[str] = []
        place = length = 0
        for replacement in replacements:
            pieces += [written[place : replacement.start], replacement.spoken]
            length += replacement.start - place
            self._spans += _spans_of(written, replacement, length)
            length += len(replacement.spoken)
            place = replacement.end
        self.text = "".join([*pieces, written[place:]])
        """The text as it is spoken."""

    def join(self, before: str, written: str) -> str:
        """Return what was written before it, and as much of it as was ``written``."""
        return before + written if self._touches else joined(before, written)

    def to_written(self, index: int) -> int:
        """Return the index in the written text of what is spoken at ``index``.

        An index in front of the text or behind it stays as far in front or behind.
        """
        before = bisect_right(self._spans, index, key=lambda span: span.spoken) - 1
        if before < 0:
            return index
        span = self._spans[before]
        if index < span.spoken_end:
            return span.to_written(index)
        return span.written_end + index - span.spoken_end


def _spans_of(written: str, replacement: Replacement, at: int) -> list[_Span]:
    """Return the spans of a replacement, spoken ``at`` an index: word by word, if both have as many."""
    begin = replacement.start
    words = _word_starts(written[begin : replacement.end])
    spoken = _word_starts(replacement.spoken)
    if len(words) != len(spoken):
        words = spoken = [0]
    written_ends = [*words, replacement.end - begin]
    spoken_ends = [*spoken, len(replacement.spoken)]
    return [
        _Span(begin + first, begin + last, at + sound, at + sound_end)
        for (first, last), (sound, sound_end) in zip(
            pairwise(written_ends), pairwise(spoken_ends), strict=True
        )
    ]


def _word_starts(text: str) -> list[int]:
    """Return where the words begin; the first counts as beginning with the text."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    return [0, *starts[1:]]

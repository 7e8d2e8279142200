"""From the visemes of one request to the words of its text, and their times.

Rule of this file: pure. A text and visemes go in, words come out; who hears them, and when, is not known
here. Indices are code points of the request's text, times seconds from its first audio.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from .._text.characters import is_speakable, is_unspaced
from ..visemes import SILENCE, Viseme

_CLOSEST = 0.005
"""Seconds that lie between the starts of two words at least. A service that says less doesn't know them."""
_LATE = 0.3
"""Seconds behind the end of the audio from which on a start is wrong, and not only rounded."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a request.

    Attributes:
        text: The word, with the punctuation that touches it.
        end_index: Where it ends in the text, with all punctuation up to the next word.
        start: Seconds to its first sound.
        end: Seconds to the end of its last sound, as far as is known.
        estimated: Whether its start comes from its length, for lack of visemes.
    """

    text: str
    end_index: int
    start: float
    end: float
    estimated: bool


@dataclass(slots=True)
class _Span:
    """A word's place in the text, and what its visemes have told so far."""

    first: int
    last: int
    start: float | None = None
    end: float | None = None


class RequestWords:
    """The words of one request, given out one after another as their starts become known.

    A word without visemes of its own stands between its neighbours by its length: its start is known when
    a later word has sounded, or the request has ended.

    Args:
        text: The request's text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans = [_Span(first, last) for first, last in spans_of(text)]
        self._next = 0
        self._sounding: _Span | None = None
        self._furthest: _Span | None = None  # The last word in the text whose start was told.
        self._latest = 0.0  # How far its audio is known to reach.
        self._floor = 0.0  # No word starts before the one before it, whatever the service says.
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether all words were given out."""
        return self._next == len(self._spans)

    @property
    def next_start(self) -> float | None:
        """When the next word starts; None while that isn't known."""
        if self.exhausted:
            return None
        start = self._start(self._next)
        return None if start is None else max(start, self._floor)

    def begins_with(self, index: int) -> bool:
        """Return whether the first word, or nothing but a gap before it, is at ``index``."""
        return bool(self._spans) and 0 <= index < self._spans[0].last

    def ends_with(self, index: int) -> bool:
        """Return whether the last word begins at ``index`` or before."""
        return bool(self._spans) and self._spans[-1].first <= index

    def take(self, viseme: Viseme) -> None:
        """Take the next viseme."""
        self._latest = max(self._latest, viseme.start)
        if self._sounding is not None:
            self._sounding.end = viseme.start
        self._sounding = self._span_at(viseme.index) if is_sound(viseme.sound) else None
        span = self._sounding
        if span is not None and self._may_start(span, viseme.start):
            span.start = viseme.start if span.start is None else min(span.start, viseme.start)

    def forget(self, start: float) -> None:
        """Forget what is known from ``start`` on: another try of the request will tell it again."""
        for span in self._spans[self._next :]:
            if span.start is not None and span.start >= start:
                span.start = span.end = None
        self._sounding = None
        known = [span for span in self._spans if span.start is not None]
        self._furthest = known[-1] if known else None
        self._latest = min(self._latest, start)

    def finish(self, seconds: float) -> None:
        """Take the length of the request's audio: with it, every word's start is known."""
        if self._sounding is not None:
            self._sounding.end = seconds
        self._latest = seconds
        self._ended = True
        for span in self._spans[self._next :]:
            if span.start is not None and span.start > seconds + _LATE:
                span.start = span.end = None

    def pop(self) -> Word:
        """Return the next word; its start must be known."""
        start = self.next_start
        assert start is not None
        span = self._spans[self._next]
        self._next += 1
        self._floor = start
        known = self.next_start if span.end is None else span.end
        end = self._latest if known is None else known
        return Word(
            text=next(filter(is_speakable, self._text[span.first : span.last].split()), ""),
            end_index=span.last,
            start=start,
            end=max(start, min(end, self._latest) if self._ended else end),
            estimated=span.start is None,
        )

    def reached(self, position: float) -> int | None:
        """Return where the last word ends that has started at ``position``; None where none has."""
        end = None
        for number in range(self._next, len(self._spans)):
            start = self._start(number)
            if start is None or max(start, self._floor) > position:
                break
            end = self._spans[number].last
        return end

    def _span_at(self, index: int) -> _Span | None:
        """Return the word at ``index``; a gap belongs to the word before it."""
        if not 0 <= index < len(self._text) or not self._spans:
            return None
        begun = bisect_right(self._spans, index, key=lambda span: span.first)
        return self._spans[max(begun - 1, 0)]

    def _may_start(self, span: _Span, start: float) -> bool:
        """Return whether a word may start then: not together with one before it."""
        furthest = self._furthest
        if furthest is None or furthest.start is None:
            self._furthest = span
        elif span.first > furthest.first:
            if start < furthest.start + _CLOSEST:
                return False
            self._furthest = span
        return True

    def _start(self, number: int) -> float | None:
        start = self._spans[number].start
        if start is not None:
            return min(start, self._latest) if self._ended else start
        later = next((span for span in self._spans[number:] if span.start is not None), None)
        if later is None and not self._ended:
            return None
        earlier = next((span for span in self._spans[number::-1] if span.start is not None), None)
        left, begin = (0, 0.0) if earlier is None else (earlier.first, earlier.start or 0.0)
        right, end = (len(self._text), self._latest) if later is None else (later.first, later.start or 0.0)
        end = min(end, self._latest) if self._ended else end
        share = (self._spans[number].first - left) / (right - left)
        return begin + share * max(end - begin, 0.0)


def spans_of(text: str) -> list[tuple[int, int]]:
    """Return where the words of ``text`` begin and end, in code points.

    White space parts words; in scripts that are written without, each character is one. What has no letter,
    digit or symbol belongs to the word before it, an opening bracket or quotation mark to the one after.
    """
    spans: list[tuple[int, int]] = []
    opening: int | None = None
    for first, last in _pieces(text):
        if is_speakable(text[first:last]):
            spans.append((first if opening is None else opening, last))
            opening = None
        elif opening is not None:
            continue
        elif not spans or unicodedata.category(text[last - 1]) in {"Ps", "Pi"}:
            opening = first
        else:
            spans[-1] = (spans[-1][0], last)
    return spans


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"\S+", text):
        begin, end = match.span()
        for index in range(begin + 1, end):
            if _parts(text[index - 1], text[index]):
                yield begin, index
                begin = index
        yield begin, end


def _parts(before: str, after: str) -> bool:
    """Return whether a word may end between two characters that touch."""
    return unicodedata.category(after)[0] != "M" and (is_unspaced(before) or is_unspaced(after))


def is_sound(sound: str) -> bool:
    """Return whether a viseme's sound can be heard."""
    return sound.casefold() != SILENCE and is_speakable(sound)

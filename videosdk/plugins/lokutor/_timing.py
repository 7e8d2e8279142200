"""What is said when in one reply: its words and visemes, gathered request by request.

Rule of this file: pure. The utterance tells what it asks for and what comes back, the follower takes what
is due; who hears it, and when, is not known here. Times are seconds from the reply's first audio, indices
code points of the reply's text: the texts of its requests, joined as they were when they came.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NotRequired, TypedDict

from ._text import joined
from ._words import RequestWords, Word, is_sound
from .visemes import Viseme

_ROUNDING = 0.01
"""Seconds by which the service may round a time down."""
_LONGEST_START = 0.1
"""Seconds of a request within which its first viseme comes, as a rule."""


class WordSpoken(TypedDict):
    """Payload of the ``"word_spoken"`` event.

    Attributes:
        word: The word, with the punctuation that touches it.
        cumulative_text: The reply's text up to and including it.
        start: Seconds from the reply's first audio to the word's first sound.
        end: Seconds to the end of its last sound, as far as is known by its start.
        estimated: True where the service told no time for the word: then it stands where its length puts it.
    """

    word: str
    cumulative_text: str
    start: float
    end: float
    estimated: NotRequired[bool]


class ReplyTiming:
    """The words and visemes of one reply, each to be taken when the listener has got there.

    Args:
        words: Whether words are wanted.
        visemes: Whether visemes are wanted.
    """

    def __init__(self, *, words: bool = False, visemes: bool = False) -> None:
        self._want_words = words
        self._want_visemes = visemes
        self._text = ""  # Of all requests so far.
        self._request: _Request | None = None  # The one under way.
        self._starts: list[float] = []  # Of all requests so far.
        self._from_stream: bool | None = None  # Whether the service counts from an earlier request's start.
        self._words: deque[_Request] = deque()  # Those that have words left.
        self._visemes: list[Viseme] = []
        self._ended = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when something was added, or nothing more will be."""

    @property
    def wanted(self) -> bool:
        """Whether the service must be asked for visemes."""
        return self._want_words or self._want_visemes

    @property
    def ended(self) -> bool:
        """Whether nothing will be added any more."""
        return self._ended

    @property
    def next_due(self) -> float | None:
        """When the next word or viseme is due; None while there is none to wait for."""
        dues = [viseme.start for viseme in self._visemes[:1]]
        word = self._next_word_due()
        return min(dues if word is None else [*dues, word], default=None)

    def begin_request(self, text: str, at: float) -> None:
        """Note that a request leaves: a new one, or the same again where the last has not ended.

        Args:
            text: Its text.
            at: Seconds of the reply's audio received before it; for another try, those of the try before
                included.
        """
        if not self.wanted:
            return
        if self._request is not None:
            self._forget(self._request, at)
            return
        whole = joined(self._text, text)
        self._request = _Request(text, index=len(whole) - len(text), start=at, before=self._text)
        self._text = whole
        self._starts.append(at)
        if self._want_words:
            self._words.append(self._request)

    def take(self, visemes: Iterable[Viseme]) -> None:
        """Take visemes of the request under way, as they came."""
        request = self._request
        if request is None:
            return
        visemes = list(visemes)
        if request.lead is None and visemes:
            request.lead = self._lead(request, min(visemes, key=_start))
        for told in visemes:
            index = request.indices.code_point(told.index, told.sound)
            viseme = Viseme(index, told.sound, max(told.start - (request.lead or 0.0), 0.0))
            if request.start + viseme.start < request.heard:
                continue  # Of a part that an earlier try has brought.
            if self._want_words:
                request.words.take(viseme)
            if self._want_visemes:
                self._insert(request.in_reply(viseme))
        self.on_change()

    def end_request(self, at: float) -> None:
        """Note the end of the request under way, ``at`` seconds into the reply's audio."""
        request, self._request = self._request, None
        if request is not None:
            request.words.finish(at - request.start)
            late = bisect_right(self._visemes, at, key=_start)
            self._visemes[late:] = [replace(viseme, start=at) for viseme in self._visemes[late:]]
            self.on_change()

    def end(self, seconds: float) -> None:
        """Note that the reply has ended, and that no more than ``seconds`` of its audio were pushed."""
        self._ended = True
        if self._request is not None:  # It was cut short, and what lies behind is never heard.
            self._forget(self._request, seconds)
        self.on_change()

    def pop_words(self, position: float) -> list[WordSpoken]:
        """Return the words that a listener at ``position`` has reached, and forget them."""
        reached = []
        while (due := self._next_word_due()) is not None and due <= position:
            request = self._words[0]
            reached.append(request.spoken(request.words.pop()))
        return reached

    def pop_visemes(self, position: float) -> list[Viseme]:
        """Return the visemes that a listener at ``position`` has reached, and forget them."""
        count = bisect_right(self._visemes, position, key=_start)
        reached = self._visemes[:count]
        del self._visemes[:count]
        return reached

    def _insert(self, viseme: Viseme) -> None:
        if self._visemes and viseme.start < self._visemes[-1].start:
            insort(self._visemes, viseme, key=_start)
        else:  # As a rule they come in order.
            self._visemes.append(viseme)

    def _next_word_due(self) -> float | None:
        while self._words and self._words[0].words.exhausted:
            self._words.popleft()
        if not self._words:
            return None
        request = self._words[0]
        start = request.words.next_start
        return None if start is None else request.start + start

    def _lead(self, request: _Request, first: Viseme) -> float:
        """Return how much audio the service counts ahead of a request, by its first viseme.

        None, by its official clients: it counts from the request's first audio. Its lip-sync guide says "from
        the start of the audio stream", which may be that of an earlier request on the same connection. The
        first request that can tell settles it for the reply.
        """
        leads = (request.start - at for at in self._starts)
        lead = max(lead for lead in leads if lead <= max(first.start, 0.0) + _ROUNDING)
        if self._from_stream is None and request.start > 0:
            begins = first.start <= lead + _LONGEST_START and request.words.begins_with(first.index)
            self._from_stream = lead > 0 and begins
        return lead if self._from_stream else 0.0

    def _forget(self, request: _Request, at: float) -> None:
        request.heard = at
        request.lead = None
        request.words.forget(at - request.start)
        self._visemes = [viseme for viseme in self._visemes if viseme.start < at]


class _Request:
    """One request's place in the reply.

    Attributes:
        index: Where its text begins in the reply's.
        start: When its audio begins.
        before: The reply's text before it.
        heard: When what its tries so far have brought ends.
        lead: Seconds that the service counts ahead of its audio; None while that isn't known.
    """

    def __init__(self, text: str, index: int, start: float, before: str) -> None:
        self.index = index
        self.start = self.heard = start
        self.before = before
        self.lead: float | None = None
        self.words = RequestWords(text)
        self.indices = _Indices(text)
        self._text = text

    def spoken(self, word: Word) -> WordSpoken:
        """Return a word's event."""
        event = WordSpoken(
            word=word.text,
            cumulative_text=joined(self.before, self._text[: word.end_index]),
            start=self.start + word.start,
            end=self.start + word.end,
        )
        if word.estimated:
            event["estimated"] = True
        return event

    def in_reply(self, viseme: Viseme) -> Viseme:
        """Return a viseme of this request as one of the reply."""
        index = min(max(viseme.index, 0), len(self._text) - 1)
        return Viseme(self.index + index, viseme.sound, self.start + viseme.start)


class _Indices:
    """Finds out in which units the service counts characters.

    Nothing says whether a character beyond U+FFFF counts as one (code points) or as two (UTF-16, as in
    JavaScript). The sounds tell, where they are the characters themselves; without evidence it is one.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._utf16 = [index for index, char in enumerate(text) for _ in char.encode("utf-16-le")[::2]]
        self._evidence = 0

    def code_point(self, index: int, sound: str) -> int:
        """Return an index of the service in code points."""
        if len(self._utf16) == len(self._text) or not 0 <= index < len(self._utf16):
            return index
        other = self._utf16[index]
        if index >= len(self._text):
            # No code point is there; but where silence is, nothing need be.
            self._evidence += is_sound(sound) * len(self._text)
        else:
            self._evidence += _same(self._text[other], sound) - _same(self._text[index], sound)
        return other if self._evidence > 0 else index


def _same(char: str, sound: str) -> bool:
    return char.casefold() == sound.casefold()


def _start(viseme: Viseme) -> float:
    return viseme.start

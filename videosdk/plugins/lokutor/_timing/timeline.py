"""The timeline of one reply: its words and visemes, collected request by request.

Rule of this file: pure. The utterance adds requests and what comes back for them; the synchronizer takes what
is due. Playback is not known here. Times are seconds from the first audio of the reply. Those that go in, and
those inside, count the service's audio; those that come out what the listener gets of it (:class:`Edits`).
Indices are code points of its text: the texts of its requests, joined as they were when they came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf, nextafter
from typing import NotRequired, TypedDict

from .._text.spoken import SpokenText
from ..visemes import Viseme
from .edits import Edits
from .words import RequestWords, Word, is_sound

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
        end: Seconds to the end of its last sound that is known when the word starts.
        estimated: True if the service sent no time for the word. Its place follows from the words' lengths.
    """

    word: str
    cumulative_text: str
    start: float
    end: float
    estimated: NotRequired[bool]


class Timeline:
    """The words and visemes of one reply, each taken when playback reaches it.

    Args:
        words: Whether words are wanted.
        visemes: Whether visemes are wanted.
    """

    def __init__(self, *, words: bool = False, visemes: bool = False) -> None:
        self._want_words = words
        self._want_visemes = visemes
        self._text = ""  # Of all requests so far.
        self._request: _Request | None = None  # The one under way.
        self._before: _Request | None = None  # The one that has ended before it, on the same connection.
        self._starts: list[float] = []  # Of all requests so far.
        self._edits = Edits()
        self._from_stream: bool | None = None  # Whether the service counts from an earlier request's start.
        self._words: deque[_Request] = deque()  # Those that have words left.
        self._visemes: list[Viseme] = []
        self._as_written = True  # Whether nothing is spoken otherwise than it was written.
        self._reached = 0  # Where in the text the last word that was taken ends.
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
    def characters_left(self) -> int | None:
        """How many characters of the reply no word was taken of yet.

        None where words aren't wanted, or where some are spoken otherwise: then other characters were sent.
        """
        return len(self._text) - self._reached if self._want_words and self._as_written else None

    @property
    def next_due(self) -> float | None:
        """When the next word or viseme is due; None while there is none to wait for."""
        dues = [self._heard_at(viseme) for viseme in self._visemes[:1]]
        word = self._next_word_due()
        return min(dues if word is None else [*dues, word], default=None)

    def begin_request(self, spoken: SpokenText, at: float) -> None:
        """Note that a request leaves: a new one, or the same again where the last has not ended.

        Args:
            spoken: Its text.
            at: Seconds of the reply's audio received before it; for another try, those of the try before
                included.
        """
        if not self.wanted:
            return
        if self._request is not None:
            self._forget(self._request, at)
            self._before = None
            return
        self._as_written = self._as_written and spoken.text == spoken.written
        whole = spoken.join(self._text, spoken.written)
        index = len(whole) - len(spoken.written)
        self._request = _Request(spoken, whole, before=self._text, index=index, start=at)
        self._text = whole
        self._starts.append(at)
        if self._want_words:
            self._words.append(self._request)

    def take(self, visemes: Iterable[Viseme]) -> None:
        """Take the visemes of a message, as they came: of the request under way, or late ones."""
        visemes = list(visemes)
        request = self._owner(visemes) if visemes else None
        if request is None:
            return
        if request.stream_offset is None:
            request.stream_offset = self._stream_offset(request, min(visemes, key=_start))
            if self._from_stream is None and request.start > 0:
                self._from_stream = request.stream_offset > 0
        request.note(visemes, request.stream_offset)
        fresh = []
        for told in visemes:
            index = request.to_written(request.indices.code_point(told.index, told.sound))
            start = min(max(told.start - request.stream_offset, 0.0), request.length)
            viseme = Viseme(index, told.sound, start)
            if request.start + viseme.start < request.heard:
                continue  # Of a part that an earlier try has brought.
            fresh.append(viseme)
        if request.sounds:
            self._tell(request, fresh)
        else:
            request.held += fresh

    def note_sound(self) -> None:
        """Note that the try under way has brought its first sound: only now are there words to hear."""
        request = self._request
        if request is not None and not request.sounds:
            request.sounds = True
            if request.held:
                self._tell(request, request.held)

    def note_silence(self, seconds: float) -> None:
        """Note that the try under way was nothing but ``seconds`` of silence: its audio is still to come."""
        request = self._request
        if request is not None:
            request.start += seconds
            self._starts[-1] = request.start
            request.restart()

    def cut(self, at: float, seconds: float) -> None:
        """Note that the listener doesn't get ``seconds`` of the reply's audio, from ``at`` on."""
        self._edits.cut(at, seconds)
        self.on_change()

    def insert(self, at: float, seconds: float) -> None:
        """Note a pause of ``seconds`` that the listener hears ``at`` a place between two requests."""
        self._edits.insert(at, seconds)
        # What the request before it has ended with comes before the pause.
        late = bisect_left(self._visemes, at, key=_start)
        self._visemes[late:] = [replace(viseme, start=nextafter(at, 0.0)) for viseme in self._visemes[late:]]
        self.on_change()

    def end_request(self, at: float) -> None:
        """Note the end of the request under way, ``at`` seconds into the reply's audio."""
        self.note_sound()  # Its text may have none.
        request, self._request = self._request, None
        if request is not None:
            request.length = at - request.start
            self._before = request if request.length > 0 else None
            request.words.finish(request.length)
            late = bisect_right(self._visemes, at, key=_start)
            self._visemes[late:] = [replace(viseme, start=at) for viseme in self._visemes[late:]]
            self.on_change()

    def leave_out(self) -> None:
        """Forget the request under way, which the service doesn't speak."""
        request, self._request = self._request, None
        if request is not None:
            self._text = request.before
            self._starts.pop()
            if self._words and self._words[-1] is request:
                self._words.pop()
            self.on_change()

    def end(self, seconds: float) -> None:
        """Note that the reply has ended, and that no more than ``seconds`` of its audio were pushed."""
        self._ended = True
        if self._request is not None:  # It was cut short, and what lies behind is never heard.
            self._forget(self._request, self._edits.to_service(seconds))
        self.on_change()

    def text_until(self, position: float) -> str | None:
        """Return the text up to the last word that has started; None where words aren't wanted."""
        if not self._want_words:
            return None
        reached = self._reached
        at = self._edits.to_service(position)
        for request in self._words:
            end = request.words.reached(at - request.start)
            if end is None:
                break
            reached = request.index + end
        return self._text[:reached]

    def pop_words(self, position: float) -> list[WordSpoken]:
        """Return the words that a listener at ``position`` has reached, and forget them."""
        reached = []
        while (due := self._next_word_due()) is not None and due <= position:
            request = self._words[0]
            reached.append(request.spoken(request.words.pop(), self._edits))
        if reached:
            self._reached = len(reached[-1]["cumulative_text"])
        return reached

    def pop_visemes(self, position: float) -> list[Viseme]:
        """Return the visemes that a listener at ``position`` has reached, and forget them."""
        count = bisect_right(self._visemes, position, key=self._heard_at)
        reached = [replace(viseme, start=self._heard_at(viseme)) for viseme in self._visemes[:count]]
        del self._visemes[:count]
        return reached

    def _tell(self, request: _Request, visemes: list[Viseme]) -> None:
        for viseme in visemes:
            if self._want_words:
                request.words.take(viseme)
            if self._want_visemes:
                self._insert(request.in_reply(viseme))
        self.on_change()

    def _heard_at(self, viseme: Viseme) -> float:
        return self._edits.to_listener(viseme.start)

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
        return None if start is None else self._edits.to_listener(request.start + start)

    def _owner(self, visemes: list[Viseme]) -> _Request | None:
        """Return the request that a message's visemes are of, if any.

        Messages keep their order, so late ones of the request before come ahead of the first of the one under
        way: they go on where that was left, in its text and inside its audio. What also could begin the
        request under way is of the request before only where it fits no text but its; in doubt it is not.
        """
        before, request = self._before, self._request
        if before is None or (request is not None and request.stream_offset is not None):
            return request
        first = min(visemes, key=_start)
        stream_offset = (
            self._stream_offset(before, first) if before.stream_offset is None else before.stream_offset
        )
        if not before.goes_on_with(visemes, stream_offset):
            return request
        if request is None:
            return before
        begins = request.begins_with(first, self._stream_offset(request, first))
        return before if before.fits_better(visemes, request, begins=begins) else request

    def _stream_offset(self, request: _Request, first: Viseme) -> float:
        """Return how much audio the service counts ahead of a request, by its first viseme.

        None, by its official clients: it counts from the request's first audio. Its lip-sync guide says "from
        the start of the audio stream", which may be that of an earlier request on the same connection. The
        first request that can tell settles it for the reply.
        """
        leads = (request.start - at for at in self._starts)
        stream_offset = max(
            stream_offset for stream_offset in leads if stream_offset <= max(first.start, 0.0) + _ROUNDING
        )
        undecided = self._from_stream is None
        from_stream = (
            stream_offset > 0 and request.begins_with(first, stream_offset)
            if undecided
            else self._from_stream
        )
        return stream_offset if from_stream else 0.0

    def _forget(self, request: _Request, at: float) -> None:
        request.heard = at
        request.restart()
        request.words.forget(at - request.start)
        self._visemes = [viseme for viseme in self._visemes if viseme.start < at]


class _Request:
    """One request's place in the reply.

    Attributes:
        before: The reply's text before it.
        index: Where its text begins in the reply's.
        start: When its audio begins.
        length: Seconds of its audio; without end while it is under way.
        heard: When what its tries so far have brought ends.
        stream_offset: Seconds that the service counts ahead of its audio; None before its first viseme.
        sounds: Whether the try under way has brought a sound.
        held: Its visemes before that.
    """

    def __init__(self, spoken: SpokenText, whole: str, *, before: str, index: int, start: float) -> None:
        self.before = before
        self.index = index
        self.start = self.heard = start
        self.length = inf
        self.restart()
        self.words = RequestWords(spoken.written)
        self.indices = _Indices(spoken.text)
        self.to_written = spoken.to_written
        self._spoken = spoken.text
        self._whole = whole

    def restart(self) -> None:
        """Forget how far it was told: another try begins again."""
        self.stream_offset: float | None = None
        self.sounds = False
        self.held: list[Viseme] = []
        self._furthest = 0  # As the service counts.
        self._latest = 0.0

    def note(self, visemes: list[Viseme], stream_offset: float) -> None:
        """Note how far its visemes have come."""
        self._furthest = max(self._furthest, *(told.index for told in visemes))
        self._latest = max(self._latest, *(told.start - stream_offset for told in visemes))

    def begins_with(self, first: Viseme, stream_offset: float) -> bool:
        """Return whether its visemes may begin with ``first``."""
        return first.start <= stream_offset + _LONGEST_START and self._begins_with(first.index)

    def goes_on_with(self, visemes: list[Viseme], stream_offset: float) -> bool:
        """Return whether its visemes may go on with these."""
        earliest, latest = self._latest + stream_offset - _ROUNDING, self.length + stream_offset + _ROUNDING
        sounds = _sounds(visemes)  # A silence may be anywhere.
        if not sounds and self._ends_with(self._furthest):
            return False
        return all(earliest <= told.start <= latest for told in visemes) and all(
            self._furthest <= told.index < self.indices.count for told in sounds or visemes
        )

    def fits_better(self, visemes: list[Viseme], other: _Request, *, begins: bool) -> bool:
        """Return whether visemes that it may go on with are its own, and not the first of ``other``.

        Args:
            visemes: One message's.
            other: The next request.
            begins: Whether it may begin with them.
        """
        sounds = _sounds(visemes)
        if len(sounds) <= 1 and begins:
            return False  # That is no evidence.
        spelt = self._is_spelt_by(sounds)
        if spelt != other._is_spelt_by(sounds):
            return spelt
        return not begins or (self._is_spanned_by(sounds) > other._is_spanned_by(sounds))

    def _is_spelt_by(self, sounds: list[Viseme]) -> bool:
        """Return whether all sounds are the characters at their places."""
        return all(_same(self._spoken[told.index : told.index + 1], told.sound) for told in sounds)

    def _is_spanned_by(self, sounds: list[Viseme]) -> bool:
        """Return whether sounds go from the first word to the last, and through most of what audio it had."""
        indices, starts = [told.index for told in sounds], [told.start for told in sounds]
        return (
            self._begins_with(min(indices))
            and self._ends_with(max(indices))
            and max(indices) < self.indices.count
            and (self.length == inf or max(starts) - min(starts) > self.length / 2)
        )

    def _begins_with(self, index: int) -> bool:
        return self.words.begins_with(self.to_written(index))

    def _ends_with(self, index: int) -> bool:
        return self.words.ends_with(self.to_written(index))

    def spoken(self, word: Word, edits: Edits) -> WordSpoken:
        """Return a word's event, at its time in what the listener gets."""
        event = WordSpoken(
            word=word.text,
            cumulative_text=self._whole[: self.index + word.end_index],
            start=edits.to_listener(self.start + word.start),
            end=edits.end_to_listener(self.start + word.end),
        )
        if word.estimated:
            event["estimated"] = True
        return event

    def in_reply(self, viseme: Viseme) -> Viseme:
        """Return a viseme of this request as one of the reply."""
        index = min(self.index + max(viseme.index, 0), len(self._whole) - 1)
        return Viseme(index, viseme.sound, self.start + viseme.start)


class _Indices:
    """Finds out in which units the service counts characters.

    Nothing says whether a character beyond U+FFFF counts as one (code points) or as two (UTF-16, as in
    JavaScript). The sounds tell, where they are the characters themselves; without evidence it is one.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._utf16 = [index for index, char in enumerate(text) for _ in char.encode("utf-16-le")[::2]]
        self._evidence = 0

    @property
    def count(self) -> int:
        """How many characters the service may count at most."""
        return len(self._utf16)

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


def _sounds(visemes: list[Viseme]) -> list[Viseme]:
    return [viseme for viseme in visemes if is_sound(viseme.sound)]


def _start(viseme: Viseme) -> float:
    return viseme.start

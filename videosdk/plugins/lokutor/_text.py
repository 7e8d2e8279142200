"""Text chunks to requests.

Rule of this file: no I/O, no clock, no event loop. Chunks and flush markers go in, the texts of the
requests come out, and :attr:`TextPlanner.quiet_time` says how long the caller should wait before it
declares the input quiet.

Two kinds of stream arrive here and look alike for their first chunk. The framework's pipeline hands
over ready sentences: no white space at their edges, so joining two needs a space. A user's own
iterator hands over raw LLM tokens: what separates two words is in the tokens, so joining two must add
nothing. Sentences in tokens are found by the framework's own chunker.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from enum import Enum, auto
from itertools import accumulate

from videosdk.agents.tokenize import STRONG_TERMINATORS, BasicSentenceChunker

MAX_REQUEST_CHARS = 1000
"""Longest request in code points. Far below the service's own limit, so that a lost request is cheap."""

_TOKEN_QUIET = 0.15  # Seconds; the framework's own chunker waits as long before it lets a sentence go.
_NUMBER_QUIET = 0.5  # A number at the end ("3.") may go on ("14"), so it waits longer.
_CLOSING = "\"'”’»)]}"
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def is_speakable(text: str) -> bool:
    """Return whether ``text`` holds anything to say: a letter, a digit or a symbol (emoji included)."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text)


class _Stream(Enum):
    """What the chunks seen so far look like."""

    UNDECIDED = auto()
    SENTENCES = auto()
    TOKENS = auto()


class TextPlanner:
    """Gathers the chunks of one utterance and cuts them into requests.

    The caller pushes what arrives and asks for the next request whenever the service is free. What has
    gathered by then goes out together: better prosody, and fewer requests.

    Args:
        language: Two-letter code for the sentence chunker's abbreviations.
    """

    def __init__(self, language: str) -> None:
        self._chunker = BasicSentenceChunker(language=language)
        self._stream = _Stream.UNDECIDED
        self._closed: deque[str] = deque()
        self._text = ""
        self._ready = 0  # This much of _text is complete; the rest is a sentence in the making.
        self._last = ""  # The last chunk since the last flush, to join the next one to it,
        self._last_start = 0  # where it begins in _text,
        self._last_whole = False  # and whether it looked like a whole sentence.
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether the text has ended and every request was taken."""
        return self._ended and not self._closed

    @property
    def quiet_time(self) -> float | None:
        """Seconds without a chunk after which :meth:`release` is due; None where only more text helps."""
        rest = self._text[self._ready :].rstrip()
        if not is_speakable(rest) or rest.rstrip(_CLOSING)[-1:] not in STRONG_TERMINATORS:
            return None
        if not self._last_whole or not _has_space(rest):
            return _NUMBER_QUIET if _ends_in_number(rest) else _TOKEN_QUIET
        return 0.0

    def push(self, chunk: str) -> None:
        """Take the next chunk of text."""
        if not chunk:
            return
        whole = self._stream is not _Stream.TOKENS and self._is_whole(chunk)
        glue = self._glue(chunk, whole=whole)
        if not glue:
            self._ready = min(self._ready, self._last_start)
        self._last, self._last_start, self._last_whole = chunk, len(self._text), whole
        self._text += glue + chunk
        if whole and not self._may_go_on(chunk):
            self._ready = len(self._text)
        else:
            self._advance()

    def flush(self) -> None:
        """Take a ``FlushMarker``: what is buffered becomes a request of its own."""
        if is_speakable(self._text):
            self._closed.append(self._text)
        self._text, self._ready, self._last, self._last_start = "", 0, "", 0

    def end(self) -> None:
        """Take the end of the text."""
        self.flush()
        self._ended = True

    def release(self) -> None:
        """Take a quiet spell of :attr:`quiet_time`: the sentence in the making is complete after all."""
        self._ready = len(self._text)

    def next_request(self) -> str | None:
        """Return the text of the next request and forget it, or None while nothing is complete.

        A piece without anything to say (a stray quotation mark, a row of dots) waits for the text
        that follows it, and is dropped where none follows.
        """
        while self._closed:
            piece, rest = self._cut(self._closed.popleft())
            if is_speakable(rest):
                self._closed.appendleft(rest)
            if is_speakable(piece):
                return _clean(piece)
        if not is_speakable(self._text[: self._ready]):
            return None
        piece, rest = self._cut(self._text[: self._ready])
        taken = self._ready - len(rest)
        self._text = self._text[taken:]
        self._ready = len(rest)
        self._last_start = max(0, self._last_start - taken)
        return _clean(piece) if is_speakable(piece) else self.next_request()

    def _glue(self, chunk: str, *, whole: bool) -> str:
        """Return what belongs between the last chunk and this one, and learn from both."""
        last = self._last
        part_before = bool(last) and not self._last_whole and self._stream is _Stream.UNDECIDED
        if _has_edge_space(chunk) or part_before:
            self._stream = _Stream.TOKENS
        if not last or self._stream is _Stream.TOKENS:
            return ""
        if _continues(last, chunk, sure=whole or self._stream is _Stream.SENTENCES):
            return ""
        self._stream = _Stream.SENTENCES
        return "" if _is_wide(last[-1]) or _is_wide(chunk[0]) else " "

    def _is_whole(self, chunk: str) -> bool:
        """Return whether the chunker would let this chunk go as it stands."""
        return not _has_edge_space(chunk) and self._boundaries(f"{chunk} x")[-1:] == [len(chunk)]

    def _may_go_on(self, chunk: str) -> bool:
        """Return whether a complete-looking chunk could be the first part of a word or a number."""
        if self._stream is _Stream.SENTENCES:
            return False
        return _ends_in_number(chunk) or (chunk[0].islower() and not _has_space(chunk))

    def _advance(self) -> None:
        """Let go of every sentence or clause that is followed by something."""
        rest = self._text[self._ready :]
        boundaries = self._boundaries(rest)
        if boundaries:
            self._ready += boundaries[-1]
        elif len(rest) > MAX_REQUEST_CHARS:
            self._ready += len(self._cut(rest)[0])

    def _boundaries(self, text: str) -> list[int]:
        """Return where the framework's chunker cuts ``text``, without cuts inside a word or number."""
        segments = self._chunker.tokenize_raw(text)
        if "".join(segments) != text:
            # The chunker's placeholders are private-use characters; a text that holds some is garbled.
            return []
        ends = list(accumulate(map(len, segments)))[:-1]
        return [
            end for end in ends if text[end].isspace() or text[end - 1].isspace() or _is_wide(text[end - 1])
        ]

    def _cut(self, text: str) -> tuple[str, str]:
        """Cut off one request's worth: at a sentence, else a clause, else a word, else anywhere."""
        if len(text) <= MAX_REQUEST_CHARS:
            return text, ""
        ends = [end for end in self._boundaries(text[: MAX_REQUEST_CHARS + 1]) if end <= MAX_REQUEST_CHARS]
        sentences = [end for end in ends if text[:end].rstrip().rstrip(_CLOSING)[-1:] in STRONG_TERMINATORS]
        end = (sentences or ends or [_last_space(text) or _last_character(text)])[-1]
        return text[:end], text[end:]


def _last_space(text: str) -> int:
    """Return where the last word that fits into a request ends, or 0."""
    window = text[: MAX_REQUEST_CHARS + 1]
    return next((i for i in range(len(window) - 1, 0, -1) if window[i].isspace()), 0)


def _last_character(text: str) -> int:
    """Return the last place that doesn't part a character from its accents, or an emoji's parts."""
    for end in range(MAX_REQUEST_CHARS, MAX_REQUEST_CHARS // 2, -1):
        if not _extends(text[end]) and text[end - 1] != _ZERO_WIDTH_JOINER:
            return end
    return MAX_REQUEST_CHARS


def _extends(char: str) -> bool:
    return char == _ZERO_WIDTH_JOINER or unicodedata.category(char)[0] == "M" or ord(char) in _SKIN_TONES


def _continues(last: str, chunk: str, *, sure: bool) -> bool:
    """Return whether ``chunk`` goes on where ``last`` stopped, within a number, a name or a mark.

    Args:
        last: The chunk before, with no space at its end.
        chunk: This chunk, with no space at its start.
        sure: Whether this is known to be a sentence of its own.
    """
    if (
        not chunk[0].isalnum()
        and unicodedata.category(chunk[0]) in {"Po", "Pe", "Pf"}
        and chunk[0] not in "¿¡"
    ):
        return True
    if last[-1] in ".,:" and last[-2:-1].isdigit() and chunk[0].isdigit():
        return True
    return not sure and last[-1] == "." and chunk[0].islower() and not _has_space(chunk)


def _ends_in_number(text: str) -> bool:
    return text[-1:] in {".", ",", ":"} and text[-2:-1].isdigit()


def _has_edge_space(text: str) -> bool:
    return text[0].isspace() or text[-1].isspace()


def _has_space(text: str) -> bool:
    return any(char.isspace() for char in text)


def _is_wide(char: str) -> bool:
    """Return whether ``char`` is of a script that writes words without spaces between them."""
    return unicodedata.east_asian_width(char) in {"W", "F"}


def _clean(text: str) -> str:
    """Strip ``text`` and mend surrogate halves, which no UTF-8 message can carry.

    A pair that was split over two tokens becomes its character; half a pair becomes U+FFFD.
    """
    return text.strip().encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

"""A text with speech markup as it is written: without its tags, and what of it is left to say.

Rule of this file: pure. It knows what :mod:`.markup` has read, and nothing of how that is spoken.
"""

from __future__ import annotations

import html
import re
from itertools import pairwise
from typing import NamedTuple

from .markup import MarkedText, MarkupParser, Pause, Token, next_token

_LETTER = re.compile(r"\w")
_MARKS = re.compile(r"[^\w\s]+")
_OPENING = "\"'“„‘«([¿¡"


class WrittenText:
    """Takes one reply's markup, chunk by chunk, and returns it as it is written, without its tags.

    Args:
        sentences: Whether the chunks come from a sentence chunker.
    """

    def __init__(self, *, sentences: bool = False) -> None:
        self._parser = MarkupParser(sentences=sentences)
        self._last = ""
        self._paused = False

    def push(self, chunk: str) -> str:
        """Take the next chunk, and return what is known of the text by now."""
        return self._read(self._parser.push(chunk))

    def end(self) -> str:
        """Take the end of the text, or of a request."""
        return self._read(self._parser.end())

    def _read(self, marked: MarkedText) -> str:
        pauses = [place for place, mark in marked.marks if isinstance(mark, Pause)]
        ends = [0, *pauses, len(marked.text)]
        pieces = [self._part(marked.text[ends[0] : ends[1]])]
        for begin, end in pairwise(ends[1:]):
            self._paused = True
            pieces.append(self._part(marked.text[begin:end]))
        return "".join(pieces)

    def _part(self, piece: str) -> str:
        """Return a piece with a space for a pause before it that nothing else stands for."""
        if not piece:
            return ""
        ended = self._last.isalnum() or self._last in tuple(".,:;!?…")
        apart = self._paused and ended and (piece[0].isalnum() or piece[0] in _OPENING)
        self._last, self._paused = piece[-1], False
        return f" {piece}" if apart else piece


def without_markup(text: str) -> str:
    """Return a whole ``text`` as it is written, without its tags and the spaces between two of them."""
    written = WrittenText()
    plain = written.push(text) + written.end()
    return text if plain == text else re.sub(r"[^\S\n]*(\s)[^\S\n]*", r"\1", plain).strip()


def count_written(text: str) -> int:
    """Return how many letters and digits a text has that is free of markup."""
    return len(_LETTER.findall(text))


class Remainder(NamedTuple):
    """What is left of a text with markup.

    Attributes:
        begin: Where it begins.
        opening: What stands in front of it: the tags of the elements that are open there.
    """

    begin: int
    opening: str


def find_remainder(text: str, letters: int | None, *, ended: bool) -> Remainder:
    """Return what is left of ``text`` when so much of it was spoken.

    Args:
        text: The text, with its tags.
        letters: How many letters and digits of the written text were; None: all that can be read.
        ended: Whether no more text follows. Otherwise a tag that isn't whole yet is left.
    """
    cut = _Cut(text, ended=ended)
    if letters is None:
        cut.read_all()
    else:
        cut.read(letters)
    return Remainder(cut.place, cut.opening)


class _Cut:
    """A place in a text with markup, and what is open there."""

    def __init__(self, text: str, *, ended: bool) -> None:
        self.place = 0
        self._text = text
        self._ended = ended
        self._rest = ""  # Of what isn't written as it stands.
        self._parser = MarkupParser()

    @property
    def opening(self) -> str:
        return f"{self._parser.opening}{self._rest}"

    def read_all(self) -> None:
        """Go to the end. What is spoken in another way is left as long as its end is missing."""
        whole = 0
        while token := self._next():
            self._take(token)
            if self._parser.replaces is None:
                whole = self.place
        if self._parser.replaces is not None:
            self.place = whole
            self._parser.leave_replaced()

    def read(self, letters: int) -> None:
        """Go behind so many letters, and the punctuation and end tags that touch them."""
        while letters > 0 and (token := self._next()):
            ends = [found.end() for found in _LETTER.finditer(token.text)][:letters]
            letters -= len(ends)
            if letters:
                self._take(token)
            elif token.plain:
                self.place += ends[-1]
            else:
                self._take(token)
                self._rest = html.escape(token.text[ends[-1] :].lstrip(), quote=False)
        if not self._rest:
            while (token := self._next()) and self._ends_word(token):
                pass
            self.place += len(self._text[self.place :]) - len(self._text[self.place :].lstrip())

    def _ends_word(self, token: Token) -> bool:
        """Go behind what still belongs to the last word. Return whether all of ``token`` does."""
        marks = _MARKS.match(token.text)
        if token.plain and marks is not None:
            self.place += marks.end()
            return self.place == token.end
        if (token.tag is not None and token.tag["close"]) or (token.tag is None and marks is not None):
            self._take(token)
            return True
        return False

    def _next(self) -> Token | None:
        if self.place == len(self._text):
            return None
        return next_token(self._text, self.place, ended=self._ended)

    def _take(self, token: Token) -> None:
        self._parser.take(token)
        self.place = token.end

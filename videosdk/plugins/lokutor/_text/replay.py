"""A text that several readers can speak one after the other, each from where the one before it came to.

Rule of this file: it knows the text and who reads it, nothing of speech. The text is pulled once. Cancelling
a reader doesn't end it, and a reader that is over takes nothing from the next.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from videosdk.agents import FlushMarker

from .._tasks import keep, was_cancelled
from .characters import is_speakable
from .feed import LONGEST_STRETCH, Text, close_iterator

_Piece = str | FlushMarker | None

_CLOSE_TIMEOUT = 0.5
"""Seconds for the text iterator to honour its cancellation, before it is left behind."""
_TAG_OR_LETTER = re.compile(r"<[^<>]*>|\w")
"""What is skipped, and what is counted: plugins tell words without markup, and space them in their way."""
_REST_OF_WORD = re.compile(r"[^\w\s<]*")


class ReplayableText:
    """A text that is kept until it was spoken. Create it inside the running loop.

    Args:
        text: A string, or an async iterator as a TTS gets it.
    """

    def __init__(self, text: Text) -> None:
        self._source = None if isinstance(text, str) else aiter(text)
        self._left: list[_Piece] = [text] if isinstance(text, str) else []
        self._pulled: list[str] = [text] if isinstance(text, str) else []
        self._loop = asyncio.get_running_loop()
        self._pulling: asyncio.Task[None] | None = None
        self._news = asyncio.Event()  # A further piece, or that there is none.
        self._begun = False
        self._ended = self._source is None
        self.error: BaseException | None = None
        """What the iterator has raised, if anything."""

    @property
    def whole(self) -> str:
        """All text that was pulled so far, on one line."""
        pieces = list(filter(None, self._pulled))
        sentences = all(piece == piece.strip() for piece in pieces)  # Those of the framework's chunker.
        return " ".join((" " if sentences else "").join(pieces).split())

    @property
    def taken(self) -> bool:
        """Whether any of it was asked for."""
        return self._begun

    def read(self, *, ahead: bool = False, followed: bool = False) -> Reading:
        """Return what is left, for one reader.

        Args:
            ahead: Whether it takes all text that is there at once. Then that is pulled at once, too.
            followed: Whether another reader can follow where this one fails.
        """
        return Reading(self, ahead=ahead, followed=followed)

    async def piece(self, number: int, *, ahead: bool = False) -> _Piece:
        """Return one of the pieces that are left.

        Args:
            number: Which one.
            ahead: Whether to pull on behind it.

        Raises:
            StopAsyncIteration: There are no more.
            BaseException: What the iterator raised, as it is.
        """
        self._begun = True
        while number >= len(self._left) and not self._ended:
            if self._pulling is None or self._pulling.done():
                self._pulling = self._loop.create_task(self._pull(ahead=ahead))
            self._news.clear()
            await self._news.wait()
        if number < len(self._left):
            return self._left[number]
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def has_more(self) -> bool:
        """Return whether anything is left to say; wait for more text if need be."""
        number = 0
        try:
            while True:
                piece = await self.piece(number)
                if isinstance(piece, str) and is_speakable(piece):
                    return True
                number += 1
        except StopAsyncIteration:
            return False

    def drop(self, count: int) -> str:
        """Forget the first ``count`` pieces that are left; return their text."""
        dropped, self._left = self._left[:count], self._left[count:]
        return " ".join(" ".join(piece for piece in dropped if isinstance(piece, str)).split())

    def drop_spoken(self, spoken: str) -> None:
        """Forget as much of what is left as a plugin says that it has spoken."""
        letters = count_letters(spoken)
        while letters and self._left:
            piece = self._left[0]
            inside = count_letters(piece) if isinstance(piece, str) else 0
            if isinstance(piece, str) and inside > letters:
                self._left[0] = _behind(piece, letters)
                return
            letters -= inside
            del self._left[0]

    def end(self) -> None:
        """Pull no more: whoever waits for more text gets none."""
        self._ended = True
        self._news.set()
        if self._pulling is not None and not self._pulling.done():
            self._pulling.cancel()
            keep([self._pulling])

    async def close(self) -> None:
        """Pull no more, and close the iterator, if it was begun and can be closed."""
        self.end()
        if self._pulling is not None:
            await asyncio.wait({self._pulling}, timeout=_CLOSE_TIMEOUT)
        if self._begun:
            await close_iterator(self._source)

    async def _pull(self, *, ahead: bool) -> None:
        assert self._source is not None
        rested_at = self._loop.time()
        try:
            while True:
                self._add(await anext(self._source))
                if not ahead:
                    return
                if self._loop.time() - rested_at > LONGEST_STRETCH:
                    await asyncio.sleep(0)
                    rested_at = self._loop.time()
        except StopAsyncIteration:
            self._ended = True
        except BaseException as error:
            if was_cancelled(error):
                raise
            self._ended, self.error = True, error
        finally:
            self._news.set()

    def _add(self, piece: _Piece) -> None:
        self._left.append(piece)
        self._pulled += [piece] if isinstance(piece, str) else []
        self._news.set()


class Reading(AsyncIterator[_Piece]):
    """What is left of a text, for one reader. It has no ``aclose()``: the next reader needs the text."""

    def __init__(self, text: ReplayableText, *, ahead: bool, followed: bool = False) -> None:
        self._text = text
        self._ahead = ahead
        self.followed = followed
        """Whether another reader can follow where this one fails."""
        self.closed = False
        """Whether nothing more is handed out."""
        self.taken = 0
        """How many pieces the reader has got."""

    async def __anext__(self) -> _Piece:
        if self.closed:
            raise StopAsyncIteration
        piece = await self._text.piece(self.taken, ahead=self._ahead)
        if self.closed:  # While it waited.
            raise StopAsyncIteration
        self.taken += 1
        return piece

    def close(self) -> None:
        """Hand out nothing more."""
        self.closed = True


def count_letters(text: str) -> int:
    """Return how many letters and digits a text has, outside of tags."""
    return sum(match[0][0] != "<" for match in _TAG_OR_LETTER.finditer(text))


def _behind(text: str, letters: int) -> str:
    """Return what follows the first so many letters and digits, and the punctuation that touches them."""
    for match in _TAG_OR_LETTER.finditer(text):
        letters -= match[0][0] != "<"
        if not letters:
            rest = _REST_OF_WORD.match(text, match.end())
            return text[rest.end() if rest else match.end() :].lstrip()
    return ""

"""A text that several readers can speak one after the other, each from where the one before it came to.

Rule of this file: it knows the text and who reads it, nothing of speech. The text is pulled once. Cancelling
a reader doesn't end it, and a reader that is over takes nothing from the next.

Where one of the readers reads speech markup, what is left begins with the tags of the elements that are open
there. A reader that doesn't read it may get the text without its tags.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator

from videosdk.agents import FlushMarker

from .._tasks import keep, was_cancelled
from .characters import is_speakable
from .feed import LONGEST_STRETCH, Text, close_iterator, discard, text_or_marker
from .written import WrittenText, count_written, find_remainder, without_markup

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
        markup: Whether its tags are markup, and not text.
        sentences: Whether it comes from a sentence chunker.
    """

    def __init__(self, text: Text, *, markup: bool = False, sentences: bool = False) -> None:
        self._markup = markup
        self._sentences = sentences
        self._opening = ""  # Tags that the next piece begins with.
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
        return _as_one(self._pulled)

    @property
    def taken(self) -> bool:
        """Whether any of it was asked for."""
        return self._begun

    def read(self, *, ahead: bool = False, plain: bool = False, followed: bool = False) -> Reading:
        """Return what is left, for one reader.

        Args:
            ahead: Whether it takes all text that is there at once. Then that is pulled at once, too.
            plain: Whether it gets the text without its tags.
            followed: Whether another reader can follow where this one fails.
        """
        written = _Written(sentences=self._sentences) if plain else None
        return Reading(self, ahead=ahead, written=written, followed=followed)

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
            self._news.clear()  # Now: an eager task may bring the next piece before it returns.
            if self._pulling is None or self._pulling.done():
                self._pulling = self._loop.create_task(self._pull(ahead=ahead))
            await self._news.wait()
        if number < len(self._left):
            return self._left[number]
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def has_more(self, behind: int = 0) -> bool:
        """Return whether anything is left to say; wait for more text if need be.

        Args:
            behind: How many of the pieces that are left don't count.
        """
        number = behind
        try:
            while True:
                await self.piece(number)
                number += 1
                if is_speakable(self._written(number)[len(self._written(behind)) :]):
                    return True
        except StopAsyncIteration:
            return False

    def first(self, count: int) -> str:
        """Return the text of the first ``count`` pieces that are left, without markup, on one line."""
        if self._markup:
            return " ".join(self._written(count).split())
        return _as_one([piece for piece in self._left[:count] if isinstance(piece, str)])

    def drop(self, count: int) -> str:
        """Forget the first ``count`` pieces that are left; return their text, without markup."""
        if self._markup:
            return " ".join(self._drop_marked(count, None).split())
        dropped, self._left = self.first(count), self._left[count:]
        return dropped

    def drop_spoken(self, spoken: str, *, raw: bool = False) -> None:
        """Forget as much of what is left as a plugin says that it has spoken.

        Args:
            spoken: Its text.
            raw: Whether the plugin takes tags for text, and may tell them as well.
        """
        if self._markup:
            if letters := count_written(without_markup(spoken) if raw else spoken):
                self._drop_marked(len(self._left), letters)
            return
        letters = count_letters(spoken)
        while letters and self._left:
            piece = self._left[0]
            inside = count_letters(piece) if isinstance(piece, str) else 0
            if isinstance(piece, str) and inside > letters:
                self._left[0] = _behind(piece, letters)
                return
            letters -= inside
            del self._left[0]

    def _written(self, count: int) -> str:
        """Return the text of the first ``count`` pieces that are left, without markup."""
        if self._markup:
            return without_markup(self._joined(count))
        return " ".join(piece for piece in self._left[:count] if isinstance(piece, str))

    def _joined(self, count: int) -> str:
        between = " " if self._sentences else ""
        return between.join(piece for piece in self._left[:count] if isinstance(piece, str))

    def _drop_marked(self, count: int, letters: int | None) -> str:
        """Forget so many letters of the first ``count`` pieces, or all; return their text, without markup."""
        text = self._joined(count)
        begin, self._opening = find_remainder(text, letters, ended=self._ended and count >= len(self._left))
        left, self._left = self._left, []
        place = 0
        for number, piece in enumerate(left):
            inside = begin - place  # What of it is forgotten.
            if not isinstance(piece, str):
                if inside <= 0 or number >= count:
                    self._keep(piece)
                continue
            if rest := piece[max(inside, 0) :]:
                self._keep(rest)
            place += len(piece) + self._sentences
        return without_markup(text[:begin])

    def _keep(self, piece: _Piece) -> None:
        """Have the readers get a piece, in front of it the tags of what is open there."""
        if isinstance(piece, str) and piece:
            piece, self._opening = self._opening + piece, ""
        self._left.append(piece)

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

    def leave(self, rest: AsyncIterator[object]) -> None:
        """Hand out no more, and have the ``rest`` of the iterator read on: nobody speaks it."""
        self._ended = True
        self._news.set()
        keep([self._loop.create_task(self._read_on(rest))])

    async def _read_on(self, rest: AsyncIterator[object]) -> None:
        if self._pulling is not None:
            await asyncio.wait({self._pulling})
        await discard(rest)

    async def _pull(self, *, ahead: bool) -> None:
        assert self._source is not None
        rested_at = self._loop.time()
        try:
            while True:
                piece = await anext(self._source)
                text_or_marker(piece)  # Anything else is an error of the text, and not of who reads it.
                self._add(piece)
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
        self._keep(piece)
        self._pulled += [piece] if isinstance(piece, str) else []
        self._news.set()


class Reading(AsyncIterator[_Piece]):
    """What is left of a text, for one reader. It has no ``aclose()``: the next reader needs the text."""

    def __init__(
        self,
        text: ReplayableText,
        *,
        ahead: bool,
        written: _Written | None = None,
        followed: bool = False,
    ) -> None:
        self._text = text
        self._ahead = ahead
        self._written = written
        self._due: deque[_Piece] = deque()  # What is handed out before anything else is taken.
        self._ended = False
        self.followed = followed
        """Whether another reader can follow where this one fails."""
        self.closed = False
        """Whether nothing more is handed out."""
        self.taken = 0
        """How many pieces the reader has got."""

    @property
    def ended(self) -> bool:
        """Whether the reader has got all, and was told so."""
        return self._ended

    async def __anext__(self) -> _Piece:
        while not self._due:
            if self.closed or self._ended:
                raise StopAsyncIteration
            await self._take_next()
        return self._due.popleft()

    async def _take_next(self) -> None:
        try:
            piece = await self._text.piece(self.taken, ahead=self._ahead)
        except StopAsyncIteration:
            self._ended = True
            self._due.extend([] if self._written is None else self._written.end())
            return
        if self.closed:  # While it waited.
            raise StopAsyncIteration
        self.taken += 1
        self._due.extend([piece] if self._written is None else self._written.take(piece))

    def close(self) -> None:
        """Hand out nothing more."""
        self.closed = True
        self._due.clear()


class _Written:
    """The pieces of a text, without the tags in them."""

    def __init__(self, *, sentences: bool) -> None:
        self._text = WrittenText(sentences=sentences)
        self._sentences = sentences

    def take(self, piece: _Piece) -> Iterator[_Piece]:
        """Yield what a reader gets when a piece has come."""
        if isinstance(piece, str):
            yield from self._pieces(self._text.push(piece))
        elif piece is not None:
            yield from self.end()
            yield piece

    def end(self) -> Iterator[_Piece]:
        """Yield what a reader gets at the end."""
        yield from self._pieces(self._text.end())

    def _pieces(self, text: str) -> Iterator[str]:
        # The space in front of a tag, and the one behind it.
        text = re.sub(r"(\s)[^\S\n]+", r"\1", text)
        if self._sentences:
            text = text.strip()
        if text:
            yield text


async def written_text(text: Text, *, sentences: bool) -> AsyncIterator[str | FlushMarker]:
    """Yield a text without the tags in it."""
    written = _Written(sentences=sentences)
    if isinstance(text, str):
        pieces = [*written.take(text), *written.end()]
    else:
        async for piece in text:
            for each in written.take(piece):
                yield each  # type: ignore[misc]
        pieces = [*written.end()]
    for each in pieces:
        yield each  # type: ignore[misc]


def _as_one(pieces: list[str]) -> str:
    """Return pieces of a text on one line."""
    pieces = list(filter(None, pieces))
    sentences = all(piece == piece.strip() for piece in pieces)  # Those of the framework's chunker.
    return " ".join((" " if sentences else "").join(pieces).split())


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

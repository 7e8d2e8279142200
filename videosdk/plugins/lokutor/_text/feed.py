"""Pulls the text of one reply, and hands it out as requests.

Rule of this file: it knows the text, and the clock that says when it is quiet. What is sent, and when, is not
known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from videosdk.agents import FlushMarker

from .._tasks import keep, was_cancelled
from .._timer import Timer, do_nothing
from .characters import language_code
from .joints import Chunks
from .markup import FindLanguage, MarkupParser
from .pieces import RequestText, Segment
from .planner import TextPlanner

logger = logging.getLogger("videosdk.plugins.lokutor")

Text = AsyncIterator[str | FlushMarker] | str

_END: Final = object()
LONGEST_STRETCH = 0.005
"""Seconds for which an iterator that never has to wait may keep the loop, and the first request, waiting."""
_CLOSE_TIMEOUT = 0.5
"""Seconds for the user's text iterator to close, before it is left behind."""


class TextFeed:
    """The text of one reply.

    Create it inside the running loop, and :meth:`run` it once.

    Args:
        language: Two-letter code for the sentence chunker's abbreviations.
        on_text: Called after each piece of text, and at the end.
        on_quiet: Called when a sentence is complete because no more text came.
        chunks: What is known of the pieces that it comes in.
        markup: Whether it may hold speech markup.
        find_language: Returns the language that a tag of it asks for.
    """

    def __init__(
        self,
        language: str,
        on_text: Callable[[], None],
        on_quiet: Callable[[], None],
        *,
        chunks: Chunks = Chunks.UNKNOWN,
        markup: bool = False,
        find_language: FindLanguage = language_code,
    ) -> None:
        self._planner = TextPlanner(language, chunks=chunks)
        self._markup = (
            MarkupParser(sentences=chunks.are_sentences, find_language=find_language) if markup else None
        )
        self._on_text = on_text
        self._on_quiet = on_quiet
        self._loop = asyncio.get_running_loop()
        self._quiet_timer = Timer(self._loop, self._release)
        self._source: AsyncIterator[str | FlushMarker] | None = None
        self._taken = False
        self._error: BaseException | None = None
        self._closed = False
        self._rest: AsyncIterator[object] | None = None

    @property
    def taken(self) -> bool:
        """Whether there was any text."""
        return self._taken

    @property
    def error(self) -> BaseException | None:
        """What has ended the text early: what the iterator has raised, or what it has yielded was no text."""
        return self._error

    @property
    def exhausted(self) -> bool:
        """Whether the text has ended and every request was taken."""
        return self._planner.exhausted

    async def run(self, text: Text) -> None:
        """Pull ``text`` to its end. An exception of the iterator is its end, too: see :attr:`error`."""
        if isinstance(text, str):
            self._take(text)
        else:
            self._source = text
            try:
                await self._pull(text)
            except (Exception, asyncio.CancelledError) as error:
                if was_cancelled(error):
                    raise
                self._error = error
        if self._rest is not None:
            await discard(self._rest)
        if self._closed:
            return
        self.pause()
        self._finish_markup()
        self._planner.end()
        self._on_text()

    async def _pull(self, text: AsyncIterator[str | FlushMarker]) -> None:
        rested_at = self._loop.time()
        while (chunk := await _next_chunk(text)) is not _END:
            if self._closed:
                return
            self._take(chunk)
            self._on_text()
            if self._loop.time() - rested_at > LONGEST_STRETCH:
                await asyncio.sleep(0)
                rested_at = self._loop.time()

    @property
    def ready(self) -> bool:
        """Whether there is text for a request."""
        return self._planner.ready

    def segments(self) -> list[Segment]:
        """Return the sentences and clauses that are complete, up to the next flush."""
        return self._planner.segments()

    def sentences(self, segments: Sequence[Segment]) -> list[str]:
        """Return the sentence that each of the ``segments`` belongs to, as far as it is there."""
        return self._planner.sentences(segments)

    def take_pause(self) -> float:
        """Return the seconds of silence that are due before the next text, and forget them."""
        return self._planner.take_pause()

    def next_request(self, segments: Sequence[Segment]) -> RequestText | None:
        """Return the text of the first ``segments`` and forget it, or None where there are none."""
        return self._planner.next_request(segments)

    def wait_for_quiet(self) -> None:
        """Call ``on_quiet`` when the sentence in the making has been complete for long enough."""
        quiet = self._planner.quiet_time
        if quiet is None:
            self._quiet_timer.stop()
        else:
            self._quiet_timer.start(quiet)

    def pause(self) -> None:
        """Don't wait for quiet: a request is under way, and text is gathered until its end."""
        self._quiet_timer.stop()

    def close(self) -> None:
        """Take no more text."""
        self._closed = True
        self._on_text = self._on_quiet = do_nothing
        self._quiet_timer.close()

    def close_and_read_on(self, rest: AsyncIterator[object]) -> None:
        """Take no more text, and have :meth:`run` read the ``rest`` of the iterator to its end."""
        self.close()
        self._rest = rest

    @property
    def reads_on(self) -> bool:
        """Whether the text is read to its end, though nobody speaks it."""
        return self._rest is not None

    async def close_source(self) -> None:
        """Close the iterator, if it was begun and can be closed.

        One that was never begun is left for whoever speaks the text instead (``FallbackTTS``).
        """
        await close_iterator(self._source)

    def _take(self, chunk: object) -> None:
        match text_or_marker(chunk):
            case str() as piece:
                self._taken = self._taken or bool(piece)
                self._push(piece)
            case FlushMarker():
                self._finish_markup()
                self._planner.flush()

    def _push(self, chunk: str) -> None:
        if self._markup is None:
            self._planner.push(chunk)
        else:
            text = self._markup.push(chunk)
            self._planner.push_marked(text, pending=self._markup.pending)

    def _finish_markup(self) -> None:
        if self._markup is not None:
            self._planner.push_marked(self._markup.end(), pending=False)

    def _release(self) -> None:
        self._planner.release()
        self._on_quiet()


def text_or_marker(chunk: object) -> str | FlushMarker:
    """Return what a text iterator has yielded; None, as some LLM streams yield it, is an empty text.

    Raises:
        TypeError: It is something else.
    """
    if chunk is None:
        return ""
    if isinstance(chunk, (str, FlushMarker)):
        return chunk
    kind = type(chunk).__name__
    raise TypeError(f"the text iterator must yield str or FlushMarker, got {kind}")


async def _next_chunk(text: AsyncIterator[str | FlushMarker]) -> object:
    try:
        # Without a default: with one, CPython crashes where __anext__ itself raises, and no coroutine.
        return await anext(text)
    except StopAsyncIteration:
        return _END


async def discard(rest: AsyncIterator[object]) -> None:
    """Read a text to its end, though nobody speaks it any more."""
    try:
        async for _ in rest:
            pass
    except Exception:  # It is nothing to the turn, which has ended.
        logger.debug("The rest of a text that wasn't spoken raised", exc_info=True)


async def close_iterator(source: object) -> None:
    """Close a text iterator, where it can be closed; it may take a moment, or is left behind."""
    close = getattr(source, "aclose", None)
    if close is None:
        return
    # In a task of its own: nothing else ends an iterator that swallows its cancellation, or holds up
    # the CancelledError of one that awaits something cancelled.
    closing = asyncio.get_running_loop().create_task(_closed(close))
    try:
        await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT)
        if not closing.done():
            _warn_of_end(f"it is left behind after {_CLOSE_TIMEOUT:g} s")
    finally:
        closing.cancel()
        keep([closing])


async def _closed(close: Callable[[], Awaitable[object]]) -> None:
    try:
        await close()
    except BaseException as error:
        if was_cancelled(error) or isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        # It comes too late to change the outcome, or to hide it.
        _warn_of_end(f"{type(error).__name__}: {error}")


def _warn_of_end(reason: str) -> None:
    logger.warning("The text iterator did not stop when the utterance ended: %s", reason)

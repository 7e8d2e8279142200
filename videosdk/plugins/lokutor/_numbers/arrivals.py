"""The chunks of a reply, and the quiet between them.

Rule of this file: it knows when text comes, and nothing of what it says.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator

from .._tasks import keep
from .._text.feed import close_iterator

_CLOSE_TIMEOUT = 0.5
"""Seconds for a chunk that is waited for to be given up."""


class Arrivals:
    """Waits for the chunks of one reply.

    Args:
        chunks: Yields them.
    """

    def __init__(self, chunks: AsyncIterator[str]) -> None:
        self._chunks = aiter(chunks)
        # An iterator that sets a context variable must find it again at its next chunk.
        self._context = contextvars.copy_context()
        self._coming: asyncio.Task[str] | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether no more chunks will come."""
        return self._ended

    async def next(self, quiet: float | None) -> str | None:
        """Return the next chunk, or None after ``quiet`` seconds without one. The end is an empty chunk.

        Raises:
            Exception: What the iterator raised, as it is.
        """
        if self._coming is None:
            self._coming = asyncio.get_running_loop().create_task(self._pull(), context=self._context)
        if not self._coming.done():
            # It goes on beyond the quiet: an iterator that is cancelled has ended.
            await asyncio.wait({self._coming}, timeout=quiet)
        if not self._coming.done():
            return None
        coming, self._coming = self._coming, None
        return coming.result()

    async def close(self) -> None:
        """End the iterator, and what is waited for."""
        coming, self._coming = self._coming, None
        try:
            if coming is not None and coming.cancel():
                keep([coming])
                await asyncio.wait({coming}, timeout=_CLOSE_TIMEOUT)
        finally:
            if not self._ended:
                await close_iterator(self._chunks)

    async def _pull(self) -> str:
        try:
            return await anext(self._chunks) or ""  # Some LLM streams carry empty deltas.
        except BaseException as error:
            self._ended = True
            if isinstance(error, StopAsyncIteration):
                return ""
            raise

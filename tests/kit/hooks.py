"""``tts`` hooks as applications write them. Register one as ``pipeline.on("tts")``, bound to the plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from videosdk.agents import run_tts

from videosdk.plugins.lokutor import LokutorTTS

Texts = AsyncIterator[Any]
Hook = Callable[[LokutorTTS, Texts], AsyncIterator[bytes]]


async def by_run_tts(_tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
    async for piece in run_tts(texts):
        yield piece


async def by_a_stream(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
    async for piece in tts.stream_synthesize(texts):
        yield piece


async def by_a_task(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
    """Speak in a task, which nothing in the framework ties to the turn."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def speak() -> None:
        try:
            async for piece in tts.stream_synthesize(texts):
                await queue.put(piece)
        finally:
            await queue.put(None)

    speaking = asyncio.create_task(speak())
    while (piece := await queue.get()) is not None:
        yield piece
    await speaking

"""From the text to the first bytes on the track."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from videosdk.agents import FlushMarker
from videosdk.agents.pipeline_orchestrator import _pipe_through_chunk_stream
from videosdk.agents.tokenize import BasicSentenceChunker

from . import texts
from .bench import MILLI, Bench, Sample
from .call import RawSocket
from .plan import ServiceBehaviour

_THINKING = 0.3
"""Seconds from the start of ``synthesize()`` to the language model's first token."""
_TOKEN_INTERVAL = 0.02


async def cold(bench: Bench) -> None:
    """Measure the first turn of a new plugin that was not prewarmed."""
    await bench.behave(ServiceBehaviour())

    async def sample(name: str) -> Sample:
        async with bench.call(name) as call:
            asked = time.monotonic()
            turn = call.reply(texts.SHORT)
            first = await call.first_audio()
            await turn
        return {"cold": (first - asked) * MILLI}

    async with RawSocket(bench.port) as raw:
        await bench.interleave("first audio, cold", sample, lambda: raw_first_audio(raw, "cold"))


async def warm(bench: Bench) -> None:
    """Measure a turn after ``prewarm()`` and another turn."""
    await bench.behave(ServiceBehaviour())
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack)
        raw = await stack.enter_async_context(RawSocket(bench.port))

        async def sample(name: str) -> Sample:
            call = calls[name]
            call.track.listen()
            asked = time.monotonic()
            turn = call.reply(texts.SHORT)
            first = await call.first_audio()
            await turn
            return {"warm": (first - asked) * MILLI}

        await bench.interleave("first audio, warm", sample, lambda: raw_first_audio(raw, "warm"))


async def tokens(bench: Bench) -> None:
    """Measure from a language model's first token, through the framework's own sentence chunker."""
    await bench.behave(ServiceBehaviour())
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack)
        raw = await stack.enter_async_context(RawSocket(bench.port))

        async def sample(name: str) -> Sample:
            call, model = calls[name], _Model()
            call.track.listen()
            turn = call.reply(model.sentences())
            first = await call.first_audio()
            await call.interrupt()  # The rest is not of interest here.
            turn.cancel()
            await asyncio.wait({turn})
            return {"tokens": (first - model.first_token) * MILLI}

        async def floor() -> Sample:
            model = _Model()
            async with aclosing(model.sentences()) as sentences:
                text = await anext(sentences)
            assert isinstance(text, str)
            return {"tokens": (await raw.speak(text) - model.first_token) * MILLI}

        await bench.interleave("tokens through the chunker", sample, floor)


async def raw_first_audio(raw: RawSocket, row: str) -> Sample:
    """Measure the floor: the same text over the open socket."""
    asked = time.monotonic()
    return {row: (await raw.speak(texts.SHORT) - asked) * MILLI}


class _Model:
    """A language model that thinks, then writes one token after another."""

    first_token = 0.0

    async def _tokens(self) -> AsyncGenerator[str, None]:
        await asyncio.sleep(_THINKING)
        self.first_token = time.monotonic()
        for token in texts.TOKENS:
            yield token
            await asyncio.sleep(_TOKEN_INTERVAL)

    async def sentences(self) -> AsyncGenerator[str | FlushMarker, None]:
        """Yield what the pipeline hands to ``synthesize()``."""
        async for text in _pipe_through_chunk_stream(self._tokens(), BasicSentenceChunker()):
            yield text
        yield FlushMarker()

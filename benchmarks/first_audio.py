"""From the text to the first bytes on the track, and to the first sound out of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing

from videosdk.agents import FlushMarker
from videosdk.agents.pipeline_orchestrator import _pipe_through_chunk_stream
from videosdk.agents.tokenize import BasicSentenceChunker

from . import texts
from .bench import MILLI, Bench, Sample
from .call import Call, RawSocket
from .plan import ServiceBehaviour

_THINKING = 0.3
"""Seconds from the start of ``synthesize()`` to the language model's first token."""
_TOKEN_INTERVAL = 0.02
_TALKED_OUT = 0.7
"""Seconds in which a service that talks on has come to the end of what the model wrote."""


async def cold(bench: Bench) -> None:
    """Measure the first turn of a new plugin that was not prewarmed: one at a time, for it does most."""
    await bench.behave(ServiceBehaviour())
    taken = 0

    def phase() -> float:
        nonlocal taken
        taken += 1
        return taken * 0.618 % 1

    async def sample(name: str) -> Sample:
        async with bench.call(name, fade=False) as call:
            await call.track.reach(phase())
            asked = time.monotonic()
            turn = call.reply(texts.SHORT)
            heard = await _first(call, asked, "cold")
            await _leave(call, turn)
        return heard

    async with bench.raw_caller() as raw:

        async def floor() -> Sample:
            await raw.track.reach(phase())
            return await raw_first_audio(raw, "cold")

        await bench.interleave("first audio, cold", sample, floor)


async def warm(bench: Bench) -> None:
    """Measure a turn after ``prewarm()`` and another turn."""
    await bench.behave(ServiceBehaviour())
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack, fade=False)
        raw = await stack.enter_async_context(bench.raw_caller())

        async def sample(name: str, phase: float) -> Sample:
            call = calls[name]
            await call.track.reach(phase)
            call.track.listen()
            asked = time.monotonic()
            turn = call.reply(texts.SHORT)
            heard = await _first(call, asked, "warm")
            await turn
            call.track.interrupt()  # The rest is not of interest.
            return heard

        async def floor(phase: float) -> Sample:
            await raw.track.reach(phase)
            return await raw_first_audio(raw, "warm")

        await bench.lanes("first audio, warm", sample, floor)


async def tokens(bench: Bench) -> None:
    """Measure from a language model's first token, through the framework's own sentence chunker."""
    await bench.behave(ServiceBehaviour())
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack, fade=False)
        raw = await stack.enter_async_context(bench.raw_caller())

        async def sample(name: str, phase: float) -> Sample:
            call, model = calls[name], Model(texts.TOKENS, _TOKEN_INTERVAL)
            await call.track.reach(phase)
            call.track.listen()
            turn = call.reply(model.sentences())
            heard = await _first(call, 0.0, "tokens")
            await _leave(call, turn)  # The rest is not of interest here.
            await asyncio.sleep(_TALKED_OUT)
            if not model.first_token:
                raise RuntimeError("an earlier turn was heard")
            return {row: value - model.first_token * MILLI for row, value in heard.items()}

        async def floor(phase: float) -> Sample:
            model = Model(texts.TOKENS, _TOKEN_INTERVAL)
            await raw.track.reach(phase)
            async with aclosing(model.sentences()) as sentences:
                text = await anext(sentences)
            assert isinstance(text, str)
            return await raw_first_audio(raw, "tokens", text, model.first_token)

        await bench.lanes("tokens through the chunker", sample, floor)


async def _first(call: Call, asked: float, row: str) -> Sample:
    """Return the milliseconds from ``asked`` to the turn's first bytes, and to its first sound."""
    given, heard = await call.first_audio(), await call.first_sound()
    if heard < given:
        raise RuntimeError("an earlier turn was heard")
    return {row: (given - asked) * MILLI, f"{row}_heard": (heard - asked) * MILLI}


async def _leave(call: Call, turn: asyncio.Task[float]) -> None:
    """End a turn whose rest is of no interest."""
    await call.interrupt()
    turn.cancel()
    await asyncio.wait({turn})


async def raw_first_audio(
    raw: RawSocket, row: str, text: str = texts.SHORT, asked: float | None = None
) -> Sample:
    """Measure the floor: the same text over the open socket, straight to a track."""
    raw.track.listen()
    begun = time.monotonic() if asked is None else asked
    given = await raw.speak(text)
    await raw.track.sounded.wait()
    assert raw.track.first_sound is not None
    raw.track.interrupt()  # The rest is not of interest.
    return {row: (given - begun) * MILLI, f"{row}_heard": (raw.track.first_sound - begun) * MILLI}


class Model:
    """A language model that thinks, then writes one token after another.

    Args:
        tokens: What it writes; a text is cut into its words.
        interval: Seconds between two tokens.

    Attributes:
        first_token: When the first token came.
    """

    def __init__(self, tokens: Sequence[str] | str, interval: float) -> None:
        self._written = re.findall(r"\S+\s*", tokens) if isinstance(tokens, str) else tokens
        self._interval = interval
        self.first_token = 0.0

    async def _tokens(self) -> AsyncGenerator[str, None]:
        await asyncio.sleep(_THINKING)
        self.first_token = time.monotonic()
        for token in self._written:
            yield token
            await asyncio.sleep(self._interval)

    async def sentences(self) -> AsyncGenerator[str | FlushMarker, None]:
        """Yield what the pipeline hands to ``synthesize()``."""
        async for text in _pipe_through_chunk_stream(self._tokens(), BasicSentenceChunker()):
            yield text
        yield FlushMarker()

"""Processor time, stalls of the event loop, memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack

from . import clocks, texts
from .bench import MILLI, Bench, Sample
from .call import RawSocket
from .plan import ServiceBehaviour
from .processes import Child

logger = logging.getLogger("benchmarks")

_STREAM = ServiceBehaviour(piece=0.02, pace=10.0)
"""Ten times real time, in messages of 20 ms: one wake-up for each message, as in real time."""
_ONE_MESSAGE = ServiceBehaviour(piece=60.0)
_LONG = 20.0


async def processor(bench: Bench) -> None:
    """Measure the processor time of receiving, converting and handing over.

    No track is played meanwhile: at ten times real time its share would count for a tenth.
    """
    await bench.behave(_STREAM)
    text = texts.lasting(bench.plan.stream_seconds)
    seconds = texts.duration(text)
    await bench.prepare([text])
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack, keep=False, pump=False)
        raw = await stack.enter_async_context(RawSocket(bench.port))

        async def sample(name: str) -> Sample:
            call = calls[name]
            begun = time.process_time()
            await call.reply(text)
            used = time.process_time() - begun
            call.check()
            call.track.interrupt()
            return {"processor": used * MILLI / seconds}

        async def floor() -> Sample:
            begun = time.process_time()
            await raw.speak(text)
            return {"processor": (time.process_time() - begun) * MILLI / seconds}

        await bench.interleave("processor time", sample, floor, samples=bench.plan.cost_samples)


async def stall(bench: Bench) -> None:
    """Measure the longest pass of the event loop while one message with 20 s of audio arrives."""
    await bench.behave(_ONE_MESSAGE)
    text = texts.lasting(_LONG)
    await bench.prepare([text])
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack, keep=False, pump=False)
        raw = await stack.enter_async_context(RawSocket(bench.port))

        async def sample(name: str) -> Sample:
            call = calls[name]
            clocks.busy().restart()
            await call.reply(text)
            measured = _stall_rows()
            call.check()
            call.track.interrupt()
            return measured

        async def floor() -> Sample:
            clocks.busy().restart()
            await raw.speak(text)
            return _stall_rows()

        await bench.interleave("one long message", sample, floor, samples=bench.plan.cost_samples)


def _stall_rows() -> Sample:
    busy = clocks.busy()
    return {"stall": busy.longest * MILLI, "stall_processor": busy.longest_processor * MILLI}


async def memory(bench: Bench) -> None:
    """Measure the memory of an idle plugin and of a running call, in a process per contender."""
    await bench.behave(ServiceBehaviour(pace=1.0))
    begun = time.monotonic()
    with ExitStack() as stack:
        place = str(bench.port), str(bench.plan.calls)
        children = [
            stack.enter_context(Child("benchmarks.memory", name, *place)) for name in bench.contenders
        ]
        await _answers(children)  # Who can't start has no second answer either.
        logger.info("memory, processes: %.0f s", time.monotonic() - begun)
        for name, sample in zip(bench.contenders, await _answers(children), strict=True):
            if isinstance(sample, BaseException):
                bench.results.fail("memory", name, sample)
            else:
                bench.results.add(name, sample)
        for child in children:
            child.terminate()


async def _answers(children: Sequence[Child]) -> list[Sample | BaseException]:
    """Return the next line of each, or what it has failed with."""
    answers: list[Sample | BaseException] = await asyncio.gather(
        *(asyncio.to_thread(child.answer) for child in children), return_exceptions=True
    )
    return answers

"""Stopping, and answering again at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import numpy as np

from . import texts
from .bench import AFTERMATH, MILLI, Bench, Sample
from .call import Call
from .first_audio import raw_first_audio
from .heard import aftermath
from .plan import ServiceBehaviour

_LISTENED = 0.25
"""Seconds from a turn's first sound to the barge-in: a quarter of the text is with the listener then."""
_TALKED_OUT = 1.0
"""Seconds in which a service that talks on has come to its end."""

_Moment = tuple[float, float, str]
"""When a turn began, when it was interrupted, and what it said."""


async def reply(bench: Bench) -> None:
    """Interrupt answers to a user: ``interrupt()``, the task cancelled, ``interrupt()`` again."""
    await _barge_in(bench, "reply")


async def say(bench: Bench) -> None:
    """Interrupt ``say()`` turns: ``interrupt()`` alone must make ``synthesize()`` return."""
    await _barge_in(bench, "say")


async def stubborn(bench: Bench) -> None:
    """Interrupt a turn whose server streams on, reads nothing and answers no close frame."""
    await bench.behave(ServiceBehaviour(stubborn=True))

    # Made before, for what that takes; closed one by one, for some wait for the server as they close.
    count = bench.plan.stubborn_samples
    calls = {name: [bench.call(name) for _ in range(count)] for name in bench.contenders}

    async def sample(name: str, _phase: float) -> Sample:
        async with calls[name].pop() as call:
            turn = await _begin(call, "say")
            begun = time.monotonic()
            taken, own = await call.interrupt()
            done, _ = await asyncio.wait({turn}, timeout=bench.plan.patience)
            ended = await turn if done else time.monotonic()
        if not done:
            turn.cancel()
        return {
            **_interrupt_rows("interrupt_stubborn", taken, own),
            "synthesize_ends_stubborn": (ended - begun) * MILLI,
        }

    await bench.lanes("barge-in, stubborn server", sample, samples=count)
    for call in (left for lane in calls.values() for left in lane):
        async with call:
            pass


async def _barge_in(bench: Bench, path: str) -> None:
    await bench.behave(ServiceBehaviour())
    moments: dict[str, list[_Moment]] = {}
    async with AsyncExitStack() as stack:
        calls = await bench.warm_calls(stack, fade=False)
        raw = await stack.enter_async_context(bench.raw_caller())
        heard = await asyncio.gather(*(_undisturbed(call) for call in calls.values()))
        expected = dict(zip(calls, heard, strict=True))
        await bench.sent()

        async def sample(name: str, phase: float) -> Sample:
            taken = moments.setdefault(name, [])
            text = (texts.INTERRUPTED, texts.INTERRUPTED_NEXT)[len(taken) % 2]
            begun = time.monotonic()
            turn = await _begin(calls[name], path, text)
            await calls[name].track.reach(phase)
            values, stopped = await _interrupt_and_go_on(calls[name], path, expected[name], turn)
            taken.append((begun, stopped, text))
            return values

        async def floor(phase: float) -> Sample:
            await raw.track.reach(phase)
            return await raw_first_audio(raw, f"after_{path}")

        await bench.lanes(f"barge-in ({path})", sample, floor)
        await asyncio.sleep(1.0)  # A server that talks on has reached its end by then.
        notes = await bench.sent()
    for name, samples in moments.items():
        for late in _sent_after(samples, [note for note in notes if note[1] == name]):
            bench.results.add(name, {"sent_after": late})


async def _interrupt_and_go_on(
    call: Call, path: str, expected: bytes, turn: asyncio.Task[float]
) -> tuple[Sample, float]:
    """Return the sample, and when the barge-in was."""
    call.track.listen_on()
    stopped = time.monotonic()
    taken, own = await call.interrupt()
    if path == "reply":
        turn.cancel()
    asked = time.monotonic()
    following = (call.reply if path == "reply" else call.say)(texts.SHORT)
    first = await call.first_audio()
    await following
    await asyncio.sleep(AFTERMATH)
    call.check()
    heard = aftermath(call.track.all_frames(), np.frombuffer(expected, np.int16), stopped=stopped, done=asked)
    values = {
        "stop": heard.stop * MILLI,
        "stale_heard": float(heard.stale),
        "spoiled": 0.0 if heard.whole else 100.0,
        "stale": float(_stale(bytes(call.track.heard), expected)),
        **_interrupt_rows("interrupt", taken, own),
    }
    if heard.whole and heard.first_sound is not None:
        values[f"after_{path}"] = (first - asked) * MILLI
        values[f"after_{path}_heard"] = (heard.first_sound - asked) * MILLI
    else:
        await asyncio.sleep(_TALKED_OUT)
    if path == "say":
        values["synthesize_ends"] = (await turn - stopped) * MILLI
    call.track.interrupt()  # What waits in it was counted.
    return values, stopped


async def _begin(call: Call, path: str, text: str = texts.INTERRUPTED) -> asyncio.Task[float]:
    """Return the task of a turn that has been heard for a while."""
    call.track.listen()
    turn = (call.reply if path == "reply" else call.say)(text)
    await call.first_sound()
    await asyncio.sleep(_LISTENED)
    return turn


async def _undisturbed(call: Call) -> bytes:
    """Return what the track gets for the turn that will follow the barge-ins."""
    call.track.listen()
    await call.say(texts.SHORT)
    await call.track.drained()
    return bytes(call.track.heard)


def _interrupt_rows(row: str, taken: float, own: float) -> Sample:
    return {
        row: taken * MILLI,
        f"{row}_own": own * MILLI,
        f"{row}_extra": (taken - own) * MILLI,
    }


def _stale(heard: bytes, expected: bytes) -> int:
    """Return how many bytes of ``heard`` don't belong to the turn: before it, after it, or in it."""
    if heard == expected:
        return 0
    right = _common(heard, expected) + _common(heard[::-1], expected[::-1])
    return max(1, len(heard) - min(right, len(expected)))


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes are the same from the start."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _sent_after(samples: list[_Moment], notes: list[tuple[float, str, str, float]]) -> list[float]:
    """Return the seconds of the interrupted text that were sent after each barge-in.

    Args:
        samples: When each began, when its barge-in was, and what was interrupted. The one after the next says
            the same again; by then a server that talks on has reached its end.
        notes: What the server sent to this contender. It may have got the text in parts.
    """
    ends = [begun for begun, _, _ in samples[2:]] + [float("inf")] * 2
    return [
        sum(seconds for at, _, spoken, seconds in notes if spoken in text and stopped < at < end)
        for (_, stopped, text), end in zip(samples, ends, strict=False)
    ]

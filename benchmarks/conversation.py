"""What a conversation asks of the service, and what of it nobody hears."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from videosdk.plugins.lokutor.local.signal_engine import CHARACTER_SECONDS

from . import texts
from .bench import AFTERMATH, Bench
from .call import Call
from .first_audio import Model
from .plan import ServiceBehaviour

_TOKEN_INTERVAL = 0.05
"""Twenty words a second."""
_FRAMES_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class _Turn:
    """One reply.

    Attributes:
        begun: When it began.
        ended: When nothing more of it could reach the service.
        heard: Seconds of it that were heard.
        interrupted: Whether it was cut off.
    """

    begun: float
    ended: float
    heard: float
    interrupted: bool


async def conversation(bench: Bench) -> None:
    """Have each contender speak the same replies, and cut some of them off.

    Each reply has a plugin of its own, prewarmed, so that none bears what another one left behind.
    """
    await bench.behave(ServiceBehaviour())
    await bench.asked()
    names = [*bench.contenders]
    spoken = await asyncio.gather(*(_talk(bench, name) for name in names), return_exceptions=True)
    asked = await bench.asked()
    for name, turns in zip(names, spoken, strict=True):
        if isinstance(turns, BaseException):
            bench.results.fail("conversation", name, turns)
        else:
            _count(bench, name, turns, [note for note in asked if note[1] == name])


async def _talk(bench: Bench, name: str) -> list[_Turn]:
    whole = [None] * bench.plan.whole_replies
    return [await _speak(bench, name, listened) for listened in (*whole, *bench.plan.listened)]


async def _speak(bench: Bench, name: str, listened: float | None) -> _Turn:
    """Speak the reply, to its end or until it was heard for ``listened`` seconds."""
    async with bench.call(name, keep=False, fade=False) as call:
        await call.tts.prewarm()
        begun = time.monotonic()
        turn = call.reply(Model(texts.REPLY, _TOKEN_INTERVAL).sentences())
        await call.first_sound()
        if listened is None:
            await turn
            await call.track.drained()
        else:
            await asyncio.sleep(listened)
        heard = call.track.played / _FRAMES_PER_SECOND
        if listened is not None:
            await _cut_off(call, turn)
        await asyncio.sleep(AFTERMATH)
        return _Turn(begun, time.monotonic(), heard, listened is not None)


async def _cut_off(call: Call, turn: asyncio.Task[float]) -> None:
    await call.interrupt()
    turn.cancel()
    await asyncio.wait({turn})


def _count(bench: Bench, name: str, turns: list[_Turn], asked: list[tuple[float, str, bool, int]]) -> None:
    """Add what the service was asked for in ``turns``."""
    minutes = sum(turn.heard for turn in turns) / 60
    requests = sum(begins for _, _, begins, _ in asked)
    bench.results.add(name, {"requests": requests / minutes})
    for turn in turns:
        if turn.interrupted:
            sent = sum(count for at, _, _, count in asked if turn.begun < at < turn.ended)
            bench.results.add(name, {"unheard": max(0.0, sent - turn.heard / CHARACTER_SECONDS)})

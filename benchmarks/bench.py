"""The harness that all rows share.

Rule of this file: everybody does the same work under the same conditions. What is measured in processor time
is taken turn by turn: one sample of each contender, then the next of each, starting with another one every
time. What mostly waits for the network is taken in lanes: each contender has a call of its own, in which
one sample follows another, and the lanes begin apart. A turn works for some ten milliseconds of the second
that it takes. Whatever else the machine is doing meets all of them alike.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE as LOKUTOR_RATE

from . import clocks, texts
from .call import Call, RawSocket
from .contenders import FLOOR, Contender
from .plan import Plan, ServiceBehaviour
from .track import TRACK_RATE, ClockedTrack

logger = logging.getLogger("benchmarks")

MILLI = 1000.0
AFTERMATH = 0.2
"""Seconds after a turn in which late bytes would show, and a socket is opened for the next one."""
_LIMIT = 30.0
"""Seconds that one sample may take."""
_SLOW = 5.0
"""Seconds after which one sample of a contender is enough for a group."""
_APART = 0.15
"""Seconds between the beginnings of two lanes."""
_LANE = 75.0
"""Seconds after which a lane has samples enough, however many: it is one that waits for its service."""

Sample = dict[str, float]


@dataclass
class Results:
    """Samples by row and contender, and what failed."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, sample: Sample) -> None:
        """Take one sample of ``name``."""
        for row, value in sample.items():
            self.samples.setdefault(row, {}).setdefault(name, []).append(value)

    def fail(self, group: str, name: str, error: BaseException) -> None:
        """Take a failure."""
        text = f"{type(error).__name__}: {error}"
        logger.warning("%s: %s failed: %s", group, name, text)
        self.failures.append({"group": group, "contender": name, "error": text})


@dataclass
class Bench:
    """What a group of rows needs.

    Attributes:
        contenders: Whom to measure, by name.
        port: Where the service is, behind the relay.
        control: URL of the service's control URL.
        plan: How much to measure.
        results: Where it goes.
    """

    contenders: dict[str, Contender]
    port: int
    control: str
    plan: Plan
    results: Results = field(default_factory=Results)

    def call(self, name: str, *, keep: bool = True, pump: bool = True, fade: bool = True) -> Call:
        """Return a new call with the plugin of ``name``; see :class:`~benchmarks.call.Call`."""
        return Call(self.contenders[name], self.port, keep=keep, pump=pump, fade=fade)

    def raw_caller(self) -> RawSocket:
        """Return a raw socket whose audio goes to a track that is played: the floor of what is heard."""
        return RawSocket(self.port, ClockedTrack(fade=False))

    async def warm_calls(
        self, stack: AsyncExitStack, *, keep: bool = True, pump: bool = True, fade: bool = True
    ) -> dict[str, Call]:
        """Return a call per contender that was prewarmed and has spoken a turn."""
        calls = {
            name: await stack.enter_async_context(self.call(name, keep=keep, pump=pump, fade=fade))
            for name in self.contenders
        }
        await asyncio.gather(*(_warm_up(call, played=pump) for call in calls.values()))
        await asyncio.sleep(AFTERMATH)
        return calls

    async def interleave(
        self,
        group: str,
        sample: Callable[[str], Awaitable[Sample]],
        floor: Callable[[], Awaitable[Sample]] | None = None,
        *,
        samples: int | None = None,
    ) -> None:
        """Take the plan's samples of every contender, in turn. One that fails is left out from there."""
        names = [*self.contenders] + ([FLOOR] if floor else [])

        async def take(name: str) -> bool:
            await clocks.settle()
            return await self._take(group, name, floor() if floor and name == FLOOR else sample(name))

        for number in range(samples or self.plan.samples):
            begin = number % max(1, len(names))
            order = names[begin:] + names[:begin]
            if self.plan.at_once:
                left = await asyncio.gather(*map(take, order))
            else:
                left = [await take(name) for name in order]
            names = [name for name, more in zip(order, left, strict=True) if more]

    async def lanes(
        self,
        group: str,
        sample: Callable[[str, float], Awaitable[Sample]],
        floor: Callable[[float], Awaitable[Sample]] | None = None,
        *,
        samples: int | None = None,
    ) -> None:
        """Take the plan's samples of every contender, side by side. One that fails is left out from there.

        Args:
            group: What failures are called by.
            sample: Takes one, given the contender and the phase of the track at which to begin: see
                :meth:`~benchmarks.track.ClockedTrack.reach`.
            floor: The same without a plugin.
            samples: How many, if not the plan's.
        """
        count = samples or self.plan.samples

        async def lane(place: int, name: str) -> None:
            await asyncio.sleep(place * _APART)
            begun = time.monotonic()
            for number in range(count):
                if time.monotonic() - begun > _LANE:
                    return
                phase = (number + 0.5) / count
                taken = floor(phase) if floor and name == FLOOR else sample(name, phase)
                if not await self._take(group, name, taken):
                    return

        await clocks.settle()
        names = [*self.contenders] + ([FLOOR] if floor else [])
        await asyncio.gather(*(lane(place, name) for place, name in enumerate(names)))

    async def _take(self, group: str, name: str, sample: Awaitable[Sample]) -> bool:
        """Take one sample; return whether another one makes sense."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(_LIMIT):
                self.results.add(name, await sample)
        except Exception as error:  # noqa: BLE001 - it is this contender's result
            self.results.fail(group, name, error)
            return False
        return time.monotonic() - begun < _SLOW

    async def behave(self, behaviour: ServiceBehaviour) -> None:
        """Set how the service behaves."""
        await self._ask("POST", "/behaviour", asdict(behaviour))

    async def sent(self) -> list[tuple[float, str, str, float]]:
        """Return what the service sent since the last time: moment, dialect, text, seconds of audio."""
        notes: list[tuple[float, str, str, float]] = await self._ask("GET", "/sent")
        return notes

    async def asked(self) -> list[tuple[float, str, bool, int]]:
        """Return what was asked since the last time: moment, dialect, whether a request began, characters."""
        notes: list[tuple[float, str, bool, int]] = await self._ask("GET", "/asked")
        return notes

    async def prepare(self, signals: Sequence[str]) -> None:
        """Have the signals of these texts computed."""
        for text in signals:
            for rate in (LOKUTOR_RATE, TRACK_RATE):
                await self._ask("POST", "/signal", {"text": text, "rate": rate})

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.control + path, json=body) as answer,
        ):
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else None


async def _warm_up(call: Call, *, played: bool) -> None:
    await call.tts.prewarm()
    await call.reply(texts.SHORT)
    if played:
        await call.track.drained()
    call.check()

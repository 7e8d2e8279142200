"""The callers: each is one plugin on one track, and judges what it hears."""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kit import (
    Listener,
    on_track,
    pushed_samples,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from soak.report import STALL, Report
from soak.server import DOOR_FAULTS, IDLE_FAULTS, REQUEST_FAULTS, SLOW_FAULTS, Fault, FaultyServer, Plan
from soak.speech import REPLIES, heard_of, words_of
from videosdk.plugins.lokutor import LokutorTTS, _utterance
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

# Nobody plays the track here, so it is chance where the listener runs dry, and silence is put into a gap of
# the text or of the audio. That is tested exactly elsewhere (wire/test_text_gaps.py).
_utterance._DRY = -1.0
_utterance._LAST_MOMENT = 3600.0

LIMITS: dict[str, Any] = {
    "connect_timeout": 10.0,
    "first_audio_timeout": 1.5,
    "idle_timeout": 1.0,
    "max_retries": 6,  # A turn draws at most four faults in a row; a loaded machine may add one.
    "heartbeat": 2.0,
}


@dataclass(slots=True)
class Call:
    """One reply to be spoken, and how its text arrives."""

    voice: str
    reply: str
    chunks: list[str | FlushMarker]
    pauses: list[float]
    plan: Plan
    pulling: bool = False

    async def text(self) -> AsyncIterator[str | FlushMarker]:
        self.pulling = True
        try:
            for chunk, pause in zip(self.chunks, self.pauses, strict=True):
                if pause:
                    await asyncio.sleep(pause)
                yield chunk
        finally:
            self.pulling = False

    def __str__(self) -> str:
        return f"{self.voice} {self.reply!r} ({self.plan.manner})"


class Caller:
    """One plugin on one track, and its conversation."""

    def __init__(self, name: str, seed: int, server: FaultyServer, report: Report) -> None:
        self.name = name
        self.kept: list[object] | None = None
        self._random = random.Random(f"{seed}/{name}")
        self._server = server
        self._report = report
        self._count = 0
        self._announced = 0
        self._late: set[asyncio.Task[None]] = set()
        self._words: list[dict[str, Any]] = []
        self._track = CustomAudioStreamTrack(asyncio.get_running_loop())
        server.doors[name] = deque()
        server.idles[name] = deque()
        self._tts = self._plugin()

    def _plugin(self) -> LokutorTTS:
        words = self._random.random() < 0.5
        url = self._server.url(self.name)
        tts = LokutorTTS(api_key="test-key", base_url=url, word_timestamps=words, visemes=words, **LIMITS)
        tts.audio_track = self._track
        tts.on_first_audio_byte(self._on_first_audio)

        def on_error(error: LokutorError) -> None:
            self._report.blame(f"{self.name}: an error was emitted: {error!r}")

        def on_metrics(metrics: SynthesisMetrics) -> None:
            self._report.add(metrics)

        def on_word(word: dict[str, Any]) -> None:
            self._words.append(word)

        tts.on("error", on_error)
        tts.on("word_spoken", on_word)
        tts.on("metrics", on_metrics)  # type: ignore[arg-type]
        return tts

    async def _on_first_audio(self) -> None:
        self._announced += 1

    async def converse(self, turns: int) -> None:
        for _ in range(turns):
            if self._random.random() < 0.05:
                await self.close()
                self._tts = self._plugin()
            if self._random.random() < 0.2:
                await self._tts.prewarm()
            await asyncio.sleep(self._random.choice([0, 0, 0.01, 0.1]))
            await self._round()
        await self._await_late()

    async def rest(self) -> None:
        """Come to what is the same at every rest: an empty track, and a standby connection."""
        self._server.doors[self.name].clear()
        self._server.idles[self.name].clear()
        self._track.frame_buffer.clear()
        await self._tts.prewarm()

    async def close(self) -> None:
        await self._await_late()
        await self._tts.aclose()

    async def _round(self) -> None:
        """Speak one turn, now and then with a stream beside it."""
        self._schedule_faults()
        stream = None
        if self._random.random() < 0.15:
            stream = asyncio.create_task(self._stream(self._new_call(), self._random.random() < 0.3))
        await self._turn(self._new_call())
        if stream is not None:
            await stream
        self._report.turns += 1
        if self.kept is not None:
            self.kept.append([object() for _ in range(1_000)])

    def _schedule_faults(self) -> None:
        for waiting, kinds in (
            (self._server.doors[self.name], DOOR_FAULTS),
            (self._server.idles[self.name], IDLE_FAULTS),
        ):
            if not waiting and self._random.random() < 0.15:
                waiting.append(self._random.choice(kinds))

    def _new_call(self) -> Call:
        self._count += 1
        reply = self._random.choice(REPLIES)
        chunks = self._cut(reply)
        pauses = [self._random.choice([0, 0, 0, 0.002, 0.02]) for _ in chunks]
        if self._random.random() < 0.1:
            pauses[-1] = 0.2
        call = Call(f"{self.name}-{self._count}", reply, chunks, pauses, self._new_plan())
        self._server.plans[call.voice] = call.plan
        return call

    def _cut(self, reply: str) -> list[str | FlushMarker]:
        match self._random.choice(["sentences", "flushed", "tokens"]):
            case "sentences":
                return list(re.findall(r"\S.*?[.?!]", reply))
            case "flushed":
                parts = re.findall(r"\S.*?[.?!]", reply)
                return [chunk for part in parts for chunk in (part, FlushMarker())]
            case _:
                return list(re.findall(r"\s*\S{1,4}", reply))

    def _new_plan(self) -> Plan:
        number = self._random.choices([0, 1, 2], [55, 30, 15])[0]
        kinds = [kind for kind in REQUEST_FAULTS if kind not in SLOW_FAULTS]
        faults: deque[Fault] = deque()
        for _ in range(number):
            slow = self._random.random() < 0.12
            kind = self._random.choice(SLOW_FAULTS if slow else kinds)
            if kind == "mute":
                kinds.remove(kind)  # Forgiven once.
            share = 0.0 if kind == "mute" else self._random.choice([0.0, self._random.random()])
            faults.append(Fault(kind, share))
        manner = self._random.choice(["plain", "plain", "plain", "base64", "chatty", "slow"])
        return Plan(faults, manner, self._random.choice([1_001, 4_096, 65_536]))

    async def _turn(self, call: Call) -> None:
        barge_in = self._random.choices(
            [None, self._interrupt, self._cancel, self._talk_over], [60, 14, 12, 14]
        )[0]
        begun = asyncio.create_task(self._speak(call))
        if barge_in is not None:
            await self._wait_a_moment(begun)
        if barge_in is None or begun.done():
            await self._finish(begun, call)
        else:
            self._report.interrupted[barge_in.__name__.strip("_").replace("_", " ")] += 1
            self._check_beginning(call)
            await barge_in(begun, call)
        self._server.plans.pop(call.voice, None)

    async def _speak(self, call: Call) -> None:
        """Do what the framework does with a turn, its late second interrupt included."""
        # No pass of the loop between this and the call: whoever interrupts late would mute the turn.
        self._track.frame_buffer.clear()
        self._track.audio_data_buffer.clear()
        self._track.enable_audio_input(manual_control=True)
        self._announced = 0
        self._words.clear()
        whole = len(call.chunks) == 1 and isinstance(call.chunks[0], str)
        try:
            await self._tts.synthesize(call.reply if whole else call.text(), voice_id=call.voice)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await self._tts.interrupt()
            raise

    async def _finish(self, begun: asyncio.Task[None], call: Call) -> None:
        if not await self._ended(begun, call):
            return
        if begun.exception() is not None:
            self._report.blame(f"{call}: raised {begun.exception()!r}")
        elif on_track(self._track) != heard_of(call.reply):
            self._report.blame(f"{call}: heard {difference(on_track(self._track), heard_of(call.reply))}")
        elif self._announced != 1:
            self._report.blame(f"{call}: its first audio was announced {self._announced} times")
        elif self._tts.supports_word_timestamps:
            await self._listen(call)

    async def _listen(self, call: Call) -> None:
        """Play the track, and be told each word once, in its place."""
        await Listener(self._track).hear(len(self._track.frame_buffer))
        words = words_of(call.reply)
        with suppress(TimeoutError):
            await until(lambda: len(self._words) >= len(words))
        self._report.words += len(words)
        told = [(word["word"], round(word["start"], 3)) for word in self._words]
        if told != words or self._words[-1]["cumulative_text"] != call.reply:
            self._report.blame(f"{call}: its words were told as {told}")

    async def _interrupt(self, begun: asyncio.Task[None], call: Call) -> None:
        await self._tts.interrupt()
        pushed, words = pushed_samples(self._track), len(self._words)
        if await self._ended(begun, call):
            if len(self._words) != words:
                self._report.blame(f"{call}: told words after an interruption")
            if begun.exception() is not None:
                self._report.blame(f"{call}: raised {begun.exception()!r} when interrupted")
            if pushed_samples(self._track) != pushed:
                self._report.blame(f"{call}: spoke on after an interruption")

    async def _cancel(self, begun: asyncio.Task[None], call: Call) -> None:
        begun.cancel()
        if await self._ended(begun, call) and not begun.cancelled():
            self._report.blame(f"{call}: swallowed its cancellation")

    async def _talk_over(self, begun: asyncio.Task[None], call: Call) -> None:
        """Interrupt, cancel and go on; the second interrupt comes when it comes."""
        await self._tts.interrupt()
        self._track.interrupt()
        begun.cancel()
        if self._random.random() < 0.5:
            await asyncio.sleep(0)
        late = asyncio.create_task(self._cancelled_at_last(begun, call))
        self._late.add(late)
        late.add_done_callback(self._late.discard)

    async def _cancelled_at_last(self, begun: asyncio.Task[None], call: Call) -> None:
        if await self._ended(begun, call) and not begun.cancelled():
            self._report.blame(f"{call}: swallowed its cancellation")

    async def _await_late(self) -> None:
        if self._late:
            await asyncio.wait(set(self._late))

    async def _ended(self, begun: asyncio.Task[None], call: Call) -> bool:
        await asyncio.wait({begun}, timeout=STALL / 2)
        if not begun.done():
            self._report.blame(f"{call}: never returned")
            begun.cancel()
        elif call.pulling:
            self._report.blame(f"{call}: its text was not closed")
        return begun.done()

    async def _wait_a_moment(self, begun: asyncio.Task[None]) -> None:
        """Wait until some moment after the turn's begin, or for its end."""
        pushed = pushed_samples(self._track)
        match self._random.randrange(3):
            case 0:
                for _ in range(1 + self._random.randrange(40)):
                    await asyncio.sleep(0)
            case 1:
                await asyncio.wait({begun}, timeout=self._random.random() * 0.3)
            case 2:
                await until(lambda: begun.done() or pushed_samples(self._track) > pushed)

    def _check_beginning(self, call: Call) -> None:
        heard = on_track(self._track)
        if heard != heard_of(call.reply)[: len(heard)]:
            self._report.blame(f"{call}: until talked over, heard {difference(heard, heard_of(call.reply))}")

    async def _stream(self, call: Call, abandoned: bool) -> None:
        stream = self._tts.stream_synthesize(call.text(), voice_id=call.voice)
        heard = b""
        try:
            async with asyncio.timeout(STALL / 2):
                async for pcm in stream:
                    heard += pcm
                    if abandoned:
                        break
        except (LokutorError, TimeoutError) as error:
            self._report.blame(f"{call}: a stream raised {error!r}")
        finally:
            await stream.aclose()
        whole = heard_of(call.reply)
        if heard != (whole[: len(heard)] if abandoned else whole):
            self._report.blame(f"{call}: in a stream, heard {difference(heard, whole)}")
        self._server.plans.pop(call.voice, None)
        self._report.streams += 1


def difference(heard: bytes, whole: bytes) -> str:
    """Say how what was heard differs from what should have been."""
    pairs = zip(heard, whole, strict=False)
    same = next((index for index, (one, other) in enumerate(pairs) if one != other), len(heard))
    return f"{len(heard) // 2} samples instead of {len(whole) // 2}, the first {same // 2} of them right"

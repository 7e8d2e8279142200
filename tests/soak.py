"""Many long conversations at once, with random faults and barge-ins: nothing lost, nothing left behind.

    python tests/soak.py [--turns 2000] [--plugins 50] [--seed S]

Each plugin speaks its share of the turns to one faulty server in this process, over real sockets. Every
decision comes from the seed, which is printed; only the timing is the machine's. All faults are such that
the plugin must heal them, so a turn that nobody talks over is heard whole, to the sample. Afterwards no
task, file descriptor or socket is left, and memory has not grown since the first quarter. Exits with 1,
and says why, where any of that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ctypes
import functools
import gc
import json
import logging
import os
import random
import re
import socket
import struct
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from support import (
    PATIENCE,
    SAMPLES_PER_CHARACTER,
    Conversation,
    Listener,
    LoopbackServer,
    at_track_rate,
    on_track,
    pushed_samples,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

QUARTERS = 4
STALL = 4 * PATIENCE
"""Seconds in which at least one turn or stream must end: twice as long as any may take."""
LIMITS: dict[str, Any] = {
    "connect_timeout": 10.0,
    "first_audio_timeout": 1.5,
    "idle_timeout": 1.0,
    "max_retries": 6,  # A turn draws at most four faults in a row; a loaded machine may add one.
    "heartbeat": 2.0,
}
BLOCKS_PER_TURN = 2
"""Bound for what a turn may keep of Python's memory. A call that isn't let go keeps hundreds of blocks."""
SPARE_BLOCKS = 2_000
"""Bound for what differs between two moments of rest: a few sockets in waiting, caches, free lists."""
BYTES_PER_TURN = 2_048
"""Bound for resident memory. A resampler that isn't freed keeps far more."""
SPARE_BYTES = 4 * 2**20
"""Bound for what the allocator can't return, for it lies between things in use."""

SENTENCES = (
    "Yes.",
    "No, not yet.",
    "It is late.",
    "Wait for me.",
    "I see three of them.",
    "Who told you that?",
    "They left by the door!",
    "The train goes at noon.",
    "Please say it once more.",
    "Nothing of it was lost.",
)
REPLIES = tuple(" ".join(random.Random(number).sample(SENTENCES, 1 + number % 3)) for number in range(40))


@functools.cache
def letter(char: str) -> bytes:
    return speech_of(char)


def speech(text: str) -> bytes:
    """Return the server's speech: white space is silent, so it doesn't matter how a text is cut."""
    return b"".join(map(letter, "".join(text.split())))


def visemes(text: str) -> str:
    """Return the message with the timing of :func:`speech`."""
    letters = [(index, char) for index, char in enumerate(text) if not char.isspace()]
    starts = [number * SAMPLES_PER_CHARACTER / SAMPLE_RATE for number in range(len(letters))]
    return json.dumps(
        [{"v": index, "c": char, "t": start} for (index, char), start in zip(letters, starts, strict=True)]
    )


def words_of(reply: str) -> list[tuple[str, float]]:
    """Return the words of a reply, and when they begin."""
    lengths = accumulate(map(len, reply.split()), initial=0)
    return [(word, round(length / 50, 3)) for word, length in zip(reply.split(), lengths, strict=False)]


@functools.cache
def heard_of(reply: str) -> bytes:
    """Return what a listener hears of a whole reply."""
    return at_track_rate(speech(reply))


# --- The server -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a request once ``share`` of its audio was sent."""

    kind: str
    share: float


@dataclass(slots=True)
class Plan:
    """How the server treats one call: a fault for each try, then it speaks in its ``manner``."""

    faults: deque[Fault] = field(default_factory=deque)
    manner: str = "plain"
    piece: int = 4_096


def reset(conversation: Conversation) -> None:
    """End the connection with RST instead of FIN."""
    transport = conversation.http.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def hang_up(conversation: Conversation) -> None:
    """End the connection with FIN and without a close frame."""
    if conversation.http.transport is not None:
        conversation.http.transport.close()


def write_raw(conversation: Conversation, data: bytes) -> None:
    if conversation.http.transport is not None:
        conversation.http.transport.write(data)


async def freeze(conversation: Conversation) -> None:
    """Read and answer nothing, pings included, until the client is gone."""
    while conversation.http.transport is not None:  # noqa: ASYNC110 - its end notifies nobody
        await asyncio.sleep(0.02)


def closing(code: int) -> Callable[[Conversation], Awaitable[object]]:
    async def act(conversation: Conversation) -> None:
        await conversation.ws.close(code=code)

    return act


def saying(message: str) -> Callable[[Conversation], Awaitable[object]]:
    async def act(conversation: Conversation) -> None:
        await conversation.text(message)
        await conversation.gone()

    return act


async def be_reset(conversation: Conversation) -> None:
    await asyncio.sleep(0.005)  # So that the audio leaves before the reset overtakes it.
    reset(conversation)


async def be_hung_up(conversation: Conversation) -> None:
    hang_up(conversation)


async def be_cut_in_mid_frame(conversation: Conversation) -> None:
    write_raw(conversation, b"\x82\x7e\x10\x00" + bytes(100))  # 100 of 4 096 bytes.
    hang_up(conversation)


async def send_no_utf8(conversation: Conversation) -> None:
    write_raw(conversation, b"\x81\x02\xff\xfe")
    await conversation.gone()


async def only_ping(conversation: Conversation) -> None:
    async def ping() -> None:
        while True:
            await conversation.ws.ping()
            await asyncio.sleep(0.1)

    pings = asyncio.create_task(ping())
    try:
        await conversation.gone()
    finally:
        pings.cancel()
        await asyncio.wait({pings})
        if not pings.cancelled():
            pings.exception()  # Read it: the client may be gone for a ping first.


REQUEST_FAULTS: dict[str, Callable[[Conversation], Awaitable[object]]] = {
    **{f"close {code}": closing(code) for code in (1000, 1001, 1009, 1011, 1013)},
    "reset": be_reset,
    "fin": be_hung_up,
    "cut in mid-frame": be_cut_in_mid_frame,
    "no UTF-8": send_no_utf8,
    "ERR:": saying("ERR: busy"),
    "error internal": saying('{"type":"error","code":"internal.error","message":"x"}'),
    "error unknown": saying('{"type":"error","data":{"code":"new.code","message":"x"}}'),
    "error rate limit": saying('{"type":"error","code":"auth.rate_limited"}'),
    "silence": Conversation.gone,
    "only pings": only_ping,
    "freeze": freeze,
    "mute": saying("EOS"),
}
SLOW_FAULTS = ("silence", "only pings", "freeze")
DOOR_FAULTS = ("408", "429", "500", "503", "door reset", "door fin", "door garbage")
IDLE_FAULTS = ("idle close", "idle reset", "idle fin", "idle freeze")


class FaultyServer(LoopbackServer):
    """Speaks known audio, and does to each call and each connection what it was told to.

    Attributes:
        plans: What happens to a call; the key is its voice, which travels in each request.
        doors: What happens to the next handshakes of a plugin; the key is the path that it uses.
        idles: What happens to the next connections of a plugin while they have no request.
        faults: How often each fault happened.
        open: The connections that are open.
        spoiled: How many more samples are to be wrong, to prove that it is noticed.
    """

    def __init__(self) -> None:
        super().__init__("/{plugin}")
        self.plans: dict[str, Plan] = {}
        self.doors: dict[str, deque[str]] = {}
        self.idles: dict[str, deque[str]] = {}
        self.faults: Counter[str] = Counter()
        self.open: set[Conversation] = set()
        self.spoiled = 0

    def url(self, plugin: str) -> str:
        return f"{self.address}/{plugin}"

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        plugin = http.match_info["plugin"]
        doors = self.doors.get(plugin)
        if doors:
            return self._refuse(http, doors.popleft())
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(http)
        conversation = Conversation(ws, http)
        self.open.add(conversation)
        try:
            await self._converse(conversation, self.idles.get(plugin))
        except (EOFError, ConnectionError):
            pass  # The client went away: the end of every conversation.
        finally:
            self.open.discard(conversation)
        return ws

    def _refuse(self, http: web.Request, fault: str) -> web.StreamResponse:
        self.faults[fault] += 1
        conversation = Conversation(web.WebSocketResponse(), http)
        if fault.isdigit():
            return web.Response(status=int(fault), headers={"Retry-After": "0"})
        if fault == "door garbage":
            write_raw(conversation, b"\x00\x01 what?\r\n\r\n")
        if fault == "door reset":
            reset(conversation)
        else:
            hang_up(conversation)
        return web.Response()

    async def _converse(self, conversation: Conversation, idles: deque[str] | None) -> None:
        if idles:
            request = await self._wait_badly(conversation, idles.popleft())
        else:
            request = await conversation.request()
        while True:
            await self._answer(conversation, request)
            request = await conversation.request()

    async def _wait_badly(self, conversation: Conversation, fault: str) -> dict[str, Any]:
        """Return the first request if it comes soon; otherwise end the connection."""
        if fault == "idle freeze":
            self.faults[fault] += 1
            await freeze(conversation)
            raise EOFError
        try:
            async with asyncio.timeout(0.03):
                return await conversation.request()
        except TimeoutError:
            self.faults[fault] += 1
        if fault == "idle close":
            await conversation.ws.close(code=1001)
        elif fault == "idle reset":
            reset(conversation)
        else:
            hang_up(conversation)
        raise EOFError

    async def _answer(self, conversation: Conversation, request: dict[str, Any]) -> None:
        plan = self.plans.get(request["voice"]) or Plan()
        pcm = speech(request["text"])
        if self.spoiled:
            self.spoiled -= 1
            pcm = bytes(2) + pcm
        if request["visemes"]:
            await conversation.text(visemes(request["text"]))
        if not plan.faults:
            await speak(conversation, pcm, plan)
            return
        fault = plan.faults.popleft()
        self.faults[fault.kind] += 1
        await conversation.audio(pcm[: int(len(pcm) * fault.share)], plan.piece)
        await REQUEST_FAULTS[fault.kind](conversation)
        raise EOFError


async def speak(conversation: Conversation, pcm: bytes, plan: Plan) -> None:
    """Answer one request, whole, in one of the manners that a client must understand."""
    match plan.manner:
        case "base64":
            await conversation.text(json.dumps({"type": "audio", "data": base64.b64encode(pcm).decode()}))
            await conversation.text('{"type":"eos"}')
            return
        case "chatty":
            await conversation.text('[{"v":0,"c":"a","t":0.0}]')
            await conversation.text('{"type":"timing","ttfb_ms":1}')
            await conversation.ws.ping()
            await conversation.ws.send_bytes(b"")
        case "slow":
            await asyncio.sleep(0.05)
            await conversation.audio(pcm[:5_001], plan.piece)
            await asyncio.sleep(0.05)
            pcm = pcm[5_001:]
    await conversation.audio(pcm, plan.piece)
    await conversation.text(" EOS \r\n")


# --- The callers ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What happened, and what should not have."""

    violations: list[str] = field(default_factory=list)
    turns: int = 0
    interrupted: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    retries: int = 0
    waiting_sockets: int = 0
    audio: float = 0.0
    words: int = 0

    def blame(self, what: str) -> None:
        self.violations.append(what)

    def add(self, metrics: SynthesisMetrics) -> None:
        self.retries += metrics.retries
        self.waiting_sockets += metrics.standby_used
        self.audio += metrics.audio_pushed


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
        """Come to what is the same at every rest: an empty track, and a socket in waiting."""
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


# --- What is left ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process holds at a moment of rest."""

    blocks: int
    resident: int | None
    descriptors: int | None
    sockets: int

    @classmethod
    def now(cls) -> Self:
        gc.collect()
        trim_heap()
        return cls(sys.getallocatedblocks(), resident_bytes(), open_descriptors(), len(open_sockets()))


def trim_heap() -> None:
    """Have the C library return what it only keeps for later, where it can: that isn't growth."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def resident_bytes() -> int | None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors() -> int | None:
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else None


def open_sockets() -> list[socket.socket]:
    return [thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0]


def check_memory(first: Usage, last: Usage, turns: int) -> list[str]:
    """Return what is wrong with the growth of memory over so many turns.

    Python's own memory is counted in blocks of its allocator, which is exact and costs nothing, so that
    bound is tight; resident memory shows what native code keeps, and moves by megabytes on its own.
    """
    violations = []
    blocks = last.blocks - first.blocks
    if blocks > SPARE_BLOCKS + BLOCKS_PER_TURN * turns:
        violations.append(f"memory grew by {blocks} blocks in {turns} turns")
    if first.resident is not None and last.resident is not None:
        resident = last.resident - first.resident
        if resident > SPARE_BYTES + BYTES_PER_TURN * turns:
            violations.append(f"resident memory grew by {resident / 2**20:.1f} MiB in {turns} turns")
    return violations


def check_leftovers(before: Usage, after: Usage, tasks: set[asyncio.Task[Any]]) -> list[str]:
    """Return what was left behind."""
    violations = [f"a task was left: {task.get_coro()!r}" for task in tasks]
    if after.sockets > before.sockets:
        violations.append(f"{after.sockets - before.sockets} sockets were left open")
    if before.descriptors is not None and after.descriptors is not None:
        left = after.descriptors - before.descriptors
        if left > 0:
            violations.append(f"{left} file descriptors were left open")
    return violations


class Watchdog:
    """Ends the process, and says where everybody waits, when nothing has ended for a long time.

    A call that hangs can hang again while it is cancelled, so there is no gentler way.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ended = -1
        self._look()

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        ended = self._report.turns + self._report.streams
        if ended == self._ended:
            self._give_up()
        self._ended = ended
        self._handle = asyncio.get_running_loop().call_later(STALL, self._look)

    def _give_up(self) -> None:
        for task in asyncio.all_tasks():
            task.print_stack()
        for violation in [*self._report.violations, f"nothing has ended for {STALL:g} s"]:
            print(f"VIOLATION      {violation}", file=sys.stderr, flush=True)
        os._exit(1)


class Complaints(logging.Handler):
    """Collects what asyncio, the interpreter and every logger complain about."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(self._on_loop_exception)
        sys.unraisablehook = self._on_unraisable
        logging.getLogger().addHandler(self)
        warnings.simplefilter("error")

    def emit(self, record: logging.LogRecord) -> None:
        self._report.blame(f"{record.name} logged: {record.getMessage()}")

    def _on_loop_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._report.blame(f"asyncio: {context['message']} {context.get('exception')!r}")

    def _on_unraisable(self, unraisable: Any) -> None:
        self._report.blame(f"unraisable: {unraisable.exc_value!r} in {unraisable.object!r}")


# --- The command -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Result:
    """All that the summary tells."""

    report: Report
    faults: Counter[str]
    first: Usage
    last: Usage
    before: Usage
    after: Usage
    seconds: float


async def soak(turns: int, plugins: int, seed: int, sabotage: Collection[str] = ()) -> Result:
    """Have all conversations, and return what came of them."""
    report = Report()
    Complaints(report).listen(asyncio.get_running_loop())
    for reply in REPLIES:
        heard_of(reply)
    tasks = asyncio.all_tasks()
    before = Usage.now()
    begun = time.monotonic()
    watchdog = Watchdog(report)
    async with FaultyServer() as server:
        callers = [Caller(f"p{number}", seed, server, report) for number in range(plugins)]
        ruined = ruin(sabotage, server, callers)
        usages = []
        for quarter in range(QUARTERS):
            shares = [share(turns, plugins * QUARTERS, quarter * plugins + i) for i in range(plugins)]
            await asyncio.gather(*(caller.converse(n) for caller, n in zip(callers, shares, strict=True)))
            await asyncio.gather(*(caller.rest() for caller in callers))
            await rest(server, plugins, report)
            usages.append(Usage.now())
        await asyncio.gather(*(caller.close() for caller in callers))
        await rest(server, 0, report)
    callers.clear()
    watchdog.stop()
    left = await tasks_left(tasks)
    after = Usage.now()
    report.violations += check_leftovers(before, after, left)
    report.violations += check_memory(usages[0], usages[-1], turns - turns // QUARTERS)
    del ruined
    return Result(report, server.faults, usages[0], usages[-1], before, after, time.monotonic() - begun)


def share(turns: int, workers: int, worker: int) -> int:
    """Return how many of the turns are this worker's."""
    return turns * (worker + 1) // workers - turns * worker // workers


async def rest(server: FaultyServer, allowed: int, report: Report) -> None:
    """Wait until only so many connections are open: those in waiting."""
    try:
        await until(lambda: len(server.open) <= allowed)
    except TimeoutError:
        report.blame(f"{len(server.open)} connections are open where {allowed} are enough")


async def tasks_left(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that don't end, although nobody has anything to do."""
    for _ in range(100):
        if not asyncio.all_tasks() - before:
            break
        await asyncio.sleep(0.01)
    return asyncio.all_tasks() - before


def ruin(sabotage: Collection[str], server: FaultyServer, callers: list[Caller]) -> list[object]:
    """Break promises on purpose, to prove that it is noticed; return what must be kept for it."""
    kept: list[object] = []
    if "audio" in sabotage:
        server.spoiled = 1
    if "memory" in sabotage:
        for caller in callers:
            caller.kept = []
    if "socket" in sabotage:
        kept.append(socket.socket())
    if "task" in sabotage:
        kept.append(asyncio.create_task(asyncio.sleep(3_600)))
    if "warning" in sabotage:
        asyncio.sleep(0)  # Never awaited.
    return kept


def summary(result: Result) -> str:
    """Return the summary as lines to print."""
    report = result.report
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(result.faults.items()))
    interrupted = ", ".join(f"{kind} {count}" for kind, count in sorted(report.interrupted.items()))
    return "\n".join(
        [
            f"turns          {report.turns} and {report.streams} streams; {report.audio:.0f} s of audio",
            f"interrupted    {report.interrupted.total()} ({interrupted})",
            f"faults         {result.faults.total()} ({faults})",
            f"retries        {report.retries}",
            f"words          {report.words} told in their places",
            f"waiting        socket used {report.waiting_sockets} times",
            f"seconds        {result.seconds:.1f}",
            f"memory         {held(result.first)} after the first quarter; {held(result.last)} at the end",
            f"descriptors    {result.before.descriptors} before, {result.after.descriptors} after;"
            f" sockets {result.before.sockets} and {result.after.sockets}",
        ]
    )


def held(usage: Usage) -> str:
    resident = "" if usage.resident is None else f"{usage.resident / 2**20:.1f} MiB, "
    return f"{resident}{usage.blocks} blocks"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Speak many turns under faults and barge-ins.")
    parser.add_argument("--turns", type=int, default=2_000, help="turns of all plugins together")
    parser.add_argument("--plugins", type=int, default=50, help="plugins that speak at the same time")
    parser.add_argument("--seed", type=int, default=None, help="repeat the decisions of an earlier run")
    parser.add_argument("--sabotage", action="append", default=[], help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    print(f"soak: {chosen.turns} turns, {chosen.plugins} plugins, seed {seed}", flush=True)
    result = asyncio.run(soak(chosen.turns, chosen.plugins, seed, chosen.sabotage))
    print(summary(result))
    for violation in result.report.violations[:20]:
        print(f"VIOLATION      {violation}", file=sys.stderr)
    print("failed" if result.report.violations else "passed")
    return 1 if result.report.violations else 0


if __name__ == "__main__":
    sys.exit(main())

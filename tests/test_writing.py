"""A track that suspends while it takes audio: whole, in order, one piece at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest
from support import (
    PATIENCE,
    BareTrack,
    Conversation,
    ScriptedServer,
    heard_for,
    listen,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import ServiceError

Maker = Callable[..., LokutorTTS]
LONG_TEXT = "A sentence that is long enough for the listener to have audio ahead of what is played."
TEXTS = ("The first sentence.", "The second one.", "And a third.")


class SuspendingTrack(BareTrack):
    """Gives up the loop while it takes a piece, as an avatar's or a network's track does."""

    def __init__(self, passes: Callable[[], int]) -> None:
        super().__init__()
        self._passes = passes
        self._busy = False
        self.overlaps = 0

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.overlaps += self._busy
        self._busy = True
        try:
            for _ in range(self._passes()):
                await asyncio.sleep(0)
            await super().add_new_bytes(pcm)
        finally:
            self._busy = False


class HoldingTrack(BareTrack):
    """Takes a long time for the first piece that goes beyond ``size`` bytes, and none for the others."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.holding = asyncio.Event()
        self.let_go = asyncio.Event()

    async def add_new_bytes(self, pcm: bytes) -> None:
        if len(self.pcm) + len(pcm) > self._size and not self.holding.is_set():
            self.holding.set()
            await self.let_go.wait()
        await super().add_new_bytes(pcm)


class HeldTrack(BareTrack):
    """Takes nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.asked.set()
        await self.open.wait()
        await super().add_new_bytes(pcm)


@pytest.mark.parametrize("seed", range(20))
async def test_a_track_that_suspends_gets_everything_in_order(
    tts: LokutorTTS, scripted: ScriptedServer, seed: int
) -> None:
    chance = random.Random(seed)

    async def speak_in_pieces(conversation: Conversation) -> None:
        while True:
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech, chance.randint(500, 9_000))
            await conversation.end()

    async def text() -> AsyncIterator[str | FlushMarker]:
        for sentence in TEXTS:
            yield sentence
            yield FlushMarker()
            for _ in range(chance.randint(0, 30)):
                await asyncio.sleep(0)

    track = tts.audio_track = SuspendingTrack(lambda: chance.randint(0, 20))
    scripted.scripts.append(speak_in_pieces)
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert track.pcm == heard_for(*TEXTS)
    assert not track.overlaps


async def test_no_piece_overtakes_another_where_the_text_ends_while_the_track_takes_its_time(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    """The end of the text finds the last request spoken, but the end of its audio not yet written."""

    async def speak(conversation: Conversation) -> None:
        speech = speech_of((await conversation.request())["text"])
        await conversation.audio(speech[:-3_000])
        await conversation.audio(speech[-3_000:])  # So little is kept back until the request's end.
        await conversation.end()
        await conversation.gone()

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield LONG_TEXT
        yield FlushMarker()
        await text_ends.wait()

    text_ends = asyncio.Event()
    whole = heard_for(LONG_TEXT)
    track = tts.audio_track = HoldingTrack(len(whole) - 1_400)
    scripted.scripts.append(speak)
    call = asyncio.create_task(tts.synthesize(text()))
    await track.holding.wait()
    text_ends.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not call.done()
    track.let_go.set()
    await asyncio.wait_for(call, PATIENCE)
    assert track.pcm == whole


async def test_an_interrupt_ends_a_failed_call_whose_track_takes_its_time(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    """What came before a failure is written to its end, unless the listener speaks."""

    async def fail_in_mid_audio(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:9_000])
        await written.wait()
        await conversation.text('{"type":"error","code":"auth.time_limited","message":"no"}')
        await conversation.gone()

    written = asyncio.Event()
    track = tts.audio_track = HeldTrack()
    errors = listen(tts)
    track.open.set()
    scripted.scripts.append(fail_in_mid_audio)
    call = asyncio.create_task(tts.synthesize(TEXTS[0]))
    await until(lambda: len(track.pcm) > 0)
    track.open.clear()
    track.asked.clear()
    written.set()
    await asyncio.wait_for(track.asked.wait(), PATIENCE)
    heard = track.pcm
    await tts.interrupt()
    await asyncio.wait_for(call, PATIENCE)
    assert track.pcm == heard
    assert [error.code for error in errors] == ["auth.time_limited"]


async def test_a_reply_that_follows_a_request_without_its_end_is_not_lost(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    """A service that always ends twice in one spelling: one request at most is sent again for it."""

    async def end_twice(conversation: Conversation) -> None:
        while True:
            await conversation.audio(speech_of((await conversation.request())["text"]))
            await conversation.end()
            await conversation.end()

    async def text() -> AsyncIterator[str | FlushMarker]:
        for sentence in TEXTS:
            yield sentence
            yield FlushMarker()

    tts = make_tts(scripted.url)
    track = tts.audio_track = BareTrack()
    scripted.scripts.extend([end_twice] * 3)
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert track.pcm == heard_for(*TEXTS)
    assert len(scripted.texts) <= len(TEXTS) + 1


async def test_a_mute_answer_behind_others_is_still_asked_for_again(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async def mute_then(conversation: Conversation) -> None:
        await conversation.audio(speech_of((await conversation.request())["text"]))
        await conversation.end()
        await conversation.request()
        await conversation.end()
        await conversation.gone()

    async def mute(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.end()
        await conversation.gone()

    async def text() -> AsyncIterator[str | FlushMarker]:
        for sentence in TEXTS:
            yield sentence
            yield FlushMarker()

    tts = make_tts(scripted.url)
    tts.audio_track = BareTrack()
    errors = listen(tts)
    scripted.scripts.extend([mute_then, mute])
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert [type(error) for error in errors] == [ServiceError]
    assert scripted.texts == [TEXTS[0], TEXTS[1], TEXTS[1]]

"""A track that suspends while it takes audio: whole, in order, one piece at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import (
    PATIENCE,
    BareTrack,
    Clock,
    Conversation,
    Script,
    ScriptedServer,
    chunks_of,
    heard_for,
    listen,
    on_track,
    requests_of,
    settled,
    speak,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.output import AudioOutput
from videosdk.plugins.lokutor._audio.pcm import BYTES_PER_SECOND, SLICE_BYTES
from videosdk.plugins.lokutor._audio.resample import Resampler
from videosdk.plugins.lokutor.errors import LokutorError

Maker = Callable[..., LokutorTTS]
LONG_TEXT = "A sentence that is long enough for the listener to have audio ahead of what is played."
LONGER_TEXT = "The first sentence, " + "which goes on and on, " * 8 + "and ends."
"""Four seconds of audio, so that a busy machine doesn't use them up."""
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
        await conversation.audio(speech_of(request["text"])[:9_000], 9_000)  # Written at once.
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


async def test_a_mute_answer_behind_others_is_asked_for_again_and_left_out(
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
    assert errors == []
    assert scripted.texts == [TEXTS[0], TEXTS[1], *TEXTS[1:]]


@pytest.mark.usefixtures("clock")
async def test_tiny_pieces_are_not_written_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is, for the listener waits for it; then a frame at a time, where they come at once."""
    pieces: list[int] = []

    async def take(pcm: bytes) -> None:
        pieces.append(len(pcm))

    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    output = AudioOutput(take, 44_100)
    assert output.gather(bytes(200))
    await output.release()
    due = [output.gather(bytes(2)) for _ in range(882)]
    assert due == [False] * 881 + [True]
    assert output.release_due < 0.001  # What comes late is not waited for.
    now += 0.002
    assert output.gather(bytes(2))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("ahead", "gathered", "due"),
    [
        (0.0, 0.02, 0.0),
        (0.02, 0.02, 0.005),
        (0.08, 0.02, 0.02),
        (0.16, 0.04, 0.04),
        (0.24, 0.06, 0.09),
        (0.4, 0.1, 0.25),
        (1.0, 0.26, 0.85),  # The next message behind a quarter.
        (5.0, 0.3, 4.85),
    ],
)
async def test_pieces_wait_for_each_other_where_the_listener_has_more_to_hear(
    ahead: float, gathered: float, due: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of it at most, in size as in time."""

    async def take(_pcm: bytes) -> None:
        return

    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    output = AudioOutput(take, 44_100)
    for _ in range(round(ahead / 0.02)):
        output.gather(bytes(1_764))
    await output.release()
    assert output.release_due == pytest.approx(due)
    messages = 1
    while not output.gather(bytes(1_764)):
        messages += 1
    assert messages == round(gathered / 0.02)
    await output.release()
    ahead += gathered
    assert not output.gather(bytes(2))
    now += ahead / 4
    assert output.gather(bytes(2))


@pytest.mark.usefixtures("clock")
async def test_pieces_are_gathered_as_well_where_the_sink_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = asyncio.get_running_loop().time()

    async def take(_pcm: bytes) -> None:
        nonlocal now
        now += 0.05

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    output = AudioOutput(take, 44_100)
    output.gather(bytes(1_764))
    await output.release()
    assert [output.gather(bytes(2)) for _ in range(882)] == [False] * 881 + [True]


@pytest.mark.parametrize("rate", [24_000, 44_100])
@pytest.mark.parametrize("size", [1, 1_001, SLICE_BYTES + 1, SLICE_BYTES + 1_001, 3 * SLICE_BYTES + 1])
async def test_half_a_sample_is_dropped_while_its_audio_is_being_written(rate: int, size: int) -> None:
    """The request ends there, and that of the next begins with a whole one."""

    async def take(pcm: bytes) -> None:
        pieces.append(pcm)
        if len(pieces) == 2:
            holding.set()
            await go_on.wait()

    pieces: list[bytes] = []
    holding, go_on = asyncio.Event(), asyncio.Event()
    first, second = (speech_of(text) * 20 for text in TEXTS[:2])
    output = AudioOutput(take, rate)
    output.gather(first[:20_000])
    await output.release()
    output.gather(first[20_000 : 20_000 + size])
    writing = asyncio.create_task(output.release())
    await until(lambda: holding.is_set() or writing.done())
    assert output.drop_half_sample() == 1
    go_on.set()
    await writing
    output.gather(second)
    await output.finish()
    output.close()
    whole = Resampler(44_100, rate)
    expected = whole.process(first[: 20_000 + size - 1] + second) + whole.flush()
    heard = b"".join(pieces)
    assert heard[: len(expected)] == expected
    assert not any(heard[len(expected) :])


class GatedTrack(BareTrack):
    """Suspends in ``add_new_bytes`` until it is let go, as an avatar's track whose data channel is full."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting = 0

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        await super().add_new_bytes(pcm)


def holding_the_rest(track: GatedTrack, clock: Clock) -> Script:
    """Return a script that speaks :data:`LONGER_TEXT`, and has the track hold the rest of it.

    A task of its own writes the rest, which was kept back while the listener had much to hear.
    """

    async def script(conversation: Conversation) -> None:
        track.gate.set()
        first = speech_of((await conversation.request())["text"])
        await conversation.audio(first[:-1_000], size=len(first))
        await conversation.is_read()
        track.gate.clear()
        await conversation.audio(first[-1_000:])
        await conversation.is_read()
        clock.skip(len(first) / BYTES_PER_SECOND)  # So that it is written, whether more comes or not.
        await until(lambda: track.waiting > 0)
        await conversation.end()
        await speak(conversation)

    return script


async def test_a_slow_track_is_not_taken_for_a_slow_service(
    make_tts: Maker, scripted: ScriptedServer, clock: Clock
) -> None:
    """It takes the rest of a request while the next one is under way, for longer than that may take."""

    tts = make_tts(scripted.url, pacing=False, first_audio_timeout=50.0, idle_timeout=50.0, max_retries=0)
    errors = listen(tts)
    track = tts.audio_track = GatedTrack()
    scripted.scripts.append(holding_the_rest(track, clock))
    turn = asyncio.create_task(tts.synthesize(requests_of(LONGER_TEXT, TEXTS[1])))
    await until(lambda: len(scripted.texts) > 1 and track.waiting > 0)
    await clock.advance(60.0)
    track.gate.set()
    await asyncio.wait_for(turn, PATIENCE)
    assert errors == []
    assert scripted.texts == [LONGER_TEXT, TEXTS[1]]
    assert track.pcm == heard_for(LONGER_TEXT, TEXTS[1])


async def test_the_listeners_silence_is_not_the_services_while_the_track_is_slow(
    make_tts: Maker, scripted: ScriptedServer, clock: Clock
) -> None:
    """It takes the rest of a request for as long as would end the turn."""

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield LONGER_TEXT
        yield FlushMarker()
        await until(lambda: track.waiting > 0)
        await settled()  # The speaker waits for the track, and has nothing to send.
        yield TEXTS[1]

    limits = {"connect_timeout": 30.0, "first_audio_timeout": 20.0, "idle_timeout": 20.0}
    tts = make_tts(scripted.url, pacing=False, **limits)
    errors = listen(tts)
    track = tts.audio_track = GatedTrack()
    scripted.scripts.append(holding_the_rest(track, clock))
    turn = asyncio.create_task(tts.synthesize(text()))
    await until(lambda: track.waiting > 0 and len(scripted.texts) > 1)
    for _ in range(4):
        await clock.advance(60.0)
        await settled()
    track.gate.set()
    await asyncio.wait_for(turn, PATIENCE)
    assert errors == []
    assert scripted.texts == [LONGER_TEXT, TEXTS[1]]
    assert track.pcm == heard_for(LONGER_TEXT, TEXTS[1])


@pytest.mark.parametrize("last", [1, 100, 4_409, 4_411, 9_000])
async def test_the_rest_after_the_end_of_the_request_is_not_lost(
    make_tts: Maker, scripted: ScriptedServer, last: int
) -> None:
    """The text ends while the rest of the audio, that was gathered, is on its way to a slow track."""
    ended, pcm = asyncio.Event(), speech_of(TEXTS[0])

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield TEXTS[0]
        yield FlushMarker()
        await ended.wait()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(pcm[:-last], size=len(pcm))
        await until(lambda: len(track.pcm) > 0 and track.waiting == 0)
        track.gate.clear()
        await conversation.audio(pcm[-last:], size=last)
        await conversation.end()
        await conversation.gone()

    scripted.scripts.append(script)
    tts = make_tts(scripted.url)
    track = tts.audio_track = GatedTrack()
    track.gate.set()
    turn = asyncio.create_task(tts.synthesize(text()))
    await until(lambda: len(track.pcm) > 0 and track.waiting > 0)
    ended.set()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert track.waiting <= 1
    track.gate.set()
    await turn
    assert track.pcm == heard_for(TEXTS[0])


async def stall(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.audio(speech_of(TEXTS[0]))
    await conversation.gone()


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("replaced_by", [None, BareTrack()], ids=["None", "another"])
async def test_a_barge_in_silences_the_calls_own_track_when_it_was_replaced(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, replaced_by: Any, words: bool
) -> None:
    scripted.scripts.append(stall)
    tts = make_tts(scripted.url, word_timestamps=words)
    track.interrupt_fade_duration = 0.0
    turn = asyncio.create_task(tts.synthesize(TEXTS[0]))
    await until(lambda: len(on_track(track)) > 9_600)
    tts.audio_track = replaced_by
    await tts.interrupt()
    await turn
    assert on_track(track) == b""


class MuteTrack:
    """A track that only takes audio."""

    def __init__(self) -> None:
        self.pcm = b""

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.pcm += pcm


class RaisingTrack(MuteTrack):
    def interrupt(self) -> None:
        raise LookupError("no such buffer")


@pytest.mark.parametrize("kind", [MuteTrack, RaisingTrack])
async def test_a_barge_in_ends_the_turn_whatever_the_track_does(
    make_tts: Maker, scripted: ScriptedServer, kind: type[MuteTrack]
) -> None:
    """``interrupt()`` of the plugin may not raise: the framework would not go on with the barge-in."""
    scripted.scripts.append(stall)
    tts = make_tts(scripted.url)
    errors = listen(tts)
    track = tts.audio_track = kind()
    turn = asyncio.create_task(tts.synthesize(TEXTS[0]))
    await until(lambda: len(track.pcm) > 0)
    await tts.interrupt()
    await turn
    heard = track.pcm
    tts.audio_track = following = kind()
    await tts.synthesize("The next.")
    assert (track.pcm, following.pcm, errors) == (heard, heard_for("The next."), [])


@pytest.mark.parametrize("words", [False, True])
async def test_what_is_no_track_is_said_before_any_text_is_taken(
    make_tts: Maker, scripted: ScriptedServer, words: bool
) -> None:
    """An object without ``add_new_bytes``."""
    tts = make_tts(scripted.url, word_timestamps=words)
    errors = listen(tts)
    tts.audio_track = object()
    with pytest.raises(LokutorError) as caught:
        await tts.synthesize(chunks_of([TEXTS[0]]))
    assert errors == [caught.value]
    assert scripted.texts == []


@pytest.mark.parametrize("event", ["metrics", "error"])
async def test_a_listener_that_lets_a_cancelled_error_out_does_not_cancel_the_turn(
    make_tts: Maker, scripted: ScriptedServer, event: str
) -> None:
    """The framework's emitter catches only Exception; a handler asks a cancelled task for its result."""

    async def refuse(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech_of(TEXTS[0]))
        await conversation.text('{"type": "error", "code": "internal.cancelled"}')
        await conversation.gone()

    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()

    def on_event(_told: object) -> None:
        cancelled.result()

    if event == "error":
        scripted.scripts.append(refuse)
    tts = make_tts(scripted.url)
    tts.on(event, on_event)  # type: ignore[arg-type]
    await asyncio.wait_for(tts.synthesize(TEXTS[0]), PATIENCE)
    tts.off(event, on_event)  # type: ignore[arg-type]

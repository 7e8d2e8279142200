"""Requests are sent when the listener needs them: by the real track's position, and on real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    BareTrack,
    Clock,
    Conversation,
    Listener,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    listen,
    on_track,
    settled,
    speak,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.pcm import FRAME_SECONDS
from videosdk.plugins.lokutor.errors import NetworkError

Maker = Callable[..., LokutorTTS]

FIRST = f"First {'word ' * 60}ends."
SECOND = f"Second {'word ' * 60}ends."
THIRD = f"Third {'word ' * 60}ends."
REPLY = f"{FIRST} {SECOND} {THIRD}"
"""Three sentences of over 6 s each."""
SECONDS = 0.02 * len(FIRST)


class Call:
    """A turn, and a caller who listens to its track when the test lets them."""

    def __init__(self, tts: LokutorTTS, track: CustomAudioStreamTrack, clock: Clock) -> None:
        self.tts = tts
        self.metrics = emitted_by(tts, "metrics")
        self.errors = listen(tts)
        self._clock = clock
        self._listener = Listener(track)

    async def begin(self, text: str | AsyncIterator[str | FlushMarker]) -> None:
        await self._listener.hear()  # Somebody plays the track from now on, silence as yet.
        self.task = asyncio.create_task(self.tts.synthesize(text))

    async def hear(self, seconds: float) -> None:
        """Let the caller hear so much more, and time pass along with it."""
        for _ in range(round(seconds / FRAME_SECONDS)):
            await self._listener.hear()
            await self._clock.advance(FRAME_SECONDS)

    async def hear_all(self) -> bytes:
        """Let the caller hear the rest, and return all that was heard."""
        while not self.task.done():
            await self.hear(0.1)
        await self.task
        await self.hear(30)
        return self._listener.heard


@pytest.fixture
async def call(tts: LokutorTTS, track: CustomAudioStreamTrack, clock: Clock) -> Call:
    return Call(tts, track, clock)


def ended(scripted: ScriptedServer, track: CustomAudioStreamTrack, *texts: str) -> Callable[[], bool]:
    """Return whether the audio of all ``texts`` has come."""
    return lambda: scripted.texts == [*texts] and len(on_track(track)) >= len(heard_for(texts[-1])) - 4_800


async def test_each_sentence_is_sent_when_the_one_before_it_is_nearly_heard(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(SECONDS - 3.0)
    assert scripted.texts == [FIRST]
    await call.hear(2.5)
    await until(lambda: scripted.texts == [FIRST, SECOND])
    heard = await call.hear_all()
    assert scripted.texts == [FIRST, SECOND, THIRD]
    assert heard.strip(b"\0") == heard_for(FIRST, SECOND, THIRD).strip(b"\0")
    assert call.metrics[0].underruns == 0


async def test_all_is_sent_at_once_where_pacing_is_off(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await make_tts(scripted.url, pacing=False).synthesize(REPLY)
    assert scripted.texts == [REPLY]
    assert on_track(track) == heard_for(REPLY)


async def test_pacing_can_be_switched_off_in_mid_reply(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    call.tts.update_options(pacing=False)  # From the next turn on.
    await settled()
    assert scripted.texts == [FIRST]
    call.tts.update_options(now=True, pacing=False)
    await call.task
    assert scripted.texts == [FIRST, f"{SECOND} {THIRD}"]
    assert on_track(track) == heard_for(*scripted.texts)


async def test_pacing_can_be_switched_on_in_mid_reply(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield FIRST
        yield FlushMarker()
        await more.wait()
        for sentence in (SECOND, THIRD):
            yield f" {sentence}"
            yield FlushMarker()

    scripted.scripts.append(speak)
    call = Call(make_tts(scripted.url, pacing=False), track, clock)
    await call.begin(text())
    await until(ended(scripted, track, FIRST))
    call.tts.update_options(now=True, pacing=True)
    more.set()
    await settled()
    assert scripted.texts == [FIRST]
    heard = await call.hear_all()
    assert scripted.texts == [FIRST, SECOND, THIRD]
    assert heard.strip(b"\0") == heard_for(FIRST, SECOND, THIRD).strip(b"\0")


async def test_a_stream_is_not_paced(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    async for _ in tts.stream_synthesize(REPLY):
        pass
    assert scripted.texts == [REPLY]


async def test_nothing_more_is_sent_while_the_track_is_paused(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(1.0)
    for _ in range(60):  # Longer than the clock would count, and shorter than it takes to count at all.
        await clock.advance(0.1)
    assert scripted.texts == [FIRST]
    heard = await call.hear_all()
    assert heard.strip(b"\0") == heard_for(FIRST, SECOND, THIRD).strip(b"\0")


async def test_a_turn_ends_although_nobody_plays_the_track_any_more(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(1.0)
    while not call.task.done():
        await clock.advance(0.1)
    assert scripted.texts == [FIRST, SECOND, THIRD]
    assert not call.errors


async def test_a_track_that_counts_nothing_is_paced_by_the_clock(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    tts.audio_track = track = BareTrack()
    task = asyncio.create_task(tts.synthesize(REPLY))
    await until(lambda: len(track.pcm) >= len(heard_for(FIRST)) - 4_800)
    await clock.advance(SECONDS - 3.0)
    assert scripted.texts == [FIRST]
    await clock.advance(2.5)
    await until(lambda: scripted.texts == [FIRST, SECOND])
    while not task.done():
        await clock.advance(0.1)
    assert track.pcm == heard_for(FIRST, SECOND, THIRD)


async def test_a_first_sentence_too_short_to_bridge_takes_the_next_along(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    await tts.synthesize(chunks_of(["Hello!", "This is the next sentence.", SECOND]))
    assert scripted.texts == ["Hello! This is the next sentence.", SECOND]


async def test_a_first_sentence_does_not_wait_for_more(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    async def text() -> AsyncIterator[str]:
        yield "Hello!"
        await until(lambda: scripted.texts == ["Hello!"])
        yield FIRST

    await tts.synthesize(text())
    assert scripted.texts == ["Hello!", FIRST]


async def test_a_flush_marker_is_a_boundary_that_no_request_crosses(
    call: Call, scripted: ScriptedServer
) -> None:
    await call.begin(chunks_of(["One", FlushMarker(), FIRST, FlushMarker(), "Two"]))
    await call.hear_all()
    assert scripted.texts == ["One", FIRST, "Two"]


async def test_a_barge_in_ends_the_waiting_at_once(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(SECONDS / 2)
    await call.tts.interrupt()
    await call.task
    assert scripted.texts == [FIRST]
    (metrics,) = call.metrics
    assert metrics.interrupted
    assert metrics.characters_unheard == pytest.approx(len(FIRST) / 2, abs=5)


async def test_with_words_what_was_not_heard_is_exact(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    call = Call(make_tts(scripted.url, word_timestamps=True), track, clock)
    words = emitted_by(call.tts, "word_spoken")
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(SECONDS / 3)
    await call.tts.interrupt()
    await call.task
    assert call.metrics[0].characters_unheard == len(FIRST) - len(words[-1]["cumulative_text"])


async def test_a_reply_that_is_heard_to_its_end_has_nothing_unheard(call: Call) -> None:
    await call.begin(FIRST)
    await call.hear_all()
    assert call.metrics[0].characters_unheard == 0


@pytest.mark.parametrize("moment", ["early", "late"])
async def test_a_connection_that_is_lost_while_nothing_is_needed_is_replaced_when_something_is(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack, moment: str
) -> None:
    lost = asyncio.Event()

    async def lose(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await lost.wait()
        conversation.abort()

    scripted.scripts += [lose, speak]
    await call.begin(REPLY)
    await until(ended(scripted, track, FIRST))
    await call.hear(1.0 if moment == "early" else SECONDS - 2.0)
    lost.set()
    await until(scripted.conversations[0].closed.is_set)
    heard = await call.hear_all()
    assert scripted.texts == [FIRST, SECOND, THIRD]
    assert heard.strip(b"\0") == heard_for(FIRST, SECOND, THIRD).strip(b"\0")
    assert not call.errors


async def test_silence_that_the_service_causes_is_an_underrun(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    answer = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await conversation.request()
        await answer.wait()
        await conversation.audio(speech_of(conversation.texts[-1]))
        await conversation.end()

    scripted.scripts.append(slow)
    await call.begin(f"{FIRST} {SECOND}")
    await until(ended(scripted, track, FIRST))
    await call.hear(SECONDS)
    await until(lambda: scripted.texts == [FIRST, SECOND])
    await call.hear(2.0)
    answer.set()
    await call.hear_all()
    (metrics,) = call.metrics
    assert metrics.underruns >= 1
    assert metrics.underrun_time > 1.9  # All the text was there before.


async def test_silence_while_the_model_thinks_is_no_underrun(
    call: Call, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield FIRST
        await more.wait()
        yield SECOND

    await call.begin(text())
    await until(ended(scripted, track, FIRST))
    await call.hear(SECONDS + 3.0)
    more.set()
    await call.hear_all()
    assert scripted.texts == [FIRST, SECOND]
    # Not the 3 s: on a busy machine, some milliseconds between the text and its audio are the machine's.
    assert call.metrics[0].underrun_time < 1.0


async def test_what_is_left_of_a_request_is_written_before_the_listener_runs_dry(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    """Small pieces are gathered while there is much to hear; the last of them must not wait for the next."""
    go_on = asyncio.Event()
    speech = speech_of(FIRST)
    sent = 44_100  # 0.5 s.

    async def stall(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech[:sent], 1_764)
        await go_on.wait()
        await conversation.audio(speech[sent:])
        await conversation.end()

    scripted.scripts.append(stall)
    task = asyncio.create_task(tts.synthesize(FIRST))
    await until(lambda: len(on_track(track)) > 0.35 * 48_000)
    for _ in range(200):
        await asyncio.sleep(0.001)
        await clock.advance(0.01)
        if len(on_track(track)) >= 0.49 * 48_000:
            break
    else:
        pytest.fail("what had come was not written")
    go_on.set()
    await task
    assert on_track(track) == heard_for(FIRST)


async def test_a_listener_who_has_much_to_hear_is_not_in_silence(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    """The longest silence is counted from when the listener has heard all, not from what came last."""
    limits = {"connect_timeout": 1.0, "first_audio_timeout": 1.0, "idle_timeout": 2.5}
    tts = make_tts(scripted.url, **limits)
    errors = listen(tts)
    speech = speech_of(FIRST)
    proceed = asyncio.Semaphore(0)

    async def cut(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech[: len(speech) * 3 // 4])
        await until(lambda: len(on_track(track)) > 4.0 * 48_000)
        conversation.abort()

    async def again(conversation: Conversation) -> None:
        await conversation.request()
        size = len(speech) // 20
        for start in range(0, len(speech), size):
            await proceed.acquire()
            await conversation.audio(speech[start : start + size])
        await conversation.end()

    scripted.scripts += [cut, again]
    task = asyncio.create_task(tts.synthesize(FIRST))
    await until(lambda: len(scripted.texts) == 2)
    while not task.done():  # Over 4 s until something new comes: longer than 3 s, shorter than what is left.
        proceed.release()
        await asyncio.sleep(0.005)
        await clock.advance(0.3)
    await task
    assert not [error for error in errors if isinstance(error, NetworkError)], errors
    assert on_track(track) == heard_for(FIRST)

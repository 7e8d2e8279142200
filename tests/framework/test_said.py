"""What ``session.say()`` speaks, in a real ``AgentSession``: who interrupts it, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import ScriptedServer, settled, speak_timed, until
from kit.agents import SPEAKERS, Call, calling
from videosdk.agents import VAD, InterruptConfig, VADEventType, VADResponse
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.vad import VADData

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
TEXT = "This goes on for a long time."
CACHED = bytes(960 * 30)


class VoiceDetector(VAD):
    """Hears a voice when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._on_inference: Callable[[VADResponse], None] = lambda response: None

    async def process_audio(self, audio_frames: bytes, **kwargs: Any) -> None:
        return

    def on_inference(self, callback: Callable[[VADResponse], None]) -> None:
        self._on_inference = callback

    async def hear(self, *, voice: bool) -> None:
        """Report that a voice starts or ends."""
        data = VADData(is_speech=voice, confidence=0.9 if voice else 0.0)
        self._on_inference(VADResponse(event_type=VADEventType.FRAME_PROCESSED, data=data))
        event = VADEventType.START_OF_SPEECH if voice else VADEventType.END_OF_SPEECH
        assert self._vad_callback is not None
        await self._vad_callback(VADResponse(event_type=event, data=data))


@pytest.fixture
def voice() -> VoiceDetector:
    return VoiceDetector()


@pytest.fixture(params=list(SPEAKERS))
async def call(
    request: pytest.FixtureRequest,
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    voice: VoiceDetector,
) -> AsyncIterator[Call]:
    scripted.scripts.extend([speak_timed] * 10)
    tts = SPEAKERS[request.param](make_tts(scripted.url, word_timestamps=True))
    interrupts = InterruptConfig(interrupt_min_duration=0.05)
    async with calling(tts, track, vad=voice, interrupt_config=interrupts) as call:
        await call.listener.hear()
        yield call


async def begin_and_hear(call: Call, kind: str = "say", text: str = TEXT) -> None:
    """Have the agent speak until some words were heard."""
    await call.begin(kind, text)
    await until(lambda: len(call.track.frame_buffer) >= len(text))
    await call.listener.hear(20)
    await settled()


def is_silent(call: Call) -> bool:
    """Return whether the agent was interrupted."""
    return call.session.agent_state.value == "listening"


# Who interrupts it


@pytest.mark.parametrize("first", ["say", "reply", "user", "nothing"])
async def test_a_voice_interrupts_it_after_another_interruption(
    call: Call, voice: VoiceDetector, first: str
) -> None:
    if first != "nothing":
        await begin_and_hear(call, first)
    await call.cut()
    await begin_and_hear(call)
    assert not is_silent(call)
    await voice.hear(voice=True)
    await until(lambda: is_silent(call))
    await call.over()


async def test_a_voice_interrupts_a_cached_phrase_after_an_interruption(
    call: Call, voice: VoiceDetector
) -> None:
    await begin_and_hear(call)
    await call.cut()
    phrase = asyncio.create_task(call.session.say("Cached.", audio_data=CACHED))
    await until(lambda: call.session.agent_state.value == "speaking")
    await voice.hear(voice=True)
    await until(lambda: is_silent(call))
    await phrase


async def test_an_interrupted_reply_that_is_still_written_is_not_remembered_whole(call: Call) -> None:
    """What ``say()`` begins must not let the framework take it for a reply that was heard."""
    call.mind.goes_on.clear()
    await call.begin("reply", f"{TEXT} And nothing of this is heard, for it is (...) still being written.")
    await until(lambda: len(call.track.frame_buffer) >= len(TEXT))
    await call.listener.hear(20)
    await settled()
    call.session.interrupt()
    await until(lambda: is_silent(call))
    await begin_and_hear(call, text="Something else.")
    call.mind.goes_on.set()
    await until(lambda: not call.mind_is_busy)
    await settled()
    (heard, interrupted), following = call.replies
    assert interrupted
    assert heard != TEXT
    assert following == ("Something else.", False)
    await call.cut()


# What is remembered of it


async def test_it_is_remembered_once_as_what_was_heard_of_it(call: Call) -> None:
    await begin_and_hear(call)
    await call.cut()
    [(heard, interrupted)] = call.replies
    assert interrupted
    assert heard
    assert TEXT.startswith(heard)
    assert heard != TEXT
    await call.cut()  # Two detectors may hear the same caller.
    assert call.replies == [(heard, True)]
    call.play(fast=True)
    await call.begin("say", TEXT)
    await call.over()
    assert call.replies == [(heard, True), (TEXT, False)]


async def test_a_second_one_is_remembered_as_what_was_heard_of_it(call: Call) -> None:
    for count in (1, 2):
        await begin_and_hear(call)
        await call.cut()
        assert [interrupted for _, interrupted in call.replies] == [True] * count


async def test_what_was_said_before_in_the_same_words_stays(call: Call) -> None:
    call.play(fast=True)
    await call.begin("say", TEXT)
    await call.over()
    await call.stop_playing()
    turn = asyncio.create_task(call.session.say(TEXT, add_to_chat_context=False))
    await until(lambda: len(call.track.frame_buffer) >= len(TEXT))
    await call.listener.hear(20)
    await call.cut()
    await turn
    assert call.replies[0] == (TEXT, False)


async def test_an_answer_is_remembered_beside_what_was_said(call: Call) -> None:
    call.play(fast=True)
    await call.begin("say", "Hello.")
    await call.over()
    await call.stop_playing()
    await begin_and_hear(call, "user")
    await call.cut()
    assert [interrupted for _, interrupted in call.replies] == [False, True]


async def test_a_cached_phrase_is_remembered_once(call: Call) -> None:
    call.play(fast=True)
    await call.begin("say", "Hello.")
    await call.over()
    await call.stop_playing()
    phrase = asyncio.create_task(call.session.say("A cached phrase.", audio_data=CACHED))
    await until(lambda: len(call.track.frame_buffer) >= 30)
    await call.listener.hear(20)
    await call.cut()
    await phrase
    assert [interrupted for _, interrupted in call.replies] == [False, True]


async def test_it_is_not_remembered_where_nothing_of_it_was_heard(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(lambda conversation: conversation.gone())
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        await call.listener.hear()
        await call.begin("say", TEXT)
        await until(lambda: scripted.texts == [TEXT])
        await call.cut()
        assert call.replies == []


async def test_where_nobody_plays_the_track_it_is_remembered_whole(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_timed)
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        await call.begin("say", TEXT)
        await until(lambda: len(track.frame_buffer) >= len(TEXT))
        await call.cut()
        assert call.replies == [(TEXT, False)]

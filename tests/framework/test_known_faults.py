"""Known faults of the framework: each test fails in the versions that have the fault, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from kit import PATIENCE, ScriptedServer, settled, speak_timed, until
from kit.agents import Call, calling
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
TEXT = "This goes on for a long time."


@pytest.fixture
async def call(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> AsyncIterator[Call]:
    """Hold a call in which words are told."""
    scripted.scripts.append(speak_timed)
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        yield call


@pytest.mark.known_fault("final-transcripts")
@pytest.mark.parametrize("kind", ["reply", "user"])
async def test_an_answer_that_is_heard_to_its_end_has_one_final_transcript(call: Call, kind: str) -> None:
    call.play()
    await call.begin(kind, TEXT)
    await until(lambda: call.room.finals != [])
    await until(lambda: call.session.agent_state.value == "idle")
    await settled()
    assert call.room.finals == [TEXT]


@pytest.mark.known_fault("final-transcripts")
@pytest.mark.parametrize("kind", ["reply", "user"])
async def test_an_answer_that_is_talked_over_has_a_final_transcript_of_what_was_heard(
    call: Call, kind: str
) -> None:
    await call.begin(kind, TEXT)
    await until(lambda: len(call.track.frame_buffer) >= len(TEXT))
    async with asyncio.timeout(PATIENCE):
        while call.room.interims[-1:] != ["This goes on"]:
            await call.listener.hear()
            await settled()
    await call.cut()
    await settled()
    assert call.room.finals == ["This goes on"]


@pytest.mark.known_fault("stuck-reply")
async def test_a_reply_that_is_interrupted_while_the_voice_connects_leaves_the_model_to_the_next(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.hold()
    async with calling(make_tts(scripted.url), track) as call:
        try:
            await call.begin("reply", "So it goes on. " * 100)
            await until(lambda: scripted.held > 0)
            await settled()  # The model has written as much as the framework takes from it.
            call.session.interrupt()
            await until(lambda: not call.speech.tts_lock.locked())
            await settled()
            assert not call.mind_is_busy
        finally:
            scripted.answer_all()
            await end_collectors()


async def end_collectors() -> None:
    """End what takes the model's tokens; while nobody takes them from it, one cancellation isn't enough."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == "collector":
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)

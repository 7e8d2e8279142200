"""What the agent remembers of a reply that was cut off is what was heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from kit import PATIENCE, Clock, Listener, ScriptedServer, speak_timed, until
from transcripts import LATE, Cut, cut_replies, judged, report
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
REPLY = "One is cut off, somewhere."
"""A frame of the track for each character."""
FRAME_SECONDS = 0.02
CUTS, CALLS, LONGEST, SEED = 32, 16, 4.0, 1
ENOUGH = 8
"""Cuts at which the loop was in time; fewer say nothing."""


@pytest.fixture
async def speech(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> SpeechGeneration:
    scripted.scripts.append(speak_timed)
    speech = SpeechGeneration(tts=make_tts(scripted.url, word_timestamps=True), audio_track=track)
    speech.set_audio_track(track)
    return speech


def begun(frames: int) -> str:
    """Return the words of the reply that begin by the end of the first ``frames``."""
    words = REPLY.split()
    return " ".join(word for word in words if frames and REPLY.index(word) <= frames)


@pytest.mark.skipif("config.getoption('--loop') == 'uvloop'", reason="uvloop's clock can't be moved")
@pytest.mark.parametrize("frames", range(len(REPLY) + 1))
async def test_a_reply_that_is_cut_off_is_remembered_to_the_word(
    speech: SpeechGeneration, track: CustomAudioStreamTrack, clock: Clock, frames: int
) -> None:
    speaking = asyncio.create_task(speech.synthesize(REPLY))
    await until(lambda: len(track.frame_buffer) == len(REPLY))
    listener = Listener(track)
    for _ in range(frames):
        await listener.hear()
        await clock.advance(FRAME_SECONDS)
    await speech.interrupt()
    await asyncio.wait_for(speaking, PATIENCE)
    assert speech.spoken_transcript == begun(frames)


@pytest.mark.parametrize("marked", [False, True], ids=["plain", "marked"])
async def test_the_transcript_stops_where_the_voice_stopped(
    capsys: pytest.CaptureFixture[str], marked: bool
) -> None:
    """In real time, with the real voice, many calls at once: no chance but the machine's."""
    cuts = await cut_replies(CUTS, SEED, CALLS, LONGEST, marked=marked)
    with capsys.disabled():
        print(f"\n{report(cuts)}")
    assert len(cuts) == CUTS
    told = judged(cuts)
    if len(told) < ENOUGH:
        pytest.skip(f"the event loop was late by over {LATE:g} s at {len(cuts) - len(told)} cuts")
    wrong = [cut for cut in told if cut.error]
    assert len(wrong) <= max(1, len(told) // 20), wrong
    assert max(cut.error for cut in told) <= 1, wrong
    # The cuts are such that an estimate doesn't do.
    assert sum(not cut.estimates_error for cut in told) < len(told) // 2


@pytest.mark.parametrize(
    ("remembered", "error"),
    [("one two", 0), ("one", 1), ("one two three", 1), ("", 2), ("one too", 2), ("two", 2)],
)
def test_the_measure_counts_words(remembered: str, error: int) -> None:
    assert Cut("one two", remembered, "").error == error


@pytest.mark.parametrize(
    ("remembered", "error"),
    [("", 1), ("one", 0), ("one two", 0), ("one two three", 0), ("one two three four", 1), ("two three", 2)],
)
def test_the_measure_bears_with_words_that_begin_at_the_cut(remembered: str, error: int) -> None:
    assert Cut("one", remembered, "", doubtful=("two", "three")).error == error


def test_what_a_late_loop_shows_is_left_out_and_counted() -> None:
    steady, late = Cut("one", "one", ""), Cut("one", "", "", late=2 * LATE)
    assert judged([steady, late]) == [steady]
    assert "1 of 1 exact" in report([steady, late])
    assert "1 more are left out" in report([steady, late])

"""A language model that pauses in mid-reply: the listener hears all that was said, up to its last sample."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    PATIENCE,
    Clock,
    Conversation,
    Listener,
    ScriptedServer,
    emitted_by,
    on_track,
    speech_of,
    until,
    visemes_of,
)
from kit.speech import at_track_rate
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.output import AudioOutput
from videosdk.plugins.lokutor._audio.resample import Resampler

Maker = Callable[..., LokutorTTS]
FIRST, SECOND = "Let me look that up.", "The table is free."
FRAME = 0.02


def audio_of(text: str, missing: int) -> bytes:
    """Return what the service speaks for ``text``, without its last ``missing`` samples."""
    pcm = speech_of(text)
    return pcm[: len(pcm) - 2 * missing]


def silence_behind(pcm: bytes) -> bytes:
    """Return the silence that has the end of ``pcm`` played."""

    async def sink(pcm: bytes) -> None:
        raise AssertionError("nothing is written")

    output = AudioOutput(sink, 24_000)
    output.gather(pcm)
    return output.end_sound()


async def hear_all(listener: Listener, track: CustomAudioStreamTrack, clock: Clock, size: int) -> None:
    """Play the track in its time until ``size`` bytes were heard."""
    async with asyncio.timeout(PATIENCE):
        while len(listener.heard) < size:
            if track.frame_buffer:
                await listener.hear()
                await clock.advance(FRAME)
            else:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("missing", [0, 1, 441, 700, 881])
async def test_a_sentence_is_heard_to_its_end_before_a_gap(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    clock: Clock,
    missing: int,
    lost: bool,
) -> None:
    async def speak(conversation: Conversation) -> None:
        while True:
            text = (await conversation.request())["text"]
            await conversation.text(visemes_of(text))
            await conversation.audio(audio_of(text, missing))
            await conversation.end()
            if lost:
                await conversation.ws.close()
                return

    async def text() -> AsyncIterator[str]:
        yield FIRST
        await found.wait()
        yield SECOND

    scripted.scripts.extend([speak, speak])
    tts, found = make_tts(scripted.url, word_timestamps=True, keep_warm=False), asyncio.Event()
    words, listener = emitted_by(tts, "word_spoken"), Listener(track)
    track.mark_synthesis_start()
    speaking = asyncio.create_task(tts.synthesize(text()))
    first, second = audio_of(FIRST, missing), audio_of(SECOND, missing)
    await hear_all(listener, track, clock, len(at_track_rate(first)))
    await listener.hear(len(track.frame_buffer))  # In which the resampler's filter fades out.
    resampler = Resampler(44_100, 24_000)
    alone = resampler.process(first) + resampler.flush()
    assert listener.heard[: len(alone)] == alone
    assert not any(on_track(track))
    found.set()
    await hear_all(listener, track, clock, len(at_track_rate(first + second)))
    await asyncio.wait_for(speaking, PATIENCE)
    await until(lambda: len(words) >= len(FIRST.split()) + 1)
    gap = round(words[len(FIRST.split())]["start"] * 44_100) - len(first) // 2
    assert 0 < gap < 1_300
    heard = listener.heard + on_track(track)
    assert heard == at_track_rate(first + bytes(2 * gap) + second)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("size", [17_640, 17_641, 18_000, 19_403])
async def test_what_has_come_is_heard_before_a_gap_in_mid_word(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    clock: Clock,
    size: int,
    lost: bool,
) -> None:
    """Otherwise its last milliseconds are heard alone, behind the silence."""
    pcm, gone_on = speech_of(FIRST), asyncio.Event()
    head = pcm[: size - size % 2]

    async def stall(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(pcm[:size])
        await gone_on.wait()
        if lost:
            conversation.abort()
            return
        await conversation.audio(pcm[size:])
        await conversation.end()

    scripted.scripts.append(stall)
    tts, listener = make_tts(scripted.url, keep_warm=False), Listener(track)
    costs = emitted_by(tts, "metrics")
    track.mark_synthesis_start()
    speaking = asyncio.create_task(tts.synthesize(FIRST))
    resampler = Resampler(44_100, 24_000)
    alone = resampler.process(head) + resampler.flush()
    await hear_all(listener, track, clock, len(alone))
    await listener.hear(len(track.frame_buffer))  # In which the resampler's filter fades out.
    assert listener.heard[: len(alone)] == alone
    assert not any(on_track(track))
    gone_on.set()
    await asyncio.wait_for(speaking, PATIENCE)
    assert listener.heard + on_track(track) == at_track_rate(head + silence_behind(head) + pcm[len(head) :])
    assert [cost.retries for cost in costs] == [int(lost)]


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("samples", [1, 882, 883, 44_100])
async def test_the_silence_behind_a_sound_completes_its_last_frame(rate: int, samples: int) -> None:
    written = bytearray()

    async def sink(pcm: bytes) -> None:
        written.extend(pcm)

    output = AudioOutput(sink, rate)
    assert output.end_sound() == b""
    output.gather(b"\x10\x10" * samples)
    silence = output.end_sound()
    output.gather(silence)
    await output.release()
    due, frame = -(-samples * rate // 44_100), rate // 50
    assert len(written) // 2 >= -(-due // frame) * frame
    assert len(silence) // 2 / 44_100 < (0.05 if rate < 24_000 else 0.03)
    assert not output.end_sound()

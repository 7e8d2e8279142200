"""The first sound: silence in front of it isn't played, and all else stays in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from kit import (
    PATIENCE,
    SAMPLES_PER_CHARACTER,
    Clock,
    Conversation,
    Listener,
    Script,
    ScriptedServer,
    at_track_rate,
    emitted_by,
    heard_for,
    logged,
    on_track,
    pushed_samples,
    requests_of,
    speech_of,
    told,
    trimmed,
    until,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics

Maker = Callable[..., LokutorTTS]
TEXT = "Hello, you there."
TEXTS = ("Hello, you.", "And bye!", "For good.")
LEADS = (13_230, 30_000, 4_410)
"""Samples of silence in front of each request."""
SECOND = 88_200


def led(text: str, lead: int) -> bytes:
    """Return speech behind so many silent samples."""
    return bytes(2 * lead) + speech_of(text)


def visemes_behind(text: str, lead: int) -> str:
    starts = [(lead + index * SAMPLES_PER_CHARACTER) / 44_100 for index in range(len(text))]
    return json.dumps(
        [{"v": 0, "c": "sil", "t": 0}] * (lead > 0)
        + [
            {"v": index, "c": "sil" if char.isspace() else char, "t": start}
            for index, (char, start) in enumerate(zip(text, starts, strict=True))
        ]
    )


def leading(*leads: int, size: int = 1_001) -> Script:
    """Return a script that speaks each request behind so many silent samples."""

    async def script(conversation: Conversation) -> None:
        for lead in leads:
            text = (await conversation.request())["text"]
            await conversation.text(visemes_behind(text, lead))
            await conversation.audio(led(text, lead), size)
            await conversation.end()
        await conversation.gone()

    return script


def cost(tts: LokutorTTS) -> list[SynthesisMetrics]:
    return emitted_by(tts, "metrics")


@pytest.mark.parametrize("size", [1, 1_001, 4_096, 1_000_000])
async def test_silence_in_front_is_cut_to_20_ms(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, size: int
) -> None:
    lead = 2_000 if size == 1 else 13_230
    scripted.scripts.append(leading(lead, size=size))
    metrics = cost(tts)
    await tts.synthesize(TEXT)
    assert on_track(track) == at_track_rate(led(TEXT, 882 - 1))  # The speech begins with a silent sample.
    [figures] = metrics
    whole = len(led(TEXT, lead)) / SECOND
    assert figures.leading_silence == (lead + 1) / 44_100
    assert figures.audio_received == whole
    assert figures.audio_pushed == pytest.approx(whole - (lead - 881) / 44_100, abs=0.02)
    assert figures.time_to_first_sound is not None
    assert figures.time_to_first_byte is not None
    assert figures.time_to_first_sound >= figures.time_to_first_byte > 0


async def test_the_first_sound_has_its_own_time(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    go_on = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(bytes(30_000))
        await conversation.text("that was silence")
        await go_on.wait()
        await conversation.audio(speech_of(TEXT)[:400])  # No more: it must be played before the rest comes.
        await conversation.gone()

    scripted.scripts.append(script)
    metrics = cost(tts)
    with logged("Ignored Unknown") as silence_came:
        speaking = asyncio.create_task(tts.synthesize(TEXT))
        await asyncio.wait_for(silence_came.wait(), PATIENCE)
    assert pushed_samples(track) == 0
    await clock.advance(3.0)
    go_on.set()
    await until(lambda: pushed_samples(track) > 0)
    await tts.interrupt()
    await speaking
    [figures] = metrics
    assert figures.time_to_first_byte is not None
    assert figures.time_to_first_sound is not None
    assert figures.time_to_first_sound >= figures.time_to_first_byte + 3.0
    assert pushed_samples(track) < 0.03 * 24_000


async def test_without_trimming_every_sample_is_played(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(leading(*LEADS))
    tts = make_tts(scripted.url, trim_silence=False)
    metrics = cost(tts)
    await tts.synthesize(requests_of(*TEXTS))
    assert on_track(track) == at_track_rate(b"".join(map(led, TEXTS, LEADS)))
    assert metrics[0].leading_silence == (LEADS[0] + 1) / 44_100
    assert metrics[0].time_to_first_sound is not None


async def test_between_requests_a_pause_is_left(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(leading(*LEADS))
    await tts.synthesize(requests_of(*TEXTS))
    audio, cuts = trimmed(*map(led, TEXTS, LEADS))
    assert len(cuts) == 2  # The third pause is short enough.
    assert on_track(track) == at_track_rate(audio)


async def test_a_stream_begins_at_once_too(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    scripted.scripts.append(leading(*LEADS))
    pcm = b"".join([piece async for piece in tts.stream_synthesize(requests_of(*TEXTS))])
    assert pcm == at_track_rate(trimmed(*map(led, TEXTS, LEADS))[0])


# Trying again

CUTS_AT = [1, 1_763, 1_766, 10_001, 26_460, 26_463, 40_001, 60_000]


@pytest.mark.parametrize("trim", [True, False])
@pytest.mark.parametrize("first", CUTS_AT)
async def test_a_connection_lost_in_silence_or_behind_it_is_healed_to_the_sample(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, first: int, trim: bool
) -> None:
    def lost_after(size: int) -> Script:
        async def script(conversation: Conversation) -> None:
            await conversation.request()
            await conversation.audio(led(TEXT, 13_230)[:size], 1_001)
            await conversation.ws.close(code=1011)

        return script

    scripted.scripts.extend([lost_after(first), lost_after(first + 9_001), leading(13_230, 20_000)])
    tts = make_tts(scripted.url, trim_silence=trim)
    metrics = cost(tts)
    await tts.synthesize(requests_of(TEXT, "And bye!"))
    audio = [led(TEXT, 13_230), led("And bye!", 20_000)]
    assert on_track(track) == at_track_rate(trimmed(*audio)[0] if trim else b"".join(audio))
    assert metrics[0].leading_silence == 13_231 / 44_100
    assert metrics[0].audio_received == len(b"".join(audio)) / SECOND


@pytest.mark.parametrize("extra", [0, 1])
async def test_half_a_sample_behind_silence_does_no_harm(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, extra: int
) -> None:
    async def script(conversation: Conversation) -> None:
        for number in range(2):
            text = (await conversation.request())["text"]
            await conversation.audio(bytes(9_000) if not number else led(text, 5_000), 1_001)
            await conversation.audio(b"\x7f" * extra)
            await conversation.end()
        await conversation.gone()

    scripted.scripts.append(script)
    await tts.synthesize(requests_of("🙂", TEXT))
    assert on_track(track) == at_track_rate(trimmed(bytes(9_000), led(TEXT, 5_000))[0])


# Nothing but silence


async def test_a_reply_that_stays_silent_ends_like_any_other(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(bytes(SECOND))
        await conversation.end()
        await conversation.gone()

    called: list[bool] = []

    async def on_first_audio() -> None:
        called.append(True)

    scripted.scripts.append(script)
    metrics = cost(tts)
    tts.on_first_audio_byte(on_first_audio)
    await asyncio.wait_for(tts.synthesize("🙂"), PATIENCE)
    assert called == [True]
    assert on_track(track) == bytes(960)
    assert (metrics[0].time_to_first_sound, metrics[0].leading_silence) == (None, None)
    assert metrics[0].audio_received == 1.0


async def test_an_interruption_in_the_silence_leaves_nothing(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(bytes(30_000))
        await conversation.text("that was silence")
        await conversation.gone()

    scripted.scripts.append(script)
    metrics = cost(tts)
    with logged("Ignored Unknown") as silence_came:
        speaking = asyncio.create_task(tts.synthesize(TEXT))
        await asyncio.wait_for(silence_came.wait(), PATIENCE)
    await tts.interrupt()
    await speaking
    assert pushed_samples(track) == 0
    assert metrics[0].characters_unheard == len(TEXT)
    await tts.synthesize("Go on.")
    assert on_track(track) == heard_for("Go on.")


async def test_what_was_cut_was_not_to_be_heard(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """An interruption after the first request: nothing of that is left, and all of the second is."""

    async def script(conversation: Conversation) -> None:
        for text, lead in ((TEXT, 26_460), ("And bye!", 0)):
            await conversation.request()
            await conversation.audio(led(text, lead))
            if lead:
                await conversation.end()
        await conversation.gone()

    scripted.scripts.append(script)
    tts = make_tts(scripted.url, pacing=False)
    metrics = cost(tts)
    speaking = asyncio.create_task(tts.synthesize(requests_of(TEXT, "And bye!")))
    frames = 1 + len(TEXT)  # 20 ms of silence, and 20 ms for each character.
    await until(lambda: len(track.frame_buffer) > frames)
    await Listener(track).hear(frames)
    await tts.interrupt()
    await speaking
    assert metrics[0].characters_unheard == len("And bye!")


# Words and visemes


@pytest.mark.parametrize("leads", [LEADS, (0, 0, 40_000), (44_100, 0, 17_640), (500, 17_641, 60_000)])
@pytest.mark.parametrize("lost_at", [None, 3_001, 30_001])
async def test_words_and_visemes_move_with_the_sound(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    leads: tuple[int, ...],
    lost_at: int | None,
) -> None:
    async def lost(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.text(visemes_behind(text, leads[0]))
        await conversation.audio(led(text, leads[0])[:lost_at], 1_001)
        await conversation.ws.close(code=1011)

    scripts = [leading(*leads)] if lost_at is None else [lost, leading(*leads)]
    scripted.scripts.extend(scripts)
    plain = make_tts(
        scripted.url, word_timestamps=True, visemes=True, trim_silence=False, keep_warm=False, pacing=False
    )
    words, visemes = await told(plain, track, *TEXTS)
    scripted.scripts.extend(scripts)
    quick = make_tts(scripted.url, word_timestamps=True, visemes=True, keep_warm=False, pacing=False)
    quick_words, quick_visemes = await told(quick, track, *TEXTS)
    _, cuts = trimmed(*map(led, TEXTS, leads))

    def moved(at: float) -> float:
        return at - sum(min(max(at - start, 0.0), length) for start, length in cuts)

    assert [word["word"] for word in words] == " ".join(TEXTS).split()
    assert quick_words == [
        {**word, "start": pytest.approx(moved(word["start"])), "end": pytest.approx(moved(word["end"]))}
        for word in words
    ]
    assert [(viseme.index, viseme.sound) for viseme in quick_visemes] == [
        (viseme.index, viseme.sound) for viseme in visemes
    ]
    assert [viseme.start for viseme in quick_visemes] == pytest.approx([moved(one.start) for one in visemes])
    # They are where the sound is: each text begins behind what is left of its silence.
    audio, samples = 0.0, []
    for text, lead in zip(TEXTS, leads, strict=True):
        samples.append(audio + lead / 44_100)
        audio += len(led(text, lead)) / SECOND
    firsts = [word["start"] for word in quick_words if word["word"] in {"Hello,", "And", "For"}]
    assert firsts == pytest.approx([moved(at) for at in samples])

"""A request that is answered with silence counts as one without audio: a caller hears neither."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    Conversation,
    Script,
    ScriptedServer,
    emitted_by,
    heard_for,
    listen,
    on_track,
    requests_of,
    speak_timed,
    speech_of,
    told,
    visemes_of,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics, TransparentFallbackTTS
from videosdk.plugins.lokutor.errors import ServiceError

Maker = Callable[..., LokutorTTS]
FIRST, SILENT, LAST = "This is heard.", "Not this one.", "And this is the end."
SILENCE = bytes(44_100)


def silent_for(*times: int, text: str = SILENT, silence: bytes = SILENCE, size: int = 2_000) -> Script:
    """Return a script that speaks, but answers ``text`` with silence at those times that it is sent."""
    sent = 0

    async def script(conversation: Conversation) -> None:
        nonlocal sent
        while True:
            request = (await conversation.request())["text"]
            sent += request == text
            await conversation.text(visemes_of(request))
            silent = request == text and sent in times
            await conversation.audio(silence if silent else speech_of(request), size)
            await conversation.end()

    return script


@pytest.fixture
def metrics(tts: LokutorTTS) -> list[SynthesisMetrics]:
    return emitted_by(tts, "metrics")


@pytest.mark.parametrize("size", [1, 441, 2_001, 50_000])
async def test_it_is_asked_for_again(
    size: int,
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    metrics: list[SynthesisMetrics],
) -> None:
    errors = listen(tts)
    silence = SILENCE if size > 1 else SILENCE[:4_001]  # And half a sample.
    scripted.scripts.extend([silent_for(1, silence=silence, size=size)] * 2)
    await tts.synthesize(SILENT)
    assert on_track(track) == heard_for(SILENT)
    assert scripted.texts == [SILENT] * 2
    assert errors == []
    [cost] = metrics
    assert (cost.retries, cost.characters_left_out) == (1, 0)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_text_that_stays_silent_is_left_out(
    place: int,
    seconds: float,
    tts: LokutorTTS,
    scripted: ScriptedServer,
    metrics: list[SynthesisMetrics],
) -> None:
    """Also where the silence is so short that its end may be a second one of the request before."""
    errors = listen(tts)
    scripted.scripts.extend([silent_for(1, 2, silence=bytes(round(44_100 * seconds) * 2))] * 3)
    texts = [FIRST, LAST]
    texts.insert(place, SILENT)
    await tts.synthesize(requests_of(*texts))
    assert sorted(scripted.texts) == sorted([FIRST, LAST, SILENT, SILENT])
    assert errors == []
    [cost] = metrics
    assert (cost.characters_left_out, cost.error_code) == (len(SILENT), None)


@pytest.mark.parametrize("trim", [True, False])
async def test_words_are_told_where_they_are_heard(
    trim: bool, make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """What the silent try has told of its words counts for nothing."""
    tts = make_tts(scripted.url, word_timestamps=True, visemes=True, trim_silence=trim)
    scripted.scripts.extend([silent_for(1)] * 2)
    words, visemes = await told(tts, track, FIRST, SILENT, LAST)
    assert [one["word"] for one in words] == f"{FIRST} {SILENT} {LAST}".split()
    assert [one.sound for one in visemes if one.sound != "sil"] == [
        char for char in FIRST + SILENT + LAST if not char.isspace()
    ]
    silence = 0.4 if trim else 0.5
    length = len(speech_of(FIRST)) / 88_200
    assert words[3]["start"] == pytest.approx(length + silence, abs=0.03)


async def test_a_text_without_words_may_be_silent(
    tts: LokutorTTS, scripted: ScriptedServer, metrics: list[SynthesisMetrics]
) -> None:
    scripted.scripts.append(silent_for(1, 2, text="🙂"))
    await tts.synthesize("🙂")
    assert scripted.texts == ["🙂"]
    assert metrics[0].retries == 0


async def test_a_service_that_has_only_silence_is_reported(
    tts: LokutorTTS, scripted: ScriptedServer, metrics: list[SynthesisMetrics]
) -> None:
    errors = listen(tts)
    scripted.scripts.extend([silent_for(1, 2)] * 2)
    await tts.synthesize(SILENT)
    assert [type(error) for error in errors] == [ServiceError]
    assert "only silence" in str(errors[0])
    assert metrics[0].time_to_first_sound is None


@pytest.fixture
async def second() -> AsyncIterator[ScriptedServer]:
    """Return the service of another provider."""
    async with ScriptedServer() as server:
        server.scripts.extend([speak_timed] * 2)
        yield server


@pytest.mark.parametrize("word_timestamps", [True, False])
async def test_another_provider_speaks_instead(
    word_timestamps: bool,
    make_tts: Maker,
    scripted: ScriptedServer,
    second: ScriptedServer,
    track: CustomAudioStreamTrack,
) -> None:
    scripted.scripts.extend([silent_for(1, 2)] * 2)
    first, other = (make_tts(url, word_timestamps=word_timestamps) for url in (scripted.url, second.url))
    tts = TransparentFallbackTTS([first, other])
    tts.audio_track = track
    await tts.synthesize(requests_of(FIRST, SILENT, LAST))
    assert second.texts == [SILENT, LAST]
    heard = on_track(track)
    assert heard.startswith(heard_for(FIRST)[:-200])
    assert scripted.texts == [FIRST, SILENT, SILENT]

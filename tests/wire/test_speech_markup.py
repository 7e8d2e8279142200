"""Speech markup on the wire and in the listener's ear."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from kit import (
    PATIENCE,
    Conversation,
    Listener,
    ScriptedServer,
    at_track_rate,
    chunks_of,
    emitted_by,
    follows,
    heard_for,
    on_track,
    pushed_samples,
    speak,
    speak_timed,
    speech_of,
    until,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, _options
from videosdk.plugins.lokutor.errors import InvalidRequestError

Maker = Callable[..., LokutorTTS]
MIXED = (
    'The street is <lang xml:lang="ca-ES">Carrer de Balmes</lang>, as <voice name="M2">they <prosody '
    'rate="slow">all</prosody></voice> say.'
)
WRITTEN = "The street is Carrer de Balmes, as they all say."


class Recorder:
    """A track that keeps what it gets."""

    def __init__(self, rate: int) -> None:
        self.sample_rate = rate
        self.heard = bytearray()

    async def add_new_bytes(self, audio: bytes) -> None:
        self.heard += audio

    def interrupt(self) -> None:
        self.heard.clear()


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    """Return a plugin that reads markup."""
    scripted.scripts.extend([speak] * 5)
    return make_tts(scripted.url, markup=True, speed=1.0)


def parted(before: str, seconds: float, after: str, *, trimmed: bool = True) -> bytes:
    """Return two texts' audio with a pause from the last sound of the first to the first of the second."""
    first, second = (np.frombuffer(speech_of(text), "<i2").astype(int) for text in (before, after))
    pause = round(seconds * 44_100)
    if trimmed:
        loud, louder = np.flatnonzero(abs(first) > 32), np.flatnonzero(abs(second) > 32)
        if before:
            pause -= min(len(first) - loud[-1] - 1, pause)
        second = second[louder[0] :]
    return np.concatenate([first, np.zeros(pause, int), second]).astype("<i2").tobytes()


def requests(scripted: ScriptedServer) -> list[tuple[Any, ...]]:
    return [
        (request["text"], request["voice"], request["lang"], request["speed"])
        for conversation in scripted.conversations
        for request in conversation.requests
    ]


@pytest.mark.parametrize("cut", [1, 3, 7, 1_000])
async def test_each_style_is_a_request_of_its_own(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, cut: int
) -> None:
    await tts.synthesize(chunks_of(MIXED[place : place + cut] for place in range(0, len(MIXED), cut)))
    assert requests(scripted) == [
        ("The street is", "F1", "en", 1.0),
        ("Carrer de Balmes,", "F1", "ca", 1.0),
        ("as", "F1", "en", 1.0),
        ("they", "M2", "en", 1.0),
        ("all", "M2", "en", 0.8),
        ("say.", "F1", "en", 1.0),
    ]
    assert on_track(track) == heard_for(*scripted.texts)


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
@pytest.mark.parametrize("seconds", [0.02, 0.5, 2.345])
async def test_a_break_lasts_from_sound_to_sound_to_the_sample(
    make_tts: Maker, scripted: ScriptedServer, rate: int, seconds: float
) -> None:
    scripted.scripts.append(speak)
    tts = make_tts(scripted.url, markup=True, sample_rate=rate)
    tts.audio_track = recorder = Recorder(rate)
    await tts.synthesize(f'One.<break time="{seconds}s"/>Two.')
    assert scripted.texts == ["One.", "Two."]
    assert bytes(recorder.heard) == at_track_rate(parted("One.", seconds, "Two."), rate)


async def test_without_trimming_the_break_comes_on_top(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak)
    tts = make_tts(scripted.url, markup=True, trim_silence=False)
    await tts.synthesize('One.<break time="500ms"/>Two.')
    assert on_track(track) == at_track_rate(parted("One.", 0.5, "Two.", trimmed=False))


async def test_silence_that_the_service_makes_counts_for_the_break(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def with_silence(conversation: Conversation) -> None:
        for _ in range(2):
            text = (await conversation.request())["text"]
            await conversation.audio(bytes(8_820) + speech_of(text) + bytes(2 * 8_820))
            await conversation.end()

    scripted.scripts.appendleft(with_silence)
    await tts.synthesize('One.<break time="500ms"/>Two.')
    pcm = bytes(1_764 - 2) + parted("One.", 0.5, "Two.") + bytes(2 * 8_820)
    assert on_track(track) == at_track_rate(pcm)


@pytest.mark.parametrize("size", [2_001, 200_000])
async def test_a_long_silence_at_the_end_counts_for_the_break(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, size: int
) -> None:
    async def with_silence(conversation: Conversation) -> None:
        for seconds in (0.5, 3.0, 0.0):
            text = (await conversation.request())["text"]
            await conversation.audio(speech_of(text) + bytes(2 * round(44_100 * seconds)), size)
            await conversation.end()

    scripted.scripts.appendleft(with_silence)
    await tts.synthesize('One.<break time="1s"/>Two.<break time="3500ms"/>Three.')
    two_and_three = parted("Two.", 3.5, "Three.")
    first = np.frombuffer(speech_of("Two."), "<i2").astype(int)
    lead = 2 * np.flatnonzero(abs(first) > 32)[0]
    assert on_track(track) == at_track_rate(
        parted("One.", 1.0, "Two.")[: -len(speech_of("Two.")) + lead] + two_and_three[lead:]
    )


def refuse(code: str, option: str, *values: str) -> Callable[[Conversation], Awaitable[None]]:
    """Return a server that speaks, unless it is asked for some values of an option."""

    async def script(conversation: Conversation) -> None:
        while (request := await conversation.request())[option] not in values:
            await conversation.audio(speech_of(request["text"]))
            await conversation.end()
        await conversation.text(json.dumps({"type": "error", "code": code, "message": "unknown"}))
        await conversation.gone()

    return script


@pytest.mark.parametrize(
    ("code", "option", "tag", "value"),
    [
        ("validation.invalid_voice", "voice", '<voice name="Joanna">', "Joanna"),
        ("validation.invalid_language", "lang", '<lang xml:lang="gl-ES">', "gl"),
    ],
)
async def test_what_the_service_refuses_is_spoken_in_the_calls_own_way(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    code: str,
    option: str,
    tag: str,
    value: str,
) -> None:
    scripted.scripts.extend([refuse(code, option, value)] * 9)
    tts = make_tts(scripted.url, markup=True, max_retries=0, keep_warm=False)
    errors = emitted_by(tts, "error")
    for _ in range(2):
        await tts.synthesize(f'<prosody rate="80%">{tag}One.</prosody> Two.')
    own = "F1" if option == "voice" else "en"
    asked = [
        (request["text"], request[option]) for each in scripted.conversations for request in each.requests
    ]
    assert asked == [("One.", value), *[("One.", own), ("Two.", own)] * 2]
    assert not errors
    assert len({request[3] for request in requests(scripted) if request[0] == "One."}) == 1


def error_of(code: str | None, message: str = "no") -> str | None:
    return json.dumps({"type": "error", "code": code, "message": message}) if code else f"ERR: {message}"


@pytest.mark.parametrize(
    ("answer", "tries", "remembered"),
    [
        (error_of("tts.voice_unavailable"), 1, True),
        (error_of(None, "Invalid voice"), 1, True),
        (error_of("validation.invalid_request_format", "unknown voice"), 1, True),
        (error_of("validation.invalid_request_format"), 1, False),
        (error_of("validation.speed_out_of_range"), 1, False),
        (error_of("tts.synthesis_failed"), 2, False),
        (error_of(None, "One. failed"), 2, False),
        (None, 2, False),  # It ends the request without audio.
    ],
)
async def test_no_other_fault_of_a_style_ends_the_reply(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    answer: str | None,
    tries: int,
    remembered: bool,
) -> None:
    async def script(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            if request["voice"] == "F1":
                await conversation.audio(speech_of(request["text"]))
                await conversation.end()
            elif answer is None:
                await conversation.end()
            else:
                await conversation.text(answer)

    scripted.scripts.extend([script] * 9)
    tts = make_tts(scripted.url, markup=True, keep_warm=False)
    errors = emitted_by(tts, "error")
    for _ in range(2):
        await tts.synthesize('<voice name="Joanna">One.</voice> Two.')
    first = [("One.", "Joanna")] * tries
    again = [] if remembered else first
    spoken = [("One.", "F1"), ("Two.", "F1")]
    assert [request[:2] for request in requests(scripted)] == [*first, *spoken, *again, *spoken]
    assert not errors
    assert on_track(track) == 2 * heard_for("One.", "Two.")


async def test_what_the_service_has_cancelled_is_not_the_styles_fault(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(json.dumps({"type": "error", "code": "internal.cancelled", "message": "no"}))
        await conversation.gone()

    scripted.scripts.extend([script] * 3)
    tts = make_tts(scripted.url, markup=True)
    errors = emitted_by(tts, "error")
    await tts.synthesize('<voice name="M2">One.</voice>')
    assert [request[:2] for request in requests(scripted)] == [("One.", "M2")]
    assert [error.code for error in errors] == ["internal.cancelled"]


async def test_a_text_that_is_not_spoken_either_way_is_left_out(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def script(conversation: Conversation) -> None:
        while True:
            text = (await conversation.request())["text"]
            if text != "One.":
                await conversation.audio(speech_of(text))
            await conversation.end()

    scripted.scripts.extend([script] * 9)
    tts = make_tts(scripted.url, markup=True)
    await tts.synthesize('<voice name="M2">One.</voice> Two.')
    assert [request[:2] for request in requests(scripted)] == [
        ("One.", "M2"), ("One.", "M2"), ("One.", "F1"), ("Two.", "F1"),
    ]  # fmt: skip
    assert on_track(track) == heard_for("Two.")


async def test_what_the_call_itself_asks_for_in_vain_is_an_error(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([refuse("validation.invalid_voice", "voice", "X1", "X2")] * 3)
    tts = make_tts(scripted.url, markup=True, voice="X1")
    errors = emitted_by(tts, "error")
    await tts.synthesize('<voice name="X2">One.</voice>')
    assert [request[1] for request in requests(scripted)] == ["X2", "X1"]
    assert [type(error) for error in errors] == [InvalidRequestError]


async def test_a_language_that_is_not_listed_is_ignored_and_told_once(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_options, "_ignored_languages", set())
    await tts.synthesize('It is <lang xml:lang="ru">one</lang>, or <lang xml:lang="Catalan">two</lang>.')
    assert [request[::2] for request in requests(scripted)] == [("It is one, or two.", "en")]
    assert sum("'ru'" in record.getMessage() for record in caplog.records) == 1
    assert not any("Catalan" in record.getMessage() for record in caplog.records)


async def test_a_reply_may_begin_and_end_with_a_break_or_be_one(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    called: list[None] = []

    async def on_first_audio() -> None:
        called.append(None)

    tts.on_first_audio_byte(on_first_audio)
    await tts.synthesize('<break time="300ms"/>One.<break time="200ms"/>')
    begun = bytes(2 * 13_230)
    (one,) = (np.frombuffer(speech_of("One."), "<i2").astype(int),)
    loud = np.flatnonzero(abs(one) > 32)
    ending = bytes(2 * (8_820 - (len(one) - loud[-1] - 1)))
    assert on_track(track) == at_track_rate(begun + one[loud[0] :].astype("<i2").tobytes() + ending)
    tts.audio_track = recorder = Recorder(24_000)
    await tts.synthesize('<break time="300ms"/>')
    assert recorder.heard == bytes(2 * 7_200)
    assert scripted.texts == ["One."]
    assert called


@pytest.mark.parametrize("text", ["<b></b>", "<lang xml:lang='ca'>", "</p>", "<!-- a note -->"])
async def test_markup_with_nothing_to_say_releases_the_turn(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, text: str
) -> None:
    called: list[None] = []

    async def on_first_audio() -> None:
        called.append(None)

    tts.on_first_audio_byte(on_first_audio)
    await tts.synthesize(text)
    assert called == [None]
    assert not on_track(track)
    assert not scripted.texts


async def test_without_the_option_nothing_is_read(make_tts: Maker, scripted: ScriptedServer) -> None:
    scripted.scripts.append(speak)
    await make_tts(scripted.url).synthesize(MIXED)
    assert scripted.texts == [MIXED]


async def test_words_come_when_they_are_heard_and_without_tags(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_timed)
    tts = make_tts(scripted.url, markup=True, word_timestamps=True, visemes=True, trim_silence=False)
    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    track.mark_synthesis_start()
    await tts.synthesize(
        '<break time="200ms"/>The <sub alias="World Wide Web">WWW</sub>,<break time="400ms"/> '
        '<lang xml:lang="ca">bo</lang>, and all.'
    )
    assert scripted.texts == ["The World Wide Web,", "bo,", "and all."]
    listener = Listener(track)
    await listener.hear(10 + 20 + sum(map(len, scripted.texts)))
    await until(lambda: not follows(tts))
    assert [word["word"] for word in words] == ["The", "WWW,", "bo,", "and", "all."]
    assert words[-1]["cumulative_text"] == "The WWW, bo, and all."
    starts = [0.2, 0.2 + 4 / 50, 0.6 + 19 / 50, 0.6 + 22 / 50, 0.6 + 26 / 50]
    assert [word["start"] for word in words] == pytest.approx(starts)
    assert all(word["end"] <= later["start"] + 1e-9 for word, later in pairwise(words))
    assert words[1]["end"] < 0.2 + 20 / 50  # Not behind the pause.
    told = [viseme for several in visemes for viseme in several]
    assert [viseme.start for viseme in told] == sorted(viseme.start for viseme in told)
    assert max(viseme.index for viseme in told) == len("The WWW, bo, and all.") - 1


async def test_what_is_lost_behind_a_break_is_heard_once(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def breaks_off(conversation: Conversation) -> None:
        await conversation.audio(speech_of((await conversation.request())["text"]))
        await conversation.end()
        pcm = speech_of((await conversation.request())["text"])
        await conversation.audio(pcm[: len(pcm) // 2])
        conversation.abort()

    scripted.scripts.appendleft(breaks_off)
    await tts.synthesize('One.<break time="500ms"/><voice name="M2">Two.</voice>')
    assert [request[:2] for request in requests(scripted)] == [("One.", "F1"), ("Two.", "M2"), ("Two.", "M2")]
    assert on_track(track) == at_track_rate(parted("One.", 0.5, "Two."))


async def test_a_barge_in_inside_a_break_ends_it(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def source() -> AsyncIterator[str]:
        yield 'One.<break time="5s"/> '
        await asyncio.Event().wait()

    turn = asyncio.create_task(tts.synthesize(source()))
    await until(lambda: pushed_samples(track) > 24_000)
    await tts.interrupt()
    pushed = pushed_samples(track)
    await asyncio.wait_for(turn, PATIENCE)
    assert pushed_samples(track) == pushed
    assert scripted.texts == ["One."]


async def test_a_stream_reads_markup_too(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    pieces = [piece async for piece in tts.stream_synthesize('One.<break time="500ms"/>Two.')]
    assert b"".join(pieces) == at_track_rate(parted("One.", 0.5, "Two."))

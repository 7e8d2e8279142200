"""What a listener hears of a call, to the sample, and what the service is asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    PATIENCE,
    Conversation,
    ScriptedServer,
    chunks_of,
    heard_for,
    on_track,
    pushed_samples,
    speak,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

FLUSH = FlushMarker()


async def test_a_string_is_one_request_and_is_heard_to_the_sample(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await tts.synthesize("Hello there. How are you?")
    assert scripted.texts == ["Hello there. How are you?"]
    assert on_track(track) == heard_for("Hello there. How are you?")


async def test_the_request_carries_the_options_in_both_spellings(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    tts.update_options(speed=0.9, steps=8, model="versa-1.0")
    await tts.synthesize("One.", voice_id="clone_7", language="es-ES")
    await tts.synthesize("Two.")
    first, second = (conversation.requests[0] for conversation in scripted.conversations)
    assert first == {
        "text": "One.",
        "voice": "clone_7",
        "language": "es",
        "lang": "es",
        "speed": 0.9,
        "steps": 8,
        "visemes": False,
        "version": "versa-1.0",
    }
    assert (second["voice"], second["language"]) == ("F1", "en")


async def test_the_key_goes_into_a_header_and_not_into_the_url(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    await tts.synthesize("Hello.")
    http = scripted.conversations[0].http
    assert http.headers["X-API-Key"] == "test-key"
    assert http.query_string == ""


async def test_sentences_of_the_pipeline_go_out_at_once_and_gather_while_one_is_spoken(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    spoken = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await spoken.wait()
        await conversation.end()
        await speak(conversation)

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield "First."
        await until(lambda: scripted.texts == ["First."])
        yield "Second."
        yield "Third, which is longer than twenty characters,"
        yield "goes on."
        spoken.set()
        yield FLUSH

    scripted.scripts.append(slow)
    await tts.synthesize(text())
    second = "Second. Third, which is longer than twenty characters, goes on."
    assert scripted.texts == ["First.", second]
    assert on_track(track) == heard_for("First.", second)


async def test_raw_tokens_become_sentences(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    async def text() -> AsyncIterator[str | FlushMarker]:
        for token in ["Hel", "lo", " world", ".", " Pi"]:
            yield token
        await until(lambda: scripted.texts == ["Hello world."])
        for token in [" is", " 3.", "14", ".", " See", " example.", "com", "!"]:
            yield token
        yield FLUSH

    await tts.synthesize(text())
    assert " ".join(scripted.texts) == "Hello world. Pi is 3.14. See example.com!"


async def test_a_token_sentence_does_not_wait_for_a_model_that_pauses(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    async def text() -> AsyncIterator[str]:
        for token in ["Let", " me", " check", "."]:
            yield token
        await until(lambda: scripted.texts == ["Let me check."])
        yield " Done."

    await tts.synthesize(text())
    assert scripted.texts == ["Let me check.", "Done."]


async def test_each_flush_marker_makes_a_request_of_its_own(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await tts.synthesize(chunks_of([FLUSH, "no end", FLUSH, FLUSH, "One.", "Two.", FLUSH, "Three", FLUSH]))
    assert " ".join(scripted.texts) == "no end One. Two. Three"
    assert scripted.texts[0] == "no end"
    assert scripted.texts[-1] == "Three"
    assert on_track(track) == heard_for(*scripted.texts)


async def test_a_flush_marker_goes_out_at_once_when_nothing_is_spoken(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    async def text() -> AsyncIterator[str | FlushMarker]:
        yield "no full stop yet"
        yield FLUSH
        await until(lambda: scripted.texts == ["no full stop yet"])

    await tts.synthesize(text())


@pytest.mark.parametrize("chunks", [[], [FLUSH], [FLUSH, FLUSH], ["", " ", "\n"], ["...", FLUSH], [None]])
async def test_nothing_speakable_ends_without_a_request(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, chunks: list[str | FlushMarker]
) -> None:
    await tts.synthesize(chunks_of(chunks))
    await scripted.all_closed()
    assert scripted.texts == []
    assert pushed_samples(track) == 0


@pytest.mark.parametrize("text", ["", "  \n", "..."])
async def test_a_blank_string_opens_no_connection(
    tts: LokutorTTS, scripted: ScriptedServer, text: str
) -> None:
    await tts.synthesize(text)
    assert [piece async for piece in tts.stream_synthesize(text)] == []
    assert scripted.conversations == []


async def test_the_connection_is_open_before_the_first_chunk_is_pulled(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    connected_before_text = False

    async def text() -> AsyncIterator[str]:
        nonlocal connected_before_text
        connected_before_text = scripted.open_connections == 1
        yield "Hello."

    await tts.synthesize(text())
    assert connected_before_text


async def test_each_turn_has_a_socket_of_its_own_and_closes_it(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await tts.synthesize("One.")
    await tts.synthesize("Two, longer.")
    await scripted.all_closed()
    assert [len(conversation.requests) for conversation in scripted.conversations] == [1, 1]
    assert [conversation.ws.close_code for conversation in scripted.conversations] == [1000, 1000]
    assert on_track(track) == heard_for("One.") + heard_for("Two, longer.")


@pytest.mark.parametrize("size", [1, 2, 333, 4096, 1_000_000])
async def test_the_same_is_heard_whatever_the_size_of_the_messages(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, size: int
) -> None:
    async def chopped(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]), size)
        await conversation.end()
        await conversation.gone()

    scripted.scripts.append(chopped)
    await tts.synthesize("Hi you.")
    assert on_track(track) == heard_for("Hi you.")


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_audio_comes_at_the_tracks_rate(
    tts: LokutorTTS, track: CustomAudioStreamTrack, rate: int
) -> None:
    track.sample_rate = rate
    track.chunk_size = rate // 50 * 2
    track.samples = rate // 50
    await tts.synthesize("Hello there.")
    assert on_track(track) == heard_for("Hello there.", rate=rate)
    assert not track.audio_data_buffer


async def test_a_track_that_does_not_tell_its_rate_gets_the_configured_one(scripted: ScriptedServer) -> None:
    class Sink:
        """A custom track with what the framework demands of every track, and no more."""

        pcm = b""

        async def add_new_bytes(self, data: bytes) -> None:
            self.pcm += data

        def interrupt(self) -> None:
            self.pcm = b""

    async with LokutorTTS(api_key="k", base_url=scripted.url, sample_rate=16_000) as tts:
        tts.audio_track = sink = Sink()
        await tts.synthesize("Hello.")
    assert sink.pcm == heard_for("Hello.", rate=16_000)


async def test_a_stream_and_a_turn_at_the_same_time_do_not_disturb_each_other(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def collect() -> bytes:
        return b"".join([piece async for piece in tts.stream_synthesize(chunks_of(["For the cache."]))])

    _, streamed = await asyncio.gather(tts.synthesize("For the caller."), collect())
    assert tts.audio_track is track
    assert streamed == heard_for("For the cache.")
    assert on_track(track) == heard_for("For the caller.")


async def test_an_abandoned_stream_ends_its_call(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    stream = tts.stream_synthesize("A long text. " * 60)
    assert await anext(stream)
    await stream.aclose()
    await scripted.all_closed()


async def test_a_slow_consumer_holds_the_stream_back_and_loses_nothing(tts: LokutorTTS) -> None:
    text = "A text that is longer than what a stream holds back for a slow consumer. " * 12
    heard = b""
    async for piece in tts.stream_synthesize(text):
        heard += piece
        await asyncio.sleep(0)
    assert heard == heard_for(text.strip())


async def test_the_first_audio_callback_comes_once_a_turn_just_before_the_bytes(
    tts: LokutorTTS, track: CustomAudioStreamTrack
) -> None:
    calls: list[int] = []

    async def first_audio() -> None:
        calls.append(pushed_samples(track))

    tts.on_first_audio_byte(first_audio)
    tts.reset_first_audio_tracking()
    await tts.synthesize("One. Two.")
    after_first = pushed_samples(track)
    tts.on_first_audio_byte(first_audio)
    tts.reset_first_audio_tracking()
    await tts.synthesize("Three.")
    assert calls == [0, after_first]


async def test_a_stream_never_calls_the_first_audio_callback(tts: LokutorTTS) -> None:
    calls: list[None] = []

    async def first_audio() -> None:
        calls.append(None)

    tts.on_first_audio_byte(first_audio)
    assert [piece async for piece in tts.stream_synthesize("For the cache.")]
    assert calls == []


async def test_a_first_audio_callback_that_raises_costs_no_audio(
    tts: LokutorTTS, track: CustomAudioStreamTrack, caplog: pytest.LogCaptureFixture
) -> None:
    async def first_audio() -> None:
        raise RuntimeError("the listener's own fault")

    tts.on_first_audio_byte(first_audio)
    await tts.synthesize("Hello.")
    assert on_track(track) == heard_for("Hello.")
    assert "the listener's own fault" in caplog.text


async def test_unknown_keywords_and_bad_values_are_errors(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="pitch"):
        await tts.synthesize("Hello.", pitch=2)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"speed.*0\.5.*2\.0.*9"):
        await tts.synthesize("Hello.", speed=9)
    with pytest.raises(ValueError, match="voice_id"):
        await tts.synthesize("Hello.", voice_id="F1", voice="M1")
    with pytest.raises(ValueError, match="steps"):
        tts.update_options(steps=0, voice="M3")
    assert tts.voice == "F1"
    assert scripted.conversations == []


async def test_what_the_framework_traces_is_readable(make_tts) -> None:  # type: ignore[no-untyped-def]
    tts = make_tts("ws://localhost:9", voice="en_m2", language="de-AT", model="versa-2.0", sample_rate=48_000)
    shown = (tts.model, tts.voice, tts.language, tts.sample_rate, tts.num_channels, tts.provider)
    assert shown == ("versa-2.0", "en_m2", "de", 48_000, 1, "lokutor")
    assert "test-key" not in repr(tts) + str(vars(tts))


async def test_a_users_own_session_is_used_and_left_open(scripted: ScriptedServer) -> None:
    import aiohttp

    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with LokutorTTS(api_key="k", base_url=scripted.url, session=session) as tts:
            assert [piece async for piece in tts.stream_synthesize("Hello.")]
        await tts.aclose()
        assert not session.closed
    assert scripted.conversations[0].http.headers["X-Mine"] == "yes"


async def test_closing_ends_what_runs_and_what_comes_after_is_refused(
    make_tts: Callable[..., LokutorTTS],
    scripted: ScriptedServer,
) -> None:
    from videosdk.plugins.lokutor.errors import ConfigurationError

    tts = make_tts(scripted.url)
    scripted.scripts.append(lambda conversation: conversation.gone())
    turn = asyncio.create_task(tts.synthesize("Hello."))
    await until(lambda: scripted.texts == ["Hello."])
    await tts.aclose()
    await asyncio.wait_for(turn, PATIENCE)
    await scripted.all_closed()
    with pytest.raises(ConfigurationError, match="closed"):
        await tts.synthesize("Again.")
    await tts.aclose()


async def test_logs_are_quiet_at_info(tts: LokutorTTS, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await tts.prewarm()
    await tts.synthesize("Hello.")
    await tts.interrupt()
    assert [record for record in caplog.records if "lokutor" in record.name] == []

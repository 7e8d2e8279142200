"""The plugin under the framework's own classes, which drive it as they do in a real agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import (
    PATIENCE,
    Conversation,
    ScriptedServer,
    chunks_of,
    heard_for,
    listen,
    on_track,
    pushed_samples,
    speech_of,
    until,
)
from videosdk.agents import FallbackTTS, Pipeline, TTSAudioCache
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import LokutorError, NetworkError

Maker = Callable[..., LokutorTTS]
FRAMEWORK_HANG = 10.0
"""Seconds for which the framework waits for a first audio that never comes."""


@pytest.fixture
def speech(tts: LokutorTTS, track: CustomAudioStreamTrack) -> SpeechGeneration:
    generation = SpeechGeneration(tts=tts, audio_track=track)
    generation.set_audio_track(track)
    return generation


def record(emitter: Any, *events: str) -> list[str]:
    """Return a list that grows by each of ``events`` that ``emitter`` emits."""
    seen: list[str] = []

    def recorder(event: str) -> Callable[[Any], None]:
        def on_event(_data: Any) -> None:
            seen.append(event)

        return on_event

    for event in events:
        emitter.on(event, recorder(event))
    return seen


async def test_speech_generation_speaks_two_turns(
    speech: SpeechGeneration, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    seen = record(speech, "first_audio_byte")
    await speech.synthesize(chunks_of(["Hello there.", "How are you?"]))  # type: ignore[arg-type]
    first = heard_for(*scripted.texts)
    await speech.synthesize("A whole text, given as a string.")
    assert seen == ["first_audio_byte"] * 2
    assert on_track(track) == first + heard_for("A whole text, given as a string.")


async def test_playback_ends_and_the_turn_with_it(
    speech: SpeechGeneration, track: CustomAudioStreamTrack
) -> None:
    seen = record(speech, "last_audio_byte")

    async def listen() -> None:
        while not seen:
            await track.recv()

    await speech.synthesize("Hi.")
    await asyncio.wait_for(listen(), PATIENCE)
    assert not track.audio_data_buffer
    played, pushed = track.snapshot_playback()
    assert played == pushed > 0


async def test_a_barge_in_through_speech_generation_leaves_the_next_turn_whole(
    speech: SpeechGeneration, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def half(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:20_000])
        await conversation.gone()

    scripted.scripts.append(half)
    turn = asyncio.create_task(speech.synthesize("To be interrupted."))
    await until(lambda: pushed_samples(track) > 0)
    await speech.interrupt()
    turn.cancel()
    await asyncio.wait({turn}, timeout=PATIENCE)
    assert turn.cancelled()
    await speech.interrupt()  # The framework's second one, from the cancelled task.
    pushed = pushed_samples(track)
    track.frame_buffer.clear()
    await speech.synthesize("The next turn.")
    assert on_track(track) == heard_for("The next turn.")
    assert pushed_samples(track) == pushed + len(heard_for("The next turn.")) // 2


async def test_a_say_turn_is_not_cancelled_and_returns_all_the_same(
    speech: SpeechGeneration, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(lambda conversation: conversation.gone())
    turn = asyncio.create_task(speech.synthesize("To be interrupted."))
    await until(lambda: scripted.texts == ["To be interrupted."])
    await speech.interrupt()
    await asyncio.wait_for(turn, FRAMEWORK_HANG * 0.8)


async def test_a_failure_without_audio_does_not_hang_the_turn(
    speech: SpeechGeneration, scripted: ScriptedServer
) -> None:
    async def close(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.ws.close()

    scripted.scripts.append(close)
    await asyncio.wait_for(speech.synthesize("Fails."), FRAMEWORK_HANG * 0.8)


SILENT = ["...", "—", "?!", '"', "。", " ", "🙂"]


@pytest.mark.parametrize("text", SILENT)
async def test_a_reply_that_can_not_be_heard_is_released_at_once(
    speech: SpeechGeneration, scripted: ScriptedServer, text: str
) -> None:
    """The framework would otherwise wait for 10 s for a first audio."""

    async def mute(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.end()

    scripted.scripts.append(mute)
    seen = record(speech, "first_audio_byte", "last_audio_byte")
    await asyncio.wait_for(speech.synthesize(text), FRAMEWORK_HANG * 0.8)
    await until(lambda: seen == ["first_audio_byte", "last_audio_byte"])


async def test_a_text_that_is_a_string_without_a_sound_releases_its_turn(tts: LokutorTTS) -> None:
    released: list[None] = []

    async def on_first_audio() -> None:
        released.append(None)

    tts.on_first_audio_byte(on_first_audio)
    await tts.synthesize("...")
    assert len(released) == 1


async def test_a_turn_without_any_text_is_no_first_audio(
    speech: SpeechGeneration, scripted: ScriptedServer
) -> None:
    seen = record(speech, "first_audio_byte")
    await asyncio.wait_for(speech.synthesize(chunks_of([])), FRAMEWORK_HANG * 0.8)  # type: ignore[arg-type]
    assert not seen


async def test_the_pipeline_hears_of_errors(make_tts: Maker) -> None:
    tts = make_tts("ws://127.0.0.1:9", max_retries=0)
    pipeline = Pipeline(tts=tts)
    errors: list[dict[str, str]] = []

    def on_error(error: dict[str, str]) -> None:
        errors.append(error)

    pipeline.on("error", on_error)
    with pytest.raises(NetworkError):
        await tts.synthesize("Hello.")
    assert [error["source"] for error in errors] == ["TTS"]
    assert "127.0.0.1:9" in errors[0]["error"]


async def test_the_pipelines_chunker_takes_the_plugins_language(make_tts: Maker) -> None:
    assert Pipeline(tts=make_tts("ws://127.0.0.1:9", language="es-MX")).chunking_language == "es"


async def test_fallback_speaks_the_whole_text_when_lokutor_is_out_of_reach(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    fallback = FallbackTTS([make_tts("ws://127.0.0.1:9", max_retries=0), make_tts(scripted.url)])
    fallback.audio_track = track  # type: ignore[assignment]
    await fallback.synthesize(chunks_of(["Hello there.", "How are you?"]))
    assert " ".join(scripted.texts) == "Hello there. How are you?"
    assert on_track(track) == heard_for(*scripted.texts)


async def test_a_cache_fill_that_fails_beside_a_turn_does_not_end_its_provider(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """A FallbackTTS would take its error for the turn's, and a barge-in would reach another provider."""

    async def refuse(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text('{"type": "error", "code": "validation.text_too_long", "message": "no"}')
        await conversation.gone()

    first = make_tts(scripted.url)
    fallback = FallbackTTS([first, make_tts("ws://127.0.0.1:9")])
    fallback.audio_track = track  # type: ignore[assignment]
    errors = listen(first)
    scripted.scripts.extend([lambda conversation: conversation.gone(), refuse])
    turn = asyncio.create_task(fallback.synthesize("A turn that goes on."))
    await until(lambda: scripted.texts == ["A turn that goes on."])
    with pytest.raises(LokutorError):
        async for _ in first.stream_synthesize("A phrase."):
            pass
    assert not errors
    assert fallback.active_provider is first
    await fallback.interrupt()
    await asyncio.wait_for(turn, PATIENCE)


async def test_fallback_forwards_a_barge_in(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(lambda conversation: conversation.gone())
    fallback = FallbackTTS([make_tts(scripted.url)])
    fallback.audio_track = track  # type: ignore[assignment]
    turn = asyncio.create_task(fallback.synthesize("Hello."))
    await until(lambda: scripted.texts == ["Hello."])
    await fallback.interrupt()
    await asyncio.wait_for(turn, PATIENCE)


async def test_the_cache_fills_beside_a_live_turn(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, speech: SpeechGeneration
) -> None:
    seen = record(speech, "first_audio_byte")
    cache = TTSAudioCache(tts)
    _, _, cached = await asyncio.gather(
        cache.preload(["One moment, please."]),
        speech.synthesize("The live turn."),
        cache.fetch("Let me check.", voice_id="M1"),
    )
    assert on_track(track) == heard_for("The live turn.")
    assert cached == heard_for("Let me check.")
    assert await cache.fetch("One moment, please.") == heard_for("One moment, please.")
    assert seen == ["first_audio_byte"]
    voices = {request["text"]: request["voice"] for c in scripted.conversations for request in c.requests}
    assert voices == {"One moment, please.": "F1", "The live turn.": "F1", "Let me check.": "M1"}


async def test_the_cache_keeps_nothing_of_a_failed_synthesis(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async def close_early(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:4_000])
        await conversation.ws.close()

    scripted.scripts.append(close_early)
    cache = TTSAudioCache(make_tts(scripted.url, max_retries=0))
    with pytest.raises(LokutorError):
        await cache.fetch("Cut off.")
    assert len(cache) == 0
    assert await cache.fetch("Cut off.") == heard_for("Cut off.")


async def test_the_frameworks_chunker_hands_over_sentences_that_are_sent_unhurt(
    speech: SpeechGeneration, scripted: ScriptedServer
) -> None:
    from videosdk.agents.pipeline_orchestrator import _pipe_through_chunk_stream
    from videosdk.agents.tokenize import BasicSentenceChunker

    reply = (
        "Sure, I can do that. The total is 3.50 euros, which includes delivery to your door. Anything else?"
    )

    async def tokens() -> AsyncIterator[str]:
        for word in reply.split(" "):
            yield f" {word}"

    await speech.synthesize(_pipe_through_chunk_stream(tokens(), BasicSentenceChunker(language="en")))
    assert " ".join(scripted.texts) == reply
    assert scripted.texts[0].startswith("Sure, I can do that.")
    assert all(text[-1] in ".?" for text in scripted.texts)

"""Turns that a pipeline's ``tts`` hook speaks, and cache fills beside them: what a barge-in ends of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import (
    PATIENCE,
    Conversation,
    Script,
    ScriptedServer,
    emitted_by,
    heard_for,
    listen,
    pushed_samples,
    speech_of,
    until,
)
from kit.agents import Call, calling, left_to_us
from kit.hooks import Hook, Texts, by_a_stream, by_a_task, by_run_tts
from videosdk.agents import TTSAudioCache
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import StreamInterruptedError

Maker = Callable[..., LokutorTTS]
KINDS = ["say", "reply", "user"]
FIRST, SECOND = "This is never heard to its end.", "Neither is this."


async def endless(conversation: Conversation) -> None:
    """Begin to speak, and never end."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"])[:20_000])
    await conversation.gone()


async def by_a_stream_for_each_sentence(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
    async for text in texts:
        if isinstance(text, str):
            async for piece in tts.stream_synthesize(text):
                yield piece


async def by_concurrent_streams(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
    """Speak all sentences at the same time, and hand them out in their order."""
    streams = [tts.stream_synthesize(text) async for text in texts if isinstance(text, str)]
    first_pieces = await asyncio.gather(*(anext(stream) for stream in streams))
    for piece, stream in zip(first_pieces, streams, strict=True):
        yield piece
        async for other in stream:
            yield other


HOOKS: list[Hook] = [
    by_run_tts,
    by_a_stream,
    by_a_stream_for_each_sentence,
    by_concurrent_streams,
    by_a_task,
]


def endless_for(hook: Hook) -> list[Script]:
    """Return what the server does with the streams that the hook begins for the two sentences."""
    return [endless] * (2 if hook is by_concurrent_streams else 1)


@pytest.fixture
async def call(tts: LokutorTTS, track: CustomAudioStreamTrack) -> AsyncIterator[Call]:
    async with calling(tts, track) as call:
        yield call


def hook_into(call: Call, hook: Hook) -> None:
    @call.pipeline.on("tts")
    async def speak(texts: Texts) -> AsyncIterator[bytes]:
        async for piece in hook(call.tts, texts):
            yield piece


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    # A standby connection would take the script that is meant for a stream.
    return make_tts(scripted.url, keep_warm=False)


LINES = "We have\nmenu\ncoffee\nTea with milk\nCake"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", [by_run_tts, by_a_stream])
async def test_lines_that_a_hook_has_us_speak_stay_apart(
    call: Call, scripted: ScriptedServer, kind: str, hook: Hook
) -> None:
    hook_into(call, hook)
    await call.begin(kind, LINES)
    await until(lambda: "Cake" in " ".join(scripted.texts))
    assert " ".join(scripted.texts).split() == LINES.split()


@pytest.mark.parametrize("kind", ["user", "reply"])
@pytest.mark.parametrize("tts_hook", [True, False])
async def test_lines_that_an_llm_hook_passes_on_stay_apart(
    call: Call, scripted: ScriptedServer, kind: str, tts_hook: bool
) -> None:
    if tts_hook:
        hook_into(call, by_run_tts)

    @call.pipeline.on("llm")
    async def pass_on(texts: Texts) -> AsyncIterator[str]:
        async for text in texts:
            yield text.replace("milk", "lemon")

    await call.begin(kind, "Menu\nCoffee\nTea with milk\nCake")
    await until(lambda: "Cake" in " ".join(scripted.texts))
    assert " ".join(scripted.texts).split() == ["Menu", "Coffee", "Tea", "with", "lemon", "Cake"]


@pytest.mark.parametrize("kind", ["user", "reply"])
async def test_an_llm_hook_may_yield_tokens(call: Call, scripted: ScriptedServer, kind: str) -> None:
    @call.pipeline.on("llm")
    async def translate(texts: Texts) -> AsyncIterator[str]:
        async for _ in texts:
            pass
        for token in (
            "Gu",
            "ten",
            " Tag",
            ",",
            " Fräu",
            "lein",
            " Müll",
            "er",
            "!",
            " Bis",
            " um",
            " ",
            "3",
            ".",
        ):
            yield token

    await call.begin(kind, "Good day, Miss Miller! See you at 3.")
    await until(lambda: "3" in " ".join(scripted.texts))
    assert " ".join(scripted.texts) == "Guten Tag, Fräulein Müller! Bis um 3."


async def in_mid_turn(call: Call) -> None:
    await until(lambda: pushed_samples(call.track) > 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", HOOKS)
async def test_a_barge_in_ends_the_turn_and_the_next_one_is_whole(
    call: Call, scripted: ScriptedServer, kind: str, hook: Hook
) -> None:
    hook_into(call, hook)
    errors = listen(call.tts)
    scripted.scripts.extend(endless_for(hook))
    await call.begin(kind, f"{FIRST} {SECOND}")
    await in_mid_turn(call)
    await call.cut()
    await until(lambda: all(talk.closed.is_set() for talk in scripted.conversations))
    spoken = len(scripted.texts)
    call.track.frame_buffer.clear()
    before = pushed_samples(call.track)
    await call.begin(kind, "The next turn.")
    await until(lambda: pushed_samples(call.track) - before == len(heard_for("The next turn.")) // 2)
    assert scripted.texts[spoken:] == ["The next turn."]
    assert errors == []


@pytest.mark.parametrize("hook", [by_run_tts, by_a_stream])
async def test_a_users_words_end_the_turn_and_are_answered(
    call: Call, scripted: ScriptedServer, hook: Hook
) -> None:
    hook_into(call, hook)
    scripted.scripts.append(endless)
    await call.begin("say", FIRST)
    await in_mid_turn(call)
    await call.begin("user", "The answer.")
    await until(lambda: "The answer." in scripted.texts)
    await call.over()


async def test_a_barge_in_ends_a_turn_before_its_first_stream(call: Call, scripted: ScriptedServer) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def thoughtful(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        begun.set()
        await go_on.wait()
        async for piece in tts.stream_synthesize(texts):
            yield piece

    hook_into(call, thoughtful)
    await call.begin("say", FIRST)
    await asyncio.wait_for(begun.wait(), PATIENCE)
    call.session.interrupt()
    await until(lambda: call.session.agent_state.value == "listening")
    go_on.set()
    await call.over()
    assert scripted.texts == []
    await call.begin("say", "The next turn.")
    await call.over()
    assert scripted.texts == ["The next turn."]


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_cache_fills_through_a_barge_in(call: Call, scripted: ScriptedServer, hook: Hook) -> None:
    hook_into(call, hook)
    go_on = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        speech = speech_of((await conversation.request())["text"])
        await conversation.audio(speech[:4_000])
        await go_on.wait()
        await conversation.audio(speech[4_000:])
        await conversation.end()

    scripted.scripts.extend([slow, *endless_for(hook)])
    cache = TTSAudioCache(call.tts)
    filling = asyncio.create_task(cache.preload(["One moment, please.", "Let me check."]))
    await until(lambda: scripted.texts == ["One moment, please."])
    await call.begin("say", f"{FIRST} {SECOND}")
    await in_mid_turn(call)
    await call.cut()
    go_on.set()
    await asyncio.wait_for(filling, PATIENCE)
    assert await cache.fetch("One moment, please.") == heard_for("One moment, please.")
    assert await cache.fetch("Let me check.") == heard_for("Let me check.")


async def test_a_hook_that_plays_from_a_cache_does_not_cut_the_fill(
    call: Call, scripted: ScriptedServer
) -> None:
    go_on, cache = asyncio.Event(), TTSAudioCache(call.tts)

    async def from_cache(_tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        text = "".join([text async for text in texts if isinstance(text, str)])
        pcm = await cache.fetch(text)
        if go_on.is_set():
            return  # Too late for the turn: the framework's metrics don't take that well.
        yield pcm

    async def slow(conversation: Conversation) -> None:
        speech = speech_of((await conversation.request())["text"])
        await go_on.wait()
        await conversation.audio(speech)
        await conversation.end()

    scripted.scripts.append(slow)
    hook_into(call, from_cache)
    await call.begin("say", "One moment, please.")
    await until(lambda: scripted.texts == ["One moment, please."])
    call.session.interrupt()
    await until(lambda: call.session.agent_state.value == "listening")
    go_on.set()
    await call.over()
    assert await cache.fetch("One moment, please.") == heard_for("One moment, please.")
    assert len(scripted.texts) == 1


async def test_an_interrupted_stream_is_counted_as_such_and_is_no_error(
    call: Call, scripted: ScriptedServer
) -> None:
    hook_into(call, by_a_stream)
    costs, errors = emitted_by(call.tts, "metrics"), listen(call.tts)
    scripted.scripts.append(endless)
    await call.begin("say", FIRST)
    await in_mid_turn(call)
    await call.cut()
    assert [(cost.interrupted, cost.streamed, cost.error_code) for cost in costs] == [(True, True, None)]
    assert errors == []


@pytest.mark.parametrize("received", [True, False])
async def test_what_has_gathered_in_a_stream_is_not_handed_out_after_a_barge_in(
    call: Call, scripted: ScriptedServer, received: bool
) -> None:
    pieces: list[int] = []
    go_on = asyncio.Event()

    async def slow_to_take(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        async for piece in tts.stream_synthesize(texts):
            pieces.append(len(piece))
            yield piece
            await go_on.wait()

    hook_into(call, slow_to_take)
    await call.begin("say", "A text of which a stream holds much back. " * (3 if received else 20))
    await in_mid_turn(call)
    if received:
        await until(scripted.conversations[0].closed.is_set)
    call.session.interrupt()
    await until(lambda: call.session.agent_state.value == "listening")
    go_on.set()
    await call.over()
    assert len(pieces) == 1


# Streams whose owner can't be told


async def half_of(
    tts: LokutorTTS, scripted: ScriptedServer, **options: Any
) -> tuple[asyncio.Task[bytes], asyncio.Event]:
    """Begin a stream that belongs to nobody in particular; the second half comes when it is asked for."""
    go_on = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        speech = speech_of((await conversation.request())["text"])
        await conversation.audio(speech[:4_000])
        await go_on.wait()
        await conversation.audio(speech[4_000:])
        await conversation.end()

    async def collect() -> bytes:
        return b"".join([piece async for piece in tts.stream_synthesize("My own.", **options)])

    scripted.scripts.append(slow)
    collecting = asyncio.create_task(collect())
    await until(lambda: "My own." in scripted.texts)
    return collecting, go_on


@pytest.mark.parametrize(
    ("hooked", "interruptible", "ends"),
    [
        (False, None, False),
        (True, None, True),
        (True, False, False),
        (False, True, True),
        (True, True, True),
        (False, False, False),
    ],
)
async def test_a_stream_of_nobody_ends_where_it_may_be_the_turns(
    call: Call, scripted: ScriptedServer, hooked: bool, interruptible: bool | None, ends: bool
) -> None:
    if hooked:
        hook_into(call, by_a_stream)
    collecting, go_on = await half_of(call.tts, scripted, interruptible=interruptible)
    scripted.scripts.append(endless)
    await call.begin("say", FIRST)
    await in_mid_turn(call)
    await call.cut()
    go_on.set()
    if ends:
        with pytest.raises(StreamInterruptedError, match="interruptible=False") as raised:
            await collecting
        assert raised.value.retryable
    else:
        assert await asyncio.wait_for(collecting, PATIENCE) == heard_for("My own.")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_an_eager_task_of_a_hook_is_as_little_told_as_any_other(
    call: Call, scripted: ScriptedServer
) -> None:
    """It begins on top of the hook's frames, which aren't its own."""
    kept: list[asyncio.Task[bytes]] = []

    async def collect(tts: LokutorTTS) -> bytes:
        return b"".join([piece async for piece in tts.stream_synthesize("My own.")])

    async def keeping(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        kept.append(asyncio.Task(collect(tts), loop=loop, eager_start=True))  # type: ignore[call-arg]
        async for piece in tts.stream_synthesize(texts):
            yield piece

    hook_into(call, keeping)
    scripted.scripts.extend([endless, endless])
    await call.begin("say", FIRST)
    await in_mid_turn(call)
    await call.cut()
    with pytest.raises(StreamInterruptedError):
        await kept[0]


async def test_a_hook_can_exempt_a_stream(call: Call, scripted: ScriptedServer) -> None:
    kept: list[bytes] = []

    async def keeping(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        heard = b""
        async for piece in tts.stream_synthesize(texts, interruptible=False):
            heard += piece
            yield piece
        kept.append(heard)

    hook_into(call, keeping)
    await call.begin("say", "Kept for later.")
    await in_mid_turn(call)
    await call.cut()
    assert kept == [heard_for("Kept for later.")]


async def test_interrupting_a_stream_does_not_give_up_the_event_loop(
    call: Call, scripted: ScriptedServer
) -> None:
    hook_into(call, by_a_stream)
    scripted.scripts.append(endless)
    await call.begin("say", FIRST)
    await in_mid_turn(call)
    passes: list[None] = []
    asyncio.get_running_loop().call_soon(passes.append, None)
    await call.tts.interrupt()
    assert not passes
    await call.cut()


# Final transcripts of hooked turns


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", [by_run_tts, by_a_stream, by_a_stream_for_each_sentence])
async def test_a_turn_has_one_final_transcript_where_word_timing_is_on(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str, hook: Hook
) -> None:
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        hook_into(call, hook)
        await call.begin(kind, "One thing.")
        await until(lambda: pushed_samples(track) == len(heard_for("One thing.")) // 2)
        await call.over()
        await call.begin(kind, "And another.")
        await until(lambda: scripted.texts == ["One thing.", "And another."])
        await call.over()
        assert call.room.ours == left_to_us("One thing.", "And another.")


async def test_a_turn_that_is_talked_over_has_the_frameworks_estimate_as_final_transcript(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(make_tts(scripted.url, word_timestamps=True, keep_warm=False), track) as call:
        hook_into(call, by_a_stream)
        scripted.scripts.append(endless)
        await call.begin("say", FIRST)
        await in_mid_turn(call)
        await until(lambda: len(track.frame_buffer) >= 9)
        await call.listener.hear(8)
        await call.cut()
        estimate = call.speech.spoken_transcript
        assert estimate
        assert FIRST.startswith(estimate)
        assert call.room.ours == left_to_us(estimate)

"""What the agent remembers of turns that a ``tts`` hook speaks, in a real ``AgentSession``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from kit import PATIENCE, Conversation, ScriptedServer, settled, until
from kit.agents import SPEAKERS, Call, calling, replies
from kit.hooks import Hook, Texts, by_a_stream, by_a_task, by_run_tts
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
FIRST = "This goes on for a long time."
SECOND = "And this comes behind it."
CACHED = bytes(960 * 30)


HOOKS: list[Hook] = [by_run_tts, by_a_stream, by_a_task]
hooks = pytest.mark.parametrize("hook", HOOKS)
kinds = pytest.mark.parametrize("kind", ["say", "reply", "user"])


def hook_into(call: Call, hook: Hook) -> None:
    @call.pipeline.on("tts")
    async def speak(texts: Texts) -> AsyncIterator[bytes]:
        async for piece in hook(call.tts, texts):
            yield piece


@pytest.fixture
async def call(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> AsyncIterator[Call]:
    async with calling(make_tts(scripted.url), track) as call:
        await call.listener.hear()
        yield call


async def silence(conversation: Conversation) -> None:
    """Take a request, and never answer it."""
    await conversation.request()
    await conversation.gone()


async def pushed(call: Call, *texts: str) -> None:
    """Wait until the track has all audio of ``texts``, none of which was played."""
    await until(lambda: len(call.track.frame_buffer) >= sum(map(len, texts)))
    await settled()


def is_about(heard: str, text: str, frames: int) -> bool:
    """Return whether ``heard`` has the whole words that were heard of ``text``; a letter takes a frame."""
    return bool(heard) and text.startswith(heard) and 0 <= frames - len(heard) <= len(" comes")


async def cut(call: Call) -> None:
    await call.cut()
    await settled()


# Cut off before anything was heard


@kinds
@hooks
async def test_one_whose_audio_has_not_come_is_not_remembered(
    call: Call, scripted: ScriptedServer, hook: Hook, kind: str
) -> None:
    hook_into(call, hook)
    scripted.scripts.extend([silence] * 2)
    await call.begin(kind, FIRST)
    await until(lambda: FIRST in scripted.texts)
    await cut(call)
    assert replies(call) == []


@pytest.mark.parametrize("speaker", list(SPEAKERS))
async def test_so_is_a_later_one_whatever_the_plugin_is_to_the_pipeline(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, speaker: str
) -> None:
    plugin = make_tts(scripted.url, keep_warm=False)
    async with calling(SPEAKERS[speaker](plugin), track) as call:
        await call.listener.hear()
        hook_into(call, lambda _tts, texts: by_a_stream(plugin, texts))
        await call.begin("say", FIRST)
        await pushed(call, FIRST)
        await call.listener.hear(len(FIRST))
        await call.over()
        scripted.scripts.append(silence)
        await call.begin("say", SECOND)
        await until(lambda: SECOND in scripted.texts)
        await cut(call)
        assert replies(call) == [(FIRST, False)]


@kinds
@hooks
async def test_one_of_which_nothing_was_played_is_not_remembered(call: Call, hook: Hook, kind: str) -> None:
    hook_into(call, hook)
    await call.begin(kind, FIRST)
    await pushed(call, FIRST)
    await cut(call)
    assert replies(call) == []


@kinds
async def test_the_first_one_is_not_remembered_where_its_hook_has_not_begun_a_stream(
    call: Call, kind: str
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def thoughtful(tts: LokutorTTS, texts: Texts) -> AsyncIterator[bytes]:
        begun.set()
        await go_on.wait()
        async for piece in tts.stream_synthesize(texts):
            yield piece

    hook_into(call, thoughtful)
    await call.begin(kind, FIRST)
    await asyncio.wait_for(begun.wait(), PATIENCE)
    call.session.interrupt()
    await until(lambda: call.session.agent_state.value == "listening")
    go_on.set()
    await call.over()
    assert replies(call) == []


async def test_what_was_said_before_stays_where_the_next_is_not_for_the_memory(
    call: Call, scripted: ScriptedServer
) -> None:
    hook_into(call, by_a_stream)
    await call.begin("say", FIRST)
    await pushed(call, FIRST)
    await call.listener.hear(len(FIRST))
    await call.over()
    scripted.scripts.extend([silence] * 2)
    turn = asyncio.create_task(call.session.say(SECOND, add_to_chat_context=False))
    await until(lambda: SECOND in scripted.texts)
    await cut(call)
    await turn
    assert replies(call) == [(FIRST, False)]


async def test_where_nobody_plays_the_track_it_is_remembered_whole(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(make_tts(scripted.url), track) as call:
        hook_into(call, by_a_stream)
        await call.begin("say", FIRST)
        await pushed(call, FIRST)
        await cut(call)
        assert replies(call) == [(FIRST, False)]


# Cut off in the middle


@kinds
@hooks
async def test_one_is_remembered_once_as_what_was_heard_of_it(call: Call, hook: Hook, kind: str) -> None:
    hook_into(call, hook)
    await call.begin(kind, FIRST)
    await pushed(call, FIRST)
    await call.listener.hear(20)
    await cut(call)
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)
    await cut(call)  # Two detectors may hear the same caller.
    assert replies(call) == [(heard, True)]


@kinds
async def test_what_fades_out_is_not_taken_for_the_next_turn(call: Call, kind: str) -> None:
    hook_into(call, by_a_stream)
    await call.begin("say", FIRST)
    await pushed(call, FIRST)
    await call.listener.hear(12)
    await cut(call)
    before = replies(call)
    fading = len(call.track.frame_buffer)
    assert fading > 10
    await call.begin(kind, SECOND)
    await until(lambda: len(call.track.frame_buffer) >= fading + len(SECOND))
    await call.listener.hear(fading)
    await cut(call)
    assert replies(call) == before


# Heard to its end


@kinds
async def test_one_that_was_heard_to_its_end_stays_as_it_is(call: Call, kind: str) -> None:
    hook_into(call, by_a_stream)
    await call.begin(kind, FIRST)
    await pushed(call, FIRST)
    await call.listener.hear(len(FIRST))
    await call.over()
    for _ in range(2):
        await cut(call)
        assert replies(call) == [(FIRST, False)]


# One behind the other


@kinds
async def test_of_two_the_one_that_is_still_heard_is_remembered_as_heard(call: Call, kind: str) -> None:
    hook_into(call, by_a_stream)
    await call.begin(kind, FIRST)
    await pushed(call, FIRST)
    await call.over()
    await call.begin("say", SECOND)
    await pushed(call, FIRST, SECOND)
    await call.listener.hear(20)
    await cut(call)
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)


async def test_of_two_the_second_is_remembered_as_what_was_heard_of_it_alone(call: Call) -> None:
    hook_into(call, by_a_stream)
    await call.begin("say", FIRST)
    await pushed(call, FIRST)
    await call.begin("say", SECOND)
    await pushed(call, FIRST, SECOND)
    await call.listener.hear(len(FIRST) + 15)
    await cut(call)
    before, (heard, interrupted) = replies(call)
    assert before == (FIRST, False)
    assert interrupted
    assert is_about(heard, SECOND, 15)


async def test_a_cached_phrase_behind_one_is_not_remembered_before_it_is_heard(call: Call) -> None:
    hook_into(call, by_a_stream)
    await call.begin("say", FIRST)
    await pushed(call, FIRST)
    phrase = asyncio.create_task(call.session.say("A cached phrase.", audio_data=CACHED))
    await until(lambda: len(call.track.frame_buffer) >= len(FIRST) + 30)
    await call.listener.hear(20)
    await cut(call)
    await phrase
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)

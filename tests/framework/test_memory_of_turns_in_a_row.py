"""What the agent remembers of turns that come one behind the other, in a real ``AgentSession``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from kit import ScriptedServer, settled, speak_timed, until
from kit.agents import Call, calling, hear, replies
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
FIRST = "This goes on for a long time."
SECOND = "And this comes behind it."
CACHED = bytes(960 * 30)


def is_about(heard: str, text: str, frames: int) -> bool:
    """Return whether ``heard`` is what a listener has heard of ``text``, where a letter takes a frame.

    With words it ends with the one that has begun, else with the one before.
    """
    return text.startswith(heard) and abs(len(heard) - frames) <= len(" behind") < len(text) - frames


async def pushed(call: Call, *texts: str) -> None:
    """Wait until the track has all audio of ``texts``, none of which was played."""
    await until(lambda: len(call.track.frame_buffer) >= sum(map(len, texts)))


async def begin_both(call: Call, first: str, second: str) -> None:
    """Have the agent speak two turns, the second while nothing of the first is heard yet."""
    await call.begin(first, FIRST)
    await pushed(call, FIRST)
    await call.begin(second, SECOND)
    await pushed(call, FIRST, SECOND)


# The first one is interrupted


@pytest.mark.parametrize(
    ("first", "second"), [("say", "say"), ("say", "reply"), ("reply", "say"), ("user", "say")]
)
async def test_one_that_is_interrupted_when_the_next_has_begun_is_remembered_as_heard(
    call: Call, first: str, second: str
) -> None:
    await begin_both(call, first, second)
    await hear(call, 20)
    await call.cut()
    await settled()
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)
    await call.cut()  # Two detectors may hear the same caller.
    await settled()
    assert replies(call) == [(heard, True)]


@pytest.mark.parametrize("first", ["say", "reply"])
async def test_where_nothing_was_heard_of_both_neither_is_remembered(call: Call, first: str) -> None:
    await begin_both(call, first, "say")
    await call.cut()
    await settled()
    assert replies(call) == []


async def test_of_three_only_the_one_that_was_heard_is_remembered(call: Call) -> None:
    await begin_both(call, "say", "say")
    await call.begin("say", "The third.")
    await pushed(call, FIRST, SECOND, "The third.")
    await hear(call, 20)
    await call.cut()
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)


@pytest.mark.parametrize("first", ["say", "reply"])
async def test_a_cached_phrase_that_nobody_has_heard_yet_is_not_remembered(call: Call, first: str) -> None:
    await call.begin(first, FIRST)
    await pushed(call, FIRST)
    phrase = asyncio.create_task(call.session.say("A cached phrase.", audio_data=CACHED))
    await until(lambda: len(call.track.frame_buffer) >= len(FIRST) + 30)
    await hear(call, 20)
    await call.cut()
    await phrase
    await settled()
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)


# The second one is interrupted


@pytest.mark.parametrize(("first", "second"), [("say", "say"), ("say", "reply"), ("reply", "say")])
async def test_one_that_was_heard_to_its_end_is_remembered_beside_an_interrupted_one(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    word_timestamps: bool,
    first: str,
    second: str,
) -> None:
    scripted.scripts.extend([speak_timed] * 10)
    async with calling(make_tts(scripted.url, word_timestamps=word_timestamps), track) as call:
        await call.listener.hear()
        await begin_both(call, first, second)
        await hear(call, len(FIRST) + 15)
        await call.cut()
        await settled()
        before, (heard, interrupted) = replies(call)
        assert before == (FIRST, False)
        assert interrupted
        assert heard
        assert is_about(heard, SECOND, 15)


# One that was heard to its end is interrupted


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_one_that_was_heard_to_its_end_is_not_remembered_again(call: Call, kind: str) -> None:
    call.play(fast=True)
    await call.begin(kind, FIRST)
    await until(lambda: call.session.agent_state.value == "idle" and len(replies(call)) == 1)
    await call.over()
    finals = list(call.room.finals)
    for _ in range(2):
        await call.cut()
        await settled()
        assert replies(call) == [(FIRST, False)]
        assert call.room.finals == finals


async def test_one_that_is_not_for_the_memory_is_not_remembered_once_it_was_heard(call: Call) -> None:
    call.play(fast=True)
    await call.session.say(FIRST, add_to_chat_context=False)
    await call.cut()
    await settled()
    assert replies(call) == []


async def test_a_turn_after_that_is_remembered(call: Call) -> None:
    call.play(fast=True)
    await call.begin("reply", FIRST)
    await call.over()
    await call.cut()
    await call.begin("reply", SECOND)
    await call.over()
    assert replies(call) == [(FIRST, False), (SECOND, False)]


# Two detectors


@pytest.mark.parametrize("kind", ["say", "reply"])
async def test_one_that_is_interrupted_twice_at_once_is_remembered(call: Call, kind: str) -> None:
    await call.begin(kind, FIRST)
    await pushed(call, FIRST)
    await hear(call, 20)
    call.session.interrupt()
    call.session.interrupt()
    await call.over()
    await settled()
    remembered = replies(call)
    assert len(remembered) in (1, 2)  # Nobody knows which comes first.
    assert all(interrupted and is_about(heard, FIRST, 20) for heard, interrupted in remembered)


# One that waits until the other has ended


async def test_one_that_waited_is_remembered_behind_the_interrupted_one(
    call: Call, scripted: ScriptedServer
) -> None:
    """The framework adds what was heard of the first behind what ``say()`` has added of the second."""
    long = f"{FIRST[:-1]}, and it takes its time to be spoken to its end, as it should. It isn't over soon."
    await call.begin("say", f"{long} Neither is the third sentence needed for some seconds.")
    await until(lambda: len(call.track.frame_buffer) >= len(FIRST))
    await call.begin("say", SECOND)
    await hear(call, 20)
    call.session.interrupt()
    await until(lambda: SECOND in scripted.texts)
    await pushed(call, SECOND)
    [(heard, interrupted), following] = replies(call)
    assert interrupted
    assert heard.startswith("This")  # How much an estimate finds depends on whether the request has ended.
    assert "soon" not in heard
    assert following == (SECOND, False)
    call.play(fast=True)
    await call.over()
    assert replies(call) == [(heard, True), (SECOND, False)]

"""What the agent remembers of cached phrases, in a real ``AgentSession``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import PATIENCE, settled, until
from kit.agents import Call, hear, replies
from kit.phrases import CACHED, FRAMES, PHRASE, is_about

FIRST = "This goes on for a long time."


class Phrase:
    """A cached phrase that is being said."""

    def __init__(self, call: Call, audio: Any = CACHED, **options: Any) -> None:
        self._call = call
        self._before = len(call.track.frame_buffer)
        self._turn = asyncio.create_task(call.session.say(PHRASE, audio_data=audio, **options))

    async def pushed(self) -> None:
        """Wait until the track has all of its audio."""
        await until(lambda: len(self._call.track.frame_buffer) >= self._before + FRAMES)

    async def over(self) -> None:
        await asyncio.wait_for(self._turn, PATIENCE)


async def hear_one(call: Call) -> None:
    """Have the agent speak a turn to its end."""
    call.play(fast=True)
    await call.begin("say", FIRST)
    await call.over()
    await call.stop_playing()


async def cut(call: Call, phrase: Phrase) -> None:
    await call.cut()
    await phrase.over()
    await settled()


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_one_that_is_cut_before_its_first_word_is_not_remembered(
    call: Call, frames: int, in_pieces: bool
) -> None:
    await hear_one(call)
    phrase = Phrase(call, [CACHED[:960], CACHED[960:]] if in_pieces else CACHED)
    await phrase.pushed()
    await hear(call, frames)
    await cut(call, phrase)
    assert replies(call) == [(FIRST, False)]
    await call.cut()  # Two detectors may hear the same caller.
    await settled()
    assert replies(call) == [(FIRST, False)]


async def test_one_that_is_cut_is_remembered_as_heard(call: Call) -> None:
    await hear_one(call)
    phrase = Phrase(call)
    await phrase.pushed()
    await hear(call, 15)
    await cut(call, phrase)
    before, (heard, interrupted) = replies(call)
    assert before == (FIRST, False)
    assert interrupted
    assert is_about(heard, PHRASE, 15)


async def test_one_that_was_heard_to_its_end_stays_as_it_is(call: Call) -> None:
    await hear_one(call)
    phrase = Phrase(call)
    await phrase.pushed()
    call.play(fast=True)
    await phrase.over()
    await call.stop_playing()
    for _ in range(2):
        await cut(call, phrase)
        assert replies(call) == [(FIRST, False), (PHRASE, False)]

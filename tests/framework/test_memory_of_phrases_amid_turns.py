"""What the agent remembers of cached phrases amid other turns, and of these, in a real ``AgentSession``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import PATIENCE, ScriptedServer, settled, until
from kit.agents import Call, hear, replies
from kit.phrases import CACHED, FRAMES, PHRASE, is_about
from videosdk.agents import function_tool

FIRST = "This goes on for a long time."
REST = "And nothing of it is heard before the tool ends."
WHOLE = f"{FIRST} {REST}"
kinds = pytest.mark.parametrize("kind", ["reply", "user"])


class Turn:
    """A reply that calls a tool in its middle; the tool ends when the test wants it to."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._called = called = asyncio.Event()
        self._ends = ends = asyncio.Event()
        self._phrases: list[asyncio.Task[Any]] = []

        @function_tool
        async def tool() -> str:
            """Take some time."""
            called.set()
            await ends.wait()
            return "done"

        call.session.agent.update_tools([tool])
        call.speech.on("synthesis_interrupted", lambda _: ends.set())  # Else a reply waits for it.

    async def begin(self, kind: str, *, before: str = FIRST) -> None:
        """Have the agent speak ``before``, until the tool is called and the track has that audio."""
        await self.call.begin(kind, f"{before} And (tool)" if before else "(tool)")
        self.call.mind.answers.append(REST.removeprefix("And ") if before else WHOLE)
        await asyncio.wait_for(self._called.wait(), PATIENCE)
        await self.pushed(len(before))

    async def say(self, **options: Any) -> None:
        """Say the phrase, until the track has all of its audio."""
        expected = len(self.call.track.frame_buffer) + FRAMES
        said = self.call.session.say(PHRASE, audio_data=CACHED, **options)
        self._phrases.append(asyncio.create_task(said))
        await until(lambda: len(self.call.track.frame_buffer) >= expected)

    async def go_on(self, text: str = REST) -> None:
        """Have the tool end, until the track has the audio of ``text``."""
        before = len(self.call.track.frame_buffer)
        self._ends.set()
        await self.pushed(before + len(text))

    async def cut(self) -> None:
        await self.call.cut()
        await self.over()

    async def over(self) -> None:
        """Wait until all phrases are over."""
        await asyncio.wait_for(asyncio.gather(*self._phrases), PATIENCE)
        await settled()

    async def pushed(self, frames: int) -> None:
        """Wait until so many frames wait on the track; the last one of a reply may not be whole."""
        await until(lambda: len(self.call.track.frame_buffer) >= frames - 1)
        await settled()


@pytest.fixture
async def turn(call: Call) -> Turn:
    return Turn(call)


async def test_one_is_not_remembered_where_the_reply_is_cut_before_it(call: Call, turn: Turn) -> None:
    await turn.begin("user")
    await turn.say()
    await turn.go_on()
    await hear(call, 20)
    await turn.cut()
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, FIRST, 20)


@kinds
async def test_one_is_remembered_as_heard_where_it_is_cut(call: Call, turn: Turn, kind: str) -> None:
    await turn.begin(kind)
    await turn.say()
    await turn.go_on()
    await hear(call, len(FIRST) + 15)
    await turn.cut()
    before, (heard, interrupted) = replies(call)
    assert before == (FIRST, True)
    assert interrupted
    assert is_about(heard, PHRASE, 15)


@kinds
async def test_one_stays_where_the_reply_is_cut_behind_it(call: Call, turn: Turn, kind: str) -> None:
    await turn.begin(kind)
    await turn.say()
    await turn.go_on()
    await hear(call, len(FIRST) + FRAMES + 20)
    await turn.cut()
    (heard, interrupted), following = replies(call)
    assert interrupted
    assert is_about(heard, WHOLE, len(FIRST) + 20)
    assert following == (PHRASE, False)
    await call.cut()  # Two detectors may hear the same caller.
    await settled()
    assert replies(call) == [(heard, True), (PHRASE, False)]


@kinds
@pytest.mark.parametrize("frames", [0, 15])
async def test_one_is_remembered_as_heard_while_the_tool_still_runs(
    call: Call, turn: Turn, kind: str, frames: int
) -> None:
    await turn.begin(kind)
    await turn.say()
    await hear(call, len(FIRST) + frames)
    await turn.cut()
    before, *remembered = replies(call)
    assert before == (FIRST, True)
    assert len(remembered) == (1 if frames else 0)
    assert all(interrupted and is_about(heard, PHRASE, frames) for heard, interrupted in remembered)


async def test_one_that_is_not_for_the_memory_is_not_remembered(call: Call, turn: Turn) -> None:
    await turn.begin("user")
    await turn.say(add_to_chat_context=False)
    await turn.go_on()
    await hear(call, len(FIRST) + 15)
    await turn.cut()
    assert replies(call) == [(FIRST, True)]


@pytest.mark.parametrize("frames", [0, 20])
async def test_one_that_was_heard_before_the_reply_stays(call: Call, turn: Turn, frames: int) -> None:
    await turn.begin("user", before="")
    await turn.say()
    await hear(call, FRAMES + 2)
    await turn.go_on(FIRST)
    await hear(call, frames)
    await turn.cut()
    before, *remembered = replies(call)
    assert before == (PHRASE, False)
    assert len(remembered) == (1 if frames else 0)
    assert all(interrupted and is_about(heard, WHOLE, frames) for heard, interrupted in remembered)


@pytest.mark.parametrize("ends", [True, False])
async def test_one_in_front_of_a_reply_is_remembered_as_heard(call: Call, turn: Turn, ends: bool) -> None:
    await turn.begin("user", before="")
    await turn.say()
    if ends:
        await turn.go_on(FIRST)
    await hear(call, 15)
    await turn.cut()
    [(heard, interrupted)] = replies(call)
    assert interrupted
    assert is_about(heard, PHRASE, 15)


async def test_one_in_front_of_a_reply_stays_in_front_of_it(call: Call, turn: Turn) -> None:
    await turn.begin("user", before="")
    await turn.say()
    await turn.go_on(FIRST)
    await hear(call, FRAMES + 20)
    await turn.cut()
    before, (heard, interrupted) = replies(call)
    assert before == (PHRASE, False)
    assert interrupted
    assert is_about(heard, WHOLE, 20)


async def test_one_stays_that_fills_a_pause_of_a_reply(call: Call, turn: Turn) -> None:
    """All that there was of the reply was heard when it began."""
    await turn.begin("user")
    await hear(call, len(FIRST) + 2)
    await turn.say()
    await hear(call, FRAMES + 2)
    await turn.go_on()
    await hear(call, 20)
    await turn.cut()
    (heard, interrupted), following = replies(call)
    assert interrupted
    assert is_about(heard, WHOLE, len(FIRST) + 20)
    assert following == (PHRASE, False)


@kinds
async def test_where_all_was_heard_each_is_remembered_once(call: Call, turn: Turn, kind: str) -> None:
    await turn.begin(kind)
    await turn.say()
    await turn.go_on()
    call.play(fast=True)
    await turn.over()
    await call.over()
    await until(lambda: len(replies(call)) == 2)
    expected = [(PHRASE, False), (WHOLE, False)]
    for _ in range(2):
        assert replies(call) == expected
        await call.cut()
        await settled()
    assert replies(call) == expected


async def test_two_are_remembered(call: Call, turn: Turn) -> None:
    await turn.begin("user")
    await turn.say()
    await turn.say()
    await turn.go_on()
    await hear(call, len(FIRST) + 2 * FRAMES + 20)
    await turn.cut()
    (heard, interrupted), *following = replies(call)
    assert interrupted
    assert is_about(heard, WHOLE, len(FIRST) + 20)
    assert following == [(PHRASE, False)] * 2


@pytest.mark.parametrize("frames", [0, 15])
async def test_of_two_the_second_is_remembered_as_heard(call: Call, turn: Turn, frames: int) -> None:
    await turn.begin("user")
    await turn.say()
    await turn.say()
    await turn.go_on()
    await hear(call, len(FIRST) + FRAMES + frames)
    await turn.cut()
    before, first, *second = replies(call)
    assert before == (FIRST, True)
    assert first == (PHRASE, False)
    assert len(second) == (1 if frames else 0)
    assert all(interrupted and is_about(heard, PHRASE, frames) for heard, interrupted in second)


async def test_of_two_the_first_is_remembered_as_heard(call: Call, turn: Turn) -> None:
    await turn.begin("user")
    await turn.say()
    await turn.say()
    await turn.go_on()
    await hear(call, len(FIRST) + 15)
    await turn.cut()
    before, (heard, interrupted) = replies(call)
    assert before == (FIRST, True)
    assert interrupted
    assert is_about(heard, PHRASE, 15)


async def test_one_ends_a_reply_that_it_interrupts(call: Call, turn: Turn) -> None:
    """Outside of a tool, ``say()`` has the framework read no more of the reply's text."""
    call.mind.goes_on.clear()
    await call.begin("user", f"{FIRST} And so (...) it goes on.")
    await turn.pushed(len(FIRST))
    await turn.say()
    call.mind.goes_on.set()
    await until(lambda: len(call.track.frame_buffer) >= len(f"{FIRST} And so") + FRAMES - 1)
    await hear(call, len(FIRST) + 15)
    await turn.cut()
    before, (heard, interrupted) = replies(call)
    assert before == (FIRST, True)
    assert interrupted
    assert is_about(heard, PHRASE, 15)


async def test_one_may_come_amid_what_say_speaks(call: Call, turn: Turn, scripted: ScriptedServer) -> None:
    sentences = [
        f"{FIRST[:-1]}, and number {number} takes its time as well, as it should." for number in range(9)
    ]
    await call.begin("say", " ".join(sentences))
    await until(lambda: bool(scripted.texts))
    await turn.pushed(len(scripted.texts[0]))  # All of the request: the speaking rate is known then.
    frames = len(call.track.frame_buffer)
    assert call.speech.tts_lock.locked()  # The rest waits until it is needed.
    await turn.say()
    await hear(call, frames + 15)
    await turn.cut()
    (around, cut), (heard, interrupted) = replies(call)
    assert cut
    assert " ".join(sentences).startswith(around)
    assert abs(frames - len(around)) <= 1  # The space behind it was heard, or not.
    assert interrupted
    assert is_about(heard, PHRASE, 15)

"""What the agent remembers of replies that the service has not spoken whole: what was heard of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from kit import PATIENCE, Conversation, ScriptedServer, emitted_by, speech_of, until, visemes_of
from kit.agents import Call, calling
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
FIRST, SECOND, LAST = "The first sentence is heard.", "A second one is not heard.", "The last is behind it."
REPLY = f"{FIRST} {SECOND} {LAST}"


@pytest.fixture(params=[True, False], ids=["words", "no words"])
def tts(request: pytest.FixtureRequest, make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    return make_tts(scripted.url, word_timestamps=request.param)


async def speak_only(conversation: Conversation, heard: str, otherwise: str | None) -> None:
    while True:
        text = (await conversation.request())["text"]
        if text in heard:
            await conversation.audio(speech_of(text))
        elif otherwise:
            await conversation.text(otherwise)
        await conversation.end()


def speaking_only(scripted: ScriptedServer, heard: str, otherwise: str | None = None) -> None:
    async def script(conversation: Conversation) -> None:
        await speak_only(conversation, heard, otherwise)

    scripted.scripts.extend([script] * 12)


async def remembers(call: Call, kind: str, *memory: Callable[[], str]) -> None:
    """Have the agent speak the reply, and wait until it remembers no more of it than this."""
    costs, added = emitted_by(call.tts, "metrics"), asyncio.Event()

    def on_content() -> None:
        added.set()

    assert call.pipeline.orchestrator is not None
    call.pipeline.orchestrator.on("content_generated", on_content)
    call.play()
    await call.begin(kind, REPLY)
    if kind != "say":  # There the message is added before it is spoken.
        await asyncio.wait_for(added.wait(), PATIENCE)
    await until(lambda: bool(costs))
    await until(
        lambda: [text for role, text in call.memory if role == "assistant"] == [text() for text in memory]
    )
    await call.over()
    await call.stop_playing()


DENIED = '{"type": "error", "code": "auth.invalid_key", "message": "No."}'


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_of_a_reply_that_fails_what_was_heard(
    kind: str, tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def speak_once(conversation: Conversation) -> None:
        await conversation.audio(speech_of((await conversation.request())["text"]))
        await conversation.end()
        await conversation.request()
        await conversation.text(DENIED)
        await conversation.gone()

    scripted.scripts.append(speak_once)
    async with calling(tts, track) as call:
        await remembers(call, kind, lambda: scripted.texts[0])
    assert REPLY.startswith(scripted.texts[0])


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_of_a_reply_that_goes_on_all_but_what_was_left_out(
    kind: str, tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    speaking_only(scripted, f"{FIRST} {LAST}")
    async with calling(tts, track) as call:
        await remembers(call, kind, lambda: f"{FIRST} {LAST}")


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_nothing_of_a_reply_of_which_nothing_is_heard(
    kind: str, tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    speaking_only(scripted, "", DENIED)
    async with calling(tts, track) as call:
        await remembers(call, kind)


async def test_the_next_reply_is_remembered_whole(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = make_tts(scripted.url)
    speaking_only(scripted, "The next one.", DENIED)
    async with calling(tts, track) as call:
        await remembers(call, "say")
        call.play()
        await call.begin("reply", "The next one.")
        await until(lambda: call.memory[-1:] == [("assistant", "The next one.")])
        await call.over()
        await call.stop_playing()


async def speak_half(conversation: Conversation) -> None:
    """Tell all times of a request, speak its half, and refuse it for good."""
    text = (await conversation.request())["text"]
    await conversation.text(visemes_of(text))
    await conversation.audio(speech_of(HALF))
    await conversation.text(DENIED)
    await conversation.gone()


HALF = "The first sentence is"


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_a_request_that_breaks_off_is_remembered_to_the_word(
    kind: str, make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """By its words, though the voice is far slower than it is taken for: an estimate would say more."""
    tts = make_tts(scripted.url, word_timestamps=True)
    scripted.scripts.append(speak_half)
    async with calling(tts, track) as call:
        await remembers(call, kind, lambda: HALF)


@pytest.mark.parametrize("then", ["user", "say"])
async def test_what_was_heard_stays_where_the_caller_goes_on_before_the_model_has_ended(
    then: str, make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = make_tts(scripted.url)
    scripted.scripts.append(speak_half)
    async with calling(tts, track) as call:
        call.mind.goes_on.clear()
        call.play()
        await call.begin("user", f"{HALF} heard. (...) {LAST}")
        await until(lambda: [role for role, _ in call.memory][-1:] == ["assistant"])
        heard = call.memory[-1]
        await until(lambda: not track.frame_buffer)
        if then == "say":
            await call.begin("say", "The next one.")
            await call.over()
            call.mind.goes_on.set()
        else:
            call.mind.goes_on.set()
            await call.begin("user", "The next one.")
        await until(lambda: call.memory[-1:] == [("assistant", "The next one.")])
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle")
        assert [each for each in call.memory if each[0] == "assistant"] == [heard, call.memory[-1]]
        await call.stop_playing()

"""A reply that the plugin gives up keeps no later one from being spoken, however much text is unread.

The framework hands 50 tokens on ahead, and waits then. Source: ``PipelineOrchestrator`` of videosdk-agents
1.0.26 to 1.0.30.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from kit import Conversation, ScriptedServer, emitted_by, speech_of, until
from kit.agents import calling
from kit.server import refusing
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, TransparentFallbackTTS

Maker = Callable[..., LokutorTTS]
BEGUN = "The first sentence. Number 1 of many more behind it. And number 2 of"
REST = " ".join(f"many. And number {number} of" for number in range(3, 40)) + " many."
LONG = f"{BEGUN} (...) {REST}"


async def speak_once(conversation: Conversation) -> None:
    """Speak one request, and refuse the next for good."""
    await conversation.audio(speech_of((await conversation.request())["text"]))
    await conversation.end()
    await conversation.request()
    await conversation.text('{"type": "error", "code": "auth.invalid_key"}')
    await conversation.gone()


async def refuse(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.text('{"type": "error", "code": "auth.invalid_key"}')
    await conversation.gone()


@pytest.fixture
async def second() -> AsyncIterator[ScriptedServer]:
    """Return the second provider's service."""
    async with ScriptedServer() as server:
        yield server


@pytest.mark.parametrize("kind", ["reply", "user"])
@pytest.mark.parametrize("providers", [1, 2])
async def test_the_next_reply_is_spoken_behind_one_that_has_failed(
    kind: str,
    providers: int,
    make_tts: Maker,
    scripted: ScriptedServer,
    second: ScriptedServer,
    track: CustomAudioStreamTrack,
) -> None:
    first = make_tts(scripted.url, max_retries=0)
    scripted.scripts.append(speak_once)
    if providers == 1:
        tts = first
    else:
        second.scripts.append(refuse)
        tts = TransparentFallbackTTS([first, make_tts(second.url, max_retries=0)])  # type: ignore[assignment]
        tts.audio_track = track
    errors = emitted_by(tts, "error")
    async with calling(tts, track) as call:
        call.mind.goes_on.clear()
        call.play()
        await call.begin(kind, LONG)
        await until(lambda: len(errors) == providers)
        call.mind.goes_on.set()
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle")
        assert [role for role, _ in call.memory] == ["user", "assistant"]
        assert BEGUN.startswith(call.memory[-1][1])
        for text in ("The next one.", "And the one behind it."):
            await call.begin("user", text)
            await until(lambda text=text: call.memory[-1] == ("assistant", text))  # type: ignore[misc]
            assert text in scripted.texts + second.texts
        await call.stop_playing()


async def test_the_next_reply_is_spoken_behind_one_that_was_never_begun(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    runner, url = await refusing(401)
    tts = make_tts(url, keep_warm=False)
    errors = emitted_by(tts, "error")
    async with calling(tts, track) as call:
        call.play()
        await call.begin("reply", LONG)
        await until(lambda: bool(errors))
        await call.over()
        assert [role for role, _ in call.memory] == ["user"]
        await call.stop_playing()
    await runner.cleanup()

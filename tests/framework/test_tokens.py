"""A pipeline without a sentence chunker: the language model's tokens come as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import ScriptedServer, chunks_of, until
from kit.agents import Call, calling
from videosdk.agents import FallbackTTS, run_tts
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, TransparentFallbackTTS

Maker = Callable[..., LokutorTTS]
Texts = AsyncIterator[Any]
OPTIONS = {"text_chunking": False, "text_filtering": False}
TOKENS = [
    ["You can use your Mac", "Book or your i", "Phone to pay."],
    ["I think the Wi", "Fi password is on the bo", "ttom of the rou", "ter."],
    ["We have two rooms (Room", "1) and (Room", "2) on the fl", "oor."],
]


async def hear_answer(call: Call, scripted: ScriptedServer, tokens: list[str]) -> None:
    """Have the language model write these tokens, and hold what is sent against them."""
    call.mind.answers.append(tokens)
    await call.ears.hear("Tell me about it, please.")
    text = "".join(tokens)
    await until(lambda: " ".join(scripted.texts).endswith(text[-3:]))
    assert " ".join(scripted.texts) == text


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("wrap", [None, FallbackTTS, TransparentFallbackTTS])
async def test_no_word_is_torn(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, wrap: Any, tokens: list[str]
) -> None:
    tts: Any = make_tts(scripted.url)
    async with calling(tts if wrap is None else wrap([tts]), track, **OPTIONS) as call:
        await hear_answer(call, scripted, tokens)


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("by_run_tts", [True, False])
async def test_no_word_is_torn_that_a_hook_has_us_speak(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    by_run_tts: bool,
    tokens: list[str],
) -> None:
    async with calling(tts, track, **OPTIONS) as call:

        @call.pipeline.on("tts")
        async def speak(texts: Texts) -> AsyncIterator[bytes]:
            async for piece in run_tts(texts) if by_run_tts else tts.stream_synthesize(texts):
                yield piece

        await hear_answer(call, scripted, tokens)


async def test_what_a_hook_makes_of_tokens_may_be_sentences(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(tts, track, **OPTIONS) as call:

        @call.pipeline.on("llm")
        async def rewrite(texts: Texts) -> AsyncIterator[str]:
            async for _ in texts:
                pass
            for sentence in ("Here they are.", "Two rooms.", "Both are free."):
                yield sentence

        call.mind.answers.append(TOKENS[2])
        await call.ears.hear("Tell me about it, please.")
        await until(lambda: "free." in " ".join(scripted.texts))
        assert " ".join(scripted.texts) == "Here they are. Two rooms. Both are free."


async def test_no_word_of_a_text_of_ones_own_is_torn(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts.audio_track = track
    await tts.synthesize(chunks_of(TOKENS[1]))
    assert " ".join(scripted.texts) == "".join(TOKENS[1])

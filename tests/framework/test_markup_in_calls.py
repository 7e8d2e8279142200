"""Speech markup in a real ``AgentSession``: through the framework's filter and chunker, and in its memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit import ScriptedServer, emitted_by, pushed_samples, speak_timed, until
from kit.agents import Call, calling, left_to_us
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, text_filter
from videosdk.plugins.lokutor._framework import advice

Maker = Callable[..., LokutorTTS]
MARKED = (
    'Well. <break time="0.5s"/> The street is <lang xml:lang="ca">Carrer de Balmes</lang>, not far; call '
    '<say-as interpret-as="telephone">+34 600 123 456</say-as>, or ask <sub alias="Doctor Smith, the boss">'
    'Dr. S.</sub> for the <prosody rate="80%">price</prosody>.'
)
WRITTEN = "Well. The street is Carrer de Balmes, not far; call +34 600 123 456, or ask Dr. S. for the price."
SENT = [
    ("Well.", "en", 1.0),
    ("The street is", "en", 1.0),
    ("Carrer de Balmes,", "ca", 1.0),
    ("not far; call + 3 4, 6 0 0, 1 2 3, 4 5 6, or ask Doctor Smith, the boss for the", "en", 1.0),
    ("price.", "en", 0.8),
]


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "_given", set())


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    scripted.scripts.extend([speak_timed] * 5)
    return make_tts(scripted.url, markup=True, speed=1.0, word_timestamps=True)


def sent(scripted: ScriptedServer) -> list[tuple[Any, ...]]:
    return [
        (request["text"], request["lang"], request["speed"])
        for conversation in scripted.conversations
        for request in conversation.requests
    ]


async def speak(call: Call, kind: str, text: str) -> None:
    call.play()
    await call.begin(kind, text)
    await until(lambda: bool(call.room.finals))
    await call.over()
    await call.stop_playing()


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_markup_is_read_behind_filter_and_chunker(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    async with calling(tts, track, text_filter=text_filter("en")) as call:
        call.play()
        await call.begin(kind, MARKED)
        await until(lambda: bool(call.room.finals) and call.memory[-1:] == [("assistant", WRITTEN)])
        await call.over()
        await call.stop_playing()
        said = " ".join(text for text, _, _ in sent(scripted))
        assert said == " ".join(text for text, _, _ in SENT)
        assert {(language, speed) for _, language, speed in sent(scripted)} == {
            ("en", 1.0), ("ca", 1.0), ("en", 0.8),
        }  # fmt: skip
        assert call.room.ours == left_to_us(WRITTEN)


async def test_the_agent_remembers_no_tags_of_what_was_cut(
    tts: LokutorTTS, track: CustomAudioStreamTrack
) -> None:
    async with calling(tts, track, text_filter=text_filter("en")) as call:
        words = emitted_by(tts, "word_spoken")
        call.play()
        await call.begin("user", MARKED)
        await until(lambda: any(word["word"] == "street" for word in words))
        await call.cut()
        await call.stop_playing()
        role, text = call.memory[-1]
        assert role == "assistant"
        assert WRITTEN.startswith(text)
        assert text.startswith("Well. The street")


ESCAPED = "Write &lt;break/&gt; to pause.\n- That <b>works</b>.\n- AT&amp;amp;T."
UNESCAPED = "Write <break/> to pause.\n- That works.\n- AT&amp;T."


@pytest.mark.parametrize("kind", ["say", "user"])
async def test_what_is_remembered_is_read_once(
    tts: LokutorTTS, track: CustomAudioStreamTrack, kind: str
) -> None:
    async with calling(tts, track, text_filter=text_filter("en")) as call:
        call.play()
        for count, (text, memory) in enumerate(
            [(ESCAPED, UNESCAPED), ("Next.", "Next."), ("End.", "End.")], 1
        ):
            await call.begin(kind, text)
            await until(lambda: len(call.room.finals) >= count)  # noqa: B023
            await until(lambda: call.memory[-1:] == [("assistant", memory)])  # noqa: B023
            await call.over()
        await call.stop_playing()
        told = [text for role, text in call.memory if role == "assistant"]
        assert told == [UNESCAPED, "Next.", "End."]


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
async def test_a_reply_of_a_break_alone_leaves_no_empty_message(
    tts: LokutorTTS, track: CustomAudioStreamTrack, kind: str
) -> None:
    async with calling(tts, track, text_filter=text_filter("en")) as call:
        call.play()
        await call.begin(kind, '<break time="100ms"/>')
        await until(lambda: pushed_samples(track) >= 2_400)
        await call.over()
        await call.begin("say", "Hello.")
        await until(lambda: bool(call.room.finals))
        await call.over()
        await call.stop_playing()
        assert [text for role, text in call.memory if role == "assistant"] == ["Hello."]


PROLOGUE = (
    '<?xml version="1.0"?><!-- Be brief! --><speak>One, <![CDATA[two]]> and <!-- not three --> four.</speak>'
)


@pytest.mark.known_fault("final-transcripts")
@pytest.mark.parametrize("text_filters", [True, False])
@pytest.mark.parametrize("kind", ["say", "user"])
async def test_what_is_no_element_is_neither_spoken_nor_remembered(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str, text_filters: bool
) -> None:
    async with calling(tts, track, **({"text_filter": text_filter("en")} if text_filters else {})) as call:
        call.play()
        await call.begin(kind, PROLOGUE)
        await until(lambda: bool(call.room.finals))
        await until(lambda: call.memory[-1:] == [("assistant", "One, two and four.")])
        await call.over()
        await call.stop_playing()
        assert " ".join(text for text, _, _ in sent(scripted)) == "One, two and four."
        assert call.room.finals[-1] == "One, two and four."


@pytest.mark.parametrize("kind", ["say", "user"])
async def test_what_a_hook_speaks_is_remembered_without_tags(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    async with calling(tts, track, text_filter=text_filter("en")) as call:

        @call.pipeline.on("tts")
        async def speak(texts: AsyncIterator[Any]) -> AsyncIterator[bytes]:
            async for piece in call.tts.stream_synthesize(texts):
                yield piece

        call.play()
        await call.begin(kind, MARKED)
        await until(lambda: call.memory[-1:] == [("assistant", WRITTEN)])
        await call.over()
        await call.stop_playing()


@pytest.mark.parametrize(
    ("language", "option", "warned"), [("en", True, 1), ("es", True, 1), ("en", False, 0)]
)
async def test_who_would_lose_markup_to_the_frameworks_filter_is_told_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    caplog: pytest.LogCaptureFixture,
    language: str,
    option: bool,
    warned: int,
) -> None:
    scripted.scripts.extend([speak_timed] * 2)
    tts = make_tts(scripted.url, markup=option, language=language, word_timestamps=True)
    async with calling(tts, track) as call:
        for _ in range(2):
            await speak(call, "say", "One, two.")
    messages = [record.getMessage() for record in caplog.records]
    assert sum("rewrites speech markup" in message for message in messages) == warned

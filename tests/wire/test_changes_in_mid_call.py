"""Voice, language and speed that change between two sentences of one reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from kit import (
    Conversation,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    on_track,
    requests_of,
    speak,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._text import languages

Maker = Callable[..., LokutorTTS]


@pytest.fixture(autouse=True)
def service(scripted: ScriptedServer) -> None:
    scripted.scripts.extend([speak] * 5)


def sent(scripted: ScriptedServer, *keys: str) -> list[tuple[Any, ...]]:
    return [
        tuple(request.get(key) for key in ("text", *keys))
        for conversation in scripted.conversations
        for request in conversation.requests
    ]


class Source:
    """A text whose pieces come when the test lets them."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.more = asyncio.Semaphore(0)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for piece in requests_of(*self._texts):
            if isinstance(piece, str):
                await self.more.acquire()
            yield piece


async def test_what_changes_now_is_heard_from_the_next_request_on(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    source = Source("One.", "Two.", "Three.")
    turn = asyncio.create_task(tts.synthesize(aiter(source), voice="M1", speed=0.9))
    source.more.release()
    await until(lambda: scripted.texts == ["One."])
    tts.update_options(now=True, voice="M2", language="ca", pronunciations={"two": "dos"})
    source.more.release()
    await until(lambda: len(scripted.texts) == 2)
    tts.update_options(voice="F2")  # From the next call on.
    source.more.release()
    await turn
    assert sent(scripted, "voice", "lang", "speed") == [
        ("One.", "M1", "en", 0.9),
        ("dos.", "M2", "ca", 0.9),
        ("Three.", "M2", "ca", 0.9),
    ]
    assert on_track(track) == heard_for(*scripted.texts)
    await tts.synthesize("Four.")
    assert sent(scripted, "voice", "lang", "speed")[3:] == [("Four.", "F2", "ca", 1.05)]


async def test_a_stream_keeps_its_own_options(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    source = Source("One.", "Two.")
    stream = tts.stream_synthesize(aiter(source))
    source.more.release()
    await anext(stream)
    tts.update_options(now=True, voice="M2")
    source.more.release()
    assert [piece async for piece in stream]
    assert sent(scripted, "voice") == [("One.", "F1"), ("Two.", "F1")]


def test_nothing_changes_where_a_value_is_wrong(tts: LokutorTTS) -> None:
    with pytest.raises(ValueError, match="speed"):
        tts.update_options(now=True, voice="M2", speed=9.0)
    with pytest.raises(ValueError, match="now must be True or False"):
        tts.update_options(now="yes", voice="M2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pacing must be True or False"):
        tts.update_options(pacing="no", voice="M2")  # type: ignore[arg-type]
    assert tts.voice == "F1"


def spanish(sentence: str) -> str:
    return "es-ES" if sentence.startswith(("¿", "¡", "Hola")) else "en"


@pytest.mark.parametrize("pacing", [True, False])
@pytest.mark.parametrize("cut", [1, 4, 1_000])
async def test_each_sentence_may_have_its_language(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, cut: int, pacing: bool
) -> None:
    tts = make_tts(scripted.url, language=spanish, pacing=pacing)
    text = "Hello. How are you? ¡Hola, señor! ¿Qué tal, y qué más? Fine, thank you."
    await tts.synthesize(chunks_of(text[place : place + cut] for place in range(0, len(text), cut)))
    languages = dict(sent(scripted, "lang"))
    assert " ".join(languages) == text
    assert all((language == "es") == (request[0] in "¿¡") for request, language in languages.items())
    assert on_track(track) == heard_for(*scripted.texts)


async def test_a_sentence_is_judged_as_a_whole(make_tts: Maker, scripted: ScriptedServer) -> None:
    judged: list[str] = []

    def choose(sentence: str) -> str:
        judged.append(sentence)
        return "ca" if "Catalan" in sentence else "en"

    long = "This one begins, as long ones do, with quite a lot of words, " * 20 + "and it ends in Catalan."
    await make_tts(scripted.url, language=choose, pacing=False).synthesize(long)
    assert len(scripted.texts) > 1
    assert {language for _, language in sent(scripted, "lang")} == {"ca"}
    assert judged[0] == long


@pytest.mark.parametrize("answer", [None, 5, "", "-", ValueError("no")])
async def test_a_choice_that_fails_changes_nothing_and_is_said(
    make_tts: Maker, scripted: ScriptedServer, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    def choose(sentence: str) -> Any:
        if sentence == "Hola.":
            return "es"
        if isinstance(answer, Exception):
            raise answer
        return answer

    tts = make_tts(scripted.url, language=choose)
    await tts.synthesize(requests_of("One.", "Hola.", "Dos."))
    assert sent(scripted, "lang") == [("One.", "en"), ("Hola.", "es"), ("Dos.", "es")]
    assert sum("choice of a language" in record.getMessage() for record in caplog.records) == 2


async def test_a_choice_that_is_not_listed_changes_nothing_and_is_said_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(languages, "_warned", set())
    choices = {"One.": "Spanish", "Hola.": "es", "Dos.": "ru", "Tres.": "uk-UA", "Vier.": "de-AT"}
    tts = make_tts(scripted.url, language=choices.__getitem__)
    errors = emitted_by(tts, "error")
    await tts.synthesize(requests_of(*choices))
    assert sent(scripted, "lang") == [
        ("One.", "en"), ("Hola.", "es"), ("Dos.", "es"), ("Tres.", "es"), ("Vier.", "de"),
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records if "doesn't speak" in record.getMessage()] == [
        "The choice of a language returned 'Spanish', which Lokutor doesn't speak: it stays 'en'"
    ]
    assert not errors


async def test_a_choice_that_the_service_refuses_is_spoken_in_the_calls_own_language(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    async def no_galician(conversation: Conversation) -> None:
        while (request := await conversation.request())["lang"] != "gl":
            await conversation.audio(speech_of(request["text"]))
            await conversation.end()
        await conversation.text('{"type": "error", "code": "validation.invalid_language"}')
        await conversation.gone()

    scripted.scripts.clear()
    scripted.scripts.extend([no_galician] * 3)
    tts = make_tts(scripted.url, language=lambda text: "gl" if text[0] == "O" else "es", keep_warm=False)
    errors = emitted_by(tts, "error")
    await tts.synthesize(requests_of("Un.", "Ola.", "Outro.", "Dos."))
    assert sent(scripted, "lang") == [
        ("Un.", "es"), ("Ola.", "gl"), ("Ola.", "en"), ("Outro.", "en"), ("Dos.", "es"),
    ]  # fmt: skip
    assert not errors


async def test_a_language_takes_the_place_of_a_choice(make_tts: Maker, scripted: ScriptedServer) -> None:
    tts = make_tts(scripted.url, language=spanish)
    assert tts.language == "en"
    await tts.synthesize("Hola.", language="it")
    await tts.synthesize("Hola.")
    tts.update_options(language="fr")
    await tts.synthesize("Hola.")
    tts.update_options(language=spanish)
    await tts.synthesize("Hola.")
    assert [language for _, language in sent(scripted, "lang")] == ["it", "es", "fr", "es"]


async def test_markup_goes_before_the_choice(make_tts: Maker, scripted: ScriptedServer) -> None:
    tts = make_tts(scripted.url, language=spanish, markup=True)
    await tts.synthesize('Hola, <lang xml:lang="ca">bon dia</lang>.')
    assert sent(scripted, "lang") == [("Hola,", "es"), ("bon dia.", "ca")]


def test_a_coroutine_function_is_refused(make_tts: Maker, scripted: ScriptedServer) -> None:
    async def choose(sentence: str) -> str:
        return sentence

    class Chooser:
        async def __call__(self, sentence: str) -> str:
            return sentence

    for chooser in (choose, Chooser(), partial(choose), Chooser().__call__):
        with pytest.raises(ValueError, match="a plain function"):
            make_tts(scripted.url, language=chooser)


@pytest.mark.filterwarnings("error")
async def test_a_choice_to_await_changes_nothing_and_is_said_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def later(sentence: str) -> str:
        return "es"

    monkeypatch.setattr(languages, "_warned", set())
    tts = make_tts(scripted.url, language=lambda sentence: later(sentence[:1]))
    await tts.synthesize(requests_of("Hola.", "Adiós."))
    assert sent(scripted, "lang") == [("Hola.", "en"), ("Adiós.", "en")]
    assert sum("await" in record.getMessage() for record in caplog.records) == 1


async def test_a_tag_does_not_end_the_sentence_that_was_judged(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    tts = make_tts(scripted.url, language=spanish, markup=True)
    await tts.synthesize('¿Qué tal <break time="300ms"/>estás hoy, amigo? Good bye.')
    assert sent(scripted, "lang") == [("¿Qué tal", "es"), ("estás hoy, amigo?", "es"), ("Good bye.", "en")]


WHOLE = {
    'Sandra, <break time="300ms"/>el barco sale a las diez. Bye.': [
        "Sandra, el barco sale a las diez.", "Bye.",
    ],
    'My friend <voice name="M2">dice que el barco</voice>, sale. Bye.': [
        "My friend dice que el barco, sale.", "Bye.",
    ],
    '<voice name="M2">Sandra</voice>, el barco; <lang xml:lang="ca">bon <b>dia</b></lang>! Bye.': [
        "Sandra, el barco; bon dia!", "Bye.",
    ],
    '<p>El <prosody rate="slow">barco</prosody></p><p>A title</p>': ["El barco", "A title"],
    'Hi<break time="9ms"/>there, <break time="9ms"/>you <break time="9ms"/> all. Bye.': [
        "Hi there, you all.", "Bye.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WHOLE.items())
async def test_a_whole_sentence_is_judged_once_whatever_tags_are_in_it(
    make_tts: Maker, scripted: ScriptedServer, text: str, expected: list[str]
) -> None:
    judged: list[str] = []

    def choose(sentence: str) -> str:
        judged.append(sentence)
        return "es" if "barco" in sentence else "en"

    await make_tts(scripted.url, language=choose, markup=True).synthesize(text)
    assert judged == expected
    parts = [part for part in sent(scripted, "lang") if part[0] in expected[0] and part[1] != "ca"]
    assert {language for _, language in parts} == {choose(expected[0])}


async def test_a_sentence_is_judged_again_when_more_of_it_is_there(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    judged: list[str] = []

    def choose(sentence: str) -> str:
        judged.append(sentence)
        return "es" if "barco" in sentence else "en"

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield 'Sandra, <break time="100ms"/>'
        await until(lambda: len(scripted.texts) == 1)
        yield "el barco sale a las diez. Yes. Yes. "
        yield FlushMarker()
        await until(lambda: "Yes." in " ".join(scripted.texts))
        yield "Yes. Bye."

    await make_tts(scripted.url, language=choose, markup=True).synthesize(text())
    assert judged == ["Sandra,", "Sandra, el barco sale a las diez.", "Yes.", "Bye."]
    assert sent(scripted, "lang")[:2] == [("Sandra,", "en"), ("el barco sale a las diez.", "es")]


@pytest.mark.parametrize(
    ("option", "key", "before", "after", "code"),
    [
        ("language", "lang", "en", "ca", "validation.invalid_language"),
        ("voice", "voice", "F1", "ca", "validation.invalid_voice"),
        ("model", "version", None, "ca", "tts.model_not_found"),
        ("model", "version", None, "ca", "validation.invalid_voice"),  # Which it doesn't have.
        ("speed", "speed", 1.05, 2.0, "validation.speed_out_of_range"),
        ("steps", "steps", 5, 50, "validation.steps_out_of_range"),
        ("language", "lang", "en", "ca", None),
        ("steps", "steps", 5, 50, None),
        ("voice", "voice", "F1", "ca", "unknown speaker"),
        ("voice", "voice", "F1", "ca", "internal.error"),
        ("voice", "voice", "F1", "ca", 1008),
        ("voice", "voice", "F1", "ca", 1000),
        ("speed", "speed", 1.05, 2.0, 1011),
    ],
)
async def test_what_is_refused_in_mid_reply_goes_back_to_what_has_worked(
    make_tts: Maker,
    scripted: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    option: str,
    key: str,
    before: object,
    after: object,
    code: str | int | None,
) -> None:
    async def refuse(conversation: Conversation) -> None:
        while (request := await conversation.request()).get(key) != after:
            await conversation.audio(speech_of(request["text"]))
            await conversation.end()
        if code is None:
            await conversation.text(f"ERR: unsupported {option}")
        elif code == "unknown speaker":  # It doesn't say which option that is.
            await conversation.text(f"ERR: {code}")
        elif isinstance(code, int):
            await conversation.ws.close(code=code)
        else:
            await conversation.text(json.dumps({"type": "error", "code": code, "message": "unknown"}))
        await conversation.gone()

    scripted.scripts.clear()
    scripted.scripts.extend([refuse] * 5)
    tts = make_tts(scripted.url)
    errors = emitted_by(tts, "error")
    source = Source("One.", "Two.", "Three.")
    turn = asyncio.create_task(tts.synthesize(aiter(source)))
    source.more.release()
    await until(lambda: scripted.texts == ["One."])
    change: Any = {option: after}
    tts.update_options(now=True, **change)
    source.more.release()
    source.more.release()
    await turn
    might_pass = isinstance(code, int) or code in {"unknown speaker", "internal.error"}
    again = [("Two.", after)] * might_pass
    assert sent(scripted, key) == [
        ("One.", before), ("Two.", after), *again, ("Two.", before), ("Three.", before),
    ]  # fmt: skip
    assert not errors
    assert sum("goes on with" in record.getMessage() for record in caplog.records) == 1

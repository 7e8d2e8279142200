"""Numbers in a real ``AgentSession``: what reaches the service, and who is told of the plugin's filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kit import ScriptedServer, until
from kit.agents import Call, calling
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.tokenize import BasicTextFilter

from videosdk.plugins.lokutor import LokutorTTS, text_filter
from videosdk.plugins.lokutor._framework import advice

Maker = Callable[..., LokutorTTS]
REPLIES = [
    (
        "es",
        "Son 1.250,75 € por 21 noches, un 5 % menos. Abrimos a las 10:30.",
        "Son mil doscientos cincuenta euros con setenta y cinco céntimos por veintiuna noches, "
        "un cinco por ciento menos. Abrimos a las diez y treinta.",
    ),
    (
        "de",
        "Das macht 12,50 € am 3. Mai. Geöffnet ist von 9–17 h.",
        "Das macht zwölf Euro und fünfzig Cent am dritten Mai. Geöffnet ist von neun bis siebzehn Uhr.",
    ),
    (
        "en",
        "It's about 5 min. away, your balance is - $20.50. Fish &amp; chips cost $2.50-$3.00.",
        "It's about five minutes away, your balance is - $20.50. "
        "Fish and chips cost two dollars and fifty cents to three dollars.",
    ),
    (
        "fr",
        "En 2025 l'inflation était de 2,1 %. Votre code est 8842, votre carte finit par 4417.",
        "En deux mille vingt-cinq l'inflation était de deux virgule un pour cent. "
        "Votre code est 8842, votre carte finit par 4417.",
    ),
]


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "_given", set())


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level("WARNING", logger="videosdk.plugins.lokutor")
    return lambda: [record.getMessage() for record in caplog.records if "text_filter" in record.getMessage()]


async def speak(call: Call, kind: str, text: str, scripted: ScriptedServer) -> str:
    """Have the agent speak, and return what has reached the service."""
    before = len(scripted.texts)
    call.play(fast=True)
    await call.begin(kind, text)
    await until(lambda: len(scripted.texts) > before and "".join(scripted.texts)[-1:] == ".")
    await call.over()
    await call.stop_playing()
    return " ".join(scripted.texts[before:])


@pytest.mark.parametrize("kind", ["say", "reply", "user"])
@pytest.mark.parametrize(("language", "text", "expected"), REPLIES)
async def test_the_service_gets_numbers_in_the_callers_language(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    kind: str,
    language: str,
    text: str,
    expected: str,
) -> None:
    tts = make_tts(scripted.url, language=language)
    async with calling(tts, track, text_filter=text_filter(language)) as call:
        assert await speak(call, kind, text, scripted) == expected


@pytest.mark.parametrize("kind", ["say", "reply"])
async def test_numbers_in_another_language_stay_for_the_service_to_read(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    text = (
        'It is at <lang xml:lang="ca">Carrer de Mallorca 401</lang>, '
        '5 minutes away. <lang xml:lang="en-GB">It costs 21 €</lang> for 2 people.'
    )
    tts = make_tts(scripted.url, language="en", markup=True)
    async with calling(tts, track, text_filter=text_filter("en")) as call:
        await speak(call, kind, text, scripted)
    assert [
        (request["text"], request["lang"])
        for conversation in scripted.conversations
        for request in conversation.requests
    ] == [
        ("It is at", "en"),
        ("Carrer de Mallorca 401,", "ca"),
        ("five minutes away.", "en"),
        ("It costs twenty-one euros", "en"),
        ("for two people.", "en"),
    ]


async def test_who_would_hear_english_prices_is_told_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    warnings: Callable[[], list[str]],
) -> None:
    async with calling(make_tts(scripted.url, language="es"), track) as call:
        assert "twelve" in await speak(call, "say", "Son €12.50.", scripted)
        await speak(call, "say", "Son dos.", scripted)
    async with calling(make_tts(scripted.url, language="de"), track) as call:
        await speak(call, "say", "Es sind zwei.", scripted)
    [warning] = warnings()
    assert "Pipeline(text_filter=text_filter('es'))" in warning


async def test_who_chooses_another_language_for_a_sentence_is_told_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    warnings: Callable[[], list[str]],
) -> None:
    def choose(sentence: str) -> str:
        return "es" if "Son" in sentence else "en"

    tts = make_tts(scripted.url, language=choose)
    async with calling(tts, track) as call:
        await speak(call, "say", "It is one.", scripted)
        assert warnings() == []
        await speak(call, "say", "It is two. Son dos.", scripted)
        await speak(call, "say", "Son tres.", scripted)
        [warning] = warnings()
        assert "Pipeline(text_filter=text_filter('es'))" in warning


async def test_who_changes_the_language_later_is_told(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    warnings: Callable[[], list[str]],
) -> None:
    tts = make_tts(scripted.url)
    async with calling(tts, track) as call:
        await speak(call, "say", "It is one.", scripted)
        tts.update_options(language="de")
        await speak(call, "say", "Es sind zwei.", scripted)
    [warning] = warnings()
    assert "Pipeline(text_filter=text_filter('de'))" in warning


class OwnFilter(BasicTextFilter):
    """Does what its author wants."""


@pytest.mark.parametrize(
    ("language", "options"),
    [
        ("en", {}),
        ("ja", {}),
        ("es", {"text_filter": text_filter("es")}),
        ("es", {"text_filter": OwnFilter()}),
        ("es", {"text_filter": BasicTextFilter(verbalize_currency=False)}),
        ("es", {"text_filtering": False}),
    ],
)
@pytest.mark.filterwarnings("ignore")
async def test_nobody_else_is_told(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    warnings: Callable[[], list[str]],
    language: str,
    options: dict[str, Any],
) -> None:
    async with calling(make_tts(scripted.url, language=language), track, **options) as call:
        await speak(call, "say", "Hola.", scripted)
    assert warnings() == []


async def test_a_call_without_a_pipeline_tells_nothing(
    make_tts: Maker, scripted: ScriptedServer, warnings: Callable[[], list[str]]
) -> None:
    await make_tts(scripted.url, language="es").synthesize("Hola.")
    assert warnings() == []

"""Timing word by word: every word of the text has sounds of its own, told before they are heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.visemes import Viseme


@pytest.fixture
async def engine() -> AsyncIterator[EspeakEngine]:
    engine = EspeakEngine()
    yield engine
    await engine.close()


async def speak(engine: EspeakEngine, text: str, language: str = "en") -> tuple[float, list[Viseme]]:
    """Return the length in s and the timing of ``text``."""
    size = 0
    visemes: list[Viseme] = []
    async for piece in engine.synthesize(SpeechRequest(text, "F1", language, 1.0, 5, visemes=True)):
        size += len(piece.pcm)
        visemes += piece.visemes
    return size / 88_200, visemes


@pytest.mark.parametrize(
    ("text", "words", "language"),
    [
        # espeak-ng reports "of the", "in the" and others as one word, of the first one's letters.
        ("of the and in the a", "of the and in the a", "en"),
        ("It is one of the best in the world.", "It is one of the best in the world", "en"),
        ("Crême brûlée 🙂 is ok.", "Crême brûlée 🙂 is ok", "en"),
        ("in 1999 or 1,234,567 now", "in 1999 or 1,234,567 now", "en"),
        ("don't re-enter, e.g. at Dr. Smith's", "don't re-enter e.g. at Dr. Smith's", "en"),
        ("Das ist der Apfel, den ich mag.", "Das ist der Apfel den ich mag", "de"),
    ],
)
async def test_every_word_has_its_sounds(engine: EspeakEngine, text: str, words: str, language: str) -> None:
    _, visemes = await speak(engine, text, language)
    at, starts = 0, []
    for word in words.split():
        at = text.index(word, at)
        own = [item.start for item in visemes if at <= item.index < at + len(word) and item.sound != "sil"]
        assert own, word
        starts.append(min(own))
        at += len(word)
    assert all(one < other for one, other in pairwise(starts))


async def test_control_characters_are_no_commands(engine: EspeakEngine) -> None:
    """After \\x01 the library would read "400S" as a speed, and speak all that follows at it."""
    plain, _ = await speak(engine, "one 400S two three four five")
    command, visemes = await speak(engine, "one \x01400S two three four five")
    assert command == pytest.approx(plain, rel=0.1)
    assert visemes[-1].index >= 25

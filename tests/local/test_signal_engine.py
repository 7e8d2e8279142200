"""The known voice: what it sounds like can be computed."""

from __future__ import annotations

import array
import math
from contextlib import aclosing

import pytest

from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.engine import Speech
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine, character_samples, signal
from videosdk.plugins.lokutor.visemes import Viseme

TEXT = "The rain in Spain, stays mainly: 日本 😀 é."


async def speak(text: str, speed: float = 1.0, *, visemes: bool = False) -> list[Speech]:
    request = SpeechRequest(text, "F1", "en", speed, 5, visemes)
    return [piece async for piece in SignalEngine().synthesize(request)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.05, 2.0])
async def test_the_pieces_are_the_signal(speed: float) -> None:
    pieces = await speak(TEXT, speed)
    assert len(pieces) > 1
    assert b"".join(piece.pcm for piece in pieces) == signal(TEXT, speed)


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.05, 2.0])
def test_its_length_follows_from_the_text_and_the_speed(speed: float) -> None:
    assert len(signal(TEXT, speed)) == 2 * len(TEXT) * character_samples(speed)
    assert character_samples(speed) == round(0.06 * 44_100 / speed)


def test_it_is_audible_and_not_clipped() -> None:
    samples = array.array("h", signal(TEXT))
    assert 3_000 < math.sqrt(sum(value * value for value in samples) / len(samples)) < 20_000
    assert max(map(abs, samples)) < 32_767


def test_every_character_and_every_place_sounds_different() -> None:
    size = 2 * character_samples()
    same = signal("aaaaaaaa")
    assert len({same[start : start + size] for start in range(0, len(same), size)}) == 8
    assert len({signal(char) for char in "abcdefghijklmnopqrstuvwxyz"}) == 26


async def test_one_viseme_for_each_character_at_its_time() -> None:
    pieces = await speak("ab c", 2.0, visemes=True)
    step = character_samples(2.0) / 44_100
    assert [viseme for piece in pieces for viseme in piece.visemes] == [
        Viseme(0, "a", 0.0),
        Viseme(1, "b", step),
        Viseme(2, "sil", 2 * step),
        Viseme(3, "c", 3 * step),
    ]


async def test_visemes_come_with_the_piece_in_which_they_sound() -> None:
    heard = 0.0
    for piece in await speak(TEXT, visemes=True):
        end = heard + len(piece.pcm) / 88_200
        assert all(heard - 1e-9 <= viseme.start < end for viseme in piece.visemes)
        heard = end


async def test_it_may_be_left_early_and_started_and_closed_at_will() -> None:
    engine = SignalEngine()
    await engine.start()
    await engine.start()
    async with aclosing(engine.synthesize(SpeechRequest(TEXT, "F1", "en", 1.0, 5))) as speech:
        await anext(speech)
    await engine.close()
    await engine.close()

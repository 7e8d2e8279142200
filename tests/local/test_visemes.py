"""The real voice's visemes, held against the engine's own events and against the audio itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest

from videosdk.plugins.lokutor._protocol import (
    SAMPLE_RATE,
    Audio,
    EndOfRequest,
    SpeechRequest,
    Visemes,
    decode_binary,
    decode_text,
    encode_request,
)
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.visemes import SILENCE, Viseme

sys.path.append(str(Path(__file__).parent))
from engine_events import Events, events_of

TEXTS = {
    "en": "Hello there. This is a pause, and this, too. That is 1,234 miles!",
    "es": "El niño comió pingüinos; ¡qué ñandú más ágil!",
    "fr": "L'œuvre déjà été là-bas, où ça? Bien sûr.",
    "de": "Über größere Straßen, äh, weiß man nichts.",
    "it": "Perché no? È così, città per città.",
    "pt": "Não há pão, só maçãs. E agora?",
}
LONGEST_HOLD = 0.1
"""Seconds for which a plosive may be held: its word begins with the hold, its phoneme with the burst."""
ROUNDING = 0.001


@dataclass(frozen=True)
class Spoken:
    """What the engine made of a request, and what it says of it."""

    request: SpeechRequest
    events: Events
    samples: npt.NDArray[np.float64]
    visemes: list[Viseme]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def silences(self, at_least: float) -> list[tuple[float, float]]:
        """Return where silence is marked, for so many seconds or longer."""
        ends = [viseme.start for viseme in self.visemes[1:]] + [self.seconds]
        spans = [(viseme, end) for viseme, end in zip(self.visemes, ends, strict=True)]
        return [
            (viseme.start, end)
            for viseme, end in spans
            if viseme.sound == SILENCE and end - viseme.start >= at_least
        ]

    def loudness(self, start: float, end: float) -> float:
        """Return how loud a span is, compared to the whole."""
        span = self.samples[max(round(start * SAMPLE_RATE), 0) : max(round(end * SAMPLE_RATE), 0)]
        whole = float(np.sqrt(np.mean(self.samples**2)))
        return float(np.sqrt(np.mean(span**2))) / whole if span.size else 0.0


def requests_of(language: str) -> list[SpeechRequest]:
    return [
        SpeechRequest(TEXTS[language], voice, language, speed, 5, visemes=True)
        for voice in ("F2", "M1")
        for speed in (0.8, 1.3)
    ]


@pytest.fixture(params=TEXTS)
async def spoken(request: pytest.FixtureRequest) -> list[Spoken]:
    requests = requests_of(request.param)
    engine = EspeakEngine()
    everything = []
    for wanted, events in zip(requests, events_of(requests), strict=True):
        pcm, visemes = b"", list[Viseme]()
        async for piece in engine.synthesize(wanted):
            pcm += piece.pcm
            visemes += piece.visemes
        samples = np.frombuffer(pcm, "<i2").astype(np.float64)
        everything.append(Spoken(wanted, events, samples, visemes))
    await engine.close()
    return everything


def check_words(spoken: Spoken) -> None:
    """Check that words begin where the engine's own word events are, in the text and in the audio."""
    text, sounds = spoken.request.text, [item for item in spoken.visemes if item.sound != SILENCE]
    starts = dict(spoken.events.words)
    at, found = 0, 0
    for word in text.split():
        at = text.index(word, at)
        first = min((index for index in starts if at <= index < at + len(word)), default=None)
        if first is not None:
            begins = min(item.start for item in sounds if at <= item.index < at + len(word))
            assert begins == pytest.approx(starts[first], abs=ROUNDING), word
            found += 1
        at += len(word)
    assert found == len(text.split())


def check_sounds(spoken: Spoken) -> None:
    """Check that the sounds are the engine's phonemes, in their order and at their times."""
    phonemes = [(name, start) for name, start in spoken.events.sounds if name]
    sounds = [(item.sound, item.start) for item in spoken.visemes if item.sound != SILENCE]
    assert [name for name, _ in sounds] == [name for name, _ in phonemes]
    begins = [start for _, start in spoken.events.words]
    for (name, told), (_, start) in zip(sounds, phonemes, strict=True):
        held = any(told == pytest.approx(begin, abs=ROUNDING) for begin in begins)
        assert start - told == pytest.approx(0.0, abs=ROUNDING) or (
            held and 0 < start - told <= LONGEST_HOLD
        ), name


def check_silence(spoken: Spoken) -> None:
    """Check that it is silent where silence is marked, up to its edges, and that it sounds right behind."""
    silences = spoken.silences(at_least=0.09)
    assert silences
    for start, end in silences:
        assert spoken.loudness(start + 0.015, start + 0.045) < 0.15
        assert spoken.loudness(start + 0.015, end - 0.015) < 0.15
        assert spoken.loudness(end - 0.045, end - 0.015) < 0.15
        if end < spoken.seconds - 0.01:
            assert spoken.loudness(end, end + LONGEST_HOLD + 0.05) > 0.15


def check_speech(spoken: Spoken) -> None:
    """Check that it sounds between the marked silences, from beginning to end."""
    edges = [0.0, *(edge for silence in spoken.silences(at_least=0.05) for edge in silence), spoken.seconds]
    phrases = [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end - begin > 0.02]
    assert phrases
    for begin, end in phrases:
        assert spoken.loudness(begin, end) > 0.5
        assert spoken.loudness(begin, begin + LONGEST_HOLD + 0.05) > 0.15
        assert spoken.loudness(end - 0.1, end) > 0.05


Check = Callable[[Spoken], None]
CHECKS: list[Check] = [check_words, check_sounds, check_silence]


@pytest.mark.parametrize("check", [*CHECKS, check_speech])
async def test_visemes_are_true(spoken: list[Spoken], check: Check) -> None:
    for one in spoken:
        check(one)


@pytest.mark.parametrize("shift", [-0.2, 0.2])
@pytest.mark.parametrize("check", CHECKS)
async def test_visemes_at_other_times_would_be_noticed(
    spoken: list[Spoken],
    check: Check,
    shift: float,
) -> None:
    for one in spoken:
        moved = [replace(item, start=item.start + shift) for item in one.visemes]
        with pytest.raises(AssertionError):
            check(replace(one, visemes=moved))


async def test_visemes_at_other_characters_would_be_noticed(spoken: list[Spoken]) -> None:
    for one in spoken:
        moved = [replace(item, index=max(item.index - 3, 0)) for item in one.visemes]
        with pytest.raises((AssertionError, ValueError)):
            check_words(replace(one, visemes=moved))


async def test_a_linked_sound_of_the_word_before_keeps_its_time() -> None:
    """espeak-ng marks "at" where the "n" of "open" still sounds: the audio counts."""
    request = SpeechRequest("We open at nine.", "F1", "en", 1.05, 5, visemes=True)
    (events,) = events_of([request])
    engine = EspeakEngine()
    visemes = [item async for piece in engine.synthesize(request) for item in piece.visemes]
    await engine.close()
    marked = dict(events.words)[8]
    begins = {item.index: item for item in reversed(visemes) if item.sound != SILENCE}[8]
    assert (begins.sound, begins.start > marked + 0.03) == ("æ", True)
    assert [item.sound for item in visemes if item.start == pytest.approx(marked, abs=ROUNDING)] == ["n"]


async def test_over_the_wire_timing_comes_ahead_of_its_audio_for_each_request() -> None:
    requests = [
        SpeechRequest(TEXTS[language], "F1", language, 1.0, 5, visemes=True) for language in ("en", "es")
    ]
    events = events_of(requests)
    async with (
        LocalServer(EspeakEngine(), chunk_bytes=(500, 2_000)) as server,
        aiohttp.ClientSession(headers={"X-API-Key": "any"}) as session,
        session.ws_connect(f"{server.url}/ws/tts") as ws,
    ):
        for request, known in zip(requests, events, strict=True):
            await ws.send_str(encode_request(request))
            received, told = 0.0, list[Viseme]()
            while True:
                message = await ws.receive(20)
                binary = message.type is aiohttp.WSMsgType.BINARY
                match decode_binary(message.data) if binary else decode_text(message.data):
                    case Audio(pcm):
                        received += len(pcm) / 2 / SAMPLE_RATE
                    case Visemes(items):
                        assert all(item.start >= received - ROUNDING for item in items)
                        told += items
                    case EndOfRequest():
                        break
            assert received == pytest.approx(known.seconds, abs=ROUNDING)
            assert all(one.start <= other.start for one, other in pairwise(told))
            assert told[0].start < 0.1
            names = [name for name, _ in known.sounds if name]
            assert [item.sound for item in told if item.sound != SILENCE] == names

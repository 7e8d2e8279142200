"""The real voice's visemes, held against the engine's own events and against the audio.

The events come from a second process that asks the library itself; the audio is what a client gets. Every
check is also shown to see visemes that are 60 ms off.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import aiohttp
import numpy as np
import pytest
from espeak_events import Events, events_of
from kit import PATIENCE

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest, encode_request
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.visemes import SILENCE, Viseme

TEXTS = {
    "en": [
        "Good morning, it's the 21st of March. Don't open the door, please; wait outside!",
        "The price of 1,250 tickets is known in a town, isn't it? Café naïve: one of the best in the world.",
    ],
    "es": [
        "¿Cómo estás, señor Núñez? El niño comió 12 pingüinos, y después durmió.",
        "Aquí, en la plaza, hay un árbol; nadie lo sabe.",
    ],
    "fr": [
        "L'été dernier, j'ai vu 3 garçons à l'école. Où est-elle, déjà ?",
        "Aujourd'hui, c'est l'anniversaire d'Hélène: elle a 20 ans.",
    ],
    "de": [
        "Über größere Straßen, Herr Müller, fahren 25 Autos. Wie geht's?",
        "Guten Tag, ich möchte zwei Brötchen; das ist alles.",
    ],
    "it": [
        "L'università è chiusa, perché c'è uno sciopero. Torni alle 15, per favore.",
        "Così, all'improvviso, arrivò la città più bella.",
    ],
    "pt": [
        "Não há pão, mas a avó comprou 2 maçãs. Copo d'água, por favor!",
        "Amanhã, às oito, você irá à praça com o João.",
    ],
}
REQUESTS = [
    SpeechRequest(text, voice, language, speed, 5, visemes=True)
    for language, texts in TEXTS.items()
    for text in texts
    for voice in ("F1", "M5")
    for speed in (1.0, 1.5)
]

SAME = 0.001
"""Seconds that may lie between what is the same moment."""
AUDIBLE = 300
"""The sample from which on there is sound: one percent of full scale."""
LONG_ENOUGH = 0.06
"""Seconds from which on a span has an inside that can be looked at."""
LONGEST_HOLD = 0.1
"""Seconds from a word's begin to its first sound, which opens with the lips or the tongue closed."""


@dataclass(frozen=True)
class Spoken:
    """What was said, and what was told about it."""

    request: SpeechRequest
    samples: np.ndarray
    visemes: list[Viseme]
    events: Events

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def sounds(self) -> list[Viseme]:
        return [viseme for viseme in self.visemes if viseme.sound != SILENCE]

    def moved(self, seconds: float) -> Spoken:
        """Return the same with all visemes shifted."""
        return replace(self, visemes=[replace(item, start=item.start + seconds) for item in self.visemes])

    def between(self, start: float, end: float) -> np.ndarray:
        return self.samples[max(0, round(start * SAMPLE_RATE)) : max(0, round(end * SAMPLE_RATE))]

    def rms(self, start: float, end: float) -> float:
        samples = self.between(start, end)
        return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0

    def spans(self) -> list[tuple[str, float, float]]:
        """Return each viseme's sound and from when to when it lasts."""
        ends = [viseme.start for viseme in self.visemes[1:]] + [self.seconds]
        return [(viseme.sound, viseme.start, end) for viseme, end in zip(self.visemes, ends, strict=True)]

    def stretches(self) -> list[tuple[str, float, float]]:
        """Return speech and pauses in turn: the first sound of each, and from when to when it lasts."""
        groups = [list(group) for _, group in groupby(self.spans(), lambda span: span[0] == SILENCE)]
        return [(group[0][0], group[0][1], group[-1][2]) for group in groups]

    def loudness(self) -> float:
        """Return the RMS of all that is marked as speech."""
        pieces = [self.between(start, end) for sound, start, end in self.stretches() if sound != SILENCE]
        return float(np.sqrt(np.mean(np.concatenate(pieces) ** 2)))


@pytest.fixture(scope="module")
def all_spoken() -> list[Spoken]:
    """Speak all requests, in the order in which the witness speaks them."""
    spoken = asyncio.run(_speak())
    told = events_of(REQUESTS)
    return [Spoken(*heard, events) for heard, events in zip(spoken, told, strict=True)]


async def _speak() -> list[tuple[SpeechRequest, np.ndarray, list[Viseme]]]:
    spoken = []
    engine = EspeakEngine()
    try:
        for request in REQUESTS:
            pcm = bytearray()
            visemes: list[Viseme] = []
            async for piece in engine.synthesize(request):
                pcm += piece.pcm
                visemes += piece.visemes
            spoken.append((request, np.frombuffer(bytes(pcm), "<i2").astype(np.float64), visemes))
    finally:
        await engine.close()
    return spoken


def all_faults(check: Callable[[Spoken], Iterator[str]], all_spoken: list[Spoken]) -> list[str]:
    return [
        f"{spoken.request.voice} at {spoken.request.speed}, {spoken.request.text!r}: {fault}"
        for spoken in all_spoken
        for fault in check(spoken)
    ]


# Against the engine's events


@dataclass(frozen=True)
class Word:
    """One word of a text: its place, the engine's own event for it, and its first viseme."""

    text: str
    event: tuple[int, float] | None
    viseme: Viseme | None

    @property
    def is_at_its_event(self) -> bool:
        if self.viseme is None or self.event is None:
            return False
        index, start = self.event
        return self.viseme.index == index and abs(self.viseme.start - start) < SAME


def words_of(spoken: Spoken) -> list[Word]:
    words = []
    for match in re.finditer(r"\S*\w\S*", spoken.request.text):
        place = range(match.start(), match.end())
        event = next((event for event in spoken.events.words if event[0] in place), None)
        words.append(
            Word(match[0], event, next((item for item in spoken.sounds if item.index in place), None))
        )
    return words


def is_linked(spoken: Spoken, word: Word) -> bool:
    """Return whether the word before is still heard at its event ("in a"), and it begins right after."""
    assert word.viseme is not None
    assert word.event is not None
    index, start = word.event
    behind = next((begin for name, begin in spoken.events.sounds if name and begin > start), None)
    before = [item.start for item in spoken.sounds if item.index < index]
    return (
        behind is not None
        and word.viseme.index == index
        and abs(word.viseme.start - behind) < SAME
        and _is_among(start, before)
    )


def word_faults(spoken: Spoken) -> Iterator[str]:
    for word in words_of(spoken):
        if word.viseme is None:
            yield f"{word.text!r} has no sound"
        elif word.event and not (word.is_at_its_event or is_linked(spoken, word)):
            yield f"{word.text!r} begins with {word.viseme}, but for the engine at {word.event}"


def sound_faults(spoken: Spoken) -> Iterator[str]:
    told = [(name, start) for name, start in spoken.events.sounds if name]
    if [item.sound for item in spoken.sounds] != [name for name, _ in told]:
        yield f"other sounds: {[item.sound for item in spoken.sounds]} instead of {told}"
        return
    begins = [start for _, start in spoken.events.words]
    before = -1.0
    for item, (_, start) in zip(spoken.sounds, told, strict=True):
        # A word's first sound is marked where the word begins, before it bursts.
        at_word = before < item.start < start < item.start + LONGEST_HOLD and _is_among(item.start, begins)
        if abs(item.start - start) > SAME and not at_word:
            yield f"{item}, but for the engine at {start}"
        before = start


def pause_faults(spoken: Spoken) -> Iterator[str]:
    """Yield pauses that the engine doesn't tell, and those that it tells and the visemes don't."""
    pauses = [item.start for item in spoken.visemes if item.sound == SILENCE]
    unnamed = [start for name, start in spoken.events.sounds if not name]
    yield from (f"a pause at {start}, not told" for start in pauses if not _is_among(start, unnamed))
    ends = [*(start for _, start in spoken.events.sounds), spoken.events.seconds]
    for (name, start), end in zip(spoken.events.sounds, ends[1:], strict=True):
        if not name and end - start >= LONG_ENOUGH and not _is_among(start, pauses):
            yield f"no pause at {start}"


def _is_among(moment: float, moments: list[float]) -> bool:
    return any(abs(moment - other) < SAME for other in moments)


def test_the_witness_heard_the_same(all_spoken: list[Spoken]) -> None:
    """By its length, which varies at random from one time to the next."""
    assert len(all_spoken) == 48
    for spoken in all_spoken:
        assert spoken.seconds == pytest.approx(spoken.events.seconds, abs=SAME)


def test_words_begin_at_their_events(all_spoken: list[Spoken]) -> None:
    assert all_faults(word_faults, all_spoken) == []
    words = [word for spoken in all_spoken for word in words_of(spoken)]
    own = [word for word in words if word.event]
    # The others are reported as one word with the one before: "of the".
    assert 0.98 * len(words) < len(own) < len(words)
    assert sum(word.is_at_its_event for word in own) > 0.95 * len(own)


def test_sounds_are_the_phoneme_events(all_spoken: list[Spoken]) -> None:
    assert all_faults(sound_faults, all_spoken) == []
    assert sum(len(spoken.sounds) for spoken in all_spoken) > 2000


def test_pauses_are_the_events_without_a_name(all_spoken: list[Spoken]) -> None:
    assert all_faults(pause_faults, all_spoken) == []


# Against the audio


def energy_faults(spoken: Spoken) -> Iterator[str]:
    """Yield pauses that aren't quiet, and speech and stressed vowels that aren't loud."""
    speech = spoken.loudness()
    for sound, start, end in spoken.stretches():
        if end - start >= LONG_ENOUGH:
            rms = spoken.rms(start + 0.015, end - 0.015) / speech
            if rms > 0.05 if sound == SILENCE else rms < 0.5:
                yield f"{sound} from {start:.3f} to {end:.3f}: {rms:.3f} of speech"
    for sound, start, end in spoken.spans():
        if "ˈ" in sound and end - start >= LONG_ENOUGH:
            rms = spoken.rms(start + 0.01, end - 0.01) / speech
            if rms < 0.6:
                yield f"{sound} from {start:.3f} to {end:.3f}: {rms:.3f} of speech"


def boundary_faults(spoken: Spoken) -> Iterator[str]:
    """Yield speech that doesn't begin and end, between two pauses, where it is marked."""
    speech = spoken.loudness()
    for sound, start, end in spoken.stretches():
        if sound == SILENCE:
            if end - start >= LONG_ENOUGH and (rms := spoken.rms(end - 0.05, end) / speech) > 0.05:
                yield f"a pause up to {end:.3f}: at its end {rms:.3f} of speech"
            continue
        audible = np.flatnonzero(np.abs(spoken.between(start, end)) > AUDIBLE) / SAMPLE_RATE
        if not len(audible) or audible[0] > (0.055 if sound[0] in "ptk" else 0.02):
            yield f"{sound} at {start:.3f}: sound only after {audible[:1]}"
        elif end - start - audible[-1] > 0.03:
            yield f"a pause at {end:.3f}: sound only up to {start + audible[-1]:.3f}"


def hold_faults(spoken: Spoken) -> Iterator[str]:
    """Yield plosives at a word's begin, in flowing speech, that aren't held in silence until they burst."""
    speech = spoken.loudness()
    for item, hold in holds_of(spoken):
        if (rms := spoken.rms(item.start + 0.005, item.start + hold - 0.005) / speech) > 0.1:
            yield f"{item}: {rms:.3f} of speech before it bursts"


def holds_of(spoken: Spoken) -> Iterator[tuple[Viseme, float]]:
    """Yield each plosive that begins a word right after a sound, and how long the engine holds it."""
    told = iter([start for name, start in spoken.events.sounds if name])
    begins = [start for _, start in spoken.events.words]
    sound, burst = SILENCE, 0.0
    for item in spoken.visemes:
        if item.sound == SILENCE:
            sound = SILENCE
            continue
        before, sound = sound, item.sound
        earlier, burst = burst, next(told)
        begin = max(begin for begin in begins if begin <= burst)
        hold = burst - begin
        if before != SILENCE and item.sound[0] in "ptk" and begin > earlier and 0.025 < hold < LONGEST_HOLD:
            yield item, hold


def test_silence_is_quiet_and_speech_is_loud(all_spoken: list[Spoken]) -> None:
    assert all_faults(energy_faults, all_spoken) == []
    pauses = [span for spoken in all_spoken for span in spoken.stretches() if span[0] == SILENCE]
    assert len(pauses) > 150


def test_speech_begins_and_ends_where_it_is_marked(all_spoken: list[Spoken]) -> None:
    assert all_faults(boundary_faults, all_spoken) == []
    assert all(spoken.sounds[0].start == 0 for spoken in all_spoken)


def test_words_begin_in_flowing_speech_where_their_plosive_is_held(all_spoken: list[Spoken]) -> None:
    assert all_faults(hold_faults, all_spoken) == []
    assert sum(len(list(holds_of(spoken))) for spoken in all_spoken) >= 40


# What is off


@pytest.mark.parametrize("seconds", [-0.06, 0.06])
@pytest.mark.parametrize(
    "check", [word_faults, sound_faults, pause_faults, energy_faults, boundary_faults, hold_faults]
)
def test_visemes_that_are_off_in_time_are_seen(
    all_spoken: list[Spoken], check: Callable[[Spoken], Iterator[str]], seconds: float
) -> None:
    for spoken in all_spoken:
        if check is not hold_faults or any(holds_of(spoken)):
            assert list(check(spoken.moved(seconds))), spoken.request


@pytest.mark.parametrize("characters", [-1, 1])
def test_visemes_that_are_off_in_the_text_are_seen(all_spoken: list[Spoken], characters: int) -> None:
    for spoken in all_spoken:
        moved = [replace(item, index=item.index + characters) for item in spoken.visemes]
        assert list(word_faults(replace(spoken, visemes=moved))), spoken.request


# Over the wire


async def test_visemes_come_before_their_audio_and_count_from_each_request() -> None:
    requests = REQUESTS[:4]
    async with (
        LocalServer(EspeakEngine(), chunk_bytes=(1, 999)) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url + "/ws/tts", headers={"X-API-Key": "k"}) as ws,
    ):
        for request, events in zip(requests, events_of(requests), strict=True):
            await ws.send_str(encode_request(request))
            size, starts = 0, []
            async with asyncio.timeout(PATIENCE):
                while (message := (await ws.receive()).data) != "EOS":
                    if isinstance(message, bytes):
                        size += len(message)
                        continue
                    items = json.loads(message)
                    assert items[0]["t"] >= size / 2 / SAMPLE_RATE - SAME
                    starts += [item["t"] for item in items if item["c"] != SILENCE]
            told = [start for name, start in events.sounds if name]
            assert size / 2 / SAMPLE_RATE == pytest.approx(events.seconds, abs=SAME)
            assert (starts[0], len(starts)) == (0, len(told))
            assert starts[-1] == pytest.approx(told[-1], abs=SAME)

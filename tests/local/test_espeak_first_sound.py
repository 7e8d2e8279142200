"""Trimmed silence with a real voice: its words and visemes stay where their sounds are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest
from kit import told, trimmed
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.engine import Speech
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer

Maker = Callable[..., LokutorTTS]
TEXTS = ("Good evening, and welcome.", "Which day suits you?", "Then see you on Monday!")


class Hesitant(EspeakEngine):
    """The local voice, with silence in front of what it says.

    It says the same each time: its own audio of a text differs by some samples, depending on the one before.
    """

    def __init__(self, lead: float) -> None:
        super().__init__()
        self._lead = lead
        self.said: dict[str, list[Speech]] = {}

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        if request.text not in self.said:
            self.said[request.text] = [Speech(bytes(2 * round(self._lead * 44_100)), ())]
            async with aclosing(super().synthesize(request)) as speech:
                async for plain in speech:
                    visemes = tuple(replace(one, start=one.start + self._lead) for one in plain.visemes)
                    self.said[request.text].append(Speech(plain.pcm, visemes))
        for piece in self.said[request.text]:
            yield piece

    def audio(self, text: str) -> bytes:
        return b"".join(piece.pcm for piece in self.said[text])


@pytest.mark.parametrize("lead", [0.0, 0.25, 0.7])
async def test_words_and_visemes_stay_with_their_sounds(
    make_tts: Maker, track: CustomAudioStreamTrack, lead: float
) -> None:
    engine = Hesitant(lead)
    async with LocalServer(engine) as server:
        options = {"word_timestamps": True, "visemes": True, "pacing": False}
        plain = make_tts(server.url, trim_silence=False, **options)
        words, visemes = await told(plain, track, *TEXTS)
        await plain.aclose()
        quick = make_tts(server.url, **options)
        quick_words, quick_visemes = await told(quick, track, *TEXTS)
        await quick.aclose()
    _, cuts = trimmed(*map(engine.audio, TEXTS))
    assert len(cuts) == (3 if lead else 0)  # This voice ends a sentence with 0.3 s of silence.

    def moved(at: float) -> float:
        return at - sum(min(max(at - start, 0.0), length) for start, length in cuts)

    assert [word["word"] for word in quick_words] == " ".join(TEXTS).split()
    # Their ends depend on what has come when they are told.
    assert [word["start"] for word in quick_words] == pytest.approx([moved(word["start"]) for word in words])
    assert [replace(one, start=0.0) for one in quick_visemes] == [replace(one, start=0.0) for one in visemes]
    assert [one.start for one in quick_visemes] == pytest.approx([moved(one.start) for one in visemes])

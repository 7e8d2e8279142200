"""What the scripted server speaks, and what a listener hears of it."""

from __future__ import annotations

import json

import numpy as np

from videosdk.plugins.lokutor._audio.resample import Resampler

SAMPLES_PER_CHARACTER = 882


def speech_of(text: str) -> bytes:
    """Return the 44 100 Hz PCM that the scripted server speaks for ``text``: 20 ms a character."""
    steps = np.arange(SAMPLES_PER_CHARACTER)
    waves = [np.sin(2 * np.pi * (100 + ord(char) % 251) * steps / 44_100) for char in text]
    return (np.concatenate(waves or [np.zeros(0)]) * 12_000).astype("<i2").tobytes()


def at_track_rate(pcm: bytes, rate: int = 24_000) -> bytes:
    """Return what the listener gets for ``pcm``: resampled, then silence up to a whole 20 ms frame."""
    resampler = Resampler(44_100, rate)
    heard = resampler.process(pcm) + resampler.flush()
    return heard + bytes(-len(heard) % (rate // 50 * 2))


def heard_for(*texts: str, rate: int = 24_000) -> bytes:
    """Return what a listener hears of a whole reply whose requests were ``texts``."""
    return at_track_rate(b"".join(map(speech_of, texts)), rate)


def visemes_of(text: str) -> str:
    """Return the message with the visemes of what :func:`speech_of` speaks: one for each character."""
    items = [
        {"v": index, "c": "sil" if char.isspace() else char, "t": index * SAMPLES_PER_CHARACTER / 44_100}
        for index, char in enumerate(text)
    ]
    return json.dumps(items)

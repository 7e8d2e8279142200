"""What the scripted server speaks, and what a listener hears of it."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np

from videosdk.plugins.lokutor._audio.resample import Resampler

SAMPLES_PER_CHARACTER = 882


def speech_of(text: str) -> bytes:
    """Return the 44 100 Hz PCM that the scripted server speaks for ``text``: 20 ms a character."""
    return b"".join(_tone(100 + ord(char) % 251) for char in text)


@lru_cache(maxsize=251)
def _tone(frequency: int) -> bytes:
    steps = np.arange(SAMPLES_PER_CHARACTER)
    return (np.sin(2 * np.pi * frequency * steps / 44_100) * 12_000).astype("<i2").tobytes()


@lru_cache(maxsize=16)
def at_track_rate(pcm: bytes, rate: int = 24_000) -> bytes:
    """Return what the listener gets for ``pcm``: resampled, then silence up to a whole 20 ms frame."""
    resampler = Resampler(44_100, rate)
    heard = resampler.process(pcm) + resampler.flush()
    return heard + bytes(-len(heard) % (rate // 50 * 2))


def heard_for(*texts: str, rate: int = 24_000) -> bytes:
    """Return what a listener hears of a whole reply whose requests were ``texts``."""
    return at_track_rate(b"".join(map(speech_of, texts)), rate)


def trimmed(*requests: bytes) -> tuple[bytes, list[tuple[float, float]]]:
    """Return what is left of a reply's audio, and the cuts: place in all of the audio and length, in seconds.

    Silence in front of the reply is cut to 20 ms. From the end of one request to the next sound 0.4 s are
    left, and the cut is in front of the last 20 ms.
    """
    samples = np.frombuffer(b"".join(requests), "<i2").astype(int)
    sounds = np.flatnonzero(np.abs(samples) > 32)
    keep, cuts = np.ones(len(samples), bool), []
    ends = np.cumsum([len(pcm) // 2 for pcm in requests])
    bounds = np.array([-1, *sounds, len(samples)])
    pauses = np.flatnonzero(np.diff(bounds) > 1)
    for before, sound in zip(bounds[pauses], bounds[pauses + 1], strict=True):
        end = next((end for end in ends if before < end <= sound), 0) if before >= 0 else 0
        budget = 882 if before < 0 else max(17_640 - (end - before - 1), 0)
        surplus = sound - end - budget
        if surplus > 0 and (end or before < 0):
            start = end + budget - min(budget, 882)
            keep[start : start + surplus] = False
            cuts.append((float(start / 44_100), float(surplus / 44_100)))
    return samples[keep].astype("<i2").tobytes(), cuts


def visemes_of(text: str) -> str:
    """Return the message with the visemes of what :func:`speech_of` speaks: one for each character."""
    items = [
        {"v": index, "c": "sil" if char.isspace() else char, "t": index * SAMPLES_PER_CHARACTER / 44_100}
        for index, char in enumerate(text)
    ]
    return json.dumps(items)

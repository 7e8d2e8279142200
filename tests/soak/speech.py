"""What the server says and the caller expects: letters that sound different, and their timing."""

from __future__ import annotations

import functools
import json
import random
from itertools import accumulate

from kit import (
    SAMPLES_PER_CHARACTER,
    at_track_rate,
    speech_of,
)

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE

SENTENCES = (
    "Yes.",
    "No, not yet.",
    "It is late.",
    "Wait for me.",
    "I see three of them.",
    "Who told you that?",
    "They left by the door!",
    "The train goes at noon.",
    "Please say it once more.",
    "Nothing of it was lost.",
)
REPLIES = tuple(" ".join(random.Random(number).sample(SENTENCES, 1 + number % 3)) for number in range(40))


@functools.cache
def letter(char: str) -> bytes:
    return speech_of(char)


def speech(text: str) -> bytes:
    """Return the server's speech: white space is silent, so it doesn't matter how a text is cut."""
    return b"".join(map(letter, "".join(text.split())))


def visemes(text: str) -> str:
    """Return the message with the timing of :func:`speech`."""
    letters = [(index, char) for index, char in enumerate(text) if not char.isspace()]
    starts = [number * SAMPLES_PER_CHARACTER / SAMPLE_RATE for number in range(len(letters))]
    return json.dumps(
        [{"v": index, "c": char, "t": start} for (index, char), start in zip(letters, starts, strict=True)]
    )


def words_of(reply: str) -> list[tuple[str, float]]:
    """Return the words of a reply, and when they begin."""
    lengths = accumulate(map(len, reply.split()), initial=0)
    return [(word, round(length / 50, 3)) for word, length in zip(reply.split(), lengths, strict=False)]


@functools.cache
def heard_of(reply: str) -> bytes:
    """Return what a listener hears of a whole reply."""
    return at_track_rate(speech(reply))

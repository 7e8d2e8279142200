"""A cached phrase, and what a listener has heard of it or of what is around it."""

from __future__ import annotations

PHRASE = "Cached words of a phrase."
FRAMES = len(PHRASE)
CACHED = bytes(960 * FRAMES)
"""Its audio at 24 kHz: a frame for each letter."""


def is_about(heard: str, text: str, frames: int) -> bool:
    """Return whether ``heard`` is what a listener has heard of ``text``, where a letter takes a frame."""
    return bool(heard) and text.startswith(heard) and abs(len(heard) - frames) <= len(" something")

"""Lip-sync: visemes and their mouth shapes."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SILENCE = "sil"
"""The sound of a pause."""


@dataclass(frozen=True, slots=True)
class Viseme:
    """One sound and its start time. It lasts until the next one starts.

    Attributes:
        index: The character that it belongs to, in code points: of the reply's text in the event, of the
            request's on the wire. A number that is read out has many sounds for few characters.
        sound: The character or the phonetic symbol; ``"sil"`` is silence.
        start: Seconds from the first audio: the reply's in the event, the request's on the wire.
    """

    index: int
    sound: str
    start: float


def _shapes(**sounds: str) -> Mapping[str, str]:
    return MappingProxyType({sound: shape for shape, group in sounds.items() for sound in group.split()})


MOUTH_SHAPES = _shapes(
    open_medium="a e i æ ɐ ɑ ɒ ə ɚ ɛ ɜ ɝ ɪ ʌ",
    open_round="o u w ɔ ø œ ʊ ʍ ɥ",
    lips_together="m p b β",
    lip_bite="f v",
    teeth_close="t d s z c ð θ ʃ ʒ ɾ",
    tongue_up="l ɫ ʎ ɭ",
    closed=SILENCE,
)
"""Mouth shapes by sound. The shapes and their letters are those that Lokutor's lip-sync guide suggests
(https://docs.lokutor.com/guides/lipsync); the phonetic symbols beside them are the letters' nearest kin, for
the local server's voice. Give :func:`mouth_shape` a table of your own where your avatar has other shapes."""


def mouth_shape(sound: str, shapes: Mapping[str, str] = MOUTH_SHAPES) -> str | None:
    """Return the mouth shape for a viseme's sound.

    Args:
        sound: A :attr:`Viseme.sound`. Case, stress and accents don't matter.
        shapes: From sounds in lower case to the names of your shapes.

    Returns:
        The shape of the whole sound, or of its first listed part (``"aɪ"`` is an ``"a"``). None if the
        table has
        neither: keep the current shape.
    """
    folded = sound.casefold()
    if folded in shapes or folded == SILENCE:
        return shapes.get(folded)
    parts = unicodedata.normalize("NFD", folded)
    return next((shapes[part] for part in parts if part in shapes), None)

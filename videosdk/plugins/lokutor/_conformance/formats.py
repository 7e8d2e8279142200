"""What format audio has, by its bytes alone.

Rule of this file: pure. It names what it recognises, and nothing else; who hears noise can then be told why.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import eq, sub

from .._audio.pcm import SAMPLE_RATE, SAMPLE_WIDTH

SMOOTH = 0.8
"""Roughness below which audio can be speech."""
_SMOOTHER = 1.5
"""How much rougher it must be read in another way."""
_MAGIC = {
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"\xff\xfa": "MP3",
    b"\xff\xf3": "MP3",
    b"\xff\xf2": "MP3",
    b"\xff\xf1": "AAC",
    b"\xff\xf9": "AAC",
    b"fLaC": "FLAC",
    b"\x1aE\xdf\xa3": "WebM",
}
_RIFF = b"RIFF"
_LONGEST_HEADER = 512
"""Bytes within which the data of a WAV begins."""
_FMT_BYTES = 16
_LOOKED_AT = 20 * SAMPLE_RATE * SAMPLE_WIDTH
"""Bytes that are looked at: 20 seconds."""
_STEREO = 0.99
"""Part of the pairs of samples that are equal in stereo of one voice."""
_LOUDEST = 4.0
_FEWEST = SAMPLE_RATE // 10
"""Samples from which on a format can be told."""


def whole(pcm: bytes) -> bytes:
    """Return audio without half a sample at its end."""
    return pcm[: len(pcm) - len(pcm) % SAMPLE_WIDTH]


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The header of a WAV.

    Attributes:
        size: Its bytes, up to the audio.
        says: What it says of the format.
    """

    size: int
    says: str


def wav_header(pcm: bytes) -> WavHeader | None:
    """Return the header that audio begins with, or None."""
    head = pcm[:_LONGEST_HEADER]
    data, fmt = head.find(b"data"), head.find(b"fmt ")
    if not (head.startswith(_RIFF) and data > 0 and fmt > 0) or len(head) < fmt + 8 + _FMT_BYTES:
        return None
    _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, fmt + 8)
    return WavHeader(data + 8, f"{rate} Hz, {channels} channel{'s' * (channels != 1)}, {bits} bits")


def without_header(pcm: bytes) -> bytes:
    """Return audio without the header of a WAV in front of it."""
    header = wav_header(pcm)
    return pcm if header is None else pcm[header.size :]


def container_of(data: bytes) -> str | None:
    """Return what file it begins like, or None."""
    if data.startswith(_RIFF):
        return "WAV"
    name = next((name for head, name in _MAGIC.items() if data.startswith(head)), None)
    return "Ogg with Opus" if name == "Ogg" and b"OpusHead" in data[:_LONGEST_HEADER] else name


def is_curve(pcm: bytes) -> bool:
    """Return whether audio is a curve if it is read as it should be."""
    little = roughness(pcm)
    return little < SMOOTH and little * _SMOOTHER < roughness(pcm, big=True)


def encoding_of(pcm: bytes) -> str | None:
    """Return as what else than noted it is a curve, or None."""
    data = whole(pcm[:_LOOKED_AT])
    if len(data) < SAMPLE_WIDTH * _FEWEST:
        return None
    if _is_float(data):
        return "32-bit floating point"
    if _is_smoother_unsigned(data):
        return _in_bytes(data) or "unsigned 16-bit"
    if is_curve(data) or channels_of(data) is not None:
        return None
    if roughness(data, big=True) * _SMOOTHER < min(roughness(data), SMOOTH):
        return "big-endian 16-bit"
    return _in_bytes(data)


def channels_of(pcm: bytes) -> str | None:
    """Return how it is stereo, or None if it isn't."""
    data = pcm[:_LOOKED_AT]
    left, right = (_samples(data)[start::2] for start in (0, 1))
    count = min(len(left), len(right))
    if count < _FEWEST:
        return None
    if sum(map(eq, left, right)) > _STEREO * count:
        return "each sample comes twice, as in stereo"
    heard = [_roughness(side) for side in (left, right) if any(side)]
    is_stereo = heard and max(heard) < SMOOTH and max(heard) * _SMOOTHER < roughness(data)
    return "it is a curve only as two channels, as in stereo" if is_stereo else None


def roughness(pcm: bytes, *, big: bool = False) -> float:
    """Return how much neighbouring samples differ, beside how loud they are: little in speech."""
    return _roughness(_samples(pcm, big=big))


def _roughness(samples: array[int] | list[int]) -> float:
    loud = sum(map(abs, samples))
    return _variation(samples) / loud if loud else 1.0


def _is_smoother_unsigned(pcm: bytes) -> bool:
    """Return whether neighbouring samples differ so much less if none of them is negative.

    What is read with the wrong sign leaps over its whole range wherever a wave crosses its middle.
    """
    signed, unsigned = (_variation(_samples(pcm, kind)) for kind in ("h", "H"))
    return unsigned * _SMOOTHER < signed


def _is_float(pcm: bytes) -> bool:
    values = array("f", pcm[: len(pcm) - len(pcm) % 4])
    if sys.byteorder == "big":
        values.byteswap()
    # What is no number fails here as well. Of integers, most would be far larger or next to nothing.
    if not all(-_LOUDEST < value < _LOUDEST for value in values):
        return False
    return any(values) and _roughness([round(value * 32767) for value in values]) < SMOOTH


def _in_bytes(data: bytes) -> str | None:
    """Return which encoding in single bytes is the smoothest, if it is one of a curve."""
    found = {name: _centred([table[byte] for byte in data]) for name, table in _byte_tables().items()}
    best = min(found, key=lambda name: found[name])
    return best if found[best] < SMOOTH and found[best] * _SMOOTHER < roughness(data) else None


def _centred(samples: list[int]) -> float:
    """Return the roughness of samples around their mean: a wrong table may move them all."""
    mean = sum(samples) // len(samples)
    return _roughness([sample - mean for sample in samples])


@lru_cache(maxsize=1)
def _byte_tables() -> dict[str, list[int]]:
    return {
        "8-bit mu-law": [_mu_law(byte) for byte in range(256)],
        "8-bit A-law": [_a_law(byte) for byte in range(256)],
        "unsigned 8-bit": [(byte - 128) << 8 for byte in range(256)],
        "signed 8-bit": [(byte - 256 * (byte > 127)) << 8 for byte in range(256)],  # noqa: PLR2004
    }


def _mu_law(byte: int) -> int:
    """Return a sample of ITU-T G.711, mu-law."""
    byte = ~byte & 0xFF
    size = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -size if byte & 0x80 else size


def _a_law(byte: int) -> int:
    """Return a sample of ITU-T G.711, A-law."""
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, byte & 0x0F
    size = (mantissa << 4) + 8 if not exponent else (mantissa << 4) + 0x108 << exponent - 1
    return size if byte & 0x80 else -size


def _samples(pcm: bytes, kind: str = "h", *, big: bool = False) -> array[int]:
    samples: array[int] = array(kind, whole(pcm))
    if big is (sys.byteorder == "little"):
        samples.byteswap()
    return samples


def _variation(samples: Iterable[int]) -> int:
    values = list(samples)
    return sum(map(abs, map(sub, islice(values, 1, None), values)))  # In C: there are a hundred thousand.

"""What format audio has, by its bytes alone.

Rule of this file: pure. It names what it recognises, and nothing else; who hears noise can then be told why.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from functools import cached_property, lru_cache
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


class Waveform:
    """Audio, and what it is if it is read in one way or another; each is found out once.

    Args:
        pcm: What follows a header, if there is one.
    """

    def __init__(self, pcm: bytes) -> None:
        self._data = whole(pcm[:_LOOKED_AT])

    @cached_property
    def roughness(self) -> float:
        """How much neighbouring samples differ, beside how loud they are: little in speech."""
        return _roughness(self._samples, self._signed_variation)

    @cached_property
    def swapped_roughness(self) -> float:
        """The same with the bytes of each sample swapped."""
        return _roughness(_samples(self._data, big=True))

    @cached_property
    def is_curve(self) -> bool:
        """Whether it is a curve if it is read as it should be."""
        return self.roughness < SMOOTH and self.roughness * _SMOOTHER < self.swapped_roughness

    @cached_property
    def encoding(self) -> str | None:
        """As what else than noted it is a curve, or None."""
        data = self._data
        if len(data) < SAMPLE_WIDTH * _FEWEST:
            return None
        if _is_float(data):
            return "32-bit floating point"
        if self._is_smoother_unsigned:
            return _in_bytes(data, self.roughness) or "unsigned 16-bit"
        if self.is_curve or self.channels is not None:
            return None
        if self.swapped_roughness * _SMOOTHER < min(self.roughness, SMOOTH):
            return "big-endian 16-bit"
        return _in_bytes(data, self.roughness)

    @cached_property
    def channels(self) -> str | None:
        """How it is stereo, or None if it isn't."""
        left, right = (self._samples[start::2] for start in (0, 1))
        count = min(len(left), len(right))
        if count < _FEWEST:
            return None
        if sum(map(eq, left, right)) > _STEREO * count:
            return "each sample comes twice, as in stereo"
        heard = [side for side in (left, right) if any(side)]
        is_stereo = heard and all(map(self._is_smoother, heard))
        return "it is a curve only as two channels, as in stereo" if is_stereo else None

    def _is_smoother(self, side: list[int]) -> bool:
        roughness = _roughness(side)
        return roughness < SMOOTH and roughness * _SMOOTHER < self.roughness

    @cached_property
    def _samples(self) -> list[int]:
        return _samples(self._data)

    @cached_property
    def _signed_variation(self) -> int:
        return _variation(self._samples)

    @property
    def _is_smoother_unsigned(self) -> bool:
        """Whether neighbouring samples differ so much less if none of them is negative.

        What is read with the wrong sign leaps over its whole range wherever a wave crosses its middle.
        """
        return _variation(_samples(self._data, "H")) * _SMOOTHER < self._signed_variation


def _roughness(samples: list[int], variation: int | None = None) -> float:
    loud = sum(map(abs, samples))
    if not loud:
        return 1.0
    return (_variation(samples) if variation is None else variation) / loud


def _is_float(pcm: bytes) -> bool:
    values = array("f", pcm[: len(pcm) - len(pcm) % 4])
    if sys.byteorder == "big":
        values.byteswap()
    # What is no number fails here as well. Of integers, most would be far larger or next to nothing.
    if not all(-_LOUDEST < value < _LOUDEST for value in values):
        return False
    return any(values) and _roughness([round(value * 32767) for value in values]) < SMOOTH


def _in_bytes(data: bytes, roughness: float) -> str | None:
    """Return which encoding in single bytes is the smoothest, if it is one of a curve.

    Args:
        data: The audio.
        roughness: How rough it is as samples of 16 bits.
    """
    found = {name: _centred([table[byte] for byte in data]) for name, table in _byte_tables().items()}
    best = min(found, key=lambda name: found[name])
    return best if found[best] < SMOOTH and found[best] * _SMOOTHER < roughness else None


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


def _samples(pcm: bytes, kind: str = "h", *, big: bool = False) -> list[int]:
    samples: array[int] = array(kind, pcm)
    if big is (sys.byteorder == "little"):
        samples.byteswap()
    return samples.tolist()


def _variation(samples: list[int]) -> int:
    return sum(map(abs, map(sub, islice(samples, 1, None), samples)))  # In C: there are a hundred thousand.

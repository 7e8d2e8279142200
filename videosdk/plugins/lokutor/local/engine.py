"""What a voice of the local server must be able to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from .._wire.protocol import SpeechRequest
from ..visemes import Viseme


class SynthesisError(Exception):
    """The engine could not speak a request; it can speak the next."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of synthesized speech.

    Attributes:
        pcm: 44 100 Hz, signed 16-bit little-endian, mono; whole samples.
        visemes: What sounds from this piece on, in order; never later than its audio.
    """

    pcm: bytes
    visemes: tuple[Viseme, ...] = ()


class Engine(Protocol):
    """A voice. Several requests may be synthesized at the same time."""

    async def start(self) -> None:
        """Get ready. Idempotent."""

    async def close(self) -> None:
        """Release everything. Idempotent."""

    def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        """Return the speech for ``request``, piece by piece, as it is made.

        Closing the generator ends the synthesis.

        Raises:
            SynthesisError: On iteration: the engine failed.
        """
        ...

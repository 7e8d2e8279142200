"""A WAV file that is there when it is whole, or not at all."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ._protocol import SAMPLE_WIDTH


class WavError(Exception):
    """The file can't be written; the message says which and why."""


class WavFile:
    """Writes speech to ``path``, as a context.

    The file appears under its name at a clean end, and takes the place of an older one. Whatever else
    ends the context leaves neither a part of it nor a scratch.

    Args:
        path: Where to write. A link is followed.
        rate: Sample rate in Hz.

    Raises:
        WavError: On entering, writing or leaving.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._target = Path(os.path.realpath(path))  # Path.resolve() raises for a loop of links.
        self._part = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
        self._written = 0

    @property
    def duration(self) -> float:
        """Seconds of audio that were written."""
        return self._written / (self._rate * SAMPLE_WIDTH)

    def write(self, pcm: bytes) -> None:
        """Append whole samples, signed 16-bit little-endian mono."""
        with self._explained():
            self._wav.writeframesraw(pcm)
        self._written += len(pcm)

    def __enter__(self) -> Self:
        # The rename asks nobody: it would put a file in place of /dev/null, and of a read-only one.
        with self._explained():
            if self._target.exists() and not (self._target.is_file() and os.access(self._target, os.W_OK)):
                raise WavError(f"can't write {self._path}: it is not a writable file")
            self._file = self._part.open("xb")
        self._wav = wave.open(self._file, "wb")
        self._wav.setparams((1, SAMPLE_WIDTH, self._rate, 0, "NONE", "not compressed"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._explained():
                with self._file:
                    self._wav.close()
                if kind is None:
                    self._part.replace(self._target)
        finally:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WavError(f"can't write {self._path}: {error.strerror}") from None

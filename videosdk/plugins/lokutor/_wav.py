"""WAV files: one that is there when it is whole or not at all, and one that is written as it comes."""

from __future__ import annotations

import os
import queue
import secrets
import stat
import struct
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ._protocol import SAMPLE_WIDTH

_UNKNOWN_SIZE = 0xFFFF_FFFF
"""What players take for "until the end", where a header can't be corrected afterwards."""


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
        # Without the target's name, which may be as long as names can be, and without the process id, which
        # a process that was killed may have left here.
        self._part = self._target.parent / f".lokutor-{secrets.token_hex(8)}.part"
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
        with self._explained():
            self._check_target()
            try:
                self._file = self._part.open("xb")
                self._wav = wave.open(self._file, "wb")
            except BaseException:  # Such as a Ctrl-C, before there is a context to end.
                self._part.unlink(missing_ok=True)
                raise
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

    def _check_target(self) -> None:
        """Refuse what the rename at the end would not: it would replace /dev/null, and a read-only file."""
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) and os.access(self._target, os.W_OK)):
            raise WavError(f"can't write {self._path}: it is not a writable file")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WavError(f"can't write {self._path}: {error.strerror}") from None


class WavStream:
    """Writes speech to standard output as it comes, as a context: for a pipe to a player.

    A thread writes, so that a reader that is slow or paused holds up nothing but the end of the context.

    Args:
        descriptor: That of standard output. It stays open.
        rate: Sample rate in Hz.

    Raises:
        BrokenPipeError: On writing or leaving: the reader has gone.
        WavError: On writing or leaving.
    """

    def __init__(self, descriptor: int, rate: int) -> None:
        self._descriptor = descriptor
        self._rate = rate
        self._written = 0
        self._due: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._failure: OSError | None = None
        # A daemon: a Ctrl-C ends the process though the reader takes nothing.
        self._writer = threading.Thread(target=self._write_all, daemon=True)

    @property
    def duration(self) -> float:
        """Seconds of audio that were written."""
        return self._written / (self._rate * SAMPLE_WIDTH)

    def write(self, pcm: bytes) -> None:
        """Append whole samples, signed 16-bit little-endian mono."""
        self._check()
        self._due.put(pcm if self._written else _endless_header(self._rate) + pcm)
        self._written += len(pcm)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._due.put(None)
        if kind is None or issubclass(kind, Exception):
            self._writer.join()
        if kind is None:
            self._check()

    def _check(self) -> None:
        if isinstance(self._failure, BrokenPipeError):
            raise self._failure
        if self._failure is not None:
            raise WavError(f"can't write to standard output: {self._failure.strerror}")

    def _write_all(self) -> None:
        try:
            while (data := self._due.get()) is not None:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._failure = error


def _endless_header(rate: int) -> bytes:
    """Return the head of a mono WAV whose length is not known yet."""
    form = (16, 1, 1, rate, rate * SAMPLE_WIDTH, SAMPLE_WIDTH, 8 * SAMPLE_WIDTH)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", _UNKNOWN_SIZE, b"WAVE", b"fmt ", *form, b"data", _UNKNOWN_SIZE
    )

"""The service's audio on its way to the listener.

Rule of this file: it knows no socket and no request. PCM of the service goes in, whole samples at the
listener's rate go to a sink that is passed in: a track for a live turn, a bounded queue for a stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ._protocol import SAMPLE_RATE, SAMPLE_WIDTH
from ._resample import Resampler
from .errors import TrackError

logger = logging.getLogger("videosdk.plugins.lokutor")

Sink = Callable[[bytes], Awaitable[None]]
FirstAudio = Callable[[], Awaitable[None]]

_FRAME_SECONDS = 0.02
"""The track hands out frames of this length; a shorter rest never plays."""
_SLICE_BYTES = SAMPLE_RATE // 4 * SAMPLE_WIDTH
"""0.25 s of the service's audio: about 1 ms of work, so that a huge message never stalls the loop."""


class AudioOutput:
    """Converts one utterance's audio and writes it to its sink.

    Args:
        sink: Takes whole samples, signed 16-bit little-endian mono at ``rate``.
        rate: The listener's rate in Hz.
        on_first_audio: Awaited once, just before the first bytes go to the sink.
    """

    def __init__(self, sink: Sink, rate: int, on_first_audio: FirstAudio | None = None) -> None:
        self._sink = sink
        self._rate = rate
        self._on_first_audio = on_first_audio
        self._resampler = Resampler(SAMPLE_RATE, rate)
        self._received = 0
        self._written = 0
        self._closed = False

    @property
    def seconds_received(self) -> float:
        """Seconds of the service's audio taken so far."""
        return self._received / (SAMPLE_RATE * SAMPLE_WIDTH)

    @property
    def seconds_written(self) -> float:
        """Seconds of audio handed to the sink so far."""
        return self._written / self._rate

    @property
    def samples_written(self) -> int:
        """Samples handed to the sink so far, at the listener's rate."""
        return self._written

    async def write(self, pcm: bytes) -> None:
        """Take a piece of the service's audio, of any size, and write what can be played by now."""
        self._received += len(pcm)
        view = memoryview(pcm)
        for start in range(0, len(view), _SLICE_BYTES):
            if start:
                await asyncio.sleep(0)
            await self._emit(self._resampler.process(bytes(view[start : start + _SLICE_BYTES])))

    async def finish(self) -> None:
        """Write the rest, then silence up to a whole 20 ms frame: a shorter rest would never play."""
        await self._emit(self._resampler.flush())
        frame = int(self._rate * _FRAME_SECONDS)
        await self._emit(bytes(-self._written % frame * SAMPLE_WIDTH))

    async def announce(self) -> None:
        """Await the first-audio callback, unless it was already.

        For an utterance that fails before its audio as well: a turn waits for this callback.
        """
        callback, self._on_first_audio = self._on_first_audio, None
        if callback is None:
            return
        try:
            await callback()
        except Exception:  # The listener's audio doesn't depend on somebody's callback.
            logger.exception("The first-audio callback raised")

    def close(self) -> None:
        """Write nothing more, whatever is still under way."""
        self._closed = True

    async def _emit(self, pcm: bytes) -> None:
        if not pcm or self._closed:
            return
        await self.announce()
        if self._closed:
            return
        self._written += len(pcm) // SAMPLE_WIDTH
        try:
            await self._sink(pcm)
        except Exception as error:
            self._closed = True
            raise TrackError(f"The audio track raised {type(error).__name__}: {error}") from error

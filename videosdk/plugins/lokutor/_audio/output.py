"""The service's audio on its way to the listener.

Rule of this file: it knows no socket and no request. PCM of the service goes in, whole samples at the
listener's rate go to a sink that is passed in: a track for a live turn, a bounded queue for a stream.

The sink may suspend (avatars and network tracks do), and two tasks of an utterance write: the speaker while
audio comes, the feeder where it finds the text at its end. A lock lets one of them write at a time, so that
no piece overtakes another, and the utterance isn't settled before the last one was written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf

from .._tasks import was_cancelled
from ..errors import TrackError
from .pcm import BYTES_PER_SECOND, FRAME_SECONDS, SAMPLE_RATE, SAMPLE_WIDTH, SLICE_BYTES
from .resample import Resampler, lag_samples
from .silence import has_sound

logger = logging.getLogger("videosdk.plugins.lokutor")

Sink = Callable[[bytes], Awaitable[None]]
FirstAudio = Callable[[], Awaitable[None]]

_SHARE = 0.25
"""The share of what the listener has to hear for which small pieces may wait for each other: much of what it
costs to convert and write a piece doesn't depend on its size."""
_MOST_GATHERED = 0.3
"""Seconds of audio that wait at most."""
_READ_SHARE = 0.2
"""The share of it for which reading may be delayed,"""
_SHORTEST_DELAY = 0.02
"""if that is so many seconds at least."""
_DENSE = 0.002
"""Seconds for which pieces shorter than a frame of the track wait in any case. Tiny messages come faster than
they could be written one by one."""
_RELEASE_AT = 0.15
"""Seconds of audio that the listener still has when pieces are written though nothing more has come. Where
there is hardly more than that, they wait for the share above."""


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
        self._converter: Resampler | None = None
        self._clock = asyncio.get_running_loop().time
        self._released_at = -inf
        self._begun = 0.0  # When the first audio went to the sink.
        self._gathered = bytearray()
        self._writing = asyncio.Lock()
        self._received = 0
        self._ended_at = 0  # So much was received when all of it was sure to be heard.
        self._written = 0
        self._last = b""  # The last 20 ms that were written.
        self._closed = False

    @property
    def seconds_received(self) -> float:
        """Seconds of the service's audio taken so far."""
        return self._received / BYTES_PER_SECOND

    @property
    def seconds_written(self) -> float:
        """Seconds of audio handed to the sink so far."""
        return self._written / self._rate

    @property
    def busy(self) -> bool:
        """Whether something that has come is still to be handed to the sink."""
        return self.writing or len(self._gathered) >= SAMPLE_WIDTH

    @property
    def writing(self) -> bool:
        """Whether the sink is taking a piece."""
        return self._writing.locked()

    @property
    def rest_is_audible(self) -> bool:
        """Whether the last of what was written, which doesn't fill a frame, holds a sound."""
        rest = self._written % int(self._rate * FRAME_SECONDS)
        return rest > 0 and has_sound(self._last[-rest * SAMPLE_WIDTH :])

    @property
    def read_delay(self) -> float:
        """Seconds for which what comes next may wait to be read, as the listener has much more to hear."""
        delay = _READ_SHARE * self._headroom
        return delay if delay >= _SHORTEST_DELAY else 0.0

    @property
    def release_due(self) -> float:
        """Seconds after which what was gathered must be written, whether more comes or not."""
        headroom = self._headroom
        return max(headroom - _RELEASE_AT, _SHARE * headroom, 0.0)

    def prepare(self) -> None:
        """Do ahead what needs no audio, while the service is making it."""
        self._resampler()

    def gather(self, pcm: bytes) -> bool:
        """Take a piece of the service's audio, of any size. Return whether a :meth:`release` is due."""
        self._received += len(pcm)
        self._gathered += pcm
        patience = _SHARE * self._headroom
        enough = max(FRAME_SECONDS, min(patience, _MOST_GATHERED)) * BYTES_PER_SECOND
        return len(self._gathered) >= enough or self._clock() - self._released_at >= max(patience, _DENSE)

    def insert(self, silence: bytes) -> bool:
        """Take silence as :meth:`gather` takes audio. Half a sample goes behind it, to its other half."""
        half = self._take_half_sample()
        return self.gather(silence + half)

    def drop_half_sample(self) -> int:
        """Forget half a sample whose other half didn't come, since what follows would be noise.

        Returns:
            How many bytes were dropped: 1 or 0.
        """
        return len(self._take_half_sample())

    def end_sound(self) -> bytes:
        """Return the silence that must follow so that all of the audio is heard; maybe none.

        A rest shorter than a 20 ms frame doesn't play, and the resampler holds back its lag. The silence is
        in the service's format, and is to be gathered.
        """
        if self._received == self._ended_at:
            return b""
        lag = 0 if self._rate == SAMPLE_RATE else lag_samples(SAMPLE_RATE, self._rate)
        fading = lag // 2  # So long the filter goes on to sound.
        samples, frame = self._received // SAMPLE_WIDTH + fading, int(self._rate * FRAME_SECONDS)
        missing = -_ceil(samples * self._rate, SAMPLE_RATE) % frame
        silence = bytes((fading + _ceil(missing * SAMPLE_RATE, self._rate) + lag) * SAMPLE_WIDTH)
        self._ended_at = self._received + len(silence)
        return silence

    async def release(self) -> None:
        """Write what was gathered."""
        async with self._writing:
            await self._write_gathered()

    async def finish(self) -> None:
        """Write the rest, then silence up to a whole 20 ms frame: a shorter rest would never play."""
        async with self._writing:
            await self._write_gathered()
            await self._emit(self._resampler().flush())
            frame = int(self._rate * FRAME_SECONDS)
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
        except (Exception, asyncio.CancelledError) as error:
            if was_cancelled(error):
                raise
            # The listener's audio doesn't depend on somebody's callback.
            logger.exception("The first-audio callback raised")

    def close(self) -> None:
        """Write nothing more, whatever is still under way."""
        self._closed = True
        if self._converter is not None:
            self._converter.close()

    async def _write_gathered(self) -> None:
        """Write what was gathered by now, in slices that let others run between them.

        What is not written yet stays where it was gathered: half a sample at its end may still be dropped.
        """
        left = len(self._gathered)
        while left > 0 and self._gathered:
            piece = bytes(self._gathered[: min(left, SLICE_BYTES)])
            del self._gathered[: len(piece)]
            left -= len(piece)
            await self._emit(self._resampler().process(piece))
            self._released_at = self._clock()  # What has come while the sink took it can wait for more.
            if left > 0:
                await asyncio.sleep(0)

    def _take_half_sample(self) -> bytes:
        if not self._received % SAMPLE_WIDTH:
            return b""
        self._received -= 1
        return bytes([self._gathered.pop()]) if self._gathered else self._resampler().take_half_sample()

    def _resampler(self) -> Resampler:
        if self._converter is None:
            self._converter = Resampler(SAMPLE_RATE, self._rate)
        return self._converter

    @property
    def _headroom(self) -> float:
        """Seconds that the listener surely has to hear for now: none plays faster than the clock."""
        return self.seconds_written - (self._clock() - self._begun) if self._written else 0.0

    async def _emit(self, pcm: bytes) -> None:
        if not pcm or self._closed:
            return
        if not self._written:
            await self.announce()
            if self._closed:
                return
            self._begun = self._clock()
        self._written += len(pcm) // SAMPLE_WIDTH
        frame = int(self._rate * FRAME_SECONDS) * SAMPLE_WIDTH
        self._last = pcm[-frame:] if len(pcm) >= frame else (self._last + pcm)[-frame:]
        try:
            await self._sink(pcm)
        except (Exception, asyncio.CancelledError) as error:
            if was_cancelled(error):
                raise
            self._closed = True
            raise TrackError(f"The audio track raised {type(error).__name__}: {error}") from error


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)

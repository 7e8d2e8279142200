"""Streaming conversion of PCM from one rate to another.

Rule of this file: no event loop, no track, no protocol. What comes out depends only on the bytes that
went in, never on how they were cut.

The converter is libswresample, through PyAV, which ``videosdk`` itself installs. PyAV's plain
``AudioResampler`` is cheaper but aliases a 12.5 kHz tone at -20 dB going to 24 kHz, and soxr holds back
its first 40 ms; a filter graph with a longer filter does neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.error import BlockingIOError as NothingReady
from av.error import EOFError as EndOfStream
from av.filter import Graph
from av.filter.context import FilterContext

from .pcm import SAMPLE_WIDTH

_FILTER_SIZE = 64  # Taps at the lower rate: 1.4 ms of lag at 24 kHz.
_CUTOFF = 0.955  # Of the lower Nyquist frequency: flat to 10 kHz and clean from 12.5 kHz at 24 kHz.


class Resampler:
    """Converts signed 16-bit little-endian mono PCM, piece by piece.

    Args:
        source_rate: Rate of the PCM that goes in, in Hz.
        target_rate: Rate of the PCM that comes out, in Hz.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._source_rate = source_rate
        self._target_rate = target_rate
        self._odd = b""
        self._consumed = 0
        self._produced = 0
        self._graph = None if source_rate == target_rate else _Graph(source_rate, target_rate)

    def process(self, pcm: bytes) -> bytes:
        """Take the next piece and return what can be played by now.

        Args:
            pcm: Any number of bytes, a sample split over two pieces included.

        Returns:
            Whole samples at the target rate, all but the filter's lag; possibly empty.
        """
        data = self._odd + pcm if self._odd else pcm
        whole = len(data) - len(data) % SAMPLE_WIDTH
        self._odd = data[whole:]
        self._consumed += whole // SAMPLE_WIDTH
        return self._convert(data[:whole] if self._odd else data)

    def take_half_sample(self) -> bytes:
        """Give back half a sample that waits for its other half."""
        half, self._odd = self._odd, b""
        return half

    def flush(self) -> bytes:
        """End the stream and return its rest.

        All that :meth:`process` and this returned together has exactly
        ``ceil(samples_in * target_rate / source_rate)`` samples. Half a sample left at the very end is
        dropped. The converter takes no more input afterwards.

        Returns:
            Whole samples at the target rate; possibly empty.
        """
        self._odd = b""
        due = self._samples_due() - self._produced
        if due <= 0 or self._graph is None:
            return b""
        # Silence pushes the filter's lag out. Its own flush mirrors the last samples instead, and
        # comes out short for an input that is shorter than the filter.
        silence = bytes(lag_samples(self._source_rate, self._target_rate) * SAMPLE_WIDTH)
        rest = self._graph.convert(silence)[: due * SAMPLE_WIDTH]
        self._produced += len(rest) // SAMPLE_WIDTH
        return rest

    def _convert(self, pcm: bytes) -> bytes:
        if not pcm or self._graph is None:
            return pcm
        converted = self._graph.convert(pcm)
        self._produced += len(converted) // SAMPLE_WIDTH
        return converted

    def _samples_due(self) -> int:
        return -(-self._consumed * self._target_rate // self._source_rate)


def lag_samples(source_rate: int, target_rate: int) -> int:
    """Samples of silence, at the source rate, that push everything before them out of the filter."""
    factor = -(-source_rate // target_rate)  # The filter is that much longer when the rate goes down.
    return 2 * (_FILTER_SIZE + 1) * factor


class _Graph:
    """The filter graph ``abuffer -> aresample -> abuffersink``."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rate = source_rate
        self._time_base = Fraction(1, source_rate)
        self._pts = 0
        with _one_thread():
            self._graph = Graph()
            self._source, self._sink = self._build(source_rate, target_rate)

    def _build(self, source_rate: int, target_rate: int) -> tuple[FilterContext, FilterContext]:
        source = self._graph.add_abuffer(
            format="s16", sample_rate=source_rate, layout="mono", time_base=self._time_base
        )
        converter = self._graph.add("aresample", f"{target_rate}:filter_size={_FILTER_SIZE}:cutoff={_CUTOFF}")
        sink = self._graph.add("abuffersink")
        source.link_to(converter)
        converter.link_to(sink)
        self._graph.configure()
        return source, sink

    def convert(self, pcm: bytes) -> bytes:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // SAMPLE_WIDTH)
        frame.planes[0].update(pcm)
        frame.sample_rate = self._rate
        frame.time_base = self._time_base
        frame.pts = self._pts
        self._pts += frame.samples
        self._source.push(frame)
        return self._pull()

    def _pull(self) -> bytes:
        """Return what became of the frame that was pushed; nothing, where it was too short.

        One frame becomes one at most, so the sink isn't asked until it is empty: PyAV leaks a string
        with each exception, and that would be one for each message.
        """
        try:
            frame = self._sink.pull()
        except (NothingReady, EndOfStream):
            return b""
        assert isinstance(frame, av.AudioFrame)
        # The plane is padded to an alignment; the frame's samples are not.
        return bytes(frame.planes[0])[: frame.samples * SAMPLE_WIDTH]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep libavfilter from starting a thread for each core, of which these filters use none.

    PyAV doesn't pass on libavfilter's own option for it, so the calling thread sees one core for the
    moment. Without it, a graph takes 155 KiB instead of 5 on two cores, and up to 17 threads on more.
    """
    try:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
    except (AttributeError, OSError):  # Not on this system: threads, then.
        yield
        return
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)

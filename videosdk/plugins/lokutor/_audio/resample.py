"""Streaming conversion of PCM from one rate to another.

Rule of this file: no event loop, no track, no protocol. What comes out depends only on the bytes that
went in, never on how they were cut.

The converter is libswresample, through PyAV, which ``videosdk`` itself installs. PyAV's plain
``AudioResampler`` is cheaper but aliases a 12.5 kHz tone at -20 dB going to 24 kHz, and soxr holds back
its first 40 ms; a filter graph with a longer filter does neither.

Building a graph costs as much as converting more than a second of audio, so one whose stream is over serves
another. Before each stream, silence pushes out what the last one has left, and goes on until a sample of one
rate falls on a sample of the other. A new graph gets such silence too, so that all streams begin alike.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import gcd

import av
from av.error import BlockingIOError as NothingReady
from av.error import EOFError as EndOfStream
from av.filter import Graph
from av.filter.context import FilterContext

from .pcm import SAMPLE_WIDTH

_FILTER_SIZE = 64  # Taps at the lower rate: 1.4 ms of lag at 24 kHz.
_CUTOFF = 0.955  # Of the lower Nyquist frequency: flat to 10 kHz and clean from 12.5 kHz at 24 kHz.
_LONGEST_PERIOD = 1_000
"""Samples at the source rate that are silence at most. Where it takes more, a new graph costs less."""
_UNUSED_GRAPHS = 64
"""Graphs that are kept for each pair of rates: 5 KiB each."""


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
        self._closed = False
        self._graph = None if source_rate == target_rate else _begin_graph(source_rate, target_rate)

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

    def close(self) -> None:
        """End the stream without its rest: its graph serves another one, and nothing more comes out."""
        graph, self._graph = self._graph, None
        self._closed = True
        if graph is not None:
            graph.give_back()

    def _convert(self, pcm: bytes) -> bytes:
        if not pcm or self._graph is None:
            return b"" if self._closed else pcm
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
        self._rates = source_rate, target_rate
        self._time_base = Fraction(1, source_rate)
        self._taken = self._given = 0  # Samples of all streams.
        self._skip = 0  # Samples of the last stream that are still to come.
        with _one_thread():
            self._graph = Graph()
            self._source, self._sink = self._build(source_rate, target_rate)

    def begin(self) -> None:
        """Begin a stream with silence before it."""
        source_rate, target_rate = self._rates
        lag = lag_samples(source_rate, target_rate)
        missing = -(self._taken + lag) % _period(source_rate, target_rate)
        self._skip = 0
        self.convert(bytes((lag + missing) * SAMPLE_WIDTH))
        self._skip = self._taken * target_rate // source_rate - self._given

    def give_back(self) -> None:
        """Let another stream have it, if it can begin one."""
        if _period(*self._rates) <= _LONGEST_PERIOD:
            _unused[self._rates].append(self)

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
        """Return what can be played of the stream by now, without what is left of the one before."""
        converted = self._push(pcm)
        self._given += len(converted) // SAMPLE_WIDTH
        if not self._skip:
            return converted
        skipped = min(self._skip, len(converted) // SAMPLE_WIDTH)
        self._skip -= skipped
        return converted[skipped * SAMPLE_WIDTH :]

    def _push(self, pcm: bytes) -> bytes:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // SAMPLE_WIDTH)
        frame.planes[0].update(pcm)
        frame.sample_rate = self._rates[0]
        frame.time_base = self._time_base
        frame.pts = self._taken
        self._taken += frame.samples
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
        return bytes(memoryview(frame.planes[0])[: frame.samples * SAMPLE_WIDTH])


_unused: defaultdict[tuple[int, int], deque[_Graph]] = defaultdict(lambda: deque(maxlen=_UNUSED_GRAPHS))
"""Graphs whose streams are over. Two threads never get the same one: pop() and append() are atomic."""


def _begin_graph(source_rate: int, target_rate: int) -> _Graph:
    try:
        graph = _unused[source_rate, target_rate].pop()
    except IndexError:
        graph = _Graph(source_rate, target_rate)
    graph.begin()
    return graph


def _period(source_rate: int, target_rate: int) -> int:
    """Return after how many samples at the source rate one falls on a sample at the target rate."""
    return source_rate // gcd(source_rate, target_rate)


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

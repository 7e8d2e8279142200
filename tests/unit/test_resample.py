"""44 100 Hz in, the track's rate out: how it sounds, and that how it was cut makes no difference."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from av.filter import Graph
from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each

from videosdk.plugins.lokutor._audio import resample
from videosdk.plugins.lokutor._audio.resample import Resampler

SOURCE = 44_100
RATES = [8_000, 16_000, 24_000, 44_100, 48_000]
ODD_RATES = [8_001, 11_025, 22_050, 32_000, 44_099, 96_000, 192_000]
LOUD = 20_000.0
Samples = np.ndarray[tuple[int], np.dtype[np.float64]]


def converted(pieces: Iterable[bytes], rate: int) -> bytes:
    resampler = Resampler(SOURCE, rate)
    return b"".join([resampler.process(piece) for piece in pieces]) + resampler.flush()


def cut(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


@cache
def tone(frequency: float, samples: int = SOURCE) -> bytes:
    wave = np.sin(2 * np.pi * frequency * np.arange(samples) / SOURCE)
    return (LOUD * wave).round().astype("<i2").tobytes()


@cache
def noise(samples: int) -> bytes:
    return np.random.default_rng(7).integers(-20_000, 20_000, samples).astype("<i2").tobytes()


def heard(pcm: bytes, rate: int) -> Samples:
    return np.frombuffer(converted(cut(pcm, 4096), rate), "<i2").astype(np.float64)


def fit(samples: Samples, frequency: float, rate: int) -> tuple[float, float, float]:
    """Return amplitude, phase and the level of the residual in dB of the sine that fits best."""
    angles = 2 * np.pi * frequency * np.arange(len(samples)) / rate
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    (sine, cosine), *_ = np.linalg.lstsq(waves, samples, rcond=None)
    residual = samples - waves @ np.array([sine, cosine])
    amplitude = math.hypot(sine, cosine)
    ratio = 20 * math.log10(amplitude / math.sqrt(2) / float(residual.std()))
    return amplitude, math.atan2(cosine, sine), ratio


def steady(samples: Samples) -> Samples:
    """Leave out the first and last tenth, where the tone begins and ends at once."""
    return samples[len(samples) // 10 : -len(samples) // 10]


# --- sound -------------------------------------------------------------------------------------------

HEARABLE = [
    (rate, frequency)
    for rate in (8_000, 16_000, 24_000, 48_000)
    for frequency in (50, 440, 1_000, 3_000, 6_000, 8_000, 10_000)
    if frequency < rate * 0.42
]


@each(("rate", "frequency"), HEARABLE)
def test_a_tone_stays_clean_loud_and_in_time(rate: int, frequency: int) -> None:
    samples = heard(tone(frequency), rate)
    start = len(samples) // 10
    amplitude, phase, ratio = fit(steady(samples), frequency, rate)
    assert ratio >= 85
    assert abs(20 * math.log10(amplitude / LOUD)) < 0.5
    expected = 2 * math.pi * frequency * start / rate
    shift = math.remainder(phase - expected, 2 * math.pi)
    assert abs(shift) < 0.02  # No output sample is early or late.


@pytest.mark.parametrize("frequency", [12_500, 13_000, 15_000, 18_000, 20_000, 21_500])
def test_what_24_khz_cannot_hold_leaves_no_alias(frequency: int) -> None:
    alias = steady(heard(tone(frequency), 24_000))
    assert float(alias.std()) * math.sqrt(2) / LOUD < 10 ** (-80 / 20)


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("excess", [1.1, 1.3, 2.0])
def test_lower_rates_leave_no_alias_either(rate: int, excess: float) -> None:
    alias = steady(heard(tone(rate / 2 * excess), rate))
    assert float(alias.std()) * math.sqrt(2) / LOUD < 10 ** (-80 / 20)


def test_full_scale_does_not_wrap_around() -> None:
    square = np.repeat(np.tile(np.array([32_767, -32_768], "<i2"), 200), 50)
    samples = heard(square.tobytes(), 24_000)
    middles = samples[np.round(np.arange(20, 380) * 50 * 24_000 / SOURCE + 13.6).astype(int)]
    assert np.array_equal(np.sign(middles), np.tile([1.0, -1.0], 180))


def test_silence_stays_silence() -> None:
    assert not any(converted(cut(bytes(20_000), 999), 24_000))


# --- lag ---------------------------------------------------------------------------------------------


@each(
    ("rate", "limit"), [(8_000, 0.009), (16_000, 0.0045), (24_000, 0.003), (44_100, 0.001), (48_000, 0.002)]
)
@each("piece", [15, 100, 882])
def test_the_lag_is_small_at_every_moment(rate: int, limit: float, piece: int) -> None:
    resampler = Resampler(SOURCE, rate)
    produced = 0
    for consumed in range(piece, SOURCE // 2, piece):
        produced += len(resampler.process(noise(piece))) // 2
        assert consumed / SOURCE - produced / rate <= limit


@pytest.mark.parametrize("rate", RATES)
def test_the_first_20_ms_already_give_something_to_play(rate: int) -> None:
    assert len(Resampler(SOURCE, rate).process(noise(SOURCE // 50))) > 0.01 * rate * 2


# --- length ------------------------------------------------------------------------------------------


@each("rate", RATES)
@each("samples", [*range(20), 63, 64, 65, 440, 441, 442, 1_000, 4_409, 44_100, 100_003])
def test_the_length_is_exact_to_a_sample(samples: int, rate: int) -> None:
    pcm = converted(cut(noise(samples), 1_000), rate)
    assert len(pcm) == 2 * math.ceil(samples * rate / SOURCE)


@each("rate", ODD_RATES)
@each("samples", [1, 2, 7, 500, 20_001])
def test_the_length_is_exact_at_every_rate_that_a_user_may_set(samples: int, rate: int) -> None:
    pcm = converted(cut(noise(samples), 333), rate)
    assert len(pcm) == 2 * math.ceil(samples * rate / SOURCE)
    assert pcm == converted([noise(samples)], rate)


@pytest.mark.parametrize("rate", RATES)
def test_half_a_sample_at_the_end_is_dropped(rate: int) -> None:
    assert converted([noise(500) + b"\x7f"], rate) == converted([noise(500)], rate)
    assert converted([b"\x7f"], rate) == b""


@pytest.mark.parametrize("rate", RATES)
def test_a_stream_without_a_byte_is_empty(rate: int) -> None:
    assert converted([], rate) == b""
    assert converted([b"", b""], rate) == b""


def test_a_short_click_is_not_lost() -> None:
    click = np.array([20_000], "<i2").tobytes()
    assert max(np.abs(np.frombuffer(converted([click], 24_000), "<i2"))) > 5_000


def test_the_end_is_not_a_mirror_of_what_came_before() -> None:
    """The last sample of a ramp is its top: nothing follows it but silence."""
    ramp = np.linspace(0, 20_000, 4_410).astype("<i2")
    longer = converted([ramp.tobytes() + bytes(2_000)], 24_000)
    assert longer.startswith(converted([ramp.tobytes()], 24_000))


def test_the_same_rate_passes_through_whole_samples() -> None:
    resampler = Resampler(SOURCE, SOURCE)
    assert resampler.process(b"\x01\x02\x03") == b"\x01\x02"
    assert resampler.process(b"\x04") == b"\x03\x04"
    assert resampler.flush() == b""


# --- chunking ----------------------------------------------------------------------------------------


@each("rate", RATES)
@each("size", [1, 2, 3, 7, 882, 883, 4_095])
def test_the_bytes_do_not_depend_on_the_size_of_the_pieces(size: int, rate: int) -> None:
    pcm = noise(3_000)
    assert converted(cut(pcm, size), rate) == converted([pcm], rate)


@given(st.lists(st.integers(0, 3_000), max_size=30), st.sampled_from(RATES))
def test_the_bytes_do_not_depend_on_the_pieces(sizes: list[int], rate: int) -> None:
    pcm = noise(12_000)
    places = [0, *np.minimum(np.cumsum(sizes, dtype=int), len(pcm)).tolist(), len(pcm)]
    pieces = [pcm[start:end] for start, end in pairwise(places)]
    assert converted(pieces, rate) == converted([pcm], rate)


@given(st.binary(max_size=300), st.sampled_from(RATES))
def test_whatever_goes_in_the_length_is_exact(pcm: bytes, rate: int) -> None:
    assert len(converted(cut(pcm, 11), rate)) == 2 * math.ceil(len(pcm) // 2 * rate / SOURCE)


# --- one after another -------------------------------------------------------------------------------


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Return the filter graphs that are built from now on."""
    graphs: list[Graph] = []

    def build() -> Graph:
        graphs.append(Graph())
        return graphs[-1]

    monkeypatch.setattr(resample, "Graph", build)
    monkeypatch.setattr(resample, "_unused", defaultdict(deque))
    return graphs


@each("rate", [8_000, 11_025, 16_000, 24_000, 48_000])
@each("before", [1, 2, 130, 147, 263, 882, 5_000])
@each("ended", [True, False])
def test_a_stream_hears_nothing_of_the_one_before(
    rate: int, before: int, ended: bool, built: list[Graph]
) -> None:
    fresh = converted([noise(3_000)], rate)
    other = Resampler(SOURCE, rate)
    count = len(built)
    other.process(tone(440, before))
    if ended:
        other.flush()
    other.close()
    assert converted(cut(noise(3_000), 501), rate) == fresh
    assert len(built) == count  # It had the other one's graph.


def test_two_streams_never_have_the_same_graph(built: list[Graph]) -> None:
    streams = [Resampler(SOURCE, 24_000) for _ in range(3)]
    for stream in [*streams, *streams]:  # Each is closed twice.
        stream.close()
    again = [Resampler(SOURCE, 24_000) for _ in range(4)]
    assert len(built) == 4
    expected = converted([noise(1_000)], 24_000)
    assert [stream.process(noise(1_000)) + stream.flush() for stream in again] == [expected] * 4


def test_rates_that_fall_together_once_in_a_second_get_a_new_graph_each(built: list[Graph]) -> None:
    for _ in range(3):
        Resampler(SOURCE, 44_099).close()
    assert len(built) == 3


@pytest.mark.parametrize("rate", RATES)
def test_a_closed_stream_gives_nothing(rate: int) -> None:
    resampler = Resampler(SOURCE, rate)
    assert resampler.process(noise(1_000))
    resampler.close()
    assert resampler.process(noise(1_000)) + resampler.flush() == b""


def test_two_streams_at_once_do_not_mix() -> None:
    first, second = Resampler(SOURCE, 24_000), Resampler(SOURCE, 24_000)
    out: tuple[list[bytes], list[bytes]] = ([], [])
    for loud, quiet in zip(cut(noise(4_000), 501), cut(tone(440, 4_000), 501), strict=True):
        out[0].append(first.process(loud))
        out[1].append(second.process(quiet))
    assert b"".join([*out[0], first.flush()]) == converted([noise(4_000)], 24_000)
    assert b"".join([*out[1], second.flush()]) == converted([tone(440, 4_000)], 24_000)

"""Silence in front of sound: what is cut of it, to the sample, however the audio was cut into messages."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import trimmed

from videosdk.plugins.lokutor._audio.silence import SilenceTrimmer, silence_at_end, silence_at_start
from videosdk.plugins.lokutor._timing.edits import Edits

SECOND = 88_200
LEAD = SECOND // 50
LOUD = b"\x21\x00"
"""The quietest sample that can be heard."""


def pcm_of(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def silence(samples: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(-32, 33, samples).astype("<i2").tobytes()


def noise(samples: int, seed: int = 0) -> bytes:
    """Return samples of which each can be heard."""
    chance = np.random.default_rng(seed)
    values = chance.integers(33, 32_768, samples) * chance.choice([-1, 1], samples)
    return bytes(values.astype("<i2").tobytes())


Parts = list[tuple[bool, int]]
lengths = st.sampled_from([1, 2, 441, 881, 882, 883, 8_820, 16_757, 16_758, 17_639, 17_640, 17_641, 30_000])
lengths |= st.integers(1, 20_000)
requests_of_parts = st.lists(st.lists(st.tuples(st.booleans(), lengths), max_size=4), min_size=1, max_size=4)
chunk_sizes = st.lists(
    st.sampled_from([1, 2, 3, 7, 1_001, 4_096]) | st.integers(1, 100_000), min_size=1, max_size=9
)


def audio_of(parts: Parts) -> bytes:
    made = [
        noise(length, seed) if loud else silence(length, seed) for seed, (loud, length) in enumerate(parts)
    ]
    return b"".join(made)


def chunks(pcm: bytes, sizes: list[int]) -> list[tuple[int, bytes]]:
    """Return pieces of these sizes and their places; the last size goes on, or so that 2,000 are enough."""
    cut: list[tuple[int, bytes]] = []
    at = 0
    while at < len(pcm):
        size = sizes[len(cut)] if len(cut) < len(sizes) else max(sizes[-1], len(pcm) // 2_000)
        cut.append((at, pcm[at : at + size]))
        at += size
    return cut


def through(
    trimmer: SilenceTrimmer, requests: list[bytes], sizes: list[int]
) -> tuple[bytes, list[tuple[float, float]]]:
    out, cuts = [], []
    for request in requests:
        for _, chunk in chunks(request, sizes):
            out.append(trimmer.take(chunk))
            cut = trimmer.pop_cut()
            cuts += [] if cut is None else [cut]
        trimmer.drop_half_sample()
        trimmer.end_request()
    return b"".join([*out, trimmer.flush()]), cuts


def joined(cuts: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return cuts with those made one that follow each other."""
    whole: list[tuple[float, float]] = []
    for start, length in cuts:
        if whole and start == pytest.approx(sum(whole[-1])):
            whole[-1] = (whole[-1][0], whole[-1][1] + length)
        else:
            whole.append((start, length))
    return whole


# Properties


@given(requests_of_parts, chunk_sizes)
def test_what_is_left_is_known_to_the_sample(parts: list[Parts], sizes: list[int]) -> None:
    requests = [audio_of(request) for request in parts]
    expected, cuts = trimmed(*requests)
    out, told = through(SilenceTrimmer(), requests, sizes)
    assert out == expected
    assert joined(told) == [pytest.approx(cut) for cut in cuts]


@given(st.lists(st.tuples(st.booleans(), lengths), max_size=5), chunk_sizes)
def test_of_one_request_only_the_front_is_cut_and_20_ms_stay(parts: Parts, sizes: list[int]) -> None:
    pcm = audio_of(parts)
    out, _ = through(SilenceTrimmer(), [pcm], sizes)
    cut = len(pcm) - len(out)
    assert pcm.endswith(out)
    assert cut % 2 == 0
    assert cut == max(silence_at_start(pcm) - LEAD, 0)


@given(requests_of_parts, chunk_sizes)
def test_without_trimming_each_byte_stays(parts: list[Parts], sizes: list[int]) -> None:
    requests = [audio_of(request) for request in parts]
    trimmer = SilenceTrimmer(trim=False)
    assert through(trimmer, requests, sizes) == (b"".join(requests), [])
    whole = b"".join(requests)
    sounds = silence_at_start(whole) < len(whole)
    assert trimmer.leading_silence == (silence_at_start(whole) / SECOND if sounds else None)


@given(requests_of_parts, chunk_sizes)
def test_sound_is_never_held_back(parts: list[Parts], sizes: list[int]) -> None:
    trimmer, sent = SilenceTrimmer(), 0
    for request in map(audio_of, parts):
        for at, chunk in chunks(request, sizes):
            sent, out = sent + len(chunk), trimmer.take(chunk)
            end = at + len(chunk)
            if end % 2 == 0 and silence_at_start(request[end - 2 : end]) == 0:
                assert out[-2:] == request[end - 2 : end][-len(out) :]
        trimmer.end_request()
    assert trimmer.seconds_taken == sent / SECOND


@given(
    st.lists(
        st.integers(-40, 40) | st.sampled_from([-32_768, 32_767, 255, 256, -256, -255, 224]), max_size=30
    )
)
def test_silence_is_what_nobody_hears(samples: list[int]) -> None:
    sounds = [index for index, sample in enumerate(samples) if abs(sample) > 32]
    pcm = pcm_of(*samples)
    assert silence_at_start(pcm) == 2 * (sounds[0] if sounds else len(samples))
    assert silence_at_end(pcm) == 2 * (len(samples) - 1 - sounds[-1] if sounds else len(samples))
    assert silence_at_start(pcm + b"\x7f") == silence_at_start(pcm)


def test_of_all_samples_65_are_silent() -> None:
    every = np.arange(-32_768, 32_768).astype("<i2")
    silent = [int(sample) for sample in every if silence_at_start(sample.tobytes())]
    assert silent == list(range(-32, 33))


# Cases


def test_silence_is_held_until_a_sound_comes() -> None:
    trimmer, quiet = SilenceTrimmer(), silence(SECOND)
    assert trimmer.take(quiet[:SECOND]) == b""
    assert trimmer.leading_silence is None
    assert trimmer.take(quiet[SECOND:] + LOUD) == quiet[-LEAD:] + LOUD
    assert trimmer.leading_silence == 2.0
    assert trimmer.pop_cut() == pytest.approx((0.0, 1.98))


def test_a_sample_in_two_messages_is_judged_whole() -> None:
    trimmer = SilenceTrimmer()
    assert trimmer.take(b"\x00\x00\x21") == b""
    assert trimmer.take(b"\x00\x05") == b"\x00\x00\x21\x00\x05"
    assert trimmer.take(b"\x00") == b"\x00"


def test_a_pause_between_requests_passes_as_it_comes() -> None:
    trimmer, quiet = SilenceTrimmer(), silence(SECOND)
    trimmer.take(LOUD + bytes(SECOND // 10))
    trimmer.end_request()
    assert trimmer.take(quiet[: SECOND // 10]) == quiet[: SECOND // 10]
    passed = trimmer.take(quiet[SECOND // 10 :])
    assert len(passed) == SECOND * 3 // 10 - LEAD - SECOND // 10
    assert trimmer.take(LOUD) == quiet[-LEAD:] + LOUD


def test_after_a_long_end_nothing_of_the_next_silence_is_left() -> None:
    trimmer = SilenceTrimmer()
    trimmer.take(LOUD + bytes(SECOND))
    trimmer.end_request()
    assert trimmer.take(bytes(SECOND) + LOUD) == LOUD


def test_a_request_that_is_all_silence_is_a_part_of_the_pause() -> None:
    trimmer = SilenceTrimmer()
    trimmer.take(LOUD)
    for _ in range(3):
        trimmer.end_request()
        out = trimmer.take(bytes(SECOND // 4))
    assert out == b""
    trimmer.end_request()
    assert trimmer.take(LOUD) == bytes(LEAD) + LOUD


def test_half_a_sample_at_the_end_of_a_request_is_forgotten() -> None:
    trimmer = SilenceTrimmer()
    assert trimmer.take(bytes(3)) == b""
    assert (trimmer.drop_half_sample(), trimmer.drop_half_sample()) == (1, 0)
    trimmer.end_request()
    assert trimmer.take(LOUD + bytes(3)) == bytes(2) + LOUD + bytes(3)
    assert trimmer.drop_half_sample() == 1
    trimmer.end_request()
    assert trimmer.take(bytes(SECOND) + LOUD) == bytes(SECOND * 2 // 5 - 2) + LOUD


# The service's time and the listener's


edit_lists = st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(1, 50)), max_size=6)


@given(edit_lists, st.lists(st.integers(0, 800), min_size=2, max_size=40))
def test_cuts_and_pauses_move_what_is_behind_them(
    changes: list[tuple[bool, int, int]], moments: list[int]
) -> None:
    edits, at = Edits(), 0
    heard: list[int | None] = []  # By the listener, from moment to moment: the service's, or a pause.
    for cut, gap, length in changes:
        heard += range(at, at + gap)
        at += gap
        if cut:
            edits.cut(at, length)
            at += length
        else:
            edits.insert(at, length)
            heard += [None] * length
    heard += range(at, 1600)
    for moment in moments:
        if moment in heard:
            assert edits.to_listener(moment) == heard.index(moment)
            assert edits.to_service(heard.index(moment)) <= moment
        if moment - 1 in heard:
            assert edits.end_to_listener(moment) == heard.index(moment - 1) + 1
        if heard[max(round(edits.to_listener(moment)) - 1, 0) :][:2] == [moment - 1, moment]:
            assert edits.to_service(edits.to_listener(moment)) == moment
    for earlier, later in pairwise(sorted(moments)):
        assert edits.to_listener(earlier) <= edits.to_listener(later)
        assert edits.to_service(earlier) <= edits.to_service(later)

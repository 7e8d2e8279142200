"""Where the listener is: by the real track's own count, and by the clock where there is none."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kit import PATIENCE, BareTrack, Listener, on_track, settled, until
from kit.tables import each
from videosdk.agents.room.output_stream import (
    CustomAudioStreamTrack,
    MixingCustomAudioStreamTrack,
    TeeMixingCustomAudioStreamTrack,
)

from videosdk.plugins.lokutor._audio.playback import Playback, TurnAudio, _FrameClock, rate_of
from videosdk.plugins.lokutor._text.spoken import SpokenText
from videosdk.plugins.lokutor._timing.synchronizer import SpeechSynchronizer
from videosdk.plugins.lokutor._timing.timeline import Timeline, WordSpoken
from videosdk.plugins.lokutor.visemes import Viseme

RATE = 24_000
FRAME = bytes(2 * 480)
TRACKS = [CustomAudioStreamTrack, MixingCustomAudioStreamTrack, TeeMixingCustomAudioStreamTrack]


@pytest.fixture(params=TRACKS, ids=lambda kind: kind.__name__)
async def track(request: pytest.FixtureRequest) -> CustomAudioStreamTrack:
    track: CustomAudioStreamTrack = request.param(asyncio.get_running_loop())
    track.mark_synthesis_start()
    track.enable_audio_input(manual_control=True)
    return track


@pytest.fixture
async def playback(track: CustomAudioStreamTrack) -> Playback:
    return Playback(track, RATE)


@pytest.fixture
def listener(track: CustomAudioStreamTrack) -> Listener:
    return Listener(track)


def at(playback: Playback) -> float:
    return round(playback.seconds(), 6)


async def test_it_counts_what_is_played(playback: Playback, listener: Listener) -> None:
    assert not playback.begun
    await playback.push(FRAME * 3)
    assert playback.begun
    assert at(playback) == 0.0
    await listener.hear(2)
    assert (at(playback), playback.drained) == (0.04, False)
    await listener.hear(1)
    assert (at(playback), playback.drained) == (0.06, True)


async def test_an_empty_buffer_does_not_count(playback: Playback, listener: Listener) -> None:
    await playback.push(FRAME)
    await listener.hear(10)
    await playback.push(FRAME * 2)
    assert at(playback) == 0.02
    await listener.hear(1)
    assert at(playback) == 0.04


async def test_a_pause_does_not_count(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    await playback.push(FRAME * 4)
    await listener.hear(1)
    await track.pause()
    await listener.hear(5)
    await playback.push(FRAME)
    assert (at(playback), playback.drained) == (0.02, False)
    await track.resume()
    await listener.hear(2)
    assert at(playback) == 0.06


async def test_a_pause_before_the_first_audio(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    await track.add_new_bytes(FRAME * 2)
    await track.pause()
    await playback.push(FRAME)
    assert at(playback) == -0.04
    await track.resume()
    await listener.hear(3)
    assert (at(playback), playback.drained) == (0.02, True)


async def test_the_fading_tail_of_the_turn_before_is_not_this_turns(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    await playback.push(FRAME * 100)
    await listener.hear(10)
    track.interrupt()
    await listener.hear(2)
    track.mark_synthesis_start()
    track.enable_audio_input(manual_control=True)
    following = Playback(track, RATE)
    await listener.hear(3)  # The tail takes 20 frames; the next turn's audio comes behind it.
    await following.push(FRAME * 2)
    assert at(following) == -0.3
    await listener.hear(15)
    assert at(following) == 0.0
    await listener.hear(1)
    assert at(following) == 0.02


async def test_it_notices_that_the_track_counts_for_another_turn(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    await playback.push(FRAME * 5)
    await listener.hear(2)
    assert (at(playback), playback.turn_changed) == (0.04, False)
    track.mark_synthesis_start()
    assert (at(playback), playback.turn_changed) == (0.04, True)


async def test_others_audio_on_the_track_does_not_count(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    await playback.push(FRAME * 10)
    await track.add_new_bytes(FRAME * 25)
    await playback.push(FRAME * 10)
    await listener.hear(20)
    assert at(playback) == 0.2
    await listener.hear(20)
    assert at(playback) == 0.3


async def test_what_the_track_does_not_take_is_never_played(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    track.interrupt()  # Until the next turn, audio is dropped.
    await playback.push(FRAME * 5)
    await listener.hear(5)
    assert (at(playback), playback.drained) == (0.0, True)


async def test_a_rest_shorter_than_a_frame_never_plays(playback: Playback, listener: Listener) -> None:
    await playback.push(FRAME + FRAME[:-2])
    await listener.hear(2)
    assert (at(playback), playback.drained) == (0.02, True)


# Tracks that don't count


async def test_without_a_count_the_clock_runs_while_there_is_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    playback = Playback(BareTrack(), RATE)
    now = 105.0
    await playback.push(FRAME * 5)
    assert at(playback) == 0.0
    now += 0.06
    assert (at(playback), playback.drained) == (0.06, False)
    now += 10
    assert (at(playback), playback.drained) == (0.1, True)
    await playback.push(FRAME * 5)
    assert (at(playback), playback.drained) == (0.1, False)
    for _ in range(1000):  # Rounding must not add up.
        now += 0.00001
        playback.seconds()
    assert at(playback) == pytest.approx(0.11, abs=0.0001)


class CountingTrack(BareTrack):
    """A track of somebody else's that counts what it plays, and shows nothing else."""

    def __init__(self, **shown: Any) -> None:
        super().__init__()
        self.played = 0
        vars(self).update(shown)

    def snapshot_playback(self) -> tuple[int, int]:
        return self.played, len(self.pcm) // 2


@pytest.mark.parametrize(
    "shown",
    [{}, {"frame_buffer": None}, {"frame_buffer": asyncio.Queue()}],
    ids=["nothing", "no buffer", "another buffer"],
)
async def test_a_count_is_enough(shown: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    track = CountingTrack(**shown)
    playback = Playback(track, RATE)
    await playback.push(FRAME * 5)
    assert at(playback) == 0.0
    track.played = 960
    assert (at(playback), playback.drained, playback.turn_changed) == (0.04, False, False)
    assert not caplog.records


async def test_a_count_that_begins_anew_is_another_turns() -> None:
    """The track moves its mark where nobody sees it."""
    track = CountingTrack()
    track.played = 480
    playback = Playback(track, RATE)
    await playback.push(FRAME * 5)
    track.played = 960
    assert (at(playback), playback.turn_changed) == (0.02, False)
    track.played = 0
    assert (at(playback), playback.turn_changed) == (0.02, True)


# What others push


async def push(track: CustomAudioStreamTrack, frames: int) -> None:
    await track.add_new_bytes(FRAME * frames)


async def test_a_turns_audio_counts_what_others_push_from_the_turns_start_on(
    track: CustomAudioStreamTrack, listener: Listener
) -> None:
    await push(track, 3)
    track.mark_synthesis_start()
    await push(track, 2)
    audio = TurnAudio(track, RATE)
    assert audio.played() is None  # Nobody plays it.
    assert audio.pushed == 0.04
    await listener.hear(4)
    assert audio.played() == (0.02, 0.04)
    await push(track, 2)
    audio.end()
    track.mark_synthesis_start()
    following = TurnAudio(track, RATE)
    await push(track, 5)
    assert (audio.played(), following.played()) == ((0.02, 0.08), (0.0, 0.1))
    assert (audio.pushed, following.pushed) == (0.08, 0.1)
    await listener.hear(3)
    assert (audio.played(), following.played()) == ((0.08, 0.08), (0.0, 0.1))
    await listener.hear(2)
    assert (audio.played(), following.played()) == ((0.08, 0.08), (0.04, 0.1))


async def test_a_fading_tail_is_no_part_of_a_turns_audio(
    track: CustomAudioStreamTrack, listener: Listener
) -> None:
    await listener.hear()
    await push(track, 30)
    track.interrupt()
    track.mark_synthesis_start()
    track.enable_audio_input(manual_control=True)
    audio = TurnAudio(track, RATE)
    await push(track, 5)
    await listener.hear(20)  # The tail.
    assert audio.played() == (0.0, 0.1)
    await listener.hear(3)
    assert audio.played() == (0.06, 0.1)


# Tracks that tell nonsense


class OddTrack(CustomAudioStreamTrack):
    """The framework's track, until it answers something else when it is asked what it has played."""

    def __init__(self, answer: Callable[[], Any] | None = None) -> None:
        super().__init__(asyncio.get_running_loop())  # type: ignore[no-untyped-call]
        self.answer = answer or super().snapshot_playback

    def snapshot_playback(self) -> Any:
        return self.answer()


def raises() -> Any:
    raise LookupError("no such counter")


class HiddenTrack(BareTrack):
    """A track whose count can't even be looked up."""

    snapshot_playback = property(lambda _self: raises())


class BrokenBuffers(CountingTrack):
    """A track that counts, and raises where it should show what waits."""

    frame_buffer = property(lambda _self: raises())


def cancelled() -> Any:
    raise asyncio.CancelledError("no such counter")


NONSENSE = {
    "raises": raises,
    "raises CancelledError": cancelled,
    "None": lambda: None,
    "nothing": lambda: (),
    "text": lambda: ("960", "1920"),
    "a number": lambda: 960,
    "negative": lambda: (-480, 0),
    "NaN": lambda: (math.nan, 0),
    "infinite": lambda: (math.inf, 0),
    "Nones": lambda: (None, None),
}


def by_the_clock(caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether exactly one line was logged, which says so."""
    return [record.name for record in caplog.records] == ["videosdk.plugins.lokutor"] and (
        "using the clock" in caplog.text
    )


async def test_of_a_turns_audio_on_such_a_track_nothing_is_known() -> None:
    for nonsense in NONSENSE.values():
        assert TurnAudio(OddTrack(nonsense), RATE).played() in (None, (0.0, 0.0))
        assert TurnAudio(OddTrack(nonsense), RATE).pushed in (None, 0.0)
    assert TurnAudio(BareTrack(), RATE).played() is None
    assert TurnAudio(BareTrack(), RATE).pushed is None
    assert TurnAudio(HiddenTrack(), RATE).played() is None


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_words_go_by_the_clock_where_the_count_is_nonsense(
    nonsense: str, caplog: pytest.LogCaptureFixture
) -> None:
    track, text = OddTrack(NONSENSE[nonsense]), "ab cd"
    playback = Playback(track, RATE)
    timing, story = follow(playback, text)
    await playback.push(FRAME * len(text))
    finish(timing, text)
    await until(lambda: story.words == ["ab", "cd"] and not story.synchronizer.following)
    assert on_track(track) == FRAME * len(text)
    assert by_the_clock(caplog)


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_the_clock_goes_on_from_the_last_good_count(
    nonsense: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    track = OddTrack()
    listener, playback = Listener(track), Playback(track, RATE)
    await playback.push(FRAME * 10)
    await listener.hear(3)
    assert at(playback) == 0.06
    track.answer = NONSENSE[nonsense]
    assert at(playback) == 0.06
    now += 0.05
    assert (at(playback), playback.drained, playback.turn_changed) == (0.11, False, False)
    await playback.push(FRAME * 10)
    now += 10
    assert (at(playback), playback.drained) == (0.4, True)
    assert len(on_track(track)) == len(FRAME) * 17
    assert by_the_clock(caplog)


@pytest.mark.parametrize("kind", [HiddenTrack, BrokenBuffers])
async def test_a_track_whose_attributes_raise(
    kind: type[BareTrack], caplog: pytest.LogCaptureFixture
) -> None:
    track, text = kind(), "ab cd"
    playback = Playback(track, RATE)
    timing, story = follow(playback, text)
    await playback.push(FRAME * len(text))
    finish(timing, text)
    await until(lambda: story.words == ["ab", "cd"] and not story.synchronizer.following)
    assert track.pcm == FRAME * len(text)
    assert by_the_clock(caplog)


@pytest.mark.parametrize("name", ["_synthesis_start_played", "_synthesis_start_pushed"])
async def test_a_mark_that_is_nonsense(name: str, caplog: pytest.LogCaptureFixture) -> None:
    track = CountingTrack(**{name: None})
    playback = Playback(track, RATE)
    await playback.push(FRAME * 3)
    await until(lambda: at(playback) == 0.06)
    assert by_the_clock(caplog)


# The rate of a track


class RatedTrack(BareTrack):
    """A track of somebody else's that tells a rate."""

    def __init__(self, sample_rate: object) -> None:
        super().__init__()
        self.sample_rate = sample_rate


@pytest.mark.parametrize("told", [16_000, 16_000.0, "16000", np.int64(16_000), np.float32(16_000)], ids=repr)
def test_a_rate_may_be_told_in_many_ways(told: object, caplog: pytest.LogCaptureFixture) -> None:
    rate = rate_of(RatedTrack(told), RATE)
    assert (rate, type(rate)) == (16_000, int)
    assert not caplog.records


USELESS_RATES = [
    0, -16_000, True, 16_000.5, math.nan, math.inf, 10**400, "", "fast", b"\0", (16_000,), 3, 10**6
]  # fmt: skip


@pytest.mark.parametrize("told", USELESS_RATES, ids=lambda told: repr(told)[:9])
def test_a_useless_rate_is_the_plugins_and_said_once(told: object, caplog: pytest.LogCaptureFixture) -> None:
    class Track(RatedTrack):
        """Of a class that nobody was warned of."""

    assert [rate_of(Track(told), RATE) for _ in range(3)] == [RATE] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "assuming 24000 Hz" in caplog.text


@pytest.mark.parametrize("read", [raises, cancelled])
def test_a_rate_that_can_not_be_read_is_the_plugins(
    read: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Track(BareTrack):
        sample_rate = property(lambda _self: read())

    assert rate_of(Track(), 48_000) == 48_000
    assert "no such counter" in caplog.text


@pytest.mark.parametrize("track", [None, BareTrack(), RatedTrack(None)], ids=["none", "untold", "None"])
def test_a_track_need_not_tell_its_rate(track: object, caplog: pytest.LogCaptureFixture) -> None:
    assert rate_of(track, 48_000) == 48_000
    assert not caplog.records


# When to look


def looks_at(played: Callable[[float], float], seconds: float) -> tuple[float, int]:
    """Return how late ``seconds`` are seen to be played, and by how many looks.

    ``played`` tells the position at a time; the loop's own delay is that of a busy one.
    """
    frames, now, looks = _FrameClock(), 0.0, 1
    while played(now) < seconds:
        wait = frames.wait_for(seconds, played(now), now)
        assert wait > 0
        now += wait + 0.0007
        looks += 1
    moments = range(round(now * 10_000) + 1)
    heard = bisect_left(moments, seconds, key=lambda moment: played(moment / 10_000))  # It never falls.
    return now - moments[heard] / 10_000, looks


def frames_from(phase: float, time: float) -> float:
    """Return the position where a frame is handed out each 20 ms, the first after ``phase``."""
    return max(math.floor((time - phase) / 0.02 + 1e-9) + 1, 0) * 0.02


@each("phase", [0.0, 0.003, 0.011, 0.0199])
@each("seconds", [0.005, 0.03, 0.5, 3.0])
def test_a_look_comes_right_behind_the_frame(phase: float, seconds: float) -> None:
    late, looks = looks_at(lambda time: frames_from(phase, time), seconds)
    assert late < 0.006
    assert looks < 20


@each("phase", [number / 1000 for number in range(20)])
@each("held_up", [0.0, 0.004, 0.008, 0.015])
def test_one_late_frame_makes_no_later_word_late(phase: float, held_up: float) -> None:
    def played(time: float) -> float:
        regular = frames_from(phase, time)
        return (
            regular - 0.02 if 0.05 < regular < 0.25 and time - phase < regular - 0.02 + held_up else regular
        )

    frames, now = _FrameClock(), 0.0
    late, looks = [], 0
    for word in range(1, 31):
        due = word * 0.2731 if word > 1 else 0.06
        while played(now) < due:
            now += frames.wait_for(due, played(now), now) + 0.0003
            looks += 1
        handed_out = phase + (math.ceil(due / 0.02) - 1) * 0.02
        late.append(now - handed_out)
    assert max(late[10:]) < 0.003
    assert looks < 150


@pytest.mark.parametrize("pause", [0.05, 0.6, 1.9])
def test_a_look_comes_right_behind_a_pause(pause: float) -> None:
    def played(time: float) -> float:
        return frames_from(0.004, min(time, 0.4) if time < 0.4 + pause else time - pause)

    for seconds in (0.41, 0.43, 0.7):
        late, looks = looks_at(played, seconds)
        assert late < 0.012
        assert looks < 60 + 100 * pause


@each("held_up", [0.05, 0.3, 1.0])
@each("pace", [0.0, 0.0005, 0.003])
def test_frames_that_were_held_up_and_catch_up_are_found_again(held_up: float, pace: float) -> None:
    """A loop that stood still: then the frames come at once, or one each ``pace`` seconds."""

    def played(time: float) -> float:
        if time < 0.4:
            return frames_from(0.004, time)
        if time < 0.4 + held_up:
            return frames_from(0.004, 0.4)
        burst = (time - 0.4 - held_up) / pace * 0.02 if pace else math.inf
        caught_up = frames_from(0.004, 0.4) + math.floor(burst / 0.02) * 0.02 if pace else math.inf
        return min(caught_up, frames_from(0.004, time))

    for seconds in (1.5, 1.71, 2.6):
        late, _ = looks_at(played, seconds)
        assert late < 0.012


# The synchronizer


class Story:
    """What a synchronizer has told."""

    def __init__(self, playback: Playback, timing: Timeline) -> None:
        self.words: list[str] = []
        self.visemes: list[Viseme] = []
        self.positions: list[float] = []
        self.on_word: Callable[[str], None] = lambda _word: None
        self._playback = playback
        self.synchronizer = SpeechSynchronizer(timing, playback, self._on_word, self.visemes.extend)

    def _on_word(self, event: WordSpoken) -> None:
        self.words.append(event["word"])
        self.positions.append(self._playback.seconds())
        self.on_word(event["word"])


def follow(playback: Playback, text: str) -> tuple[Timeline, Story]:
    """Follow a reply with a character each 20 ms."""
    timing = Timeline(words=True, visemes=True)
    story = Story(playback, timing)
    timing.begin_request(SpokenText(text), 0.0)
    timing.note_sound()
    timing.take(Viseme(index, char, index / 50) for index, char in enumerate(text))
    return timing, story


def finish(timing: Timeline, text: str) -> None:
    timing.end_request(len(text) / 50)
    timing.end(len(text) / 50)


async def test_words_come_when_they_are_played(playback: Playback, listener: Listener) -> None:
    text = "I see two words"
    timing, story = follow(playback, text)
    assert story.words == []
    await playback.push(FRAME * len(text))
    finish(timing, text)
    await settled()
    assert story.words == []  # Nothing was played yet.
    for frame in range(1, len(text) + 1):
        await listener.hear(1)
        played = [word for word in text.split() if text.index(word) <= frame]
        await until(lambda played=played: story.words == played)  # type: ignore[misc]
    await until(lambda: len(story.visemes) == len(text))
    assert story.positions == pytest.approx([max(text.index(word), 1) / 50 for word in text.split()])


async def test_it_tells_nothing_before_its_time(playback: Playback, listener: Listener) -> None:
    timing, story = follow(playback, "ab cd")
    await playback.push(FRAME * 5)
    finish(timing, "ab cd")
    await listener.hear(2)
    await until(lambda: len(story.visemes) == 3)
    await settled()
    assert (story.words, len(story.visemes)) == (["ab"], 3)
    await listener.hear(1)
    await until(lambda: story.words == ["ab", "cd"])


async def test_what_is_told_late_is_heard_at_once(playback: Playback, listener: Listener) -> None:
    timing = Timeline(words=True)
    story = Story(playback, timing)
    timing.begin_request(SpokenText("ab cd"), 0.0)
    timing.note_sound()
    await playback.push(FRAME * 5)
    await listener.hear(5)
    timing.take([Viseme(0, "a", 0.0), Viseme(3, "c", 0.06)])
    await until(lambda: story.words == ["ab", "cd"])


async def test_it_ends_with_the_last_word(playback: Playback, listener: Listener) -> None:
    timing, story = follow(playback, "ab cd")
    await playback.push(FRAME * 5)
    finish(timing, "ab cd")
    await listener.hear(5)
    await until(lambda: story.words == ["ab", "cd"] and not story.synchronizer.following)


async def test_it_ends_where_nothing_is_left_to_play(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    """Somebody cleared the track behind the plugin's back."""
    timing, story = follow(playback, "ab cd ef")
    await playback.push(FRAME * 8)
    finish(timing, "ab cd ef")
    await listener.hear(1)
    await until(lambda: story.words == ["ab"])
    track.interrupt_fade_duration = 0.0
    track.interrupt()
    await until(lambda: not story.synchronizer.following)
    assert story.words == ["ab"]


@pytest.mark.parametrize("heard", [0, 1])
async def test_it_ends_with_the_next_turn(
    heard: int, playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    """Also where that one is not the plugin's: a cached phrase, right after the reply was pushed."""
    timing, story = follow(playback, "ab cd ef")
    await playback.push(FRAME * 8)
    finish(timing, "ab cd ef")
    await listener.hear(heard)
    await until(lambda: len(story.words) == heard)
    track.mark_synthesis_start()
    await track.add_new_bytes(FRAME * 100)
    await listener.hear(50)
    await until(lambda: not story.synchronizer.following)
    assert len(story.words) == heard


async def test_a_cached_phrase_inside_a_reply_is_not_part_of_it(
    playback: Playback, listener: Listener, track: CustomAudioStreamTrack
) -> None:
    """As when a function tool says something while the language model goes on."""
    timing, story = follow(playback, "ab cd ef")
    await playback.push(FRAME * 4)
    await listener.hear(1)
    track.mark_synthesis_start()
    await track.add_new_bytes(FRAME * 10)
    await playback.push(FRAME * 4)
    await listener.hear(3)
    await until(lambda: story.words == ["ab", "cd"])
    await listener.hear(10)
    await settled()
    assert (story.words, at(playback)) == (["ab", "cd"], 0.08)
    await listener.hear(3)
    await until(lambda: story.words == ["ab", "cd", "ef"])
    finish(timing, "ab cd ef")


async def test_stopped_it_tells_nothing_more(playback: Playback, listener: Listener) -> None:
    timing, story = follow(playback, "ab cd ef")
    await playback.push(FRAME * 8)
    await listener.hear(1)
    await until(lambda: story.words == ["ab"])
    await listener.hear(7)
    story.synchronizer.stop()
    story.synchronizer.stop()
    finish(timing, "ab cd ef")
    await settled()
    assert (story.words, story.synchronizer.following) == (["ab"], False)


async def test_whoever_hears_a_word_may_stop_it(playback: Playback, listener: Listener) -> None:
    """Several words may be due at one look, where the loop was held up."""
    timing, story = follow(playback, "ab cd ef")
    story.on_word = lambda word: story.synchronizer.stop() if word == "cd" else None
    async with asyncio.timeout(PATIENCE):
        await playback.push(FRAME * 8)
        await listener.hear(8)
    await until(lambda: story.words == ["ab", "cd"])
    await settled()
    assert (story.words, story.visemes) == (["ab", "cd"], [])
    assert not timing.ended


async def test_a_track_that_plays_silence_is_not_one_that_nobody_plays(track: CustomAudioStreamTrack) -> None:
    """A reply may be cut off before the first frame of speech that the track ever plays."""
    unplayed = Playback(track, track.sample_rate)
    assert unplayed.plays
    await unplayed.push(FRAME * 8)
    assert not unplayed.plays
    track = CustomAudioStreamTrack(asyncio.get_running_loop())
    await track.recv()
    silent = Playback(track, track.sample_rate)
    await silent.push(FRAME * 8)
    assert silent.plays

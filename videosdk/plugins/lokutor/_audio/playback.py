"""How far the listener is in one reply.

Rule of this file: it knows the track and the loop's clock, nothing of words and requests.
"""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sized
from numbers import Real
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

from .pcm import FRAME_SECONDS, SAMPLE_RATE_RANGE, SAMPLE_WIDTH

logger = logging.getLogger("videosdk.plugins.lokutor")

_Answer = TypeVar("_Answer")

_RAISED = (Exception, asyncio.CancelledError)
"""What a track may raise when it is asked. Nothing is awaited then, so a CancelledError is its own."""
_POLL = 0.004
"""Seconds between two looks at the track while a frame may be handed out at any moment."""
_CLOSE_POLL = 0.001
"""The same where it is known when: the loop's timers aren't finer."""
_STILL_POLL = 0.01
"""The same while nothing is played: the track is paused, or nobody plays it."""
_STILL = 0.1
"""Seconds without a frame after which nothing is played."""
_PATIENCE = 200
"""A pause longer than 2 s is looked at less and less: its end may be noticed late by this part of it."""
_JITTER = 0.003
"""Seconds by which frames may come irregularly without being a gap."""
_SETTLING = 2 * FRAME_SECONDS
"""Seconds in which whoever looks at the track notices that it has played its last frame."""
_STUCK = 10.0
"""Seconds without progress after which the clock counts instead: maybe nobody plays the track any more."""
_ROUNDING = 1e-6
"""Frames by which a sum of times may be too large."""
_warned_tracks: WeakSet[type] = WeakSet()


def rate_of(track: Any, default: int) -> int:
    """Return a track's rate in Hz, or ``default`` where it tells none that can be used.

    Args:
        track: The audio track.
        default: The rate in Hz to assume.
    """
    try:
        told = getattr(track, "sample_rate", None)
        return default if told is None else _rate(told)
    except _RAISED as error:  # The track is somebody else's, and the listener waits.
        _warn_of_rate(type(track), default, error)
        return default


def _warn_of_rate(kind: type, assumed: int, error: BaseException) -> None:
    if kind not in _warned_tracks:
        _warned_tracks.add(kind)
        logger.warning("Can't use %s.sample_rate, assuming %d Hz: %r", kind.__name__, assumed, error)


def _rate(told: Any) -> int:
    rate = float(told)
    if not SAMPLE_RATE_RANGE[0] <= rate <= SAMPLE_RATE_RANGE[1] or rate != int(rate):
        raise ValueError(f"{told!r} is not a rate in Hz")
    return int(rate)


def is_played(track: Any) -> bool:
    """Return whether somebody plays a track that counts what it plays.

    Args:
        track: The audio track.
    """
    try:
        return hasattr(track, "snapshot_playback") and _is_asked(track)
    except _RAISED:
        return False


async def fill_frame(track: Any, rate: int) -> None:
    """Have the last of a track's audio played: it never plays a rest that is shorter than a frame.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
    """
    frame = int(rate * FRAME_SECONDS) * SAMPLE_WIDTH
    rest = _length(getattr(track, "audio_data_buffer", None)) % frame
    if rest:
        await track.add_new_bytes(bytes(frame - rest))


async def played_out(track: Any, rate: int, given_up: Callable[[], bool]) -> bool:
    """Wait until all audio on a track was played, however long it is paused.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
        given_up: Tells that nobody wants to know any more.

    Returns:
        Whether it was: not where nobody plays the track, or the track doesn't tell.
    """
    if not is_played(track):
        return False
    playback = Playback(track, rate)
    while not playback.drained:
        if given_up():
            return False
        await asyncio.sleep(_STILL_POLL)
    await asyncio.sleep(_SETTLING)
    return True


class Playback:
    """One reply on its way through the track: what was pushed, and how much of it was played.

    The track's own count tells. Where there is none, or from the first time on that it can't be read, it is
    the clock. Create it inside the running loop.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
    """

    def __init__(self, track: Any, rate: int) -> None:
        self._track = track
        self._rate = rate
        self._gauge: _Gauge = _ClockGauge(rate) if _counts_nothing(track) else _TrackGauge(track, rate)
        self._clock = asyncio.get_running_loop().time
        self._ends_at = self._moved_at = self._clock()  # When all that was pushed will have been played.
        self._position = 0.0
        self.begun = False
        """Whether the reply's first audio was pushed."""
        self.on_begun: Callable[[], None] = lambda: None
        """Called when audio is pushed, and playing begins or goes on with it."""
        self.on_silent: Callable[[float], None] = lambda since: None
        """Called when audio is pushed after the listener heard nothing since a time of the loop's clock."""

    async def push(self, pcm: bytes) -> None:
        """Hand a piece of the reply's audio to the track."""
        begins = not self.begun or self.drained
        if self.begun and begins and self._ends_at < self._clock():
            self.on_silent(self._ends_at)
        self.begun = True
        samples = len(pcm) // SAMPLE_WIDTH
        self._ask(lambda gauge: gauge.note(samples))
        if begins:
            self._moved_at = self._clock()
            self._ends_at = self._moved_at + self.pushed - self.seconds()
            self.on_begun()
        else:
            self._ends_at = max(self._ends_at, self._clock()) + samples / self._rate
        await self._track.add_new_bytes(pcm)

    @property
    def pushed(self) -> float:
        """How many seconds of the reply were pushed."""
        return self._gauge.pushed / self._rate

    @property
    def ahead(self) -> float:
        """How many seconds are still to be played, those of older audio included.

        While the track is paused this doesn't change. After 10 s, or where nobody plays the track at all,
        the clock counts it down: nobody may be there to hear the rest.
        """
        if not self.begun:
            return 0.0
        now, position = self._clock(), self.seconds()
        if position != self._position:
            self._position, self._moved_at = position, now
        if self.plays and now - self._moved_at < _STUCK:
            self._ends_at = now + self.pushed - position
        return max(self._ends_at - now, 0.0)

    @property
    def plays(self) -> bool:
        """Whether the listener's place is known: not where nobody plays the track."""
        return self._ask(lambda gauge: gauge.plays)

    @property
    def turn_changed(self) -> bool:
        """Whether the track has begun with another turn since the last push."""
        return self._ask(lambda gauge: gauge.turn_changed)

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        return self._ask(lambda gauge: gauge.drained)

    @property
    def starved(self) -> bool:
        """Whether a track that is played has nothing left but a rest that is shorter than a frame."""
        return self.begun and self._ask(lambda gauge: gauge.starved)

    def seconds(self) -> float:
        """Return how much of the reply was played; negative while older audio still is."""
        return self._ask(lambda gauge: gauge.look()) / self._rate

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return self._gauge.wait_for(seconds)

    def _ask(self, question: Callable[[_Gauge], _Answer]) -> _Answer:
        try:
            return question(self._gauge)
        except _UnreadableError as error:
            reason = error.__cause__
        logger.warning("Can't read the track's playback position, using the clock instead: %r", reason)
        self._gauge = _ClockGauge(self._rate, self._gauge)
        return question(self._gauge)


class _UnreadableError(Exception):
    """The track doesn't tell what it should; the cause says why."""


def _counts_nothing(track: Any) -> bool:
    try:
        return not hasattr(track, "snapshot_playback")
    except _RAISED:  # Whoever reads the count finds that out again, and says so.
        return False


class _Gauge(ABC):
    """Tells how much of one reply was played, in samples.

    Attributes:
        pushed: How much was pushed.
        position: How much was played at the last look.
        looked_at: When that was, by the loop's clock.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._clock = asyncio.get_running_loop().time
        self.pushed = 0
        self.position = 0
        self.looked_at = self._clock()

    @property
    @abstractmethod
    def plays(self) -> bool:
        """Whether the listener's place is known: not where nobody plays the track."""

    @property
    @abstractmethod
    def turn_changed(self) -> bool:
        """Whether the track has begun with another turn since the last push."""

    @property
    @abstractmethod
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""

    @property
    @abstractmethod
    def starved(self) -> bool:
        """Whether a track that is played has nothing left but a rest that is shorter than a frame."""

    @abstractmethod
    def look(self) -> int:
        """Return how much of the reply was played; negative while older audio still is."""

    @abstractmethod
    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""

    @abstractmethod
    def note(self, samples: int) -> None:
        """Take note of samples that are about to be pushed."""


class _TrackGauge(_Gauge):
    """By the track's own count of played samples, which no pause, empty buffer or slow network shifts.

    What others have put onto the track is not counted: the tail that fades out after a barge-in, or a cached
    phrase in the middle of the reply. Source of ``snapshot_playback()``, of its mark for each turn and of
    the buffers: videosdk-agents 1.0.30, measured.
    """

    def __init__(self, track: Any, rate: int) -> None:
        super().__init__(rate)
        self._track = track
        self._pieces: deque[tuple[int, int]] = deque()  # The reply's sample, and the count when it begins.
        self._last: _Count | None = None  # Of the last push.
        self._frames = _FrameClock()

    @property
    def plays(self) -> bool:
        """Whether the listener's place is known: not where nobody plays the track."""
        return not self.pushed or self._read(_is_asked)

    @property
    def turn_changed(self) -> bool:
        """Whether the track has begun with another turn since the last push."""
        now, last = self._read(_count_of), self._last
        # A track that shows no mark counts from nothing again.
        return last is not None and (now.mark != last.mark or now.played < last.played)

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        # A rest shorter than a frame never plays.
        return self._read(_shows_frames) and self._read(self._backlog_of) < self._rate * FRAME_SECONDS

    @property
    def starved(self) -> bool:
        """Whether a track that is played has nothing left but a rest that is shorter than a frame."""
        return self.plays and self.drained

    def look(self) -> int:
        """Return how much of the reply was played; negative while older audio still is."""
        count = self._read(_count_of).played
        while len(self._pieces) > 1 and self._pieces[1][1] <= count:
            self._pieces.popleft()
        sample, begins = self._pieces[0]
        end = self._pieces[1][0] if len(self._pieces) > 1 else self.pushed
        self.position = max(min(sample + count - begins, end), self.position)
        self.looked_at = self._clock()
        return self.position

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return self._frames.wait_for(seconds, self.position / self._rate, self._clock())

    def note(self, samples: int) -> None:
        """Take note of samples that are about to be pushed."""
        now, backlog = self._read(_count_of), self._read(self._backlog_of)
        begins = now.played + backlog
        if not self._pieces:
            self.position = -backlog
        if not self._pieces or begins - self._pieces[-1][1] != self.pushed - self._pieces[-1][0]:
            self._pieces.append((self.pushed, begins))
        self.pushed += samples
        self._last = now  # A mark before our own audio was no turn's but ours.
        if backlog < self._rate * FRAME_SECONDS:
            self._frames.expect(self._clock())

    def _backlog_of(self, track: Any) -> int:
        return _backlog_of(track, self._rate)

    def _read(self, what: Callable[[Any], _Answer]) -> _Answer:
        try:
            return what(self._track)
        except _RAISED as error:
            raise _UnreadableError from error


class TurnAudio:
    """What others push onto a track from the start of a turn on, and how much of it was played.

    It begins where the track has marked the turn's start, and goes on until :meth:`end`.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
    """

    def __init__(self, track: Any, rate: int) -> None:
        self._track = track
        self._rate = rate
        self._begins = self._pushed_before()
        self._ends: int | None = None

    def end(self) -> None:
        """Note that what is pushed from now on is no part of it."""
        if self._ends is None:
            self._ends = self._pushed()

    @property
    def pushed(self) -> float | None:
        """How many seconds of it the track has got; None where that isn't known."""
        samples = self._length()
        return None if samples is None else samples / self._rate

    def played(self) -> tuple[float, float] | None:
        """Return how many seconds of it were played, and how many pushed; None where that isn't known."""
        begins, now, pushed = self._begins, self._pushed(), self._length()
        if begins is None or now is None or pushed is None or now < begins:
            return None
        try:
            if pushed and not (_is_asked(self._track) and _shows_frames(self._track)):
                return None
            played = now - _backlog_of(self._track, self._rate) - begins
        except _RAISED:
            return None
        return min(max(played, 0), pushed) / self._rate, pushed / self._rate

    def _length(self) -> int | None:
        """Return how many samples of it the track has got; None where that isn't known."""
        begins, ends = self._begins, self._pushed() if self._ends is None else self._ends
        return None if begins is None or ends is None or ends < begins else ends - begins

    def _pushed_before(self) -> int | None:
        """Return how many samples the track had got at the start of the turn; None where it doesn't tell."""
        try:
            return _samples(self._track._synthesis_start_pushed)
        except _RAISED:
            return None

    def _pushed(self) -> int | None:
        """Return how many samples the track has got; None where it doesn't tell."""
        before = self._pushed_before()
        try:
            return None if before is None else before + _samples(self._track.snapshot_playback()[1])
        except _RAISED:
            return None


def _backlog_of(track: Any, rate: int) -> int:
    """Return how many samples wait, a rest shorter than a frame included, as far as the track shows."""
    frames = sum(_length(getattr(track, name, None)) for name in ("frame_buffer", "_paused_frames"))
    rest = _length(getattr(track, "audio_data_buffer", None)) // SAMPLE_WIDTH
    return round(frames * rate * FRAME_SECONDS) + rest


class _Count(NamedTuple):
    """What a track has ever played, and from where it counts: moved at the start of each turn. In samples."""

    played: int
    mark: tuple[int, int]


def _count_of(track: Any) -> _Count:
    played = _samples(getattr(track, "_synthesis_start_played", 0))
    pushed = _samples(getattr(track, "_synthesis_start_pushed", 0))
    return _Count(played + _samples(track.snapshot_playback()[0]), (played, pushed))


def _samples(told: object) -> int:
    samples = told if isinstance(told, (int, float)) else float(told) if isinstance(told, Real) else math.nan
    if not 0 <= samples < math.inf:
        raise ValueError(f"{told!r} is not a number of samples")
    return int(samples)


def _is_asked(track: Any) -> bool:
    """Return whether somebody asks for the track's frames."""
    # A player asks for them from the first on, also while there is nothing but silence to play.
    return getattr(track, "_start", None) is not None or _count_of(track).played > 0


def _shows_frames(track: Any) -> bool:
    return isinstance(getattr(track, "frame_buffer", None), Sized)


def _length(buffer: object) -> int:
    return len(buffer) if isinstance(buffer, Sized) else 0


class _ClockGauge(_Gauge):
    """By the clock, for as long as there is something to play: for tracks that don't count.

    Args:
        rate: The track's rate in Hz.
        before: The gauge that it goes on from.
    """

    def __init__(self, rate: int, before: _Gauge | None = None) -> None:
        super().__init__(rate)
        if before is not None:
            self.pushed, self.position = before.pushed, before.position
            self.looked_at = before.looked_at

    @property
    def plays(self) -> bool:
        """Whether the listener's place is known: the clock always tells."""
        return True

    @property
    def turn_changed(self) -> bool:
        """Whether the track has begun with another turn since the last push: it doesn't tell."""
        return False

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        return self.position >= self.pushed

    @property
    def starved(self) -> bool:
        """Whether a track that is played has nothing left but a rest: what it keeps back isn't known."""
        return False

    def look(self) -> int:
        """Return how much of the reply was played."""
        passed = round((self._clock() - self.looked_at) * self._rate)
        self.looked_at += passed / self._rate
        self.position = min(self.position + passed, self.pushed)
        return self.position

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return max(seconds - self.position / self._rate, _CLOSE_POLL)

    def note(self, samples: int) -> None:
        """Take note of samples that are about to be pushed."""
        self.look()
        self.pushed += samples


class _FrameClock:
    """Finds out when the track hands out its frames, so that a look comes when one has just been.

    A frame counts as played when it is handed out, every 20 ms; to look all the time would cost more than
    all else that a call does. The offset of the frames to the clock narrows down with each look.
    """

    def __init__(self) -> None:
        # A frame is handed out when the clock shows its end in the reply, plus an offset between these two.
        self._earliest, self._latest = float("-inf"), float("inf")
        self._doubt = _CLOSE_POLL  # How much earlier than known the next may come.
        self._awaited = float("inf")
        self._missed = False  # Whether a look has come before the frame that is awaited.
        self._position = float("-inf")  # When it was last found changed, and that moment.
        self._moved_at = 0.0
        self._found_at = float("-inf")

    def expect(self, now: float) -> None:
        """Take note that there is something to play again."""
        self._moved_at = now

    def wait_for(self, seconds: float, position: float, now: float) -> float:
        """Return how long to wait for ``seconds``, ahead of the ``position`` that is seen ``now``."""
        if position != self._position:
            self._position, self._moved_at = position, now
        still = now - self._moved_at
        self._narrow_down(position, now)
        self._awaited = position + math.ceil((seconds - position) / FRAME_SECONDS - _ROUNDING) * FRAME_SECONDS
        wait = max(min(self._earliest, self._latest) + self._awaited - now, self._poll(still))
        # Those that were held up come faster than the clock, until they are back at their old offset.
        return min(wait, FRAME_SECONDS) if now - self._found_at < _STILL and still <= _STILL else wait

    def _narrow_down(self, position: float, now: float) -> None:
        self._earliest = max(self._earliest, now - position - FRAME_SECONDS)
        self._latest = min(self._latest, now - position)
        if self._earliest > self._latest + _JITTER:  # There was a gap, or they were held up: find them again.
            self._earliest, self._latest = now - position - FRAME_SECONDS, now - position
            self._found_at = now
        if position < self._awaited - FRAME_SECONDS / 2:
            self._missed = True
            return
        # One frame that came late must not become the rule: where each is there already, look earlier.
        self._doubt = _CLOSE_POLL if self._missed else min(2 * self._doubt, FRAME_SECONDS)
        self._missed = False
        self._earliest = max(min(self._earliest, self._latest) - self._doubt, self._latest - FRAME_SECONDS)

    def _poll(self, still: float) -> float:
        if still > _STILL:
            return max(_STILL_POLL, still / _PATIENCE)
        # Half of what is not known, so that each look halves it, whatever it sees.
        return max(min((self._latest - self._earliest) / 2, _POLL), _CLOSE_POLL)

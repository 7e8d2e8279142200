"""How far the listener is in one reply.

Rule of this file: it knows the track and the loop's clock, nothing of words and requests.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from ._protocol import SAMPLE_WIDTH

FRAME_SECONDS = 0.02
"""The track hands out frames of this length, and counts them as played; a shorter rest never plays."""
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
_ROUNDING = 1e-6
"""Frames by which a sum of times may be too large."""


def playback_on(track: Any, rate: int) -> Playback:
    """Return the playback of a new reply.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
    """
    if hasattr(track, "snapshot_playback"):
        return PlaybackByTrack(track, rate)
    return PlaybackByClock(track, rate)


class Playback(ABC):
    """One reply on its way through the track: what was pushed, and how much of it was played.

    Create it inside the running loop.
    """

    def __init__(self, track: Any, rate: int) -> None:
        self._track = track
        self._rate = rate
        self._clock = asyncio.get_running_loop().time
        self.begun = False
        """Whether the reply's first audio was pushed."""
        self.on_begun: Callable[[], None] = lambda: None
        """Called when audio is pushed, and playing begins or goes on with it."""

    async def push(self, pcm: bytes) -> None:
        """Hand a piece of the reply's audio to the track."""
        begins = not self.begun or self.drained
        self.begun = True
        self._note(len(pcm) // SAMPLE_WIDTH)
        if begins:
            self.on_begun()
        await self._track.add_new_bytes(pcm)

    @property
    @abstractmethod
    def plays(self) -> bool:
        """Whether the listener's place is known: not where nobody plays the track."""

    @property
    @abstractmethod
    def moved_on(self) -> bool:
        """Whether the track has begun with another turn since the last push."""

    @property
    @abstractmethod
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""

    @abstractmethod
    def seconds(self) -> float:
        """Return how much of the reply was played; negative while older audio still is."""

    @abstractmethod
    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""

    @abstractmethod
    def _note(self, samples: int) -> None:
        """Take note of samples that are about to be pushed."""


class PlaybackByTrack(Playback):
    """By the track's own count of played samples, which no pause, empty buffer or slow network shifts.

    What others have put onto the track is not counted: the tail that fades out after a barge-in, or a cached
    phrase in the middle of the reply. Source of ``snapshot_playback()``, of its mark for each turn and of
    the buffers: videosdk-agents 1.0.30, measured.
    """

    def __init__(self, track: Any, rate: int) -> None:
        super().__init__(track, rate)
        self._pieces: deque[tuple[int, int]] = deque()  # The reply's sample, and the count when it begins.
        self._pushed = 0
        self._position = 0
        self._mark = self._find_mark()
        self._frames = _FrameClock()

    @property
    def plays(self) -> bool:
        """Whether the listener's place is known: not where nobody plays the track."""
        return not self.begun or self._count() > 0

    @property
    def moved_on(self) -> bool:
        """Whether the track has begun with another turn since the last push."""
        return self._find_mark() != self._mark

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        # A rest shorter than a frame never plays.
        return hasattr(self._track, "frame_buffer") and self._backlog() < self._rate * FRAME_SECONDS

    def seconds(self) -> float:
        """Return how much of the reply was played; negative while older audio still is."""
        count = self._count()
        while len(self._pieces) > 1 and self._pieces[1][1] <= count:
            self._pieces.popleft()
        sample, begins = self._pieces[0]
        end = self._pieces[1][0] if len(self._pieces) > 1 else self._pushed
        self._position = max(min(sample + count - begins, end), self._position)
        return self._position / self._rate

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return self._frames.wait_for(seconds, self._position / self._rate, self._clock())

    def _note(self, samples: int) -> None:
        backlog = self._backlog()
        begins = self._count() + backlog
        if not self._pieces:
            self._position = -backlog
        if not self._pieces or begins - self._pieces[-1][1] != self._pushed - self._pieces[-1][0]:
            self._pieces.append((self._pushed, begins))
        self._pushed += samples
        self._mark = self._find_mark()  # A mark before our own audio was no turn's but ours.
        if backlog < self._rate * FRAME_SECONDS:
            self._frames.expect(self._clock())

    def _count(self) -> int:
        return int(self._track.snapshot_playback()[0]) + self._find_mark()[0]

    def _find_mark(self) -> tuple[int, int]:
        """Return from where the track counts what it plays and gets: moved at the start of each turn."""
        played = int(getattr(self._track, "_synthesis_start_played", 0))
        return played, int(getattr(self._track, "_synthesis_start_pushed", 0))

    def _backlog(self) -> int:
        """Return how many samples wait on the track, a rest shorter than a frame included."""
        frames = sum(len(getattr(self._track, name, ())) for name in ("frame_buffer", "_paused_frames"))
        rest = len(getattr(self._track, "audio_data_buffer", b"")) // SAMPLE_WIDTH
        return round(frames * self._rate * FRAME_SECONDS) + rest


class PlaybackByClock(Playback):
    """By the clock, for as long as there is something to play: for tracks that don't count."""

    def __init__(self, track: Any, rate: int) -> None:
        super().__init__(track, rate)
        self._pushed = 0
        self._position = 0
        self._looked_at = self._clock()

    @property
    def plays(self) -> bool:
        """Whether the listener's place is known: the clock always tells."""
        return True

    @property
    def moved_on(self) -> bool:
        """Whether the track has begun with another turn since the last push: it doesn't tell."""
        return False

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        return self._position >= self._pushed

    def seconds(self) -> float:
        """Return how much of the reply was played."""
        passed = round((self._clock() - self._looked_at) * self._rate)
        self._looked_at += passed / self._rate
        self._position = min(self._position + passed, self._pushed)
        return self._position / self._rate

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return max(seconds - self._position / self._rate, _CLOSE_POLL)

    def _note(self, samples: int) -> None:
        self.seconds()
        self._pushed += samples


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

"""How far the listener is in one reply.

Rule of this file: it knows the track and the loop's clock, nothing of words and requests.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from ._protocol import SAMPLE_WIDTH

_FRAME = 0.02
"""The track hands out frames of this length, and counts them as played."""
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
        self.moved_on = False
        """Whether the track counts for another turn now: this one's position can't be known any more."""
        self.on_begun: Callable[[], None] = lambda: None
        """Called when the reply's first audio is pushed."""

    async def push(self, pcm: bytes) -> None:
        """Hand a piece of the reply's audio to the track."""
        self._note(len(pcm) // SAMPLE_WIDTH)
        if not self.begun:
            self.begun = True
            self.on_begun()
        await self._track.add_new_bytes(pcm)

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

    Source of ``snapshot_playback()`` and the buffers' names: videosdk-agents 1.0.30, measured.
    """

    def __init__(self, track: Any, rate: int) -> None:
        super().__init__(track, rate)
        self._origin = 0
        self._position = 0
        self._frames = _FrameClock()

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        # A rest shorter than a frame never plays.
        return hasattr(self._track, "frame_buffer") and self._backlog() < self._rate * _FRAME

    def seconds(self) -> float:
        """Return how much of the reply was played; negative while older audio still is."""
        position = self._count() - self._origin
        self.moved_on |= position < self._position
        self._position = max(position, self._position)
        return self._position / self._rate

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played."""
        return self._frames.wait_for(seconds, self._position / self._rate, self._clock())

    def _note(self, samples: int) -> None:
        if not self.begun:
            # After a barge-in the tail that fades out comes first; the track counts it as this turn's.
            backlog = self._backlog()
            self._origin, self._position = self._count() + backlog, -backlog

    def _count(self) -> int:
        return int(self._track.snapshot_playback()[0])

    def _backlog(self) -> int:
        """Return how many samples wait on the track, a rest shorter than a frame included."""
        frames: Iterable[Any] = chain.from_iterable(
            getattr(self._track, name, ()) for name in ("frame_buffer", "_paused_frames")
        )
        rest = len(getattr(self._track, "audio_data_buffer", b"")) // SAMPLE_WIDTH
        return sum(int(frame.samples) for frame in frames) + rest


class PlaybackByClock(Playback):
    """By the clock, for as long as there is something to play: for tracks that don't count."""

    def __init__(self, track: Any, rate: int) -> None:
        super().__init__(track, rate)
        self._pushed = 0
        self._position = 0
        self._looked_at = self._clock()

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
        self._position = float("-inf")  # When it was last found changed, and that moment.
        self._moved_at = 0.0

    def wait_for(self, seconds: float, position: float, now: float) -> float:
        """Return how long to wait for ``seconds``, ahead of the ``position`` that is seen ``now``."""
        self._earliest = max(self._earliest, now - position - _FRAME)
        self._latest = min(self._latest, now - position)
        if self._earliest > self._latest + _JITTER:  # There was a gap, or it was held up: find them again.
            self._earliest, self._latest = now - position - _FRAME, now - position
        if position != self._position:
            self._position, self._moved_at = position, now
        reached = position + math.ceil((seconds - position) / _FRAME) * _FRAME
        return max(min(self._earliest, self._latest) + reached - now, self._poll(now - self._moved_at))

    def _poll(self, still: float) -> float:
        if still > _STILL:
            return max(_STILL_POLL, still / _PATIENCE)
        return _CLOSE_POLL if self._latest - self._earliest < _POLL else _POLL

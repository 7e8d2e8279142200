"""How far the listener is, and what happens when he gets there.

Rule of this file: it knows the track and the loop's clock, nothing of sockets and requests. A
:class:`Playback` belongs to one reply, and its :class:`Follower` may outlive the call that made them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from ._protocol import SAMPLE_WIDTH
from ._timer import Timer
from ._timing import ReplyTiming, WordSpoken
from .visemes import Viseme

_FRAME = 0.02
"""The track hands out frames of this length, and counts them as played."""
_POLL = 0.004
"""Seconds between two looks while a frame may be handed out at any moment."""
_CLOSE_POLL = 0.001
"""The same where it is known when: the loop's timers aren't finer."""
_JITTER = 0.003
"""Seconds by which frames may come irregularly without being a gap."""
_TOLERANCE = 0.001
"""Seconds by which something may come early: times are rounded, and the last of them is the audio's end."""


class Playback:
    """One reply on its way through the track: what was pushed, and how much of it was played.

    By the track's own count of played samples where it keeps one (``snapshot_playback()``, measured on
    videosdk-agents 1.0.30), so that neither a pause, an empty buffer nor a slow network shifts it. Elsewhere
    by the clock, for as long as there is something to play.

    Args:
        track: The audio track.
        rate: Its rate in Hz.
    """

    def __init__(self, track: Any, rate: int) -> None:
        self._track = track
        self._rate = rate
        self._counts: Callable[[], tuple[int, int]] | None = getattr(track, "snapshot_playback", None)
        self._clock = asyncio.get_running_loop().time
        self._looked_at = 0.0  # For the clock: when the position was last reckoned.
        self._pushed = 0
        self._origin: int | None = None
        self._position = 0
        self._moved_on = False
        # A frame is handed out when the clock shows its end plus an offset between these two.
        self._earliest, self._latest = float("-inf"), float("inf")
        self.on_begun: Callable[[], None] = lambda: None
        """Called when the reply's first audio is pushed."""

    @property
    def begun(self) -> bool:
        """Whether the reply's first audio was pushed."""
        return self._origin is not None

    @property
    def moved_on(self) -> bool:
        """Whether the track counts for another turn now: this reply's position can't be known any more."""
        return self._moved_on

    @property
    def drained(self) -> bool:
        """Whether surely nothing of what was pushed is still to be played."""
        if self._counts is None:
            return self._position >= self._pushed
        # A rest shorter than a frame never plays.
        return hasattr(self._track, "frame_buffer") and self._backlog() < self._rate * _FRAME

    async def push(self, pcm: bytes) -> None:
        """Hand a piece of the reply's audio to the track."""
        if self._origin is None:
            self._begin()
        else:
            self._reckon()
        self._pushed += len(pcm) // SAMPLE_WIDTH
        await self._track.add_new_bytes(pcm)

    def seconds(self) -> float:
        """Return how much of the reply was played; negative while older audio still is."""
        self._reckon()
        return self._position / self._rate

    def wait_for(self, seconds: float) -> float:
        """Return after how many seconds to look again whether ``seconds``, still to come, were played.

        A look costs more than what it finds out, so frames are expected when the last ones tell. Looking
        costs a few a second; a gap or a pause makes it a little dearer until the frames are found again.
        """
        left = seconds - self._position / self._rate
        if self._counts is None:
            return max(left, _CLOSE_POLL)
        played, now = self._position / self._rate, self._clock()
        self._earliest = max(self._earliest, now - played - _FRAME)
        self._latest = min(self._latest, now - played)
        if self._earliest > self._latest + _JITTER:
            self._earliest, self._latest = now - played - _FRAME, now - played
        offset = min(self._earliest, self._latest)
        poll = _CLOSE_POLL if self._latest - offset < _POLL else _POLL
        return max(offset + played + math.ceil(left / _FRAME) * _FRAME - now, poll)

    def _begin(self) -> None:
        self._looked_at = self._clock()
        # After a barge-in the tail that fades out comes first; the track counts it as this turn's.
        self._origin = 0 if self._counts is None else self._counts()[0] + self._backlog()
        self._position = 0 if self._counts is None else -self._backlog()
        self.on_begun()

    def _reckon(self) -> None:
        if self._counts is None:
            now = self._clock()
            played = round((now - self._looked_at) * self._rate)
            self._looked_at += played / self._rate
            self._position = min(self._position + played, self._pushed)
            return
        assert self._origin is not None
        position = self._counts()[0] - self._origin
        if position < self._position:
            self._moved_on = True
        self._position = max(position, self._position)

    def _backlog(self) -> int:
        """Return how many samples wait on the track, a rest shorter than a frame included."""
        frames: Iterable[Any] = chain.from_iterable(
            getattr(self._track, name, ()) for name in ("frame_buffer", "_paused_frames")
        )
        rest = len(getattr(self._track, "audio_data_buffer", b"")) // SAMPLE_WIDTH
        return sum(int(frame.samples) for frame in frames) + rest


class Follower:
    """Tells each word and viseme of a reply when the listener gets there.

    It ends with the last of them, or by :meth:`stop`. Create it inside the running loop.

    Args:
        timing: What is said when.
        playback: Where the listener is.
        on_word: Called for each word.
        on_visemes: Called for the visemes that were reached together.
    """

    def __init__(
        self,
        timing: ReplyTiming,
        playback: Playback,
        on_word: Callable[[WordSpoken], None],
        on_visemes: Callable[[list[Viseme]], None],
    ) -> None:
        self._timing = timing
        self._playback = playback
        self._on_word = on_word
        self._on_visemes = on_visemes
        self._timer = Timer(asyncio.get_running_loop(), self._look)
        self._stopped = False
        timing.on_change = playback.on_begun = self._wake

    @property
    def following(self) -> bool:
        """Whether it may still tell something."""
        return not self._stopped

    def stop(self) -> None:
        """Tell nothing more, from now on. Idempotent."""
        self._stopped = True
        self._timer.close()

    def _wake(self) -> None:
        if self._playback.begun and not self._stopped:
            self._timer.start(0.0)

    def _look(self) -> None:
        position = self._playback.seconds() + _TOLERANCE
        if self._playback.moved_on:
            self.stop()
            return
        for word in self._timing.pop_words(position):
            if not self._stopped:  # By whoever heard the word before.
                self._on_word(word)
        if not self._stopped and (visemes := self._timing.pop_visemes(position)):
            self._on_visemes(visemes)
        self._wait()

    def _wait(self) -> None:
        due = self._timing.next_due
        if due is None or (self._timing.ended and self._playback.drained):
            if self._timing.ended:
                self.stop()
        elif not self._stopped:
            self._timer.start(self._playback.wait_for(due - _TOLERANCE))

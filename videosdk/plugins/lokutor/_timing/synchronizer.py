"""Emits each word and viseme when it is heard.

Rule of this file: it brings a reply's timing and its playback together, and may outlive the call that made
it. Everything happens in callbacks of the loop: there is no task to leave behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .._audio.playback import Playback
from .._timer import Timer, do_nothing
from ..visemes import Viseme
from .timeline import Timeline, WordSpoken

_TOLERANCE = 0.0001
"""Seconds by which something may come early: times are rounded, and the last of them is the audio's end."""
_LONGEST_WAIT = 1.0
"""Seconds between two looks at most."""


class SpeechSynchronizer:
    """Reports each word and viseme of a reply when playback reaches it.

    It ends with the last of them, or with :meth:`stop`. When another turn has started, it reports nothing
    more but still finds out what is heard. Create it inside the running loop.

    Args:
        timing: What is said when.
        playback: Where the listener is.
        on_word: Called for each word.
        on_visemes: Called for the visemes that were reached together.
        on_end: Called once, with the reply's text as far as it was heard (None where that can't be known),
            and whether it was interrupted.
    """

    def __init__(
        self,
        timing: Timeline,
        playback: Playback,
        on_word: Callable[[WordSpoken], None],
        on_visemes: Callable[[list[Viseme]], None],
        on_end: Callable[[str | None, bool], None] = lambda heard, interrupted: None,
    ) -> None:
        self._timeline = timing
        self._playback = playback
        self._on_word = on_word
        self._on_visemes = on_visemes
        self._on_end = on_end
        self._heard = ""
        self._replaced = False
        self._timer = Timer(asyncio.get_running_loop(), self._look)
        self._stopped = False
        timing.on_change = playback.on_begun = self._wake

    @property
    def following(self) -> bool:
        """Whether it may still tell something."""
        return not self._stopped

    def stop(self, *, interrupted: bool = False) -> None:
        """End, from now on. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self._timer.close()
        self._timeline.on_change = self._playback.on_begun = do_nothing
        # An interruption is meant for the turn that is under way.
        interrupted = interrupted and not self._replaced and not self._playback.turn_changed
        self._on_end(self._heard if self._playback.plays else None, interrupted)

    def replace(self) -> None:
        """Tell nothing more: another turn begins, behind what is still to be heard of this one."""
        self._replaced = True
        if not self._playback.begun:
            self.stop()

    def _wake(self) -> None:
        if self._playback.begun and not self._stopped:
            self._timer.start(0.0)

    def _look(self) -> None:
        position = self._playback.seconds()
        if self._playback.turn_changed and self._timeline.ended:
            self.replace()
        if position > 0:
            self._tell(position + _TOLERANCE)
        if not self._stopped:
            self._wait(position)

    def _tell(self, position: float) -> None:
        for word in self._timeline.pop_words(position):
            if not self._stopped:  # By whoever heard the word before.
                self._heard = word["cumulative_text"]
                self._tell_word(word)
        visemes = self._timeline.pop_visemes(position)
        if visemes and not self._stopped and not self._replaced:
            self._on_visemes(visemes)

    def _tell_word(self, word: WordSpoken) -> None:
        if not self._replaced:
            self._on_word(word)

    def _wait(self, position: float) -> None:
        due, ended = self._timeline.next_due, self._timeline.ended
        if ended and (due is None or self._playback.drained):
            self.stop()
        elif due is not None:
            # What begins with the audio is heard with its first frame.
            due = max(due - _TOLERANCE, _TOLERANCE)
            self._timer.start(self._playback.wait_for(min(due, position + _LONGEST_WAIT)))


class Synchronizers:
    """The synchronizer of the last turn, and of turns before it that may still be heard.

    Args:
        on_word: Called for each word of the last turn.
        on_visemes: Called for the visemes of the last turn that were reached together.
    """

    def __init__(
        self, on_word: Callable[[WordSpoken], None], on_visemes: Callable[[list[Viseme]], None]
    ) -> None:
        self._on_word = on_word
        self._on_visemes = on_visemes
        self._last: SpeechSynchronizer | None = None
        self._replaced: set[SpeechSynchronizer] = set()

    @property
    def following(self) -> bool:
        """Whether the last turn may still be heard."""
        return self._last is not None and self._last.following

    def begin(
        self, timeline: Timeline, playback: Playback, on_end: Callable[[str | None, bool], None] | None
    ) -> None:
        """Follow a new turn, which takes the place of the last one.

        Args:
            timeline: What is said when.
            playback: Where the listener is.
            on_end: As for :class:`SpeechSynchronizer`.
        """
        more = () if on_end is None else (on_end,)
        self._last = SpeechSynchronizer(timeline, playback, self._on_word, self._on_visemes, *more)

    def replace(self) -> None:
        """Tell nothing more of the last turn: another begins. What is heard of it is still found out."""
        if self._last is not None:
            self._last.replace()
            self._replaced.add(self._last)
            self._last = None
        self._replaced = {synchronizer for synchronizer in self._replaced if synchronizer.following}

    def stop(self, *, interrupted: bool = False) -> None:
        """End all; ``interrupted`` is said of the last turn."""
        while self._replaced:
            self._replaced.pop().stop()
        last, self._last = self._last, None
        if last is not None:
            last.stop(interrupted=interrupted)

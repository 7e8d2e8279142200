"""The turns of a plugin: which of them an interrupt ends, and which tracks it silences.

Rule of this file: nothing in it awaits. After a barge-in the framework calls ``interrupt()`` a second time,
from the task of the turn that it has cancelled, when the next turn may have begun: source,
``PipelineOrchestrator`` of videosdk-agents 1.0.24 to 1.0.30. That late interrupt must not reach the next
turn, and every other must. The turn may have been spoken to its end by then, and only be heard.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

from .._tasks import keep
from .._utterance import Utterance

logger = logging.getLogger("videosdk.plugins.lokutor")

_LATE = 1.0
"""Seconds after a turn's cancellation in which the framework's late interrupt comes: at once, as a rule."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A turn that is no longer spoken.

    Attributes:
        turns: It and the older ones that ran then.
        number: How many turns had begun when it did.
        expires: When an interrupt from its task is no longer the framework's late one, by the loop's clock.
        cancellations: How often its task had been cancelled before.
    """

    turns: tuple[Utterance, ...]
    number: int
    expires: float
    cancellations: int


class Turns:
    """The turns that are being spoken, and the last one, which may still be heard."""

    def __init__(self) -> None:
        self._tracks: dict[Utterance, Any] = {}  # Of those being spoken, in order of their beginning.
        self._numbers: dict[Utterance, int] = {}
        self._begun = 0
        self._last: tuple[Utterance, Any] | None = None
        self._unasked: Utterance | None = None  # The last one, before its first interrupt.
        self._ended: WeakKeyDictionary[asyncio.Task[Any], _Ended] = WeakKeyDictionary()

    @property
    def speaking(self) -> bool:
        """Whether a turn is being spoken."""
        return bool(self._tracks)

    @property
    def spoken(self) -> str:
        """The text of the last turn whose audio is with the track."""
        return "" if self._last is None else self._last[0].spoken

    def change(self, changes: Mapping[str, Any]) -> None:
        """Have what is being spoken go on otherwise."""
        for utterance in self._tracks:
            utterance.change(changes)

    def pace(self, paced: bool) -> None:
        """Pace the requests of what is being spoken from now on, or no longer."""
        for utterance in self._tracks:
            utterance.pace(paced)

    def begin(self, utterance: Utterance, track: Any) -> None:
        """Note that the calling task begins a turn on ``track``."""
        self._take_ended()
        self._begun += 1
        self._numbers[utterance] = self._begun
        self._tracks[utterance] = track
        self._last = (utterance, track)
        self._unasked = utterance

    def end(self, utterance: Utterance, *, cancelled: bool) -> None:
        """Note that a turn is no longer spoken, and whether the calling task was cancelled in it."""
        task = asyncio.current_task()
        if task is not None:
            turns = list(self._tracks)
            # One that was spoken to its end is cancelled later, if at all.
            expires = asyncio.get_running_loop().time() + _LATE if cancelled else inf
            meant = tuple(turns[: turns.index(utterance) + 1])
            cancellations = 0 if cancelled else task.cancelling()
            self._ended[task] = _Ended(meant, self._numbers[utterance], expires, cancellations)
        del self._tracks[utterance], self._numbers[utterance]

    def interrupt(self, current_track: Any) -> bool:
        """End the turns that an interrupt is for, and silence their tracks.

        Args:
            current_track: The plugin's track of now, which is silenced as well.

        Returns:
            Whether all turns were meant.
        """
        heard = {**dict(filter(None, [self._last])), **self._tracks}
        meant = self._meant(heard)
        for utterance in meant:
            utterance.interrupt()
        spared = [track for utterance, track in heard.items() if utterance not in meant]
        _silence([*(heard[utterance] for utterance in meant), current_track], spared)
        return not spared

    def take_last(self) -> Utterance | None:
        """Return the last turn if it was not asked for before; it may still be heard."""
        last, self._unasked = self._unasked, None
        return last

    def close(self) -> None:
        """End all."""
        for utterance in list(self._tracks):
            utterance.interrupt()
        self._last = self._unasked = None

    def _take_ended(self) -> _Ended | None:
        """Return the ended turn of the calling task, once; None where there is none."""
        task = asyncio.current_task()
        return None if task is None else self._ended.pop(task, None)

    def _meant(self, heard: Iterable[Utterance]) -> list[Utterance]:
        """Return which of the turns that are ``heard`` an interrupt is for: all, unless it comes late.

        A late one comes from a task that is still ending because its turn was cancelled, soon after that, and
        at most one turn has begun since.
        """
        task, ended = asyncio.current_task(), self._take_ended()
        late = (
            task is not None
            and ended is not None
            and task.cancelling() > ended.cancellations
            and self._begun - ended.number <= 1
            and asyncio.get_running_loop().time() < ended.expires
        )
        if not late or ended is None:
            return list(heard)
        return [turn for turn in heard if turn in ended.turns]


def _silence(tracks: list[Any], spared: list[Any]) -> None:
    """Interrupt each of ``tracks`` once, but none that a turn still speaks on."""
    done = [None, *spared]
    for track in tracks:
        if any(track is other for other in done) or not hasattr(track, "interrupt"):
            continue
        done.append(track)
        try:
            _start(track.interrupt())
        # The turn is over all the same, and the other tracks must fall silent, too. Nothing was awaited, so
        # a CancelledError is the track's own.
        except (Exception, asyncio.CancelledError):
            logger.exception("The audio track's interrupt() raised")


def _start(result: object) -> None:
    """Run what an ``interrupt()`` has returned, where it is a coroutine: the framework's own is none."""
    if inspect.iscoroutine(result):
        keep([asyncio.get_running_loop().create_task(_logged(result))])


async def _logged(result: Coroutine[Any, Any, object]) -> None:
    try:
        await result
    except Exception:
        logger.exception("The audio track's interrupt() raised")

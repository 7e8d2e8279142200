"""What a caller heard of a barge-in, from the recorded track.

Rule of this file: pure. It knows samples and moments, no plugin and no loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .track import TRACK_RATE, Frame, Samples, audible

_PROBE = TRACK_RATE // 10
"""Samples that tell where a reply begins: more than one tone of the synthetic voice."""
_FRAME = TRACK_RATE // 50
"""Samples of a frame. The track never plays a rest that is shorter, so a reply may end that much early."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was heard from a barge-in on.

    Attributes:
        stop: Seconds from the barge-in to the old reply's last audible sample.
        stale: Audible samples of the old reply that were handed out once the barge-in was done.
        first_sound: When the new reply was first heard, or None if it never was.
        whole: Whether the new reply was heard as it should be.
    """

    stop: float
    stale: int
    first_sound: float | None
    whole: bool


def aftermath(frames: Sequence[Frame], expected: Samples, *, stopped: float, done: float) -> Aftermath:
    """Tell what a caller heard.

    Args:
        frames: What the track handed out, from before the barge-in to the end of the new reply.
        expected: What the plugin gives the track for the new reply when nothing disturbs it.
        stopped: When the barge-in came.
        done: When it was done: the plugin and the track were interrupted.
    """
    if not frames:
        return Aftermath(0.0, 0, None, whole=False)
    heard = np.concatenate([samples for _, samples in frames])
    moments = np.concatenate([at + np.arange(len(samples)) / TRACK_RATE for at, samples in frames])
    given = np.repeat([at for at, _ in frames], [len(samples) for _, samples in frames])
    wanted = expected[audible(expected)[0] :]
    begin = _find(heard, wanted[:_PROBE], int(np.searchsorted(given, stopped)))
    old = audible(heard[:begin])
    following = heard[begin:]
    right = _common(following, wanted)
    return Aftermath(
        stop=max(0.0, float(moments[old[-1]]) - stopped) if len(old) else 0.0,
        stale=int(np.count_nonzero(given[old] > done)) + len(audible(following[right:])),
        first_sound=float(moments[begin]) if begin < len(heard) else None,
        whole=right > len(wanted) - _FRAME and not len(audible(following[right:])),
    )


def _find(heard: Samples, probe: Samples, start: int) -> int:
    """Return where ``probe`` is in ``heard``, from ``start`` on; its length where it isn't."""
    data, wanted = heard.tobytes(), probe.tobytes()
    place = data.find(wanted, start * 2)
    while place % 2 == 1 and place >= 0:
        place = data.find(wanted, place + 1)
    return len(heard) if place < 0 else place // 2


def _common(one: Samples, other: Samples) -> int:
    """Return how many samples are the same from the start."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length

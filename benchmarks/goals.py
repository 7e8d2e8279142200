"""The rows that are shown, and what is asked of this plugin in each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .contenders import FLOOR

OURS = "lokutor"
_REFERENCE = "lmnt"

Values = Mapping[str, Mapping[str, float]]
"""One figure by row and contender."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that this plugin's figure must not exceed.

    Attributes:
        text: The limit in words.
        limit: The limit for a run's figures and its round trip in milliseconds; None where what it
            refers to was not measured.
    """

    text: str
    limit: Callable[[Values, float], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        key: Its name in the results.
        title: What it says.
        unit: Its unit.
        digits: Decimals shown.
        goal: What is asked for, if anything.
        summary: How its samples become one figure.
        heard: Whether it is shown with the spread of its samples, for it differs from turn to turn.
    """

    key: str
    title: str
    unit: str
    digits: int = 1
    goal: Goal | None = None
    summary: Callable[[list[float]], float] = statistics.median
    heard: bool = False

    @property
    def summary_name(self) -> str:
        """How its samples became one figure, in a word."""
        return {statistics.median: "median", max: "maximum"}.get(self.summary, "mean")


def _at_most(limit: float, unit: str) -> Goal:
    return Goal(f"at most {limit:g} {unit}".strip(), lambda _values, _round_trip: limit)


def _near_floor(key: str, round_trips: int, spare: float) -> Goal:
    def limit(values: Values, round_trip: float) -> float | None:
        floor = values.get(key, {}).get(FLOOR)
        return None if floor is None else floor + round_trips * round_trip + spare

    trips = f" + {round_trips} round trips" if round_trips else ""
    return Goal(f"at most the floor{trips} + {spare:g} ms", limit)


def _heard(key: str, title: str, round_trips: int = 0, spare: float = 3, *, goal: bool = True) -> Row:
    """Return the row of what is heard of what ``key`` gives."""
    key = f"{key}_heard"
    return Row(key, title, "ms", 1, _near_floor(key, round_trips, spare) if goal else None, heard=True)


_SHARE = 0.8
_NOTHING_STALE = Goal("none, in any sample", lambda _values, _round_trip: 0.0)
_AFTER_REPLY, _AFTER_SAY = _near_floor("after_reply", 0, 3), _near_floor("after_say", 0, 3)
_OWN = _at_most(0.5, "ms")


def _share_of_lmnt(values: Values, _round_trip: float) -> float | None:
    lmnt = values.get("processor", {}).get(_REFERENCE)
    return None if lmnt is None else _SHARE * lmnt


_LESS_THAN_LMNT = Goal(f"at most {_SHARE:g} of lmnt's", _share_of_lmnt)

ROWS = (
    _heard("cold", "first sound, cold", 3, 10),
    _heard("warm", "first sound, warm"),
    _heard("after_reply", "first sound after a barge-in, reply"),
    _heard("after_say", "first sound after a barge-in, say()"),
    _heard("tokens", "first token to first sound, chunker", goal=False),
    Row("stop", "barge-in to the old reply's last sound", "ms", goal=_at_most(21, "ms"), heard=True),
    Row("stale_heard", "stale sound after a barge-in", "samples", 0, _NOTHING_STALE, max),
    Row("spoiled", "replies after a barge-in not heard right", "%", 0, _NOTHING_STALE, statistics.fmean),
    Row("cold", "first audio given, cold", "ms", goal=_near_floor("cold", 3, 10)),
    Row("warm", "first audio given, warm", "ms", goal=_near_floor("warm", 0, 3)),
    Row("after_reply", "first audio given after a barge-in, reply", "ms", goal=_AFTER_REPLY),
    Row("after_say", "first audio given after a barge-in, say()", "ms", goal=_AFTER_SAY),
    Row("tokens", "first token to first audio given, chunker", "ms"),
    Row("interrupt", "interrupt() returns", "ms", 2),
    Row("interrupt_extra", "  beyond the track's own interrupt()", "ms", 2, _OWN),
    Row("interrupt_stubborn", "interrupt() returns, stubborn server", "ms", 2),
    Row("interrupt_stubborn_extra", "  beyond the track's own interrupt()", "ms", 2, _OWN),
    Row("synthesize_ends", "interrupted synthesize() ends", "ms", goal=_at_most(5, "ms")),
    Row(
        "synthesize_ends_stubborn",
        "interrupted synthesize() ends, stubborn server",
        "ms",
        goal=_at_most(5, "ms"),
    ),
    Row("sent_after", "audio the server sends after a barge-in", "s", 2, _at_most(0.2, "s")),
    Row("stale", "stale bytes given after a barge-in", "bytes", 0, _NOTHING_STALE, max),
    Row("requests", "requests per minute of speech", ""),
    Row(
        "unheard",
        "characters sent and not heard at a barge-in",
        "",
        0,
        _at_most(90, "on average"),
        statistics.fmean,
    ),
    Row("processor", "processor time per second of audio", "ms", 2, _LESS_THAN_LMNT),
    Row("stall", "longest stall on a message of 20 s", "ms", goal=_at_most(5, "ms")),
    Row("stall_processor", "  the same in processor time", "ms"),
    Row("memory_idle", "memory per idle plugin, prewarmed", "KiB", 0),
    Row("memory_call", "memory per running call", "KiB", 0),
)


def spread(taken: list[float]) -> dict[str, float]:
    """Return how samples are spread: P50, P95, the range of the middle half, and how many there are."""
    if len(taken) == 1:
        return {"p50": taken[0], "p95": taken[0], "iqr": 0.0, "n": 1}
    parts = statistics.quantiles(taken, n=20, method="inclusive")
    return {"p50": parts[9], "p95": parts[18], "iqr": parts[14] - parts[4], "n": len(taken)}


def summarize(samples: Mapping[str, Mapping[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Return one figure by row and contender."""
    return {
        row.key: {name: row.summary(taken) for name, taken in samples[row.key].items()}
        for row in ROWS
        if row.key in samples
    }


def judge(row: Row, values: Values, round_trip: float, *, fair: bool = True) -> dict[str, Any] | None:
    """Return the goal of ``row`` with its limit in this run and whether it was met, or None.

    Args:
        row: The row.
        values: The run's figures.
        round_trip: Milliseconds.
        fair: Whether the run was fit to judge anything by.
    """
    if row.goal is None:
        return None
    limit = row.goal.limit(values, round_trip)
    ours = values.get(row.key, {}).get(OURS)
    met = ours <= limit if fair and limit is not None and ours is not None else None
    return {"text": row.goal.text, "limit": limit, "met": met}

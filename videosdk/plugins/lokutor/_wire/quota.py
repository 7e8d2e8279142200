"""What the headers of an answer tell about the plan: ``Retry-After`` and ``X-RateLimit-*``.

Rule of this file: pure. The time is passed in, and what can't be read is None: the headers are an extra.

Sources: RFC 9110 for ``Retry-After``. Nothing defines ``X-RateLimit-Reset``: services send seconds from now,
or a Unix time in seconds or a fraction of them, and the size tells which it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeGuard

_UNIX_TIME = 1e9
"""From here on, seconds are a Unix time: as a wait they would be 30 years."""
_LATEST_UNIX_TIME = 1e11
"""From here on, it is in milliseconds or less: as seconds it would be the year 5138."""
_FINEST = 1e9
"""How many parts of a second it may count: nanoseconds."""
_NUMBER = re.compile(r"\s*(\d{1,9})(?!\d)", re.ASCII)
_SECONDS = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:;[^,]*)?", re.ASCII | re.IGNORECASE)
"""What ``float()`` takes, without what no service means by it: ``1_0``, other scripts' digits."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a service told about its limits; None where it didn't.

    Attributes:
        retry_after: Seconds until it accepts requests again.
        limit: Requests that the plan has.
        remaining: Requests that are left of them.
        reset_after: Seconds until there are more.
    """

    retry_after: float | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None


def read_quota(headers: Mapping[str, str], now: datetime) -> Quota:
    """Return what ``headers`` tell.

    Args:
        headers: Of an answer, to be found by any spelling.
        now: When it came, for a server that doesn't say when it wrote it. Where it does, a date is
            compared with that: our clocks need not agree.
    """
    now = read_date(headers.get("Date")) or now
    remaining = _number(headers.get("X-RateLimit-Remaining"))
    reset_after = _reset(headers.get("X-RateLimit-Reset"), now)
    # Where it was sent twice, both have to be over.
    pauses = [_seconds(value, now) for value in _values(headers, "Retry-After")]
    retry_after = max(filter(_is_told, pauses), default=None)
    if retry_after is None and not remaining:
        retry_after = reset_after
    return Quota(retry_after, _number(headers.get("X-RateLimit-Limit")), remaining, reset_after)


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    """Return all values of a header, also where a proxy has put them into one: ``1, 2``."""
    lines = [line for each, line in headers.items() if each.lower() == name.lower()]
    # The comma of a date parts nothing.
    return [part for line in lines for part in (line.split(",") if _are_numbers(line) else [line])]


def _are_numbers(line: str) -> bool:
    return all(map(_SECONDS.fullmatch, line.split(",")))


def _is_told(seconds: float | None) -> TypeGuard[float]:
    return seconds is not None


def _number(value: str | None) -> int | None:
    """Return the number in front: a service may add its windows, as in ``100, 100;w=60``."""
    match = _NUMBER.match(value or "")
    return int(match[1]) if match else None


def _reset(value: str | None, now: datetime) -> float | None:
    first = (value or "").split(",")[0]
    seconds = _seconds(first if _SECONDS.fullmatch(first) else value, now)
    if seconds is None or seconds < _UNIX_TIME:
        return seconds
    parts = 1.0
    while seconds / parts >= _LATEST_UNIX_TIME:
        parts *= 1000
    return max(seconds / parts - now.timestamp(), 0.0) if parts <= _FINEST else None


def _seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a header that may be a number or a date."""
    number = _SECONDS.fullmatch(value or "")
    if number is None:
        due = read_date(value)
        return None if due is None else max((due - now).total_seconds(), 0.0)
    seconds = max(float(number[1]), 0.0)
    return seconds if math.isfinite(seconds) else None


def read_date(value: str | None) -> datetime | None:
    """Return a date of HTTP, or None if it is none."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

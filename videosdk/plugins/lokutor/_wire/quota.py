"""What the headers of an answer tell about the plan: ``Retry-After`` and ``X-RateLimit-*``.

Rule of this file: pure. The time is passed in, and what can't be read is None: the headers are an extra.

Sources: RFC 9110 for ``Retry-After``. Nothing defines ``X-RateLimit-Reset``: services send seconds from now,
or a Unix time in seconds or milliseconds, and the size tells which it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNIX_TIME = 1e9
"""From here on, seconds are a Unix time: as a wait they would be 30 years."""
_UNIX_TIME_MS = 1e11
"""From here on, it is in milliseconds: as seconds it would be the year 5138."""
_NUMBER = re.compile(r"\s*(\d{1,9})(?!\d)", re.ASCII)


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
    retry_after = _seconds(headers.get("Retry-After"), now)
    if retry_after is None and not remaining:
        retry_after = reset_after
    return Quota(retry_after, _number(headers.get("X-RateLimit-Limit")), remaining, reset_after)


def _number(value: str | None) -> int | None:
    """Return the number in front: a service may add its windows, as in ``100, 100;w=60``."""
    match = _NUMBER.match(value or "")
    return int(match[1]) if match else None


def _reset(value: str | None, now: datetime) -> float | None:
    seconds = _seconds(value, now)
    if seconds is None or seconds < _UNIX_TIME:
        return seconds
    unix = seconds / 1000 if seconds >= _UNIX_TIME_MS else seconds
    return max(unix - now.timestamp(), 0.0)


def _seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a header that may be a number or a date."""
    try:
        seconds = float(value or "")
    except ValueError:
        due = read_date(value)
        return None if due is None else max((due - now).total_seconds(), 0.0)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def read_date(value: str | None) -> datetime | None:
    """Return a date of HTTP, or None if it is none."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

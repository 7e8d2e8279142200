"""What the headers of a refused handshake tell, in all the ways that services spell it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each
from multidict import CIMultiDict

from videosdk.plugins.lokutor._wire.quota import Quota, read_quota

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IN_A_MINUTE = format_datetime(NOW + timedelta(seconds=60), usegmt=True)
UNIX = NOW.timestamp()


def quota(**headers: str) -> Quota:
    """Return what headers tell, of which ``retry_after`` is ``Retry-After``."""
    return read_quota(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), NOW)


def test_no_headers_tell_nothing() -> None:
    assert quota() == Quota(None, None, None, None)


@each(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("\u00b2", None),
        ("\u0661", None),
        ("1_0", None),
        ("0x10", None),
        (".5", 0.5),
        ("1e2", 100.0),
        ("9" * 5_000, None),
        ("1, 2", 2.0),  # Two headers, which a proxy has put into one.
        ("3,2", 3.0),
        ("1, soon", None),
        ("", None),
        (IN_A_MINUTE, 60.0),
        ("Sun, 01 Mar 2026 13:01:00 +0100", 60.0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 60.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("Sun Mar  1 12:01:00 2026", 60.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert quota(retry_after=value).retry_after == seconds


def test_of_two_headers_the_longer_pause_counts() -> None:
    for values in (["1", "2"], ["2", "1"], ["soon", "2"], [IN_A_MINUTE, "2"]):
        headers = CIMultiDict([("Retry-After", value) for value in values])
        longest = 60.0 if IN_A_MINUTE in values else 2.0
        assert read_quota(headers, NOW).retry_after == longest


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(days=-1)])
def test_a_date_is_compared_with_the_servers_own_clock(skew: timedelta) -> None:
    theirs = NOW + skew
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=9), usegmt=True),
        "X-RateLimit-Reset": str(int(theirs.timestamp()) + 30),
    }
    told = read_quota(headers, NOW.astimezone(timezone(timedelta(hours=5))))
    assert (told.retry_after, told.reset_after) == (9.0, 30.0)


@each("header", ["limit", "remaining"])
@each(
    ("value", "number"),
    [
        ("100", 100),
        ("0", 0),
        (" 5", 5),
        ("100, 100;w=60", 100),
        ("-1", None),
        ("x", None),
        ("9" * 5_000, None),
    ],
)
def test_requests_are_whole_numbers(header: str, value: str, number: int | None) -> None:
    assert getattr(quota(**{f"x_ratelimit_{header}": value}), header) == number


@each(
    ("value", "seconds"),
    [
        ("42", 42.0),
        ("0.5", 0.5),
        (f"{UNIX + 42:.0f}", 42.0),
        (f"{(UNIX + 42) * 1000:.0f}", 42.0),
        (f"{(UNIX + 42) * 1e6:.0f}", 42.0),
        (f"{UNIX + 42:.0f}000000000", 42.0),
        (f"{UNIX + 42:.0f}000000000000", None),
        ("42, 3600;w=60", 42.0),
        ("42;w=60", 42.0),
        ("4_2", None),
        (f"{UNIX - 42:.0f}", 0.0),
        (IN_A_MINUTE, 60.0),
        ("later", None),
    ],
)
def test_the_reset_is_a_number_of_seconds_or_a_moment(value: str, seconds: float | None) -> None:
    assert quota(x_ratelimit_reset=value).reset_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_ratelimit_reset": "42"}, 42.0),
        ({"x_ratelimit_reset": "42", "x_ratelimit_remaining": "0"}, 42.0),
        ({"x_ratelimit_reset": "42", "retry_after": "7"}, 7.0),
        # Requests are left, so it is something else that there is too much of: sessions, perhaps.
        ({"x_ratelimit_reset": "42", "x_ratelimit_remaining": "3"}, None),
    ],
)
def test_without_retry_after_the_reset_counts(headers: dict[str, str], seconds: float) -> None:
    assert quota(**headers).retry_after == seconds


NAMES = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Date"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.floats().map(str) | st.integers().map(str)))
def test_nothing_that_a_service_may_send_fails(headers: dict[str, str]) -> None:
    told = read_quota(headers, NOW)
    for seconds in (told.retry_after, told.reset_after):
        assert seconds is None or (seconds >= 0 and math.isfinite(seconds))

"""What English doesn't show: a price that is part of another noun, a year that counts, days of a month.

Rule of this file: a number and the words around it to the form of what it counts, or to None where they don't
show one. "$20" is "twenty dollars", but "twenty dollar" in "your $20 bill".
"""

from __future__ import annotations

import re

from .languages import Noun
from .notation import Number

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
    "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTH = rf"(?<!\w)(?P<month>{'|'.join(MONTHS)})(?!\w)\.?"
_DAY = r"\d{1,2}(?:[a-z]{2})?"
_MONTH_BEFORE = re.compile(rf"{_MONTH}[*_]*\s+[*_]*(?P<day>{_DAY}\s+(?:to|and|or|through|until|till)\s+)?$")
_DAYS_BEFORE = re.compile(rf"{_MONTH}\s+(?:{_DAY},\s+)+(?:{_DAY},?\s+)?(?:(?:to|and|or)\s+)?$")
"""Ends in the days of a list, whose last number may count something: "May 3, 5 and 7", "May 3, 5 people"."""
_YEAR_BEFORE = re.compile(
    rf"(?:(?i:(?<!\w)(?:in|since|until|year|summer|spring|autumn|fall|winter))|{_MONTH}(?:\s+{_DAY},?)?)\s+$"
)
_MAY_BEGINS = re.compile(r"(?:^|[.!?:\n\"“(])\s*May\s+$")
_ADJECTIVE_ENDS = re.compile(
    r"\s(?:long|wide|high|tall|deep|total|extra|overall|cash|north|south|east|west|left|remaining|respectively|monthly|daily|weekly|yearly|annually)(?![\w\s])"
)
_HUNDRED = 100


def month_before(before: str, after: str) -> str | None:
    """Return the month whose day follows a text, nothing where there is none, or None where that is unsure.

    Args:
        before: The text.
        after: The word after the day, if it may be counted: "May 3 and 5 people".
    """
    found = _MONTH_BEFORE.search(before)
    if found is None:
        return None if _DAYS_BEFORE.search(before) else ""
    return None if after and (found["day"] or _MAY_BEGINS.search(before)) else found["month"]


def ends_with_adjective(after: str) -> bool:
    """Return whether a text begins with an adjective that no noun follows: "5 km long."."""
    return bool(_ADJECTIVE_ENDS.match(after))


def shows_year(before: str) -> bool:
    """Return whether a year follows a text."""
    return bool(_YEAR_BEFORE.search(before))


def is_same_as_count(year: int) -> bool:
    """Return whether a year is said as a count is: "fifteen hundred"."""
    return not year % _HUNDRED


def form_of(counted: Noun, number: Number, written: str, before: str, after: str) -> Noun | None:
    """Return the forms of what is counted, or None where another noun may follow that it is part of.

    Args:
        counted: What is counted.
        number: How many, or the end of a range.
        written: How that is written.
        before: The word before the number.
        after: The word after what is counted, if it may be a noun.
    """
    singular = Noun(counted.one, counted.one, counted.gender)
    if written.lower() == counted.many:
        return counted
    if before.lower() in {"a", "an"} or written.lower() == counted.one:
        return singular
    is_one = number.whole == 1 and not number.decimals
    may_be_part = after or before.lower() == "the"  # "The 12 oz or the 16 oz coffee?"
    return None if may_be_part and not is_one else counted

"""Numbers as they are written.

Rule of this file: digits and marks to a value, or to None where they make no sense.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SPACE = "[ \u00a0\u202f\u2009]"
"""Matches what may stand in a number, or before its unit."""
APOSTROPHES = "'’‘´`"
"""What is written for an apostrophe, as a class of a pattern. "ʼ" is a letter."""
NUMBER = rf"(?>(?<!\d )\d{{1,3}}(?:{SPACE}\d{{3}})+(?!{SPACE}?\d)(?:[.,]\d+)?|\d+(?:[.,'’]\d+)*)"
"""Matches all of a number, or nothing."""
_GROUPED = re.compile(r"([1-9]\d{0,2}([.,_])\d{3}(?:\2\d{3})*)(?:([.,])(\d+))?")
_UNGROUPED = re.compile(r"(0|[1-9]\d*)(?:[.,](\d+))?")
_GROUP = 3
"""Digits of a group of thousands."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written.

    Attributes:
        whole: What stands before the decimal mark.
        decimals: The digits after it.
        grouped: Whether thousands were marked.
    """

    whole: int
    decimals: str = ""
    grouped: bool = False


def parse_number(text: str, decimal: str, *, price: bool = False) -> Number | None:
    """Read a number, or return None where its marks make no sense.

    The other mark than ``decimal`` groups thousands, but where it can't, it is a decimal mark as well:
    "12.50 €" is read alike everywhere.

    Args:
        text: The number.
        decimal: The decimal mark of the language; empty where either is usual, and "1.234" may be both.
        price: Whether money is counted. No price has three decimals: "1,250" is more than a thousand.
    """
    text = re.sub(rf"{SPACE}|['’]", "_", text)
    if found := _GROUPED.fullmatch(text):
        whole, separator, mark, decimals = found.groups()
        is_single = separator != "_" and not mark and whole.count(separator) == 1
        if is_single and not price and not decimal:
            return None
        is_decimal = is_single and not price and separator == decimal
        if separator != mark and not is_decimal:
            number = Number(int(whole.replace(separator, "")), decimals or "", grouped=True)
            return None if price and len(number.decimals) == _GROUP else number
    found = _UNGROUPED.fullmatch(text)
    if found is None or (price and len(found[2] or "") == _GROUP and found[1] != "0"):
        return None
    return Number(int(found[1]), found[2] or "")

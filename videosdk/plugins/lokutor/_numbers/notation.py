"""Numbers as they are written.

Rule of this file: digits and marks to a value, or to None where they make no sense.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SPACE = "[ \u00a0\u202f\u2009]"
"""Matches what may stand in a number, or before its unit."""
NUMBER = rf"(?>(?<!\d )\d{{1,3}}(?:{SPACE}\d{{3}})+(?!{SPACE}?\d)(?:[.,]\d+)?|\d+(?:[.,'’]\d+)*)"
"""Matches all of a number, or nothing."""
_GROUPED = re.compile(r"([1-9]\d{0,2}([.,_])\d{3}(?:\2\d{3})*)(?:([.,])(\d+))?")
_UNGROUPED = re.compile(r"(0|[1-9]\d*)(?:[.,](\d+))?")


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


def parse_number(text: str, decimal: str) -> Number | None:
    """Read a number, or return None where its marks make no sense.

    The other mark than ``decimal`` groups thousands, but where it can't, it is a decimal mark as well:
    "12.50" is read alike everywhere.
    """
    text = re.sub(rf"{SPACE}|['’]", "_", text)
    if found := _GROUPED.fullmatch(text):
        whole, separator, mark, decimals = found.groups()
        is_decimal = separator == decimal and not mark and whole.count(separator) == 1
        if separator != mark and not is_decimal:
            return Number(int(whole.replace(separator, "")), decimals or "", grouped=True)
    found = _UNGROUPED.fullmatch(text)
    return Number(int(found[1]), found[2] or "") if found else None

"""German hours that are a time of day or a duration: "um 8 h", "in 8 h".

Rule of this file: the words around hours to what they are, or to None where those don't show it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .notation import Number

_NOON = 12
_MIDNIGHT = 24
_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:(?P<sure>um|gegen|kurz vor|kurz nach)|(?P<unsure>ab|bis|von|vor|nach))\s+$"
)
"""Stands before a time of day, or may: "nach 2 h" may be a duration as well."""
_DURATION = r"\w*(?:dauer|länge|raum|spanne|abstand|zeit)\s+"
_DURATION_BEFORE = re.compile(rf"(?i){_DURATION}von\s+$")
_FROM_BEFORE = re.compile(rf"(?i)(?<!\w)(?P<noun>{_DURATION})?(?:von|ab)\s+\d{{1,2}}\s?(?:h|Uhr)?\s+bis\s+$")
_FROM_AFTER = re.compile(r"\s+(?:bis|an)(?!\w)")
_BY_AFTER = re.compile(
    r"\s+(?:später|früher|länger|kürzer|mehr|weniger|eher|vor|nach|zurück|gekürzt|gesenkt|gestreckt|gestiegen|"
    r"(?:hinaus|vor|zurück)(?:ge|zu|ver)\w+|(?:verzöger|verspät|verläng|verkürz|verschob|verschieb|verring|"
    r"verminder|verleg|reduzier|erhöh|überschr|überzog)\w+)(?!\w)"
)
"""Follows the hours by which something moves: "um 2 h verschoben"."""
_NOUN_AFTER = re.compile(r"\s+[A-ZÄÖÜ]")
_DAYTIME_AFTER = re.compile(r"\s+(?:morgens|früh|vormittags|mittags|nachmittags|abends|nachts)(?!\w)")


def is_time_of_day(hours: Sequence[Number], before: str, after: str) -> bool | None:
    """Return whether one number of hours, or the two of a range, are a time of day.

    Args:
        hours: The numbers.
        before: The text before them.
        after: The text after "h".
    """
    if any(each.decimals or each.whole > _MIDNIGHT for each in hours):
        return False
    start = _FROM_BEFORE.search(before)
    if start or _DAYTIME_AFTER.match(after):
        return not (start and start["noun"])
    word = _BEFORE.search(before)
    if word is None or (len(hours) > 1 and not word["sure"]):
        return False
    if word["sure"]:
        return None if _BY_AFTER.match(after) else True
    name = word["unsure"].lower()
    if name == "von":  # "von 8 h bis 17 h", but "eine Dauer von 2 h"
        return bool(_FROM_AFTER.match(after)) and not _DURATION_BEFORE.search(before)
    is_shown = name == "ab" or (name == "bis" and hours[0].whole > _NOON)
    return True if is_shown and not _NOUN_AFTER.match(after) else None

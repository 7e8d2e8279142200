"""Hours and minutes that are no time of day: durations ("dauert 1:30"), ratios and scales ("Maßstab 1:50").

Rule of this file: the words around two numbers to what they are not. The words of all languages stand
together: none is a word of another language that shows a time of day.
"""

from __future__ import annotations

import re

from .notation import APOSTROPHES

_TIME_BEFORE = re.compile(
    rf"(?i)(?<![^\W_])(?:at|by|until|till|from|since|around|um|gegen|bis|von|ab|vor|nach|seit|a|as|las?|les|desde|hasta|des|fins|"
    rf"até|ata|às|ás|à|das|alle|dalle|ore|le|entre|tra|fra|dall?[{APOSTROPHES}]|all[{APOSTROPHES}])\s*$"
)
"""Stands before a time of day, also behind a duration's verb: "dura hasta las 10:30"."""
_SURE_TIME_BEFORE = re.compile(r"(?i)(?<![^\W_])(?:at|um|las|les|às|ás|alle)\s+$")
_WORDS = r"(?:\s+[^\W\d_]+){0,3}\s+$"
_LASTS = re.compile(
    r"(?i)(?<![^\W_])(?:dauer\w*|\w+dauer|dur(?!ant|ing)\w+|lasts?|lasted|lasting|takes?|took|taking|tard[aoóe]\w*|"
    rf"demor\w+|trig\w+){_WORDS}"
)
_HOURS_AFTER = re.compile(r"\s?(?:Stunden?|Std|horas?|hor[ae]s|ore|ordu\w*)(?!\w)")
_PROPORTION = re.compile(
    rf"(?i)(?<![^\W_])(?:scale|ratio|ratios|maßst[aä]be?s?|verhältnis\w*|formate?|formats?|formatos?|formati|"
    rf"escal[ae]s?|échelles?|scal[ae]|eskala\w*|proporci\w+|propor[çc]\w+|proporzion[ei]|proportions?|"
    rf"relaci[óo]n?|rela[çc][ãa]o|rapports?|rapporto){_WORDS}"
)
_HOUR_BEFORE = re.compile(r"\d ?(?:h|hrs?|hours?|horas?|hores|ore|ora|heures?|Std\.?|Stunden?)\s+$")
_MINUTE_BEFORE = re.compile(r"\d ?(?:m|min)\s+$")


def is_duration(before: str, after: str) -> bool:
    """Return whether hours and minutes between two texts are counted."""
    if _TIME_BEFORE.search(before):
        return False
    return bool(_LASTS.search(before) or _HOURS_AFTER.match(after))


def is_ratio(before: str) -> bool:
    """Return whether a text ends in what two numbers with a colon are a ratio behind."""
    return bool(_PROPORTION.search(before) and not _SURE_TIME_BEFORE.search(before))


def follows_hours(before: str) -> bool:
    """Return whether a text ends in hours, so that "m" is short for minutes: "1h 30m"."""
    return bool(_HOUR_BEFORE.search(before))


def follows_minutes(before: str) -> bool:
    """Return whether a text ends in minutes, so that "10s" is no decade."""
    return bool(_MINUTE_BEFORE.search(before))

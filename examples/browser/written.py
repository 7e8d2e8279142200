"""Finds out how a text was written that has left for Lokutor with its pronunciations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Unit(NamedTuple):
    """A word, or several that are spoken as one."""

    written: str
    spoken: str


def find_units(text: str, pronunciations: Mapping[str, str]) -> list[Unit]:
    """Return the units of a text that was sent.

    Whoever wrote "engine x" themselves gets "nginx", too. What is heard tells the difference.

    Args:
        text: As it was sent.
        pronunciations: The spoken form of each written one.
    """
    written = {spoken.strip(): form.strip() for form, spoken in pronunciations.items()}
    longest_first = sorted(filter(None, written), key=len, reverse=True)
    forms = "|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in longest_first)
    if not forms:
        return [Unit(word, word) for word in text.split()]
    words = re.finditer(rf"(?:{forms}|\S)+", text)
    return [Unit(re.sub(forms, lambda form: written[form[0]], word[0]), word[0]) for word in words]


def count_spoken(units: Iterable[Unit], heard: str) -> int:
    """Return how many characters were sent for the words that were heard.

    Args:
        units: What was sent.
        heard: Its beginning, as it was written.
    """
    words, place, spoken = heard.split(), 0, []
    for unit in units:
        if place >= len(words):
            break
        forms = [unit.written.split(), unit.spoken.split()]
        form = next((form for form in forms if form[0] == words[place]), forms[0])
        place += len(form)
        spoken.append(unit.spoken)
    return len(" ".join(spoken))

"""Words that are spoken otherwise than they are written.

Rule of this file: pure. It finds the words; what is done with them is :mod:`.spoken`'s.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate

from .characters import is_speakable, is_unspaced
from .spoken import Replacement

_ENDS_CONTRACTION = re.compile(r"\w['’](?:s|t|d|m|re|ve|ll)$", re.IGNORECASE)
"""Of English: "it's". Behind an apostrophe, other languages begin a word: "l'eau"."""
_CONTRACTED = re.compile(r"'(?!s\b)([^\W\d_])", re.IGNORECASE)
"""Behind the head of a contraction or an elision: "don't", "we're", "l'eau". A genitive isn't one."""
_NEGATED = re.compile(r"'t\b", re.IGNORECASE)
_APOSTROPHES = "’‘ʼ＇"
_VARIATIONS = "\ufe0e\ufe0f"
"""They say whether a symbol is shown as text or as an emoji."""
_UNEVEN = re.compile(rf"[{_APOSTROPHES}{_VARIATIONS}]|[^\S ]|  ")
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_ENDS_NUMBER = re.compile(r"\d[.,:]\d$")
_LONGEST = 200
"""Characters of a written or a spoken form."""


class Pronunciations:
    """Finds whole words of a dictionary, the longest first. Immutable.

    A word with a capital is found only as it is written; others are found in any case. In scripts without
    spaces between words, a word is found anywhere.

    Args:
        words: The spoken form of each written form.

    Raises:
        ValueError: A form is no string, has nothing to say, or is longer than 200 characters.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        if not isinstance(words, Mapping):
            raise ValueError(f"pronunciations must be a dict, got a {type(words).__name__}")  # noqa: TRY004
        for written, spoken in words.items():
            _check(written, "a written form")
            _check(spoken, f"the spoken form of {written!r}")
        self._spoken = {_key(written): spoken.strip() for written, spoken in words.items()}
        longest_first = sorted(self._spoken, key=len, reverse=True)
        exact = [re.escape(written) for written in longest_first if not _any_case(written)]
        folded = [re.escape(written) for written in longest_first if _any_case(written)]
        # What might be one begins here; which it is, if any, is looked at there.
        self._candidate = re.compile("|".join([*exact, *(f"(?i:{written})" for written in folded)]))
        self._by_first: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        for written in longest_first:
            pattern = re.compile(re.escape(written), re.IGNORECASE if _any_case(written) else 0)
            self._by_first.setdefault(written[0].casefold(), []).append((written, pattern))

    def find(self, text: str) -> list[Replacement]:
        """Return the words of ``text`` that are spoken otherwise, in their order."""
        if not self._spoken or (unicodedata.is_normalized("NFC", text) and not _UNEVEN.search(text)):
            return apart(text, self._find(text))
        even = _Even(text)
        found = (even.to_written(each) for each in self._find(even.text))
        return apart(text, filter(None, found))

    def _find(self, text: str) -> list[Replacement]:
        found: list[Replacement] = []
        place = 0
        while self._spoken and (match := self._candidate.search(text, place)) is not None:
            replacement = self._at(text, match.start())
            if replacement is not None:
                found.append(replacement)
            place = match.start() + 1 if replacement is None else replacement.end
        return found

    def _at(self, text: str, start: int) -> Replacement | None:
        for written, pattern in self._by_first.get(text[start].casefold(), ()):
            match = pattern.match(text, start)
            if match is None:
                continue
            end = _skip_skin_tone(text, match.end())
            if _is_whole(text, start, end) and not _is_head(text, written, end):
                return Replacement(start, end, self._spoken[written])
        return None


class _Even:
    """A text in one spelling, and where its characters were written.

    Each accent is a part of its letter (NFC), white space is one space, an apostrophe is straight, and a
    symbol doesn't say how it is shown.
    """

    def __init__(self, written: str) -> None:
        characters: list[str] = []
        begins: list[int] = []
        for place, char in enumerate(written):
            if characters and _belongs(characters[-1], char):
                characters[-1] += char
            else:
                characters.append(char)
                begins.append(place)
        even = [_evened(character) for character in characters]
        self.text = "".join(even)
        """The text, in that spelling."""
        places = accumulate(map(len, even), initial=0)
        self._written = dict(zip(places, [*begins, len(written)], strict=True))

    def to_written(self, found: Replacement) -> Replacement | None:
        """Return the same in the text as it was written; None where it parts a character."""
        begin, end = self._written.get(found.start), self._written.get(found.end)
        return None if begin is None or end is None else replace(found, start=begin, end=end)


def _evened(character: str) -> str:
    """Return a character, with its accents, or some white space, in its one spelling."""
    if character.isspace():
        empty_line = character.count("\n") > 1  # It parts words.
        return "\n" if empty_line else " "
    for apostrophe in _APOSTROPHES:
        character = character.replace(apostrophe, "'")
    shown = character.rstrip(_VARIATIONS) or character
    return unicodedata.normalize("NFC", "".join(char for char in shown if char not in _VARIATIONS) or shown)


def _belongs(before: str, char: str) -> bool:
    """Return whether ``char`` belongs to the character or white space ``before`` it, in any normal form."""
    if unicodedata.combining(char) or char in _VARIATIONS:
        return not before.isspace()
    if before.isspace() or char.isspace():
        return before.isspace() and char.isspace()
    both = unicodedata.normalize("NFC", before + char)
    return both != unicodedata.normalize("NFC", before) + unicodedata.normalize("NFC", char)


def _key(written: str) -> str:
    return _Even(written.strip()).text


def _any_case(written: str) -> bool:
    return not any(char.isupper() or char.istitle() for char in written)


def apart(text: str, replacements: Iterable[Replacement]) -> list[Replacement]:
    """Return what is spoken with a space where it would run into a letter: ``C++11``, ``Dr.Smith``."""
    result: list[Replacement] = []
    for each in replacements:
        behind = result[-1].spoken[-1] if result and result[-1].end == each.start else ""
        before, after = behind or text[: each.start][-1:], text[each.end :][:1]
        left = " " if before and _joins(before, each.spoken[0]) else ""
        right = " " if after and _joins(each.spoken[-1], after) else ""
        result.append(replace(each, spoken=f"{left}{each.spoken}{right}"))
    return result


def _is_whole(text: str, start: int, end: int) -> bool:
    return not (
        (start > 0 and _joins(text[start - 1], text[start]))
        or (end < len(text) and _joins(text[end - 1], text[end]))
        or _ENDS_CONTRACTION.match(text[max(start - 2, 0) : end])
        or _ENDS_NUMBER.match(text[max(start - 2, 0) : start + 1])
        or _ENDS_NUMBER.match(text[end - 1 : end + 2])
    )


def _is_head(text: str, written: str, end: int) -> bool:
    """Return whether a word goes on behind an apostrophe: "don" in "don't", but not "Joan" in "Joan'll"."""
    if _CONTRACTED.match(text, end) is None:
        return False
    return len(written) == 1 or _any_case(written) or _NEGATED.match(text, end) is not None


def _skip_skin_tone(text: str, end: int) -> int:
    """Return where a symbol ends: one of any skin tone is the same, unless a form has that very tone."""
    toned = end < len(text) and ord(text[end]) in _SKIN_TONES and unicodedata.category(text[end - 1]) == "So"
    return end + toned


def _joins(before: str, after: str) -> bool:
    """Return whether two characters are of the same word."""
    if unicodedata.category(after)[0] == "M" or _ZERO_WIDTH_JOINER in {before, after}:
        return True
    return _is_of_a_word(before) and _is_of_a_word(after) and not (is_unspaced(before) or is_unspaced(after))


def _is_of_a_word(char: str) -> bool:
    return char.isalnum() or char == "_" or unicodedata.category(char)[0] == "M"


def _check(form: object, what: str) -> None:
    if not isinstance(form, str) or not is_speakable(form) or len(form) > _LONGEST:
        raise ValueError(
            f"pronunciations: {what} must be a string with a letter, a digit or a symbol, "
            f"of at most {_LONGEST} characters"
        )

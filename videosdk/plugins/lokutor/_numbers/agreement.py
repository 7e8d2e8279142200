"""What is counted, and the form of the number before it.

Rule of this file: a number and the words around it to a gender, or to None where they don't show one.
"""

from __future__ import annotations

import re

from .cardinals import Cardinal, Gender, words_in
from .languages import THOUSANDS, Language, Noun

_SHORT_WORD = 2
"""Letters of a word that is no plural, unless it is known as a noun."""
_MANY = 2
_NO_PLURALS = "$^"
_CLAUSE_BEFORE = re.compile(r"(?:^|[.,;:!?()\n–—])([^.,;:!?()\n–—]*)$")
"""Matches the words of a clause that stand before a number."""
_ABBREVIATIONS = re.compile(r"\b(ca|max|mind|min|evtl|inkl|zzgl)\.")
_DATIVES = frozenset(
    words_in(
        "ab am an auf aus außer bei beim binnen der dem einer hinter im in innerhalb jeder mit nach neben "
        "seit über unter von vom vor während wegen zu zum zur zwischen gegenüber dank trotz statt"
    )
)
"""Words before a German "1" that take other forms than "ein" and "eine", or may."""
_NOMINATIVES = frozenset(("", "ist", "war", "wird", "sind"))
_REACH = 3
"""Words over which a preposition reaches: "nach nur etwa 1 Stunde"."""
_UNO = re.compile(r"(?i)z|s[^aeiou]|gn|ps|pn|x|y|i[aeou]")
"""Begins what an Italian "uno" stands before."""
_BEFORE_ONE = {
    "es": r"la\s+",
    "ca": r"la\s+",
    "gl": r"a\s+",
    "fr": r"la\s+|l['’]",
    "it": r"(?:il|al|del|dal|nel|sul)\s+",
}
"""Stands before a "1" that may be "uno", "un", "una" or the first."""
_LAST_HOUR = 24


class Agreement:
    """Knows the nouns of one language.

    Args:
        code: The language's code.
        language: The language.
        cardinal: Says its numbers.
        nouns: What its units and currencies count.
    """

    def __init__(self, code: str, language: Language, cardinal: Cardinal, nouns: set[Noun]) -> None:
        self._language = language
        self._cardinal = cardinal
        self._genders: dict[str, Gender] = {}
        for each in nouns:
            for name in (each.one, each.many):
                self._genders[name.split()[0].lower()] = each.gender
        self._unsure = re.compile(language.unsure)
        self._genders = {name: known for name, known in self._genders.items() if not self._is_unsure(name)}
        self._genders |= dict.fromkeys(language.masculine.lower().split(), "m")
        self._genders |= dict.fromkeys(language.neuter.lower().split(), "n")
        self._genders |= dict.fromkeys(language.feminine.lower().split(), "f")
        self._endings = {name: re.compile(ending) for name, ending in language.endings.items()}
        self._plural = re.compile(language.plurals)
        self._not_nouns = frozenset(language.not_nouns.split())
        self._hours = frozenset(language.hours.split())
        self._one_hour = re.compile(rf"(?i)(?:{language.one_hour or '(?!)'})\s*$")
        self._before_one = re.compile(rf"(?i)(?<!\w)(?:{_BEFORE_ONE.get(code, '(?!)')})$")

    @property
    def known(self) -> list[str]:
        """Return the nouns whose gender is known, in small letters."""
        return list(self._genders)

    def known_gender(self, noun: str) -> Gender:
        """Return the gender of a noun that is known, and nothing for another."""
        return self._genders.get(noun.lower(), "")

    def gender(self, word: str, number: int) -> Gender | None:
        """Return the gender of a plain number before ``word``, or None where that can't be told."""
        if not word:
            return ""
        if word.lower() in THOUSANDS:
            return self._gender_of_thousands(number)
        if word.lower() in self._genders and (self._is_plural(word) or number == 1):
            return self._genders[word.lower()]
        if not self.is_noun(word, number) or len(self._forms(number)) == 1:
            return ""
        return self._gender_by_ending(word.lower(), "" if number == 1 else "s")

    def gender_of_many(self, word: str) -> Gender | None:
        """Return the gender of a plural, nothing for what isn't one, or None where that can't be told."""
        if word.lower() in self._genders:
            return self._genders[word.lower()]
        if self._language.plurals == _NO_PLURALS and not self._language.capital_nouns:
            return None if len(word) > _SHORT_WORD and word.lower() not in self._not_nouns else ""
        return self._gender_by_ending(word.lower(), "s") if self.is_noun(word, _MANY) else ""

    def has_one_form(self, number: int) -> bool:
        """Return whether a number is the same whatever it counts."""
        return len(self._forms(number)) == 1

    def is_noun(self, word: str, number: int) -> bool:
        """Return whether ``word`` may be what a number counts."""
        if word.lower() in self._genders and (number == 1 or self._language.plurals == _NO_PLURALS):
            return True
        if word.lower() in self._not_nouns or len(word) == 1:
            return False
        if number == 1:
            return True  # Also an adjective: "1 neue Nachricht".
        if len(word) <= _SHORT_WORD:
            return False
        return word[0].isupper() if self._language.capital_nouns else bool(self._plural.search(word))

    def may_be_counted(self, word: str) -> bool:
        """Return whether ``word`` isn't sure to be none that is counted, whatever its form."""
        is_sure = len(word) <= 1 or word.lower() in self._not_nouns
        return not is_sure and (word[0].isupper() or not self._language.capital_nouns)

    def is_hour(self, number: int, before: str, word: str) -> bool:
        """Return whether a number counts hours that nobody names: "a las 21".

        Args:
            number: The number.
            before: The text before it.
            word: The last word of that.
        """
        if number == 1 and self._language.one_hour:
            return bool(self._one_hour.search(before))
        return number <= _LAST_HOUR and word.lower() in self._hours

    def has_article_of_one(self, before: str) -> bool:
        """Return whether a text ends in an article after which "1" has another form than alone."""
        return bool(self._before_one.search(before)) and not self._one_hour.search(before)

    def one_is_unsure(self, before: str, gender: Gender, rest: str) -> bool:
        """Return whether a German "1" has a case that the text doesn't show.

        Args:
            before: The text before it.
            gender: That of what is counted.
            rest: The text behind that.
        """
        if not self._language.inflects_one or not gender:
            return False
        clause = _CLAUSE_BEFORE.search(_ABBREVIATIONS.sub(r"\1", before))
        words = clause[1].lower().split() if clause else []
        if not _DATIVES.isdisjoint(words[-_REACH:]):
            return True
        if gender != "m":
            return False
        # "1 Tag vorher", "kostet 1 €": the accusative of a masculine noun is "einen".
        return (words[-1] if words else "") not in _NOMINATIVES or rest[:1].isspace()

    def _forms(self, number: int) -> set[str]:
        return {self._cardinal(number, gender) for gender in ("", "m", "f")}

    def _is_plural(self, word: str) -> bool:
        return self._language.plurals == _NO_PLURALS or bool(self._plural.search(word))

    def _gender_of_thousands(self, number: int) -> Gender | None:
        """Return the gender of a number before "mil", or None where it depends on what follows that."""
        forms = {self._cardinal(number, "m"), self._cardinal(number, "f")}
        return "m" if len(forms) == 1 or number % 10 == 1 else None

    def _is_unsure(self, word: str) -> bool:
        return bool(self._unsure.fullmatch(word))

    def _gender_by_ending(self, word: str, many: str) -> Gender | None:
        if self._is_unsure(word):
            return None
        genders: tuple[Gender, Gender] = ("f", "m")
        for gender in genders:
            ending = self._endings.get(gender + many)
            if ending is not None and ending.search(word):
                return gender
        return None


def italian_one(word: str, gender: Gender) -> str | None:
    """Say "1" before an Italian noun, whose first letters change it. "un'amica" isn't two words."""
    if gender == "f":
        return None if word.lower().startswith(tuple("aeiou")) and word.lower() != "ora" else "una"
    return "uno" if _UNO.match(word) else "un"

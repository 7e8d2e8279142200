"""Text with numbers to text that can be read aloud.

Rule of this file: a string to a string, in one language. It goes from number to number and tries its rules in
order; what no rule is sure of stays as it is, for the service to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .cardinals import Cardinal, Gender, cardinal_of, num2words_of
from .clock import clock_of
from .languages import LANGUAGES_BY_CODE, SYMBOLS, Noun
from .notation import NUMBER, SPACE, Number, parse_number
from .ordinals import Around, ordinals_of

_TO = rf"{SPACE}?[-–]{SPACE}?"
_FREE = r"(?<![\w.,/#@+\-–−])(?<!\d:)"
"""What a number doesn't stand behind: the rest of a word, of a date, of a version."""
_END = r"(?![\w°ºª%€$£¥\ufe0f\u20e3])(?![.,:/+\-–'’]\d)(?![-–/][\w€$£¥])"
_PHONE = re.compile(
    r"(?:\+\d+(?:[ .\-]\d{2,4})*|\d{1,4}([ .\-])\d{2,4}(?:\1\d{2,4})+|\d{3}\) ?\d{3}[ .\-]\d{4})(?!\d)"
)
_AMBIGUOUS_GROUPS = re.compile(r"\d{3} \d{3} \d{3}$")
"""Nine digits in threes are a phone number, unless a unit follows."""
_SKIPPED = re.compile(
    rf"\W*?(?:\d{{1,3}}(?:{SPACE}\d{{3}}(?!\d))+|\d)(?:[\w.,:/'’\-–+]*\w)?(?:{SPACE}?[€$£¥%°](?:[-/]\w+)?)?"
)
_ABOUT = re.compile(r"[~≈]\s?(?=[\d€$£])")
_LONGEST_PLAIN = 5
"""Digits of a plain number without separators. Longer ones are codes, unless they are round."""
_SHORT_WORD = 2
"""Letters of a word that isn't counted, unless it is known as a noun."""
_LONGEST_PART = 3
"""Digits on either side of an English range. Longer ones are phone numbers, as the framework says."""
_NOON = 12
"""Ranges of hours beyond it are times of day."""
_LONGEST_DECIMALS = 3
"""Decimals that are said as one number."""
_BEFORE_DATES = ("am", "vom", "zum", "dem", "den", "des", "der", "ab", "seit", "bis")
"""Words before a German date that has no month's name."""
_WORD_FOLLOWS = re.compile(r"\s+[a-zäöüß]|[,;:]")
"""Follows a date whose last point doesn't end the sentence."""
_ELIDING = ("ca", "fr")
_VOWELS = tuple("aeiouéh")
_THOUSAND = ("mil", "mila", "mille", "thousand")
"""Numbers that stand before what is counted without "of"."""
_POWERS = {"K": 3, "M": 6, "B": 9, "BN": 9}
"""Letters that multiply an amount of money: "$1.5M"."""
_CENTS = 2
"""Digits of the hundredths of a price."""

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]]


class Speller:
    """Says the numbers of one language.

    Args:
        language: A code of :data:`LANGUAGES_BY_CODE`, or one with a region that ``num2words`` tells apart.

    Raises:
        ImportError: The language needs ``num2words``, which isn't installed.
    """

    def __init__(self, language: str) -> None:
        self._code = language[:2]
        self._language = LANGUAGES_BY_CODE[self._code]
        self._cardinal: Cardinal = cardinal_of(language)
        self._clock = clock_of(language)
        self._ordinals = ordinals_of(language, self._cardinal)
        self._year = num2words_of(self._code) if self._language.years else None
        self._units = self._language.unit_nouns()
        self._money = self._language.currency_nouns()
        self._money_words = self._spelled_money()
        self._genders = self._known_genders()
        self._endings = {name: re.compile(ending) for name, ending in self._language.endings.items()}
        self._plural = re.compile(self._language.plurals)
        self._not_nouns = frozenset(self._language.not_nouns.split())
        self._rules = self._make_rules()
        self._start = re.compile(
            rf"{_FREE}(?:[-−]?(?:{self._prefixes}){SPACE}?[-−]?\d|[-−]?\d|\+\d)|(?<![^\s\ue000])&(?!\S)"
        )
        self.unfinished = self._make_unfinished()
        """Found at the end of what needs the next word."""

    def spell(self, text: str) -> str:
        """Return ``text`` with its numbers in words."""
        text = _ABOUT.sub(f"{self._language.about} ", text)
        parts, end = [], 0
        while found := self._start.search(text, end):
            stop, words = self._say(text, found)
            parts += [text[end : found.start()], words]
            end = stop
        said = "".join([*parts, text[end:]])
        # "una ora" is never right.
        return re.sub(r"\buna (?=ora\b)", "un'", said) if self._code == "it" else said

    def begins_with_ordinal(self, text: str) -> bool:
        """Return whether what looks like the number of a list is an ordinal."""
        found = re.match(r"\s*(\d+)(\.)\s+(\w*)", text)
        if not found or not self._ordinals.dotted or found[3][:1].islower() != (self._code == "eu"):
            return False
        return self._ordinal_of(found, Around("", found[3])) is not None

    def _say(self, text: str, start: re.Match[str]) -> tuple[int, str]:
        if start.group() == "&":
            return start.end(), self._language.conjunction
        for pattern, say in self._rules:
            found = pattern.match(text, start.start())
            if found and (words := say(found)) is not None:
                return found.end(), words
        skipped = _SKIPPED.match(text, start.start())
        end = skipped.end() if skipped else start.end()
        return end, text[start.start() : end]

    # Patterns

    @property
    def _prefixes(self) -> str:
        return _any_of([*self._money, "%"] if self._language.percent_first else self._money)

    def _make_rules(self) -> list[Rule]:
        number, units = NUMBER, _any_of(self._units)
        money, prefixes = _any_of(self._money), _any_of(self._money)
        per = rf"(?:/(?P<per>{units}|[^\W\d_]{{3,}}))?"
        sign, scale = "(?P<sign>[-−])?", _any_of(self._language.scales.split())
        amount = rf"{sign}(?P<n>{number})(?:{_TO}(?P<to>{number}))?"
        priced = rf"{sign}(?P<n>{number})(?:(?:{SPACE}?(?:{money}))?{_TO}(?P<to>{number}))?"
        time = r"(?:[01]?\d|2[0-4])"
        hours = rf"{SPACE}?(?:Uhr|h)(?!\w)"
        rules = [
            (rf"{amount}{SPACE}(?P<scale>{scale}){SPACE}(?P<unit>{_any_of(SYMBOLS)}){_END}", self._price),
            (
                rf"{priced}(?:{SPACE}?(?P<power>[kKM]))?{SPACE}?(?P<unit>{money}|(?i:{_any_of(self._money_words)})){per}{_END}",
                self._price,
            ),
            (
                rf"{sign}(?P<unit>{prefixes}){SPACE}?(?P<sign2>[-−])?(?P<n>{number})"
                rf"(?:{_TO}(?:{prefixes})?(?P<to>{number}))?"
                rf"(?:(?P<power>[kKMB]|bn)|{SPACE}(?P<scale>{scale}))?"
                rf"{per}{_END}",
                self._price,
            ),
            (rf"{sign}(?P<n>{number})(?:{SPACE}?%?{_TO}(?P<to>{number}))?{SPACE}?%{_END}", self._percent),
            (rf"(?P<pre>[-−])?%{SPACE}?{amount}{_END}", self._percent),
            (
                rf"(?P<h>{time}):(?P<min>[0-5]\d)(?:{_TO}(?P<h2>{time}):(?P<min2>[0-5]\d))?(?:{hours})?{_END}",
                self._time,
            ),
            (rf"(?P<h>{time})\.(?P<min>[0-5]\d){hours}{_END}", self._time),
            (rf"(?P<h>{time}){SPACE}?h{SPACE}?(?P<min>[0-5]\d){_END}(?!{SPACE}?m)", self._time),
            (rf"(?P<n>\d{{1,3}})(?P<mark>{self._ordinals.pattern})", self._ordinal),
            (rf"{amount}{SPACE}?(?P<unit>{units}){_END}", self._measure),
            (rf"(?P<n>{number}){_TO}(?P<to>{number}){_END}", self._range),
            (_PHONE.pattern, self._phone),
            (rf"{sign}(?P<n>{number}){_END}(?!{SPACE}?(?:{_any_of('€$£¥%°')}))", self._plain),
        ]
        if self._language.one_last:
            rules.insert(0, (rf"1{SPACE}(?P<noun>{_any_of(self._genders)}){_END}", self._one_after))
        if self._code == "de":
            rules.insert(0, (r"(?P<day>0?[1-9]|[12]\d|3[01])\.(?P<month>0?[1-9]|1[0-2])\.(?!\d)", self._date))
        if self._code == "en":
            half = rf"{SPACE}?(?P<half>[ap]\.?m)\b"
            rules.insert(0, (rf"(?P<h>{time})(?::(?P<min>[0-5]\d))?{half}", self._half_day))
        return [(re.compile(pattern), say) for pattern, say in rules]

    def _make_unfinished(self) -> re.Pattern[str]:
        """Match what ends in a number, or in what stands before one."""
        codes = _any_of([*self._money, "%"])
        scales = _any_of(self._language.scales.split())
        parts = [
            r"\d[-–)]?",
            r"\d\s?[kKM]",
            r"\d\s[-–]",
            rf"\d\s(?:{scales})",
            rf"(?<!\w)(?<!\d\s)(?:{codes})",
            "&",
        ]
        if self._ordinals.openers:
            parts.append(self._ordinals.openers)
        return re.compile(rf"(?:{'|'.join(parts)})$")

    # Rules

    def _price(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        parsed = self._parse(found)
        if parsed is None:
            return None
        number, end = parsed
        major, minor = self._money.get(groups["unit"]) or self._money_words[groups["unit"].lower()]
        if scale := groups.get("scale"):
            return self._signed(
                found, self._range_start(number, end) + self._scaled(end or number, scale, major)
            )
        if end is not None:
            words = self._range_words(number, end, major)
        else:
            words = self._amount(number, major, minor)
        per = self._per(groups.get("per"))
        return None if per is None or words is None else self._signed(found, words + per)

    def _scaled(self, number: Number, scale: str, major: Noun) -> str:
        gender: Gender = "" if number.decimals else self._genders.get(scale.lower(), "")
        words = self._bare(number) if number.decimals else self._cardinal(number.whole, gender)
        joint = " " if scale in _THOUSAND else self._of(major.many)
        return f"{words} {scale}{joint}{major.many}"

    def _amount(self, number: Number, major: Noun, minor: Noun | None) -> str:
        if not number.decimals.strip("0"):
            return self._count(Number(number.whole), major)
        if minor is None or len(number.decimals) > _CENTS:
            return self._count(number, major)
        cents = self._count(Number(int(number.decimals.ljust(_CENTS, "0"))), minor)
        return (
            cents
            if not number.whole
            else f"{self._count(Number(number.whole), major)} {self._language.joint} {cents}"
        )

    def _percent(self, found: re.Match[str]) -> str | None:
        parsed = self._parse(found)
        if parsed is None:
            return None
        number, end = parsed
        noun = self._language.percent
        if self._language.percent_first:
            value = self._range_start(number, end) + self._bare(end or number)
            return f"{noun.one} {self._signed(found, value)}"
        words = self._count(number, noun) if end is None else self._range_words(number, end, noun)
        return None if words is None else self._signed(found, words)

    def _measure(self, found: re.Match[str]) -> str | None:
        parsed = self._parse(found)
        if parsed is None:
            return None
        number, end = parsed
        unit = found["unit"]
        if unit == "s" and found.group()[-2:-1].isdigit():
            return None  # "the 1990s"
        noun = self._units[unit]
        if end is None:
            return self._signed(found, self._count(number, noun))
        if noun is self._units["h"] and self._language.hour and end.whole > _NOON:
            noun = self._language.hour
        words = self._range_words(number, end, noun)
        return None if words is None else self._signed(found, words)

    def _time(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        words = self._clock(int(groups["h"]), int(groups["min"]), self._cardinal)
        if groups.get("h2"):
            if self._language.one_last:
                return None  # Both ends are declined.
            end = self._clock(int(groups["h2"]), int(groups["min2"]), self._cardinal)
            return f"{words}{self._language.to}{end}"
        return words

    def _half_day(self, found: re.Match[str]) -> str:
        words = self._clock(int(found["h"]), int(found["min"] or 0), self._cardinal)
        return words.removesuffix(" o'clock") + " " + found["half"]

    def _date(self, found: re.Match[str]) -> str:
        """Say a German "3.5." behind what shows a date; it is no decimal in any case."""
        before = self._word_before(found)
        if before.lower() not in _BEFORE_DATES:
            return found.group()
        words = (
            self._ordinals.say(int(found[part]), ".", Around(before, "Mai")) for part in ("day", "month")
        )
        return " ".join(filter(None, words)) + ("" if _WORD_FOLLOWS.match(found.string, found.end()) else ".")

    def _ordinal(self, found: re.Match[str]) -> str | None:
        after = re.match(r"\s+(\w+)", found.string[found.end() :])
        return self._ordinal_of(found, Around(self._word_before(found), after[1] if after else ""))

    def _ordinal_of(self, found: re.Match[str], around: Around) -> str | None:
        mark = found[2].lstrip(".") or found[2]
        return self._ordinals.say(int(found[1]), mark, around)

    def _range(self, found: re.Match[str]) -> str | None:
        parsed = self._parse(found)
        if parsed is None or parsed[1] is None:
            return None
        number, end = parsed[0], parsed[1]
        if (
            self._code == "en"
            and max(len(found["n"]), len(found["to"])) > _LONGEST_PART
            and not number.grouped
        ):
            years = self._language.years
            if number.whole not in years or end.whole not in years:
                return None  # Most are phone numbers.
        gender = self._noun_after(found, end)
        if gender is None:
            return None
        start = self._plain_words(found["n"], number, "f" if gender == "f" else "")
        return f"{start}{self._language.to}{self._plain_words(found['to'], end, gender)}"

    def _phone(self, found: re.Match[str]) -> str | None:
        number = parse_number(found.group(), self._language.decimal)
        if number is not None and number.grouped and not _AMBIGUOUS_GROUPS.fullmatch(found.group()):
            return None
        return found.group()

    def _plain(self, found: re.Match[str]) -> str | None:
        parsed, text = self._parse(found), found["n"]
        if parsed is None or (text.isdigit() and len(text) > _LONGEST_PLAIN and not text.endswith("000")):
            return None
        number = parsed[0]
        if number.decimals:
            return self._signed(found, self._bare(number))
        if number.whole == 1 and self._language.one_last:
            return self._basque_one(found)
        gender = self._noun_after(found, number)
        return None if gender is None else self._signed(found, self._plain_words(text, number, gender))

    def _one_after(self, found: re.Match[str]) -> str:
        return f"{found['noun']} {self._cardinal(1, '')}"

    def _basque_one(self, found: re.Match[str]) -> str | None:
        return None if self._word_after(found) and self._is_noun(self._word_after(found), 1) else "bat"

    # Words

    def _plain_words(self, text: str, number: Number, gender: Gender) -> str:
        if number.decimals:
            return self._bare(number)
        if self._year and text.isdigit() and number.whole in self._language.years and not gender:
            return self._year(number.whole, "year").replace(",", "")
        return self._cardinal(number.whole, gender)

    def _count(self, number: Number, noun: Noun) -> str:
        """Say how many there are of something."""
        if number.decimals:
            one = self._language.one_below_two and number.whole <= 1
            return f"{self._bare(number)} {noun.one if one else noun.many}"
        if number.whole == 1 and self._language.one_last:
            return f"{noun.one} {self._cardinal(1, '')}"
        one = number.whole == 1 or (number.whole == 0 and self._language.one_below_two)
        name = noun.one if one else noun.many
        joint = " " if not number.whole or number.whole % 10**6 else self._of(name)
        return f"{self._cardinal(number.whole, noun.gender)}{joint}{name}"

    def _of(self, name: str) -> str:
        """Return what stands between millions and ``name``."""
        of = self._language.of
        if of == "de" and self._code in _ELIDING and name.startswith(_VOWELS):
            return " d'"
        return f" {of} " if of else " "

    def _bare(self, number: Number) -> str:
        """Say a number that counts nothing."""
        whole = self._cardinal(number.whole, "")
        if not number.decimals:
            return whole
        return f"{whole} {self._language.point} {self._decimals(number.decimals)}"

    def _decimals(self, digits: str) -> str:
        zeros = len(digits) - len(digits.lstrip("0"))
        if self._language.digit_by_digit or len(digits) > _LONGEST_DECIMALS:
            return " ".join(self._cardinal(int(digit), "") for digit in digits)
        words = [self._cardinal(0, "")] * zeros
        return " ".join([*words, self._cardinal(int(digits), "")] if int(digits) else words)

    def _range_start(self, number: Number, end: Number | None, gender: Gender = "") -> str:
        """Say a range up to its second number."""
        if end is None:
            return ""
        words = self._bare(number) if number.decimals else self._cardinal(number.whole, gender)
        return f"{words}{self._language.to}"

    def _range_words(self, number: Number, end: Number, noun: Noun) -> str | None:
        if end.whole == 1 and self._language.one_last and not end.decimals:
            return None
        # A masculine number is shortened before its noun only.
        start = self._range_start(number, end, "f" if noun.gender == "f" else "")
        return f"{start}{self._count(end, noun)}"

    def _signed(self, found: re.Match[str], words: str) -> str:
        groups = found.groupdict()
        negative = groups.get("sign") or groups.get("sign2") or groups.get("pre")
        return f"{self._language.minus} {words}" if negative else words

    def _per(self, unit: str | None) -> str | None:
        """Say "per unit"; None where that can't be said with one word."""
        if unit is None:
            return ""
        name = self._units[unit].one if unit in self._units else unit
        return None if self._language.per is None else f" {self._language.per} {name}"

    def _parse(self, found: re.Match[str]) -> tuple[Number, Number | None] | None:
        """Return a number and the end of its range, or None where one of them can't be said."""
        groups = found.groupdict()
        texts = [groups["n"], *filter(None, [groups.get("to")])]
        numbers = [self._multiplied(text, groups.get("power")) for text in texts]
        said = [number for number in numbers if number and number.whole <= self._language.most]
        if len(said) < len(texts):
            return None
        return said[0], (said[1] if len(said) > 1 else None)

    def _multiplied(self, text: str, power: str | None) -> Number | None:
        """Read a number, and the letter that multiplies it."""
        number = parse_number(text, self._language.decimal)
        if number is None or power is None:
            return number
        zeros = _POWERS[power.upper()]
        digits = number.decimals.ljust(zeros, "0")
        return Number(int(f"{number.whole}{digits}"), grouped=True) if len(digits) == zeros else None

    # What is counted

    def _noun_after(self, found: re.Match[str], number: Number) -> Gender | None:
        """Return the gender of what a plain number counts, or None where that can't be told."""
        whole = number.whole
        forms = {self._cardinal(whole, gender) for gender in ("", "m", "f")}
        word = self._word_after(found)
        if not word:
            return ""
        if word.lower() in self._genders:
            return self._genders[word.lower()]
        if len(forms) == 1 or not self._is_noun(word, whole):
            return ""
        many = "" if whole == 1 else "s"
        for gender, name in (("f", "f"), ("m", "m")):
            ending = self._endings.get(name + many)
            if ending is not None and ending.search(word.lower()):
                return "f" if gender == "f" else "m"
        return None

    def _is_noun(self, word: str, number: int) -> bool:
        if word.lower() in self._genders:
            return True
        if len(word) <= _SHORT_WORD or word.lower() in self._not_nouns:
            return False
        if self._language.capital_nouns:
            return word[0].isupper()
        return number == 1 or bool(self._plural.search(word))

    @staticmethod
    def _word_before(found: re.Match[str]) -> str:
        word = re.search(r"(\w+)\s+$", found.string[: found.start()])
        return word[1] if word else ""

    @staticmethod
    def _word_after(found: re.Match[str]) -> str:
        word = re.match(rf"{SPACE}([^\W\d_]+)", found.string[found.end() :])
        return word[1] if word else ""

    def _spelled_money(self) -> dict[str, tuple[Noun, Noun | None]]:
        """Return the currencies whose words count nothing else, as the pound's may, by those words."""
        words: dict[str, tuple[Noun, Noun | None]] = {}
        for code in ("EUR", "USD"):
            major = self._money[code][0]
            words |= dict.fromkeys((major.one.lower(), major.many.lower()), self._money[code])
        return words

    def _known_genders(self) -> dict[str, Gender]:
        nouns = {*self._units.values()}
        for major, minor in self._money.values():
            nouns |= {major, minor} if minor else {major}
        known: dict[str, Gender] = {}
        for each in nouns:
            known |= {each.one.split()[0].lower(): each.gender, each.many.split()[0].lower(): each.gender}
        known |= dict.fromkeys(self._language.masculine.lower().split(), "m")
        return known | dict.fromkeys(self._language.feminine.lower().split(), "f")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or "(?!)"

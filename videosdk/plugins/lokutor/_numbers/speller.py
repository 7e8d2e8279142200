"""Text with numbers to text that can be read aloud.

Rule of this file: a string to a string, in one language. It goes from number to number and tries its rules in
order; what no rule is sure of stays as it is, for the service to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .agreement import Agreement, italian_one
from .bare import Bare
from .cardinals import Cardinal, Gender, cardinal_of, num2words_of
from .clock import clock_of, military, with_word
from .code_words import CodeFinder
from .codes import (
    SIGNS,
    is_code,
    is_dialled,
    is_label,
    is_multiplied,
    is_phone,
    is_product_or_foreign_money,
    is_range,
    is_sum,
    may_be_negative,
)
from .context import text_after, text_before, word_after, word_before
from .durations import follows_hours, follows_minutes, is_duration, is_ratio
from .english import MONTHS, ends_with_adjective, form_of, is_same_as_count, month_before, shows_year
from .german_hours import is_time_of_day
from .languages import THOUSANDS, Noun, language_of, noun
from .money import Currency, Money, is_sold_by_thousandths
from .notation import SPACE, Number, parse_number
from .ordinals import Around, may_be_ordinal, ordinals_of
from .patterns import JOINTS, Patterns

_SKIPPED = re.compile(
    rf"\W*?(?:\d{{1,3}}(?:{SPACE}\d{{3}}(?!\d))+|\d)(?:[\w.,:/'’\-–+^%°ºª½¼¾{SIGNS}]*[\w%°ºª½¼¾{SIGNS}])?"
    rf"(?:{SPACE}?[{SIGNS}%°](?:[-/]\w+)?)?"
)
_SENTENCE_BEFORE = re.compile(r"(?:^|[.!?:…\n])[\s\ue000*_\"'»)]*$")
_LATE = re.compile(r"(\ue000?)(\d\S*)")
_ABOUT = re.compile(r"(?<!~)[~≈]\s?(?=[\d€$£])")
_LONGEST_PLAIN = 5
"""Digits of a plain number without separators. Longer ones are codes, unless they are round."""
_SHORTEST_CODE = 3
"""Digits of the shortest code. What is shorter sounds the same as a quantity."""
_MINUTES = re.compile(r"0[1-9]")
_HOURS_BEFORE = re.compile(r"\d ?h\s+$")
_THREE_DECIMALS = re.compile(r"\d{1,3}\.\d{3}")
_JOINED_BEFORE = {
    "fr": (re.compile(r"(?i)(?<!\w)de\s+$"), re.compile(r"une?(?!\w)")),
    "ca": (re.compile(r"(?i)(?<!\w)de\s+$"), re.compile(r"(?:una?|onze)(?!\w)")),
    "gl": (re.compile(r"(?i)(?<!\w)(?:de|en)\s+$"), re.compile(r"unha(?!\w)|un(?!\w)")),
    "it": (re.compile(r"(?i)(?<!\w)(?:le|d?alle|delle)\s+$"), re.compile(r"una(?!\w)")),
}
"""Words that are one with the number behind them: "de 1 heure" is "d'une heure", "alle 1" is "all'una"."""
_FRENCH_NAME = re.compile(r"(?i)(?<!\w)(?:années\s+\d+|(?:le|au|du)\s+3\d{3})$")
"""Ends in a decade, or in a short phone number: "les années 80", "le 3949"."""
_DOTTED_TIME = re.compile(r"(?:[01]?\d|2[0-4])\.[0-5]\d")
_AT = re.compile(r"(?i)(?<!\w)(?:at|by|until|till|from|to)\s+$")
"""Stands before an English time, which may be written with a point."""
_CHAIN = re.compile(
    r"(?:(?:(?P<first>[^\W\d_]*)\s+|^)\d+[.ºª]|(?P<comma>\d\.,(?:\s+\d+\.,)*(?:\s+\d+\.)?))"
    r"\s+(?:(?:und|oder|bis|sowie|y|e|o|ou)\s+)?$"
)
"""Stands before an ordinal that is joined to another, and declined as that is: "am 1. und 2. Mai"."""
_POINT_AND_CAPITAL = re.compile(r"\.\s+([^\W\d_a-zß-ÿ]\w*)")
_POINT_AND_LETTER = re.compile(r"\.\s+[A-Z](?!\w)")
"""Follows the ordinal of a floor: "2. B"."""
_POINT_AT_END = re.compile(r"\.(?!\w)")
_POINT_INSIDE = re.compile(r"\.(?:[,;]|\s+[a-zß-ÿ])")
_DE_ALTERNATIVES = ("bis", "oder")
_REGIONS = ("pt-br",)
"""Languages with a region that ``num2words`` tells apart."""
_MINUTES_OF_HOUR = 60
_TWO = _MANY = 2
_GROUP = 3
_FEET = re.compile(r"\d ?ft\s+$")
_INCH = Noun("inch", "inches", "")
_LONGEST_PART = 3
"""Digits on either side of an English range. Longer ones are phone numbers, as the framework says."""
_NOON = 12
"""Ranges of hours beyond it are times of day."""
_SPANS_BEFORE = ("von", "zwischen")
"""Words before a German range of hours that is one, whenever it begins."""
_LAST_HOUR = 24
_LONGEST_DECIMALS = 3
"""Decimals that are said as one number."""
_BEFORE_DATES = ("am", "vom", "zum", "dem", "den", "des", "der", "ab", "seit", "bis")
"""Words before a German date that has no month's name."""
_WORD_FOLLOWS = re.compile(r"\s+[a-zäöüß]|[,;:]")
"""Follows a date whose last point doesn't end the sentence."""
_AND = ("y", "e", "ed", "i", "et", "und", "and", "eta")
"""Words that join two numbers of the same noun behind :data:`_BETWEEN` only."""
_FROM = ("de", "entre")
"""Words before two hours that are written without their article."""
_BETWEEN = ("entre", "tra", "fra", "zwischen", "between")
_BETWEEN_BEFORE = re.compile(
    rf"(?i)(?<!\w)(?:{'|'.join(_BETWEEN)})\s+"
    rf"(?:(?:las?|les|as?|os?|el|le|the|dem|den|un[oa]s|about|etwa|{'|'.join(MONTHS)})\.?\s+)?$"
)
"""Stands before a range whose ends "and" joins: "between $50-100"."""
_ELIDING = ("ca", "fr")
_MEASURED = re.compile(r"\s+(?:lang|breit|hoh|tief|dick|groß)e")
"""Follows a measure that is part of an adjective: "in 2 m lange Stücke"."""
_VOWELS = tuple("aeiouéh")
_POWERS = {"K": 3, "M": 6, "B": 9, "BN": 9}
"""Letters that multiply an amount of money: "$1.5M"."""
_CENTS = 2
"""Digits of the hundredths of a price."""

Say = Callable[[re.Match[str]], str | None]
"""Returns the words for a match, or None where another rule has to."""


class Speller:
    """Says the numbers of one language.

    Args:
        language: A code of :data:`LANGUAGES_BY_CODE`, or one with a region, in small letters.

    Raises:
        ImportError: The language needs ``num2words``, which isn't installed.
    """

    def __init__(self, language: str) -> None:
        self._code = language[:2]
        self._language = language_of(language)
        self._cardinal: Cardinal = cardinal_of(language if language in _REGIONS else self._code)
        self._clock = clock_of(language)
        self._ordinals = ordinals_of(language, self._cardinal)
        self._year = num2words_of(self._code) if self._language.years else None
        self._units = self._language.unit_nouns()
        self._money = Money(self._language, language)
        majors = {each for currency in self._money.signs.values() for each in currency if each}
        self._nouns = Agreement(self._code, self._language, self._cardinal, {*self._units.values()} | majors)
        scales = [self._language.percent.one, *self._language.scales.split()]
        self._bare_numbers = Bare(self._code, scales, JOINTS)
        self._short_scales = {name: noun(text) for name, text in self._language.abbreviations.items()}
        self._dative_before = re.compile(f"(?i){self._language.datives}$")
        self._times = frozenset(self._language.times.split())
        self._codes = CodeFinder(self._code)
        self._emergency = frozenset(self._language.emergency.split())
        patterns = Patterns(self._code, self._language, self._money, self._ordinals, self._nouns.known)
        says = self._sayers()
        self._start, self._unit_follows = patterns.start, patterns.unit_follows
        self._rules = [(pattern, says[name]) for pattern, name in patterns.rules]
        self.unfinished = patterns.unfinished
        """Found at the end of what needs the next word."""

    def spell(self, text: str, before: str = "") -> str:
        """Return ``text`` with its numbers in words. What stands ``before`` it may tell what they are."""
        # What comes late behind a mark was part of a number that has been said.
        late = _LATE.match(text) if before.endswith(".") else None
        parts = [late.expand(r"\1 \2")] if late else []
        end = len(before) + (late.end() if late else 0)
        text = before + _ABOUT.sub(f"{self._language.about} ", text)
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
                words = self._joined(found, words)
                is_kept = _is_in_sum(found) or may_be_negative(found.group(), text_before(found))
                is_kept = is_kept or self._needs_another_word_before(found, words)
                return found.end(), found.group() if is_kept else words
        skipped = _SKIPPED.match(text, start.start())
        end = skipped.end() if skipped else start.end()
        return end, text[start.start() : end]

    def _needs_another_word_before(self, found: re.Match[str], words: str) -> bool:
        """Return whether a word that was passed on already would be another one before these."""
        before, first = _JOINED_BEFORE.get(self._code, (None, None))
        if before is None or first is None or words == found.group():
            return False
        return bool(first.match(words) and before.search(text_before(found)))

    def _joined(self, found: re.Match[str], words: str) -> str:
        """Join the ends of a range with "and" behind "between"."""
        groups = found.groupdict()
        is_range = (groups.get("to") and not groups.get("or")) or groups.get("h2")
        if not is_range or words == found.group() or not _BETWEEN_BEFORE.search(text_before(found)):
            return words
        return words.replace(self._language.to, f" {self._language.conjunction} ", 1)

    def _sayers(self) -> dict[str, Say]:
        """Return what says the rules of the patterns, by their names."""
        return {
            "price": self._price,
            "price_pair": self._price_pair,
            "shortened": self._shortened,
            "split_price": self._split_price,
            "percent": self._percent,
            "time": self._time,
            "dotted_time": self._dotted_time,
            "hours": self._hours,
            "measure": self._measure,
            "ordinal": self._ordinal,
            "degrees": self._degrees,
            "named_code": self._named_code,
            "range": self._range,
            "phone": self._phone,
            "plain": self._plain,
            "bare_pair": self._bare_pair,
            "pair": self._pair,
            "dialled": self._dialled,
            "one_after": self._one_after,
            "date": self._date,
            "days": self._days,
            "inches": self._inches,
            "ordinal_range": self._ordinal_range,
            "half_day": self._half_day,
            "unsaid": lambda found: found.group(),
        }

    # Rules

    def _price(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        scaled = groups.get("scale") or groups.get("short")
        by_thousandths = is_sold_by_thousandths(groups.get("per"), text_before(found), text_after(found))
        parsed = self._parse(found, price=not scaled and not by_thousandths)
        currency = self._money.currency(groups["unit"], groups.get("again"))
        if parsed is None or currency is None:
            return None
        number, end = parsed
        major, minor = self._form_of(found, currency[0], end or number), currency[1]
        # "1.459 €/l" is no thousand, whatever the language's mark; "a $12.50 fare" is neither form.
        is_unsure = by_thousandths and number.grouped and currency in self._money.dear
        if self._language.decimal == "." and not (scaled or by_thousandths or groups.get("power")):
            is_unsure = is_unsure or _has_three_decimals(groups)
        is_part = major is not currency[0] and not scaled and (end or number).decimals.strip("0")
        if major is None or is_unsure or is_part:
            return found.group()
        if scaled:
            scale = self._scale_of(scaled, end or number)
            if end is None and self._one_is_unsure(found, number, scale.gender):
                return None
            return self._signed(
                found, self._range_start(number, end) + self._scaled(end or number, scale, major)
            )
        words = self._price_words(found, number, end, (major, minor))
        per = self._per(groups.get("per"))
        return found.group() if per is None or words is None else self._signed(found, words + per)

    def _price_words(
        self, found: re.Match[str], number: Number, end: Number | None, currency: Currency
    ) -> str | None:
        major, minor = currency
        has_cents = any(each and each.decimals.strip("0") for each in (number, end))
        if end is not None and not has_cents:
            return self._range_words(Number(number.whole), Number(end.whole), major)
        amounts = [number] if end is None else [number, end]
        if any(self._price_is_unsure(found, each, major, minor) for each in amounts):
            return None
        if end is not None and self._language.to == "-":
            return None  # Its two parts would be joined.
        return self._language.to.join(self._amount(each, major, minor) for each in amounts)

    def _price_pair(self, found: re.Match[str]) -> str | None:
        """Say "de 15,50 a 20,90 €", or leave both prices: one of them alone would be a bare number."""
        parsed = self._parse(found, price=True)
        if parsed is None or parsed[1] is None or self._is_time_or_price(found["n"]):
            return None
        is_pair = found["or"] not in _AND or word_before(found).lower() in _BETWEEN
        major, minor = self._money.currency(found["unit"], None) or (None, None)
        is_part = self._code == "en" and self._counted_after(found)
        if major is None or not is_pair or self._language.one_last or is_part:
            return found.group()
        prices = (parsed[0], parsed[1])
        if any(self._price_is_unsure(found, price, major, minor) for price in prices):
            return found.group()
        return f" {found['or']} ".join(self._amount(price, major, minor) for price in prices)

    def _price_is_unsure(self, found: re.Match[str], number: Number, major: Noun, minor: Noun | None) -> bool:
        """Return whether the "1" of euros, or of cents, has a case that the text doesn't show."""
        cents = number.decimals.strip("0") and number.decimals.ljust(_CENTS, "0")
        if not cents or len(cents) > _CENTS:
            return not cents and self._one_is_unsure(found, number, major.gender)
        return (number.whole == 1 and self._one_is_unsure(found, Number(1), major.gender)) or bool(
            cents == "01" and minor and self._one_is_unsure(found, Number(1), minor.gender)
        )

    def _form_of(self, found: re.Match[str], counted: Noun, number: Number) -> Noun | None:
        """Return the forms of what is counted, or None where another noun may follow: "your 16 GB phone"."""
        if self._code != "en":
            return counted
        follows = not found.groupdict().get("per") and self._counted_after(found)
        return form_of(counted, number, found["unit"], word_before(found), follows or "")

    def _counted_after(self, found: re.Match[str]) -> str:
        """Return the word after a match, if it may be a noun."""
        after = word_after(found)
        is_sure = self._code == "en" and ends_with_adjective(text_after(found))
        return after if self._nouns.may_be_counted(after) and not is_sure else ""

    def _inches(self, found: re.Match[str]) -> str | None:
        """Say the inches of "6 ft 2 in"; elsewhere, "in" is a preposition."""
        is_height = _FEET.search(text_before(found))
        return self._count(Number(int(found["n"])), _INCH) if is_height else None

    def _scale_of(self, text: str, number: Number) -> Noun:
        """Return the noun of "millions", which may be shortened."""
        short = self._short_scales.get(text.rstrip("."))
        if short is None:
            gender: Gender = "m" if text in THOUSANDS else self._nouns.known_gender(text)
            return Noun(text, text, "" if number.decimals else gender)
        is_one = not number.decimals.strip("0") and number.whole == 1
        is_one = is_one or (self._language.one_below_two and number.whole < _TWO)
        return Noun(*(short.one if is_one else short.many,) * 2, short.gender)

    def _shortened(self, found: re.Match[str]) -> str | None:
        """Say "2,5 Mio."."""
        parsed = self._parse(found)
        if parsed is None:
            return None
        number, end = parsed
        scale = self._scale_of(found["short"], end or number)
        if end is None and self._one_is_unsure(found, number, scale.gender):
            return None
        stop = "." if found["short"].endswith(".") and self._ends_sentence(text_after(found)) else ""
        words = self._range_start(number, end) + self._scaled(end or number, scale, None)
        return self._signed(found, words + stop)

    def _ends_sentence(self, after: str) -> bool:
        """Return whether the point of an abbreviation ends its sentence too: "5 Mio. Das ist viel."."""
        word = re.match(r"\s+(\w+)", after)
        if word is None:
            return not after.strip()
        return word[1][0].isupper() and not self._ordinals.may_be_ranked(word[1], 1)

    def _scaled(self, number: Number, scale: Noun, major: Noun | None) -> str:
        words = self._bare(number) if number.decimals else self._cardinal(number.whole, scale.gender)
        if self._language.one_last and number.whole == 1 and not number.decimals:
            return f"{scale.one} {words}{' ' + major.many if major else ''}"  # "milioi bat euro"
        if major is None:
            return f"{words} {scale.many}"
        joint = " " if scale.many in THOUSANDS else self._of(major.many)
        return f"{words} {scale.many}{joint}{major.many}"

    def _split_price(self, found: re.Match[str]) -> str | None:
        """Say "12€50"."""
        number = parse_number(found["n"], self._language.decimal, price=True)
        if number is None or number.decimals or number.whole > self._language.most:
            return None
        return self._amount(Number(number.whole, found["cents"]), *self._money.signs[found["unit"]])

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
        if end is None and self._one_is_unsure(found, number, noun.gender):
            return None
        words = self._count(number, noun) if end is None else self._range_words(number, end, noun)
        return None if words is None else self._signed(found, words)

    def _measure(self, found: re.Match[str]) -> str | None:
        parsed = self._parse(found)
        if parsed is None:
            return None
        number, end = parsed
        unit = re.sub(SPACE, "", found["unit"]).replace("º", "°")
        is_other = (found["unit1"] or found["unit"]) != found["unit"]
        is_decade = unit == "s" and found.group()[-2:-1].isdigit()  # "the 1990s"
        is_decade = is_decade and not follows_minutes(text_before(found))
        if is_other or is_decade or is_multiplied(text_before(found)):
            return None
        is_minute = number.whole < _MINUTES_OF_HOUR and not number.decimals and not found["sign"]
        if unit == "m" and is_minute and follows_hours(text_before(found)):
            unit = "min"
        noun = self._form_of(found, self._units[unit], end or number)
        clock: bool | None = False
        if noun is self._units["h"] and self._language.hour and not found["sign"]:
            clock = is_time_of_day([each for each in parsed if each], text_before(found), text_after(found))
        if noun is None or clock is None:
            return found.group()
        if clock and self._language.hour:
            hours = [self._cardinal(each.whole, "m") for each in parsed if each]
            return f"{self._language.to.join(hours)} {self._language.hour.one}"
        if self._takes_dative(found, noun, end or number):
            noun = Noun(noun.one, f"{noun.many}n", noun.gender)
        if end is None:
            is_unsure = self._one_is_unsure(found, number, noun.gender)
            return None if is_unsure else self._signed(found, self._count(number, noun))
        return self._measured_range(found, number, end, noun)

    def _measured_range(self, found: re.Match[str], number: Number, end: Number, noun: Noun) -> str | None:
        is_hours = noun is self._units["h"]
        if is_hours and self._language.hour and _NOON < end.whole <= _LAST_HOUR:
            if number.whole >= _NOON and word_before(found).lower() not in _SPANS_BEFORE:
                return found.group()  # "In 12-24 h" takes as long, "12-14 h" is open then.
            noun, is_hours = self._language.hour, False
        words = self._range_words(number, end, noun)
        if words and is_hours:
            words = words.replace(self._language.to, self._to_hour(found), 1)
        return None if words is None else self._signed(found, words)

    def _takes_dative(self, found: re.Match[str], noun: Noun, number: Number) -> bool:
        """Return whether a measure stands in the German dative: "in 500 m" is "in fünfhundert Metern"."""
        is_one = number.whole == 1 and not number.decimals
        if is_one or not noun.many.lower().endswith("meter") or self._counted_after(found):
            return False
        if _MEASURED.match(text_after(found)):
            return False
        return bool(self._dative_before.search(text_before(found)))

    def _degrees(self, found: re.Match[str]) -> str | None:
        """Leave "3°" alone where it may be "third"."""
        return found.group() if may_be_ordinal(text_before(found), text_after(found)) else None

    def _is_no_time(self, found: re.Match[str]) -> bool:
        """Return whether hours and minutes are a duration or a ratio, which no clock says."""
        before = text_before(found)
        is_ordinary = self._code == "fr" or (found.groupdict().get("word") and self._code == "en")
        if is_ratio(before) or (self._code == "eu" and word_before(found).lower() == "ordu"):
            return True
        return not is_ordinary and is_duration(before, text_after(found))

    def _time(self, found: re.Match[str]) -> str | None:
        if self._is_no_time(found):
            return found.group()
        groups = found.groupdict()
        times = [(int(groups["h"]), int(groups["min"]))]
        if groups.get("h2"):
            if self._language.one_last:
                return found.group()  # Both ends are declined.
            times.append((int(groups["h2"]), int(groups["min2"])))
        clock = self._clock
        if self._code == "en" and (groups.get("word") or "").lower() == "hours":
            clock = military
        said = [clock(hour, minute, self._cardinal) for hour, minute in times]
        if groups.get("word") and self._code == "en":
            said[-1] = with_word(said[-1], groups["word"])
        return self._to_hour(found).join(said)

    def _to_hour(self, found: re.Match[str]) -> str:
        """Return what joins two times: "das 9h às 17h"."""
        return self._language.to_hours.get(word_before(found).lower(), self._language.to)

    def _dotted_time(self, found: re.Match[str]) -> str | None:
        """Say "8.30" as a time where something shows it."""
        has_word = word_before(found).lower() in self._times
        if found["mark"] == ",":  # "8,30 h" are hours.
            is_shown = has_word and not found["shown"] and not self._language.capital_nouns
        else:
            is_price = self._language.capital_nouns and not self._language.decimal  # "um 2.50 teurer"
            is_shown = bool(found["shown"]) or (has_word and not is_price)
        is_measure = self._unit_follows.match(found.string, found.end()) or text_after(found)[:2] == " %"
        return self._time(found) if is_shown and not is_measure else None

    def _hours(self, found: re.Match[str]) -> str | None:
        """Say "9h-17h" and "9h30-12h"; the first as a measure, as "9-17 h" is."""
        if not found["min"] and not found["min2"]:
            return None
        if self._is_no_time(found):
            return found.group()
        if self._language.one_last:
            return None
        times = [(found["h"], found["min"]), (found["h2"], found["min2"])]
        return self._to_hour(found).join(self._clock(int(h), int(m or 0), self._cardinal) for h, m in times)

    def _half_day(self, found: re.Match[str]) -> str:
        words = self._clock(int(found["h"]), int(found["min"] or 0), self._cardinal).removesuffix(" o'clock")
        if found["h2"] is None:
            return f"{words} {found['half']}"
        first = f" {found['half1']}" if found["half1"] else ""
        first += "." if "." in first else ""
        end = self._clock(int(found["h2"]), int(found["min2"] or 0), self._cardinal)
        return (
            f"{words}{first}{self._language.to}{end.removesuffix(' o' + chr(39) + 'clock')} {found['half']}"
        )

    def _days(self, found: re.Match[str]) -> str | None:
        """Say a German "1.-3. Mai"."""
        after = re.match(r"\s+(\w+)", text_after(found))
        around = Around(word_before(found), after[1] if after else "")
        if not self._ordinals.is_month(around.after):
            return None
        words = [self._ordinals.say(int(found[part]), ".", around) for part in ("n", "to")]
        return self._language.to.join(filter(None, words)) if all(words) else None

    def _ordinal_range(self, found: re.Match[str]) -> str | None:
        """Say an English "3rd–5th"."""
        start, end = int(found["n"]), int(found["to"])
        words = [self._ordinals.say(number, "th", Around("", "")) for number in (start, end)]
        return self._language.to.join(filter(None, words)) if start < end else found.group()

    def _date(self, found: re.Match[str]) -> str:
        """Say a German "3.5." behind what shows a date; it is no decimal in any case."""
        before = word_before(found)
        if before.lower() not in _BEFORE_DATES:
            return found.group()
        words = (
            self._ordinals.say(int(found[part]), ".", Around(before, "Mai")) for part in ("day", "month")
        )
        return " ".join(filter(None, words)) + ("" if _WORD_FOLLOWS.match(found.string, found.end()) else ".")

    def _ordinal(self, found: re.Match[str]) -> str | None:
        after = re.match(r"\s+(\w+)", text_after(found))
        chain = _CHAIN.search(text_before(found))
        if chain and (chain["comma"] or (chain["first"] or "").lower() == "der"):
            return None  # "am 1., 2. und 3. Mai": the first one stays, as it does behind "der".
        before = chain["first"] or "" if chain else word_before(found)
        if self._code == "en" and not found["mark"]:
            month = month_before(text_before(found), self._counted_after(found))
            if month is None:
                return found.group()
            before = month or before
        return self._ordinal_of(found, Around(before, after[1] if after else ""))

    def _ordinal_of(self, found: re.Match[str], around: Around) -> str | None:
        return self._ordinals.say(int(found[1]), found[2], around)

    def _range(self, found: re.Match[str]) -> str | None:
        # Half a range is wrong: between two numbers with spaces, the hyphen would become a dash.
        return self._range_of_numbers(found) or (found.group() if " " in found.group() else None)

    def _range_of_numbers(self, found: re.Match[str]) -> str | None:
        parsed = self._parse(found)
        if parsed is None or parsed[1] is None or found["sign"]:
            return None
        number, end = parsed[0], parsed[1]
        if not is_range(found["n"], found["to"]) or self._is_time_or_price(found["n"], found["to"]):
            return None
        before, after = word_before(found), word_after(found)
        if (
            self._code == "en"
            and max(len(found["n"]), len(found["to"])) > _LONGEST_PART
            and not number.grouped
        ):
            years = self._language.years
            if number.whole not in years or end.whole not in years:
                return None  # Most are phone numbers.
        if self._code == "en":
            before = month_before(text_before(found), "") or before
        if self._code == "en" and (self._ordinals.is_month(before) or self._ordinals.is_month(after)):
            days = [self._ordinals.say(each.whole, "", Around(before, "")) for each in (number, end)]
            return self._language.to.join(filter(None, days)) if all(days) else None
        genders = self._genders_of_range(found, number, end)
        if genders is None:
            return None
        start = self._plain_words(found["n"], number, "f" if genders[0] == "f" else "")
        return f"{start}{self._to_hour(found)}{self._plain_words(found['to'], end, genders[1])}"

    def _genders_of_range(
        self, found: re.Match[str], number: Number, end: Number
    ) -> tuple[Gender, Gender] | None:
        """Return the genders of both ends of a range, or None where one can't be told."""
        after = word_after(found)
        first, gender = self._nouns.gender(after, number.whole), self._nouns.gender(after, end.whole)
        if not (first or gender) and end.whole <= _LAST_HOUR and self._is_hour(found, number):
            return "f", "f"
        if first is None or gender is None:
            return None
        is_sure = (first or self._is_sure_alone(found, found["n"], number)) and (
            gender or self._is_sure_alone(found, found["to"], end)
        )
        return (first, gender) if is_sure else None

    def _pair(self, found: re.Match[str]) -> str | None:
        """Say "1 o 2 noches" up to its noun, or leave both numbers where its gender can't be told."""
        numbers, groups = (int(found["n"]), int(found["to"])), found.groupdict()
        if self._is_no_pair(found, numbers):
            return None
        unit = self._unit_of(groups.get("unit"))
        gender = unit.gender if unit else self._nouns.gender_of_many(groups.get("noun") or "")
        if not gender and gender is not None:
            return None  # Nothing is counted.
        is_pair = found["or"] not in _AND or word_before(found).lower() in _BETWEEN
        if gender is None or not is_pair or self._code == "de" or numbers[1] == 1:
            return found.group()
        first: Gender = "f" if gender == "f" else ("m" if self._code == "ca" else "")
        second = self._count(Number(numbers[1]), unit) if unit else self._cardinal(numbers[1], gender)
        return f"{self._cardinal(numbers[0], first)} {found['or']} {second}"

    def _bare_pair(self, found: re.Match[str]) -> str | None:
        """Leave "de 9 a 2", where one of the numbers has a feminine, and nothing shows what they are."""
        numbers = [int(found[part]) for part in ("n", "to")]
        if all(map(self._nouns.has_one_form, numbers)) or self._bare_numbers.is_scaled(text_after(found)):
            return None
        if self._is_hour(found, Number(numbers[0])) or any(
            str(number) != found[part] for number, part in zip(numbers, ("n", "to"), strict=True)
        ):
            return None
        if word_before(found).lower() in _FROM or not self._bare_numbers.is_shown(
            found["n"], text_before(found), text_after(found)
        ):
            return found.group()
        return f" {found['or']} ".join(self._cardinal(number, "") for number in numbers)

    def _is_no_pair(self, found: re.Match[str], numbers: tuple[int, int]) -> bool:
        noun = found.groupdict().get("noun")
        if noun in (*self._short_scales, *self._language.scales.split()):
            return True  # "1 o 2 millones": they are said with what they count.
        if any(str(number) != found[part] for number, part in zip(numbers, ("n", "to"), strict=True)):
            return True  # "01 o 02"
        if all(self._nouns.has_one_form(number) for number in numbers):
            return True
        return self._nouns.is_hour(numbers[0], text_before(found), word_before(found))

    def _unit_of(self, text: str | None) -> Noun | None:
        """Return what a unit or a currency counts."""
        if text is None:
            return None
        return self._units[text] if text in self._units else self._money.signs[text][0]

    def _dialled(self, found: re.Match[str]) -> str | None:
        """Return a number of groups behind a word that shows what is dialled: "Call 34 912 345 678"."""
        return found.group() if is_dialled(found.group(), text_before(found)) else None

    def _named_code(self, found: re.Match[str]) -> str | None:
        """Return what a word before it names as a code: "Your PIN is 1234"."""
        digits = sum(map(str.isdigit, found["n"]))
        is_code = digits >= _SHORTEST_CODE and self._codes.is_named(
            found["n"], text_before(found), text_after(found)
        )
        return found.group() if is_code else None

    def _phone(self, found: re.Match[str]) -> str | None:
        return found.group() if is_phone(found.group(), self._language.decimal) else None

    def _plain(self, found: re.Match[str]) -> str | None:
        parsed, text = self._parse(found, price=word_after(found).lower() in self._money.coins), found["n"]
        if parsed is None or self._is_no_quantity(found, text):
            return None
        number = parsed[0]
        if number.decimals:
            is_counted = len(number.decimals) == _GROUP and self._nouns.is_noun(word_after(found), _MANY)
            words = None if is_counted else self._bare(number)  # "2,500 personas" may be thousands.
        elif number.whole == 1:
            words = self._one(found)
        else:
            gender = self._gender_of(found, number)
            is_emergency = text in self._emergency and not gender
            words = None if gender is None or is_emergency else self._plain_words(text, number, gender)
        return None if words is None else self._signed(found, words)

    def _gender_of(self, found: re.Match[str], number: Number) -> Gender | None:
        """Return the gender of what a plain number counts, or None where that can't be told."""
        if self._bare_numbers.is_followed(text_after(found)) and word_after(found) not in THOUSANDS:
            return self._nouns.known_gender(word_after(found))
        gender = self._nouns.gender(word_after(found), number.whole)
        if gender != "m" and not number.grouped and self._is_hour(found, number):
            return "f"
        return gender if gender or self._is_sure_alone(found, found["n"], number) else None

    def _is_hour(self, found: re.Match[str], number: Number) -> bool:
        return self._nouns.is_hour(number.whole, text_before(found), word_before(found))

    def _is_sure_alone(self, found: re.Match[str], text: str, number: Number) -> bool:
        """Return whether a number before no noun has the form of one that counts nothing."""
        is_negative = bool(found.groupdict().get("sign"))
        before, after = text_before(found), text_after(found)
        return (
            is_negative
            or self._nouns.has_one_form(number.whole)
            or self._bare_numbers.is_shown(text, before, after)
        )

    def _one(self, found: re.Match[str]) -> str | None:
        """Say a plain "1", or return None where its form can't be told."""
        after = word_after(found)
        if self._language.one_last:
            return None if after and self._nouns.is_noun(after, 1) else self._cardinal(1, "")
        if self._nouns.has_article_of_one(text_before(found)):
            return self._language.first or None
        if self._code == "it" and after and text_before(found).endswith(("'", "’")):
            return None  # "l'1 maggio"
        gender = self._gender_of(found, Number(1))
        if self._language.inflects_one and after in _DE_ALTERNATIVES:
            return None  # "1 bis 2"
        if gender is None or self._one_is_unsure(found, Number(1), gender):
            return None
        return (
            italian_one(after, gender)
            if self._code == "it" and gender and after
            else self._cardinal(1, gender)
        )

    def _is_no_quantity(self, found: re.Match[str], text: str) -> bool:
        before, after = text_before(found), text_after(found)
        is_name = self._code == "fr" and _FRENCH_NAME.search(f"{before}{text}")
        if is_name or is_label(text, before, after) or is_product_or_foreign_money(before, after):
            return True
        if self._unit_follows.match(after):
            return True  # What counts it can't be said.
        if text.isdigit():
            is_year = self._year and int(text) in self._language.years and not is_same_as_count(int(text))
            if is_year and self._counted_after(found) and not shows_year(before):
                return True  # "1999 people" is no year.
            is_long = len(text) > _LONGEST_PLAIN and not text.endswith("000")
            is_ordinal = self._ordinals.dotted and self._is_unsaid_ordinal(text, before, after)
            is_named = is_code(text, before, after, capital_nouns=self._language.capital_nouns)
            return is_long or is_ordinal or is_named
        if self._code == "fr" and is_code(re.sub(SPACE, "", text), "", after):
            return True  # "13 008 Marseille"
        is_date = self._code == "de" and "." in text and word_before(found).lower() in _BEFORE_DATES
        is_time = self._code == "en" and _AT.search(before) and _DOTTED_TIME.fullmatch(text)
        return bool(is_date or is_time or self._is_time_or_price(text))

    def _is_unsaid_ordinal(self, text: str, before: str, after: str) -> bool:
        """Return whether a point follows that doesn't end a sentence, though the ordinal isn't known."""
        if _POINT_AT_END.match(after) and self._ordinals.is_article(before):
            return True  # "Ich komme am 12."
        if _POINT_AND_LETTER.match(after):
            return True
        if found := _POINT_AND_CAPITAL.match(after):
            if self._ordinals.is_ranked(found[1]) or self._ordinals.may_be_ranked(found[1], len(text)):
                return True
            return bool(_SENTENCE_BEFORE.search(before))
        return bool(_POINT_INSIDE.match(after))

    def _is_time_or_price(self, *texts: str) -> bool:
        """Return whether the mark before two digits is none of the language's decimals: "8.30"."""
        marks = {text[-3] for text in texts if re.fullmatch(r"\d+[.,]\d\d", text)}
        return bool(marks - {self._language.decimal})

    def _one_is_unsure(self, found: re.Match[str], number: Number, gender: Gender) -> bool:
        """Return whether "1" counts something in a case that the text doesn't show."""
        if number.whole != 1 or number.decimals.strip("0") or word_after(found) == "Uhr":
            return False
        rest = text_after(found)
        if "unit" not in found.re.groupindex:
            rest = rest.removeprefix(found.string[found.end() : found.end() + 1] + word_after(found))
        return self._nouns.one_is_unsure(text_before(found), gender, rest)

    def _one_after(self, found: re.Match[str]) -> str:
        return f"{found['noun']} {self._cardinal(1, '')}"

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
        if unit in self._language.per_units:
            return f" {self._language.per_units[unit]}"
        name = self._units[unit].one if unit in self._units else unit
        return None if self._language.per is None else f" {self._language.per} {name}"

    def _parse(self, found: re.Match[str], *, price: bool = False) -> tuple[Number, Number | None] | None:
        """Return a number and the end of its range, or None where one of them can't be said."""
        groups = found.groupdict()
        texts = [groups["n"], *filter(None, [groups.get("to")])]
        if _MINUTES.fullmatch(texts[0]) and _HOURS_BEFORE.search(text_before(found)):
            texts[0] = texts[0].removeprefix("0")  # "1 h 05"
        numbers = [self._multiplied(text, groups.get("power"), price=price) for text in texts]
        said = [number for number in numbers if number and number.whole <= self._language.most]
        if len(said) < len(texts):
            return None
        return said[0], (said[1] if len(said) > 1 else None)

    def _multiplied(self, text: str, power: str | None, *, price: bool) -> Number | None:
        """Read a number, and the letter that multiplies it."""
        number = parse_number(text, self._language.decimal, price=price and power is None)
        if number is None or power is None:
            return number
        zeros = _POWERS[power.upper()]
        digits = number.decimals.ljust(zeros, "0")
        return Number(int(f"{number.whole}{digits}"), grouped=True) if len(digits) == zeros else None


def _has_three_decimals(groups: dict[str, str | None]) -> bool:
    return any(_THREE_DECIMALS.fullmatch(groups.get(part) or "") for part in ("n", "to"))


def _is_in_sum(found: re.Match[str]) -> bool:
    is_range = bool(found.groupdict().get("to"))
    return is_sum(found.group(), text_before(found), text_after(found), is_range=is_range)

"""The currencies of a language: how they are written, and what is counted.

Rule of this file: symbols, codes and words to nouns. Two currencies in one price are none.
"""

from __future__ import annotations

import re

from .languages import PESO_SIGN, Language, Noun
from .notation import APOSTROPHES

Currency = tuple[Noun, Noun | None]
"""What is counted, and its hundredth."""
_DOLLARS = ("$", "USD", "CAD", "AUD", "MXN")
"""Currencies whose sign may be "$"."""
EACH = "an|a|per|the|each|por|cada|el|al|o|ao|le|la|par|il|pro|je|der|das|die|ogni"
"""Stands between a price and what it is for: "$3.459 a gallon"."""
_THOUSANDTHS = (
    r"(?:[lL]|lts?|[lL]it(?:er|re|ro)s?|litroko|gal|gallons?|gal[óo]n|gal[ãa]o|kWh|"
    r"(?i:(?:kilo|quilo|chilo)[vw]at)\w*)"
)
_SOLD_BY_THOUSANDTHS = re.compile(_THOUSANDTHS)
_THOUSANDTHS_BEFORE = re.compile(
    r"(?i)(?<!\w)(?<!\d )(?:lit(?:er|re|ro(?:ko)?)|gallon|gal[óo]n|gal[ãa]o|kWh)(?!\w)[^.,;:!?()\d\n]{0,40}$"
)
_THOUSANDTHS_AFTER = re.compile(
    rf"\s+(?:(?:{EACH})\s+|l[{APOSTROPHES}])?{_THOUSANDTHS}(?![{APOSTROPHES}]?\w)"
)


def is_sold_by_thousandths(per: str | None, before: str, after: str) -> bool:
    """Return whether a price has the three decimals of fuel and power: "$3.459 a gallon".

    Args:
        per: What stands behind its slash.
        before: The text before it.
        after: The text after it.
    """
    if per is not None:
        return bool(_SOLD_BY_THOUSANDTHS.fullmatch(per))
    return bool(_THOUSANDTHS_AFTER.match(after) or _THOUSANDTHS_BEFORE.search(before))


class Money:
    """Knows the currencies of one language.

    Args:
        language: The language.
        tag: Its code, and perhaps a region.

    Attributes:
        signs: Currencies by their symbols and codes.
        words: Currencies by words that count nothing else, as the pound's may.
        again: Currencies by what may follow a price that has a symbol already.
        dear: Currencies of which a litre of fuel costs few.
        coins: Words of other money, in small letters. They are said as they are written, without cents.
    """

    def __init__(self, language: Language, tag: str) -> None:
        more = language.more_money_nouns()
        self.signs: dict[str, Currency] = dict(language.currency_nouns())
        if tag[:2] == "es" and tag[3:] in PESO_SIGN.split():
            self.signs["$"] = more["pesos"]
        self.words: dict[str, Currency] = {}
        for currency in (self.signs["EUR"], self.signs["USD"], *more.values()):
            self.words |= dict.fromkeys((currency[0].one.lower(), currency[0].many.lower()), currency)
        self.again: dict[str, Currency] = {}
        for name, currency in self.signs.items():
            names = [currency[0].one, currency[0].many, *([name] if name.isalpha() else [])]
            self.again |= dict.fromkeys([each.lower() for each in names], currency)
        self.again |= self.words
        self.dear = [self.signs[code] for code in ("EUR", "USD", "GBP")]
        coins = [self.signs[code][0] for code in ("JPY", "CHF", "MXN", "BRL")]
        self.coins = frozenset(name.lower().split()[0] for coin in coins for name in (coin.one, coin.many))

    def currency(self, unit: str, again: str | None) -> Currency | None:
        """Return what a price counts, which may be written twice: "$5 dollars"; None for two currencies."""
        currency = self.signs.get(unit) or self.words[unit.lower()]
        if again is None:
            return currency
        other = self.again[again.lower()]
        if unit == "$" and any(other[0] == each[0] for each in self._dollars()):
            return other
        words, others = (set(f"{each[0].one} {each[0].many}".split()) for each in (currency, other))
        if not words & others:
            return None
        return currency if len(words) >= len(others) else other

    def _dollars(self) -> list[Currency]:
        pesos = [currency for word, currency in self.words.items() if word.startswith("peso")]
        return [self.signs[code] for code in _DOLLARS] + pesos

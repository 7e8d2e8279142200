"""The currencies of a language: how they are written, and what is counted.

Rule of this file: symbols, codes and words to nouns. Two currencies in one price are none.
"""

from __future__ import annotations

from .languages import PESO_SIGN, Language, Noun

Currency = tuple[Noun, Noun | None]
"""What is counted, and its hundredth."""
_DOLLARS = ("$", "USD", "CAD", "AUD", "MXN")
"""Currencies whose sign may be "$"."""


class Money:
    """Knows the currencies of one language.

    Args:
        language: The language.
        tag: Its code, and perhaps a region.

    Attributes:
        signs: Currencies by their symbols and codes.
        words: Currencies by words that count nothing else, as the pound's may.
        again: Currencies by what may follow a price that has a symbol already.
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

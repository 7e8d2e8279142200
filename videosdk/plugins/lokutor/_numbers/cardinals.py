"""Whole numbers in words, agreeing with what they count.

Rule of this file: a number and a gender to words, and nothing else. ``num2words`` knows seven of the nine
languages, and is imported when one of them is asked for. What it says is mended where a grammar says
otherwise. Galician and Basque are written here, up to 999,999:

- Galician: *Normas ortográficas e morfolóxicas do idioma galego* (Real Academia Galega and Instituto da
  Lingua Galega), section 16, "Numerais". "e" stands between tens and units only, and the hundreds have a
  feminine.
- Basque: Euskaltzaindia, rule 7, "Zenbakien idazkera". Twenties are written "hogeita bat". "eta" stands once:
  before what follows the hundreds, or after "mila" where the hundreds or the rest are missing (1,200 "mila
  eta berrehun", 1,201 "mila berrehun eta bat").
- Spanish: *Diccionario panhispánico de dudas*, "cardinales": "uno" is shortened before "mil" and before a
  masculine noun. Catalan: the number as such is "u" (Consorci per a la Normalització Lingüística,
  *Gramàtica*, "Els numerals").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

Gender = Literal["", "m", "f", "n"]
"""Of what is counted. Empty: the number stands alone."""
Cardinal = Callable[[int, Gender], str]
"""Returns the words for a number that isn't negative."""
BY_HAND = 999_999
"""Largest number of the languages that are written here."""
BY_NUM2WORDS = 10**12 - 1
"""Largest number of the others: beyond, their names for powers differ by country."""
INSTALL = 'pip install "videosdk-plugins-lokutor[numbers]"'


def words_in(text: str) -> list[str]:
    """Return the words of a table."""
    return text.split()


_GL_TEENS = words_in(
    "cero un dous tres catro cinco seis sete oito nove dez once doce trece catorce quince "
    "dezaseis dezasete dezaoito dezanove"
)
_GL_TENS = words_in("vinte trinta corenta cincuenta sesenta setenta oitenta noventa")
_GL_HUNDREDS = words_in(
    "cento douscentos trescentos catrocentos cincocentos seiscentos setecentos oitocentos novecentos"
)
_EU_TEENS = words_in(
    "zero bat bi hiru lau bost sei zazpi zortzi bederatzi hamar hamaika hamabi hamahiru hamalau hamabost "
    "hamasei hamazazpi hemezortzi hemeretzi"
)
_EU_TWENTIES = words_in("hogei berrogei hirurogei laurogei")
_EU_HUNDREDS = words_in(
    "ehun berrehun hirurehun laurehun bostehun seiehun zazpiehun zortziehun bederatziehun"
)


def cardinal_of(language: str) -> Cardinal:
    """Return what says the numbers of a language.

    Raises:
        ImportError: The language needs ``num2words``, which isn't installed.
    """
    if language in _HAND_WRITTEN:
        return _HAND_WRITTEN[language]
    code = language.replace("-", "_").upper().replace(language[:2].upper(), language[:2], 1)
    words = num2words_of(code)
    agree = _AGREEMENTS[language[:2]]
    return lambda number, gender: agree(words(number, "cardinal").replace(",", ""), gender)


def num2words_of(code: str) -> Callable[[int, str], str]:
    """Return what says a number in a language and a form, such as ``"ordinal"``.

    Raises:
        ImportError: ``num2words`` isn't installed.
    """
    try:
        from num2words import num2words
    except ImportError as error:
        raise ImportError(f"Numbers in {code!r} need the package num2words: {INSTALL}") from error
    return lambda number, form: str(num2words(number, lang=code, to=form))


def _spanish(words: str, gender: Gender) -> str:
    words = re.sub(r"veintiuno(?= m[il])", "veintiún", words)
    words = re.sub(r"\buno(?= m[il])", "un", words)
    if gender == "m":
        return re.sub(r"\buno$", "un", re.sub("veintiuno$", "veintiún", words))
    if gender == "f":
        return _after_millions(
            words, lambda rest: re.sub("uno$", "una", re.sub(r"(c|qu)?ientos\b", r"\1ientas", rest))
        )
    return words


def _catalan(words: str, gender: Gender) -> str:
    if gender == "f":
        rest = re.sub(r"\bun$", "una", words)
        return _after_millions(
            rest, lambda rest: re.sub(r"\bdos\b", "dues", rest).replace("-cents", "-centes")
        )
    return words if gender == "m" else re.sub(r"\bun$", "u", words)


def _portuguese(words: str, gender: Gender) -> str:
    if gender != "f":
        return words

    def feminine(rest: str) -> str:
        rest = re.sub(r"entos\b", "entas", re.sub(r"\bdois\b", "duas", rest))
        return re.sub(r"\bum$", "uma", rest)

    return _after_millions(words, feminine)


def _french(words: str, gender: Gender) -> str:
    return re.sub(r"\bun$", "une", words) if gender == "f" else words


def _italian(words: str, gender: Gender) -> str:
    if words == "uno":
        return {"m": "un", "f": "una"}.get(gender, words)
    return re.sub(r"(?<=\w)tre$", "tré", words)  # num2words forgets it behind hundreds.


def _german(words: str, gender: Gender) -> str:
    return {"m": "ein", "n": "ein", "f": "eine"}.get(gender, words) if words == "eins" else words


def _after_millions(words: str, change: Callable[[str], str]) -> str:
    """Change what follows the millions, which are masculine whatever is counted."""
    found = re.match(r".*\bmil(?:i|li|h)[oóõã]\w*", words)
    end = found.end() if found else 0
    return words[:end] + change(words[end:])


def _galician(number: int, gender: Gender) -> str:
    thousands, rest = divmod(number, 1_000)
    parts = []
    if thousands:
        parts = ["mil"] if thousands == 1 else [_galician_hundreds(thousands, gender), "mil"]
    if rest or not thousands:
        parts.append(_galician_hundreds(rest, gender))
    # Before "mil" only the two has a feminine: "vinte e un mil".
    return " ".join(parts)


def _galician_hundreds(number: int, gender: Gender) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [("cen" if not rest else "cento") if hundreds == 1 else _GL_HUNDREDS[hundreds - 1]] * bool(
        hundreds
    )
    if rest or not hundreds:
        tens, units = divmod(rest, 10)
        small = _GL_TEENS[rest] if rest < len(_GL_TEENS) else _GL_TENS[tens - 2]
        parts.append(f"{small} e {_GL_TEENS[units]}" if rest > len(_GL_TEENS) and units else small)
    words = " ".join(parts)
    return _galician_feminine(words) if gender == "f" else words


def _galician_feminine(words: str) -> str:
    words = words.replace("douscentos", "duascentas").replace("centos", "centas")
    return re.sub(r"\bun$", "unha", re.sub(r"\bdous$", "dúas", words))


def _basque(number: int, _: Gender) -> str:
    thousands, rest = divmod(number, 1_000)
    if not thousands:
        return _basque_hundreds(rest)
    words = "mila" if thousands == 1 else f"{_basque_hundreds(thousands)} mila"
    if not rest:
        return words
    hundreds, small = divmod(rest, 100)
    has_eta = hundreds and small
    return f"{words} {'' if has_eta else 'eta '}{_basque_hundreds(rest)}"


def _basque_hundreds(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [_EU_HUNDREDS[hundreds - 1]] * bool(hundreds)
    if rest or not hundreds:
        parts.append(_basque_twenties(rest))
    return " eta ".join(parts)


def _basque_twenties(number: int) -> str:
    twenties, rest = divmod(number, 20)
    if not twenties:
        return _EU_TEENS[rest]
    word = _EU_TWENTIES[twenties - 1]
    return f"{word}ta {_EU_TEENS[rest]}" if rest else word


_HAND_WRITTEN: dict[str, Cardinal] = {"gl": _galician, "eu": _basque}
_AGREEMENTS: dict[str, Callable[[str, Gender], str]] = {
    "en": lambda words, _: words,
    "es": _spanish,
    "ca": _catalan,
    "pt": _portuguese,
    "fr": _french,
    "it": _italian,
    "de": _german,
}

"""What the numbers of a language look like, with what stands around them.

Rule of this file: a language to patterns, each with the name of the rule that says what it matches. What a
rule is sure of is no matter of this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .codes import NO_QUANTITY, PHONE, SIGNS, UNSAID, UNSAID_EVERYWHERE
from .languages import SYMBOLS, Language
from .money import EACH, Money
from .notation import APOSTROPHES, NUMBER, SPACE
from .ordinals import ENGLISH_MARKS, Ordinals

_TO = rf"{SPACE}?[-–]{SPACE}?"
_FREE = (
    rf"(?<![\w.,/#@+\-–−{SIGNS}])(?:(?<=[nN][°º])|(?<=[nN]\.º)|(?<![°º]))(?<![{SIGNS}] )(?<![{SIGNS}] \ue000)"
    r"(?<!\d:)(?<![\s\ue000(\d]['’])"
)
"""What a number doesn't stand behind: the rest of a word, of a date, of a version."""
_END = (
    rf"(?![{APOSTROPHES}]\w|\.[ºª])(?![\w^°ºª%{SIGNS}½¼¾\ufe0f\u20e3])(?!-?[.,:/+\-–]\d)(?![-–/][\w{SIGNS}])"
)
_NO_CENTS = r"(?:[.,](?:--?|[–—]))?"
"""Matches the dash in place of cents: "19,- €"."""
_OF = "de|di"
"""Words between millions and the sign of a currency."""
JOINTS = "o|u|ou|oder|a|à|bis|y|e|ed|i|et|und"
"""Words between two numbers of the same noun: "1 o 2 noches"."""
_DEGREE_SIGN_IN_ORDINALS = ("es", "ca", "gl", "pt", "fr", "it")
"""Languages where "3°" may be an ordinal: its sign is easier to type than "º"."""
_ELIDING_NUMBERS = ("ca", "fr", "it")
"""Languages with an apostrophe before numbers: "d'11". Elsewhere, it stands before a short year."""


class Patterns:
    """The patterns of one language.

    Args:
        code: The language's code.
        language: The language.
        money: Its currencies.
        ordinals: Its ordinals.
        known: The nouns whose gender is known.

    Attributes:
        start: Found where a number begins.
        rules: What is tried there, in this order: a pattern, and the name of its rule.
        unfinished: Found at the end of what needs the next word.
        unit_follows: Matches the unit behind a number.
    """

    def __init__(
        self, code: str, language: Language, money: Money, ordinals: Ordinals, known: list[str]
    ) -> None:
        self._code = code
        self._language = language
        self._units = list(language.unit_nouns())
        self._money = money
        self._ordinals = ordinals
        self._known = known
        self._short_scales = list(language.abbreviations)
        follows = _any_of([*self._units, *money.signs, *self._short_scales])
        self.unit_follows = re.compile(rf"{SPACE}?(?:{follows})(?![{APOSTROPHES}]?\w)")
        free = _FREE if code in _ELIDING_NUMBERS else rf"{_FREE}(?<!\w['’])"
        prefixes = _any_of([*money.signs, "%"] if language.percent_first else money.signs)
        self.start = re.compile(
            rf"(?=[-−+%\dA-Z{SIGNS}]){free}(?:[-−]?(?:{prefixes}){SPACE}?[-−]?\d|[-−]?\d|\+\d)|(?<![^\s\ue000])&(?!\S)"
        )
        self.rules = self._make_rules()
        self.unfinished = self._make_unfinished()

    def _make_rules(self) -> list[tuple[re.Pattern[str], str]]:
        number, units = NUMBER, _any_of(self._units)
        money, prefixes = _any_of(self._money.signs), _any_of(self._money.signs)
        names = _any_of([*self._units, *self._language.per_units])
        # "$45/mo. for two": the point goes with it.
        per = rf"(?:/(?P<per>{names}|[^\W\d_]{{3,}})(?:(?<=/mo|/yr|/wk)\.(?=\s+[a-z]))?)?"
        again = rf"(?:{SPACE}(?P<again>(?i:{_any_of(self._money.again)}))(?!\w))?"
        sign, scale = "(?P<sign>[-−])?", _any_of(self._language.scales.split())
        short = rf"(?:{_any_of(self._short_scales)})\b\.?"
        of = rf"(?:(?:{_OF}){SPACE}|d['’])?"
        amount = rf"{sign}(?P<n>{number})(?:{_TO}(?P<to>{number}))?"
        priced = rf"{sign}(?P<n>{number})(?:(?:{SPACE}?(?:{money}))?{_TO}(?P<to>{number}))?{_NO_CENTS}"
        measured = rf"{sign}(?P<n>{number})(?:(?:{SPACE}?(?P<unit1>{units}))?{_TO}(?P<to>{number}))?{SPACE}?"
        time = r"(?:[01]?\d|2[0-4])"
        hours = rf"{SPACE}?(?:Uhr|h|hs|hrs)(?!\w)"
        h = rf"{SPACE}?h{SPACE}?"
        # "20 Min. backen, 5 km. y": the point of an abbreviation goes with it.
        point = r"(?:(?<=[^\W\d_])\.(?=\s+[a-zß-ÿ])|(?<=Min|Std|Sek)\.(?=\s+\d))?"
        degrees = rf"\d+{SPACE}?°{_END}" if self._code in _DEGREE_SIGN_IN_ORDINALS else "(?!)"
        gap = f"{SPACE}?" if self._code == "fr" else ""  # "5 € 50"
        rules = [
            (
                rf"{amount}(?:{SPACE}(?P<scale>{scale})|{SPACE}?(?P<short>{short})){SPACE}?{of}"
                rf"(?P<unit>{money}|(?i:{_any_of(self._money.words)})){_END}",
                "price",
            ),
            (
                rf"(?P<n>{number}){SPACE}(?:(?:{_OF}){SPACE}|d['’])(?P<unit>{_any_of(SYMBOLS)}){_END}",
                "price",
            ),
            (
                rf"{amount}{SPACE}?(?P<short>{short})(?!{SPACE}?[{SIGNS}]|{SPACE}?{of}[{SIGNS}])",
                "shortened",
            ),
            (
                rf"(?P<n>\d{{1,3}}(?:[.,]?\d{{3}})*){gap}(?P<unit>[€£$]){gap}(?P<cents>\d\d)(?![\d.,%]\d|\w)",
                "split_price",
            ),
            (
                rf"{priced}(?:{SPACE}?(?P<power>[kKM]))?{SPACE}?"
                rf"(?P<unit>{money}|(?i:{_any_of(self._money.words)})){per}{_END}{again}",
                "price",
            ),
            (
                rf"{sign}(?P<unit>{prefixes}){SPACE}?(?P<sign2>[-−])?(?P<n>{number})"
                rf"(?:{_TO}(?:{prefixes})?(?P<to>{number}))?{_NO_CENTS}"
                rf"(?:(?P<power>[kKMBm]|bn)|{SPACE}(?P<scale>{scale})|{SPACE}?(?P<short>{short}))?"
                rf"{per}{_END}{again}",
                "price",
            ),
            (rf"{sign}(?P<n>{number})(?:{SPACE}?%?{_TO}(?P<to>{number}))?{SPACE}?%{_END}", "percent"),
            (
                rf"(?P<pre>[-−])?%{SPACE}?{sign}(?P<n>{number})(?:{_TO}(?:%{SPACE}?)?(?P<to>{number}))?{_END}",
                "percent",
            ),
            (
                rf"(?P<h>{time}):(?P<min>[0-5]\d)(?:{_TO}(?P<h2>{time}):(?P<min2>[0-5]\d))?"
                rf"(?:{hours}|{SPACE}(?P<word>(?i:{self._language.hour_words}))(?!\w))?{_END}",
                "time",
            ),
            (
                rf"(?P<h>{time})(?P<mark>[.,])(?P<min>[0-5]\d)(?:{_TO}(?P<h2>{time})(?P=mark)(?P<min2>[0-5]\d))?"
                rf"(?P<shown>{hours})?{_END}",
                "dotted_time",
            ),
            (
                rf"(?P<h>{time}){h}(?P<min>[0-5]\d)?{_TO}(?P<h2>{time}){h}(?P<min2>[0-5]\d)?{_END}(?!{SPACE}?m)",
                "hours",
            ),
            (rf"(?P<h>{time}){h}(?P<min>[0-5]\d){_END}(?!{SPACE}?m)", "time"),
            (
                rf"{sign}(?P<n>{number})(?:{SPACE}?(?P<unit1>[°º]{SPACE}?[CF])?{_TO}(?P<to>{number}))?{SPACE}?(?P<unit>[°º]{SPACE}?[CF]){_END}",
                "measure",
            ),
            (rf"(?P<n>\d{{1,3}})(?P<mark>{self._ordinals.pattern})(?![-–/]\d)", "ordinal"),
            (degrees, "degrees"),
            (rf"{measured}(?P<unit>{units}){_END}{point}", "measure"),
            (rf"(?P<n>\d+(?:[ \-–]\d+)*)(?!\w|[.,:]\d){_END}{NO_QUANTITY}", "named_code"),
            (rf"{sign}(?P<n>{number}){_TO}(?P<to>{number}){_END}{NO_QUANTITY}", "range"),
            (PHONE, "phone"),
            (rf"{sign}(?P<n>{number}){_END}{NO_QUANTITY}", "plain"),
        ]
        if self._code not in ("en", "eu"):
            pair = rf"(?P<n>\d{{1,3}}){SPACE}(?P<or>{JOINTS}){SPACE}(?P<to>\d{{1,3}})"
            rules.insert(0, (rf"{pair}(?![\w.,:/%°\-–]\d){_END}", "bare_pair"))
            rules.insert(0, (rf"{pair}(?={SPACE}(?P<noun>[^\W\d_]+))", "pair"))
            rules.insert(0, (rf"{pair}{SPACE}?(?P<unit>{units}|{money}){_END}", "pair"))
        # One of the two has cents: "15 a 20,90 €".
        cents = rf"(?:\d+[.,]\d\d(?!\d)|\d+(?={SPACE}\w+{SPACE}\d+[.,]\d\d(?!\d)))"
        unit = rf"(?P<unit>{money}|(?i:{_any_of(self._money.words)}))"
        rules.insert(
            0,
            (
                rf"(?P<n>{cents}){SPACE}(?P<or>{JOINTS}|to|or|and|eta|edo){SPACE}(?P<to>{number}){SPACE}?{unit}{_END}",
                "price_pair",
            ),
        )
        rules.insert(0, (UNSAID if self._code == "en" else UNSAID_EVERYWHERE, "unsaid"))
        dialled = rf"\d+(?:[ .\-–]\d+)+(?![\w°%]|{SPACE}?[%{SIGNS}]|[.,:]\d)"
        rules.insert(0, (dialled, "dialled"))
        if self._language.one_last:
            rules.insert(0, (rf"1{SPACE}(?P<noun>{_any_of(self._known)}){_END}", "one_after"))
        if self._code == "de":
            rules.insert(0, (r"(?P<day>0?[1-9]|[12]\d|3[01])\.(?P<month>0?[1-9]|1[0-2])\.(?!\d)", "date"))
            ordinals = rf"(?P<n>\d{{1,2}})\.{_TO}(?P<to>\d{{1,2}})\.(?=\s+\w)"
            rules.insert(0, (ordinals, "days"))
        if self._code == "en":
            minutes, half = r"(?:[:.](?P<min{}>[0-5]\d))?", rf"{SPACE}?(?P<half{{}}>(?i:[ap]\.?m)\b)"
            end = rf"(?:(?:{half.format(1)}\.?)?{_TO}(?P<h2>{time}){minutes.format(2)})?"
            rules.insert(0, (rf"(?P<n>\d{{1,2}}){SPACE}in(?!\w)", "inches"))
            mark = ENGLISH_MARKS
            ordinals = rf"(?P<n>\d{{1,3}}){mark}?{_TO}(?P<to>\d{{1,3}}){mark}(?!\w|[-–/]\d)"
            rules.insert(0, (ordinals, "ordinal_range"))
            rules.insert(0, (rf"(?P<h>{time}){minutes.format('')}{end}{half.format('')}", "half_day"))
        return [(re.compile(pattern), name) for pattern, name in rules]

    def _make_unfinished(self) -> re.Pattern[str]:
        """Match what ends in a number, or in what stands before one."""
        codes = _any_of([*self._money.signs, "%"])
        scales = _any_of(self._language.scales.split())
        parts = [
            rf"\d[.,]\d\d\s(?:{JOINTS}|to|or|and|eta|edo)",
            rf"\d(?:[-–)]|{_NO_CENTS})",
            r"\d\s?[kKM]",
            rf"\d\s?(?:[°º{SIGNS}%]|{_any_of([*self._units, *self._money.signs])})(?:\s?[-−–+=×÷])?",
            r"\d\s?[-−–+=×÷]",
            rf"\d\s(?:{scales})(?:\s(?:{_OF}))?",
            rf"\d\s?(?:{_any_of(self._short_scales)})\.?(?:\s(?:{_OF}))?",
            rf"(?<!\w)(?<!\d\s)(?:{codes})",
            rf"000\s(?:{_OF})",
            rf"\d[.,]\d{{3}}(?:\s?(?:{_any_of(self._money.signs)}|(?i:{_any_of(self._money.words)})))?(?:\s(?:{EACH}))?",
            rf"\d\s?(?:{_any_of(self._units)})\.",
            "&(?:euro|pound|yen);",
            "&",
            r"(?<!\S)[-−]",
        ]
        if self._code not in ("en", "eu"):
            parts.append(rf"\d\s(?:{JOINTS})")
            # "21 de mayo", "21 por ciento"
            parts.append(rf"\d\s(?:de|{self._language.percent.one.split()[0]})")
        if self._code == "de":
            parts += [r"\d\s?h", r"\d\.\s[-–]"]
        if self._code == "en":
            parts.append(r"/(?:mo|yr|wk)\.")
            parts.append(rf"\d{ENGLISH_MARKS}(?:\s[-–])?")
            parts.append(r"\d\s?(?i:[ap]\.?m)\.?(?:\s?[-–])?")
        if self._ordinals.openers:
            parts.append(self._ordinals.openers)
        return re.compile(rf"(?:{'|'.join(parts)})$")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or "(?!)"

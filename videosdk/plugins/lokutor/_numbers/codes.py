"""Digits that count nothing: phone numbers, postcodes, scores, and units that a language has no noun for.

Rule of this file: it only says what a number is not. What it finds stays as it is, for the service to read.
"""

from __future__ import annotations

import re

from .notation import APOSTROPHES, SPACE, parse_number

PHONE = (
    r"(?:\+\d+(?:[ .\-]?\(\d+\))?(?:[ .\-]\d{2,})*"
    r"|(?<=\()\d{1,5}\) ?\d{2,}(?:[ .\-]\d{2,})*"
    r"|\d{1,5}(?:[ .\-/]\d{2,})+|\d(?:[ \-]\d{2,})+)(?!\d)"
)
"""Matches what may be a phone number; :func:`is_phone` decides."""
SIGNS = "$£¥¢\u20a0-\u20cf"
"""Signs of currencies, as a class of a pattern."""
_FOREIGN = "COP|ARS|CLP|PEN|UYU|SEK|NOK|DKK|PLN|CZK|CNY|INR|NZD|HKD"
NO_QUANTITY = (
    rf"(?!{SPACE}?[%°º{SIGNS}½⅓⅔¼¾⅛])(?!{SPACE}(?:\d+|[a-z]{{1,3}})/\d)(?![.,][-–—])"
    rf"(?!{SPACE}(?:ft|oz|lbs?|yd|gal|mph|km²|cm²|mm²|m³|cm³|m2|m3|m/s|EL|TL|Tsd|tsp|tbsp|Stk|"
    rf"dm|cl|dl|hl|t|kt|mcg|[µμ]g|V|kV|mA|mAh|Ah|Wh|MW|GW|MWh|kcal|k?J|N|Nm|[hkM]?Pa|mbar|psi|d[Bb]|Hz|[kMG]Hz|rpm|[kMGT]b|[kMG]bps|[kMGT]bit(?:/s)?|[kMGT]B/s|px|dpi|fps|"
    rf"[CFK]|M|Mio|Mrd|Mill|mln|mld|Mds?|[A-Z]?[A-Z]?\$|{_FOREIGN})"
    rf"(?![\w{APOSTROPHES}]))"
)
"""Follows a number that may be said alone: no unit, fraction or currency that isn't known."""
_AMBIGUOUS_GROUPS = re.compile(r"\d{3} \d{3} \d{3}$")
"""Nine digits in threes are a phone number, unless a unit follows."""
_SHORT_PHONE = 7
"""Digits of the shortest phone number. A shorter one has three groups."""
_SHORT_GROUPS = 3
"""Groups of digits that make a phone number, however short."""
_CAPITAL = re.compile(rf"{SPACE}[^\W\d_a-zß-ÿ]")
_PLACE = re.compile(r"[^\W\d_]\s+[^\W\d_a-zß-ÿ][^\W\d]+\s+$")
"""A capitalised word inside of a sentence."""
_TIMES_AFTER = re.compile(r"\s[x×*](?!\w)")
_TIMES_BEFORE = re.compile(r"\d\s[x×*]\s+$")
_LONGEST_SUM = 60
"""Characters before a number that may be the rest of its sum."""
_SUM_AFTER = re.compile(rf"{SPACE}?[+=×÷]{SPACE}?[-−]?\d")
_SUM_BEFORE = re.compile(rf"\d{SPACE}?[+=×÷]{SPACE}?$")
_EQUAL = re.compile(rf"{SPACE}?=")
_DIFFERENCE_BEFORE = re.compile(
    rf"\d{SPACE}?[^\s\d=]{{0,4}}{SPACE}?[-−–x×*/]{SPACE}?[\d.,]+{SPACE}?[^\s\d=]{{0,4}}{SPACE}?={SPACE}?$"
)
_THIRD_BEFORE = re.compile(rf"(?<![\d:.,])\d+{SPACE}[-−–]{SPACE}\d+{SPACE}[-−–]{SPACE}$")
_LINE_OR_COMMA = re.compile(r"(?:^|,\s+|\n)$")
_SIGN_BEFORE = re.compile(
    rf"(?:(?:^|[\s(])−|(?:^\s*|[.,:(!?]\s+|(?:(?<!\w)(?=[a-zß-öø-ÿ])|(?:^|[.!?:(\"“«\n])\s*)[^\W\d_][\w'’]*\s+)-){SPACE}$"
)
"""Ends in a sign that a space parts from its number: "your balance is - $20". Behind a name, it is a dash."""
_ITEM_BEFORE = re.compile(r"(?:^|[.:;/!?\n])\s*\(?$")
_ITEM_AFTER = re.compile(r"\)\s+[^\W\d_]")
_INCHES_AFTER = re.compile("[\"″”]|''")
_OPEN_QUOTE = re.compile(r'(?:(?<!\S)"|\("|[“„«])[^"“„«”»]*$')
_SECTION_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:art[íi]c(?:ulo|le)|article|articolo|artigo|artikel|art\.|secci[óo]n?|section|sezione|se[çc][ãa]o|abschnitt|"
    r"apartado|apartat|par[áa]gra[fp]h?[oe]?|punkt|chapter|cap[íi]tulo|chapitre|capitolo|kapitel|atala|artikulua)\s+$"
)
_POSTCODE = 5
_LEAST_POSTCODE = 4
_SHOWS_POSTCODE = re.compile(
    r"(?<!\w)(?:ZIP(?: [Cc]ode)?|CAP|PLZ|C\.?P\.?|CEP|NPA|(?i:zip code|postcode|postal code|postleitzahl|"
    r"c[óo]digo postal|codi postal|code postal|codice postale|posta kodea?))(?: is| es| ist| é| è)?[:.]?\s+$"
)
_SHOWS_NAME = re.compile(r"(?<!\w)[A-Z]{2,4}\s+$")
"""Stands before a state's postcode, and the number of a flight or train: capitals."""
_SHOWS_MONEY = re.compile(rf"(?<!\w)(?:{_FOREIGN}|S/\.?|Bs\.?)\s+$")
_YEAR = re.compile(r"(?:19|20)\d\d$")
_DIALLED = (
    r"(?<!\w)(?:call|dial|phone|ring|text|fax|tel\.?|tel[eéè]fono?n?e?|ext\.?|extension|extensi[óo]n|ramal|"
    r"durchwahl|interno|ll[aá]m[aeo]\w*|marc[ao]|marcar|marque|marqui|marcad|disque|disc[ao]|discar|ligue|liga|ligar|"
    r"appele[zr]|appelle|composer?z?|chiam[aio]\w*|componi|comporre|componga|truca|truqui?|trucar|chame|chama|chamar|"
    r"w[äa]hle?n?|wählt|rufe?n?|ruft|deitu|markatu)(?!\w)[.:]?"
)
_OR = r"(?:or|and|o|y|e|i|ou|et|oder|und|edo|eta)"
_SHOWS_CODE = re.compile(
    rf"(?i){_DIALLED}(?:\s+[^\W\d]+){{0,2}}(?:\s+\d[\d .–-]*,?\s+{_OR}(?:\s+[^\W\d]+){{0,2}})?\s+$"
)
"""Stands before what is dialled."""
_SHOWS_PHONE = re.compile(
    rf"(?i)(?:{_DIALLED}|(?<!\w)(?:t[eé]l[eéè](?:f|ph)\w*|m[óòo]v?bil|cellulare|handy\w*|celular|telem[óo]vel|phone|mobile)),?"
    r"(?>[^\S\n]+|[^\W\d]+|[-'’]|\d[\d .–-]*\d){0,14}+$"
)
"""The same, for several groups of digits, over more words."""
UNSAID_EVERYWHERE = r"\d+\([A-Za-z]\)"
UNSAID = (
    rf"{UNSAID_EVERYWHERE}|(?:1[ -]?)?8(?:00|33|44|55|66|77|88)[ -](?!EURO|DOLLAR|POUND)[A-Z]{{4,}}(?![a-z])"
)
"""What is read as it is written: "401(k)" in every language, "1800 FLOWERS" in English."""
_LEAST_DIALLED = 3
_ROUND = "00"
_SHORT_SIDE = 3
"""Digits on one side of a range that may be a quantity whatever they are."""
_YEARS = range(1000, 2101)


def is_phone(text: str, decimal: str) -> bool:
    """Return whether what :data:`PHONE` matches is no number that is grouped."""
    if parse_number(text, decimal or ".") is not None and not _AMBIGUOUS_GROUPS.fullmatch(text):
        return False
    groups = re.findall(r"\d+", text)
    return text[0] in "+0" or len("".join(groups)) >= _SHORT_PHONE or len(groups) >= _SHORT_GROUPS


def is_dialled(text: str, before: str) -> bool:
    """Return whether groups of digits behind a text are a phone number, though they may be thousands."""
    return sum(map(str.isdigit, text)) >= _SHORT_PHONE and bool(_SHOWS_PHONE.search(before[-_LONGEST_SUM:]))


def is_product_or_foreign_money(before: str, after: str) -> bool:
    """Return whether a number is multiplied ("3 x 4"), or counts a currency that has no words here."""
    return bool(is_multiplied(before) or _TIMES_AFTER.match(after) or _SHOWS_MONEY.search(before))


def is_sum(text: str, before: str, after: str, *, is_range: bool) -> bool:
    """Return whether a number, or what looks like a range, is part of a sum: "5 - 3 = 2", "2+2=4".

    Args:
        text: The number as it is written.
        before: The text before it.
        after: The text after it.
        is_range: Whether it has a hyphen between two numbers.
    """
    before = before[-_LONGEST_SUM:]
    if _DIFFERENCE_BEFORE.search(before) or (is_range and _EQUAL.match(after)):
        return True
    if not (text[-1].isdigit() and (text[0].isdigit() or text[0] in "-−")):
        return False  # "5 € + 3 €" is said.
    return bool(_SUM_AFTER.match(after) or _SUM_BEFORE.search(before) or _THIRD_BEFORE.search(before))


def is_label(text: str, before: str, after: str) -> bool:
    """Return whether a number is that of a list or a section, or counts inches: "1) Soup", "article 21.1"."""
    if _ITEM_AFTER.match(after) and _ITEM_BEFORE.search(before):
        return True
    if not text.isdigit() and _SECTION_BEFORE.search(before):
        return True
    return bool(_INCHES_AFTER.match(after)) and not _OPEN_QUOTE.search(before)


def may_be_negative(text: str, before: str) -> bool:
    """Return whether an amount of something stands behind what may be a sign or a dash."""
    return not text.isdigit() and bool(_SIGN_BEFORE.search(before))


def is_multiplied(before: str) -> bool:
    """Return whether a text ends as "3 x" does."""
    return bool(_TIMES_BEFORE.search(before))


def is_code(digits: str, before: str, after: str, *, capital_nouns: bool = False) -> bool:
    """Return whether digits between two texts name something: a postcode, or what is dialled."""
    if len(digits) == _POSTCODE and _PLACE.search(before):
        return True
    if _CAPITAL.match(after):
        if len(digits) == _POSTCODE:
            return True
        is_short = len(digits) == _LEAST_POSTCODE and not _YEAR.match(digits)
        if is_short and _LINE_OR_COMMA.search(before) and not (capital_nouns and digits.endswith(_ROUND)):
            return True
    if len(digits) >= _LEAST_POSTCODE and _SHOWS_POSTCODE.search(before):
        return True
    if len(digits) < _LEAST_DIALLED:
        return False
    is_name = _SHOWS_NAME.search(before) and not _YEAR.match(digits)
    return bool(is_name or _SHOWS_CODE.search(before))


def is_range(start: str, end: str) -> bool:
    """Return whether two numbers of digits that a hyphen joins are a range: no score, and no phone number."""
    if not (start.isdigit() and end.isdigit()):
        return True
    if int(start) >= int(end):
        return False
    if int(start) in _YEARS and int(end) in _YEARS:
        return True
    return all(len(side) <= _SHORT_SIDE for side in (start, end)) or (
        end.endswith(_ROUND) and start.endswith(_ROUND if len(start) > _SHORT_SIDE else "0")
    )

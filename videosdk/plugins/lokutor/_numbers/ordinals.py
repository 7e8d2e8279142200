"""Ordinals where a language writes them clearly: 1st, 1.º, 1.ª, 1er, 1r, 1., 1re.

Rule of this file: a number and its mark to words, or None where the mark says something else. Sources: for
Spanish, *Diccionario panhispánico de dudas*, "ordinales"; for Galician, *Normas ortográficas e morfolóxicas*,
section 16; for Basque, Euskaltzaindia, rule 7 ("bosgarren").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .cardinals import Cardinal, num2words_of, words_in
from .english import MONTHS
from .languages import GERMAN

_ES = words_in(
    "primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo undécimo duodécimo "
    "decimotercero decimocuarto decimoquinto decimosexto decimoséptimo decimoctavo decimonoveno"
)
_ES_TENS = words_in(
    "vigésimo trigésimo cuadragésimo quincuagésimo sexagésimo septuagésimo octogésimo nonagésimo"
)
_GL = words_in("primeiro segundo terceiro cuarto quinto sexto sétimo oitavo noveno décimo undécimo duodécimo")
_GL_TENS = words_in(
    "vixésimo trixésimo cuadraxésimo quincuaxésimo sesaxésimo septuaxésimo octoxésimo nonaxésimo"
)
_PT = words_in("primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono décimo")
_PT_TENS = words_in(
    "vigésimo trigésimo quadragésimo quinquagésimo sexagésimo septuagésimo octogésimo nonagésimo"
)
_CA = words_in(
    "primer segon tercer quart cinquè sisè setè vuitè novè desè onzè dotzè tretzè catorzè quinzè setzè "
    "dissetè divuitè dinovè vintè"
)
_EU = {0: None, 1: "lehen", 2: "bigarren"}
_LAST = 99
"""Largest ordinal of the tables: beyond, speakers take the cardinal."""
_CA_MARKS = {1: ("r", "a"), 2: ("n", "a"), 3: ("r", "a"), 4: ("t", "a")}
_DE_ARTICLES = dict.fromkeys(words_in("am im zum vom beim dem den des zur"), "n") | {
    "der": "",
    "die": "",
    "das": "",
}
"""What stands before an ordinal, and how that then ends."""
_DE_PREPOSITIONS = ("ab", "seit", "bis", "nach")
_DE_MONTHS = words_in(
    "Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember Jahrhundert"
)


_DE_STARTERS = frozenset(
    words_in(
        "Das Der Die Dann Danach Es Er Sie Wir Ich Ihr Ist Sind Haben Hat Kann Können Passt Bitte Wenn Soll "
        "Möchten Ein Eine Im In Am Um Dort Dabei Außerdem Und Oder Aber Auch Gerne Gern Vielen "
        "Danke Ja Nein Welche Was Wann Heute Gestern Jetzt Nun Damit Also Falls Diese Dieser Dieses "
        "Mit Für Bei Von Zum Zur Auf Man Mein Meine Ihre Unser Unsere Dafür Darum Deshalb Daher Vielleicht "
        "Wie Wo Wer Warum Wollen Darf Sonst Nicht Noch Nur Weil Dass Zuerst Leider Davon Da Hier "
        "Kommen Geht Gibt"
    )
)
"""Words that begin a sentence rather than follow an ordinal."""
_DE_JOINTS = ("und", "oder", "bis")
_DE_RANKED = (
    dict.fromkeys(words_in("Stock FC Platz Rang Tag Gang Advent Bezirk Weltkrieg Teil"), "r")
    | dict.fromkeys(words_in("Etage Bundesliga Liga Klasse Reihe Woche Halbzeit Runde Stufe Mannschaft"), "")
    | dict.fromkeys(words_in("OG UG Obergeschoss Untergeschoss Stockwerk Quartal Semester Kapitel"), "s")
)
"""Nouns that are numbered, and how an ordinal without an article ends before them."""


_DE_MASCULINES = frozenset(words_in(GERMAN.masculine))
_DE_FEMININES = frozenset(words_in(GERMAN.feminine))
_DE_FEMININE = re.compile(GERMAN.endings["f"])
"""Ends what "der" stands before in the genitive and dative only: "in der 2. Sitzung"."""
_FR_MONTHS = "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
_IT_MONTHS = "gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"
_IT_RANKED = "piano|posto|secolo|anno|turno|grado|livello|premio|capitolo"
"""What an Italian "3°" stands before where it is an ordinal and no angle."""
ENGLISH_MARKS = "(?:st|nd|rd|th)"
_LAST_DAY = 31
_LONGEST_ORDINAL = 3
"""Digits of the longest ordinal that a sentence is likely to have. Longer numbers with a point end one."""
_LAST_RANK = 10
"""Largest number that is rather an ordinal than a temperature before "º"."""
_BEFORE_ORDINALS = frozenset(
    words_in(
        "el del al un su mi tu este piso planta artículo o do ao no um seu meu neste il lo nel dal sul l "
        "dell all"
    )
)
_RANKED = frozenset(
    words_in(
        "piso planta andar lugar puesto posto aniversario aniversário capítulo siglo século grado grau curso "
        "año ano día dia distrito mes mês puerta porta A B C D izquierda derecha esquerda direita dereita"
    )
) | frozenset(_IT_RANKED.split("|"))
"""Words around an ordinal in Spanish, Galician, Portuguese and Italian."""


_ORDINAL_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:el|la|l['’]|il|lo|del|della|dell['’]|al|alla|all['’]|dal|dalla|dall['’]|nel|nella|nell['’]|sul|sulla|sull['’]|"
    r"le|au|du|o|a|ao|à|ó|á|do|da|no|na|pelo|pela|polo|pola|su|mi|tu|este|esta|seu|sua|meu|minha|teu|tua|súa|miña|túa|"
    r"nosso|nossa|noso|nosa|nuestro|nuestra|suo|sua|mio|mia|tuo|tua|nostro|nostra|questo|questa|meva|teva|seva|nostre|"
    r"aquest|aquesta|son|sa|mon|ma|ton|ta|votre|notre|ce|cet|cette|un|una|uno|une|um|uma|unha|cada|ogni|chaque)\s*$"
)
_SCALE_AFTER = re.compile(r"\s+(?:[CFK]|Celsius|Fahrenheit|Kelvin|cent[íi]grad\w*)(?!\w)")
_DEGREES_AFTER = re.compile(
    r"\s+(?:dehors|fuera|afuera|fora|hacia|vers|verso|oggi|domani|fuori|hoy|mañana|hoje|amanhã|aujourd|avui|demà|hoxe|mañá|"
    r"a|à|ao|em|en|in|di|de|del|do|da|e|y|i|et|o|ou|con|com|amb|avec|sobre|sotto|sopra|bajo|para|per|pour)(?!\w)"
)
"""Follows a temperature or an angle, and no ordinal."""


class Around(NamedTuple):
    """The words around a number, or nothing."""

    before: str
    after: str


Say = Callable[[int, str, Around], str | None]
"""Returns the words for a number with its mark, and for nothing that isn't an ordinal."""


@dataclass(frozen=True, slots=True)
class Ordinals:
    """A language's ordinals.

    Attributes:
        pattern: The mark, and what has to follow it. It stands behind the digits.
        say: Says them.
        openers: Matches the end of what waits for the next word.
        dotted: Whether the mark is a point, as that of a list's numbers.
        months: Names of the months, where the mark is a point.
        ranked: Other words that an ordinal stands before.
        articles: Words that stand before an ordinal, where the mark is a point.
        capital_nouns: Whether a capital may follow an ordinal as well as the end of a sentence.
    """

    pattern: str
    say: Say
    openers: str = ""
    dotted: bool = False
    months: tuple[str, ...] = ()
    ranked: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    capital_nouns: bool = False

    def is_month(self, word: str) -> bool:
        """Return whether days are counted before ``word``."""
        return word in self.months

    def is_article(self, before: str) -> bool:
        """Return whether a text ends in a word that an ordinal may follow."""
        word = re.search(r"([^\W\d_]+)\s+$", before)
        return word is not None and word[1].lower() in self.articles

    def may_be_ranked(self, word: str, digits: int) -> bool:
        """Return whether a number of ``digits``, a point and ``word`` may be an ordinal in mid-sentence."""
        return self.capital_nouns and digits <= _LONGEST_ORDINAL and word not in _DE_STARTERS

    def is_ranked(self, word: str) -> bool:
        """Return whether ``word`` shows that a number before it is an ordinal."""
        return word in self.months or word in self.ranked


def may_be_ordinal(before: str, after: str) -> bool:
    """Return whether "3°" between two texts may be "third", in the Romance languages."""
    if _SCALE_AFTER.match(after):
        return False
    if _ORDINAL_BEFORE.search(before):
        return True
    return bool(re.match(r"\s[^\W\d_]", after)) and not _DEGREES_AFTER.match(after)


def ordinals_of(language: str, cardinal: Cardinal) -> Ordinals:
    """Return the ordinals of a language."""
    return _MAKERS[language[:2]](language, cardinal)


def _iberian(words: list[str], tens: list[str]) -> Callable[[str, Cardinal], Ordinals]:
    def say(number: int, mark: str, around: Around) -> str | None:
        if not 1 <= number <= _LAST or _may_be_degrees(number, mark, around):
            return None
        ten, unit = divmod(number, 10)
        if number <= len(words):
            found = words[number - 1]
        else:
            parts = [words[9] if ten == 1 else tens[ten - 2], words[unit - 1] if unit else ""]
            found = " ".join(filter(None, parts))
        ending = mark.lstrip(".")
        if ending in {"º", "ª"}:
            return re.sub(r"o\b", "a", found) if ending == "ª" else found
        short = found.removesuffix("o") if unit in {1, 3} else ""
        forms = (found, re.sub(r"o\b", "a", found), short)
        plural = ending.removesuffix("s")
        for form in filter(None, forms):
            if form.endswith(plural):
                return re.sub(r"([oa])\b", r"\1s", form) if plural != ending else form
        return None

    # "1.er", "2.os", "3ra": the mark is the word's end.
    pattern = r"\.?[ºª](?!\w|[-–/]\d)|\.(?:er|[oa]s?)\b"
    latin = r"|(?:[rdtmvn]|er)[oa]s?\b|er\b"
    return lambda language, _: Ordinals(pattern + (latin if language[:2] == "es" else ""), say)


def _may_be_degrees(number: int, mark: str, around: Around) -> bool:
    """Return whether a mark may be that of a temperature, as people write it: "hace 20º"."""
    before = around.before.lower()
    if mark != "º" or before in _BEFORE_ORDINALS or around.after in _RANKED:
        return False
    return number > _LAST_RANK or bool(before)


def _catalan(_: str, cardinal: Cardinal) -> Ordinals:
    def say(number: int, mark: str, _: Around) -> str | None:
        masculine, feminine = _CA_MARKS.get(number, ("è", "a"))
        if not 1 <= number <= len(_CA) or mark not in {masculine, feminine}:
            return None
        word = _CA[number - 1]
        if mark == masculine:
            return word
        return f"{word.removesuffix('è')}ena" if word.endswith("è") else f"{word}a"

    return Ordinals(r"(?:r|n|t|è|a)(?!\w)", say)


def _basque(_: str, cardinal: Cardinal) -> Ordinals:
    def say(number: int, _mark: str, _: Around) -> str | None:
        if number in _EU:
            return _EU[number]
        return re.sub("bost$", "bos", cardinal(number, "")) + "garren"

    return Ordinals(r"\.(?=\s+[a-zñ])", say, r"\d\.", dotted=True)


def _english(language: str, _: Cardinal) -> Ordinals:
    words = num2words_of(language[:2])

    def say(number: int, mark: str, around: Around) -> str | None:
        ordinal = words(number, "ordinal").replace(",", "")
        if mark or (around.before in MONTHS and 1 <= number <= _LAST_DAY):
            return ordinal
        if around.after in MONTHS and 1 <= number <= _LAST_DAY:
            return f"{ordinal} of" if around.before == "the" else f"the {ordinal} of"
        return None

    return Ordinals(ENGLISH_MARKS + r"\b|(?!\S*\d)(?!\s[-–]\s\d)(?![\w°%])", say, months=MONTHS)


def _french(_: str, __: Cardinal) -> Ordinals:
    words = num2words_of("fr")

    def say(number: int, mark: str, _: Around) -> str | None:
        if not mark:
            return "premier" if number == 1 else None  # "le 1 mai"
        special = {"er": "premier", "re": "première", "ère": "première", "nd": "second", "nde": "seconde"}
        if mark in special:
            return special[mark] if number == (2 if mark.startswith("n") else 1) else None
        # num2words leaves the plural's s of "vingts" and "cents" before the suffix.
        return (
            re.sub(r"(vingt|cent|million)sième$", r"\1ième", words(number, "ordinal")) if number > 1 else None
        )

    return Ordinals(rf"(?:er|re|ère|nde|nd|ème|e)(?!\w)|(?=\s(?:{_FR_MONTHS})\b)", say)


def _italian(_: str, __: Cardinal) -> Ordinals:
    words = num2words_of("it")

    def say(number: int, mark: str, around: Around) -> str | None:
        if number < 1 or _may_be_degrees(number, mark, around):
            return None
        if number == 1 and around.before.lower() in {"l", "all", "dell", "dall"}:
            return None
        if not mark and number > 1:
            return None  # "2 maggio" is a cardinal.
        found = words(number, "ordinal")
        return re.sub("o$", "a", found) if "ª" in mark else found

    return Ordinals(rf"\.?[ºª]|°(?=\s(?:{_IT_MONTHS}|{_IT_RANKED})\b)|(?=\s(?:{_IT_MONTHS})\b)", say, r"\d°")


def _german(_: str, __: Cardinal) -> Ordinals:
    words = num2words_of("de")

    def say(number: int, mark: str, around: Around) -> str | None:
        ending = _german_ending(around.before.lower(), around.after)
        if around.after in _DE_STARTERS or (number > _LAST and around.after[:1].isupper()):
            return None  # A sentence ends: "Ich komme am 12. Es ist"
        return None if ending is None else words(number, "ordinal") + ending

    return Ordinals(
        r"\.(?=\s+\w)",
        say,
        r"\d\.",
        dotted=True,
        months=tuple(_DE_MONTHS),
        ranked=frozenset(_DE_RANKED),
        articles=frozenset(_DE_ARTICLES),
        capital_nouns=True,
    )


def _german_ending(before: str, after: str) -> str | None:
    """Return how an ordinal ends between two words, or None where that isn't shown."""
    if before == "der":
        return _ending_after_der(after)
    if before in _DE_ARTICLES:
        return _DE_ARTICLES[before]
    is_month = after in _DE_MONTHS
    if before in _DE_PREPOSITIONS:
        return "n" if is_month or after[:1].islower() else None
    # A capital may begin the next sentence: only a month, a small letter or a known noun shows an ordinal.
    if is_month:
        return "r"
    if before:
        return None
    return "r" if after in _DE_JOINTS else _DE_RANKED.get(after)


def _ending_after_der(after: str) -> str | None:
    """Return how an ordinal ends before a noun of known gender: "der" is the masculine subject's too."""
    if after in _DE_FEMININES or _DE_RANKED.get(after) == "" or _DE_FEMININE.search(after.lower()):
        return "n"
    return "" if after in _DE_MASCULINES or after in _DE_MONTHS or _DE_RANKED.get(after) == "r" else None


_MAKERS: Mapping[str, Callable[[str, Cardinal], Ordinals]] = {
    "en": _english,
    "es": _iberian(_ES, _ES_TENS),
    "ca": _catalan,
    "gl": _iberian(_GL, _GL_TENS),
    "eu": _basque,
    "pt": _iberian(_PT, _PT_TENS),
    "fr": _french,
    "it": _italian,
    "de": _german,
}

"""Numbers that count nothing: "la habitación 21", "el 21 de mayo", "marque 1".

Rule of this file: the words around a number that has several forms to whether the one without a gender is
right. Without such a word it isn't known what is counted, or whether anything is: "1 de las 3 mesas". The
words of all languages stand together: none is a word of another language that counts something.
"""

from __future__ import annotations

import re

from .cardinals import words_in
from .notation import NUMBER, SPACE

_MONTHS = words_in(
    "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre "
    "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre "
    "xaneiro febreiro maio xuño xullo setembro outubro novembro decembro "
    "janeiro fevereiro março junho julho dezembro "
    "janvier février mars avril mai juin juillet août septembre octobre décembre"
)
_MONTH = rf"(?i:{'|'.join(_MONTHS)})(?!\w)"
_MONTH_AFTER = re.compile(rf"\s+(?:de\s+|d['’])?{_MONTH}")
_MONTH_BEFORE = re.compile(rf"(?<!\w){_MONTH}\s+(?:del?\s+|d['’])?$")
_OF_AFTER = re.compile(r"\s+(?:d['’]|(?:de|del|dels|dos|das|des|du|di|delle|degli|dei|von|der)(?!\w))")
"""Follows a number of what is named before it or behind: "1 de cada 4"."""
_ARTICLE_BEFORE = {
    "es": r"el|al|del|este",
    "ca": r"el|al|del|pel|aquest",
    "gl": r"o|ao|ó|do|no|este",
    "pt": r"o|ao|do|no|pelo|este",
    "fr": r"le|au|du",
    "de": r"die|um|gegen|halb|kurz vor|kurz nach",
}
"""Stands before a day, an hour or the name of a number, whatever it counts."""
_NUMBERED = (
    r"habitaci(?:ón|ons|ones|óns?|ó)|ha?bitaç(?:ão|ões)|cuartos?|quartos?|chambres?|camer[ae]|stanz[ae]|\w*zimmer|"
    r"opci(?:ón|ones|óns|ó|ons)|opç(?:ão|ões)|opzion[ei]|options?|optionen|"
    r"n[úu]mer[oi]s?|numéros?|\w*nummern?|n\.?[º°]s?|núms?\.|"
    r"p[áà]gin[ae]s?|páxinas?|pagin[ae]|pages?|seiten?|cap[íi]tols?|cap[íi]tulos?|capitol[oi]|chapitres?|kapitel|"
    r"l[íi]n[ei]as?|liñas?|linhas?|lignes?|linien?|puertas?|portes?|port[ae]s?|gates?|"
    r"pisos?|plantas?|andar|étages?|pian[oi]|etagen?|salas?|salles?|sal[ae]|terminal(?:es)?|"
    r"v[íi]as?|vies|voies?|binari[oi]?|gleise?|andén|andana|plataforma|quais?|"
    r"nivel(?:es)?|nivells?|nível|níveis|niveis|niveaux?|livell[oi]|zon[ae]s?|canal(?:es)?|canale|kanal|"
    r"teclas?|tecles|touches?|tast[oi]|tasten?|d[ií]as?|dia|dies|giorn[oi]|pas[os]?|passos?|étapes?|schritte?|"
    r"part[ei]s?|part|teile?|punt[oi]s?|punts|pontos?|punkte?|"
    r"mesas?|taul(?:a|es)|tables?|tavol[oi]|tisch|reihe|fil[ae]s?|rangs?|posto|platz|"
    r"salidas?|saídas?|sorti(?:da|des|es?)|uscit[ae]|ausfahrt|autob[úu]s|(?:mini)?bus|autocarro|tren|trem|train|treno|comboio|calle|"
    r"apartament[eo]?|apartamento|appartement|"
    r"lunes|martes|miércoles|jueves|viernes|sábado|domingo|di(?:lluns|marts|mecres|jous|vendres|ssabte|umenge)|"
    r"luns|mércores|xoves|venres|(?:segunda|terça|quarta|quinta|sexta)-feira|"
    r"(?:lun|mar|mercre|jeu|vendre|same)di|dimanche"
)
_NUMBERED_BEFORE = re.compile(
    rf"(?i)(?<!\w)(?<!\bcada )(?<!\bpor )(?<!\bper )(?<!\bpar )(?<!\bpro )(?<!\bogni )(?<!\bchaque )"
    rf"(?:{_NUMBERED})\s*$"
)
"""Stands before the number of a room, a day or a page. "Por habitación 200" counts."""
_DIALLED_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:marque|marca|marcar|pulse|pulsa|pulsar|presione|presiona|teclee|oprima|premi|premeu|prema|"
    r"prem|premer|premere|premete|preme|prima|digiti|"
    r"pressione|aperte|digite|disque|tecle|tapez|composez|appuyez sur|"
    r"drücken(?: sie)?|drücke|wählen(?: sie)?|wähle|tippen(?: sie)?)\s+"
    r"(?:\d\s+(?:para|per|pour|für)\s[^.;:!?\d\n]{1,40}(?:,|\s(?:y|e|i|et|und|o|ou|oder))\s+)?$"
)
"""Stands before what is dialled, and before the second of two: "marque 1 para ventas y 2 para soporte"."""
_YEAR_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:en|em|no|desde|dende|depuis|des de|des d['’]|año|ano|any|année|l['’]an|l['’]any)\s+$"
)
_YEARS = range(1_100, 2_100)
_RECENT = range(1_900, 2_100)
_YEAR_DIGITS = 4
_HUNDRED = 100


class Bare:
    """Knows where a number of one language counts nothing.

    Args:
        code: The language's code.
        scales: What stands behind a number as its own noun does: "millones", and "por ciento".
        joints: Words between two numbers, as a pattern.
    """

    def __init__(self, code: str, scales: list[str], joints: str) -> None:
        self._article_before = re.compile(rf"(?i)(?<!\w)(?:{_ARTICLE_BEFORE.get(code, '(?!)')})\s+$")
        self._elided_before = re.compile(r"(?i)(?<!\w)l['’]$" if code == "ca" else "(?!)")
        names = "|".join(re.escape(name) for name in scales)
        self._scale_after = re.compile(
            rf"(?:{SPACE}(?:{joints}){SPACE}{NUMBER})?(?:{SPACE}(?:{names})(?!\w)|{SPACE}?%)"
        )

    def is_followed(self, after: str) -> bool:
        """Return whether a text begins with a month or with what makes a number's form plain."""
        return bool(_MONTH_AFTER.match(after) or self._scale_after.match(after))

    def is_scaled(self, after: str) -> bool:
        """Return whether a text begins with what makes a number's form plain, and is said with the number."""
        return bool(self._scale_after.match(after))

    def is_shown(self, text: str, before: str, after: str) -> bool:
        """Return whether a number counts nothing.

        Args:
            text: The number as it is written.
            before: The text before it.
            after: The text after it. No noun that it may count begins it.
        """
        if self.is_followed(after) or self._elided_before.search(before):
            return True
        if _NUMBERED_BEFORE.search(before) or (_is_year(text, before) and _YEAR_BEFORE.search(before)):
            return True
        if _OF_AFTER.match(after):
            return False
        is_named = self._article_before.search(before) or _DIALLED_BEFORE.search(before)
        return bool(is_named) or _is_year(text, before)


def _is_year(text: str, before: str) -> bool:
    if not text.isdigit() or len(text) != _YEAR_DIGITS or int(text) not in _YEARS:
        return False
    is_recent = int(text) in _RECENT and bool(int(text) % _HUNDRED)
    return bool(is_recent or _YEAR_BEFORE.search(before) or _MONTH_BEFORE.search(before))

"""Times of day in words.

Rule of this file: hour and minute to words. Each language says what its speakers say when they read "10:30"
aloud, and leaves an article before it ("a las 10:30") as it is. Source for Basque: Euskaltzaindia, rule 35,
"Orduak nola esan" ("ordu bata", "ordu biak", "hirurak").
"""

from __future__ import annotations

from collections.abc import Callable

from .cardinals import Cardinal

Clock = Callable[[int, int, Cardinal], str]

_NOON = 12
_LAST_DIGIT = 9
_BASQUE_HOURS = {1: "ordu bata", 2: "ordu biak"}


def clock_of(language: str) -> Clock:
    """Return what says the times of a language."""
    return _CLOCKS[language[:2]]


def military(hour: int, minute: int, cardinal: Cardinal) -> str:
    """Say an English time that "hours" follows, without that where minutes do: "fifteen thirty"."""
    if not minute:
        return f"{cardinal(hour, '')} hundred hours"
    return _english(hour, minute, cardinal)


def with_word(said: str, word: str) -> str:
    """Return an English time with the word behind it, said once: "twelve noon", "fifteen hundred hours"."""
    if word.lower() in {"noon", "midnight"}:
        said = said.removesuffix(" o'clock")
    return said if said.endswith(("hours", "o'clock", "midnight")) else f"{said} {word}"


def _english(hour: int, minute: int, cardinal: Cardinal) -> str:
    hours = cardinal(hour, "")
    if not minute and not hour:
        return "midnight"
    if not minute:
        return f"{hours} o'clock" if 1 <= hour <= _NOON else f"{hours} hundred hours"
    return f"{hours} {'oh ' if minute <= _LAST_DIGIT else ''}{cardinal(minute, '')}"


def _joined(conjunction: str) -> Clock:
    """Return what says feminine hours, "and" and minutes; whole hours are said alone."""

    def say(hour: int, minute: int, cardinal: Cardinal) -> str:
        hours = cardinal(hour, "f")
        return f"{hours} {conjunction} {cardinal(minute, 'm')}" if minute else hours

    return say


def _spanish(hour: int, minute: int, cardinal: Cardinal) -> str:
    hours = cardinal(hour, "f")
    return f"{hours} y {cardinal(minute, '')}" if minute else hours


def _basque(hour: int, minute: int, cardinal: Cardinal) -> str:
    hours = _BASQUE_HOURS.get(hour) or _basque_plural(cardinal(hour, ""))
    return f"{hours} eta {cardinal(minute, '')}" if minute else hours


def _basque_plural(word: str) -> str:
    if word.endswith(("r", "hiru", "lau")):
        return f"{word}rak"
    return f"{word.removesuffix('a')}ak"


def _french(hour: int, minute: int, cardinal: Cardinal) -> str:
    hours = f"{cardinal(hour, 'f')} heure{'s' if hour > 1 else ''}"
    return f"{hours} {cardinal(minute, '')}" if minute else hours


def _german(hour: int, minute: int, cardinal: Cardinal) -> str:
    hours = f"{cardinal(hour, 'm')} Uhr"
    return f"{hours} {cardinal(minute, '')}" if minute else hours


_CLOCKS: dict[str, Clock] = {
    "en": _english,
    "es": _spanish,
    "ca": _joined("i"),
    "gl": _joined("e"),
    "eu": _basque,
    "pt": _joined("e"),
    "fr": _french,
    "it": _joined("e"),
    "de": _german,
}

"""The framework's text filter, with the numbers of the caller's language.

Rule of this file: it knows which of the framework's steps are kept. Source: videosdk-agents 1.0.30,
``tokenize/filters.py``. The framework's filter cuts where the tokens happen to end, and takes each piece for
a line of its own: a price is torn apart, and "2024. " at the end of a sentence is dropped as a list's number.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import AsyncIterator

from videosdk.agents.tokenize import BasicTextFilter
from videosdk.agents.tokenize.patterns import EMAIL_REGEX, PLACEHOLDER_BASE, URL_REGEX

from .._text.markup import WHOLE_MARKUP, read_references
from .arrivals import Arrivals
from .codes import SIGNS
from .foreign import ForeignText
from .speller import Speller
from .splitter import Splitter, Unit

logger = logging.getLogger("videosdk.plugins.lokutor")

_INSIDE_LINE = "\ue000"
"""Stands before a piece that doesn't begin a line, so that it isn't taken for a heading or a list."""
_FIRST_SHIELD = PLACEHOLDER_BASE + 0x1000
_VERSION = re.compile(
    r"(?<![\w.])(?!\d{1,3}(?:\.\d{3})+(?![\w.]|,?\d{3}\.))v?\d+(?:\.\d+){2,}(?:[-+][A-Za-z0-9.]+)?\b"
)
"""As the framework's, but thousands that are grouped by points aren't one."""
_PATH = re.compile(r"(?<![^\s\ue000(])(?:/[\w-][^\s,;:!?]*|[A-Za-z]:\\[^\s,;:!?]+)")
"""A file. The framework takes the end of "km/h" for one."""
_DASH = re.compile(r"^(\ue000\s*)-(\s)")

_PLAIN_REFERENCE = re.compile(r"&(?:euro|pound|yen);|(?<!\S)&amp;(?!\S)")
"""References that are neither markup nor part of a name, and that numbers need."""
_STRUCK = re.compile("~~+")
"""Strikes text through. One "~" before a number is said."""

_SIGN = re.compile(rf"(?:(?<=\s)|(?<=\d )|(?<=^\ue000))-(?= [\d{SIGNS}])")
"""The hyphen of what isn't said ("5 - 3 = 2", "is - $20"), which is no dash."""


class NumbersFilter(BasicTextFilter):
    """Cleans text for speech as the framework's filter does, and says numbers in one language.

    Made by :func:`~videosdk.plugins.lokutor.text_filter`. Markdown, code and what an LLM gives away of its
    state are removed by the framework's own steps. Numbers, prices, units, ranges and times become words.

    Args:
        speller: Says the numbers.
        language: Its code.
    """

    def __init__(self, speller: Speller, language: str) -> None:
        # What the framework says is English: its prices, "percent" and "to". And its glosses in brackets
        # replace the words before them ("cita (mañana)"), which is right between scripts only.
        super().__init__(
            language=language,
            collapse_script_parens=False,
            normalise_punctuation=False,  # Later: it takes the hyphen of "10 - 20" for a dash.
            verbalize_currency=False,
            verbalize_numbers=False,
            expand_symbols=language == "en",
        )
        self.language = language
        self._speller = speller
        self._before = ""

    async def filter(self, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        """Rewrite a reply as it arrives. Only the last word, or a number, is held back."""
        splitter, foreign = Splitter(self._speller.unfinished), ForeignText(self.language)
        arrivals = Arrivals(chunks)
        try:
            while not arrivals.ended:
                for text in await self._next(arrivals, splitter, foreign):
                    yield text
            for unit in splitter.end():
                if text := self._rewrite(unit, foreign):
                    yield text
        finally:
            await arrivals.close()

    async def _next(self, arrivals: Arrivals, splitter: Splitter, foreign: ForeignText) -> list[str]:
        """Return what can be said once the next chunk is there, or has not come for a while."""
        try:
            chunk = await arrivals.next(splitter.quiet_time)
        except Exception:
            # As in the framework's filter: what has come is still spoken.
            logger.exception("The text of a reply ended with an error")
            return []
        units = splitter.release() if chunk is None else splitter.push(chunk)
        return [text for unit in units if (text := self._rewrite(unit, foreign))]

    def _rewrite(self, unit: Unit, foreign: ForeignText) -> str:
        inside = not unit.begins_line or self._speller.begins_with_ordinal(unit.text)
        self._placeholder_map = {}
        self._before = unit.before
        try:
            text = self._shield_all(unit.text, foreign.numbers(unit.text))
            text = read_references(_PLAIN_REFERENCE.sub(lambda found: html.unescape(found.group()), text))
            return self._process(_INSIDE_LINE + text if inside else text).replace(_INSIDE_LINE, "")
        except Exception:
            # A number that can't be said must not end the reply.
            logger.exception("A number can't be said, and stays as it is")
            return unit.text

    # Steps of the framework's _process(), in its order.

    def _protect(self, text: str) -> str:
        for pattern in (WHOLE_MARKUP, URL_REGEX, EMAIL_REGEX, _PATH, _VERSION, _STRUCK):
            text = pattern.sub(self._shield, text)
        return text

    def _shield_all(self, text: str, spans: list[tuple[int, int]]) -> str:
        for begin, end in reversed(spans):
            text = f"{text[:begin]}{self._keep(text[begin:end])}{text[end:]}"
        return text

    def _shield(self, found: re.Match[str]) -> str:
        return self._keep(found.group())

    def _keep(self, text: str) -> str:
        key = chr(_FIRST_SHIELD + len(self._placeholder_map))
        self._placeholder_map[key] = text
        return key

    def _restore(self, text: str) -> str:
        # The last first: an address takes the tags that touch it for a part of its own.
        for key, value in reversed(self._placeholder_map.items()):
            text = text.replace(key, value)
        return text

    def _expand_numeric_ranges(self, text: str) -> str:
        said = _SIGN.sub(self._shield, self._speller.spell(text, self._before))
        return self._normalise_punct(_DASH.sub(r"\1—\2", said))

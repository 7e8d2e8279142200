"""Text inside of elements of another language: ``<lang xml:lang="ca">Carrer de Mallorca 401</lang>``.

Rule of this file: pieces of one reply to the places of numbers that are spoken in another language. What tags
mean is :mod:`.._text.markup`'s.
"""

from __future__ import annotations

import re

from .._text.markup import MarkupParser, next_token

_NO_MARKDOWN = r"[^\s*_`~()\[\]|#>]"
_NUMBERS = re.compile(rf"{_NO_MARKDOWN}*[\d%&$£¥\u20a0-\u20cf]{_NO_MARKDOWN}*")
"""Matches what a language says in its own words."""


class ForeignText:
    """Knows which language is spoken where in one reply.

    Args:
        language: The language whose numbers are said.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._parser = MarkupParser()

    def numbers(self, text: str) -> list[tuple[int, int]]:
        """Return where in the next piece the numbers of other languages begin and end."""
        spans: list[tuple[int, int]] = []
        place = 0
        while place < len(text) and (token := next_token(text, place, ended=True)) is not None:
            if token.tag is None and (self._parser.language or self._language) != self._language:
                found = _NUMBERS.finditer(text, place, token.end)
                spans += [each.span() for each in found]
            self._parser.take(token)
            place = token.end
        return spans

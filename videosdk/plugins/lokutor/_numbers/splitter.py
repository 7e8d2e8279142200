"""A stream of text to units that can be rewritten on their own.

Rule of this file: where a unit ends depends on the text alone, never on how it arrived. A unit is a word with
the space after it, or more where a number, or Markdown, needs what comes next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .._text.markup import UNFINISHED_MARKUP

_FENCE = "```"
_BREAK = re.compile(r"```|\s")
_LONGEST_HOLD = 300
"""Characters after which a unit no longer waits for the end of Markdown: about a sentence."""
_LONGEST_UNIT = 2_000
"""Characters without a space that are held at most, as in the framework's own filter."""
_CLOSED_MARKDOWN = re.compile(
    r"\*\*[^*\n]+\*\*|__[^_\n]+__|`[^`\n]+`|\*[^*\s][^*\n]*\*|(?<!\w)_[^_\s][^_\n]*_"
)
_OPEN_MARKDOWN = re.compile(r"\*\*|__(?=\S)|`|(?<![\w*])\*(?=[^\s*])|(?<![\w_])_(?=[^\s_])")
_WHOLE_LINE = re.compile(r"\||[A-Z][A-Z_ ]{2,40}(?:$|:$|:.*=)")
"""Starts of lines that are rewritten as a whole: a table's row, and state that an LLM gives away."""


class Unit(NamedTuple):
    """A piece of text that is rewritten on its own.

    Attributes:
        text: The piece, with the space after it.
        begins_line: Whether only space stands before it on its line.
    """

    text: str
    begins_line: bool


class Splitter:
    """Cuts one reply.

    Args:
        unfinished: Found in what needs the next word, as a number does that may have a unit.
    """

    def __init__(self, unfinished: re.Pattern[str]) -> None:
        self._unfinished = unfinished
        self._held = ""
        self._searched = 0
        self._in_fence = False
        self._begins_line = True

    def push(self, text: str) -> Iterator[Unit]:
        """Take more text, and yield the units that are complete."""
        self._held += text
        while self._leave_fence() and (length := self._find_end()) is not None:
            yield from self._take(length)

    def end(self) -> Iterator[Unit]:
        """Yield what is left."""
        if self._leave_fence():
            yield from self._take(len(self._held))

    def _leave_fence(self) -> bool:
        """Drop code, and return whether text follows."""
        if not self._in_fence:
            return True
        _, fence, rest = self._held.partition(_FENCE)
        self._in_fence = not fence
        self._held = rest if fence else self._held[-2:]  # Half a fence may be among it.
        return not self._in_fence

    def _find_end(self) -> int | None:
        """Return how long the first unit is, or None until more text is there."""
        while (found := _BREAK.search(self._held, self._searched)) and found.end() <= _LONGEST_UNIT:
            if found.group() == _FENCE:
                self._in_fence = True
                return found.start()
            self._searched = found.end()
            if self._is_complete(self._held[: found.end()]):
                return found.end()
        self._searched = max(self._searched, len(self._held) - 2)
        return _LONGEST_UNIT if len(self._held) >= _LONGEST_UNIT else None

    def _is_complete(self, text: str) -> bool:
        word = text.strip()
        if not word or text.endswith("\n") or len(text) > _LONGEST_HOLD:
            return True
        whole_line = self._begins_line and _WHOLE_LINE.match(word)
        unfinished = self._unfinished.search(word) or UNFINISHED_MARKUP.search(word)
        return not (whole_line or unfinished or _has_open_markdown(word))

    def _take(self, length: int) -> Iterator[Unit]:
        text, self._held = self._held[:length], self._held[length:]
        if self._in_fence:
            self._held = self._held.removeprefix(_FENCE)
        self._searched = 0
        if text:
            yield Unit(text, self._begins_line)
            self._begins_line = text.endswith("\n") or (self._begins_line and text.isspace())


def _has_open_markdown(text: str) -> bool:
    if text.count("(") > text.count(")") or text.count("[") > text.count("]"):
        return True
    return bool(_OPEN_MARKDOWN.search(_CLOSED_MARKDOWN.sub("", text)))

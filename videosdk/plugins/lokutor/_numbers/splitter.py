"""A stream of text to units that can be rewritten on their own.

Rule of this file: where a unit ends depends on the text alone, never on how it arrived, as long as it keeps
coming. A unit is a word with the space after it, or more where a number, or Markdown, needs what comes next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from videosdk.agents.tokenize import STRONG_TERMINATORS

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
_QUIET = 0.15  # Seconds; the framework's own chunker waits as long before it lets a sentence go.
_NUMBER_QUIET = 0.5  # A number ("3.") may go on ("14"), an address ("www.example.") too: both wait longer.
_CLOSING = "\"'”’»)]}*_"
"""Marks that may stand behind the end of a sentence, those of Markdown included."""
_EMPHASIS = re.compile(r"[*]+|(?<!\w)_+|_+(?!\w)")
_GOES_ON = re.compile(r"\d|www\.|://|@")
_LIST_NUMBER = re.compile(r"\d+[.)]$")
_LISTED = re.compile(r"\s*(\d+)\.\s")
_LONGEST_BEFORE = 60
"""Characters that are kept of what stands before a unit."""


class Unit(NamedTuple):
    """A piece of text that is rewritten on its own.

    Attributes:
        text: The piece, with the space after it.
        begins_line: Whether only space stands before it on its line, and a number in it is that of a list.
        before: What stands before it, as it was written: a sentence's last words.
    """

    text: str
    begins_line: bool
    before: str = ""


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
        self._listed = 0
        self._before = ""

    def push(self, text: str) -> Iterator[Unit]:
        """Take more text, and yield the units that are complete."""
        self._held += text
        while self._leave_fence() and (length := self._find_end()) is not None:
            yield from self._take(length)

    def end(self) -> Iterator[Unit]:
        """Yield what is left."""
        if self._leave_fence():
            yield from self._take(len(self._held))

    @property
    def quiet_time(self) -> float | None:
        """Seconds without text after which :meth:`release` is due; None where only more text helps."""
        word = self._held.strip()
        if self._in_fence or word.rstrip(_CLOSING)[-1:] not in tuple(STRONG_TERMINATORS):
            return None
        if self._needs_its_end(word) or (self._begins_line and _LIST_NUMBER.match(word)):
            return None
        return _NUMBER_QUIET if _GOES_ON.search(word) or self._unfinished.search(word) else _QUIET

    def release(self) -> Iterator[Unit]:
        """Take a quiet spell of :attr:`quiet_time`, and yield the end of the sentence."""
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
        # "**12,50** €": the marks of Markdown don't end a number.
        number = _EMPHASIS.sub("", word)
        return not (
            self._unfinished.search(word) or self._unfinished.search(number) or self._needs_its_end(word)
        )

    def _needs_its_end(self, word: str) -> bool:
        """Return whether ``word`` begins a line, a tag or Markdown that is rewritten as a whole."""
        whole_line = self._begins_line and _WHOLE_LINE.match(word)
        return bool(whole_line or UNFINISHED_MARKUP.search(word) or _has_open_markdown(word))

    def _take(self, length: int) -> Iterator[Unit]:
        text, self._held = self._held[:length], self._held[length:]
        if self._in_fence:
            self._held = self._held.removeprefix(_FENCE)
        self._searched = 0
        if text:
            yield Unit(text, self._begins_line and self._is_listed(text), self._before)
            self._before = (self._before + text)[-_LONGEST_BEFORE:]
            self._begins_line = text.endswith("\n") or (self._begins_line and text.isspace())

    def _is_listed(self, text: str) -> bool:
        """Return whether a number that begins a line goes on with a list, so that it isn't said."""
        found = _LISTED.match(text)
        if found is None:
            return True
        number = int(found[1])
        if number not in {1, self._listed + 1}:
            return False
        self._listed = number
        return True


def _has_open_markdown(text: str) -> bool:
    if text.count("(") > text.count(")") or text.count("[") > text.count("]"):
        return True
    return bool(_OPEN_MARKDOWN.search(_CLOSED_MARKDOWN.sub("", text)))

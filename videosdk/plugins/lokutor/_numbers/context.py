"""What stands around a number.

Rule of this file: a match to the text before and after it, and nothing of what that means. A piece of a reply
begins with a mark, which isn't part of the text.
"""

from __future__ import annotations

import re

from .notation import SPACE

_WORD_BEFORE = re.compile(r"([^\W_]+)(?:['’]|[*_]*[^\S\n]+)[*_\ue000]*$")
_WORD_AFTER = re.compile(rf"{SPACE}([^\W\d_]+)")
_LONGEST_BEFORE = 40


def text_before(found: re.Match[str]) -> str:
    """Return all that stands before a match."""
    return found.string[: found.start()].replace("\ue000", "")


def text_after(found: re.Match[str]) -> str:
    """Return all that follows a match."""
    return found.string[found.end() :]


def word_before(found: re.Match[str]) -> str:
    """Return the word before a match, or nothing where another mark than a space stands between them."""
    start = max(0, found.start() - _LONGEST_BEFORE)
    word = _WORD_BEFORE.search(found.string[start : found.start()])
    return word[1] if word else ""


def word_after(found: re.Match[str]) -> str:
    """Return the word after a match, or nothing."""
    word = _WORD_AFTER.match(found.string, found.end())
    return word[1] if word else ""

"""What a text's characters say of its sound and its joints.

Rule of this file: pure functions of text.
"""

from __future__ import annotations

import unicodedata

_UNSPACED_SCRIPTS = ("THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Scripts without spaces between words whose characters are not wide."""
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_LOW_SURROGATES = range(0xDC00, 0xE000)


def is_speakable(text: str) -> bool:
    """Return whether ``text`` holds anything to say: a letter, a digit or a symbol (emoji included)."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text)


def is_pronounceable(text: str) -> bool:
    """Return whether ``text`` surely has a sound: a letter or a digit. An emoji may have none."""
    return any(char.isalnum() for char in text)


def has_space(text: str) -> bool:
    return any(char.isspace() for char in text)


def extends(char: str) -> bool:
    """Return whether ``char`` changes the one before it: an accent, a skin tone, a second half."""
    marks = char == _ZERO_WIDTH_JOINER or unicodedata.category(char)[0] == "M"
    return marks or ord(char) in _SKIN_TONES or ord(char) in _LOW_SURROGATES


def are_one(before: str, after: str) -> bool:
    """Return whether two characters are parts of one that a reader sees."""
    return before == _ZERO_WIDTH_JOINER or extends(after)


def joined(before: str, after: str) -> str:
    """Return two texts as one: with a space between them, unless their script is written without."""
    if not before or not after or (is_spaceless(before[-1]) and is_spaceless(after[0])):
        return before + after
    return f"{before} {after}"


def whole_words(text: str, length: int) -> str:
    """Return the words of ``text`` that are whole within its first ``length`` characters."""
    if length >= len(text):
        return text
    while length and not parts_words(text[length - 1], text[length]):
        length -= 1
    return text[:length].rstrip()


def parts_words(before: str, after: str) -> bool:
    """Return whether a word ends between two characters."""
    return before.isspace() or after.isspace() or is_spaceless(before)


def is_spaceless(char: str) -> bool:
    """Return whether ``char`` is of a script without spaces between words: Chinese, Japanese."""
    return (
        unicodedata.east_asian_width(char) in {"W", "F"}
        and unicodedata.category(char)[0] in "LP"
        and not unicodedata.name(char, "").startswith("HANGUL")
    )


def is_unspaced(char: str) -> bool:
    """Return whether ``char`` is of any script without spaces between words, Thai and its like included."""
    return is_spaceless(char) or unicodedata.name(char, "").startswith(_UNSPACED_SCRIPTS)


def mended(text: str) -> str:
    """Return ``text`` with each pair of surrogate halves as its character, and half a pair as U+FFFD.

    No UTF-8 message can carry them. A pair is split where a token ends within it.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def language_code(tag: str) -> str:
    """Return the first part of a language tag; it may be empty."""
    return tag.strip().replace("_", "-").split("-")[0].lower()

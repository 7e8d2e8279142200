"""What two chunks of text look like side by side: whether a word, a sentence or a line goes on.

Rule of this file: no state. Each function looks at text alone.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto

from videosdk.agents.tokenize import STRONG_TERMINATORS, WEAK_TERMINATORS

from .characters import extends, has_space, is_speakable

TERMINATORS = STRONG_TERMINATORS + WEAK_TERMINATORS
CLOSING = "\"'”’»)]}"
IDLE_WORD = 12
"""When an LLM pauses, the framework's chunker lets go of all but a last word this long."""
_IDLE_SENTENCE = 12  # It lets go of a whole sentence this long as it stands, white space in front included.
_OPENING = "([{«“„‘‚¿¡"
_QUOTES = "\"'`"  # They open where nothing, or white space, is before them.
_BULLETS = "-*•"
TRAILING = CLOSING + TERMINATORS.replace("—", "").replace("–", "")
_ADDRESS_MARKS = ("@", "://", "www.")
_LIST_MARKER = re.compile(r"(?:[-*•]|\d+[.)])\s")
_SENTENCE_END = re.compile(
    rf"[{re.escape(STRONG_TERMINATORS)}][{re.escape(CLOSING)}]*\s+|[。！？][{re.escape(CLOSING)}]*|\n+"
)


class Chunks(Enum):
    """What is known of the chunks of a text before the first has come.

    Attributes:
        SENTENCES: They come from a sentence chunker. Short lines without a full stop ("Menu", "Coffee") look
            like parts of a word otherwise.
        MOSTLY_SENTENCES: Most likely they do: a hook stands between.
        TOKENS: They come from a language model: what separates two words is in them.
        UNKNOWN: They are the user's own, and may be either.
    """

    SENTENCES = auto()
    MOSTLY_SENTENCES = auto()
    TOKENS = auto()
    UNKNOWN = auto()

    @property
    def are_sentences(self) -> bool:
        """Whether they come from a sentence chunker, for all that is known."""
        return self in {Chunks.SENTENCES, Chunks.MOSTLY_SENTENCES}


def may_join(text: str) -> bool:
    """Return whether the word goes on behind a character that was written as a reference.

    The framework's chunker cuts behind the reference's semicolon, and drops white space there. What is in
    front tells whether there was any: ``AT&amp;T``, but ``Tom &amp; Jerry``.
    """
    before = text[-2:-1]
    return text[-1:] == "<" or (text[-1:] in {"&", "'"} and before != "" and not before.isspace())


def begins_line(last: str, chunk: str) -> bool:
    """Return whether a line begins with ``chunk``, although no whole sentence came before it.

    Sentences lack their full stop in headings and lists.
    """
    if not is_speakable(last):
        return False  # A dash by itself opens what follows, as in a dialogue.
    opens = chunk[0] in "¿¡"
    clause = _ends_clause(last) and (chunk[0].isupper() or _LIST_MARKER.match(chunk) is not None)
    return clause or (opens and (_ends_clause(last) or (has_space(last) and _ends_word(last))))


def may_begin_line(last: str, chunk: str) -> bool:
    """Return whether a line may begin with ``chunk``, or what comes where the LLM has paused.

    It may as well go on inside of a word: "Here are your options" and "Apples", "on your Mac" and "Book".
    Everything else that touches without white space is a word in parts.
    """
    if not has_space(last):
        return False
    if len(chunk.split(maxsplit=1)[0]) >= IDLE_WORD:
        return True
    listed = _LIST_MARKER.match(chunk) is not None and not _closes_mark(last, chunk)
    return _ends_word(last) and (chunk[0].isupper() or listed)


def _ends_word(text: str) -> bool:
    return text[-1].islower() or unicodedata.category(text[-1]) == "So"


def _closes_mark(last: str, chunk: str) -> bool:
    """Return whether what looks like a list's marker closes a mark: "That is *really" and "* good"."""
    emphasis = chunk[0] == "*" and last.count("*") % 2 == 1
    bracket = chunk[0].isdigit() and last.count("(") > last.count(")")
    return emphasis or bracket


def goes_on_in_word(last: str, chunk: str) -> bool:
    """Return whether a word that ``last`` has begun goes on in ``chunk``, as no line and no sentence does."""
    word = chunk.lstrip(_QUOTES + "’").split(maxsplit=1)[:1]
    small = bool(word) and word[0][0].isalpha() and not word[0][0].isupper()
    return last[-1].isalnum() and small and len(word[0]) < IDLE_WORD


def opens(text: str) -> bool:
    """Return whether ``text`` ends in a mark that belongs to what follows it."""
    quote = text[-1:] in tuple(_QUOTES) and (len(text) == 1 or text[-2].isspace())
    return quote or text[-1:] in tuple(_OPENING)


def takes_no_space(text: str) -> bool:
    """Return whether no space is missing behind ``text``."""
    return text[-1:].isspace() or opens(text)


def is_bullet(text: str) -> bool:
    return text in tuple(_BULLETS)


def ends_sentence(text: str) -> bool:
    return text.rstrip(CLOSING)[-1:] in tuple(STRONG_TERMINATORS)


def sentence_start(text: str, place: int) -> int:
    """Return where the sentence begins in which a place of ``text`` is; the text's end is one of its own."""
    if place >= len(text):
        return len(text)
    ends = (match.end() for match in _SENTENCE_END.finditer(text, 0, place))
    return max((end for end in ends if not text[end].islower()), default=0)


def is_clause(text: str) -> bool:
    """Return whether a sentence goes on behind ``text``, which ends in a comma or the like."""
    return text.rstrip().rstrip(CLOSING)[-1:] in tuple(WEAK_TERMINATORS)


def ends_line(text: str) -> bool:
    return "\n" in text[len(text.rstrip()) :]


def goes_on_small(text: str, end: int) -> bool:
    """Return whether a small letter follows at ``end``: an abbreviation ends there, and no sentence."""
    return text[end:].lstrip()[:1].islower()


def _ends_clause(text: str) -> bool:
    """Return whether ``text`` ends in a terminator, and not within an acronym such as ``"U.S."``."""
    return text[-1] in TERMINATORS and not text[-2:-1].isupper()


def closes(chunk: str) -> bool:
    """Return whether ``chunk`` begins with marks that belong to what came before, or with an accent."""
    rest = chunk.lstrip(TRAILING)
    return extends(chunk[0]) or (rest != chunk and (not rest or rest[0].isspace()))


def splits_name(last: str, chunk: str) -> bool:
    """Return whether ``chunk`` looks like the rest of a name such as ``example.com``."""
    return last[-1] == "." and chunk[0].islower()


def ends_in_number(text: str) -> bool:
    return text[-1:] in {".", ",", ":"} and text[-2:-1].isdigit()


def ends_in_address(text: str) -> bool:
    return any(mark in text.rsplit(maxsplit=1)[-1] for mark in _ADDRESS_MARKS)


def has_edge_space(text: str) -> bool:
    return text[0].isspace() or text[-1].isspace()


def is_token(chunk: str) -> bool:
    """Return whether no sentence chunker has made ``chunk``, nor lets it go while the LLM pauses."""
    mark = not is_speakable(chunk) and bool(chunk.strip(CLOSING + _OPENING + _QUOTES))
    goes_on = chunk[0] in TERMINATORS and closes(chunk)
    return mark or goes_on or (has_edge_space(chunk) and not is_idle_sentence(chunk))


def is_idle_sentence(chunk: str) -> bool:
    """Return whether the framework's chunker may have let ``chunk`` go as it stands, as the LLM paused."""
    return len(chunk) >= _IDLE_SENTENCE and chunk[0].isspace() and chunk[-1] in STRONG_TERMINATORS

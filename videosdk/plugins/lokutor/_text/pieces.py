"""What the text planner cuts: pieces of a text, their sentences, and the requests that they become.

Rule of this file: values only. Which chunks belong together, and where a request ends, the planner knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from .characters import is_speakable, joined, mended
from .markup import Style
from .spoken import Replacement

MAX_REQUEST_CHARS = 1000
"""Longest request in code points. Far below the service's own limit, so that a lost request is cheap."""
PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text that is complete, and may be a request or a part of one.

    Attributes:
        length: How many characters it has, white space included.
        sentence: Whether it is a whole sentence or line; otherwise it is a clause.
    """

    length: int
    sentence: bool


@dataclass(frozen=True, slots=True)
class RequestText:
    """The text of one request.

    Attributes:
        text: The text as it is written.
        style: How it is spoken.
        replacements: What of it is spoken in another way.
        touches: Whether no space stands between it and the text before it.
        ends: Where its sentences end, but the last.
    """

    text: str
    style: Style = PLAIN
    replacements: tuple[Replacement, ...] = ()
    touches: bool = False
    ends: tuple[int, ...] = field(default=(), compare=False)

    def split(self) -> list[RequestText]:
        """Return its sentences, each as a request of its own; those without anything to say are left out."""
        piece = Piece(self.text, style=self.style, replacements=list(self.replacements), touches=self.touches)
        spans = pairwise([0, *self.ends, len(self.text)])
        return [request_of(piece, begin, end) for begin, end in spans if is_speakable(self.text[begin:end])]


@dataclass(slots=True)
class Piece:
    """Text that is spoken in one style, after a pause, if any.

    Attributes:
        text: The text.
        joints: Where in it a sentence of the framework's chunker ends. These may lack a full stop.
        doubts: Those of them whose space may be inside of a word.
        style: How it is spoken.
        replacements: What of it is spoken in another way. Nothing is cut inside of one.
        pause: Seconds of silence before it.
        touches: Whether no space stands between it and the piece before it.
        paused: Whether a pause stands there.
        parted: Whether a tag has ended it, and not the end of a sentence.
        flushed: Whether a flush follows it.
    """

    text: str = ""
    joints: list[int] = field(default_factory=list)
    doubts: list[int] = field(default_factory=list)
    style: Style = PLAIN
    replacements: list[Replacement] = field(default_factory=list)
    pause: float = 0.0
    touches: bool = False
    paused: bool = False
    parted: bool = False
    flushed: bool = False

    def head(self, length: int) -> Piece:
        """Return its first ``length`` characters as a piece of their own."""
        replacements = [each for each in self.replacements if each.end <= length]
        joints = [joint for joint in self.joints if joint < length]
        doubts = [joint for joint in self.doubts if joint < length]
        return replace(self, text=self.text[:length], joints=joints, doubts=doubts, replacements=replacements)

    def drop(self, count: int) -> None:
        """Forget the first ``count`` characters."""
        self.text = self.text[count:]
        self.joints = [joint - count for joint in self.joints if joint > count]
        self.doubts = [joint - count for joint in self.doubts if joint > count]
        self.replacements = [each.moved(-count) for each in self.replacements if each.start >= count]
        self.touches = self.paused = False

    def close_doubts(self) -> None:
        """Take out the spaces that are in doubt: they are inside of words."""
        while self.doubts:
            place = self.doubts.pop()
            self.text = self.text[:place] + self.text[place + 1 :]
            self.joints = [joint - (joint > place) for joint in self.joints if joint != place]
            self.replacements = [each.moved(-1) if each.start > place else each for each in self.replacements]


def is_on_new_line(piece: Piece) -> bool:
    return "\n" in piece.text[: len(piece.text) - len(piece.text.lstrip())]


def text_after(before: str, text: str, piece: Piece) -> str:
    """Return the first ``text`` of a piece with the space that is between it and the text before it."""
    if not before or not text:
        return text
    if before[-1].isspace():
        return text.lstrip()
    if text[0].isspace() or (piece.touches and not piece.paused):
        return text
    return joined(before[-1], text)[1:]


def request_of(piece: Piece, begin: int, end: int, ends: Iterable[int] = ()) -> RequestText:
    """Return a part of a piece as the text of a request, without the white space around it.

    Args:
        piece: The piece.
        begin: Where the part begins in it.
        end: Where it ends.
        ends: Where sentences of the piece end.
    """
    part = piece.text[begin:end]
    begin += len(part) - len(part.lstrip())
    text = mended(part.strip())
    same = len(text) == len(part.strip())  # Else these places are others.
    return RequestText(
        text,
        piece.style,
        tuple(each.moved(-begin) for each in piece.replacements if begin <= each.start and each.end <= end),
        touches=piece.touches and not (piece.paused or begin),
        ends=tuple(place - begin for place in ends if same and 0 < place - begin < len(text)),
    )

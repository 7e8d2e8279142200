"""Speech markup in a stream of text: the elements of SSML that can be done in front of the service.

Rule of this file: pure. Chunks go in, cut anywhere. What comes out is the text without its tags, and what the
tags say about it. Source: Speech Synthesis Markup Language 1.1, W3C Recommendation, 7 September 2010.

A language model writes markup by ear, so nothing in here is an error. A ``<`` that begins no tag is text. A
tag that is not known is dropped, and so is a known one that is broken off; what is between tags is spoken.
One with a slip of the pen is read as it was meant: :mod:`.repair`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from .characters import are_one, is_speakable, language_code, mended
from .repair import LOOSE_TAG, UNFINISHED_LOOSE_TAG, repaired
from .spoken import Replacement

FindLanguage = Callable[[str], str | None]
"""Takes what a tag asks for, and returns the code of a language; None or nothing where there is none."""

LONGEST_PAUSE = 10.0
"""Seconds of silence at most, of one break or of several in a row: more would be taken for a failed call."""
_LONGEST_TAG = 1_000
_LONGEST_CONTENT = 200
"""Characters between ``<sub>`` and ``</sub>`` at most. They are held back until the end is there."""

_STRENGTHS = {"none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25}
"""Seconds. SSML leaves them open; these are the ones of Microsoft's speech service."""
_MOST_TIMES = 5
"""Times of a speed at most: a number above it is a percentage."""
_RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_LINES = frozenset({"p", "s", "br", "div", "hr", "li"})
"""Those of HTML part lines as well, and mostly nothing else does."""
_SPELT = frozenset({"characters", "character", "spell-out", "verbatim"})
_ELEMENTS = frozenset(
    {
        "audio", "break", "desc", "emphasis", "lang", "lexicon", "lookup", "mark", "meta", "metadata", "p",
        "phoneme", "prosody", "s", "say-as", "speak", "spell", "sub", "token", "voice", "w",
    }
)  # fmt: skip
"""Those of SSML, and the framework's own ``spell``."""

_NAME = r"[A-Za-z](?:[\w.-]|:\s*(?=\w))*"  # The framework's chunker cuts behind the colon of xml:lang.
_LONGEST_VALUE = 400
"""Characters of a value that has spaces. Text that follows a quotation mark by mistake waits no longer."""
_BEHIND_ANGLE = 60
"""Characters from a ">" in a value to its end. If the end is further away, the tag has ended with the ">"."""


def _quoted(quotes: str, angle: str = "") -> str:
    """Return the pattern of a value in quotes, without the last one."""
    return rf"[{quotes}](?:[^{quotes}<>]{{0,{_LONGEST_VALUE}}}|[^\s{quotes}<>]*){angle}"


_DOUBLE, _SINGLE = (_quoted(quote, rf"(?:>[^{quote}<>\n]{{0,{_BEHIND_ANGLE}}})?") for quote in ('"', "'"))
_CURLY = _quoted("“”„‘’«»")
_VALUE = rf"""(?:{_DOUBLE}"|{_SINGLE}'|{_CURLY}[“”’»]|[^\s"'<>“”„‘’«»][^\s"'<>]*)"""
# The framework's chunker cuts behind "!" and "?": a space stands there when both parts are together again.
_DECLARATION = r"(?:DOCTYPE|doctype|ELEMENT|ATTLIST|ENTITY|NOTATION)\b[^<>]*"
_TAG = re.compile(
    rf"<\s*(?P<close>/?)\s*(?P<name>{_NAME})(?P<attributes>(?:\s+{_NAME}\s*=\s*{_VALUE})*)\s*(?P<empty>/?)>"
    r"|<!\s?--.{0,180}?--\s?>|<\?\s?[A-Za-z][^<>]*\?\s?>"
    rf"|<!\s?{_DECLARATION}>|<!\s?\[CDATA\[(?P<characters>.{{0,{_LONGEST_VALUE}}}?)\]\]\s?>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rf"({_NAME})\s*=\s*({_VALUE})")
_BROKEN = re.compile(
    rf"<\s*/?\s*(?P<name>{_NAME})(?:\s+{_NAME}\s*=\s*{_VALUE})*(?:\s+{_NAME}\s*=\s*[\"']?[^\s\"'<>]*)?"
)
# What may still become a tag, or a comment.
_UNFINISHED_TAG = re.compile(
    rf"<\s*(?:/?\s*|/?\s*{_NAME}:?(?:\s+{_NAME}\s*=\s*{_VALUE})*"
    rf"""(?:\s*/?|\s+{_NAME}:?\s*(?:=\s*(?:{_DOUBLE}|{_SINGLE}|{_CURLY}|[^\s"'<>]*)?)?))$"""
    r"|<!\s?(?:-?|--.{0,183}|[A-Za-z]{1,7}|\[[A-Z]{0,5})$|<\?\s?(?:[A-Za-z][^<>]*(?:\?\s?)?)?$"
    rf"|<!\s?(?:{_DECLARATION}|\[CDATA\[.{{0,{_LONGEST_VALUE + 3}}})$",
    re.DOTALL,
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_UNFINISHED_ENTITY = re.compile(
    r"&(?:a(?:m(?:p)?|p(?:o(?:s)?)?)?|l(?:t)?|g(?:t)?|q(?:u(?:o(?:t)?)?)?|n(?:b(?:s(?:p)?)?)?|#(?:\d{0,7}|[xX][0-9A-Fa-f]{0,6}))?$"
)
_CUT_NUMBER = re.compile(r"\d[.,:]$")
_GROUP = re.compile(r",(?=\d{3}(?!\d))")
_PLAIN_CATEGORIES = frozenset({"Pf", "Pi", "Sc", "Zs"})
"""Besides letters and digits: what means nothing to Markdown or to this file, as ``&`` and ``<`` do."""
_TEXTUAL = "sub|say-as|spell"
_CONTENT = rf"(?:[^<]|<(?!/(?:{_TEXTUAL})\b)[^<>]*>){{0,{_LONGEST_CONTENT}}}"
WHOLE_MARKUP = re.compile(
    rf"<(?P<textual>{_TEXTUAL})(?=[\s>=:])[^<>]*>{_CONTENT}</(?P=textual)\s*>"
    rf"|{_TAG.pattern}|{LOOSE_TAG.pattern}|{_ENTITY.pattern}",
    re.DOTALL | re.IGNORECASE,
)
"""What a text filter must leave alone: tags, and what is read in another way than it is written."""
UNFINISHED_MARKUP = re.compile(
    rf"<(?:{_TEXTUAL})(?=[\s>=:])[^<>]*>{_CONTENT}(?:<[^<>]*)?$"
    rf"|{_UNFINISHED_TAG.pattern}|{UNFINISHED_LOOSE_TAG.pattern}",
    re.DOTALL | re.IGNORECASE,
)
"""The same as long as its end is missing."""
_TIME = re.compile(r"[+]?(\d+(?:\.\d*)?|\.\d+)(m|milli)?s(?:ecs?|econds?)?$", re.IGNORECASE)
_PERCENT = re.compile(r"([+-]?)(\d+(?:\.\d*)?)(?:%|percent)$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d*)?$")
_XML_LANG = re.compile(r"^xml[._-]lang$")


@dataclass(frozen=True, slots=True)
class Style:
    """How a stretch of text is spoken, where it differs from the call's options.

    Attributes:
        voice: Voice id. None for the call's.
        language: Language code. None for the call's.
        rate: Factor of the call's speed.
    """

    voice: str | None = None
    language: str | None = None
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence of its own.

    Attributes:
        seconds: How long it lasts.
    """

    seconds: float


@dataclass(slots=True)
class MarkedText:
    """Text without its tags, and what they say about it.

    Attributes:
        text: The text, as it is written.
        marks: What begins at an index of the text: a style, or a pause.
        replacements: What is spoken in another way than it is written.
        ends_in_reference: Whether its last character was written as a reference, such as ``&amp;``.
    """

    text: str = ""
    marks: list[tuple[int, Style | Pause]] = field(default_factory=list)
    replacements: list[Replacement] = field(default_factory=list)
    ends_in_reference: bool = False

    def mark(self, mark: Style | Pause) -> None:
        """Add a mark behind the text so far."""
        self.marks.append((len(self.text), mark))

    def add(self, text: str, spoken: str | None = None) -> None:
        """Add text, and what is spoken for it; None for the text itself."""
        if spoken is not None:
            begin = len(self.text)
            self.replacements.append(Replacement(begin, begin + len(text), spoken))
        self.text += text


class Token(NamedTuple):
    """The next part of a text.

    Attributes:
        end: Where it ends.
        text: What is written in it.
        tag: The tag that it is.
        plain: Whether it is written as it stands, and no reference.
    """

    end: int
    text: str = ""
    tag: re.Match[str] | None = None
    plain: bool = False


@dataclass(slots=True)
class _Element:
    """An element that was opened.

    Attributes:
        name: Its name.
        style: The style before it.
        tag: How it was opened.
    """

    name: str
    style: Style
    tag: str


@dataclass(slots=True)
class _Replaced:
    """The content of an element that is spoken in another way, as far as it has come.

    Attributes:
        name: The element's name.
        attributes: Its attributes.
        tag: How it was opened.
        depth: How many other elements it is inside of.
        text: The content since it began, or since the last tag in it that changes how it is spoken.
    """

    name: str
    attributes: dict[str, str]
    tag: str
    depth: int = 0
    text: str = ""

    @property
    def whole(self) -> bool:
        """Whether tags inside of it change nothing: an alias has no place for them."""
        return self.name == "sub"

    def spoken(self) -> str | None:
        """Return what is said for it; None if that is the content itself."""
        spoken: str | None = None
        if self.name == "sub":
            spoken = self.attributes.get("alias", "").strip()
            return spoken if is_speakable(spoken) and len(spoken) <= 2 * _LONGEST_CONTENT else None
        kind = self.attributes.get("interpret-as", "").lower()
        if self.name == "spell" or kind in _SPELT:
            spoken = spell_characters(self.text)
        elif kind == "digits":
            spoken = spell_digits(self.text)
        elif kind == "telephone":
            spoken = spell_telephone(self.text)
        return spoken if spoken and is_speakable(spoken) else None


class MarkupParser:
    """Takes one reply's markup, chunk by chunk.

    Args:
        sentences: Whether the chunks come from a sentence chunker: one that was cut inside a tag has lost
            the space where it was cut.
        find_language: Returns the language that a tag such as ``"ca-ES"`` asks for; None: the tag is ignored.
    """

    def __init__(self, *, sentences: bool = False, find_language: FindLanguage = language_code) -> None:
        self._sentences = sentences
        self._find_language = find_language
        self._held = ""
        self._half = ""  # Half a surrogate pair, whose other half comes with the next chunk.
        self._elements: list[_Element] = []
        self._replaced: _Replaced | None = None
        self._style = Style()

    @property
    def pending(self) -> bool:
        """Whether it holds back what a next chunk may complete."""
        return bool(self._held or self._half) or self._replaced is not None

    def push(self, chunk: str) -> MarkedText:
        """Take the next chunk, and return what is known of the text by now."""
        apart = self._sentences and self._is_apart(chunk)
        text = f"{self._held}{' ' if apart else ''}{self._half}{chunk}"
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        self._held = mended(text[: len(text) - len(self._half)])
        return self._parse(ended=False)

    @property
    def replaces(self) -> str | None:
        """The element under way whose content is spoken in another way, if any."""
        return None if self._replaced is None else self._replaced.name

    @property
    def language(self) -> str | None:
        """The language that the open elements ask for; None: that of the call."""
        return self._style.language

    @property
    def opening(self) -> str:
        """The tags of the open elements that change how the text behind them is spoken.

        An alias isn't among them: it stands for a whole.
        """
        styles = [*(element.style for element in self._elements), self._style]
        tags = [
            element.tag if before != after else ""
            for element, (before, after) in zip(self._elements, pairwise(styles), strict=True)
        ]
        if self._replaced is not None and not self._replaced.whole:
            tags.insert(self._replaced.depth, self._replaced.tag)
        return "".join(tags)

    def take(self, token: Token) -> None:
        """Take a part of the text, for what is open behind it."""
        self._take(MarkedText(), token)

    def leave_replaced(self) -> None:
        """Go back to where the element began whose content is spoken in another way."""
        if self._replaced is not None:
            self._leave(MarkedText(), self._replaced.depth)
            self._replaced = None

    def _is_apart(self, chunk: str) -> bool:
        """Return whether a space has stood where the framework's chunker has cut a tag, or an alias."""
        before = self._held or ("" if self._replaced is None else self._replaced.text)
        if _CUT_NUMBER.search(before) and chunk[:1].isdigit():
            return False
        return bool(self._held) or (self._replaced is not None and chunk[:1] != "<")

    def end(self) -> MarkedText:
        """Take the end of the text, or of a request."""
        self._held += mended(self._half)
        self._half = ""
        result = self._parse(ended=True)
        self._give_up(result)
        return result

    def _parse(self, *, ended: bool) -> MarkedText:
        result = MarkedText()
        text, place = self._held, 0
        while place < len(text):
            token = next_token(text, place, ended=ended)
            if token is None:
                break
            self._take(result, token)
            reference = bool(token.text) and not token.plain and token.tag is None
            result.ends_in_reference = reference and token.end == len(text)
            place = token.end
        self._held = text[place:]
        return result

    def _take(self, result: MarkedText, token: Token) -> None:
        if token.text:
            self._add(result, token.text)
        tag = token.tag
        if tag is None or tag["name"] is None:
            return
        if tag["close"]:
            self._close(result, tag["name"].lower())
        else:
            self._open(result, tag)

    def _add(self, result: MarkedText, text: str) -> None:
        replaced = self._replaced
        if replaced is None:
            result.add(text)
            return
        replaced.text += text
        if len(replaced.text) > _LONGEST_CONTENT:
            self._give_up(result)

    def _give_up(self, result: MarkedText) -> None:
        """Speak the content of an element that was never closed."""
        replaced, self._replaced = self._replaced, None
        if replaced is not None:
            result.add(replaced.text)

    def _open(self, result: MarkedText, tag: re.Match[str]) -> None:
        name, attributes = tag["name"].lower(), _attributes(tag["attributes"])
        if name == "break":
            self._break(result, _pause(attributes))
        if name in _LINES:
            self._add(result, "\n")
        if tag["empty"] or name == "break":
            return
        if name in _TEXTUAL.split("|") and self._replaced is None:
            self._replaced = _Replaced(name, attributes, tag.group(), len(self._elements))
        elif name in _ELEMENTS:
            self._elements.append(_Element(name, self._style, tag.group()))
            self._change(result, self._styled(name, attributes))

    def _styled(self, name: str, attributes: dict[str, str]) -> Style:
        style = self._style
        tag = attributes.get("xml:lang") or (attributes.get("lang", "") if name == "lang" else "")
        if language := self._find_language(tag):
            style = replace(style, language=language)
        # SSML: a list of names, of which the first is preferred.
        if name == "voice" and (voices := re.findall(r"[^\s,]+", attributes.get("name", ""))):
            style = replace(style, voice=voices[0])
        if name == "prosody" and (rate := _rate(attributes.get("rate", ""))):
            style = replace(style, rate=style.rate * rate)
        return style

    def _break(self, result: MarkedText, seconds: float) -> None:
        if not seconds:
            self._add(result, " ")
        elif self._replaced is None or not self._replaced.whole:
            self._part(result)
            result.mark(Pause(seconds))

    def _close(self, result: MarkedText, name: str) -> None:
        if name in _LINES:
            self._add(result, "\n")
        replaced = self._replaced
        inside = 0 if replaced is None else replaced.depth
        opened = [index for index, element in enumerate(self._elements) if element.name == name]
        if opened and opened[-1] >= inside:  # Opened inside of what is spoken otherwise, or nothing is.
            self._leave(result, opened[-1])
        elif replaced is not None and (replaced.name == name or opened):
            self._part(result)
            self._replaced = None
            self._leave(result, opened[-1] if replaced.name != name else inside)

    def _leave(self, result: MarkedText, index: int) -> None:
        """Go back to the style before an element, which ends together with those inside of it."""
        if index < len(self._elements):
            self._change(result, self._elements[index].style)
            del self._elements[index:]

    def _part(self, result: MarkedText) -> None:
        """Add what is spoken otherwise, as far as it has come: something changes behind it."""
        if self._replaced is not None:
            _add_replaced(result, self._replaced)
            self._replaced.text = ""

    def _change(self, result: MarkedText, style: Style) -> None:
        replaced = self._replaced
        if style != self._style and (replaced is None or not replaced.whole):
            self._part(result)
            self._style = style
            result.mark(style)


def read_references(text: str) -> str:
    """Return ``text`` with the character references outside of its tags that can't be taken for markup.

    The framework's chunker cuts a word behind the semicolon of one.
    """
    return WHOLE_MARKUP.sub(_read_reference, text)


def _read_reference(found: re.Match[str]) -> str:
    char = html.unescape(found.group()) if found.group()[0] == "&" else ""
    category = unicodedata.category(char) if char else ""
    plain = category[:1] in tuple("LMN") or category in _PLAIN_CATEGORIES or char in tuple("\"'")
    return char if plain else found.group()


def spell_characters(text: str) -> str:
    """Return a text that is read character by character, with a short pause between its words."""
    return _with_commas(" ".join(_characters(word)) for word in text.split())


def _characters(word: str) -> list[str]:
    """Return what a reader sees as a character each: with its accents."""
    characters: list[str] = []
    for char in word:
        if characters and are_one(characters[-1][-1], char):
            characters[-1] += char
        else:
            characters.append(char)
    return characters


def spell_digits(text: str) -> str:
    """Return a text whose digits are read one by one, and its words as they are."""
    return _with_commas(" ".join(re.findall(r"\d|[^\W\d_]+|[^\s\w]|_", word)) for word in text.split())


def _with_commas(words: Iterable[str]) -> str:
    """Return words with a comma between two, unless another mark is there."""
    return re.sub(r"([.,:;!?]), ", r"\1 ", ", ".join(words))


def spell_telephone(text: str) -> str:
    """Return a telephone number that is read digit by digit, with a short pause between its groups."""
    groups = re.findall(r"\+?\w+|[#*]", text)
    return ", ".join(spell_digits(group) for group in groups)


def _add_replaced(result: MarkedText, replaced: _Replaced) -> None:
    """Add an element's content; the space around it is read as space."""
    content = replaced.text
    written = content.strip()
    lead = content[: len(content) - len(content.lstrip())]
    result.add(lead)
    if written:
        result.add(written, replaced.spoken())
    result.add(content[len(lead) + len(written) :])


def _attributes(text: str) -> dict[str, str]:
    return {
        _XML_LANG.sub("xml:lang", "".join(name.split()).lower()): _value(value)
        for name, value in _ATTRIBUTE.findall(text)
        if _value(value)
    }


def _value(value: str) -> str:
    if value[0] in "\"'“”„‘’«»":
        return html.unescape(value[1:-1]).strip()
    return html.unescape(value.rstrip("/").strip("`,;"))


def _pause(attributes: dict[str, str]) -> float:
    # The framework's chunker may have cut a number in two.
    time = _GROUP.sub("", "".join(attributes.get("time", "").split()))
    found = _TIME.match(time.replace(",", "."))
    if found is None:
        strength = attributes.get("strength", "medium").lower()
        return _STRENGTHS.get(strength, _STRENGTHS["medium"])
    seconds = float(found[1]) / (1000 if found[2] else 1)
    return min(seconds, LONGEST_PAUSE)


def _rate(value: str) -> float | None:
    value = "".join(value.split()).lower()
    if value in _RATES:
        return _RATES[value]
    if found := _PERCENT.match(value):
        share = float(found[2]) / 100
        rate = {"+": 1 + share, "-": 1 - share}.get(found[1], share)
    elif _NUMBER.match(value):
        rate = float(value)
        rate = rate / 100 if rate > _MOST_TIMES else rate  # The percent sign was forgotten.
    else:
        return None
    return rate if rate > 0 else None


def next_token(text: str, place: int, *, ended: bool) -> Token | None:
    """Return what stands at a place of ``text``; None where only more text tells it."""
    begin = _first_of(text, "<&", place)
    if begin > place:
        return Token(begin, text[place:begin], plain=True)
    tag = _TAG.match(text, place)
    if tag is not None and len(tag.group()) <= _LONGEST_TAG:
        return Token(tag.end(), tag["characters"] or "", tag)
    reference = _ENTITY.match(text, place)
    if reference is not None:
        return Token(reference.end(), html.unescape(reference.group()))
    if not ended and _may_go_on(text, place):
        return None
    return _read_sloppy(text, place) or Token(place + 1, text[place], plain=True)


def _read_sloppy(text: str, place: int) -> Token | None:
    """Return a tag that isn't written as it should be."""
    loose = LOOSE_TAG.match(text, place)
    if loose is not None and len(loose.group()) <= _LONGEST_TAG:
        return Token(loose.end(), tag=_TAG.match(repaired(loose)))
    length = _length_of_broken(text, place)
    return Token(place + length) if length else None


def _may_go_on(text: str, place: int) -> bool:
    rest = text[place:]
    if rest[0] == "&":
        return _UNFINISHED_ENTITY.match(rest) is not None
    if len(rest) > _LONGEST_TAG:
        return False
    return (_UNFINISHED_TAG.match(rest) or UNFINISHED_LOOSE_TAG.match(rest)) is not None


def _length_of_broken(text: str, place: int) -> int:
    """Return the length of a known tag that is broken off, as far as it goes; 0 if it is text."""
    found = _BROKEN.match(text, place)
    # "x<s" is more likely a comparison.
    if found is None or found["name"].lower() not in _ELEMENTS - {"p", "s", "w"}:
        return 0
    end = text.find(">", place)
    # It was held up to there: otherwise it would depend on how the text has come.
    closed = end >= 0 and _may_go_on(text[:end], place)
    return end + 1 - place if closed else len(found.group())


def _first_of(text: str, chars: str, begin: int) -> int:
    places = [place for char in chars if (place := text.find(char, begin)) >= 0]
    return min(places, default=len(text))

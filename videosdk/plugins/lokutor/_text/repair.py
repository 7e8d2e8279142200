r"""Tags of speech markup with a slip of the pen, as they were meant.

Rule of this file: pure. It knows how such a tag may look, and writes it as SSML has it. What a tag does is
:mod:`.markup`'s.

An element's name in front, a ``>`` nearby and no other ``<`` before it make a tag, whatever is between:
``<lang="ca">``, ``<break time=500 ms/>``, ``<lang xml:lang=\"ca\">``. It is never text. A value that can be
read is used.
"""

from __future__ import annotations

import html
import re

_OWN = {
    "break": "time", "lang": "xml:lang", "prosody": "rate", "say-as": "interpret-as", "sub": "alias",
    "voice": "name",
}  # fmt: skip
"""The attribute that is meant where an element itself has a value."""
_KNOWN = (
    "audio|break|desc|emphasis|lang|lexicon|lookup|mark|metadata|meta|phoneme|prosody|say-as|speak|spell|sub"
    "|token|voice"
)
"""Those of one letter are missing: ``x <s / 2>`` is no tag."""
_NEARBY = 120
"""Characters to the ``>`` at most. Text that follows a ``<break time=`` by mistake waits no longer."""
_QUOTES = "\"'`“”„‘’«»"
_SIGNS = rf"=:/\\,;{_QUOTES}"
_WORD = rf"[^\s<>{_SIGNS}]"
_TAIL = rf"[{_SIGNS}][^<>]{{0,{_NEARBY}}}"
# A tag of any name, if its attributes show that it is one.
_ATTRIBUTES = rf"""\s+[\w.:-]{{1,40}}\s*=\s*[\\{_QUOTES}][^<>]{{0,{_NEARBY}}}"""
_FLAGS = re.IGNORECASE | re.DOTALL

LOOSE_TAG = re.compile(
    rf"<\s*(?P<loose_close>/?)\s*(?:(?P<loose_name>{_KNOWN})(?![\w.-])"
    rf"(?P<loose_tail>\s*{_TAIL}|\s+{_WORD}{{1,40}}\s*(?:{_TAIL})?)"
    rf"|(?P<other_name>[A-Za-z][\w.:-]{{0,40}})(?P<other_tail>{_ATTRIBUTES}|\s*/\s+))>",
    _FLAGS,
)
"""What is meant as a tag. Ask for a correct one first."""
UNFINISHED_LOOSE_TAG = re.compile(
    rf"<\s*/?\s*(?:(?:{_KNOWN})(?![\w.-])(?:\s*{_TAIL}|\s+{_WORD}{{0,40}}\s*(?:{_TAIL})?)"
    rf"|[A-Za-z][\w.:-]{{0,40}}(?:{_ATTRIBUTES}|\s*/\s*))$",
    _FLAGS,
)
"""The same as long as its end is missing."""
_KEY = re.compile(
    r"(?<![\w.:-])(?:(?P<language>xml\s*[:._-]\s*lang)|"
    r"(?P<known>alias|interpret-as|lang|name|rate|strength|time))\s*[=:]+|(?<![\w.:-])[A-Za-z][\w.:-]*\s*=",
    re.IGNORECASE,
)
_TIME = re.compile(r"[+]?[\d.,]+\s*(?:m|milli)?s(?:ecs?|econds?)?", re.IGNORECASE)
_STRENGTH = re.compile(r"none|(?:x-)?(?:weak|strong)|medium", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_]\w+)?", re.IGNORECASE)
_VOICE = re.compile(r"(?=\D*\d)[\w-]+")


def repaired(loose: re.Match[str]) -> str:
    """Return a match of :data:`LOOSE_TAG` as a correct tag, with the attributes that can be read."""
    name = (loose["loose_name"] or loose["other_name"]).lower()
    if loose["loose_close"]:
        return f"</{name}>"
    tail = (loose["loose_tail"] or loose["other_tail"] or "").replace("\\", "").rstrip()
    empty = "/" if tail.endswith("/") else ""
    attributes = _read(name, tail.rstrip("/"))
    written = "".join(f' {key}="{html.escape(html.unescape(value))}"' for key, value in attributes.items())
    return f"<{name}{written}{empty}>"


def _read(name: str, tail: str) -> dict[str, str]:
    keys = list(_KEY.finditer(tail))
    ends = [*(key.start() for key in keys), len(tail)]
    attributes = {
        "xml:lang" if key["language"] else key["known"].lower(): _unquoted(tail[key.end() : end])
        for key, end in zip(keys, ends[1:], strict=True)
        if key["language"] or key["known"]
    }
    attributes = {**_read_own(name, tail[: ends[0]]), **attributes}
    return {key: value for key, value in attributes.items() if value}


def _read_own(name: str, text: str) -> dict[str, str]:
    """Return what an element's own value means, as in ``<lang="ca">`` and ``<break 500ms/>``."""
    value = _unquoted(text)
    if name == "break" and _STRENGTH.fullmatch(value):
        return {"strength": value}
    plain = {"break": _TIME, "lang": _LANGUAGE, "voice": _VOICE}.get(name)
    given = text.lstrip()[:1] in tuple(f"=:{_QUOTES}")
    if name in _OWN and (given or (plain is not None and plain.fullmatch(value))):
        return {_OWN[name]: value}
    return {}


def _unquoted(value: str) -> str:
    return value.strip(" \t\r\n,;=:").strip(_QUOTES).strip()

"""Probes of what a request may hold, and what it does."""

from __future__ import annotations

from statistics import median
from typing import Any

from .findings import Finding, judged, unknown
from .lab import LENGTHS, SHORT, Lab, probe
from .replies import Reply

_FASTER = (1.6, 2.25)
"""How much faster speed 2.0 is than the default of 1.05: 1.9 times, but that a voice may keep its pauses."""
_PRICE = ("Pay $7,777.", "Pay seven thousand seven hundred seventy-seven dollars.")
_YEAR = "1999."
_YEAR_IN_WORDS = {"es": "Mil novecientos noventa y nueve.", "en": "Nineteen ninety-nine."}
_READ = 0.8
"""Part of the length of the words that the digits take at least where they are read."""
_SAME = 0.05
"""Seconds by which two replies to one request may differ: where the second goes on for the first, so much of
a sound is heard twice, or not at all."""
_CUT_OFF = 0.8
"""Part of the usual length for each character, below which a long text wasn't spoken whole. Only visemes tell
less from a faster reading."""
_CUT_SHORT = 0.95
"""Part of the length that its visemes tell, below which it wasn't either."""
_LAST_WORDS = 12
"""Characters within which the last sound lies."""


@probe("defaults")
async def probe_defaults(lab: Lab) -> Finding:
    """Leave everything out but the text."""
    return _spoken(await lab.ask({"text": SHORT}))


@probe("unknown-keys")
async def probe_unknown_keys(lab: Lab) -> Finding:
    """Send a key that no service knows, beside both spellings of the language."""
    message = lab.request(SHORT, language="en", lang="en", x_of_nobody=True)
    return _spoken(await lab.ask(message))


@probe("language")
async def probe_language(lab: Lab) -> Finding:
    """Send a language that doesn't exist: who reads it refuses it."""
    return await _is_read(lab, language="xx", lang=None)


@probe("lang")
async def probe_lang(lab: Lab) -> Finding:
    """Do the same with the older spelling."""
    return await _is_read(lab, lang="xx", language=None)


async def _is_read(lab: Lab, **fields: Any) -> Finding:
    reply = await lab.ask(lab.request(SHORT, **fields))
    return judged(
        not reply.pcm and reply.error is not None, f"a language that doesn't exist: {reply.outcome}"
    )


@probe("new-voices")
async def probe_new_voices(lab: Lab) -> Finding:
    """Ask for a voice by its new name."""
    return _spoken(await lab.ask(lab.request(SHORT, voice="en_f1")))


@probe("old-voices")
async def probe_old_voices(lab: Lab) -> Finding:
    """Ask for a voice by its old name."""
    return _spoken(await lab.ask(lab.request(SHORT, voice="F1")))


@probe("speed")
async def probe_speed(lab: Lab) -> Finding:
    """Say the same twice as fast."""
    slow = await lab.plain()
    fast = await lab.ask(lab.request(slow.text, speed=2.0))
    if not (slow.sounding and fast.sounding):
        return unknown(fast.outcome)
    ratio = slow.sounding / fast.sounding
    return judged(_FASTER[0] < ratio < _FASTER[1], f"{ratio:.2f} times as fast as at 1.05, for 1.90")


@probe("steps")
async def probe_steps(lab: Lab) -> Finding:
    """Ask for the fewest and the most steps."""
    replies = [await lab.ask(lab.request(SHORT, steps=steps)) for steps in (1, 50)]
    took = [f"{steps}: {_timed(reply)}" for steps, reply in zip((1, 50), replies, strict=True)]
    return judged(all(reply.pcm for reply in replies), ", ".join(took))


def _timed(reply: Reply) -> str:
    if reply.first_audio is None:
        return reply.outcome
    return f"first audio after {reply.first_audio * 1000:.0f} ms"


@probe("model")
async def probe_model(lab: Lab) -> Finding:
    """Ask for a model by its name."""
    return _spoken(await lab.ask(lab.request(SHORT, version="versa-1.0")))


def _spoken(reply: Reply) -> Finding:
    return judged(bool(reply.pcm), reply.outcome)


@probe("long-text")
async def probe_long_text(lab: Lab) -> Finding:
    """Look at the longest text: whether it is as long as the others, and its visemes, let expect."""
    replies = await lab.passages()
    others = [reply for reply in replies if min(LENGTHS) < len(reply.text) < max(LENGTHS)]
    longest = max(replies, key=lambda reply: len(reply.text))
    evidence = f"{len(longest.text)} characters: {longest.outcome}"
    if not (longest.spoken or (longest.pcm and longest.is_unended)):  # Its end is another fact.
        return judged(False, evidence)
    usual = median(reply.sounding / len(reply.text) for reply in others) * len(longest.text)
    if not usual:
        return unknown("the shorter texts have no sound")
    evidence += f", {longest.sounding / usual:.0%} of what the shorter ones let expect"
    whole = longest.sounding > _CUT_OFF * usual
    measured = await lab.measured()
    if _reaches(measured) and longest.sounds:
        evidence += f"; its last viseme is at {longest.sounds[-1].index}"
        whole = whole and _reaches(longest) and _told(longest) > _CUT_SHORT * _told(measured)
    return judged(whole, evidence)


def _reaches(reply: Reply) -> bool:
    """Return whether the last sound belongs to the last words."""
    return bool(reply.sounds) and reply.sounds[-1].index >= len(reply.text) - _LAST_WORDS


def _told(reply: Reply) -> float:
    """Return how long the sound is beside what its visemes say."""
    return reply.sounding / max(reply.sounds[-1].start - reply.sounds[0].start, 0.001)


@probe("repeatable")
async def probe_repeatable(lab: Lab) -> Finding:
    """Compare two replies to the same request."""
    first, second = await lab.twice()
    if not (first.pcm and second.pcm):
        return unknown(second.outcome)
    lengths = f"{first.seconds:.3f} s and {second.seconds:.3f} s"
    alike = abs(first.seconds - second.seconds) <= _SAME
    return judged(alike, f"{lengths}, {_likeness(first.pcm, second.pcm)}")


def _likeness(first: bytes, second: bytes) -> str:
    shorter = min(len(first), len(second))
    if first[:shorter] == second[:shorter]:
        return "byte for byte the same as far as the shorter goes"
    place = next(n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return f"different from byte {place} on"


@probe("numbers")
async def probe_numbers(lab: Lab) -> Finding:
    """Compare how long a price takes in digits and in words."""
    digits, words = [await lab.ask(lab.request(text)) for text in _PRICE]
    if not words.sounding:
        return unknown(words.outcome)
    ratio = digits.sounding / words.sounding
    return judged(ratio >= _READ, f"a price in digits takes {ratio:.0%} of the time of its words")


@probe("number-language")
async def probe_number_language(lab: Lab) -> Finding:
    """Compare how long a number takes in Spanish with its words in Spanish and in English."""
    in_spanish = lab.in_language("es")
    number = await lab.ask(lab.request(_YEAR, **in_spanish))
    words = {code: await lab.ask(lab.request(text, **in_spanish)) for code, text in _YEAR_IN_WORDS.items()}
    if not all(reply.sounding for reply in (number, *words.values())):
        return unknown(number.outcome)
    nearest = min(words, key=lambda code: abs(words[code].sounding - number.sounding))
    took = ", ".join(f"in {code} words {reply.sounding:.2f} s" for code, reply in words.items())
    return judged(nearest == "es", f"a year in Spanish takes {number.sounding:.2f} s, {took}")

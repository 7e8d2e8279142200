"""Probes of the timing messages: their units, their base, their order and when they come."""

from __future__ import annotations

import json
from itertools import pairwise

from .._timing.words import is_sound
from .._wire.discovery import shape_of
from .findings import Finding, differing, judged, unknown
from .lab import Lab, probe
from .probe_replies import misread, rate_in_seconds, unit_of
from .replies import Reply

_UNICODE = "😀😀 El señor Núñez dijo: 😀 déjà vu, así fue, y yo"
"""Counted in bytes or in UTF-16, its last word lies behind its end; in another text, somewhere else."""
_IN_SECONDS = (0.5, 1.1)
"""Where the last sound of a reply begins, as a part of its audio."""
_EARLY = 0.5
"""Part of the first request's audio within which the second's first viseme comes, if it counts anew."""
_SHIFT = 0.15
"""Seconds between the first viseme and the first sound that a soft consonant may take."""
_KEYS = (("v", "id"), ("c", "char"), ("t", "timestamp"))
"""Of a viseme, with their older spellings."""
_SHAPES = 2
_SHORT_VALUE = 12
"""Characters of a value that is shown."""
_PARTLY_READ = "Those that can't be read are left out: words are estimated there, and the mouth rests."
_LATENESS = 0.05
"""Seconds: nobody sees or hears them."""


@probe("visemes")
async def probe_visemes(lab: Lab) -> Finding:
    """Ask for visemes."""
    reply, second = await lab.timed()
    unread = _unread(reply)
    if reply.visemes:
        evidence = f"{len(reply.visemes)} in {len(reply.timing)} messages, for {len(reply.text)} characters"
        return differing(f"{evidence}; {unread}", _PARTLY_READ) if unread else judged(True, evidence)
    if unread:
        return judged(False, unread)
    if second.visemes:
        evidence = "none before the end; in front of the next request's, there are visemes of this one"
        return judged(False, f"{evidence}: they come behind the end")
    besides = f"; what came: {', '.join(reply.came_besides)}" if reply.came_besides else ""
    return judged(False, f"none; {reply.outcome}{besides if reply.spoken else ''}")


def _unread(reply: Reply) -> str:
    """Return what timing came that can't be read, and why, or nothing."""
    items = reply.unread_visemes
    if not items:
        return ""
    shapes = list(dict.fromkeys(map(_fault_of, items)))[:_SHAPES]
    return f"{len(items)} came that can't be read: {'; '.join(shapes)}"


def _fault_of(item: object) -> str:
    """Return why a viseme can't be read, by its shape."""
    if not isinstance(item, dict):
        return shape_of(item)
    lacking = [keys[0] for keys in _KEYS if not any(key in item for key in keys)]
    if lacking:
        return f"without {', '.join(f'`{key}`' for key in lacking)}: {shape_of(item)}"
    found = {key: item[key] for keys in _KEYS for key in keys if key in item}
    return ", ".join(f"`{key}` is {_value(value)}" for key, value in found.items())


def _value(value: object) -> str:
    """Return a value, or only its shape where it is long: it may be anything."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT_VALUE else shape_of(value)


@probe("visemes-off")
async def probe_visemes_off(lab: Lab) -> Finding:
    """Look for visemes where nobody asked."""
    count = len((await lab.plain()).visemes)
    return judged(not count, f"{count} came")


@probe("viseme-index")
async def probe_viseme_index(lab: Lab) -> Finding:
    """Look which characters the visemes name, in English and with accents and emoji."""
    plain, _ = await lab.timed()
    if not plain.visemes:
        return unknown("there are no visemes")
    accented = await lab.ask(lab.request(_UNICODE, visemes=True, **lab.in_language("es")))
    begins = _indices(plain)[0]
    reached = [_reach(reply) for reply in (plain, accented)]
    evidence = (
        f"from {begins}; the last sound is at {_shown(plain)}, with accents and emoji at {_shown(accented)}"
    )
    if not accented.visemes:
        return judged(begins == 0 and reached[0], f"{evidence}: {accented.outcome}")
    return judged(begins == 0 and all(reached), evidence)


def _indices(reply: Reply) -> list[int]:
    return sorted(item.index for item in reply.visemes if is_sound(item.sound)) or [-1]


def _reach(reply: Reply) -> bool:
    """Return whether the last sound lies in the last word."""
    return reply.text.rindex(" ") < _indices(reply)[-1] < len(reply.text)


def _shown(reply: Reply) -> str:
    return f"{_indices(reply)[-1]} of {len(reply.text)}"


@probe("viseme-unit")
async def probe_viseme_unit(lab: Lab) -> Finding:
    """Hold the last time against the length of the audio."""
    if other := await misread(lab):
        return other
    reply, _ = await lab.timed()
    if not (reply.visemes and reply.pcm):
        return unknown("there are no visemes")
    starts = [item.start for item in reply.visemes]
    last = max(starts)
    ratio = (last - min(starts)) / reply.seconds  # Whether they are shifted is another fact.
    evidence = f"the last says {last:g}, of {reply.seconds:.2f} s"
    if _IN_SECONDS[0] < ratio < _IN_SECONDS[1]:
        return judged(True, evidence)
    measured = await lab.measured()
    stereo = measured.waveform.channels
    if stereo is not None:
        return unknown(f"{evidence}, and {stereo}")
    rate = rate_in_seconds(measured)
    if rate is not None:  # One of both is wrong. No unit of time is so near to a second.
        return judged(True, f"{evidence}, which are seconds if the audio is at {rate} Hz")
    unit = unit_of(measured)
    return judged(False, f"{evidence}: as in {unit}" if unit else evidence)


@probe("viseme-base")
async def probe_viseme_base(lab: Lab) -> Finding:
    """Look where the second request on a connection begins to count."""
    first, second = await lab.timed()
    if not (first.visemes and second.visemes):
        return unknown("there are no visemes")
    start = min(item.start for item in second.visemes)
    evidence = f"the second request's begin at {start:g}, behind {first.seconds:.2f} s of the first"
    return judged(start < _EARLY * max(item.start for item in first.visemes), evidence)


@probe("viseme-start")
async def probe_viseme_start(lab: Lab) -> Finding:
    """Hold the time of the first viseme against the first sound of the audio."""
    if other := await misread(lab):
        return other
    reply, _ = await lab.timed()
    if not (reply.sounds and reply.sounding):
        return unknown("there are no visemes")
    told, heard = reply.sounds[0].start, reply.silence[0]
    evidence = f"the first viseme says {told:.2f} s, and the first sound is at {heard:.2f} s"
    return judged(abs(told - heard) < _SHIFT, evidence)


@probe("viseme-order")
async def probe_viseme_order(lab: Lab) -> Finding:
    """Look whether times and characters ever go back."""
    items = (await lab.timed())[0].visemes
    if not items:
        return unknown("there are no visemes")
    times = sum(after.start < before.start for before, after in pairwise(items))
    indices = sum(after.index < before.index for before, after in pairwise(items))
    return judged(not times + indices, f"{times} times and {indices} characters go back, of {len(items)}")


@probe("viseme-lateness")
async def probe_viseme_lateness(lab: Lab) -> Finding:
    """Compare what a message times with the audio that had come before it."""
    if other := await misread(lab):
        return other
    timing = (await lab.timed())[0].timing
    if not timing:
        return unknown("there are no visemes")
    late = max(heard - min(item.start for item in items) for heard, items in timing)
    shown = (
        f"up to {late * 1000:.0f} ms behind its audio"
        if late > 0
        else f"at least {-late * 1000:.0f} ms ahead"
    )
    return judged(late < _LATENESS, f"{len(timing)} messages, {shown}")

"""Probes of the timing messages: their units, their base, their order and when they come."""

from __future__ import annotations

from itertools import pairwise

from .._timing.words import is_sound
from .findings import Finding, judged, unknown
from .lab import Lab, probe
from .replies import Reply

_UNICODE = "😀😀 El señor Núñez dijo: 😀 déjà vu, así fue, y yo"
"""Counted in bytes or in UTF-16, its last word lies behind its end; in another text, somewhere else."""
_IN_SECONDS = (0.5, 1.1)
"""Where the last sound of a reply begins, as a part of its audio."""
_EARLY = 0.5
"""Part of the first request's audio within which the second's first viseme comes, if it counts anew."""
_SHIFT = 0.15
"""Seconds between the first viseme and the first sound that a soft consonant may take."""
_LATENESS = 0.05
"""Seconds: nobody sees or hears them."""


@probe("visemes")
async def probe_visemes(lab: Lab) -> Finding:
    """Ask for visemes."""
    reply, _ = await lab.timed()
    evidence = f"{len(reply.visemes)} in {len(reply.timing)} messages, for {len(reply.text)} characters"
    return judged(bool(reply.visemes), evidence if reply.visemes else f"none; {reply.outcome}")


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
    reply, _ = await lab.timed()
    if not (reply.visemes and reply.pcm):
        return unknown("there are no visemes")
    starts = [item.start for item in reply.visemes]
    last = max(starts)
    ratio = (last - min(starts)) / reply.seconds  # Whether they are shifted is another fact.
    return judged(
        _IN_SECONDS[0] < ratio < _IN_SECONDS[1], f"the last says {last:g}, of {reply.seconds:.2f} s"
    )


@probe("viseme-base")
async def probe_viseme_base(lab: Lab) -> Finding:
    """Look where the second request on a connection begins to count."""
    first, second = await lab.timed()
    if not second.visemes:
        return unknown("there are no visemes")
    start = min(item.start for item in second.visemes)
    evidence = f"the second request's begin at {start:g}, behind {first.seconds:.2f} s of the first"
    return judged(start < _EARLY * max(item.start for item in first.visemes), evidence)


@probe("viseme-start")
async def probe_viseme_start(lab: Lab) -> Finding:
    """Hold the time of the first viseme against the first sound of the audio."""
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

"""Probes of what comes for a request: its audio, its end, and what else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import eq
from statistics import median

from .._audio.pcm import SAMPLE_RATE, SAMPLE_WIDTH
from .._wire.protocol import Audio, EndOfRequest
from .findings import Finding, judged, unknown
from .lab import SHORT, Lab, probe
from .replies import Ending, Reply, fit, is_smoother_unsigned, roughness, whole

_SMOOTH = 0.8
"""Roughness below which audio can be speech."""
_SMOOTHER = 1.5
"""How much rougher it must be with its bytes swapped, and may be without its sign."""
_CONTAINERS = {b"RIFF": "WAV", b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"fLaC": "FLAC"}
_LAST_SOUND = (-0.05, 0.45)
"""Seconds from the start of the last viseme to where the sound ends: from less than none, as a sound fades
into what counts as silence, to a long vowel."""
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, SAMPLE_RATE, 48_000, 88_200, 96_000)
"""Rates that audio is made at."""
_STEREO = 0.99
"""Part of the pairs of samples that are equal in stereo of one voice."""
_SILENT = "all of the audio is silence"
_LONGEST_SILENCE = 0.4
_FIRST_AUDIO = 0.3
_SLOPE = 0.0002
"""Seconds for each character that don't matter: a tenth of a second for 500."""
_ERRORS = 2.0
"""Standard errors by which a slope must be above 0."""
_BRIEF = 80
"""Characters up to which a request counts as short."""
_MEASURABLE = 200
"""Characters from which on a reply is long enough to tell how fast it is made."""


@probe("pcm")
async def probe_pcm(lab: Lab) -> Finding:
    """Look whether the audio is a curve, and not noise, if it is read as it should be."""
    return format_of(await lab.plain())


def format_of(reply: Reply) -> Finding:
    """Return whether a reply's audio has the format that it should have."""
    pcm = reply.pcm
    if not pcm:
        return unknown("no audio")
    if not reply.sounding:
        return judged(False, _SILENT)
    name = next((name for head, name in _CONTAINERS.items() if pcm.startswith(head)), None)
    if name is not None:
        return judged(False, f"it begins like {name}")
    if is_smoother_unsigned(pcm, _SMOOTHER):
        return judged(False, "it is a curve only if the samples are unsigned")
    little, big = roughness(pcm), roughness(pcm, big=True)
    evidence = f"neighbouring samples differ by {little:.2f} of their size, with the bytes swapped {big:.2f}"
    return judged(little < _SMOOTH and little * _SMOOTHER < big, evidence)


@probe("sample-rate")
async def probe_sample_rate(lab: Lab) -> Finding:
    """Hold the length of a passage against the times of its first sound and its last."""
    return rate_of(await lab.measured())


def rate_of(reply: Reply) -> Finding:
    """Return whether a reply's audio has the sample rate that it should have, as far as its visemes tell.

    How long its last sound is, they don't: the shorter the reply, the less is certain. Where they are wrong
    themselves, or agree with audio at a wrong rate, nothing but an ear could tell.
    """
    if reply.pcm and not reply.sounding:
        return unknown(_SILENT)
    if _is_stereo(reply.pcm):
        return judged(False, "each sample comes twice, as in stereo")
    between = reply.sounds[-1].start - reply.sounds[0].start if reply.sounds else 0.0
    if not (reply.pcm and between > -_LAST_SOUND[0]):
        return unknown("there are no visemes to measure it by")
    high, low = (SAMPLE_RATE * reply.sounding / (between + last) for last in _LAST_SOUND)
    possible = [rate for rate in _RATES if low <= rate <= high]
    evidence = f"mono; by the visemes of {between:.1f} s, it is {low:.0f} to {high:.0f} Hz"
    if SAMPLE_RATE in possible and len(possible) > 1:
        return unknown(f"{evidence}: too short to tell")
    return judged(SAMPLE_RATE in possible, evidence)


def _is_stereo(pcm: bytes) -> bool:
    pairs = len(pcm) // (2 * SAMPLE_WIDTH)
    left, right = (whole(pcm)[start::4] for start in (0, 2))
    equal = sum(map(eq, left, right))
    return pairs > SAMPLE_RATE // 10 and equal / pairs > _STEREO


@probe("binary-audio")
async def probe_binary_audio(lab: Lab) -> Finding:
    """Look how the audio came."""
    came = [came for came in (await lab.plain()).messages if isinstance(came.event, Audio)]
    if not came:
        return unknown("no audio")
    binary = sum(item.binary for item in came)
    return judged(binary == len(came), f"{binary} of {len(came)} messages with audio were binary")


@probe("whole-samples")
async def probe_whole_samples(lab: Lab) -> Finding:
    """Look at the sizes of all that has come."""
    replies = [reply for reply in [await lab.plain(), *lab.replies] if reply.pcm]
    if not replies:
        return unknown("no audio")
    sizes = [size for reply in replies for _, size in reply.arrivals]
    odd = sum(size % SAMPLE_WIDTH for size in sizes)
    broken = sum(len(reply.pcm) % SAMPLE_WIDTH for reply in replies if reply.ending is Ending.END)
    messages = f"{len(sizes)} messages of {min(sizes)} to {max(sizes)} bytes, {odd} of them odd"
    return judged(
        not broken, f"{messages}; {broken} of {len(replies)} requests end in the middle of a sample"
    )


@probe("end")
async def probe_end(lab: Lab) -> Finding:
    """Look how requests end."""
    async with lab.wire() as wire:
        reply = await lab.ask(lab.request(SHORT), wire)
        rest = await wire.rest(lab.limits.quiet)
    if reply.ending is not Ending.END:
        return judged(False, reply.outcome)
    spellings = [reply.end_spelling, *(event.spelling for event in rest if isinstance(event, EndOfRequest))]
    return judged(True, " and ".join(f"{spelling} in {_form(spelling)}" for spelling in spellings))


def _form(spelling: str | None) -> str:
    return "plain text" if spelling == "EOS" else "JSON"


@probe("known-messages")
async def probe_known_messages(lab: Lab) -> Finding:
    """Look for messages that nobody has told of."""
    await lab.timed()
    kinds = {_kind(text) for reply in lab.replies for text in reply.unknown}
    return judged(not kinds, "of unknown kinds: " + ", ".join(sorted(kinds)) if kinds else "none was seen")


def _kind(text: str) -> str:
    """Return what kind of message it is, without what it says."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return f"text of {len(text)} characters"
    if not isinstance(value, dict):
        return f"JSON {type(value).__name__}"
    return f"type {value.get('type')!r} with {', '.join(sorted(map(str, value)))}"[:100]


@probe("silence")
async def probe_silence(lab: Lab) -> Finding:
    """Measure the silence around the speech."""
    replies = [reply for reply in [*await lab.twice(), *await lab.passages()] if reply.sounding]
    if not replies:
        return unknown("no sound")
    front, behind = zip(*(reply.silence for reply in replies), strict=True)
    return judged(max(front) < _LONGEST_SILENCE, f"in front {_range(front)}, behind {_range(behind)}")


def _range(seconds: Iterable[float]) -> str:
    values = sorted(seconds)
    return f"{values[0] * 1000:.0f} to {values[-1] * 1000:.0f} ms"


@probe("first-audio")
async def probe_first_audio(lab: Lab) -> Finding:
    """Measure how long short requests take."""
    times = [seconds for length, seconds in _first_audio(await lab.passages()) if length <= _BRIEF]
    if not times:
        return unknown("no audio")
    way = lab.client.way
    took = f"median {median(times) * 1000:.0f} ms, {_range(times)}, over {len(times)} short requests"
    evidence = f"{took}; the way there and back takes {way * 1000:.0f} ms of them, by the fastest handshake"
    return judged(median(times) - way <= _FIRST_AUDIO, evidence)


@probe("first-audio-length")
async def probe_first_audio_length(lab: Lab) -> Finding:
    """Fit a line through the times of all lengths."""
    points = _first_audio(await lab.passages())
    if len({length for length, _ in points}) < 3:  # noqa: PLR2004 - as many as a fit needs
        return unknown("too few replies")
    line = fit(points)
    lengths = f"{len(points)} requests of {_lengths(points)} characters"
    slope = f"{line.slope * 100_000:+.1f} ± {line.error * 100_000:.1f} ms for each 100 characters"
    flat = line.slope < max(_SLOPE, _ERRORS * line.error)
    return judged(flat, f"{line.base * 1000:.0f} ms {slope}, over {lengths}")


def _lengths(points: list[tuple[int, float]]) -> str:
    lengths = sorted(length for length, _ in points)
    return f"{lengths[0]} to {lengths[-1]}"


def _first_audio(replies: Iterable[Reply]) -> list[tuple[int, float]]:
    return [(len(reply.text), reply.first_audio) for reply in replies if reply.first_audio is not None]


@probe("real-time")
async def probe_real_time(lab: Lab) -> Finding:
    """Measure how fast long replies are made."""
    rates = [_rate(reply) for reply in await lab.passages() if len(reply.text) >= _MEASURABLE and reply.pcm]
    if not rates:
        return unknown("no audio")
    return judged(min(rates) > 1.0, f"{min(rates):.1f} seconds of audio a second, at the slowest")


def _rate(reply: Reply) -> float:
    """Return how many seconds of audio came in a second, from the request on."""
    return reply.seconds / max(reply.arrivals[-1][0], 0.001)

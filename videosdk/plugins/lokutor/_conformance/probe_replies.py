"""Probes of what comes for a request: its audio, its end, and what else."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from .._audio.pcm import SAMPLE_RATE, SAMPLE_WIDTH
from .._wire.protocol import Audio, EndOfRequest
from .findings import Finding, Verdict, differing, judged, unknown
from .formats import container_of, wav_header
from .lab import SHORT, Lab, probe
from .replies import Ending, Reply, fit, kind_of

_LAST_SOUND = (-0.05, 0.45)
"""Seconds from the start of the last viseme to where the sound ends: from less than none, as a sound fades
into what counts as silence, to a long vowel."""
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, SAMPLE_RATE, 48_000, 88_200, 96_000)
"""Rates that audio is made at."""
_MORE_ENDS = (
    "Nothing: the plugin knows such an end from that of the next request. Other clients may take it for an "
    "empty reply."
)
_UNITS = {
    "milliseconds": 1e3,
    "microseconds": 1e6,
    "samples": float(SAMPLE_RATE),
    "frames of 1/100 s": 100.0,
    "frames of 1/60 s": 60.0,
    "frames of 1/50 s": 50.0,
    "frames of 1/25 s": 25.0,
}
"""Units of a time that are usual, and how many of each a second has."""
_NOT_PCM = "All that is heard is noise: the plugin doesn't read {}."
_CLICKS = "Each header is heard as a click; the rest is right."
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
    if not reply.pcm:
        return unknown("no audio")
    if not reply.sounding:
        return judged(False, _SILENT)
    name = container_of(reply.pcm)
    if name is not None:
        return _format_of_file(reply, name)
    wave = reply.waveform
    if wave.encoding is not None:
        return differing(
            f"it is a curve only if it is read as {wave.encoding}", _NOT_PCM.format(wave.encoding)
        )
    little, big = wave.roughness, wave.swapped_roughness
    evidence = f"neighbouring samples differ by {little:.2f} of their size, with the bytes swapped {big:.2f}"
    return judged(wave.is_curve or wave.channels is not None, evidence)


def _format_of_file(reply: Reply, name: str) -> Finding:
    header = wav_header(reply.pcm)
    if header is None:
        return differing(f"it begins like {name}", _NOT_PCM.format(name))
    evidence = f"it begins with the header of a WAV, of {header.size} bytes ({header.says})"
    wave = reply.waveform
    if wave.encoding is not None:
        return differing(f"{evidence}; behind it, there is {wave.encoding}", _NOT_PCM.format(wave.encoding))
    if not wave.is_curve and wave.channels is None:
        return differing(f"{evidence}; behind it, there is no PCM", _NOT_PCM.format(name))
    pieces = [came.event.pcm for came in reply.messages if isinstance(came.event, Audio)]
    more = sum(wav_header(piece) is not None for piece in pieces) - 1
    which = f", and so do {more} more messages" if more > 0 else ""
    return differing(f"{evidence}{which}; the PCM behind it is as assumed", _CLICKS)


async def misread(lab: Lab) -> Finding | None:
    """Return that nothing can be measured by the audio, as it has another format, or None."""
    found = format_of(await lab.plain())
    if found.verdict is Verdict.DIFFERS and found.means != _CLICKS:
        return unknown(f"the audio has another format than assumed: {found.evidence}")
    return None


@probe("sample-rate")
async def probe_sample_rate(lab: Lab) -> Finding:
    """Hold the length of a passage against the times of its first sound and its last."""
    return await misread(lab) or rate_of(await lab.measured())


def rate_of(reply: Reply) -> Finding:
    """Return whether a reply's audio has the sample rate that it should have, as far as its visemes tell.

    How long its last sound is, they don't: the shorter the reply, the less is certain. Where they are wrong
    themselves, or agree with audio at a wrong rate, nothing but an ear could tell.
    """
    if reply.pcm and not reply.sounding:
        return unknown(_SILENT)
    stereo = reply.waveform.channels
    if stereo is not None:
        return judged(False, stereo)
    if not reply.pcm:
        return unknown(f"a text of {len(reply.text)} characters: {reply.outcome}")
    return _rate_by_visemes(reply)


def _rate_by_visemes(reply: Reply) -> Finding:
    between = spanned(reply)
    if between <= -_LAST_SOUND[0]:
        return unknown("there are no visemes to measure it by")
    unit = unit_of(reply)
    if unit is not None:
        return judged(True, f"mono; by the visemes, it is {SAMPLE_RATE} Hz if they are in {unit}")
    low, high = _rates_by(reply, between)
    evidence = f"mono; by the visemes of {between:.1f} s, it is {low:.0f} to {high:.0f} Hz"
    possible = [rate for rate in _RATES if low <= rate <= high]
    if not low <= _RATES[-1] or not high >= _RATES[0]:
        return unknown(f"{evidence}, which no audio has: the visemes can't be in seconds")
    if SAMPLE_RATE in possible and len(possible) > 1:
        return unknown(f"{evidence}: too short to tell")
    return judged(SAMPLE_RATE in possible, evidence)


def spanned(reply: Reply) -> float:
    """Return what lies between the first sound and the last, by the visemes."""
    return reply.sounds[-1].start - reply.sounds[0].start if reply.sounds else 0.0


def _rates_by(reply: Reply, between: float) -> tuple[float, float]:
    """Return the lowest and the highest rate that audio with so many seconds of visemes can have."""
    high, low = (SAMPLE_RATE * reply.sounding / (between + last) for last in _LAST_SOUND)
    return low, high


def rate_in_seconds(reply: Reply) -> int | None:
    """Return the rate that audio is usually made at and at which the visemes are in seconds, or None."""
    between = spanned(reply)
    if between <= -_LAST_SOUND[0]:
        return None
    low, high = _rates_by(reply, between)
    possible = [rate for rate in _RATES if low <= rate <= high]
    return min(possible, key=lambda rate: abs(rate - SAMPLE_RATE), default=None)


def unit_of(reply: Reply) -> str | None:
    """Return the unit other than seconds in which the visemes fit audio at the right rate, or None.

    Seconds come first: with audio at a rate that is usual, the rate is wrong, rather than the unit.
    """
    if not (reply.sounding and reply.sounds) or rate_in_seconds(reply) is not None:
        return None
    for unit, a_second in _UNITS.items():
        between = spanned(reply) / a_second
        if between > -_LAST_SOUND[0]:
            low, high = _rates_by(reply, between)
            if low <= SAMPLE_RATE <= high:
                return unit
    return None


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
    if other := await misread(lab):
        return other
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
    if reply.odd_end:
        return differing(f"in its place, this comes behind the audio: {reply.odd_end}")
    if reply.ending is not Ending.END:
        return judged(False, reply.outcome)
    spellings = [reply.end_spelling, *(event.spelling for event in rest if isinstance(event, EndOfRequest))]
    evidence = " and ".join(f"{spelling} in {_form(spelling)}" for spelling in spellings)
    if len(spellings) > 1 or lab.client.habits.more_ends:
        return differing(f"it comes more than once: {evidence}", _MORE_ENDS)
    return judged(True, evidence)


def _form(spelling: str | None) -> str:
    return "plain text" if spelling == "EOS" else "JSON"


@probe("known-messages")
async def probe_known_messages(lab: Lab) -> Finding:
    """Look for messages that nobody has told of."""
    if not lab.is_mute:
        await lab.timed()
    if not lab.replies:
        return unknown("nothing came")
    kinds = {kind_of(text) for reply in lab.replies for text in reply.unknown} - {lab.client.habits.end}
    return judged(not kinds, "of unknown kinds: " + ", ".join(sorted(kinds)) if kinds else "none was seen")


@probe("silence")
async def probe_silence(lab: Lab) -> Finding:
    """Measure the silence around the speech."""
    if other := await misread(lab):
        return other
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

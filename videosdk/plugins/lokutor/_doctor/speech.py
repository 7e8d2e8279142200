"""Checks of the speech itself: when it comes, and at which rate."""

from __future__ import annotations

from .._conformance.findings import Verdict
from .._conformance.lab import Lab
from .._conformance.probe_replies import probe_sample_rate
from .._conformance.replies import Reply
from ..errors import error_from_reply
from .lines import Line, note, ok, skipped, wrong
from .network import advice

_SLOW_AUDIO = 0.5
_LONG_SILENCE = 0.4


async def check_speech(lab: Lab) -> list[Line]:
    """Have a sentence spoken, twice on one connection."""
    first, _ = await lab.timed()
    if not first.pcm:
        return [
            _silent(first),
            *(skipped(name, "nothing was spoken") for name in ("first sound", "sample rate")),
        ]
    if not first.sounding:
        says = f"{first.seconds:.2f} s of audio, all of it silence"
        do = "try another voice; if that is silent too, report it to the service"
        return [
            _first_audio(first),
            wrong("first sound", says, do),
            skipped("sample rate", "nothing was heard"),
        ]
    return [_first_audio(first), _first_sound(first), await _sample_rate(lab)]


def _silent(reply: Reply) -> Line:
    if reply.error is None:
        return wrong("first audio", reply.outcome, "run 'lokutor conformance': it says where we are wrong")
    error = error_from_reply(reply.error.message, reply.error.code, reply.error.request_id)
    return wrong("first audio", str(error), advice(error))


def _first_audio(reply: Reply) -> Line:
    audio = reply.first_audio or 0.0
    do = "try fewer steps, or run nearer to the service" if audio > _SLOW_AUDIO else ""
    return _line("first audio", f"{audio * 1000:.0f} ms after the request", do)


def _first_sound(reply: Reply) -> Line:
    audio, silence = reply.first_audio or 0.0, reply.silence[0]
    says = f"{(audio + silence) * 1000:.0f} ms after the request, {silence * 1000:.0f} ms of them silence"
    return _line("first sound", says, "leave trim_silence on" if silence > _LONG_SILENCE else "")


def _line(name: str, says: str, do: str) -> Line:
    return note(name, says, do) if do else ok(name, says)


async def _sample_rate(lab: Lab) -> Line:
    finding = await probe_sample_rate(lab)
    match finding.verdict:
        case Verdict.HOLDS:
            return ok("sample rate", finding.evidence)
        case Verdict.DIFFERS:
            return wrong("sample rate", finding.evidence, "speech will sound wrong: please report it")
        case _:
            return skipped("sample rate", finding.evidence)

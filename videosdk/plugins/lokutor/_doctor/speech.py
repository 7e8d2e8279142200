"""Checks of the speech itself: when it comes, in which format and at which rate."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from .._conformance.findings import Finding, Verdict
from .._conformance.lab import SENTENCE, Lab
from .._conformance.probe_replies import format_of, rate_of
from .._conformance.replies import Ending, Reply
from ..errors import LokutorError, error_from_reply
from .lines import Health, Line, note, ok, skipped, wrong
from .network import advice

_SLOW_AUDIO = 0.5
_LONG_SILENCE = 0.4


async def check_speech(lab: Lab) -> AsyncGenerator[Line, None]:
    """Have a sentence spoken, and if it is heard, a passage that is long enough to measure."""
    reply = await lab.ask(lab.request(SENTENCE, visemes=True))
    if not reply.pcm:
        yield _silent(reply)
        for name in ("first sound", "end", "sample format", "sample rate"):
            yield skipped(name, "nothing was spoken")
        return
    yield _first_audio(reply)
    async with aclosing(_heard(lab, reply)) as lines:
        async for line in lines:
            yield line


async def _heard(lab: Lab, reply: Reply) -> AsyncGenerator[Line, None]:
    if not reply.sounding:
        says = f"{reply.seconds:.2f} s of audio, all of it silence"
        do = "try another voice; if that is silent too, report it to the service"
        yield wrong("first sound", says, do)
        yield _end(reply)
        for name in ("sample format", "sample rate"):
            yield skipped(name, "nothing was heard")
        return
    yield _first_sound(reply)
    yield _end(reply)
    formatted = _found("sample format", format_of(reply), "speech will be noise: please report it")
    yield formatted
    if formatted.health is Health.WRONG or reply.ending is not Ending.END:
        yield skipped("sample rate", "not while what is above is wrong")
        return
    try:
        measured = await lab.measured()
    except LokutorError as error:  # Such as a limit of requests a minute, which one more has reached.
        yield skipped("sample rate", str(error))
    else:
        yield _found("sample rate", rate_of(measured), "speech will sound wrong: please report it")


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


def _end(reply: Reply) -> Line:
    if reply.ending is Ending.END:
        return ok("end", f"behind {reply.seconds:.2f} s of audio")
    return wrong("end", reply.outcome, "run 'lokutor conformance', and report what it says: turns may hang")


def _line(name: str, says: str, do: str) -> Line:
    return note(name, says, do) if do else ok(name, says)


def _found(name: str, finding: Finding, do: str) -> Line:
    match finding.verdict:
        case Verdict.HOLDS:
            return ok(name, finding.evidence)
        case Verdict.DIFFERS:
            return wrong(name, finding.evidence, f"{finding.means} Please report it" if finding.means else do)
        case _:
            return skipped(name, finding.evidence)

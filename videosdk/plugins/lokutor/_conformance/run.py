"""Runs the probes, one fact after another.

Rule of this file: whatever a service does, a run ends with a verdict on each fact.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from .._wire.endpoint import Endpoint
from ..errors import ConfigurationError, LokutorError, NetworkError
from ..version import __version__
from . import probe_connections, probe_errors, probe_offers, probe_replies, probe_requests, probe_visemes
from .client import connected
from .facts import FACTS, Fact
from .findings import Finding, Report, Verdict, differing, judged, unknown
from .lab import PROBES, AllowanceError, Lab, Limits, Loss
from .replies import Ending, named

logger = logging.getLogger("videosdk.plugins.lokutor")
_FILLED = (probe_connections, probe_errors, probe_offers, probe_replies, probe_requests, probe_visemes)
_OWN_WAY = "path"
"""The fact that speaking at all shows to hold."""
_OF_PAIRS = "two-requests"
_OF_ENDS = "end"
_MANY = 3
"""Replies of which all were cut off, from which on that is no chance."""
_WITHOUT_SPEECH = frozenset(
    {
        "missing-key",
        "wrong-key",
        "ping",
        "voices",
        "languages",
        "models",
        "config",
        "health",
        "known-messages",
    }
)
"""Facts that can be found out where nothing is spoken."""
_CUT_OFF = (
    "Each reply is continued on another connection, until the tries are used up: little or nothing is heard."
)
_OF_KEYS = frozenset({"missing-key", "wrong-key"})
_REFUSED = 401
_NOTHING_SPOKEN = "nothing is spoken"


async def examine(
    endpoint: Endpoint,
    limits: Limits,
    *,
    facts: Iterable[Fact] = FACTS,
    notify: Callable[[str], None] = lambda _: None,
    tell: Callable[[Fact, Finding], None] = lambda *_: None,
    keep: Callable[[Report], object] = lambda _: None,
    record: Callable[[str], object] | None = None,
) -> Report:
    """Hold a service against the notes.

    Args:
        endpoint: Its address, and the key.
        limits: How far to go.
        facts: Which ones; all by default.
        notify: Told what takes long.
        tell: Told each finding, as soon as there is one; not what is unknown only as nothing is spoken.
        keep: Given what is known by then, after each finding.
        record: Takes each line of a recording of the wire, without the key.

    Returns:
        The report. Where nothing is spoken, it says why, and has what can be found out nevertheless.

    Raises:
        NetworkError: The service can't be reached.
    """
    begun, at = monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    findings: list[tuple[Fact, Finding]] = []
    obstacle = ""
    came: tuple[str, ...] = ()
    async with connected(endpoint, limits.handshake, record) as client:
        lab = Lab(client, limits, notify)

        def report(*, complete: bool) -> Report:
            return Report(
                service=endpoint.shown_url,
                plugin=__version__,
                at=at,
                seconds=monotonic() - begun,
                characters=lab.spent,
                handshakes=client.handshakes,
                findings=tuple(findings),
                complete=complete,
                obstacle=obstacle,
                came=came,
            )

        failure = await _obstacle(lab)
        if failure is not None:
            obstacle = endpoint.redact(str(failure))
            came = tuple(map(endpoint.redact, await _what_came(lab)))
        for fact in facts:
            finding = await (_find(lab, fact) if failure is None else _find_mute(lab, fact, failure))
            findings.append((fact, replace(finding, evidence=endpoint.redact(finding.evidence))))
            if failure is None or finding.evidence != _NOTHING_SPOKEN:
                tell(*findings[-1])
            keep(report(complete=False))
        return report(complete=True)


async def _obstacle(lab: Lab) -> LokutorError | None:
    """Return why nothing is spoken, or None.

    Raises:
        NetworkError: The service can't be reached, so that there is nothing to find out.
    """
    try:
        await lab.find_way()
    except LokutorError as error:
        if isinstance(error, NetworkError) and not await _answers(lab):
            raise
        lab.fall_back()
        return error
    return None


async def _answers(lab: Lab) -> bool:
    """Return whether anything answers plain HTTP."""
    try:
        await lab.client.route("health")
    except LokutorError:
        return False
    return True


async def _what_came(lab: Lab) -> list[str]:
    """Return what came where nothing was spoken: the kinds of the messages, or the answer to a handshake."""
    seen = [
        item
        for reply in lab.replies
        for item in ([named(reply.error)] if reply.error else reply.came_besides)
    ]
    if not lab.replies:
        try:
            answer = await lab.client.knock(lab.address, lab.headers)
        except LokutorError as error:
            return [str(error)]
        seen.append(f"{answer.status_line}: {answer.text}" if answer.text else answer.status_line)
    return list(dict.fromkeys(seen)) or ["nothing"]


async def _find_mute(lab: Lab, fact: Fact, failure: LokutorError) -> Finding:
    """Return what can be found out of a service that speaks nothing."""
    if fact.name == _OWN_WAY:
        is_elsewhere = isinstance(failure, ConfigurationError) and failure.status is not None
        return judged(False, str(failure)) if is_elsewhere else unknown(str(failure))
    if fact.name not in _WITHOUT_SPEECH:
        return unknown(_NOTHING_SPOKEN)
    finding = await _find(lab, fact)
    if (
        fact.name in _OF_KEYS
        and finding.verdict is Verdict.DIFFERS
        and failure.status not in {None, _REFUSED}
    ):
        return unknown(f"{finding.evidence}; the right key is refused as well")
    return finding


async def _find(lab: Lab, fact: Fact) -> Finding:
    try:
        finding, lost = await _tried(lab, fact)
    except AllowanceError as error:
        return unknown(f"it could not be tried: {error}")
    if not (lost and lab.limits.repeats) or finding.verdict is Verdict.HOLDS:
        return finding
    with lab.repeating():
        return await _find_again(lab, fact, finding)


async def _find_again(lab: Lab, fact: Fact, first: Finding) -> Finding:
    """Try a fact once more at which a connection was lost, or the service failed: that may have been chance.

    Twice, it is what the service does to this very request, if it does so to no other.
    """
    if fact.name == _OF_ENDS and (cut := _all_cut_off(lab)):
        return differing(cut, _CUT_OFF)
    try:
        finding, lost = await _tried(lab, fact)
    except AllowanceError as error:
        return unknown(f"maybe by chance, {first.evidence}; not tried again: {error}")
    if not lost:
        lab.is_unsteady = True
    if not lost or finding.verdict is Verdict.HOLDS:
        return finding
    # A pair that was lost is what the fact of pairs is about; what else is measured by it isn't known.
    is_about_it = fact.name != _OWN_WAY and lab.met <= ({Loss.TWICE} if fact.name == _OF_PAIRS else set())
    if is_about_it and not lab.is_unsteady and await lab.speaks():
        return replace(finding, evidence=f"twice: {finding.evidence}")
    return unknown(f"twice, maybe by chance: {finding.evidence}")


def _all_cut_off(lab: Lab) -> str:
    """Return that every reply was cut off in its audio, if that is so, or nothing."""
    begun = [reply for reply in lab.replies if reply.pcm]
    if len(begun) < _MANY or any(reply.ending is not Ending.CLOSED for reply in begun):
        return ""
    codes = ", ".join(sorted({str(reply.close_code) for reply in begun}))
    return f"every reply is cut off in its audio: {len(begun)} of {len(begun)}, with code {codes}"


async def _tried(lab: Lab, fact: Fact) -> tuple[Finding, bool]:
    """Return what a probe finds, and whether anything was lost that may have misled it."""
    before = lab.losses
    lab.met.clear()
    finding = await _probed(lab, fact)
    return finding, bool(lab.losses > before or lab.met)


async def _probed(lab: Lab, fact: Fact) -> Finding:
    try:
        return await PROBES[fact.name](lab)
    except AllowanceError:
        raise
    except LokutorError as error:
        return unknown(f"it could not be tried: {error}")
    except Exception as error:  # noqa: BLE001 - a fault of one probe, which the others don't share
        shown = lab.client.endpoint.redact("".join(traceback.format_exception(error)))
        logger.debug("The probe of %s failed:\n%s", fact.name, shown)
        return unknown(f"the check failed ({type(error).__name__}): please report it")

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
from ..errors import LokutorError
from ..version import __version__
from . import probe_connections, probe_errors, probe_offers, probe_replies, probe_requests, probe_visemes
from .client import connected
from .facts import FACTS, Fact
from .findings import Finding, Report, Verdict, unknown
from .lab import PROBES, AllowanceError, Lab, Limits, Loss

logger = logging.getLogger("videosdk.plugins.lokutor")
_FILLED = (probe_connections, probe_errors, probe_offers, probe_replies, probe_requests, probe_visemes)
_OWN_WAY = "path"
"""The fact that speaking at all shows to hold."""
_OF_PAIRS = "two-requests"


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
        tell: Told each finding, as soon as there is one.
        keep: Given what is known by then, after each finding.
        record: Takes each line of a recording of the wire, without the key.

    Raises:
        LokutorError: The service can't be spoken to at all.
    """
    begun, at = monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    findings: list[tuple[Fact, Finding]] = []
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
            )

        await lab.find_way()
        for fact in facts:
            finding = await _find(lab, fact)
            findings.append((fact, replace(finding, evidence=endpoint.redact(finding.evidence))))
            tell(*findings[-1])
            keep(report(complete=False))
        return report(complete=True)


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

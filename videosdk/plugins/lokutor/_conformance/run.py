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
from .findings import Finding, Report, unknown
from .lab import PROBES, AllowanceError, Lab, Limits

logger = logging.getLogger("videosdk.plugins.lokutor")
_FILLED = (probe_connections, probe_errors, probe_offers, probe_replies, probe_requests, probe_visemes)


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
        return await PROBES[fact.name](lab)
    except (LokutorError, AllowanceError) as error:
        return unknown(f"it could not be tried: {error}")
    except Exception as error:  # noqa: BLE001 - a fault of one probe, which the others don't share
        shown = lab.client.endpoint.redact("".join(traceback.format_exception(error)))
        logger.debug("The probe of %s failed:\n%s", fact.name, shown)
        return unknown(f"the check failed ({type(error).__name__}): please report it")

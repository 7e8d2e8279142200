"""Runs of the conformance check against a server on loopback, and what they have found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kit.service import KEY
from kit.waits import PATIENCE
from videosdk.plugins.lokutor._conformance.facts import FACTS
from videosdk.plugins.lokutor._conformance.findings import Finding, Report, Verdict, lines_of
from videosdk.plugins.lokutor._conformance.lab import Limits
from videosdk.plugins.lokutor._conformance.run import examine
from videosdk.plugins.lokutor._wire.endpoint import Endpoint, parse_base_url

BRIEF = Limits(idle=0.01, quiet=0.02, patience=PATIENCE, limit_waits=50, limit_wait=0.01)
"""As short as a server on loopback allows."""
HURRIED = replace(BRIEF, patience=2.0)
"""For what never ends."""
ASKED_FOR = {"rate-limit", "error-length"}
"""Facts whose probes cost more, and run only if they are asked for."""


async def examined(
    url: str,
    limits: Limits = BRIEF,
    key: str = KEY,
    facts: Iterable[str] = (),
    record: Callable[[str], None] | None = None,
) -> Report:
    """Run the check, of some facts only where they are named."""
    names = set(facts)
    endpoint = Endpoint(parse_base_url(url, allow_insecure=False), key)
    chosen = [fact for fact in FACTS if not names or fact.name in names]
    return await examine(endpoint, limits, facts=chosen, record=record)


def finding(report: Report, name: str) -> Finding:
    """Return what was found of one fact."""
    [found] = [found for fact, found in report.findings if fact.name == name]
    return found


def lines(report: Report) -> str:
    """Return all findings as they are printed."""
    return "\n".join(line for fact, found in report.findings for line in lines_of(fact, found))


def unknowns(report: Report) -> set[str]:
    """Return the facts of which nothing was found out."""
    return {fact.name for fact, found in report.findings if found.verdict is Verdict.UNKNOWN}

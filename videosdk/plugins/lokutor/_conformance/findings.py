"""What a check has found out, in words and as JSON.

Rule of this file: pure. A report holds neither a key nor a text of the user's.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .facts import SURE, Fact

_WIDTH = 100


class Verdict(StrEnum):
    """Whether a fact is as it is taken to be."""

    HOLDS = "holds"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one fact, and what it rests on.

    Attributes:
        verdict: Whether the fact holds.
        evidence: What was seen.
        means: What follows for the plugin, where it is another thing than usual if the fact is otherwise.
    """

    verdict: Verdict
    evidence: str
    means: str = ""


def judged(holds: bool, evidence: str) -> Finding:
    """Return the finding for a fact that was seen to hold, or not to."""
    return Finding(Verdict.HOLDS if holds else Verdict.DIFFERS, evidence)


def differing(evidence: str, means: str = "") -> Finding:
    """Return the finding for a fact that was seen not to hold, and what follows if that is not the usual."""
    return Finding(Verdict.DIFFERS, evidence, means)


def unknown(evidence: str) -> Finding:
    """Return the finding for a fact about which nothing was seen."""
    return Finding(Verdict.UNKNOWN, evidence)


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run has found out.

    Attributes:
        service: The address that was held against the notes, without a query.
        plugin: Version of the plugin.
        at: When, in UTC.
        seconds: How long it took.
        characters: How many characters were sent to be spoken.
        handshakes: How many connections were opened.
        findings: Each fact, with what was found.
        complete: Whether these are all, and nothing has interrupted the run.
        obstacle: Why nothing was spoken, or nothing if something was.
        came: Where nothing was spoken, the kinds of all that came instead.
    """

    service: str
    plugin: str
    at: str
    seconds: float
    characters: int
    handshakes: int
    findings: tuple[tuple[Fact, Finding], ...]
    complete: bool = True
    obstacle: str = ""
    came: tuple[str, ...] = ()

    @property
    def differing(self) -> list[str]:
        """Names of the facts that are otherwise."""
        return self._names(Verdict.DIFFERS)

    def count(self, verdict: Verdict) -> int:
        """Return how many facts have this verdict."""
        return len(self._names(verdict))

    def as_json(self) -> dict[str, Any]:
        """Return the report for a file."""
        return {
            "complete": self.complete,
            "service": self.service,
            "plugin": self.plugin,
            "at": self.at,
            "seconds": round(self.seconds, 1),
            "characters": self.characters,
            "handshakes": self.handshakes,
            "obstacle": self.obstacle,
            "came": list(self.came),
            "sure": {letter.value: meaning for letter, meaning in SURE.items()},
            "facts": [_as_json(fact, finding) for fact, finding in self.findings],
        }

    def summary(self) -> str:
        """Return the last line."""
        counts = ", ".join(f"{self.count(verdict)} {words}" for verdict, words in _COUNTED.items())
        sent = f"{self.characters} characters were sent, in {self.seconds:.0f} s"
        return f"Of {len(self.findings)} assumptions: {counts}. {sent}."

    def _names(self, verdict: Verdict) -> list[str]:
        return [fact.name for fact, finding in self.findings if finding.verdict is verdict]


_COUNTED = {
    Verdict.HOLDS: "as assumed",
    Verdict.DIFFERS: "otherwise",
    Verdict.UNKNOWN: "not known",
}


def lines_of(fact: Fact, finding: Finding) -> Iterator[str]:
    """Yield what is said of one fact: one line, and a second that says what follows if it is otherwise."""
    evidence = textwrap.shorten(" ".join(finding.evidence.split()), 3 * _WIDTH, placeholder=" ...")
    yield f"  {finding.verdict:<8}[{fact.sure}] {fact.name}: {fact.assumes.replace('`', '')} ({evidence})"
    if finding.verdict is Verdict.DIFFERS:
        yield f"          -> {_means(fact, finding).replace('`', '')}"


def _means(fact: Fact, finding: Finding) -> str:
    return finding.means or fact.otherwise


def _as_json(fact: Fact, finding: Finding) -> dict[str, Any]:
    return {
        "name": fact.name,
        "group": fact.group,
        "assumes": fact.assumes,
        "sure": fact.sure.value,
        "source": fact.source,
        "verdict": finding.verdict.value,
        "evidence": finding.evidence,
        "means": _means(fact, finding) if finding.verdict is Verdict.DIFFERS else "",
    }

"""What one check has found: a line for a person, with what to do.

Rule of this file: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How it is with what was checked."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """What one check has found.

    Attributes:
        name: What was checked.
        health: How it is.
        says: What was seen.
        do: What to do about it; empty where there is nothing to do.
    """

    name: str
    health: Health
    says: str
    do: str = ""

    def __str__(self) -> str:
        return f"{self.health:<6}{self.name}: {self.says}" + (f" -> {self.do}" if self.do else "")


def ok(name: str, says: str) -> Line:
    """Return the line for what is as it should be."""
    return Line(name, Health.OK, says)


def note(name: str, says: str, do: str) -> Line:
    """Return the line for what works, and could be better."""
    return Line(name, Health.NOTE, says, do)


def wrong(name: str, says: str, do: str) -> Line:
    """Return the line for what keeps the agent from speaking as it should."""
    return Line(name, Health.WRONG, says, do)


def skipped(name: str, says: str) -> Line:
    """Return the line for what could not be checked, or need not be."""
    return Line(name, Health.SKIPPED, says)

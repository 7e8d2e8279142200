"""Which versions the plugin works with, and their known faults.

Rule of this file: it is a table. The doctor reads it, the table of compatibility is written from it, and the
tests that show a fault must fail in the versions that have it, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PYTHONS = ((3, 11), (3, 13))
"""Oldest and newest Python that the plugin is tested on."""
OLDEST = {"videosdk-agents": (1, 0, 26), "aiohttp": (3, 11), "av": (14,)}
"""The oldest version of each package that the plugin works with."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A known fault of a version of something that the plugin needs.

    Attributes:
        name: What it is called in the tests and in the documents.
        package: Which one.
        versions: From which version to which, both included.
        says: What goes wrong.
        do: What to do about it.
    """

    name: str
    package: str
    versions: tuple[tuple[int, ...], tuple[int, ...]]
    says: str
    do: str

    def is_in(self, package: str, version: str) -> bool:
        """Return whether this version of a package has it."""
        low, high = self.versions
        numbers = numbers_of(version)
        return self.package == package and low <= numbers[: len(low)] and numbers[: len(high)] <= high


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "final-transcripts",
            "videosdk-agents",
            ((1, 0, 26), (1, 0, 28)),
            "with word_timestamps=True, the room gets the final transcript of a model's answer twice, or all "
            "of one that was interrupted. The agent remembers what was heard",
            "pip install 'videosdk-agents>=1.0.29'",
        ),
        Fault(
            "stuck-reply",
            "videosdk-agents",
            ((1, 0, 26), (1, 0, 30)),
            "after a barge-in into session.reply(), the agent can stay silent",
            "call prewarm(), and speak fixed texts with session.say()",
        ),
    )
}
"""Each fault by its name."""


def numbers_of(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without what follows them: 14.0.0rc1 is (14, 0, 0)."""
    return tuple(map(int, re.findall(r"\d+", re.split(r"[a-z+]", version, maxsplit=1)[0])))


def shown(numbers: tuple[int, ...]) -> str:
    """Return a version as it is written."""
    return ".".join(map(str, numbers))

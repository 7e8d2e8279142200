"""What happened in a run, and what should not have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kit import (
    PATIENCE,
)

from videosdk.plugins.lokutor.metrics import SynthesisMetrics

STALL = 4 * PATIENCE
"""Seconds in which at least one turn or stream must end: twice as long as any may take."""


@dataclass(slots=True)
class Report:
    """What happened, and what should not have."""

    violations: list[str] = field(default_factory=list)
    turns: int = 0
    interrupted: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    retries: int = 0
    standby_connections: int = 0
    audio: float = 0.0
    words: int = 0

    def blame(self, what: str) -> None:
        self.violations.append(what)

    def add(self, metrics: SynthesisMetrics) -> None:
        self.retries += metrics.retries
        self.standby_connections += metrics.standby_used
        self.audio += metrics.audio_pushed

"""What the page can change about the agent's voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

VOICES = ("F1", "F2", "F3", "F4", "F5", "M1", "M2", "M3", "M4", "M5")


@dataclass(frozen=True)
class Settings:
    """The options of ``LokutorTTS`` that the page shows. It says itself which values are valid."""

    voice: str = "F1"
    language: str = "en"
    speed: float = 1.05
    steps: int = 5
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    pacing: bool = True

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return them with some replaced.

        Raises:
            TypeError: There is no such setting.
        """
        return replace(self, **changes)

    def options(self) -> dict[str, Any]:
        """Return them as keywords of ``LokutorTTS`` and of its ``update_options()``."""
        return asdict(self)

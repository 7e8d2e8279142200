"""How much is measured, and how the service behaves meanwhile: plain values that cross processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceBehaviour:
    """How the service behaves.

    Attributes:
        first_audio: Seconds from a text's arrival to its first audio.
        piece: Seconds of audio in one message.
        pace: Seconds of audio sent per second.
        stubborn: Whether it stops reading once it has a text: it sees no close frame, answers none,
            doesn't notice the end of the connection and ends none itself.
    """

    first_audio: float = 0.08
    piece: float = 0.05
    pace: float = 5.0
    stubborn: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        samples: Samples of each row and contender.
        stubborn_samples: The same, of the rows with a stubborn server.
        stream_seconds: Audio of one sample of the processor row.
        patience: Seconds that an interrupted ``synthesize()`` may take before it is left.
        calls: Plugins and calls that the memory rows average over.
        at_once: Whether all contenders are measured at the same time, which is fast and unfair.
    """

    samples: int = 10
    stubborn_samples: int = 5
    stream_seconds: float = 6.0
    patience: float = 15.0
    calls: int = 20
    at_once: bool = False

    @classmethod
    def quick(cls) -> Plan:
        """Return a plan for a smoke test: its figures mean little."""
        return cls(samples=1, stubborn_samples=1, stream_seconds=2.0, patience=1.0, calls=4, at_once=True)

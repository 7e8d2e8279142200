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
        cost_samples: The same, of the rows of processor time and stalls.
        stubborn_samples: The same, of the rows with a stubborn server.
        stream_seconds: Audio of one sample of the processor row.
        patience: Seconds that an interrupted ``synthesize()`` may take before it is left.
        calls: Plugins and calls that the memory rows average over.
        listened: Seconds that each interrupted reply of the conversation is heard.
        whole_replies: Replies of the conversation that are heard to their end.
        at_once: Whether all contenders are measured at the same time, which is fast and unfair.
    """

    samples: int = 50
    cost_samples: int = 8
    stubborn_samples: int = 5
    stream_seconds: float = 6.0
    patience: float = 15.0
    calls: int = 20
    listened: tuple[float, ...] = (1.5, 3.0, 6.0)
    whole_replies: int = 1
    at_once: bool = False

    @classmethod
    def quick(cls) -> Plan:
        """Return a plan for a smoke test: its figures mean little."""
        return cls(
            samples=1,
            cost_samples=1,
            stubborn_samples=1,
            stream_seconds=2.0,
            patience=1.0,
            calls=4,
            listened=(0.5,),
            whole_replies=0,
            at_once=True,
        )

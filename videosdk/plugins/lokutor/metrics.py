"""What a call cost: the payload of the ``"metrics"`` event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SynthesisMetrics:
    """Figures of one ``synthesize()`` or ``stream_synthesize()``, emitted when it has ended.

    Attributes:
        time_to_first_byte: Seconds from the first request leaving to its first audio arriving, or None
            where no audio came.
        connect_time: Seconds that the call spent connecting: 0 with a standby connection. It usually passes
            while the language model is still thinking.
        standby_used: Whether the call started on the standby connection.
        characters: Characters of text sent.
        requests: Requests sent, repeated ones included.
        audio_received: Seconds of audio received from the service.
        audio_pushed: Seconds of audio handed to the track or stream.
        interrupted: Whether a barge-in, a cancellation or ``aclose()`` ended it.
        retries: How many times the call connected again.
        error_code: The service's error code, else the name of the error's class; None without a failure.
        streamed: Whether it was ``stream_synthesize()`` (a cache fill) and not a turn.
    """

    time_to_first_byte: float | None
    connect_time: float | None
    standby_used: bool
    characters: int
    requests: int
    audio_received: float
    audio_pushed: float
    interrupted: bool
    retries: int
    error_code: str | None
    streamed: bool

"""The payload of the ``"metrics"`` event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SynthesisMetrics:
    """Figures of one ``synthesize()`` or ``stream_synthesize()``, emitted when it has ended.

    Attributes:
        time_to_first_byte: Seconds from the first request to its first audio, or None without audio.
        connect_time: Seconds spent connecting, usually while the language model is still thinking. About 0
            with a standby connection; None if the call never connected.
        standby_used: Whether the call used the standby connection.
        characters: Characters sent, repeated requests included.
        requests: Requests sent, repeated requests included.
        audio_received: Seconds of audio received from the service.
        audio_pushed: Seconds of audio handed to the track or stream.
        interrupted: Whether a barge-in, a cancellation or ``aclose()`` ended it.
        retries: How often the call connected again.
        error_code: The service's error code, or the name of the error class. None without a failure.
        streamed: True for ``stream_synthesize()``, False for a turn.
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

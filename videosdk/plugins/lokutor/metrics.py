"""The payload of the ``"metrics"`` event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SynthesisMetrics:
    """Figures of one ``synthesize()`` or ``stream_synthesize()``, emitted when it has ended.

    Attributes:
        time_to_first_byte: Seconds from the first request to its first audio, or None without audio.
        time_to_first_sound: Seconds from the first request to the first sound: a sample above -60 dBFS. None
            without one.
        leading_silence: Seconds of silence that the service sent in front of the first sound, whether it was
            cut or not. None without a sound.
        connect_time: Seconds spent connecting, usually while the language model is still thinking. About 0
            with a standby connection; None if the call never connected.
        standby_used: Whether the call used the standby connection.
        characters: Characters sent, repeated requests included.
        characters_unheard: Characters sent that the caller had not heard at the barge-in that ended the call,
            0 without one, and for one after all audio had come. Exact with ``word_timestamps=True`` and
            without pronunciations, else an estimate.
        characters_left_out: Characters of sentences that the service did not speak: it sent no audio for
            them, or refused them. The reply went on without them.
        requests: Requests sent, repeated requests included.
        audio_received: Seconds of audio received from the service.
        audio_pushed: Seconds of audio handed to the track or stream: less than that by the silence that was
            cut.
        underruns: How often the caller heard silence in the middle of the reply although there was text to
            speak.
        underrun_time: Seconds of that silence.
        interrupted: Whether a barge-in, a cancellation or ``aclose()`` ended it.
        retries: How often the call connected again.
        limiter_wait: Seconds that the call waited for the permits of your ``limiter``.
        error_code: The service's error code, or the name of the error class. None without a failure.
        streamed: True for ``stream_synthesize()``, False for a turn.
    """

    time_to_first_byte: float | None
    time_to_first_sound: float | None
    leading_silence: float | None
    connect_time: float | None
    standby_used: bool
    characters: int
    characters_unheard: int
    characters_left_out: int
    requests: int
    audio_received: float
    audio_pushed: float
    underruns: int
    underrun_time: float
    interrupted: bool
    retries: int
    limiter_wait: float
    error_code: str | None
    streamed: bool

"""What the room is told of a reply when it has ended: what was heard of it.

Rule of this file: it knows when the framework's turns end and what it sends to the room; which words were
heard, and when, it is told. Nothing in here waits.

With word timing on, the framework leaves a reply's ``final`` transcript to somebody else: source,
``set_agent_response(..., emit_transport=False)`` of videosdk-agents 1.0.29 and 1.0.30. Up to 1.0.28 it sends
one itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from weakref import ref

from videosdk.agents import TTS
from videosdk.agents.metrics import metrics_collector
from videosdk.agents.speech_generation import SpeechGeneration

from .memory import forget_reply

_SENT_BY_FRAMEWORK = hasattr(SpeechGeneration, "_on_final_agent_transcript")


class Room:
    """Where one call's transcripts go. Create it inside that call: the framework keeps a room per context."""

    def __init__(self) -> None:
        self._context = copy_context()

    def send_final(self, text: str) -> None:
        """Send a reply's final transcript, unless the framework does, or there is none."""
        if not _SENT_BY_FRAMEWORK:
            self._context.run(_send_final, text)


def _send_final(text: str) -> None:
    if metrics_collector.realtime_mode is None:  # Such a model has sent what it says.
        metrics_collector.emit_agent_transcript_transport(text, "final")


def unsubscribe_others(tts: TTS, speech: SpeechGeneration) -> None:
    """Leave ``tts``'s words to ``speech`` alone, so that the room gets each once.

    A session makes its pipeline's ``SpeechGeneration`` twice, at its birth and its start, and the first one
    stays subscribed: source, ``AgentSession`` of videosdk-agents 1.0.26 to 1.0.30.
    """
    for handler in list(tts._handlers.get("word_spoken", ())):
        subscriber = getattr(handler, "__self__", None)
        if isinstance(subscriber, SpeechGeneration) and subscriber is not speech:
            tts.off("word_spoken", handler)


class Transcript:
    """What was heard of one reply.

    Args:
        speech: What speaks the reply for the framework.
    """

    def __init__(self, speech: SpeechGeneration) -> None:
        self._speech = speech
        self._room = Room()

    def end(self, heard: str | None, interrupted: bool) -> None:
        """Take what was heard of the reply when it was over; None where that isn't known."""
        if heard:
            self._room.send_final(heard)
        elif interrupted and heard is not None:
            forget_reply(self._speech)


def is_part_of(tts: TTS, speech: SpeechGeneration) -> bool:
    """Return whether ``tts`` is what speaks the turns, or one of those that a ``FallbackTTS`` has."""
    return speech.tts is tts or tts in getattr(speech.tts, "providers", ())


class EndOfTurns:
    """Tells when the turns of a pipeline are over, as the listener hears it.

    Args:
        speech: What speaks the turns for the framework.
        on_heard: Called when the track has played a turn to its end.
        on_interrupted: Called with what the framework takes for heard, when it has interrupted a turn.
    """

    def __init__(
        self,
        speech: SpeechGeneration,
        on_heard: Callable[[], None],
        on_interrupted: Callable[[str], None],
    ) -> None:
        self._speech = ref(speech)  # It holds us by its handlers.
        self._on_interrupted = on_interrupted
        self._on_heard = on_heard
        speech.on("last_audio_byte", self._heard)
        speech.on("synthesis_interrupted", self._interrupted)
        # A cached phrase, too, comes behind what was spoken before it.
        speech.on("synthesis_started", self._heard)

    def _heard(self) -> None:
        self._on_heard()

    def _interrupted(self) -> None:
        self._on_interrupted(getattr(self._speech(), "spoken_transcript", ""))


def estimate_from_here(speech: SpeechGeneration) -> None:
    """Have the framework estimate what is heard of the turn, for no more words of it are told."""
    speech._tier2_spoken_transcript = ""


class HookedTurns:
    """The turns of a pipeline that a ``tts`` hook speaks, by streams of ours.

    Such a turn may have many streams, and begin another after it was interrupted. What was heard of it isn't
    known word by word, for a hook may do anything with the audio.

    Args:
        speech: What speaks the turns for the framework.
        told: Whether each turn's final transcript is left to us.
    """

    def __init__(self, speech: SpeechGeneration, *, told: bool) -> None:
        self._speech = ref(speech)  # It holds us by its handlers.
        self._room = Room() if told else None
        self._spoken = False
        self.interrupted = False
        """Whether the turn under way was, so that no further stream of it is wanted."""
        speech.on("synthesis_started", self._on_begun)
        speech.on("synthesis_interrupted", self._on_interrupted)
        speech.on("last_audio_byte", self._on_spoken)

    def speak(self) -> None:
        """Note that a stream speaks in the turn under way."""
        self._spoken = True

    def _on_begun(self) -> None:
        self._spoken = self.interrupted = False

    def _on_interrupted(self) -> None:
        self._end("spoken_transcript")

    def _on_spoken(self) -> None:
        self._end("full_transcript")

    def _end(self, transcript: str) -> None:
        if self._spoken and self._room is not None:
            self._room.send_final(getattr(self._speech(), transcript))
        self._spoken = False

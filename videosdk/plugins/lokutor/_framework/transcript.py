"""What the framework is told of a reply when it has ended: what was heard of it.

Rule of this file: it knows what the framework sends to the room and what it remembers; which words were
heard, and when, it is told. Nothing in here waits.

With word timing on, the framework leaves a reply's ``final`` transcript to somebody else: source,
``set_agent_response(..., emit_transport=False)`` of videosdk-agents 1.0.29 and 1.0.30. Up to 1.0.28 it sends
one itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from weakref import WeakSet, ref

from videosdk.agents import TTS, Agent, ChatMessage, ChatRole
from videosdk.agents.metrics import metrics_collector
from videosdk.agents.speech_generation import SpeechGeneration

from .._text.written import without_markup
from .callers import orchestrator_of

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
            _forget(self._speech)


def is_part_of(tts: TTS, speech: SpeechGeneration) -> bool:
    """Return whether ``tts`` is what speaks the turns, or one of those that a ``FallbackTTS`` has."""
    return speech.tts is tts or tts in getattr(speech.tts, "providers", ())


def remember(speech: SpeechGeneration, heard: str | None) -> None:
    """Have the framework remember ``heard`` of a reply that is being interrupted; None: its own estimate.

    Its own is the share of the audio that was played, of all text that it has handed over. Requests are
    paced, so most of that text has no audio yet. Source: ``SpeechGeneration.compute_spoken_transcript()`` of
    videosdk-agents 1.0.26 to 1.0.30.
    """
    if heard:
        speech.spoken_transcript = heard
    elif heard is not None:
        _forget(speech)


def _forget(speech: SpeechGeneration) -> None:
    """Have the framework remember nothing of a reply that is being interrupted.

    It has made its estimate just before, and without one it would remember all that the language model has
    made so far: an empty transcript counts as none. Source: ``SpeechGeneration.interrupt()`` and
    ``PipelineOrchestrator._interrupt_pipeline()`` of videosdk-agents 1.0.26 to 1.0.30. There is no other way:
    the message that they add is announced by no event, and can only be taken back when it was seen.
    """
    speech.spoken_transcript = ""
    orchestrator = orchestrator_of(speech)
    if orchestrator is not None and orchestrator.speech_generation is speech:
        orchestrator._partial_response = ""


class Memory:
    """What the agent remembers of the turns that ``speech`` speaks, where one is interrupted more than once.

    The framework estimates what was heard at each interruption and adds a message, also where no turn has
    begun since the last. Source: as for :func:`_forget`.

    Args:
        speech: What speaks the turns for the framework.
    """

    def __init__(self, speech: SpeechGeneration) -> None:
        self._kept: str | None = None  # What was heard of the turn under way, once it was interrupted,
        self._latest: object = None  # and the latest message then.
        speech.on("synthesis_started", self._on_begun)

    def correct(self, speech: SpeechGeneration, correction: Callable[[], None]) -> None:
        """Have the framework remember an interrupted turn once; ``correction`` says what of it."""
        latest = _latest_message(speech)
        if self._kept is None:
            correction()
            self._kept, self._latest = speech.spoken_transcript, latest
        elif _is_ending():
            return  # Nothing is remembered of the framework's late interrupt, and another turn may be coming.
        elif latest is self._latest:  # Both are still under way.
            speech.spoken_transcript = self._kept
        else:
            _forget(speech)

    def _on_begun(self, _: object = None) -> None:
        self._kept = self._latest = None


def _latest_message(speech: SpeechGeneration) -> object:
    items = getattr(getattr(speech.agent, "chat_context", None), "items", None)
    return items[-1] if items else None


def _is_ending() -> bool:
    """Return whether the calling task is one that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


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


_markup_free: WeakSet[Any] = WeakSet()
"""What leads the turns of pipelines whose memory is kept free of markup."""
_LAST_MESSAGES = 4
_cleaned: OrderedDict[str, list[Any]] = OrderedDict()
"""What was left of the latest messages, by their ids: agents hand messages on to each other."""
_CLEANED_MESSAGES = 1_000


def forget_markup(speech: SpeechGeneration) -> None:
    """Keep speech markup out of what the agent remembers, of this turn and those to come.

    The framework remembers what the language model wrote: a reply when it was heard to its end, and what is
    said by ``say()`` before it is spoken. Source: ``PipelineOrchestrator`` and ``AgentSession.say()`` of
    videosdk-agents 1.0.26 to 1.0.30.
    """
    orchestrator = orchestrator_of(speech)
    _clean(speech.agent)
    if orchestrator is not None and orchestrator not in _markup_free:
        _markup_free.add(orchestrator)
        leader = ref(orchestrator)  # It holds what we subscribe.

        def on_content(_data: Any) -> None:
            _clean(getattr(leader(), "agent", None))

        orchestrator.on("content_generated", on_content)


def _clean(agent: Agent | None) -> None:
    """Take the tags out of the agent's last messages, once: "&lt;b&gt;" is text after that.

    A message of nothing but tags is taken back: a language model's service may refuse an empty one. The
    framework takes messages back in the same way, for there is no other. Source: ``PipelineOrchestrator`` of
    videosdk-agents 1.0.28 to 1.0.30.
    """
    if agent is None:
        return
    for message in agent.chat_context.items[-_LAST_MESSAGES:]:
        if not isinstance(message, ChatMessage) or message.role is not ChatRole.ASSISTANT:
            continue
        if _cleaned.get(message.id) != message.content:
            message.content = [
                without_markup(part) if isinstance(part, str) else part for part in message.content
            ]
            _cleaned[message.id] = list(message.content)
            if not any(message.content):
                agent.chat_context.items.remove(message)
    while len(_cleaned) > _CLEANED_MESSAGES:
        _cleaned.popitem(last=False)


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

"""What the agent remembers of a reply that was not spoken to its end, though nobody has interrupted it.

Rule of this file: it changes messages of the agent's context and nothing else. What was spoken it is told.

The framework remembers all of such a reply: source, ``PipelineOrchestrator._generate_and_synthesize()`` and
``AgentSession.say()`` of videosdk-agents 1.0.26 to 1.0.30. The message of a ``say()`` is there before it is
spoken. That of any other reply comes when the language model has ended as well, is announced by
``"content_generated"``, and never comes where the caller goes on before. So what was spoken is remembered at
once, and the framework's message is taken away when it comes. An interruption adds one of its own.
"""

from __future__ import annotations

from typing import Any

from videosdk.agents import Agent, ChatMessage, ChatRole
from videosdk.agents.speech_generation import SpeechGeneration

from .._text.replay import count_letters
from .callers import orchestrator_of


def remember_spoken(speech: SpeechGeneration, spoken: str) -> None:
    """Have the agent remember only what was ``spoken`` of the reply that ``speech`` speaks."""
    orchestrator = orchestrator_of(speech)
    if orchestrator is None or orchestrator.speech_generation is not speech:
        return
    message = _latest(speech.agent)
    if message is not None and _begins_with(_text(message), speech.full_transcript):
        _shorten(speech.agent, message, spoken)
    else:
        _Shortening(speech, orchestrator, spoken)


class _Shortening:
    """Remembers what was spoken, in place of the message that may still come."""

    def __init__(self, speech: SpeechGeneration, orchestrator: Any, spoken: str) -> None:
        self._speech = speech
        self._orchestrator = orchestrator
        self._generation = _generation_of(orchestrator)
        self._message: ChatMessage | None = None
        if speech.agent is not None and count_letters(spoken):
            self._message = speech.agent.chat_context.add_message(role=ChatRole.ASSISTANT, content=spoken)
        orchestrator.on("content_generated", self._on_content)
        speech.on("synthesis_interrupted", self._on_interrupted)
        speech.on("synthesis_started", self._on_next)

    def _on_content(self) -> None:
        self._on_next()
        self._orchestrator.off("content_generated", self._on_content)
        message = _latest(self._speech.agent)
        if self._generation == _generation_of(self._orchestrator) and message is not self._message:
            _forget(self._speech.agent, message)

    def _on_interrupted(self) -> None:
        self._on_next()
        self._orchestrator.off("content_generated", self._on_content)
        _forget(self._speech.agent, self._message)

    def _on_next(self) -> None:
        self._speech.off("synthesis_interrupted", self._on_interrupted)
        self._speech.off("synthesis_started", self._on_next)


def _generation_of(orchestrator: Any) -> Any:
    """Return the number of the reply that the language model makes."""
    return getattr(orchestrator, "_generation_id", None)


def _latest(agent: Agent | None) -> ChatMessage | None:
    """Return the agent's latest message if it is its own."""
    items = [] if agent is None else agent.chat_context.items
    message = items[-1] if items else None
    return message if isinstance(message, ChatMessage) and message.role is ChatRole.ASSISTANT else None


def _text(message: ChatMessage) -> str:
    return " ".join(part for part in message.content if isinstance(part, str))


def _begins_with(text: str, spoken: str) -> bool:
    """Return whether ``text`` is a reply of which so much was handed over to be spoken."""
    return bool(spoken.strip()) and "".join(text.split()).startswith("".join(spoken.split()))


def _shorten(agent: Agent | None, message: ChatMessage, spoken: str) -> None:
    if count_letters(spoken):
        message.content = [spoken]
    else:
        _forget(agent, message)


def _forget(agent: Agent | None, message: ChatMessage | None) -> None:
    """Take a message away: one without text is refused by some language models."""
    if agent is not None and message in agent.chat_context.items:
        agent.chat_context.items.remove(message)

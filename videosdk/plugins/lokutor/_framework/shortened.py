"""What the agent remembers of a reply that was not spoken to its end, though nobody has interrupted it.

Rule of this file: it changes messages of the agent's context and nothing else. What was spoken it is told.

The framework remembers all of such a reply: source, ``PipelineOrchestrator._generate_and_synthesize()`` and
``AgentSession.say()`` of videosdk-agents 1.0.28 to 1.0.30. The message of a ``say()`` is there before it is
spoken. That of any other reply comes when the language model has ended as well, and is announced by
``"content_generated"``.
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
    """Waits for the message of a reply, until the next one begins."""

    def __init__(self, speech: SpeechGeneration, orchestrator: Any, spoken: str) -> None:
        self._speech = speech
        self._orchestrator = orchestrator
        self._spoken = spoken
        orchestrator.on("content_generated", self._on_content)
        speech.on("synthesis_started", self._end)

    def _on_content(self) -> None:
        self._end()
        message = _latest(self._speech.agent)
        if message is not None:
            _shorten(self._speech.agent, message, self._spoken)

    def _end(self) -> None:
        self._orchestrator.off("content_generated", self._on_content)
        self._speech.off("synthesis_started", self._end)


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
    elif agent is not None:
        # A message without text is refused by some language models.
        agent.chat_context._items.remove(message)

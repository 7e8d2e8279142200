"""Has the caller's voice interrupt what ``say()`` speaks.

Rule of this file: it does for the turns of ``say()`` what the framework does for its replies alone.
"""

from __future__ import annotations

from weakref import WeakSet

from videosdk.agents.speech_generation import SpeechGeneration

from .callers import orchestrator_of
from .events import subscribe

_kept: WeakSet[SpeechGeneration] = WeakSet()


def keep_interruptible(speech: SpeechGeneration) -> None:
    """Have a voice interrupt this turn and those to come, also where one was interrupted before.

    The framework notes that it has interrupted, and lets no voice and no interim transcript interrupt again
    until a reply of the language model begins. A ``say()`` begins without that. Source:
    ``PipelineOrchestrator._trigger_interruption()``, ``_generate_and_synthesize()`` and ``say()`` of
    videosdk-agents 1.0.26 to 1.0.30.
    """
    if speech in _kept:
        return
    _kept.add(speech)
    subscribe(speech, "synthesis_started", speech, _begin)
    _begin(speech)


def _begin(speech: SpeechGeneration) -> None:
    """Begin a turn as the framework begins a reply, unless this turn itself was interrupted by now."""
    orchestrator = orchestrator_of(speech)
    if orchestrator is None or orchestrator.speech_generation is not speech:
        return
    if not (getattr(orchestrator, "_is_interrupted", False) and hasattr(orchestrator, "_generation_id")):
        return
    utterance = getattr(getattr(speech.agent, "session", None), "current_utterance", None)
    if utterance is not None and not utterance.interrupted:
        # An interrupted reply that the language model still writes would pass for one that was heard.
        orchestrator._generation_id += 1
        orchestrator._partial_response = ""
        orchestrator._is_interrupted = False
        speech.reset_interrupt()

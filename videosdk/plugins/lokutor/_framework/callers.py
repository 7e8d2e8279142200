"""Which part of the framework has called: a turn of its own, a hook that speaks one, or a cache that fills.

Rule of this file: it looks at the frames of the calling task and at nothing else. The framework passes the
same arguments in all these cases, so nothing but its own frames tells them apart. Source: videosdk-agents
1.0.26 to 1.0.30, ``SpeechGeneration``, ``PipelineHooks.process_tts_stream()``, ``TTSAudioCache.fetch()``,
``AgentSession.say()`` and ``Pipeline.start()``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from videosdk.agents import AgentSession, Pipeline, TTSAudioCache
from videosdk.agents.pipeline_hooks import PipelineHooks
from videosdk.agents.speech_generation import SpeechGeneration

from .._text.joints import Chunks

_HOOKED = {Chunks.SENTENCES: Chunks.MOSTLY_SENTENCES, Chunks.TOKENS: Chunks.UNKNOWN}
"""What is known of a hook's text, by what is known of the text that it gets."""
_MISSING = object()


def _name(constant: object) -> str | None:
    return getattr(constant, "co_name", None)


_SPEECH = frozenset({SpeechGeneration.synthesize.__code__, SpeechGeneration.interrupt.__code__})
_HOOK = PipelineHooks.process_tts_stream.__code__
_FILL = TTSAudioCache.fetch.__code__
_SAY = AgentSession.say.__code__
_PHRASE = SpeechGeneration.synthesize_audio_bytes.__code__
_START = Pipeline.start.__code__
_COUNTER = next(
    (
        each
        for each in SpeechGeneration.synthesize.__code__.co_consts
        if _name(each) == "character_counting_wrapper"
    ),
    None,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has called.

    Attributes:
        speech: What speaks the pipeline's turns; None where the call doesn't come from there.
        hook: Whether a ``tts`` hook of the pipeline speaks the turn.
        hook_text: The turn's text, as that hook gets it.
        fill: Whether a cache fills, which belongs to no turn.
    """

    speech: SpeechGeneration | None = None
    hook: bool = False
    hook_text: Any = None
    fill: bool = False


def find_caller() -> Caller:
    """Return who has called, as far as the calling task shows it."""
    hook, hook_text = False, None
    for frame in _frames():
        if frame.f_code is _FILL:
            return Caller(fill=True)
        if frame.f_code in _SPEECH:
            return Caller(frame.f_locals["self"], hook, hook_text)
        if frame.f_code is _HOOK:
            hook, hook_text = True, frame.f_locals["text_stream"]
    return Caller(None, hook, hook_text)


def find_said() -> str | None:
    """Return the text that ``say()`` has added to the agent's memory and speaks in the calling task.

    Empty where it speaks and has added none; None where it doesn't speak. Source: ``AgentSession.say()``.
    """
    for frame in _frames():
        if frame.f_code is _SAY:
            message: str | None = frame.f_locals.get("message")
            return message if frame.f_locals.get("add_to_chat_context") else ""
    return None


def find_phrase() -> object | None:
    """Return the audio of the cached phrase that ``say(audio_data=…)`` plays in the calling task, or None.

    Source: ``SpeechGeneration.synthesize_audio_bytes()``.
    """
    for frame in _frames():
        if frame.f_code is _PHRASE:
            audio: object = frame.f_locals.get("audio_data")
            return audio
    return None


def find_starting() -> SpeechGeneration | None:
    """Return what will speak the turns of the pipeline that is being started for a session, or None."""
    for frame in _frames():
        if frame.f_code is _START:
            orchestrator = getattr(frame.f_locals["self"], "orchestrator", None)
            speech: SpeechGeneration | None = getattr(orchestrator, "speech_generation", None)
            return speech if orchestrator is not None and orchestrator_of(speech) is orchestrator else None
    return None


def text_behind(text: object) -> AsyncIterator[object] | None:
    """Return what the text of a turn comes from, behind what counts its characters for the turn.

    None: ``text`` isn't that of a pipeline's turn. Source: ``SpeechGeneration.synthesize()``.
    """
    if _COUNTER is None or getattr(text, "ag_code", None) is not _COUNTER:
        return None
    frame = getattr(text, "ag_frame", None)
    behind: AsyncIterator[object] | None = None if frame is None else frame.f_locals.get("text_iterator")
    return behind


def turn_chunks(speech: SpeechGeneration | None) -> Chunks:
    """Return what is known of the text of a turn: whether the pipeline has a sentence chunker tells it.

    What an ``llm`` hook yields comes behind the chunker, and may be anything.
    """
    orchestrator = orchestrator_of(speech)
    if speech is None or orchestrator is None or orchestrator.speech_generation is not speech:
        return Chunks.UNKNOWN
    chunker = getattr(orchestrator, "_chunker", _MISSING)
    if chunker is _MISSING:
        return Chunks.UNKNOWN
    own = Chunks.TOKENS if chunker is None else Chunks.SENTENCES
    return _HOOKED[own] if speech.hooks is not None and speech.hooks.has_llm_stream_hook() else own


def streamed_chunks(caller: Caller, text: object) -> Chunks:
    """Return the same of ``text`` that a ``tts`` hook has us stream.

    It is as sure as without a hook where it is the turn's own text. What a hook makes of that mostly still is
    its sentences, and may be anything.
    """
    known = turn_chunks(caller.speech) if caller.hook else Chunks.UNKNOWN
    return known if text is caller.hook_text else _HOOKED.get(known, known)


def orchestrator_of(speech: SpeechGeneration | None) -> Any:
    """Return what leads the turns of a pipeline, or None where there is none."""
    session = getattr(speech and speech.agent, "session", None)
    return getattr(getattr(session, "pipeline", None), "orchestrator", None)


def _frames() -> Iterator[FrameType]:
    """Yield the frames of the current task, the innermost first."""
    task = asyncio.current_task()
    # An eager task runs on top of the frames of the task that made it.
    outermost = getattr(task and task.get_coro(), "cr_frame", None)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = None if frame is outermost else frame.f_back

"""A real ``AgentSession`` on a track that the test plays, and what its room gets to see.

Only what needs an account is scripted: the ears and the mind, each a subclass of the framework's own class.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from videosdk.agents import (
    LLM,
    STT,
    Agent,
    AgentSession,
    ChatContext,
    ChatRole,
    EOUConfig,
    FallbackTTS,
    JobContext,
    LLMResponse,
    Pipeline,
    RoomOptions,
    SpeechData,
    SpeechEventType,
    STTResponse,
)
from videosdk.agents.event_bus import get_current_event_bus
from videosdk.agents.job import (
    _enter_session_scope,
    _exit_session_scope,
    _reset_current_job_context,
    _set_current_job_context,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from kit import PATIENCE, Listener, settled
from videosdk.plugins.lokutor import LokutorTTS, TransparentFallbackTTS
from videosdk.plugins.lokutor._framework import transcript as _transcript

FRAMEWORK_SENDS_FINALS = hasattr(SpeechGeneration, "_on_final_agent_transcript")
"""Up to videosdk-agents 1.0.28 the framework sends final transcripts itself, those of an LLM even twice."""


class SilentAgent(Agent):
    """Says nothing of its own."""

    def __init__(self) -> None:
        super().__init__(instructions="Say what the test wants to hear.")

    async def on_enter(self) -> None:
        return

    async def on_exit(self) -> None:
        return


class Ears(STT):
    """Hears what the test says."""

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        return

    async def hear(self, text: str) -> None:
        """Report a user's words, as final."""
        data = SpeechData(text=text, confidence=1.0, duration=1.0)
        assert self._transcript_callback is not None
        await self._transcript_callback(STTResponse(event_type=SpeechEventType.FINAL, data=data))


class Mind(LLM):
    """Answers with what the test has thought of, word by word; a list has the tokens as they come.

    At the token "(tool)" it calls the agent's tool of that name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str | list[str]] = []
        self.contexts: list[list[tuple[str, str]]] = []
        """The conversation as it was at each answer: role and text of each message."""
        self.goes_on = asyncio.Event()
        """While it is not set, an answer stops at the token "(...)"."""
        self.goes_on.set()

    async def chat(  # type: ignore[override]
        self, messages: ChatContext, tools: Any = None, conversational_graph: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponse]:
        self.contexts.append(said(messages))
        answer = self.answers.pop(0)
        for token in answer if isinstance(answer, list) else [f"{word} " for word in answer.split(" ")]:
            if token == "(...) ":
                await self.goes_on.wait()
                continue
            if token == "(tool) ":
                called = {"function_call": {"name": "tool", "arguments": {}}}
                yield LLMResponse(content="", role=ChatRole.ASSISTANT, metadata=called)
                continue
            yield LLMResponse(content=token, role=ChatRole.ASSISTANT)
            await asyncio.sleep(0)

    async def cancel_current_generation(self) -> None:
        return


def said(context: ChatContext) -> list[tuple[str, str]]:
    """Return role and text of each message."""
    messages = [message for message in context.messages() if message.role is not ChatRole.SYSTEM]
    return [(message.role.value, " ".join(map(str, message.content)).strip()) for message in messages]


class Room:
    """What a front end in the room gets to see of the agent's transcripts."""

    def __init__(self) -> None:
        self.interims: list[str] = []
        self.finals: list[str] = []
        self.ours: list[str] = []
        """The finals that come from the plugin."""
        get_current_event_bus().on("AGENT_TRANSCRIPT_ADDED", self._on_transcript)

    def _on_transcript(self, data: dict[str, str]) -> None:
        (self.finals if data["type"] == "final" else self.interims).append(data["text"])
        if data["type"] == "final" and _called_by(_transcript._send_final):
            self.ours.append(data["text"])

    def has_exactly(self, *finals: str) -> bool:
        """Return whether these are the final transcripts; where the framework sends them, none is ours."""
        return self.ours == left_to_us(*finals) and (FRAMEWORK_SENDS_FINALS or self.finals == self.ours)


def left_to_us(*finals: str) -> list[str]:
    """Return which of these final transcripts the plugin has to send."""
    return [] if FRAMEWORK_SENDS_FINALS else list(finals)


def _called_by(function: Callable[..., Any]) -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame is not None


class Call:
    """One call with an agent; ``options`` are the pipeline's."""

    def __init__(self, tts: LokutorTTS, track: CustomAudioStreamTrack, **options: Any) -> None:
        self.tts = tts
        self.track = track
        self.ears, self.mind = Ears(), Mind()
        self.room = Room()
        self.listener = Listener(track)
        self.pipeline = Pipeline(
            tts=tts,
            stt=self.ears,
            llm=self.mind,
            eou_config=EOUConfig(min_max_speech_wait_timeout=[0.01, 0.02]),
            **options,
        )
        self.session = AgentSession(agent=SilentAgent(), pipeline=self.pipeline)
        self.pipeline.audio_track = tts.audio_track = track  # What joining a room does.
        self._turns: list[asyncio.Task[Any]] = []
        self._playing: asyncio.Task[None] | None = None

    @property
    def speech(self) -> SpeechGeneration:
        """What speaks the turns for the framework."""
        assert self.pipeline.orchestrator is not None
        assert self.pipeline.orchestrator.speech_generation is not None
        return self.pipeline.orchestrator.speech_generation

    @property
    def mind_is_busy(self) -> bool:
        """Whether an answer is being written, for which the next one has to wait."""
        assert self.pipeline.orchestrator is not None
        assert self.pipeline.orchestrator.content_generation is not None
        return self.pipeline.orchestrator.content_generation.llm_lock.locked()

    @property
    def memory(self) -> list[tuple[str, str]]:
        """What the agent remembers: role and text of each message."""
        return said(self.session.agent.chat_context)

    @property
    def replies(self) -> list[tuple[str, bool]]:
        """What the agent remembers of its own: each message, and whether it was interrupted."""
        messages = self.session.agent.chat_context.messages()
        own = [message for message in messages if message.role is ChatRole.ASSISTANT]
        return [(" ".join(map(str, message.content)), bool(message.interrupted)) for message in own]

    async def begin(self, kind: str, text: str) -> None:
        """Have the agent speak ``text``: by ``say``, as a ``reply``, or as the answer to a ``user``."""
        if kind == "say":
            self._turns.append(asyncio.create_task(self.session.say(text)))
            return
        self.mind.answers.append(text)
        if kind == "reply":
            self._turns.append(asyncio.create_task(self.session.reply("Say it.")))
        else:
            await self.ears.hear("Tell me about it, please.")

    async def cut(self) -> None:
        """Interrupt the turn under way, and wait until that is done and all that were begun are over.

        The next turn would otherwise begin while the framework still interrupts, and be part of what it has
        the agent remember. On Python 3.12 and later waiting for what is over already lets nothing else run.
        """
        others = asyncio.all_tasks()
        self.session.interrupt()
        interrupting = asyncio.all_tasks() - others
        await self.over()
        if interrupting:
            await asyncio.wait(interrupting, timeout=PATIENCE)

    async def over(self) -> None:
        """Wait until all turns are over."""
        if self._turns:
            await asyncio.wait_for(asyncio.gather(*self._turns), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            async with self.speech.tts_lock:
                await asyncio.sleep(0)

    def play(self, *, fast: bool = False) -> None:
        """Play the track from now on, as fast as the clock or faster; ``listener`` is for afterwards."""
        self._playing = asyncio.create_task(self._play_fast() if fast else self._play())

    async def stop_playing(self) -> None:
        assert self._playing is not None
        self._playing.cancel()
        await asyncio.wait({self._playing})

    async def _play(self) -> None:
        while True:
            await self.track.recv()

    async def _play_fast(self) -> None:
        while True:
            await self.listener.hear()
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        for task in filter(None, [*self._turns, self._playing]):
            task.cancel()
            await asyncio.wait({task})
        await self.session.close()


SPEAKERS: dict[str, Callable[[Any], Any]] = {
    "alone": lambda tts: tts,
    "in FallbackTTS": lambda tts: FallbackTTS([tts]),
    "in TransparentFallbackTTS": lambda tts: TransparentFallbackTTS([tts]),
}
"""What a plugin may be to a pipeline."""


def replies(call: Call) -> list[tuple[str, bool]]:
    """Return the same as :attr:`Call.replies`; a reply may have the model's last white space."""
    return [(text.strip(), interrupted) for text, interrupted in call.replies]


async def hear(call: Call, frames: int) -> None:
    """Have the listener hear so many frames, and the plugin look what was heard."""
    await call.listener.hear(frames)
    await settled()


@asynccontextmanager
async def calling(tts: LokutorTTS, track: CustomAudioStreamTrack, **options: Any) -> AsyncIterator[Call]:
    """Hold a call, in a scope of its own, as the framework's worker makes one for each."""
    job = _set_current_job_context(JobContext(room_options=RoomOptions(auth_token="not-used")))
    scope = _enter_session_scope()
    try:
        call = Call(tts, track, **options)
        await call.session.start()
        try:
            yield call
        finally:
            await call.close()
    finally:
        _exit_session_scope(scope)
        _reset_current_job_context(job)

"""What needs an account elsewhere: the line to the caller, and what hears and thinks for the agent.

Each is a real subclass of the framework's own class, so that ``AgentSession`` and ``Pipeline`` can't tell the
difference: audio goes in by ``pipeline.on_audio_delta()`` and comes out of the track's ``recv()``, turns and
interruptions are decided by the framework alone.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from _recording import FRAME, RATE, Recording, is_audible
from videosdk.agents import (
    LLM,
    STT,
    VAD,
    ChatContext,
    ChatRole,
    CustomAudioStreamTrack,
    LLMResponse,
    Pipeline,
    SpeechData,
    SpeechEventType,
    STTResponse,
    VADEventType,
    VADResponse,
    audio_format,
)
from videosdk.agents.vad import VADData

SILENCE = bytes(2 * FRAME)
FRAME_SECONDS = FRAME / RATE


class Line:
    """A telephone line: every 20 ms a frame of the agent comes out of it, and one of the caller goes in."""

    def __init__(self, pipeline: Pipeline, recording: Recording) -> None:
        self.track = CustomAudioStreamTrack(asyncio.get_running_loop())
        self.on_frame: Callable[[], None] = lambda: None
        """Called after each frame; what it raises ends the call."""
        self._pipeline = pipeline
        self._recording = recording
        self._mouth: deque[bytes] = deque()
        self._frames = asyncio.Condition()
        self._opened: float | None = None
        self._sound = 0.0
        self.silence = 0.0
        """Seconds since the agent was last heard."""

    def now(self) -> float:
        """Return the seconds since the call began."""
        return 0.0 if self._opened is None else asyncio.get_running_loop().time() - self._opened

    async def run(self) -> None:
        """Carry both voices until cancelled. The track's ``recv()`` keeps the time."""
        audio_format.publish(RATE, 1)
        while True:
            frame = await self.track.recv()
            if self._opened is None:
                self._opened = asyncio.get_running_loop().time()
            heard = frame.to_ndarray().tobytes()
            said = self._mouth.popleft() if self._mouth else SILENCE
            # Not before the agent was heard: a session that starts makes new listeners, and those that have
            # listened by then are never stopped.
            if self._sound:
                await self._pipeline.on_audio_delta(said)
            self._recording.add_frame(heard, said)
            self._listen(heard)
            self.on_frame()
            async with self._frames:
                self._frames.notify_all()

    def _listen(self, heard: bytes) -> None:
        if is_audible(heard):
            self._sound += FRAME_SECONDS
            self.silence = 0.0
        else:
            self.silence += FRAME_SECONDS

    async def say(self, voice: bytes) -> None:
        """Speak into the line; returns when all was said."""
        padded = voice + bytes(-len(voice) % len(SILENCE))
        self._mouth.extend(padded[at : at + len(SILENCE)] for at in range(0, len(padded), len(SILENCE)))
        await self._until(lambda: not self._mouth)

    async def hear(self, seconds: float) -> None:
        """Wait until that much of the agent's voice was heard."""
        enough = self._sound + seconds
        await self._until(lambda: self._sound >= enough)

    async def hear_out(self, pause: float = 0.9) -> None:
        """Wait until the agent has spoken and is silent for a while, as people do before they speak."""
        await self.hear(0.2)
        await self._until(lambda: self.silence >= pause)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with self._frames:
            await self._frames.wait_for(reached)


class VoiceActivity(VAD):
    """Reports where a voice starts and ends; a subclass tells of each piece of audio whether there is one."""

    HANGOVER = 0.15
    """Seconds for which a voice goes on over the gap that a "p" or a "t" makes."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate=sample_rate, min_speech_duration=0.06, min_silence_duration=0.4)
        self._on_inference: Callable[[VADResponse], None] = lambda response: None
        self._speaking = False
        self._voiced, self._quiet = 0.0, self.HANGOVER  # There was no voice that could go on.

    def on_inference(self, callback: Callable[[VADResponse], None]) -> None:
        """Take the callback for each frame: by it the framework times an interruption."""
        self._on_inference = callback

    async def follow(self, seconds: float, *, voice: bool, energy: float) -> None:
        """Take a further piece of audio into account."""
        self._quiet = 0.0 if voice else self._quiet + seconds
        self._voiced = self._voiced + seconds if self._quiet < self.HANGOVER else 0.0
        self._on_inference(self._response(VADEventType.FRAME_PROCESSED, energy))
        if not self._speaking and self._voiced >= self._min_speech_duration:
            await self._turn_to(True, energy)
        elif self._speaking and self._quiet >= self._min_silence_duration:
            await self._turn_to(False, energy)

    async def _turn_to(self, speaking: bool, energy: float) -> None:
        self._speaking = speaking
        event = VADEventType.START_OF_SPEECH if speaking else VADEventType.END_OF_SPEECH
        if self._vad_callback:
            await self._vad_callback(self._response(event, energy))

    def _response(self, event: VADEventType, energy: float) -> VADResponse:
        voiced = self._voiced > 0
        data = VADData(
            is_speech=voiced,
            confidence=0.95 if voiced else 0.02,
            speech_duration=self._voiced,
            silence_duration=self._quiet,
            energy=energy,
        )
        return VADResponse(event_type=event, data=data)


class EnergyVAD(VoiceActivity):
    """Notices a voice by its loudness: enough for a line without noise."""

    LOUD = 0.01

    def __init__(self) -> None:
        super().__init__(sample_rate=RATE)

    async def process_audio(self, audio_frames: bytes, **kwargs: Any) -> None:
        """Follow the voice frame by frame."""
        energy = loudness(audio_frames)
        await self.follow(len(audio_frames) / 2 / RATE, voice=energy > self.LOUD, energy=energy)


class ScriptedSTT(STT):
    """Knows the words beforehand, but has to hear them: results come as the audio does."""

    def __init__(self) -> None:
        super().__init__()
        self.interim_results = True  # The argument for it has another name before videosdk-agents 1.0.29.
        self._words: list[str] = []
        self._seconds = 0.0
        self._position = 0.0
        self._final = self._shown = 0

    def expect(self, text: str, seconds: float) -> None:
        """Say what the next voice on the line will say, and how long it takes to."""
        self._words, self._seconds = text.split(), seconds
        self._position, self._final, self._shown = 0.0, 0, 0

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        """Move on through the words at the pace of the audio; an interim result for each further word."""
        if not self._position and not is_audible(audio_frames):
            return
        self._position += len(audio_frames) / 2 / RATE
        recognized = min(len(self._words), int(self._position / self._seconds * len(self._words)))
        if recognized > max(self._shown, self._final):
            self._shown = recognized
            await self._report(SpeechEventType.INTERIM, recognized)

    async def flush(self) -> None:
        """Settle what was said: the framework calls this when the voice activity ends."""
        if self._shown > self._final:
            shown = self._shown
            await self._report(SpeechEventType.FINAL, shown)
            self._final = shown

    async def _report(self, event: SpeechEventType, end: int) -> None:
        text = " ".join(self._words[self._final : end])
        data = SpeechData(text=text, confidence=0.98, duration=self._position)
        if self._transcript_callback:
            await self._transcript_callback(STTResponse(event_type=event, data=data))


class ScriptedLLM(LLM):
    """Has its answers ready, and streams their tokens at the pace of a hosted model.

    Args:
        find_answer: Returns the answer to what the caller has said.
        on_answer: Told each answer as it begins.
    """

    FIRST_TOKEN = 0.32
    TOKENS_PER_SECOND = 25

    def __init__(self, find_answer: Callable[[str], str], on_answer: Callable[[str], None]) -> None:
        super().__init__()
        self._find_answer = find_answer
        self._on_answer = on_answer
        self._generation = 0
        self._random = random.Random(7)

    async def chat(  # type: ignore[override, misc]  # The base class has no yield.
        self, messages: ChatContext, tools: Any = None, conversational_graph: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponse]:
        """Stream the answer to the caller's last words, until it ends or is cancelled."""
        self._generation = generation = self._generation + 1
        asked = next(m for m in reversed(messages.messages()) if m.role == ChatRole.USER)
        said = asked.content if isinstance(asked.content, str) else " ".join(map(str, asked.content))
        answer = self._find_answer(said)
        self._on_answer(answer)
        await asyncio.sleep(self.FIRST_TOKEN)
        for token in tokens(answer):
            if generation != self._generation:
                return
            yield LLMResponse(content=token, role=ChatRole.ASSISTANT)
            await asyncio.sleep(self._random.uniform(0.5, 1.5) / self.TOKENS_PER_SECOND)

    async def cancel_current_generation(self) -> None:
        """Stop the stream before its next token."""
        self._generation += 1


def tokens(text: str) -> list[str]:
    """Cut a text into pieces of the size and shape of a language model's tokens."""
    return re.findall(r"\s*\w{1,5}|\s*[^\w\s]", text)


def loudness(pcm: bytes) -> float:
    """Return the loudness of 16-bit PCM, 0 to 1."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
    return float(np.sqrt(np.mean(samples**2)))

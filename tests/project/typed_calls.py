"""What a type checker, and so an editor, knows of the plugin. ``test_typing.py`` checks it; it never runs.

Each ``type: ignore`` is a mistake that must be found: mypy reports one that ignores nothing.
"""

from __future__ import annotations

from typing import assert_type

from videosdk.plugins.lokutor import (
    LokutorTTS,
    SpeechChanges,
    SynthesisMetrics,
    Viseme,
    WordSpoken,
    errors,
    mouth_shape,
)


async def calls(tts: LokutorTTS) -> None:
    tts.update_options(voice="en_f1", language="pt-BR", speed=1, steps=8, model=None)
    await tts.synthesize("Hello.", "M1", speed=1.2)
    async for piece in tts.stream_synthesize("Hello.", voice_id="M1", interruptible=False, steps=8):
        assert_type(piece, bytes)


async def kept_changes(tts: LokutorTTS) -> None:
    slow: SpeechChanges = {"speed": 0.8}
    tts.update_options(**slow)
    await tts.synthesize("Hello.", **slow)


async def opened() -> None:
    async with LokutorTTS() as tts:
        assert_type(tts, LokutorTTS)


async def mistakes(tts: LokutorTTS) -> None:
    tts.update_options(pitch=2)  # type: ignore[call-arg]
    tts.update_options(speed="fast")  # type: ignore[arg-type]
    await tts.synthesize("Hello.", volume=3)  # type: ignore[call-arg]
    await tts.synthesize("Hello.", steps=1.5)  # type: ignore[arg-type]
    tts.stream_synthesize("Hello.", voice=None)  # type: ignore[arg-type]
    tts.stream_synthesize("Hello.", rate=8_000)  # type: ignore[call-arg]
    SpeechChanges(pitch=2)  # type: ignore[typeddict-unknown-key]


def events(word: WordSpoken, viseme: Viseme, metrics: SynthesisMetrics, error: errors.LokutorError) -> None:
    assert_type(word["start"], float)
    assert_type(word.get("estimated"), bool | None)
    assert_type(mouth_shape(viseme.sound), str | None)
    assert_type(metrics.connect_time, float | None)
    assert_type(error.retryable, bool)

"""One call, in a process of its own, as VideoSDK's worker runs it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import time
from dataclasses import dataclass, field

from shared_plan import PATIENCE, SharedPlan
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics, TransparentFallbackTTS
from videosdk.plugins.lokutor.errors import LokutorError


@dataclass(frozen=True)
class Settings:
    """What a call needs to know.

    Attributes:
        number: Which call it is.
        redis: Where the plan is kept.
        per_minute: Requests that it allows.
        first: URL of the service.
        second: URL of the second provider.
        start: When the first turn begins, in seconds since the epoch.
        turns: How many turns there are.
        interval: Seconds from turn to turn.
        redis_timeout: Seconds that Redis may take for an answer.
    """

    number: int
    redis: str
    per_minute: int
    first: str
    second: str
    start: float
    turns: int
    interval: float
    redis_timeout: float = PATIENCE


@dataclass
class Turn:
    """What became of a turn.

    Attributes:
        begun: When it had its text, in seconds since the epoch.
        first_audio: When its first audio came; None: never.
        speaker: Which provider has spoken it, 0 or 1; None: nobody.
    """

    begun: float
    first_audio: float | None = None
    speaker: int | None = None


@dataclass
class Result:
    """What became of a call.

    Attributes:
        turns: Its turns.
        errors: What was reported: the kinds of errors.
    """

    turns: list[Turn] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def hold_call(settings: Settings) -> Result:
    """Speak the call's turns on a track."""
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):  # FallbackTTS prints each change.
        return await _hold_call(settings)


async def _hold_call(settings: Settings) -> Result:
    plan = SharedPlan.from_url(settings.redis, settings.per_minute, timeout=settings.redis_timeout)
    track = CustomAudioStreamTrack(asyncio.get_running_loop())
    first = LokutorTTS(
        api_key="local",
        base_url=settings.first,
        limiter=plan,
        # It gives up soon, for there is another behind it. A turn waits so long for a permit, too.
        connect_timeout=3.0,
        first_audio_timeout=2.0,
        max_retries=1,
    )
    second = LokutorTTS(api_key="local", base_url=settings.second, voice="M2")
    # Each turn asks for a permit again: the plan is exhausted for seconds, not for minutes.
    tts = TransparentFallbackTTS([first, second], temporary_disable_sec=0)
    tts.audio_track = first.audio_track = second.audio_track = track
    result = Result()

    def on_error(error: object) -> None:
        kind = type(error).__name__ if isinstance(error, LokutorError) else str(error)
        result.errors.append(kind)

    tts.on("error", on_error)
    playing = asyncio.create_task(_play(track))
    await asyncio.sleep(max(settings.start + settings.number / 8 * settings.interval - time.time(), 0))
    try:
        for turn in range(settings.turns):
            text = f"This is turn {turn} of call {settings.number}."
            result.turns.append(spoken := await _speak(tts, [first, second], text))
            await asyncio.sleep(max(spoken.begun + settings.interval - time.time(), 0))
    finally:
        playing.cancel()
        await tts.aclose()
        await plan.aclose()
    return result


async def _speak(tts: TransparentFallbackTTS, providers: list[LokutorTTS], text: str) -> Turn:
    turn = Turn(time.time())

    async def on_first_audio() -> None:
        turn.first_audio = time.time()

    def on_metrics(number: int, cost: SynthesisMetrics) -> None:
        if cost.audio_pushed:
            turn.speaker = number

    listeners = [lambda cost, number=number: on_metrics(number, cost) for number in range(len(providers))]
    for provider, listener in zip(providers, listeners, strict=True):
        provider.on("metrics", listener)  # type: ignore[arg-type]  # The base class lists its own events only.
    tts.on_first_audio_byte(on_first_audio)
    await tts.synthesize(text)
    for provider, listener in zip(providers, listeners, strict=True):
        provider.off("metrics", listener)  # type: ignore[arg-type]
    return turn


async def _play(track: CustomAudioStreamTrack) -> None:
    while True:
        await track.recv()

"""What happens in a call: its text, its events, its interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from kit.tracks import Listener, pushed_samples
from kit.waits import PATIENCE, settled, until
from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.visemes import Viseme


async def chunks_of(chunks: Iterable[str | FlushMarker]) -> AsyncIterator[str | FlushMarker]:
    for chunk in chunks:
        yield chunk


async def requests_of(*texts: str) -> AsyncIterator[str | FlushMarker]:
    """Yield texts so that each becomes a request of its own, however short it is."""
    for text in texts:
        yield text
        yield FlushMarker()


def emitted_by(tts: LokutorTTS, event: str) -> list[Any]:
    """Return a list that grows by what ``tts`` emits with each ``event``."""
    emitted: list[Any] = []

    def on_event(what: Any) -> None:
        emitted.append(what)

    tts.on(event, on_event)  # type: ignore[arg-type]  # Some of the events are the plugin's own.
    return emitted


def listen(tts: LokutorTTS) -> list[LokutorError]:
    """Return a list that grows by each error that ``tts`` emits."""
    return emitted_by(tts, "error")


async def interrupt_late(
    tts: LokutorTTS, track: CustomAudioStreamTrack, following: str, *, spoken: bool = False
) -> None:
    """Talk over a turn once it is heard, and speak ``following`` whole.

    The framework's second interrupt, from the task of the turn that it has cancelled, comes when that one
    has begun.

    Args:
        tts: What speaks both.
        track: Its track.
        following: The text of the second turn.
        spoken: Whether the track has all audio of the first turn by then.
    """
    next_begun, all_pushed = asyncio.Event(), asyncio.Event()

    async def first_turn() -> None:
        try:
            await tts.synthesize("To be talked over.")
            all_pushed.set()
            await asyncio.Event().wait()  # As the framework waits until it was heard.
        finally:
            await next_begun.wait()
            await tts.interrupt()

    first = asyncio.create_task(first_turn())
    await until(lambda: all_pushed.is_set() if spoken else pushed_samples(track) > 0)
    await tts.interrupt()
    first.cancel()
    await asyncio.sleep(0)
    track.frame_buffer.clear()
    second = asyncio.create_task(tts.synthesize(following))
    await asyncio.sleep(0)
    next_begun.set()
    await asyncio.wait({first}, timeout=PATIENCE)
    await asyncio.wait_for(second, PATIENCE)


def follows(tts: LokutorTTS) -> bool:
    """Return whether it may still tell words or visemes of the last turn.

    Only the plugin itself knows: to those outside, a timer that goes on for ever looks like none.
    """
    return tts._synchronizers.following


async def told(
    tts: LokutorTTS, track: CustomAudioStreamTrack, *texts: str
) -> tuple[list[dict[str, Any]], list[Viseme]]:
    """Speak ``texts``, a request each, listen to the end, and return the words and visemes."""
    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    track.mark_synthesis_start()
    await tts.synthesize(requests_of(*texts))
    listener = Listener(track)
    while track.frame_buffer:
        await listener.hear(20)
        await settled()
    await until(lambda: not follows(tts))
    return words, [viseme for several in visemes for viseme in several]

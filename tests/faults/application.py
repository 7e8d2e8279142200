"""Faults of the application's own code: its text, its track, its callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from faults.stage import TEXT, Arrange, MineError, Turn
from videosdk.plugins.lokutor import LokutorTTS


def with_text(text: Callable[[], AsyncIterator[Any]]) -> Arrange:
    """Return an arrangement in which the turn speaks what ``text`` yields."""

    def arrange(turn: Turn) -> None:
        turn.text = text()

    return arrange


async def raises_at_once() -> AsyncIterator[str]:
    raise MineError
    yield ""


async def raises_later() -> AsyncIterator[str | FlushMarker]:
    yield TEXT
    yield FlushMarker()
    raise MineError


async def with_nones() -> AsyncIterator[str | FlushMarker | None]:
    yield None
    yield TEXT
    yield None


async def of_bytes() -> AsyncIterator[bytes]:
    yield TEXT.encode()


async def with_half_a_character() -> AsyncIterator[str]:
    yield TEXT.removesuffix(".")
    yield "\ud83d."


def saying_only(text: str) -> Arrange:
    """Return an arrangement in which the turn has nothing but ``text`` to say."""

    async def chunks() -> AsyncIterator[str | FlushMarker]:
        yield text
        yield FlushMarker()

    return with_text(chunks)


async def beginning_late() -> AsyncIterator[str]:
    await asyncio.sleep(2.2)  # Longer than a listener is kept waiting for text that is there.
    yield TEXT


def stalled(turn: Turn) -> None:
    """Let the text stop coming, and the listener interrupt then."""
    waiting = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "The beginning of"
        waiting.set()
        await asyncio.Event().wait()

    async def interrupted(turn: Turn) -> None:
        call = asyncio.create_task(turn.tts.synthesize(text()))
        await waiting.wait()
        await turn.tts.interrupt()
        await call

    turn.drive = interrupted


def stubborn(turn: Turn) -> None:
    """Let the text ignore its cancellation, for a while that is longer than the turn waits."""
    waiting, let_go = asyncio.Event(), asyncio.Event()

    async def text() -> AsyncIterator[str]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_go.wait()
        yield "Too late."

    async def interrupted(turn: Turn) -> None:
        call = asyncio.create_task(turn.tts.synthesize(text()))
        await waiting.wait()
        await turn.tts.interrupt()
        await call
        let_go.set()

    turn.drive = interrupted


async def of_a_cancelled_task() -> AsyncIterator[str]:
    """Wait for a model's task that somebody else has cancelled."""
    model: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    model.cancel()
    yield await model


class BrokenTrack(CustomAudioStreamTrack):
    """Takes so many bytes, then raises."""

    def __init__(self, size: int) -> None:
        super().__init__(asyncio.get_running_loop())  # type: ignore[no-untyped-call]
        self._left = size

    async def add_new_bytes(self, audio_data: bytes) -> None:
        self._left -= len(audio_data)
        if self._left < 0:
            raise MineError("the track is gone")
        await super().add_new_bytes(audio_data)


class CancellingTrack(CustomAudioStreamTrack):
    """Waits for a task of its own that somebody has cancelled."""

    async def add_new_bytes(self, audio_data: bytes) -> None:
        raise asyncio.CancelledError


class SlowTrack(CustomAudioStreamTrack):
    """Takes longer for its first push than the service may be silent."""

    async def add_new_bytes(self, audio_data: bytes) -> None:
        if not self._cumulative_input_samples:
            await asyncio.sleep(1.3)
        await super().add_new_bytes(audio_data)


class MiscountingTrack(CustomAudioStreamTrack):
    """Fails when it is asked how much it has played."""

    def snapshot_playback(self) -> tuple[int, int]:
        raise MineError("no such counter")


def on_broken_track(size: int) -> Arrange:
    def arrange(turn: Turn) -> None:
        turn.tts.audio_track = BrokenTrack(size)

    return arrange


def on_cancelling_track(turn: Turn) -> None:
    turn.tts.audio_track = CancellingTrack(asyncio.get_running_loop())  # type: ignore[no-untyped-call]


def on_slow_track(turn: Turn) -> None:
    turn.tts.audio_track = SlowTrack(asyncio.get_running_loop())  # type: ignore[no-untyped-call]


def on_miscounting_track(turn: Turn) -> None:
    turn.tts.audio_track = MiscountingTrack(asyncio.get_running_loop())  # type: ignore[no-untyped-call]


def on_track_without_a_rate(turn: Turn) -> None:
    turn.tts.audio_track.sample_rate = 0


def raising_callback(turn: Turn) -> None:
    turn.first_audio = _raise_mine


def raising_listener(turn: Turn) -> None:
    turn.listener = _raise_mine


def closed_session(turn: Turn) -> None:
    """Let the application close the session that it gave."""

    session = aiohttp.ClientSession()
    turn.tts = LokutorTTS(api_key="test-key", base_url=turn.stage.url, session=session)
    turn.tts.audio_track = turn.stage.tts.audio_track

    async def drive(turn: Turn) -> None:
        await session.close()
        await turn.tts.synthesize(turn.text)

    turn.drive = drive


def _raise_mine(*_: object) -> None:
    raise MineError

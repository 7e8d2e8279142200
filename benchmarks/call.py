"""A call as the framework drives it, with the clocks that the rows read.

The order of what is called on the plugin and on the track is that of ``SpeechGeneration`` in
videosdk-agents 1.0.30. The track is the framework's own, and its ``recv()`` is pumped as WebRTC does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from videosdk.agents import FlushMarker

from .certificates import HOST
from .contenders import FLOOR, Contender
from .track import ClockedTrack, play

_PATIENCE = 5.0
"""Seconds without any audio after which a turn counts as failed."""


class Call:
    """One caller: a plugin, a track, and a pump that plays it.

    Use it as ``async with``. The plugin is closed at the end.

    Args:
        contender: Whose plugin.
        port: Where its service is.
        keep: Whether the track keeps what it was given.
        pump: Whether the track is played.
        fade: Whether the track fades out at a barge-in.
    """

    def __init__(
        self, contender: Contender, port: int, *, keep: bool = True, pump: bool = True, fade: bool = True
    ) -> None:
        self.tts: Any = contender.make(port)
        self.track = ClockedTrack(keep=keep, fade=fade)
        self.tts.audio_track = self.track  # type: ignore[assignment]  # Its base says None.
        self.tts.loop = asyncio.get_running_loop()
        self._errors: list[object] = []
        self.tts.on("error", lambda *error: self._errors.append(error))
        self._lock = asyncio.Lock()
        self._pump = asyncio.create_task(play(self.track)) if pump else None

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await self.tts.aclose()

    def say(self, text: str) -> asyncio.Task[float]:
        """Begin a turn as ``say()`` does; its task returns when ``synthesize()`` ended."""
        return asyncio.create_task(self._generate(sentence(text)))

    def reply(self, text: AsyncIterator[Any] | str) -> asyncio.Task[float]:
        """Begin an answer to a user; cancelled, its task interrupts once more, as the framework's does."""
        return asyncio.create_task(self._reply(sentence(text) if isinstance(text, str) else text))

    async def _reply(self, text: AsyncIterator[Any]) -> float:
        try:
            return await self._generate(text)
        except asyncio.CancelledError:
            await self.tts.interrupt()
            self.track.interrupt()
            raise

    async def _generate(self, text: AsyncIterator[Any]) -> float:
        async with self._lock:  # The framework speaks one turn at a time.
            self.track.mark_synthesis_start()
            self.track.enable_audio_input(manual_control=True)
            self.tts.on_first_audio_byte(_announce)
            self.tts.reset_first_audio_tracking()
            await self._synthesize(text)
            ended = time.monotonic()
            self.track.mark_synthesis_complete()
            return ended

    async def _synthesize(self, text: AsyncIterator[Any]) -> None:
        try:
            await self.tts.synthesize(text)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The plugin's own way to end an interrupted turn.

    async def first_audio(self) -> float:
        """Return when the turn's first bytes reached the track.

        Raises:
            RuntimeError: The plugin reported an error, or nothing came.
        """
        await self._wait(self.track.arrived)
        if self.track.first_audio is None:
            raise RuntimeError("no audio came")
        return self.track.first_audio

    async def first_sound(self) -> float:
        """Return when the turn was first heard.

        Raises:
            RuntimeError: The plugin reported an error, or nothing was heard.
        """
        await self._wait(self.track.sounded)
        if self.track.first_sound is None:
            raise RuntimeError("nothing was heard")
        return self.track.first_sound

    async def _wait(self, event: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await event.wait()
        self.check()

    def check(self) -> None:
        """Raise what the plugin reported.

        Raises:
            RuntimeError: It reported an error.
        """
        if self._errors:
            raise RuntimeError(f"the plugin reported {self._errors[0]!r}")

    async def interrupt(self) -> tuple[float, float]:
        """Interrupt as the framework does first: the plugin, then the track.

        Returns:
            The seconds that the plugin's ``interrupt()`` took, and those of the track's own within it.
        """
        begun = time.monotonic()
        await self.tts.interrupt()
        taken = time.monotonic() - begun
        own = self.track.own_interrupt
        self.track.interrupt()
        return taken, own


class RawSocket:
    """The floor: the same text over a raw WebSocket that is already open. No conversion.

    Args:
        port: Where the service is.
        track: Where its audio goes, at the track's rate; None leaves it at the rate of Lokutor.
    """

    def __init__(self, port: int, track: ClockedTrack | None = None) -> None:
        self._url = f"wss://{HOST}:{port}/{'lokutor' if track is None else FLOOR}"
        self._session: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._track = track
        self._pump = asyncio.create_task(play(track)) if track is not None else None

    @property
    def track(self) -> ClockedTrack:
        """Its track."""
        assert self._track is not None
        return self._track

    async def __aenter__(self) -> RawSocket:
        self._session = aiohttp.ClientSession()
        self._ws = await self._session.ws_connect(self._url, max_msg_size=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        assert self._ws is not None
        if self._pump is not None:
            self._pump.cancel()
        await self._ws.close()
        await self._session.close()

    async def speak(self, text: str) -> float:
        """Send ``text`` and receive all of its audio; return when the first of it came."""
        assert self._ws is not None
        first: float | None = None
        async with asyncio.timeout(_PATIENCE):
            await self._ws.send_json({"text": text})
            while (message := await self._ws.receive()).type is aiohttp.WSMsgType.BINARY:
                first = first or time.monotonic()
                if self._track is not None:
                    await self._track.add_new_bytes(message.data)
        if first is None:
            raise RuntimeError("no audio came")
        return first


async def sentence(text: str) -> AsyncIterator[str | FlushMarker]:
    """Yield ``text`` as the framework hands over a turn of one sentence."""
    yield text
    yield FlushMarker()


async def _announce() -> None:
    """Take the place of the framework's first-audio callback."""

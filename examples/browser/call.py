"""One browser's call: the agent's audio track, the caller's microphone, and a data channel for the page.

It is what a VideoSDK room is to an agent, by the same WebRTC library; only the signaling is one HTTP request
on this machine.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aioice.ice
from _recording import is_audible
from av import AudioFrame
from videosdk.agents import CustomAudioStreamTrack, audio_format
from vsaiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

FRAME_SECONDS = 0.02
GAP = 0.2
"""Seconds without a frame of the microphone that count as silence,"""
MUTED = 0.8
"""and how much of it is passed on: enough to end a voice."""
LAST_WORDS = 0.5
"""Seconds within which the last event leaves."""

_find_addresses = aioice.ice.get_host_addresses


def listen_on(*, all_addresses: bool) -> None:
    """Take the media of calls on 127.0.0.1 alone, or on this machine's other addresses, too.

    aioice leaves out 127.0.0.1, and has no option for it.
    """

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1", *(_find_addresses(use_ipv4, use_ipv6) if all_addresses else [])]

    aioice.ice.get_host_addresses = addresses


@dataclass(frozen=True)
class Frame:
    """20 ms of the agent's audio, as the browser gets it."""

    audible: bool
    fading: bool
    """Whether it is of the reply that was cut off: the track fades out for 0.4 s."""


class AgentTrack(CustomAudioStreamTrack):
    """The framework's own track, which tells of each frame that leaves it."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())  # type: ignore[no-untyped-call]
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self._fading = 0

    def interrupt(self) -> None:
        """Cut the reply off; what is in the buffer now is its end."""
        super().interrupt()  # type: ignore[no-untyped-call]
        self._fading = len(self.frame_buffer)

    async def recv(self) -> AudioFrame:
        """Return the next frame, when it is due."""
        frame = await super().recv()
        fading = self._fading > 0
        self._fading -= fading
        self.on_frame(Frame(is_audible(frame.to_ndarray().tobytes()), fading))
        return frame


class Call:
    """A peer connection with a browser."""

    def __init__(self) -> None:
        self.track = AgentTrack()
        self.on_audio: Callable[[bytes], Awaitable[None]] = _drop
        """Awaited with each frame of the microphone: 16-bit PCM in the format of the wire."""
        self.left = asyncio.Event()
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._channel: RTCDataChannel | None = None
        self._listening: set[asyncio.Task[None]] = set()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("track", self._on_track)

    async def answer(self, offer: str) -> str:
        """Return the answer to the browser's offer, both as SDP.

        Raises:
            ValueError: It isn't an offer.
        """
        # A browser hides its addresses behind names that are asked for by multicast. It is on this machine.
        offer = re.sub(r"\S+\.local\b", "127.0.0.1", offer)
        self._peer.addTrack(self.track)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # The library reads it as it comes, and raises whatever that leads to.
            raise ValueError("It isn't an offer.") from error
        if self._peer.sctp is None or any(each.mid is None for each in self._peer.getTransceivers()):
            raise ValueError("It offers no audio, or no channel for messages.")
        return str(self._peer.localDescription.sdp)

    def send(self, event: dict[str, Any]) -> None:
        """Send the page an event; one that nobody is there for is dropped."""
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(json.dumps(event))

    async def say_last(self, event: dict[str, Any]) -> None:
        """Send the page an event, and wait until it has left."""
        self.send(event)
        with suppress(TimeoutError):  # The page has gone without a word.
            async with asyncio.timeout(LAST_WORDS):
                await self._emptied()

    async def _emptied(self) -> None:
        """Wait until all that was sent has left."""
        channel, emptied = self._channel, asyncio.Event()
        if channel is not None and channel.bufferedAmount:
            channel.on("bufferedamountlow", emptied.set)
            await emptied.wait()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the page sends, until the caller leaves."""
        while (message := await self._messages.get()) is not None:
            yield message

    async def close(self) -> None:
        """Hang up. Idempotent."""
        self._leave()
        await self._peer.close()
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)

    def _leave(self) -> None:
        if not self.left.is_set():
            self.left.set()
            self._messages.put_nowait(None)

    def _on_state(self) -> None:
        if self._peer.connectionState in {"closed", "failed"}:
            self._leave()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", self._leave)

    def _on_message(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = {}
        self._messages.put_nowait(message if isinstance(message, dict) else {})

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._listen(track))
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)

    async def _listen(self, track: MediaStreamTrack) -> None:
        # A browser sends nothing while the microphone is off: without silence, a voice would go on for ever.
        pcm, silent = b"", MUTED
        while True:
            try:
                async with asyncio.timeout(GAP if silent < MUTED else None):
                    frame = await track.recv()
            except TimeoutError:
                for _ in range(round(GAP / FRAME_SECONDS)):
                    await self.on_audio(bytes(len(pcm)))
                silent += GAP
                continue
            except MediaStreamError:  # The browser has hung up.
                return
            assert isinstance(frame, AudioFrame)
            pcm, silent = frame.to_ndarray().tobytes(), 0.0
            audio_format.publish_from_frame(frame, nbytes=len(pcm))
            await self.on_audio(pcm)


async def _drop(pcm: bytes) -> None:
    """Take audio that nobody listens to yet."""

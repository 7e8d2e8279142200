"""The framework's track, with notes of what it was given and of what the caller heard.

Rule of this file: what counts as heard left the track through ``recv()``, as it does in a room. A sample
of a frame is heard when its time within the frame has come, counted from the moment of ``recv()``.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor._audio.silence import LOUDEST_SILENCE

TRACK_RATE = 24_000
_FRAME = 0.02
_LATE = 0.04
"""Seconds behind its time after which a frame is of no use."""

Samples = NDArray[np.int16]
Frame = tuple[float, Samples]
"""When a frame was handed out, and its samples."""


def audible(samples: Samples) -> NDArray[np.intp]:
    """Return the places of the samples that can be heard."""
    return np.flatnonzero((samples > LOUDEST_SILENCE) | (samples < -LOUDEST_SILENCE))


def _samples(frame: Any) -> Samples:
    return np.frombuffer(bytes(frame.planes[0]), np.int16)[: frame.samples]  # The plane is padded.


class ClockedTrack(CustomAudioStreamTrack):
    """The framework's track, with its clock.

    Args:
        keep: Whether to keep the bytes that were given and the frames that were handed out.
        fade: Whether ``interrupt()`` fades out, as the framework has it; else it cuts.

    Attributes:
        first_audio: When the first bytes since :meth:`listen` were accepted, or None.
        heard: What was accepted since then; kept only where a row compares it.
        first_sound: When the first audible sample since then was handed out, or None.
        frames: What was handed out since then, without the silence that the track adds.
        played: How many frames those were.
        missing: How many frames of silence the track put between them, or handed out too late.
        own_interrupt: Seconds that the latest ``interrupt()`` took by itself.
    """

    def __init__(self, *, keep: bool = True, fade: bool = True) -> None:
        super().__init__(asyncio.get_running_loop())  # type: ignore[no-untyped-call]
        self._keep = keep
        self._begun, self._empty = asyncio.Event(), asyncio.Event()
        if not fade:
            self.interrupt_fade_duration = 0.0
        self.listen()

    def listen(self) -> None:
        """Begin new notes."""
        self.first_audio: float | None = None
        self.heard = bytearray()
        self.own_interrupt = 0.0
        self.arrived = asyncio.Event()
        self.first_sound: float | None = None
        self.sounded = asyncio.Event()
        self.frames: list[Frame] = []
        self.played = self.missing = self._silent = 0

    def listen_on(self) -> None:
        """Begin new notes of what is given, and go on with those of what is handed out."""
        frames = self.frames
        self.listen()
        self.frames = frames

    async def add_new_bytes(self, audio_data: bytes) -> None:
        """Note and pass on."""
        if self._accepting_audio and audio_data:
            if self.first_audio is None:
                self.first_audio = time.monotonic()
                self.arrived.set()
            if self._keep:
                self.heard += audio_data
        await super().add_new_bytes(audio_data)

    async def recv(self) -> Any:
        """Hand out a frame, and note it."""
        due, before = self._due(), self._samples_played
        frame = await super().recv()
        self._begun.set()
        if not self.frame_buffer:
            self._empty.set()
        if self._samples_played > before:
            late = due is not None and time.time() - due > _LATE
            self._note(_samples(frame), late=late)
        elif self.first_sound is not None:
            self._silent += 1  # Missing only if more of the reply comes behind it.
        return frame

    def _note(self, samples: Samples, *, late: bool) -> None:
        now = time.monotonic()
        self.played += 1
        self.missing += self._silent + late
        self._silent = 0
        if self._keep:
            self.frames.append((now, samples))
        if self.first_sound is None:
            places = audible(samples)
            if len(places):
                self.first_sound = now + float(places[0]) / TRACK_RATE
                self.sounded.set()

    def interrupt(self) -> None:
        """Time and pass on."""
        begun = time.monotonic()
        super().interrupt()  # type: ignore[no-untyped-call]
        self.own_interrupt = time.monotonic() - begun

    async def reach(self, phase: float) -> None:
        """Wait until ``phase`` (0 to 1) of the way from one frame to the next.

        A sound is heard with the next frame, up to 20 ms later. Samples that begin at evenly spread phases
        all meet the same waits, whoever is measured.
        """
        await self._begun.wait()
        due = self._due()
        assert due is not None
        await asyncio.sleep((due - time.time() + phase * _FRAME) % _FRAME)

    async def drained(self) -> None:
        """Wait until everything was handed out that makes a whole frame."""
        while self.frame_buffer:
            self._empty.clear()
            await self._empty.wait()

    def all_frames(self) -> list[Frame]:
        """Return what was handed out since :meth:`listen`, and what waits, at the times when it will be."""
        now = time.monotonic() + _FRAME
        waiting = [(now + place * _FRAME, _samples(frame)) for place, frame in enumerate(self.frame_buffer)]
        return [*self.frames, *waiting]

    def _due(self) -> float | None:
        """Return when the next frame is due, by the track's own reckoning."""
        if self._start is None:
            return None
        return float(self._start + (self._timestamp + self.samples) / self.sample_rate)


async def play(track: CustomAudioStreamTrack) -> None:
    """Play ``track`` for ever, in real time, as WebRTC does."""
    while True:
        await track.recv()

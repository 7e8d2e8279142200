"""Tracks: what one was given, one that is played on demand, one of somebody else's."""

from __future__ import annotations

from videosdk.agents.room.output_stream import CustomAudioStreamTrack


def on_track(track: CustomAudioStreamTrack) -> bytes:
    """Return all PCM that waits on a track nobody plays, a rest shorter than a frame included."""
    frames = [frame.to_ndarray().astype("<i2").tobytes() for frame in track.frame_buffer]
    return b"".join(frames) + bytes(track.audio_data_buffer)


def pushed_samples(track: CustomAudioStreamTrack) -> int:
    """Return how many samples the track ever accepted."""
    return int(track._cumulative_input_samples)


class Listener:
    """Plays a track a frame at a time, as fast as it is asked to: its ``recv()`` never waits."""

    def __init__(self, track: CustomAudioStreamTrack) -> None:
        self._track = track
        self.heard = b""

    async def hear(self, frames: int = 1) -> None:
        """Play so many frames of 20 ms."""
        for _ in range(frames):
            self._track._start = 0.0  # Long ago: there is much to catch up on.
            frame = await self._track.recv()
            self.heard += frame.to_ndarray().astype("<i2").tobytes()


class BareTrack:
    """A track of somebody else's: it takes audio, and that is all."""

    def __init__(self) -> None:
        self.pcm = b""

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.pcm += pcm

    def interrupt(self) -> None:
        return

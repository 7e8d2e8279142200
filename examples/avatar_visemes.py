"""A mouth that moves with the agent's voice: visemes, each when the listener hears its sound.

The local server speaks, so it needs no account::

    pip install -e ".[local]"
    python examples/avatar_visemes.py
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from videosdk.agents import CustomAudioStreamTrack

    from videosdk.plugins.lokutor import LokutorTTS, Viseme
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
    from videosdk.plugins.lokutor.visemes import mouth_shape
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')

TEXT = "Hello! I am an avatar, and my mouth moves with my voice."


class Avatar:
    """Stands for your own: it prints the shapes of its mouth."""

    def __init__(self) -> None:
        self.shape = "rest"
        self.shapes: list[str] = []

    def on_visemes(self, visemes: list[Viseme]) -> None:
        """Take the sounds that the listener hears now."""
        for viseme in visemes:
            shape = mouth_shape(viseme.sound)
            if shape is not None and shape != self.shape:  # None: it keeps its shape.
                self.shape = shape
                self.shapes.append(shape)
                print(f"{viseme.start:5.2f} s  {viseme.sound!r:6} {shape}")


async def speak() -> None:
    """Speak on a track that is played, as a room plays it."""
    avatar = Avatar()
    track = CustomAudioStreamTrack(asyncio.get_running_loop())
    async with (
        LocalServer(EspeakEngine()) as server,
        LokutorTTS(api_key="local", base_url=server.url, visemes=True) as tts,
    ):
        tts.audio_track = track
        tts.on("visemes", avatar.on_visemes)  # type: ignore[arg-type]  # The base class lists its own only.
        await tts.synthesize(TEXT)
        while track.frame_buffer:  # As a room plays it: the track keeps the time, 50 frames a second.
            await track.recv()
    print(f"{len(avatar.shapes)} shapes")


def main() -> None:
    """Speak, and print the shapes."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    try:
        asyncio.run(speak())
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    run(main)

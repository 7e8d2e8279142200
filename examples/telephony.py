"""Speech for a telephone line: 8 kHz, with nothing above 4 kHz that could fold back as noise.

A track with a rate of its own gets audio at that rate; this one has 8 kHz. The local server speaks, so it
needs no account. Listen to ``telephony.wav``::

    pip install -e ".[local]"
    python examples/telephony.py
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import wave
from pathlib import Path

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from videosdk.plugins.lokutor import LokutorTTS
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')

TEXT = "Harbour Ferries, good morning. The next boat leaves at ten forty, from pier three."
RATE = 8_000


class TelephoneTrack:
    """Stands for your own track: any with a ``sample_rate`` and ``add_new_bytes()`` does."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.pcm = bytearray()

    async def add_new_bytes(self, audio_data: bytes) -> None:
        """Take 16-bit mono PCM at 8 kHz, and send it down the line; encode it to G.711 if that needs it."""
        self.pcm += audio_data

    def interrupt(self) -> None:
        """Drop what was not played: the caller speaks."""
        self.pcm.clear()


async def speak(track: TelephoneTrack) -> None:
    """Speak on the telephone's track."""
    async with LocalServer(EspeakEngine()) as server, LokutorTTS(api_key="local", base_url=server.url) as tts:
        tts.audio_track = track
        await tts.synthesize(TEXT)


def main() -> None:
    """Speak, and write down what was heard."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the file (default: this one)")
    folder: Path = parser.parse_args().out
    track = TelephoneTrack()
    try:
        asyncio.run(speak(track))
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "telephony.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(track.pcm)
    print(f"{folder / 'telephony.wav'}: {len(track.pcm) / 2 / RATE:.1f} s at {RATE} Hz")


if __name__ == "__main__":
    run(main)

"""Phrases that are said often are synthesized once: they are heard at once, and cost nothing again.

A real ``AgentSession`` says a phrase from the framework's ``TTSAudioCache``, then speaks live. The local
server speaks, so it needs no account. Listen to ``cached_phrases.wav``::

    pip install -e ".[local]"
    python examples/cached_phrases.py
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from _recording import Recording
    from _stage import Line
    from videosdk.agents import Agent, AgentSession, Pipeline, TTSAudioCache

    from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')

PHRASE = "One moment, please."
ANSWER = "The next boat leaves at ten forty."


class Receptionist(Agent):
    """Says a cached phrase, then its answer."""

    def __init__(self, cache: TTSAudioCache) -> None:
        super().__init__(instructions="You answer the telephone.")
        self._cache = cache

    async def on_enter(self) -> None:
        """Speak."""
        if self.session is not None:
            await self.session.say(PHRASE, audio_data=await self._cache.fetch(PHRASE))
            await self.session.say(ANSWER)

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up."""


async def hold_call(recording: Recording) -> list[SynthesisMetrics]:
    """Hold the call, and return what was synthesized in it."""
    async with LocalServer(EspeakEngine(), first_audio_delay=0.06, pace=4.0) as server:
        tts = LokutorTTS(api_key="local", base_url=server.url)
        pipeline = Pipeline(tts=tts)
        line = Line(pipeline, recording)
        pipeline.audio_track = tts.audio_track = line.track  # What joining a room does.
        cache = TTSAudioCache(tts)
        await cache.preload([PHRASE])  # Before the call, at the track's rate.
        costs: list[SynthesisMetrics] = []

        def on_metrics(cost: SynthesisMetrics) -> None:
            costs.append(cost)

        tts.on("metrics", on_metrics)  # type: ignore[arg-type]  # The base class lists its own events only.
        session = AgentSession(agent=Receptionist(cache), pipeline=pipeline)
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as call:
                carrying = call.create_task(line.run())
                call.create_task(session.start())
                await line.hear(1.5)  # The phrase, and the beginning of the answer.
                await line.hear_out()
                carrying.cancel()
        finally:
            await session.close()
        return costs


def main() -> None:
    """Hold the call, and write down what was heard."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the file (default: this one)")
    folder: Path = parser.parse_args().out
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    recording = Recording()
    try:
        costs = asyncio.run(hold_call(recording))
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    folder.mkdir(parents=True, exist_ok=True)
    recording.write_wav(folder / "cached_phrases.wav")
    print(f"heard: {PHRASE} {ANSWER}")
    print(f"characters synthesized in the call: {sum(cost.characters for cost in costs)}")
    print(f"{folder / 'cached_phrases.wav'}: {recording.seconds:.1f} s, agent on the left")


if __name__ == "__main__":
    run(main)

"""A plugin in worker processes, as a job runner makes them.

Run it as ``python tests/kit/workers.py METHOD URL``; it prints what was heard of ``TEXT``, as JSON. It is a
program of its own because a process that forks must have no other threads.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import pickle
import sys
import warnings
from multiprocessing.connection import Connection as Pipe

from videosdk.plugins.lokutor import LokutorTTS

TEXT = "Spoken in a worker."
PATIENCE = 60.0


async def listen(tts: LokutorTTS) -> int:
    """Return how many bytes of speech come."""
    return sum([len(pcm) async for pcm in tts.stream_synthesize(TEXT)])


async def speak_and_close(tts: LokutorTTS) -> int:
    await tts.prewarm()
    heard = await listen(tts)
    await tts.aclose()
    return heard


def speak_with(tts: LokutorTTS, pipe: Pipe) -> None:
    """Speak with the parent's plugin."""
    pipe.send(asyncio.run(speak_and_close(tts)))


def speak_with_own(url: str, pipe: Pipe) -> None:
    pipe.send(asyncio.run(speak_and_close(LokutorTTS(api_key="test-key", base_url=url))))


def in_child(method: str, target: object, *arguments: object) -> int:
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(target=target, args=(*arguments, theirs))  # type: ignore[attr-defined]
    child.start()
    heard = ours.recv() if ours.poll(PATIENCE) else 0
    child.join(PATIENCE)
    return heard if child.exitcode == 0 else -1


async def fork_in_the_middle(url: str) -> dict[str, object]:
    """Fork while the parent has a standby connection, and use that after the child has ended."""
    used: list[tuple[bool, int]] = []
    tts = LokutorTTS(api_key="test-key", base_url=url)
    tts.on("metrics", lambda metrics: used.append((metrics.standby_used, metrics.retries)))  # type: ignore[arg-type]
    tts.audio_track = Sink()
    await tts.prewarm()
    child = in_child("fork", speak_with, tts)
    await tts.synthesize(TEXT)
    await tts.aclose()
    return {"child": child, "parent": tts.audio_track.heard, "used and retried": used}


class Sink:
    """A track that counts."""

    sample_rate = 24_000
    heard = 0

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.heard += len(pcm)

    def interrupt(self) -> None:
        return


def refusal_to_be_pickled(url: str) -> str:
    try:
        pickle.dumps(LokutorTTS(api_key="test-key", base_url=url))
    except TypeError as error:
        return str(error)
    return ""


def main(method: str, url: str) -> dict[str, object]:
    match method:
        case "fork":
            before = LokutorTTS(api_key="test-key", base_url=url)
            return {"child": in_child("fork", speak_with, before)}
        case "fork in the middle":
            return asyncio.run(fork_in_the_middle(url))
        case _:
            return {
                "child": in_child(method, speak_with_own, url),
                "pickled": refusal_to_be_pickled(url),
            }


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(main(*sys.argv[1:])))

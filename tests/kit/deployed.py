"""A worker of ``examples/deploy`` without accounts: ``python tests/kit/deployed.py REGISTRY PORT [fork]``,
with ``tests`` and ``examples/deploy`` in ``PYTHONPATH``.

Its calls come over the framework's own WebSocket transport: the caller's text frames in binary are what is
said, and what the track hands out goes into a file, as it is heard. ``TURN`` and ``GRACE`` in the environment
are the example's own, and ``GATES`` the folder of :mod:`kit.gate`: each process for calls waits at "process".
Each question to the language model is a line on standard output.

With ``fork``, what multiprocessing would start anew is forked, with all that is imported here.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import draining
from draining import hold_call, serve
from videosdk.agents import (
    LLM,
    Agent,
    AgentSession,
    ChatContext,
    ChatRole,
    CustomAudioStreamTrack,
    EOUConfig,
    JobContext,
    LLMResponse,
    MetricsOptions,
    Pipeline,
    RoomOptions,
    SpeechData,
    SpeechEventType,
    STTResponse,
    TracesOptions,
    WebSocketConfig,
    WorkerOptions,
)

from kit.agents import Ears
from kit.spawning import fork_instead
from videosdk.plugins.lokutor import LokutorTTS

draining.TURN = float(os.environ.get("TURN", draining.TURN))
draining.GRACE = float(os.environ.get("GRACE", draining.GRACE))
if __name__ == "__mp_main__":
    from kit.gate import wait_at

    wait_at("process")


class Speaker(Agent):
    """Says what the job wants to hear, when the caller comes: a turn for each part between bars."""

    def __init__(self, greeting: str) -> None:
        super().__init__(instructions="Say what the test wants to hear.")
        self._greeting = greeting

    async def on_enter(self) -> None:
        for part in filter(None, self._greeting.split("|")):
            await self.session.say(part)  # type: ignore[union-attr]

    async def on_exit(self) -> None:
        return


class Line(Ears):
    """Hears text; with preemptive generation, what begins with "Early" is answered before it is final."""

    def __init__(self, *, preemptive: bool) -> None:
        super().__init__()
        self.enable_preemptive_generation = preemptive

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        text = audio_frames.decode()
        if text.startswith("Early"):
            assert self._transcript_callback is not None
            data = SpeechData(text=text, confidence=1.0, duration=1.0)
            await self._transcript_callback(STTResponse(event_type=SpeechEventType.PREFLIGHT, data=data))
        await self.hear(text)


class Echo(LLM):
    """Says what the caller has said."""

    async def chat(  # type: ignore[override]
        self, messages: ChatContext, tools: Any = None, conversational_graph: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponse]:
        said = next(str(m.content[0]) for m in reversed(messages.messages()) if m.role is ChatRole.USER)
        print(f"asked: {said[:20]}\n", end="", flush=True)  # In one write: other processes print there, too.
        yield LLMResponse(content=said, role=ChatRole.ASSISTANT)

    async def cancel_current_generation(self) -> None:
        return


async def play(context: JobContext, file: Path) -> None:
    """Play the room's track, and write down what is heard."""
    with file.open("wb", buffering=0) as heard:
        while context.room is None:  # noqa: ASYNC110 - it notifies nobody
            await asyncio.sleep(0.001)
        track: Any = context.room.audio_track
        while True:
            # Not the track's own recv(), which is silent where its sinks, the caller here, have the sound.
            frame = await CustomAudioStreamTrack.recv(track)
            heard.write(frame.to_ndarray().astype("<i2").tobytes())


async def entrypoint(context: JobContext) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    job, room = context.metadata, context.room_options
    room.transport_mode = "websocket"
    room.websocket = WebSocketConfig(port=job["port"])
    tts = LokutorTTS(api_key="test-key", base_url=job["url"])
    turns = EOUConfig(min_max_speech_wait_timeout=[0.01, 0.02])
    pipeline = Pipeline(stt=Line(preemptive=job["preemptive"]), llm=Echo(), tts=tts, eou_config=turns)
    playing = asyncio.create_task(play(context, Path(job["file"])))
    await hold_call(AgentSession(agent=Speaker(job["greeting"]), pipeline=pipeline))
    playing.cancel()


def main(registry: str, port: str, start: str = "anew") -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    if start == "fork":
        fork_instead()
    multiprocessing.set_forkserver_preload(["videosdk.agents", "videosdk.plugins.lokutor", "kit.gate"])
    options = WorkerOptions(
        entrypoint_fnc=entrypoint,
        auth_token="token",
        signaling_base_url=registry,
        register=True,
        max_processes=3,
        num_idle_processes=2,
        initialize_timeout=60.0,
        close_timeout=3.0,
        host="127.0.0.1",
        port=int(port),
    )
    room = RoomOptions(traces=TracesOptions(enabled=False), metrics=MetricsOptions(enabled=False))
    asyncio.run(serve(options, room))


if __name__ == "__main__":
    main(*sys.argv[1:])

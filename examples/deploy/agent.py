"""The agent of ``voice_agent.py``, to be deployed in a container: many calls, and a clean end.

VideoSDK's registry hands out the calls; each is held in a process of its own. See the ``Dockerfile`` beside
it, and "Containers" in docs/running-many-calls.md.

Environment variables:
    VIDEOSDK_AUTH_TOKEN: registers the worker (or ``VIDEOSDK_API_KEY`` and ``VIDEOSDK_SECRET_KEY``).
    LOKUTOR_API_KEY: the voice.
    DEEPGRAM_API_KEY: speech to text.
    OPENAI_API_KEY: the language model.
    AGENT_ID: what the agent is called in the registry (default: ``harbour-ferries``).
    AGENT_MAX_PROCESSES: calls at a time, of which the worker takes three quarters (default: 8).
    AGENT_IDLE_PROCESSES: processes that wait for a call (default: 2).
    AGENT_PORT: port of the worker's status, on loopback only (default: 8081).
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":
    # The imports take seconds. Process 1 of a container would ignore SIGTERM meanwhile.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

import asyncio
import logging
import multiprocessing

from draining import hold_call, serve
from videosdk.agents import Agent, AgentSession, JobContext, Pipeline, RoomOptions, WorkerOptions
from videosdk.plugins.deepgram import DeepgramSTT
from videosdk.plugins.openai import OpenAILLM
from videosdk.plugins.silero import SileroVAD

from videosdk.plugins.lokutor import LokutorTTS

INSTRUCTIONS = """\
You answer the telephone of Harbour Ferries. Be brief and kind; you are heard, not read, so write no lists.
Boats to the island leave at twenty to every hour, from 8:40 to 18:40, from pier three; the crossing takes
half an hour. A return ticket is 12 euros, children under six travel free.
"""


class FerryAgent(Agent):
    """Answers the telephone of a ferry company."""

    def __init__(self) -> None:
        super().__init__(instructions=INSTRUCTIONS)

    async def on_enter(self) -> None:
        """Greet the caller."""
        await self.session.say("Harbour Ferries, good morning. How can I help you?")

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up, or the container is about to end."""


async def entrypoint(context: JobContext) -> None:
    """Hold one call, from the caller's arrival to the end."""
    log()
    tts = LokutorTTS(voice="F1", language="en", word_timestamps=True)
    prewarming = asyncio.create_task(tts.prewarm())  # The handshake, while the agent joins the room.
    pipeline = Pipeline(
        stt=DeepgramSTT(model="nova-3", language="en-US", interim_results=True),
        llm=OpenAILLM(model="gpt-4o-mini"),
        tts=tts,
        vad=SileroVAD(),
    )
    await hold_call(AgentSession(agent=FerryAgent(), pipeline=pipeline))
    await prewarming


def worker_options() -> WorkerOptions:
    """Describe the worker by the environment."""
    return WorkerOptions(
        entrypoint_fnc=entrypoint,
        agent_id=os.environ.get("AGENT_ID", "harbour-ferries"),
        register=True,
        max_processes=int(os.environ.get("AGENT_MAX_PROCESSES", "8")),
        num_idle_processes=int(os.environ.get("AGENT_IDLE_PROCESSES", "2")),
        initialize_timeout=30.0,  # The first one waits for the imports.
        close_timeout=3.0,
        host="127.0.0.1",  # It has no password.
        port=int(os.environ.get("AGENT_PORT", "8081")),
    )


def log() -> None:
    """Write the log to standard error, in whichever process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")


def main() -> None:
    """Serve calls until SIGTERM."""
    log()
    multiprocessing.set_forkserver_preload(["prewarm"])
    asyncio.run(serve(worker_options(), RoomOptions(name="Harbour Ferries", playground=False)))


if __name__ == "__main__":
    main()

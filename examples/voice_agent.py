"""The agent of ``conversation.py`` as you would deploy it: a VideoSDK room, real ears, a real mind.

Packages::

    pip install videosdk-plugins-lokutor videosdk-plugins-deepgram videosdk-plugins-openai
    pip install videosdk-plugins-silero videosdk-plugins-turn-detector

Environment variables:
    VIDEOSDK_AUTH_TOKEN: joins the room (or ``VIDEOSDK_API_KEY`` and ``VIDEOSDK_SECRET_KEY``).
    LOKUTOR_API_KEY: the voice.
    DEEPGRAM_API_KEY: speech to text.
    OPENAI_API_KEY: the language model.
    VIDEOSDK_ROOM_ID: the room to join; without it, a new one is made.

Run it, and open the link that it prints to talk to the agent.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # The imports take seconds, and there is nothing to clean up yet.
    signal.signal(signal.SIGINT, lambda *_: (os.write(2, b"Interrupted.\n"), os._exit(130)))

try:
    from videosdk.agents import Agent, AgentSession, JobContext, Pipeline, RoomOptions, WorkerJob
    from videosdk.plugins.deepgram import DeepgramSTT
    from videosdk.plugins.openai import OpenAILLM
    from videosdk.plugins.silero import SileroVAD
    from videosdk.plugins.turn_detector import TurnDetector, pre_download_model

    from videosdk.plugins.lokutor import LokutorTTS
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed. The first lines of this file say which packages it needs.")

INSTRUCTIONS = """\
You answer the telephone of Harbour Ferries. Be brief and kind; you are heard, not read, so write no lists.
Boats to the island leave at twenty to every hour, from 8:40 to 18:40, from pier three; the crossing takes
half an hour. A return ticket is 12 euros, children under six travel free. On the island: the lighthouse (open
until five), the fishing museum, the cliff path to the seals, and the bakery with its lemon cake.
"""


class FerryAgent(Agent):
    """Answers the telephone of a ferry company."""

    def __init__(self) -> None:
        super().__init__(instructions=INSTRUCTIONS)

    async def on_enter(self) -> None:
        """Greet the caller."""
        await self.session.say("Harbour Ferries, good morning. How can I help you?")

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up."""


async def entrypoint(context: JobContext) -> None:
    """Hold one call, from the caller's arrival to the end."""
    pipeline = Pipeline(
        stt=DeepgramSTT(model="nova-3", language="en-US", interim_results=True),
        llm=OpenAILLM(model="gpt-4o-mini"),
        # So that the agent remembers what a caller who breaks in has heard, and no more.
        tts=LokutorTTS(voice="F1", language="en", word_timestamps=True),
        vad=SileroVAD(),
        turn_detector=TurnDetector(),
    )
    session = AgentSession(agent=FerryAgent(), pipeline=pipeline)
    await session.start(wait_for_participant=True, run_until_shutdown=True)


def make_context() -> JobContext:
    """Describe the room. What it leaves out is taken from the environment."""
    return JobContext(room_options=RoomOptions(name="Harbour Ferries", playground=True))


if __name__ == "__main__":
    pre_download_model()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    WorkerJob(entrypoint=entrypoint, jobctx=make_context).start()

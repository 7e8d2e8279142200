"""A caller talks with a VideoSDK agent that speaks through Lokutor, and cuts it off. No account, no network.

The agent is a real ``AgentSession`` with a real ``Pipeline``, its voice is ``LokutorTTS``, and the caller
hears the real audio track. Lokutor's place is taken by the local server of this package; what hears and
thinks for the agent is scripted (``_stage.py``). Listen to ``conversation.wav``, look at ``timeline.png``::

    python examples/conversation.py

With ``LOKUTOR_API_KEY`` set, ``--service`` has Lokutor itself speak.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from _narrator import CallError, Narrator
    from _recording import RATE, Recording, Speech, trim
    from _stage import EnergyVAD, Line, ScriptedLLM, ScriptedSTT
    from _tap import tapped_session
    from _timeline import draw_timeline
    from videosdk.agents import Agent, AgentSession, EOUConfig, Pipeline, setup_logging

    from videosdk.plugins.lokutor import LokutorTTS
    from videosdk.plugins.lokutor.errors import LokutorError
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')

GREETING = "Harbour Ferries, good morning. How can I help you?"

WHEN = "Hello! When does the next boat to the island leave?"
WHAT = "And what can I see over there?"
PRICE = "Sorry to stop you, but how much is a ticket?"

ANSWERS = {
    "next boat": "The next boat leaves at ten forty, from pier three. The crossing takes half an hour.",
    "can i see": (
        "Oh, quite a lot. You could begin at the old lighthouse, which is open until five, "
        "and from the top you can see the whole bay. After that there is the fishing museum, "
        "with a model of every boat that was ever built here. Then a path along the cliffs leads to the "
        "seals, who sleep on the rocks below, and don't mind visitors at all. And if you are hungry by then, "
        "the bakery in the village makes a lemon cake that people cross the sea for. "
        "In the afternoon a small train with open carriages goes around the island, and it stops wherever "
        "you raise a hand. In the evening there is often music in the harbour, and the last boat waits until "
        "it is over. Some people miss it all the same, and they never seem to be sorry."
    ),
    "ticket": "Of course. A return ticket is twelve euros, and children under six travel free.",
}
OTHERWISE = "I am sorry, I did not catch that."

CALLERS_VOICE = "M2"
LISTENS_FOR = 3.45
"""Seconds of the long answer after which the caller talks over it."""
LONGEST_CALL = 120.0
"""Seconds after which something has gone wrong: better an error than a program that hangs."""


@dataclass(frozen=True)
class Endpoint:
    """Where Lokutor, or its stand-in, is; None has ``LokutorTTS`` look into the environment."""

    base_url: str | None = None
    api_key: str | None = None

    def speaker(self, voice: str, **options: Any) -> LokutorTTS:
        """Make the voice: with a key in the environment, ``LokutorTTS()`` alone does."""
        return LokutorTTS(api_key=self.api_key, base_url=self.base_url, voice=voice, **options)


class FerryAgent(Agent):
    """Answers the telephone of a ferry company."""

    def __init__(self) -> None:
        super().__init__(instructions="You answer the telephone of a small ferry company. Be brief and kind.")

    async def on_enter(self) -> None:
        """Greet the caller."""
        await self.session.say(GREETING)

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up."""


class Caller:
    """Speaks into the line, with a voice that was recorded before the call."""

    def __init__(self, line: Line, stt: ScriptedSTT, narrator: Narrator, voice: dict[str, bytes]) -> None:
        self._line = line
        self._stt = stt
        self._narrator = narrator
        self._voice = voice

    async def say(self, text: str, *, over: bool = False) -> None:
        """Speak a text; ``over`` tells that the agent is still speaking."""
        pcm = self._voice[text]
        start, seconds = self._narrator.recording.seconds, len(pcm) / 2 / RATE
        self._stt.expect(text, seconds)
        self._narrator.on_caller(Speech(text, start, start + seconds), over=over)
        await self._line.say(pcm)


def find_answer(question: str) -> str:
    """Return the agent's answer to what the caller has said."""
    return next((text for key, text in ANSWERS.items() if key in question.lower()), OTHERWISE)


async def talk(caller: Caller, line: Line) -> None:
    """Play the caller's part."""
    await line.hear_out()
    await caller.say(WHEN)
    await line.hear_out()
    await caller.say(WHAT)
    await line.hear(LISTENS_FOR)
    await caller.say(PRICE, over=True)
    await line.hear_out()


async def record_caller(endpoint: Endpoint) -> dict[str, bytes]:
    """Have the caller's lines spoken without a track, as a cache or a pipeline hook does."""
    async with endpoint.speaker(CALLERS_VOICE) as tts:
        return {
            text: trim(b"".join([piece async for piece in tts.stream_synthesize(text)]))
            for text in (WHEN, WHAT, PRICE)
        }


async def hold_call(endpoint: Endpoint, voice: str, narrator: Narrator) -> None:
    """Connect the caller with the agent, until the caller hangs up.

    Raises:
        ExceptionGroup: With a ``CallError``: a component of the pipeline has reported an error.
        LokutorError: The caller's voice could not be made.
        TimeoutError: The call did not come to its end.
    """
    caller_voice = await record_caller(endpoint)
    stt, llm = ScriptedSTT(), ScriptedLLM(find_answer, narrator.on_answer)
    async with tapped_session(narrator.on_text) as http:
        tts = endpoint.speaker(voice, session=http, word_timestamps=True, visemes=True)
        turns = EOUConfig(min_max_speech_wait_timeout=[0.2, 0.4])
        pipeline = Pipeline(stt=stt, llm=llm, tts=tts, vad=EnergyVAD(), eou_config=turns)
        session = AgentSession(agent=FerryAgent(), pipeline=pipeline)
        line = Line(pipeline, narrator.recording)
        pipeline.audio_track = tts.audio_track = line.track  # What joining a room does.
        narrator.follow(line, session, pipeline)
        try:
            async with asyncio.timeout(LONGEST_CALL), asyncio.TaskGroup() as call:
                carrying = call.create_task(line.run())
                call.create_task(session.start())
                await talk(Caller(line, stt, narrator, caller_voice), line)
                carrying.cancel()
        finally:
            await session.close()


@asynccontextmanager
async def open_endpoint(*, service: bool) -> AsyncIterator[Endpoint]:
    """Start the local server, unless Lokutor itself is wanted."""
    if service:
        yield Endpoint()
        return
    # Like the service: the first audio takes a moment, the rest comes several times faster than it plays.
    async with LocalServer(EspeakEngine(), first_audio_delay=0.06, pace=4.0) as server:
        yield Endpoint(server.url, "local")


async def converse(voice: str, *, service: bool) -> Recording:
    """Hold the conversation and return its recording."""
    narrator = Narrator(Recording(), GREETING)
    async with open_endpoint(service=service) as endpoint:
        where = f"the local server at {endpoint.base_url}" if endpoint.base_url else "Lokutor's service"
        print(f"A VideoSDK agent speaks with voice {voice} of {where}.\n", flush=True)
        await hold_call(endpoint, voice, narrator)
    return narrator.recording


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the files (default: this one)")
    parser.add_argument("--voice", default="F1", help="the agent's voice (default: F1)")
    parser.add_argument("--service", action="store_true", help="let Lokutor speak (needs LOKUTOR_API_KEY)")
    parser.add_argument("--verbose", action="store_true", help="show the framework's log")
    options: argparse.Namespace = parser.parse_args()
    if options.service and not os.environ.get("LOKUTOR_API_KEY"):
        parser.error("--service needs the environment variable LOKUTOR_API_KEY")
    return options


def hold_conversation(options: argparse.Namespace) -> Recording:
    """Hold the conversation, or end the program with the reason why it can't be held."""
    try:
        return asyncio.run(converse(options.voice, service=options.service))
    except* (CallError, LocalVoiceMissingError, LokutorError, OSError) as failures:
        reason = str(failures.exceptions[0]) or f"It took over {LONGEST_CALL:g} s."
    sys.exit(f"The call failed. {reason}")


def write_down(recording: Recording, folder: Path) -> None:
    """Write the sound and the picture, once both are made."""
    wav, picture = folder / "conversation.wav", folder / "timeline.png"
    with tempfile.TemporaryDirectory() as scratch:
        made = [Path(scratch, file.name) for file in (wav, picture)]
        recording.write_wav(made[0])
        draw_timeline(recording, made[1])
        folder.mkdir(parents=True, exist_ok=True)
        for file in made:
            shutil.copyfile(file, folder / file.name)
    print(f"\n{wav}: {recording.seconds:.1f} s, agent on the left, caller on the right")
    print(f"{picture}: each turn as a picture")


def main() -> None:
    """Hold the conversation, and write down what was heard."""
    options = parse_arguments()
    if options.verbose:
        setup_logging()
    else:  # Its errors come as events; what it logs besides is about dashboards that nobody has here.
        logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    try:
        write_down(hold_conversation(options), options.out)
    except OSError as error:
        sys.exit(f"The conversation can't be written down. {error}")


if __name__ == "__main__":
    run(main)

"""An agent that says names right, pauses, and says a Catalan street in an English sentence.

The agent is a real ``AgentSession``, and the caller hears its real audio track. Lokutor's place is taken by
the local server of this package, so it needs no account and no network. Listen to ``speech_markup.wav``::

    pip install -e ".[local,numbers]"
    python examples/speech_markup.py
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from _ending import Printer, end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from _recording import Recording
    from _stage import Line, ScriptedLLM
    from videosdk.agents import Agent, AgentSession, Pipeline

    from videosdk.plugins.lokutor import LokutorTTS, text_filter
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer

    NUMBERS = text_filter("en")
except ImportError as missing:
    sys.exit(f'{missing}. All that this example needs: pip install -e ".[local,numbers]"')

INSTRUCTIONS = """\
You are heard, not read. Put <break time="500ms"/> before what the caller should write down. Put words of
another language between <lang xml:lang="ca"> and </lang>, and what is spelt between
<say-as interpret-as="characters"> and </say-as>.
"""
ANSWER = (
    'Mr. Nguyen is in our office at <lang xml:lang="ca">Passeig de Gràcia</lang>, next to the stop. '
    'Your code is <break time="500ms"/><say-as interpret-as="characters">B7X</say-as>. '
    '<prosody rate="slow">It costs $12.50.</prosody>'
)
PRONUNCIATIONS = {"Nguyen": "Win"}


async def speak(tts: LokutorTTS, recording: Recording) -> str:
    """Have the agent answer, show the words as they are heard, and return what the agent remembers."""
    llm = ScriptedLLM(lambda question: ANSWER, lambda answer: None)
    session = AgentSession(
        agent=Receptionist(), pipeline=(pipeline := Pipeline(llm=llm, tts=tts, text_filter=NUMBERS))
    )
    printer = Printer()

    def on_word(word: dict[str, Any]) -> None:
        printer.add(f"  {word['start']:5.2f} s  {word['word']}")

    tts.on("word_spoken", on_word)
    line = Line(pipeline, recording)
    line.on_frame = printer.show
    pipeline.audio_track = tts.audio_track = line.track  # What joining a room does.
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as call:
            carrying = call.create_task(line.run())
            call.create_task(session.start())
            await line.hear_out(1.5)
            carrying.cancel()
        return str(session.agent.chat_context.messages()[-1].content[0])
    finally:
        await session.close()


class Receptionist(Agent):
    """Answers one question."""

    def __init__(self) -> None:
        super().__init__(instructions=INSTRUCTIONS)

    async def on_enter(self) -> None:
        """Answer."""
        if self.session is not None:
            await self.session.reply("Where is Mr. Nguyen?")

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up."""


async def answer(recording: Recording) -> None:
    """Have the agent speak, and show what was heard."""
    async with LocalServer(EspeakEngine(), first_audio_delay=0.06, pace=4.0) as server:
        tts = LokutorTTS(
            api_key="local",
            base_url=server.url,
            markup=True,
            pronunciations=PRONUNCIATIONS,
            word_timestamps=True,
        )
        print(f"The language model writes:\n  {ANSWER}\n\nThe caller hears:", flush=True)
        remembered = await speak(tts, recording)
    print(f"\nThe agent remembers:\n  {remembered}")


def main() -> None:
    """Speak, and write down what was heard."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the file (default: this one)")
    folder: Path = parser.parse_args().out
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    recording = Recording()
    try:
        asyncio.run(answer(recording))
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    folder.mkdir(parents=True, exist_ok=True)
    recording.write_wav(folder / "speech_markup.wav")
    print(f"\n{folder / 'speech_markup.wav'}: {recording.seconds:.1f} s, agent on the left")


if __name__ == "__main__":
    run(main)

"""A caller hears a reply to its end although the first provider is killed in the middle of it.

The agent is a real ``AgentSession`` with two providers; here both are ``LokutorTTS``, with a local server
each, but any of VideoSDK's plugins can take their places. No account, no network. Listen to
``fallback.wav``::

    pip install -e ".[local]"
    python examples/fallback.py
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from _ending import Printer, end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from _ports import keep_port
    from _recording import Recording
    from _stage import Line
    from videosdk.agents import Agent, AgentSession, Pipeline

    from videosdk.plugins.lokutor import LokutorTTS, TransparentFallbackTTS
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')

REPLY = (
    "The next boat leaves at ten forty. The crossing takes half an hour, "
    "and you can see the whole bay from the upper deck. A return ticket is twelve euros."
)
AGAIN = "Is there anything else that I can do for you?"
KILLED_AT = "half"
"""The word at which the first provider is killed."""
COOL_DOWN = 2.0
"""Seconds before the first provider is tried again."""
VOICES = ("F1", "M2")


class FerryAgent(Agent):
    """Answers the telephone of a ferry company."""

    def __init__(self) -> None:
        super().__init__(instructions="You answer the telephone of a small ferry company.")

    async def on_enter(self) -> None:
        """Say nothing yet."""

    async def on_exit(self) -> None:
        """Say nothing: the caller has hung up."""


def local_server(port: int = 0) -> LocalServer:
    """Return a local server that speaks like the service: some times faster than it plays."""
    return LocalServer(EspeakEngine(), port=port, first_audio_delay=0.06, pace=4.0)


class Providers:
    """Two providers in one, and the end and the return of the first one's server."""

    def __init__(self, stack: AsyncExitStack, printer: Printer) -> None:
        self._stack = stack
        self._printer = printer
        self._killing: asyncio.Task[None] | None = None
        self._kept = stack.enter_context(ExitStack())

    async def start(self) -> TransparentFallbackTTS:
        """Start both servers, and return what speaks through them."""
        self._servers = [await self._stack.enter_async_context(local_server()) for _ in VOICES]
        self._port = self._servers[0].port
        speakers = [
            # It gives up soon, for the caller waits meanwhile, and there is another behind it.
            LokutorTTS(
                api_key="local",
                base_url=server.url,
                voice=voice,
                word_timestamps=True,
                connect_timeout=3.0,
                first_audio_timeout=2.0,
                max_retries=1,
            )
            for server, voice in zip(self._servers, VOICES, strict=True)
        ]
        self.tts = TransparentFallbackTTS(speakers, temporary_disable_sec=COOL_DOWN)
        self.tts.on("word_spoken", self._on_word)
        self.tts.on("error", self._on_error)
        return self.tts

    async def repair(self) -> None:
        """Start the first server again, where it was, once it is gone."""
        if self._killing is not None:
            await self._killing
        self._kept.close()
        await self._stack.enter_async_context(local_server(self._port))

    async def _kill(self) -> None:
        """End the first server. Nobody else gets its port meanwhile."""
        await self._servers[0].close()
        self._kept.enter_context(keep_port(self._port))

    def _on_word(self, word: dict[str, Any]) -> None:
        speaker: Any = self.tts.active_provider
        if word["word"] == KILLED_AT:
            self._killing = asyncio.create_task(self._kill())
        self._printer.add(f"{word['start']:6.2f} s  {speaker.voice}  {word['word']}")
        if word["word"] == KILLED_AT:
            self._printer.add("          --  the first provider is killed")

    def _on_error(self, error: Exception) -> None:
        self._printer.add(f"          --  {type(error).__name__}: {error}")


async def hold_call(recording: Recording) -> list[str]:
    """Have the agent speak two replies; return what it remembers."""
    async with AsyncExitStack() as stack:
        printer = Printer()
        providers = Providers(stack, printer)
        tts = await providers.start()
        pipeline = Pipeline(tts=tts)
        session = AgentSession(agent=FerryAgent(), pipeline=pipeline)
        line = Line(pipeline, recording)
        line.on_frame = printer.show
        pipeline.audio_track = tts.audio_track = line.track  # What joining a room does.
        try:
            # FallbackTTS prints each change.
            with contextlib.redirect_stdout(io.StringIO()):
                async with asyncio.timeout(60), asyncio.TaskGroup() as call:
                    carrying = call.create_task(line.run())
                    call.create_task(session.start())
                    await asyncio.sleep(0.5)
                    await session.say(REPLY)
                    await providers.repair()
                    await asyncio.sleep(COOL_DOWN)
                    await session.say(AGAIN)
                    carrying.cancel()
            return [str(message.content[0]) for message in session.agent.chat_context.messages()[1:]]
        finally:
            await session.close()


def main() -> None:
    """Hold the call, and write down what was heard."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the file (default: this one)")
    folder: Path = parser.parse_args().out
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    recording = Recording()
    try:
        remembered = asyncio.run(hold_call(recording))
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    print("\nThe agent remembers:", *remembered, sep="\n  ")
    folder.mkdir(parents=True, exist_ok=True)
    recording.write_wav(folder / "fallback.wav")
    print(f"\n{folder / 'fallback.wav'}: {recording.seconds:.1f} s, agent on the left")


if __name__ == "__main__":
    run(main)

"""A voice agent to talk with in your browser. No account, and nothing leaves your machine.

The agent is a real ``AgentSession`` with a real ``Pipeline``. The browser joins by WebRTC, as it joins a
VideoSDK room, so the agent's audio track, your microphone and barge-in are what they are there::

    pip install -e ".[examples]"
    python examples/browser_agent.py

Open the address that it prints. Environment variables, each optional:
    LOKUTOR_API_KEY: Lokutor speaks, instead of the local server.
    OPENAI_API_KEY: a language model answers, instead of a script (package ``videosdk-plugins-openai``).
    DEEPGRAM_API_KEY: your words are recognized, instead of typed (package ``videosdk-plugins-deepgram``).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from _stage import ScriptedLLM
    from browser.call import Call
    from browser.hearing import SileroVAD, TypedSTT
    from browser.room import Room
    from browser.script import find_answer
    from browser.service import Service
    from browser.session import Conversation
    from browser.settings import Settings
    from videosdk.agents import LLM, STT, Agent, EOUConfig, InterruptConfig, Pipeline, setup_logging

    from videosdk.plugins.lokutor import LokutorTTS
    from videosdk.plugins.lokutor.local.espeak import LocalVoiceMissingError
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[examples]"')

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

LAST_PORT = 65_535
PLUGINS = {"OPENAI_API_KEY": "openai", "DEEPGRAM_API_KEY": "deepgram"}
"""The plugin of VideoSDK that each key is for."""

INSTRUCTIONS = """\
You answer the telephone of Harbour Ferries. Be brief and kind; you are heard, not read, so write no lists.
Boats to the island leave at twenty to every hour, from 8:40 to 18:40, from pier three; the crossing takes
half an hour. A return ticket is 12 euros. Answer in the caller's language.
"""


class FerryAgent(Agent):
    """Answers the questions of the page."""

    def __init__(self, greeting: str) -> None:
        super().__init__(instructions=INSTRUCTIONS)
        self._greeting = greeting

    async def on_enter(self) -> None:
        """Greet the caller."""
        await self.session.say(self._greeting)

    async def on_exit(self) -> None:
        """Say nothing: the caller has left."""


def make_pipeline(service: Service, settings: Settings, http: aiohttp.ClientSession) -> Pipeline:
    """Put the agent together: what hears, what thinks, what speaks, and what notices a voice."""
    tts = LokutorTTS(
        **service.options,
        **settings.options(),
        word_timestamps=True,
        visemes=True,
        session=http,
    )
    ears = find_ears()
    # The framework reports the end of a voice without words once more, two seconds later. That cancels the
    # interruption by a voice that has just begun. Without speech recognition, no voice has words.
    words_within = 0.0 if ears is None else EOUConfig.stt_silence_timeout
    return Pipeline(
        stt=TypedSTT(ears),
        llm=find_mind(lambda: tts.language),
        tts=tts,
        vad=SileroVAD(),
        eou_config=EOUConfig(min_max_speech_wait_timeout=[0.1, 0.4], stt_silence_timeout=words_within),
        # A voice interrupts after 0.3 s; a typed question at once, whatever its length.
        interrupt_config=InterruptConfig(interrupt_min_duration=0.3, interrupt_min_words=1),
    )


def check_packages() -> None:
    """End the program if there is a key whose package isn't installed: nobody could answer."""
    for key, plugin in PLUGINS.items():
        if not os.environ.get(key):
            continue
        try:
            importlib.import_module(f"videosdk.plugins.{plugin}")
        except ImportError as error:
            package = f"videosdk-plugins-{plugin}"
            sys.exit(f"{key} is set, which needs {package}: pip install {package}, or unset {key}. ({error})")


def find_ears() -> STT | None:
    """Return speech recognition, if there is a key for it."""
    if not os.environ.get("DEEPGRAM_API_KEY"):
        return None
    from videosdk.plugins.deepgram import DeepgramSTT

    ears: STT = DeepgramSTT()
    return ears


def find_mind(language: Callable[[], str]) -> LLM:
    """Return a language model if there is a key for it, else the script, told the ``language``."""
    if not os.environ.get("OPENAI_API_KEY"):
        return ScriptedLLM(lambda question: find_answer(question, language()), lambda answer: None)
    from videosdk.plugins.openai import OpenAILLM

    mind: LLM = OpenAILLM(model="gpt-4o-mini")
    return mind


def open_room(service: Service, port: int = 0, *, all_addresses: bool = False) -> Room:
    """Return a room where the agent waits for callers."""
    about = {
        "hears": bool(os.environ.get("DEEPGRAM_API_KEY")),
        "thinks": bool(os.environ.get("OPENAI_API_KEY")),
    }

    async def hold_call(call: Call) -> None:
        await Conversation(call, service, FerryAgent, make_pipeline, about).hold()

    return Room(hold_call, port, all_addresses=all_addresses)


async def serve(port: int, *, all_addresses: bool) -> None:
    """Wait for callers, one at a time, until cancelled. SIGTERM cancels it as Ctrl+C does."""
    waiting = asyncio.current_task()
    assert waiting is not None
    with suppress(NotImplementedError):  # On Windows nobody sends it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, waiting.cancel)
    async with (
        Service(os.environ.get("LOKUTOR_API_KEY", "")) as service,
        open_room(service, port, all_addresses=all_addresses) as room,
    ):
        who = "the local server" if service.is_local else "Lokutor"
        print(
            f"Open {room.url} to talk with the agent. Its voice comes from {who}. Ctrl+C ends it.", flush=True
        )
        await asyncio.Event().wait()


def port_number(text: str) -> int:
    """Return a port for ``--port``."""
    if not (text.isascii() and text.isdigit() and int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {LAST_PORT}, got {text!r}")
    return int(text)


def main() -> None:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--port", type=port_number, default=8770, help="port of the page (default: 8770; 0: a free one)"
    )
    parser.add_argument(
        "--all-addresses", action="store_true", help="for browsers that refuse WebRTC to 127.0.0.1"
    )
    parser.add_argument("--verbose", action="store_true", help="show the framework's log")
    options = parser.parse_args()
    check_packages()
    if options.verbose:
        setup_logging()
    else:  # Its errors come to the page.
        logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    try:
        asyncio.run(serve(options.port, all_addresses=options.all_addresses))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Ended.")
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    except BrokenPipeError:  # Nobody reads the address.
        raise
    except OSError as error:
        sys.exit(f"The page can't be served on port {options.port}: {error}. Choose another: --port 0")


if __name__ == "__main__":
    run(main)

"""The commands of ``python -m videosdk.plugins.lokutor``.

Rule of this file: what a user can get wrong ends in one line on standard error and a status (2 for what
they typed or set, 1 for what failed); only a bug of ours shows a traceback. No line carries a key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ._discovery import Offer, discover
from ._options import SpeechOptions
from ._protocol import SAMPLE_WIDTH
from ._text import is_speakable
from .errors import LokutorError
from .tts import DEFAULT_BASE_URL, LokutorTTS

FAILED = 1
MISUSED = 2
INTERRUPTED = 130
"""As shells report a process that SIGINT ended."""

_KEY, _BASE_URL = "LOKUTOR_API_KEY", "LOKUTOR_BASE_URL"
_SERVER_KEY = "LOKUTOR_LOCAL_API_KEY"
_MAX_PORT = 65_535


class CommandError(Exception):
    """Ends a command with one line.

    Attributes:
        status: The exit status.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Its arguments; None takes those of the process.

    Returns:
        The exit status.

    Raises:
        SystemExit: Help was asked for.
    """
    try:
        arguments = _parse(argv)
        command: Callable[[argparse.Namespace], None] = arguments.command
        command(arguments)
    except CommandError as error:
        return _fail(error, error.status)
    except LokutorError as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    return 0


def _fail(reason: object, status: int) -> int:
    print(f"error: {_one_line(_without_keys(str(reason)))}", file=sys.stderr)
    return status


def _without_keys(text: str) -> str:
    """Return ``text`` without the user's keys: a service may quote one in its refusal."""
    for key in filter(None, map(os.environ.get, (_KEY, _SERVER_KEY))):
        text = text.replace(key, "***")
    return text


def _one_line(text: str) -> str:
    """Return ``text`` fit for a terminal: a service's words may hold line breaks and control codes."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class _Parser(argparse.ArgumentParser):
    """Reports a mistake like every other error: in one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see --help)", MISUSED)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m videosdk.plugins.lokutor", description="Lokutor's text-to-speech, from a terminal."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_say, _add_serve, _add_voices):
        add(commands)
    arguments, surplus = parser.parse_known_args(argv)
    if surplus:
        # Only the first, without its value: behind a mistyped option there may be a key.
        parser.error(f"unexpected argument: {surplus[0].partition('=')[0]}")
    return arguments


Commands = argparse._SubParsersAction


def _add_say(commands: Commands[_Parser]) -> None:
    """Add ``say``; the defaults of its options are those of ``LokutorTTS``."""
    say = commands.add_parser(
        "say", help="write a text's speech to a WAV file", description="Write a text's speech to a WAV file."
    )
    say.add_argument("text", metavar="TEXT", help="what to say; - reads standard input")
    say.add_argument("--out", type=Path, default=Path("speech.wav"), metavar="FILE.wav", help="%(default)s")
    say.add_argument("--voice", metavar="V", help="voice id, such as F1; see the command voices")
    say.add_argument("--language", metavar="L", help="two-letter code, such as en")
    say.add_argument("--speed", type=float, metavar="S", help="0.5 to 2.0")
    say.add_argument("--steps", type=int, metavar="N", help="denoising steps, 1 to 50: more is better and slower")
    say.set_defaults(command=_say)


def _add_serve(commands: Commands[_Parser]) -> None:
    serve = commands.add_parser(
        "serve", help="run the local server", description="Run the local server until Ctrl-C."
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=_port, default=8765, help="0 takes a free one (%(default)s)")
    serve.add_argument(
        "--api-key",
        type=_key,
        metavar="K",
        default=os.environ.get(_SERVER_KEY) or None,
        help=f"the only key to accept; {_SERVER_KEY} keeps it out of process lists (default: any key)",
    )
    serve.set_defaults(command=_serve)


def _add_voices(commands: Commands[_Parser]) -> None:
    text = "list the voices and the languages"
    voices = commands.add_parser("voices", help=text, description=f"{text.capitalize()}.")
    voices.set_defaults(command=_voices)

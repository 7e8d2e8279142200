"""What every command says to a terminal, and how it ends.

Rule of this file: no line carries a key, and what can't be written ends a command in order.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import TextIO

from .._wire.endpoint import redact_key

FAILED = 1
MISUSED = 2
INTERRUPTED = 130
"""As shells report a process that SIGINT ended."""

KEY, BASE_URL = "LOKUTOR_API_KEY", "LOKUTOR_BASE_URL"
SERVER_KEY = "LOKUTOR_LOCAL_API_KEY"


class CommandError(Exception):
    """Ends a command with one line.

    Attributes:
        status: The exit status.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def say_line(text: str) -> None:
    """Print ``text`` to standard output.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        CommandError: It can't be written.
    """
    if sys.stdout is None:  # It was closed when the process began, as by >&-.
        raise CommandError("can't write to standard output: it is closed")
    try:
        print(_encodable(text, sys.stdout), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"can't write to standard output: {reason_of(error)}") from None


def notice(text: str) -> None:
    """Print what is good to know before the result; that will tell if nothing can be printed."""
    with suppress(OSError, CommandError):
        say_line(text)


def remark(text: str) -> None:
    """Print a line to standard error, if there is any."""
    if sys.stderr is not None:  # print() would take standard output instead.
        with suppress(OSError):
            print(_encodable(text, sys.stderr), file=sys.stderr, flush=True)


def discard_unwritten(stream: TextIO | None) -> None:
    """Drop what a stream couldn't write: Python would try again at exit, and complain."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _encodable(text: str, stream: TextIO) -> str:
    """Return ``text`` with escapes for what the encoding of ``stream`` lacks."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def without_keys(text: str) -> str:
    """Return ``text`` without the user's keys: a service may quote one in its refusal."""
    for name in (KEY, SERVER_KEY):
        if key := os.environ.get(name, "").strip():
            text = redact_key(text, key)
    return text


def one_line(text: str) -> str:
    """Return ``text`` fit for a terminal: a service's words may hold line breaks and control codes."""
    escaped = text.encode(errors="backslashreplace").decode()  # A file's name may hold lone surrogates.
    return " ".join("".join(char if char.isprintable() else " " for char in escaped).split())


def escaped(name: str) -> str:
    """Return a file's name in one line, with escapes for what can't be shown."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def reason_of(error: OSError) -> str:
    """Return what the system says, without the addresses and paths that asyncio and Python add to it."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)

"""Processes that run Python, with the plugin imported already where that makes no difference."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from enum import Enum
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import IO, Any

_ADDRESS = "TEST_FORK_SERVER"
"""The variable with the socket of the fork server, which ``conftest.py`` starts."""


class Odd(Enum):
    """What a standard stream can be otherwise; each value is what the shell calls it, by descriptor."""

    CLOSED = ("<&-", ">&-", "2>&-")
    FULL = ("", ">/dev/full", "2>/dev/full")


Stream = int | Odd
"""``PIPE``, ``DEVNULL``, ``STDOUT`` for "stderr", or a descriptor, as in subprocess."""


def can_fork() -> bool:
    """Return whether there is a fork server."""
    return _ADDRESS in os.environ


class Forked:
    """A process of the fork server, with as much of ``asyncio.subprocess.Process`` as is used."""

    stdin: asyncio.StreamWriter | None = None
    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._ending = asyncio.create_task(self._end(reader, writer))

    async def _end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        with closing(writer):
            return int(await reader.readline())

    @property
    def returncode(self) -> int | None:
        return self._ending.result() if self._ending.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._ending)

    async def communicate(self, data: bytes | None = None) -> tuple[bytes, bytes]:
        _, out, err = await asyncio.gather(self._feed(data), _read(self.stdout), _read(self.stderr))
        await self.wait()
        return out, err

    async def _feed(self, data: bytes | None) -> None:
        if self.stdin is None:
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            if data and not self.stdin.is_closing():
                self.stdin.write(data)
                await self.stdin.drain()
        self.stdin.close()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = Forked | asyncio.subprocess.Process


async def start_python(
    *arguments: str | Path,
    streams: Mapping[str, Stream] | None = None,
    env: Mapping[str, str] | None = None,
    anew: bool = False,
) -> Process:
    """Start Python in a session of its own.

    Args:
        arguments: Its command line: options ``-W``, then ``-m``, ``-c`` or a script.
        streams: What its "stdin", "stdout" and "stderr" are, other than pipes.
        env: Its environment; otherwise that of this process.
        anew: Whether it must be an interpreter of its own; :mod:`kit.forkserver` says what needs one.
    """
    words = [str(argument) for argument in arguments]
    three = [(streams or {}).get(name, PIPE) for name in ("stdin", "stdout", "stderr")]
    if anew or not can_fork():
        return await _started([sys.executable, *words], three, env)
    return await _forked(words, three, os.environ if env is None else env)


async def _started(
    command: list[str], streams: list[Stream], env: Mapping[str, str] | None
) -> asyncio.subprocess.Process:
    ways = [stream.value[at] for at, stream in enumerate(streams) if isinstance(stream, Odd)]
    shell = ["/bin/sh", "-c", f'exec "$@" {" ".join(ways)}', "sh"] if ways else []
    stdin, stdout, stderr = (PIPE if isinstance(stream, Odd) else stream for stream in streams)
    return await asyncio.create_subprocess_exec(
        *shell,
        *command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=env,
        start_new_session=True,
    )


async def _forked(words: list[str], streams: list[Stream], env: Mapping[str, str]) -> Forked:
    client, ours = _asked(words, streams, env)
    reader, writer = await asyncio.open_unix_connection(sock=client)
    process = Forked(int(await reader.readline()), reader, writer)
    process.stdin, process.stdout, process.stderr = [
        await _connected(number, file) for number, file in enumerate(ours)
    ]
    return process


def _asked(
    words: list[str], streams: list[Stream], env: Mapping[str, str]
) -> tuple[socket.socket, list[IO[bytes] | None]]:
    """Ask the fork server for a process; return where it tells of it, and our ends of its streams."""
    with ExitStack() as theirs:
        ours: list[IO[bytes] | None] = []
        given: dict[int, int] = {}  # What the descriptors 0 to 2 become.
        for number, stream in enumerate(streams):
            file, descriptor = (None, given.get(1)) if stream == STDOUT else _opened(number, stream, theirs)
            ours.append(file)
            if descriptor is not None:
                given[number] = descriptor
        request = {
            "arguments": words,
            "directory": os.getcwd(),
            "environment": dict(env),
            "streams": list(given),
        }
        client = socket.socket(socket.AF_UNIX)
        client.connect(os.environ[_ADDRESS])
        socket.send_fds(client, [b"\n"], list(given.values()))
        client.sendall(json.dumps(request).encode() + b"\n")
    return client, ours


class ForkedPopen:
    """What ``subprocess.Popen`` is for a program in Python with pipes of text, in a fork.

    Args:
        command: ``sys.executable``, and its command line.
        env: Its environment; otherwise that of this process.
        **others: Of :class:`subprocess.Popen`; pipes of text.
    """

    def __init__(self, command: list[str], *, env: Mapping[str, str] | None = None, **others: Any) -> None:
        assert others == {"stdin": PIPE, "stdout": PIPE, "text": True}
        self.args = command
        client, ours = _asked(command[1:], [PIPE, PIPE, 2], os.environ if env is None else env)
        stdin, stdout, _ = ours
        assert isinstance(stdin, FileIO)
        assert isinstance(stdout, FileIO)
        self.stdin = TextIOWrapper(BufferedWriter(stdin))
        self.stdout = TextIOWrapper(BufferedReader(stdout))
        self._client, self._told = client, client.makefile("rb")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._client], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._client.close()
        return self.returncode

    def terminate(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _opened(number: int, stream: Stream, theirs: ExitStack) -> tuple[IO[bytes] | None, int | None]:
    """Return our end of a stream, if it has one, and the process's, if it isn't closed."""
    match stream:
        case Odd.CLOSED:
            return None, None
        case int() if stream == PIPE:
            reading, writing = os.pipe()
            own, other = (writing, reading) if number == 0 else (reading, writing)
            theirs.callback(os.close, other)
            return open(own, "wb" if number == 0 else "rb", 0), other
        case int() if stream >= 0:
            return None, stream
        case _:
            path = os.devnull if stream == DEVNULL else "/dev/full"
            theirs.callback(os.close, descriptor := os.open(path, os.O_RDWR))
            return None, descriptor


class _Pipe(asyncio.StreamReaderProtocol):
    """Closes its pipe at the end of what is read: uvloop would leave it open, where asyncio doesn't ask."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


async def _connected(number: int, file: IO[bytes] | None) -> Any:
    """Return the reader, or for standard input the writer, of our end of a pipe."""
    if file is None:
        return None
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = _Pipe(reader)
    if number == 0:
        transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
        return asyncio.StreamWriter(transport, protocol, None, loop)
    await loop.connect_read_pipe(lambda: protocol, file)
    return reader


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream else b""

"""The processes that tests fork are what an interpreter of their own would be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from kit import PATIENCE
from kit.processes import Forked, Odd, Process, Stream, start_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server here")


@pytest.fixture(autouse=True)
def no_choice_of_python_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what an interpreter reads when it starts."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


class Ended(NamedTuple):
    status: int | None
    out: bytes
    err: bytes


async def ended(process: Process, data: bytes = b"") -> Ended:
    async with asyncio.timeout(3 * PATIENCE):
        out, err = await process.communicate(data)
    return Ended(process.returncode, out, err)


async def both(*arguments: str | Path, **streams: Stream) -> tuple[Ended, Ended]:
    """Return what comes of a fork, and of an interpreter."""
    fork = await start_python(*arguments, streams=streams)
    interpreter = await start_python(*arguments, streams=streams, anew=True)
    assert isinstance(fork, Forked)
    assert not isinstance(interpreter, Forked)
    return await ended(fork), await ended(interpreter)


ENDINGS = {
    "nothing": "",
    "a status": "import sys; sys.exit(7)",
    "a reason": "import sys; sys.exit('bad')",
    "a signal": "import os; os.kill(os.getpid(), 9)",
    "another signal": "import os; os.kill(os.getpid(), 15)",
    "at once": "import os; os._exit(3)",
    "at exit": "import atexit; atexit.register(print, 'last'); print('first')",
    "a thread": "import threading as t; t.Timer(0.05, print, ['later']).start()",
    "no output in the end": "import sys, os; print('lost'); os.close(1); os.dup2(os.open('/dev/full', 1), 1)",
    "signals": "import signal; print([signal.getsignal(n) for n in (1, 2, 13, 15, 17, 25)])",
    "a task": "import multiprocessing as m; print(m.current_process().name, m.parent_process())",
    "threads": "import threading; print(threading.enumerate()[0] is threading.main_thread())",
    "descriptors": "import os; print(len(os.listdir('/proc/self/fd')))",
    "session": "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS)
async def test_it_ends_as_an_interpreter_does(code: str) -> None:
    fork, interpreter = await both("-W", "always::ResourceWarning", "-c", code)
    assert fork == interpreter


async def test_an_exception_is_shown() -> None:
    fork, interpreter = await both("-c", "1 / 0")
    assert (fork.status, interpreter.status) == (1, 1)
    assert (
        fork.err.splitlines()[-1]
        == interpreter.err.splitlines()[-1]
        == b"ZeroDivisionError: division by zero"
    )


async def test_what_is_not_closed_is_told() -> None:
    code = "import socket, gc; socket.socket(); gc.collect()"
    fork, interpreter = await both("-W", "always::ResourceWarning", "-c", code)
    assert fork.err.splitlines()[0] == interpreter.err.splitlines()[0]
    assert b"ResourceWarning: unclosed <socket" in fork.err


async def test_an_interrupt_is_a_signal() -> None:
    for anew in (False, True):
        # Python would miss a signal just before a long sleep.
        code = "import time; print(flush=True)\nwhile True: time.sleep(0.01)"
        process = await start_python("-c", code, anew=anew)
        assert process.stdout is not None
        async with asyncio.timeout(3 * PATIENCE):
            await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert (await ended(process)).status == -signal.SIGINT


STREAMS = """
import json, os, sys
def told(stream):
    names = ("name", "mode", "encoding", "errors", "newlines", "line_buffering")
    return stream and [getattr(stream, name) for name in names]
found = [told(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)]
same = [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__]
with open(sys.argv[1], "w") as file:
    json.dump([found, same, sys.stdin and sys.stdin.buffer.read().decode()], file)
"""


@pytest.mark.parametrize("number", [None, 0, 1, 2])
async def test_its_streams_are_an_interpreter_s(number: int | None, tmp_path: Path) -> None:
    streams = {} if number is None else {("stdin", "stdout", "stderr")[number]: Odd.CLOSED}
    found = []
    for anew in (False, True):
        file = tmp_path / str(anew)
        process = await start_python("-c", STREAMS, file, streams=streams, anew=anew)
        result = await ended(process, b"read\n")
        assert result == (0, b"", b""), result.err
        found.append(json.loads(file.read_text()))
    assert found[0] == found[1]
    assert (found[0][0][0] is None) == (number == 0)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
async def test_what_can_not_be_written_is_its_error(name: str) -> None:
    code = "import sys; print('lost'); print('lost', file=sys.stderr)"
    fork, interpreter = await both("-c", code, **{name: Odd.FULL})
    assert fork == interpreter
    assert fork.status == 120


PLACE = """
import json, os, sys
names = ("HOME", "A_NAME", "PWD")
print(json.dumps([sys.argv, sys.path[0], os.getcwd(), [os.environ.get(name) for name in names], __name__]))
"""


@pytest.mark.parametrize("way", ["code", "script", "module"])
async def test_it_is_where_and_what_it_was_asked_to_be(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_place.py").write_text(PLACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_NAME", "\udcff and é")
    monkeypatch.delenv("HOME")
    script = str(tmp_path / "odd_place.py")
    command = {"code": ["-c", PLACE], "script": [script], "module": ["-m", "odd_place"]}
    fork, interpreter = await both(*command[way], "an", "argument\udcff")
    assert fork == interpreter
    assert json.loads(fork.out)[2] == os.getcwd()

"""Examples, run as a user runs them: in a process of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import ModuleType
from typing import Self

import pytest

from kit.processes import Process, start_python

EXAMPLES = Path(__file__).parents[2] / "examples"
_TIMEOUT = 180


def environment_with(**more: str) -> dict[str, str]:
    """Return the environment without what is the developer's own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LOKUTOR_", "VIDEOSDK_"))}
    return {**clean, **more}


def run_python(arguments: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, and return what it has printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment_with(**environment),
        capture_output=True,
        encoding="utf-8",
        timeout=_TIMEOUT,
        check=False,
    )


async def _to_its_end(
    arguments: Sequence[str | Path], environment: dict[str, str], anew: bool
) -> subprocess.CompletedProcess[str]:
    process = await start_python(
        *arguments, streams={"stdin": subprocess.DEVNULL}, env=environment, anew=anew
    )
    try:
        printed, said = await asyncio.wait_for(process.communicate(), _TIMEOUT)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode is not None
    texts = [text.decode().replace(os.linesep, "\n") for text in (printed, said)]
    return subprocess.CompletedProcess(arguments, process.returncode, *texts)


def fork_python(arguments: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Do the same in a process that has imported the plugin already."""
    environment = environment_with(PYTHONIOENCODING="utf-8", **environment)
    return asyncio.run(_to_its_end(arguments, environment, anew=False))


def run_example(name: str, *options: str | Path, anew: bool = False) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, and return what it has printed.

    Args:
        name: The example.
        options: Its command line.
        anew: Whether it must have an interpreter of its own.
    """
    environment = environment_with(PYTHONIOENCODING="utf-8")
    return asyncio.run(_to_its_end([EXAMPLES / name, *options], environment, anew))


class Running:
    """A program in Python that runs while one test after the other waits for what it prints.

    Args:
        arguments: Its command line.
        anew: Whether it must have an interpreter of its own.
        **environment: What is added to the environment.
    """

    def __init__(self, arguments: Sequence[str | Path], *, anew: bool = False, **environment: str) -> None:
        self._arguments = arguments
        self._anew = anew
        self._environment = environment_with(PYTHONIOENCODING="utf-8", **environment)
        self._news = Condition()
        self._printed = ""
        self._process: Process | None = None
        self._done: subprocess.CompletedProcess[str] | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._news.wait_for(lambda: self._process or not self._thread.is_alive(), _TIMEOUT)
        if self._process and self._done is None:  # A failure has ended the tests, or nobody asks for its end.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._thread.join(_TIMEOUT)

    def prints(self, pattern: str) -> re.Match[str]:
        """Wait until what it has printed has this regular expression in it, at any line."""
        with self._news:
            self._news.wait_for(lambda: self._found(pattern) or self._done, _TIMEOUT)
            found = self._found(pattern)
        assert found, f"{self._printed}\n{self._done}"
        return found

    def _found(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self._printed, re.MULTILINE)

    def ends(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        with self._news:
            self._news.wait_for(lambda: self._done, _TIMEOUT)
        assert self._done, self._printed
        return self._done

    async def _run(self) -> None:
        streams = {"stdin": subprocess.DEVNULL}
        process = await start_python(
            *self._arguments, streams=streams, env=self._environment, anew=self._anew
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with self._news:
            self._process = process
            self._news.notify_all()
        saying = asyncio.create_task(process.stderr.read())
        async for line in process.stdout:
            with self._news:
                self._printed += line.decode().replace(os.linesep, "\n")
                self._news.notify_all()
        said = (await saying).decode().replace(os.linesep, "\n")
        status = await process.wait()
        with self._news:
            self._done = subprocess.CompletedProcess(self._arguments, status, self._printed, said)
            self._news.notify_all()


def watch_example(name: str, *options: str | Path, anew: bool = False) -> Running:
    """Return a run of an example that begins where it is entered.

    Args:
        name: The example.
        options: Its command line.
        anew: Whether it must have an interpreter of its own.
    """
    return Running([EXAMPLES / name, *options], anew=anew)


_INTERRUPTED = """
import os, runpy, signal, sys
sys.path.insert(0, {kit!r})
import spawning
spawning.fork_instead()
sys.path[0] = os.path.dirname(sys.argv[1])
from videosdk.plugins.lokutor.local import {module}
class Interrupted({module}.{engine}):
    def synthesize(self, request):
        os.killpg(0, signal.SIGINT)
        return super().synthesize(request)
{module}.{engine} = Interrupted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def interrupt_example(
    name: str, *options: str | Path, engine: str = "espeak.EspeakEngine", anew: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run an example that gets Ctrl+C when its voice begins to speak, and return what it has printed.

    As in a terminal, the processes that it has started get it, too. Returns when all of them have ended.
    What multiprocessing starts is forked, too.

    Args:
        name: The example.
        options: Its command line.
        engine: Its voice: a class, in a module of ``local``.
        anew: Whether it must have an interpreter of its own.
    """
    module, _, kind = engine.partition(".")
    starter = _INTERRUPTED.format(kit=str(Path(__file__).parent), module=module, engine=kind)
    command = ["-c", starter, EXAMPLES / name, *options]
    return asyncio.run(_to_its_end(command, environment_with(PYTHONIOENCODING="utf-8"), anew))


def replace_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put classes of the framework in the places of the plugins of others, which need not be installed."""
    from videosdk.agents import EOU, LLM, STT, VAD

    for name, base in {"deepgram": STT, "openai": LLM, "silero": VAD, "turn_detector": EOU}.items():
        monkeypatch.setitem(
            sys.modules, f"videosdk.plugins.{name}", fake_plugin(f"videosdk.plugins.{name}", base)
        )


def fake_plugin(name: str, base: type) -> ModuleType:
    """Return a plugin whose classes are empty ones below ``base``."""
    from videosdk.agents import _plugins

    module = ModuleType(name)
    for exported, where in _plugins._REGISTRY.items():
        if where == name:
            setattr(module, exported, type(exported, (base,), {}))
    return module

"""How examples end that are interrupted, asked for what there isn't, or read by nobody: in one line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.examples import EXAMPLES, environment_with, fork_python, run_example, run_python
from kit.processes import start_python
from kit.tables import each

RUN = [
    "avatar_visemes.py",
    "cached_phrases.py",
    "fallback.py",
    "opentelemetry_metrics.py",
    "speech_markup.py",
    "telephony.py",
]
WITHOUT_FILES = {"avatar_visemes.py", "opentelemetry_metrics.py"}
START = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            {action}
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
INTERRUPT = "os.kill(os.getpid(), signal.SIGINT)"
LACK = "raise ModuleNotFoundError(f'No module named {name!r}', name=name)"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX system's signals and pipes")


def start(name: str, module: str, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example to which something happens when it imports a module that a fork hasn't imported yet."""
    starter = START.format(module=module, action=action)
    return fork_python(["-c", starter, EXAMPLES / name], **environment)


@POSIX
@each("name", [*RUN, "browser_agent.py", "conversation.py", "voice_agent.py", "workers/workers.py"])
def test_ctrl_c_while_it_imports_is_one_line(name: str) -> None:
    done = run_python(["-c", START.format(module="videosdk", action=INTERRUPT), EXAMPLES / name])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


@each("name", sorted(WITHOUT_FILES))
def test_an_argument_that_there_is_not_is_refused(name: str) -> None:
    done = run_example(name, "--bogus")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{name}: error: unrecognized arguments: --bogus"


def test_a_missing_package_of_the_agent_to_deploy_is_one_line() -> None:
    done = start("voice_agent.py", "videosdk.plugins.deepgram", LACK)
    assert done.returncode == 1
    assert done.stderr.startswith("videosdk.plugins.deepgram is not installed.")
    assert done.stderr.count("\n") == 1


@each(("key", "plugin"), [("OPENAI_API_KEY", "openai"), ("DEEPGRAM_API_KEY", "deepgram")])
def test_a_key_without_its_package_is_told_at_the_start(key: str, plugin: str) -> None:
    keys = {"OPENAI_API_KEY": "", "DEEPGRAM_API_KEY": "", key: "a-key-of-yours"}
    done = start("browser_agent.py", f"videosdk.plugins.{plugin}", LACK, **keys)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{key} is set, which needs videosdk-plugins-{plugin}: pip install")
    assert done.stderr.count("\n") == 1
    assert "a-key-of-yours" not in done.stderr + done.stdout


async def run_unread(name: str, folder: Path, *, anew: bool) -> tuple[int | None, str]:
    """Run an example whose output nobody reads; return its status, and what it says of it."""
    options: list[str | Path] = [] if name in WITHOUT_FILES else ["--out", folder]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = await start_python(
            EXAMPLES / name,
            *options,
            streams={"stdin": subprocess.DEVNULL, "stdout": writer},
            env=environment_with(),
            anew=anew,
        )
    finally:
        os.close(writer)
    _, said = await asyncio.wait_for(process.communicate(), 180)
    return process.returncode, said.decode()


@POSIX
async def test_a_reader_that_has_enough_ends_it_in_one_line(tmp_path: Path) -> None:
    names = ["avatar_visemes.py", "fallback.py", "opentelemetry_metrics.py", "speech_markup.py"]
    ended = [run_unread(name, tmp_path, anew=name == "opentelemetry_metrics.py") for name in names]
    said = "The example has ended early: nobody reads what it prints.\n"
    assert dict(zip(names, await asyncio.gather(*ended), strict=True)) == dict.fromkeys(names, (1, said))

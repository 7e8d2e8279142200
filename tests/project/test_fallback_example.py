"""The example of a second provider: it is run as a user would."""

from __future__ import annotations

import re
import subprocess
import wave
from pathlib import Path

import pytest
from kit.examples import run_example

REPLY = (
    "The next boat leaves at ten forty from pier three. The crossing takes half an hour, "
    "and you can see the whole bay from the upper deck. A return ticket is twelve euros."
)
AGAIN = "Is there anything else that I can do for you?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("fallback")
    return run_example("fallback.py", "--out", folder), folder / "fallback.wav"


def test_it_ends_well(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert run[0].returncode == 0, run[0].stderr
    assert not run[0].stderr
    with wave.open(str(run[1])) as file:
        assert file.getnframes() > 10 * file.getframerate()


def test_each_word_is_heard_once_and_the_voice_changes_and_returns(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    words = re.findall(r"^ +\d+\.\d\d s  (\w\d)  (\S+)$", run[0].stdout, re.MULTILINE)
    assert " ".join(word for _, word in words) == f"{REPLY} {AGAIN}"
    voices = [voice for voice, _ in words]
    changes = [voice for voice, before in zip(voices, [None, *voices], strict=False) if voice != before]
    assert changes == ["F1", "M2", "F1"]
    assert run[0].stdout.count("NetworkError") == 1


def test_the_agent_remembers_both_replies(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert f"The agent remembers:\n  {REPLY}\n  {AGAIN}\n" in run[0].stdout

"""The example of a second provider: it is run to its end."""

from __future__ import annotations

import re
import subprocess
import wave
from pathlib import Path

import numpy as np
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


def test_nothing_is_printed_but_words_and_what_happens(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    during, _, _ = run[0].stdout.partition("\nThe agent remembers:")
    lines = during.splitlines()
    assert [line for line in lines if not re.match(r" +(\d+\.\d\d s  \w\d  \S+$|--  )", line)] == []


def test_the_caller_waits_for_the_second_voice_no_longer_than_for_the_first(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """In time of the recording; without the example's own time-outs, it is nearly ten seconds."""
    with wave.open(str(run[1])) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        agent, rate = frames[::2], file.getframerate()
    loud = np.flatnonzero(np.abs(agent.astype(np.int32)) > 33)
    assert np.diff(loud).max() / rate < 5


def test_the_agent_remembers_both_replies(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert f"The agent remembers:\n  {REPLY}\n  {AGAIN}\n" in run[0].stdout

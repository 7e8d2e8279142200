"""The example of speech markup: it is run to its end, and listened to."""

from __future__ import annotations

import re
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from kit.examples import run_example

HEARD = (
    "Mr. Nguyen is in our office at Passeig de Gràcia, next to the stop. Your code is B7X. "
    "It costs twelve dollars and fifty cents."
)
REMEMBERED = (
    "Mr. Nguyen is in our office at Passeig de Gràcia, next to the stop. Your code is B7X. It costs $12.50."
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("markup")
    return run_example("speech_markup.py", "--out", folder), folder / "speech_markup.wav"


def test_it_ends_well(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert run[0].returncode == 0, run[0].stderr
    assert not run[0].stderr


def test_the_words_are_told_without_tags_and_the_pause_is_in_them(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    words = re.findall(r"^ +(\d+\.\d\d) s  (\S+)$", run[0].stdout, re.MULTILINE)
    assert " ".join(word for _, word in words) == HEARD
    starts = {word: float(start) for start, word in words}
    assert starts["B7X."] - starts["code"] > 0.5


def test_the_agent_remembers_what_was_written(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    assert f"The agent remembers:\n  {REMEMBERED}\n" in run[0].stdout


def test_the_pause_is_heard(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    with wave.open(str(run[1])) as file:
        rate = file.getframerate()
        agent = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(int)
    loud = np.flatnonzero(np.abs(agent) > 33)
    pauses = np.diff(loud)[np.diff(loud) > 0.45 * rate] / rate
    assert pauses == pytest.approx([0.5], abs=0.005)

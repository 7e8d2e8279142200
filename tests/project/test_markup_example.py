"""The example of speech markup: it is watched while it runs, and listened to when it has ended."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kit.examples import Running, watch_example

HEARD = (
    "Mr. Nguyen is in our office at Passeig de Gràcia, next to the stop. Your code is B7X. "
    "It costs twelve dollars and fifty cents."
)
REMEMBERED = (
    "Mr. Nguyen is in our office at Passeig de Gràcia, next to the stop. Your code is B7X. It costs $12.50."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("markup")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    """Begin the call, which plays in real time: each of the first tests waits for the next part of it."""
    with watch_example("speech_markup.py", "--out", folder) as running:
        yield running


@pytest.fixture(scope="module")
def printed(running: Running) -> str:
    """Return all that is printed, when the call is over."""
    return running.ends().stdout


def spoken(words: str) -> str:
    """Return what matches the lines of these words."""
    return r"\n".join(rf" +\d+\.\d\d s  {re.escape(word)}" for word in words.split())


def test_a_name_is_written_as_the_model_writes_it(running: Running) -> None:
    running.prints(rf"^The caller hears:\n{spoken('Mr. Nguyen is')}$")


def test_words_of_another_language_come_without_their_tags(running: Running) -> None:
    running.prints(rf"^{spoken('at Passeig de Gràcia, next to the stop.')}$")


def test_what_is_spelt_is_one_word(running: Running) -> None:
    running.prints(rf"^{spoken('Your code is B7X.')}$")


def test_a_price_is_written_out(running: Running) -> None:
    running.prints(rf"^{spoken('It costs twelve dollars and fifty cents.')}$")


def test_it_ends_well(running: Running) -> None:
    done = running.ends()
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_the_words_are_told_without_tags_and_the_pause_is_in_them(printed: str) -> None:
    words = re.findall(r"^ +(\d+\.\d\d) s  (\S+)$", printed, re.MULTILINE)
    assert " ".join(word for _, word in words) == HEARD
    starts = {word: float(start) for start, word in words}
    assert starts["B7X."] - starts["code"] > 0.5


def test_the_agent_remembers_what_was_written(printed: str) -> None:
    assert f"The agent remembers:\n  {REMEMBERED}\n" in printed


def test_the_pause_is_heard(printed: str, folder: Path) -> None:
    with wave.open(str(folder / "speech_markup.wav")) as file:
        rate = file.getframerate()
        agent = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(int)
    loud = np.flatnonzero(np.abs(agent) > 33)
    pauses = np.diff(loud)[np.diff(loud) > 0.45 * rate] / rate
    assert pauses == pytest.approx([0.5], abs=0.005)

"""The example of a second provider: it is watched while it runs, and listened to when it has ended."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kit.examples import Running, watch_example

REPLY = (
    "The next boat leaves at ten forty. The crossing takes half an hour, "
    "and you can see the whole bay from the upper deck. A return ticket is twelve euros."
)
AGAIN = "Is there anything else that I can do for you?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fallback")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    """Begin the call, which plays in real time: each of the first tests waits for the next part of it."""
    with watch_example("fallback.py", "--out", folder) as running:
        yield running


@pytest.fixture(scope="module")
def printed(running: Running) -> str:
    """Return all that is printed, when the call is over."""
    return running.ends().stdout


def word(voice: str, text: str) -> str:
    """Return what matches the line of a word."""
    return rf"^ +\d+\.\d\d s  {voice}  {re.escape(text)}$"


def test_the_first_provider_begins_the_reply(running: Running) -> None:
    assert running.prints(r"\A.+\n")[0].endswith("s  F1  The\n")


def test_the_first_provider_is_killed_in_the_middle_of_the_reply(running: Running) -> None:
    running.prints(rf"{word('F1', 'half')}\n +--  the first provider is killed$")


def test_the_second_provider_takes_over(running: Running) -> None:
    running.prints(r"^ +--  NetworkError: .+\n(.+\n)*? +\d+\.\d\d s  M2  \w")


def test_the_second_provider_finishes_the_reply(running: Running) -> None:
    running.prints(word("M2", "euros."))


def test_the_first_provider_speaks_again_when_it_is_repaired(running: Running) -> None:
    running.prints(rf"{word('M2', 'euros.')}\n{word('F1', 'Is')}")


def test_it_ends_well(running: Running, folder: Path) -> None:
    done = running.ends()
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    with wave.open(str(folder / "fallback.wav")) as file:
        assert file.getnframes() > 10 * file.getframerate()


def test_each_word_is_heard_once_and_the_voice_changes_and_returns(printed: str) -> None:
    words = re.findall(r"^ +\d+\.\d\d s  (\w\d)  (\S+)$", printed, re.MULTILINE)
    assert " ".join(word for _, word in words) == f"{REPLY} {AGAIN}"
    voices = [voice for voice, _ in words]
    changes = [voice for voice, before in zip(voices, [None, *voices], strict=False) if voice != before]
    assert changes == ["F1", "M2", "F1"]
    assert printed.count("NetworkError") == 1


def test_nothing_is_printed_but_words_and_what_happens(printed: str) -> None:
    during, _, _ = printed.partition("\nThe agent remembers:")
    lines = during.splitlines()
    assert [line for line in lines if not re.match(r" +(\d+\.\d\d s  \w\d  \S+$|--  )", line)] == []


def test_the_caller_waits_for_the_second_voice_no_longer_than_for_the_first(
    printed: str, folder: Path
) -> None:
    """In time of the recording; without the example's own time-outs, it is nearly ten seconds."""
    with wave.open(str(folder / "fallback.wav")) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        agent, rate = frames[::2], file.getframerate()
    loud = np.flatnonzero(np.abs(agent.astype(np.int32)) > 33)
    assert np.diff(loud).max() / rate < 5


def test_the_agent_remembers_both_replies(printed: str) -> None:
    assert f"The agent remembers:\n  {REPLY}\n  {AGAIN}\n" in printed

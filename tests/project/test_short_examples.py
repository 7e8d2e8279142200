"""The short examples: each is run as a user would, all at once."""

from __future__ import annotations

import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from kit.examples import run_example


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """Return what each example has printed, and where it has written."""
    folder = tmp_path_factory.mktemp("short")
    commands = {
        "telephony": ["--out", str(folder)],
        "avatar_visemes": [],
        "cached_phrases": ["--out", str(folder)],
    }
    printed = {}
    with ThreadPoolExecutor() as pool:
        for name, done in zip(commands, pool.map(_run, commands.items()), strict=True):
            assert done.returncode == 0, done.stderr
            printed[name] = done.stdout
    return printed, folder


def _run(command: tuple[str, list[str]]) -> CompletedProcess[str]:
    name, options = command
    return run_example(f"{name}.py", *options)


def test_the_telephone_gets_its_own_rate(runs: tuple[dict[str, str], Path]) -> None:
    with wave.open(str(runs[1] / "telephony.wav")) as file:
        assert file.getframerate() == 8_000
        assert file.getnframes() > 3 * 8_000


def test_the_mouth_moves(runs: tuple[dict[str, str], Path]) -> None:
    assert int(runs[0]["avatar_visemes"].splitlines()[-1].split()[0]) > 20


def test_the_cached_phrase_costs_nothing_in_the_call(runs: tuple[dict[str, str], Path]) -> None:
    answer = "The next boat leaves at ten forty."
    assert f"characters synthesized in the call: {len(answer)}" in runs[0]["cached_phrases"]
    with wave.open(str(runs[1] / "cached_phrases.wav")) as file:
        assert file.getnframes() > 3 * 24_000

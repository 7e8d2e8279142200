"""The short examples: each is run as a user would, all at once."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """Return what each example has printed, and where it has written."""
    folder = tmp_path_factory.mktemp("short")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOKUTOR_")}
    commands = {
        "telephony": ["--out", str(folder)],
        "avatar_visemes": [],
        "cached_phrases": ["--out", str(folder)],
    }
    processes = {
        name: subprocess.Popen(
            [sys.executable, EXAMPLES / f"{name}.py", *options],
            env={**environment, "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for name, options in commands.items()
    }
    try:
        printed = {}
        for name, process in processes.items():
            stdout, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
            printed[name] = stdout
        yield printed, folder
    finally:
        for process in processes.values():
            process.kill()


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

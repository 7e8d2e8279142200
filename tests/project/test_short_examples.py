"""The short examples: each is run to its end, all at once, and one of them as a user would."""

from __future__ import annotations

import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from kit.examples import interrupt_example, run_example

WITHOUT_FILES = {"avatar_visemes", "opentelemetry_metrics"}


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
    return run_example(f"{name}.py", *options, anew=name == "telephony")


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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX system's signals")
@pytest.mark.parametrize(
    "name",
    [
        "avatar_visemes",
        "cached_phrases",
        "fallback",
        "opentelemetry_metrics",
        "speech_markup",
        "telephony",
    ],
)
def test_ctrl_c_ends_it_without_a_traceback(name: str, tmp_path: Path) -> None:
    options = [] if name in WITHOUT_FILES else ["--out", str(tmp_path)]
    done = interrupt_example(f"{name}.py", *options)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
    assert not list(tmp_path.iterdir())

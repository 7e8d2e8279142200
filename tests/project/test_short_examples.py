"""The short examples: each is run to its end, all at once, and one of them as a user would."""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kit.examples import Running, interrupt_example, watch_example

WITHOUT_FILES = {"avatar_visemes", "opentelemetry_metrics"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("short")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[dict[str, Running]]:
    """Begin all of them; each test waits for its own."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                watch_example(f"{name}.py", *options_of(name, folder), anew=name == "telephony")
            )
            for name in ("avatar_visemes", "cached_phrases", "telephony")
        }


def options_of(name: str, folder: Path) -> list[str | Path]:
    return [] if name in WITHOUT_FILES else ["--out", folder]


def printed_by(running: Running) -> str:
    """Return what an example has printed that ends well."""
    done = running.ends()
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_mouth_moves(running: dict[str, Running]) -> None:
    assert int(printed_by(running["avatar_visemes"]).splitlines()[-1].split()[0]) > 20


def test_the_cached_phrase_costs_nothing_in_the_call(running: dict[str, Running], folder: Path) -> None:
    answer = "The next boat leaves at ten forty."
    assert f"characters synthesized in the call: {len(answer)}" in printed_by(running["cached_phrases"])
    with wave.open(str(folder / "cached_phrases.wav")) as file:
        assert file.getnframes() > 3 * 24_000


def test_the_telephone_gets_its_own_rate(running: dict[str, Running], folder: Path) -> None:
    printed_by(running["telephony"])
    with wave.open(str(folder / "telephony.wav")) as file:
        assert file.getframerate() == 8_000
        assert file.getnframes() > 3 * 8_000


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
    done = interrupt_example(f"{name}.py", *options_of(name, tmp_path))
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
    assert not list(tmp_path.iterdir())

"""The matrix of versions: what is noted of a run is what happened, and the results bear out the metadata."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from compatibility import CORE, ROOT, Outcome, kept, lower_bounds, matrix, run_tests

from videosdk.plugins.lokutor._doctor.versions import FAULTS, OLDEST, PYTHONS, numbers_of, shown

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--loop")
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_passes(number):
    pass

def test_is_skipped():
    pytest.skip("there is no such device here")

@pytest.mark.xfail(reason="known fault: lost-words", strict=True)
def test_shows_a_fault():
    assert False

@pytest.mark.xfail(reason="known fault: lost-words", strict=True)
def test_should_show_a_fault():
    pass

@pytest.fixture
def broken():
    yield
    raise OSError

def test_fails_twice(broken):
    assert False

def test_on_which_loop(pytestconfig):
    assert pytestconfig.getoption("--loop") == "uvloop"
"""
ROWS = {row.name: row for row in matrix()}
OUTCOMES = {name: Outcome(**found) for name, found in kept().items()}
PROMISED = [outcome for outcome in OUTCOMES.values() if outcome.needed]


def outcome(**options: str) -> Outcome:
    return Outcome("row", "2026-01-01", "Linux", "3.13.0", options.get("loop", "uvloop"), "core", needed=True)


def test_what_is_noted_is_what_happened(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_things.py").write_text(TESTS, encoding="utf-8")
    noted = outcome()
    run_tests(Path(sys.executable), noted, (), workers=0, root=tmp_path)
    assert noted.passed == 4
    assert noted.skipped == {"there is no such device here": 1}
    assert noted.faults == {"lost-words": 1}
    assert noted.failed == ["test_things::test_should_show_a_fault", "test_things::test_fails_twice"]
    assert noted.error == ""
    assert not noted.good


@pytest.mark.parametrize("tests", ["def broken(:", "def test_nothing_of_it(): pass"])
def test_a_run_that_fails_without_a_test_is_no_success(tmp_path: Path, tests: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST if tests.startswith("def b") else "!", encoding="utf-8")
    (tmp_path / "test_things.py").write_text(tests, encoding="utf-8")
    noted = outcome()
    run_tests(Path(sys.executable), noted, (), workers=0, root=tmp_path)
    assert noted.failed or noted.error
    assert not noted.good


def test_the_core_is_there() -> None:
    assert [path for path in CORE if not (ROOT / path.partition("::")[0]).exists()] == []


def test_the_rows_are_what_is_promised() -> None:
    assert len(ROWS) == len(matrix())
    pythons = {tuple(map(int, row.python.split("."))) for row in ROWS.values()}
    assert (min(pythons), max(pythons)) == PYTHONS
    assert lower_bounds() == {name: shown(oldest) for name, oldest in OLDEST.items()}
    for name, oldest in lower_bounds().items():
        tried = [dict(row.pins)[name] for row in ROWS.values() if row.needed and name in dict(row.pins)]
        assert min(tried, key=numbers_of) == oldest


def test_each_row_was_run_and_is_as_it_should_be() -> None:
    assert list(OUTCOMES) == list(ROWS)
    assert [outcome.name for outcome in OUTCOMES.values() if not outcome.good] == []
    for name, row in ROWS.items():
        assert OUTCOMES[name].needed == row.needed
        assert OUTCOMES[name].loop == row.loop
        assert numbers_of(OUTCOMES[name].python)[:2] == numbers_of(row.python)
        for package, version in row.pins:
            numbers = numbers_of(version)
            assert numbers_of(OUTCOMES[name].versions[package])[: len(numbers)] == numbers


def test_what_is_older_than_promised_can_not_be_used() -> None:
    [older] = [outcome for outcome in OUTCOMES.values() if not outcome.needed]
    assert older.error
    assert numbers_of(older.versions["videosdk-agents"]) < OLDEST["videosdk-agents"]


@pytest.mark.parametrize("outcome", PROMISED, ids=lambda outcome: outcome.name)
def test_each_version_has_shown_its_known_faults_and_no_others(outcome: Outcome) -> None:
    versions = outcome.versions.items()
    has = {name for name, fault in FAULTS.items() if any(fault.is_in(*version) for version in versions)}
    assert set(outcome.faults) == has

"""The README is true: its promises, tables and commands are held against the code."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from faults import reliability_table

from benchmarks.report import markdown
from videosdk.plugins.lokutor import LokutorTTS, errors
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return what stands under a heading."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match, title
    return match.group(1)


def first_cells(text: str) -> str:
    return " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| "))


def named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_the_promises_are_those_that_the_fault_table_keeps() -> None:
    assert reliability_table().strip() in README


def test_every_option_is_in_the_table_with_its_default() -> None:
    table = section("Options")
    parameters = inspect.signature(LokutorTTS.__init__).parameters
    options = {name: parameter for name, parameter in parameters.items() if name != "self"}
    assert named(first_cells(table)) == set(options)
    for name, parameter in options.items():
        default = parameter.default
        if name in {"api_key", "base_url"}:
            continue  # They come from the environment.
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        assert f"| `{name}` | `{shown}` |" in table, name


def test_the_benchmarks_table_is_that_of_the_run_that_is_kept() -> None:
    run = json.loads((ROOT / "benchmarks" / "result.json").read_text(encoding="utf-8"))
    assert run["failures"] == []
    assert markdown(run) in section("Measured beside its peers")


def test_every_error_is_in_the_table() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, LokutorError) and value is not LokutorError
    }
    assert named(first_cells(section("Errors"))) == kinds


def test_every_field_of_the_metrics_is_in_the_table() -> None:
    assert named(first_cells(section("What a turn cost"))) == {
        field.name for field in fields(SynthesisMetrics)
    }


def test_the_agent_for_a_user_with_a_key_is_short_and_parses() -> None:
    match = re.search(r"```python\n(.*?)```", section("Quick start with a key"), re.DOTALL)
    assert match
    lines = [line for line in match.group(1).splitlines() if line.strip()]
    assert len(lines) < 25
    ast.parse(match.group(1))


@pytest.mark.parametrize(
    "command", ['pip install -e ".[test]"', "pytest", "ruff check .", "ruff format --check .", "mypy"]
)
def test_ci_runs_what_the_readme_says(command: str) -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert any(
        line.startswith((command, command.replace("install", "install --quiet"))) for line in ci.splitlines()
    )


def test_the_two_commands_are_in_the_readme() -> None:
    assert 'pip install -e ".[local]" && python examples/conversation.py' in section(
        "Hear it, without an account or a network"
    )
    assert 'pip install -e ".[test]" && pytest' in section("Development")


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

"""The files that serve contributors: they can be read, and agree with the metadata and with each other."""

from __future__ import annotations

import ast
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import CONF, ROOT

from release.__main__ import STEPS, parse

GITHUB = ROOT / ".github"
YAML = [ROOT / ".pre-commit-config.yaml", *sorted(GITHUB.rglob("*.yml"))]
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*_*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINTERS = {"codespell", "mypy", "ruff"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = load(path)["jobs"]
    return found


def named(paths: list[Path]) -> list[Any]:
    return [pytest.param(path, id=path.name) for path in paths]


def commands(job: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield what a job runs, each in its folder, and for each row of its matrix."""
    for step in job["steps"]:
        if "matrix." in step.get("run", ""):
            for row in job["strategy"]["matrix"]["include"]:
                command = step["run"]
                for key, value in row.items():
                    command = command.replace(f"${{{{ matrix.{key} }}}}", value)
                yield ROOT / (row["folder"] if "working-directory" in step else "."), command
        elif "run" in step:
            yield ROOT, step["run"]


def extras(command: str) -> set[str]:
    return set(command.partition("[")[2].partition("]")[0].split(","))


@pytest.mark.parametrize("path", named(YAML))
def test_a_configuration_is_yaml(path: Path) -> None:
    assert isinstance(load(path), dict)


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_a_workflow_is_started_and_may_only_read(path: Path) -> None:
    workflow = load(path)
    assert workflow["name"]
    assert workflow[True]  # YAML reads the key "on" as a boolean.
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_a_workflow_runs_what_there_is(path: Path) -> None:
    for job in jobs(path).values():
        for folder, command in commands(job):
            program, *arguments = shlex.split(command)
            if program == "pip":
                assert extras(command) <= set(PROJECT["optional-dependencies"])
            elif arguments[:2] == ["-m", "release"]:
                assert parse(arguments[2:]), command
            elif arguments[:1] == ["-m"]:
                module = arguments[1]
                assert module == "sphinx" or any(folder.glob(f"{module}*")), command
            elif program == "python":
                assert (folder / arguments[0]).is_file(), command
            else:
                assert program in {"gh", "pytest"} or (folder / program).is_file(), command


def test_the_tests_run_on_each_system_and_each_python() -> None:
    matrix = jobs(GITHUB / "workflows/tests.yml")["tests"]["strategy"]["matrix"]
    assert set(matrix["os"]) == {"ubuntu-latest", "macos-latest", "windows-latest"}
    supported = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    assert set(matrix["python"]) == supported == set(decorated("tests"))


def release_jobs() -> dict[str, Any]:
    return jobs(GITHUB / "workflows/release.yml")


def test_a_release_begins_with_a_tag_that_is_the_version() -> None:
    assert load(GITHUB / "workflows/release.yml")[True] == {"push": {"tags": ["v*"]}}
    first = next(command for _, command in commands(release_jobs()["build"]) if "release" in command.split())
    assert parse(shlex.split(first)[3:]).tag == "$GITHUB_REF_NAME"


def test_what_is_published_is_built_once_and_was_tested() -> None:
    found = release_jobs()
    told = [command for job in found.values() for _, command in commands(job)]
    assert len([command for command in told if command.split()[-1] == "build"]) == 1
    needs, waiting = set[str](), ["publish"]
    while waiting:
        job = waiting.pop()
        needs.add(job)
        waiting += [name for name in [found[job].get("needs", [])] if isinstance(name, str)]
    assert needs >= {"build", "test", "attest", "publish"}
    done = {parse(shlex.split(command)[3:]).step for command in told if "-m release" in command}
    assert done == set(STEPS)


def test_a_release_is_tested_on_each_system_and_each_python() -> None:
    matrix = release_jobs()["test"]["strategy"]["matrix"]
    assert matrix == jobs(GITHUB / "workflows/tests.yml")["tests"]["strategy"]["matrix"]
    assert [told for _, told in commands(release_jobs()["test"]) if told.startswith("python")] == [
        "python -m release test --all"
    ]


def test_only_the_jobs_that_publish_may_more_than_read_and_there_is_no_password() -> None:
    allowed = {name: job.get("permissions", {}) for name, job in release_jobs().items()}
    assert allowed == {
        "build": {},
        "test": {},
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
        "announce": {"contents": "write"},
    }
    publish = release_jobs()["publish"]
    assert publish["environment"]["name"] == "pypi"
    [upload] = [step for step in publish["steps"] if step["uses"].startswith("pypa/")]
    assert "with" not in upload
    text = (GITHUB / "workflows/release.yml").read_text(encoding="utf-8")
    assert "secrets." not in text


def test_the_hunt_draws_its_own_seeds() -> None:
    hunt = jobs(GITHUB / "workflows/nightly.yml")["hunt"]
    told = " ".join(command for _, command in commands(hunt))
    assert "--seed" not in told
    assert "--hypothesis-seed=random" in told


def test_every_night_all_versions_are_tried() -> None:
    job = jobs(GITHUB / "workflows/nightly.yml")["compatibility"]
    assert (ROOT, "python tests/compatibility.py") in list(commands(job))


@pytest.mark.parametrize("path", named(FORMS))
def test_an_issue_form_has_what_the_code_host_asks_for(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    questions = [item for item in form["body"] if item["type"] != "markdown"]
    assert len({item["id"] for item in questions}) == len(questions) > 0
    assert all(item["attributes"]["label"] for item in questions)


def test_those_who_ask_are_shown_the_documents() -> None:
    shown = [link["url"] for link in load(GITHUB / "ISSUE_TEMPLATE/config.yml")["contact_links"]]
    ours = [url for url in shown if url.startswith(CONF["REPOSITORY"])]
    assert ours
    for url in ours:
        assert (ROOT / url.partition(f"/{CONF['BRANCH']}/")[2]).is_file()


def test_the_hooks_need_no_network_and_only_tools_of_the_extra() -> None:
    [repository] = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "codespell"}
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} <= LINTERS


def test_the_linters_are_in_their_extra() -> None:
    listed = {requirement.partition("~=")[0] for requirement in PROJECT["optional-dependencies"]["lint"]}
    assert listed >= LINTERS


def sessions() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def decorated(name: str) -> list[str]:
    """Return the Python versions of a session."""
    [decorator] = sessions()[name].decorator_list
    assert isinstance(decorator, ast.Call)
    versions: list[str] = ast.literal_eval(decorator.keywords[0].value)
    return versions


def run_by(name: str) -> list[str]:
    """Return the commands of a session."""
    calls = [node for node in ast.walk(sessions()[name]) if isinstance(node, ast.Call)]
    return [
        " ".join(str(argument.value) for argument in call.args if isinstance(argument, ast.Constant))
        for call in calls
        if ast.unparse(call.func) == "session.run"
    ]


def test_the_task_runner_has_a_session_for_each_task() -> None:
    assert set(sessions()) == {"tests", "lint", "docs", "bench", "release"}


def test_the_task_runner_lints_as_the_gate_does() -> None:
    gate = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert {line for line in gate if line.split(" ")[0] in LINTERS} == set(run_by("lint"))

"""What checks a release finds what is wrong. ``python -m release`` runs it on the real thing."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT
from packaging.requirements import Requirement

from release import materials, project
from release.environment import Environment, normalized
from release.materials import add_licences, brought_by_extra, check_sbom, licence_tables, read_licences
from release.neighbours import check_untouched, snapshot
from release.project import PACKAGE, ReleaseError, check_tag, copy_checkout
from release.wheel_tests import FAST, check_origin

PLUGIN = f"{PACKAGE}/__init__.py"


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of version 1.2.0, with a changelog still to be written."""
    (tmp_path / PACKAGE).mkdir(parents=True)
    (tmp_path / PACKAGE / "version.py").write_text('"""A version."""\n\n__version__ = "1.2.0"\n')
    monkeypatch.setattr(project, "ROOT", tmp_path)
    return tmp_path / "CHANGELOG.md"


def test_a_tag_is_the_version_of_a_dated_changelog(released: Path) -> None:
    released.write_text("# Changelog\n\n## 1.2.0 (2026-11-21)\n\n- New.\n\n## 1.1.0 (2026-01-02)\n\n- Old.\n")
    check_tag("v1.2.0")
    assert project.changes() == ("1.2.0 (2026-11-21)", "- New.")
    for tag in ("1.2.0", "v1.2", "v1.2.1"):
        with pytest.raises(ReleaseError, match=f"the tag is {tag}, and the version is 1.2.0"):
            check_tag(tag)


@pytest.mark.parametrize("head", ["1.2.0 (unreleased)", "1.1.0 (2026-01-02)", "1.2.0"])
def test_a_changelog_without_the_release_stops_it(released: Path, head: str) -> None:
    released.write_text(f"# Changelog\n\n## {head}\n\n- New.\n")
    with pytest.raises(ReleaseError, match=r"CHANGELOG\.md begins with"):
        check_tag("v1.2.0")


def test_a_folder_is_left_out_of_a_copy(tmp_path: Path) -> None:
    copy_checkout(tmp_path, without="tests")
    assert not (tmp_path / "tests").exists()
    assert (tmp_path / "release/project.py").read_bytes() == (ROOT / "release/project.py").read_bytes()


def test_what_is_tested_first_is_there() -> None:
    assert all((ROOT / path).exists() for path in FAST)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Return an environment with a package in the plugin's place."""
    made = Environment(tmp_path / "venv")
    write(made.packages, PLUGIN)
    return made


def write(folder: Path, *names: str, text: str = "") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_the_plugin_must_come_from_the_environment(environment: Environment, tmp_path: Path) -> None:
    where = tmp_path / "folder"
    write(where, "tests/conftest.py")
    check_origin(environment, where)
    write(where, PLUGIN)
    with pytest.raises(ReleaseError, match=r"imported from .*folder.*, not from the wheel"):
        check_origin(environment, where)


def test_the_files_of_neighbours_are_watched(tmp_path: Path) -> None:
    write(tmp_path, "videosdk/__init__.py", "videosdk/plugins/lmnt/__init__.py", "lmnt.dist-info/RECORD")
    before = snapshot(tmp_path)
    write(tmp_path, PLUGIN, "videosdk/plugins/lmnt/__pycache__/tts.pyc")
    check_untouched(before, snapshot(tmp_path), ours={PLUGIN})
    with pytest.raises(ReleaseError, match="belong to nobody"):
        check_untouched(before, snapshot(tmp_path), ours=set())

    write(tmp_path, "videosdk/plugins/__init__.py")
    with pytest.raises(ReleaseError, match="a namespace has an owner"):
        check_untouched(before, snapshot(tmp_path), ours={PLUGIN, "videosdk/plugins/__init__.py"})
    write(tmp_path, "videosdk/__init__.py", text="changed")
    with pytest.raises(ReleaseError, match=r"files of others were changed: \['videosdk/__init__.py'\]"):
        check_untouched(before, snapshot(tmp_path), ours={PLUGIN})
    (tmp_path / "videosdk/__init__.py").unlink()
    with pytest.raises(ReleaseError, match=r"files of others were changed: \['videosdk/__init__.py'\]"):
        check_untouched(before, snapshot(tmp_path), ours={PLUGIN})


@pytest.fixture(scope="module")
def installed() -> dict[str, Distribution]:
    return {normalized(found.metadata["Name"]): found for found in distributions()}


def test_each_extra_brings_what_it_needs_and_what_that_needs(installed: dict[str, Distribution]) -> None:
    brought = brought_by_extra(installed, ["local", "numbers"])
    assert brought["numbers"] == {"num2words", "docopt"}
    assert {"espeakng-loader", "matplotlib", "kiwisolver"} <= brought["local"]
    assert {"videosdk-agents", "aiohttp", "av", "yarl", "numpy"} <= brought[""]
    assert not brought[""] & (brought["local"] | brought["numbers"])


def test_the_list_of_licences_has_a_table_for_each_extra(installed: dict[str, Distribution]) -> None:
    brought = {"": {"aiohttp"}, "numbers": {"num2words"}, "empty": set[str]()}
    text = licence_tables(brought, installed, {"aiohttp": "Apache-2.0", "num2words": "LGPL"})
    rows = [line for line in text.splitlines() if line.startswith(("##", "| aio", "| num", "Nothing"))]
    assert rows == [
        "## For everybody",
        f"| aiohttp | {installed['aiohttp'].version} | Apache-2.0 |",
        "## Extra `numbers`",
        f"| num2words | {installed['num2words'].version} | LGPL |",
        "## Extra `empty`",
        "Nothing more.",
    ]


def test_a_distribution_without_a_licence_is_found(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = '[{"Name": "A_b", "License": "MIT"}, {"Name": "espeakng-loader", "License": "UNKNOWN"}]'
    monkeypatch.setattr(materials, "run", lambda command: told)
    licences = read_licences(environment)
    assert licences["a-b"] == "MIT"
    assert licences["espeakng-loader"] == "GPL-3.0-or-later"
    monkeypatch.setattr(materials, "run", lambda command: told.replace("MIT", "UNKNOWN"))
    with pytest.raises(ReleaseError, match=r"no licence is stated by \['a-b'\]"):
        read_licences(environment)


def test_an_sbom_lists_what_is_installed(installed: dict[str, Distribution]) -> None:
    few = {name: installed[name] for name in ("aiohttp", "av")}
    licensed = {"licenses": [{"license": {"id": "Apache-2.0"}}]}
    parts = [{"name": "AioHTTP", "version": few["aiohttp"].version, **licensed}]
    bill: dict[str, Any] = {"metadata": {"component": {"name": "av", "version": few["av"].version}}}
    check_sbom({**bill, "components": parts}, few)
    with pytest.raises(ReleaseError, match=r"the SBOM differs from what is installed in .*aiohttp"):
        check_sbom({**bill, "components": []}, few)
    with pytest.raises(ReleaseError, match="the SBOM differs"):
        check_sbom({**bill, "components": [{"name": "aiohttp", "version": "0"}]}, few)
    with pytest.raises(ReleaseError, match="names a path of this machine"):
        check_sbom({**bill, "components": parts, "from": "file:///tmp/a.whl"}, few)
    with pytest.raises(ReleaseError, match=r"the SBOM has no licence of \['AioHTTP'\]"):
        check_sbom({**bill, "components": [{**parts[0], "licenses": []}]}, few)


def test_an_sbom_gets_the_licences_that_it_lacks() -> None:
    stated = [{"license": {"id": "MIT"}}]
    parts: list[dict[str, Any]] = [
        {"name": "protobuf"}, {"name": "A_b", "licenses": stated}, {"name": "espeakng-loader"},
    ]  # fmt: skip
    add_licences({"components": parts}, {"protobuf": "3-Clause BSD License", "a-b": "other"})
    assert [part["licenses"] for part in parts] == [
        [{"license": {"name": "3-Clause BSD License"}}],
        stated,
        [{"license": {"id": "GPL-3.0-or-later"}}],
    ]


def test_the_extra_brings_what_the_release_runs() -> None:
    """A tool that makes environments need not put pip into them."""
    extra = project.settings()["project"]["optional-dependencies"]["release"]
    assert any(Requirement(line).name == "pip" for line in extra)


def test_an_environment_without_pip_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(tmp_path / "environment")
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(
        ReleaseError, match=r"^there is no pip in this environment: install the extra 'release'$"
    ):
        environment.pip("install", "nothing")

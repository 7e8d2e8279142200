"""The export to VideoSDK's monorepo: the package builds there, with the monorepo's version, and is listed."""

from __future__ import annotations

import shutil
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from runpy import run_path
from typing import Any
from zipfile import ZipFile

import pytest
from documents import ROOT
from videosdk.agents import _plugins

from release.monorepo import ENTRIES, FOLDER, build_exported, compare_modules, export, write_replica
from release.project import PACKAGE, ReleaseError
from videosdk.plugins.lokutor import LokutorTTS

pytestmark = pytest.mark.skipif(not (ROOT / PACKAGE).exists(), reason="the plugin's sources aren't here")
VERSION = "1.0.77"
REGISTRY = "videosdk-agents/videosdk/agents/_plugins.py"


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """Return the monorepo's layout, with the registry that the framework has."""
    made = tmp_path / "agents"
    write_replica(made, VERSION)
    shutil.copy(Path(_plugins.__file__), made / REGISTRY)
    return made


def state(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_package_is_built_by_hatchling_from_the_same_modules(monorepo: Path, tmp_path: Path) -> None:
    export(monorepo)
    assert toml(monorepo / FOLDER / "pyproject.toml")["build-system"]["build-backend"] == "hatchling.build"
    wheel = build_exported(monorepo / FOLDER, tmp_path / "dist", ["--no-isolation"])
    with ZipFile(wheel) as archive:
        assert f'"{VERSION}"' in archive.read(f"{PACKAGE}/version.py").decode()
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
        [scripts] = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert "lokutor = videosdk.plugins.lokutor.__main__:run" in archive.read(scripts).decode()
    check_metadata(metadata)
    with ZipFile(wheel, "a") as archive:
        archive.writestr(f"{PACKAGE}/stale.py", "")
    with pytest.raises(ReleaseError, match=r"differs in \['videosdk/plugins/lokutor/stale.py'\]"):
        compare_modules(wheel)


def check_metadata(metadata: Message) -> None:
    """Hold the exported metadata against this repository's: only the framework's version is another."""
    ours = toml(ROOT / "pyproject.toml")["project"]
    assert metadata["Name"] == ours["name"]
    assert metadata["Version"] == VERSION
    assert {*metadata["Requires-Python"].split(",")} == {*ours["requires-python"].split(",")}
    extras = set(metadata.get_all("Provides-Extra", []))
    assert extras == {"local", "numbers"}
    expected = {line for line in ours["dependencies"] if not line.startswith("videosdk-agents")}
    expected |= {
        f"{line}; extra == '{name}'" for name in extras for line in ours["optional-dependencies"][name]
    }
    assert set(metadata.get_all("Requires-Dist", [])) == {*expected, f"videosdk-agents>={VERSION}"}


def test_it_has_the_files_of_its_neighbours(monorepo: Path) -> None:
    export(monorepo)
    assert {path.name for path in (monorepo / FOLDER).iterdir()} == {
        "README.md",
        "SKILLS.md",
        "pyproject.toml",
        "videosdk",
    }
    assert not (monorepo / FOLDER / "videosdk/__init__.py").exists()
    assert not (monorepo / FOLDER / "videosdk/plugins/__init__.py").exists()


def test_the_frameworks_registry_finds_it(monorepo: Path) -> None:
    before = dict(_plugins._REGISTRY)
    export(monorepo)
    names = run_path(str(monorepo / REGISTRY))
    assert names["_REGISTRY"] == {**before, "LokutorTTS": "videosdk.plugins.lokutor"}
    assert names["__getattr__"]("LokutorTTS") is LokutorTTS


def test_it_is_listed_behind_its_neighbour_and_nothing_else_changes(monorepo: Path) -> None:
    before = state(monorepo)
    written = export(monorepo)
    after = state(monorepo)
    assert {path.relative_to(monorepo).as_posix() for path in written} == {
        FOLDER,
        *(entry.path for entry in ENTRIES),
    }
    for path, content in before.items():
        new = after[path].decode()
        for entry in ENTRIES:
            if entry.path == path:
                text = entry.text.format(version=VERSION)
                assert new.count(text) == 1
                new = new.replace(text, "")
        assert new == content.decode(), path
    sources = toml(monorepo / "pyproject.toml")["tool"]["uv"]["sources"]
    assert sources["videosdk-plugins-lokutor"] == {"workspace": True}
    extras = toml(monorepo / "videosdk-agents/pyproject.toml")["project"]["optional-dependencies"]
    assert extras["lokutor"] == [f"videosdk-plugins-lokutor>={VERSION}"]
    assert list(extras) == ["lmnt", "lokutor", "murfai"]


def test_a_second_export_replaces_the_first(monorepo: Path) -> None:
    export(monorepo, "1.0.70")
    (monorepo / FOLDER / PACKAGE / "stale.py").write_text("")
    export(monorepo)
    twice = state(monorepo)
    assert f"{FOLDER}/{PACKAGE}/stale.py" not in twice
    assert not [path for path, content in twice.items() if b"1.0.70" in content]
    export(monorepo)
    assert state(monorepo) == twice


def test_an_older_framework_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    write_replica(tmp_path, "1.0.24")
    before = state(tmp_path)
    with pytest.raises(ReleaseError, match=r"needs videosdk-agents>=.*, and the monorepo has 1\.0\.24"):
        export(tmp_path)
    assert state(tmp_path) == before


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.path)
def test_a_list_that_has_moved_is_named_and_nothing_is_written(monorepo: Path, entry: Any) -> None:
    text = (monorepo / entry.path).read_text(encoding="utf-8")
    (monorepo / entry.path).write_text(text.replace("LMNT", "Other").replace("lmnt", "other"))
    before = state(monorepo)
    with pytest.raises(ReleaseError, match=f"^{entry.path} has .* 0 times, not once"):
        export(monorepo)
    assert state(monorepo) == before


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is no checkout of VideoSDK's monorepo"):
        export(tmp_path)
    assert list(tmp_path.iterdir()) == []

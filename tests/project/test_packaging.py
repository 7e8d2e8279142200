"""The wheel as users get it, beside the packages that it shares its name with."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile

import pytest

import videosdk
from videosdk.plugins.lokutor import __version__

PROJECT = Path(__file__).parents[2]
CONF = runpy.run_path(str(PROJECT / "docs/conf.py"))
SETUPTOOLS = 77
"""First version of setuptools that pyproject.toml accepts."""


def has_setuptools() -> bool:
    try:
        return int(version("setuptools").split(".")[0]) >= SETUPTOOLS
    except PackageNotFoundError:
        return False


def left_out() -> list[str]:
    """Return what isn't copied: the history, and what git ignores."""
    lines = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [".git", *(line.strip("/").split("/")[-1] for line in lines)]


def files_of(folder: Path) -> set[str]:
    """Return what is in a folder, without what isn't copied."""
    ignore, found = shutil.ignore_patterns(*left_out()), set[str]()
    for path, folders, files in os.walk(folder):
        left = ignore(str(path), [*folders, *files])
        folders[:] = set(folders) - left
        found |= {(Path(path) / name).relative_to(folder).as_posix() for name in files if name not in left}
    return found


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it, from a copy, so that nothing of it stays in the checkout."""
    copy, out = tmp_path_factory.mktemp("copy") / "checkout", tmp_path_factory.mktemp("dist")
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*left_out()))
    offline = ["--no-isolation"] if has_setuptools() else []
    command = [sys.executable, "-m", "build", *offline, "--outdir", str(out), str(copy)]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the sdist."""
    (sdist,) = dist.glob("*.tar.gz")
    target = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(sdist, target, filter="data")
    (root,) = target.iterdir()
    return root


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: set[str]) -> Message:
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(name).decode())


def requirements(metadata: Message, extra: str | None) -> dict[str, str]:
    """Return the requirements of an extra, or those of everybody, as name to version."""
    found = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        match = re.match(r"([\w-]+(?:\[[\w,]+\])?)(.*)", requirement.strip())
        assert match is not None
        named = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if (named.group(1) if named else None) == extra:
            found[match.group(1)] = match.group(2).strip()
    return found


def test_the_namespaces_belong_to_nobody(names: set[str]) -> None:
    assert "videosdk/plugins/lokutor/__init__.py" in names
    assert not names & {"videosdk/__init__.py", "videosdk/plugins/__init__.py"}


def test_every_module_is_in_it_and_nothing_else(names: set[str]) -> None:
    package = PROJECT / "videosdk/plugins/lokutor"
    sources = {path.relative_to(PROJECT).as_posix() for path in package.rglob("*.py")}
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == sources | {"videosdk/plugins/lokutor/py.typed"}


def test_the_license_is_in_it(wheel: Path, names: set[str], metadata: Message) -> None:
    (name,) = (name for name in names if name.endswith("/LICENSE"))
    with ZipFile(wheel) as archive:
        assert archive.read(name) == (PROJECT / "LICENSE").read_bytes()
    assert "Apache-2.0" in {metadata["License-Expression"], metadata["License"]}


def test_its_name_and_version(wheel: Path, metadata: Message) -> None:
    assert wheel.name == f"videosdk_plugins_lokutor-{__version__}-py3-none-any.whl"
    assert metadata["Name"] == "videosdk-plugins-lokutor"
    assert metadata["Version"] == __version__
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_what_everybody_needs_is_little_and_has_a_lower_bound(metadata: Message) -> None:
    needed = requirements(metadata, None)
    assert set(needed) == {"videosdk-agents", "aiohttp", "av"}
    assert all(bound.startswith(">=") for bound in needed.values())


def test_the_extras(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "bench",
        "docs",
        "examples",
        "lint",
        "local",
        "numbers",
        "test",
    }
    assert "espeakng-loader" in requirements(metadata, "local")
    assert "videosdk-plugins-lokutor[local]" in requirements(metadata, "bench")
    assert requirements(metadata, "numbers") == {"num2words": ">=0.5.13"}
    assert "videosdk-plugins-lokutor[local]" in requirements(metadata, "examples")
    assert "videosdk-plugins-lokutor[examples,lint,numbers]" in requirements(metadata, "test")


def test_it_says_whose_it_is_and_where_it_is_hosted(metadata: Message) -> None:
    assert metadata["Author"] == CONF["author"]
    assert metadata["Keywords"]
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Documentation", "Source", "Changelog", "Issues"}
    assert urls.pop("Source") == CONF["REPOSITORY"]
    assert all(url.startswith(f"{CONF['REPOSITORY']}/") for url in urls.values())
    for page in ("Documentation", "Changelog"):
        path = urls[page].partition(f"/{CONF['BRANCH']}/")[2]
        assert (PROJECT / path).exists(), path


def test_every_python_that_it_accepts_is_a_classifier(metadata: Message) -> None:
    named = {line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if "Python ::" in line}
    assert named == {"3", "Only", "3.11", "3.12", "3.13"}


@pytest.mark.parametrize("folder", [".ci", ".github", "benchmarks", "docs", "examples", "tests", "videosdk"])
def test_the_sdist_holds_the_folder(unpacked: Path, folder: str) -> None:
    assert files_of(unpacked / folder) == files_of(PROJECT / folder)


def test_the_tests_are_collected_from_the_sdist(unpacked: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr


def test_it_puts_one_command_on_the_path(wheel: Path, names: set[str]) -> None:
    assert not [name for name in names if ".data/scripts/" in name]
    (name,) = (name for name in names if name.endswith("entry_points.txt"))
    with ZipFile(wheel) as archive:
        lines = archive.read(name).decode().split("\n")
    assert list(filter(None, lines)) == [
        "[console_scripts]",
        "lokutor = videosdk.plugins.lokutor.__main__:run",
    ]
    name, _, value = lines[1].partition(" = ")
    assert callable(EntryPoint(name, value, "console_scripts").load())


IMPORTS = """
import sys, warnings
warnings.simplefilter("ignore")
import videosdk, videosdk.agents, videosdk.plugins.lokutor, videosdk.plugins.neighbour
print(videosdk.__file__)
print(videosdk.agents.__file__)
print(videosdk.plugins.lokutor.__file__)
print(videosdk.plugins.lokutor.__version__)
print(videosdk.plugins.neighbour.__file__)
"""
NUMBERS = """
print(*[name for name in sys.modules if "num2words" in name or "._numbers." in name])
"""
"""Modules that nobody needs before a filter for numbers is asked for."""


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """Lay out a directory of packages: VideoSDK's own, a plugin that was there before, and the wheel."""
    assert videosdk.__file__ is not None
    packages = tmp_path / "packages"
    neighbour = packages / "videosdk/plugins/neighbour"
    neighbour.mkdir(parents=True)
    (neighbour / "__init__.py").touch()
    for entry in Path(videosdk.__file__).parent.iterdir():
        if entry.name != "plugins":
            (packages / "videosdk" / entry.name).symlink_to(entry)
    with ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if (packages / name).exists()]
        archive.extractall(packages)
    return packages


def test_it_lives_beside_videosdk_and_another_plugin_and_imports_no_numbers(
    installed: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", IMPORTS + NUMBERS]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    *paths, numbers = result.stdout.split("\n")[:-1]
    *files, lokutor, found, neighbour = paths
    real = Path(videosdk.__file__ or "").resolve()
    assert [Path(file).resolve() for file in files] == [real, real.parent / "agents/__init__.py"]
    assert Path(lokutor) == installed / "videosdk/plugins/lokutor/__init__.py"
    assert Path(neighbour) == installed / "videosdk/plugins/neighbour/__init__.py"
    assert found == __version__
    assert numbers == ""

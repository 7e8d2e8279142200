"""The wheel as users get it, beside the packages that it shares its name with."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile

import pytest

import videosdk
from release.build import build_sdist, build_wheel, unpack
from release.check import check_wheel
from release.environment import network_cut, run
from release.project import PACKAGE, ReleaseError
from videosdk.plugins.lokutor import __version__

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (PROJECT / PACKAGE).exists(), reason="the plugin's sources aren't here")
CONF = runpy.run_path(str(PROJECT / "docs/conf.py"))
WHEN = 1_700_000_000
"""The time of the files that are built here, in seconds since 1970."""
FOLDERS = [".ci", ".github", "benchmarks", "docs", "examples", "release", "tests", "videosdk"]
SETUPTOOLS = 77
"""First version of setuptools that pyproject.toml accepts."""


def has_setuptools() -> bool:
    try:
        return int(version("setuptools").split(".")[0]) >= SETUPTOOLS
    except PackageNotFoundError:
        return False


OPTIONS = ["--no-isolation"] if has_setuptools() else []


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
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that nothing of a build stays in it."""
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*left_out()))
    return copy


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sdist(checkout, tmp_path_factory.mktemp("dist"), WHEN, OPTIONS)


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Build it from the sdist."""
    return build_wheel(sdist, sdist.parent, WHEN, OPTIONS)


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(sdist, tmp_path_factory.mktemp("sdist"))


Collecting = tuple[subprocess.Popen[bytes], Path]
"""The process that collects the tests, and the file with what it says."""


@pytest.fixture(scope="module", autouse=True)
def collecting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collecting | None]:
    """Have the tests of the sdist collected while others build, if the test of it was chosen.

    By a new interpreter: a fork has imported the plugin of the checkout.
    """
    if not any(item.name == "test_the_tests_are_collected_from_the_sdist" for item in request.session.items):
        yield None
        return
    unpacked: Path = request.getfixturevalue("unpacked")
    said = tmp_path_factory.mktemp("collected") / "said"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    with (
        said.open("wb") as file,
        subprocess.Popen(command, cwd=unpacked, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        yield process, said
        process.terminate()


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


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_sdist_holds_the_folder(unpacked: Path, folder: str) -> None:
    assert files_of(unpacked / folder) == files_of(PROJECT / folder)


def test_the_namespaces_belong_to_nobody(names: set[str]) -> None:
    assert "videosdk/plugins/lokutor/__init__.py" in names
    assert not names & {"videosdk/__init__.py", "videosdk/plugins/__init__.py"}


def test_every_module_is_in_it_and_nothing_else(wheel: Path, checkout: Path) -> None:
    check_wheel(wheel, checkout)


def rewritten(wheel: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    """Return a copy of a wheel with files that are changed, added or, where there is nothing, left out."""
    copy = target / wheel.name
    with ZipFile(wheel) as source, ZipFile(copy, "w") as archive:
        contents: dict[str, bytes | None] = {name: source.read(name) for name in source.namelist()}
        for name, content in (contents | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return copy


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"tests/conftest.py": b""}, r"too many files: \['tests/conftest.py'\]"),
        ({f"{PACKAGE}/notes.txt": b""}, r"too many files: \['.*notes.txt'\]"),
        ({f"{PACKAGE}/py.typed": None}, r"lacks: \['.*py.typed'\]"),
        ({f"{PACKAGE}/errors.py": b"pass"}, "errors.py in .* isn't what the checkout has"),
        ({f"videosdk_plugins_lokutor-{__version__}.dist-info/WHEEL": b""}, "RECORD"),
    ],
    ids=["a test", "another file", "no types", "a change", "the list"],
)
def test_a_wheel_with_other_files_is_found(
    wheel: Path, checkout: Path, tmp_path: Path, changes: dict[str, bytes | None], found: str
) -> None:
    with pytest.raises(ReleaseError, match=found):
        check_wheel(rewritten(wheel, tmp_path, changes), checkout)


def test_the_same_files_give_the_same_sdist(sdist: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*left_out()), copy_function=shutil.copy)
    again = build_sdist(copy, tmp_path / "dist", WHEN, OPTIONS)
    assert again.read_bytes() == sdist.read_bytes()


@pytest.mark.skipif(not OPTIONS, reason="setuptools isn't installed")
def test_the_sdist_gives_the_same_wheel_without_a_network(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(sdist, tmp_path, WHEN, OPTIONS, prefix=network_cut())
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.skipif(not network_cut(), reason="this system forbids namespaces without a network")
def test_the_network_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        run([sys.executable, "-c", connect])
        with pytest.raises(ReleaseError, match="OSError"):
            run([*network_cut(), sys.executable, "-c", connect])


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
        "compatibility",
        "docs",
        "examples",
        "lint",
        "local",
        "numbers",
        "release",
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


def test_the_tests_are_collected_from_the_sdist(collecting: Collecting | None) -> None:
    assert collecting is not None
    process, said = collecting
    assert process.wait() == 0, said.read_text(encoding="utf-8")[-4000:]


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

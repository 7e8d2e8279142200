"""Exports the package to VideoSDK's monorepo, github.com/videosdk-live/agents, and builds it there.

All packages there have one version and are built by hatchling. A new plugin is listed in six files, each time
in the order of the alphabet: here, behind LMNT.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

from packaging.requirements import Requirement

from .environment import run
from .project import NAME, PACKAGE, ROOT, ReleaseError, files, read_version, settings

FOLDER = f"videosdk-plugins/{NAME}"
PAGES = ROOT / "release" / "pages"
FRAMEWORK_VERSION = "videosdk-agents/videosdk/agents/version.py"
DOCS_PAGE = "https://docs.videosdk.live/ai_agents/plugins/tts/lokutor-tts"
_FRAMEWORK = "videosdk-agents"
_EXTRAS = ("local", "numbers")
"""What users install; the others are for contributors to this repository."""
_REPLICA_VERSION = "1.0.30"


class Entry(NamedTuple):
    """What lists the plugin in one file."""

    path: str
    behind: str
    """A pattern of what it stands behind: LMNT's entry."""
    text: str
    """The entry; ``{version}`` is replaced."""


ENTRIES = (
    Entry(
        "pyproject.toml",
        r"^videosdk-plugins-lmnt = .*\n",
        "videosdk-plugins-lokutor = {{ workspace = true }}\n",
    ),
    Entry(
        "videosdk-agents/pyproject.toml",
        r"^lmnt = .*\n",
        'lokutor = ["videosdk-plugins-lokutor>={version}"]\n',
    ),
    Entry(
        "videosdk-agents/videosdk/agents/_plugins.py",
        r'^    "LMNTTTS": .*\n',
        '    "LokutorTTS": "videosdk.plugins.lokutor",\n',
    ),
    Entry(".env.example", r"^LMNT_API_KEY=\n", "\n# Lokutor (TTS)\nLOKUTOR_API_KEY=\n"),
    Entry("README.md", r"\[LMNT AI\]\([^)\s]*\)", f" &#124; [Lokutor]({DOCS_PAGE})"),
    Entry(
        "videosdk-plugins/SKILLS.md",
        r"^\| `videosdk-plugins-lmnt` \|.*\n",
        '| `videosdk-plugins-lokutor` | `LokutorTTS` | `LOKUTOR_API_KEY` | `voice="en_f1"` |\n',
    ),
)
"""The registry is ``_plugins.py``: ``from videosdk.agents.plugins import LokutorTTS``."""


def export(monorepo: Path, version: str | None = None) -> list[Path]:
    """Write the package into a checkout of the monorepo, and list it there. A second time replaces the first.

    Args:
        monorepo: The checkout.
        version: The version that the package gets. Defaults to the framework's version there.

    Returns:
        What was written.

    Raises:
        ReleaseError: It isn't such a checkout, or its framework is older than the plugin needs. Nothing was
            written.
    """
    if not (monorepo / FRAMEWORK_VERSION).is_file():
        raise ReleaseError(f"{monorepo} is no checkout of VideoSDK's monorepo: it has no {FRAMEWORK_VERSION}")
    version = version or read_version(monorepo / FRAMEWORK_VERSION)
    for line in settings()["project"]["dependencies"]:
        requirement = Requirement(line)
        if requirement.name == _FRAMEWORK and not requirement.specifier.contains(version):
            raise ReleaseError(f"the plugin needs {line}, and the monorepo has {version}")
    listed = {entry.path: list_plugin(entry, monorepo, version) for entry in ENTRIES}
    _write_package(monorepo / FOLDER, version)
    for path, text in listed.items():
        (monorepo / path).write_text(text, encoding="utf-8", newline="\n")
    return [monorepo / FOLDER, *(monorepo / path for path in listed)]


def list_plugin(entry: Entry, monorepo: Path, version: str) -> str:
    """Return a file of the monorepo with the plugin in it.

    Raises:
        ReleaseError: What it stands behind isn't there exactly once.
    """
    text = (monorepo / entry.path).read_text(encoding="utf-8")
    anyone = "".join(map(re.escape, entry.text.format(version="\0"))).replace(re.escape("\0"), r"[\w.]+")
    text = re.sub(anyone, "", text)
    text, count = re.subn(
        entry.behind, lambda match: match[0] + entry.text.format(version=version), text, flags=re.MULTILINE
    )
    if count != 1:
        raise ReleaseError(f"{entry.path} has {entry.behind!r} {count} times, not once")
    return text


def _write_package(folder: Path, version: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in files(PACKAGE):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    (folder / PACKAGE / "version.py").write_text(
        f'__version__ = "{version}"\n', encoding="utf-8", newline="\n"
    )
    shutil.copy(PAGES / "monorepo.md", folder / "README.md")
    shutil.copy(ROOT / "SKILLS.md", folder)
    (folder / "pyproject.toml").write_text(_pyproject(version), encoding="utf-8", newline="\n")


def _pyproject(version: str) -> str:
    """Return the package's ``pyproject.toml``, in the monorepo's form, with what this repository's says."""
    project = settings()["project"]
    needed = [
        f"{_FRAMEWORK}>={version}" if Requirement(line).name == _FRAMEWORK else line
        for line in project["dependencies"]
    ]
    extras = "\n".join(f"{name} = {_toml(project['optional-dependencies'][name])}" for name in _EXTRAS)
    scripts = "\n".join(f'{name} = "{target}"' for name, target in project["scripts"].items())
    return f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{NAME}"
dynamic = ["version"]
description = "VideoSDK Agent Framework plugin for Lokutor Text-to-Speech services"
readme = "README.md"
license = "{project["license"]}"
requires-python = "{project["requires-python"]}"
authors = [{{ name = "videosdk" }}]
keywords = ["video", "audio", "ai", "lokutor", "tts", "videosdk"]
classifiers = [
    "Intended Audience :: Developers",
    "Development Status :: 4 - Beta",
    "Topic :: Communications :: Conferencing",
    "Topic :: Multimedia :: Sound/Audio",
    "Topic :: Multimedia :: Video",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
]
dependencies = {_toml(needed)}

[project.optional-dependencies]
{extras}

[project.scripts]
{scripts}

[tool.hatch.version]
path = "{PACKAGE}/version.py"

[tool.hatch.build.targets.wheel]
packages = ["videosdk"]

[tool.hatch.build.targets.sdist]
include = ["/videosdk"]
"""


def _toml(lines: Iterable[str]) -> str:
    return json.dumps(list(lines))


def build_exported(folder: Path, out: Path, options: Iterable[str] = ()) -> Path:
    """Build the exported package.

    Args:
        folder: The package in the monorepo.
        out: Where the sdist and the wheel go.
        options: For ``python -m build``.

    Returns:
        The wheel.

    Raises:
        ReleaseError: It can't be built, or a module isn't ours.
    """
    run([sys.executable, "-m", "build", *options, "--outdir", out, folder])
    (wheel,) = out.glob("*.whl")
    compare_modules(wheel)
    return wheel


def compare_modules(wheel: Path) -> None:
    """Hold the files of an exported wheel against ours. Only the version may be another.

    Raises:
        ReleaseError: One is missing, too many or changed.
    """
    with ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    ours = {name: (ROOT / name).read_bytes() for name in files(PACKAGE)}
    found.pop(f"{PACKAGE}/version.py", None)
    del ours[f"{PACKAGE}/version.py"]
    if found != ours:
        raise ReleaseError(f"the exported wheel differs in {sorted(dict(found.items() ^ ours.items()))}")


def check_export() -> None:
    """Export to a folder that has the monorepo's layout, and build the package there.

    Raises:
        ReleaseError: It can't be built, or its metadata or a module is wrong.
    """
    with TemporaryDirectory() as name:
        monorepo, out = Path(name, "agents"), Path(name, "dist")
        write_replica(monorepo)
        export(monorepo)
        build_exported(monorepo / FOLDER, out)
        run([sys.executable, "-m", "twine", "check", "--strict", *out.iterdir()])


def write_replica(monorepo: Path, version: str = _REPLICA_VERSION) -> None:
    """Write the files of the monorepo that list plugins, with LMNT and a later one in them."""
    lines = {
        FRAMEWORK_VERSION: f'__version__ = "{version}"\n',
        "pyproject.toml": (
            "[tool.uv.sources]\n"
            "videosdk-plugins-lmnt = { workspace = true }\n"
            "videosdk-plugins-murfai = { workspace = true }\n"
        ),
        "videosdk-agents/pyproject.toml": (
            "[project.optional-dependencies]\n"
            f'lmnt = ["videosdk-plugins-lmnt>={version}"]\n'
            f'murfai = ["videosdk-plugins-murfai>={version}"]\n'
        ),
        "videosdk-agents/videosdk/agents/_plugins.py": (
            "_REGISTRY: dict[str, str] = {\n"
            '    "LMNTTTS": "videosdk.plugins.lmnt",\n'
            '    "MurfAITTS": "videosdk.plugins.murfai",\n'
            "}\n"
        ),
        ".env.example": "# LMNT (TTS)\nLMNT_API_KEY=\n\n# Murf AI (TTS)\nMURFAI_API_KEY=\n",
        "README.md": "| **TTS** | [LMNT AI](https://a.example) &#124; [Papla](https://b.example) |\n",
        "videosdk-plugins/SKILLS.md": (
            "| Plugin | Export | Env Var | Key Config |\n|---|---|---|---|\n"
            "| `videosdk-plugins-lmnt` | `LMNTTTS` | `LMNT_API_KEY` | |\n"
            "| `videosdk-plugins-murfai` | `MurfAITTS` | `MURFAI_API_KEY` | |\n"
        ),
    }
    for path, text in lines.items():
        (monorepo / path).parent.mkdir(parents=True, exist_ok=True)
        (monorepo / path).write_text(text, encoding="utf-8", newline="\n")

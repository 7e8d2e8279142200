"""What is released: the checkout, its files, its version and its time."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NAME = "videosdk-plugins-lokutor"
PACKAGE = "videosdk/plugins/lokutor"
DIST = ROOT / "dist"
"""Where the sdist and the wheel go, and nothing else: all of it is published."""
MATERIALS = ROOT / "build" / "materials"
"""Where the SBOM and the list of licences go."""


class ReleaseError(Exception):
    """A check failed. The message says which, and what was found."""


def settings() -> dict[str, Any]:
    """Return what ``pyproject.toml`` says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_version(path: Path) -> str:
    """Return the literal ``__version__`` of a ``version.py``, without importing it.

    Raises:
        ReleaseError: There is none.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise ReleaseError(f"{path} has no __version__")


def version() -> str:
    """Return the version of this checkout."""
    return read_version(ROOT / PACKAGE / "version.py")


def check_tag(tag: str) -> None:
    """Hold a tag against the version and the changelog.

    Raises:
        ReleaseError: The tag isn't the version's, or the changelog doesn't have it as released.
    """
    if tag != f"v{version()}":
        raise ReleaseError(f"the tag is {tag}, and the version is {version()}")
    head, _ = changes()
    if not re.fullmatch(rf"{re.escape(version())} \(\d{{4}}-\d\d-\d\d\)", head):
        raise ReleaseError(f"CHANGELOG.md begins with {head!r}, not with {version()} and its day")


def changes() -> tuple[str, str]:
    """Return the newest heading of the changelog, and what stands under it."""
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    head, _, text = newest.partition("\n")
    return head.strip(), text.strip()


def git(*arguments: str) -> str:
    """Return what a git command prints."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def epoch() -> int:
    """Return the time that all built files bear, in seconds since 1970: that of the commit.

    ``SOURCE_DATE_EPOCH`` goes before it. An unpacked sdist has no commits, and its files bear it.
    """
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    if (ROOT / ".git").exists():
        return int(git("log", "-1", "--format=%ct"))
    return int((ROOT / "pyproject.toml").stat().st_mtime)


def files(folder: str = ".") -> list[str]:
    """Return the files that git knows in a folder, or in an unpacked sdist all that are there."""
    if (ROOT / ".git").exists():
        return [name for name in git("ls-files", "-z", folder).split("\0") if (ROOT / name).is_file()]
    found = (
        path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def copy_checkout(target: Path, *, without: str | None = None) -> None:
    """Copy the files of the checkout.

    Args:
        target: Where to; it is made.
        without: A folder of the top level to leave out.
    """
    for name in files():
        if name.split("/")[0] != without:
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)

"""Installs the wheel beside VideoSDK's own plugins, which it must not disturb, and removes it again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from .check import built
from .environment import Environment
from .project import NAME, PACKAGE, ReleaseError

NEIGHBOURS = ("lmnt", "cartesia", "elevenlabs", "deepgram", "openai", "silero")
"""The plugins: those that the benchmark measures, and those that the README's agent uses."""
_NAMESPACES = ("videosdk/plugins/__init__.py",)
"""What none may bring: it would hide the plugins of the others."""
_IMPORT_ALL = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    module = importlib.import_module(f"videosdk.plugins.{name}")
    assert module.__all__, name
import videosdk.plugins
assert getattr(videosdk.plugins, "__file__", None) is None, videosdk.plugins.__file__
"""


def check_neighbours() -> None:
    """Check the wheel in ``dist/`` beside the plugins, as the index has them today.

    Raises:
        ReleaseError: One of them was changed, or can't be imported.
    """
    _, wheel = built()
    with TemporaryDirectory() as folder:
        environment = Environment(Path(folder, "venv"))
        environment.pip("install", *(f"videosdk-plugins-{name}" for name in NEIGHBOURS))
        before = snapshot(environment.packages)
        environment.install_wheel(wheel)
        import_all(environment, [*NEIGHBOURS, "lokutor"])
        after = snapshot(environment.packages)
        check_untouched(before, after, ours=files_brought(environment, before))

        # One of them comes and goes: ours stays.
        one = NEIGHBOURS[0]
        environment.pip("uninstall", "--yes", f"videosdk-plugins-{one}")
        import_all(environment, ["lokutor"])
        environment.pip("install", "--no-deps", f"videosdk-plugins-{one}")
        import_all(environment, [one, "lokutor"])

        environment.pip("uninstall", "--yes", NAME)
        import_all(environment, NEIGHBOURS)
        if (environment.packages / PACKAGE).exists():
            raise ReleaseError(f"{PACKAGE} is still there after the plugin was removed")
        left = {name: digest for name, digest in snapshot(environment.packages).items() if name in after}
        check_untouched(before, left, ours=set(left) - set(before))


def snapshot(packages: Path) -> dict[str, str]:
    """Return the files of a folder of packages with their digests. What Python and pip note is left out."""
    return {
        path.relative_to(packages).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in packages.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "REQUESTED"
    }


def files_brought(environment: Environment, before: dict[str, str]) -> set[str]:
    """Return the files of the distributions that weren't there before."""
    return {
        file.as_posix()
        for found in environment.distributions().values()
        if not any(file.as_posix() in before for file in found.files or [] if file.name == "METADATA")
        for file in found.files or []
    }


def check_untouched(before: dict[str, str], after: dict[str, str], *, ours: set[str]) -> None:
    """Hold a folder of packages against what it was.

    Args:
        before: What it was: files and digests.
        after: What it is.
        ours: The files that may have come.

    Raises:
        ReleaseError: A file was changed or removed, one came that isn't ours, or the namespace has an owner.
    """
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    if changed:
        raise ReleaseError(f"files of others were changed: {changed}")
    foreign = sorted(set(after) - set(before) - ours)
    if foreign:
        raise ReleaseError(f"files came that belong to nobody: {foreign}")
    owned = [name for name in _NAMESPACES if name in after]
    if owned:
        raise ReleaseError(f"a namespace has an owner: {owned}")


def import_all(environment: Environment, plugins: Iterable[str]) -> None:
    """Import plugins in one process.

    Raises:
        ReleaseError: One can't be imported, or one owns the namespace.
    """
    environment.run("-c", _IMPORT_ALL, *plugins, cwd=environment.path)

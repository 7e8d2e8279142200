"""Virtual environments, made for one check and thrown away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

from .project import NAME, ReleaseError


class Environment:
    """A virtual environment without pip: this process's pip installs into it.

    Args:
        path: Where it is made.
    """

    def __init__(self, path: Path) -> None:
        venv.create(path, symlinks=os.name != "nt")
        self.path = path
        self.scripts = path / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / ("python.exe" if os.name == "nt" else "python")
        told = self.run("-c", "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))")
        self.packages = Path(json.loads(told)["purelib"])

    def pip(self, *arguments: str | Path, prefix: Iterable[str] = ()) -> None:
        """Run pip on this environment.

        Raises:
            ReleaseError: It failed, or there is none here.
        """
        if find_spec("pip") is None:  # Not every tool that makes environments puts it into them.
            raise ReleaseError("there is no pip in this environment: install the extra 'release'")
        run([*prefix, sys.executable, "-m", "pip", "--quiet", "--python", self.python, *arguments])

    def install_wheel(self, wheel: Path, *, extras: Iterable[str] = ()) -> None:
        """Install exactly this wheel as if it came from an index, and then what it needs."""
        found = wheel.name.split("-")[1]
        requirement = f"{NAME}=={found}"
        self.pip("install", "--no-index", "--no-deps", "--find-links", wheel.parent, requirement)
        self.pip("install", f"{NAME}[{','.join(extras)}]=={found}")

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run this environment's Python, and return what it prints."""
        return run([self.python, *arguments], cwd=cwd, environment=environment)

    def distributions(self) -> dict[str, Distribution]:
        """Return what is installed, by normalized name."""
        return {
            normalized(found.metadata["Name"]): found for found in distributions(path=[str(self.packages)])
        }


def normalized(name: str) -> str:
    """Return the one spelling of a distribution's name that indexes use."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that lead to other packages or colour the output."""
    left_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def run(
    command: Iterable[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command, and return what it prints.

    Raises:
        ReleaseError: It failed. The message ends with what it said.
    """
    line = [str(part) for part in command]
    variables = {**clean_environment(), **(environment or {})}
    done = subprocess.run(line, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(line)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@cache
def network_cut() -> tuple[str, ...]:
    """Return what to put in front of a command to run it without a network, or nothing where that can't be.

    Linux can, unless the system forbids namespaces of users.
    """
    prefix = ("unshare", "--map-root-user", "--net")
    try:
        run([*prefix, "true"])
    except (OSError, ReleaseError):
        return ()
    return prefix

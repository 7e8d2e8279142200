"""Tests the wheel: in an environment that has it, and from a folder without the plugin's sources."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .check import built
from .environment import Environment, clean_environment
from .project import PACKAGE, ReleaseError, copy_checkout

FAST = (
    "tests/unit",
    "tests/wire/test_synthesize.py",
    "tests/wire/test_cli.py",
    "tests/framework/test_framework.py",
)
"""The pure parts, replies over sockets, the command, and turns under the framework's classes."""
ORIGIN = "import videosdk.plugins.lokutor as plugin; print(plugin.__file__)"


def run_tests(tests: Sequence[str] = FAST) -> None:
    """Install the wheel in ``dist/`` with what the tests need, and run them.

    Args:
        tests: Arguments for pytest; none runs all tests.

    Raises:
        ReleaseError: A test failed, or the plugin would be imported from elsewhere.
    """
    _, wheel = built()
    with TemporaryDirectory() as folder:
        environment = Environment(Path(folder, "venv"))
        environment.install_wheel(wheel, extras=["test"])
        where = Path(folder, "without-sources")
        copy_checkout(where, without="videosdk")
        check_origin(environment, where)
        variables = {**clean_environment(), "PATH": f"{environment.scripts}{os.pathsep}{os.environ['PATH']}"}
        command = [str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        if subprocess.run(command, cwd=where, env=variables, check=False).returncode:
            raise ReleaseError("a test failed on the wheel")


def check_origin(environment: Environment, where: Path) -> None:
    """Check that in a folder, with the paths that pytest adds, the plugin is the installed one.

    Raises:
        ReleaseError: It is another.
    """
    paths = os.pathsep.join(map(str, (where, where / "tests")))
    told = environment.run("-c", ORIGIN, cwd=where, environment={"PYTHONPATH": paths}).strip()
    if Path(told).resolve() != (environment.packages / PACKAGE / "__init__.py").resolve():
        raise ReleaseError(f"the plugin is imported from {told}, not from the wheel")

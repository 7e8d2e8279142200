"""Holds the tests of the framework's side against other versions of videosdk-agents.

Each version gets a virtual environment of its own, kept in ``--environments`` for the next time. Without
arguments these are the versions between which the framework's handling of transcripts has changed::

    python tests/frameworks.py
    python tests/frameworks.py 1.0.31 --environments ~/.cache/frameworks
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = ["1.0.28", "1.0.29", "1.0.30"]
NEEDED = [
    "aiohttp>=3.11",
    "av>=14",
    "hypothesis",
    "numpy>=1.26",
    "pytest>=8.4",
    "pytest-asyncio>=1.4",
    "pytest-cov>=6",
    "pytest-xdist>=3.6",
]
"""What the plugin and these tests need beside the framework."""
TESTS = [
    f"framework/test_{name}.py"
    for name in ("agent_session", "fallback", "framework", "hooks", "words_spoken")
]


def environment_with(version: str, folder: Path) -> Path:
    """Return the Python of an environment with this version of the framework, and this plugin."""
    python = folder / version / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        venv.create(folder / version, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"videosdk-agents=={version}", *NEEDED], check=True)
    # Without its requirements, which an older framework doesn't meet.
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
    return python


def passes(version: str, folder: Path) -> bool:
    """Run the tests with this version."""
    print(f"videosdk-agents {version}", flush=True)
    tests = [str(ROOT / "tests" / name) for name in TESTS]
    command = [str(environment_with(version, folder)), "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *tests], cwd=ROOT, check=False).returncode == 0


def main() -> None:
    """Run the tests with each version, and fail if one does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", default=VERSIONS)
    parser.add_argument("--environments", type=Path, help="where to keep them (default: nowhere)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.environments or Path(temporary)
        failed = [version for version in options.versions if not passes(version, folder)]
    if failed:
        sys.exit(f"failed with videosdk-agents {', '.join(failed)}")


if __name__ == "__main__":
    main()

"""Runs the tests with many versions of what the plugin needs, and writes what came of it.

Each row of the matrix gets a virtual environment of its own, by ``uv``, with the versions that the row names
and the newest of everything else. ``uv`` finds the Pythons on the path, or downloads them. The results are
kept in ``compatibility.json``, and the table in ``docs/compatibility.md`` is written from it::

    pip install -e ".[test,compatibility]"
    python tests/compatibility.py
    python tests/compatibility.py --quick --only "Python 3.12" --only uvloop
    python tests/compatibility.py --framework 1.0.31
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).with_name("compatibility.json")
DISTRIBUTION = "videosdk-plugins-lokutor"
SHOWN = ("videosdk-agents", "aiohttp", "av", "uvloop")
"""The packages whose versions are kept: all that the plugin needs, and the other event loop."""
NEWEST_PYTHON = "3.13"
CORE = (
    "tests/framework",
    *(f"tests/unit/test_{name}.py" for name in ("playback", "resample", "timer")),
    *(
        f"tests/wire/test_{name}.py"
        for name in ("connection", "interrupt", "loops", "recovery", "standby", "synthesize")
    ),
    *(
        f"tests/project/test_examples.py::test_{name}"
        for name in (
            "conversation_ends_well_and_quietly",
            "conversation_is_heard_in_four_turns",
            "agent_remembers_what_is_on_the_recording",
        )
    ),
)
"""What ``--quick`` runs: what knows the framework, aiohttp, PyAV or the event loop, and the conversation."""
OWN_TESTS = ("--ignore=tests/project/test_compatibility.py",)
"""They are about the results of these very runs."""
IMPORT = "import json, importlib.metadata as m, platform, videosdk.plugins.lokutor\n" + (
    f"print(json.dumps([platform.python_version(), {{name: m.version(name) for name in {SHOWN}}}]))"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One combination of versions.

    Attributes:
        name: What it is called, for ``--only``.
        python: Which Python.
        loop: Which event loop, as for pytest's ``--loop``.
        pins: Versions by package; of all others, the newest that goes with these.
        needed: Whether it must pass. Otherwise it is older than what is promised, and shows why.
    """

    name: str
    python: str = NEWEST_PYTHON
    loop: str = "asyncio"
    pins: tuple[tuple[str, str], ...] = ()
    needed: bool = True


@dataclass
class Outcome:
    """What came of a row; it is what the file keeps.

    Attributes:
        name: The row's.
        date: When it was run.
        system: On which system.
        python: The Python that was found, as a whole version.
        loop: The event loop.
        versions: What was installed.
        suite: ``"all"`` or ``"core"`` of the tests.
        passed: How many tests have passed.
        skipped: How many were skipped, for each reason.
        faults: How many have shown a known fault, for each fault.
        failed: The tests that have failed.
        error: Why none was run.
        needed: As for the row.
    """

    name: str
    date: str
    system: str
    python: str
    loop: str
    suite: str
    needed: bool
    versions: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return not self.needed or (self.passed > 0 and not self.failed and not self.error)


def lower_bounds() -> dict[str, str]:
    """Return the oldest version of each package that the metadata accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(requirement.split(">=") for requirement in project["dependencies"])


def framework(version: str, *, needed: bool = True) -> Row:
    """Return the row of a version of the framework."""
    return Row(f"videosdk-agents {version}", pins=(("videosdk-agents", version),), needed=needed)


def matrix() -> list[Row]:
    """Return all rows."""
    bounds = lower_bounds()
    packages = tuple((name, bounds[name]) for name in ("aiohttp", "av"))
    return [
        *(Row(f"Python {python}", python=python) for python in ("3.11", "3.12", "3.13")),
        Row("uvloop", loop="uvloop"),
        framework("1.0.25", needed=False),
        *(framework(version) for version in ("1.0.26", "1.0.27", "1.0.28", "1.0.29")),
        Row("lowest packages", pins=packages),
        Row("all lowest", python="3.11", pins=tuple(bounds.items())),
    ]


def requirements(row: Row) -> list[str]:
    """Return what is installed for a row beside the plugin."""
    return [f"{name}=={version}" for name, version in row.pins]


def run_row(row: Row, *, quick: bool, workers: int, folder: Path) -> Outcome:
    """Make the environment of a row, and run the tests in it."""
    outcome = Outcome(
        row.name,
        date=datetime.now(UTC).date().isoformat(),
        system=f"{platform.system()} {platform.machine()}",
        python=row.python,
        loop=row.loop,
        suite="core" if quick else "all",
        needed=row.needed,
    )
    environment = folder / row.name.replace(" ", "-").replace(",", "")
    try:
        python = make_environment(row, environment)
        outcome.python, outcome.versions = json.loads(_output([str(python), "-W", "ignore", "-c", IMPORT]))
    except subprocess.CalledProcessError as failure:
        outcome.error = _reason(failure.stderr)
        outcome.versions = dict(row.pins)
        return outcome
    run_tests(python, outcome, CORE if quick else (), workers=workers)
    return outcome


def make_environment(row: Row, environment: Path) -> Path:
    """Make a virtual environment with the plugin and the versions of a row, and return its Python.

    Raises:
        subprocess.CalledProcessError: There is no such Python, or no such set of packages.
    """
    uv = [sys.executable, "-m", "uv"]
    _output([*uv, "venv", "--quiet", "--allow-existing", "--python", row.python, str(environment)])
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pins = environment / "pins.txt"
    pins.write_text("\n".join(requirements(row)), encoding="utf-8")
    install = [*uv, "pip", "install", "--quiet", "--upgrade", "--python", str(python)]
    # An override, since what is older than promised is against the plugin's own metadata.
    _output([*install, "--override", str(pins), "--editable", f"{ROOT}[test]"])
    return python


def run_tests(
    python: Path, outcome: Outcome, paths: Sequence[str], *, workers: int, root: Path = ROOT
) -> None:
    """Run the tests in ``paths``, or all, and note what came of them."""
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "--quiet", f"--junitxml={report}"]
        command += [f"--numprocesses={workers}", f"--loop={outcome.loop}", *OWN_TESTS, *paths]
        status = subprocess.run(command, cwd=root, check=False).returncode
        if not report.exists():
            outcome.error = f"pytest ended with status {status}"
            return
        note_report(outcome, ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    if status not in {0, 1} and not outcome.failed:  # 1: tests have failed, and are named.
        outcome.error = f"pytest ended with status {status}"


def note_report(outcome: Outcome, cases: Iterable[ET.Element]) -> None:
    """Note each test of a report in JUnit's format."""
    skipped, faults = Counter[str](), Counter[str]()
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            if name not in outcome.failed:  # A test that fails and then can't be torn down is there twice.
                outcome.failed.append(name)
        elif skip is None:
            outcome.passed += 1
        elif skip.get("type") == "pytest.xfail":
            faults[skip.get("message", "").removeprefix("known fault: ")] += 1
        else:
            skipped[skip.get("message", "")] += 1
    outcome.skipped, outcome.faults = dict(sorted(skipped.items())), dict(sorted(faults.items()))


def _output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _reason(stderr: str) -> str:
    """Return what went wrong in one line, without paths of this machine."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].partition(" (/")[0] if lines else "it ended without a word"


def kept() -> dict[str, Any]:
    """Return the results that are kept, by the names of their rows."""
    found: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    return found


def keep(outcomes: Iterable[Outcome], names: Sequence[str]) -> None:
    """Keep the results, in the order of the matrix, beside those of rows that were not run now."""
    found = {**kept(), **{outcome.name: asdict(outcome) for outcome in outcomes}}
    ordered = {name: found[name] for name in names if name in found}
    RESULT.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


def described(outcome: Outcome) -> str:
    """Return what came of a row, in one line."""
    parts = [f"{outcome.passed:,} passed"] if not outcome.error else [outcome.error]
    parts += [f"{count} skipped: {reason}" for reason, count in outcome.skipped.items()]
    parts += [f"{count} show the fault {name}" for name, count in outcome.faults.items()]
    parts += [f"failed: {name}" for name in outcome.failed]
    return "; ".join(parts)


def main() -> None:
    """Run the rows, keep the results, and fail if one isn't as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the core of the tests")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ROW", help="only this row; repeatable"
    )
    parser.add_argument("--framework", metavar="VERSION", help="a version of videosdk-agents that is no row")
    parser.add_argument("--workers", type=int, default=2, help="tests at once (default: 2)")
    parser.add_argument("--environments", type=Path, help="where to keep them (default: nowhere)")
    options = parser.parse_args()
    if find_spec("uv") is None:
        parser.error('uv is not installed: pip install -e ".[compatibility]"')
    rows = matrix()
    names = [row.name for row in rows]
    if unknown := set(options.only) - set(names):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    chosen = [row for row in rows if row.name in options.only] if options.only else rows
    if options.framework:
        chosen = [framework(options.framework)]
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.environments or Path(temporary)).resolve()
        for row in chosen:
            print(f"{row.name} …", flush=True)
            outcome = run_row(row, quick=options.quick, workers=options.workers, folder=folder)
            print(f"{row.name}: {described(outcome)}", flush=True)
            if not options.framework:
                keep([outcome], names)
                # The tests of the next row look whether the documents have it.
                _output([sys.executable, str(Path(__file__).with_name("documents.py"))])
            if not outcome.good:
                failed.append(row.name)
    if failed:
        sys.exit(f"failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()

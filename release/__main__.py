"""The command: ``python -m release`` makes all and checks all; a step's name does that step only."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from .build import build
from .check import check
from .materials import write_materials
from .monorepo import FOLDER, build_exported, check_export, export
from .neighbours import check_neighbours
from .project import ReleaseError, check_tag
from .wheel_tests import FAST, run_tests

STEPS: dict[str, tuple[str, Callable[[], None]]] = {
    "build": ("build the sdist and the wheel into dist/", build),
    "check": ("check what is in dist/", check),
    "neighbours": ("install the wheel beside VideoSDK's plugins", check_neighbours),
    "materials": ("write the SBOM and the licences into build/materials/", write_materials),
    "exported": ("export to the layout of VideoSDK's monorepo, and build that", check_export),
    "test": ("test the wheel", run_tests),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--tag", help="hold this tag against the version and the changelog first")
    commands = parser.add_subparsers(dest="step")
    for name, (meaning, _) in STEPS.items():
        step = commands.add_parser(name, help=meaning)
        if name == "test":
            step.add_argument("--all", action="store_true", help="all tests; some minutes")
            step.add_argument("tests", nargs="*", default=FAST, help="what to test; tests/unit for example")
    exporting = commands.add_parser("export", help="write the package into a checkout of VideoSDK's monorepo")
    exporting.add_argument("monorepo", type=Path, help="the checkout")
    exporting.add_argument("--version", help="the version that it gets; without it, the framework's there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run one step, or all."""
    options = parse(arguments)
    try:
        if options.tag:
            check_tag(options.tag)
        if options.step == "export":
            for path in export(options.monorepo, options.version):
                sys.stdout.write(f"wrote {path}\n")
            with TemporaryDirectory() as out:
                build_exported(options.monorepo / FOLDER, Path(out))
            sys.stdout.write("it builds; `uv lock` writes it into the lock file\n")
        elif options.step == "test":
            run_tests([] if options.all else options.tests)
        else:
            for name in [options.step] if options.step else STEPS:
                began = time.monotonic()
                STEPS[name][1]()
                sys.stdout.write(f"{name}: done in {time.monotonic() - began:.0f} s\n")
                sys.stdout.flush()
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

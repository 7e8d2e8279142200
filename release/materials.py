"""Writes what the wheel brings with it: an SBOM, and the licences by extra."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement

from .check import built
from .environment import Environment, normalized, run
from .project import MATERIALS, NAME, ROOT, ReleaseError, changes, settings, version

USERS_EXTRAS = ("local", "numbers")
"""What users install; the others are for contributors. The SBOM has these."""
SBOM = "sbom.cdx.json"
LICENCES = "licences.md"
NOTES = "notes.md"
_UNKNOWN = "UNKNOWN"
STATED_ELSEWHERE = {"espeakng-loader": "GPL-3.0-or-later"}  # That of espeak-ng, which it contains.
"""Licences of distributions whose metadata states none, as SPDX names them."""


def write_materials() -> None:
    """Write the SBOM and the list of licences for the wheel in ``dist/``, and the notes from the changelog.

    Raises:
        ReleaseError: Something that the wheel brings is missing there, or has no licence.
    """
    _, wheel = built()
    MATERIALS.mkdir(parents=True, exist_ok=True)
    (MATERIALS / NOTES).write_text(changes()[1] + "\n", encoding="utf-8", newline="\n")
    with TemporaryDirectory() as folder:
        environment = Environment(Path(folder, "venv"))
        environment.install_wheel(wheel, extras=USERS_EXTRAS)
        _write_sbom(environment, MATERIALS / SBOM, read_licences(environment))
        extras = sorted(settings()["project"]["optional-dependencies"])
        environment.install_wheel(wheel, extras=extras)
        installed = environment.distributions()
        licences = read_licences(environment)
        text = licence_tables(brought_by_extra(installed, extras), installed, licences)
        (MATERIALS / LICENCES).write_text(text, encoding="utf-8", newline="\n")


def _write_sbom(environment: Environment, path: Path, licences: Mapping[str, str]) -> None:
    tool = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--output-reproducible",
        "--mc-type",
        "library",
    ]
    run([*tool, "--pyproject", ROOT / "pyproject.toml", "--of", "JSON", "-o", path, environment.python])
    bill = json.loads(path.read_text(encoding="utf-8"))
    bill["metadata"]["component"]["version"] = version()  # pyproject.toml says only where it stands.
    add_licences(bill, licences)
    check_sbom(bill, environment.distributions())
    path.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8", newline="\n")


def add_licences(bill: Mapping[str, Any], licences: Mapping[str, str]) -> None:
    """Add to an SBOM what it lacks of licences: the tool doesn't know each way to state one."""
    for part in bill["components"]:
        name = normalized(part["name"])
        if licence := STATED_ELSEWHERE.get(name):
            part["licenses"] = [{"license": {"id": licence}}]
        elif not part.get("licenses") and name in licences:
            part["licenses"] = [{"license": {"name": licences[name]}}]


def check_sbom(bill: Mapping[str, Any], installed: Mapping[str, Distribution]) -> None:
    """Hold an SBOM against an environment.

    Raises:
        ReleaseError: It lacks a distribution or a licence, has another version, or names a path of this
            machine.
    """
    listed = {normalized(part["name"]): part["version"] for part in bill["components"]}
    root = bill["metadata"]["component"]
    listed[normalized(root["name"])] = root["version"]
    there = {name: found.version for name, found in installed.items()}
    if listed != there:
        differing = sorted(set(listed.items()) ^ set(there.items()))
        raise ReleaseError(f"the SBOM differs from what is installed in {differing}")
    without = sorted(part["name"] for part in bill["components"] if not part.get("licenses"))
    if without:
        raise ReleaseError(f"the SBOM has no licence of {without}")
    if "file://" in json.dumps(bill):
        raise ReleaseError("the SBOM names a path of this machine")


def read_licences(environment: Environment) -> dict[str, str]:
    """Return the licence of each distribution, as its metadata states it.

    Raises:
        ReleaseError: One states none.
    """
    tool = [sys.executable, "-m", "piplicenses", "--python", str(environment.python), "--with-system"]
    rows = json.loads(run([*tool, "--from", "mixed", "--format", "json"]))
    licences = {normalized(row["Name"]): row["License"] for row in rows} | STATED_ELSEWHERE
    unknown = sorted(name for name, licence in licences.items() if licence == _UNKNOWN)
    if unknown:
        raise ReleaseError(f"no licence is stated by {unknown}")
    return licences


def brought_by_extra(installed: Mapping[str, Distribution], extras: Iterable[str]) -> dict[str, set[str]]:
    """Return the names of what each extra brings beyond what everybody gets.

    That stands under the empty name.
    """
    everybody = _needed(installed, NAME, frozenset())
    brought = {extra: _needed(installed, NAME, frozenset({extra})) - everybody for extra in extras}
    return {"": everybody - {NAME}, **brought}


def _needed(installed: Mapping[str, Distribution], name: str, extras: frozenset[str]) -> set[str]:
    """Return a distribution and all that it needs."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, extras)]
    while waiting:
        entry = waiting.pop()
        if entry in seen or entry[0] not in installed:
            continue
        seen.add(entry)
        for line in installed[entry[0]].requires or []:
            requirement = Requirement(line)
            asked = [{"extra": extra} for extra in entry[1] or {""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, asked)):
                waiting.append((normalized(requirement.name), frozenset(requirement.extras)))
    return {entry[0] for entry in seen}


def licence_tables(
    brought: Mapping[str, set[str]], installed: Mapping[str, Distribution], licences: Mapping[str, str]
) -> str:
    """Return the list of licences in Markdown, a table for each extra."""
    lines = [f"# Licences of what {NAME} {installed[NAME].version} brings", ""]
    lines.append("As the metadata states them, or as stated elsewhere where it states none.")
    for extra, names in brought.items():
        lines += ["", f"## Extra `{extra}`" if extra else "## For everybody", ""]
        if not names:
            lines.append("Nothing more.")
            continue
        lines += ["| distribution | version | licence |", "|---|---|---|"]
        lines += [
            f"| {installed[name].metadata['Name']} | {installed[name].version} | {licences[name]} |"
            for name in sorted(names)
        ]
    return "\n".join(lines) + "\n"

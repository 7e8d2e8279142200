"""A run's results as a document, and the document as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, FLOOR
from .goals import ROWS, judge, summarize

_OUR_PACKAGES = ("videosdk-agents", "aiohttp", "av")
_MARKS = {True: "met", False: "MISSED", None: "not judged"}
_TITLE_WIDTH, _WIDTH = 48, 17

Document = dict[str, Any]


def make_document(results: Mapping[str, Any], parameters: Mapping[str, Any], seconds: float) -> Document:
    """Return everything that is known about a run, fit for JSON."""
    samples = results["samples"]
    values = summarize(samples)
    rows = []
    for row in ROWS:
        figures = values.get(row.key, {})
        floor = figures.get(FLOOR)
        rows.append(
            {
                "key": row.key,
                "title": row.title.strip(),
                "unit": row.unit,
                "summary": row.summary_name,
                "values": figures,
                "ratios": {name: figure / floor for name, figure in figures.items()} if floor else {},
                "goal": judge(row, values, parameters["round_trip_ms"], fair=not parameters["at_once"]),
                "samples": samples.get(row.key, {}),
            }
        )
    return {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "parameters": dict(parameters),
        "seconds": round(seconds, 1),
        "rows": rows,
        "further_samples": {
            key: taken for key, taken in samples.items() if key not in {row.key for row in ROWS}
        },
        "failures": results["failures"],
    }


def describe_machine() -> dict[str, Any]:
    """Return what may matter of the machine, and nothing that names it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }


def describe_versions() -> dict[str, str]:
    """Return the versions of the contenders that are installed, and of what they run on."""
    contenders = {each.package: each.version for each in CONTENDERS}
    found = {package: number for package, number in contenders.items() if number is not None}
    return found | {package: version(package) for package in _OUR_PACKAGES}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def missing_contenders() -> list[str]:
    """Return a line for each contender that is not installed."""
    return [
        f"{each.name} is left out; to measure it: pip install {each.package}"
        for each in CONTENDERS
        if each.version is None
    ]


def markdown(document: Document) -> str:
    """Return the document's rows as a Markdown table, for the documents."""
    columns = _columns(document)
    digits = {row.key: row.digits for row in ROWS}
    lines = [f"| | {' | '.join(columns)} | goal |", "|---|" + "---:|" * len(columns) + "---|"]
    for row in document["rows"]:
        title = row["title"] + (f", {row['unit']}" if row["unit"] else "")
        cells = " | ".join(_cell(row, name, digits[row["key"]]) for name in columns)
        lines.append(f"| {title} | {cells} | {_verdict(row['goal'])} |")
    return "\n".join(lines)


def _columns(document: Document) -> list[str]:
    present = {name for row in document["rows"] for name in row["values"]}
    return [FLOOR, *(each.name for each in CONTENDERS if each.name in present)]


def table(document: Document) -> str:
    """Return the document's rows as text."""
    columns = _columns(document)
    head = "".ljust(_TITLE_WIDTH) + "".join(name.rjust(_WIDTH) for name in columns) + "   goal for lokutor"
    digits = {row.key: row.digits for row in ROWS}
    indents = {row.key: len(row.title) - len(row.title.lstrip()) for row in ROWS}
    lines = [head, "-" * len(head)]
    for row in document["rows"]:
        title = " " * indents[row["key"]] + row["title"] + (f", {row['unit']}" if row["unit"] else "")
        cells = "".join(_cell(row, name, digits[row["key"]]).rjust(_WIDTH) for name in columns)
        lines.append(f"{title:<{_TITLE_WIDTH}}{cells}   {_verdict(row['goal'])}".rstrip())
    return "\n".join([*lines, *_failures(document)])


def _cell(row: Mapping[str, Any], name: str, digits: int) -> str:
    value = row["values"].get(name)
    if value is None:
        return "-"
    ratio = row["ratios"].get(name)
    shown = f"{value:,.{digits}f}".replace(",", " ")
    return shown if ratio is None or name == FLOOR else f"{shown} ({ratio:.2f}x)"


def _verdict(goal: Mapping[str, Any] | None) -> str:
    return "" if goal is None else f"{_MARKS[goal['met']]}: {goal['text']}"


def _failures(document: Document) -> list[str]:
    return [
        f"FAILED: {failure['group']}, {failure['contender']}: {failure['error']}"
        for failure in document["failures"]
    ]

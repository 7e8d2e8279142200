"""A run's results as a document, and the document as a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, FLOOR
from .goals import OURS, ROWS, judge, spread, summarize

_OUR_PACKAGES = ("videosdk-agents", "aiohttp", "av")
_MARKS = {True: "met", False: "MISSED", None: "not judged"}
_TITLE_WIDTH, _WIDTH = 50, 23

CAPACITY = Path(__file__).with_name("capacity.json")
"""The run of ``python -m benchmarks.capacity`` that is kept."""

Document = dict[str, Any]
Cell = Callable[[Mapping[str, Any], str, int], str]


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
                "spread": {name: spread(taken) for name, taken in samples.get(row.key, {}).items()},
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
    """Return the document's rows as Markdown, for the documents: what is heard, the rest, and capacity."""
    shown = {row.key: row for row in ROWS}
    rows = [row for row in document["rows"] if row["key"] in shown]
    heard = [row for row in rows if shown[row["key"]].heard and row.get("spread")]
    columns = _columns(document)
    parts = [_markdown_table([row for row in rows if row not in heard], columns, _cell)]
    if heard:
        caption = "P50 / P95 (interquartile range), in ms; the last column is the number of samples of each:"
        parts.insert(0, caption + "\n\n" + _markdown_table(heard, columns, _spread_cell, numbered=True))
        parts.insert(1, "One figure for each of the other rows:")
    if CAPACITY.exists():
        parts.append(capacity_markdown(json.loads(CAPACITY.read_text(encoding="utf-8"))))
    return "\n\n".join(parts)


def _markdown_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], cell: Cell, *, numbered: bool = False
) -> str:
    digits = {row.key: row.digits for row in ROWS}
    head = [*columns, "goal", *(["n"] if numbered else [])]
    lines = [f"| | {' | '.join(head)} |", "|---|" + "---:|" * len(columns) + "---|" + "---:|" * numbered]
    for row in rows:
        title = row["title"] if numbered or not row["unit"] else f"{row['title']}, {row['unit']}"
        cells = [title, *(cell(row, name, digits[row["key"]]) for name in columns), _verdict(row["goal"])]
        lines.append(f"| {' | '.join([*cells, _counts(row)] if numbered else cells)} |")
    return "\n".join(lines)


def _counts(row: Mapping[str, Any]) -> str:
    counts = sorted({taken["n"] for taken in row["spread"].values()})
    return " to ".join(str(count) for count in {counts[0]: 0, counts[-1]: 0})


def _spread_cell(row: Mapping[str, Any], name: str, digits: int) -> str:
    """Return the figures of a row whose spread is shown."""
    taken = row["spread"].get(name)
    if taken is None:
        return "-"
    shown = [f"{taken[key]:,.{digits}f}".replace(",", " ") for key in ("p50", "p95", "iqr")]
    return f"{shown[0]} / {shown[1]} ({shown[2]})"


def _columns(document: Document) -> list[str]:
    present = {name for row in document["rows"] for name in row["values"]}
    return [FLOOR, *(each.name for each in CONTENDERS if each.name in present)]


def table(document: Document) -> str:
    """Return the document's rows as text."""
    columns = _columns(document)
    shown = {row.key: row for row in ROWS}
    head = "".ljust(_TITLE_WIDTH) + "".join(name.rjust(_WIDTH) for name in columns) + "   goal for lokutor"
    lines = [head, "-" * len(head)]
    for row in document["rows"]:
        kind = shown[row["key"]]
        indent = " " * (len(kind.title) - len(kind.title.lstrip()))
        title = indent + row["title"] + (f", {row['unit']}" if row["unit"] else "")
        cell = _spread_cell if kind.heard and row.get("spread") else _cell
        lines.append(_line(title, [cell(row, name, kind.digits) for name in columns], _verdict(row["goal"])))
    note = "Three figures are P50 / P95 (interquartile range)."
    return "\n".join([*lines, note, *_failures(document)])


def _line(title: str, cells: Sequence[str], end: str) -> str:
    return f"{title:<{_TITLE_WIDTH}}{''.join(cell.rjust(_WIDTH) for cell in cells)}   {end}".rstrip()


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


_REFERENCE = "lmnt"
"""The peer whose processor time is the goal in a process full of calls."""
_WAYS = {"one": "all calls in one process", "each": "a process per call"}


def capacity_markdown(document: Document) -> str:
    """Return the run of the capacity command as Markdown tables."""
    columns = list(document["runs"]["one"])
    lines = [
        "Calls in real time:",
        "",
        f"| | {' | '.join(columns)} |",
        "|---|" + "---:|" * len(columns),
    ]
    for way, title in _WAYS.items():
        runs = [document["runs"][way][name] for name in columns]
        rows = (
            (f"{title}: calls that were carried", [_carried(run) for run in runs]),
            ("first sound, P95: one call, and then, ms", [_growth(run) for run in runs]),
            ("cores used by the callers, by the server", [_cores(run) for run in runs]),
            ("what ended it", [run["ended_by"] for run in runs]),
        )
        lines += [f"| {label} | {' | '.join(cells)} |" for label, cells in rows]
    lines += _judge_cores(document["runs"]["one"])
    memory = document["memory"]
    lines += [
        "",
        "Memory of a process, MiB:",
        "",
        f"| | framework alone | {' | '.join(columns)} |",
        "|---|---:|" + "---:|" * len(columns),
    ]
    for key, title in (("rss", "resident (RSS)"), ("pss", "its share (PSS)")):
        cells = [f"{memory[name][key]:.0f}" for name in ("framework", *columns)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _judge_cores(runs: Mapping[str, Any]) -> list[str]:
    """Return the row of the goal for a process full of calls, if the peer that it refers to was measured."""
    if not {OURS, _REFERENCE} <= runs.keys():
        return []
    used = {
        name: {level["calls"]: level["callers_cores"] for level in run["levels"]}
        for name, run in runs.items()
    }
    calls = min(runs[OURS]["calls"], runs[_REFERENCE]["calls"])
    verdict = "met" if used[OURS][calls] <= used[_REFERENCE][calls] else "missed"
    cells = [f"{cores[calls]:.2f}" if calls in cores else "-" for cores in used.values()]
    return [
        f"| all calls in one process: cores used by {calls} calls. Goal: at most {_REFERENCE}'s ({verdict}) "
        f"| {' | '.join(cells)} |"
    ]


def _carried(run: Mapping[str, Any]) -> str:
    return str(run["calls"]) if run["ended_by"] != "end of the levels" else f"{run['calls']} or more"


def _last(run: Mapping[str, Any]) -> Mapping[str, Any]:
    level: Mapping[str, Any] = next(level for level in run["levels"] if level["calls"] == run["calls"])
    return level


def _growth(run: Mapping[str, Any]) -> str:
    return f"{run['single']:.0f}, {_last(run)['first_sound_p95']:.0f}"


def _cores(run: Mapping[str, Any]) -> str:
    return f"{_last(run)['callers_cores']:.2f}, {_last(run)['server_cores']:.2f}"

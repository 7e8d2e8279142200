"""Writes the parts of the documents that come from the code: ``python tests/documents.py``.

``test_documents.py`` holds the documents against the same functions.
"""

from __future__ import annotations

import inspect
import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compatibility
from faults.table import reliability_table

from videosdk.plugins import lokutor
from videosdk.plugins.lokutor._conformance.facts import FACTS, SURE, UNPROBED
from videosdk.plugins.lokutor._doctor.versions import FAULTS, OLDEST, PYTHONS, shown
from videosdk.plugins.lokutor._utterance import _MOVES, State
from videosdk.plugins.lokutor.errors import _FINAL_CODES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CONF = runpy.run_path(str(DOCS / "conf.py"))
FIGURES = {
    "warm_heard": "first sound, later turns, ms",
    "after_say_heard": "first sound right after a barge-in, ms",
    "synthesize_ends_stubborn": "interrupted turn ends if the server hangs, ms",
    "unheard": "characters sent in vain at a barge-in",
    "processor": "processor time per second of audio, ms",
}
"""The figures in the README: rows of the benchmark, and what they are called there."""
CONTENDERS = {
    "lokutor": "Lokutor",
    "cartesia": "Cartesia",
    "lmnt": "LMNT",
    "elevenlabs": "ElevenLabs",
    "deepgram": "Deepgram",
}


def benchmark() -> dict[str, Any]:
    """Return the run that is kept."""
    run: dict[str, Any] = json.loads((ROOT / "benchmarks" / "result.json").read_text(encoding="utf-8"))
    return run


def benchmark_table() -> str:
    from benchmarks.report import markdown

    return markdown(benchmark())


def process_memory_table() -> str:
    from benchmarks.process_memory import markdown

    return markdown(json.loads((ROOT / "benchmarks" / "process_memory.json").read_text(encoding="utf-8")))


def figures_table() -> str:
    from benchmarks.goals import ROWS

    rows = {row["key"]: row["values"] for row in benchmark()["rows"]}
    digits = {row.key: row.digits for row in ROWS}
    lines = [f"| | {' | '.join(CONTENDERS.values())} |", "|---|" + "---:|" * len(CONTENDERS)]
    for key, title in FIGURES.items():
        cells = " | ".join(
            f"{rows[key][name]:,.{digits[key]}f}" if name in rows[key] else "never" for name in CONTENDERS
        )
        lines.append(f"| {title} | {cells} |")
    return "\n".join(lines)


def state_diagram() -> str:
    """Return the moves of an utterance; those that every unfinished state has are one sentence."""
    unfinished = {state: moves for state, moves in _MOVES.items() if moves}
    shared = frozenset.intersection(*unfinished.values())
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", f"    [*] --> {State.CONNECTING.name}"]
    for state, moves in unfinished.items():
        lines += [f"    {state.name} --> {move.name}" for move in State if move in moves - shared]
    ends = " or ".join(f"`{state.name}`" for state in State if state in shared)
    return "\n".join([*lines, "```", "", f"Every state that isn't over can also move to {ends}."])


def facts_tables() -> str:
    """Return what each letter means, and a table for each group of facts."""
    lines = ["| sure | meaning |", "|---|---|"]
    lines += [f"| {letter.value} | {meaning} |" for letter, meaning in SURE.items()]
    for group in dict.fromkeys(fact.group for fact in FACTS):
        lines += ["", f"## {group}", "", "| fact | what is assumed | sure | source | if it is otherwise |"]
        lines.append("|---|---|---|---|---|")
        lines += [
            f"| `{fact.name}` | {fact.assumes} | {fact.sure.value} | {fact.source} | {fact.otherwise} |"
            for fact in FACTS
            if fact.group == group
        ]
    return "\n".join(lines)


def unprobed_table() -> str:
    lines = ["| what is assumed | sure | why it isn't probed |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {sure.value} | {why} |" for what, sure, why in UNPROBED)])


def catalogue_table() -> str:
    lines = ["| code | error |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{code}` | `{kind.__name__}` |" for code, kind in _FINAL_CODES.items())])


def versions_table() -> str:
    """Return what the plugin needs, and which versions."""
    low, high = map(shown, PYTHONS)
    lines = ["| needs | versions |", "|---|---|", f"| Python | {low} to {high} |"]
    return "\n".join(
        [*lines, *(f"| `{name}` | {shown(oldest)} or later |" for name, oldest in OLDEST.items())]
    )


def compatibility_table() -> str:
    """Return a line for each combination of versions, in the order of the matrix."""
    kept = compatibility.kept()
    lines = [
        "| Python | videosdk-agents | aiohttp | PyAV | event loop | tests | result |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        _combination(compatibility.Outcome(**kept[row.name]))
        for row in compatibility.matrix()
        if row.name in kept
    ]
    return "\n".join(lines)


def _combination(outcome: compatibility.Outcome) -> str:
    packages = [outcome.versions.get(name, "") for name in ("videosdk-agents", "aiohttp", "av")]
    loop = f"uvloop {outcome.versions['uvloop']}" if outcome.loop == "uvloop" else outcome.loop
    if outcome.error:
        suite = ""
        result = f"can't be used: `{outcome.error}`"
    else:
        suite, result = outcome.suite, f"{outcome.passed:,} passed"
    failed = [f"failed: `{name}`" for name in outcome.failed]
    faults = [f"[{name}](#known-faults): {count} fail" for name, count in outcome.faults.items()]
    skipped = [f"{count} skipped: {reason}" for reason, count in outcome.skipped.items()]
    cells = [outcome.python, *packages, loop, suite, "; ".join([result, *failed, *faults, *skipped])]
    return f"| {' | '.join(cells)} |"


def known_faults_table() -> str:
    lines = ["| fault | of | what goes wrong | what to do |", "|---|---|---|---|"]
    for name, fault in FAULTS.items():
        low, high = map(shown, fault.versions)
        lines.append(
            f"| {name} | {fault.package} {low} to {high} | {_cell(fault.says)} | {_cell(fault.do)} |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return a sentence of the doctor's, with its code marked."""
    return re.sub(r"(pip install '[^']*'|[\w.]+=\w+|[\w.]+\(\))", r"`\1`", text)


def page_names() -> list[str]:
    """Return the pages in the order of the table of contents, the index first."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    toctree = index.split("```{toctree}\n", 1)[1].split("```", 1)[0]
    return ["index", *(line for line in toctree.split() if not line.startswith(":"))]


def llms() -> str:
    """Return ``llms.txt``: each page with its address in plain Markdown, and its first paragraph."""
    host = CONF["REPOSITORY"].replace("github.com", "raw.githubusercontent.com")
    head, *pages = [_lead(name) for name in page_names()]
    lines = [f"# {head[0]}", "", f"> {head[1]}", "", "## Documentation", ""]
    for name, (title, lead) in zip(page_names()[1:], pages, strict=True):
        lines.append(f"- [{title}]({host}/{CONF['BRANCH']}/docs/{name}.md): {lead}")
    return "\n".join(lines) + "\n"


def _lead(name: str) -> tuple[str, str]:
    title, lead, *_ = (DOCS / f"{name}.md").read_text(encoding="utf-8").split("\n\n")
    plain = re.sub(r"\[([^]]+)]\([^)]+\)", r"\1", lead)
    return title.removeprefix("# "), " ".join(plain.split())


def exports_table() -> str:
    """Return what can be imported from the package's root, with the first sentence of its docstring."""
    lines = ["| Class | Base Class | Description |", "|-------|-----------|-------------|"]
    for name in lokutor.__all__:
        value = getattr(lokutor, name)
        if isinstance(value, str):
            continue  # The version.
        base = "module" if inspect.ismodule(value) else "function"
        if inspect.isclass(value):
            [found] = vars(value).get("__orig_bases__", value.__bases__)
            base = "dataclass" if found is object else f"`{found.__name__}`"
        lead = (inspect.getdoc(value) or "").split("\n\n")[0]
        plain = re.sub(r"``(.+?)``", r"`\1`", " ".join(lead.split()))
        lines.append(f"| `{name}` | {base} | {plain} |")
    return "\n".join(lines)


def _parameters() -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(lokutor.LokutorTTS.__init__).parameters)
    del parameters["self"]
    return parameters


def constructor() -> str:
    lines = [
        f"    {name}: {parameter.annotation} = {parameter.default!r},".replace("'", '"')
        for name, parameter in _parameters().items()
    ]
    return "\n".join(["```text", "LokutorTTS(", "    *,", *lines, ")", "```"])


def configuration() -> str:
    """Return the options as VideoSDK's pages list them, in the words of our table."""
    options = (DOCS / "options.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", options.split("\n## ", 1)[0], re.MULTILINE))
    lines = []
    for name, parameter in _parameters().items():
        default, meaning = rows[name].split(" | ", 1)
        here = f"{CONF['REPOSITORY']}/blob/{CONF['BRANCH']}/docs"
        meaning = re.sub(r"\]\(#", rf"]({here}/options.md#", meaning)
        meaning = re.sub(r"\]\((?!https:)", rf"]({here}/", meaning)
        lines.append(f"- `{name}`: (`{parameter.annotation}`) {meaning} Default: {default}.")
    return "\n".join(lines)


PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "figures": (ROOT / "README.md", figures_table),
    "faults": (DOCS / "reliability.md", reliability_table),
    "benchmark": (DOCS / "performance.md", benchmark_table),
    "process-memory": (DOCS / "running-many-calls.md", process_memory_table),
    "versions": (DOCS / "compatibility.md", versions_table),
    "compatibility": (DOCS / "compatibility.md", compatibility_table),
    "known-faults": (DOCS / "compatibility.md", known_faults_table),
    "states": (DOCS / "architecture.md", state_diagram),
    "facts": (DOCS / "protocol.md", facts_tables),
    "unprobed": (DOCS / "protocol.md", unprobed_table),
    "catalogue": (DOCS / "protocol.md", catalogue_table),
    "exports": (ROOT / "SKILLS.md", exports_table),
    "constructor": (ROOT / "SKILLS.md", constructor),
    "configuration": (ROOT / "release" / "pages" / "lokutor-tts.md", configuration),
}
"""Generated parts by name: the document that each is in, and what it should be."""


def with_part(text: str, name: str, part: str) -> str:
    """Return a document with what stands between the marks of ``name`` replaced."""
    start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    assert found, name
    assert closed, name
    return f"{before}{start}\n{part.strip()}\n\n{end}{after}"


def main() -> None:
    for name, (path, make) in PARTS.items():
        text = path.read_text(encoding="utf-8")
        path.write_text(with_part(text, name, make()), encoding="utf-8")
    (DOCS / "llms.txt").write_text(llms(), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # Where the benchmarks are.
    main()

"""The rules in the files' first lines, enforced: what may import what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import aiohttp
import pytest
from kit.tables import each

from videosdk.plugins import lokutor

PACKAGE = "videosdk.plugins.lokutor"
ROOT = Path(lokutor.__file__).parent

PURE = {
    "errors": set[str](),
    "version": set[str](),
    "metrics": set[str](),
    "visemes": set[str](),
    "_options": set[str](),
    "_shown": set[str](),
    "_conformance.__init__": set[str](),
    "_conformance.facts": set[str](),
    "_conformance.findings": {"textwrap"},
    "_conformance.formats": {"array", "functools", "itertools", "operator", "struct", "sys"},
    "_conformance.replies": {"functools"},
    "_doctor.__init__": set[str](),
    "_doctor.lines": set[str](),
    "_doctor.versions": set[str](),
    "_audio.__init__": set[str](),
    "_audio.pcm": set[str](),
    "_audio.silence": set[str](),
    "_audio.resample": {"av", "av.error", "av.filter", "av.filter.context", "contextlib", "os"},
    "_numbers.agreement": set[str](),
    "_numbers.bare": set[str](),
    "_numbers.cardinals": {"num2words"},
    "_numbers.clock": set[str](),
    "_numbers.code_words": set[str](),
    "_numbers.codes": set[str](),
    "_numbers.context": set[str](),
    "_numbers.durations": set[str](),
    "_numbers.english": set[str](),
    "_numbers.foreign": set[str](),
    "_numbers.german_hours": set[str](),
    "_numbers.languages": set[str](),
    "_numbers.money": set[str](),
    "_numbers.notation": set[str](),
    "_numbers.ordinals": set[str](),
    "_numbers.patterns": set[str](),
    "_numbers.speller": set[str](),
    "_numbers.splitter": {"videosdk.agents.tokenize"},
    "_pacing.__init__": set[str](),
    "_pacing.policy": set[str](),
    "_pacing.rates": set[str](),
    "_pacing.times": set[str](),
    "_text.__init__": set[str](),
    "_text.characters": set[str](),
    "_text.languages": set[str](),
    "_text.markup": set[str](),
    "_text.pronunciations": set[str](),
    "_text.repair": set[str](),
    "_text.spoken": set[str](),
    "_text.written": set[str](),
    "_text.joints": {"videosdk.agents.tokenize"},
    "_text.pieces": set[str](),
    "_text.planner": {"videosdk.agents.tokenize"},
    "_timing.__init__": set[str](),
    "_timing.edits": set[str](),
    "_timing.words": set[str](),
    "_timing.timeline": set[str](),
    "_wire.__init__": set[str](),
    "_wire.endpoint": {"functools", "yarl"},
    "_wire.progress": set[str](),
    "_wire.protocol": set[str](),
    "_wire.quota": {"datetime", "email.utils"},
    "_wire.recording": set[str](),
    "_wire.retry": {"random"},
    "local._limits": set[str](),
}
"""Modules that do no I/O and read no clock, and what each may import that Python doesn't bring along."""

HARMLESS = {
    "__future__", "base64", "binascii", "bisect", "collections", "collections.abc", "dataclasses", "enum",
    "fractions", "html", "inspect", "ipaddress", "itertools", "json", "logging", "math", "re", "reprlib",
    "types", "typing", "unicodedata",
}  # fmt: skip
"""What a pure module may import of Python's own. Neither asyncio, socket, ssl, time, os nor random."""

KNOW_THE_FRAMEWORK = {
    "fallback", "tts",
    "_framework.advice", "_framework.callers", "_framework.heard", "_framework.interruptible",
    "_framework.memory", "_framework.streams", "_framework.transcript",
    "_numbers.numbers_filter", "_numbers.splitter", "_text.feed", "_text.joints",
    "_text.planner", "_text.replay",
}  # fmt: skip
"""The only modules that import ``videosdk.agents``: what changes there is looked up in few places."""

KNOW_AIOHTTP = {"_wire.connection", "_wire.connector", "_wire.discovery", "_conformance.client"}
"""The plugin's only modules that import ``aiohttp`` when they run."""

MAPS_EXCEPTIONS = "_wire.connection"
"""The only one that says which of aiohttp's exceptions is which of ours."""

DOWNWARDS = ["__init__", "tts", "_utterance", "_wire.connection", "_wire.protocol", "errors"]
"""The order in which the plugin is read: no module imports one before it."""


LAYERS = [
    {"__main__"},
    {"_cli"},
    {"_doctor"},
    {"_conformance", "local", "__init__"},
    {"fallback", "tts"},
    {"_framework"},
    {"_utterance"},
    {"_timing"},
    {"_options", "_pacing"},
    {"_wire"},
    {"_numbers"},
    {"_text"},
    {"_audio"},
    {"errors", "metrics", "version", "visemes", "_settings", "_shown", "_tasks", "_timer"},
]
"""Modules and packages from the top down. Each imports only from those beneath it, and from itself."""


def module_names() -> list[str]:
    paths = (path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py"))
    return sorted(".".join(path.parts) for path in paths)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))


@cache
def nodes_of(module: str) -> list[ast.AST]:
    return list(ast.walk(tree_of(module)))


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the full names of all that a module imports, inside functions and for types as well."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    parents = f"{PACKAGE}.{module}".split(".")
    for node in nodes_of(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join([*parents[: -node.level], *filter(None, [node.module])])
            yield from [origin] if node.module else (f"{origin}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """Return which modules of the package a module imports."""
    own = [name.removeprefix(PACKAGE).lstrip(".") for name in imports_of(module) if name.startswith(PACKAGE)]
    return {f"{name}.__init__".lstrip(".") if (ROOT / name).is_dir() else name for name in own}


def reachable(module: str) -> set[str]:
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= ours(name) - seen
    return seen


@each("module", PURE)
def test_a_pure_module_imports_no_io_and_no_clock(module: str) -> None:
    foreign = {name for name in imports_of(module) if not name.startswith(PACKAGE)}
    assert foreign - HARMLESS <= PURE[module]
    assert {name.split(".")[0] for name in HARMLESS} <= sys.stdlib_module_names


@each("module", PURE)
def test_a_pure_module_rests_on_pure_modules_only(module: str) -> None:
    assert reachable(module) <= set(PURE)


@each("module", PURE)
def test_a_pure_module_opens_and_prints_nothing(module: str) -> None:
    names = {node.id for node in nodes_of(module) if isinstance(node, ast.Name)}
    assert not names & {"open", "print", "input", "exec", "eval", "__import__"}


def test_imports_point_one_way() -> None:
    for place, module in enumerate(DOWNWARDS):
        assert not ours(module) & set(DOWNWARDS[:place])
        assert reachable(module) >= set(DOWNWARDS[place:])


def layer_of(module: str) -> int:
    [place] = [place for place, names in enumerate(LAYERS) if module.split(".", maxsplit=1)[0] in names]
    return place


@each("module", module_names())
def test_a_module_imports_only_from_the_layers_beneath(module: str) -> None:
    package = module.split(".", maxsplit=1)[0]
    for name in ours(module):
        assert name.split(".")[0] == package or layer_of(name) > layer_of(module), name


@each("module", module_names())
def test_no_module_imports_itself_by_a_detour(module: str) -> None:
    assert module not in {name for other in ours(module) for name in reachable(other)}


def test_the_plugin_imports_neither_the_local_server_nor_the_command_line() -> None:
    imported = {module: ours(module) for module in reachable("__init__")}
    programs = ("local.", "_cli", "_conformance", "_doctor", "__main__")
    wrong = {
        module: {name for name in names if name.startswith(programs)} for module, names in imported.items()
    }
    assert {module: names for module, names in wrong.items() if names} == {}


def test_few_modules_know_the_framework() -> None:
    for name in module_names():
        knows = any(imported.startswith("videosdk.agents") for imported in imports_of(name))
        assert knows is (name in KNOW_THE_FRAMEWORK), name


def is_type_check(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def nodes_at_runtime(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all that runs: what is imported for types only doesn't."""
    for node in ast.iter_child_nodes(tree):
        if not is_type_check(node):
            yield node
            yield from nodes_at_runtime(node)


def imports_aiohttp(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
    return any(name.split(".")[0] == "aiohttp" for name in names)


def test_few_modules_know_aiohttp() -> None:
    """The local server is a program of its own."""
    plugin = [name for name in module_names() if not name.startswith("local.")]
    knowing = {name for name in plugin if any(map(imports_aiohttp, nodes_at_runtime(tree_of(name))))}
    assert knowing == KNOW_AIOHTTP


@pytest.mark.parametrize("module", sorted(KNOW_AIOHTTP - {MAPS_EXCEPTIONS}))
def test_one_module_tells_aiohttps_exceptions_apart(module: str) -> None:
    """Elsewhere they may be caught, but only by their base class: what they mean is looked up."""
    names = {node.attr for node in nodes_of(module) if isinstance(node, ast.Attribute)}
    kinds = {name for name, value in vars(aiohttp).items() if is_exception(value)}
    assert not names & kinds - {"ClientError"}
    assert not {"strerror", "errno", "os_error"} & names


def is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


@each("module", [name for name in module_names() if name.startswith("local.")])
def test_the_local_server_does_not_import_the_plugin(module: str) -> None:
    """So that a misunderstanding of the protocol can't be on both sides."""
    assert not ours(module) & {"__init__", "tts", "_utterance", "_connection"}


def test_what_the_package_imports_when_it_is_used_is_listed_and_there() -> None:
    assert set(lokutor.__all__) <= set(dir(lokutor))
    assert all(getattr(lokutor, name) is not None for name in lokutor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lokutor.nothing  # noqa: B018

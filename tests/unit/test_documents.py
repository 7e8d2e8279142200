"""The documents are true: their promises, tables, links and commands are held against the code."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from documents import CONF, DOCS, PARTS, ROOT, benchmark, llms, page_names, with_part
from kit.tables import each
from videosdk.agents import _plugins

from videosdk.plugins import lokutor
from videosdk.plugins.lokutor import LokutorTTS, errors
from videosdk.plugins.lokutor._cli.commands import _parse
from videosdk.plugins.lokutor._utterance import State
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

PACKAGE = Path(lokutor.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in page_names()}
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FILES += [DOCS / f"{name}.md" for name in PAGES] + [DOCS / "llms.txt"]
FILES += [ROOT / "SKILLS.md", *sorted((ROOT / "release" / "pages").glob("*.md"))]
MOST_WORDS = 1_000
"""Words in the README: what a newcomer reads in five minutes."""


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, title
    return match.group(1)


def table(text: str, head: str) -> str:
    """Return the table whose first column has this head."""
    match = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert match, head
    return match.group(1)


def first_cells(text: str) -> str:
    return " ".join(line.split("|")[1] for line in text.splitlines())


def named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def links(path: Path) -> list[str]:
    """Return the targets of a document's links and pictures."""
    prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def own_path(link: str) -> str | None:
    """Return which path of the repository an absolute link leads to, or None for other places."""
    host = CONF["REPOSITORY"]
    raw = host.replace("github.com", "raw.githubusercontent.com")
    for base in (f"{host}/blob/", f"{host}/tree/", f"{raw}/"):
        if link.startswith(base):
            branch, _, path = link.removeprefix(base).partition("/")
            assert branch == CONF["BRANCH"], link
            return path
    assert not link.startswith((host, raw)), link
    return None


def place(path: str) -> Path:
    """Return where a path of the repository is. The plugin may be installed without the rest."""
    ours = "videosdk/plugins/lokutor"
    return PACKAGE / path.removeprefix(ours).lstrip("/") if path.startswith(ours) else ROOT / path


@each("name", PARTS)
def test_what_comes_from_the_code_is_what_the_code_says(name: str) -> None:
    """Else run ``python tests/documents.py``."""
    path, make = PARTS[name]
    text = path.read_text(encoding="utf-8")
    assert with_part(text, name, make()) == text


def test_llms_txt_lists_the_pages() -> None:
    """Else run ``python tests/documents.py``."""
    assert (DOCS / "llms.txt").read_text(encoding="utf-8") == llms()


def test_every_page_is_in_the_table_of_contents() -> None:
    assert set(PAGES) == {path.stem for path in DOCS.glob("*.md")}
    visible = PAGES["index"].split("```{toctree}")[0]
    assert re.findall(r"\((\S+)\.md\)", visible) != []
    assert {*re.findall(r"\((\S+)\.md\)", visible)} == set(PAGES) - {"index"}


def test_the_run_that_is_kept_had_no_failures() -> None:
    assert benchmark()["failures"] == []


def test_every_option_is_in_the_table_with_its_default() -> None:
    options_table = table(PAGES["options"], "option")
    parameters = inspect.signature(LokutorTTS.__init__).parameters
    options = {name: parameter for name, parameter in parameters.items() if name != "self"}
    assert named(first_cells(options_table)) == set(options)
    for name, parameter in options.items():
        default = parameter.default
        if name in {"api_key", "base_url"}:
            continue  # They come from the environment.
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        assert f"| `{name}` | `{shown}` |" in options_table, name


def test_every_error_is_in_the_table() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, LokutorError) and value is not LokutorError
    }
    assert named(first_cells(table(PAGES["errors-and-metrics"], "error"))) == kinds


def test_every_field_of_the_metrics_is_in_the_table() -> None:
    assert named(first_cells(table(PAGES["errors-and-metrics"], "field"))) == {
        field.name for field in fields(SynthesisMetrics)
    }


def test_every_state_is_explained() -> None:
    assert named(first_cells(table(PAGES["architecture"], "state"))) == {state.name for state in State}


@cache
def trees() -> list[ast.Module]:
    """Return the package's modules, parsed."""
    return [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]


def test_every_timer_is_explained() -> None:
    explained = re.findall(r"`(\w+\.\w+)`", first_cells(table(PAGES["architecture"], "timer")))
    made = {
        f"{owner.name}.{node.targets[0].attr}"
        for tree in trees()
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef) and owner.name != "Deadline"  # It is made of one.
        for node in ast.walk(owner)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) in {"Timer", "Deadline"}
    }
    assert sorted(explained) == sorted(made)


def test_every_module_has_its_place_in_the_architecture() -> None:
    cells = first_cells(table(PAGES["architecture"], "module"))
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert set(re.findall(r"`([\w/]+\.py)`", cells)) == {
        name for name in modules if not name.endswith(("__init__.py", "__main__.py"))
    }


@each("path", FILES)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    places = [ROOT, PACKAGE, DOCS]
    for name in re.findall(r"(?<![\w./-])((?:[\w-]+/)*[\w-]+\.py)(?!\w)", text):
        if name != "agent.py":  # The reader's own.
            assert any((place / name).exists() for place in places), name


def test_every_class_that_the_architecture_names_is_there() -> None:
    prose = re.sub(r"https?:\S+", "", PAGES["architecture"])
    defined = {node.name for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    others = {"FallbackTTS", "TTS"}
    classes = set(re.findall(r"`([A-Z]+[a-z]\w*)", prose)) | set(re.findall(r"<br>([A-Z]\w+):", prose))
    assert classes
    assert classes - others <= defined


@each("path", FILES)
def test_every_link_into_the_repository_leads_to_a_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in {*links(path), *re.findall(r"https://[\w.-]*github[\w.-]*/[^\s)>\]]+", text)}:
        target, _, anchor = link.partition("#")
        if target.startswith("https:"):
            own = own_path(target)
            found = None if own is None else place(own)
        else:
            found = path.parent / target if target else path
        assert found is None or found.exists(), link
        if anchor and found is not None:
            assert anchor in anchors(found), link


def test_the_readmes_links_and_pictures_work_elsewhere() -> None:
    """On PyPI there is nothing beside it."""
    found = links(ROOT / "README.md")
    assert [link for link in found if not link.startswith("https://")] == []
    assert any(link.endswith("/benchmarks/result.png") and own_path(link) for link in found)


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_agent_for_a_user_with_a_key_is_short_and_the_same_everywhere() -> None:
    match = re.search(r"```python\n(.*?)```", section(README, "Use it"), re.DOTALL)
    assert match
    assert len([line for line in match.group(1).splitlines() if line.strip()]) < 25
    assert match.group(1) in PAGES["getting-started"]


@pytest.mark.parametrize("text", [README, PAGES["getting-started"]], ids=["README", "getting-started"])
def test_the_quick_start_names_every_key_and_package(text: str) -> None:
    keys = {"LOKUTOR_API_KEY", "VIDEOSDK_AUTH_TOKEN", "DEEPGRAM_API_KEY", "OPENAI_API_KEY"}
    assert named(first_cells(table(text, "variable"))) == keys
    imported = {where for where in _plugins._REGISTRY.values() if f"from {where} import" in text}
    for module in imported:
        assert module.replace("videosdk.plugins.", "videosdk-plugins-") in text
    assert len(imported) >= 3


@each(
    "command",
    [
        'pip install -e ".[test]"',
        "pytest",
        "ruff check .",
        "ruff format --check .",
        "codespell",
        "mypy",
        'pip install -e ".[docs]"',
        "python -m sphinx -W --keep-going -b html docs",
    ],
)
def test_ci_runs_what_the_documents_say(command: str) -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert any(
        line.startswith((command, command.replace("install", "install --quiet"))) for line in ci.splitlines()
    )
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert command in contributing


def test_every_command_that_is_shown_is_one() -> None:
    shown = [
        match.group(1)
        for path in FILES
        for match in re.finditer(
            r"(?:^|`)(?:lokutor|python -m videosdk\.plugins\.lokutor) ([^`=\n]+)",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    ]
    for arguments in shown:
        assert _parse(shlex.split(arguments)).command, arguments
    assert {arguments.split()[0] for arguments in shown} == {
        "say",
        "serve",
        "voices",
        "conformance",
        "doctor",
    }


def test_the_two_commands_are_in_the_readme() -> None:
    hear = 'pip install -e ".[local]" && python examples/conversation.py'
    assert hear in section(README, "Hear it, without an account or a network")
    assert hear in PAGES["getting-started"]
    assert 'pip install -e ".[test]" && pytest' in section(README, "Development")

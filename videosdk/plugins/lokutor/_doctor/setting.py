"""Checks of this machine: what is installed, and what is set.

Rule of this file: nothing goes to the network, and neither the key nor a proxy's password is in any line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from yarl import URL

from .._wire.endpoint import LONG_KEY, parse_base_url
from .._wire.proxy import find_proxy, is_only_named_for_all
from ..errors import ConfigurationError
from .lines import Line, note, ok, skipped, wrong
from .versions import FAULTS, OLDEST, PYTHONS, numbers_of, shown

_QUOTES = "\"'`“”‘’"
_KEY = "LOKUTOR_API_KEY"
_PLACEHOLDER_WORDS = re.compile(
    r"(?:your|my|the|a|an|lokutor|api|key|token|secret|here|insert|enter|paste|put|add|set|replace|change|with|me"
    r"|this|it|real|actual|placeholder|todo|tbd|fixme|example|sample|dummy|fake|none|null|undefined|value)+"
)
_PLACEHOLDER_FORMS = re.compile(
    r"\$\w+|%\w+%|\$?\{.*\}|\$\(.*\)|<.*>|\[.*\]|(?P<char>.)(?P=char)*|.*\.\.\..*"
)
"""A variable that nothing has replaced, what stands in brackets, ``xxxx`` and ``sk-...``."""


def check_versions() -> Iterator[Line]:
    """Look at what is installed."""
    yield _python(sys.version_info[:2])
    for package, oldest in OLDEST.items():
        yield from _package(package, oldest)
    yield from _framework()


def _python(running: tuple[int, ...]) -> Line:
    name = shown(running)
    low, high = map(shown, PYTHONS)
    if PYTHONS[0] <= running <= PYTHONS[1]:
        return ok("python", name)
    return wrong("python", f"{name} is not tested", f"use Python {low} to {high}")


def _package(package: str, oldest: tuple[int, ...]) -> Iterator[Line]:
    try:
        installed = version(package)
    except PackageNotFoundError:
        yield wrong(package, "it is not installed", f"pip install {package}")
        return
    if numbers_of(installed) < oldest:
        yield wrong(package, f"{installed} is too old", f"pip install '{package}>={shown(oldest)}'")
        return
    faults = [fault for fault in FAULTS.values() if fault.is_in(package, installed)]
    for fault in faults:
        yield note(package, f"{installed}: {fault.says}", fault.do)
    if not faults:
        yield ok(package, installed)


def _framework() -> Iterator[Line]:
    """Look whether the framework can be imported: what it needs itself may not fit."""
    try:
        version("videosdk-agents")
        import_module("videosdk.agents")
    except PackageNotFoundError:
        return  # That was said.
    except Exception as error:  # noqa: BLE001 - whatever its imports raise, a caller would meet it
        reason = f"it can't be imported: {type(error).__name__}: {error}"
        yield wrong("videosdk-agents", reason, "pip install --upgrade videosdk-agents, in a new environment")


def check_key(key: str | None) -> Line:
    """Look whether the key can be one."""
    if key is None or not key.strip():
        return wrong("key", f"{_KEY} is not set", f"set {_KEY} in the environment of the agent's process")
    fault = _fault_of(key.strip())
    if fault:
        return wrong("key", fault, "copy it again, without anything around it")
    if key != key.strip():
        return note("key", "there are spaces around it", "remove them; this plugin ignores them")
    if _is_placeholder(key):
        return note("key", "it looks like a placeholder", "set the key itself, from app.lokutor.com")
    if len(key) < LONG_KEY:
        return note("key", f"it has only {len(key)} characters", "look whether it was copied whole")
    return ok("key", f"set, {len(key)} characters")


def _fault_of(key: str) -> str:
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        return "there are quotation marks around it"
    if not (key.isascii() and key.isprintable()):
        return "it holds a character that no header can hold"
    if key.lower().startswith(("bearer ", "x-api-key", "lokutor_api_key")):
        return "there is more in it than the key"
    return "there is a space in it" if " " in key else ""


def _is_placeholder(key: str) -> bool:
    words = re.sub(r"[\W_]+", "", key.lower())
    return bool(_PLACEHOLDER_WORDS.fullmatch(words) or _PLACEHOLDER_FORMS.fullmatch(key))


def check_address(base_url: str) -> tuple[Line, URL | None]:
    """Look whether the address can be one, and return it."""
    try:
        url = parse_base_url(base_url.strip(), allow_insecure=False)
    except ValueError as error:
        return wrong("address", str(error), "correct LOKUTOR_BASE_URL, or --url"), None
    return ok("address", f"{url.with_query(None)}"), url


def check_proxy(url: URL) -> tuple[Line, bool]:
    """Look whether the way leads through a proxy, and return whether it can be gone."""
    try:
        proxy = find_proxy(url)
    except ConfigurationError as error:
        return wrong("proxy", str(error), "correct the variable, or name the host in NO_PROXY"), False
    if proxy is None and is_only_named_for_all(url):
        do = "if the way leads through it, set HTTPS_PROXY to the same"
        return note("proxy", "ALL_PROXY is set, and is not read: none is used", do), True
    if proxy is None:
        return skipped("proxy", "none is named, or none is needed"), True
    signed = " with a user and password" if proxy.user else ""
    return ok("proxy", f"{proxy.host}:{proxy.port}{signed}"), True

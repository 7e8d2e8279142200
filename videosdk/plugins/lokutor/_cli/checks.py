"""The commands that examine a service: ``conformance`` and ``doctor``.

Rule of this file: what costs more than usual is asked for first, and no line carries a key.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._conformance.facts import Fact
from .._conformance.findings import Finding, Report, lines_of
from .._conformance.lab import ALLOWANCE, Limits
from .._conformance.run import examine
from .._doctor.lines import Health
from .._doctor.run import diagnose
from ..tts import DEFAULT_BASE_URL
from .services import bad_values, open_recording, service
from .terminal import BASE_URL, KEY, MISUSED, CommandError, one_line, remark, say_line, without_keys

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

_TOO_LONG = 5_002
"""Characters of a text over the longest."""
_PER_REQUEST = 3
_LONGEST_IDLE = 3_600.0
_MOST_REQUESTS = 1_000


def add_conformance(commands: Commands) -> None:
    """Add ``conformance``."""
    text = "hold a service against what this plugin takes for granted"
    conformance = commands.add_parser(
        "conformance",
        help=text,
        description=f"{text.capitalize()}, fact by fact. It sends up to {ALLOWANCE:,} characters.",
    )
    conformance.add_argument("--url", metavar="URL", help="base URL of the service (default: as for 'say')")
    conformance.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON as well")
    conformance.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="keep what went over the wire, without the key, for 'serve --replay'; .gz compresses it",
    )
    conformance.add_argument(
        "--idle",
        type=_seconds,
        default=Limits().idle,
        metavar="SECONDS",
        help="how long idle connections are left alone (default: %(default)s)",
    )
    conformance.add_argument(
        "--rate-limit",
        type=_count,
        default=0,
        metavar="N",
        help="find out what HTTP 429 counts, by N handshakes and N requests: more than your plan has",
    )
    conformance.add_argument(
        "--too-long", action="store_true", help="send a text over the longest, which may be charged"
    )
    conformance.add_argument("--yes", action="store_true", help="don't ask before spending more than usual")
    conformance.set_defaults(command=_conformance)


def add_doctor(commands: Commands) -> None:
    """Add ``doctor``."""
    text = "find what keeps an agent on this machine from speaking"
    doctor = commands.add_parser("doctor", help=text, description=f"{text.capitalize()}.")
    doctor.add_argument("--url", metavar="URL", help=f"base URL of the service (default: {BASE_URL})")
    doctor.set_defaults(command=_doctor)


def _seconds(text: str) -> float:
    return _within(text, float, 0, _LONGEST_IDLE)


def _count(text: str) -> int:
    return int(_within(text, int, 1, _MOST_REQUESTS))


def _within(text: str, convert: Callable[[str], float], least: float, most: float) -> float:
    try:
        value = convert(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}, got {text!r}")
    return value


def _conformance(arguments: argparse.Namespace) -> None:
    limits = _limits(arguments)
    if limits.allowance > ALLOWANCE and not arguments.yes:
        _ask(f"This may send {limits.allowance:,} characters instead of {ALLOWANCE:,}.")
    if arguments.out is not None:
        arguments.out.open("a").close()  # Before anything is spent for a report that can't be written.
    with bad_values(), ExitStack() as stack:
        record = None
        if arguments.record is not None:
            file = stack.enter_context(open_recording(arguments.record, "wt"))
            record = partial(print, file=file)
        report = asyncio.run(_examine(arguments.url, limits, record))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    say_line(f"\n{report.summary()}")
    if report.differing:
        raise CommandError(f"not as assumed: {', '.join(report.differing)}")


def _limits(arguments: argparse.Namespace) -> Limits:
    more = arguments.rate_limit * _PER_REQUEST + _TOO_LONG * arguments.too_long
    return Limits(
        allowance=ALLOWANCE + more,
        idle=arguments.idle,
        requests=arguments.rate_limit,
        too_long=arguments.too_long,
    )


def _ask(what: str) -> None:
    """Ask for leave.

    Raises:
        CommandError: It isn't given.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(f"{what} Add --yes to allow it", MISUSED)
    remark(f"{what} Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was sent")


async def _examine(url: str | None, limits: Limits, record: Callable[[str], object] | None) -> Report:
    async with service(remark, url) as used:
        return await examine(used.endpoint, limits, notify=remark, tell=_Teller(), record=record)


class _Teller:
    """Prints what is found, under the name of each group."""

    def __init__(self) -> None:
        self._group = ""

    def __call__(self, fact: Fact, finding: Finding) -> None:
        if fact.group != self._group:
            say_line(f"\n{fact.group}" if self._group else fact.group)
            self._group = fact.group
        shown = replace(finding, evidence=one_line(without_keys(finding.evidence)))
        say_line("\n".join(lines_of(fact, shown)))


def _doctor(arguments: argparse.Namespace) -> None:
    faults = asyncio.run(_diagnose(arguments.url or os.environ.get(BASE_URL) or DEFAULT_BASE_URL))
    if faults:
        raise CommandError(f"look at: {', '.join(faults)}")


async def _diagnose(base_url: str) -> list[str]:
    """Print the lines, and return what is wrong."""
    faults = []
    async with aclosing(diagnose(base_url, os.environ.get(KEY))) as lines:
        async for line in lines:
            say_line(str(replace(line, says=one_line(without_keys(line.says)))))
            if line.health is Health.WRONG:
                faults.append(line.name)
    return faults

"""The commands that examine a service: ``conformance`` and ``doctor``.

Rule of this file: what costs more than usual is asked for first, and no line carries a key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._conformance.client import connected
from .._conformance.facts import Fact
from .._conformance.findings import Finding, Report, lines_of
from .._conformance.lab import ALLOWANCE, Limits
from .._conformance.probe_errors import BEYOND, longest_text
from .._conformance.run import examine
from .._doctor.lines import Health
from .._doctor.run import diagnose
from .._settings import DEFAULT_BASE_URL
from .reports import ReportFile
from .services import bad_values, open_recording, service
from .terminal import BASE_URL, KEY, MISUSED, CommandError, escaped, one_line, remark, say_line, without_keys

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

_LONGEST_SENT = 100_000
"""Characters of the longest text over which one is sent: where more are allowed, it isn't worth its price."""
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
    if _are_one_file(arguments.out, arguments.record):
        raise CommandError("--out and --record name the same file: each needs one of its own", MISUSED)
    with bad_values():
        limits = _limits(arguments)
        if limits.allowance > ALLOWANCE and not arguments.yes:
            _ask(f"This may send {limits.allowance:,} characters instead of {ALLOWANCE:,}.")
        with ExitStack() as stack:
            kept = None if arguments.out is None else stack.enter_context(ReportFile(arguments.out))
            record = None
            if arguments.record is not None:
                file = stack.enter_context(open_recording(arguments.record))
                record = partial(print, file=file)
            try:
                report = asyncio.run(_examine(arguments.url, limits, kept, record))
            finally:
                if kept is not None and kept.is_partial:
                    remark(f"{escaped(str(arguments.out))} has what was found until then")
    if report.obstacle:
        say_line("\nInstead of speech, this came:")
        for came in report.came:
            say_line(f"  {one_line(without_keys(came))}")
    say_line(f"\n{report.summary()}")
    if report.obstacle:
        raise CommandError(report.obstacle)
    if report.differing:
        raise CommandError(f"not as assumed: {', '.join(report.differing)}")


def _are_one_file(out: Path | None, record: Path | None) -> bool:
    """Return whether one file would be written by both; what is no plain file takes both."""
    if out is None or record is None:
        return False
    try:
        return out.samefile(record) and out.is_file()
    except OSError:  # One of both isn't there yet.
        return os.path.realpath(out) == os.path.realpath(record)


def _limits(arguments: argparse.Namespace) -> Limits:
    more = arguments.rate_limit * _PER_REQUEST
    if arguments.too_long:
        longest = asyncio.run(_longest_text(arguments.url))
        if longest <= _LONGEST_SENT:
            more += longest + BEYOND
    return Limits(
        allowance=ALLOWANCE + more,
        idle=arguments.idle,
        requests=arguments.rate_limit,
        too_long=arguments.too_long,
    )


async def _longest_text(url: str | None) -> int:
    """Return how long a text may be, before leave is asked for a longer one. It costs nothing."""
    async with (
        service(lambda _: None, url) as used,
        connected(used.endpoint, Limits().handshake) as client,
    ):
        return await longest_text(client)


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


async def _examine(
    url: str | None, limits: Limits, kept: ReportFile | None, record: Callable[[str], object] | None
) -> Report:
    keep: Callable[[Report], object] = (lambda _: None) if kept is None else kept.keep
    async with service(remark, url) as used:
        report = await examine(used.endpoint, limits, notify=remark, tell=_Teller(), keep=keep, record=record)
    keep(report)
    return report


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

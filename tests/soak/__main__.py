"""Many long conversations at once, with random faults and barge-ins: nothing lost, nothing left behind.

    python tests/soak [--turns 2000] [--plugins 50] [--seed S]

Each plugin speaks its share of the turns to one faulty server in this process, over real sockets. Every
decision comes from the seed, which is printed; only the timing is the machine's. All faults are such that
the plugin must heal them, so a turn that nobody talks over is heard whole, to the sample. Afterwards no
task, file descriptor or socket is left, and memory has not grown since the first quarter. Exits with 1,
and says why, where any of that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.extend(map(str, Path(__file__).parents[1:3]))  # Where the kit and the benchmarks are.

from kit import until

from soak.callers import Caller
from soak.leftovers import Complaints, Usage, Watchdog, check_leftovers, check_memory
from soak.report import Report
from soak.server import FaultyServer
from soak.speech import REPLIES, heard_of

QUARTERS = 4


@dataclass(slots=True)
class Result:
    """All that the summary tells."""

    report: Report
    faults: Counter[str]
    first: Usage
    last: Usage
    before: Usage
    after: Usage
    seconds: float


async def soak(turns: int, plugins: int, seed: int, sabotage: Collection[str] = ()) -> Result:
    """Have all conversations, and return what came of them."""
    report = Report()
    Complaints(report).listen(asyncio.get_running_loop())
    for reply in REPLIES:
        heard_of(reply)
    tasks = asyncio.all_tasks()
    before = Usage.now()
    begun = time.monotonic()
    watchdog = Watchdog(report)
    async with FaultyServer() as server:
        callers = [Caller(f"p{number}", seed, server, report) for number in range(plugins)]
        ruined = ruin(sabotage, server, callers)
        usages = []
        for quarter in range(QUARTERS):
            shares = [share(turns, plugins * QUARTERS, quarter * plugins + i) for i in range(plugins)]
            await asyncio.gather(*(caller.converse(n) for caller, n in zip(callers, shares, strict=True)))
            await asyncio.gather(*(caller.rest() for caller in callers))
            await rest(server, plugins, report)
            usages.append(Usage.now())
        await asyncio.gather(*(caller.close() for caller in callers))
        await rest(server, 0, report)
    callers.clear()
    watchdog.stop()
    left = await tasks_left(tasks)
    after = Usage.now()
    report.violations += check_leftovers(before, after, left)
    report.violations += check_memory(usages[0], usages[-1], turns - turns // QUARTERS)
    del ruined
    return Result(report, server.faults, usages[0], usages[-1], before, after, time.monotonic() - begun)


def share(turns: int, workers: int, worker: int) -> int:
    """Return how many of the turns are this worker's."""
    return turns * (worker + 1) // workers - turns * worker // workers


async def rest(server: FaultyServer, allowed: int, report: Report) -> None:
    """Wait until only so many connections are open: those in waiting."""
    try:
        await until(lambda: len(server.open) <= allowed)
    except TimeoutError:
        report.blame(f"{len(server.open)} connections are open where {allowed} are enough")


async def tasks_left(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that don't end, although nobody has anything to do."""
    for _ in range(100):
        if not asyncio.all_tasks() - before:
            break
        await asyncio.sleep(0.01)
    return asyncio.all_tasks() - before


def ruin(sabotage: Collection[str], server: FaultyServer, callers: list[Caller]) -> list[object]:
    """Break promises on purpose, to prove that it is noticed; return what must be kept for it."""
    kept: list[object] = []
    if "audio" in sabotage:
        server.spoiled = 8  # Of a turn that is talked over or fails, perhaps nothing is heard.
    if "memory" in sabotage:
        for caller in callers:
            caller.kept = []
    if "socket" in sabotage:
        kept.append(socket.socket())
    if "task" in sabotage:
        kept.append(asyncio.create_task(asyncio.sleep(3_600)))
    if "warning" in sabotage:
        asyncio.sleep(0)  # type: ignore[unused-coroutine]  # Never awaited.
    return kept


def summary(result: Result) -> str:
    """Return the summary as lines to print."""
    report = result.report
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(result.faults.items()))
    interrupted = ", ".join(f"{kind} {count}" for kind, count in sorted(report.interrupted.items()))
    return "\n".join(
        [
            f"turns          {report.turns} and {report.streams} streams; {report.audio:.0f} s of audio",
            f"interrupted    {report.interrupted.total()} ({interrupted})",
            f"faults         {result.faults.total()} ({faults})",
            f"retries        {report.retries}",
            f"words          {report.words} told in their places",
            f"standby        connection used {report.standby_connections} times",
            f"seconds        {result.seconds:.1f}",
            f"memory         {held(result.first)} after the first quarter; {held(result.last)} at the end",
            f"descriptors    {result.before.descriptors} before, {result.after.descriptors} after;"
            f" sockets {result.before.sockets} and {result.after.sockets}",
        ]
    )


def held(usage: Usage) -> str:
    resident = "" if usage.resident is None else f"{usage.resident / 2**20:.1f} MiB, "
    return f"{resident}{usage.blocks} blocks"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Speak many turns under faults and barge-ins.")
    parser.add_argument("--turns", type=int, default=2_000, help="turns of all plugins together")
    parser.add_argument("--plugins", type=int, default=50, help="plugins that speak at the same time")
    parser.add_argument("--seed", type=int, default=None, help="repeat the decisions of an earlier run")
    parser.add_argument("--sabotage", action="append", default=[], help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    print(f"soak: {chosen.turns} turns, {chosen.plugins} plugins, seed {seed}", flush=True)
    result = asyncio.run(soak(chosen.turns, chosen.plugins, seed, chosen.sabotage))
    print(summary(result))
    for violation in result.report.violations[:20]:
        print(f"VIOLATION      {violation}", file=sys.stderr)
    print("failed" if result.report.violations else "passed")
    return 1 if result.report.violations else 0


if __name__ == "__main__":
    sys.exit(main())

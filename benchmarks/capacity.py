"""``python -m benchmarks.capacity``: how many calls in real time are carried, in one process and in many.

Calls are added level by level. A level is held when the P95 of the first sound has grown by less than 20 ms
over that of a single call, and of a thousand frames at most one was missing on the track, or handed out more
than 40 ms late. A level that fails gets a second chance; then the one before it is the result.

The service runs in another process, without the relay: its wait before the first audio has the round trip in
it. What it used is in the result, and how late it was: a level on which its P95 is late by 10 ms says
nothing of the plugin, and ends the run with that reason. The result also tells how long the callers waited
for a core: much of that in one process means that something else was running on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import texts
from .certificates import HOST, make_certificates
from .contenders import CONTENDERS
from .plan import ServiceBehaviour
from .processes import Child
from .report import capacity_markdown, describe_machine, describe_versions

_MAY_GROW = 20.0
_MAY_MISS = 0.001
_MAY_WAIT = 0.1
"""Of the time, for one process and the service on two cores."""
_SERVER_MAY_BE_LATE = 10.0
_SERVICE = ServiceBehaviour(first_audio=0.12)
_SINGLE = {"calls": 1, "text": texts.SHORT, "period": 0.9}
"""One call, turn upon turn: enough of them for a P95."""
_SETTLE = 1.0
"""Seconds in which new calls connect, before they are watched."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is tried.

    Attributes:
        names: Who is measured, where it is installed.
        one: Levels of calls in one process.
        each: Levels of processes.
        single: Seconds that the single call is watched.
        window: Seconds that a level is watched.
        weighed: Processes of each kind that are weighed.
        seconds: Seconds that one contender may take in one way.
        period: Seconds from one turn of a call to the next; the agent speaks for half of them.
        niceness: Of many callers: they get a core after the service, which must not be what limits them.
    """

    names: Sequence[str] = ("lokutor", "lmnt", "cartesia")
    one: Sequence[int] = (40, 80, 120, 160, 200, 240, 280, 320, 360, 400, 450)
    each: Sequence[int] = (20, 40, 60, 80, 100, 120, 140)
    single: float = 9.0
    window: float = 6.0
    weighed: int = 3
    seconds: float = 90.0
    period: float = 4.0
    niceness: int = 19

    @classmethod
    def quick(cls) -> Extent:
        """Return what a smoke test tries."""
        return cls(
            ("lokutor",), (2,), (2,), single=1.5, window=2.0, weighed=1, seconds=60.0, period=1.0, niceness=0
        )

    def live(self, calls: int) -> dict[str, Any]:
        """Return the task of that many calls."""
        return {"calls": calls, "text": texts.lasting(self.period / 2), "period": self.period}


class Callers:
    """The callers of one contender, from ``with`` to its end.

    Args:
        way: ``one`` or ``each``; see :mod:`benchmarks.caller`.
        name: Whose plugin.
        conductor: Whose callers they are.
    """

    def __init__(self, way: str, name: str, conductor: Conductor) -> None:
        niceness = conductor.extent.niceness if way == "each" else 0  # One process leaves a core free.
        place = (str(conductor.port), str(niceness))
        self._child = Child("benchmarks.caller", way, name, *place, environment=conductor.environment)
        self._turns: list[dict[str, Any]] = []
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._child.lines():
            self._turns.append(line)
            self._ready.set()
        self._ready.set()

    def __enter__(self) -> Callers:
        self._ready.wait()
        return self

    def __exit__(self, *error: Any) -> None:
        self._child.__exit__(*error)

    def have(self, **task: Any) -> None:
        """Have that many calls."""
        self._child.tell(**task)

    def processes(self) -> list[int]:
        """Return the ids of the processes."""
        own = self._child.id
        children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split()
        return [own, *map(int, children)]

    def turns(self, since: float) -> list[dict[str, Any]]:
        """Return the turns that ended after ``since``."""
        return [turn for turn in self._turns if turn["at"] > since and "ready" not in turn]


@dataclass
class Conductor:
    """Adds calls, and watches.

    Attributes:
        port: Where the service is.
        control: Its control URL.
        environment: Of the callers.
        extent: How much to try.
    """

    port: int
    control: str
    environment: dict[str, str]
    extent: Extent

    def single(self, name: str) -> dict[str, Any]:
        """Return how a single call goes."""
        with Callers("one", name, self) as callers:
            callers.have(**_SINGLE)
            return self._watch(callers, 1, self.extent.single)

    def run(self, way: str, name: str, single: dict[str, Any]) -> dict[str, Any]:
        """Return what one contender carries in one way, beside its ``single`` call."""
        begun = time.monotonic()
        levels: list[dict[str, Any]] = []
        with Callers(way, name, self) as callers:
            held, ended_by = 1, "end of the levels"
            for calls in self.extent.one if way == "one" else self.extent.each:
                if time.monotonic() - begun > self.extent.seconds:
                    ended_by = "end of the time"
                    break
                callers.have(**self.extent.live(calls))
                level = self._watch(callers, calls, self.extent.window)
                if _verdict(level, single):
                    level = self._watch(callers, calls, self.extent.window)
                levels.append(level)
                if verdict := _verdict(level, single):
                    busy = way == "one" and level["callers_waited"] > _MAY_WAIT
                    ended_by = verdict + ", on a busy machine" * busy
                    break
                held = calls
        return {
            "calls": held,
            "ended_by": ended_by,
            "single": single["first_sound_p95"],
            "levels": [single, *levels],
        }

    def _watch(self, callers: Callers, calls: int, seconds: float) -> dict[str, Any]:
        """Return how a level goes: turns, first sound, missing frames, and cores in use."""
        time.sleep(_SETTLE)
        server, before, begun = self._load(), _processor(callers.processes()), time.monotonic()
        time.sleep(seconds)
        after, now, took = self._load(), _processor(callers.processes()), time.monotonic() - begun
        used, waited = (
            sum(now[each][part] - before.get(each, (0.0, 0.0))[part] for each in now) / took
            for part in (0, 1)
        )
        turns = callers.turns(begun)
        errors = [turn["error"] for turn in turns if "error" in turn]
        heard = [turn for turn in turns if "first" in turn]
        frames = sum(turn["frames"] for turn in heard)
        return {
            "calls": calls,
            "turns": len(heard),
            "errors": errors[:3],
            "first_sound_p50": statistics.median(turn["first"] for turn in heard) if heard else None,
            "first_sound_p95": _p95([turn["first"] for turn in heard]),
            "missing": sum(turn["missing"] for turn in heard) / frames if frames else 0.0,
            "callers_cores": used,
            "callers_waited": waited,
            "server_cores": (after["processor"] - server["processor"]) / took,
            "server_late_p95": _p95([late * 1000 for late in after["late"]]) or 0.0,
        }

    def _load(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.control + "/load") as answer:  # noqa: S310 - our own server
            load: dict[str, Any] = json.load(answer)
            return load

    def weigh(self, name: str) -> dict[str, float]:
        """Return the MiB of a process with one call of ``name``, or with the framework alone."""
        several = [Callers("one", name, self) for _ in range(self.extent.weighed)]
        try:
            for each in several:
                each.__enter__()
                each.have(**_SINGLE)
            time.sleep(2 * _SETTLE if name == "framework" else self.extent.window + _SETTLE)
            weights = [_weight(each.processes()[0]) for each in several]
        finally:
            for each in several:
                each.__exit__(None, None, None)
        return {key: statistics.fmean(weight[key] for weight in weights) for key in ("rss", "pss")}


def _verdict(level: dict[str, Any], single: dict[str, Any]) -> str | None:
    """Return what a level failed by, or None."""
    if level["errors"] or level["first_sound_p95"] is None:
        return "errors"
    if level["server_late_p95"] > _SERVER_MAY_BE_LATE:
        return "the server"
    if level["first_sound_p95"] > single["first_sound_p95"] + _MAY_GROW:
        return "first sound"
    return "missing frames" if level["missing"] > _MAY_MISS else None


def _p95(values: Sequence[float]) -> float | None:
    if len(values) < 2:  # noqa: PLR2004
        return values[0] if values else None
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def _processor(processes: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Return the seconds for which each process has run, and for which it could have but had no core."""
    taken = {}
    for each in processes:
        run, waited, _ = Path(f"/proc/{each}/schedstat").read_text(encoding="ascii").split()
        taken[each] = (int(run) / 1e9, int(waited) / 1e9)
    return taken


def _weight(process: int) -> dict[str, float]:
    """Return the MiB of a process: resident, and its share where pages are shared."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {line.split(":")[0].lower(): int(line.split()[1]) / 1024 for line in lines}
    return {"rss": sizes["rss"], "pss": sizes["pss"]}


def measure(extent: Extent) -> dict[str, Any]:
    """Run everything, and return the document."""
    begun = time.monotonic()
    names = [each.name for each in CONTENDERS if each.name in extent.names and each.version is not None]
    with tempfile.TemporaryDirectory() as folder:
        environment = make_certificates(Path(folder)).environment
        with Child("benchmarks.server", folder) as server:
            ports = server.answer()
            conductor = Conductor(ports["service"], f"http://{HOST}:{ports['control']}", environment, extent)
            _prepare(conductor)
            memory = {name: conductor.weigh(name) for name in ("framework", *names)}
            with ThreadPoolExecutor() as pool:  # Side by side: they do next to nothing.
                single = dict(zip(names, pool.map(conductor.single, names), strict=True))
            runs: dict[str, dict[str, Any]] = {"one": {}, "each": {}}
            for way, taken in runs.items():
                for name in names:
                    taken[name] = conductor.run(way, name, single[name])
                    print(f"  {way}, {name}: {taken[name]['calls']} ({taken[name]['ended_by']})", flush=True)
    return {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "parameters": {"service": asdict(_SERVICE), **asdict(extent)},
        "seconds": round(time.monotonic() - begun, 1),
        "memory": memory,
        "runs": runs,
    }


def _prepare(conductor: Conductor) -> None:
    """Set how the service behaves, and have what it will say computed."""
    bodies = [("/behaviour", asdict(_SERVICE))]
    bodies += [
        ("/signal", {"text": text, "rate": rate})
        for text in (texts.SHORT, conductor.extent.live(1)["text"])
        for rate in (24_000, 44_100)
    ]
    for path, body in bodies:
        request = urllib.request.Request(  # noqa: S310 - our own server
            conductor.control + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).close()  # noqa: S310 - our own server


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write JSON; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description="Measure how many calls in real time are carried."
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test; its figures mean little")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        print("This needs Linux: processor time and memory are read from /proc.", file=sys.stderr)
        return 1
    document = measure(Extent.quick() if options.quick else Extent())
    print("\n" + capacity_markdown(document))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

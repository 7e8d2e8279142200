"""``python -m benchmarks.process_memory``: the memory of the processes that VideoSDK's worker makes.

Several processes of the framework's own executor go through the same steps side by side: idle, which
needs the framework, with the plugin, in a call. Each step is weighed once all of them are there:

- RSS: all that a process has in memory, what it shares with others included.
- PSS: its share. The sum over all processes is what they take of the machine.
- USS: what it has alone, which its end would free.

It is done three times: as the worker starts processes by default; with a fork server that has imported
everything; and with one that has called ``gc.freeze()`` behind it, as ``examples/deploy`` does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .certificates import make_certificates
from .processes import Child, end_with_parent, say
from .report import describe_machine, describe_versions

STEPS = {
    "framework": "idle, with the framework",
    "plugin": "with the plugin",
    "call": "in a call",
}
WAYS: dict[str, tuple[str, list[str]]] = {
    "default": ("by default", []),
    "preload": ("imported by the fork server", ["videosdk.agents", "videosdk.plugins.lokutor"]),
    "freeze": ("and frozen there", ["benchmarks.preloaded"]),
}
_SIZES = ("rss", "pss", "uss")
_TALKED = 1.5
_LOOK = 0.05


def weigh(process: int) -> dict[str, float]:
    """Return the MiB of a process."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    size = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {
        "rss": size["Rss"],
        "pss": size["Pss"],
        "uss": size["Private_Clean"] + size["Private_Dirty"],
    }


async def take_step(step: str, folder: str, port: int) -> None:
    """Run in a worker's process: take a step, say so, and stay there until all were weighed."""
    if step == "framework":
        import videosdk.agents
    elif step == "plugin":
        import videosdk.plugins.lokutor  # noqa: F401
    if step != "call":
        await _stay(step, folder)
        return
    import gc

    from . import texts
    from .call import Call
    from .contenders import by_name

    gc.collect()
    gc.freeze()  # As the framework does when a pipeline starts.
    async with Call(by_name("lokutor"), port, keep=False) as call:
        await call.tts.prewarm()
        call.say(texts.INTERRUPTED)
        await call.first_audio()
        await asyncio.sleep(_TALKED)
        await _stay(step, folder)


async def _stay(step: str, folder: str) -> None:
    _mark(folder, step, str(os.getpid()))
    while "done" not in _marks(folder, step):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(_LOOK)


def _mark(folder: str, step: str, what: str) -> None:
    Path(folder, f"{step}-{what}").touch()


def _marks(folder: str, step: str) -> list[str]:
    return [file.name.rpartition("-")[2] for file in Path(folder).glob(f"{step}-*")]


async def _main(way: str, count: int, port: int) -> None:
    """Take all steps in ``count`` processes of one executor, and say what they weigh."""
    from videosdk.agents.execution import ResourceConfig, ResourceType, TaskExecutor, TaskType

    measured = asyncio.Event()
    end_with_parent(lambda: measured.is_set() or os._exit(1))
    multiprocessing.set_forkserver_preload(WAYS[way][1])
    config = ResourceConfig(
        resource_type=ResourceType.PROCESS,
        num_idle_resources=count,
        max_resources=count,
        initialize_timeout=60.0,
        close_timeout=5.0,
        use_dedicated_inference_process=False,
    )
    executor = TaskExecutor(config)
    await executor.start()
    weights: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            jobs = [
                asyncio.create_task(
                    executor.execute(take_step, TaskType.JOB, 300.0, 0, 0, step, folder, port)
                )
                for _ in range(count)
            ]
            while len(there := _marks(folder, step)) < count:
                if failed := next((job.result().error for job in jobs if job.done()), None):
                    raise RuntimeError(failed)
                await asyncio.sleep(_LOOK)
            sizes = [weigh(int(process)) for process in there]
            weights[step] = {key: statistics.fmean(size[key] for size in sizes) for key in _SIZES}
            _mark(folder, step, "done")
            await asyncio.gather(*jobs)
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    weights["fork server"] = weigh(server)
    await executor.stop()
    measured.set()  # The parent has no more to wait for than an orderly end.
    say(**weights)


def measure(count: int) -> dict[str, Any]:
    """Run everything, and return the document."""
    with tempfile.TemporaryDirectory() as folder:
        environment = make_certificates(Path(folder)).environment
        with Child("benchmarks.server", folder) as server:
            port = str(server.answer()["service"])
            weights = {}
            for way in WAYS:
                arguments = ("--way", way, "--port", port, "--processes", str(count))
                with Child("benchmarks.process_memory", *arguments, environment=environment) as child:
                    weights[way] = child.answer()
    return {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "processes": count,
        "weights": weights,
    }


def markdown(document: dict[str, Any]) -> str:
    """Return a run as a Markdown table."""
    weights = document["weights"]
    head = f"MiB of each of {document['processes']} processes: RSS, PSS, USS"
    lines = [f"| {head} | {' | '.join(title for title, _ in WAYS.values())} |"]
    lines.append("|---|" + "---:|" * len(WAYS))
    for step, title in {**STEPS, "fork server": "the fork server"}.items():
        cells = [", ".join(f"{weights[way][step][key]:.0f}" for key in _SIZES) for way in WAYS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.process_memory", description="Weigh the processes of VideoSDK's worker."
    )
    parser.add_argument("--processes", type=int, default=8, help="processes side by side (default: 8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        print("This needs Linux: memory is read from /proc.", file=sys.stderr)
        return 1
    if options.way:
        asyncio.run(_main(options.way, options.processes, options.port))
        return 0
    document = measure(options.processes)
    print(markdown(document))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

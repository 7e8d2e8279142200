"""Eight calls, each in a process of VideoSDK's executor, share one plan that is too small for them.

The plan is kept in Redis. The local server has the limits of the plan and refuses what exceeds it; a second
provider speaks what the plan has no room for. No account and no network are needed, but ``redis-server`` and
three quarters of a minute::

    pip install -e ".[local]" redis
    python examples/workers/workers.py
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))
# The processes that are started find the modules beside this one, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))

if __name__ == "__main__":
    # The imports take seconds, and there is nothing to clean up yet.
    signal.signal(signal.SIGINT, lambda *_: (os.write(2, b"Interrupted.\n"), os._exit(130)))

try:
    from call import Result, Settings, Turn, hold_call
    from shared_plan import PATIENCE
    from videosdk.agents.execution import ResourceConfig, ResourceType, TaskExecutor, TaskType

    from videosdk.plugins.lokutor.local.server import LocalServer
    from videosdk.plugins.lokutor.local.signal_engine import SignalEngine
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed: pip install -e ".[local]" redis')

CALLS = 8
STARTUP = 1.0
"""Seconds for the processes, which are ready, to make their plugins."""


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Redis on a Unix socket, and yield its URL."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server is not installed: apt-get install redis-server")
    with TemporaryDirectory() as folder:
        place = f"{folder}/redis.sock"
        # No port: another program could take one that is free before Redis does.
        command = [program, "--port", "0", "--unixsocket", place, "--save", "", "--appendonly", "no"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
            try:
                yield f"unix://{place}", process
            finally:
                process.terminate()


async def hold_calls(options: argparse.Namespace) -> None:
    """Hold all calls, and show what became of them."""
    config = ResourceConfig(
        resource_type=ResourceType.PROCESS,
        num_idle_resources=CALLS,
        max_resources=CALLS,
        initialize_timeout=60.0,
        close_timeout=2.0,
        use_dedicated_inference_process=False,
    )
    executor = TaskExecutor(config)
    with redis_server() as (redis, process):
        async with (
            LocalServer(SignalEngine(), requests_per_minute=options.per_minute, sessions=20) as first,
            LocalServer(SignalEngine()) as second,
        ):
            await executor.start()
            try:
                print(f"{CALLS} processes are ready", flush=True)
                interval = 60 / (options.demand * options.per_minute / CALLS)
                turns = round(options.seconds / interval)
                start = time.time() + STARTUP
                calls = [
                    executor.execute(
                        hold_call,
                        TaskType.JOB,
                        300.0,
                        0,
                        0,
                        Settings(
                            number,
                            redis,
                            options.per_minute,
                            first.url,
                            second.url,
                            start,
                            turns,
                            interval,
                            options.redis_timeout,
                        ),
                    )
                    for number in range(CALLS)
                ]
                refused_before: list[int] = []

                def kill_redis() -> None:
                    refused_before.append(sum(first.refusals.values()))
                    process.kill()
                    asked = (
                        f"{requests_to(first)} requests to the first and {requests_to(second)} to the second"
                    )
                    print(f"Redis is killed, after {asked}", flush=True)

                if options.kill_redis is not None:
                    asyncio.get_running_loop().call_later(STARTUP + options.kill_redis, kill_redis)
                done = await asyncio.gather(*calls)
                results = [each.result for each in done if isinstance(each.result, Result)]
                if len(results) < CALLS:
                    sys.exit(f"A call failed: {next(each.error for each in done if each.error)}")
                show(results, first, options)
                for refused in refused_before:
                    print(f"refused while Redis ran  {refused}", flush=True)
            finally:
                await executor.stop()


def show(results: list[Result], first: LocalServer, options: argparse.Namespace) -> None:
    """Print what became of the turns."""
    turns = [turn for result in results for turn in result.turns]
    errors = {error for result in results for error in result.errors}
    speakers = [turn.speaker for turn in turns]
    print(f"turns                    {len(turns)}")
    print(f"by the first provider    {speakers.count(0)}")
    print(f"by the second provider   {speakers.count(1)}")
    print(f"by nobody                {speakers.count(None)}")
    print(f"requests to the first    {requests_to(first)}")
    print(f"in the busiest minute    {busiest_minute(turns)} of the plan's {options.per_minute}")
    print(f"refused by the service   {sum(first.refusals.values())}")
    print(f"longest wait, first, s   {longest_wait(turns, 0):.2f}")
    print(f"longest wait, second, s  {longest_wait(turns, 1):.2f}")
    print(f"errors                   {', '.join(sorted(errors)) or 'none'}")


def requests_to(server: LocalServer) -> int:
    """Return how many requests a provider has got."""
    return sum(len(record.requests) for record in server.connections)


def busiest_minute(turns: list[Turn]) -> int:
    """Return how many turns, of one request each, the first provider has begun within 60 s."""
    moments = sorted(turn.first_audio for turn in turns if turn.speaker == 0 and turn.first_audio)
    return max((bisect(moments, begun + 60) - at for at, begun in enumerate(moments)), default=0)


def longest_wait(turns: list[Turn], speaker: int) -> float:
    """Return the most seconds from a turn's text to its first audio, of those that a provider has spoken."""
    waits = [turn.first_audio - turn.begun for turn in turns if turn.speaker == speaker and turn.first_audio]
    return max(waits, default=0.0)


def main() -> None:
    """Read the command line, and hold the calls."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--per-minute", type=int, default=60, help="requests of the plan (default: 60)")
    parser.add_argument(
        "--demand", type=float, default=3.0, help="times the plan that is wanted (default: 3)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the calls last (default: 30)")
    parser.add_argument("--kill-redis", type=float, help="seconds after which Redis is killed")
    parser.add_argument(
        "--redis-timeout",
        type=float,
        default=PATIENCE,
        help=f"seconds that Redis may take for an answer (default: {PATIENCE})",
    )
    options = parser.parse_args()
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    # The executor starts one process after the other. Without this, each imports the framework for itself.
    multiprocessing.set_forkserver_preload(["call", "videosdk.plugins.lokutor.local.server"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for this process, which ends those of the calls.
    forkserver.ensure_running()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(hold_calls(options))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

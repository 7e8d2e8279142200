"""The example of many processes on one plan: VideoSDK's executor, a real Redis, and a service with limits."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from kit.examples import Running, interrupt_example, watch_example
from kit.waits import PATIENCE

PLAN = 16
WANTED = ["--per-minute", str(PLAN), "--demand", "60", "--seconds", "5", "--kill-redis", "3"]
"""Sixteen turns a second: the plan is used up after one, and two more seconds are as they shall be."""
# Only for a slow machine: a Redis that is killed refuses at once.
WANTED += ["--redis-timeout", str(PATIENCE)]

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed: apt-get install redis-server"
)


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[Running]:
    """Begin a run whose Redis is killed before its end: each test waits for the next part of it."""
    with watch_example("workers/workers.py", *WANTED, anew=True) as running:
        yield running


@pytest.fixture(scope="module")
def run(running: Running) -> dict[str, str]:
    """Return the figures of the run, when its calls are over."""
    figures = running.prints(r"^turns  [\s\S]*^refused while Redis ran  .+\n")[0]
    return dict(re.findall(r"^(\S.*?)  +(.+)$", figures, re.MULTILINE))


def test_it_tells_when_its_processes_are_ready(running: Running) -> None:
    running.prints(r"\A8 processes are ready$")


def test_the_plan_is_used_up_while_redis_runs(running: Running) -> None:
    told = running.prints(r"^Redis is killed, after (\d+) requests to the first and (\d+) to the second$")
    assert 0.9 * PLAN <= int(told[1]) <= PLAN
    assert int(told[2]) > 0


def test_the_plan_is_used_and_nothing_is_refused(run: dict[str, str]) -> None:
    assert run["refused while Redis ran"] == "0"
    assert int(run["requests to the first"]) >= int(run["by the first provider"])
    assert int(run["in the busiest minute"].split()[0]) >= 0.9 * PLAN


def test_what_the_plan_has_no_room_for_is_spoken_by_the_second_provider(run: dict[str, str]) -> None:
    assert int(run["by the second provider"]) > 0
    assert int(run["by the first provider"]) + int(run["by the second provider"]) == int(run["turns"])
    assert run["errors"] == "RateLimitError"


def test_no_turn_is_lost_where_redis_is_killed(run: dict[str, str]) -> None:
    assert run["by nobody"] == "0"
    assert int(run["refused by the service"]) > 0  # The limiter let everything pass.


def test_it_ends_well(running: Running) -> None:
    done = running.ends()
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_it_and_its_processes_without_a_traceback() -> None:
    done = interrupt_example("workers/workers.py", engine="signal_engine.SignalEngine")
    assert (done.returncode, done.stdout, done.stderr) == (130, "8 processes are ready\n", "Interrupted.\n")

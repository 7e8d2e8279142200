"""The example of many processes on one plan: VideoSDK's executor, a real Redis, and a service with limits."""

from __future__ import annotations

import re
import shutil

import pytest
from kit.examples import interrupt_example, run_example

PLAN = 40
WANTED = ["--per-minute", str(PLAN), "--demand", "6", "--seconds", "12", "--kill-redis", "8"]
"""The plan is used up after 3 s; for 8 s all is as it shall be."""

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed: apt-get install redis-server"
)


@pytest.fixture(scope="module")
def run() -> dict[str, str]:
    """Return the figures of a run whose Redis is killed before its end."""
    done = run_example("workers/workers.py", *WANTED, anew=True)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^(\S.*?)  +(.+)$", done.stdout, re.MULTILINE))


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


def test_ctrl_c_ends_it_and_its_processes_without_a_traceback() -> None:
    done = interrupt_example("workers/workers.py", engine="signal_engine.SignalEngine")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")

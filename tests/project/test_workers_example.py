"""The example of many processes on one plan: VideoSDK's executor, a real Redis, and a service with limits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "workers" / "workers.py"
PLAN = 40
WANTED = ["--per-minute", str(PLAN), "--demand", "6", "--seconds", "12"]

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed: apt-get install redis-server"
)


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, dict[str, str]]]:
    """Return the figures of two runs, side by side: an ordinary one, and one whose Redis is killed."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("LOKUTOR_", "VIDEOSDK_"))
    }
    more = {"plan": [], "killed": ["--kill-redis", "3"]}
    processes = {
        name: subprocess.Popen(
            [sys.executable, EXAMPLE, *WANTED, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for name, options in more.items()
    }
    try:
        answers = {name: process.communicate(timeout=180) for name, process in processes.items()}
        for name, process in processes.items():
            assert process.returncode == 0, answers[name]
        yield {
            name: dict(re.findall(r"^(\S.*?)  +(.+)$", stdout, re.MULTILINE))
            for name, (stdout, _) in answers.items()
        }
    finally:
        for process in processes.values():
            process.kill()


def test_the_plan_is_used_and_nothing_is_refused(runs: dict[str, dict[str, str]]) -> None:
    run = runs["plan"]
    assert run["refused by the service"] == "0"
    assert int(run["requests of the plan"].split()[0]) >= 0.9 * PLAN


def test_what_the_plan_has_no_room_for_is_spoken_by_the_second_provider(
    runs: dict[str, dict[str, str]],
) -> None:
    run = runs["plan"]
    assert run["by nobody"] == "0"
    assert int(run["by the second provider"]) > 0
    assert int(run["by the first provider"]) + int(run["by the second provider"]) == int(run["turns"])
    assert run["errors"] == "RateLimitError"


def test_no_turn_is_lost_where_redis_is_killed(runs: dict[str, dict[str, str]]) -> None:
    run = runs["killed"]
    assert run["by nobody"] == "0"
    assert int(run["by the first provider"]) >= 0.9 * PLAN

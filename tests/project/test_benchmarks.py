"""The benchmark runs from end to end and tells the truth about what can be told without a clock."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trustme", reason="the benchmark's extra is not installed")

import benchmarks.__main__ as benchmark
from benchmarks.barge_in import _stale
from benchmarks.bench import Bench
from benchmarks.contenders import CONTENDERS, FLOOR
from benchmarks.goals import ROWS, judge, summarize
from benchmarks.plan import Plan
from benchmarks.processes import Child
from benchmarks.relay import Relay
from benchmarks.report import table

ROOT = Path(__file__).parents[2]
OURS = "lokutor"


def run_benchmark(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOKUTOR_")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("benchmark")
    done = run_benchmark(
        "--quick", "--rtt", "10", "--json", str(folder / "run.json"), "--picture", str(folder / "run.png")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "run.json").read_text(encoding="utf-8")), folder / "run.png"


def test_every_row_has_a_figure_of_ours(quick_run: tuple[str, dict[str, Any], Path]) -> None:
    _, document, _ = quick_run
    assert [row["key"] for row in document["rows"]] == [row.key for row in ROWS]
    assert not [row["key"] for row in document["rows"] if OURS not in row["values"]]
    assert document["failures"] == []


def test_the_floor_is_measured_wherever_the_goal_refers_to_it(
    quick_run: tuple[str, dict[str, Any], Path],
) -> None:
    _, document, _ = quick_run
    rows = {row["key"]: row for row in document["rows"]}
    for key in ("cold", "warm", "after_reply", "after_say", "tokens", "processor", "stall"):
        assert FLOOR in rows[key]["values"], key
        assert rows[key]["ratios"][FLOOR] == 1.0


def test_nothing_stale_reaches_the_track(quick_run: tuple[str, dict[str, Any], Path]) -> None:
    _, document, _ = quick_run
    stale = next(row for row in document["rows"] if row["key"] == "stale")
    assert set(stale["samples"][OURS]) == {0.0}


def test_the_document_tells_how_it_came_about(quick_run: tuple[str, dict[str, Any], Path]) -> None:
    _, document, _ = quick_run
    assert document["parameters"]["round_trip_ms"] == 10.0
    assert document["versions"]["videosdk-agents"]
    assert document["machine"]["cores"]
    assert not any("node" in key or "host" in key for key in document["machine"])


def test_the_table_shows_who_was_there_and_how_to_get_the_others(
    quick_run: tuple[str, dict[str, Any], Path],
) -> None:
    printed, _, _ = quick_run
    head = next(line for line in printed.splitlines() if FLOOR in line and OURS in line)
    for contender in CONTENDERS:
        if contender.version is None:
            assert f"pip install {contender.package}" in printed
            assert contender.name not in head.split()
        else:
            assert contender.name in head.split()


def test_the_picture_is_drawn(quick_run: tuple[str, dict[str, Any], Path]) -> None:
    _, _, picture = quick_run
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_picture_or_a_file_just_prints(tmp_path: Path) -> None:
    done = run_benchmark("--help")
    assert done.returncode == 0
    assert "--quick" in done.stdout


@pytest.mark.parametrize(
    ("heard", "stale"),
    [(b"abcd", 0), (b"xxabcd", 2), (b"abcdyy", 2), (b"abXcd", 1), (b"", 1), (b"abc", 1)],
)
def test_stale_counts_what_does_not_belong(heard: bytes, stale: int) -> None:
    assert _stale(heard, b"abcd") == stale


def test_goals_are_judged_by_the_run_s_own_floor() -> None:
    warm = next(row for row in ROWS if row.key == "warm")
    good = judge(warm, {"warm": {FLOOR: 120.0, OURS: 122.9}}, 40.0)
    bad = judge(warm, {"warm": {FLOOR: 120.0, OURS: 123.1}}, 40.0)
    assert good is not None
    assert bad is not None
    assert (good["met"], bad["met"]) == (True, False)
    assert judge(warm, {"warm": {OURS: 120.0}}, 40.0) == {
        "text": "at most the floor + 3 ms",
        "limit": None,
        "met": None,
    }


def test_one_stale_sample_is_enough_to_miss_the_goal() -> None:
    values = summarize({"stale": {OURS: [0.0, 0.0, 4.0]}})
    assert values["stale"][OURS] == 4.0


def test_a_failure_is_in_the_table() -> None:
    document = {"rows": [], "failures": [{"group": "cold", "contender": "lmnt", "error": "it hung"}]}
    assert "FAILED: cold, lmnt: it hung" in table(document)


@pytest.mark.asyncio(loop_factories=["asyncio"])  # The one that the benchmark runs on.
async def test_the_relay_brings_every_byte_and_both_ends() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])  # All of it: the client's end must come through.
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(server.sockets[0].getsockname()[1], 0.002)
    port = await relay.listen()
    sent = bytes(range(256)) * 4000
    async with asyncio.timeout(20), server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent[::-1]
        writer.close()
        await writer.wait_closed()
    relay.close()


async def test_a_contender_that_fails_is_reported_and_leaves_the_others_alone() -> None:
    bench = Bench({"good": CONTENDERS[0], "bad": CONTENDERS[1]}, port=0, control="", plan=Plan(samples=3))

    async def sample(name: str) -> dict[str, float]:
        if name == "bad":
            raise RuntimeError("it hung")
        return {"cold": 1.0}

    await bench.interleave("first audio", sample)
    assert bench.results.samples == {"cold": {"good": [1.0, 1.0, 1.0]}}
    assert bench.results.failures == [
        {"group": "first audio", "contender": "bad", "error": "RuntimeError: it hung"}
    ]


def test_a_failure_ends_in_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {
        "samples": {},
        "failures": [{"group": "memory", "contender": "lokutor", "error": "it hung"}],
    }
    monkeypatch.setattr(benchmark, "_measure", lambda plan, round_trip: failed)
    assert benchmark.main(["--quick"]) == 1


def test_no_process_is_left_when_a_child_can_t_start() -> None:
    with Child("benchmarks.no_such_module") as child, pytest.raises(RuntimeError, match="before it was done"):
        child.answer()

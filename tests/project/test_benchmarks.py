"""The benchmark runs from end to end and tells the truth about what can be told without a clock."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trustme", reason="the benchmark's extra is not installed")

from kit.examples import environment_with
from kit.processes import ForkedPopen, can_fork
from kit.waits import PATIENCE

import benchmarks.__main__ as benchmark
from benchmarks import capacity, client, process_memory
from benchmarks.barge_in import _stale
from benchmarks.bench import Bench
from benchmarks.contenders import CONTENDERS, FLOOR
from benchmarks.goals import OURS, ROWS, judge, spread, summarize
from benchmarks.heard import Aftermath, aftermath
from benchmarks.plan import Plan
from benchmarks.processes import Child
from benchmarks.relay import Relay
from benchmarks.report import capacity_markdown, markdown, table
from benchmarks.resampling import levels, ours, soxr, tone
from benchmarks.track import TRACK_RATE, ClockedTrack, Frame

ROOT = Path(__file__).parents[2]


def run_benchmark(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        env=environment_with(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


HAS_CAPACITY = Path("/proc/self/smaps_rollup").exists()


FIRST, *OTHERS = [title for title, _ in client._GROUPS]
STAGES = ["preparation", FIRST, *OTHERS[:-1], "memory, processes", OTHERS[-1]]


class QuickRun:
    """The benchmark at its quickest, run as a user does; it goes on while the tests look at what it has told.

    Args:
        folder: Where its files go.

    Attributes:
        begun: Set when its first group is measured, and in the end.
    """

    def __init__(self, folder: Path) -> None:
        self.picture = folder / "run.png"
        self._document, self._printed = folder / "run.json", folder / "printed"
        self.begun = threading.Event()
        # Warnings are errors, as in this process; its children take over no option.
        command = [sys.executable, "-W", "error", "-m", "benchmarks", "--quick", "--rtt", "10"]
        command += ["--json", str(self._document), "--picture", str(self.picture)]
        with self._printed.open("w") as printed:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment_with(),
                stdout=printed,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._said: dict[str, list[str]] = {stage: [] for stage in STAGES}
        self._measured = {stage: threading.Event() for stage in STAGES}
        self._seen = set[str]()
        self._rest: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Sort what it says by the groups, each of which ends with a line of its seconds."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            title, _, seconds = line.strip().rpartition(": ")
            if title in self._said and re.fullmatch(r"\d+ s", seconds):
                self._said[title], self._rest = self._rest, []
                self._seen.add(title)
                self._measured[title].set()
                if title == FIRST:
                    self.begun.set()
            else:
                self._rest.append(line)
        for event in (self.begun, *self._measured.values()):
            event.set()

    def said_of(self, group: str) -> list[str]:
        """Wait until a group is measured, and return what was said meanwhile."""
        self._measured[group].wait()
        assert group in self._seen, "".join(self._rest)
        return self._said[group]

    def result(self) -> tuple[str, dict[str, Any]]:
        """Wait for its end, and return what it has printed and the document."""
        self._reader.join()
        printed = self._printed.read_text(encoding="utf-8")
        assert self._process.wait() == 0, printed + "".join(self._rest)
        return printed, json.loads(self._document.read_text(encoding="utf-8"))

    def close(self) -> None:
        """End it, if it hasn't come to its end: nobody wants to know any more."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture(scope="module")
def forks() -> Iterator[None]:
    """Fork the benchmark's processes, which import the framework; the first of each module is anew.

    Those of the quick run are.
    """
    begun = {"benchmarks.client", "benchmarks.memory", "benchmarks.relay", "benchmarks.server"}
    # Threads start processes while pytest writes the name of each test into the environment.
    environment = environment_with()

    def start(
        command: list[str], *, env: Mapping[str, str] | None, **options: Any
    ) -> ForkedPopen | subprocess.Popen[str]:
        _, _, module, *_ = command
        anew = module not in begun or not can_fork()
        begun.add(module)
        return (subprocess.Popen if anew else ForkedPopen)(command, env=env or environment, **options)

    with pytest.MonkeyPatch.context() as patch:
        theirs = SimpleNamespace(**{**vars(subprocess), "Popen": start})
        patch.setattr("benchmarks.processes.subprocess", theirs)
        patch.setattr("benchmarks.certificates.os", SimpleNamespace(environ=environment))
        yield


@dataclass
class Started:
    """What goes on beside the tests; None where no test that was chosen looks at it."""

    quick_run: QuickRun | None
    capacity: Future[dict[str, Any]] | None
    process_memory: Future[dict[str, Any]] | None


@pytest.fixture(scope="module")
def started(
    forks: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Started]:
    """Start what is measured, all of it side by side: it mostly waits, and no time is judged here.

    The quick run starts alone: its processes import the framework all at once.
    """
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    run = QuickRun(tmp_path_factory.mktemp("benchmark")) if "quick_run" in wanted else None

    def measure(what: Callable[..., dict[str, Any]], extent: Any) -> dict[str, Any]:
        if run is not None:
            run.begun.wait()
        return what(extent)

    with ThreadPoolExecutor(2) as pool:
        yield Started(
            run,
            pool.submit(measure, capacity.measure, capacity.Extent.quick())
            if HAS_CAPACITY and "measured_capacity" in wanted
            else None,
            pool.submit(measure, process_memory.measure, 1)
            if sys.platform == "linux" and "weights" in wanted
            else None,
        )
        if run is not None:
            run.close()


@pytest.fixture(scope="module")
def quick_run(started: Started) -> QuickRun:
    assert started.quick_run is not None
    return started.quick_run


@pytest.fixture
def measured_capacity(started: Started) -> dict[str, Any]:
    assert started.capacity is not None
    return started.capacity.result()


@pytest.fixture
def weights(started: Started) -> dict[str, Any]:
    """Return the MiB of each way and step."""
    assert started.process_memory is not None
    weights: dict[str, Any] = started.process_memory.result()["weights"]
    return weights


@pytest.mark.parametrize("group", STAGES)
def test_a_group_is_measured_and_nobody_fails_in_it(quick_run: QuickRun, group: str) -> None:
    assert not [line for line in quick_run.said_of(group) if " failed: " in line]


def test_every_row_has_a_figure_of_ours(quick_run: QuickRun) -> None:
    _, document = quick_run.result()
    assert [row["key"] for row in document["rows"]] == [row.key for row in ROWS]
    assert not [row["key"] for row in document["rows"] if OURS not in row["values"]]
    assert document["failures"] == []


def test_the_floor_is_measured_wherever_the_goal_refers_to_it(
    quick_run: QuickRun,
) -> None:
    _, document = quick_run.result()
    rows = {row["key"]: row for row in document["rows"]}
    first = ("cold", "warm", "after_reply", "after_say", "tokens")
    for key in (*first, *(f"{key}_heard" for key in first), "processor", "stall"):
        assert FLOOR in rows[key]["values"], key
        assert rows[key]["ratios"][FLOOR] == 1.0


def test_nothing_stale_reaches_the_track(quick_run: QuickRun) -> None:
    _, document = quick_run.result()
    stale = next(row for row in document["rows"] if row["key"] == "stale")
    assert set(stale["samples"][OURS]) == {0.0}


def test_nothing_stale_is_heard_and_the_next_reply_is(
    quick_run: QuickRun,
) -> None:
    _, document = quick_run.result()
    rows = {row["key"]: row["samples"] for row in document["rows"]}
    assert set(rows["stale_heard"][OURS]) == {0.0}
    assert set(rows["spoiled"][OURS]) == {0.0}


def test_nothing_is_heard_before_it_is_given(quick_run: QuickRun) -> None:
    _, document = quick_run.result()
    rows = {row["key"]: row["samples"] for row in document["rows"]}
    for key in ("cold", "warm", "after_reply", "after_say", "tokens"):
        for name, given in rows[key].items():
            heard = rows[f"{key}_heard"][name]
            assert len(heard) == len(given), (key, name)
            assert all(later >= earlier for later, earlier in zip(heard, given, strict=True)), (key, name)


def test_what_is_heard_is_shown_with_its_spread(quick_run: QuickRun) -> None:
    _, document = quick_run.result()
    heard = [row for row in ROWS if row.heard]
    assert {row.key for row in heard} >= {"cold_heard", "warm_heard", "after_say_heard", "stop"}
    for row in (each for each in document["rows"] if each["key"] in {row.key for row in heard}):
        assert set(row["spread"][OURS]) == {"p50", "p95", "iqr", "n"}
    assert "P50 / P95 (interquartile range)" in markdown(document)


def test_the_document_tells_how_it_came_about(quick_run: QuickRun) -> None:
    _, document = quick_run.result()
    assert document["parameters"]["round_trip_ms"] == 10.0
    assert document["versions"]["videosdk-agents"]
    assert document["machine"]["cores"]
    assert not any("node" in key or "host" in key for key in document["machine"])


def test_the_table_shows_who_was_there_and_how_to_get_the_others(
    quick_run: QuickRun,
) -> None:
    printed, _ = quick_run.result()
    head = next(line for line in printed.splitlines() if FLOOR in line and OURS in line)
    for contender in CONTENDERS:
        if contender.version is None:
            assert f"pip install {contender.package}" in printed
            assert contender.name not in head.split()
        else:
            assert contender.name in head.split()


def test_the_picture_is_drawn(quick_run: QuickRun) -> None:
    quick_run.result()
    assert quick_run.picture.read_bytes().startswith(b"\x89PNG")


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


REPLY = (12_000 * np.sin(np.arange(TRACK_RATE // 2) ** 1.3)).astype(np.int16)
OLD = (9_000 * np.sin(np.arange(TRACK_RATE) ** 1.2)).astype(np.int16)


def handed_out(*parts: np.ndarray[Any, Any], at: float) -> list[Frame]:
    samples = np.concatenate(parts)
    return [(at + place / TRACK_RATE, samples[place : place + 480]) for place in range(0, len(samples), 480)]


def test_a_clean_barge_in_stops_within_the_frame_and_the_new_reply_is_whole() -> None:
    frames = handed_out(OLD[:4800], at=9.81) + handed_out(REPLY, at=10.2)
    heard = aftermath(frames, REPLY, stopped=10.0, done=10.001)
    assert heard.stop == pytest.approx(0.01, abs=0.001)
    assert (heard.stale, heard.whole) == (0, True)
    assert heard.first_sound == pytest.approx(10.2, abs=0.001)


def test_the_old_reply_in_the_new_one_is_stale() -> None:
    frames = handed_out(OLD[:9600], at=9.81) + handed_out(REPLY, OLD[9600:10_080], at=10.3)
    heard = aftermath(frames, REPLY, stopped=10.0, done=10.001)
    assert heard.stop == pytest.approx(0.21, abs=0.001)
    assert heard.stale == pytest.approx(9600 - 4800 + 480, abs=30)  # Some are too near to zero.
    assert not heard.whole


def test_a_reply_that_is_never_heard_has_no_first_sound() -> None:
    heard = aftermath(handed_out(OLD, at=9.9), REPLY, stopped=10.0, done=10.0)
    assert (heard.first_sound, heard.whole) == (None, False)
    assert aftermath([], REPLY, stopped=10.0, done=10.0) == Aftermath(0.0, 0, None, whole=False)


async def test_the_track_tells_when_it_was_heard_and_which_frames_were_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.track._LATE", PATIENCE)  # No frame is too late on a busy machine.
    track = ClockedTrack()
    frame = REPLY[:480].tobytes()
    await track.add_new_bytes(bytes(960) + frame)
    await track.recv()
    assert track.first_sound is None
    await track.recv()
    assert track.first_sound is not None
    await track.recv()
    assert track.missing == 0  # The reply may have ended here.
    await track.add_new_bytes(frame)
    await track.recv()
    assert (track.played, track.missing) == (3, 1)
    assert len(track.all_frames()) == 3


def test_spread_is_told_of_many_and_of_one() -> None:
    assert spread([float(value) for value in range(101)]) == {"p50": 50, "p95": 95, "iqr": 50, "n": 101}
    assert spread([3.0]) == {"p50": 3.0, "p95": 3.0, "iqr": 0.0, "n": 1}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, None),
        ({"first_sound_p95": 161.0}, "first sound"),
        ({"missing": 0.002}, "missing frames"),
        ({"server_late_p95": 11.0, "first_sound_p95": 161.0}, "the server"),
        ({"errors": ["nothing was heard"]}, "errors"),
        ({"first_sound_p95": None}, "errors"),
    ],
)
def test_a_level_is_held_or_fails_by_what_failed(changes: dict[str, Any], verdict: str | None) -> None:
    single = {"first_sound_p95": 140.0}
    level = {"first_sound_p95": 159.0, "missing": 0.0005, "server_late_p95": 1.0, "errors": [], **changes}
    assert capacity._verdict(level, single) == verdict


@pytest.mark.parametrize(("ours", "verdict"), [(0.5, "met"), (0.51, "missed")])
def test_the_processor_time_of_a_full_process_is_judged_where_both_were_carried(
    ours: float, verdict: str
) -> None:
    def run(calls: int, *cores: float) -> dict[str, Any]:
        levels_ = [
            {"calls": calls, "callers_cores": used, "server_cores": 0.2, "first_sound_p95": 140.0}
            for calls, used in zip((1, 40, 80), cores, strict=True)
        ]
        return {"calls": calls, "single": 140.0, "ended_by": "first sound", "levels": levels_}

    runs = {OURS: run(40, 0.1, ours, 9.0), "lmnt": run(80, 0.1, 0.5, 0.8)}
    memory = {key: {"rss": 1.0, "pss": 1.0} for key in ("framework", *runs)}
    table_ = capacity_markdown({"runs": {"one": runs, "each": runs}, "memory": memory})
    assert f"cores used by 40 calls. Goal: at most lmnt's ({verdict}) | {ours:.2f} | 0.50 |" in table_


@pytest.mark.skipif(not HAS_CAPACITY, reason="it needs Linux")
def test_a_quick_look_at_capacity(measured_capacity: dict[str, Any]) -> None:
    document = measured_capacity
    for way in ("one", "each"):
        levels_ = document["runs"][way][OURS]["levels"]
        assert [level["errors"] for level in levels_] == [[]] * len(levels_)
        assert all(level["turns"] for level in levels_)
    assert document["memory"][OURS]["rss"] > document["memory"]["framework"]["pss"] / 2
    assert "a process per call" in capacity_markdown(document)


@pytest.mark.parametrize("rate", [24_000, 8_000])
def test_the_converter_keeps_a_tone_and_adds_nothing(rate: int) -> None:
    kept, added = levels(ours(tone(1000), rate), rate, 1000)
    assert kept == pytest.approx(0, abs=0.1)
    assert added < -80
    assert levels(ours(tone(15_000), rate), rate, 15_000)[1] < -80


def test_another_converter_is_measured_alike() -> None:
    pytest.importorskip("soxr")
    kept, added = levels(soxr(tone(1000), 24_000), 24_000, 1000)
    assert kept == pytest.approx(0, abs=0.1)
    assert added < -80


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


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server and what it shares are Linux's")
def test_processes_share_what_the_fork_server_has_imported(weights: dict[str, Any]) -> None:
    for sizes in weights.values():
        assert all(size["rss"] > size["pss"] > size["uss"] > 0 for size in sizes.values())
    alone = {way: weights[way]["call"]["uss"] for way in process_memory.WAYS}
    assert alone["default"] > alone["preload"] > alone["freeze"]

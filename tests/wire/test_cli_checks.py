"""The commands that examine a service: what they print, write, ask and cost."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import select
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kit import PATIENCE, until
from kit.processes import start_python
from kit.service import KEY, TIMED, NotedService, speech

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._cli.commands import main
from videosdk.plugins.lokutor._cli.services import _replaying
from videosdk.plugins.lokutor._conformance.facts import FACTS
from videosdk.plugins.lokutor.errors import AuthenticationError


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, as a user who has set nothing."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NotedService]:
    """Return the service that the environment names."""
    async with NotedService() as service:
        monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
        monkeypatch.setenv("LOKUTOR_BASE_URL", service.address)
        yield service


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a caller of ``main`` in a thread, so that a server of the test's own loop can answer it."""

    async def call(*arguments: str) -> Result:
        async with asyncio.timeout(3 * PATIENCE):
            status = await asyncio.to_thread(main, arguments)
        return Result(status, *capsys.readouterr())

    return call


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# conformance


def differing(result: Result) -> set[str]:
    """Return the facts that are said to be otherwise."""
    return set(re.findall(r"^  differs \[.\] ([\w-]+):", result.out, re.MULTILINE))


async def test_conformance_needs_no_account(call: Any) -> None:
    result = await call("conformance", "--idle", "0")
    late = differing(result)
    assert late <= TIMED, result
    assert result.status == bool(late)
    assert "local server" in result.err
    held = len(FACTS) - 2 - len(late)
    assert (
        f"Of {len(FACTS)} assumptions: {held} as assumed, {len(late)} otherwise, 2 not known." in result.out
    )
    lines = [line for line in result.out.splitlines() if line.startswith("  ")]
    assert len(lines) == len(FACTS)
    assert "(local (default))" in result.out
    assert "***" not in result.out


async def test_conformance_says_what_is_otherwise_and_what_follows(
    service: NotedService, here: Path, call: Any
) -> None:
    service.paths = {"/ws"}
    service.codes["validation.invalid_voice"] = f"{KEY}\x1b[31m\nsecond line"
    result = await call("conformance", "--idle", "0", "--out", "report.json")
    assert result.status == 1
    assert {"path", "error-voice"} <= differing(result) <= {"path", "error-voice", *TIMED}
    assert re.fullmatch(r"error: not as assumed: path, (?:[\w-]+, )*error-voice\n", result.err)
    assert "  differs [A] path: " in result.out
    assert "The plugin can't connect" in result.out
    written = (here / "report.json").read_text("utf-8")
    assert {fact["name"] for fact in json.loads(written)["facts"]} == {fact.name for fact in FACTS}
    assert json.loads(written)["complete"]
    assert os.listdir(here) == ["report.json"]
    assert KEY not in written + result.out + result.err
    assert "\x1b" not in result.out


async def test_conformance_takes_another_address(service: NotedService, call: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOKUTOR_BASE_URL", "wss://nowhere.invalid")
    assert differing(await call("conformance", "--idle", "0", "--url", service.address)) <= TIMED
    assert service.conversations


@pytest.mark.parametrize("arguments", [["--too-long"], ["--rate-limit", "12"]])
async def test_more_than_usual_is_asked_for(service: NotedService, call: Any, arguments: list[str]) -> None:
    result = await call("conformance", *arguments)
    assert result.status == 2
    assert "instead of 3,000. Add --yes" in result.err
    assert not service.conversations


@pytest.mark.parametrize("answer", ["n\n", "", "\n"])
async def test_no_leave_no_request(service: NotedService, call: Any, monkeypatch: Any, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    result = await call("conformance", "--too-long")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith("Go on? [y/N]\nerror: nothing was sent\n")
    assert not service.conversations


async def test_leave_at_the_terminal(service: NotedService, call: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    result = await call("conformance", "--too-long", "--idle", "0")
    assert differing(result) <= TIMED, result
    assert max(len(fields["text"]) for fields in service.served) == 1_000


@pytest.mark.parametrize(("longest", "shown"), [(500, "3,502"), (6_000, "9,002"), (None, "8,002")])
async def test_leave_is_asked_for_as_much_as_the_longest_text_takes(
    service: NotedService, call: Any, monkeypatch: Any, longest: int | None, shown: str
) -> None:
    service.routes["/config"]["max_text_length"] = longest
    monkeypatch.setattr("kit.service._LONGEST", longest or 5_000)
    result = await call("conformance", "--too-long")
    assert f"may send {shown} characters" in result.err
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    result = await call("conformance", "--too-long", "--idle", "0")
    assert "holds   [B] error-length" in result.out


async def test_no_leave_is_asked_for_what_is_not_sent(service: NotedService, call: Any) -> None:
    service.routes["/config"]["max_text_length"] = 10**18
    result = await call("conformance", "--too-long", "--idle", "0")
    assert "that is too many to send" in result.out
    assert "Go on?" not in result.err


async def test_a_report_that_can_not_be_written_costs_nothing(service: NotedService, call: Any) -> None:
    result = await call("conformance", "--out", "no-such-directory/report.json")
    assert (result.status, result.out) == (1, "")
    assert "no-such-directory/report.json: No such file" in result.err
    assert not service.conversations


async def test_an_older_report_stays_until_there_is_a_finding(
    here: Path, call: Any, monkeypatch: Any, closed_port: int
) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", "another-key-5f2c9e")
    monkeypatch.setenv("LOKUTOR_BASE_URL", f"ws://127.0.0.1:{closed_port}")
    (here / "old.json").write_text("old")
    for name in ("old.json", "new.json"):
        assert (await call("conformance", "--out", name)).status == 1
    assert os.listdir(here) == ["old.json"]
    assert (here / "old.json").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither these signals nor these modes")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
async def test_what_was_found_is_kept_when_a_run_is_interrupted(
    service: NotedService, here: Path, ended_by: signal.Signals
) -> None:
    (here / "kept.json").write_text("old")
    (here / "kept.json").chmod(0o640)
    (here / "report.json").symlink_to("kept.json")
    command = ["-m", "videosdk.plugins.lokutor", "conformance", "--idle", "3600", "--out", "report.json"]
    process = await start_python(*command)
    assert process.stdout is not None
    async with asyncio.timeout(3 * PATIENCE):
        async for line in process.stdout:  # What comes behind it takes an hour.
            if b" sessions: " in line:
                break
        await until(lambda: '"sessions"' in (here / "kept.json").read_text())
        process.send_signal(ended_by)
        _, said = await process.communicate()
    report = json.loads((here / "kept.json").read_text())
    before = [fact.name for fact in FACTS[: [fact.name for fact in FACTS].index("idle")]]
    assert [fact["name"] for fact in report["facts"]] == before
    assert report["complete"] is False
    assert report["characters"] > 0
    assert (here / "report.json").is_symlink()
    assert (here / "kept.json").stat().st_mode & 0o777 == 0o640
    if ended_by is signal.SIGINT:
        assert process.returncode == 130
        assert "report.json has what was found until then" in said.decode()
        assert sorted(os.listdir(here)) == ["kept.json", "report.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in directories")
async def test_a_report_for_a_pipe_comes_once(service: NotedService, here: Path, call: Any) -> None:
    os.mkfifo(here / "report")
    # Open for both ways, so that nobody waits for the other.
    descriptor = os.open(here / "report", os.O_RDWR | os.O_NONBLOCK)
    try:
        reading = asyncio.create_task(asyncio.to_thread(read_all, descriptor, b"]\n}\n"))
        assert differing(await call("conformance", "--idle", "0", "--out", "report")) <= TIMED
        assert json.loads(await reading)["complete"]
    finally:
        os.close(descriptor)


def read_all(pipe: int, end: bytes) -> bytes:
    """Read until what was read ends so, or nothing comes."""
    found = b""
    while not found.endswith(end) and select.select([pipe], [], [], PATIENCE)[0]:
        found += os.read(pipe, 65_536)
    return found


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--idle", "x"], 2, "from 0 to"),
        (["--rate-limit", "-1"], 2, "from 1 to"),
        (["--rate-limit", "0"], 2, "from 1 to"),
        (["--url", "ftp://x"], 2, "base_url"),
        (["--url", "ws://tts.example"], 2, "unencrypted"),
    ],
)
async def test_what_is_mistyped_is_one_line(
    service: NotedService, call: Any, arguments: list[str], status: int, words: str
) -> None:
    result = await call("conformance", *arguments)
    assert (result.status, result.out) == (status, "")
    assert words in result.err
    assert result.err.count("\n") == 1


async def test_a_refused_key_is_told_with_what_can_be_found_out(
    service: NotedService, here: Path, call: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", "another-key-5f2c9e")
    result = await call("conformance", "--out", "report.json")
    assert result.status == 1
    assert result.err.startswith("error: Lokutor refused the API key (HTTP 401)")
    assert result.err.count("\n") == 1
    assert "  holds   [B] voices: " in result.out
    assert "  holds   [B] missing-key: " in result.out
    assert "auth.invalid_key" in result.out
    report = json.loads((here / "report.json").read_text("utf-8"))
    assert report["complete"]
    assert report["obstacle"].startswith("Lokutor refused the API key (HTTP 401)")
    assert len(report["facts"]) == len(FACTS)
    assert "another-key" not in result.out + result.err + json.dumps(report)


# doctor


async def test_the_doctor_finds_nothing(service: NotedService, call: Any) -> None:
    result = await call("doctor")
    assert (result.status, result.err) == (0, "")
    assert "ok    sample rate: mono" in result.out
    assert KEY not in result.out


async def test_the_doctor_says_what_to_do(service: NotedService, call: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", f"'{KEY}'")
    result = await call("doctor", "--url", service.address)
    assert result.status == 1
    assert result.err == "error: look at: key\n"
    assert "wrong key: there are quotation marks around it -> copy it again" in result.out
    assert KEY not in result.out + result.err


# Recordings


@pytest.mark.parametrize("name", ["wire.jsonl", "wire.jsonl.gz"])
async def test_what_was_recorded_can_be_served(
    service: NotedService, here: Path, call: Any, monkeypatch: Any, name: str
) -> None:
    service.speak = lambda fields: speech({**fields, "text": fields["text"][:2]})
    result = await call("conformance", "--idle", "0", "--record", name)
    assert "long-text" in result.err
    options = {"host": "127.0.0.1", "port": 0, "api_key": None}
    server = _replaying(here / name, options)
    async with server, LokutorTTS(api_key="any", base_url=server.url, trim_silence=False) as tts:
        pcm = b"".join([piece async for piece in tts.stream_synthesize("Words that nobody has recorded.")])
    assert 0.03 < len(pcm) / 48_000 < 0.07
    assert KEY.encode() not in (here / name).read_bytes()


async def test_a_replay_with_a_key_of_its_own(service: NotedService, here: Path, call: Any) -> None:
    await call("conformance", "--idle", "0", "--record", "wire.jsonl")
    server = _replaying(here / "wire.jsonl", {"host": "127.0.0.1", "port": 0, "api_key": "another"})
    async with server:
        with pytest.raises(AuthenticationError):
            async with LokutorTTS(api_key="any-other-key", base_url=server.url) as tts:
                _ = [piece async for piece in tts.stream_synthesize("Hello.")]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"\x1f\x8b\0"])
@pytest.mark.parametrize("name", ["wire.jsonl", "wire.gz"])
async def test_a_file_that_is_no_recording_is_one_line(
    here: Path, call: Any, content: bytes, name: str
) -> None:
    (here / name).write_bytes(content)
    result = await call("serve", "--port", "0", "--replay", name)
    assert (result.status, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith("error: ")


async def test_a_recording_that_is_not_there_is_one_line(call: Any) -> None:
    result = await call("serve", "--replay", "nowhere.jsonl")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: nowhere.jsonl: No such file or directory\n"


# Files


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("name", ["one.json", "./one.json", "../{here}/one.json"])
async def test_a_report_and_a_recording_are_two_files(
    service: NotedService, here: Path, call: Any, name: str, there: bool
) -> None:
    if there:
        (here / "one.json").write_text("kept")
    result = await call("conformance", "--out", "one.json", "--record", name.format(here=here.name))
    assert (result.status, result.out) == (2, "")
    assert "the same file" in result.err
    assert not service.conversations
    assert os.listdir(here) == ["one.json"] * there
    assert not there or (here / "one.json").read_text() == "kept"


@pytest.mark.parametrize("name", ["wire.jsonl", "wire.jsonl.gz"])
async def test_what_is_complete_of_a_recording_that_was_cut_off_is_used(
    service: NotedService, here: Path, call: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await call("conformance", "--idle", "0", "--record", name)
    whole = (here / name).read_bytes()
    (here / name).write_bytes(whole[: len(whole) // 2])
    server = _replaying(here / name, {"host": "127.0.0.1", "port": 0, "api_key": None})
    told = capsys.readouterr().err
    assert re.search(rf"{name} was cut off: its \d+ complete lines are used, but for \d+ bytes", told), told
    async with server, LokutorTTS(api_key="any", base_url=server.url) as tts:
        assert [piece async for piece in tts.stream_synthesize("Hello.")]


async def test_compression_that_is_damaged_is_told(here: Path, call: Any) -> None:
    (here / "wire.gz").write_bytes(b"\x1f\x8b\x08" + bytes(100))
    result = await call("serve", "--port", "0", "--replay", "wire.gz")
    assert "it is not compressed by gzip, or is damaged" in result.err

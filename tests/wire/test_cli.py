"""The command line: the real command in its own process; in this one where only words and files matter.

Most processes are forks of one that has imported everything. Some tests have an interpreter of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import websockets
from aiohttp import web
from kit import PATIENCE, Conversation, ScriptedServer, heard_for, speech_of, until
from kit.certificates import authority, server_context
from kit.processes import Odd, Process, Stream, start_python
from kit.proxy import FaultProxy, tunnel

from videosdk.plugins.lokutor import __version__
from videosdk.plugins.lokutor._cli.commands import main
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

pty = pytest.importorskip("pty", reason="these tests need a POSIX shell and its signals")

COMMAND = ("-W", "always::ResourceWarning", "-m", "videosdk.plugins.lokutor")


LIMITED = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (4096, 4096))"
"""What ``ulimit -f 8`` does."""
Streams = Mapping[str, Stream]
NAMES = ("stdin", "stdout", "stderr")
ALL_CLOSED: Streams = dict.fromkeys(NAMES, Odd.CLOSED)
CLOSED_INPUT, CLOSED_OUTPUT, CLOSED_ERRORS = ({name: Odd.CLOSED} for name in NAMES)
FULL_OUTPUT, FULL_ERRORS = ({name: Odd.FULL} for name in NAMES[1:])
HAS_FULL_DEVICE = Path("/dev/full").exists()
NOHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
"""What ``nohup`` does, and a process of its own inherits."""
THEN = """
import runpy, sys
sys.argv[0] = "lokutor"
runpy.run_module("videosdk.plugins.lokutor", run_name="__main__", alter_sys=True)
"""
KEY = "key-5f2c9e"
TEXT = "Hello from the command line."


class Result(NamedTuple):
    status: int | None
    out: str
    err: str


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, as a user who has set nothing."""
    monkeypatch.delenv("LOKUTOR_LOCAL_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """Return the service that the environment names."""
    monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
    monkeypatch.setenv("LOKUTOR_BASE_URL", scripted.url)
    return scripted


@asynccontextmanager
async def started(
    *arguments: str, before: str = "", anew: bool = False, streams: Streams | None = None
) -> AsyncIterator[Process]:
    """Start the command.

    Args:
        arguments: Its arguments.
        before: What its process does first, in Python.
        anew: Whether it is an interpreter of its own in any case.
        streams: Its standard streams, other than pipes.
    """
    command = (*COMMAND[:2], "-c", before + THEN) if before else COMMAND
    process = await start_python(*command, *arguments, anew=anew, streams=streams)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(process: Process, stdin: str | None = "") -> Result:
    """Return what came of it, after the last of its input; None where that has been given before."""
    async with asyncio.timeout(3 * PATIENCE):
        out, err = await process.communicate(None if stdin is None else stdin.encode())
    return Result(process.returncode, out.decode(), err.decode())


def press_ctrl_c(process: Process) -> None:
    """Do what a terminal does: the signal goes to the command and to every process that it started."""
    os.killpg(process.pid, signal.SIGINT)


def terminate(process: Process) -> None:
    process.terminate()


def close_terminal(process: Process) -> None:
    """Do what a terminal does, and what the system may add as it ends the session."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        os.killpg(process.pid, number)


Stop = Callable[[Process], None]


async def run(
    *arguments: str,
    stdin: str = "",
    before: str = "",
    anew: bool = False,
    streams: Streams | None = None,
) -> Result:
    """Run the command in a process of its own, to its end."""
    if streams in (FULL_OUTPUT, FULL_ERRORS) and not HAS_FULL_DEVICE:
        pytest.skip("there is no device here that is always full")
    async with started(*arguments, before=before, anew=anew, streams=streams) as process:
        return await ended(process, stdin)


EACH_IN_ASCII = """
import json, sys
from videosdk.plugins.lokutor._cli.commands import main
for stream in (sys.stdin, sys.stdout):  # As PYTHONIOENCODING=ascii has them from the start.
    stream.reconfigure(encoding="ascii", errors="strict")
sys.stderr.reconfigure(encoding="ascii")
for arguments in json.load(sys.stdin):
    status = main(arguments)
    for stream in (sys.stdout, sys.stderr):
        print(status, end="\\0", file=stream, flush=True)
"""


async def run_each_in_ascii(*commands: list[str]) -> list[Result]:
    """Run the commands one after another in one process, whose standard streams know nothing but ASCII."""
    process = await start_python("-c", EACH_IN_ASCII)
    status, *streams = await ended(process, json.dumps(commands))
    assert status == 0, streams
    outs, errs = (stream.split("\0")[:-1] for stream in streams)
    results = [Result(int(out[-1]), out[:-1], err[:-1]) for out, err in zip(outs, errs, strict=True)]
    assert len(results) == len(commands)
    return results


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(3 * PATIENCE):
        return (await process.stdout.readline()).decode()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a caller of ``main`` in a thread, so that a server of the test's own loop can answer it."""

    async def call(*arguments: str) -> Result:
        async with asyncio.timeout(3 * PATIENCE):
            status = await asyncio.to_thread(main, arguments)
        return Result(status, *capsys.readouterr())

    return call


def assert_error(result: Result, status: int, *words: str) -> None:
    """One line on standard error, that says what it should, and no key anywhere."""
    assert result.status == status, result
    assert re.fullmatch(r"error: [^\n]+\n", result.err), result
    assert all(word in result.err for word in words), result
    assert KEY not in result.out + result.err


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def read_wav(path: Path) -> bytes:
    with wave.open(str(path)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (24_000, 1, 2)
        pcm: bytes = wav.readframes(wav.getnframes())
        return pcm


def seconds(pcm: bytes) -> float:
    return len(pcm) / 48_000


def loudness(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


# say


async def test_say_needs_no_account(here: Path) -> None:
    result = await run("say", TEXT, anew=True)
    assert (result.status, result.err) == (0, "")
    notice, report = result.out.splitlines()
    assert "local server" in notice
    figures = re.fullmatch(r"speech\.wav: (\d+\.\d\d) s of audio, first audio after \d+ ms", report)
    assert figures
    speech = read_wav(here / "speech.wav")
    assert float(figures[1]) == pytest.approx(seconds(speech), abs=0.006)
    assert 0.8 < seconds(speech) < 5
    assert loudness(speech) > 300
    assert files(here) == ["speech.wav"]


async def test_say_writes_what_the_service_sends(service: ScriptedServer, here: Path, call: Any) -> None:
    options = ("--voice", "clone_7", "--language", "es-ES", "--speed", "0.9", "--steps", "8")
    result = await call("say", TEXT, "--out", "hello.wav", *options)
    assert (result.status, result.err) == (0, "")
    assert read_wav(here / "hello.wav") == heard_for(TEXT)
    request = service.conversations[0].requests[0]
    assert [request[name] for name in ("text", "voice", "language", "speed", "steps")] == [
        TEXT, "clone_7", "es", 0.9, 8,
    ]  # fmt: skip
    assert service.conversations[0].http.headers["X-API-Key"] == KEY
    assert KEY not in result.out
    assert "local server" not in result.out


async def test_say_leaves_what_was_not_chosen_to_the_plugin(service: ScriptedServer, call: Any) -> None:
    await call("say", TEXT)
    request = service.conversations[0].requests[0]
    assert (request["voice"], request["language"], request["speed"], request["steps"]) == (
        "F1",
        "en",
        1.05,
        5,
    )


async def test_say_goes_through_the_proxy_of_the_environment(
    service: ScriptedServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing of the plugin replaced: its own session, the system's own way to name an authority."""
    (here / "authority.pem").write_text(authority())
    async with FaultProxy(service, server_context()) as behind_tls, FaultProxy(behind_tls) as proxy:
        proxy.faults.append(tunnel)
        monkeypatch.setenv("SSL_CERT_FILE", str(here / "authority.pem"))
        monkeypatch.setenv("LOKUTOR_BASE_URL", "wss://tts.example")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        result = await run("say", TEXT, "--out", "hello.wav", anew=True)  # It reads the authority at once.
        [link] = proxy.links
    assert result.status == 0
    assert KEY.encode() not in link.head
    assert read_wav(here / "hello.wav") == heard_for(TEXT)


async def test_say_reads_standard_input(service: ScriptedServer, here: Path) -> None:
    result = await run("say", "-", stdin="Ça va?\n")
    assert (result.status, result.err) == (0, "")
    assert service.texts == ["Ça va?"]
    assert seconds(read_wav(here / "speech.wav")) > 0


async def test_say_replaces_an_older_file(service: ScriptedServer, here: Path, call: Any) -> None:
    (here / "speech.wav").write_bytes(b"old")
    await call("say", TEXT)
    assert read_wav(here / "speech.wav") == heard_for(TEXT)
    assert files(here) == ["speech.wav"]


async def test_say_writes_where_a_link_points_to(service: ScriptedServer, here: Path, call: Any) -> None:
    (here / "elsewhere").mkdir()
    (here / "speech.wav").symlink_to("elsewhere/real.wav")
    await call("say", TEXT)
    assert (here / "speech.wav").is_symlink()
    assert files(here / "elsewhere") == ["real.wav"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--speed", "9"], ["speed", "9.0", "0.5 to 2.0"]),
        (["--speed", "nan"], ["speed", "nan"]),
        (["--speed", "fast"], ["--speed", "fast"]),
        (["--steps", "0"], ["steps", "1 to 50"]),
        (["--steps", "2.5"], ["--steps", "2.5"]),
        (["--voice", " "], ["voice"]),
        (["--language", ""], ["language"]),
        (["--speed"], ["--speed"]),
        (["--api-key", KEY], ["--api-key"]),
        ([f"--api-key={KEY}"], ["--api-key"]),
        (["more"], ["more"]),
    ],
)
async def test_a_bad_value_is_one_line(arguments: list[str], words: list[str], here: Path, call: Any) -> None:
    result = await call("say", TEXT, *arguments)
    assert_error(result, 2, *words)
    assert result.out == ""
    assert files(here) == []


@pytest.mark.parametrize("text", ["", "   ", "…", "\udcff"])
async def test_a_text_that_can_not_be_said(text: str, here: Path, call: Any) -> None:
    assert_error(await call("say", text), 2, "text")
    assert files(here) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", KEY, "say", TEXT],
        ["say", TEXT, KEY],
        ["say", TEXT, "--speed", KEY],
        ["say", TEXT, "--steps", KEY],
        ["say", TEXT, f"--s={KEY}"],
        ["say", TEXT, f"-h{KEY}"],
        ["say", TEXT, f"-k{KEY}"],
        ["serve", "--port", KEY],
        ["serve", f"--port={KEY}"],
        ["serve", "--port", f"{KEY}'\\"],
        ["serve", f"--a={KEY}"],
        ["serve", "--host", KEY],
        ["serve", "--host", KEY, "--api-key", "0.0.0.0"],  # noqa: S104
        ["serve", "--host", f"{KEY}\udcff", "--api-key", "0.0.0.0"],  # noqa: S104
        ["serve", "--allow-origin", KEY],
        ["voices", KEY],
    ],
)
async def test_a_key_in_the_wrong_place_is_not_shown(arguments: list[str], call: Any) -> None:
    result = await call(*arguments)
    assert_error(result, result.status)
    assert result.status > 0


async def test_a_key_in_the_place_of_the_address_is_not_shown(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKUTOR_BASE_URL", KEY)
    monkeypatch.setenv("LOKUTOR_API_KEY", "wss://api.lokutor.com")
    assert_error(await call("say", TEXT), 2, "base_url")


@pytest.mark.parametrize(("arguments", "word"), [([], "COMMAND"), (["sing"], "sing")])
async def test_a_wrong_command_is_one_line(arguments: list[str], word: str, call: Any) -> None:
    assert_error(await call(*arguments), 2, word)


@pytest.mark.parametrize(
    ("base_url", "word"),
    [("ws://192.0.2.1", "unencrypted"), ("not a url", "base_url"), ("ws://127.0.0.1:1", "LOKUTOR_API_KEY")],
)
async def test_a_bad_environment_is_one_line(
    base_url: str, word: str, here: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKUTOR_BASE_URL", base_url)
    if word != "LOKUTOR_API_KEY":
        monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
    assert_error(await call("say", TEXT), 2, word)
    assert files(here) == []


async def test_a_bad_value_shows_no_traceback_in_its_own_process() -> None:
    assert_error(await run("say", TEXT, "--speed", "9"), 2, "speed")


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("missing/speech.wav", "No such file or directory"),
        ("file/speech.wav", "Not a directory"),
        ("directory", "not a writable file"),
        ("", "not a writable file"),
        ("/dev/null", "not a writable file"),
        ("a" * 300, "File name too long"),
    ],
)
async def test_a_place_that_can_not_be_written(
    out: str, reason: str, service: ScriptedServer, here: Path, call: Any
) -> None:
    (here / "file").write_text("")
    (here / "directory").mkdir()
    result = await call("say", TEXT, "--out", out)
    assert_error(result, 1, out, reason)
    assert files(here) == ["directory", "file"]
    assert service.texts == []


async def test_a_full_disk_leaves_nothing_behind(service: ScriptedServer, here: Path) -> None:
    (here / "speech.wav").write_bytes(b"old")
    assert_error(await run("say", TEXT * 10, before=LIMITED), 1, "speech.wav", "File too large")
    assert files(here) == ["speech.wav"]
    assert (here / "speech.wav").read_bytes() == b"old"


async def test_a_wrong_key_is_one_line(here: Path, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalServer(SignalEngine(), api_key="another") as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        assert_error(await call("say", TEXT), 1, "API key")
    assert files(here) == []


async def test_an_unreachable_service_is_one_line(
    closed_port: int, here: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
    monkeypatch.setenv("LOKUTOR_BASE_URL", f"ws://127.0.0.1:{closed_port}")
    assert_error(await call("say", TEXT), 1, str(closed_port))
    assert_error(await call("voices"), 1, str(closed_port), "Connection refused")
    assert files(here) == []


async def test_a_lost_connection_keeps_the_older_file(service: ScriptedServer, here: Path, call: Any) -> None:
    async def die(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech_of("x" * 50))
        conversation.abort()

    service.scripts.extend([die] * 5)  # More often than it tries.
    (here / "speech.wav").write_bytes(b"old")
    assert_error(await call("say", TEXT), 1, "connection")
    assert files(here) == ["speech.wav"]
    assert (here / "speech.wav").read_bytes() == b"old"


async def test_a_refusal_that_quotes_the_key_is_shown_without_it(service: ScriptedServer, call: Any) -> None:
    async def refuse(conversation: Conversation) -> None:
        await conversation.request()
        message = f"{KEY} is\nno key\x1b[31m"
        await conversation.text(json.dumps({"type": "error", "code": "auth.invalid_key", "message": message}))
        await conversation.gone()

    service.scripts.append(refuse)
    result = await call("say", TEXT)
    assert_error(result, 1, "*** is no key", "auth.invalid_key")
    assert "\x1b" not in result.err


async def test_a_service_without_audio_is_an_error(service: ScriptedServer, here: Path, call: Any) -> None:
    async def say_nothing(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.end()
        await conversation.gone()

    service.scripts.extend([say_nothing] * 2)  # It asks once more.
    assert_error(await call("say", TEXT), 1, "no audio")
    assert files(here) == []


ENDINGS = [
    (press_ctrl_c, [130]),
    (terminate, [128 + signal.SIGTERM]),
    (close_terminal, [128 + signal.SIGHUP, 128 + signal.SIGTERM]),
]


@pytest.mark.parametrize(("stop", "statuses"), ENDINGS)
async def test_an_interrupted_say_leaves_nothing_behind(
    stop: Stop, statuses: list[int], service: ScriptedServer, here: Path
) -> None:
    async def dawdle(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech_of("x" * 50))
        await conversation.gone()

    service.scripts.append(dawdle)
    async with started("say", TEXT) as process:
        await until(lambda: any(path.stat().st_size > 20_000 for path in here.iterdir()))
        stop(process)
        result = await ended(process)
    assert result.status in statuses
    assert_error(result, result.status, "interrupted")
    assert files(here) == []
    await service.all_closed()


@pytest.mark.parametrize(("stop", "statuses"), ENDINGS)
async def test_the_end_of_a_say_with_the_local_voice_leaves_nothing_behind(
    stop: Stop, statuses: list[int], here: Path
) -> None:
    async with started("say", "-") as process:
        assert process.stdin is not None
        process.stdin.write(f"{TEXT} ".encode() * 5_000)
        process.stdin.write_eof()
        await until(lambda: any(path.stat().st_size > 20_000 for path in here.iterdir()))
        stop(process)
        result = await ended(process, None)
    assert result.status in statuses
    assert_error(result, result.status, "interrupted")
    assert files(here) == []


@pytest.mark.parametrize("streams", [CLOSED_OUTPUT, FULL_OUTPUT])
@pytest.mark.parametrize("account", [True, False])
async def test_a_report_that_can_not_be_printed_leaves_the_file(
    account: bool,
    streams: Streams,
    service: ScriptedServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not account:
        monkeypatch.delenv("LOKUTOR_API_KEY")
        monkeypatch.delenv("LOKUTOR_BASE_URL")
    assert_error(await run("say", TEXT, streams=streams), 1, "can't write to standard output")
    assert files(here) == ["speech.wav"]
    assert loudness(read_wav(here / "speech.wav")) > 300


@pytest.mark.parametrize(
    ("arguments", "streams", "unbuffered"),
    [
        (["voices"], FULL_OUTPUT, ""),
        (["voices"], FULL_OUTPUT, "1"),
        (["serve", "--port", "0"], CLOSED_OUTPUT, ""),
        (["serve", "--port", "0"], FULL_OUTPUT, ""),
        (["--help"], FULL_OUTPUT, ""),
        (["--version"], CLOSED_OUTPUT, ""),
    ],
)
async def test_an_output_that_takes_nothing_is_one_line(
    arguments: list[str], streams: Streams, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert_error(
        await run(*arguments, streams=streams, anew=bool(unbuffered)), 1, "can't write to standard output"
    )


async def test_a_closed_input_is_one_line(here: Path) -> None:
    assert_error(await run("say", "-", streams=CLOSED_INPUT), 2, "standard input")
    assert files(here) == []


@pytest.mark.parametrize("streams", [CLOSED_ERRORS, FULL_ERRORS])
async def test_errors_that_nobody_can_read_are_not_printed_elsewhere(streams: Streams, here: Path) -> None:
    assert await run("say", TEXT, "--speed", "9", streams=streams) == (2, "", "")
    result = await run("say", TEXT, streams=streams)
    assert (result.status, result.err) == (0, "")
    assert loudness(read_wav(here / "speech.wav")) > 300


async def test_say_speaks_though_all_its_streams_are_closed(here: Path) -> None:
    assert await run("say", TEXT, streams=ALL_CLOSED) == (1, "", "")
    assert loudness(read_wav(here / "speech.wav")) > 300


UNPRINTABLE = [("\udcff.wav", "\\udcff.wav"), ("\u00e9.wav", "\\xe9.wav"), ("a\nb.wav", "a\\nb.wav")]


async def test_a_name_that_can_not_be_printed_is_escaped(service: ScriptedServer, here: Path) -> None:
    names = [name for name, _ in UNPRINTABLE]
    outs = [*names, *(f"missing/{name}" for name in names)]
    results = await run_each_in_ascii(*(["say", TEXT, "--out", out] for out in outs))
    for (name, shown), result in zip(UNPRINTABLE, results, strict=False):
        assert (result.status, result.err) == (0, "")
        assert result.out.startswith(f"{shown}: ")
        assert read_wav(here / name) == heard_for(TEXT)
    for result in results[len(names) :]:
        assert_error(result, 1, "missing/", "No such file")


SAY_BOTH = """
import sys
from videosdk.plugins.lokutor._cli.commands import main
sys.exit(main(["say", sys.argv[1]]) or main(["say", "-"]))
"""


async def test_a_text_in_a_locale_that_does_not_know_it(
    service: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    process = await start_python("-c", SAY_BOTH, "Ça va?", anew=True)
    assert (await ended(process, "Ça va?")).status == 0
    assert service.texts == ["Ça va?"] * 2


async def test_what_a_killed_process_left_is_in_nobodys_way(
    service: ScriptedServer, here: Path, call: Any
) -> None:
    left = f".speech.wav.{os.getpid()}.part"
    (here / left).write_bytes(b"left")
    assert (await call("say", TEXT)).status == 0
    assert read_wav(here / "speech.wav") == heard_for(TEXT)
    assert files(here) == [left, "speech.wav"]


@pytest.mark.parametrize("size", [249, 255])
async def test_a_name_may_be_as_long_as_names_can_be(
    size: int, service: ScriptedServer, here: Path, call: Any
) -> None:
    name = "a" * (size - 4) + ".wav"
    assert (await call("say", TEXT, "--out", name)).status == 0
    assert files(here) == [name]


@pytest.mark.parametrize("name", ["x.mp3", "some.dir/y.OGG"])
async def test_a_file_that_would_not_be_what_its_name_says_is_refused(
    name: str, service: ScriptedServer, here: Path, call: Any
) -> None:
    result = await call("say", TEXT, "--out", name)
    assert_error(result, 2, "--out", "WAV", Path(name).suffix, f"{Path(name).stem}.wav")
    assert (files(here), service.texts) == ([], [])


async def test_a_name_in_capitals_is_a_wav_too(service: ScriptedServer, here: Path, call: Any) -> None:
    assert (await call("say", TEXT, "--out", "LOUD.WAV")).status == 0
    assert files(here) == ["LOUD.WAV"]


async def test_a_short_key_is_not_hidden_in_the_name_of_a_host(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", "api")
    monkeypatch.setenv("LOKUTOR_BASE_URL", "wss://api.lokutor.invalid")
    assert_error(await call("say", TEXT), 1, "api.lokutor.invalid")


# say --out -


async def run_bytes(*arguments: str, stdin: str = "") -> tuple[int | None, bytes, str]:
    async with started(*arguments) as process, asyncio.timeout(3 * PATIENCE):
        out, err = await process.communicate(stdin.encode())
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
async def test_a_dash_is_standard_output(out: str, service: ScriptedServer, here: Path) -> None:
    status, wav, err = await run_bytes("say", TEXT, "--out", out)
    assert status == 0
    assert re.fullmatch(r"standard output: \d+\.\d\d s of audio, first audio after \d+ ms\n", err)
    (here / "copy.wav").write_bytes(wav)
    assert read_wav(here / "copy.wav") == heard_for(TEXT)


async def test_the_notice_is_not_in_the_audio() -> None:
    status, wav, err = await run_bytes("say", TEXT, "--out", "-")
    assert (status, wav[:4]) == (0, b"RIFF")
    assert "local server" in err.splitlines()[0]


async def test_a_reader_that_has_enough_is_no_error(here: Path) -> None:
    reading, writing = os.pipe()  # It holds a part of the audio only.
    async with started("say", TEXT, "--out", "-", streams={"stdout": writing}) as process:
        os.close(writing)
        with closing(os.fdopen(reading, "rb", 0)) as reader:
            assert await asyncio.to_thread(reader.read, 4) == b"RIFF"
        result = await ended(process)
    assert files(here) == []
    assert "error" not in result.err


@pytest.mark.parametrize(
    ("streams", "reason"), [(CLOSED_OUTPUT, "closed"), (FULL_OUTPUT, "No space left on device")]
)
async def test_audio_that_can_not_be_written_is_one_line(
    streams: Streams, reason: str, service: ScriptedServer, here: Path
) -> None:
    assert_error(await run("say", TEXT, "--out", "-", streams=streams), 1, "standard output", reason)
    assert files(here) == []


async def test_a_terminal_gets_no_audio(service: ScriptedServer) -> None:
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb", 0)), closing(os.fdopen(theirs, "wb", 0)):
        result = await run("say", TEXT, "--out", "-", streams={"stdout": theirs})
    assert_error(result, 2, "terminal")
    assert service.texts == []


async def test_a_say_without_audio_writes_none_to_standard_output(service: ScriptedServer) -> None:
    async def say_nothing(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.end()
        await conversation.gone()

    service.scripts.extend([say_nothing] * 2)
    assert_error(await run("say", TEXT, "--out", "-"), 1, "no audio")


async def test_ctrl_c_ends_a_say_whose_reader_takes_nothing() -> None:
    async with started("say", "-", "--out", "-") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(f"{TEXT} ".encode() * 2_000)
        process.stdin.write_eof()
        assert process.stdout is not None
        assert await process.stdout.readexactly(4) == b"RIFF"  # And no more than the pipe holds.
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            said = await process.stderr.read()
            assert said.endswith(b"error: interrupted\n")
            await process.communicate()
        assert process.returncode == 130


@pytest.mark.parametrize("arguments", [["say", TEXT], ["serve", "--port", "0"], ["voices"]])
async def test_a_missing_local_voice_is_one_line(
    arguments: list[str], here: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # As the import system marks what isn't there.
    assert_error(await call(*arguments), 1, "videosdk-plugins-lokutor[local]")
    assert files(here) == []


# serve


@asynccontextmanager
async def serving(*arguments: str, anew: bool = False) -> AsyncIterator[tuple[Process, str]]:
    async with started("serve", "--port", "0", *arguments, anew=anew) as process:
        line = await line_of(process)
        assert re.fullmatch(r"listening on ws://127\.0\.0\.1:\d+\n", line)
        yield process, line.split()[-1]


async def speech_from(url: str, **options: Any) -> bytes:
    """Return the speech of a server by a client that isn't ours."""
    request = {"text": TEXT, "voice": "F1", "language": "en", "speed": 1.0, "steps": 5}
    pcm = b""
    async with websockets.connect(url, **options) as client:
        await client.send(json.dumps(request))
        async with asyncio.timeout(PATIENCE):
            while isinstance(message := await client.recv(), bytes):
                pcm += message
    assert message == "EOS"
    return pcm


@pytest.mark.parametrize(
    ("stop", "anew"),
    [(press_ctrl_c, False), (press_ctrl_c, True), (terminate, False), (close_terminal, False)],
)
async def test_serve_speaks_until_it_is_told_to_stop(stop: Stop, anew: bool) -> None:
    async with serving(anew=anew) as (process, url):
        speech = await speech_from(f"{url}/ws/tts", additional_headers={"X-API-Key": "any"})
        assert loudness(speech) > 300
        stop(process)
        assert await ended(process) == (0, "", "")


async def test_serve_outlives_its_terminal_where_it_was_asked_to() -> None:
    async with started("serve", "--port", "0", before=NOHUP) as process:
        url = (await line_of(process)).split()[-1]
        os.killpg(process.pid, signal.SIGHUP)
        assert await speech_from(f"{url}/ws/tts", additional_headers={"X-API-Key": "any"})
        terminate(process)
        assert await ended(process) == (0, "", "")


async def test_serve_lets_pages_of_named_origins_in_and_stops_while_one_is_connected() -> None:
    async with serving("--allow-origin", "https://a.example", "--allow-origin", "https://b.example") as (
        process,
        url,
    ):
        for name in "ab":
            assert await speech_from(f"{url}/ws?api_key=x", origin=f"https://{name}.example")
        with pytest.raises(websockets.InvalidStatus, match="403"):
            await speech_from(f"{url}/ws?api_key=x", origin="https://c.example")
        async with websockets.connect(f"{url}/ws?api_key=any"):
            press_ctrl_c(process)  # It stops while a client is connected.
            assert await ended(process) == (0, "", "")


@pytest.mark.parametrize("by_environment", [True, False])
async def test_serve_accepts_its_key_only(by_environment: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = () if by_environment else ("--api-key", KEY)
    if by_environment:
        monkeypatch.setenv("LOKUTOR_LOCAL_API_KEY", KEY)
    async with serving(*arguments) as (process, url):
        with pytest.raises(websockets.InvalidStatus, match="401"):
            await speech_from(f"{url}/ws/tts", additional_headers={"X-API-Key": "wrong"})
        assert await speech_from(f"{url}/ws/tts", additional_headers={"X-API-Key": KEY})
        press_ctrl_c(process)
        assert await ended(process) == (0, "", "")


async def test_serve_has_the_limits_of_a_plan() -> None:
    arguments = ("--requests-per-minute", "2", "--sessions", "1", "--count", "handshakes")
    async with serving(*arguments) as (process, url):
        async with websockets.connect(f"{url}/ws?api_key=any"):
            with pytest.raises(websockets.ConnectionClosed):
                await until_closed(f"{url}/ws?api_key=any")
        with pytest.raises(websockets.InvalidStatus, match="429") as caught:
            await websockets.connect(f"{url}/ws?api_key=any")
        assert 0 < int(caught.value.response.headers["Retry-After"]) <= 60
        press_ctrl_c(process)
        assert await ended(process) == (0, "", "")


async def until_closed(url: str) -> None:
    """Receive from a server until it closes, which raises: it has told why by then."""
    async with websockets.connect(url) as client:
        assert "tts.session_limit_reached" in str(await client.recv())
        await client.recv()


async def test_serve_on_a_busy_port_is_one_line(scripted: ScriptedServer, call: Any) -> None:
    port = scripted.url.rpartition(":")[2]
    assert_error(await call("serve", "--port", port), 1, f"127.0.0.1:{port}", "in use")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], ["--port", "65535"]),
        (["--port", "-1"], ["--port", "65535"]),
        (["--port", "http"], ["--port", "whole number", "http"]),
        (["--port", "9" * 5_000], ["--port", "65535"]),
        (["--host", ""], ["--host", "empty"]),
        (["--host", "0.0.0.0"], ["--host", "--api-key", "LOKUTOR_LOCAL_API_KEY"]),  # noqa: S104
        (["--host", "a..b", "--api-key", "k"], ["a..b", "host"]),
        (["--allow-origin", "*"], ["origin", "*"]),
        (["--allow-origin", "a.example"], ["origin", "a.example"]),
        (["--api-key", ""], ["--api-key", "empty"]),
        (["--key", KEY], ["--key"]),
        (["--requests-per-minute", "0"], ["--requests-per-minute", "at least 1"]),
        (["--sessions", "few"], ["--sessions", "whole number", "few"]),
        (["--count", "characters"], ["--count", "handshakes", "requests"]),
    ],
)
async def test_serve_with_a_bad_value_is_one_line(arguments: list[str], words: list[str], call: Any) -> None:
    assert_error(await call("serve", *arguments), 2, *words)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_serve_on_an_address_that_is_not_ours_is_one_line(host: str, call: Any) -> None:
    assert_error(await call("serve", "--host", host, "--port", "0", "--api-key", "k"), 1, host)


# voices

VOICES = {
    "voices": [
        {"id": "F1", "gender": "female", "languages": ["en", "es"]},
        {"id": "clone_7", "languages": ["ca"]},
    ]
}
LANGUAGES = {"languages": [{"code": "en", "name": "English"}, {"code": "es", "name": "Spanish"}]}


@asynccontextmanager
async def discovery(voices: Any, languages: Any) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Run a service that only has these two routes; yield its URL and what it was asked."""
    asked: list[web.Request] = []

    def answer(body: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            asked.append(request)
            return web.Response(text=body if isinstance(body, str) else json.dumps(body))

        return handle

    app = web.Application()
    app.add_routes([web.get("/voices", answer(voices)), web.get("/languages", answer(languages))])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_voices_is_an_aligned_table(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKUTOR_API_KEY", KEY)
    async with discovery(VOICES, LANGUAGES) as (url, asked):
        monkeypatch.setenv("LOKUTOR_BASE_URL", f"{url}/ws/tts")
        result = await call("voices")
    assert result == (0, result.out, "")
    assert result.out.splitlines() == [
        "VOICE    GENDER  LANGUAGES",
        "F1       female  en es",
        "clone_7  -       ca",
        "",
        "LANGUAGE  NAME",
        "en        English",
        "es        Spanish",
    ]
    assert KEY not in str([(request.headers, request.url) for request in asked])


async def test_voices_needs_no_account(call: Any) -> None:
    result = await call("voices")
    assert (result.status, result.err) == (0, "")
    notice, *table = result.out.splitlines()
    assert "local server" in notice
    assert {line.split()[0] for line in table if line} >= {"VOICE", "F1", "M5", "LANGUAGE", "en", "gl", "eu"}


@pytest.mark.parametrize("arguments", [["voices"], ["say", TEXT], ["serve", "--port", "0"], ["--help"]])
async def test_an_output_that_nobody_reads_is_no_traceback(arguments: list[str], here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with closing(os.fdopen(writing, "wb", 0)):
        result = await run(*arguments, streams={"stdout": writing})
    assert (result.status in {1, 120}, result.err) == (True, "")
    assert files(here) == (["speech.wav"] if "say" in arguments else [])


@pytest.mark.parametrize("voices", ["<html>", "[]", "{}", {"voices": None}, "[" * 100_000, ""])
async def test_an_answer_that_is_no_list_is_one_line(
    voices: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with discovery(voices, LANGUAGES) as (url, _):
        monkeypatch.setenv("LOKUTOR_BASE_URL", url)
        assert_error(await call("voices"), 1, "/voices")


async def test_what_a_service_lists_can_not_break_the_table(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {"voices": [{"id": "F1\n\x1b[31m", "gender": 7, "languages": "en"}, None, {}]}
    async with discovery(odd, {"languages": []}) as (url, _):
        monkeypatch.setenv("LOKUTOR_BASE_URL", url)
        result = await call("voices")
    assert result.out.splitlines()[:3] == ["VOICE    GENDER  LANGUAGES", "F1 [31m  -       -", ""]


@pytest.mark.parametrize(
    "voices",
    [
        {"voices": ["F1", "clone_7"]},
        {"voices": [{"name": "F1"}, {"name": "clone_7"}]},
        {"voices": [{"voice_id": "F1", "name": "Ann"}, {"voice_id": "clone_7", "name": "Ben"}]},
        ["F1", "clone_7"],
    ],
    ids=str,
)
async def test_voices_in_another_shape_are_listed(
    voices: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with discovery(voices, {"languages": ["en", "es"]}) as (url, _):
        monkeypatch.setenv("LOKUTOR_BASE_URL", url)
        result = await call("voices")
    assert (result.status, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["VOICE", "GENDER", "LANGUAGES"],
        ["F1", "-", "-"],
        ["clone_7", "-", "-"],
        [],
        ["LANGUAGE", "NAME"],
        ["en", "-"],
        ["es", "-"],
    ]


@pytest.mark.parametrize(
    ("voices", "shape"),
    [
        ({"voices": [{"id": ["F1"], "name": "Ann"}]}, "`id` is a list"),
        ({"voices": {"en": ["F1"]}}, "`voices` is an object with en"),
        ({"voices": [{"gender": "female"}, 7]}, "an object with gender; a number"),
        ({"items": ["F1"]}, "an object with items"),
    ],
    ids=str,
)
async def test_voices_that_can_not_be_read_are_told_by_their_shape(
    voices: Any, shape: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with discovery(voices, LANGUAGES) as (url, _):
        monkeypatch.setenv("LOKUTOR_BASE_URL", url)
        assert_error(await call("voices"), 1, "/voices", shape)


async def test_voices_of_a_service_without_discovery_is_one_line(service: ScriptedServer, call: Any) -> None:
    assert_error(await call("voices"), 1, "/voices", "404")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert all(name in out for name in ("say", "serve", "voices"))
    assert os.environ.get("HOME", "-") not in out


async def test_the_version_is_told() -> None:
    assert await run("--version", anew=True) == (0, f"videosdk-plugins-lokutor {__version__}\n", "")


async def test_the_command_goes_by_the_name_that_was_typed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "usage: python -m videosdk.plugins.lokutor say " in (await run("say", "--help")).out
    installed = here / "lokutor"  # As pip writes it.
    installed.write_text("import sys\nfrom videosdk.plugins.lokutor.__main__ import run\nsys.exit(run())\n")
    monkeypatch.setitem(globals(), "COMMAND", (str(installed),))
    assert "usage: lokutor say " in (await run("say", "--help", anew=True)).out
    assert_error(await run("say", TEXT, "--speed", "9"), 2, "speed")

"""The agent to deploy: workers, a registry, callers over the framework's WebSocket transport, signals."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import aiohttp
import pytest
from kit import PATIENCE, ScriptedServer, heard_for, speak, until
from kit.certificates import authority
from kit.examples import EXAMPLES, environment_with, replace_plugins
from kit.ports import port_for_a_program
from kit.processes import Process, start_python
from kit.registry import Registry
from videosdk.agents import UtteranceHandle

DEPLOY = EXAMPLES / "deploy"
WORKER = Path(__file__).parents[1] / "kit/deployed.py"
GUARD = 5 * PATIENCE
"""Seconds for whatever several processes take, each of which imports the framework: a busy machine's."""
FRAME = 960
SHORT = "This is a reply of two seconds that its caller hears to the end though the worker was told to end."
LONG = " ".join(["This goes on and on, for so long that nobody would wait for its end."] * 30)
"""More than 40 s."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes and signals as in a container")


def processes_under(parent: int) -> set[tuple[int, str]]:
    """Return the processes below one, each with the time of its start."""
    found, parents, stats = set[tuple[int, str]](), {parent}, all_processes()
    while new := {(int(line[0]), line[21]) for line in stats if int(line[3]) in parents} - found:
        found |= new
        parents |= {process for process, _ in new}
    return found


def left_of(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return which of these are still there; not zombies whose new parent is slow."""
    return processes & {(int(line[0]), line[21]) for line in all_processes() if line[2] != "Z"}


def all_processes() -> list[list[str]]:
    """Return the fields of each process's ``stat``."""
    return [line for line in map(stat, Path("/proc").glob("[0-9]*")) if line]


def stat(process: Path) -> list[str]:
    try:
        text = (process / "stat").read_text()
    except OSError:
        return []
    before, _, after = text.rpartition(")")
    return [before.split(" ")[0], "", *after.split()]


@dataclass
class Worker:
    """The worker's process, and what it has printed."""

    process: Process
    port: int
    lines: list[str] = field(default_factory=list)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._more:
                self.lines.append(line.decode())
                self._more.notify_all()

    async def prints(self, words: str, lines: int = 1) -> None:
        """Wait until it has printed so many lines with ``words``."""
        async with asyncio.timeout(GUARD), self._more:
            await self._more.wait_for(lambda: sum(words in line for line in self.lines) >= lines)

    async def ends(self, code: int, below: set[tuple[int, str]]) -> None:
        """Wait for its end, and for that of all processes that it has started."""
        async with asyncio.timeout(GUARD):
            assert await self.process.wait() == code, "".join(self.lines)
            while left_of(below):  # noqa: ASYNC110 - they notify nobody
                await asyncio.sleep(0.01)

    def signal(self) -> set[tuple[int, str]]:
        """Send SIGTERM; return the processes below it."""
        below = processes_under(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        return below

    async def health(self) -> tuple[int | None, str]:
        """Return what the container's health check says."""
        check = await asyncio.create_subprocess_exec(
            sys.executable,
            DEPLOY / "healthcheck.py",
            stderr=PIPE,
            env=environment_with(AGENT_PORT=str(self.port)),
        )
        _, said = await asyncio.wait_for(check.communicate(), GUARD)
        return check.returncode, said.decode()


@dataclass
class Caller:
    """A caller, and what was heard."""

    ws: aiohttp.ClientWebSocketResponse
    file: Path
    _spoken_to: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Take what comes, until the agent hangs up."""
        async for message in self.ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._spoken_to.set()

    async def hears(self) -> None:
        """Wait for the first audio."""
        await asyncio.wait_for(self._spoken_to.wait(), GUARD)

    async def says(self, text: str) -> None:
        await self.ws.send_bytes(text.encode())

    def heard(self) -> list[bytes]:
        """Return the frames that were not silent."""
        return frames(self.file.read_bytes())


def frames(pcm: bytes) -> list[bytes]:
    every = [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]
    return [frame for frame in every if any(frame)]


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with Registry() as registry:
        yield registry


@pytest.fixture
async def worker(request: pytest.FixtureRequest, registry: Registry, tmp_path: Path) -> AsyncIterator[Worker]:
    """Start a worker, and wait until it is registered; a parameter are options of :func:`starting`."""
    async with starting(registry, tmp_path, **getattr(request, "param", {})) as worker:
        await asyncio.wait_for(registry.registered.wait(), GUARD)
        await worker.prints("initialized successfully")
        yield worker


@asynccontextmanager
async def starting(
    registry: Registry,
    tmp_path: Path,
    *,
    turn: float = 5.0,
    grace: float = 0.0,
    anew: bool = False,
    fork_server_anew: bool = False,
) -> AsyncIterator[Worker]:
    """Start a worker, with ``TURN`` and ``GRACE`` of the example.

    ``anew``, it has an interpreter of its own; ``fork_server_anew``, multiprocessing's fork server has.
    """
    certificate = tmp_path / "authority.pem"
    certificate.write_text(authority())
    port = port_for_a_program()
    process = await start_python(
        WORKER,
        registry.host,
        str(port),
        "anew" if fork_server_anew else "fork",
        streams={"stdin": DEVNULL, "stdout": PIPE, "stderr": STDOUT},
        anew=anew,
        env=environment_with(
            SSL_CERT_FILE=str(certificate),
            HOME=str(tmp_path),
            PYTHONUNBUFFERED="1",
            TURN=str(turn),
            GRACE=str(grace),
            GATES=str(tmp_path),
            PYTHONPATH=os.pathsep.join(map(str, (DEPLOY, WORKER.parents[1]))),
        ),
    )
    worker = Worker(process, port)
    reading = asyncio.create_task(worker.read())
    try:
        yield worker
    finally:
        if process.returncode is None:
            # All before any is waited for: asyncio waits for those, too, that have the worker's output.
            for each in [(process.pid, ""), *processes_under(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(each[0], signal.SIGKILL)
            await process.wait()
        await asyncio.wait({reading}, timeout=PATIENCE)


@asynccontextmanager
async def calling(
    registry: Registry,
    scripted: ScriptedServer,
    folder: Path,
    job: str,
    greeting: str = "",
    *,
    preemptive: bool = False,
) -> AsyncIterator[Caller]:
    port, file = port_for_a_program(), folder / f"{job}.pcm"
    about = {"url": scripted.url, "file": str(file), "greeting": greeting, "preemptive": preemptive}
    await registry.assign(job, port=port, **about)
    await registry.told(type="job_update", job_id=job, status="running")
    async with aiohttp.ClientSession() as http:
        caller = Caller(await connect(http, port), file)
        listening = asyncio.create_task(caller.listen())
        yield caller
        await asyncio.wait_for(listening, GUARD)


async def connect(http: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(GUARD):
        while True:
            try:
                return await http.ws_connect(f"ws://127.0.0.1:{port}/ws")
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("worker", [{"turn": PATIENCE, "anew": True}], indirect=True, ids=["patiently"])
async def test_replies_under_way_are_heard_to_their_ends(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.scripts.extend([speak] * 8)
    assert await worker.health() == (0, "")
    async with (
        calling(registry, scripted, tmp_path, "first") as first,
        calling(registry, scripted, tmp_path, "second") as second,
    ):
        await worker.prints("Agent session started", lines=2)
        await first.says(SHORT)
        await second.says(SHORT)
        await asyncio.gather(first.hears(), second.hears())
        below = worker.signal()
        await worker.prints("Draining: no new calls")
        await registry.send(type="availability_request", job_id="third")
        assert not (await registry.told(type="availability_response"))["available"]
        assert (await worker.health())[0] == 0  # Who is killed for being unhealthy can't end well.
        for job in ("first", "second"):
            await registry.told(type="job_update", job_id=job, status="completed")
        await worker.ends(0, below)
    await asyncio.wait_for(registry.gone.wait(), GUARD)
    assert scripted.texts == [SHORT, SHORT]
    assert first.heard() == second.heard() == frames(heard_for(SHORT))
    for conversation in scripted.conversations:
        await asyncio.wait_for(conversation.closed.wait(), GUARD)
    assert (await worker.health())[0] == 1


@pytest.mark.parametrize("worker", [{"turn": 3.0}], indirect=True, ids=["after_3_s"])
async def test_a_long_reply_is_cut_off_and_no_turn_begins(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.scripts.extend([speak] * 8)
    async with (
        calling(registry, scripted, tmp_path, "long") as long,
        calling(registry, scripted, tmp_path, "interrupted") as interrupted,
        calling(registry, scripted, tmp_path, "silent"),
    ):
        await worker.prints("Agent session started", lines=3)
        await long.says(LONG)
        await interrupted.says(LONG)
        await asyncio.gather(long.hears(), interrupted.hears())
        before = len(long.heard())
        below = worker.signal()
        await worker.prints("Draining: no new turns", lines=3)
        await interrupted.says("Please answer this, too.")
        await registry.told(type="job_update", job_id="silent", status="completed")
        await registry.told(type="job_update", job_id="interrupted", status="completed")
        await registry.told(type="job_update", job_id="long", status="completed")
        await worker.ends(0, below)
    assert "Draining: the reply is cut off" in "".join(worker.lines)
    printed = "".join(worker.lines)
    assert "asked: Please" not in printed
    assert printed.count("asked: ") == 2
    whole = frames(heard_for(LONG))
    heard = len(long.heard()) - before
    assert 50 < heard < len(whole) / 2  # Of 3 s; a busy machine may have told its callers late.


@pytest.mark.parametrize("worker", [{"turn": PATIENCE}], indirect=True, ids=["patiently"])
async def test_the_agent_begins_no_turn_of_its_own(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.scripts.extend([speak] * 8)
    async with calling(registry, scripted, tmp_path, "greeted", f"{SHORT}|{LONG}") as caller:
        await caller.hears()
        below = worker.signal()
        await registry.told(type="job_update", job_id="greeted", status="completed")
        await worker.ends(0, below)
    assert scripted.texts == [SHORT]
    assert caller.heard() == frames(heard_for(SHORT))


@pytest.mark.parametrize("worker", [{"turn": PATIENCE}], indirect=True, ids=["patiently"])
async def test_a_call_that_is_assigned_while_it_drains_is_refused(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """The registry asked before the signal, and was told that there is room."""
    scripted.scripts.extend([speak] * 4)
    async with calling(registry, scripted, tmp_path, "first") as caller:
        await worker.prints("Agent session started")
        await registry.send(type="availability_request", job_id="late")
        assert (await registry.told(type="availability_response", job_id="late"))["available"]
        await caller.says(SHORT)
        await caller.hears()
        below = worker.signal()
        await worker.prints("Draining: no new calls")
        await registry.assign("late")
        refusal = await registry.told(type="job_update", job_id="late")
        assert (refusal["status"], refusal["error"]) == ("failed", "The worker is draining")
        await registry.told(type="job_update", job_id="first", status="completed")
        await worker.ends(0, below)
    assert caller.heard() == frames(heard_for(SHORT))


async def test_a_worker_without_a_call_stays_to_refuse_one(registry: Registry, tmp_path: Path) -> None:
    async with starting(registry, tmp_path, grace=PATIENCE) as worker:
        await asyncio.wait_for(registry.registered.wait(), GUARD)
        await worker.prints("initialized successfully")
        below = worker.signal()
        await worker.prints("Draining: no new calls")
        await registry.assign("late")
        assert (await registry.told(type="job_update", job_id="late"))["status"] == "failed"
        below |= worker.signal()
        await worker.ends(128 + signal.SIGTERM, below)


async def test_who_awaits_a_reply_that_is_cut_off_gets_its_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DEPLOY))
    draining = importlib.import_module("draining")
    monkeypatch.delitem(sys.modules, "draining")
    monkeypatch.setattr(draining, "TURN", 0.0)
    monkeypatch.setattr(draining, "TAIL", 0.0)

    class Session:
        current_utterance = UtteranceHandle("long")

        def interrupt(self, *, force: bool) -> None:
            self.current_utterance.interrupt(force=force)

    async def awaited() -> bool:
        await Session.current_utterance
        return Session.current_utterance.interrupted

    waiting = asyncio.create_task(awaited())
    await asyncio.sleep(0)
    await draining._hear_out(Session())
    assert await asyncio.wait_for(waiting, GUARD)


@pytest.mark.parametrize(
    "worker", [{"turn": PATIENCE, "fork_server_anew": True}], indirect=True, ids=["patiently"]
)
async def test_a_call_that_gets_its_process_while_it_drains_is_told(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """All idle processes are in use, and the one that is started for it takes its time."""
    gate = tmp_path / "process"
    gate.touch()
    async with (
        calling(registry, scripted, tmp_path, "first"),
        calling(registry, scripted, tmp_path, "second"),
    ):
        await worker.prints("Agent session started", lines=2)
        about = {"url": scripted.url, "file": str(tmp_path / "third.pcm"), "greeting": LONG}
        await registry.assign("third", port=port_for_a_program(), preemptive=False, **about)
        await registry.told(type="job_update", job_id="third", status="running")
        await worker.prints("waits at process")
        below = worker.signal()
        await worker.prints("Draining: no new turns", lines=2)
        gate.unlink()
        for job in ("first", "second", "third"):
            await registry.told(type="job_update", job_id=job, status="completed")
        await worker.ends(0, below)
    assert "Timeout waiting for jobs" not in "".join(worker.lines)
    assert scripted.texts == []


async def test_a_signal_while_the_fork_server_imports_ends_all_at_once(
    registry: Registry, tmp_path: Path
) -> None:
    gate = tmp_path / "imports"
    gate.touch()
    async with starting(registry, tmp_path) as worker:
        await worker.prints("waits at imports")
        below = worker.signal()
        # Not its wait(), which lasts until the fork server has closed their standard output, too.
        await until(lambda: worker.process.returncode is not None)
        gate.unlink()
        await worker.ends(0, below)
    assert not registry.registered.is_set()


NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]
"""Runs a command as process 1, as in a container. The kernel keeps signals from it that it doesn't handle."""


def can_be_process_1() -> bool:
    """Return whether this machine allows it."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("as_process_1", [False, True], ids=["anywhere", "as_process_1"])
async def test_a_signal_during_the_imports_ends_the_agent_at_once(as_process_1: bool, tmp_path: Path) -> None:
    if as_process_1 and not can_be_process_1():
        pytest.skip("unshare is not allowed here")
    shutil.copy(DEPLOY / "agent.py", tmp_path)
    # In place of the one that imports the framework. Python would miss a signal just before a long sleep.
    slow = "import time\nprint('importing', flush=True)\nwhile True:\n    time.sleep(0.01)\n"
    (tmp_path / "draining.py").write_text(slow)
    process = await asyncio.create_subprocess_exec(
        *(NAMESPACE if as_process_1 else []),
        sys.executable,
        tmp_path / "agent.py",
        stdout=PIPE,
        stderr=STDOUT,
        env=environment_with(),
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), GUARD) == b"importing\n"
        agent = next(iter(processes_under(process.pid)))[0] if as_process_1 else process.pid
        os.kill(agent, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), GUARD) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("signalled", [False, True], ids=["in_a_call", "while_it_drains"])
async def test_no_preemptive_turn_begins(
    signalled: bool, worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.scripts.extend([speak] * 8)
    async with calling(registry, scripted, tmp_path, "early", preemptive=True) as caller:
        await worker.prints("Agent session started")
        await caller.says(SHORT)
        await caller.hears()
        below = set[tuple[int, str]]()
        if signalled:
            below = worker.signal()
            await worker.prints("Draining: no new turns")
        await caller.says("Early words are answered.")
        await worker.prints("asked: Early")
        if not signalled:  # Without a signal, they are.
            await until(lambda: scripted.texts == [SHORT, "Early words are answered."])
            below = worker.signal()
        await registry.told(type="job_update", job_id="early", status="completed")
        await worker.ends(0, below)
    if signalled:
        assert scripted.texts == [SHORT]


async def test_a_second_signal_ends_all_at_once(
    worker: Worker, registry: Registry, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.scripts.extend([speak] * 4)
    async with calling(registry, scripted, tmp_path, "long", LONG) as caller:
        await caller.hears()
        below = worker.signal()
        await worker.prints("Draining: no new turns")
        worker.process.send_signal(signal.SIGINT)
        await worker.ends(128 + signal.SIGINT, below)
    assert "Draining: the reply" not in "".join(worker.lines)


async def test_a_worker_that_has_lost_its_registry_is_unhealthy(worker: Worker, registry: Registry) -> None:
    await registry.__aexit__()
    async with asyncio.timeout(GUARD):
        while (health := await worker.health())[0] == 0:
            pass
    assert health == (1, "The worker isn't registered\n")
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{worker.port}/health") as answer:
        assert await answer.text() == "OK"  # Which is why the health check doesn't ask for it.
    await worker.ends(0, worker.signal())


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def test_what_the_image_is_made_of_is_there_and_not_ignored() -> None:
    ignored, *allowed = (DEPLOY / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored == "*"
    copied = set()
    for name, rest in instructions():
        if name == "COPY" and "--from=" not in rest:
            *sources, _ = rest.split()
            copied |= {source for source in sources if "*" not in source}
    assert copied == {path.name for path in DEPLOY.glob("*.*") if path.suffix in {".py", ".txt"}}
    for source in copied:
        assert any(fnmatch(source, pattern.removeprefix("!")) for pattern in allowed), source


def test_the_image_is_small_and_its_agent_gets_the_signal() -> None:
    build, final = stages()
    base = build[0][1].removesuffix(" AS build")
    assert final[0][1] == base
    assert base.endswith("-slim")
    assert not any(word in rest for _, rest in final for word in ("apt", "gcc"))
    (removed,) = (rest for name, rest in final if name == "RUN")
    # The official images have both in /usr/local.
    assert removed.startswith("python -m pip uninstall --yes pip && rm -r /usr/local/lib/python*/ensurepip")
    assert not any("pip" in rest for name, rest in final if name != "RUN")
    assert next(rest for name, rest in final if name == "COPY").startswith("--from=build")
    settings = dict(final)
    assert settings["STOPSIGNAL"] == "SIGTERM"
    assert settings["USER"] not in {"", "root", "0"}
    assert json.loads(settings["CMD"]) == ["python", "agent.py"]  # A shell would keep the signal.
    _, _, check = settings["HEALTHCHECK"].rpartition("CMD ")
    assert json.loads(check) == ["python", "healthcheck.py"]
    assert "PYTHONUNBUFFERED=1" in settings["ENV"].split()


def test_the_agent_is_set_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other vendors' plugins replaced, the module loads and describes its worker."""
    replace_plugins(monkeypatch)
    monkeypatch.syspath_prepend(str(DEPLOY))
    monkeypatch.setenv("VIDEOSDK_AUTH_TOKEN", "token")
    agent = importlib.import_module("agent")
    monkeypatch.delitem(sys.modules, "agent")
    options = agent.worker_options()
    assert (options.max_processes, options.num_idle_processes, options.port) == (8, 2, 8081)
    assert options.register
    assert options.host == "127.0.0.1"
    text = (DEPLOY / "agent.py").read_text(encoding="utf-8")
    documented = set(re.findall(r"^    (AGENT_\w+):", text, re.MULTILINE))
    assert documented == set(re.findall(r'"(AGENT_\w+)"', text))
    for name in ("AGENT_MAX_PROCESSES", "AGENT_IDLE_PROCESSES", "AGENT_PORT"):
        monkeypatch.setenv(name, "30")
    options = agent.worker_options()
    assert (options.max_processes, options.num_idle_processes, options.port) == (30, 30, 30)


def test_the_agents_plugins_are_required_and_prewarmed() -> None:
    wanted = re.compile(r"^(?:from|import) videosdk\.plugins\.(\w+)", re.MULTILINE)
    texts = [(DEPLOY / name).read_text(encoding="utf-8") for name in ("agent.py", "prewarm.py")]
    agent, prewarm = (set(wanted.findall(text)) for text in texts)
    required = (DEPLOY / "requirements.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^videosdk-plugins-(\w+)", required, re.MULTILINE)) == agent
    assert agent - prewarm == {"silero"}  # It starts a thread.

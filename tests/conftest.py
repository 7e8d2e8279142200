"""Fixtures: real servers over real sockets, the framework's own track.

The framework and Hypothesis are imported where they are needed: the process that hands out the tests needs
none of them, and the others would wait until it has them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from kit import Clock, ScriptedServer
    from videosdk.agents.room.output_stream import CustomAudioStreamTrack

    from videosdk.plugins.lokutor import LokutorTTS
    from videosdk.plugins.lokutor._wire.connector import Connector

Maker = Callable[..., "LokutorTTS"]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop",
        choices=("asyncio", "uvloop", "eager"),
        default="asyncio",
        help="the event loop of every test: asyncio's, uvloop's, or asyncio's with eager tasks (Python 3.12)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the examples of the property tests, before a module of theirs is imported.

    Nothing must fail by chance: the same few examples each time. ``HYPOTHESIS_PROFILE=random`` hunts for
    others, and tries many.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts its background jobs so, and whatever the tests start would ignore Ctrl+C as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.add_cleanup(_start_fork_server().close)
        if config.getoption("dist") != "no":
            return  # This process runs no test.
    gc.disable()  # What is imported stays: looking for garbage in it takes a sixth of that time.
    from hypothesis import settings

    settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25)
    settings.register_profile("random", deadline=None, print_blob=True, max_examples=500)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def _start_fork_server() -> ExitStack:
    """Have a fork server for all processes of these tests; it imports nothing before one needs it."""
    running = ExitStack()
    if sys.platform != "linux":  # Elsewhere, a process may not use the system's own libraries after a fork.
        return running
    program = Path(__file__).parent / "kit" / "forkserver.py"
    folder = running.enter_context(
        tempfile.TemporaryDirectory(prefix="forks-")
    )  # The socket's name is short.
    # A fork has one thread, so that OpenBLAS may have no more.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    process = running.enter_context(
        subprocess.Popen(
            [sys.executable, program, f"{folder}/socket"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    )
    assert process.stdout is not None
    assert process.stdout.readline(), "the fork server doesn't listen"
    os.environ["TEST_FORK_SERVER"] = f"{folder}/socket"
    running.callback(os.environ.pop, "TEST_FORK_SERVER")
    return running


LONG = (
    "project/test_browser_example.py",
    "project/test_workers_example.py",
    "project/test_browser_room.py",
    "project/test_deploy_example.py",
    "framework/test_fallback.py",
    "project/test_fallback_example.py",
    "project/test_browser_settings.py",
    "project/test_markup_example.py",
    "project/test_examples.py",
    "project/test_benchmarks.py",
    "wire/test_cli_checks.py",
    "project/test_short_examples.py",
    "project/test_packaging.py",
    "project/test_example_endings.py",
    "soak/test_stress.py",
    "project/",
    "wire/test_loops.py",
    "wire/test_conformance_apart.py",
    "wire/test_conformance.py",
    "project/test_typing.py",
    "wire/test_cli.py",
    "unit/test_text_filter.py",
    "unit/test_markup.py",
    "unit/test_text.py",
    "unit/test_pacing.py",
)
"""What takes longest begins first, so that nobody waits for it in the end. What mostly waits stands between
what computes, so that no test has to wait long for a core."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests into their order, and expect those that show a known fault to fail where there is one."""
    items.sort(key=_turn)
    shows = [(item, mark.args[0]) for item in items for mark in item.iter_markers("known_fault")]
    if shows:
        from videosdk.plugins.lokutor._doctor.versions import FAULTS

        for item, name in shows:
            fault = FAULTS[name]
            if fault.is_in(fault.package, version(fault.package)):
                item.add_marker(
                    pytest.mark.xfail(raises=AssertionError, reason=f"known fault: {name}", strict=True)
                )


def _turn(item: pytest.Item) -> int:
    """Return when a test is handed out: the smaller, the earlier."""
    path = item.nodeid.removeprefix("tests/")
    starts = [start for start in LONG if path.startswith(start)]
    return LONG.index(max(starts, key=len)) if starts else len(LONG)


def pytest_asyncio_loop_factories(config: pytest.Config) -> Mapping[str, LoopFactory]:
    name = config.getoption("--loop")
    return {name: _loop_factory(name)}


def _loop_factory(name: str) -> LoopFactory:
    match name:
        case "uvloop":
            import uvloop

            return uvloop.new_event_loop
        case "eager":
            return _new_eager_loop
        case _:
            return asyncio.new_event_loop


def _new_eager_loop() -> asyncio.AbstractEventLoop:
    if sys.version_info < (3, 12):
        raise pytest.UsageError("--loop eager needs Python 3.12")
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each test to whoever is free.

    Those of a file go together where they share something expensive, or are over sooner than handed out.
    """

    _FILES = (
        "tests/project/",
        "tests/unit/",
        "tests/local/test_official_sdk.py",
        "tests/local/test_visemes.py",
    )

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", maxsplit=1)[0] if nodeid.startswith(self._FILES) else nodeid


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave the modules, which are there for good, out of the collections of garbage that tests ask for.

    Each would look at all of the framework otherwise, for a tenth of a second; a thousand tests ask for one.
    """
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return how many processes run the tests: six, on two cores as well, as most tests wait.

    Each imports the framework before its first test, which takes longer than what the unit tests compute,
    or those of one or two files.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it.
    paths = {config.invocation_params.dir / argument.split("::", maxsplit=1)[0] for argument in config.args}
    unit = config.rootpath / "tests" / "unit"
    few = all(path.is_relative_to(unit) for path in paths) or (
        len(paths) <= _FEW_FILES and all(path.is_file() for path in paths)
    )
    return 2 if few else 6


_FEW_FILES = 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    config.option.loadscopereorder = False  # The order is that of pytest_collection_modifyitems().
    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def no_key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOKUTOR_API_KEY", raising=False)
    monkeypatch.delenv("LOKUTOR_BASE_URL", raising=False)


@pytest.fixture(autouse=True)
def no_proxy_in_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "project" in request.path.parts:  # These install packages, by whatever way this machine has.
        return
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def new_loop(request: pytest.FixtureRequest) -> LoopFactory:
    """Return what makes the loops of this run, for tests that run loops of their own."""
    return _loop_factory(request.config.getoption("--loop"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port of 127.0.0.1 that refuses connections, and that nobody else takes meanwhile."""
    from kit.ports import held_port

    with held_port() as holder:
        yield holder.getsockname()[1]


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    from kit import ScriptedServer

    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def connector(scripted: ScriptedServer) -> AsyncIterator[Connector]:
    """Return what opens the connections of a plugin that speaks to the scripted server."""
    from kit.connections import connecting_to

    async with connecting_to(scripted) as connector:
        yield connector


@pytest.fixture
async def clock() -> Clock:
    from kit import Clock

    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        pytest.skip("the clock of a loop that isn't written in Python can't be put forward")
    return Clock()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timers wait until what was sent on loopback has come, however long the system takes for it.

    They let a few passes of the loop go by, so that what is in the socket is read before they judge. Here the
    peer runs on the same loop, and needs some passes itself.
    """
    from videosdk.plugins.lokutor import _timer

    monkeypatch.setattr(_timer, "_PASSES", 20_000)


@pytest.fixture
async def track() -> CustomAudioStreamTrack:
    from videosdk.agents.room.output_stream import CustomAudioStreamTrack

    return CustomAudioStreamTrack(asyncio.get_running_loop())


@pytest.fixture
async def make_tts(track: CustomAudioStreamTrack, scripted: ScriptedServer) -> AsyncIterator[Maker]:
    """Return a maker of plugins on the test's track; afterwards nothing of them may be left."""
    from kit.connections import leaving_nothing

    from videosdk.plugins.lokutor import LokutorTTS

    made: list[LokutorTTS] = []

    def make(base_url: str, **options: Any) -> LokutorTTS:
        tts = LokutorTTS(api_key="test-key", base_url=base_url, **options)
        tts.audio_track = track
        made.append(tts)
        return tts

    async with leaving_nothing():
        yield make
        for tts in made:
            await tts.aclose()


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    """Return a plugin that speaks to the scripted server on the test's track."""
    return make_tts(scripted.url)

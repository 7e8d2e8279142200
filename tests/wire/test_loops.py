"""One plugin in several event loops and processes: what is open belongs to the loop that opened it."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import aiohttp
import pytest
from kit import (
    PATIENCE,
    Conversation,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    listen,
    speech_of,
    until,
    workers,
)
from kit.processes import start_python

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor.errors import ConfigurationError

T = TypeVar("T")
NewLoop = Callable[[], asyncio.AbstractEventLoop]
TEXT = "Heard in each loop."


class LoopThread:
    """An event loop that runs in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(PATIENCE)

    def close(self) -> None:
        """End the loop, once its tasks are over: what a plugin closes from elsewhere takes its time."""
        self.run(others_over())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


async def others_over() -> None:
    """Wait until the calling task is the only one of its loop."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


@pytest.fixture
def elsewhere(new_loop: NewLoop) -> Iterator[LoopThread]:
    thread = LoopThread(new_loop())
    yield thread
    thread.close()


@pytest.fixture
def server(elsewhere: LoopThread) -> Iterator[ScriptedServer]:
    """Return a server that outlives the loops of the test."""

    async def start() -> ScriptedServer:
        return await ScriptedServer().__aenter__()

    server = elsewhere.run(start())
    yield server
    elsewhere.run(server.__aexit__(None, None, None))


@pytest.fixture
def run(new_loop: NewLoop) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Return what ``asyncio.run`` does, with the loops of this run of the tests."""

    def run_in_new_loop(work: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(work)

    return run_in_new_loop


def make_plugin(server: ScriptedServer, **options: Any) -> LokutorTTS:
    return LokutorTTS(api_key="test-key", base_url=server.url, **options)


async def spoken(tts: LokutorTTS, first: Callable[[], Awaitable[None]] | None = None) -> bytes:
    """Return what a turn puts onto a track of its own."""
    tts.audio_track = track = _Track()
    if first is not None:
        await first()
    await tts.synthesize(TEXT)
    return track.pcm


class _Track:
    sample_rate = 24_000

    def __init__(self) -> None:
        self.pcm = b""

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.pcm += pcm

    def interrupt(self) -> None:
        return


def all_closed(elsewhere: LoopThread, server: ScriptedServer) -> None:
    elsewhere.run(server.all_closed())


@pytest.mark.parametrize("options", [{}, {"word_timestamps": True, "visemes": True}], ids=["", "followed"])
def test_a_plugin_speaks_in_a_second_loop(
    server: ScriptedServer, elsewhere: LoopThread, run: Callable[..., Any], options: dict[str, Any]
) -> None:
    tts = make_plugin(server, **options)
    errors, metrics = listen(tts), emitted_by(tts, "metrics")
    assert run(spoken(tts, tts.prewarm)) == heard_for(TEXT)
    all_closed(elsewhere, server)  # Also the socket that was left in waiting.
    assert run(spoken(tts)) == heard_for(TEXT)
    assert run(spoken(tts, tts.prewarm)) == heard_for(TEXT)
    run(tts.aclose())
    all_closed(elsewhere, server)
    assert errors == []
    assert [one.standby_used for one in metrics] == [True, False, True]
    gc.collect()


def test_the_second_loop_keeps_a_socket_in_waiting_where_the_first_did(
    server: ScriptedServer, run: Callable[..., Any]
) -> None:
    tts = make_plugin(server)
    metrics = emitted_by(tts, "metrics")
    run(tts.prewarm())

    async def two_turns() -> None:
        await spoken(tts)
        await tts.prewarm()
        await spoken(tts)
        await tts.aclose()

    run(two_turns())
    assert [one.standby_used for one in metrics] == [False, True]


async def endless(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.audio(speech_of(TEXT))
    await conversation.gone()


def test_a_turn_that_its_loop_cuts_off_leaves_no_open_socket(
    server: ScriptedServer, elsewhere: LoopThread, run: Callable[..., Any]
) -> None:
    async def leave_in_the_middle() -> asyncio.Task[None]:
        tts.audio_track = track = _Track()
        turn = asyncio.create_task(tts.synthesize(TEXT))
        await until(lambda: bool(track.pcm))
        return turn

    tts = make_plugin(server)
    server.scripts.append(endless)
    turn = run(leave_in_the_middle())
    assert turn.cancelled()
    all_closed(elsewhere, server)
    assert run(spoken(tts)) == heard_for(TEXT)
    run(tts.aclose())
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio's own, of the loop that was left.
def test_a_loop_that_is_closed_in_the_middle_leaves_no_open_socket_at_the_service(
    server: ScriptedServer, elsewhere: LoopThread, run: Callable[..., Any], new_loop: NewLoop
) -> None:
    tts = make_plugin(server)
    errors = listen(tts)
    loop = new_loop()
    loop.run_until_complete(tts.prewarm())
    loop.close()
    assert run(spoken(tts)) == heard_for(TEXT)
    all_closed(elsewhere, server)
    run(tts.aclose())
    assert errors == []
    gc.collect()


def test_a_loop_that_ends_as_its_standby_connection_opens_leaves_no_open_socket(
    server: ScriptedServer, elsewhere: LoopThread, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    park = Connection.park
    below: list[Any] = []  # What aiohttp complains of, unless it is closed.

    def park_and_end(connection: Connection) -> bool:
        below.append(connection._ws._response.connection)
        parked = park(connection)
        for task in asyncio.all_tasks():  # As asyncio.run() does at its end.
            task.cancel()
        return parked

    monkeypatch.setattr(Connection, "park", park_and_end)
    tts = make_plugin(server)
    with pytest.raises(asyncio.CancelledError):
        run(tts.prewarm())
    assert [one.protocol for one in below] == [None]
    all_closed(elsewhere, server)
    run(tts.aclose())
    gc.collect()


def test_two_loops_that_run_side_by_side_have_each_their_own(
    server: ScriptedServer, elsewhere: LoopThread, run: Callable[..., Any], new_loop: NewLoop
) -> None:
    tts = make_plugin(server)
    metrics = emitted_by(tts, "metrics")
    other = LoopThread(new_loop())
    try:
        other.run(tts.prewarm())
        assert run(spoken(tts)) == heard_for(TEXT)
        assert other.run(spoken(tts)) == heard_for(TEXT)
        run(tts.aclose())
        all_closed(elsewhere, server)
    finally:
        other.close()
    assert [one.standby_used for one in metrics] == [False, True]
    gc.collect()


def test_a_session_of_another_loop_is_refused(
    server: ScriptedServer, run: Callable[..., Any], new_loop: NewLoop
) -> None:
    unread: list[dict[str, Any]] = []

    async def make_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def fail(tts: LokutorTTS) -> ConfigurationError:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unread.append(context))
        tts.audio_track = _Track()
        await tts.prewarm()
        with pytest.raises(ConfigurationError, match="belongs to another event loop") as caught:
            await tts.synthesize(chunks_of([TEXT]))
        await tts.aclose()
        gc.collect()
        return caught.value

    loop = new_loop()
    session = loop.run_until_complete(make_session())
    tts = make_plugin(server, session=session)
    errors = listen(tts)
    error = run(fail(tts))
    loop.run_until_complete(session.close())
    loop.close()
    assert errors == [error]
    assert unread == []


def test_a_plugin_that_was_only_made_can_be_dropped(server: ScriptedServer) -> None:
    tts = make_plugin(server)
    del tts
    gc.collect()


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_plugin_can_not_be_copied_into_another_process(copied: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="create it in the process that uses it") as caught:
        copied(LokutorTTS(api_key="lk-keep-me-at-home"))
    assert "lk-keep" not in str(caught.value)


WHOLE = len(heard_for(workers.TEXT))


async def at_work(method: str, url: str) -> dict[str, Any]:
    """Run the workers' program, and return what it prints. It says nothing else."""
    process = await start_python(workers.__file__, method, url)
    printed, said = await asyncio.wait_for(process.communicate(), 2 * workers.PATIENCE)
    assert (process.returncode, said) == (0, b"")
    return json.loads(printed)  # type: ignore[no-any-return]


FORKS = pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't fork")


@FORKS
async def test_a_plugin_that_was_made_before_a_fork_speaks_after_it(scripted: ScriptedServer) -> None:
    assert await at_work("fork", scripted.url) == {"child": WHOLE}
    await scripted.all_closed()


@FORKS
async def test_a_forked_child_leaves_the_sockets_of_its_parent_alone(scripted: ScriptedServer) -> None:
    assert await at_work("fork in the middle", scripted.url) == {
        "child": WHOLE,
        "parent": WHOLE,
        "used and retried": [[True, 0]],
    }
    await scripted.all_closed()


@pytest.mark.parametrize("method", [pytest.param("forkserver", marks=FORKS), "spawn"])
async def test_a_plugin_that_is_made_in_a_worker_speaks(scripted: ScriptedServer, method: str) -> None:
    told = await at_work(method, scripted.url)
    assert told["child"] == WHOLE
    assert "create it in the process that uses it" in told["pickled"]
    await scripted.all_closed()

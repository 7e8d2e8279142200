"""The example's limiter for many processes, with a real Redis that is down, restarts, and grows old."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kit import PATIENCE, until
from kit.examples import EXAMPLES
from kit.ports import port_for_a_program
from redis import Redis
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import TimeoutError as NoAnswerError

from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed: apt-get install redis-server"
)


class Server:
    """A Redis on loopback that can be stopped and started; it keeps nothing."""

    def __init__(self) -> None:
        self.port = port_for_a_program()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert time.monotonic() < deadline

    def answers(self) -> bool:
        with Redis(port=self.port) as redis:
            try:
                return bool(redis.ping())
            except LostConnectionError:
                return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)  # It answers until then.

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def count(self) -> int:
        """Return how many requests are kept of the plan."""
        with Redis(port=self.port) as redis:
            kept: Any = redis.zcard("lokutor")
            return int(kept)

    def places(self) -> list[float]:
        """Return the moments for which requests are kept, in milliseconds."""
        with Redis(port=self.port) as redis:
            kept: Any = redis.zrange("lokutor", 0, -1, withscores=True)
            return [score for _, score in kept]

    def clients(self) -> int:
        """Return how many connections are open, beside the one that asks."""
        with Redis(port=self.port) as redis:
            known: Any = redis.client_list()
            return len(known) - 1

    def expires(self) -> bool:
        """Return whether what is kept of the plan is removed if nobody uses it."""
        with Redis(port=self.port) as redis:
            seconds: Any = redis.ttl("lokutor")
            return int(seconds) > 0


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()
    gc.collect()  # What is left open shows here, and in no other test.


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES / "workers"))
    return importlib.import_module("shared_plan")


async def asked(plan: Any, times: int, within: float = 0.0) -> list[bool]:
    return [await plan("request", within) for _ in range(times)]


async def test_a_plan_begins_while_redis_is_down(server: Server, example: Any) -> None:
    plan = example.SharedPlan.from_url(server.url, 2, timeout=PATIENCE)
    with pytest.raises(LostConnectionError):  # The plugin lets the turn pass.
        await plan("request", 0.0)
    server.start()
    assert await asked(plan, 3) == [True, True, False]
    await plan.aclose()


async def test_a_redis_that_restarts_goes_on_counting(server: Server, example: Any) -> None:
    server.start()
    plan = example.SharedPlan.from_url(server.url, 2, timeout=PATIENCE)
    assert await asked(plan, 3) == [True, True, False]
    server.stop()
    server.start()  # It knows neither the script nor the count.
    assert await asked(plan, 3) == [True, True, False]
    assert server.count() == 2
    await plan.aclose()


async def test_a_redis_that_hangs_is_given_up(server: Server, example: Any) -> None:
    server.start()
    plan = example.SharedPlan.from_url(server.url, 2)
    assert await plan("request", 0.0)
    server.pause()
    with pytest.raises(NoAnswerError):
        await asyncio.wait_for(plan("request", 60.0), PATIENCE)
    server.resume()
    async with asyncio.timeout(PATIENCE):
        while await plan("request", 0.0):
            pass
    assert server.count() == 2
    await plan.aclose()


async def test_what_counts_no_more_is_removed(
    server: Server, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "WINDOW", 50)
    server.start()
    plan = example.SharedPlan.from_url(server.url, 5, timeout=PATIENCE)
    for _ in range(40):
        assert await plan("request", PATIENCE)
    assert server.count() <= 10  # Of 40; the clock decides whether one that has just expired is still there.
    await plan.aclose()


async def test_a_plan_that_nobody_uses_is_removed(server: Server, example: Any) -> None:
    server.start()
    plan = example.SharedPlan.from_url(server.url, 5, timeout=PATIENCE)
    assert await plan("request", 0.0)
    assert server.expires()
    await plan.aclose()


async def test_who_would_wait_in_vain_is_told_at_once(
    server: Server, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes wait for the one place that becomes free: it belongs to who has asked first."""
    monkeypatch.setattr(example, "WINDOW", 100 * 1_000)
    server.start()
    plans = [example.SharedPlan.from_url(server.url, 1, timeout=PATIENCE) for _ in range(3)]
    assert await plans[0]("request", 0.0)
    first = asyncio.create_task(plans[1]("request", 150.0))
    await until(lambda: server.count() == 2)
    # It would be free for both, were it not reserved.
    assert not await asyncio.wait_for(plans[2]("request", 150.0), PATIENCE)
    first.cancel()
    await asyncio.wait({first}, timeout=PATIENCE)
    assert server.count() == 1  # Who was interrupted leaves the place to others.
    second = asyncio.create_task(plans[2]("request", 150.0))
    await until(lambda: server.count() == 2)
    second.cancel()
    await asyncio.wait({second}, timeout=PATIENCE)
    for plan in plans:
        await plan.aclose()


@pytest.mark.parametrize("given_up", [False, True])
async def test_closing_leaves_no_connection_open(server: Server, example: Any, given_up: bool) -> None:
    """Wherever redis-py is in a command: it connects again to repeat one that has lost its connection."""
    server.start()
    passes, answered = 0, False
    while not answered:
        plan = example.SharedPlan.from_url(server.url, 1_000, timeout=PATIENCE)
        ask = asyncio.create_task(plan("request", 0.0))
        for _ in range(passes):
            await asyncio.sleep(0)
        answered = ask.done()
        if given_up:
            ask.cancel()
        await asyncio.wait_for(plan.aclose(), PATIENCE)
        assert not server.clients()
        await asyncio.wait({ask}, timeout=PATIENCE)
        assert ask.done()
        passes += 1


async def test_who_waits_when_it_is_closed_is_told_so(server: Server, example: Any) -> None:
    server.start()
    plan = example.SharedPlan.from_url(server.url, 1, timeout=PATIENCE)
    assert await plan("request", 0.0)
    ask = asyncio.create_task(plan("request", example.WINDOW))
    await until(lambda: server.count() == 2)
    await asyncio.wait_for(plan.aclose(), PATIENCE)
    with pytest.raises(LostConnectionError):
        await asyncio.wait_for(ask, PATIENCE)
    assert server.count() == 1  # Its place is left to others.


async def test_who_waits_gets_the_next_place(
    server: Server, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "WINDOW", 200)
    keep_all = example.RESERVE_PLACE.replace("ZREMRANGEBYSCORE", "ZCOUNT")
    monkeypatch.setattr(example, "RESERVE_PLACE", keep_all.replace("PEXPIRE", "ZCARD', KEYS[1]) --"))
    server.start()
    plans = [example.SharedPlan.from_url(server.url, 3, timeout=PATIENCE) for _ in range(4)]
    given: list[float] = []

    async def use(plan: Any) -> None:
        for _ in range(4):
            assert await plan("request", PATIENCE)
            given.append(time.time() * 1_000)

    await asyncio.wait_for(asyncio.gather(*map(use, plans)), PATIENCE)
    places = server.places()
    assert len(places) == 16
    for earlier, later in zip(places, places[3:], strict=False):
        assert later - earlier > 200  # Never more than three within the window.
    for moment, place in zip(sorted(given), places, strict=True):
        assert moment >= place - 2  # The event loop's clock is coarse.
    for plan in plans:
        await plan.aclose()


async def test_a_call_that_begins_while_redis_is_down_is_spoken(server: Server, example: Any) -> None:
    call = importlib.import_module("call")
    framework = logging.getLogger("videosdk.agents")
    level = framework.level
    try:
        async with LocalServer(SignalEngine()) as first, LocalServer(SignalEngine()) as second:
            settings = call.Settings(0, server.url, 60, first.url, second.url, time.time(), 2, 0.1)
            result = await asyncio.wait_for(call.hold_call(settings), PATIENCE)
            assert len(result.turns) == 2
            assert {turn.speaker for turn in result.turns} <= {0, 1}  # The second, where the machine is busy.
            assert first.requests
    finally:
        framework.setLevel(level)

"""The limits of a plan: counted in moved time, and told to clients over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from hypothesis import given
from hypothesis import strategies as st
from kit import PATIENCE, Clock, emitted_by, listen

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import RateLimitError
from videosdk.plugins.lokutor.local._limits import Plan, Refusal, SlidingWindow
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

RATE, SESSIONS = "auth.rate_limited", "tts.session_limit_reached"

# Counting


@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=60))
def test_no_window_holds_more_than_the_limit_and_none_is_refused_without_need(
    limit: int, gaps: list[float]
) -> None:
    window, now, taken = SlidingWindow(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap
        recent = [moment for moment in taken if moment + 60.0 > now]
        assert window.used(now) == len(recent)
        if window.take(now):
            assert len(recent) == limit
        else:
            assert len(recent) < limit
            taken.append(now)


def test_who_waits_as_long_as_told_is_let_through() -> None:
    window = SlidingWindow(2)
    assert [window.take(now) for now in (0.0, 10.0)] == [0.0, 0.0]
    assert window.take(15.0) == window.wait(15.0) == 45.0
    assert window.take(59.5) == 0.5
    assert window.take(60.0) == 0.0
    assert window.take(60.0) == 10.0


def test_the_headers_never_tell_less_than_the_wait() -> None:
    assert Refusal(100, 0.2).headers == {
        "Retry-After": "1",
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1",
    }
    assert Refusal(100, 12.0).headers["Retry-After"] == "12"


def test_handshakes_are_counted_or_requests() -> None:
    by_handshakes = Plan(1, count="handshakes").account("k", 0.0)
    assert by_handshakes.handshake(0.0) is None
    assert [by_handshakes.request(0.0) for _ in range(3)] == [None] * 3
    assert by_handshakes.handshake(20.0) == Refusal(1, 40.0)
    by_requests = Plan(1, count="requests").account("k", 0.0)
    assert [by_requests.handshake(0.0) for _ in range(3)] == [None] * 3
    assert by_requests.request(0.0) is None
    assert by_requests.request(20.0) == by_requests.handshake(20.0) == Refusal(1, 40.0)
    assert by_requests.handshake(60.0) is None


def test_each_key_has_a_plan_of_its_own() -> None:
    plan = Plan(1, 1)
    one, other = plan.account("one", 0.0), plan.account("other", 0.0)
    assert plan.account("one", 0.0) is one
    for account in (one, other):
        assert account.request(0.0) is None
        assert account.begin_session()
        assert not account.begin_session()
    one.end_session()
    assert one.begin_session()


def test_keys_that_use_nothing_are_forgotten() -> None:
    plan = Plan(10)
    busy = plan.account("busy", 0.0)
    assert busy.begin_session()
    for number in range(5_000):
        plan.account(f"key-{number}", 0.0)
    assert len(plan._accounts) <= 1_000
    assert plan.account("busy", 0.0) is busy


def test_without_limits_nothing_is_refused() -> None:
    account = Plan().account("k", 0.0)
    assert not any(account.request(0.0) or account.handshake(0.0) for _ in range(1_000))
    assert all(account.begin_session() for _ in range(1_000))


@pytest.mark.parametrize(
    "options", [{"requests_per_minute": 0}, {"sessions": 0}, {"count": "characters"}, {"sessions": -1}]
)
def test_bad_limits_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        LocalServer(SignalEngine(), **options)


# Over real sockets


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def connected(
    http: aiohttp.ClientSession, server: LocalServer, key: str = "k"
) -> AsyncIterator[ClientWebSocketResponse]:
    async with http.ws_connect(server.url + "/ws/tts", headers={"X-API-Key": key}) as ws:
        yield ws


async def answer(ws: ClientWebSocketResponse) -> str:
    """Ask for speech. Return ``EOS`` if it came, or the code of the error."""
    await ws.send_json({"text": "Hi."})
    return await told(ws)


async def told(ws: ClientWebSocketResponse) -> str:
    async with asyncio.timeout(PATIENCE):
        while (message := await ws.receive()).type is WSMsgType.BINARY:
            pass
    assert message.type is WSMsgType.TEXT
    return "EOS" if message.data == "EOS" else str(json.loads(message.data)["data"]["code"])


async def refusal(http: aiohttp.ClientSession, server: LocalServer) -> tuple[int, dict[str, int]]:
    """Return status and limits of a refused handshake."""
    with pytest.raises(WSServerHandshakeError) as caught:
        async with connected(http, server):
            pass
    headers: dict[str, str] = dict(caught.value.headers or {})
    limits = {
        name: int(value) for name, value in headers.items() if name.startswith(("X-RateLimit", "Retry"))
    }
    return caught.value.status, limits


async def test_too_many_handshakes_are_told_when_to_come_back(
    http: aiohttp.ClientSession, clock: Clock
) -> None:
    async with LocalServer(SignalEngine(), requests_per_minute=2, count="handshakes") as server:
        for _ in range(2):
            async with connected(http, server) as ws:
                assert [await answer(ws) for _ in range(3)] == ["EOS"] * 3
        status, limits = await refusal(http, server)
        wait = limits["Retry-After"]
        assert (status, 60 - PATIENCE < wait <= 60) == (429, True)
        assert limits == {
            "Retry-After": wait,
            "X-RateLimit-Limit": 2,
            "X-RateLimit-Remaining": 0,
            "X-RateLimit-Reset": wait,
        }
        async with connected(http, server, "another"):
            pass
        await clock.advance(wait)
        async with connected(http, server) as ws:
            assert await answer(ws) == "EOS"
        assert dict(server.refusals) == {"429": 1}


async def test_too_many_requests_are_refused_in_the_connection_and_at_the_handshake(
    http: aiohttp.ClientSession, clock: Clock
) -> None:
    async with LocalServer(SignalEngine(), requests_per_minute=2, count="requests") as server:
        async with connected(http, server) as ws, connected(http, server), connected(http, server):
            assert [await answer(ws) for _ in range(4)] == ["EOS", "EOS", RATE, RATE]
            status, limits = await refusal(http, server)
            assert (status, limits["X-RateLimit-Limit"]) == (429, 2)
            await clock.advance(limits["Retry-After"])
            assert await answer(ws) == "EOS"
        assert len(server.requests) == 3
        assert dict(server.refusals) == {RATE: 2, "429": 1}


async def test_a_request_that_is_no_request_is_not_counted(http: aiohttp.ClientSession) -> None:
    async with (
        LocalServer(SignalEngine(), requests_per_minute=1) as server,
        connected(http, server) as ws,
    ):
        await ws.send_str("garbage")
        assert await told(ws) == "validation.invalid_request_format"
        assert await answer(ws) == "EOS"


async def test_a_session_too_many_is_told_and_closed(http: aiohttp.ClientSession) -> None:
    async with LocalServer(SignalEngine(), sessions=1) as server:
        async with connected(http, server) as first:
            async with connected(http, server) as second:
                assert await told(second) == SESSIONS
                assert (await second.receive()).type is WSMsgType.CLOSE
                assert second.close_code == 1013
            assert await answer(first) == "EOS"
            async with connected(http, server, "another") as other:
                assert await answer(other) == "EOS"
        await server.wait_until(lambda: not server.open_connections)
        async with connected(http, server) as third:
            assert await answer(third) == "EOS"
        assert dict(server.refusals) == {SESSIONS: 1}


async def test_many_handshakes_at_once_do_not_pass_the_limits(http: aiohttp.ClientSession) -> None:
    limits: dict[str, Any] = {"requests_per_minute": 5, "sessions": 3, "count": "handshakes"}
    async with LocalServer(SignalEngine(), **limits) as server:
        attempts = [http.ws_connect(server.url + "/ws?api_key=k") for _ in range(20)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        opened = [ws for ws in results if not isinstance(ws, BaseException)]
        assert len(opened) == 5
        await server.wait_until(lambda: server.refusals[SESSIONS] == 2)
        assert server.refusals["429"] == 15
        for ws in opened:
            await ws.close()


async def test_a_client_that_leaves_instead_of_hearing_of_the_limit_is_no_error(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalServer(SignalEngine(), sessions=1) as server, connected(http, server):
        for _ in range(10):
            async with connected(http, server) as ws:
                transport = ws._response.connection
                assert transport is not None
                transport.close()
        await server.wait_until(lambda: server.refusals[SESSIONS] == 10 and server.open_connections == 1)
        assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


# With the plugin


async def test_a_plan_of_one_session_speaks_every_turn_and_stream(
    make_tts: Callable[..., LokutorTTS],
) -> None:
    async with LocalServer(SignalEngine(), sessions=1) as server:
        tts = make_tts(server.url)
        errors, seen = listen(tts), emitted_by(tts, "metrics")
        await tts.prewarm()
        for text in ("One.", "Two.", "Three."):
            await tts.synthesize(text)
        assert [piece async for piece in tts.stream_synthesize("For the cache.")]
        assert errors == []
        assert [metrics.error_code for metrics in seen] == [None] * 4
        assert [request.text for request in server.requests] == ["One.", "Two.", "Three.", "For the cache."]


@pytest.mark.parametrize("count", ["handshakes", "requests"])
async def test_a_plan_that_is_used_up_fails_the_turn_at_once_so_that_another_can_speak_it(
    make_tts: Callable[..., LokutorTTS], clock: Clock, count: str
) -> None:
    async with LocalServer(SignalEngine(), requests_per_minute=1, count=count) as server:  # type: ignore[arg-type]
        tts = make_tts(server.url)
        await tts.synthesize("One.")
        with pytest.raises(RateLimitError) as caught:
            await tts.synthesize("Two.")
        error = caught.value
        assert error.retry_after is not None
        assert 60 - PATIENCE < error.retry_after <= 60
        assert (error.limit, error.remaining, error.reset_after) == (1, 0, error.retry_after)
        assert server.handshakes == 2
        await clock.advance(error.retry_after)
        await tts.synthesize("Two.")
        assert [request.text for request in server.requests] == ["One.", "Two."]

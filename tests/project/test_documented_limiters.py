"""The limiters of the documents keep a plan: their own code, with the real libraries."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from documents import DOCS
from kit import PATIENCE, Clock
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import RateLimitError
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

PER_MINUTE = 10


def documented(library: str, **settings: int) -> dict[str, Any]:
    """Return the names of the example with this library, with other settings of the plan."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "options.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (code,) = (block for block in blocks if f"from {library} import" in block)
    for name, value in settings.items():
        code, found = re.subn(rf"^{name} = \d+", f"{name} = {value}", code, flags=re.MULTILINE)
        assert found == 1, name
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, library, "exec"), names)  # noqa: S102 - our own documents
    return names


async def spoken(tts: LokutorTTS) -> bool:
    """Return whether a turn is spoken."""
    try:
        return bool([piece async for piece in tts.stream_synthesize("One.")])
    except RateLimitError:
        return False


async def test_aiolimiter_as_documented_keeps_the_plan(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn each second, for two minutes and a half."""
    names = documented("aiolimiter", PER_MINUTE=PER_MINUTE, BURST=2)
    async with LocalServer(SignalEngine(), requests_per_minute=PER_MINUTE) as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        tts = LokutorTTS(limiter=names["PLAN"], first_audio_timeout=0.5, keep_warm=False)
        turns = []
        for _ in range(150):
            turns.append(await spoken(tts))
            clock.skip(1.0)
        await tts.aclose()
        assert not server.refusals
        assert turns[:3] == [True, True, False]
        assert sum(turns) >= 2 * (PER_MINUTE - 2)


@pytest.fixture
def redis_url() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        yield f"redis://127.0.0.1:{port}"
        process.kill()


async def test_pyrate_limiter_as_documented_keeps_the_plan_of_many(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    retry = Retry(ConstantBackoff(0.05), int(PATIENCE / 0.05))
    async with Redis.from_url(redis_url, retry=retry) as redis:
        await redis.ping()
    names = documented("pyrate_limiter", PER_MINUTE=PER_MINUTE)
    async with LocalServer(SignalEngine(), requests_per_minute=PER_MINUTE) as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        redises = [Redis.from_url(redis_url) for _ in range(3)]
        plans = [names["PyratePlan"](redis) for redis in redises]
        calls = [LokutorTTS(limiter=plan, first_audio_timeout=2.0, keep_warm=False) for plan in plans]
        turns = [await spoken(calls[turn % 3]) for turn in range(PER_MINUTE)]
        assert turns == [True] * PER_MINUTE
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert not await plans[0]("request", 0.0)
        assert await asyncio.gather(*(plan("request", 0.3) for plan in plans)) == [False] * 3
        assert loop.time() - begun < PATIENCE  # The next place is most of a minute away.
        assert not await spoken(calls[0])
        assert await plans[0]("handshake", 0.0)
        assert not server.refusals
        for tts in calls:
            await tts.aclose()
        for plan, redis in zip(plans, redises, strict=True):
            plan._limiter.close()
            await redis.aclose()

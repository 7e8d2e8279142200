"""The limiters of the documents keep a plan: their own code, with the real libraries."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from documents import DOCS
from kit import PATIENCE, Clock, settled
from kit.ports import port_for_a_program
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


async def spoken(tts: LokutorTTS, begun: asyncio.Event | None = None) -> bool:
    """Return whether a turn is spoken; its text comes when ``begun`` is set."""

    async def text() -> AsyncIterator[str]:
        if begun is not None:
            await begun.wait()
        yield "One."

    try:
        return bool([piece async for piece in tts.stream_synthesize(text())])
    except RateLimitError:
        return False


async def test_aiolimiter_as_documented_keeps_the_plan(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn each second, for two minutes and a half."""
    names = documented("aiolimiter", PER_MINUTE=PER_MINUTE, BURST=2)
    async with LocalServer(SignalEngine(), requests_per_minute=PER_MINUTE) as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        plan, turns = names["PLAN"], []
        # Nobody waits long for a place, and on a busy machine the audio of whoever has one is waited for.
        hasty, patient = (
            LokutorTTS(limiter=plan, first_audio_timeout=seconds, keep_warm=False)
            for seconds in (0.5, PATIENCE)
        )
        for _ in range(150):
            turns.append(await spoken(patient if plan.has_capacity() else hasty))
            clock.skip(1.0)
        for tts in (hasty, patient):
            await tts.aclose()
        assert not server.refusals
        assert turns[:3] == [True, True, False]
        assert sum(turns) >= 2 * (PER_MINUTE - 2)


@pytest.mark.parametrize("kind", ["aiolimiter", "collections"])
async def test_a_model_that_thinks_keeps_the_plan(
    kind: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All turns of a minute think while their permits are good, those of the next one don't."""
    async with LocalServer(SignalEngine(), requests_per_minute=PER_MINUTE) as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        names = documented("aiolimiter", PER_MINUTE=PER_MINUTE, BURST=9) if kind == "aiolimiter" else None
        limiter = names["PLAN"] if names else documented(kind)["Plan"](PER_MINUTE)
        calls = [LokutorTTS(limiter=limiter, first_audio_timeout=2.0, keep_warm=False) for _ in range(9)]

        for _ in range(2):
            begun = asyncio.Event()
            turns = [asyncio.create_task(spoken(tts, begun)) for tts in calls]
            await settled()  # All have asked.
            clock.skip(3.0)  # A busy machine takes the rest of the five seconds.
            begun.set()
            assert all(await asyncio.gather(*turns))
            clock.skip(58.1)  # A minute and a bit after they have asked.
            assert sum(await asyncio.gather(*(spoken(tts) for tts in calls))) <= 1
            clock.skip(10 * 66.0)  # A leaky bucket takes that long to be empty.
        assert not server.refusals
        for tts in calls:
            await tts.aclose()


@pytest.fixture
def redis_url() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = port_for_a_program()
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

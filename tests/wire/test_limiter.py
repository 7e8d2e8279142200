"""The application's rate limiter: who is asked when, who waits, and that it never silences a caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiolimiter import AsyncLimiter
from kit import (
    PATIENCE,
    Clock,
    Conversation,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    listen,
    on_track,
    requests_of,
    settled,
    speak,
    until,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.permits import Permits
from videosdk.plugins.lokutor.errors import RateLimitError

Maker = Callable[..., LokutorTTS]
Answer = bool | Exception | Awaitable[bool]


class Desk:
    """A limiter that answers as the test says, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[tuple[str, float]] = []
        self._answers = list(answers)

    async def __call__(self, kind: str, within: float) -> bool:
        self.asked.append((kind, within))
        answer = self._answers.pop(0) if self._answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bool) else await answer

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.asked]


@pytest.fixture(autouse=True)
def service(scripted: ScriptedServer) -> None:
    scripted.scripts.extend([speak] * 10)


async def test_each_handshake_and_each_request_is_asked_for(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    desk = Desk()
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    await tts.synthesize(requests_of("One.", "Two."))
    # The request first: a service that has no room for it may refuse the handshake as well.
    assert desk.asked[:2] == [("request", 5.0), ("handshake", 5.0)]
    assert desk.kinds == ["request", "handshake", "request"]
    assert on_track(track) == heard_for("One.", "Two.")


async def test_without_a_permit_a_turn_fails_before_any_text_is_taken(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    tts = make_tts(scripted.url, limiter=Desk(False), keep_warm=False)
    errors, source = listen(tts), chunks_of(["One."])
    with pytest.raises(RateLimitError, match="no permit for a request within 5 s") as caught:
        await tts.synthesize(source)
    assert [piece async for piece in source] == ["One."]
    assert errors == [caught.value]
    assert not scripted.conversations


async def test_a_refused_handshake_is_not_tried_again(make_tts: Maker, scripted: ScriptedServer) -> None:
    desk = Desk(True, False)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    with pytest.raises(RateLimitError, match="no permit for a handshake"):
        await tts.synthesize("One.")
    assert desk.kinds == ["request", "handshake"]
    assert not scripted.conversations


async def test_a_later_request_waits_and_says_all_that_came_meanwhile(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    later: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Desk(True, True, later)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False, pacing=False)
    metrics = emitted_by(tts, "metrics")

    async def source() -> AsyncIterator[str]:
        yield "One is here. "
        await until(lambda: scripted.texts == ["One is here."])
        yield "Two is here. Three"
        await until(lambda: len(desk.asked) == 3)  # The second request waits for its permit.
        yield " is here."
        await settled()
        later.set_result(True)

    await asyncio.wait_for(tts.synthesize(source()), PATIENCE)
    assert scripted.texts == ["One is here.", "Two is here. Three is here."]
    assert on_track(track) == heard_for(*scripted.texts)
    assert metrics[0].limiter_wait > 0


async def test_a_barge_in_ends_the_waiting_and_the_permit_is_kept(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Desk(waiting)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    turn = asyncio.create_task(tts.synthesize("One."))
    await until(lambda: desk.kinds == ["request"])
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)
    assert waiting.cancelled()

    # One that ends with its permit in hand leaves it to the next.
    async def silent() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    turn = asyncio.create_task(tts.synthesize(silent()))
    await until(lambda: desk.kinds[1:] == ["request", "handshake"] and bool(scripted.conversations))
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)
    await tts.synthesize("Two.")
    assert desk.kinds[3:] == ["handshake"]
    assert scripted.texts == ["Two."]


async def test_a_permit_that_comes_with_the_cancellation_is_kept() -> None:
    permit: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Desk(permit)
    permits = Permits(desk, 5.0)
    taking = asyncio.create_task(permits.take("request", 5.0))
    await settled()
    permit.set_result(True)
    taking.cancel()
    await asyncio.wait({taking})
    assert taking.cancelled()
    await settled()
    await permits.take("request", 5.0)
    assert len(desk.asked) == 1


@pytest.mark.parametrize("failure", [ConnectionError("Redis is gone"), asyncio.CancelledError()])
async def test_a_limiter_that_fails_lets_everything_pass_and_is_asked_again(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
    failure: Exception,
) -> None:
    desk = Desk(failure, failure)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    await tts.synthesize(requests_of("One.", "Two."))
    assert desk.kinds == ["request"]
    await clock.advance(5.0)
    await tts.synthesize("Three.")
    assert desk.kinds == ["request", "request"]
    await clock.advance(5.0)
    await tts.synthesize("Four.")
    assert desk.kinds[2:] == ["request", "handshake"]
    assert on_track(track) == heard_for("One.", "Two.") + heard_for("Three.") + heard_for("Four.")
    assert sum("The limiter failed" in record.getMessage() for record in caplog.records) == 1


async def test_a_limiter_that_hangs_counts_as_failed(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    hanging: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    permits = Permits(Desk(hanging), 5.0)
    taking = asyncio.create_task(permits.take("request", 5.0))
    await settled()
    await clock.advance(6.1)
    await asyncio.wait_for(taking, PATIENCE)
    assert hanging.cancelled()
    assert "no answer within 6 s" in caplog.text


async def test_the_standby_connection_takes_only_what_is_free(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    desk = Desk(False)
    tts = make_tts(scripted.url, limiter=desk)
    await tts.prewarm()
    assert desk.asked == [("handshake", 0.0)]
    assert not scripted.conversations
    await tts.synthesize("One.")
    assert desk.asked[1:3] == [("request", 5.0), ("handshake", 5.0)]


async def test_the_standby_connection_takes_nothing_while_a_turn_waits() -> None:
    waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Desk(waiting)
    permits = Permits(desk, 5.0)
    taking = asyncio.create_task(permits.take("request", 5.0))
    await settled()
    with pytest.raises(RateLimitError, match="to spare"):
        await permits.take_spare("handshake")
    waiting.set_result(True)
    await taking
    await permits.take_spare("handshake")


async def test_a_request_that_is_sent_again_is_asked_for_again(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def breaks_off(conversation: Conversation) -> None:
        await conversation.request()
        conversation.abort()

    scripted.scripts.appendleft(breaks_off)
    desk = Desk()
    await make_tts(scripted.url, limiter=desk, keep_warm=False).synthesize("One.")
    assert desk.kinds == ["request", "handshake", "handshake", "request"]
    assert on_track(track) == heard_for("One.")


async def test_a_stream_is_asked_for_too(make_tts: Maker, scripted: ScriptedServer) -> None:
    desk = Desk()
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    assert [piece async for piece in tts.stream_synthesize("One.")]
    assert desk.kinds == ["request", "handshake"]


# aiolimiter


async def test_an_aiolimiter_counts_requests(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    plan = AsyncLimiter(3, 60)
    tts = make_tts(scripted.url, limiter=plan)
    await tts.synthesize(requests_of("One.", "Two.", "Three."))
    assert not plan.has_capacity()
    with pytest.raises(RateLimitError):
        await tts.synthesize("Four.")
    assert on_track(track) == heard_for("One.", "Two.", "Three.")


async def test_with_an_aiolimiter_nobody_waits_in_vain(clock: Clock) -> None:
    plan = AsyncLimiter(10, 60)  # One in 6 s.
    first, second = Permits(plan, 5.0), Permits(plan, 5.0)
    for _ in range(10):
        await first.take("request", 5.0)
    with pytest.raises(RateLimitError):
        await first.take("request", 5.0)  # At once: no time has passed.
    await clock.advance(2.0)
    waits = asyncio.create_task(first.take("request", 5.0))  # For 4 s.
    await settled()
    with pytest.raises(RateLimitError):
        await second.take("request", 9.0)  # Behind the other it would be 10.
    await clock.advance(4.1)
    await asyncio.wait_for(waits, PATIENCE)
    assert first.scarce


async def test_an_aiolimiter_leaves_the_standby_connection_alone(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    plan = AsyncLimiter(1, 60)
    await plan.acquire()
    tts = make_tts(scripted.url, limiter=plan)
    await tts.prewarm()
    await until(lambda: len(scripted.conversations) == 1)


# What was learned


async def test_after_a_refusal_requests_are_scarce_for_a_minute(clock: Clock) -> None:
    permits = Permits(None, 5.0)
    assert not permits.scarce
    permits.note_refusal()
    await clock.advance(59.0)
    assert permits.scarce
    await clock.advance(2.0)
    assert not permits.scarce


@pytest.mark.parametrize("limiter", [5, "redis", object(), {}])
def test_what_cannot_be_asked_is_refused(make_tts: Maker, scripted: ScriptedServer, limiter: object) -> None:
    with pytest.raises(ValueError, match="limiter must be an async function"):
        make_tts(scripted.url, limiter=limiter)

"""The application's rate limiter: who is asked when, who waits, and that it never silences a caller."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
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
from kit.tables import each
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.permits import Permits
from videosdk.plugins.lokutor.errors import RateLimitError

Maker = Callable[..., LokutorTTS]
Answer = bool | BaseException | Awaitable[bool]


class Desk:
    """A limiter that answers as the test says, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[tuple[str, float]] = []
        self._answers = list(answers)

    async def __call__(self, kind: str, within: float) -> bool:
        self.asked.append((kind, within))
        answer = self._answers.pop(0) if self._answers else True
        if isinstance(answer, BaseException):
            raise answer
        return await answer if isinstance(answer, Awaitable) else answer

    def answer(self, *answers: Answer) -> None:
        """Answer so from now on."""
        self._answers = list(answers)

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


async def never() -> AsyncIterator[str]:
    """A language model that thinks, and says nothing."""
    await asyncio.Event().wait()
    yield ""


async def interrupt_thinking(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    """Interrupt a turn that has its connection, and no text yet."""
    turn = asyncio.create_task(tts.synthesize(never()))
    await until(lambda: bool(scripted.conversations))
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)


async def test_a_barge_in_ends_the_waiting_and_the_permit_is_kept(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    handshake: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Desk(waiting, handshake)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    turn = asyncio.create_task(tts.synthesize("One."))
    await until(lambda: desk.kinds == ["request", "handshake"])
    handshake.set_result(True)
    await settled()
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)
    assert waiting.cancelled()

    # One that ends with its permit in hand leaves it to the next; the handshake's was left by the one before.
    turn = asyncio.create_task(tts.synthesize(never()))
    await until(lambda: desk.kinds[2:] == ["request"] and bool(scripted.conversations))
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)
    await tts.synthesize("Two.")
    assert desk.kinds[3:] == ["handshake"]
    assert scripted.texts == ["Two."]


async def test_a_permit_is_kept_for_seconds_only(
    make_tts: Maker, scripted: ScriptedServer, clock: Clock
) -> None:
    desk = Desk()
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    await interrupt_thinking(tts, scripted)
    await clock.advance(5.1)
    await tts.synthesize("One.")
    assert desk.kinds == ["request", "handshake"] * 2


async def test_a_turn_whose_text_comes_late_asks_again(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    desk = Desk()
    words = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        await words.wait()
        yield "One."

    turn = asyncio.create_task(make_tts(scripted.url, limiter=desk, keep_warm=False).synthesize(source()))
    await until(lambda: bool(scripted.conversations))
    await settled()  # The plugin has to know of it, too.
    clock.skip(5.1)
    words.set()
    await asyncio.wait_for(turn, PATIENCE)
    assert desk.kinds == ["request", "handshake", "request"]
    assert on_track(track) == heard_for("One.")


class Returns(Desk):
    """A limiter that takes permits back, unless it is told to fail."""

    def __init__(self, *answers: Answer, failure: Exception | None = None) -> None:
        super().__init__(*answers)
        self.returned: list[str] = []
        self._failure = failure

    async def give_back(self, kind: str) -> None:
        await asyncio.sleep(0)
        self.returned.append(kind)
        if self._failure is not None:
            raise self._failure


async def test_a_limiter_that_takes_permits_back_gets_them_at_once(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    desk = Returns()
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    await interrupt_thinking(tts, scripted)
    await tts.aclose()
    # The handshake was made: its permit was used.
    assert desk.returned == ["request"]


async def test_a_limiter_that_fails_to_take_a_permit_back_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Returns(failure=ConnectionError("Redis is gone"))
    permits = Permits(desk, 5.0)
    for _ in range(2):
        permits.give_back(await permits.take("request", 5.0))
        await permits.close()
    assert desk.returned == ["request", "request"]
    assert sum("took no permit back" in record.getMessage() for record in caplog.records) == 1


async def test_a_permit_that_a_failing_limiter_has_not_counted_is_not_given_back() -> None:
    desk = Returns(ConnectionError("Redis is gone"))
    permits = Permits(desk, 5.0)
    permits.give_back(await permits.take("request", 5.0))
    await permits.close()
    assert desk.returned == []


@pytest.mark.parametrize("refused", ["request", "handshake"])
async def test_of_two_permits_the_one_is_given_back_if_the_other_is_refused(
    make_tts: Maker, scripted: ScriptedServer, refused: str
) -> None:
    desk = Returns(refused != "request", refused != "handshake")
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    source = chunks_of(["One."])
    with pytest.raises(RateLimitError, match=f"no permit for a {refused}"):
        await tts.synthesize(source)
    assert [piece async for piece in source] == ["One."]
    await tts.aclose()
    assert desk.kinds == ["request", "handshake"]
    assert desk.returned == [{"request": "handshake", "handshake": "request"}[refused]]
    assert not scripted.conversations


async def test_a_refused_request_does_not_wait_for_the_handshakes_permit(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    tts = make_tts(scripted.url, limiter=Desk(False, waiting), keep_warm=False)
    with pytest.raises(RateLimitError, match="no permit for a request"):
        await asyncio.wait_for(tts.synthesize("One."), PATIENCE)
    await settled()
    assert waiting.cancelled()


async def test_a_standby_connection_that_has_come_meanwhile_spares_the_handshakes_permit(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    desk = Returns(True, waiting)
    tts = make_tts(scripted.url, limiter=desk)
    turn = asyncio.create_task(tts.synthesize("One."))
    await until(lambda: desk.kinds == ["request", "handshake"])
    other = make_tts(scripted.url)
    connection = await other._connector.connect_stream(False, PATIENCE)
    await tts._standby.fill()  # Nothing is opened while a turn waits.
    assert tts._standby.take_back(connection)
    waiting.set_result(True)
    await asyncio.wait_for(turn, PATIENCE)
    await until(lambda: desk.returned == ["handshake"])
    assert on_track(track) == heard_for("One.")


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
    failure: BaseException,
) -> None:
    desk = Desk(failure, failure, failure)
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    await tts.synthesize(requests_of("One.", "Two."))
    assert desk.kinds == ["request", "handshake"]
    await clock.advance(5.0)
    await tts.synthesize("Three.")
    assert desk.kinds[2:] == ["request"]
    await clock.advance(10.0)
    await tts.synthesize("Four.")  # Asks, and doesn't wait for the answer.
    assert desk.kinds[3:] == ["request"]
    await tts.synthesize("Five.")
    assert desk.kinds[4:] == ["request", "handshake"]
    said = [["One.", "Two."], ["Three."], ["Four."], ["Five."]]
    assert on_track(track) == b"".join(heard_for(*texts) for texts in said)
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


async def hang() -> bool:
    return await asyncio.Event().wait()


async def test_a_limiter_that_hangs_is_asked_ever_more_rarely_and_holds_nobody_up(clock: Clock) -> None:
    desk = Desk(*[hang() for _ in range(7)])
    permits = Permits(desk, 5.0)
    first = asyncio.create_task(permits.take("request", 5.0))
    await settled()
    await clock.advance(6.1)
    await asyncio.wait_for(first, PATIENCE)
    for number, pause in enumerate([5.0, 10.0, 20.0, 40.0, 60.0, 60.0], start=1):
        await clock.advance(pause - 0.5)
        await permits.take("request", 5.0)
        await settled()
        assert len(desk.asked) == number, pause
        await clock.advance(0.6)
        begun = asyncio.get_running_loop().time()
        await permits.take("request", 5.0)  # Asks, and passes at once.
        assert asyncio.get_running_loop().time() - begun < 1.0
        await settled()
        assert len(desk.asked) == number + 1, pause
        await clock.advance(6.1)  # That hangs, too.
    await clock.advance(61.0)
    await permits.take("request", 5.0)
    await settled()
    # It answers again: from now on it decides, and the next failure begins with a short pause.
    desk.answer(False, ConnectionError(), True)
    with pytest.raises(RateLimitError):
        await permits.take("request", 5.0)
    await permits.take("request", 5.0)
    count = len(desk.asked)
    await clock.advance(5.1)
    await permits.take("request", 5.0)
    await settled()
    assert len(desk.asked) == count + 1


async def test_when_a_limiter_hangs_all_who_wait_pass(clock: Clock) -> None:
    permits = Permits(Desk(hang(), hang()), 5.0)
    spare = asyncio.create_task(permits.take_spare("handshake"))
    await settled()
    turn = asyncio.create_task(permits.take("request", 1_000.0))
    await settled()
    await clock.advance(1.1)  # The standby connection finds it out.
    await asyncio.wait_for(turn, PATIENCE)
    await spare


async def test_closing_ends_the_trial_of_a_limiter_that_hangs(clock: Clock) -> None:
    hanging: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    permits = Permits(Desk(ConnectionError(), hanging), 5.0)
    await permits.take("request", 5.0)
    await clock.advance(5.1)
    await permits.take("request", 5.0)
    await settled()
    await asyncio.wait_for(permits.close(), PATIENCE)
    await settled()
    assert hanging.cancelled()


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


async def break_off(conversation: Conversation) -> None:
    await conversation.request()
    conversation.abort()


async def test_a_request_that_is_sent_again_is_asked_for_again(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.appendleft(break_off)
    desk = Desk()
    await make_tts(scripted.url, limiter=desk, keep_warm=False).synthesize("One.")
    assert desk.kinds[:2] == ["request", "handshake"]
    assert sorted(desk.kinds[2:]) == ["handshake", "request"]
    assert on_track(track) == heard_for("One.")


async def test_a_handshake_and_its_request_are_asked_for_at_once(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.appendleft(break_off)
    waiting = [asyncio.get_running_loop().create_future() for _ in range(4)]
    desk = Desk(*waiting)
    turn = asyncio.create_task(make_tts(scripted.url, limiter=desk, keep_warm=False).synthesize("One."))
    await until(lambda: len(desk.asked) == 2)
    waiting[0].set_result(True)
    waiting[1].set_result(True)
    await until(lambda: len(desk.asked) == 4)  # For what is sent again.
    waiting[2].set_result(True)
    waiting[3].set_result(True)
    await asyncio.wait_for(turn, PATIENCE)
    assert on_track(track) == heard_for("One.")


async def test_a_stream_is_asked_for_too(make_tts: Maker, scripted: ScriptedServer) -> None:
    desk = Desk()
    tts = make_tts(scripted.url, limiter=desk, keep_warm=False)
    assert [piece async for piece in tts.stream_synthesize("One.")]
    assert desk.kinds == ["request", "handshake"]


async def test_a_give_back_that_swallows_its_cancellation_does_not_hold_up_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    released, ended = asyncio.Event(), asyncio.Event()

    class Stubborn(Desk):
        async def give_back(self, kind: str) -> None:
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await released.wait()
            ended.set()

    permits = Permits(Stubborn(), 5.0)
    permits.give_back(await permits.take("request", 5.0))
    closing = asyncio.create_task(permits.close())
    await settled()
    assert not closing.done()
    await clock.advance(3.0)
    await asyncio.wait_for(closing, PATIENCE)
    assert "hangs in give_back()" in caplog.text
    released.set()
    await asyncio.wait_for(ended.wait(), PATIENCE)


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


# What can be asked, and what it answers


@pytest.mark.parametrize(
    ("answer", "permitted"),
    [
        (None, True),
        (True, True),
        (1, True),
        ("OK", True),
        (np.bool_(True), True),
        (False, False),
        (0, False),
        (np.bool_(False), False),
        ("", False),
    ],
)
@pytest.mark.parametrize("awaited", [True, False])
async def test_an_answer_counts_by_its_truth_and_none_permits(
    answer: object, permitted: bool, awaited: bool
) -> None:
    async def limiter(kind: str, within: float) -> Any:
        return answer

    permits = Permits(limiter if awaited else lambda *_: answer, 5.0)  # type: ignore[arg-type]
    taking = permits.take("request", 5.0)
    if permitted:
        assert (await taking).counted
    else:
        with pytest.raises(RateLimitError):
            await taking


async def test_an_answer_without_a_truth_is_the_limiters_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def limiter(kind: str, within: float) -> Any:
        return np.array([True, False])

    assert not (await Permits(limiter, 5.0).take("request", 5.0)).counted
    assert "The limiter failed" in caplog.text


async def permit(kind: str, within: float) -> bool:
    return True


def with_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(kind: str, within: float) -> Any:
        return function(kind, within)

    return wrapper


def without_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return wrapper


def in_a_thread(function: Callable[..., bool]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return asyncio.to_thread(function, *arguments)

    return wrapper


def plain(kind: str, within: float):  # type: ignore[no-untyped-def]
    return False


def plain_with_type(kind: str, within: float) -> bool:
    return False


def says_so(kind: str, within: float) -> Awaitable[bool]:
    return permit(kind, within)


async def one_argument(kind: str) -> bool:
    return True


async def three_arguments(plan: str, kind: str, within: float) -> bool:
    return True


async def generates(kind: str, within: float) -> AsyncIterator[bool]:
    yield False


class Plan:
    """Limiters as methods."""

    async def __call__(self, kind: str, within: float) -> bool:
        return True

    async def ask(self, kind: str, within: float) -> bool:
        return True

    def plain(self, kind: str, within: float) -> bool:
        return False

    @classmethod
    async def of_all(cls, kind: str, within: float) -> bool:
        return True

    @staticmethod
    async def anywhere(kind: str, within: float, margin: float = 0.0) -> bool:
        return True


class PlainPlan:
    def __call__(self, kind: str, within: float) -> bool:
        return False


class TakesBackWrongly(Plan):
    async def give_back(self) -> None: ...


class KeepsNothing(Plan):
    give_back = 5


class PlainBucket:
    max_rate = 1.0
    time_period = 1.0

    def has_capacity(self, amount: float = 1) -> bool:
        return True

    def acquire(self, amount: float = 1) -> None: ...


@each(
    "limiter",
    [
        permit,
        Plan(),
        Plan().ask,
        Plan.of_all,
        Plan.anywhere,
        functools.partial(three_arguments, "plan"),
        functools.partial(Plan()),
        with_wraps(permit),
        without_wraps(permit),
        in_a_thread(plain_with_type),
        says_so,
        lambda kind, within: Plan().ask(kind, within),
        AsyncLimiter(1, 60),
        Returns(),
        None,
    ],
)
def test_whatever_can_be_asked_is_taken(limiter: Any) -> None:
    LokutorTTS(api_key="key", limiter=limiter)


@each(
    ("limiter", "told"),
    [
        (5, "got a int"),
        ("redis", "got a str"),
        (object(), "got a object"),
        ({}, "got a dict"),
        (asyncio.Semaphore(3), "got a Semaphore"),
        (AsyncLimiter, "got the class AsyncLimiter: pass an instance"),
        (Plan, "got the class Plan: pass an instance"),
        (plain, "got plain, which isn't async"),
        (plain_with_type, "got plain_with_type, which isn't async"),
        (Plan().plain, r"got Plan\.plain, which isn't async"),
        (functools.partial(plain), "got a partial, which isn't async"),
        (PlainPlan(), "got a PlainPlan, which isn't async"),
        (generates, "got generates, which isn't async"),
        (PlainBucket(), r"a PlainBucket whose acquire\(\) isn't async"),
        (one_argument, r"must take \(kind, timeout\), got one_argument\(kind"),
        (three_arguments, r"must take \(kind, timeout\), got three_arguments"),
        (TakesBackWrongly(), r"give_back must take \(kind\)"),
        (KeepsNothing(), "a KeepsNothing whose give_back is no function"),
    ],
)
def test_what_cannot_be_asked_is_refused(limiter: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"limiter.*{told}"):
        LokutorTTS(api_key="key", limiter=limiter)

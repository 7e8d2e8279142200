"""Barge-in and cancellation, at every moment of a call."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import pytest
from kit import (
    PATIENCE,
    BareTrack,
    Clock,
    Conversation,
    ScriptedServer,
    chunks_of,
    heard_for,
    interrupt_late,
    on_track,
    pushed_samples,
    speech_of,
    until,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

TEXT = "This is a sentence to talk over."


@dataclass
class Turn:
    """One call on a server, and the text that it speaks."""

    tts: LokutorTTS
    server: ScriptedServer
    track: CustomAudioStreamTrack
    task: asyncio.Task[None] = field(init=False)
    text_closed: asyncio.Event = field(default_factory=asyncio.Event)
    text_begun: bool = False
    others: list[asyncio.Task[None]] = field(default_factory=list)

    async def text(self, *, endless: bool = False) -> AsyncIterator[str]:
        self.text_begun = True
        try:
            if endless:
                await asyncio.Event().wait()
            yield TEXT
            await asyncio.Event().wait()
        finally:
            self.text_closed.set()

    def begin(self, text: AsyncIterator[str]) -> None:
        self.track.enable_audio_input(manual_control=True)
        self.task = asyncio.create_task(self.tts.synthesize(text))


async def silent(conversation: Conversation) -> None:
    await conversation.gone()


async def half(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.audio(speech_of(TEXT)[:20_000])
    await conversation.gone()


async def before_connecting(turn: Turn) -> None:
    turn.begin(turn.text())
    await asyncio.sleep(0)


async def waiting_for_text(turn: Turn) -> None:
    turn.begin(turn.text(endless=True))
    await until(lambda: turn.text_begun)


async def before_first_audio(turn: Turn) -> None:
    turn.server.scripts.append(silent)
    turn.begin(turn.text())
    await until(lambda: turn.server.texts == [TEXT])


async def in_mid_audio(turn: Turn) -> None:
    turn.server.scripts.append(half)
    turn.begin(turn.text())
    await until(lambda: pushed_samples(turn.track) > 0)


async def between_requests(turn: Turn) -> None:
    turn.begin(turn.text())
    await until(lambda: pushed_samples(turn.track) * 2 >= len(heard_for(TEXT)) - 2_000)


MOMENTS = [before_connecting, waiting_for_text, before_first_audio, in_mid_audio, between_requests]
Moment = Callable[[Turn], Awaitable[None]]


@pytest.fixture
async def turn(tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack) -> Turn:
    return Turn(tts, scripted, track)


async def assert_over(turn: Turn) -> None:
    """The call has left nothing behind, and the next turn is whole."""
    pushed = pushed_samples(turn.track)
    await turn.server.all_closed()
    assert turn.server.open_connections == 0
    assert pushed_samples(turn.track) == pushed
    if turn.text_begun:
        assert turn.text_closed.is_set()
    turn.track.interrupt()
    turn.track.frame_buffer.clear()
    turn.track.enable_audio_input(manual_control=True)
    await turn.tts.synthesize(chunks_of(["The next turn is whole."]))
    assert on_track(turn.track) == heard_for("The next turn is whole.")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_interrupt_ends_the_call(turn: Turn, moment: Moment) -> None:
    await moment(turn)
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_interrupt_twice_ends_the_call_once(turn: Turn, moment: Moment) -> None:
    await moment(turn)
    await turn.tts.interrupt()
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    await turn.tts.interrupt()
    await assert_over(turn)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_cancellation_ends_the_call_and_is_not_swallowed(turn: Turn, moment: Moment) -> None:
    await moment(turn)
    turn.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn.task
    assert turn.task.cancelled()
    await assert_over(turn)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_frameworks_barge_in_interrupts_cancels_and_interrupts_again(
    turn: Turn, moment: Moment
) -> None:
    await moment(turn)
    await turn.tts.interrupt()
    turn.track.interrupt()
    turn.task.cancel()
    await asyncio.wait({turn.task}, timeout=PATIENCE)
    assert turn.task.cancelled()
    await turn.tts.interrupt()
    turn.track.interrupt()
    await assert_over(turn)


async def test_interrupt_while_the_server_does_not_answer_the_handshake(
    make_tts: Callable[[str], LokutorTTS], track: CustomAudioStreamTrack
) -> None:
    connected = asyncio.Event()
    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connected.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        tts = make_tts(f"ws://127.0.0.1:{port}")
        task = asyncio.create_task(tts.synthesize(TEXT))
        await asyncio.wait_for(connected.wait(), PATIENCE)
        await tts.interrupt()
        await asyncio.wait_for(task, PATIENCE)
        await asyncio.wait_for(gone.wait(), PATIENCE)
    assert pushed_samples(track) == 0


async def test_interrupt_after_the_end_silences_the_track(turn: Turn) -> None:
    await turn.tts.synthesize(TEXT)
    assert on_track(turn.track) == heard_for(TEXT)
    await turn.tts.interrupt()
    # The framework's own fade of 0.4 s is all that is left to play.
    assert len(on_track(turn.track)) <= 24_000 * 2 * 0.4
    await assert_over(turn)


async def test_interrupt_without_a_call_or_a_track_does_nothing() -> None:
    tts = LokutorTTS(api_key="k", base_url="ws://127.0.0.1:9")
    await tts.interrupt()
    await tts.aclose()


async def test_interrupt_does_not_give_up_the_event_loop(turn: Turn) -> None:
    """A single pass given away would let the framework's late second interrupt mute the next turn."""
    await in_mid_audio(turn)
    passes: list[None] = []
    asyncio.get_running_loop().call_soon(passes.append, None)
    await turn.tts.interrupt()
    assert not passes
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


async def test_interrupt_leaves_a_stream_alone(turn: Turn) -> None:
    stream = turn.tts.stream_synthesize(chunks_of([TEXT]))
    heard = await anext(stream)
    await in_mid_audio(turn)
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    async for pcm in stream:
        heard += pcm
    assert heard == heard_for(TEXT)


async def test_a_text_iterator_that_refuses_to_end_does_not_hold_the_call(
    turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn() -> AsyncIterator[str]:
        yield TEXT
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    turn.server.scripts.append(half)
    turn.begin(stubborn())
    await until(lambda: pushed_samples(turn.track) > 0)
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    assert "did not stop" in caplog.text
    release.set()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    await assert_over(turn)


class Closable:
    """A text iterator that is closed as the test wants it."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._texts = [TEXT]
        self.aclose = close

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if not self._texts:
            await asyncio.Event().wait()
        return self._texts.pop()


async def test_a_text_iterator_whose_closing_refuses_to_end_is_left_behind(
    turn: Turn, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    closing, release, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def close() -> None:
        closing.set()
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        closed.set()

    turn.server.scripts.append(half)
    turn.begin(Closable(close))
    await until(lambda: pushed_samples(turn.track) > 0)
    await turn.tts.interrupt()
    await closing.wait()
    await clock.advance(0.6)
    await asyncio.wait_for(turn.task, PATIENCE)
    assert "did not stop" in caplog.text
    gc.collect()  # Nobody but the plugin holds it by now.
    release.set()
    await asyncio.wait_for(closed.wait(), PATIENCE)


async def of_a_cancelled_future() -> None:
    """Wait for something that somebody else has cancelled."""
    result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    result.cancel()
    await result


@pytest.mark.parametrize("stop", ["interrupt", "cancel"])
async def test_a_cancellation_out_of_a_text_iterators_closing_is_not_the_callers(
    turn: Turn, stop: str, caplog: pytest.LogCaptureFixture
) -> None:
    turn.server.scripts.append(half)
    turn.begin(Closable(of_a_cancelled_future))
    await until(lambda: pushed_samples(turn.track) > 0)
    if stop == "interrupt":
        await turn.tts.interrupt()
    else:
        turn.task.cancel()
    await asyncio.wait({turn.task}, timeout=PATIENCE)
    assert turn.task.cancelled() == (stop == "cancel")
    assert "did not stop" in caplog.text
    await assert_over(turn)


async def test_a_caller_who_gave_an_earlier_turn_up_can_interrupt_a_later_one(turn: Turn) -> None:
    """Its earlier turn was cancelled by a time-out of its own, which is over."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await turn.tts.synthesize(turn.text(endless=True))
    await in_mid_audio(turn)
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


async def test_a_caller_who_swallowed_its_cancellation_can_interrupt_its_next_turn(turn: Turn) -> None:
    begun = asyncio.Event()

    async def caller() -> None:
        try:
            await turn.tts.synthesize(turn.text(endless=True))
        except asyncio.CancelledError:
            begun.set()
        await turn.tts.synthesize("Its next.")
        turn.track.interrupt()
        turn.track.enable_audio_input(manual_control=True)
        turn.server.scripts.append(half)
        turn.begin(turn.text())
        await until(lambda: len(turn.server.texts) == 2)
        await turn.tts.interrupt()

    call = asyncio.create_task(caller())
    await until(lambda: turn.text_begun)
    call.cancel()
    await asyncio.wait_for(call, PATIENCE)
    assert begun.is_set()
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


async def swallow_cancellation(turn: Turn, then: asyncio.Event) -> None:
    """Cancel a turn in a task that goes on as if nothing had been, and interrupts when told to."""
    cancelled = asyncio.Event()

    async def caller() -> None:
        try:
            await turn.tts.synthesize(turn.text(endless=True))
        except asyncio.CancelledError:
            cancelled.set()
        await then.wait()
        await turn.tts.interrupt()

    call = asyncio.create_task(caller())
    await until(lambda: turn.text_begun)
    call.cancel()
    await asyncio.wait_for(cancelled.wait(), PATIENCE)
    turn.others.append(call)


async def test_a_cancellation_of_long_ago_spares_no_turn(turn: Turn, clock: Clock) -> None:
    now = asyncio.Event()
    await swallow_cancellation(turn, now)
    await clock.advance(5.0)
    await in_mid_audio(turn)
    now.set()
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


async def test_a_cancellation_spares_no_turn_but_the_next(turn: Turn) -> None:
    now = asyncio.Event()
    await swallow_cancellation(turn, now)
    await turn.tts.synthesize(TEXT)
    turn.track.interrupt()
    turn.track.enable_audio_input(manual_control=True)
    pushed = pushed_samples(turn.track)
    turn.server.scripts.append(half)
    turn.begin(turn.text())
    await until(lambda: pushed_samples(turn.track) > pushed)
    now.set()
    await asyncio.wait_for(turn.task, PATIENCE)
    await assert_over(turn)


async def test_a_late_interrupt_spares_the_turn_behind_one_that_was_spoken_to_its_end(turn: Turn) -> None:
    """The framework's task waits until its turn was heard, and is cancelled then."""
    await interrupt_late(turn.tts, turn.track, TEXT, spoken=True)
    assert on_track(turn.track) == heard_for(TEXT)


async def test_a_late_interrupt_ends_older_turns_and_spares_newer_ones(turn: Turn) -> None:
    """It comes from the task of a cancelled turn, while another has begun on a track of its own."""
    older_track, newer_track = CountingTrack(), CountingTrack()
    next_begun = asyncio.Event()

    async def cancelled_turn() -> None:
        try:
            await turn.tts.synthesize(TEXT)
        finally:
            await next_begun.wait()
            await turn.tts.interrupt()

    turn.server.scripts.extend([half, half])
    turn.tts.audio_track = older_track
    older = asyncio.create_task(turn.tts.synthesize(TEXT))
    await until(lambda: older_track.pcm != b"")
    turn.tts.audio_track = turn.track
    cancelled = asyncio.create_task(cancelled_turn())
    await until(lambda: pushed_samples(turn.track) > 0)
    cancelled.cancel()
    await until(lambda: turn.server.open_connections == 1)
    turn.tts.audio_track = newer_track
    newer = asyncio.create_task(turn.tts.synthesize(TEXT))
    await until(lambda: newer_track.pcm != b"")
    next_begun.set()
    await asyncio.wait({cancelled}, timeout=PATIENCE)
    await asyncio.wait_for(older, PATIENCE)
    await asyncio.wait_for(newer, PATIENCE)
    assert newer_track.pcm == heard_for(TEXT)
    assert (older_track.interrupted, newer_track.interrupted) == (1, 0)


class CountingTrack(BareTrack):
    """Counts its interrupts, and can fail at them."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.interrupted = 0
        self._error = error

    def interrupt(self) -> None:
        self.interrupted += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("other", [None, CountingTrack])
@pytest.mark.parametrize("ended", [False, True])
async def test_interrupt_silences_the_track_that_the_turn_speaks_on(
    turn: Turn, ended: bool, other: Callable[[], BareTrack] | None
) -> None:
    """Also where the plugin was given another track meanwhile, and where only the playback goes on."""
    if ended:
        await turn.tts.synthesize(TEXT)
    else:
        await in_mid_audio(turn)
    turn.tts.audio_track = other and other()
    await turn.tts.interrupt()
    # The framework's own fade of 0.4 s is all that is left to play.
    assert len(on_track(turn.track)) <= 24_000 * 2 * 0.4
    assert turn.tts.audio_track is None or turn.tts.audio_track.interrupted == 1
    if not ended:
        await asyncio.wait_for(turn.task, PATIENCE)


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_track_whose_interrupt_raises_does_not_keep_the_turn_alive(
    turn: Turn, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    await in_mid_audio(turn)
    turn.tts.audio_track = CountingTrack(error("the track is gone"))
    await turn.tts.interrupt()
    await asyncio.wait_for(turn.task, PATIENCE)
    assert len(on_track(turn.track)) <= 24_000 * 2 * 0.4
    assert "the track is gone" in caplog.text


async def test_a_track_whose_interrupt_is_a_coroutine_is_interrupted_nevertheless(turn: Turn) -> None:
    silenced = asyncio.Event()

    class AsyncTrack(BareTrack):
        async def interrupt(self) -> None:  # type: ignore[override]
            silenced.set()

    turn.tts.audio_track = AsyncTrack()
    await turn.tts.synthesize(TEXT)
    await turn.tts.interrupt()
    await asyncio.wait_for(silenced.wait(), PATIENCE)


@pytest.mark.parametrize("act", ["interrupt", "aclose"])
async def test_a_text_iterator_that_ends_its_own_turn_is_closed(
    tts: LokutorTTS, scripted: ScriptedServer, act: str
) -> None:
    closed = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        try:
            yield "Enough of this."
            await getattr(tts, act)()
            await asyncio.Event().wait()
        finally:
            closed.set()

    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert closed.is_set()

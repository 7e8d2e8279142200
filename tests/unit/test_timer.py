"""A deadline that moves: earlier, later, or away, on every event loop."""

from __future__ import annotations

import asyncio
import socket

import pytest
from kit import PATIENCE, Clock

from videosdk.plugins.lokutor._timer import Deadline, Stretch, Timer


async def fired(done: asyncio.Event) -> None:
    await asyncio.wait_for(done.wait(), PATIENCE)


async def test_a_timer_that_is_due_at_once_can_be_started_again() -> None:
    done = asyncio.Event()
    timer = Timer(asyncio.get_running_loop(), done.set)
    timer.start(0.0)
    timer.start(0.0)
    timer.start(-1.0)
    await fired(done)
    assert not timer.running


async def test_a_timer_can_be_moved_to_an_earlier_time() -> None:
    done = asyncio.Event()
    timer = Timer(asyncio.get_running_loop(), done.set)
    timer.start(3600.0)
    timer.start(0.0)
    await fired(done)


async def test_a_timer_that_is_moved_to_a_later_time_does_not_fire_before_it() -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    timer = Timer(loop, done.set)
    timer.start(0.0)
    begun = loop.time()
    timer.start(0.05)
    await fired(done)
    assert loop.time() >= begun + 0.05


async def test_a_stopped_timer_does_not_fire() -> None:
    done = asyncio.Event()
    timer = Timer(asyncio.get_running_loop(), done.set)
    timer.start(0.0)
    timer.stop()
    other = Timer(asyncio.get_running_loop(), done.set)
    other.start(0.0)
    other.close()
    await asyncio.sleep(0.01)
    assert not done.is_set()
    assert not timer.running


async def test_a_deadline_raises_in_the_task_that_waits() -> None:
    deadline = Deadline(asyncio.get_running_loop())
    deadline.start(0.01)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    with deadline:  # It has passed, and is over.
        await asyncio.sleep(0)


async def test_a_deadline_that_passes_while_nobody_waits_disturbs_nobody(clock: Clock) -> None:
    async def wait() -> None:
        with deadline:
            await asyncio.Event().wait()

    deadline = Deadline(asyncio.get_running_loop())
    deadline.start(5.0)
    await clock.advance(6.0)
    waiting = asyncio.create_task(wait())
    await clock.advance(0.05)  # What has come meanwhile may still be read.
    assert not waiting.done()
    await clock.advance(0.1)
    with pytest.raises(TimeoutError):
        await waiting
    deadline.start(5.0)
    await clock.advance(6.0)
    deadline.start(5.0)
    with deadline:
        await asyncio.sleep(0)
    deadline.close()


async def test_a_deadline_moves_while_another_task_waits(clock: Clock) -> None:
    async def wait() -> None:
        with deadline:
            await come.wait()

    deadline, come = Deadline(asyncio.get_running_loop()), asyncio.Event()
    deadline.start(5.0)
    waiting = asyncio.create_task(wait())
    await clock.advance(4.0)
    deadline.start(5.0)
    await clock.advance(4.0)
    deadline.pause()
    await clock.advance(60.0)
    deadline.resume()
    assert not waiting.done()
    await clock.advance(2.0)
    with pytest.raises(TimeoutError):
        await waiting


async def test_a_deadline_leaves_a_cancellation_to_whoever_has_asked_for_it(clock: Clock) -> None:
    async def wait() -> None:
        with deadline:
            await asyncio.Event().wait()

    deadline = Deadline(asyncio.get_running_loop())
    deadline.start(5.0)
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await clock.advance(6.0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()


@pytest.mark.parametrize("over_a_task", [True, False])
async def test_what_has_come_while_the_loop_was_blocked_is_in_time(clock: Clock, over_a_task: bool) -> None:
    async def receive() -> bytes:
        with deadline:
            coming = reader.readexactly(1)
            return await (asyncio.shield(asyncio.create_task(coming)) if over_a_task else coming)

    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours)
        deadline = Deadline(asyncio.get_running_loop())
        deadline.start(5.0)
        receiving = asyncio.create_task(receive())
        await asyncio.sleep(0.01)
        theirs.send(b"x")
        clock.skip(60.0)
        assert await receiving == b"x"
        deadline.close()
        writer.close()


async def test_what_has_come_by_its_time_is_in_time_for_a_deadline() -> None:
    """A task that was woken in the same pass of the loop has yet to run."""
    loop = asyncio.get_running_loop()
    deadline, woken = Deadline(loop), asyncio.Event()

    async def receive() -> str:
        await woken.wait()
        await asyncio.sleep(0)
        return "what has come"

    receiving = asyncio.create_task(receive())
    await asyncio.sleep(0)
    deadline.start(0.0)
    woken.set()
    with deadline:
        assert await asyncio.wait_for(receiving, PATIENCE) == "what has come"


async def test_a_stretch_is_over_when_the_loop_has_not_gone_on_for_long(clock: Clock) -> None:
    stretch = Stretch()
    assert not stretch.over
    clock.skip(0.006)
    assert stretch.over
    await asyncio.sleep(0)
    assert not stretch.over
    await clock.advance(1.0)  # Others have run meanwhile.
    assert not stretch.over

"""A deadline that moves: earlier, later, or away, on every event loop."""

from __future__ import annotations

import asyncio

from kit import PATIENCE

from videosdk.plugins.lokutor._timer import Timer


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

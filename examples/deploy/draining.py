"""A worker that ends cleanly: on SIGTERM it takes no new call, and lets each reply under way be heard.

With VideoSDK's own ``Worker.run_worker()``, calls go on for 3 s after SIGTERM, for nothing tells their
processes. Then they are killed in the middle of a word. Copy this module, and use both of its functions:
:func:`serve` in place of ``WorkerJob(…).start()``, and :func:`hold_call` in place of ``session.start()``.

A second signal ends everything at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from videosdk.agents import AgentSession, RoomOptions, UtteranceHandle, Worker, WorkerOptions
from videosdk.agents.execution import ResourceStatus
from videosdk.agents.execution.resources import ProcessResource

logger = logging.getLogger("agent")

TURN = 5.0
"""Seconds for which the turn under way is heard after SIGTERM, its fade-out included."""
TAIL = 0.5
"""Seconds that the last frame takes over the network and through the caller's buffer, or a fade-out takes."""
CLOSING = 3.0
"""Seconds for a call to close its connections and leave the room, and for the worker to notice."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(options: WorkerOptions, room: RoomOptions) -> None:
    """Take calls until SIGTERM or SIGINT; then end those under way, and return.

    Args:
        options: The worker's. ``close_timeout`` should be a few seconds: after that, a process is terminated.
        room: What all rooms have in common.

    Raises:
        RuntimeError: The worker could not be registered.
    """
    worker = Worker(options, default_room_options=room)
    loop, serving = asyncio.get_running_loop(), asyncio.current_task()
    assert serving is not None
    for number in SIGNALS:
        loop.add_signal_handler(number, _on_signal, number, serving)
    try:
        await worker.initialize()
        await worker._run_backend_mode()  # As run_worker() does; there is no public name for it.
    except asyncio.CancelledError:
        logger.info("Draining: no new calls")
    finally:
        for call in _processes_in_call(worker):
            os.kill(call, signal.SIGTERM)
        await worker.drain(timeout=TURN + CLOSING)
        with contextlib.suppress(TimeoutError):  # Whoever looks at its status page must not hold it up.
            async with asyncio.timeout(2 * CLOSING):
                await worker.shutdown()


def _on_signal(number: int, serving: asyncio.Task[None]) -> None:
    if not serving.cancelling():
        serving.cancel()
        return
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(128 + number)  # Process 1 of a container can't kill itself by a signal.


def _processes_in_call(worker: Worker) -> Iterator[int]:
    """Yield the ids of processes in a call. The others are told by the worker's own shutdown."""
    executor = worker.process_manager
    for resource in executor.resource_manager.resources if executor else []:
        if isinstance(resource, ProcessResource) and resource.status is ResourceStatus.BUSY:
            process = resource.process
            if process is not None and process.is_alive() and process.pid is not None:
                yield process.pid


async def hold_call(session: AgentSession) -> None:
    """Hold the call from the caller's arrival to its end, or to SIGTERM.

    At SIGTERM the reply under way is heard to its end, or for at most :data:`TURN` seconds. A caller may
    still interrupt it. No further turn begins: ``session.say()`` and ``session.reply()`` return at once, with
    a handle that is interrupted.

    Args:
        session: Its agent should say nothing in ``on_exit()``: that would be another turn.
    """
    call, loop, draining = asyncio.current_task(), asyncio.get_running_loop(), asyncio.Event()
    assert call is not None

    @session.pipeline.on("user_turn_start")
    async def hold_back(_: str) -> None:
        if draining.is_set():
            await loop.create_future()  # Until the call is closed.

    def on_signal() -> None:
        if draining.is_set():
            os._exit(128 + signal.SIGTERM)
        logger.info("Draining: no new turns")
        draining.set()
        _answer_final_words_only(session)

    async def end() -> None:
        await draining.wait()
        await _hear_out(session)
        call.cancel()

    _hold_back_own_turns(session, draining)
    # The worker sends SIGTERM. A terminal's Ctrl+C reaches all processes, but only the worker's counts.
    loop.add_signal_handler(signal.SIGTERM, on_signal)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    ending = asyncio.create_task(end())
    try:
        await session.start(wait_for_participant=True, run_until_shutdown=True)
    except asyncio.CancelledError:
        if not draining.is_set():
            raise
    finally:
        ending.cancel()
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _hold_back_own_turns(session: AgentSession, draining: asyncio.Event) -> None:
    """Have the session say nothing of its own accord while it drains, whoever asks for it."""

    def unless_draining(begin: Callable[..., Awaitable[UtteranceHandle]]) -> Callable[..., Any]:
        @functools.wraps(begin)
        async def begin_or_not(*args: Any, **options: Any) -> UtteranceHandle:
            if not draining.is_set():
                return await begin(*args, **options)
            unspoken = UtteranceHandle(utterance_id="unspoken")
            unspoken.interrupt()
            return unspoken

        return begin_or_not

    session.say = unless_draining(session.say)  # type: ignore[method-assign]
    session.reply = unless_draining(session.reply)  # type: ignore[method-assign]


def _answer_final_words_only(session: AgentSession) -> None:
    """Switch off preemptive generation, which would begin a turn without a "user_turn_start"."""
    stt: Any = session.pipeline.stt
    listening = getattr(session.pipeline.orchestrator, "speech_understanding", None)
    if listening is not None and getattr(stt, "enable_preemptive_generation", False):
        stt.enable_preemptive_generation = False
        listening.update_preemptive_generation_flag()


async def _hear_out(session: AgentSession) -> None:
    """Wait until the reply under way was heard, or interrupt it in time."""
    reply = session.current_utterance
    if reply is None or reply.done():
        return
    heard = asyncio.ensure_future(_end_of(reply))
    await asyncio.wait({heard}, timeout=TURN - TAIL)
    if heard.done():
        logger.info("Draining: the reply was heard")
    else:
        logger.info("Draining: the reply is cut off")
        heard.cancel()
        session.interrupt(force=True)
    await asyncio.sleep(TAIL)


async def _end_of(reply: UtteranceHandle) -> None:
    await reply

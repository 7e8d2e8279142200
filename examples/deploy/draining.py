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
from collections.abc import Awaitable, Callable
from multiprocessing import forkserver
from typing import Any, NoReturn

from videosdk.agents import AgentSession, RoomOptions, UtteranceHandle, Worker, WorkerOptions
from videosdk.agents.backend.protocol import JobAssignment, JobUpdate
from videosdk.agents.execution import ResourceStatus
from videosdk.agents.execution.resources import ProcessResource

logger = logging.getLogger("agent")

TURN = 5.0
"""Seconds for which the turn under way is heard after SIGTERM, its fade-out included."""
TAIL = 0.5
"""Seconds that the last frame takes over the network and through the caller's buffer, or a fade-out takes."""
CLOSING = 3.0
"""Seconds for a call to close its connections and leave the room, and for the worker to notice."""
GRACE = 1.0
"""Seconds in which the registry may still assign a call that it has offered before the signal."""
LOOK = 0.05
"""Seconds between two looks for calls that still have to be told."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(options: WorkerOptions, room: RoomOptions) -> None:
    """Take calls until SIGTERM or SIGINT; then end those under way, and return.

    A signal that comes before the worker knows the registry ends the process at once, with exit code 0.

    Args:
        options: The worker's. ``close_timeout`` should be a few seconds: after that, a process is terminated.
        room: What all rooms have in common.

    Raises:
        RuntimeError: The worker could not be registered.
    """
    worker = Worker(options, default_room_options=room)
    serving = asyncio.current_task()
    assert serving is not None
    # Not the loop's own handlers: it stands still while the fork server imports what it was told to.
    on_signal = functools.partial(_on_signal, worker, asyncio.get_running_loop(), serving)
    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        await worker.initialize()
        await worker._run_backend_mode()  # As run_worker() does; there is no public name for it.
    except asyncio.CancelledError:
        logger.info("Draining: no new calls")
    finally:
        _refuse_calls(worker)
        telling = asyncio.create_task(_tell_calls(worker))
        await asyncio.sleep(0)  # What was assigned just now is a call that the worker waits for.
        await asyncio.gather(worker.drain(timeout=TURN + CLOSING), asyncio.sleep(GRACE))
        with contextlib.suppress(TimeoutError):  # Whoever looks at its status page must not hold it up.
            async with asyncio.timeout(2 * CLOSING):
                await worker.shutdown()
        telling.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_signal(
    worker: Worker, loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None], number: int, _: object
) -> None:
    if worker.backend_connection is None:
        _end_at_once(0)  # Nobody knows of it, so it has no call.
    if serving.cancelling():
        _end_at_once(128 + number)
    loop.call_soon_threadsafe(serving.cancel)


def _end_at_once(code: int) -> NoReturn:
    for child in multiprocessing.active_children():
        child.kill()
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if server is not None:  # It would still start a process that it was asked for.
        os.kill(server, signal.SIGKILL)
    os._exit(code)  # Process 1 of a container can't kill itself by a signal.


def _refuse_calls(worker: Worker) -> None:
    """Refuse what the registry assigns from now on: it was told before the signal that there is room."""
    registry: Any = worker.backend_connection  # It is typed for its own messages only.
    refusals = set[asyncio.Task[None]]()

    def refuse(assignment: JobAssignment) -> None:
        logger.info("Draining: call %s is refused", assignment.job_id)
        refusal = JobUpdate(job_id=assignment.job_id, status="failed", error="The worker is draining")
        refusals.add(sending := asyncio.create_task(_send(registry, refusal)))
        sending.add_done_callback(refusals.discard)

    if registry is not None:
        registry.on_assignment(refuse)


async def _send(registry: Any, message: JobUpdate) -> None:
    try:
        await registry.send_message(message)
    except RuntimeError as error:  # It is gone, and so knows that the worker takes no call.
        logger.info("Draining: the registry wasn't told: %s", error)


async def _tell_calls(worker: Worker) -> None:
    """Send each call SIGTERM, once; also one that was assigned before, and gets its process only now.

    The processes without a call are told by the worker's own shutdown.
    """
    executor, told = worker.process_manager, set[tuple[int, int]]()
    while executor is not None:
        for resource in executor.resource_manager.resources:
            if not isinstance(resource, ProcessResource) or resource.status is not ResourceStatus.BUSY:
                continue
            process, calls_before = resource.process, resource.success_count + resource.error_count
            if process is None or process.pid is None or not process.is_alive():
                continue
            if (process.pid, calls_before) not in told:
                told.add((process.pid, calls_before))
                os.kill(process.pid, signal.SIGTERM)
        await asyncio.sleep(LOOK)


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
    await asyncio.shield(reply)  # Others await the same handle.

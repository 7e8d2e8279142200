"""One spoken reply: everything that ``synthesize()`` does, and the state of it.

Rule of this file: what belongs to a call lives in its :class:`Utterance` and nowhere else, so an
utterance that is over can't be revived, and the next one can't inherit anything from it.

Two tasks work on an utterance. The *feeder* pulls the text and hands it to the planner; the *speaker*
connects and then turns replies into audio. Whichever finds the service free sends the next request.
The utterance ends by settling its outcome, once: spoken, interrupted or failed. Everything else (the
sockets, the tasks, the text iterator) is cleared away after that decision, never before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from videosdk.agents import FlushMarker

from ._audio import AudioOutput
from ._connection import Connection
from ._options import SpeechOptions
from ._protocol import Audio, EndOfRequest, ErrorReply, Event
from ._text import TextPlanner
from .errors import LokutorError, NetworkError, ReplyTimeoutError, error_from_reply
from .metrics import SynthesisMetrics

logger = logging.getLogger("videosdk.plugins.lokutor")

Text = AsyncIterator[str | FlushMarker] | str
Connect = Callable[[bool], Awaitable[Connection]]
"""Returns an open connection; with True a new one, never one that has waited."""

REPLY_TIMEOUT = 10.0
"""Seconds without audio inside a request after which the service counts as hung."""
_PROOF_TIMEOUT = 1.0
"""Seconds for a socket that has waited to give a sign of life. It was pinged when it was taken."""
_CLEANUP_TIMEOUT = 0.5
"""Seconds for the user's text iterator to honour its cancellation, before it is left behind."""


class State(Enum):
    """Where an utterance is."""

    CONNECTING = auto()
    WAITING = auto()  # Connected; no request under way.
    SPEAKING = auto()  # A request is under way.
    FINISHING = auto()  # All audio has come; its rest goes to the sink.
    SPOKEN = auto()
    INTERRUPTED = auto()
    FAILED = auto()


_ENDS = frozenset({State.SPOKEN, State.INTERRUPTED, State.FAILED})
_MOVES: dict[State, frozenset[State]] = {
    State.CONNECTING: frozenset({State.WAITING, State.INTERRUPTED, State.FAILED}),
    State.WAITING: frozenset(
        {State.SPEAKING, State.FINISHING, State.CONNECTING, State.INTERRUPTED, State.FAILED}
    ),
    State.SPEAKING: frozenset({State.WAITING, State.CONNECTING, State.INTERRUPTED, State.FAILED}),
    State.FINISHING: _ENDS,
    **{end: frozenset() for end in _ENDS},
}


class Utterance:
    """Speaks one text into one sink, over a socket of its own.

    Create it inside the running loop, :meth:`run` it once, and :meth:`interrupt` it at any time.

    Args:
        options: How to speak; frozen for this call.
        connect: Returns a connection that nobody else uses.
        output: Where the audio goes.
        reply_timeout: Seconds without audio inside a request after which the service counts as hung.
    """

    def __init__(
        self,
        options: SpeechOptions,
        connect: Connect,
        output: AudioOutput,
        *,
        reply_timeout: float = REPLY_TIMEOUT,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._connect = connect
        self._output = output
        self._reply_timeout = reply_timeout
        self._planner = TextPlanner(options.language)
        self._state = State.CONNECTING
        self._outcome: asyncio.Future[None] = self._loop.create_future()
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_timer = _Timer(self._loop, self._give_up_waiting)
        self._quiet_timer = _Timer(self._loop, self._release_text)
        self._proof_timer = _Timer(self._loop, self._doubt_connection)
        self._request: str | None = None  # The text of the request under way.
        self._text_pulled = False
        self._tally = _Tally()

    @property
    def text_pulled(self) -> bool:
        """Whether any of the text was taken, so that nobody else can speak it whole."""
        return self._text_pulled

    @property
    def over(self) -> bool:
        """Whether the outcome is settled."""
        return self._state in _ENDS

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return self._state is State.INTERRUPTED

    async def run(self, text: Text) -> None:
        """Speak ``text``; return when all of its audio is with the sink, or when interrupted.

        Raises:
            LokutorError: The service or the network failed.
            asyncio.CancelledError: The caller was cancelled.
            Exception: Whatever the text iterator or the sink raised.
        """
        source = text if isinstance(text, str) else aiter(text)
        try:
            if not self.over:
                self._start(self._speak(source))
                await self._outcome
        finally:
            self._settle(State.INTERRUPTED)  # Without effect, unless the caller was cancelled.
            await self._clear_away(source)

    def interrupt(self) -> None:
        """Stop, from any state, without waiting for anything. Idempotent."""
        self._output.close()  # Also where the outcome is settled: a failed utterance still writes its rest.
        self._settle(State.INTERRUPTED)

    def metrics(self, *, streamed: bool) -> SynthesisMetrics:
        """Return what the call cost so far."""
        tally = self._tally
        return SynthesisMetrics(
            time_to_first_byte=tally.first_byte_at - tally.first_request_at if tally.first_byte_at else None,
            connect_time=tally.connect_time,
            waiting_socket_used=tally.waiting_socket_used,
            characters=tally.characters,
            requests=tally.requests,
            audio_received=self._output.seconds_received,
            audio_pushed=self._output.seconds_written,
            interrupted=self.interrupted,
            retries=tally.retries,
            error_code=tally.error_code,
            streamed=streamed,
        )

    async def _speak(self, text: Text) -> None:
        connection = await self._open(fresh=False)
        self._tally.waiting_socket_used = connection.waited
        self._text_pulled = True
        self._start(self._feed(text))
        while not self.over:
            try:
                event = await connection.receive()
            except NetworkError:
                if not connection.replaceable:
                    raise
                # It died while it waited, and the listener needn't know.
                connection.drop()
                self._tally.retries += 1
                connection = await self._open(fresh=True)
                await self._send_next()
            else:
                await self._handle(event)

    async def _open(self, *, fresh: bool) -> Connection:
        """Connect; the request under way, if any, is due again afterwards."""
        self._connection = None
        if self._state is not State.CONNECTING:
            self._move(State.CONNECTING)
        begun = self._loop.time()
        connection = await self._connect(fresh)
        self._tally.connect_time = (self._tally.connect_time or 0.0) + self._loop.time() - begun
        if self.over:  # Decided meanwhile, by something that the cancellation didn't reach.
            connection.drop()
            raise asyncio.CancelledError
        self._connection = connection
        self._move(State.WAITING)
        if not connection.proven:
            self._proof_timer.start(_PROOF_TIMEOUT)
        return connection

    async def _feed(self, text: Text) -> None:
        if isinstance(text, str):
            self._take(text)
        else:
            async for chunk in text:
                if self.over:
                    return
                self._take(chunk)
                await self._send_next()
        self._quiet_timer.stop()
        self._planner.end()
        await self._send_next()

    def _take(self, chunk: object) -> None:
        match chunk:
            case str():
                self._planner.push(chunk)
            case FlushMarker():
                self._planner.flush()
            case None:  # Some LLM streams carry empty deltas.
                return
            case _:
                kind = type(chunk).__name__
                raise TypeError(f"the text iterator must yield str or FlushMarker, got {kind}")

    async def _handle(self, event: Event) -> None:
        match event:
            case Audio(pcm) if self._state is State.SPEAKING:
                self._reply_timer.stop()  # A slow listener is not a slow service.
                self._tally.first_byte_at = self._tally.first_byte_at or self._loop.time()
                await self._output.write(pcm)
                self._reply_timer.start(self._reply_timeout)
            case EndOfRequest() if self._state is State.SPEAKING:
                self._reply_timer.stop()
                self._request = None
                self._move(State.WAITING)
                await self._send_next()
            case ErrorReply(message, code, request_id):
                raise error_from_reply(message, code, request_id)
            case _:
                logger.debug("Ignored %s while %s", type(event).__name__, self._state.name)

    async def _send_next(self) -> None:
        """Send the next request if the service is free; end the utterance if there is none to come."""
        if self._state is not State.WAITING or self._connection is None:
            return
        self._request = self._request or self._planner.next_request()
        if self._request is not None:
            await self._send(self._connection, self._request)
        elif self._planner.exhausted:
            self._move(State.FINISHING)
            await self._output.finish()
            self._settle(State.SPOKEN)
        else:
            self._wait_for_quiet()

    async def _send(self, connection: Connection, text: str) -> None:
        self._move(State.SPEAKING)
        self._quiet_timer.stop()
        self._reply_timer.start(self._reply_timeout)
        self._tally.first_request_at = self._tally.first_request_at or self._loop.time()
        self._tally.requests += 1
        self._tally.characters += len(text)
        try:
            await connection.send(self._options.request(text))
        except NetworkError as error:
            logger.debug("%s", error)  # The speaker, who is receiving, decides what it means.

    def _wait_for_quiet(self) -> None:
        quiet = self._planner.quiet_time
        if quiet is None:
            self._quiet_timer.stop()
        else:
            self._quiet_timer.start(quiet)

    def _release_text(self) -> None:
        self._planner.release()
        self._start(self._send_next())

    def _doubt_connection(self) -> None:
        if self._connection is not None and not self._connection.proven:
            self._connection.drop()  # The speaker sees the end, and connects again.

    def _give_up_waiting(self) -> None:
        error = ReplyTimeoutError(f"Lokutor sent no audio for {self._reply_timeout:g} s")
        self._settle(State.FAILED, error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._settle(State.FAILED, error)

    def _settle(self, end: State, error: BaseException | None = None) -> None:
        """Decide the outcome, unless it is decided; from here on nothing more is sent or received."""
        if self.over:
            return
        self._move(end)
        self._reply_timer.close()
        self._quiet_timer.close()
        self._proof_timer.close()
        if isinstance(error, LokutorError):
            self._tally.error_code = error.code or type(error).__name__
        for task in self._tasks:
            if task is not asyncio.current_task(self._loop):
                task.cancel()
        if self._connection is not None:
            self._connection.drop()
        if not self._outcome.done():
            if error is None:
                self._outcome.set_result(None)
            else:
                self._outcome.set_exception(error)

    def _move(self, state: State) -> None:
        if state not in _MOVES[self._state]:
            raise RuntimeError(f"an utterance can't go from {self._state.name} to {state.name}")
        self._state = state

    async def _clear_away(self, text: Text) -> None:
        """Wait for the tasks, then close the text iterator: a generator can't be closed while it runs."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_CLEANUP_TIMEOUT)
        if self._outcome.done() and not self._outcome.cancelled():
            self._outcome.exception()  # Read it: a caller who was cancelled meanwhile never will.
        if self._state is State.FAILED and self._output.samples_written:
            await self._output.finish()
        await self._close_text(text)

    async def _close_text(self, text: Text) -> None:
        close = getattr(text, "aclose", None)
        # An iterator that was never begun is left for whoever speaks the text instead (FallbackTTS).
        if close is None or not self._text_pulled:
            return
        try:
            async with asyncio.timeout(_CLEANUP_TIMEOUT):
                await close()
        except (TimeoutError, RuntimeError) as error:
            logger.warning("The text iterator did not stop when the utterance ended: %s", error)


@dataclass(slots=True)
class _Tally:
    """What the metrics are made of. Times are the loop's."""

    first_request_at: float = 0.0
    first_byte_at: float = 0.0
    connect_time: float | None = None
    waiting_socket_used: bool = False
    characters: int = 0
    requests: int = 0
    retries: int = 0
    error_code: str | None = None


class _Timer:
    """Calls back after a time, unless stopped. Starting it again moves the time.

    Restarting is the hot path (once for each message), so it only notes the new time; the handle that
    is already armed looks at it when it fires.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._due: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        if self._handle is None or self._handle.when() > self._due:
            self._arm(self._due)

    def stop(self) -> None:
        self._due = None

    def close(self) -> None:
        """Stop, and let go of the loop's reference to this timer and its owner."""
        self._due = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._arm(self._due)
            return
        self._due = None
        self._callback()

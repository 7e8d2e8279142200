"""One spoken reply: what ``synthesize()`` does, and its state.

Rule of this file: the state of a call lives in its :class:`Utterance` and nowhere else, so nothing of it can
reach the next call.

Two tasks work on an utterance. The *feeder* pulls text and passes it to the planner. The *speaker* connects
and turns events into audio. Whichever finds the service free sends the next request. The utterance ends by
settling its outcome, exactly once: spoken, interrupted or failed. Everything else (socket, tasks, text
iterator) is cleaned up after that and can't change it. ``docs/architecture.md`` draws the states and says
what each timer is for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from videosdk.agents import FlushMarker

from ._audio.output import AudioOutput
from ._audio.pcm import SAMPLE_RATE, SAMPLE_WIDTH
from ._options import Limits, SpeechOptions
from ._text.characters import is_pronounceable
from ._text.planner import TextPlanner
from ._timer import Timer
from ._timing.timeline import Timeline
from ._wire.connection import Connection
from ._wire.protocol import Audio, EndOfRequest, ErrorReply, Event, Visemes
from ._wire.retry import RetryPolicy
from .errors import LokutorError, NetworkError, ReplyTimeoutError, ServiceError, TrackError, error_from_reply
from .metrics import SynthesisMetrics

logger = logging.getLogger("videosdk.plugins.lokutor")

Text = AsyncIterator[str | FlushMarker] | str
Connect = Callable[[bool, float], Awaitable[Connection]]
"""Returns an open connection within so many seconds; with True a new one, never one that has waited."""

_LONGEST_PAUSE = 30
"""Seconds of audio that a request may have on top of one for each character, before it counts as endless."""
_AUDIBLE = SAMPLE_RATE * SAMPLE_WIDTH // 10
"""0.1 s: less audio than that, or silence, doesn't count as something that the listener has heard."""
_LIVENESS_TIMEOUT = 1.0
"""Seconds for a socket that has waited to give a sign of life. It was pinged when it was taken."""
_CLEANUP_TIMEOUT = 0.5
"""Seconds for the user's text iterator to honour its cancellation, before it is left behind."""


class State(Enum):
    """Where an utterance is."""

    CONNECTING = auto()
    WAITING = auto()  # Connected; no request under way.
    SPEAKING = auto()  # A request is under way.
    LOST = auto()  # No connection, and none needed before there is more text.
    FINISHING = auto()  # All audio has come; its rest goes to the sink.
    SPOKEN = auto()
    INTERRUPTED = auto()
    FAILED = auto()


_ENDS = frozenset({State.SPOKEN, State.INTERRUPTED, State.FAILED})
_CUT_SHORT = frozenset({State.INTERRUPTED, State.FAILED})
_MOVES: dict[State, frozenset[State]] = {
    State.CONNECTING: frozenset({State.WAITING, State.LOST, State.FINISHING}) | _CUT_SHORT,
    State.WAITING: frozenset({State.SPEAKING, State.CONNECTING, State.LOST, State.FINISHING}) | _CUT_SHORT,
    State.SPEAKING: frozenset({State.WAITING, State.CONNECTING}) | _CUT_SHORT,
    State.LOST: frozenset({State.CONNECTING, State.FINISHING}) | _CUT_SHORT,
    State.FINISHING: frozenset({State.SPOKEN}) | _CUT_SHORT,
    **{end: frozenset() for end in _ENDS},
}


class Utterance:
    """Speaks one text into one sink, over its own socket.

    Create it inside the running loop, :meth:`run` it once, and :meth:`interrupt` it at any time.

    Args:
        options: How to speak; frozen for this call.
        connect: Returns a connection that nobody else uses.
        output: Where the audio goes.
        limits: How long and how often to try.
        timing: Takes what is said when.
    """

    def __init__(
        self,
        options: SpeechOptions,
        connect: Connect,
        output: AudioOutput,
        limits: Limits,
        timing: Timeline,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._connect = connect
        self._output = output
        self._limits = limits
        self._timeline = timing
        self._retry = RetryPolicy(limits.max_retries)
        self._planner = TextPlanner(options.language)
        self._state = State.CONNECTING
        self._outcome: asyncio.Future[None] = self._loop.create_future()
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_timer = Timer(self._loop, self._give_up_reply)
        self._silence_timer = Timer(self._loop, self._give_up)
        self._quiet_timer = Timer(self._loop, self._release_text)
        self._liveness_timer = Timer(self._loop, self._check_liveness)
        self._request: _Request | None = None  # The request under way, or due again.
        self._needed = asyncio.Event()  # Text is there for which a lost connection must be replaced.
        self._failure: LokutorError | None = None  # Why the connection was given up by ourselves.
        self._text_pulled = False
        self._text_taken = False
        self._ends = _Ends()
        self._tally = _Tally()

    @property
    def text_pulled(self) -> bool:
        """Whether any of the text was taken, so that nobody else can speak it whole."""
        return self._text_pulled

    @property
    def spoke_text(self) -> bool:
        """Whether it ended well, and there was text: the framework then waits for the first audio."""
        return self._state is State.SPOKEN and self._text_taken

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
            try:
                await self._clear_away(source)
            finally:
                self._timeline.end(self._output.seconds_written)

    def interrupt(self) -> None:
        """Stop, in any state, without awaiting anything. Idempotent."""
        self._output.close()
        if self.over:  # A failed utterance may still be writing its rest, to a track that takes its time.
            self._cancel_tasks()
        self._settle(State.INTERRUPTED)

    def metrics(self, *, streamed: bool) -> SynthesisMetrics:
        """Return what the call cost so far."""
        tally = self._tally
        return SynthesisMetrics(
            time_to_first_byte=tally.first_byte_at - tally.first_request_at if tally.first_byte_at else None,
            connect_time=tally.connect_time,
            standby_used=tally.standby_used,
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
        self._silence_timer.start(self._limits.max_silence)
        connection = await self._open(fresh=False)
        self._tally.standby_used = connection.waited
        self._text_pulled = True
        self._start(self._feed(text))
        # Runs after the feeder's first step, so text that is ready has been taken by then.
        self._loop.call_soon(self._excuse_silence)
        while not self.over:
            try:
                await self._handle(await connection.receive())
            except LokutorError as error:
                if isinstance(error, TrackError):
                    raise  # No other connection mends that.
                if self._state is State.FINISHING:
                    return  # Everything was received before.
                connection = await self._recover(connection, self._failure or error)
                await self._send_next()

    async def _recover(self, lost: Connection, error: LokutorError) -> Connection:
        """Return another connection, or raise ``error`` where trying again is no use."""
        logger.debug("Recovering from: %s", error)
        lost.drop()
        self._connection = self._failure = None
        self._reply_timer.stop()
        await self._output.release()
        if lost.replaceable:  # It died while it waited: the listener needn't know.
            self._tally.retries += 1
        elif self._state is State.WAITING:
            await self._wait_for_need(error)
        else:
            self._move(State.CONNECTING)
            await self._pause(error, self._limits.max_silence)
        return await self._reopen()

    async def _reopen(self) -> Connection:
        """Return a new connection. While there is no text for it, failing to connect is no failure."""
        while True:
            try:
                return await self._open(fresh=True)
            except LokutorError as error:
                if self._request is not None:
                    raise
                await self._wait_for_need(error)

    async def _wait_for_need(self, error: LokutorError) -> None:
        """Wait without a connection until there is text to speak; then raise ``error`` if it is final."""
        if not error.retryable and not self._tally.requests:
            raise error
        self._move(State.LOST)
        self._needed.clear()
        await self._send_next()
        if self.over:
            raise asyncio.CancelledError
        await self._needed.wait()
        if not error.retryable:
            raise error
        self._retry.begin()

    async def _open(self, *, fresh: bool) -> Connection:
        """Connect, several times if need be; the request under way, if any, is due again afterwards."""
        if self._state is not State.CONNECTING:
            self._move(State.CONNECTING)
        begun = self._loop.time()
        connection = await self._try_to_connect(fresh, begun + self._limits.connect_timeout)
        self._tally.connect_time = (self._tally.connect_time or 0.0) + self._loop.time() - begun
        if self.over:  # Decided meanwhile, by something that the cancellation didn't reach.
            connection.drop()
            raise asyncio.CancelledError
        self._connection = connection
        self._ends.begin_connection()
        self._move(State.WAITING)
        if not connection.alive:
            self._liveness_timer.start(_LIVENESS_TIMEOUT)
        return connection

    async def _try_to_connect(self, fresh: bool, deadline: float) -> Connection:
        while True:
            try:
                return await self._connect(fresh, max(deadline - self._loop.time(), 0.0))
            except LokutorError as error:
                await self._pause(error, deadline - self._loop.time())

    async def _pause(self, error: LokutorError, time_left: float) -> None:
        """Wait before the next try, or raise ``error`` where there is none."""
        delay = self._retry.delay(error, time_left)
        if delay is None:
            raise error
        self._tally.retries += 1
        self._tally.last_error = error
        await asyncio.sleep(delay)

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
                self._text_taken = self._text_taken or bool(chunk)
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
            case Audio(pcm) if self._request is not None and self._state is State.SPEAKING:
                await self._on_audio(self._request, pcm)
            case EndOfRequest(spelling):
                await self._take_end(spelling)
            case Visemes(items) if self._state in {State.SPEAKING, State.WAITING}:  # Late ones, too.
                self._timeline.take(items)
            case ErrorReply(message, code, request_id):
                raise error_from_reply(message, code, request_id)
            case _:
                logger.debug("Ignored %s while %s", type(event).__name__, self._state.name)

    async def _on_audio(self, request: _Request, pcm: bytes) -> None:
        fresh = request.skip_played(pcm)
        if fresh:
            self._tally.first_byte_at = self._tally.first_byte_at or self._loop.time()
            # A slow listener is not a slow service.
            self._silence_timer.pause()
            self._reply_timer.pause()
            await self._output.write(fresh)
            self._silence_timer.resume()
            self._reply_timer.resume()
        if request.came.add(pcm):
            self._reply_timer.start(self._limits.idle_timeout)
        if request.played.add(fresh):
            self._retry.progress()
            # From here on the listener waits again, also while the connection is lost and replaced.
            self._silence_timer.start(max(self._limits.max_silence, self._limits.idle_timeout))

    async def _take_end(self, spelling: str) -> None:
        if self._request is None or self._state is not State.SPEAKING:
            self._ends.note_second()
        elif not self._request.position and self._ends.is_second(spelling):
            logger.debug("Ignored a second end of the last request")
        else:
            self._end_request(self._request)
            self._ends.end_request(spelling)
            await self._send_next()
            await self._output.release()

    def _end_request(self, request: _Request) -> None:
        self._reply_timer.stop()
        if not request.position and is_pronounceable(request.text):
            request.mutes += 1
            # Once: a service that stays mute for a text won't say it at the third time either.
            raise ServiceError("Lokutor sent no audio for a text", retryable=request.mutes == 1)
        if request.mutes and request.position:
            self._ends.note_second()  # What seemed to be its end was not.
        self._retry.progress()
        self._timeline.end_request(self._output.seconds_received)
        self._request = None
        self._move(State.WAITING)

    async def _send_next(self) -> None:
        """Send the next request if the service is free; end the utterance if there is none to come."""
        if self._state not in {State.CONNECTING, State.WAITING, State.LOST}:
            return
        self._request = self._request or self._next_request()
        if self._request is not None:
            if not self._silence_timer.running:
                self._silence_timer.start(self._limits.max_silence)
            await self._send_or_ask(self._request)
        elif self._planner.exhausted:
            self._move(State.FINISHING)
            await self._output.finish()
            self._settle(State.SPOKEN)
        else:
            self._excuse_silence()
            self._wait_for_quiet()

    async def _send_or_ask(self, request: _Request) -> None:
        """Send ``request``, or ask the speaker for a connection to send it on."""
        if self._state is State.WAITING and self._connection is not None:
            await self._send(self._connection, request)
        else:
            self._needed.set()

    def _excuse_silence(self) -> None:
        """Stop the clock while there is no text to speak: the silence is the language model's."""
        if self._request is None:
            self._silence_timer.stop()

    def _next_request(self) -> _Request | None:
        text = self._planner.next_request()
        return None if text is None else _Request(text)

    async def _send(self, connection: Connection, request: _Request) -> None:
        self._move(State.SPEAKING)
        self._quiet_timer.stop()
        self._reply_timer.start(self._limits.first_audio_timeout)
        request.begin()
        self._tally.count(request.text, self._loop.time())
        try:
            await connection.send(self._options.request(request.text, visemes=self._timeline.wanted))
        except NetworkError as error:
            logger.debug("%s", error)  # The speaker, who is receiving, decides what it means.
        # What takes time comes while the service is at work.
        self._timeline.begin_request(request.text, self._output.seconds_received)
        self._output.prepare()

    def _wait_for_quiet(self) -> None:
        quiet = self._planner.quiet_time
        if quiet is None:
            self._quiet_timer.stop()
        else:
            self._quiet_timer.start(quiet)

    def _release_text(self) -> None:
        self._planner.release()
        self._start(self._send_next())

    def _check_liveness(self) -> None:
        if self._connection is not None and not self._connection.alive:
            self._connection.drop()  # The speaker sees the end, and connects again.

    def _give_up_reply(self) -> None:
        heard = self._request is not None and self._request.position > 0
        seconds = self._limits.idle_timeout if heard else self._limits.first_audio_timeout
        self._failure = ReplyTimeoutError(f"Lokutor sent no audio for {seconds:g} s")
        if self._connection is not None:
            self._connection.drop()  # The speaker sees the end, and recovers from this failure.

    def _give_up(self) -> None:
        silence = ReplyTimeoutError(
            f"Lokutor sent no audio for {self._limits.max_silence:g} s, retries included"
        )
        self._settle(State.FAILED, self._tally.last_error or silence)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A text that waits for a task which somebody cancelled ends the feeder like a cancellation of ours.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._settle(State.FAILED, error)

    def _settle(self, end: State, error: BaseException | None = None) -> None:
        """Decide the outcome, unless it is decided; from here on nothing more is sent or received."""
        if self.over:
            return
        self._move(end)
        for timer in (self._reply_timer, self._silence_timer, self._quiet_timer, self._liveness_timer):
            timer.close()
        if isinstance(error, LokutorError):
            self._tally.error_code = error.code or type(error).__name__
        self._cancel_tasks()
        if self._connection is not None:
            self._connection.drop()
        if not self._outcome.done():
            if error is None:
                self._outcome.set_result(None)
            else:
                self._outcome.set_exception(error)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task(self._loop):
                task.cancel()

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
        try:
            if self._state is State.FAILED and self._output.seconds_written and not self._tasks:
                await self._finish_failed()
        finally:
            await self._close_text(text)

    async def _finish_failed(self) -> None:
        """Write the rest of what came before the failure, in a task that :meth:`interrupt` can cancel."""
        self._start(self._output.finish())
        try:
            await asyncio.wait(set(self._tasks))
        finally:
            self._cancel_tasks()

    async def _close_text(self, text: Text) -> None:
        close = getattr(text, "aclose", None)
        # An iterator that was never begun is left for whoever speaks the text instead (FallbackTTS).
        if close is None or not self._text_pulled:
            return
        try:
            async with asyncio.timeout(_CLEANUP_TIMEOUT):
                await close()
        except Exception as error:  # noqa: BLE001 - comes too late to change the outcome, or to hide it
            reason = f"{type(error).__name__}: {error}"
            logger.warning("The text iterator did not stop when the utterance ended: %s", reason)


@dataclass(slots=True)
class _Audible:
    """Counts audio that a listener can hear, so that a trickle of bytes or of silence holds no turn."""

    gathered: int = 0

    def add(self, pcm: bytes) -> bool:
        """Take a piece; return whether so much has come by now that the time-outs may begin anew."""
        if any(pcm):  # Ends at the first byte that isn't zero.
            self.gathered += len(pcm)
        enough = self.gathered >= _AUDIBLE
        if enough:
            self.gathered = 0
        return enough


@dataclass(slots=True)
class _Request:
    """A request under way, over all its tries. Positions are bytes of the service's audio.

    Attributes:
        text: What it speaks.
        mutes: How often it was said to be spoken when no audio had come.
        heard: How much of its audio went to the listener.
        position: How much of this try's audio has come.
        came: What of this try's audio shows that the service is at work.
        played: What of all its audio ends the listener's waiting.
    """

    text: str
    mutes: int = 0
    heard: int = 0
    position: int = 0
    came: _Audible = field(default_factory=_Audible)
    played: _Audible = field(default_factory=_Audible)

    def begin(self) -> None:
        """Note that it is sent once more."""
        self.position = 0
        self.came = _Audible()

    def skip_played(self, pcm: bytes) -> bytes:
        """Take this try's next audio and return what of it an earlier try had not brought.

        Raises:
            ServiceError: It is more audio than the text can need.
        """
        skip = max(self.heard - self.position, 0)
        self.position += len(pcm)
        if self.position > (_LONGEST_PAUSE + len(self.text)) * SAMPLE_RATE * SAMPLE_WIDTH:
            raise ServiceError("Lokutor sent more audio than the text can need", retryable=False)
        fresh = pcm[skip:]
        self.heard += len(fresh)
        return fresh


class _Ends:
    """Tells the end of a request from one that the service sends again for the request before it.

    Servers of different ages end a request with ``EOS`` or ``{"type":"eos"}``; one that serves clients of
    both ages may send both. The second arrives when the next request has been sent, and would end that one.
    """

    def __init__(self) -> None:
        self._awaited: str | None = None  # How the last request ended, while its second end may still come.
        self._doubled = False  # Whether one was seen to end twice in the same spelling.

    def begin_connection(self) -> None:
        """Note a new connection, on which no request has ended yet."""
        self._awaited = None

    def end_request(self, spelling: str) -> None:
        """Note that a request has ended."""
        self._awaited = spelling

    def note_second(self) -> None:
        """Note that the service was seen to end the last request twice."""
        self._awaited = None
        self._doubled = True

    def is_second(self, spelling: str) -> bool:
        """Return whether an end that comes before any audio belongs to the request before."""
        if self._awaited is None or (spelling == self._awaited and not self._doubled):
            return False
        self._awaited = None
        return True


@dataclass(slots=True)
class _Tally:
    """What the metrics are made of. Times are the loop's."""

    first_request_at: float = 0.0
    first_byte_at: float = 0.0
    connect_time: float | None = None
    standby_used: bool = False
    characters: int = 0
    requests: int = 0
    retries: int = 0
    error_code: str | None = None
    last_error: LokutorError | None = None

    def count(self, text: str, now: float) -> None:
        """Count a request that is being sent."""
        self.first_request_at = self.first_request_at or now
        self.requests += 1
        self.characters += len(text)

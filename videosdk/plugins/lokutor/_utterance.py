"""One spoken reply: what ``synthesize()`` does, and its state.

Rule of this file: the state of a call lives in its :class:`Utterance` and nowhere else, so nothing of it can
reach the next call.

Theory of operation
===================

Tasks. Two tasks work on an utterance. The *feeder* pulls the text (:class:`TextFeed`). The *speaker* opens
the connection, receives events and writes their audio to the sink. When something has changed (new text, the
end of a request, a time that is up), :meth:`Utterance._send_next` runs: in the speaker at the end of a
request, otherwise in a short task of its own. Whichever finds the service free sends the next request, and
whichever finds that nothing is left finishes the reply. They run in one event loop, and the state moves
before the first ``await`` of an action, so they can't both take the same step.

Pacing. A request isn't sent because there is text for it, but because the listener needs it soon:
:class:`Pacer` decides. New text asks for a decision in the loop's next pass, so that all text that comes
without waiting has been taken by then.

Audio. It is counted three times. :class:`RequestProgress` counts what a try of a request has brought, so
that another try goes on to the sample. :class:`SilenceTrimmer` counts all that the service has sent for the
reply, once: visemes are told by that count. :class:`AudioOutput` counts what the listener gets of it, without
the silence that was cut: the pacer needs that.

States. The table ``_MOVES`` lists every legal move; any other raises. A turn without faults goes
``CONNECTING -> WAITING -> SPEAKING -> WAITING -> ... -> FINISHING -> SPOKEN``. A connection that is lost
while a request is under way leads back to ``CONNECTING``, and the request is sent again: what was heard of
it is skipped (:class:`RequestProgress`). One that is lost between two requests leads to ``LOST``, where the
speaker waits until there is text that needs a connection.

The end. An utterance ends by settling its outcome, exactly once: spoken, interrupted or failed
(:meth:`Utterance._settle`). Everything else (connection, tasks, text iterator) is cleaned up afterwards and
can't change it. That is why :meth:`Utterance.interrupt` has to wait for nothing: it settles, and the task
in :meth:`Utterance.run` cleans up.

Clocks. Three of them run, each for one question:

- ``_silence_timer``: how long does the listener wait for text that is there? It covers all retries, stops
  while there is no text (the silence is the language model's then), and ends the turn.
- ``_reply_deadline``: how long does one request take to its first audio, and from audio to audio? It is
  enforced while the speaker receives, and leads to another try. Behind an end that may be that of the request
  before (:class:`RequestEnds`), it is that for more audio, and leads to the end of the request.
- The feed's own: is a sentence complete although no more text comes?

Three more timers end a waiting: ``_hold_timer`` that of a request which isn't needed yet (no clock of audio
runs meanwhile), ``_release_timer`` that of a piece of audio which is gathered with the next, when that
doesn't come in time, and ``_gap_timer`` that of the last milliseconds before a gap, which are only played
when more audio follows: silence, where there is no text or the service's audio doesn't come in time.

Both clocks of audio pause while the sink takes a piece: a slow listener is not a slow service. They begin
anew only for audio that can be heard, so a trickle of bytes or of silence doesn't keep a turn alive.

``docs/architecture.md`` draws the states.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, NoReturn

from ._audio.output import AudioOutput
from ._audio.pcm import BYTES_PER_SECOND, FRAME_SECONDS, SAMPLE_WIDTH, SLICE_BYTES
from ._audio.silence import SilenceTrimmer
from ._options import Limits, Refusal, SpeechOptions, find_listed
from ._pacing.pacer import Pacer
from ._pacing.policy import Hold
from ._shown import shown
from ._tasks import keep
from ._text.characters import is_pronounceable
from ._text.feed import Text, TextFeed
from ._text.joints import Chunks
from ._text.languages import SentenceLanguages
from ._text.pieces import RequestText, Segment
from ._timer import Deadline, Timer, do_nothing
from ._timing.timeline import Timeline
from ._wire.connection import Connection
from ._wire.permits import Permit, Permits
from ._wire.progress import LearnedEnds, RequestEnds, RequestProgress
from ._wire.protocol import LANGUAGES, Audio, EndOfRequest, ErrorReply, Event, Spelling, Visemes
from ._wire.retry import RetryPolicy
from .errors import (
    InvalidRequestError,
    LokutorError,
    NetworkError,
    ReplyTimeoutError,
    ServiceError,
    TrackError,
    error_from_reply,
)
from .metrics import SynthesisMetrics

logger = logging.getLogger("videosdk.plugins.lokutor")

Connect = Callable[[bool, float, Permit | None], Awaitable[Connection]]
"""Returns an open connection within so many seconds; with True a new one, never one that has waited. It uses
the permit for its handshake, or asks for one."""

_SHORTEST_TRY = 2.0
"""Seconds for a handshake at least. One that hangs takes half of the time, so that there is another try."""
_DOUBT = 0.3
"""Seconds to wait for more audio behind an end that may be that of the request before."""
_DRY = 0.06
"""Seconds of audio ahead of the listener at which no new text would be heard in time."""
_LOOK = 0.005
"""Seconds between two looks at a track that is about to play its last frame,"""
_LAST_MOMENT = 0.008
"""and from then on: if nothing has come, its next frame is silence."""
_COMFORTABLE = 0.15
"""Seconds of audio ahead of the listener that no service has used up which speaks as fast as it sends."""
_FIRST_SOUND = 1.0
"""Seconds for the first tenth of a second of sound, once any has come: in time, though just so."""
_ROUNDING = 0.001
"""Seconds by which a reply's audio at the sink's rate may be shorter than the service's."""
_KEPT_BACK = 0.005
"""Seconds of a reply's audio that are written with what follows: the converter keeps 4.1 ms back at 8 kHz."""
_ABOUT = {
    "voice": re.compile(r"voice", re.IGNORECASE),
    "language": re.compile(r"lang(?:uage)?s?(?![a-z])|locale", re.IGNORECASE),
    "model": re.compile(r"model|version", re.IGNORECASE),
    "speed": re.compile(r"speed", re.IGNORECASE),
    "steps": re.compile(r"steps?(?![a-z])", re.IGNORECASE),
}
"""What a code or a message has that is about an option. Only some of them are in the service's catalogue."""
_UNCLEAR = frozenset({None, "validation.invalid_request_format"})
"""Codes that leave it to the message."""
_MOST_REFUSALS = 100
_UNSPEAKABLE = frozenset({"validation.text_too_long", "validation.invalid_request_format"})
"""Codes of errors that may be the fault of one text: others may be spoken all the same."""
_MOST_LEFT_OUT = 2
"""Texts in a row that the service may leave unspoken before it counts as broken."""
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
        options: How to speak, unless it is changed for the rest of the call.
        connect: Returns a connection that nobody else uses.
        needs_handshake: Says whether that is likely to be a new one.
        output: Where the audio goes.
        limits: How long and how often to try.
        timing: Takes what is said when.
        pacer: Says when the next request is due.
        permits: Says whether it may be sent.
        silence: Finds the first sound, and cuts silence in front of requests.
        chunks: What is known of the pieces that the text comes in.
        markup: Whether it may hold speech markup.
        on_language: Called with each language that the application chooses for a sentence.
        ends: What is known of how the service ends requests.
        refused: What markup has asked for and the service has refused. It is added to.
        followed: Whether another provider speaks what this one can't. Else it is left out.
        rest: What a pipeline's text comes from. After a failure it is read to its end: the framework's
            language model would wait for that, and no later turn would begin.
    """

    def __init__(
        self,
        options: SpeechOptions,
        connect: Connect,
        output: AudioOutput,
        limits: Limits,
        timing: Timeline,
        *,
        needs_handshake: Callable[[], bool],
        pacer: Pacer,
        permits: Permits,
        silence: SilenceTrimmer,
        chunks: Chunks = Chunks.UNKNOWN,
        markup: bool = False,
        on_language: Callable[[str], None] = do_nothing,
        ends: LearnedEnds | None = None,
        refused: set[Refusal] | None = None,
        followed: bool = False,
        rest: AsyncIterator[object] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._connect = connect
        self._output = output
        self._limits = limits
        self._timeline = timing
        self._pacer = pacer
        self._permits = permits
        self._needs_handshake = needs_handshake
        self._permit = permits.unlimited("request")  # Allows the next request,
        self._asking = False  # or is being asked for.
        self._handshake_permit: Permit | None = None
        self._silence = silence
        self._retry = RetryPolicy(limits.max_retries)
        self._state = State.CONNECTING
        self._outcome: asyncio.Future[None] = self._loop.create_future()
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_deadline = Deadline(self._loop)
        self._silence_timer = Timer(self._loop, self._give_up)
        self._hold_timer = Timer(self._loop, self._send_soon)
        self._release_timer = Timer(self._loop, lambda: self._start(self._write_audio()))
        self._gap_timer = Timer(self._loop, self._look_for_gap)
        self._starving = False  # Whether the track had played its last frame at the last look,
        self._comfortable = False  # and whether it had plenty before.
        self._feed = TextFeed(
            options.language,
            self._on_text,
            self._send_soon,
            chunks=chunks,
            markup=markup,
            find_language=find_listed,
        )
        self._on_language = on_language
        self._languages: SentenceLanguages | None = None  # Where the application chooses them.
        self._due_soon = False  # Whether the next pass of the loop decides what to send.
        self._request: RequestProgress | None = None  # The request under way, or due again.
        self._needed = asyncio.Event()  # Text is there for which a lost connection must be replaced.
        self._text_pulled = False
        self._ends = RequestEnds(ends)
        self._refused = set() if refused is None else refused
        # Texts and their languages, of a request that the service doesn't speak as a whole.
        self._parts: deque[tuple[RequestText, str]] = deque()
        self._followed = followed
        self._rest = rest
        self._feeder: asyncio.Task[None] | None = None
        # Of the call's own options, those that the service has spoken with.
        self._proven: dict[str, Any] = {}
        self._unspoken = 0  # Texts in a row that the service has not spoken,
        self._left_out: LokutorError | None = None  # and why it hasn't spoken the last of all.
        self._halved = False  # Whether the last request has ended in the middle of a sample.
        self._doubted: Spelling | None = None  # How an end was spelt that may be that of the request before.
        self._tally = _Tally()

    @property
    def text_pulled(self) -> bool:
        """Whether any of the text was taken, so that nobody else can speak it whole."""
        return self._text_pulled

    @property
    def spoke_text(self) -> bool:
        """Whether it ended well, and there was text: the framework then waits for the first audio."""
        return self._state is State.SPOKEN and self._feed.taken

    def is_from_text(self, error: BaseException | None) -> bool:
        """Return whether the text iterator has raised ``error``: it is not ours to report then."""
        return error is not None and error is self._feed.error

    @property
    def heard(self) -> str | None:
        """An estimate of the text that was heard when it was interrupted; None where that isn't known."""
        return self._pacer.heard

    @property
    def spoken(self) -> str:
        """The text whose audio is with the sink: by its words where they are told, else an estimate."""
        return self.text_until(self._output.seconds_written)

    def text_until(self, seconds: float) -> str:
        """Return the text up to a time of its audio: by its words where they are told, else an estimate."""
        told = self._timeline.text_until(seconds + _ROUNDING)
        return self._pacer.text_until(seconds + _KEPT_BACK) if told is None else told

    @property
    def shortened(self) -> bool:
        """Whether it has ended without a part of its text, and nobody has interrupted it."""
        return self._state is State.FAILED or (self._state is State.SPOKEN and self._left_out is not None)

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
                await self._clear_away()
            finally:
                self._timeline.end(self._output.seconds_written)
                if not self._tasks:  # Else one of them is still writing, to a sink that takes its time.
                    self._output.close()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Speak otherwise from the next request on; what ``changes`` says was checked before."""
        self._options = self._options.changed(changes)

    def pace(self, paced: bool) -> None:
        """Have requests wait until they are needed from now on, or no longer."""
        self._pacer.paced = paced
        self._send_soon()

    def interrupt(self) -> None:
        """Stop, in any state, without awaiting anything. Idempotent."""
        self._pacer.note_interruption()
        self._output.close()
        if self.over:  # A failed utterance may still be writing its rest, to a track that takes its time.
            self._cancel_tasks()
        self._settle(State.INTERRUPTED)

    def metrics(self, *, streamed: bool) -> SynthesisMetrics:
        """Return what the call cost so far."""
        tally = self._tally
        return SynthesisMetrics(
            time_to_first_byte=tally.since_first_request(tally.first_byte_at),
            time_to_first_sound=tally.since_first_request(tally.first_sound_at),
            leading_silence=self._silence.leading_silence,
            connect_time=tally.connect_time,
            standby_used=tally.standby_used,
            characters=tally.characters,
            characters_unheard=self._characters_unheard(),
            characters_left_out=tally.characters_left_out,
            requests=tally.requests,
            audio_received=self._silence.seconds_taken,
            audio_pushed=self._output.seconds_written,
            underruns=self._pacer.underruns,
            underrun_time=self._pacer.underrun_time,
            interrupted=self.interrupted,
            retries=tally.retries,
            limiter_wait=tally.limiter_wait,
            error_code=tally.error_code,
            streamed=streamed,
        )

    def _characters_unheard(self) -> int:
        if not self.interrupted:
            return 0
        left = self._timeline.characters_left
        return self._pacer.characters_unheard if left is None else left

    async def _speak(self, text: Text) -> None:
        self._silence_timer.start(self._limits.max_silence)
        if self._permit is None:
            # Before any text is taken, so that somebody else can speak it; and before the handshake, which a
            # service that has no room for a request may refuse as well.
            await self._take_first_permits()
        connection = await self._open(fresh=False)
        self._tally.standby_used = connection.waited
        self._text_pulled = True
        self._feeder = self._start(self._feed.run(text))
        # Runs after the feeder's first step, so text that is ready has been taken by then.
        self._loop.call_soon(self._excuse_silence)
        while not self.over:
            try:
                await self._handle(await self._receive(connection))
            except LokutorError as error:
                if isinstance(error, TrackError):
                    raise  # No other connection mends that.
                if self._state is State.FINISHING:
                    return  # Everything was received before.
                connection = await self._recover(connection, error)
                await self._send_next()

    async def _receive(self, connection: Connection) -> Event:
        """Return the next event, or raise ``ReplyTimeoutError`` if no audio comes in time for the request.

        An end in doubt comes again when no more audio has followed it in time.
        """
        try:
            return await self._receive_in_time(connection)
        except TimeoutError:
            came = None if self._request is None else self._request.came
        if self._doubted is not None:
            self._reply_deadline.start(0.0)  # What has come by now is taken first.
            try:
                return await self._receive_in_time(connection)
            except TimeoutError:
                self._ends.note_single()
                return EndOfRequest(self._doubted)
        if came is not None and came.enough:
            raise ReplyTimeoutError(f"Lokutor sent no audio for {self._limits.idle_timeout:g} s")
        amount = "hardly any" if came is not None and came.begun else "no"
        raise ReplyTimeoutError(f"Lokutor sent {amount} audio for {self._limits.first_audio_timeout:g} s")

    async def _receive_in_time(self, connection: Connection) -> Event:
        with self._reply_deadline:
            # The first audio takes none along: it is heard at once.
            return await connection.receive(joined=bool(self._tally.first_byte_at))

    async def _recover(self, lost: Connection, error: LokutorError) -> Connection:
        """Return another connection, or raise ``error`` where trying again is no use."""
        logger.debug("Recovering from: %s", error)
        lost.drop()
        self._connection = None
        self._drop_doubt()
        self._reply_deadline.stop()
        await self._write_audio()
        # It died while it waited, or a part of the text asked for too much: the listener needn't know.
        if lost.replaceable or self._give_up_style(error) or self._go_back(error):
            self._tally.retries += 1
        elif self._leave_out(error):
            self._move(State.CONNECTING)
            await self._wait_for_need()
        elif self._state is State.WAITING:
            await self._wait_for_need(error)
        else:
            self._move(State.CONNECTING)
            await self._pause(error, self._limits.max_silence)
        return await self._reopen()

    def _give_up_style(self, error: LokutorError) -> bool:
        """Return whether the request can be sent again, without what markup has asked for in vain."""
        request = self._request
        if request is None or self._state is not State.SPEAKING:
            return False
        option = _option_of(error, request.text)
        value = request.give_up(option) if option in {"voice", "language"} else None
        if option is not None and value is not None:
            logger.warning(
                "Lokutor refuses the %s %s of a part of the text, and speaks without", option, shown(value)
            )
            if len(self._refused) < _MOST_REFUSALS:
                self._refused.add(Refusal(option, value, request.message.model))
            return True
        if not self._may_be_refused(error, request) or not request.give_up_all():
            return False
        logger.warning("Lokutor doesn't speak a part of the text as its markup says, and speaks without")
        return True

    def _may_be_refused(self, error: LokutorError, request: RequestProgress) -> bool:
        """Return whether ``error``, which names no option, may be about one all the same.

        One that may pass is tried once more as it is, and one that is the service's own fault, or the
        network's, is believed once.
        """
        own = (error.code or "").startswith("internal.") or not isinstance(
            error, ServiceError | InvalidRequestError
        )
        may_pass = own or (error.retryable and self._limits.max_retries > 0)
        return not (request.heard or (may_pass and request.tries == 1))

    def _go_back(self, error: LokutorError) -> bool:
        """Return whether the reply goes on with what has worked in it before ``update_options(now=True)``."""
        request = self._request
        if request is None or self._state is not State.SPEAKING:
            return False
        changed = {
            option: proven
            for option, proven in self._proven.items()
            if proven != getattr(request.message, option)
        }
        named = _option_of(error, request.text)
        if not changed or (named is None and not self._may_be_refused(error, request)):
            return False
        if named in changed:  # Else what it refuses may not go with what was changed: a voice with a model.
            changed = {named: changed[named]}
        for option, proven in changed.items():
            logger.warning(
                "Lokutor refuses the %s %s, and the reply goes on with %s",
                option,
                shown(getattr(request.message, option)),
                "its default" if proven is None else shown(proven),
            )
            request.go_back(option, proven)
        self._options = replace(self._options, **changed)
        return True

    def _note_proven(self, request: RequestProgress) -> None:
        """Keep what of the call's own options the service was heard to speak with."""
        for option in _ABOUT if request.plain is not None else ():
            own = getattr(request.plain, option)
            if own == getattr(request.message, option):
                self._proven[option] = own

    def _leave_out(self, error: LokutorError) -> bool:
        """Return whether the reply goes on without a text that the service doesn't speak.

        One of several sentences may be the reason, so these are asked for one by one before.
        """
        request = self._request
        if request is None or self._state is not State.SPEAKING or request.heard or self._followed:
            return False
        if error.code not in _UNSPEAKABLE and not (request.mutes and not error.retryable):
            return False
        parts = request.source.split()
        if len(parts) == 1 and self._unspoken == _MOST_LEFT_OUT:
            return False
        self._request = None
        self._timeline.leave_out()
        self._pacer.leave_out()
        if len(parts) > 1:
            self._parts.extendleft((part, request.message.language) for part in reversed(parts))
            return True
        logger.warning("Left out %d characters that Lokutor doesn't speak: %s", len(request.text), error)
        self._unspoken += 1
        self._left_out = error
        self._tally.characters_left_out += len(request.text)
        return True

    async def _reopen(self) -> Connection:
        """Return a new connection. While there is no text for it, failing to connect is no failure."""
        while True:
            try:
                return await self._open(fresh=True)
            except LokutorError as error:
                if self._request is not None:
                    raise
                await self._wait_for_need(error)

    async def _wait_for_need(self, error: LokutorError | None = None) -> None:
        """Wait without a connection until there is text to speak; then raise ``error`` if it is final."""
        final = None if error is None or error.retryable else error
        if final is not None and not self._tally.requests:
            raise final
        self._move(State.LOST)
        self._needed.clear()
        await self._send_next()
        if self.over:
            raise asyncio.CancelledError
        await self._needed.wait()
        if final is not None:
            raise final
        self._retry.begin()

    async def _open(self, *, fresh: bool) -> Connection:
        """Connect, several times if need be; the request under way, if any, is due again afterwards."""
        if self._state is not State.CONNECTING:
            self._move(State.CONNECTING)
        begun = self._loop.time()
        if self._request is not None and not self._permitted():
            self._ask_permit()  # While the connection's own is asked for.
        connection = await self._try_to_connect(fresh, begun + self._limits.connect_timeout)
        self._tally.connect_time = (self._tally.connect_time or 0.0) + self._loop.time() - begun
        if self.over:  # Decided meanwhile, by something that the cancellation didn't reach.
            connection.give_back()
            raise asyncio.CancelledError
        self._connection = connection
        logger.debug("The turn has its connection, after a handshake of %.3f s", connection.handshake_time)
        self._pacer.note_handshake(connection.handshake_time)
        self._ends.begin_connection()
        self._move(State.WAITING)
        return connection

    async def _try_to_connect(self, fresh: bool, deadline: float) -> Connection:
        while True:
            left = max(deadline - self._loop.time(), 0.0)
            try:
                permit, self._handshake_permit = self._handshake_permit, None
                return await self._connect(fresh, min(left, max(left / 2, _SHORTEST_TRY)), permit)
            except LokutorError as error:
                # In the middle of a reply, an outage is waited for, unless somebody else can go on.
                patient = self._output.seconds_received > 0 and not self._followed
                await self._pause(error, deadline - self._loop.time(), patient=patient)

    async def _pause(self, error: LokutorError, time_left: float, *, patient: bool = False) -> None:
        """Wait before the next try, or raise ``error`` where there is none."""
        delay = self._retry.delay(error, time_left, patient=patient)
        if delay is None:
            raise error
        self._tally.retries += 1
        self._tally.last_error = error
        logger.debug("Trying again in %.2f s: %s", delay, error)
        await asyncio.sleep(delay)

    async def _handle(self, event: Event) -> None:
        match event:
            case Audio(pcm) if self._request is not None and self._state is State.SPEAKING:
                if pcm and self._drop_doubt():
                    self._ends.note_second()
                    self._reply_deadline.start(self._limits.idle_timeout)
                await self._on_message(self._request, pcm)
            case Audio(pcm) if pcm and self._state is State.WAITING and self._ends.note_late_audio():
                halved, self._halved = self._halved, False
                await self._pass_on(self._trim(pcm[halved:]))  # It begins with the other half.
            case EndOfRequest(spelling):
                await self._take_end(spelling)
            case Visemes(items) if self._state in {State.SPEAKING, State.WAITING}:  # Late ones, too.
                self._timeline.take(items)
            case ErrorReply(message, code, request_id):
                raise error_from_reply(message, code, request_id)
            case _:
                logger.debug("Ignored %s while %s", type(event).__name__, self._state.name)

    async def _on_message(self, request: RequestProgress, pcm: bytes) -> None:
        """Take one message's audio; a long one in slices, which lets others run between them."""
        await self._on_audio(request, pcm[:SLICE_BYTES])
        for start in range(SLICE_BYTES, len(pcm), SLICE_BYTES):
            await asyncio.sleep(0)
            if self.over:
                return
            await self._on_audio(request, pcm[start : start + SLICE_BYTES])

    async def _on_audio(self, request: RequestProgress, pcm: bytes) -> None:
        if not request.position:
            self._pacer.note_first_audio()
        fresh = request.skip_played(pcm)
        if fresh:
            self._tally.first_byte_at = self._tally.first_byte_at or self._loop.time()
            await self._pass_on(self._trim(fresh))
        if self._connection is not None and (delay := self._output.read_delay):
            self._connection.gather(min(delay, self._limits.idle_timeout / 5))
        begun = request.came.begun
        enough = request.came.add(pcm)
        sounds_first = request.came.begun and not begun
        if sounds_first:
            self._timeline.note_sound()
        if enough:
            self._reply_deadline.start(self._limits.idle_timeout)
        elif sounds_first:  # It came in time; so little doesn't count yet.
            self._reply_deadline.extend(_FIRST_SOUND)
        if request.played.add(fresh):
            self._unspoken = 0
            self._retry.progress()
            # From here on the listener waits again, also while the connection is lost and replaced.
            self._silence_timer.start(max(self._limits.max_silence, self._limits.idle_timeout))

    def _trim(self, pcm: bytes) -> bytes:
        """Return what the listener gets of a piece of audio."""
        wanted = self._silence.take(pcm)
        if not self._tally.first_sound_at and self._silence.leading_silence is not None:
            self._tally.first_sound_at = self._loop.time()
        if wanted:  # Once for a silence, not with each of its messages.
            self._note_cut()
        return wanted

    def _note_cut(self) -> None:
        if (cut := self._silence.pop_cut()) is not None:
            self._timeline.cut(*cut)

    async def _pass_on(self, pcm: bytes) -> None:
        if not pcm:
            return
        if self._output.gather(pcm):
            await self._write_audio()
        else:
            self._release_timer.start(self._output.release_due)
        self._starving = False
        if not self._gap_timer.running:
            self._await_gap()

    async def _write_audio(self) -> None:
        # A slow listener is not a slow service.
        self._silence_timer.pause()
        self._reply_deadline.pause()
        await self._output.release()
        self._silence_timer.resume()
        self._reply_deadline.resume()

    async def _take_end(self, spelling: Spelling) -> None:
        request = self._request
        if request is None or self._state is not State.SPEAKING:
            self._ends.note_stray(spelling)
        elif self._ends.is_second(spelling, heard=request.position > 0):
            logger.debug("Ignored a second end of the last request")
        elif self._doubted is None and self._is_doubtful(request):
            logger.debug("Waiting for more audio behind an end that came early")
            await self._write_audio()
            self._doubted = spelling
            self._reply_deadline.start(_DOUBT)
        else:
            await self._take_own_end(request, spelling)

    def _is_doubtful(self, request: RequestProgress) -> bool:
        if request.position % SAMPLE_WIDTH:
            return True  # Half a sample ends no request: its other half is on the way.
        short = self._pacer.is_short(request.text, request.position / BYTES_PER_SECOND)
        return request.position > 0 and self._ends.is_doubtful(short=short)

    async def _take_own_end(self, request: RequestProgress, spelling: Spelling) -> None:
        self._drop_doubt()
        self._end_request(request)
        self._ends.end_request(spelling)
        await self._send_next()
        await self._write_audio()

    def _drop_doubt(self) -> bool:
        """Wait no longer for what an end in doubt means. Return whether there was one."""
        doubted, self._doubted = self._doubted, None
        return doubted is not None

    def _end_request(self, request: RequestProgress) -> None:
        self._reply_deadline.stop()
        self._halved = self._silence.drop_half_sample() > 0
        request.heard -= self._halved
        self._output.drop_half_sample()
        if not request.came.begun and is_pronounceable(request.text):
            self._take_mute_end(request)
        if request.position:
            self._note_proven(request)
        if request.mutes > request.silences and request.position:
            self._ends.note_second()  # What seemed to be its end was not.
        self._retry.progress()
        self._silence.end_request()
        self._note_cut()
        self._pacer.note_end(self._output.seconds_received)
        self._timeline.end_request(self._silence.seconds_taken)
        self._request = None
        self._move(State.WAITING)

    def _take_mute_end(self, request: RequestProgress) -> NoReturn:
        """Have a request that nobody heard sent again, or left out: as if silence were no audio.

        Raises:
            ServiceError: Always.
        """
        self._silence.drop()
        self._note_cut()
        silence = request.note_mute()
        if not request.played.begun:
            self._pacer.note_silence(self._output.seconds_received)
        self._timeline.note_silence(silence / BYTES_PER_SECOND)
        # Once: a service that stays mute for a text won't say it at the third time either.
        again = request.mutes == 1 and not (self._unspoken or request.restyled)
        amount = "only silence" if request.position >= SAMPLE_WIDTH else "no audio"
        raise ServiceError(f"Lokutor sent {amount} for a text", retryable=again)

    async def _send_next(self) -> None:
        """Send the next request if the service is free; end the utterance if there is none to come."""
        if self._state not in {State.CONNECTING, State.WAITING, State.LOST}:
            return
        if self._request is None and self._parts:
            self._request = self._request_for(*self._parts.popleft())
        if self._request is None:
            self._insert_pauses()
            self._request = self._next_request()
        if self._request is not None:
            if not self._silence_timer.running:
                self._silence_timer.start(self._limits.max_silence)
            await self._send_or_ask(self._request)
        elif self._feed.exhausted and self._left_out and self._silence.leading_silence is None:
            self._settle(State.FAILED, self._left_out)
        elif self._feed.exhausted:
            self._move(State.FINISHING)
            self._output.gather(self._silence.flush())
            await self._output.finish()
            error = self._feed.error
            self._settle(State.SPOKEN if error is None else State.FAILED, error)
        else:
            # There is no text to speak, or the listener has enough to hear.
            self._silence_timer.stop()
            self._feed.wait_for_quiet()
            self._await_gap()

    async def _send_or_ask(self, request: RequestProgress) -> None:
        """Send ``request``, or ask the speaker for a connection to send it on."""
        if not self._permitted():
            self._ask_permit()
        elif self._state is State.WAITING and self._connection is not None:
            await self._send(self._connection, request)
        else:
            self._needed.set()

    def _on_text(self) -> None:
        """Decide what to send in the loop's next pass, when all text that is there has been taken."""
        if self._feed.ready:
            self._pacer.note_text()
        if not self._due_soon and not self.over:
            self._due_soon = True
            self._loop.call_soon(self._send_soon)

    def _send_soon(self) -> None:
        self._due_soon = False
        if not self.over:
            self._start(self._send_next())

    def _excuse_silence(self) -> None:
        """Stop the clock if there is no text to speak: the silence is the language model's."""
        if self._request is None and not self._feed.ready:
            self._silence_timer.stop()

    def _insert_pauses(self) -> None:
        """Have the listener hear the silence that is due before the next text."""
        if seconds := self._feed.take_pause():
            self._insert(self._silence.pause(seconds))

    def _insert(self, silence: bytes) -> None:
        """Have the listener hear silence between two requests, and words and visemes behind it later."""
        self._timeline.insert(self._silence.seconds_taken, len(silence) / BYTES_PER_SECOND)
        if self._output.insert(silence):
            self._start(self._write_audio())
        else:
            self._release_timer.start(self._output.release_due)

    def _await_gap(self) -> None:
        """Look when the listener has heard nearly all: no more may come in time."""
        if self._pacer.has_listener and self._output.seconds_received:
            ahead = self._pacer.ahead
            self._comfortable = self._comfortable or ahead >= _COMFORTABLE
            dry = _DRY if self._has_no_text else 2 * FRAME_SECONDS  # The last frame may be next.
            self._gap_timer.start(max(ahead - dry, _LOOK))

    def _look_for_gap(self) -> None:
        """Have the listener hear all that has come, where nothing comes to go on with."""
        if self._state is State.FINISHING:
            return
        is_dry = self._pacer.ahead <= _DRY if self._has_no_text else self._pacer.starves
        if self._output.busy or not is_dry:
            self._starving = False
            self._await_gap()
        elif self._has_no_text or (self._starving and not self._may_go_on):
            self._comfortable = False
            if silence := self._output.end_sound():
                self._insert(silence)
        elif self._output.rest_is_audible:
            self._starving = True
            self._gap_timer.start(FRAME_SECONDS if self._may_go_on else _LAST_MOMENT)

    @property
    def _may_go_on(self) -> bool:
        """Whether the next piece of audio may come any moment, and go on in the middle of a word.

        A service that sends no faster than it speaks keeps the listener that short all the time.
        """
        speaks = self._state is State.SPEAKING and self._request is not None and self._request.position > 0
        return speaks and not self._comfortable

    @property
    def _has_no_text(self) -> bool:
        return self._request is None and not self._feed.ready

    def _next_request(self) -> RequestProgress | None:
        """Return the next request if one is due."""
        segments = self._feed.segments()
        if not segments:
            return None
        plan = self._pacer.plan(segments, self._output.seconds_received, scarce=self._permits.scarce)
        if isinstance(plan, Hold):
            self._hold_timer.start(plan.seconds)
            if not self._permitted() and plan.seconds <= self._permits.usual_wait:
                self._ask_permit()
            return None
        self._hold_timer.stop()
        if not self._permitted():
            # What it says is decided when it may be sent: more text may be there by then.
            self._ask_permit()
            return None
        count, language = self._language_of(segments, plan.segments)
        text = self._feed.next_request(segments[:count])
        return None if text is None else self._request_for(text, language)

    def _request_for(self, text: RequestText, language: str) -> RequestProgress:
        options = self._options.in_language(language).styled(text.style, self._refused)
        spoken = options.spoken(text)
        visemes = self._timeline.wanted
        message, own = (each.request(spoken.text, visemes=visemes) for each in (options, self._options))
        return RequestProgress(text, spoken, message, own)

    def _permitted(self) -> bool:
        """Return whether a request may be sent. A permit that is too old goes back."""
        if self._permit is not None and not self._permits.is_good(self._permit):
            self._permits.give_back(self._permit)
            self._permit = None
        return self._permit is not None

    async def _take_first_permits(self) -> None:
        """Wait for the permits of the first request and of the handshake, if there will be one."""
        within = self._permits.longest_wait
        if not self._needs_handshake():
            await self._take_permit(within)
            return
        begun = self._loop.time()
        try:
            permits = await self._permits.take_all(("request", "handshake"), within)
        finally:
            self._tally.limiter_wait += self._loop.time() - begun
        self._permit, self._handshake_permit = permits

    def _ask_permit(self) -> None:
        """Ask for the permit to send a request, and go on when it is there."""
        if not self._asking:
            self._asking = True
            self._start(self._wait_for_permit())

    async def _wait_for_permit(self) -> None:
        try:
            await self._take_permit(self._pacer.ahead + self._permits.longest_wait)
        finally:
            self._asking = False
        await self._send_next()

    async def _take_permit(self, within: float) -> None:
        begun = self._loop.time()
        try:
            self._permit = await self._permits.take("request", within)
        finally:
            self._tally.limiter_wait += self._loop.time() - begun

    def _language_of(self, segments: Sequence[Segment], count: int) -> tuple[int, str]:
        """Return how many of the first ``count`` segments have the same language, and which."""
        choose = self._options.choose_language
        if choose is None:
            return count, self._options.language
        if self._languages is None or self._languages.choose is not choose:
            self._languages = SentenceLanguages(choose, self._options.language, self._can_speak)
        count, language = self._languages.take(segments, self._feed.sentences(segments), count)
        self._on_language(language)
        return count, language

    def _can_speak(self, language: str) -> bool:
        """Return whether a language is listed, and was not refused all the same."""
        return (
            language in LANGUAGES and Refusal("language", language, self._options.model) not in self._refused
        )

    async def _send(self, connection: Connection, request: RequestProgress) -> None:
        self._move(State.SPEAKING)
        self._permit = self._permits.unlimited("request")
        self._feed.pause()
        received = self._output.seconds_received
        self._pacer.note_sent(request.spoken, received, more=self._feed.ready, again=request.tries > 0)
        self._reply_deadline.start(self._limits.first_audio_timeout)
        request.begin()
        self._tally.count(request.text, self._loop.time())
        try:
            await connection.send(request.message)
        except NetworkError as error:
            logger.debug("%s", error)  # The speaker, who is receiving, decides what it means.
        # What takes time comes while the service is at work.
        self._timeline.begin_request(request.spoken, self._silence.seconds_taken)
        self._output.prepare()

    def _give_up(self) -> None:
        if self._output.writing:  # A slow listener is not a slow service.
            self._silence_timer.start(self._limits.max_silence)
            return
        if (ahead := self._pacer.ahead) > 0:  # The listener's silence begins only when that was heard.
            self._silence_timer.start(ahead + self._limits.max_silence)
            return
        silence = ReplyTimeoutError(
            f"Lokutor sent no audio for {self._limits.max_silence:g} s, retries included"
        )
        self._settle(State.FAILED, self._tally.last_error or silence)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

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
        self._silence_timer.close()
        self._hold_timer.close()
        self._release_timer.close()
        self._gap_timer.close()
        self._reply_deadline.close()
        self._pacer.close()
        self._close_feed(read_on=isinstance(error, LokutorError))
        for permit in (self._permit, self._handshake_permit):
            if permit is not None:
                self._permits.give_back(permit)
        if isinstance(error, LokutorError):
            self._tally.error_code = error.code or type(error).__name__
        self._tally.last_error = None  # Its frames refer to this utterance.
        self._cancel_tasks()
        connection, self._connection = self._connection, None  # It may be another call's from here on.
        if connection is not None:
            connection.give_back()
        if not self._outcome.done():
            if error is None:
                self._outcome.set_result(None)
            else:
                self._outcome.set_exception(error)

    def _close_feed(self, *, read_on: bool) -> None:
        if not read_on or self._rest is None or self._feeder is None or self._feeder.done():
            self._feed.close()
            return
        self._feed.close_and_read_on(self._rest)
        self._tasks.discard(self._feeder)
        keep([self._feeder])

    def _cancel_tasks(self) -> None:
        if self._loop.is_closed():  # None of them runs any more.
            return
        for task in self._tasks:
            if task is not asyncio.current_task(self._loop):
                task.cancel()

    def _move(self, state: State) -> None:
        if state not in _MOVES[self._state]:
            raise RuntimeError(f"an utterance can't go from {self._state.name} to {state.name}")
        self._state = state

    async def _clear_away(self) -> None:
        """Wait for the tasks, then close the text iterator: a generator can't be closed while it runs."""
        if self.interrupted:
            self._cancel_tasks()  # One that has interrupted its own turn was spared then.
        if self._tasks:
            _, stubborn = await asyncio.wait(set(self._tasks), timeout=_CLEANUP_TIMEOUT)
            keep(stubborn)
        if self._outcome.done() and not self._outcome.cancelled():
            self._outcome.exception()  # Read it: a caller who was cancelled meanwhile never will.
        try:
            if self._state is State.FAILED and self._output.seconds_written and not self._tasks:
                await self._finish_failed()
        finally:
            if not self._feed.reads_on:
                await self._feed.close_source()

    async def _finish_failed(self) -> None:
        """Write the rest of what came before the failure, in a task that :meth:`interrupt` can cancel."""
        self._start(self._output.finish())
        try:
            await asyncio.wait(set(self._tasks))
        finally:
            self._cancel_tasks()


def _option_of(error: LokutorError, text: str) -> str | None:
    """Return the option that the service refuses with ``error``, if it says so.

    Args:
        error: The error.
        text: The text that was to be spoken. The message may quote it.
    """
    said = error.code or ""
    if error.code in _UNCLEAR and isinstance(error, ServiceError | InvalidRequestError):
        said = str(error).replace(text, "")
    return next((option for option, about in _ABOUT.items() if about.search(said)), None)


@dataclass(slots=True)
class _Tally:
    """What the metrics are made of. Times are the loop's."""

    first_request_at: float = 0.0
    first_byte_at: float = 0.0
    first_sound_at: float = 0.0
    connect_time: float | None = None
    standby_used: bool = False
    characters: int = 0
    characters_left_out: int = 0
    requests: int = 0
    retries: int = 0
    limiter_wait: float = 0.0
    error_code: str | None = None
    last_error: LokutorError | None = None

    def count(self, text: str, now: float) -> None:
        """Count a request that is being sent."""
        self.first_request_at = self.first_request_at or now
        self.requests += 1
        self.characters += len(text)

    def since_first_request(self, moment: float) -> float | None:
        """Return how long after the first request that was; None where it never was."""
        return moment - self.first_request_at if moment else None

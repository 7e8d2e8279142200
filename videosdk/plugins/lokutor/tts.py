"""Implements the framework's contract, ``videosdk.agents.TTS``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack
from weakref import WeakKeyDictionary

from videosdk.agents import TTS
from videosdk.agents.speech_generation import SpeechGeneration

from ._audio.output import AudioOutput, FirstAudio, Sink
from ._audio.pcm import FRAME_SECONDS
from ._audio.playback import Playback, fill_frame, rate_of
from ._audio.silence import SilenceTrimmer
from ._framework.advice import warn_of_english_numbers, warn_of_rewritten_markup
from ._framework.callers import find_caller, find_starting, streamed_chunks, text_behind, turn_chunks
from ._framework.heard import Heard
from ._framework.interruptible import keep_interruptible
from ._framework.memory import Memory, forget_markup, remember, remember_spoken
from ._framework.streams import StreamOwner, Streams
from ._framework.transcript import Transcript, is_part_of, unsubscribe_others
from ._framework.turns import Turns
from ._options import (
    DEFAULT_MODEL,
    Limits,
    Refusal,
    SpeechChanges,
    SpeechOptions,
    StreamChanges,
    check_flag,
    check_sample_rate,
)
from ._pacing.pacer import Pacer
from ._pacing.times import LearnedTimes
from ._settings import DEFAULT_BASE_URL, find_key, given
from ._shown import shown
from ._tasks import keep, was_cancelled
from ._text.characters import is_speakable, joined
from ._text.feed import Text, discard
from ._text.joints import Chunks
from ._text.languages import ChooseLanguage
from ._timer import do_nothing
from ._timing.synchronizer import Synchronizers
from ._timing.timeline import Timeline
from ._utterance import Connect, Utterance
from ._wire.connector import Connector, Connectors, ConnectorSettings
from ._wire.endpoint import Endpoint, parse_base_url
from ._wire.limiters import Limiter, check_limiter
from ._wire.progress import LearnedEnds
from ._wire.protocol import Language, Voice
from ._wire.standby import Standby
from .errors import ConfigurationError, LokutorError, StreamInterruptedError

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger("videosdk.plugins.lokutor")

_PREWARM_TIME = 1.0
"""Seconds for which the framework's start may be held up."""
_STREAM_PIECES = 32
"""Pieces of at most 0.25 s that a stream holds for a slow consumer before the socket has to wait."""


class LokutorTTS(TTS):
    """Lokutor text-to-speech for VideoSDK's agent framework.

    Pass it to a pipeline: ``Pipeline(tts=LokutorTTS(), ...)``. Every call uses its own WebSocket and keeps
    its own state.

    Events:

    - ``"error"``: a :class:`~videosdk.plugins.lokutor.errors.LokutorError`.
    - ``"metrics"``: a :class:`~videosdk.plugins.lokutor.SynthesisMetrics` after each call.
    - ``"word_spoken"``, with ``word_timestamps=True``: a dict, :class:`~videosdk.plugins.lokutor.WordSpoken`,
      when the track plays the word.
    - ``"visemes"``, with ``visemes=True``: a list of :class:`~videosdk.plugins.lokutor.Viseme`, when the
      track plays them.

    Args:
        api_key: API key. Defaults to the environment variable ``LOKUTOR_API_KEY``.
        voice: Voice id: a Versa 2.0 name (``"en_f1"``), a Versa 1.x name (``"F1"``) or the id of a cloned
            voice. Any voice speaks any language.
        language: Two-letter code. A regional tag is shortened (``"en-US"`` to ``"en"``). A code that Lokutor
            doesn't list is sent as it is, with a warning. Or a function that takes the text of a sentence and
            returns its language; where it returns a code that isn't listed, the language stays as it was.
        speed: 0.5 (slow) to 2.0 (fast).
        steps: Denoising steps, 1 to 50. More steps sound better and take longer.
        model: Model such as ``"versa-1.0"``. None and ``"default"`` use the service's default.
        pronunciations: Words that are spoken otherwise than they are written: ``{"nginx": "engine x"}``.
            Whole words, in any case unless the written form has a capital. The agent remembers what was
            written.
        sample_rate: Output rate in Hz, 8 000 to 192 000. Used only if the track has no rate of its own.
        base_url: ``ws(s)`` or ``http(s)`` URL of the service. Defaults to ``LOKUTOR_BASE_URL``, else
            ``wss://api.lokutor.com``. A path is kept; without one, ``/ws/tts`` is used.
        allow_insecure: Allow plain ``ws://`` to other machines.
        word_timestamps: Emit ``"word_spoken"`` when the track has played up to the start of a word. When a
            reply is interrupted, the agent's memory and the room's ``final`` transcript then hold exactly
            what was heard. Otherwise the framework estimates it.
        visemes: Emit ``"visemes"`` when the track plays them, for lip-sync.
        keep_warm: Keep a standby connection open after :meth:`prewarm`, which the framework calls at its
            start. Every turn, including the one right after a barge-in, then starts without a handshake.
        pacing: Send each request when the caller will need it soon, sentence by sentence, so that little was
            sent in vain when the caller interrupts. False sends all text that is there at once.
        markup: Read speech markup (a part of SSML) in the text, such as ``<break time="500ms"/>`` and
            ``<lang xml:lang="ca">``.
        trim_silence: Cut silence (below -60 dBFS) that the caller would only wait for: in front of a reply,
            down to 20 ms, and between two requests, down to 0.4 s. False keeps the service's audio as it is.
        connect_timeout: Total seconds to connect, retries included.
        first_audio_timeout: Seconds from a request to its first audio, for each attempt.
        idle_timeout: Seconds without audio inside a request, counted from the last audio.
        max_retries: Retries in a row without progress, for connecting and requests together. The caller never
            waits in silence for longer than ``connect_timeout + 2 * first_audio_timeout``.
        heartbeat: Seconds between pings on an open connection. A peer that doesn't answer counts as dead
            after 1.5 times as long. None disables pings.
        session: Your own ``aiohttp.ClientSession``. The plugin never closes it.
        limiter: Your rate limiter, which is asked before each handshake and each request: an
            ``aiolimiter.AsyncLimiter``, which counts requests, or an async function that takes
            ``"handshake"`` or ``"request"`` and a time-out in seconds, and returns whether it is permitted
            (None: it is). If it has a method ``give_back(kind)``, that gets each permit that wasn't used.

    Raises:
        ValueError: There is no key, or a value is out of range. The message names the parameter.
    """

    provider = "lokutor"
    pulls_ahead = True
    """That all text which is there is taken at once: ``TransparentFallbackTTS`` hands it out so."""
    audio_track: Any  # The base class says None.

    def __init__(
        self,
        *,
        api_key: str | None = None,
        voice: Voice = "F1",
        language: Language | ChooseLanguage = "en",
        speed: float = 1.05,
        steps: int = 5,
        model: str | None = None,
        pronunciations: Mapping[str, str] | None = None,
        sample_rate: int = 24_000,
        base_url: str | None = None,
        allow_insecure: bool = False,
        word_timestamps: bool = False,
        visemes: bool = False,
        keep_warm: bool = True,
        pacing: bool = True,
        markup: bool = False,
        trim_silence: bool = True,
        connect_timeout: float = 10.0,
        first_audio_timeout: float = 5.0,
        idle_timeout: float = 5.0,
        max_retries: int = 3,
        heartbeat: float | None = 20.0,
        session: aiohttp.ClientSession | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        for name, value in (
            ("allow_insecure", allow_insecure),
            ("word_timestamps", word_timestamps),
            ("visemes", visemes),
            ("keep_warm", keep_warm),
            ("pacing", pacing),
            ("markup", markup),
            ("trim_silence", trim_silence),
        ):
            check_flag(name, value)
        super().__init__(
            sample_rate=check_sample_rate(sample_rate), num_channels=1, word_timestamps=word_timestamps
        )
        self._visemes = visemes
        self._options = SpeechOptions().changed(
            {
                "voice": voice,
                "language": language,
                "speed": speed,
                "steps": steps,
                "model": model,
                "pronunciations": pronunciations,
            }
        )
        url = given("base_url", base_url, "LOKUTOR_BASE_URL") or DEFAULT_BASE_URL
        self._endpoint = Endpoint(parse_base_url(url, allow_insecure=allow_insecure), find_key(api_key))
        self._limits = Limits(
            connect_timeout=connect_timeout,
            first_audio_timeout=first_audio_timeout,
            idle_timeout=idle_timeout,
            max_retries=max_retries,
            heartbeat=heartbeat,
        )
        check_limiter(limiter)
        settings = ConnectorSettings(
            self._endpoint, connect_timeout, heartbeat, session, limiter, first_audio_timeout
        )
        self._connectors = Connectors(settings)
        self._turns = Turns()
        self._streams = Streams(self._tells_final_of_hooked)
        self._memories: WeakKeyDictionary[SpeechGeneration, Memory] = WeakKeyDictionary()
        self._synchronizers = Synchronizers(
            partial(self._tell, "word_spoken"), partial(self._tell, "visemes")
        )
        self._keep_warm = keep_warm
        self._pacing = pacing
        self._markup = markup
        self._trim_silence = trim_silence
        self._times = LearnedTimes()
        self._ends = LearnedEnds()
        self._refused: set[Refusal] = set()
        self._closed = False
        self._advised: set[str] = set()
        self.loop: asyncio.AbstractEventLoop | None = None  # type: ignore[assignment]
        """Set by the framework, never used: it isn't always the running loop."""

    async def __aenter__(self) -> Self:
        return self

    @property
    def voice(self) -> str:
        """Voice id of the next call."""
        return self._options.voice

    @property
    def language(self) -> str:
        """Language code of the next call. Where a function chooses, of a sentence for which it doesn't."""
        return self._options.language

    @property
    def speed(self) -> float:
        """Speed of the next call."""
        return self._options.speed

    @property
    def steps(self) -> int:
        """Denoising steps of the next call."""
        return self._options.steps

    @property
    def model(self) -> str:
        """Model of the next call; ``"default"`` is the service's own choice.

        Never None: the framework makes a string of it for its analytics and traces.
        """
        return self._options.model or DEFAULT_MODEL

    @property
    def reads_markup(self) -> bool:
        """Whether it reads speech markup: ``TransparentFallbackTTS`` hands it the text with its tags."""
        return self._markup

    @property
    def spoken_text(self) -> str:
        """The last turn's text whose audio is with the track; within a request an estimate.

        After a failure, :class:`~videosdk.plugins.lokutor.TransparentFallbackTTS` goes on behind it.
        """
        return self._turns.spoken

    def __repr__(self) -> str:
        url = self._endpoint.shown_url
        return f"LokutorTTS(voice={self.voice!r}, language={self.language!r}, url='{url}')"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a LokutorTTS can't be pickled or copied: create it in the process that uses it, "
            "for example in the job's entrypoint"
        )

    def update_options(
        self, *, now: bool = False, pacing: bool | None = None, **changes: Unpack[SpeechChanges]
    ) -> None:
        """Change options from the next call on. A call that is already running keeps its own.

        Args:
            now: Change the turn that is being spoken, too: from its next request on, which as a rule is its
                next sentence. Streams of :meth:`stream_synthesize` keep their own options.
            pacing: Whether requests wait until they are needed. None leaves that as it is.
            **changes: Any of ``voice``, ``language``, ``speed``, ``steps``, ``model``, ``pronunciations``.

        Raises:
            TypeError: An unknown option.
            ValueError: A value is out of range. No option is changed.
        """
        check_flag("now", now)
        if pacing is not None:
            check_flag("pacing", pacing)
        self._options = self._options.changed(changes)
        if now:
            self._turns.change(changes)
        if pacing is not None:
            self._pacing = pacing
            if now:
                self._turns.pace(pacing)

    # The base class takes any keyword; here an editor completes those that there are.
    async def synthesize(  # type: ignore[override]
        self, text: Text, voice_id: str | None = None, **kwargs: Unpack[SpeechChanges]
    ) -> None:
        """Speak ``text`` on the audio track. Returns when the track has all the audio, or at a barge-in.

        The plugin connects before it pulls the first piece of text, so that the handshake hides behind the
        language model. While there is no text to speak, no time-out runs. A ``FlushMarker`` ends the current
        request.

        Args:
            text: A string, or an async iterator of ``str`` and ``FlushMarker``: complete sentences or raw
                tokens. If the call ends early, the iterator is closed.
            voice_id: The voice of this call. Same as ``voice``.
            **kwargs: ``voice``, ``language``, ``speed``, ``steps``, ``model``, ``pronunciations``, for this
                call only.

        Raises:
            LokutorError: The call failed before any text was taken, so that another provider can speak all of
                it. Later failures are only emitted, and the turn is released.
            TypeError: An unknown keyword, or text of a wrong type.
            ValueError: A value is out of range.
            Exception: Whatever the text iterator raised, unchanged.
        """
        options = self._call_options(voice_id, kwargs)
        if _nothing_to_say(text):
            await self._release_turn(text)
            return
        track = self.audio_track  # Kept for the call: a cache fill must not get live audio, nor lose it.
        if not callable(getattr(track, "add_new_bytes", None)):
            raise self._reported(ConfigurationError("No audio track: set tts.audio_track, or use a Pipeline"))
        timing = Timeline(words=self.supports_word_timestamps, visemes=self._visemes)
        playback = Playback(track, self._output_rate())
        speech = find_caller().speech
        self._follow(timing, playback, speech)
        pacer = Pacer(self._times.of(options), playback, paced=self._pacing)
        output = self._output(playback.push, self._first_audio_callback)
        chunks = turn_chunks(speech)
        self._prepare(speech, options.language)
        followed = bool(getattr(text, "followed", False))
        rest = text_behind(text)
        utterance = self._utterance(
            options,
            output,
            self._connector.take_or_connect,
            timing,
            needs_handshake=self._connector.needs_handshake,
            pacer=pacer,
            chunks=chunks,
            on_language=partial(self._advise, speech),
            followed=followed,
            rest=rest,
        )
        self._begin(utterance, playback, track, speech)
        failure: LokutorError | None = None
        cancelled = False
        try:
            await utterance.run(text)
            if utterance.spoke_text:  # Also where nothing of it could be heard.
                await output.announce()
            elif self._closed:  # Nobody interrupts the framework's turn then.
                await output.announce()
                await fill_frame(track, self._output_rate())
        except LokutorError as error:
            if utterance.is_from_text(error):
                raise
            failure = error
            if utterance.text_pulled:
                # The turn waits for this callback; without it, it would hang for the framework's 10 s.
                await output.announce()
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self._turns.end(utterance, cancelled=cancelled)
            self._standby.refill()
            self._report_cost(utterance, streamed=False)
            if utterance.shortened and not followed:
                self._shorten_memory(speech, utterance)
        if failure is not None:
            self._reported(failure)
            if not utterance.text_pulled:
                self._leave(rest, speech)
                raise failure

    def stream_synthesize(  # type: ignore[override]
        self, text_stream: Text, *, interruptible: bool | None = None, **kwargs: Unpack[StreamChanges]
    ) -> AsyncGenerator[bytes, None]:
        """Return the speech for ``text_stream`` as an iterator of PCM instead of playing it.

        For caches and pipeline hooks. It can run during a live turn: it uses its own connection and never
        touches the audio track.

        At a barge-in, the stream of a ``@pipeline.on("tts")`` hook ends without an error, and further
        streams of the hook in this turn stay silent. A fill of ``TTSAudioCache`` continues. Any other
        stream (of your own cache, or of a hook's own task) ends with ``StreamInterruptedError`` if the
        pipeline has a ``tts`` hook, and continues if it has none.

        Args:
            text_stream: As for :meth:`synthesize`.
            interruptible: Whether a barge-in ends this stream. None decides as described above.
            **kwargs: As for :meth:`synthesize`, including ``voice_id``.

        Yields:
            Signed 16-bit little-endian mono PCM at the track's rate, or at ``sample_rate`` without one.

        Raises:
            LokutorError: The synthesis failed or was interrupted. What was yielded is incomplete.
            TypeError: An unknown keyword, or text of a wrong type.
            ValueError: A value is out of range.
        """
        # Now, for the iterator may be begun in another task.
        return self._stream(text_stream, self._streams.find_owner(interruptible), kwargs)

    async def _stream(
        self, text: Text, owner: StreamOwner, changes: StreamChanges
    ) -> AsyncGenerator[bytes, None]:
        options = self._call_options(changes.pop("voice_id", None), changes)
        if _nothing_to_say(text) or owner.silenced:
            return
        queue: asyncio.Queue[bytes | _End] = asyncio.Queue(_STREAM_PIECES)
        if owner.caller.hook and owner.caller.speech is not None:
            self._attend(owner.caller.speech)
        # Not the standby connection: that is for the turn.
        pacer = Pacer(self._times.of(options), None)  # A cache wants it all.
        utterance = self._utterance(
            options,
            self._output(queue.put),
            self._connector.connect_stream,
            Timeline(),
            needs_handshake=lambda: True,
            pacer=pacer,
            chunks=streamed_chunks(owner.caller, text),
        )
        self._streams.add(utterance, owner)
        synthesis = asyncio.create_task(_fill(queue, utterance, text))
        try:
            while isinstance(piece := await queue.get(), bytes):
                if not owner.interrupted:
                    yield piece
            failure = piece.error
        finally:
            self._streams.discard(utterance)
            synthesis.cancel()
            try:
                await asyncio.wait({synthesis})
            finally:
                self._report_cost(utterance, streamed=True)
        if owner.interrupted and owner.caller.hook:
            return
        if owner.interrupted:
            raise StreamInterruptedError("A barge-in ended the stream: pass interruptible=False to keep it")
        # A FallbackTTS would take the error of a stream beside a turn for the turn's, and leave it alone.
        beside = self._turns.speaking and not owner.caller.hook
        if isinstance(failure, LokutorError) and not (utterance.is_from_text(failure) or beside):
            self._reported(failure)
        if failure is not None:
            raise failure

    async def interrupt(self) -> None:
        """Stop speaking (barge-in). Returns without awaiting.

        When it returns, playback has stopped, and the socket closes in the background.
        :meth:`stream_synthesize` describes which streams end, too.

        After a barge-in, the framework calls this again from the task whose ``synthesize()`` it has
        cancelled. A turn that has started by then isn't affected.
        """
        speech = find_caller().speech
        memory = None if speech is None else self._memory_of(speech)
        if memory is not None:
            memory.cut()  # While the track still has the audio.
        if self._turns.interrupt(self.audio_track):
            self._streams.interrupt()
            self._synchronizers.stop(interrupted=True)
            if memory is not None and speech is not None:
                memory.correct(speech, partial(self._remember_last, speech))

    async def prewarm(self) -> None:
        """Open the standby connection. Idempotent, and never fatal.

        The framework awaits this at its start, so it returns after one second at most. Where the service
        takes longer to answer, connecting goes on in the background.
        """
        if self._closed:
            return
        starting = find_starting()
        if starting is not None:  # A hook may begin its first turn with something else than a stream.
            self._attend(starting)
        if self._keep_warm:
            await self._standby.fill(within=_PREWARM_TIME)
        else:
            self._connector.session()

    def reset_first_audio_tracking(self) -> None:
        """Do nothing: each call tracks its own first audio."""

    async def aclose(self) -> None:
        """Stop all calls and close all connections. Idempotent. The plugin can't be used afterwards.

        What the track holds by then is still played, since the framework calls this while a goodbye may be
        heard: call :meth:`interrupt` before it for silence at once.
        """
        self._closed = True
        self._first_audio_callback = None
        self._turns.close()
        self._streams.close()
        self._synchronizers.stop()
        await self._connectors.close()
        # Not the base class's aclose(): it runs a garbage collection that stalls every call in the process.

    @property
    def _connector(self) -> Connector:
        """The running loop's: what a call opens belongs to its loop."""
        return self._connectors.here()

    @property
    def _standby(self) -> Standby:
        return self._connector.standby

    def _call_options(self, voice_id: str | None, changes: SpeechChanges) -> SpeechOptions:
        if voice_id is not None:
            if changes.get("voice", voice_id) != voice_id:
                both = f"voice_id is {shown(voice_id)} but voice is {shown(changes['voice'])}"
                raise ValueError(f"{both}: pass only one of them")
            changes = {**changes, "voice": voice_id}
        return self._options.changed(changes)

    def _prepare(self, speech: SpeechGeneration | None, language: str) -> None:
        """Prepare a pipeline for a turn."""
        self._advise(speech, language)
        if speech is not None:
            self._attend(speech)

    def _attend(self, speech: SpeechGeneration) -> None:
        """See to what the framework leaves undone, in this turn and those to come."""
        keep_interruptible(speech)
        self._memory_of(speech)
        if self._markup:
            forget_markup(speech)

    def _advise(self, speech: SpeechGeneration | None, language: str) -> None:
        """Say so where a pipeline's text filter doesn't suit, once for each language."""
        if speech is not None and language not in self._advised:
            self._advised.add(language)
            warn_of_english_numbers(speech, language)
            if self._markup:
                warn_of_rewritten_markup(speech, language)

    def _output(self, sink: Sink, on_first_audio: FirstAudio | None = None) -> AudioOutput:
        return AudioOutput(sink, self._output_rate(), on_first_audio)

    def _output_rate(self) -> int:
        return rate_of(self.audio_track, self.sample_rate)

    def _follow(self, timing: Timeline, playback: Playback, speech: SpeechGeneration | None) -> None:
        """Start to tell a turn's words and visemes where they are wanted."""
        self._synchronizers.replace()
        if timing.wanted:
            self._synchronizers.begin(timing, playback, self._transcript(speech))

    def _transcript(self, speech: SpeechGeneration | None) -> Callable[[str | None, bool], None] | None:
        """Return what takes what was heard of the reply: nobody, where the framework sees to that."""
        if speech is None or not self._tells_final_of(speech):
            return None
        unsubscribe_others(self, speech)
        return Transcript(speech).end

    def _begin(
        self, utterance: Utterance, playback: Playback, track: Any, speech: SpeechGeneration | None
    ) -> None:
        """Note a turn that begins, so that an interrupt finds it, also when the next has begun."""
        self._turns.begin(utterance, track)
        if speech is not None:
            before = getattr(speech.tts, "spoken_before", "")
            self._memory_of(speech).follow(speech, partial(_heard_of, utterance, playback, before))

    def _memory_of(self, speech: SpeechGeneration) -> Memory:
        if speech not in self._memories:
            self._memories[speech] = Memory(speech)
        return self._memories[speech]

    def _remember_last(self, speech: SpeechGeneration) -> None:
        turn = self._turns.take_last()
        if turn is not None and not self.supports_word_timestamps:  # Words tell it otherwise.
            # What another provider has said before in this turn was heard, too.
            before = getattr(speech.tts, "spoken_before", "")
            remember(speech, None if turn.heard is None else joined(before, turn.heard))

    def _shorten_memory(self, speech: SpeechGeneration | None, utterance: Utterance) -> None:
        """Have the agent remember what was spoken of a turn that has ended without a part of its text."""
        if speech is not None and is_part_of(self, speech):
            before = getattr(speech.tts, "spoken_before", "")
            remember_spoken(speech, joined(before, utterance.spoken))

    def _leave(self, rest: AsyncIterator[object] | None, speech: SpeechGeneration | None) -> None:
        """Read on the text of a turn that nobody speaks: the framework's language model waits for that."""
        if rest is not None and speech is not None and speech.tts is self:
            keep([asyncio.create_task(discard(rest))])

    def _tells_final_of(self, speech: SpeechGeneration) -> bool:
        # A FallbackTTS passes no words on, so there the framework doesn't count on us; a
        # TransparentFallbackTTS sees to its turns itself.
        return self.supports_word_timestamps and speech.tts is self

    def _tells_final_of_hooked(self, speech: SpeechGeneration) -> bool:
        """Return whether the final transcripts of turns that a hook speaks are left to us."""
        return is_part_of(self, speech) and bool(getattr(speech.tts, "supports_word_timestamps", False))

    async def _release_turn(self, text: Text) -> None:
        """End a turn without anything to say: the framework waits for the first audio of any text."""
        if text:
            await self._output(_drop, self._first_audio_callback).announce()

    def _utterance(
        self,
        options: SpeechOptions,
        output: AudioOutput,
        connect: Connect,
        timing: Timeline,
        *,
        needs_handshake: Callable[[], bool],
        pacer: Pacer,
        chunks: Chunks = Chunks.UNKNOWN,
        on_language: Callable[[str], None] = do_nothing,
        followed: bool = False,
        rest: AsyncIterator[object] | None = None,
    ) -> Utterance:
        if self._closed:
            raise self._reported(ConfigurationError("This LokutorTTS is closed: create a new one"))
        silence = SilenceTrimmer(trim=self._trim_silence)
        return Utterance(
            options,
            connect,
            output,
            self._limits,
            timing,
            needs_handshake=needs_handshake,
            pacer=pacer,
            permits=self._connector.permits,
            silence=silence,
            chunks=chunks,
            markup=self._markup,
            on_language=on_language,
            ends=self._ends,
            refused=self._refused,
            followed=followed,
            rest=rest,
        )

    def _report_cost(self, utterance: Utterance, *, streamed: bool) -> None:
        self._tell("metrics", utterance.metrics(streamed=streamed))

    def _reported(self, error: LokutorError) -> LokutorError:
        """Emit ``error``, once and last: FallbackTTS switches to another provider on this event."""
        self._tell("error", error)
        return error

    def _tell(self, event: str, what: object) -> None:
        """Emit ``event``, and let no listener end the call or keep the next event from the others.

        The framework's emitter catches every ``Exception`` of a listener, but not the ``CancelledError`` of
        one that asks a cancelled task for its result.
        """
        try:
            self.emit(event, what)  # type: ignore[arg-type]  # Some of the events are the plugin's own.
        except asyncio.CancelledError:
            logger.warning("A listener to %r raised CancelledError", event)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a stream, and why it came early."""

    error: BaseException | None = None


async def _fill(queue: asyncio.Queue[bytes | _End], utterance: Utterance, text: Text) -> None:
    error: BaseException | None = None
    try:
        await utterance.run(text)
    except BaseException as failure:
        if was_cancelled(failure):  # The consumer has left, and won't make room in the queue.
            raise
        error = failure  # Whatever it is, the consumer waits for it, and raises it.
    if error is None and utterance.interrupted:
        error = ConfigurationError("This LokutorTTS was closed before the end of the stream")
    await queue.put(_End(error))


def _heard_of(utterance: Utterance, playback: Playback, before: str) -> Heard | None:
    """Return what was heard of a turn; None where that isn't known, or it has no audio.

    Args:
        utterance: What speaks it, or has spoken it.
        playback: Where its listener is.
        before: What another provider has said before.
    """
    if not (playback.begun and playback.plays):
        return None
    seconds = playback.seconds()
    whole = seconds > playback.pushed - FRAME_SECONDS  # A rest shorter than a frame may never be played.
    if seconds <= 0:  # Older turns are still heard.
        return Heard(before, whole=False)
    text = utterance.spoken if whole else utterance.text_until(seconds)
    return Heard(joined(before, text.strip()), whole)


async def _drop(_: bytes) -> None:
    """Take audio that goes nowhere."""


def _nothing_to_say(text: Text) -> bool:
    return isinstance(text, str) and not is_speakable(text)

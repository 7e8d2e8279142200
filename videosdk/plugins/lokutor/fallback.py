"""The framework's ``FallbackTTS``, with nothing lost between the providers and the pipeline.

Rule of this file: it works with any plugins, and knows of them what the framework's ``TTS`` says. Source:
videosdk-agents 1.0.26 to 1.0.30, where ``FallbackTTS`` is the same.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from videosdk.agents import TTS, FallbackTTS
from videosdk.agents.speech_generation import SpeechGeneration

from ._audio.playback import TurnAudio, fill_frame, is_played, played_out, rate_of
from ._framework.callers import find_caller, text_behind, turn_chunks
from ._framework.interruptible import keep_interruptible
from ._framework.memory import forget_markup, remember, remember_once, remember_spoken, remembers_spoken
from ._framework.transcript import EndOfTurns, Room, estimate_from_here, unsubscribe_others
from ._pacing.rates import SpeakingRate
from ._tasks import keep
from ._text.characters import joined, whole_words
from ._text.feed import Text
from ._text.joints import sentence_start
from ._text.replay import Reading, ReplayableText, count_letters, written_text
from ._text.written import without_markup
from .errors import RateLimitError
from .visemes import Viseme

logger = logging.getLogger("videosdk.plugins.lokutor")

_UNKNOWN = "unknown error"
_LIMITED = 5.0
"""Seconds after which a provider is asked again that was limited and didn't say for how long."""


class TransparentFallbackTTS(FallbackTTS):
    """A ``FallbackTTS`` whose providers the pipeline sees through, for any text-to-speech plugins.

    It passes on what ``FallbackTTS`` keeps back: :meth:`prewarm`, the events ``"word_spoken"``,
    ``"visemes"`` and ``"metrics"``, the language, and streams. A provider that fails in the middle of a reply
    is followed by the next one in the same turn, which goes on behind what was heard. Words, the agent's
    memory and the room's final transcript go on as well. Each failure is emitted once, as it is.

    Where a provider reads speech markup, the next one that does goes on in the same elements. One behind it
    that doesn't gets the text without tags.

    Args:
        providers: The plugins, the preferred one first.
        **options: As for ``FallbackTTS``: ``temporary_disable_sec``, ``permanent_disable_after_attempts``,
            ``latency_threshold_ms``, ``consecutive_latency_hits``.
    """

    audio_track: Any  # The base class says None.

    def __init__(self, providers: Sequence[TTS], **options: Any) -> None:
        self._turn: _Turn | None = None
        # Tasks of turns that are no longer spoken, and how often each had been cancelled before.
        self._ended: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._followed: WeakSet[SpeechGeneration] = WeakSet()
        super().__init__(list(providers), **options)
        self._rates = {provider: SpeakingRate() for provider in self.providers}
        self.supports_word_timestamps = any(provider.supports_word_timestamps for provider in self.providers)

    @property
    def language(self) -> str | None:
        """The language of the provider that speaks, for the pipeline's sentence chunker; None: unknown."""
        return getattr(self.active_provider, "language", None)

    @property
    def reads_markup(self) -> bool:
        """Whether any of the providers reads speech markup."""
        return any(map(_reads_markup, self.providers))

    @property
    def spoken_before(self) -> str:
        """What other providers have said in this turn, before the one that speaks now."""
        return "" if self._turn is None else self._turn.before

    async def prewarm(self) -> None:
        """Prewarm all providers, so that the second one starts as fast as the first."""
        await asyncio.gather(*(each.prewarm() for each in self.providers), return_exceptions=True)

    def update_options(self, **changes: Any) -> None:
        """Change options of all providers that have a method ``update_options()``, each as it does.

        A provider gets the keywords that its method takes. One that refuses them keeps its options, and the
        log says so.

        Args:
            **changes: For :class:`~videosdk.plugins.lokutor.LokutorTTS` those of its own method, ``now``
                included.

        Raises:
            TypeError: No provider takes any of them.
            Exception: What the first provider has raised, where all that take them have.
        """
        refusals: list[Exception] = []
        changed = False
        for provider in self.providers:
            update, taken = _update_of(provider, changes)
            if update is None or not taken:
                continue
            try:
                update(**taken)
            except Exception as error:
                refusals.append(error)
                logger.warning("%s keeps its options: %s", provider.label, error, exc_info=True)
            else:
                changed = True
        if not changed:
            raise (
                refusals[0] if refusals else TypeError(f"no provider takes {', '.join(changes) or 'nothing'}")
            )

    async def synthesize(self, text: Text, voice_id: str | None = None, **kwargs: Any) -> None:
        """Speak ``text`` with the first provider that works, and go on with the next where one fails.

        Args:
            text: A string, or an async iterator of ``str`` and ``FlushMarker``.
            voice_id: Passed to each provider, where given.
            **kwargs: Passed to each provider.

        Raises:
            Exception: All have failed before any text was taken, or the text iterator has raised. Later
                failures are only emitted, and the turn is released.
        """
        options = kwargs if voice_id is None else {"voice_id": voice_id, **kwargs}
        self.check_recovery()  # type: ignore[no-untyped-call]
        turn = self._begin(text)
        cancelled = False
        try:
            await self._speak(turn, options)
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            if turn.task is not None:
                self._ended[turn.task] = 0 if cancelled else turn.task.cancelling()
            turn.returned = True
            rest = text_behind(text) if turn.given_up else None
            if rest is None:
                await turn.text.close()
            else:  # The framework's language model waits until its text is read.
                turn.text.leave(rest)

    def stream_synthesize(self, text_stream: Text, **kwargs: Any) -> AsyncIterator[bytes]:
        """Return the speech for ``text_stream`` as PCM, from the provider that speaks now."""
        provider = self.active_provider
        if self._speaks_plain(provider):
            sentences = turn_chunks(find_caller().speech).are_sentences
            text_stream = written_text(text_stream, sentences=sentences)
        stream: AsyncIterator[bytes] = provider.stream_synthesize(text_stream, **kwargs)
        return stream

    async def interrupt(self) -> None:
        """Stop speaking (barge-in), whichever provider speaks, and begin with no other."""
        turn = self._turn
        if turn is None:
            await self.active_provider.interrupt()
            return
        if self._comes_late(turn):
            return
        if not turn.interrupted:  # The next time, the track has nothing left to measure.
            turn.estimated = self._estimate(turn)
        turn.interrupted = True
        for provider in dict.fromkeys([turn.provider, self.active_provider]):
            await provider.interrupt()
        turn.text.end()
        speech = find_caller().speech
        if speech is not None and self._knows_heard(turn):
            remember(speech, turn.heard)
        elif speech is not None and turn.estimated is not None and not turn.over:
            remember(speech, turn.estimated)

    async def aclose(self) -> None:
        """Close all providers."""
        if self._turn is not None:
            self._turn.interrupted = True
            self._turn.text.end()
            self._turn.end(self._turn.heard)
        await super().aclose()  # type: ignore[no-untyped-call]

    def _begin(self, text: Text) -> _Turn:
        speech = find_caller().speech
        if speech is not None and speech.tts is not self:
            speech = None
        sentences = turn_chunks(speech).are_sentences
        replayable = ReplayableText(text, markup=self.reads_markup, sentences=sentences)
        if speech is not None:
            keep_interruptible(speech)
            remember_once(speech)
            self._follow(speech)
        if speech is not None and self._speaks_plain(self.active_provider):
            forget_markup(speech)  # Whoever reads markup sees to that.
        self._on_heard()  # No other turn comes before the listener has heard the last one.
        told = speech is not None and self.supports_word_timestamps
        audio = TurnAudio(self.audio_track, rate_of(self.audio_track, self.sample_rate))
        self._turn = _Turn(self.active_provider, replayable, speech, Room() if told else None, audio)
        self._turn.on_first_audio = self._first_audio_callback
        return self._turn

    async def _speak(self, turn: _Turn, options: dict[str, Any]) -> None:
        more = True
        while more:
            turn.provider = self.active_provider
            raised = await self._try(turn, options)
            if turn.interrupted:
                return
            if turn.failure is None and await self._stopped_short(turn):
                raised = turn.failure = RuntimeError(
                    f"{turn.provider.label} returned before the end of the text"
                )
                self.emit("error", raised)
            if turn.interrupted:
                return
            if turn.failure is None:
                self._note_success(turn.provider)
                break
            if not await self._leave(turn.provider, turn.failure):
                await self._give_up(turn, raised)
                return
            more = await self._go_on(turn)
        turn.spoken = not turn.interrupted

    def _note_success(self, provider: Any) -> None:
        """Forget the failures of a provider that has spoken: only those in a row disable it for good."""
        self._recovery_attempts.pop(self.providers.index(provider), None)

    async def _stopped_short(self, turn: _Turn) -> bool:
        """Return whether a provider has returned without a word of why, and there is more to say."""
        # One that tells what it has spoken tells its failures, too: it was interrupted by itself.
        if turn.reading is None or turn.reading.ended or _tells_spoken(turn.provider):
            return False
        return await turn.text.has_more(behind=turn.reading.taken) and not turn.interrupted

    async def _leave(self, provider: Any, failure: Any) -> bool:
        """Go on with the next provider; return whether there is one.

        A provider that is only limited is well. It is asked again when its limit allows, and never disabled.
        """
        index, attempts = self.providers.index(provider), dict(self._recovery_attempts)
        switched: bool = await self._switch_provider(str(failure), failed_provider=provider)
        if isinstance(failure, RateLimitError):
            self._recovery_attempts[index] = attempts.get(index, 0)
            limited = _LIMITED if failure.retry_after is None else failure.retry_after
            pause = min(limited, self.temporary_disable_sec)
            self._failed_providers[index] = time.time() - self.temporary_disable_sec + pause
        return switched

    async def _try(self, turn: _Turn, options: dict[str, Any]) -> Exception | None:
        """Have the turn's provider speak what is left; return what it has raised, if anything."""
        provider, turn.failure = turn.provider, None
        plain = self._speaks_plain(provider)
        turn.raw = not (plain or _reads_markup(provider))
        ahead = getattr(provider, "pulls_ahead", False)
        followed = self._current_index < len(self.providers) - 1
        turn.reading = turn.text.read(ahead=ahead, plain=plain, followed=followed)
        turn.announced = False
        provider.on_first_audio_byte(turn.announce)
        provider.reset_first_audio_tracking()
        try:
            await provider.synthesize(turn.reading, **options)
        except Exception as error:
            if turn.text.error is not None:  # Nobody else could speak it either.
                raise
            if turn.failure is None:  # Otherwise it was emitted.
                turn.failure = error
                self.emit("error", error)
            return error
        finally:
            turn.reading.close()
        return None

    async def _give_up(self, turn: _Turn, raised: Exception | None) -> None:
        """End a turn that nobody can speak, and have the agent remember what was heard of it."""
        turn.given_up = True
        if raised is not None and not turn.text.taken:
            raise raised
        # The framework waits for this callback, and for all audio to be played: else the turn would hang.
        await turn.release()
        seconds = self._seconds_pushed()
        await self._fill_frame()
        remembered = turn.speech is not None and remembers_spoken(turn.speech)
        if turn.speech is None or (remembered and turn.provider.supports_word_timestamps):
            return
        if turn.reading is not None and turn.reading.taken:
            spoken = await self._spoken(turn, seconds)
            if turn.interrupted:
                return
            turn.hand_over(spoken, self._seconds_pushed())
        if not remembered:
            remember_spoken(turn.speech, turn.heard)

    async def _go_on(self, turn: _Turn) -> bool:
        """Find out what was heard of a provider that has failed. Return whether there is more to say."""
        taken = turn.reading is not None and turn.reading.taken > 0
        seconds = self._seconds_pushed()
        await self._fill_frame()
        if taken:
            spoken = await self._spoken(turn, seconds)
            if turn.interrupted:
                return False
            turn.hand_over(spoken, self._seconds_pushed())
        if turn.speech is not None and not self.active_provider.supports_word_timestamps:
            estimate_from_here(turn.speech)
        return not taken or (await turn.text.has_more() and not turn.interrupted)

    def _speaks_plain(self, provider: TTS) -> bool:
        """Return whether a provider gets text without tags, which one before it would read."""
        before = self.providers[: self.providers.index(provider)]
        return not _reads_markup(provider) and any(map(_reads_markup, before))

    async def _fill_frame(self) -> None:
        await fill_frame(self.audio_track, rate_of(self.audio_track, self.sample_rate))

    async def _spoken(self, turn: _Turn, seconds: float) -> _Spoken | None:
        """Return what the turn's provider has said before it failed, when it was heard; None: unknown.

        Args:
            turn: The turn.
            seconds: How much audio the turn has had until then.
        """
        known: str | None = getattr(turn.provider, "spoken_text", None)
        if not turn.announced or (known == "" and not turn.provider.supports_word_timestamps):
            return _Spoken("")
        # Until then its words are told, and those of the next one would come too early.
        track, rate = self.audio_track, rate_of(self.audio_track, self.sample_rate)
        heard = await played_out(track, rate, lambda: turn.interrupted)
        if heard and turn.provider.supports_word_timestamps:
            turn.end_words(seconds)
            return _Spoken(turn.told)
        return turn.measured(self._rates[turn.provider]) if known is None else _Spoken(known)

    def _estimate(self, turn: _Turn) -> str | None:
        """Return what was heard of a turn whose provider tells nothing; None where that isn't known."""
        unknown = turn.over or turn.provider.supports_word_timestamps or _tells_spoken(turn.provider)
        return None if unknown else turn.estimate(self._rates[turn.provider])

    def _knows_heard(self, turn: _Turn) -> bool:
        """Return whether a turn's words tell what was heard of it when it is interrupted."""
        told = bool(turn.provider.supports_word_timestamps) and not turn.over
        return told and (is_played(self.audio_track) or not turn.begun)

    def _seconds_pushed(self) -> float:
        if not is_played(self.audio_track):
            return 0.0
        pushed: int = self.audio_track.snapshot_playback()[1]
        return pushed / rate_of(self.audio_track, self.sample_rate)

    def _comes_late(self, turn: _Turn) -> bool:
        """Return whether an interrupt is meant for the turn before.

        The framework interrupts a second time from the task whose turn it has cancelled.
        """
        task = asyncio.current_task()
        if task is None or task is turn.task:
            return False
        return task.cancelling() > self._ended.get(task, task.cancelling())

    def _follow(self, speech: SpeechGeneration) -> None:
        """Learn when the turns of a pipeline are over."""
        unsubscribe_others(self, speech)
        if speech not in self._followed:
            self._followed.add(speech)
            EndOfTurns(speech, self._on_heard, self._on_interrupted)

    def _on_heard(self) -> None:
        if self._turn is not None and self._turn.returned:
            self._turn.learn(self._rates[self._turn.provider])
            self._turn.end()

    def _on_interrupted(self, heard: str) -> None:
        if self._turn is not None and self._turn.interrupted:
            self._turn.end(heard)

    def _setup_event_listeners(self) -> None:
        """Listen to all providers, for good: the base class forgets those that it returns to."""
        for provider in self.providers:
            self._listen_to(provider)

    def _listen_to(self, provider: Any) -> None:
        def on_error(error: Any) -> None:
            self._on_error(provider, error)

        def on_word(word: Any) -> None:
            if self._turn is not None and self._turn.provider is provider:
                self.emit("word_spoken", self._turn.take_word(word))

        def on_visemes(visemes: Any) -> None:
            if self._turn is not None and self._turn.provider is provider:
                self.emit("visemes", self._turn.place(visemes))  # type: ignore[arg-type]

        def on_metrics(metrics: Any) -> None:
            self.emit("metrics", metrics)  # type: ignore[arg-type]

        provider.on("error", on_error)
        provider.on("word_spoken", on_word)
        provider.on("visemes", on_visemes)
        provider.on("metrics", on_metrics)

    def _on_error(self, provider: TTS, error: Any) -> None:
        turn = self._turn
        if turn is not None and turn.provider is provider and turn.is_read:
            turn.failure = error or _UNKNOWN  # It is followed when it has returned.
        elif provider is self.active_provider:
            keep([asyncio.create_task(self._leave(provider, error))])
        self.emit("error", error)

    def _on_provider_error(self, error_msg: Any) -> None:
        """Do nothing: the base class listens to the active provider besides us."""


def _update_of(provider: TTS, changes: dict[str, Any]) -> tuple[Callable[..., object] | None, dict[str, Any]]:
    """Return a provider's method that changes its options, if any, and what it takes of the changes."""
    update = getattr(provider, "update_options", None)
    if not callable(update) or inspect.iscoroutinefunction(update):
        return None, {}
    parameters = inspect.signature(update).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return update, changes
    named = {each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY}
    taken = {name: value for name, value in changes.items() if name in named}
    # How soon is no change by itself.
    return update, taken if taken.keys() - {"now"} else {}


def _reads_markup(provider: TTS) -> bool:
    return bool(getattr(provider, "reads_markup", False))


def _tells_spoken(provider: TTS) -> bool:
    return getattr(provider, "spoken_text", None) is not None


class _Spoken(NamedTuple):
    """What a provider has said before it failed.

    Attributes:
        text: What the next one goes on behind.
        again: What was heard behind it, and is said again.
    """

    text: str
    again: str = ""


class _Turn:
    """One turn, over all who speak it.

    Attributes:
        provider: Who speaks, or has spoken last.
        text: What is left to say.
        speech: What speaks the turn for the framework, if anything.
        task: Whose turn it is.
        reading: What the provider reads.
        raw: Whether it takes tags for text.
        failure: Why the provider doesn't go on.
        on_first_audio: Awaited once, at the first audio of any provider.
        announced: Whether the provider has told of its first audio.
        begun: Whether any has.
        before: What others have said before.
        told: What the provider's words say that it has said.
        interrupted: Whether the caller has interrupted.
        returned: Whether nothing more of it will be spoken.
        given_up: Whether nobody could speak it to its end.
        spoken: Whether it was spoken to its end.
        over: Whether the listener has heard its end.
        again: What was heard, and will be said again.
        estimated: What was heard when it was interrupted, by the share of its audio; None: unknown.
    """

    def __init__(
        self,
        provider: Any,
        text: ReplayableText,
        speech: SpeechGeneration | None,
        room: Room | None,
        audio: TurnAudio,
    ) -> None:
        self.provider = provider
        self.text = text
        self.speech = speech
        self.task = asyncio.current_task()
        self.reading: Reading | None = None
        self.failure: Any = None
        self.on_first_audio: Callable[[], Awaitable[None]] | None = None
        self.announced = self.begun = self.interrupted = self.returned = self.spoken = self.over = False
        self.given_up = False
        self.raw = False
        self.before = self.told = self.again = ""
        self.estimated: str | None = None
        self._room = room
        self._audio = audio
        self._seconds = 0.0  # Of the audio before, where it is played,
        self._pushed = 0.0  # and in any case.
        self._latest_word: tuple[str, float, float] | None = None  # The text before it, its start and end.

    @property
    def heard(self) -> str:
        """What was heard of it, as far as that is known."""
        return joined(self.before, self.told or self.again)

    @property
    def is_read(self) -> bool:
        """Whether the provider speaks."""
        return self.reading is not None and not self.reading.closed

    async def announce(self) -> None:
        """Take note of the provider's first audio."""
        self.announced = self.begun = True
        self.again = ""
        await self.release()

    async def release(self) -> None:
        """Have whoever waits for the first audio wait no longer."""
        callback, self.on_first_audio = self.on_first_audio, None
        if callback is not None:
            await callback()

    def take_word(self, word: Any) -> Any:
        """Return a provider's word as one of the turn."""
        if not isinstance(word, dict):
            return word
        before, self.told = self.told, str(word.get("cumulative_text", self.told))
        times = {name: word[name] + self._seconds for name in ("start", "end") if name in word}
        timed = {"start", "end"} <= times.keys()
        self._latest_word = (before, times["start"], times["end"]) if timed else None
        return {**word, **times, "cumulative_text": self.heard}

    def end_words(self, seconds: float) -> None:
        """Forget the last word where the provider's audio, of so many ``seconds``, has hardly begun it."""
        if self._latest_word is not None:
            before, start, end = self._latest_word
            if seconds < (start + end) / 2:
                self.told = before

    def place(self, visemes: Any) -> Any:
        """Return a provider's visemes as those of the turn."""
        shift = len(joined(self.before, "x")) - 1
        return [
            replace(each, index=each.index + shift, start=each.start + self._seconds)
            if isinstance(each, Viseme)
            else each
            for each in visemes
        ]

    def measured(self, rate: SpeakingRate) -> _Spoken | None:
        """Return what the provider has said, by the length of its audio; None where that isn't known.

        What it hasn't said to the end of a sentence is said again: where in it the audio ends isn't sure.
        """
        pushed = self._audio.pushed
        if pushed is None or self.reading is None:
            return None
        text = self.text.first(self.reading.taken)
        place = rate.reached(text, pushed - self._pushed)
        start = sentence_start(text, place)
        return _Spoken(text[:start].strip(), whole_words(text, place)[start:].strip())

    def estimate(self, rate: SpeakingRate) -> str | None:
        """Return what is heard of the turn by now, by the share of its audio; None where that isn't known."""
        seconds = self._audio.played()
        if seconds is None:
            return None
        played, pushed = (each - self._pushed for each in seconds)
        if self.reading is None or min(played, pushed) <= 0:
            return joined(self.before, self.again)
        text = self.text.first(self.reading.taken)
        # Of one that has failed, not all that it took will be heard.
        place = int(len(text) * played / pushed) if self.failure is None else rate.reached(text, played)
        return joined(self.before, whole_words(text, place))

    def learn(self, rate: SpeakingRate) -> None:
        """Note how fast the provider was that has spoken the turn to its end."""
        pushed = self._audio.pushed
        if self.spoken and not self.over and self.reading is not None and pushed is not None:
            rate.note(self.text.first(self.reading.taken), pushed - self._pushed)

    def hand_over(self, spoken: _Spoken | None, seconds: float) -> None:
        """Let the next provider go on behind what was ``spoken``, ``seconds`` into the turn's audio."""
        if spoken is None:
            spoken = _Spoken(self.text.drop(self.reading.taken if self.reading else 0))
        else:
            self.text.drop_spoken(spoken.text, raw=self.raw)
        self.before, self.told, self._seconds = joined(self.before, spoken.text.strip()), "", seconds
        self.again, self._pushed = spoken.again or self.again, self._audio.pushed or 0.0
        self.reading = self._latest_word = None

    def end(self, heard: str | None = None) -> None:
        """Tell the room once what was heard of it; None: to its end."""
        if self.over:
            return
        self.over = True
        if heard is None:
            whole = without_markup(self.text.whole)
            untold = self.spoken and count_letters(self.heard) < count_letters(whole)
            heard = whole if untold else self.heard
        if heard and self._room is not None:
            self._room.send_final(heard)

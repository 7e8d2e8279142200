"""What the agent remembers of a reply.

Rule of this file: it changes the agent's messages, and what the framework makes them of. What was heard and
what was spoken it is told.

- A reply that is interrupted: :func:`remember` and :class:`Memory`. The framework adds a message then.
- One that wasn't spoken to its end, though nobody has interrupted it: :func:`remember_spoken`.
- What ``say()`` speaks, which the framework remembers before it is spoken, and a turn that was heard to its
  end before it is interrupted: :func:`remember_once`.
- One with speech markup: :func:`forget_markup`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary, WeakSet

from videosdk.agents import Agent, ChatMessage, ChatRole
from videosdk.agents.speech_generation import SpeechGeneration

from .._text.replay import count_letters
from .._text.written import without_markup
from .callers import find_phrase, find_said, orchestrator_of
from .events import subscribe
from .heard import Heard, MeasuredTurn


def remember(speech: SpeechGeneration, heard: str | None) -> None:
    """Have the framework remember ``heard`` of a reply that is being interrupted; None: its own estimate.

    Its own is the share of the audio that was played, of all text that it has handed over. Requests are
    paced, so most of that text has no audio yet. Source: ``SpeechGeneration.compute_spoken_transcript()`` of
    videosdk-agents 1.0.26 to 1.0.30.
    """
    if heard:
        speech.spoken_transcript = heard
    elif heard is not None:
        forget_reply(speech)


def forget_reply(speech: SpeechGeneration) -> None:
    """Have the framework remember nothing of a reply that is being interrupted.

    It has made its estimate just before, and without one it would remember all that the language model has
    made so far: an empty transcript counts as none. Source: ``SpeechGeneration.interrupt()`` and
    ``PipelineOrchestrator._interrupt_pipeline()`` of videosdk-agents 1.0.26 to 1.0.30. There is no other way:
    the message that they add is announced by no event, and can only be taken back when it was seen.
    """
    _forget_estimate(speech)
    turn = _turns.get(speech)
    if (
        turn is not None and not turn.phrase
    ):  # What was heard of a phrase doesn't depend on what is around it.
        turn.take_back(speech.agent)


def _forget_estimate(speech: SpeechGeneration) -> None:
    """Have the framework add no message for the interruption under way."""
    speech.spoken_transcript = ""
    _forget_written(speech)


def _forget_written(speech: SpeechGeneration) -> None:
    """Have the framework not remember what the language model has written."""
    orchestrator = orchestrator_of(speech)
    if orchestrator is not None and orchestrator.speech_generation is speech:
        orchestrator._partial_response = ""


@dataclass(eq=False, slots=True)
class _Turn:
    """The agent's memory of one turn.

    Attributes:
        message: Its message, where that is there while it is spoken.
        remembered: Whether the framework has added what it remembers of it unless it is interrupted.
        measured: What was heard of it, where a ``tts`` hook may speak it or it is a cached phrase.
        heard: Whether it was heard to its end.
        phrase: Whether it is a cached phrase, which waits for no other turn.
        around: The turn in whose middle the phrase comes.
        leads: Whether the phrase comes before all audio of that turn.
        shortened: Whether what is remembered of it is what was spoken.
    """

    message: ChatMessage | None
    remembered: bool
    measured: MeasuredTurn | None = None
    heard: bool = False
    phrase: bool = False
    around: _Turn | None = None
    leads: bool = False
    shortened: bool = False

    def take_back(self, agent: Agent | None) -> None:
        """Take its message back, once."""
        message, self.message = self.message, None
        _take_back(agent, message)


_turns: WeakKeyDictionary[SpeechGeneration, _Turn] = WeakKeyDictionary()
"""The turn that each has begun last."""
_remembered_once: WeakSet[SpeechGeneration] = WeakSet()


def remember_once(speech: SpeechGeneration) -> None:
    """Have a turn that is interrupted be remembered once, this one and those to come.

    The framework adds all that ``say()`` speaks before it is spoken, and what was heard of it when it is
    interrupted. The first is taken back then. A turn that was heard to its end and is in the memory it adds
    again when it is interrupted afterwards. That is left out. Source: ``AgentSession.say()`` and
    ``PipelineOrchestrator._interrupt_pipeline()`` of videosdk-agents 1.0.26 to 1.0.30.
    """
    if speech in _remembered_once:
        return
    _remembered_once.add(speech)
    subscribe(speech, "synthesis_started", speech, _note_begun)
    subscribe(speech, "first_audio_byte", speech, _put_behind_interrupted)
    subscribe(speech, "first_audio_byte", speech, _note_pushed)
    subscribe(speech, "last_audio_byte", speech, _put_behind_interrupted)
    subscribe(speech, "last_audio_byte", speech, _note_heard)
    subscribe(speech, "synthesis_interrupted", speech, _note_interrupted)
    orchestrator = orchestrator_of(speech)
    if orchestrator is not None:
        subscribe(orchestrator, "content_generated", speech, _note_remembered)
    _note_begun(speech)


def _note_begun(speech: SpeechGeneration) -> None:
    """Note the turn that begins in the calling task, and the message of a ``say()``."""
    if speech.agent is None:
        return
    text = find_said()
    replies = filter(_is_reply, reversed(speech.agent.chat_context.items))
    message = next((reply for reply in replies if _text(reply) == text and not reply.interrupted), None)
    phrase = find_phrase() is not None
    measured = None
    if phrase or _is_hooked(speech):
        measured = MeasuredTurn(speech, speech.full_transcript if phrase else None)
    _turns[speech] = _Turn(
        message if text else None,
        remembered=text is not None,
        measured=measured,
        phrase=phrase,
        around=_under_way(speech) if phrase else None,
    )


def _under_way(speech: SpeechGeneration) -> _Turn | None:
    """Return the turn that is being spoken, whatever phrases came in its middle."""
    last = _turns.get(speech)
    if last is None or not speech.tts_lock.locked():
        return None
    return last.around if last.phrase else last


def _note_pushed(speech: SpeechGeneration) -> None:
    """Note that the track has all audio of a phrase that comes in one piece."""
    turn = _turns.get(speech)
    whole = isinstance(find_phrase(), (bytes, bytearray))
    if whole and turn is not None and turn.phrase and turn.measured is not None:
        turn.measured.end()


def _put_behind_interrupted(speech: SpeechGeneration) -> None:
    """Put the message of a ``say()`` that has waited behind those of the turns that were interrupted before.

    The framework adds its message at once, and what was heard of another turn when that is interrupted. This
    turn may have begun by then, so the order is looked after again with its audio.
    """
    turn = _turns.get(speech)
    if speech.agent is None or turn is None or turn.message is None:
        return
    items = speech.agent.chat_context.items
    index = next((index for index, item in enumerate(items) if item is turn.message), len(items))
    behind = list(takewhile(_is_reply, items[index + 1 :]))
    for item in behind:
        if _is_reply(item) and item.interrupted:
            _move_before(speech.agent, item, [turn.message])


def _note_heard(speech: SpeechGeneration) -> None:
    turn = _turns.get(speech)
    if turn is not None and turn.measured is not None:
        turn.measured.end()  # Its audio may only be with the track.
    elif turn is not None:
        turn.heard = True


def _note_remembered(speech: SpeechGeneration) -> None:
    turn = _turns.get(speech)
    if turn is not None and turn.phrase:  # It was remembered when it began.
        turn = turn.around
    if turn is None:
        return
    if not turn.remembered and (turn.measured is not None or turn is not _turns.get(speech)):
        turn.message = _latest_reply(speech.agent)  # It may still be heard.
    turn.remembered = True


def _note_interrupted(speech: SpeechGeneration) -> None:
    """Have the framework add nothing to what is remembered, or only instead of it."""
    turn = _turns.get(speech)
    if turn is None:
        return
    # Others may have told of what is around a phrase.
    if turn.phrase and turn.measured is not None and turn.measured.is_cut:
        _correct_phrase(speech, turn)
    if turn.heard and turn.remembered:
        _forget_estimate(speech)
    elif speech.spoken_transcript and _is_interrupting(speech):
        turn.take_back(speech.agent)


def _is_hooked(speech: SpeechGeneration) -> bool:
    return speech.hooks is not None and speech.hooks.has_tts_stream_hook()


def _is_interrupting(speech: SpeechGeneration) -> bool:
    """Return whether the framework remembers what was heard of the turn under way, and no more of it."""
    return bool(getattr(orchestrator_of(speech), "_is_interrupted", False))


class Memory:
    """What the agent remembers of the turns that ``speech`` speaks, where they are interrupted.

    The framework estimates what was heard at each interruption and adds a message, also where no turn has
    begun since the last. All of it counts as the last turn's, although the ones before may still be heard: a
    turn begins when the track has all audio of the one before. Source: as for :func:`forget_reply`.

    Args:
        speech: What speaks the turns for the framework.
    """

    def __init__(self, speech: SpeechGeneration) -> None:
        self._kept: str | None = None  # What was heard of the turn under way, once it was interrupted,
        self._known: set[str] = set()  # and the messages then.
        self._followed: list[tuple[_Turn, Callable[[], Heard | None]]] = []
        remember_once(speech)  # It has to see a turn that begins first.
        subscribe(speech, "synthesis_started", speech, self._on_begun)
        subscribe(speech, "last_audio_byte", speech, self._on_heard)
        self._follow_measured(speech)

    def follow(self, speech: SpeechGeneration, heard: Callable[[], Heard | None]) -> None:
        """Follow the turn that begins.

        Args:
            speech: What speaks it.
            heard: Returns what was heard of it so far; None where that isn't known.
        """
        turn = _turns.get(speech)
        if turn is not None:
            self._followed.append((turn, heard))

    def cut(self) -> None:
        """Note that the turns are being interrupted. Call it while the track still has their audio."""
        for turn, _ in self._followed:
            if turn.measured is not None:
                turn.measured.cut()

    def correct(self, speech: SpeechGeneration, correction: Callable[[], None]) -> None:
        """Have the framework remember interrupted turns once; ``correction`` says what of the last one."""
        if self._kept is None:
            whole = self._correct_earlier(speech)
            last = _turns.get(speech)
            # A phrase may come in the middle of another turn, and is judged by itself.
            if last is None or not _correct_phrase(speech, last):
                if whole:
                    correction()
                    _correct_measured(speech)
                else:  # What comes behind them wasn't heard.
                    forget_reply(speech)
            self._kept, self._known = speech.spoken_transcript, _interrupted_messages(speech.agent)
        elif _is_ending():
            return  # Nothing is remembered of the framework's late interrupt, and another turn may be coming.
        elif _interrupted_messages(speech.agent) <= self._known:  # Both are still under way.
            speech.spoken_transcript = self._kept
        else:
            forget_reply(speech)

    def _correct_earlier(self, speech: SpeechGeneration) -> bool:
        """Remember what was heard of the turns before the last one; return whether that is all of them."""
        last, whole = _turns.get(speech), True
        followed, self._followed = self._followed, []
        if not _is_interrupting(speech):
            return True
        for index, (turn, heard) in enumerate(followed):
            known = None if turn is last or turn.heard else heard()
            if known is not None:
                if last is not None and last.around is turn and speech.tts_lock.locked():
                    known = known._replace(whole=False)  # All of it so far.
                following = [*(later for later, _ in followed[index + 1 :]), *filter(None, [last])]
                _remember_earlier(speech, turn, known, [later for later in following if not later.leads])
                whole = whole and known.whole
        return whole

    def _follow_measured(self, speech: SpeechGeneration) -> None:
        """Follow the turn that has begun, where a hook may speak it or it is a cached phrase."""
        turn = _turns.get(speech)
        if turn is None:
            return
        for before, heard in list(self._followed):
            if before is turn.around:
                turn.leads = heard() is None
            elif (before.measured is not None or _is_hooked(speech)) and _is_over(heard()):
                self._followed.remove((before, heard))
        for before, _ in self._followed:
            if before.measured is not None:
                before.measured.end()
        if turn.measured is not None:
            self._followed.append((turn, turn.measured.heard))

    def _on_begun(self, speech: SpeechGeneration) -> None:
        self._kept = None
        self._known = set()
        self._follow_measured(speech)

    def _on_heard(self, speech: SpeechGeneration) -> None:
        turn = _turns.get(speech)
        if turn is None or turn.measured is None:
            self._followed.clear()


def _is_over(heard: Heard | None) -> bool:
    return heard is not None and heard.whole


def _correct_phrase(speech: SpeechGeneration, turn: _Turn) -> bool:
    """Have the framework remember what was heard of a cached phrase; return whether that is known."""
    heard = None if not turn.phrase or turn.measured is None else turn.measured.heard()
    if heard is None:
        return False
    turn.heard = heard.whole
    known_otherwise = turn.message is None and turn.around is not None
    if heard.text and not heard.whole and not known_otherwise:
        speech.spoken_transcript = heard.text
        return True
    _forget_estimate(speech)
    if not (heard.whole or known_otherwise):  # Nothing of it was heard.
        turn.take_back(speech.agent)
    return True


def _correct_measured(speech: SpeechGeneration) -> None:
    """Have the framework remember what was heard of the last turn, where a hook may have spoken it."""
    turn = _turns.get(speech)
    heard = None if turn is None or turn.measured is None else turn.measured.heard()
    if turn is not None and heard is not None:
        turn.heard = heard.whole
        remember(speech, heard.text)


def _remember_earlier(speech: SpeechGeneration, turn: _Turn, heard: Heard, following: list[_Turn]) -> None:
    """Remember what was heard of a turn behind which others have begun."""
    message = turn.message
    if message is None and not turn.remembered and speech.agent is not None and count_letters(heard.text):
        message = speech.agent.chat_context.add_message(role=ChatRole.ASSISTANT, content=heard.text)
        _move_before(speech.agent, message, [later.message for later in following])
        turn.remembered = True
        _forget_written(speech)
    elif message is not None and not heard.whole:
        _shorten(speech.agent, message, heard.text)
    if message is not None and not heard.whole:
        message.interrupted = True


def _is_ending() -> bool:
    """Return whether the calling task is one that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def remember_spoken(speech: SpeechGeneration, spoken: str) -> None:
    """Have the agent remember only what was ``spoken`` of the reply that ``speech`` speaks.

    The framework remembers all of such a reply: source, ``PipelineOrchestrator._generate_and_synthesize()``
    and ``AgentSession.say()`` of videosdk-agents 1.0.26 to 1.0.30. The message of a ``say()`` is there before
    it is spoken. That of any other reply comes when the language model has ended as well, is announced by
    ``"content_generated"``, and never comes where the caller goes on before. So what was spoken is remembered
    at once, and the framework's message is taken back when it comes. An interruption adds one of its own.
    """
    orchestrator = orchestrator_of(speech)
    if orchestrator is None or orchestrator.speech_generation is not speech:
        return
    turn = _turns.get(speech)
    if turn is not None:
        turn.shortened = True
    message = _latest_reply(speech.agent)
    if message is not None and _begins_with(_text(message), speech.full_transcript):
        _shorten(speech.agent, message, spoken)
    else:
        _Shortening(speech, orchestrator, spoken)


def remembers_spoken(speech: SpeechGeneration) -> bool:
    """Return whether the agent was told by now what was spoken of the turn that ``speech`` speaks."""
    turn = _turns.get(speech)
    return turn is not None and turn.shortened


class _Shortening:
    """Remembers what was spoken, in place of the message that may still come."""

    def __init__(self, speech: SpeechGeneration, orchestrator: Any, spoken: str) -> None:
        self._speech = speech
        self._orchestrator = orchestrator
        self._generation = _generation_of(orchestrator)
        self._message: ChatMessage | None = None
        if speech.agent is not None and count_letters(spoken):
            self._message = speech.agent.chat_context.add_message(role=ChatRole.ASSISTANT, content=spoken)
        turn = _turns.get(speech)
        if turn is not None:
            turn.message, turn.remembered = self._message, True
        orchestrator.on("content_generated", self._on_content)
        speech.on("synthesis_interrupted", self._on_interrupted)
        speech.on("synthesis_started", self._on_next)

    def _on_content(self) -> None:
        self._on_next()
        self._orchestrator.off("content_generated", self._on_content)
        message = _latest_reply(self._speech.agent)
        if self._generation == _generation_of(self._orchestrator) and message is not self._message:
            _take_back(self._speech.agent, message)

    def _on_interrupted(self) -> None:
        self._on_next()
        self._orchestrator.off("content_generated", self._on_content)
        _take_back(self._speech.agent, self._message)

    def _on_next(self) -> None:
        self._speech.off("synthesis_interrupted", self._on_interrupted)
        self._speech.off("synthesis_started", self._on_next)


def _generation_of(orchestrator: Any) -> Any:
    """Return the number of the reply that the language model makes."""
    return getattr(orchestrator, "_generation_id", None)


def _text(message: ChatMessage) -> str:
    return " ".join(part for part in message.content if isinstance(part, str))


def _begins_with(text: str, spoken: str) -> bool:
    """Return whether ``text`` is a reply of which so much was handed over to be spoken."""
    return bool(spoken.strip()) and "".join(text.split()).startswith("".join(spoken.split()))


def _shorten(agent: Agent | None, message: ChatMessage, spoken: str) -> None:
    if count_letters(spoken):
        message.content = [spoken]
    else:
        _take_back(agent, message)


_markup_free: WeakSet[Any] = WeakSet()
"""What leads the turns of pipelines whose memory is kept free of markup."""
_LAST_MESSAGES = 4
_cleaned: OrderedDict[str, list[Any]] = OrderedDict()
"""What was left of the latest messages, by their ids: agents hand messages on to each other."""
_CLEANED_MESSAGES = 1_000


def forget_markup(speech: SpeechGeneration) -> None:
    """Keep speech markup out of what the agent remembers, of this turn and those to come.

    The framework remembers what the language model wrote: a reply when it was heard to its end, and what is
    said by ``say()`` before it is spoken. Source: ``PipelineOrchestrator`` and ``AgentSession.say()`` of
    videosdk-agents 1.0.26 to 1.0.30.
    """
    orchestrator = orchestrator_of(speech)
    _clean(speech.agent)
    if orchestrator is not None and orchestrator not in _markup_free:
        _markup_free.add(orchestrator)
        subscribe(orchestrator, "content_generated", orchestrator, _clean_behind)


def _clean_behind(orchestrator: Any) -> None:
    _clean(getattr(orchestrator, "agent", None))


def _clean(agent: Agent | None) -> None:
    """Take the tags out of the agent's last messages, once: "&lt;b&gt;" is text after that.

    A message of nothing but tags is taken back.
    """
    if agent is None:
        return
    for message in agent.chat_context.items[-_LAST_MESSAGES:]:
        if _is_reply(message) and _cleaned.get(message.id) != message.content:
            message.content = [
                without_markup(part) if isinstance(part, str) else part for part in message.content
            ]
            _cleaned[message.id] = list(message.content)
            if not any(message.content):
                _take_back(agent, message)
    while len(_cleaned) > _CLEANED_MESSAGES:
        _cleaned.popitem(last=False)


def _latest_item(agent: Agent | None) -> object:
    """Return the latest item of the agent's context."""
    items = [] if agent is None else agent.chat_context.items
    return items[-1] if items else None


def _latest_reply(agent: Agent | None) -> ChatMessage | None:
    """Return the latest item of the agent's context if it is a message of its own."""
    item = _latest_item(agent)
    return item if _is_reply(item) else None


def _is_reply(item: object) -> TypeGuard[ChatMessage]:
    return isinstance(item, ChatMessage) and item.role is ChatRole.ASSISTANT


def _interrupted_messages(agent: Agent | None) -> set[str]:
    """Return the ids of the agent's own messages that were interrupted."""
    items = [] if agent is None else agent.chat_context.items
    return {item.id for item in items if _is_reply(item) and item.interrupted}


def _move_before(agent: Agent, message: ChatMessage, others: list[ChatMessage | None]) -> None:
    """Move a message in front of the first of ``others`` that the agent remembers."""
    items = agent.chat_context.items
    ids = {other.id for other in others if other is not None}
    index = next((index for index, item in enumerate(items) if item.id in ids), None)
    if index is not None:
        items.remove(message)
        items.insert(index, message)


def _take_back(agent: Agent | None, message: ChatMessage | None) -> None:
    """Take a message back, as the framework does: there is no other way. Some models refuse an empty one."""
    if agent is not None and message in agent.chat_context.items:
        agent.chat_context.items.remove(message)

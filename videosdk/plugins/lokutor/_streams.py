"""The streams of a plugin: which of them a barge-in ends.

Rule of this file: it knows whose a stream is, and stops it; the audio on its way is not its business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from videosdk.agents.speech_generation import SpeechGeneration

from ._callers import Caller, find_caller
from ._transcript import HookedTurns
from ._utterance import Utterance


@dataclass(slots=True)
class StreamOwner:
    """Whose a stream is, and whether a barge-in has ended it.

    Attributes:
        caller: Who has asked for it.
        turns: Those of the pipeline whose hook has asked for it; None where it was no hook's.
        interruptible: Whether a barge-in ends it, as far as the caller has said so.
        interrupted: Whether a barge-in has ended it: then no more of it is wanted.
    """

    caller: Caller
    turns: HookedTurns | None
    interruptible: bool | None
    interrupted: bool = False

    @property
    def silenced(self) -> bool:
        """Whether it would begin after the interruption of its turn."""
        return self.turns is not None and self.turns.interrupted and self.interruptible is not False

    def ends_with_barge_in(self, *, hooked: bool) -> bool:
        """Return whether a barge-in into a turn ends it; ``hooked`` turns are spoken by streams."""
        if self.interruptible is not None:
            return self.interruptible
        return self.caller.hook or (hooked and not self.caller.fill)


class Streams:
    """The streams under way.

    Args:
        told: Whether the framework leaves the final transcripts of such turns to us.
    """

    def __init__(self, told: Callable[[SpeechGeneration], bool]) -> None:
        self._told = told
        self._owners: dict[Utterance, StreamOwner] = {}
        self._hooked: WeakKeyDictionary[SpeechGeneration, HookedTurns] = WeakKeyDictionary()

    def find_owner(self, interruptible: bool | None) -> StreamOwner:
        """Return whose the stream is that is being asked for."""
        caller = find_caller()
        return StreamOwner(caller, self._turns_of(caller.speech) if caller.hook else None, interruptible)

    def add(self, utterance: Utterance, owner: StreamOwner) -> None:
        """Add a stream that begins."""
        self._owners[utterance] = owner
        if owner.turns is not None:
            owner.turns.speak()

    def discard(self, utterance: Utterance) -> None:
        """Forget a stream that has ended."""
        self._owners.pop(utterance, None)

    def interrupt(self) -> None:
        """End those that are part of the turn that is being interrupted."""
        speech = find_caller().speech
        hooked = speech is not None and speech.hooks is not None and speech.hooks.has_tts_stream_hook()
        turns = self._turns_of(speech) if hooked else None
        if turns is not None:
            turns.interrupted = True
        for utterance, owner in list(self._owners.items()):
            if owner.ends_with_barge_in(hooked=hooked):
                owner.interrupted = True
                utterance.interrupt()

    def close(self) -> None:
        """End all."""
        for utterance in list(self._owners):
            utterance.interrupt()

    def _turns_of(self, speech: SpeechGeneration | None) -> HookedTurns | None:
        if speech is None:
            return None
        if speech not in self._hooked:
            self._hooked[speech] = HookedTurns(speech, told=self._told(speech))
        return self._hooked[speech]

"""What was heard of a turn, where the framework itself puts its audio onto the track.

Rule of this file: it looks at the track and at the framework's text, and changes neither.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import ref

from videosdk.agents.speech_generation import SpeechGeneration

from .._audio.pcm import FRAME_SECONDS
from .._audio.playback import TurnAudio, rate_of

_RATE = 24_000
"""Hz of a track that doesn't tell: that of the framework's own."""


class Heard(NamedTuple):
    """What was heard of a turn.

    Attributes:
        text: Its text as far as it was heard.
        whole: Whether that is all that was spoken.
    """

    text: str
    whole: bool


class MeasuredTurn:
    """A turn whose audio is measured on the track: a ``tts`` hook speaks it, or it is a cached phrase.

    What was heard of it is estimated as the framework does, in whole words by the share of its audio: hooks
    may do anything with both. But what is still heard of the turns before isn't taken for it. Create it when
    the turn begins, or later in it.

    Args:
        speech: What speaks the turn for the framework.
        phrase: The text of a cached phrase; None where a hook speaks the turn.
    """

    def __init__(self, speech: SpeechGeneration, phrase: str | None = None) -> None:
        self._speech = ref(speech)  # It holds us by its handlers.
        self._audio = TurnAudio(speech.audio_track, rate_of(speech.audio_track, _RATE))
        self._phrase = phrase
        self._text: str | None = None
        self._cut: tuple[Heard | None] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether it was interrupted."""
        return self._cut is not None

    def end(self) -> None:
        """Note that the track has all audio of the turn."""
        self._audio.end()
        if self._text is None:
            self._text = self._text_so_far()

    def cut(self) -> None:
        """Note that it is interrupted, before its audio is taken from the track: nothing more is heard."""
        if self._cut is None:
            self._cut = (self.heard(),)

    def heard(self) -> Heard | None:
        """Return what was heard of it so far; None where that isn't known."""
        if self._cut is not None:
            return self._cut[0]
        seconds = self._audio.played()
        if seconds is None:
            return None
        played, pushed = seconds
        if played <= 0:
            return Heard("", whole=False)
        text = self._text_so_far() if self._text is None else self._text
        if not text:  # The hook speaks one of its own.
            return None
        # A rest shorter than a frame may never be played.
        if self._text is not None and played > pushed - FRAME_SECONDS:
            return Heard(text, whole=True)
        begun = text[: int(len(text) * played / pushed)]
        return Heard(begun[: max(begun.rfind(" "), begun.rfind("\n"), 0)].strip(), whole=False)

    def _text_so_far(self) -> str:
        if self._phrase is not None:  # The framework adds to its text what is spoken around the phrase.
            return self._phrase
        return str(getattr(self._speech(), "full_transcript", ""))

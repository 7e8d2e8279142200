"""Paces one reply: asks the policy when to send, and learns from what happens.

Rule of this file: it knows the loop's clock and how far the listener is. What is sent, and over which
connection, is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._audio.pcm import FRAME_SECONDS
from .._audio.playback import Playback
from .._text.characters import whole_words
from .._text.pieces import Segment
from .._text.spoken import SpokenText
from .._timer import do_nothing
from .policy import Hold, Send, decide
from .times import ServiceTimes

_LONG_SIDE = 1.1
"""How much longer than usual a text may take: some sentences are spoken more slowly than others."""
_SHORTEST_HOLD = FRAME_SECONDS
"""Seconds between two looks at a track that is paused: it plays no faster than its frames."""


@dataclass(slots=True)
class _Spoken:
    """A request that was sent.

    Attributes:
        spoken: Its text, and what was written for it.
        start: Seconds of the reply's audio before it.
        audio: Seconds of its audio: what was measured, or what is expected of one that has not ended.
        ended: Whether it has ended.
    """

    spoken: SpokenText
    start: float
    audio: float
    ended: bool = False

    def heard(self, position: float, slower: float = 1.0) -> float:
        """Return how many of its characters a listener at ``position`` has heard.

        Args:
            position: Seconds of the reply's audio.
            slower: How much longer its audio may be.
        """
        share = (position - self.start) / (slower * self.audio)
        return len(self.spoken.text) * min(max(share, 0.0), 1.0)

    def written(self, position: float) -> str:
        """Return the words that a listener at ``position`` has heard, as they were written."""
        return self._words(self.heard(position))

    def surely_written(self, position: float) -> str:
        """Return the same, rather too little than too much: never the last word of one that was cut off."""
        if self.ended:
            return self.written(position)
        return self._words(min(self.heard(position, _LONG_SIDE), len(self.spoken.text) - 1))

    def _words(self, heard: float) -> str:
        return whole_words(self.spoken.written, self.spoken.to_written(int(heard)))


class Pacer:
    """One reply's pacing, and what it costs the listener. Create it inside the running loop.

    Args:
        times: What is known of the service. It is added to.
        playback: How far the listener is. None where nobody listens: nothing is paced then.
        paced: Whether requests wait until they are needed.
    """

    def __init__(self, times: ServiceTimes, playback: Playback | None, *, paced: bool = True) -> None:
        self._clock = asyncio.get_running_loop().time
        self._times = times
        self._playback = playback
        self.paced = paced
        """Whether requests wait until they are needed. May change at any time."""
        self._requests: list[_Spoken] = []
        self._sent_at = 0.0
        self._first_audio_at: float | None = None
        self._text_at: float | None = None  # Since when there is text that has not been sent.
        self._due_at = 0.0  # Since when there was text for the request under way,
        self._took = 0.0  # and how long it took to its first audio.
        self._interrupted_at: float | None = None
        self._known = False  # Whether the listener's place was known then.
        self.underruns = 0
        """How often the listener waited in the middle of the reply, although there was text."""
        self.underrun_time = 0.0
        """Seconds of that."""
        if playback is not None:
            playback.on_silent = self._note_silence

    @property
    def characters_unheard(self) -> int:
        """Characters that were sent and not heard when the reply was interrupted, an estimate."""
        if self._interrupted_at is None:
            return 0
        position = self._interrupted_at
        return round(sum(len(request.spoken.text) - request.heard(position) for request in self._requests))

    @property
    def heard(self) -> str | None:
        """The reply's text as far as it was heard when it was interrupted, by the share of each request.

        None where that isn't known: it wasn't interrupted, nobody plays the track, or another turn has begun.
        """
        if self._interrupted_at is None or not self._known:
            return None
        position = self._interrupted_at
        return self._joined(lambda request: request.written(position))

    def text_until(self, position: float) -> str:
        """Return the reply's text up to ``position``, by the share of each request.

        Somebody else goes on behind it: of a request that was cut off it is rather too little than too much.
        """
        return self._joined(lambda request: request.surely_written(position))

    def _joined(self, part: Callable[[_Spoken], str]) -> str:
        text = ""
        for request in self._requests:
            text = request.spoken.join(text, part(request))
        return text

    def plan(self, segments: Sequence[Segment], received: float, *, scarce: bool = False) -> Send | Hold:
        """Return what to do with the text that is there.

        Args:
            segments: Its segments, at least one.
            received: Seconds of the reply's audio received so far.
            scarce: Whether requests are: then each takes more text.
        """
        if self._playback is None or not self.paced:
            return Send(len(segments))
        # What was received and not pushed yet is still to be heard, too.
        ahead = self.ahead + max(received - self._playback.pushed, 0.0)
        plan = decide(self._times, segments, ahead if self._requests else None, scarce=scarce)
        return Hold(max(plan.seconds, _SHORTEST_HOLD)) if isinstance(plan, Hold) else plan

    @property
    def ahead(self) -> float:
        """Seconds of pushed audio that are still ahead of the listener; 0 where nobody listens."""
        return 0.0 if self._playback is None else self._playback.ahead

    @property
    def has_listener(self) -> bool:
        """Whether somebody listens while the reply is made."""
        return self._playback is not None

    @property
    def starves(self) -> bool:
        """Whether the listener's track has nothing left but a rest that is shorter than a frame."""
        return self._playback is not None and self._playback.starved

    def is_short(self, text: str, audio: float) -> bool:
        """Return whether a text can't be spoken in so many seconds."""
        return self._times.is_short(text, audio)

    def note_text(self) -> None:
        """Note that there is text to send."""
        if self._text_at is None:
            self._text_at = self._clock()

    def note_handshake(self, seconds: float) -> None:
        """Note how long opening a connection took."""
        self._times.note_handshake(seconds)

    def note_sent(self, spoken: SpokenText, received: float, *, more: bool, again: bool) -> None:
        """Note that a request leaves.

        Args:
            spoken: Its text.
            received: Seconds of the reply's audio received so far.
            more: Whether there is text for the request after it.
            again: Whether it was sent before, on another connection.
        """
        self._sent_at = self._clock()
        self._first_audio_at = None
        if again:
            return
        expected = max(self._times.usual_audio(len(spoken.text)), FRAME_SECONDS)
        self._requests.append(_Spoken(spoken, received, expected))
        self._due_at = self._sent_at if self._text_at is None else self._text_at
        self._text_at = self._sent_at if more else None

    def note_first_audio(self) -> None:
        """Note the first audio of a request."""
        self._first_audio_at = self._clock()
        self._took = self._first_audio_at - self._sent_at
        self._times.note_first_audio(len(self._requests[-1].spoken.text), self._took)

    def note_end(self, received: float) -> None:
        """Note the end of a request, ``received`` seconds into the reply's audio."""
        request = self._requests[-1]
        audio = received - request.start
        request.audio, request.ended = max(audio, FRAME_SECONDS), True
        if self._first_audio_at is not None:
            self._times.note_request(len(request.spoken.text), audio, self._clock() - self._first_audio_at)

    def note_silence(self, received: float) -> None:
        """Note that the request under way has brought nothing but silence so far.

        Args:
            received: Seconds of the reply's audio received so far.
        """
        self._requests[-1].start = received

    def leave_out(self) -> None:
        """Forget the request under way, which the service doesn't speak."""
        self._requests.pop()

    def close(self) -> None:
        """Learn nothing more."""
        if self._playback is not None:
            self._playback.on_silent = do_nothing

    def note_interruption(self) -> None:
        """Note that the listener has interrupted, before the track falls silent."""
        if self._playback is not None and self._interrupted_at is None:
            self._interrupted_at = self._playback.seconds() if self._playback.begun else 0.0
            self._known = self._playback.plays and not self._playback.turn_changed

    def _note_silence(self, since: float) -> None:
        """Note that audio is pushed now, after silence ``since`` then."""
        # Silence while there was no text is the language model's, and so is the service's time after that.
        silence = self._clock() - max(since, self._due_at + self._took)
        if silence >= FRAME_SECONDS:
            self.underruns += 1
            self.underrun_time += silence

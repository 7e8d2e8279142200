"""How far one request is, over all its tries, and which end of a request is whose.

Rule of this file: pure. It is told what was sent and what has come.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .._audio.pcm import BYTES_PER_SECOND, SAMPLE_WIDTH
from .._audio.silence import has_sound
from .._text.pieces import RequestText
from .._text.spoken import SpokenText
from ..errors import ServiceError
from .protocol import SpeechRequest

_LONGEST_PAUSE = 30
"""Seconds of audio that a request may have on top of one for each character, before it counts as endless."""
_SIGNS = 2
"""Signs, of three, from which on an end may be that of the request before. One alone is no reason to wait."""
_AUDIBLE = BYTES_PER_SECOND // 10
"""0.1 s: less audio than that, or silence, doesn't count as something that the listener has heard."""


@dataclass(slots=True)
class _Audible:
    """Counts audio that a listener can hear, so that a trickle of bytes or of silence holds no turn."""

    gathered: int = 0
    half: bytes = b""  # The first half of a sample, whose other one comes with the next piece.
    begun: bool = False
    """Whether any sound has come,"""
    enough: bool = False
    """and enough of it to be heard."""

    def add(self, pcm: bytes) -> bool:
        """Take a piece; return whether so much has come by now that the time-outs may begin anew."""
        whole = self.half + pcm if self.half else pcm
        self.half = whole[-1:] if len(whole) % SAMPLE_WIDTH else b""
        if has_sound(whole):
            self.gathered += len(pcm)
            self.begun = True
        enough = self.gathered >= _AUDIBLE
        if enough:
            self.gathered, self.enough = 0, True
        return enough


@dataclass(slots=True)
class RequestProgress:
    """A request under way, over all its tries. Positions are bytes of the service's audio.

    Attributes:
        source: The text that it was made of.
        spoken: What it speaks, and what was written for it.
        message: What is sent for it.
        plain: The same with the call's own voice and language, where speech markup may ask for others.
        tries: How often it was sent.
        mutes: How often it was said to be spoken when no sound had come,
        silences: and how often silence had come then.
        restyled: Whether it is spoken without what markup has asked for, as the last try.
        heard: How much of its audio went to the listener,
        heard_before: and how much of that before this try.
        position: How much of this try's audio has come.
        came: What of this try's audio shows that the service is at work.
        played: What of all its audio ends the listener's waiting.
    """

    source: RequestText
    spoken: SpokenText
    message: SpeechRequest
    plain: SpeechRequest | None = None
    tries: int = 0
    mutes: int = 0
    silences: int = 0
    restyled: bool = False
    heard: int = 0
    heard_before: int = 0
    position: int = 0
    came: _Audible = field(default_factory=_Audible)
    played: _Audible = field(default_factory=_Audible)

    @property
    def text(self) -> str:
        """The text that is sent."""
        return self.spoken.text

    def begin(self) -> None:
        """Note that it is sent once more."""
        self.tries += 1
        self.position = 0
        self.heard_before = self.heard
        self.came = _Audible()

    def note_mute(self) -> int:
        """Note that this try is said to be spoken, though no sound has come: the next begins where it did.

        Returns:
            How much silence the listener got instead.
        """
        silence, self.heard = self.heard - self.heard_before, self.heard_before
        self.mutes += 1
        self.silences += silence > 0
        return silence

    def give_up(self, option: str) -> str | None:
        """Speak with the call's own voice or language from the next try on.

        Returns:
            What markup has asked for instead; None if it hasn't.
        """
        plain, message = self.plain or self.message, self.message
        if option == "voice":
            self.message, wanted, own = replace(message, voice=plain.voice), message.voice, plain.voice
        else:
            self.message, wanted, own = (
                replace(message, language=plain.language), message.language, plain.language,
            )  # fmt: skip
        return wanted if wanted != own else None

    def give_up_all(self) -> bool:
        """Speak in the call's own way from the next try on. Return whether markup has asked for another."""
        if self.plain is None or self.message == self.plain:
            return False
        self.message, self.mutes, self.restyled = self.plain, 0, True
        return True

    def go_back(self, option: str, value: object) -> None:
        """Speak with another value of the call's own ``option`` from the next try on."""
        changes: dict[str, Any] = {option: value}
        self.message = replace(self.message, **changes)
        self.plain = replace(self.plain or self.message, **changes)

    def skip_played(self, pcm: bytes) -> bytes:
        """Take this try's next audio and return what of it an earlier try had not brought.

        Raises:
            ServiceError: It is more audio than the text can need.
        """
        skip = max(self.heard - self.position, 0)
        self.position += len(pcm)
        if self.position > (_LONGEST_PAUSE + len(self.text)) * BYTES_PER_SECOND:
            raise ServiceError("Lokutor sent more audio than the text can need", retryable=False)
        fresh = pcm[skip:]
        self.heard += len(fresh)
        return fresh


@dataclass(slots=True)
class LearnedEnds:
    """What is known of how a service ends requests.

    Attributes:
        doubled: Whether it was seen to end one twice in the same spelling.
    """

    doubled: bool = False


class RequestEnds:
    """Tells the end of a request from one that the service sends again for the request before it.

    Servers of different ages end a request with ``EOS`` or ``{"type":"eos"}``; one that serves clients of
    both ages may send both. The second arrives when the next request has been sent, perhaps in the middle of
    its audio, and would end that one. So a connection has one spelling: that of its first end.

    A second end in the same spelling looks like the next request's own. Only what follows it tells: more
    audio shows that it was none.

    Args:
        learned: What is known of the service. It is added to.
    """

    def __init__(self, learned: LearnedEnds | None = None) -> None:
        self._learned = learned or LearnedEnds()
        self._spelling: str | None = None  # How the first request on this connection has ended.
        self._awaited = 0  # Ends that may still come for requests before the one under way.
        self._early = False  # Whether the last end may have been a second one, and audio may follow it.

    def begin_connection(self) -> None:
        """Note a new connection, on which no request has ended yet."""
        self._spelling = None
        self._awaited = 0
        self._early = False

    def end_request(self, spelling: str) -> None:
        """Note that a request has ended."""
        self._early = self._spelling is not None
        self._spelling = spelling
        self._awaited = 1

    def note_stray(self, spelling: str) -> None:
        """Note an end while no request was under way."""
        if spelling == self._spelling:
            self.note_second()

    def note_late_audio(self) -> bool:
        """Note audio while no request is under way; return whether it is the last one's.

        What seemed to be its end was the second one of the request before it then.
        """
        if self._early:
            self._awaited = 2  # Its own, and the second one of that.
            self._learned.doubled = True
        return self._early

    def note_second(self) -> None:
        """Note that the service was seen to end the last request twice, in the same spelling."""
        self._awaited = max(self._awaited - 1, 0)
        self._learned.doubled = True

    def note_single(self) -> None:
        """Note that an end in doubt was the request's own: the one before it had no second."""
        self._learned.doubled = False

    def is_second(self, spelling: str, *, heard: bool) -> bool:
        """Return whether an end belongs to the request before, without any doubt.

        Args:
            spelling: How the service has said it.
            heard: Whether any audio of the request under way has come.
        """
        if self._spelling not in {None, spelling}:
            return True
        second = self._awaited > 0 and self._learned.doubled and not heard
        self._awaited -= second
        return second

    def is_doubtful(self, *, short: bool) -> bool:
        """Return whether an end that came behind audio may belong to the request before.

        Args:
            short: Whether that audio is less than the text can be spoken in.
        """
        signs = (self._awaited > 0, self._learned.doubled, short)
        return self._spelling is not None and sum(signs) >= _SIGNS

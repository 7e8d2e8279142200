"""What a caller can choose, validated once and frozen.

Rule of this file: pure values. A call takes one :class:`SpeechOptions` at its birth, so nothing that is
changed later can reach it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypedDict

from ._audio.pcm import SAMPLE_RATE_RANGE
from ._shown import shown
from ._text.characters import language_code
from ._text.languages import ChooseLanguage
from ._text.markup import Style
from ._text.pieces import RequestText
from ._text.pronunciations import Pronunciations, apart
from ._text.spoken import Replacement, SpokenText
from ._wire.protocol import LANGUAGES, SPEED_RANGE, STEPS_RANGE, Language, SpeechRequest, Voice

logger = logging.getLogger("videosdk.plugins.lokutor")

SECONDS_RANGE = (0.05, 600.0)
RETRIES_RANGE = (0, 100)

DEFAULT_MODEL = "default"
"""Name of the service's default model, which has none of its own in a request."""
_warned_languages: set[str] = set()
_ignored_languages: set[str] = set()


class Refusal(NamedTuple):
    """What speech markup has asked for, and the service has refused.

    Attributes:
        option: ``"voice"`` or ``"language"``.
        value: What was asked for.
        model: The model that was to speak it.
    """

    option: str
    value: str
    model: str | None


class SpeechChanges(TypedDict, total=False):
    """The options that can change between calls, as keywords of a call and of ``update_options()``.

    Attributes:
        voice: Voice id.
        language: Two-letter code, or a regional tag; or what returns one for the text of a sentence.
        speed: 0.5 (slow) to 2.0 (fast).
        steps: Denoising steps, 1 to 50.
        model: Model such as ``"versa-1.0"``. None and ``"default"`` use the service's default.
        pronunciations: Words that are spoken otherwise than they are written. None for none.
    """

    voice: Voice
    language: Language | ChooseLanguage
    speed: float
    steps: int
    model: str | None
    pronunciations: Mapping[str, str] | None


class StreamChanges(SpeechChanges, total=False):
    """The keywords of ``stream_synthesize()``.

    Attributes:
        voice_id: Same as ``voice``.
    """

    voice_id: str | None


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How a text is spoken. See :class:`~videosdk.plugins.lokutor.LokutorTTS` for the meanings."""

    voice: str = "F1"
    language: str = "en"
    speed: float = 1.05
    steps: int = 5
    model: str | None = None
    # What a dict becomes at once. The service takes no other time for it, so it makes no difference.
    pronunciations: Pronunciations | Mapping[str, str] | None = field(default=None, compare=False)
    # Where the application chooses, the language is the one of a sentence for which it doesn't.
    choose_language: ChooseLanguage | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.pronunciations is not None and not isinstance(self.pronunciations, Pronunciations):
            object.__setattr__(self, "pronunciations", Pronunciations(self.pronunciations))
        _check_name("voice", self.voice)
        _check_name("language", self.language)
        _check_number("speed", self.speed, SPEED_RANGE, (int, float))
        _check_number("steps", self.steps, STEPS_RANGE, (int,))
        if self.model is not None:
            _check_name("model", self.model)
        if self.model == DEFAULT_MODEL:
            object.__setattr__(self, "model", None)
        object.__setattr__(self, "language", _reduce_language(self.language))

    def changed(self, changes: Mapping[str, Any]) -> SpeechOptions:
        """Return a copy with ``changes`` applied and checked.

        Raises:
            TypeError: A key is not an option.
            ValueError: A value is out of range.
        """
        options = SpeechChanges.__annotations__
        unknown = sorted(set(changes) - set(options))
        if unknown:
            known = ", ".join(options)
            raise TypeError(f"unknown option {shown(unknown[0])}: use one of {known}")
        return replace(self, **with_language(changes)) if changes else self

    def in_language(self, language: str) -> SpeechOptions:
        """Return a copy for a sentence whose language was chosen."""
        return replace(self, language=language) if language != self.language else self

    def styled(self, style: Style, refused: Container[Refusal] = ()) -> SpeechOptions:
        """Return a copy with what speech markup says. What the service can't do stays as it is.

        Args:
            style: What it says.
            refused: What the service has refused before.
        """
        changes: dict[str, Any] = {}
        for name, value in (("voice", style.voice), ("language", style.language)):
            if value and _can_be_sent(value) and Refusal(name, value, self.model) not in refused:
                changes[name] = value
        if style.rate != 1:
            slowest, fastest = SPEED_RANGE
            changes["speed"] = round(min(max(self.speed * style.rate, slowest), fastest), 3)
        return self.changed(changes)

    def spoken(self, request: RequestText) -> SpokenText:
        """Return a request's text as it is sent."""
        replacements = sorted(
            [*request.replacements, *self._pronounced(request)], key=lambda each: each.start
        )
        return SpokenText(request.text, apart(request.text, replacements), touches=request.touches)

    def _pronounced(self, request: RequestText) -> Iterator[Replacement]:
        """Yield what of a request the dictionary has, between what markup says otherwise."""
        if not isinstance(self.pronunciations, Pronunciations):
            return
        begins = [0, *(each.end for each in request.replacements)]
        ends = [*(each.start for each in request.replacements), len(request.text)]
        for begin, end in zip(begins, ends, strict=True):
            for each in self.pronunciations.find(request.text[begin:end]):
                yield each.moved(begin)

    def request(self, text: str, *, visemes: bool = False) -> SpeechRequest:
        """Return the request that speaks ``text`` this way, and tells its visemes where wanted."""
        return SpeechRequest(
            text=text,
            voice=self.voice,
            language=self.language,
            speed=self.speed,
            steps=self.steps,
            visemes=visemes,
            model=self.model,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs and retries of a call. All times are in seconds, 0.05 to 600.

    Attributes:
        connect_timeout: Total time to connect, retries included.
        first_audio_timeout: From a request to its first audio, for each attempt.
        idle_timeout: Without audio inside a request, counted from the last audio.
        max_retries: Retries in a row without progress, for connecting and requests together.
        heartbeat: Between pings on an open connection; None disables them.
    """

    connect_timeout: float = 10.0
    first_audio_timeout: float = 5.0
    idle_timeout: float = 5.0
    max_retries: int = 3
    heartbeat: float | None = 20.0

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "first_audio_timeout", "idle_timeout"):
            _check_number(name, getattr(self, name), SECONDS_RANGE, (int, float))
        _check_number("max_retries", self.max_retries, RETRIES_RANGE, (int,))
        if self.heartbeat is not None:
            _check_number("heartbeat", self.heartbeat, SECONDS_RANGE, (int, float))

    @property
    def max_silence(self) -> float:
        """The longest that a listener waits in silence for text that is there, however many tries."""
        return self.connect_timeout + 2 * self.first_audio_timeout


def with_language(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with a language that is chosen by a callable where :class:`SpeechOptions` has it.

    Raises:
        ValueError: It is a coroutine function.
    """
    if "language" not in changes:
        return dict(changes)
    language = changes["language"]
    if not callable(language):
        return {**changes, "choose_language": None}
    if inspect.iscoroutinefunction(language) or inspect.iscoroutinefunction(type(language).__call__):
        raise ValueError("language must be a code or a plain function, got a coroutine function")
    return {
        **{name: value for name, value in changes.items() if name != "language"},
        "choose_language": language,
    }


def check_sample_rate(value: object) -> int:
    """Return ``value`` if it is a usable output rate in Hz.

    Raises:
        ValueError: It is not.
    """
    _check_number("sample_rate", value, SAMPLE_RATE_RANGE, (int,))
    assert isinstance(value, int)
    return value


def check_flag(name: str, value: object) -> None:
    """Check that ``value`` is a bool: a string such as ``"false"`` would count as True.

    Raises:
        ValueError: It is not.
    """
    if value is not True and value is not False:
        raise ValueError(f"{name} must be True or False, got {shown(value)}")


def _check_name(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not _can_be_sent(value):
        raise ValueError(f"{name} must be a non-empty string, got {shown(value)}")


def _can_be_sent(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:  # Half a surrogate pair.
        return False


def _check_number(name: str, value: object, limits: tuple[float, float], types: tuple[type, ...]) -> None:
    low, high = limits
    valid = isinstance(value, types) and not isinstance(value, bool)
    if not valid or not low <= value <= high:  # type: ignore[operator]
        kind = "a whole number" if types == (int,) else "a number"
        raise ValueError(f"{name} must be {kind} from {low} to {high}, got {shown(value)}")


def find_listed(tag: str) -> str | None:
    """Return the code of a language that markup asks for; None, and a warning once, if it isn't listed."""
    language = language_code(tag)
    if language in LANGUAGES:
        return language
    if tag and not _ignored_languages:  # A language model may think of many.
        _ignored_languages.add(language)
        logger.warning(
            "Speech markup asks for the language %s, and Lokutor lists only %s: such tags are ignored",
            shown(tag),
            ", ".join(sorted(LANGUAGES)),
        )
    return None


def _reduce_language(tag: str) -> str:
    """Return the two-letter code of a tag such as ``en-US``; warn once about one that isn't known."""
    language = language_code(tag)
    if not language:
        raise ValueError(f"language must be a code such as 'en' or 'en-US', got {shown(tag)}")
    if language not in LANGUAGES and language not in _warned_languages:
        _warned_languages.add(language)
        logger.warning(
            "Language %s is not one that Lokutor lists (%s)", shown(language), ", ".join(sorted(LANGUAGES))
        )
    return language

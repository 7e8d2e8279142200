"""What a caller can choose, validated once and frozen.

Rule of this file: pure values. A call takes one :class:`SpeechOptions` at its birth, so nothing that is
changed later can reach it.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from yarl import URL

from ._protocol import API_KEY_HEADER, LANGUAGES, SPEED_RANGE, STEPS_RANGE, TTS_PATH, SpeechRequest

logger = logging.getLogger("videosdk.plugins.lokutor")

SECONDS_RANGE = (0.05, 600.0)
RETRIES_RANGE = (0, 100)
SAMPLE_RATE_RANGE = (8_000, 192_000)

_LONG_KEY = 8
"""Characters. No key of a service is shorter; one for a server of your own may be."""
_CREDENTIAL = re.compile(r"(key|token|secret|password|passwd|pwd|auth|authorization|jwt|signature|sig)$")
"""How the name of a credential ends, without its separators and in lower case."""
_HOST_NAME = re.compile(r"[a-z0-9_.-]+")
DEFAULT_MODEL = "default"
"""Name of the service's default model, which has none of its own in a request."""
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_warned_languages: set[str] = set()


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How a text is spoken. See :class:`~videosdk.plugins.lokutor.LokutorTTS` for the meanings."""

    voice: str = "F1"
    language: str = "en"
    speed: float = 1.05
    steps: int = 5
    model: str | None = None

    def __post_init__(self) -> None:
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
        unknown = sorted(set(changes) - set(self.__dataclass_fields__))
        if unknown:
            known = ", ".join(self.__dataclass_fields__)
            raise TypeError(f"unknown option {unknown[0]!r}; the options are {known}")
        return replace(self, **changes) if changes else self

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
    """How long and how often a call tries; all times in seconds, 0.05 to 600.

    Attributes:
        connect_timeout: For one time of connecting, all its tries together.
        first_audio_timeout: From a request to its first audio, each try.
        idle_timeout: Without audio inside a request, counted from the last audio.
        max_retries: Tries again in a row without progress, connecting and requesting counted together.
        heartbeat: Between the pings on an open socket; None sends none.
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
    def silence(self) -> float:
        """The longest that a listener waits in silence for text that is there, however many tries."""
        return self.connect_timeout + 2 * self.first_audio_timeout


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is and who asks. Its ``repr`` doesn't show the key."""

    url: URL
    api_key: str = field(repr=False)

    def __post_init__(self) -> None:
        shown = f"{self.url.path}?{self.url.query_string}"
        if len(self.api_key) >= _LONG_KEY and self.api_key in shown:
            raise ValueError("base_url must not hold the API key: pass it as api_key, it goes into a header")

    def __repr__(self) -> str:
        return f"Endpoint(url='{self.shown_url}')"

    @property
    def shown_url(self) -> str:
        """The URL for people. A query is left out: nobody can tell what its values mean."""
        return f"{self.url.with_query(None)}{'?...' * bool(self.url.query_string)}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        return {API_KEY_HEADER: self.api_key}

    def without_key(self, text: str) -> str:
        """Return ``text`` with the key, should it hold it, hidden."""
        return hide_key(text, self.api_key)


def hide_key(text: str, key: str) -> str:
    """Return ``text`` with ``key`` hidden.

    A long key is hidden wherever it stands. A short one, such as ``api``, may as well be a part of a word,
    a host name or a path: it is hidden where it stands alone.
    """
    if len(key) >= _LONG_KEY:
        return text.replace(key, "***")
    return re.sub(rf"(?<![\w./@-]){re.escape(key)}(?![\w/-]|\.\w|:\d)", "***", text)


def parse_base_url(base_url: str, *, allow_insecure: bool) -> URL:
    """Return the WebSocket URL for ``base_url``.

    Args:
        base_url: ``ws(s)`` or ``http(s)`` URL. A path is kept; without one it is ``/ws/tts``.
        allow_insecure: Whether plain ``ws://`` may leave this machine.

    Raises:
        ValueError: Not such a URL, or one that would show the key to others.
    """
    url, host = _split(base_url)
    if url.scheme not in _SCHEMES or not host:
        raise ValueError(f"base_url must be a ws://, wss://, http:// or https:// URL, got {_shown(base_url)}")
    if url.user or url.password or any(map(_is_credential, url.query)):
        raise ValueError(
            "base_url must not carry credentials: pass the key as api_key, it goes into a header"
        )
    if url.fragment:
        raise ValueError("base_url must not have a fragment: a WebSocket's URL has none")
    url = url.with_scheme(_SCHEMES[url.scheme])
    if url.scheme == "ws" and not allow_insecure and not is_loopback(host):
        raise ValueError(
            f"base_url {_shown(base_url)} would send the API key unencrypted: use wss://, "
            "or pass allow_insecure=True if you trust the network"
        )
    return url if url.path not in {"", "/"} else url.with_path(TTS_PATH).with_query(url.query)


def _split(base_url: str) -> tuple[URL, str]:
    """Return the URL and its host, which is empty where it is none that can be looked up."""
    try:
        url = URL(base_url)
        host, name = url.host or "", url.raw_host or ""
        # As the system's own look-up does: it knows no empty label and none of over 63 characters.
        name.encode("idna")
        return (url, host) if url.port and (_HOST_NAME.fullmatch(name) or _is_address(host)) else (url, "")
    except (TypeError, ValueError, IndexError):  # yarl knows some broken URLs by an IndexError.
        return URL(), ""


def _is_credential(name: str) -> bool:
    return _CREDENTIAL.search(re.sub(r"[\W_]", "", name).lower()) is not None


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine: a loopback address or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_sample_rate(value: object) -> int:
    """Return ``value`` if it is a usable output rate in Hz.

    Raises:
        ValueError: It is not.
    """
    _check_number("sample_rate", value, SAMPLE_RATE_RANGE, (int,))
    assert isinstance(value, int)
    return value


def _check_name(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a non-empty string, got {value!r}")


def _check_number(name: str, value: object, limits: tuple[float, float], types: tuple[type, ...]) -> None:
    low, high = limits
    valid = isinstance(value, types) and not isinstance(value, bool)
    if not valid or not low <= value <= high:  # type: ignore[operator]
        kind = "a whole number" if types == (int,) else "a number"
        raise ValueError(f"{name} must be {kind} from {low} to {high}, got {value!r}")


def _reduce_language(tag: str) -> str:
    """Return the two-letter code of a tag such as ``en-US``; warn once about one that isn't known."""
    language = tag.strip().replace("_", "-").split("-")[0].lower()
    if not language:
        raise ValueError(f"language must be a code such as 'en' or 'en-US', got {tag!r}")
    if language not in LANGUAGES and language not in _warned_languages:
        _warned_languages.add(language)
        logger.warning(
            "Language %r is not one that Lokutor lists (%s)", language, ", ".join(sorted(LANGUAGES))
        )
    return language


def _shown(base_url: object) -> str:
    """Return ``base_url`` for a message, unless it could hold a credential."""
    text = str(base_url)
    return "(not shown: it may hold a credential)" if "@" in text or "?" in text else repr(base_url)

"""The error tree: who can act, and whether the same call may succeed again."""

from __future__ import annotations

from kit.tables import each

from videosdk.plugins.lokutor import errors
from videosdk.plugins.lokutor.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    LokutorError,
    NetworkError,
    ProtocolError,
    RateLimitError,
    ReplyTimeoutError,
    ServiceError,
    StreamInterruptedError,
    TrackError,
    error_from_reply,
)

CATALOGUE: dict[str | None, tuple[type[LokutorError], bool]] = {
    "auth.missing_key": (AuthenticationError, False),
    "auth.invalid_key": (AuthenticationError, False),
    "auth.time_limited": (AuthenticationError, False),
    "auth.rate_limited": (RateLimitError, True),
    "validation.invalid_voice": (InvalidRequestError, False),
    "validation.invalid_language": (InvalidRequestError, False),
    "validation.text_too_long": (InvalidRequestError, False),
    "validation.speed_out_of_range": (InvalidRequestError, False),
    "validation.steps_out_of_range": (InvalidRequestError, False),
    "validation.invalid_request_format": (InvalidRequestError, False),
    "internal.cancelled": (ServiceError, False),
    "internal.error": (ServiceError, True),
    "internal.timeout": (ServiceError, True),
    "tts.synthesis_failed": (ServiceError, True),
    "tts.voice_unavailable": (ServiceError, True),
    "tts.model_not_found": (ServiceError, True),
    "tts.session_limit_reached": (RateLimitError, True),
    "something.nobody_listed": (ServiceError, True),
    "validation.nobody_listed": (ServiceError, True),
    "": (ServiceError, True),
    None: (ServiceError, True),
}


@each("code", CATALOGUE)
def test_a_code_of_the_catalogue_becomes_its_error(code: str | None) -> None:
    error = error_from_reply("No.", code, "r-1")
    kind, retryable = CATALOGUE[code]
    assert type(error) is kind
    assert (error.retryable, error.code, error.request_id, error.status) == (retryable, code, "r-1", None)
    assert "No." in str(error)
    assert str(error).endswith(f"[{code}]") == bool(code)


def test_a_reply_without_words_still_says_something() -> None:
    assert str(error_from_reply("", None)) == "Lokutor refused the request: no reason given"


TREE: dict[type[LokutorError], tuple[type[LokutorError], bool]] = {
    ConfigurationError: (LokutorError, False),
    AuthenticationError: (LokutorError, False),
    InvalidRequestError: (LokutorError, False),
    RateLimitError: (LokutorError, True),
    ServiceError: (LokutorError, True),
    NetworkError: (LokutorError, True),
    ReplyTimeoutError: (NetworkError, True),
    ProtocolError: (LokutorError, False),
    TrackError: (LokutorError, False),
    StreamInterruptedError: (LokutorError, True),
}


@each("kind", TREE)
def test_the_tree(kind: type[LokutorError]) -> None:
    parent, retryable = TREE[kind]
    assert kind.__bases__ == (parent,)
    assert kind("x").retryable is retryable


def test_no_error_is_missing_from_the_tree() -> None:
    defined = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == {LokutorError, *TREE}


@each("kind", [LokutorError, *TREE])
def test_what_is_unknown_is_none(kind: type[LokutorError]) -> None:
    error = kind("What went wrong.")
    assert str(error) == "What went wrong."
    assert (error.code, error.status, error.request_id) == (None, None, None)


def test_only_a_rate_limit_tells_when_to_come_back() -> None:
    names = ("retry_after", "limit", "remaining", "reset_after")
    silent = RateLimitError("x")
    assert [getattr(silent, name) for name in names] == [None] * 4
    error = RateLimitError("x", status=429, retry_after=1.5, limit=100, remaining=0, reset_after=2.5)
    assert [getattr(error, name) for name in names] == [1.5, 100, 0, 2.5]
    assert not any(hasattr(ServiceError("x"), name) for name in names)


def test_retryable_of_one_error_leaves_the_others_alone() -> None:
    assert not ServiceError("x", retryable=False).retryable
    assert ServiceError("x").retryable
    assert LokutorError("x", retryable=True).retryable
    assert not LokutorError("x").retryable

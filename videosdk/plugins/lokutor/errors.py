"""Errors, sorted by who can fix them.

Rule of this file: it imports nothing of ours and does no I/O. Every error that the plugin emits or
raises for a failed synthesis is a :class:`LokutorError`; bad arguments are plain ``ValueError`` and
``TypeError``, and an exception of the user's own text iterator stays what it is. No text in here ever
carries the API key: messages are built from our own words and the service's, never from a request.
"""

from __future__ import annotations


class LokutorError(Exception):
    """Base class of all failures of a synthesis.

    Attributes:
        code: The service's error code (for example ``"auth.invalid_key"``), or None.
        status: The HTTP status of a refused handshake or the close code of the WebSocket, or None.
        request_id: The service's id of the failed request, or None if it sent none.
        retryable: Whether the same call may succeed later.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id
        if retryable is not None:
            self.retryable = retryable


class ConfigurationError(LokutorError):
    """No audio track, a wrong ``base_url``, an untrusted certificate. The developer can fix it."""


class TrackError(LokutorError):
    """The audio track raised. Its exception is the ``__cause__``. The developer can fix it."""


class StreamInterruptedError(LokutorError):
    """A barge-in ended a stream. It is raised so that no cache keeps half a phrase. Nothing to fix."""

    retryable = True


class AuthenticationError(LokutorError):
    """The API key is missing, wrong or expired, or its account must be paid for. The operator can fix it."""


class InvalidRequestError(LokutorError):
    """The service refuses this voice, language, speed, steps or text. The developer can fix it."""


class RateLimitError(LokutorError):
    """Too many requests or sessions for this plan. The operator can fix it.

    What the service didn't say is None. It says most of it at a refused handshake (HTTP 429).

    Attributes:
        retry_after: Seconds until the service accepts requests again.
        limit: Requests that the plan has.
        remaining: Requests that are left of them.
        reset_after: Seconds until there are more.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        reset_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.retry_after = retry_after
        self.limit = limit
        self.remaining = remaining
        self.reset_after = reset_after


class ServiceError(LokutorError):
    """The service failed to synthesize. Lokutor can fix it."""

    retryable = True


class NetworkError(LokutorError):
    """The service can't be reached, or the connection was lost."""

    retryable = True


class ReplyTimeoutError(NetworkError):
    """The service sent no audio in time, although the connection is open."""


class ProtocolError(LokutorError):
    """A reply can't be read: plugin and service disagree about the protocol. Please report it."""


# Source: the error catalogue of Lokutor's official JavaScript SDK. Every code that is not listed
# here, known or not, is retryable there.
_FINAL_CODES: dict[str, type[LokutorError]] = {
    "auth.missing_key": AuthenticationError,
    "auth.invalid_key": AuthenticationError,
    "auth.time_limited": AuthenticationError,
    "validation.invalid_voice": InvalidRequestError,
    "validation.invalid_language": InvalidRequestError,
    "validation.text_too_long": InvalidRequestError,
    "validation.speed_out_of_range": InvalidRequestError,
    "validation.steps_out_of_range": InvalidRequestError,
    "validation.invalid_request_format": InvalidRequestError,
}
SESSION_LIMIT = "tts.session_limit_reached"
_LIMIT_CODES = frozenset({"auth.rate_limited", SESSION_LIMIT})
_CANCELLED_CODE = "internal.cancelled"
_LONGEST_REASON = 300
"""Characters kept of the service's own words: they end up in logs, and may quote the text."""


def error_from_reply(message: str, code: str | None, request_id: str | None = None) -> LokutorError:
    """Return the error for an error reply of the service.

    Args:
        message: The service's own words.
        code: A code of the catalogue, one that it doesn't list, or None (older servers send none).
        request_id: The service's id of the request, where it sent one.

    Returns:
        The error, not raised. Its ``retryable`` follows the catalogue: an unlisted or missing code
        is retryable.
    """
    reason = message if len(message) <= _LONGEST_REASON else f"{message[: _LONGEST_REASON - 1]}…"
    text = f"Lokutor refused the request: {reason or 'no reason given'}" + (f" [{code}]" if code else "")
    if code in _FINAL_CODES:
        return _FINAL_CODES[code](text, code=code, request_id=request_id)
    if code in _LIMIT_CODES:
        return RateLimitError(text, code=code, request_id=request_id)
    return ServiceError(text, code=code, request_id=request_id, retryable=code != _CANCELLED_CODE)

"""Keeps what goes over the wire, without the key.

Rule of this file: what is written has gone through :meth:`Recorder.redact` or :meth:`Recorder.redact_bytes`,
whichever side it came from.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from yarl import URL

from .._wire import recording
from .._wire.endpoint import LONG_KEY, Endpoint
from .._wire.protocol import API_KEY_HEADER
from .._wire.recording import RIGHT_KEY, Answered, Handshake

_WORDS = re.compile(rb"[\x20-\x7e]{%d,}" % LONG_KEY)
"""What of a binary message can be or hold a key, in whatever spelling."""


class Recorder:
    """Writes a line for each event.

    Args:
        endpoint: Whose key is hidden.
        write: Takes each line.
    """

    def __init__(self, endpoint: Endpoint, write: Callable[[str], object]) -> None:
        self._endpoint = endpoint
        self._write = write
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._connections = 0

    @property
    def _at(self) -> float:
        return self._clock() - self._begun

    def redact(self, text: str) -> str:
        """Return a text without the key, in whatever escapes it stands."""
        return redact_message(self._endpoint, text)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return a binary message without the key. It may be text, or hold some beside audio."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        if text and "\0" not in text:
            hidden = self.redact(text)
            return data if hidden == text else hidden.encode()
        if len(self._endpoint.api_key) < LONG_KEY:
            return data  # So few bytes are in any audio by chance.
        if not (self._endpoint.api_key.isascii() and self._endpoint.api_key.isprintable()):
            return self._endpoint.redact(data.decode("latin-1")).encode("latin-1")
        # Much faster than to look for it in all that is audio.
        return _WORDS.sub(lambda run: self._endpoint.redact(run[0].decode()).encode(), data)

    def on_handshake(self, url: URL, headers: Mapping[str, str], status: int, body: Any = None) -> int:
        """Note a handshake, and return the number of its connection."""
        in_url = "api_key" in url.query
        key = url.query.get("api_key") or headers.get(API_KEY_HEADER, "")
        shown = RIGHT_KEY if key == self._endpoint.api_key else key
        answered = Answered(status, self._redacted(body))
        self._write(recording.handshake_line(self._at, Handshake(url.path, shown, in_url), answered))
        self._connections += 1
        return self._connections

    def on_route(self, path: str, status: int, body: Any) -> None:
        """Note what plain HTTP was answered with."""
        self._write(recording.route_line(self._at, path, Answered(status, self._redacted(body))))

    def on_message(self, connection: int, message: str | bytes, *, sent: bool) -> None:
        """Note a message."""
        shown = self.redact(message) if isinstance(message, str) else self.redact_bytes(message)
        self._write(recording.message_line(self._at, connection, shown, sent=sent))

    def on_close(self, connection: int, code: int | None) -> None:
        """Note that the service has closed a WebSocket."""
        self._write(recording.close_line(self._at, connection, code))

    def _redacted(self, body: Any) -> Any:
        return None if body is None else json.loads(self.redact(json.dumps(body, ensure_ascii=False)))


def redact_message(endpoint: Endpoint, text: str) -> str:
    """Return a message without the key of an endpoint, in whatever escapes of JSON it stands."""
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
        # Of members of one name, the last is kept: here they all are.
        every = json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False)
    except (ValueError, RecursionError):
        return endpoint.redact(text)
    if endpoint.redact(every) == every:
        return endpoint.redact(text)
    return endpoint.redact(plain)

"""What went over the wire, as a file has it: a line of JSON for each event.

Rule of this file: pure. What is recorded has been redacted before: no line holds a key, only the word ``***``
in its place. Times are seconds since the recording began.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

RIGHT_KEY = "***"
"""Stands for the key that was used."""
_SWITCHING = 101


class RecordingError(Exception):
    """A file is no recording."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake.

    Attributes:
        path: Where.
        key: :data:`RIGHT_KEY`, another one, or an empty text for none.
        in_url: Whether the key was in the URL.
    """

    path: str
    key: str
    in_url: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What plain HTTP, or a handshake, was answered with."""

    status: int
    body: Any = None

    @property
    def accepted(self) -> bool:
        """Whether it was a handshake that succeeded."""
        return self.status == _SWITCHING


@dataclass(slots=True)
class Exchange:
    """One request, and all that came before the next was sent.

    Attributes:
        request: The message.
        came: The messages, with the seconds since the request.
        close_code: Of the WebSocket, where the service closed it.
        closed_at: When it did.
    """

    request: str
    came: list[tuple[float, str | bytes]] = field(default_factory=list)
    close_code: int | None = None
    closed_at: float = 0.0

    @property
    def text(self) -> str:
        """The text to speak."""
        return _text_of(self.request)

    @property
    def meaning(self) -> str:
        """The request in one spelling, which all that say the same have."""
        return _meaning_of(self.request)


@dataclass(slots=True)
class Recording:
    """All of a file, sorted by what is asked for."""

    handshakes: dict[Handshake, list[Answered]] = field(default_factory=lambda: defaultdict(list))
    routes: dict[str, Answered] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def wrong_keys(self) -> set[str]:
        """Keys that are not the right one, and were tried."""
        return {handshake.key for handshake in self.handshakes} - {RIGHT_KEY, ""}


def handshake_line(at: float, handshake: Handshake, answered: Answered) -> str:
    """Return the line for a handshake."""
    where = {"path": handshake.path, "key": handshake.key, "in_url": handshake.in_url}
    return _line(at, "handshake", **where, status=answered.status, body=answered.body)


def route_line(at: float, path: str, answered: Answered) -> str:
    """Return the line for plain HTTP."""
    return _line(at, "route", path=path, status=answered.status, body=answered.body)


def message_line(at: float, connection: int, message: str | bytes, *, sent: bool) -> str:
    """Return the line for a message, one way or the other."""
    way = "sent" if sent else "received"
    if isinstance(message, str):
        return _line(at, way, connection=connection, text=message)
    return _line(at, way, connection=connection, binary=base64.b64encode(message).decode())


def close_line(at: float, connection: int, code: int | None) -> str:
    """Return the line for a WebSocket that the service has closed."""
    return _line(at, "closed", connection=connection, code=code)


def _line(at: float, event: str, **fields: Any) -> str:
    return json.dumps({"at": round(at, 4), "event": event, **fields}, ensure_ascii=False)


def complete_lines(data: bytes) -> tuple[list[str], int]:
    """Return the lines of a file, and how many bytes of a last one are left out because it was cut off.

    A run that is killed leaves such a line.

    Raises:
        UnicodeError: It isn't text.
    """
    *lines, last = data.split(b"\n")
    if lines and last and not _is_json(last):
        return [line.decode() for line in lines], len(last)
    return [line.decode() for line in ([*lines, last] if last else lines)], 0


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def read_recording(lines: Iterable[str]) -> Recording:
    """Return what the lines of a file hold.

    Raises:
        RecordingError: It isn't a recording, or holds none of a connection.
    """
    recording = Recording()
    current: dict[int, tuple[float, Exchange]] = {}
    for number, line in enumerate(lines, 1):
        try:
            _take(recording, current, json.loads(line))
        except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
            raise RecordingError(f"line {number} is not one of a recording") from None
    if not recording.handshakes:
        raise RecordingError("it holds no handshake")
    return recording


def _take(recording: Recording, current: dict[int, tuple[float, Exchange]], entry: dict[str, Any]) -> None:
    at = float(entry["at"])
    match entry["event"]:
        case "handshake":
            where = Handshake(str(entry["path"]), str(entry["key"]), bool(entry["in_url"]))
            recording.handshakes[where].append(Answered(int(entry["status"]), entry["body"]))
        case "route":
            recording.routes[str(entry["path"])] = Answered(int(entry["status"]), entry["body"])
        case "sent":
            _begin(recording, current, entry, at)
        case "received":
            _add(current, entry, at, _message(entry))
        case "closed":
            _add(current, entry, at, None)
        case _:
            raise ValueError


def _begin(
    recording: Recording, current: dict[int, tuple[float, Exchange]], entry: dict[str, Any], at: float
) -> None:
    """Begin an exchange, unless the service closed the connection behind another: it never saw this."""
    last = current.get(entry["connection"])
    if last is not None and last[1].close_code is not None and last[1].request:
        return
    # Closed before its first request, it answers this one by that.
    exchange = Exchange(str(entry["text"]), close_code=None if last is None else last[1].close_code)
    recording.exchanges.append(exchange)
    current[entry["connection"]] = at, exchange


def _add(
    current: dict[int, tuple[float, Exchange]], entry: dict[str, Any], at: float, message: str | bytes | None
) -> None:
    """Add what has come to the request that it came for; before the first, nothing is expected."""
    begun, exchange = current.setdefault(entry["connection"], (at, Exchange("")))
    if message is None:
        exchange.close_code, exchange.closed_at = int(entry["code"] or 1006), at - begun
    else:
        exchange.came.append((at - begun, message))


def _message(entry: dict[str, Any]) -> str | bytes:
    return str(entry["text"]) if "text" in entry else base64.b64decode(entry["binary"], validate=True)


def _text_of(request: str) -> str:
    try:
        fields = json.loads(request)
    except (ValueError, RecursionError):
        return ""
    text = fields.get("text") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else ""


def _meaning_of(request: str) -> str:
    """Return one spelling for all that say the same, whatever their spaces and the order of their keys."""
    try:
        return json.dumps(json.loads(request), sort_keys=True)
    except (ValueError, RecursionError):
        return request

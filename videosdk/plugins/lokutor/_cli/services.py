"""Which service a command speaks to: the one that the environment names, or a local server of our own.

Rule of this file: a wrong value is told in the plugin's own words, before anything is opened.
"""

from __future__ import annotations

import gzip
import os
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from .._settings import DEFAULT_BASE_URL, find_key
from .._wire.endpoint import Endpoint, may_be_key, parse_base_url
from .terminal import BASE_URL, KEY, MISUSED, CommandError, escaped, reason_of, remark

if TYPE_CHECKING:
    from ..local.server import LocalServer


_COMPRESSED = ".gz"
_GZIP = 16
"""Added to zlib's size of the window, it takes the header of gzip."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where to speak. Its ``repr`` doesn't show the key."""

    base_url: str
    api_key: str | None = field(repr=False)

    @property
    def endpoint(self) -> Endpoint:
        """Its address with the key, as ``LokutorTTS`` would take both.

        Raises:
            ValueError: It would not.
        """
        return Endpoint(parse_base_url(self.base_url.strip(), allow_insecure=False), find_key(self.api_key))


@asynccontextmanager
async def service(notify: Callable[[str], None], url: str | None = None) -> AsyncIterator[Service]:
    """Yield the service that ``url`` or the environment names; else a local server of our own."""
    api_key, base_url = os.environ.get(KEY), url or os.environ.get(BASE_URL)
    if api_key or base_url:
        yield Service(base_url or DEFAULT_BASE_URL, api_key)
        return
    notify(f"{KEY} and {BASE_URL} are not set: using a local server")
    key = secrets.token_hex(16)  # Of this server only. A word would be hidden wherever a line has it.
    async with local_server("127.0.0.1", 0, key) as server:
        yield Service(server.url, key)


@asynccontextmanager
async def local_server(
    host: str,
    port: int,
    api_key: str | None,
    replay: Path | None = None,
    **more: Any,
) -> AsyncIterator[LocalServer]:
    """Run the local server, with more options of its own, or one that plays a recording."""
    from ..local.engine import SynthesisError

    options = {"host": host, "port": port, "api_key": api_key, **more}
    async with AsyncExitStack() as stack:
        with bad_values():
            server = _speaking(options) if replay is None else _replaying(replay, options)
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            raise CommandError(f"can't listen on {named(host)}:{port}: {reason_of(error)}") from None
        except UnicodeError:  # As getaddrinfo() says it.
            reason = f"can't listen on {named(host)!r}: it is not the name of a host"
            raise CommandError(reason, MISUSED) from None
        except SynthesisError as error:
            raise CommandError(str(error)) from None
        yield server


def _speaking(options: dict[str, Any]) -> LocalServer:
    from ..local.espeak import EspeakEngine, LocalVoiceMissingError
    from ..local.server import LocalServer

    try:
        return LocalServer(EspeakEngine(), **options)
    except LocalVoiceMissingError as error:
        raise CommandError(str(error)) from None


def _replaying(path: Path, options: dict[str, Any]) -> LocalServer:
    from .._wire.recording import RecordingError, complete_lines, read_recording
    from ..local.replay import ReplayServer

    shown = escaped(str(path))
    try:
        data, is_whole = _contents(path)
        lines, left_out = complete_lines(data)
        recording = read_recording(lines)
    except (RecordingError, UnicodeError) as error:
        reason = error if isinstance(error, RecordingError) else "it is not text"
        raise CommandError(f"{shown} is no recording: {reason}") from None
    if left_out or not is_whole:
        cut = f", but for {left_out} bytes of another" if left_out else ""
        remark(f"{shown} was cut off: its {len(lines)} complete lines are used{cut}")
    return ReplayServer(recording, **options)


def _contents(path: Path) -> tuple[bytes, bool]:
    """Return what a file of a recording holds, and whether it was compressed to its end.

    Raises:
        RecordingError: It isn't compressed as its name says.
    """
    from .._wire.recording import RecordingError

    data = path.read_bytes()
    if path.suffix != _COMPRESSED or not data:
        return data, True
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | _GZIP)
    try:
        return unpacking.decompress(data), unpacking.eof
    except zlib.error:
        raise RecordingError("it is not compressed by gzip, or is damaged") from None


def open_recording(path: Path) -> TextIO:
    """Open a recording to write, which a name that ends with .gz compresses."""
    if path.suffix == _COMPRESSED:
        return cast("TextIO", gzip.open(path, "wt", encoding="utf-8"))
    return path.open("w", encoding="utf-8")


@contextmanager
def bad_values() -> Iterator[None]:
    """Report a value that the plugin refuses, from the command line or the environment, in its words."""
    try:
        yield
    except ValueError as error:
        raise CommandError(str(error), MISUSED) from None


def named(host: str) -> str:
    """Return ``host`` for a message, unless it may be a key that stands in its place."""
    return "***" if may_be_key(host) else host

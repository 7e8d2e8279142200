"""The commands of ``lokutor``, which is ``python -m videosdk.plugins.lokutor``.

Rule of this file: what a user can get wrong ends in one line on standard error and a status (2 for what
they typed or set, 1 for what failed); only a bug of ours shows a traceback. No line carries a key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from .._options import SpeechOptions
from .._text.characters import is_speakable
from .._wire.discovery import Offer, discover
from .._wire.endpoint import LONG_KEY, is_loopback, may_be_key, redact_key
from ..errors import LokutorError
from ..tts import DEFAULT_BASE_URL, LokutorTTS
from ..version import __version__
from .wav import WavError, WavFile, WavStream

if TYPE_CHECKING:
    from ..local.server import LocalServer

FAILED = 1
MISUSED = 2
INTERRUPTED = 130
"""As shells report a process that SIGINT ended."""

_KEY, _BASE_URL = "LOKUTOR_API_KEY", "LOKUTOR_BASE_URL"
_SERVER_KEY = "LOKUTOR_LOCAL_API_KEY"
_SAMPLE_RATE = 24_000
_MAX_PORT = 65_535


class CommandError(Exception):
    """Ends a command with one line.

    Attributes:
        status: The exit status.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Its arguments; None takes those of the process.

    Returns:
        The exit status.

    Raises:
        SystemExit: Help or the version was asked for.
    """
    try:
        return _run(argv)
    finally:
        _discard_unwritten(sys.stdout)
        _discard_unwritten(sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parse(argv)
        command: Callable[[argparse.Namespace], None] = arguments.command
        command(arguments)
    except BrokenPipeError:  # Whoever read the output, such as head, has had enough.
        return FAILED
    except CommandError as error:
        return _fail(error, error.status)
    except (LokutorError, WavError) as error:
        return _fail(error, FAILED)
    except OSError as error:  # The system's limits, such as that of open files.
        return _fail(_reason(error), FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    return 0


def _fail(reason: object, status: int) -> int:
    _remark(f"error: {_one_line(_without_keys(str(reason)))}")
    return status


def _print(text: str) -> None:
    """Print ``text`` to standard output.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        CommandError: It can't be written.
    """
    if sys.stdout is None:  # It was closed when the process began, as by >&-.
        raise CommandError("can't write to standard output: it is closed")
    try:
        print(_encodable(text, sys.stdout), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"can't write to standard output: {_reason(error)}") from None


def _notice(text: str) -> None:
    """Print what is good to know before the result; that will tell if nothing can be printed."""
    with suppress(OSError, CommandError):
        _print(text)


def _remark(text: str) -> None:
    """Print a line to standard error, if there is any."""
    if sys.stderr is not None:  # print() would take standard output instead.
        with suppress(OSError):
            print(_encodable(text, sys.stderr), file=sys.stderr, flush=True)


def _discard_unwritten(stream: TextIO | None) -> None:
    """Drop what a stream couldn't write: Python would try again at exit, and complain."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _encodable(text: str, stream: TextIO) -> str:
    """Return ``text`` with escapes for what the encoding of ``stream`` lacks."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _without_keys(text: str) -> str:
    """Return ``text`` without the user's keys: a service may quote one in its refusal."""
    for name in (_KEY, _SERVER_KEY):
        if key := os.environ.get(name, "").strip():
            text = redact_key(text, key)
    return text


def _one_line(text: str) -> str:
    """Return ``text`` fit for a terminal: a service's words may hold line breaks and control codes."""
    escaped = text.encode(errors="backslashreplace").decode()  # A file's name may hold lone surrogates.
    return " ".join("".join(char if char.isprintable() else " " for char in escaped).split())


class _Parser(argparse.ArgumentParser):
    """Reports a mistake like every other error, in one line, and prints like every command."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see --help)", MISUSED)

    def _print_message(self, message: str, file: object = None) -> None:
        _print(message.rstrip("\n"))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog=_program(), description="Lokutor text-to-speech from a terminal.")
    parser.add_argument("--version", action="version", version=f"videosdk-plugins-lokutor {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_say, _add_serve, _add_voices):
        add(commands)
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments, surplus = parser.parse_known_args(words)
        if surplus:
            parser.error(f"unexpected argument: {surplus[0]}")
    except CommandError as error:
        raise CommandError(_without_values(str(error), words), error.status) from None
    return arguments


def _without_values(text: str, words: Iterable[str]) -> str:
    """Return ``text`` without what was typed where nobody expected it: that may be a key."""
    values = {_value_of(word) for word in words}
    for value in sorted((value for value in values if len(value) >= LONG_KEY), key=len, reverse=True):
        for form in (repr(value)[1:-1], value):
            text = text.replace(form, "***")
    return text


def _value_of(word: str) -> str:
    """Return a word without the name of its option."""
    if word.startswith("--"):
        return word.partition("=")[2]
    return word[2:] if word.startswith("-") else word


def _program() -> str:
    """Return what the user has typed to get here."""
    return "lokutor" if Path(sys.argv[0]).stem == "lokutor" else "python -m videosdk.plugins.lokutor"


Commands = argparse._SubParsersAction


def _add_say(commands: Commands[_Parser]) -> None:
    """Add ``say``; the defaults of its options are those of ``LokutorTTS``."""
    say = commands.add_parser(
        "say", help="speak a text into a WAV file", description="Speak a text into a WAV file."
    )
    say.add_argument("text", metavar="TEXT", help="text to speak; - reads standard input")
    say.add_argument(
        "--out",
        type=_wav_path,
        default=Path("speech.wav"),
        metavar="FILE.wav",
        help="file to write, replaced if it exists; - is standard output (default: %(default)s)",
    )
    say.add_argument("--voice", metavar="V", help="voice id, such as F1; 'voices' lists them")
    say.add_argument("--language", metavar="L", help="two-letter code, such as en")
    say.add_argument("--speed", type=float, metavar="S", help="0.5 to 2.0")
    say.add_argument(
        "--steps", type=int, metavar="N", help="denoising steps, 1 to 50: more sound better and take longer"
    )
    say.set_defaults(command=_say)


def _add_serve(commands: Commands[_Parser]) -> None:
    serve = commands.add_parser(
        "serve", help="run the local server", description="Run the local server until Ctrl-C."
    )
    serve.add_argument(
        "--host",
        type=_not_empty,
        default="127.0.0.1",
        help="address to listen on; needs a key if other machines can reach it (default: %(default)s)",
    )
    serve.add_argument(
        "--port", type=_port, default=8765, help="port; 0 picks a free one (default: %(default)s)"
    )
    serve.add_argument(
        "--api-key",
        type=_not_empty,
        metavar="K",
        default=os.environ.get(_SERVER_KEY) or None,
        help=f"the only accepted key; {_SERVER_KEY} keeps it out of process lists (default: any key)",
    )
    serve.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="accept web pages of this origin, such as https://app.example; may be repeated "
        "(default: only pages of this machine)",
    )
    serve.add_argument(
        "--requests-per-minute",
        type=_limit,
        metavar="N",
        help="requests of one key within any 60 s; more are refused, as of a plan (default: any number)",
    )
    serve.add_argument(
        "--sessions", type=_limit, metavar="N", help="connections of one key at a time (default: any number)"
    )
    serve.add_argument(
        "--count",
        choices=("handshakes", "requests"),
        default="requests",
        help="what the requests of a minute are: each handshake, or each request inside a connection "
        "(default: %(default)s)",
    )
    serve.set_defaults(command=_serve)


def _add_voices(commands: Commands[_Parser]) -> None:
    text = "list the voices and the languages"
    voices = commands.add_parser("voices", help=text, description=f"{text.capitalize()}.")
    voices.set_defaults(command=_voices)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {_MAX_PORT}, got {text!r}")
    return port


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return limit


def _not_empty(text: str) -> str:
    if not text.strip():  # An unset shell variable, most likely: it must not open the server to everybody.
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _wav_path(text: str) -> Path | None:
    """Return the file to write, or None for standard output."""
    if text in {"-", "/dev/stdout"}:
        return None
    path = Path(text)
    if path.suffix.lower() not in {"", ".wav", ".wave"}:
        wav = path.with_suffix(".wav").name
        raise argparse.ArgumentTypeError(
            f"only WAV can be written, not {path.suffix!r}: write {wav!r}, and convert it"
        )
    return path


def _say(arguments: argparse.Namespace) -> None:
    text = _text(arguments.text)
    names = ("voice", "language", "speed", "steps")
    options = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    notify, report = (_notice, _print) if arguments.out else (_remark, _remark)
    with _bad_values():
        SpeechOptions(**options)  # Before anything is opened for values that can't be spoken.
        with _wav(arguments.out) as wav:
            first_audio = asyncio.run(_speak(text, options, wav, notify))
    name = _escaped(str(arguments.out or "standard output"))
    report(f"{name}: {wav.duration:.2f} s of audio, first audio after {first_audio * 1000:.0f} ms")


def _wav(path: Path | None) -> WavFile | WavStream:
    """Return what writes the speech: to a file, or to standard output."""
    if path is not None:
        return WavFile(path, _SAMPLE_RATE)
    if sys.stdout is None:
        raise CommandError("can't write to standard output: it is closed")
    if sys.stdout.isatty():
        raise CommandError("a terminal can't play a WAV: redirect standard output, or name a file", MISUSED)
    return WavStream(sys.stdout.fileno(), _SAMPLE_RATE)


def _escaped(name: str) -> str:
    """Return a file's name in one line, with escapes for what can't be shown."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def _text(argument: str) -> str:
    """Return what is to be said."""
    try:
        text = _read_input() if argument == "-" else _as_typed(argument)
    except UnicodeError:
        raise CommandError("the text is not UTF-8", MISUSED) from None
    if not is_speakable(text):
        raise CommandError("the text contains nothing to speak", MISUSED)
    return text


def _as_typed(argument: str) -> str:
    """Return an argument; of bytes that the locale doesn't know, Python makes lone surrogates."""
    try:
        argument.encode()
    except UnicodeError:
        return os.fsencode(argument).decode()
    return argument


def _read_input() -> str:
    """Return the text on standard input: UTF-8, else as the locale has it."""
    if sys.stdin is None:
        raise CommandError("can't read standard input: it is closed", MISUSED)
    try:
        data = sys.stdin.buffer.read()
    except OSError as error:
        raise CommandError(f"can't read standard input: {_reason(error)}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(sys.stdin.encoding)


async def _speak(
    text: str, options: dict[str, Any], wav: WavFile | WavStream, notify: Callable[[str], None]
) -> float:
    """Write the speech of ``text`` to ``wav``, as it comes; return the seconds to its first audio."""
    async with _service(notify) as service:
        tts = LokutorTTS(
            api_key=service.api_key, base_url=service.base_url, sample_rate=_SAMPLE_RATE, **options
        )
        async with tts:
            return await _record(tts.stream_synthesize(text), wav)


async def _record(speech: AsyncIterator[bytes], wav: WavFile | WavStream) -> float:
    start = time.perf_counter()
    first_audio = None
    async for pcm in speech:
        first_audio = first_audio or time.perf_counter() - start
        wav.write(pcm)
    if first_audio is None:
        raise CommandError("the service sent no audio")
    return first_audio


def _serve(arguments: argparse.Namespace) -> None:
    host, api_key = arguments.host, arguments.api_key
    if api_key is None and not is_loopback(host):
        reason = (
            f"--host {_named(host)} can be reached by other machines: it needs --api-key, or {_SERVER_KEY}"
        )
        raise CommandError(reason, MISUSED)
    with suppress(KeyboardInterrupt):  # The way to end it.
        asyncio.run(
            _serve_forever(
                host,
                arguments.port,
                api_key,
                allowed_origins=arguments.allow_origin,
                requests_per_minute=arguments.requests_per_minute,
                sessions=arguments.sessions,
                count=arguments.count,
            )
        )


def _named(host: str) -> str:
    """Return ``host`` for a message, unless it may be a key that stands in its place."""
    return "***" if may_be_key(host) else host


async def _serve_forever(host: str, port: int, api_key: str | None, **options: Any) -> None:
    async with _local_server(host, port, api_key, **options) as server:
        _print(f"listening on {server.url}")
        await asyncio.Event().wait()


def _voices(_: argparse.Namespace) -> None:
    with _bad_values():
        offer = asyncio.run(_discover())
    voices = [(voice.id, voice.gender, " ".join(voice.languages)) for voice in offer.voices]
    languages = [(language.code, language.name) for language in offer.languages]
    _print(_table(("VOICE", "GENDER", "LANGUAGES"), voices) + "\n")
    _print(_table(("LANGUAGE", "NAME"), languages))


async def _discover() -> Offer:
    async with _service(_notice) as service:
        return await discover(service.base_url)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, *(tuple(_one_line(cell) or "-" for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


@dataclass(frozen=True, slots=True)
class _Service:
    """Where to speak. Its ``repr`` doesn't show the key."""

    base_url: str
    api_key: str | None = field(repr=False)


@asynccontextmanager
async def _service(notify: Callable[[str], None]) -> AsyncIterator[_Service]:
    """Yield the service that the environment names; where it names none, a local server of our own."""
    api_key, base_url = os.environ.get(_KEY), os.environ.get(_BASE_URL)
    if api_key or base_url:
        yield _Service(base_url or DEFAULT_BASE_URL, api_key)
        return
    notify(f"{_KEY} and {_BASE_URL} are not set: using a local server")
    async with _local_server("127.0.0.1", 0, None) as server:
        yield _Service(server.url, "local")


@asynccontextmanager
async def _local_server(
    host: str, port: int, api_key: str | None, **options: Any
) -> AsyncIterator[LocalServer]:
    """Run the local server, with ``options`` of its own, for as long as this lasts."""
    from ..local.engine import SynthesisError
    from ..local.espeak import EspeakEngine, LocalVoiceMissingError
    from ..local.server import LocalServer

    async with AsyncExitStack() as stack:
        try:
            engine = EspeakEngine()
        except LocalVoiceMissingError as error:
            raise CommandError(str(error)) from None
        with _bad_values():
            server = LocalServer(engine, host=host, port=port, api_key=api_key, **options)
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            raise CommandError(f"can't listen on {_named(host)}:{port}: {_reason(error)}") from None
        except UnicodeError:  # As getaddrinfo() says it.
            reason = f"can't listen on {_named(host)!r}: it is not the name of a host"
            raise CommandError(reason, MISUSED) from None
        except SynthesisError as error:
            raise CommandError(str(error)) from None
        yield server


@contextmanager
def _bad_values() -> Iterator[None]:
    """Report a value that the plugin refuses, from the command line or the environment, in its words."""
    try:
        yield
    except ValueError as error:
        raise CommandError(str(error), MISUSED) from None


def _reason(error: OSError) -> str:
    """Return what the system says, without the addresses and paths that asyncio and Python add to it."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)

"""The commands of ``lokutor``, which is ``python -m videosdk.plugins.lokutor``.

Rule of this file: what a user can get wrong ends in one line on standard error and a status (2 for what
they typed or set, 1 for what failed); only a bug of ours shows a traceback. No line carries a key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .._options import SpeechOptions
from .._text.characters import is_speakable
from .._wire.discovery import Offer, discover
from .._wire.endpoint import LONG_KEY, is_loopback
from ..errors import LokutorError
from ..version import __version__
from .checks import add_conformance, add_doctor
from .services import bad_values, local_server, named, service
from .terminal import (
    FAILED,
    INTERRUPTED,
    MISUSED,
    SERVER_KEY,
    CommandError,
    discard_unwritten,
    escaped,
    notice,
    one_line,
    reason_of,
    remark,
    say_line,
    without_keys,
)
from .wav import WavError, WavFile, WavStream

if TYPE_CHECKING:
    from ..local.server import LocalServer

_SAMPLE_RATE = 24_000
_MAX_PORT = 65_535


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
        discard_unwritten(sys.stdout)
        discard_unwritten(sys.stderr)


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
    except OSError as error:  # A file of the user's, or the system's limits, such as that of open files.
        name = "" if error.filename is None else f"{escaped(str(error.filename))}: "
        return _fail(name + reason_of(error), FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    return 0


def _fail(reason: object, status: int) -> int:
    remark(f"error: {one_line(without_keys(str(reason)))}")
    return status


class _Parser(argparse.ArgumentParser):
    """Reports a mistake like every other error, in one line, and prints like every command."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see --help)", MISUSED)

    def _print_message(self, message: str, file: object = None) -> None:
        say_line(message.rstrip("\n"))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog=_program(), description="Lokutor text-to-speech from a terminal.")
    parser.add_argument("--version", action="version", version=f"videosdk-plugins-lokutor {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_say, _add_serve, _add_voices, add_doctor, add_conformance):
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
        default=os.environ.get(SERVER_KEY) or None,
        help=f"the only accepted key; {SERVER_KEY} keeps it out of process lists (default: any key)",
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
    serve.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="answer as another service has, in a recording of 'conformance --record'",
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
    notify, report = (notice, say_line) if arguments.out else (remark, remark)
    with bad_values():
        SpeechOptions(**options)  # Before anything is opened for values that can't be spoken.
        with _wav(arguments.out) as wav:
            first_audio = asyncio.run(_speak(text, options, wav, notify))
    name = escaped(str(arguments.out or "standard output"))
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
        raise CommandError(f"can't read standard input: {reason_of(error)}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(sys.stdin.encoding)


async def _speak(
    text: str, options: dict[str, Any], wav: WavFile | WavStream, notify: Callable[[str], None]
) -> float:
    """Write the speech of ``text`` to ``wav``, as it comes; return the seconds to its first audio."""
    from ..tts import LokutorTTS  # With the framework, which no other command needs.

    async with service(notify) as used:
        tts = LokutorTTS(api_key=used.api_key, base_url=used.base_url, sample_rate=_SAMPLE_RATE, **options)
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
        reason = f"--host {named(host)} can be reached by other machines: it needs --api-key, or {SERVER_KEY}"
        raise CommandError(reason, MISUSED)
    with suppress(KeyboardInterrupt):  # The way to end it.
        server = local_server(
            host,
            arguments.port,
            api_key,
            arguments.replay,
            allowed_origins=arguments.allow_origin,
            requests_per_minute=arguments.requests_per_minute,
            sessions=arguments.sessions,
            count=arguments.count,
        )
        asyncio.run(_serve_forever(server))


async def _serve_forever(running: AbstractAsyncContextManager[LocalServer]) -> None:
    async with running as server:
        say_line(f"listening on {server.url}")
        # A signal that comes just before the loop waits for events is only noticed at the next event.
        while True:  # noqa: ASYNC110
            await asyncio.sleep(1)


def _voices(_: argparse.Namespace) -> None:
    with bad_values():
        offer = asyncio.run(_discover())
    voices = [(voice.id, voice.gender, " ".join(voice.languages)) for voice in offer.voices]
    languages = [(language.code, language.name) for language in offer.languages]
    say_line(_table(("VOICE", "GENDER", "LANGUAGES"), voices) + "\n")
    say_line(_table(("LANGUAGE", "NAME"), languages))


async def _discover() -> Offer:
    async with service(notice) as used:
        return await discover(used.base_url)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, *(tuple(one_line(cell) or "-" for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

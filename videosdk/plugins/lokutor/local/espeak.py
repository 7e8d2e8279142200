"""The local server's real voice: espeak-ng, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

from .._audio.pcm import SAMPLE_RATE
from .._audio.resample import Resampler
from .._wire.protocol import SpeechRequest
from ..visemes import Viseme
from ._wire import base_voice
from .engine import Speech, SynthesisError

logger = logging.getLogger("videosdk.plugins.lokutor.local")

INSTALL_HINT = 'The local voice is not installed: pip install "videosdk-plugins-lokutor[local]"'
_WORKER = Path(__file__).with_name("_espeak_worker.py")
_HEADER = struct.Struct(">cI")
_SOURCE_RATE = 22_050
"""espeak-ng's own rate in Hz."""
_WORDS_PER_MINUTE = 175
"""espeak-ng's own speed: what speed 1.0 is here."""
_SLOWER, _FASTER = 156, 124
"""Words a minute for one step of speed, below 1.0 and above. Not 175: by duration, espeak-ng slows down and
speeds up more than it says. Measured over its voices of the nine languages, from 0.5 to 2.0."""
_START_TIMEOUT = 30.0
"""Seconds for the process to be ready, on a loaded machine; it takes a tenth of one."""
_STOP_TIMEOUT = 5.0
"""Seconds for the process to obey, on a loaded machine; then it is killed."""
_VOICES = {"gl": "es", "en": "en-us"}
"""Where espeak-ng's name differs. It has no Galician: Spanish comes closest to how it is spelled."""


class LocalVoiceMissingError(Exception):
    """The extra ``local`` is not installed; the message says how to install it."""

    def __init__(self) -> None:
        super().__init__(INSTALL_HINT)


class EspeakEngine:
    """Speaks with espeak-ng: ten voices (its variants ``f1`` to ``f5`` and ``m1`` to ``m5``), nine languages.

    Galician uses the Spanish voice, because espeak-ng has none. The library is GPL-3, so it is installed by
    the extra ``local`` only and runs in its own process. It is not thread-safe and about a thousand times
    faster than speech, so one process serves all clients, one request after another. Audio that a slow
    client hasn't read waits in memory and delays nobody else.

    Raises:
        LocalVoiceMissingError: The extra ``local`` is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("espeakng_loader") is None:
            raise LocalVoiceMissingError
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._syntheses: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Start the process, so that the first request needn't. Idempotent.

        Raises:
            SynthesisError: espeak-ng can't be started.
        """
        self._closed = False
        async with self._turn:
            await self._ready_worker()

    async def close(self) -> None:
        """Fail what is being spoken and end the process. Idempotent."""
        self._closed = True
        for synthesis in self._syntheses:
            synthesis.cancel()
        await asyncio.gather(*self._syntheses, return_exceptions=True)
        async with self._turn:
            await self._discard_worker()

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        """Yield the speech for ``request``, a word at a time.

        Raises:
            SynthesisError: espeak-ng failed, or was closed. A process that has died is replaced.
        """
        if self._closed:
            raise SynthesisError("espeak-ng is closed")
        # Not bounded but by the text's length: a client that takes nothing must not hold the process.
        # It waits at espeak-ng's rate, half the size, and is converted as it is taken.
        speech: asyncio.Queue[Speech | None] = asyncio.Queue()
        synthesis = asyncio.create_task(self._synthesize(request, speech))
        self._syntheses.add(synthesis)
        # By a callback, for a task that is cancelled before it has begun runs no "finally".
        synthesis.add_done_callback(lambda _: speech.put_nowait(None))
        resampler = Resampler(_SOURCE_RATE, SAMPLE_RATE)
        try:
            while (piece := await speech.get()) is not None:
                yield Speech(resampler.process(piece.pcm), piece.visemes)
            if synthesis.cancelled():
                raise SynthesisError("espeak-ng was closed")
            synthesis.result()
            yield Speech(resampler.flush())
        finally:
            resampler.close()
            synthesis.cancel()
            await asyncio.gather(synthesis, return_exceptions=True)
            self._syntheses.discard(synthesis)

    async def _synthesize(self, request: SpeechRequest, speech: asyncio.Queue[Speech | None]) -> None:
        async with self._turn:
            worker = await self._ready_worker()
            try:
                await worker.speak(request, speech)
            except (OSError, EOFError) as error:
                logger.warning("espeak-ng's process has died: %s", type(error).__name__)
                await self._discard_worker()
                raise SynthesisError("espeak-ng's process has died") from error

    async def _ready_worker(self) -> _Worker:
        if self._worker is not None and self._worker.is_dead:
            await self._discard_worker()
        if self._worker is None:
            try:
                self._worker = await _Worker.start()
            except (OSError, EOFError) as error:
                raise SynthesisError(f"espeak-ng can't be started: {type(error).__name__}") from error
        return self._worker

    async def _discard_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()


class _Worker:
    """The process, and its frames. For one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._requests = 0
        self._header: tuple[bytes, int] | None = None  # Of a frame whose payload is still to be read.
        self._killed = False

    @property
    def is_dead(self) -> bool:
        """Whether it can't serve another request."""
        return self._killed or self._process.returncode is not None or self._stdout.at_eof()

    @classmethod
    async def start(cls) -> _Worker:
        """Start the process and wait until it is ready.

        Raises:
            SynthesisError: It says why it can't be.
            OSError: It can't be run, or isn't ready in time.
            EOFError: It has died.
        """
        # -P: the script's own folder is not searched for modules.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # A terminal's signals are for the server, which then ends the process.
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await worker._greet()
        except BaseException:
            worker._kill()
            await worker.close()
            raise
        return worker

    async def _greet(self) -> None:
        kind, payload = await self._receive()
        if kind == b"F":
            raise SynthesisError(f"espeak-ng can't be started: {payload.decode()}")
        if int(payload) != _SOURCE_RATE:
            raise SynthesisError(f"espeak-ng speaks at {int(payload)} Hz, not at {_SOURCE_RATE}")

    async def speak(self, request: SpeechRequest, speech: asyncio.Queue[Speech | None]) -> None:
        """Put the speech for ``request``, at espeak-ng's rate, into ``speech``.

        Raises:
            SynthesisError: espeak-ng refuses the request.
            EOFError: The process has died.
        """
        try:
            await self._speak(request, speech)
        except asyncio.CancelledError:
            await self._abort()
            raise
        except SynthesisError:
            raise
        except BaseException:
            self._kill()  # It is in the middle of something.
            raise

    async def _speak(self, request: SpeechRequest, speech: asyncio.Queue[Speech | None]) -> None:
        self._requests += 1
        self._send({"id": self._requests, **_command(request)})
        visemes: tuple[Viseme, ...] = ()
        while True:
            kind, payload = await self._receive()
            if kind == b"V":
                visemes += tuple(Viseme(*item) for item in json.loads(payload))
            elif kind == b"A":
                speech.put_nowait(Speech(payload, visemes))
                visemes = ()
            elif kind == b"F":
                raise SynthesisError(payload.decode())
            else:
                if visemes:
                    speech.put_nowait(Speech(b"", visemes))
                return

    async def close(self) -> None:
        """End the process: by the end of its input, else by force."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._ended()
        except TimeoutError:
            self._kill()
            await self._ended()
        except asyncio.CancelledError:
            self._kill()
            raise

    async def _ended(self) -> None:
        while await self._stdout.read(65_536):
            pass
        with suppress(ConnectionError):
            await self._stdin.wait_closed()
        await self._process.wait()

    async def _abort(self) -> None:
        """Stop the request under way; what it still sends is thrown away."""
        self._send({"cancel": self._requests})
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                while (await self._receive())[0] not in (b"E", b"F"):
                    pass
        except (TimeoutError, EOFError):
            self._kill()
        except asyncio.CancelledError:
            self._kill()  # The frames that remain would be taken for the next request's.
            raise

    def _kill(self) -> None:
        self._killed = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, command: dict[str, object]) -> None:
        self._stdin.write(json.dumps(command).encode() + b"\n")

    async def _receive(self) -> tuple[bytes, bytes]:
        """Return the next frame; one that a cancellation came into is read on by the next call."""
        if self._header is None:
            self._header = _HEADER.unpack(await self._stdout.readexactly(_HEADER.size))
        kind, length = self._header
        payload = await self._stdout.readexactly(length)
        self._header = None
        return kind, payload


def _command(request: SpeechRequest) -> dict[str, object]:
    language = _VOICES.get(request.language, request.language)
    return {
        "text": request.text,
        "voice": f"{language}+{base_voice(request.voice).lower()}",
        "rate": _rate(request.speed),
    }


def _rate(speed: float) -> int:
    step = _SLOWER if speed < 1 else _FASTER
    return round(_WORDS_PER_MINUTE + step * (speed - 1))

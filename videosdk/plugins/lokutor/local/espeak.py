"""The local server's real voice: espeak-ng, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import struct
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from .._protocol import SAMPLE_RATE, SpeechRequest, Viseme
from .._resample import Resampler
from ._wire import base_voice
from .engine import Speech, SynthesisError

logger = logging.getLogger("videosdk.plugins.lokutor.local")

INSTALL_HINT = 'The local voice is not installed: pip install "videosdk-plugins-lokutor[local]"'
_WORKER = Path(__file__).with_name("_espeak_worker.py")
_HEADER = struct.Struct(">cI")
_WORDS_PER_MINUTE = 175
"""espeak-ng's own speed at 1.0; its range is 80 to 450."""
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

    Galician is spoken by the Spanish voice, for espeak-ng has none. The library is GPL-3, so it runs in a
    process of its own and comes with the extra ``local`` only. It is not thread-safe, and about a thousand
    times faster than speech, so one process speaks for all clients, one request after another; a client
    that is slow to take its audio holds up nobody, for what it hasn't taken waits in memory.

    Raises:
        LocalVoiceMissingError: The extra ``local`` is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("espeakng_loader") is None:
            raise LocalVoiceMissingError
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None

    async def start(self) -> None:
        """Start the process, so that the first request needn't. Idempotent."""
        async with self._turn:
            await self._ready_worker()

    async def close(self) -> None:
        """End the process. Idempotent."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        """Yield the speech for ``request``, a word at a time.

        Raises:
            SynthesisError: espeak-ng failed; its process is replaced where it has died.
        """
        # Not bounded but by the text's length: a client that takes nothing must not hold the process.
        speech: asyncio.Queue[Speech | SynthesisError | None] = asyncio.Queue()
        synthesis = asyncio.create_task(self._synthesize(request, speech))
        try:
            while (piece := await speech.get()) is not None:
                if isinstance(piece, SynthesisError):
                    raise piece
                yield piece
        finally:
            synthesis.cancel()
            await asyncio.wait({synthesis})

    async def _synthesize(
        self, request: SpeechRequest, speech: asyncio.Queue[Speech | SynthesisError | None]
    ) -> None:
        async with self._turn:
            try:
                worker = await self._ready_worker()
                await worker.speak(request, speech)
            except (OSError, EOFError) as error:
                logger.warning("espeak-ng's process has died: %s", type(error).__name__)
                await self.close()
                speech.put_nowait(SynthesisError("espeak-ng's process has died"))

    async def _ready_worker(self) -> _Worker:
        if self._worker is None:
            self._worker = await _Worker.start()
        return self._worker


class _Worker:
    """The process, and its frames. For one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._sample_rate = 0
        self._requests = 0
        self._header: tuple[bytes, int] | None = None  # Of a frame whose payload is still to be read.

    @classmethod
    async def start(cls) -> _Worker:
        # -P: the script's own folder is not searched for modules.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        _, payload = await worker._receive()
        worker._sample_rate = int(payload)
        return worker

    async def speak(
        self, request: SpeechRequest, speech: asyncio.Queue[Speech | SynthesisError | None]
    ) -> None:
        """Put the speech for ``request`` into ``speech``, then None.

        Raises:
            EOFError: The process has died.
        """
        self._requests += 1
        self._send({"id": self._requests, **_command(request)})
        resampler = Resampler(self._sample_rate, SAMPLE_RATE)
        visemes: tuple[Viseme, ...] = ()
        try:
            while True:
                kind, payload = await self._receive()
                if kind == b"V":
                    visemes += tuple(Viseme(*item) for item in json.loads(payload))
                elif kind == b"A":
                    speech.put_nowait(Speech(resampler.process(payload), visemes))
                    visemes = ()
                elif kind == b"F":
                    speech.put_nowait(SynthesisError(payload.decode()))
                    return
                else:
                    speech.put_nowait(Speech(resampler.flush(), visemes))
                    speech.put_nowait(None)
                    return
        except asyncio.CancelledError:
            await self._abort()
            raise

    async def close(self) -> None:
        """End the process: by the end of its input, else by force."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                while await self._stdout.read(65_536):
                    pass
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _abort(self) -> None:
        """Stop the request under way; what it still sends is thrown away."""
        self._send({"cancel": self._requests})
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                while (await self._receive())[0] not in (b"E", b"F"):
                    pass
        except (TimeoutError, EOFError):
            self._process.kill()  # The next request finds it dead, and starts another.

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
        "rate": min(max(round(_WORDS_PER_MINUTE * request.speed), 80), 450),
    }

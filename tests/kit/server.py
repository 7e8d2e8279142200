"""A scripted service: real connections on loopback, and what is said on each."""

from __future__ import annotations

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMessage, web

from kit.speech import speech_of, visemes_of
from kit.waits import PATIENCE


class Conversation:
    """The server's side of one connection.

    Args:
        ws: The WebSocket. It doesn't answer pings, and hands out pings and pongs.
        http: The handshake.
        answers_pings: Whether :meth:`receive` answers them.
    """

    def __init__(self, ws: web.WebSocketResponse, http: web.Request, *, answers_pings: bool = True) -> None:
        self.ws = ws
        self.http = http
        self._answers_pings = answers_pings
        self.requests: list[dict[str, Any]] = []
        self.ready = asyncio.Event()
        """For a script to set when the test may go on."""
        self._received: deque[WSMessage] = deque()
        self._pongs = 0
        self.closed = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [request["text"] for request in self.requests]

    async def request(self) -> dict[str, Any]:
        """Return the client's next request.

        Raises:
            EOFError: The client is gone.
        """
        message = await self.receive()
        if message.type is not web.WSMsgType.TEXT:
            raise EOFError
        self.requests.append(json.loads(message.data))
        return self.requests[-1]

    async def receive(self) -> WSMessage:
        """Return the client's next message that is no ping and no pong."""
        while not self._received:
            await self._read()
        return self._received.popleft()

    async def is_read(self) -> None:
        """Wait until the client has read all that was sent.

        Raises:
            EOFError: The client is gone.
        """
        self._pongs = 0
        await self.ws.ping()
        while not self._pongs:
            await self._read()
            if self.ws.closed:
                raise EOFError

    async def _read(self) -> None:
        message = await self.ws.receive()
        if message.type is web.WSMsgType.PONG:
            self._pongs += 1
        elif message.type is not web.WSMsgType.PING:
            self._received.append(message)
        elif self._answers_pings:
            await self.ws.pong(message.data)

    async def audio(self, pcm: bytes, size: int = 4096) -> None:
        for start in range(0, len(pcm), size):
            await self.ws.send_bytes(pcm[start : start + size])

    async def text(self, message: str) -> None:
        await self.ws.send_str(message)

    async def end(self) -> None:
        await self.text("EOS")

    async def gone(self) -> None:
        """Wait until the client is gone, answering nothing."""
        while True:
            await self.request()

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        assert self.http.transport is not None
        self.http.transport.abort()


Script = Callable[[Conversation], Awaitable[None]]
_PASSES_TO_ACCEPT = 3
"""Passes of the event loop until a connection that was accepted is known to the server."""


async def accept_no_more(*listening: socket.socket | TransportSocket) -> None:
    """Accept no more connections, and wait until the server knows those that were accepted.

    It may be closed then. A connection that asyncio accepts while it closes a server is never closed.
    """
    for each in listening:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(each.fileno())
    for _ in range(_PASSES_TO_ACCEPT):
        await asyncio.sleep(0)


async def speak(conversation: Conversation) -> None:
    """Answer every request with its speech: the script of a healthy server."""
    while True:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()


async def speak_timed(conversation: Conversation) -> None:
    """Answer every request with its visemes and its speech."""
    while True:
        request = await conversation.request()
        await conversation.text(visemes_of(request["text"]))
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()


async def close_on_request(conversation: Conversation) -> None:
    """Close without an answer, instead of speaking."""
    await conversation.request()
    await conversation.ws.close()


async def cut_on_request(conversation: Conversation) -> None:
    """Cut the connection without a close frame, instead of speaking."""
    await conversation.request()
    conversation.abort()


class _LoopbackRunner(web.AppRunner):
    """Serves an application at a free port of loopback."""

    def __init__(self, app: web.Application) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=1.0)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._listening.getsockname()[1]}"

    async def listen(self) -> None:
        await self.setup()
        await web.SockSite(self, self._listening, backlog=1_024).start()

    async def cleanup(self) -> None:
        await accept_no_more(self._listening)
        await super().cleanup()


async def refusing(status: int, headers: dict[str, str] | None = None) -> tuple[web.AppRunner, str]:
    """Start a server that answers every handshake with ``status``."""

    async def refuse(http: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = _LoopbackRunner(app)
    await runner.listen()
    return runner, runner.url


class LoopbackServer(ABC):
    """A real HTTP server on loopback, at a free port.

    Args:
        path: The only one that it knows.
    """

    answers_pings = True
    """Whether pings are answered."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._runner: _LoopbackRunner | None = None

    @property
    def address(self) -> str:
        assert self._runner is not None
        return self._runner.url

    @abstractmethod
    async def _serve(self, http: web.Request) -> web.StreamResponse:
        """Answer what is asked at the path."""

    async def _converse(
        self, http: web.Request, script: Script, begun: Callable[[Conversation], None]
    ) -> web.StreamResponse:
        """Take the connection, and play ``script`` on it until that ends or the client goes away.

        Args:
            http: The handshake.
            script: What is said.
            begun: Called with the conversation before the first word.
        """
        ws = web.WebSocketResponse(timeout=1.0, autoping=False)
        await ws.prepare(http)
        conversation = Conversation(ws, http, answers_pings=self.answers_pings)
        begun(conversation)
        try:
            await script(conversation)
        except (EOFError, ConnectionError):
            pass  # The client went away: the end of every script.
        finally:
            conversation.closed.set()
        return ws

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get(self._path, self._serve)
        self._runner = _LoopbackRunner(app)
        await self._runner.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


class ScriptedServer(LoopbackServer):
    """A WebSocket server; each connection plays the next script, then :func:`speak`."""

    def __init__(self) -> None:
        super().__init__("/ws/tts")
        self.scripts: deque[Script] = deque()
        self.conversations: list[Conversation] = []
        self.peak = 0  # Most connections that were ever open at once.
        self.away = False  # Whether every handshake is refused,
        self.refusal: tuple[int, dict[str, str]] = (503, {})  # and with which status and headers.
        self.refused = 0
        # Handshakes that wait for an answer; None where none has to.
        self._held: deque[asyncio.Event] | None = None

    @property
    def url(self) -> str:
        return self.address

    @property
    def texts(self) -> list[str]:
        """Texts of all requests, in order of their connections."""
        return [text for conversation in self.conversations for text in conversation.texts]

    @property
    def open_connections(self) -> int:
        return sum(not conversation.closed.is_set() for conversation in self.conversations)

    @property
    def held(self) -> int:
        """How many handshakes wait for an answer."""
        return len(self._held or ())

    def hold(self) -> None:
        """Let handshakes wait from now on."""
        self._held = deque()

    def answer_first(self) -> None:
        """Answer the handshake that has waited longest."""
        assert self._held
        self._held.popleft().set()

    def answer_all(self) -> None:
        """Answer all handshakes that wait, and those to come."""
        while self._held:
            self.answer_first()
        self._held = None

    async def all_closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            for conversation in self.conversations:
                await conversation.closed.wait()

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        if self._held is not None:
            answered = asyncio.Event()
            self._held.append(answered)
            await answered.wait()
        if self.away:
            self.refused += 1
            status, headers = self.refusal
            return web.Response(status=status, headers=headers)
        return await self._converse(http, self._play_next, self._note)

    def _note(self, conversation: Conversation) -> None:
        self.conversations.append(conversation)
        self.peak = max(self.peak, self.open_connections)

    async def _play_next(self, conversation: Conversation) -> None:
        await (self.scripts.popleft() if self.scripts else speak)(conversation)

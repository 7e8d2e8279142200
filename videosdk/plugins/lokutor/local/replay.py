"""A server that answers as another one has: what was recorded is what it says.

A client need not ask for the same. The nearest request that was recorded is answered then, so that a fault
that was seen once can be had again with any text.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar

from aiohttp import web

from .._wire.protocol import API_KEY_HEADER, SpeechRequest
from .._wire.recording import RIGHT_KEY, Answered, Exchange, Handshake, Recording
from ._limits import Account
from .engine import Speech, SynthesisError
from .server import ConnectionRecord, LocalServer

T = TypeVar("T")

_OK, _SWITCHING = 200, 101
_ABNORMAL = 1006
"""Close code of a connection that was cut: no close frame can hold it."""


class ReplayServer(LocalServer):
    """Plays a recording.

    Args:
        recording: What is answered.
        options: As for :class:`LocalServer`.
    """

    def __init__(self, recording: Recording, **options: Any) -> None:
        super().__init__(_NoVoice(), **options)
        self._recording = recording
        self._finished = [exchange for exchange in recording.exchanges if _is_finished(exchange)]
        self._same: dict[str, list[Exchange]] = {}
        """What each request was answered with, by its meaning."""
        for exchange in recording.exchanges:
            self._same.setdefault(exchange.meaning, []).append(exchange)
        self._turns: Counter[object] = Counter()

    def _routes(self) -> dict[str, Any]:
        return {
            path: answered.body for path, answered in self._recording.routes.items() if answered.status == _OK
        }

    def _refuse(self, http: web.Request) -> web.Response | None:
        answered = self._recorded_for(http)
        if answered.accepted:
            return None
        return web.json_response(answered.body, status=answered.status)

    def _recorded_for(self, http: web.Request) -> Answered:
        """Return what the next handshake of this kind was answered with."""
        in_url = http.query.get("api_key", "")
        key = in_url or http.headers.get(API_KEY_HEADER, "")
        if key and key not in self._recording.wrong_keys:
            refusal = super()._refuse(http)  # A key of this server's own, if it has one.
            if refusal is not None:
                return Answered(refusal.status)
            key = RIGHT_KEY
        kind = Handshake(http.path, key, bool(in_url))
        known = self._recording.handshakes.get(kind)
        return self._next(kind, known) if known else Answered(_SWITCHING)

    async def _speak_all(
        self,
        ws: web.WebSocketResponse,
        record: ConnectionRecord,
        queue: asyncio.Queue[str | bytes],
        account: Account,
    ) -> None:
        while True:
            message = await queue.get()
            exchange = self._exchange_for(message if isinstance(message, str) else "")
            await self._play(ws, exchange)
            if exchange.close_code is not None:
                await self._close_as(ws, exchange.close_code)
                return

    def _exchange_for(self, request: str) -> Exchange:
        """Return what the same request was answered with, in its turn; else what the nearest was."""
        asked = Exchange(request)
        meaning, wanted = asked.meaning, asked.text
        same = self._same.get(meaning, [])
        if self._turns[meaning] < len(same):
            return self._next(meaning, same)
        alike = [exchange for exchange in self._finished if exchange.text == wanted]
        if alike:
            return self._next(("again", wanted), alike)
        if self._finished:
            return min(self._finished, key=lambda exchange: abs(len(exchange.text) - len(wanted)))
        return Exchange(request, close_code=_ABNORMAL)

    def _next(self, kind: object, recorded: Sequence[T]) -> T:
        place = min(self._turns[kind], len(recorded) - 1)
        self._turns[kind] += 1
        return recorded[place]

    async def _play(self, ws: web.WebSocketResponse, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for at, message in exchange.came:
            await asyncio.sleep(max(begun + at - loop.time(), 0.0))
            await self._send(ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        if exchange.close_code is not None:
            await asyncio.sleep(max(begun + exchange.closed_at - loop.time(), 0.0))

    async def _close_as(self, ws: web.WebSocketResponse, code: int) -> None:
        transport = self._sockets.get(ws)
        if code == _ABNORMAL and transport is not None:
            transport.abort()
        else:
            await ws.close(code=code)


class _NoVoice:
    """Stands where another server has its voice."""

    async def start(self) -> None:
        """Do nothing: there is nothing to get ready."""

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        """Refuse: nothing is spoken that was not recorded."""
        raise SynthesisError("a recording has no voice")
        yield


def _is_finished(exchange: Exchange) -> bool:
    return any(isinstance(message, bytes) for _, message in exchange.came) and bool(exchange.text)

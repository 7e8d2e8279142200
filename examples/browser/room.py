"""Serves the page, and connects the browser that opens it. Only for this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from .call import Call, listen_on

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
FILES = {"/": "index.html", **{f"/{file.name}": file.name for file in PAGE.glob("*.*")}}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HOST = "127.0.0.1"
NO_OFFER = "This is not an offer."
LONGEST_OFFER = 64 * 1024
"""Bytes; a browser's offer has 4 to 8 kB."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Room:
    """A place for one caller: who joins takes the place of the caller before.

    Use it as ``async with Room(hold_call) as room: ... room.url``.

    Args:
        hold_call: Holds a call, until the caller leaves or it is cancelled.
        port: Port to listen on; 0 picks a free one.
        all_addresses: Offer all of this machine's addresses for the media, for browsers that refuse
            127.0.0.1. The page stays there.

    Raises:
        OSError: The port isn't free.
    """

    def __init__(
        self, hold_call: Callable[[Call], Awaitable[None]], port: int = 0, *, all_addresses: bool = False
    ) -> None:
        listen_on(all_addresses=all_addresses)
        self._hold_call = hold_call
        self._wanted_port = port
        self._joining = asyncio.Lock()
        self._call: Call | None = None
        self._holding: asyncio.Task[None] | None = None
        app = web.Application(middlewares=[self._admit], client_max_size=LONGEST_OFFER)
        app.on_response_prepare.append(_add_headers)  # Of errors, too.
        for path, file in FILES.items():
            app.router.add_get(path, _file_handler(PAGE / file))
        app.router.add_post("/call", self._join)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{HOST}:{self.port}/"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._wanted_port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._joining:
            await self._hang_up()
        await self._runner.cleanup()

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn away what isn't the page: any page in a browser can send requests to this machine.

        A foreign page shows by its ``Origin``, and one whose domain points here by its ``Host``.
        """
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        host, origins = request.host.lower(), request.headers.getall("Origin", [])
        if host not in hosts or any(origin.lower() != f"http://{host}" for origin in origins):
            raise web.HTTPForbidden(text="This address is for the page of the example only.")
        return await handler(request)

    async def _join(self, request: web.Request) -> web.Response:
        # Another page could send a form here, but JSON only with leave.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Send the offer as JSON.")
        try:
            offer = await request.json()
        except (ValueError, RecursionError):
            offer = None
        if not isinstance(offer, dict) or not isinstance(offer.get("sdp"), str):
            raise web.HTTPBadRequest(text=NO_OFFER)
        async with self._joining:
            call = Call()
            try:
                answer = await call.answer(offer["sdp"])
            except ValueError as error:  # Whoever is in the room stays there.
                await call.close()
                raise web.HTTPBadRequest(text=NO_OFFER) from error
            except BaseException:
                await call.close()
                raise
            if self._call is not None:
                await self._call.say_last({"type": "taken", "at": 0})
            await self._hang_up()
            self._call, self._holding = call, asyncio.create_task(self._hold(call))
        return web.json_response({"type": "answer", "sdp": answer})

    async def _hold(self, call: Call) -> None:
        try:
            await self._hold_call(call)
        except Exception:
            logger.exception("The call has failed")
        finally:
            if self._call is call:
                self._call = None
            await call.close()

    async def _hang_up(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.wait({self._holding})
            self._call = self._holding = None


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _file_handler(file: Path) -> Handler:
    async def send(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return send

"""VideoSDK's registry as a worker sees it: it registers workers, and hands out jobs."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from aiohttp import WSMsgType, web

from kit.certificates import server_context
from kit.waits import PATIENCE


class Registry:
    """A registry on loopback, for one worker.

    Attributes:
        registered: Set while the worker is.
        gone: Set when the worker has left.
    """

    def __init__(self) -> None:
        self.registered = asyncio.Event()
        self.gone = asyncio.Event()
        self._messages: list[dict[str, Any]] = []
        self._more = asyncio.Condition()
        self._ws: web.WebSocketResponse | None = None
        self._runner: web.AppRunner | None = None

    @property
    def host(self) -> str:
        """Host and port, where the framework expects ``api.videosdk.live``."""
        assert self._runner is not None
        return f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v2/agent/init-config", self._tell_address)
        app.router.add_get("/registry/agent", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=server_context()).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _tell_address(self, _: web.Request) -> web.Response:
        return web.json_response({"success": True, "data": {"registryUrl": f"wss://{self.host}/registry"}})

    async def _serve(self, http: web.Request) -> web.WebSocketResponse:
        self._ws = ws = web.WebSocketResponse()
        await ws.prepare(http)
        await ws.receive_json()
        await ws.send_json({"type": "register", "success": True, "worker_id": "worker-1"})
        self.registered.set()
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                async with self._more:
                    self._messages.append(message.json())
                    self._more.notify_all()
        self.gone.set()
        return ws

    async def send(self, **message: Any) -> None:
        """Send a message to the worker."""
        assert self._ws is not None
        await self._ws.send_json(message)

    async def assign(self, job: str, **metadata: Any) -> None:
        """Hand out a job."""
        await self.send(type="job_assignment", job_id=job, room_id="room", token="token", metadata=metadata)

    async def told(self, **wanted: Any) -> dict[str, Any]:
        """Return the worker's first message that has these fields, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self._messages if wanted.items() <= each.items()]

        async with asyncio.timeout(PATIENCE), self._more:
            return (await self._more.wait_for(found))[0]

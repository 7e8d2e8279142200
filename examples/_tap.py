"""Shows each text as it leaves for Lokutor."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


@asynccontextmanager
async def tapped_session(on_text: Callable[[str], None]) -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP session whose WebSockets show each text as it leaves."""

    class TappedWebSocket(aiohttp.ClientWebSocketResponse):
        async def send_str(self, data: str, *args: Any, **kwargs: Any) -> None:
            on_text(json.loads(data)["text"])
            await super().send_str(data, *args, **kwargs)

    async with aiohttp.ClientSession(ws_response_class=TappedWebSocket) as session:
        yield session

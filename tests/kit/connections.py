"""What opens the plugin's connections, without a plugin around it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from kit.server import ScriptedServer
from kit.waits import PATIENCE
from videosdk.plugins.lokutor._wire.connector import Connector, ConnectorSettings
from videosdk.plugins.lokutor._wire.endpoint import Endpoint, parse_base_url


@asynccontextmanager
async def leaving_nothing() -> AsyncIterator[None]:
    """Nothing of the plugin that began in here may be left afterwards."""
    before = asyncio.all_tasks()
    yield
    names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks() - before}
    assert not [
        name for name in names if "lokutor" in name.lower() or name.startswith(("Utterance", "Connection"))
    ]
    gc.collect()  # So that an unclosed socket or an unread exception warns in the test that caused it.


@asynccontextmanager
async def connecting_to(
    server: ScriptedServer, session: aiohttp.ClientSession | None = None, heartbeat: float | None = 20.0
) -> AsyncIterator[Connector]:
    """Yield a connector of this loop, as a plugin has one."""
    endpoint = Endpoint(parse_base_url(server.url, allow_insecure=False), "test-key")
    settings = ConnectorSettings(endpoint, connect_timeout=PATIENCE, heartbeat=heartbeat, session=session)
    async with leaving_nothing():
        connector = Connector(settings, active=False)
        try:
            yield connector
        finally:
            await connector.close()

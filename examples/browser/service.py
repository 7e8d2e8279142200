"""Where the voice comes from: Lokutor's service, or the local server, which the page can stop and start."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

from _ports import keep_port

from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer

LOCAL_CONNECT_TIMEOUT = 2.0
"""Seconds of an outage of the local server after which a reply fails."""


class Service:
    """Lokutor's service with your key, or the local server without one.

    Args:
        api_key: The key of the service; empty for the local server.
    """

    def __init__(self, api_key: str = "") -> None:
        self._api_key = api_key
        self.server: LocalServer | None = None
        """The local server, once it was started."""
        self._running = False
        self._port, self._url = 0, ""
        self._kept: socket.socket | None = None  # The port, while nobody listens on it.

    @property
    def is_local(self) -> bool:
        """Whether the local server speaks."""
        return not self._api_key

    @property
    def is_up(self) -> bool:
        """Whether there is anyone who could speak; of the service this isn't known."""
        return self._running or not self.is_local

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of ``LokutorTTS`` for it."""
        if not self.is_local:
            return {"api_key": self._api_key}
        # A server on this machine accepts at once, if it runs: nobody has to wait for an outage to end.
        return {"api_key": "local", "base_url": self._url, "connect_timeout": LOCAL_CONNECT_TIMEOUT}

    async def start(self) -> None:
        """Start the local server, on the same port each time. Idempotent.

        Raises:
            OSError: Another program has taken the port.
        """
        if not self.is_local or self._running:
            return
        # Like the service: the first audio takes a moment, the rest comes several times faster than it plays.
        self.server = LocalServer(EspeakEngine(), port=self._port, first_audio_delay=0.06, pace=4.0)
        self._release_port()
        await self.server.start()
        self._port, self._url = self.server.port, self.server.url
        self._running = True

    async def stop(self) -> None:
        """Stop the local server, as an outage does. Idempotent."""
        if self.server is not None and self._running:
            self._running = False
            await self.server.close()
            self._kept = keep_port(self._port)

    def _release_port(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._release_port()

"""The stage of one row: a plugin that speaks one turn under a fault, and what came of it.

Between the plugin and a healthy :class:`~kit.server.ScriptedServer` stands a :class:`~kit.proxy.FaultProxy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from kit import PATIENCE, Lateness, Script, ScriptedServer, until
from kit.certificates import client_context, server_context
from kit.proxy import FaultProxy, Play
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from faults.plays import Moment
from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import (
    LokutorError,
)
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

TEXT = "A reply that is to be heard once, and whole."
NEXT_TEXT = "The turn after it."


class Outcome(Enum):
    """How a fault ends: what is heard, and what the developer sees."""

    IGNORED = ("The whole reply", "Nothing")
    HEALED = (
        "The whole reply, once, after a pause at most",
        "`retries` in the metrics",
    )
    SILENT = ("Nothing; the turn ends at once", "Nothing")
    RAISED = (
        "Nothing; with `FallbackTTS` the whole reply, in another voice",
        "{errors}: emitted, and raised before any text is taken",
    )
    REPORTED = (
        "What came before it; the turn ends at once",
        "{errors}: emitted",
    )
    PASSED_ON = (
        "All text that came before it",
        "{errors}, as it is, out of `synthesize()`",
    )
    STOPPED = ("Nothing from the interruption on", "`interrupted` in the metrics")

    @property
    def heard(self) -> str:
        return self.value[0]

    @property
    def seen(self) -> str:
        return self.value[1]


class MineError(Exception):
    """What the application's own code raises in these tests."""


@dataclass
class Turn:
    """What one turn is made of, and what came of it."""

    stage: Stage
    tts: LokutorTTS
    text: Any = TEXT
    drive: Callable[[Turn], Awaitable[None]] | None = None
    first_audio: Callable[[], None] = lambda: None
    listener: Callable[[LokutorError], None] = lambda _: None
    order: list[str] = field(default_factory=list)
    emitted: list[LokutorError] = field(default_factory=list)
    metrics: list[SynthesisMetrics] = field(default_factory=list)
    streamed: bytearray = field(default_factory=bytearray)
    raised: BaseException | None = None
    seconds: float = 0.0
    late: float = 0.0

    async def speak(self) -> None:
        """Speak, and note what happens in which order."""
        self._listen()
        loop = asyncio.get_running_loop()
        begun, lateness = loop.time(), Lateness()
        try:
            async with asyncio.timeout(PATIENCE):
                await (self.drive or _synthesize)(self)
            self.order.append("returned")
        except (LokutorError, MineError, TypeError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.raised = error
            self.order.append("raised")
        finally:
            lateness.stop()
            self.seconds, self.late = loop.time() - begun, lateness.total

    def _listen(self) -> None:
        async def on_first_audio() -> None:
            self.order.append("first audio")
            self.first_audio()

        def on_error(error: LokutorError) -> None:
            self.order.append("error")
            self.emitted.append(error)
            self.listener(error)

        def on_metrics(metrics: SynthesisMetrics) -> None:
            self.order.append("metrics")
            self.metrics.append(metrics)

        self.tts.on_first_audio_byte(on_first_audio)
        self.tts.on("error", on_error)
        self.tts.on("metrics", on_metrics)  # type: ignore[arg-type]


async def _synthesize(turn: Turn) -> None:
    await turn.tts.synthesize(turn.text)


Arrange = Callable[[Turn], None]


@dataclass(frozen=True)
class Row:
    """One fault at one moment, and the promise for it.

    Attributes:
        line: Which line of the reliability table it belongs to.
        name: What goes wrong, as the test's name.
        moment: When.
        outcome: How it ends.
        link: What the proxy does to a connection.
        script: What the server does on a connection.
        times: How many connections meet the fault, one after another.
        error: What is emitted or raised.
        code: The error's code.
        status: The error's status.
        retryable: The error's own word on trying again.
        heard: Bytes of the service's audio that are heard of a reply that isn't whole; None: any.
        options: Options of the plugin.
        within: Seconds that the turn may take, where the event loop is never late.
        at_least: Seconds that the turn must take.
        tries: How many connections the fault must see; None: not counted.
        warm: Whether the connection is opened ahead of the turn.
        arrange: Changes the turn before it begins.
        host: What else is special about the way to the service: ``refused``, ``unresolved``, ``nameless``,
            ``tls``, ``untrusted``, ``plain`` (TLS is expected, the proxy speaks none), ``proxied`` (the
            environment names the proxy), ``own`` or ``strict`` (the application's own session, which may
            raise for each status).
    """

    line: str
    name: str
    moment: Moment
    outcome: Outcome
    link: Play | None = None
    script: Script | None = None
    times: int = 1
    error: type[BaseException] | None = None
    code: str | None = None
    status: int | None = None
    retryable: bool = False
    heard: int | None = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    within: float = PATIENCE
    at_least: float = 0.0
    tries: int | None = None
    warm: bool = False
    arrange: Arrange | None = None
    host: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.moment.value}".replace(" ", "_")


class Stage:
    """A healthy server, the proxy before it, and a plugin that speaks through both under ``row``."""

    def __init__(self, row: Row, api_key: str = "test-key") -> None:
        self.row = row
        self.server = ScriptedServer()
        tls = server_context() if row.host in {"tls", "untrusted"} else None
        self.proxy = FaultProxy(self.server, tls)
        self.elsewhere = FaultProxy(self.server)  # Records who else is called.
        self.resolver = _Resolver()
        self._api_key = api_key
        self._prewarmed = False
        self._session: aiohttp.ClientSession | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for part in (self.server, self.proxy, self.elsewhere):
            await self._stack.enter_async_context(part)
        self.proxy.elsewhere = f"http://localhost:{self.elsewhere.port}/ws/tts"
        if self.row.host == "proxied":
            named = {"HTTP_PROXY": f"http://127.0.0.1:{self.proxy.port}"}
            self._stack.enter_context(mock.patch.dict(os.environ, named))
        if self.row.host in {"tls", "own", "strict", "unresolved"}:
            self._session = await self._stack.enter_async_context(self._own_session())
        options = {"allow_insecure": self.row.host == "proxied", **self.row.options}
        self.tts = LokutorTTS(api_key=self._api_key, base_url=self.url, session=self._session, **options)
        self._stack.push_async_callback(self.tts.aclose)
        self.tts.audio_track = self.new_track()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where the plugin believes the service to be."""
        if self.row.host == "nameless":
            return "wss://tts.invalid"
        if self.row.host == "proxied":
            return "ws://tts.invalid"
        scheme = "wss" if self.row.host in {"tls", "untrusted", "plain"} else "ws"
        host = "tts.localhost" if self.row.host == "unresolved" else "127.0.0.1"
        return f"{scheme}://{host}:{self.proxy.port}"

    @property
    def is_quiet_between_turns(self) -> bool:
        """Whether nothing is meant to be open between two turns."""
        return not self._prewarmed and self._session is None

    def new_track(self) -> CustomAudioStreamTrack:
        """Return an empty track, and let the plugin speak on it."""
        track = CustomAudioStreamTrack(asyncio.get_running_loop())
        if hasattr(self, "tts"):
            self.tts.audio_track = track
        return track

    async def break_down(self) -> None:
        """Let the fault be there."""
        row = self.row
        if row.link is not None:
            self.proxy.faults.extend([row.link] * row.times)
        if row.script is not None:
            self.server.scripts.extend([row.script] * row.times)
        if row.host == "unresolved":
            self.resolver.failures = row.times
        if row.host == "refused":
            await self.proxy.refuse()
        if row.warm:
            await self.prewarm()

    async def prewarm(self) -> None:
        """Let the plugin keep a socket open from now on."""
        self._prewarmed = True
        await self.tts.prewarm()

    async def repair(self) -> None:
        """Let the fault be over. One that lies in the address itself stays."""
        self.proxy.faults.clear()
        self.server.scripts.clear()
        self.resolver.failures = 0
        if not self.proxy.listening:
            await self.proxy.listen()

    async def speak(self) -> Turn:
        """Speak one turn while the fault is there."""
        turn = Turn(self, self.tts)
        if self.row.arrange is not None:
            self.row.arrange(turn)
        await turn.speak()
        return turn

    async def close(self) -> None:
        """Close the plugin and what the application has given it, and wait until nothing is open."""
        await self.tts.aclose()
        if self._session is not None:
            await self._session.close()  # It keeps refused connections alive, for its other users.
        await self.all_closed()

    async def all_closed(self) -> None:
        """Wait until nothing of the plugin is open, on the other side either."""
        await self.proxy.all_closed()
        await self.server.all_closed()
        await until(lambda: not plugin_tasks())

    def _own_session(self) -> aiohttp.ClientSession:
        trust = client_context() if self.row.host == "tls" else True
        connector = aiohttp.TCPConnector(ssl=trust, resolver=self.resolver, use_dns_cache=False)
        return aiohttp.ClientSession(connector=connector, raise_for_status=self.row.host == "strict")


class _Resolver(AbstractResolver):
    """Knows every host as this machine, after ``failures`` times of knowing none."""

    def __init__(self) -> None:
        self.failures = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self.failures:
            self.failures -= 1
            raise OSError(None, "no such host")
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def plugin_tasks() -> list[asyncio.Task[Any]]:
    """Return the running tasks whose code is the plugin's or aiohttp's client's."""
    return [task for task in asyncio.all_tasks() if _is_plugins(task)]


def _is_plugins(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = "" if code is None else Path(code.co_filename).as_posix()
    return "videosdk/plugins/lokutor" in file or "aiohttp/client" in file

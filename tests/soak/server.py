"""The faulty server: what it does to each call, each handshake and each connection."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web
from kit import (
    Conversation,
    LoopbackServer,
)
from kit.endings import (
    Ending,
    break_frame,
    closing_with,
    freeze,
    hang_up,
    only_ping,
    reset,
    saying,
    send_no_utf8,
    write_raw,
)

from soak.speech import speech, visemes


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a request once ``share`` of its audio was sent."""

    kind: str
    share: float


@dataclass(slots=True)
class Plan:
    """How the server treats one call: a fault for each try, then it speaks in its ``manner``."""

    faults: deque[Fault] = field(default_factory=deque)
    manner: str = "plain"
    piece: int = 4_096


REQUEST_FAULTS: dict[str, Ending] = {
    **{f"close {code}": closing_with(code) for code in (1000, 1001, 1009, 1011, 1013)},
    "reset": reset,
    "fin": hang_up,
    "cut in mid-frame": break_frame,
    "no UTF-8": send_no_utf8,
    "ERR:": saying("ERR: busy"),
    "error internal": saying('{"type":"error","code":"internal.error","message":"x"}'),
    "error unknown": saying('{"type":"error","data":{"code":"new.code","message":"x"}}'),
    "error rate limit": saying('{"type":"error","code":"auth.rate_limited"}'),
    "silence": Conversation.gone,
    "only pings": only_ping,
    "freeze": freeze,
    "mute": saying("EOS"),
}
SLOW_FAULTS = ("silence", "only pings", "freeze")
DOOR_FAULTS = ("408", "429", "500", "503", "door reset", "door fin", "door garbage")
IDLE_FAULTS = ("idle close", "idle reset", "idle fin", "idle freeze")


class FaultyServer(LoopbackServer):
    """Speaks known audio, and does to each call and each connection what it was told to.

    Attributes:
        plans: What happens to a call; the key is its voice, which travels in each request.
        doors: What happens to the next handshakes of a plugin; the key is the path that it uses.
        idles: What happens to the next connections of a plugin while they have no request.
        faults: How often each fault happened.
        open: The connections that are open.
        spoiled: How many more samples are to be wrong, to prove that it is noticed.
    """

    def __init__(self) -> None:
        super().__init__("/{plugin}")
        self.plans: dict[str, Plan] = {}
        self.doors: dict[str, deque[str]] = {}
        self.idles: dict[str, deque[str]] = {}
        self.faults: Counter[str] = Counter()
        self.open: set[Conversation] = set()
        self.spoiled = 0

    def url(self, plugin: str) -> str:
        return f"{self.address}/{plugin}"

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        plugin = http.match_info["plugin"]
        doors = self.doors.get(plugin)
        if doors:
            return await self._refuse(http, doors.popleft())
        return await self._converse(http, partial(self._play, self.idles.get(plugin)), self.open.add)

    async def _refuse(self, http: web.Request, fault: str) -> web.StreamResponse:
        self.faults[fault] += 1
        conversation = Conversation(web.WebSocketResponse(), http)
        if fault.isdigit():
            return web.Response(status=int(fault), headers={"Retry-After": "0"})
        if fault == "door garbage":
            write_raw(conversation, b"\x00\x01 what?\r\n\r\n")
        if fault == "door reset":
            await reset(conversation)
        else:
            await hang_up(conversation)
        return web.Response()

    async def _play(self, idles: deque[str] | None, conversation: Conversation) -> None:
        """Play the script of every connection here."""
        try:
            if idles:
                request = await self._wait_badly(conversation, idles.popleft())
            else:
                request = await conversation.request()
            while True:
                await self._answer(conversation, request)
                request = await conversation.request()
        finally:
            self.open.discard(conversation)

    async def _wait_badly(self, conversation: Conversation, fault: str) -> dict[str, Any]:
        """Return the first request if it comes soon; otherwise end the connection."""
        if fault == "idle freeze":
            self.faults[fault] += 1
            await freeze(conversation)
            raise EOFError
        try:
            async with asyncio.timeout(0.03):
                return await conversation.request()
        except TimeoutError:
            self.faults[fault] += 1
        if fault == "idle close":
            await conversation.ws.close(code=1001)
        elif fault == "idle reset":
            await reset(conversation)
        else:
            await hang_up(conversation)
        raise EOFError

    async def _answer(self, conversation: Conversation, request: dict[str, Any]) -> None:
        plan = self.plans.get(request["voice"]) or Plan()
        pcm = speech(request["text"])
        if self.spoiled:
            self.spoiled -= 1
            pcm = bytes(2) + pcm
        if request["visemes"]:
            await conversation.text(visemes(request["text"]))
        if not plan.faults:
            await speak(conversation, pcm, plan)
            return
        fault = plan.faults.popleft()
        self.faults[fault.kind] += 1
        await conversation.audio(pcm[: int(len(pcm) * fault.share)], plan.piece)
        await REQUEST_FAULTS[fault.kind](conversation)
        raise EOFError


async def speak(conversation: Conversation, pcm: bytes, plan: Plan) -> None:
    """Answer one request, whole, in one of the manners that a client must understand."""
    match plan.manner:
        case "base64":
            await conversation.text(json.dumps({"type": "audio", "data": base64.b64encode(pcm).decode()}))
            await conversation.text('{"type":"eos"}')
            return
        case "chatty":
            await conversation.text('[{"v":0,"c":"a","t":0.0}]')
            await conversation.text('{"type":"timing","ttfb_ms":1}')
            await conversation.ws.ping()
            await conversation.ws.send_bytes(b"")
        case "slow":
            await asyncio.sleep(0.05)
            await conversation.audio(pcm[:5_001], plan.piece)
            await asyncio.sleep(0.05)
            pcm = pcm[5_001:]
    await conversation.audio(pcm, plan.piece)
    await conversation.text(" EOS \r\n")

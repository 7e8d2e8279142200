"""Endings: what a service does to a connection instead of going on. The faults and the soak share them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from kit.server import Conversation

Ending = Callable[[Conversation], Awaitable[object]]

NO_UTF8 = b"\x81\x02\xff\xfe"
"""A WebSocket frame of text that isn't UTF-8."""


def closing_with(code: int) -> Ending:
    async def act(conversation: Conversation) -> None:
        await conversation.ws.close(code=code)

    return act


def saying(message: str | bytes) -> Ending:
    """Return an ending that sends ``message``, and then nothing more."""

    async def act(conversation: Conversation) -> None:
        if isinstance(message, str):
            await conversation.text(message)
        else:
            await conversation.ws.send_bytes(message)
        await conversation.gone()

    return act


async def reset(conversation: Conversation) -> None:
    """End the connection with RST instead of FIN."""
    await asyncio.sleep(0.005)  # So that the audio leaves before the reset overtakes it.
    transport = conversation.http.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def hang_up(conversation: Conversation) -> None:
    """End the connection with FIN and without a close frame."""
    if conversation.http.transport is not None:
        conversation.http.transport.close()


async def break_frame(conversation: Conversation) -> None:
    """Hang up in the middle of a frame: after 100 of its 4 096 bytes."""
    write_raw(conversation, b"\x82\x7e\x10\x00" + bytes(100))
    await hang_up(conversation)


async def send_no_utf8(conversation: Conversation) -> None:
    write_raw(conversation, NO_UTF8)
    await conversation.gone()


async def only_ping(conversation: Conversation) -> None:
    async def ping() -> None:
        while True:
            await conversation.ws.ping()
            await asyncio.sleep(0.05)

    pings = asyncio.create_task(ping())
    try:
        await conversation.gone()
    finally:
        pings.cancel()
        await asyncio.wait({pings})
        if not pings.cancelled():
            pings.exception()  # Read it: the client may be gone for a ping first.


async def freeze(conversation: Conversation) -> None:
    """Read and answer nothing, pings included, until the client is gone."""
    while conversation.http.transport is not None:  # noqa: ASYNC110 - its end notifies nobody
        await asyncio.sleep(0.02)


def write_raw(conversation: Conversation, data: bytes) -> None:
    if conversation.http.transport is not None:
        conversation.http.transport.write(data)

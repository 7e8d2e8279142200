"""Plays: what the proxy does to one connection."""

from __future__ import annotations

from enum import Enum

from kit.proxy import Link, Play


class Moment(Enum):
    """When it goes wrong."""

    DNS = "name lookup"
    TCP = "connecting"
    TLS = "TLS handshake"
    UPGRADE = "upgrade"
    BEFORE_AUDIO = "before the first audio"
    MID_AUDIO = "in the middle of the audio"
    AFTER_AUDIO = "after the audio, before its EOS"
    BETWEEN = "between requests"
    WAITING = "while the socket waits"
    YOURS = "in the application's own code"


_MIDDLE = 30_000
"""Bytes after which a connection is cut in mid-audio: inside of a WebSocket frame."""
_TWO_FRAMES = 9_000
"""Bytes of the first two messages with audio, and a little more."""


def at(moment: Moment, ending: Play) -> Play:
    """Return a play that goes well up to ``moment`` and then ends like ``ending``."""

    async def play(link: Link) -> None:
        match moment:
            case Moment.TLS:
                await link.reader.read(1)
            case Moment.UPGRADE:
                await link.read_head()
            case Moment.BEFORE_AUDIO:
                await link.shake_hands()
                await link.pass_request()
            case Moment.MID_AUDIO:
                await link.shake_hands()
                await link.pump(_MIDDLE)
            case Moment.WAITING:
                await link.shake_hands()
            case _:
                pass
        await ending(link)

    return play


def answering(status: str, headers: str = "", body: str = "") -> Play:
    """Return a play that answers the handshake with plain HTTP."""

    async def play(link: Link) -> None:
        await link.read_head()
        where = headers.replace("{elsewhere}", link.proxy.elsewhere)
        answer = f"HTTP/1.1 {status}\r\n{where}Content-Length: {len(body)}\r\n\r\n{body}"
        await link.send(answer.encode())
        await link.swallow()

    return play


def saying(data: bytes) -> Play:
    """Return a play that answers the handshake with ``data``."""

    async def play(link: Link) -> None:
        await link.read_head()
        await link.send(data)

    return play


def injecting(frame: bytes) -> Play:
    """Return a play in which ``frame``, raw, precedes the server's first answer."""

    async def play(link: Link) -> None:
        await link.shake_hands()
        await link.pass_request()
        await link.send(frame)
        await link.pump()

    return play


async def drip(link: Link) -> None:
    """Bring the handshake and the first frames one byte at a time, and the rest as it comes."""
    await link.shake_hands(1)
    await link.pump(_TWO_FRAMES, size=1)  # More would take a busy machine as long as a service that hangs.
    await link.pump()

"""Scripts: what the server does on one connection."""

from __future__ import annotations

import asyncio

import numpy as np
from kit import Conversation, Script, speech_of
from kit.endings import Ending, closing_with, only_ping, saying


def after(size: int, ending: Ending) -> Script:
    """Return a script that sends ``size`` bytes of audio, and then ends like ``ending``."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:size])
        await ending(conversation)

    return script


def closing(code: int, size: int = 0) -> Script:
    """Return a script that closes with ``code`` after ``size`` bytes of audio, without ``EOS``."""
    return after(size, closing_with(code))


def replying(message: str | bytes, size: int = 0) -> Script:
    """Return a script that sends ``message`` after ``size`` bytes of audio, and then nothing more."""
    return after(size, saying(message))


def pinging(size: int) -> Script:
    """Return a script that sends nothing but pings after ``size`` bytes of audio."""
    return after(size, only_ping)


def surrounding(*messages: str | bytes) -> Script:
    """Return a script that speaks with ``messages`` before, in the middle of, and after the audio."""

    async def noise(conversation: Conversation) -> None:
        for message in messages:
            if isinstance(message, str):
                await conversation.text(message)
            else:
                await conversation.ws.send_bytes(message)

    async def script(conversation: Conversation) -> None:
        await noise(conversation)
        while True:
            speech = speech_of((await conversation.request())["text"])
            await noise(conversation)
            await conversation.audio(speech[:9_999])
            await noise(conversation)
            await conversation.audio(speech[9_999:])
            await noise(conversation)
            await conversation.end()

    return script


async def out_of_order(conversation: Conversation) -> None:
    """Send timing after the audio that it is about, and audio after the end."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.text('[{"v":0,"c":"A","t":0.0}]')
    await conversation.end()
    await conversation.audio(speech_of("too late"))
    await conversation.gone()


def ending_with(message: str) -> Script:
    """Return a script that speaks and ends each request with ``message``."""

    async def script(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await conversation.audio(speech_of(request["text"]))
            await conversation.text(message)

    return script


def in_pieces(size: int, up_to: int = 3_000) -> Script:
    """Return a script that begins in messages of ``size`` bytes and goes on in messages of the usual size."""

    async def script(conversation: Conversation) -> None:
        speech = speech_of((await conversation.request())["text"])
        await conversation.audio(speech[:up_to], size)
        await conversation.audio(speech[up_to:])
        await conversation.end()
        await conversation.gone()

    return script


async def mute(conversation: Conversation) -> None:
    while True:
        await conversation.request()
        await conversation.end()


async def silent(conversation: Conversation) -> None:
    """Answer with the length of the speech, and nothing but silence."""
    while True:
        await conversation.audio(bytes(len(speech_of((await conversation.request())["text"]))))
        await conversation.end()


async def endless(conversation: Conversation) -> None:
    await conversation.request()
    while True:
        await conversation.ws.send_bytes(speech_of("x" * 50))


async def trickle(conversation: Conversation) -> None:
    """Send so little audio at a time that nothing of it is ever heard."""
    for byte in speech_of((await conversation.request())["text"]):
        await conversation.ws.send_bytes(bytes([byte]))
        await asyncio.sleep(0.02)


async def speak_silence(conversation: Conversation) -> None:
    """Send silence, at the pace at which it is played, and no end."""
    await conversation.request()
    while True:
        await conversation.ws.send_bytes(bytes(8_820))
        await asyncio.sleep(0.1)


async def speak_dither(conversation: Conversation) -> None:
    """Send what nobody hears either, at the pace at which it is played, in messages that split samples."""
    await conversation.request()
    noise = np.random.default_rng(1).integers(-20, 21, 44_100).astype("<i2").tobytes()
    while True:
        for start in range(0, len(noise), 8_821):
            await conversation.ws.send_bytes(noise[start : start + 8_821])
            await asyncio.sleep(0.1)


async def refuse_at_once(conversation: Conversation) -> None:
    """Refuse the key right after the upgrade, before there was a request."""
    await conversation.text(coded("auth.invalid_key"))
    await conversation.ws.close(code=1008)


async def close_at_once(conversation: Conversation) -> None:
    """Refuse every connection right after the upgrade."""
    await conversation.ws.close(code=1008)


async def refuse_later(conversation: Conversation) -> None:
    """Refuse the key between two requests."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.end()
    await conversation.text(coded("auth.time_limited"))
    await conversation.ws.close(code=1008)


async def with_half_a_sample(conversation: Conversation) -> None:
    """End each request in the middle of a sample."""
    while True:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]) + b"\x7f")
        await conversation.end()


async def send_one_byte(conversation: Conversation) -> None:
    """Send half a sample for a whole text."""
    await conversation.request()
    await conversation.audio(b"\x7f")
    await conversation.end()
    await conversation.gone()


def ending_twice(first: str, second: str) -> Script:
    """Return a script that speaks, and says twice that a request has ended."""

    async def script(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await conversation.audio(speech_of(request["text"]))
            await conversation.text(first)
            await conversation.text(second)

    return script


def ending_again_late(first: str, second: str) -> Script:
    """Return a script that ends each request a second time when the next one's audio has begun."""

    async def script(conversation: Conversation) -> None:
        late: str | None = None
        while True:
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech[:9_999])
            if late is not None:
                await conversation.text(late)
            await conversation.audio(speech[9_999:])
            await conversation.text(first)
            late = second

    return script


def changing_ends(first: str, second: str) -> Script:
    """Return a script that ends its first request in one way, and those that follow in another."""

    async def script(conversation: Conversation) -> None:
        end = first
        while True:
            request = await conversation.request()
            await conversation.audio(speech_of(request["text"]))
            await conversation.text(end)
            end = second

    return script


def between_requests(ending: Ending) -> Script:
    """Return a script that speaks the first request and then ends the connection."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await ending(conversation)

    return script


def coded(code: str) -> str:
    return f'{{"type":"error","data":{{"code":"{code}","message":"no"}}}}'

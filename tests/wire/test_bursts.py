"""What a listener doesn't need yet is read in bursts: fewer wake-ups, and nothing later than it may be."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

import pytest
from kit import PATIENCE, Conversation, ScriptedServer, heard_for, on_track, requests_of, speech_of, until
from kit.connections import connecting_to
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor._wire.connector import Connector
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest

Maker = Callable[..., LokutorTTS]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets audio gather in the socket")

LONG = f"A sentence {'that goes on ' * 12}to its end."


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by each beginning and end of a burst."""
    seen: list[str] = []
    gather, read_at_once = Connection.gather, Connection.read_at_once

    def gathering(connection: Connection, seconds: float) -> None:
        gather(connection, seconds)
        seen.append("gather")

    def reading(connection: Connection) -> None:
        seen.append("read")
        read_at_once(connection)

    monkeypatch.setattr(Connection, "gather", gathering)
    monkeypatch.setattr(Connection, "read_at_once", reading)
    return seen


async def test_a_listener_with_much_to_hear_is_served_in_bursts_and_hears_all(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, reads: list[str]
) -> None:
    await tts.synthesize(LONG)
    assert "gather" in reads
    assert on_track(track) == heard_for(LONG)


async def test_a_listener_with_little_to_hear_is_served_at_once(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, reads: list[str]
) -> None:
    text = "No."
    await tts.synthesize(text)
    assert "gather" not in reads
    assert on_track(track) == heard_for(text)


@pytest.mark.parametrize("idle_timeout", [0.05, 0.1, 5.0])
async def test_reading_is_delayed_by_much_less_than_a_silence_may_last(
    make_tts: Maker, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, idle_timeout: float
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(Connection, "gather", lambda _connection, seconds: delays.append(seconds))
    await make_tts(scripted.url, idle_timeout=idle_timeout).synthesize(LONG)
    assert delays
    assert max(delays) <= idle_timeout / 5


async def test_a_few_bytes_are_read_although_no_more_come(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """Less than a burst's worth stays in the socket for a moment only."""
    go_on = asyncio.Event()
    speech = speech_of(LONG)

    async def stall(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech[:100_000])
        await until(lambda: len(on_track(track)) > 40_000)
        await conversation.audio(speech[100_000:110_000])
        await go_on.wait()
        await conversation.audio(speech[110_000:])
        await conversation.end()

    scripted.scripts.append(stall)
    task = asyncio.create_task(tts.synthesize(LONG))
    await until(lambda: len(on_track(track)) > 0.95 * 110_000 / 44_100 * 24_000)
    go_on.set()
    await task
    assert on_track(track) == heard_for(LONG)


async def test_a_connection_that_is_lost_in_a_burst_is_noticed(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    speech = speech_of(LONG)

    async def cut(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.audio(speech[:100_000])
        await until(lambda: len(on_track(track)) > 40_000)
        conversation.abort()

    scripted.scripts.append(cut)
    await tts.synthesize(LONG)
    assert scripted.texts == [LONG, LONG]
    assert on_track(track) == heard_for(LONG)


async def test_the_next_request_is_answered_without_a_burst(
    make_tts: Maker, scripted: ScriptedServer, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Connection.send

    async def sending(connection: Connection, request: SpeechRequest) -> None:
        reads.append("send")
        await send(connection, request)

    monkeypatch.setattr(Connection, "send", sending)
    await make_tts(scripted.url, pacing=False).synthesize(requests_of(LONG, LONG))
    first, second = (place for place, what in enumerate(reads) if what == "send")
    assert "gather" in reads[first:second]
    assert reads[first + 1] == reads[second + 1] == "read"


async def test_a_closed_connection_gathers_nothing(connector: Connector, scripted: ScriptedServer) -> None:
    connection = await connector.connect_stream(False, PATIENCE)
    connection.gather(1.0)
    assert connection._burst is not None
    connection.drop()
    assert connection._burst is None
    connection.gather(1.0)
    assert connection._burst is None


async def test_a_burst_ends_although_no_descriptor_is_left(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends it must not need another handle on the socket: there may be none."""
    exhausted = False
    duplicate = Connection._duplicate

    def scarce(connection: Connection) -> socket.socket | None:
        nonlocal exhausted
        if exhausted:
            return None
        exhausted = True
        return duplicate(connection)

    async def in_time(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.audio(speech_of(text))
        await conversation.end()
        await conversation.gone()

    monkeypatch.setattr(Connection, "_duplicate", scarce)
    scripted.scripts.append(in_time)
    await tts.synthesize(LONG)
    assert exhausted
    assert scripted.texts == [LONG]  # No time-out has asked for it again.
    assert on_track(track) == heard_for(LONG)


@pytest.mark.parametrize(("heartbeat", "longest"), [(None, 0.1), (20.0, 0.1), (0.2, 0.04)])
async def test_pongs_do_not_wait_for_longer_than_the_heartbeat_allows(
    scripted: ScriptedServer, heartbeat: float | None, longest: float
) -> None:
    async with connecting_to(scripted, heartbeat=heartbeat) as connector:
        connection = await connector.take_or_connect(True, PATIENCE)
        now = asyncio.get_running_loop().time()
        connection.gather(1.0)
        assert connection._burst is not None
        timer, _ = connection._burst
        # uvloop rounds to a millisecond.
        assert timer.when() >= now + longest - 0.001
        assert timer.when() <= asyncio.get_running_loop().time() + longest + 0.001
        connection.drop()

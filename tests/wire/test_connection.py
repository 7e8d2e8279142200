"""One connection, on every event loop: what it makes of messages, and how the peer is told of its end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from faults.stage import plugin_tasks
from kit import PATIENCE, Clock, Conversation, Script, ScriptedServer, on_track, until
from kit.certificates import client_context, server_context
from kit.connections import connecting_to
from kit.endings import write_raw
from kit.proxy import FaultProxy, Link
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.pcm import SLICE_BYTES
from videosdk.plugins.lokutor._timer import Stretch
from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor._wire.connector import Connector
from videosdk.plugins.lokutor._wire.protocol import Audio, EndOfRequest, Visemes
from videosdk.plugins.lokutor.errors import NetworkError

Maker = Callable[..., LokutorTTS]
TEXT = "A reply to a peer that freezes in the middle of it. " * 4


async def freeze(link: Link) -> None:
    """Pass TLS on, both ways, until some audio has come; then answer nothing, not even TLS' own goodbye."""
    await link.reach()
    await link.pump(60_000)
    await link.swallow()


@pytest.mark.parametrize(
    ("ending", "options"),
    [("barge-in", {}), ("time-out", {"idle_timeout": 0.3}), ("heartbeat", {"heartbeat": 0.4})],
)
async def test_a_frozen_peer_behind_tls_sees_the_end_at_once(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    ending: str,
    options: dict[str, float],
) -> None:
    """By itself, TLS would wait 30 s for the peer's goodbye before the socket is closed."""
    connector = aiohttp.TCPConnector(ssl=client_context())
    async with (
        FaultProxy(scripted, server_context()) as service,
        FaultProxy(service) as wire,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        wire.faults.append(freeze)
        url = wire.url.replace("ws://", "wss://")
        tts = make_tts(url, session=session, max_retries=0, **options)
        call = asyncio.create_task(tts.synthesize(TEXT))
        if ending == "barge-in":
            await until(lambda: bool(on_track(track)))
            await tts.interrupt()
        await asyncio.wait_for(call, PATIENCE)
        await asyncio.wait_for(wire.links[0].closed.wait(), PATIENCE)
        await until(lambda: not plugin_tasks())


MANY = 10_000
LONG = json.dumps([{"v": 0, "c": "a", "t": (MANY - number) / 1_000} for number in range(MANY)])


async def send_many(conversation: Conversation) -> None:
    await conversation.text(LONG)
    await conversation.end()
    await conversation.gone()


async def test_a_message_of_very_many_visemes_lets_others_run_in_between(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(send_many)
    connection = await connector.connect_stream(False, PATIENCE)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    first = await connection.receive()
    other = asyncio.create_task(take_turns())
    events = [first]
    while not isinstance(events[-1], EndOfRequest):
        events.append(await connection.receive())
    other.cancel()
    parts = [event.items for event in events if isinstance(event, Visemes)]
    starts = [viseme.start for items in parts for viseme in items]
    assert len(starts) == MANY
    assert starts == sorted(starts)
    assert max(map(len, parts)) <= 250
    assert turns >= len(parts) - 1
    connection.drop()


async def test_a_connection_that_was_dropped_brings_nothing_of_a_long_message(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(send_many)
    connection = await connector.connect_stream(False, PATIENCE)
    assert isinstance(await connection.receive(), Visemes)
    connection.drop()
    await until(lambda: not plugin_tasks())
    with pytest.raises(NetworkError):
        await connection.receive()


PIECES = [bytes([number, 0]) * 400 for number in range(100)]
AUDIO = b"".join(PIECES)


def sends(*messages: bytes) -> Script:
    async def script(conversation: Conversation) -> None:
        for message in messages:
            await conversation.audio(message)
        await conversation.end()
        await conversation.gone()

    return script


async def received(connection: Connection) -> list[bytes]:
    """Return the audio of each event up to the end of the request."""
    pieces: list[bytes] = []
    while not isinstance(event := await connection.receive(joined=True), EndOfRequest):
        assert isinstance(event, Audio)
        pieces.append(event.pcm)
    return pieces


@pytest.fixture
def no_stretch_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't let a busy machine's milliseconds have others run."""
    monkeypatch.setattr(Stretch, "_LONGEST", 3_600.0)


@pytest.mark.usefixtures("no_stretch_ends")
async def test_audio_that_has_come_can_be_received_together(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(sends(*PIECES))
    connection = await connector.connect_stream(False, PATIENCE)
    assert await connection.receive() == Audio(PIECES[0])
    pieces = await received(connection)
    assert b"".join(pieces) == AUDIO[len(PIECES[0]) :]
    assert len(pieces) < len(PIECES) / 4
    assert max(map(len, pieces)) <= SLICE_BYTES  # As much as is worked on at a time.
    connection.drop()


@pytest.mark.usefixtures("no_stretch_ends")
async def test_what_comes_behind_audio_is_gone_with_the_connection(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(sends(*PIECES[:3]))
    connection = await connector.connect_stream(False, PATIENCE)
    assert await connection.receive() == Audio(PIECES[0])
    assert await connection.receive(joined=True) == Audio(PIECES[1] + PIECES[2])
    connection.drop()
    await until(lambda: not plugin_tasks())
    with pytest.raises(NetworkError):
        await connection.receive()


class Hidden:
    """aiohttp's reader of messages, which doesn't show what it has."""

    def __init__(self, reader: Any) -> None:
        self._hidden = reader

    def __getattr__(self, name: str) -> Any:
        if name == "_buffer":
            raise AttributeError(name)
        return getattr(self._hidden, name)


class Hiding(aiohttp.ClientWebSocketResponse):
    def __init__(self, reader: Any, *args: Any, **options: Any) -> None:
        super().__init__(Hidden(reader), *args, **options)  # type: ignore[arg-type]


async def test_messages_are_received_one_by_one_where_aiohttp_does_not_show_them(
    scripted: ScriptedServer,
) -> None:
    scripted.scripts.append(sends(*PIECES))
    async with (
        aiohttp.ClientSession(ws_response_class=Hiding) as session,
        connecting_to(scripted, session) as connector,
    ):
        connection = await connector.connect_stream(False, PATIENCE)
        assert await received(connection) == PIECES
        connection.drop()
        await scripted.all_closed()


async def test_a_message_of_16_mib_is_received(connector: Connector, scripted: ScriptedServer) -> None:
    audio = bytes(16 * 1024 * 1024)
    scripted.scripts.append(lambda conversation: conversation.audio(audio, size=len(audio)))
    connection = await connector.connect_stream(False, PATIENCE)
    assert await connection.receive() == Audio(audio)
    connection.drop()


class Misnaming(aiohttp.ClientWebSocketResponse):
    """A WebSocket that names ``other`` as its own socket, once there is one."""

    other: socket.socket | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.other or super().get_extra_info(name, default)


async def test_a_descriptor_that_is_somebody_elses_by_now_is_left_alone(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop goes on to name the descriptor of a socket that it has closed."""
    async with (
        aiohttp.ClientSession(ws_response_class=Misnaming) as session,
        connecting_to(scripted, session) as connector,
    ):
        connection = await connector.connect_stream(False, PATIENCE)
        await until(lambda: scripted.open_connections == 1)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            monkeypatch.setattr(Misnaming, "other", theirs)
            connection.drop()
            await until(lambda: not plugin_tasks())
            theirs.send(b"still here")
            assert ours.recv(64) == b"still here"
        await scripted.all_closed()


async def test_a_socket_that_has_ended_by_itself_is_dropped_without_a_word(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(lambda conversation: asyncio.sleep(0))
    connection = await connector.connect_stream(False, PATIENCE)
    await scripted.all_closed()
    with pytest.raises(NetworkError, match="close code"):
        await connection.receive()
    connection.drop()
    connection.drop()
    await until(lambda: not plugin_tasks())


@pytest.mark.parametrize(
    "frame", [b"\x82\x01\x00", b"\x89\x00", b"\x81\x02hi"], ids=["a byte", "a ping", "chatter"]
)
async def test_others_run_while_tiny_messages_are_there(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, frame: bytes
) -> None:
    """A flood that is read in one go would otherwise hold up a barge-in until its end."""
    passes: list[int] = [0]  # How many messages were taken in each pass of the loop.
    receive = aiohttp.ClientWebSocketResponse.receive

    async def take(ws: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
        message = await receive(ws)
        passes[-1] += 1
        clock.skip(0.001)  # Each takes a millisecond.
        return message

    async def count_passes() -> None:
        while True:
            await asyncio.sleep(0)
            passes.append(0)

    async def flood(conversation: Conversation) -> None:
        await conversation.request()
        write_raw(conversation, frame * 1_000)
        await conversation.gone()

    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "receive", take)
    scripted.scripts.append(flood)
    call = asyncio.create_task(tts.synthesize(TEXT))
    counting = asyncio.create_task(count_passes())
    await until(lambda: sum(passes) >= 1_000)
    await tts.interrupt()
    await asyncio.wait_for(call, PATIENCE)
    counting.cancel()
    assert max(passes) <= 10

"""Whether a peer is alive: it is pinged when it is silent, and judged only while somebody listens to it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import aiohttp
import pytest
from faults.stage import plugin_tasks
from kit import PATIENCE, Clock, Conversation, Script, ScriptedServer, settled, until
from kit.connections import connecting_to

from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor._wire.connector import Connector
from videosdk.plugins.lokutor._wire.protocol import Audio, Event, SpeechRequest
from videosdk.plugins.lokutor.errors import NetworkError

HEARTBEAT = 600.0
"""Seconds: so many that those which pass by themselves don't count."""
REQUEST = SpeechRequest("A reply.", "en_f1", "en", 1.0, 5)


@pytest.fixture
async def connector(scripted: ScriptedServer, clock: Clock) -> AsyncIterator[Connector]:
    """Return what opens connections with a heartbeat, on a loop whose clock the test moves."""
    async with connecting_to(scripted, heartbeat=HEARTBEAT) as connector:
        yield connector


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect no garbage, so that whatever refers to itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def peer(pings: list[bytes], *, answers: bool) -> Script:
    """Return a script that notes the pings, and answers them or not."""

    async def script(conversation: Conversation) -> None:
        async for message in conversation.ws:
            if message.type is aiohttp.WSMsgType.PING:
                pings.append(message.data)
                if answers:
                    await conversation.ws.pong(message.data)

    return script


async def begin_to_receive(connection: Connection) -> asyncio.Task[Event]:
    receiving = asyncio.create_task(connection.receive())
    await settled()
    return receiving


async def test_a_peer_that_answers_no_ping_is_given_up_after_one_and_a_half_heartbeats(
    connector: Connector, scripted: ScriptedServer, clock: Clock
) -> None:
    pings: list[bytes] = []
    scripted.autoping = False
    scripted.scripts.append(peer(pings, answers=False))
    connection = await connector.take_or_connect(True, PATIENCE)
    receiving = await begin_to_receive(connection)
    await clock.advance(0.8 * HEARTBEAT)
    assert pings == []
    await clock.advance(0.2 * HEARTBEAT)
    await until(lambda: len(pings) == 1)
    await clock.advance(0.4 * HEARTBEAT)
    assert not receiving.done()
    await clock.advance(0.1 * HEARTBEAT)
    with pytest.raises(NetworkError, match="no sign of life"):
        await asyncio.wait_for(receiving, PATIENCE)
    await scripted.all_closed()
    assert len(pings) == 1


async def test_a_peer_that_answers_is_pinged_again_and_kept(
    connector: Connector, scripted: ScriptedServer, clock: Clock
) -> None:
    pings: list[bytes] = []
    scripted.autoping = False
    scripted.scripts.append(peer(pings, answers=True))
    connection = await connector.take_or_connect(True, PATIENCE)
    receiving = await begin_to_receive(connection)
    for count in (1, 2, 3):
        await clock.advance(HEARTBEAT)
        await until(lambda count=count: len(pings) == count)  # type: ignore[misc]
        await until(lambda: connection._liveness_check is None)
    assert not receiving.done()
    connection.drop()
    with pytest.raises(NetworkError, match="close code"):
        await asyncio.wait_for(receiving, PATIENCE)


async def silent_for_long(connection: Connection, clock: Clock) -> None:
    """Let the peer be silent until a request is sent with a ping, and nobody receive for long then."""
    await clock.advance(10.0)
    await connection.send(REQUEST)
    assert connection._liveness_check is not None
    for _ in range(5):
        await clock.advance(0.4 * HEARTBEAT)
        await clock.advance(0.1)  # The loop is not blocked any more.


async def test_nothing_is_judged_while_nobody_receives(connector: Connector, clock: Clock) -> None:
    """The answer has come, but a slow track still takes the audio before it."""
    connection = await connector.take_or_connect(True, PATIENCE)
    await silent_for_long(connection, clock)
    assert isinstance(await connection.receive(), Audio)
    await until(lambda: connection._liveness_check is None)
    connection.drop()


async def test_a_peer_that_died_meanwhile_is_given_up_once_somebody_receives(
    connector: Connector, scripted: ScriptedServer, clock: Clock
) -> None:
    scripted.autoping = False
    scripted.scripts.append(peer([], answers=False))
    connection = await connector.take_or_connect(True, PATIENCE)
    await silent_for_long(connection, clock)
    with pytest.raises(NetworkError, match="no sign of life"):
        await asyncio.wait_for(connection.receive(), PATIENCE)


async def test_a_sign_of_life_does_not_gather_in_the_socket(
    connector: Connector, scripted: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videosdk.plugins.lokutor._wire.connection._BURST_TIME", 10 * HEARTBEAT)
    scripted.autoping = False
    scripted.scripts.append(peer([], answers=False))
    connection = await connector.take_or_connect(True, PATIENCE)
    connection.gather(10 * HEARTBEAT)
    assert connection._burst is not None
    await clock.advance(HEARTBEAT)
    assert connection._burst is None
    connection.gather(10 * HEARTBEAT)
    assert connection._burst is None
    connection.drop()


async def test_a_closed_connection_is_not_watched_any_more(connector: Connector, clock: Clock) -> None:
    connection = await connector.take_or_connect(True, PATIENCE)
    connection.drop()
    await clock.advance(10.0)
    with suppress(NetworkError):
        await connection.send(REQUEST)
    assert connection._liveness_check is None


@pytest.mark.usefixtures("no_collection")
async def test_a_closed_connection_is_let_go_of_at_once(
    connector: Connector, scripted: ScriptedServer
) -> None:
    """It has 256 KiB of TLS, and a busy process closes many in each second."""
    connection = await connector.take_or_connect(True, PATIENCE)
    await connection.send(REQUEST)
    assert isinstance(await connection.receive(), Audio)
    kept = weakref.ref(connection), weakref.ref(connection._ws)
    connection.drop()
    del connection
    await scripted.all_closed()
    await until(lambda: not plugin_tasks())
    await until(lambda: [each() for each in kept] == [None, None])

"""Whether a peer that was silent for long is alive, and what is left of a connection once it is closed."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import pytest
from faults.stage import plugin_tasks
from kit import PATIENCE, Clock, Conversation, ScriptedServer, logged, speak, until

from videosdk.plugins.lokutor._wire import connection as connection_module
from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor._wire.connector import Connector
from videosdk.plugins.lokutor._wire.protocol import Audio, SpeechRequest
from videosdk.plugins.lokutor.errors import NetworkError

REQUEST = SpeechRequest("A reply.", "en_f1", "en", 1.0, 5)
ALIVE = "The connection is alive"


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect no garbage, so that whatever refers to itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def answer_nothing(conversation: Conversation) -> None:
    async for _ in conversation.ws:
        pass


@pytest.fixture
async def dead(connector: Connector, scripted: ScriptedServer, clock: Clock) -> Connection:
    """Return a connection whose peer answers nothing, behind :func:`send_after_silence`."""
    scripted.answers_pings = False
    scripted.scripts.append(answer_nothing)
    connection = await connect(connector)
    await send_after_silence(connection, clock)
    return connection


async def connect(connector: Connector) -> Connection:
    """Return a connection without a heartbeat, which might end it as well."""
    return await connector.connect_stream(False, PATIENCE)


async def send_after_silence(connection: Connection, clock: Clock) -> None:
    """Let the peer be silent until a request is sent with a ping, and nobody receive for long then."""
    await clock.advance(10.0)
    await connection.send(REQUEST)
    for _ in range(5):
        await clock.advance(1.5)
        await clock.advance(0.1)  # The loop is not blocked any more.


async def test_nothing_is_judged_while_nobody_receives(connector: Connector, clock: Clock) -> None:
    """The answer has come, but a slow track still takes the audio before it."""
    connection = await connect(connector)
    with logged(ALIVE) as alive:
        await send_after_silence(connection, clock)
        assert isinstance(await connection.receive(), Audio)
        await asyncio.wait_for(alive.wait(), PATIENCE)
    connection.drop()


@pytest.mark.usefixtures("patience")
async def test_an_answer_that_has_come_is_read_first(
    connector: Connector, scripted: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(conversation: Conversation) -> None:
        async for message in conversation.ws:
            if message.type is aiohttp.WSMsgType.PING:
                await conversation.ws.pong(message.data)
                clock.skip(PATIENCE / 2 + 0.03)  # The loop is blocked until the time is over.

    monkeypatch.setattr(connection_module, "_LIVENESS_TIMEOUT", PATIENCE / 2)  # A busy machine has time.
    scripted.answers_pings = False
    scripted.scripts.append(answer)
    connection = await connect(connector)
    await clock.advance(10.0)
    with logged(ALIVE) as alive:
        await connection.send(REQUEST)
        receiving = asyncio.create_task(connection.receive())
        await asyncio.wait_for(alive.wait(), PATIENCE)
    assert not receiving.done()
    connection.drop()
    with pytest.raises(NetworkError, match="close code"):
        await asyncio.wait_for(receiving, PATIENCE)


async def test_the_wait_for_a_sign_of_life_begins_when_the_ping_leaves(
    connector: Connector, scripted: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop may be blocked before, and the answer takes some time after that."""
    asked, answering = asyncio.Event(), asyncio.Event()

    async def answer_late(conversation: Conversation) -> None:
        message = await conversation.ws.receive()
        asked.set()
        await answering.wait()
        await conversation.ws.pong(message.data)
        await speak(conversation)

    monkeypatch.setattr(connection_module, "_LIVENESS_TIMEOUT", PATIENCE)  # A busy machine has time.
    scripted.answers_pings = False
    scripted.scripts.append(answer_late)
    connection = await connect(connector)
    assert connection.park()
    assert connection.unpark()
    await clock.advance(1.5 * PATIENCE)
    await clock.advance(0.0)
    answering.set()
    await asked.wait()
    await connection.send(REQUEST)
    assert isinstance(await asyncio.wait_for(connection.receive(), PATIENCE), Audio)
    connection.drop()


async def test_a_peer_that_died_meanwhile_is_given_up_once_somebody_receives(dead: Connection) -> None:
    with pytest.raises(NetworkError, match="no sign of life"):
        await asyncio.wait_for(dead.receive(), PATIENCE)


async def test_a_sign_of_life_does_not_gather_in_the_socket(dead: Connection) -> None:
    dead.gather(1.0)
    assert dead._burst is None
    dead.drop()


async def test_a_closed_connection_is_not_watched_any_more(connector: Connector, clock: Clock) -> None:
    connection = await connect(connector)
    connection.drop()
    await clock.advance(10.0)
    with suppress(NetworkError):
        await connection.send(REQUEST)
    assert not connection._liveness_check.running


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

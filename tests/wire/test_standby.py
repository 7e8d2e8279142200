"""The standby connection: turns start on an open socket, and nobody notices when it was dead."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from faults.stage import plugin_tasks
from kit import (
    PATIENCE,
    Clock,
    Conversation,
    ScriptedServer,
    chunks_of,
    close_on_request,
    cut_on_request,
    emitted_by,
    heard_for,
    interrupt_late,
    listen,
    logged,
    on_track,
    pushed_samples,
    settled,
    speak,
    speech_of,
    until,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.connection import Connection
from videosdk.plugins.lokutor._wire.connector import Connector
from videosdk.plugins.lokutor._wire.protocol import Audio, SpeechRequest
from videosdk.plugins.lokutor._wire.standby import Standby
from videosdk.plugins.lokutor.errors import NetworkError, RateLimitError
from videosdk.plugins.lokutor.metrics import SynthesisMetrics

Maker = Callable[..., LokutorTTS]
OPEN = "The standby connection is open"
REQUEST = SpeechRequest("Some text.", "en_f1", "en", 1.0, 5)


class Plans:
    """What the plugin says of the moments at which it opens the next standby connection."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self._log = log
        self._seen = 0

    async def next(self) -> float:
        """Wait for the plan after the one returned before, and return its seconds."""
        await until(lambda: len(self._delays()) > self._seen)
        self._seen += 1
        return self._delays()[self._seen - 1]

    async def latest(self) -> float:
        """Wait for a newer plan than the one returned before, and return the seconds of the newest."""
        await self.next()
        self._seen = len(self._delays())
        return self._delays()[-1]

    def _delays(self) -> list[float]:
        said = re.findall(r"The next standby connection is opened in ([\d.]+) s", self._log.text)
        return [float(seconds) for seconds in said]


@pytest.fixture
def plans(caplog: pytest.LogCaptureFixture) -> Plans:
    caplog.set_level(logging.DEBUG, "videosdk.plugins.lokutor")
    return Plans(caplog)


def measure(tts: LokutorTTS) -> list[SynthesisMetrics]:
    return emitted_by(tts, "metrics")


async def open_one(connector: Connector) -> Connection:
    """Open a connection as the connector opens its own standby connection, which these tests leave alone."""
    return await connector.take_or_connect(True, PATIENCE)


async def half(conversation: Conversation) -> None:
    """Speak the beginning, then nothing more."""
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"])[:20_000])
    await conversation.gone()


async def close_at_once(conversation: Conversation) -> None:
    await conversation.ws.close()


async def test_prewarm_leaves_one_open_socket_however_often_it_is_called(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    await asyncio.gather(tts.prewarm(), tts.prewarm())
    await tts.prewarm()
    assert scripted.open_connections == len(scripted.conversations) == 1


async def test_prewarm_does_not_hold_the_frameworks_start_up(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, track: CustomAudioStreamTrack
) -> None:
    """The service doesn't answer; once it does, the connection is there for the first turn."""
    scripted.hold()
    warming = asyncio.create_task(tts.prewarm())
    await until(lambda: scripted.held == 1)
    await clock.advance(0.5)
    assert not warming.done()
    await clock.advance(0.6)
    await asyncio.wait_for(warming, PATIENCE)
    scripted.answer_all()
    seen = measure(tts)
    await tts.synthesize("One.")
    assert [metrics.standby_used for metrics in seen] == [True]


async def test_a_turn_takes_the_standby_connection_and_the_next_is_opened_behind_it(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    seen = measure(tts)
    await tts.prewarm()
    await tts.synthesize("One.")
    await until(lambda: len(scripted.conversations) == 2 and scripted.open_connections == 1)
    await tts.synthesize("Two.")
    assert [[request["text"] for request in c.requests] for c in scripted.conversations[:2]] == [
        ["One."],
        ["Two."],
    ]
    assert on_track(track) == heard_for("One.") + heard_for("Two.")
    assert [metrics.standby_used for metrics in seen] == [True, True]


async def test_the_next_socket_is_opened_behind_the_first_request(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    """Before it, the turn's own may come back. After it, the service is at work for about as long."""
    thinking, speaking = asyncio.Event(), asyncio.Event()

    async def text() -> AsyncIterator[str]:
        begun.set()
        await thinking.wait()
        yield "One."

    async def hold(conversation: Conversation) -> None:
        request = await conversation.request()
        await speaking.wait()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await conversation.gone()

    begun = asyncio.Event()
    scripted.scripts.append(hold)
    await tts.prewarm()
    turn = asyncio.create_task(tts.synthesize(text()))
    await begun.wait()
    await tts.prewarm()
    await settled()
    assert len(scripted.conversations) == 1
    thinking.set()
    await until(lambda: len(scripted.conversations) == 2)
    assert scripted.texts == ["One."]
    speaking.set()
    await turn
    await settled()
    assert (len(scripted.conversations), scripted.peak) == (2, 2)


async def test_no_socket_is_opened_beside_one_that_a_turn_opens_by_itself(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    """That one comes back, or is used."""
    scripted.away = True
    await tts.prewarm()
    scripted.away = False
    scripted.hold()
    turn = asyncio.create_task(tts.synthesize("One."))
    await until(lambda: scripted.held == 1)
    await tts.prewarm()  # A second start.
    await settled()
    assert scripted.held == 1
    scripted.answer_all()
    await turn
    await until(lambda: len(scripted.conversations) == 2 and scripted.open_connections == 1)
    assert scripted.texts == ["One."]


async def test_the_next_socket_waits_until_the_one_before_is_closed(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_close = asyncio.Event()
    close = Connection._close

    async def close_late(connection: Connection) -> None:
        await may_close.wait()
        await close(connection)

    monkeypatch.setattr(Connection, "_close", close_late)
    scripted.scripts.append(half)
    await tts.prewarm()
    turn = asyncio.create_task(tts.synthesize("To be talked over."))
    await until(lambda: pushed_samples(track) > 0 and len(scripted.conversations) == 2)
    await tts.interrupt()
    await turn
    await tts.synthesize("The next turn.")
    await settled()
    assert (len(scripted.conversations), scripted.open_connections) == (2, 2)
    may_close.set()
    await until(lambda: len(scripted.conversations) == 3 and scripted.open_connections == 1)
    assert scripted.peak == 2


# --- A call that ends before it has sent anything -------------------------------------------------------


class Thinking:
    """A language model that has not said a word yet."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def text(self) -> AsyncIterator[str]:
        self.begun.set()
        await self.over.wait()
        words: tuple[str, ...] = ()
        for word in words:
            yield word


async def think(tts: LokutorTTS, end: str = "barge-in") -> None:
    """Begin a turn, and let it come to its ``end`` before there is any text."""
    model = Thinking()
    turn = asyncio.create_task(tts.synthesize(model.text()))
    await asyncio.wait_for(model.begun.wait(), PATIENCE)
    match end:
        case "barge-in":
            await tts.interrupt()
        case "no text":
            model.over.set()
        case _:
            turn.cancel()
    await asyncio.wait({turn}, timeout=PATIENCE)
    assert turn.done()


@pytest.mark.parametrize("end", ["barge-in", "cancelled", "no text"])
async def test_a_connection_that_carried_nothing_is_used_by_the_next_turn(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, end: str
) -> None:
    seen = measure(tts)
    await tts.prewarm()
    for _ in range(3):
        await think(tts, end)
    assert len(scripted.conversations) == 1
    await tts.synthesize("The next turn.")
    assert scripted.conversations[0].texts == ["The next turn."]
    assert on_track(track) == heard_for("The next turn.")
    assert [metrics.standby_used for metrics in seen] == [True] * 4
    assert scripted.peak <= 2


async def test_the_next_turn_may_begin_at_the_moment_of_the_barge_in(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """The call that gave the connection back has not even stopped receiving from it then."""
    await tts.prewarm()
    model = Thinking()
    turn = asyncio.create_task(tts.synthesize(model.text()))
    await model.begun.wait()
    await tts.interrupt()
    await tts.synthesize("The next turn.")
    await turn
    assert scripted.conversations[0].texts == ["The next turn."]
    assert on_track(track) == heard_for("The next turn.")


async def test_a_connection_that_a_turn_opened_by_itself_is_kept_as_well(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    seen = measure(tts)
    scripted.away = True
    await tts.prewarm()
    scripted.away = False
    await think(tts)
    await tts.synthesize("The next turn.")
    assert [metrics.standby_used for metrics in seen] == [False, True]
    assert scripted.conversations[0].texts == ["The next turn."]


@pytest.mark.parametrize("options", [{"keep_warm": False}, {}])
async def test_without_a_standby_connection_nothing_is_kept(
    make_tts: Maker, scripted: ScriptedServer, options: dict[str, bool]
) -> None:
    tts = make_tts(scripted.url, **options)
    if options:
        await tts.prewarm()
    await think(tts)
    await scripted.all_closed()
    assert len(scripted.conversations) == 1


async def test_a_connection_on_which_the_service_has_spoken_is_not_kept(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    async def welcome(conversation: Conversation) -> None:
        await conversation.text('{"type":"welcome"}')
        await conversation.is_read()
        read.set()
        await speak(conversation)

    read = asyncio.Event()
    scripted.scripts.append(welcome)
    seen = measure(tts)
    await tts.prewarm()
    await asyncio.wait_for(read.wait(), PATIENCE)
    await think(tts)
    await asyncio.wait_for(scripted.conversations[0].closed.wait(), PATIENCE)
    await until(lambda: len(scripted.conversations) == 2)
    await tts.synthesize("The next turn.")
    assert scripted.conversations[1].texts == ["The next turn."]
    assert [metrics.standby_used for metrics in seen] == [True, True]


async def test_of_two_connections_for_the_next_turn_only_one_is_kept(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    """One that a turn has opened by itself, because the other took so long."""
    await tts.prewarm()
    scripted.hold()
    await tts.synthesize("One.")
    await until(lambda: scripted.held == 1)
    model = Thinking()
    turn = asyncio.create_task(tts.synthesize(model.text()))
    await asyncio.sleep(0)
    await clock.advance(5.1)
    await until(lambda: scripted.held == 2)
    with logged(OPEN) as standby:
        scripted.answer_first()  # That is the standby connection; the turn's own takes longer.
        await asyncio.wait_for(standby.wait(), PATIENCE)
    with logged("The turn has its connection") as own:
        scripted.answer_all()
        await asyncio.wait_for(own.wait(), PATIENCE)
    await model.begun.wait()
    assert len(scripted.conversations) == 3
    await tts.interrupt()
    await turn
    await until(lambda: scripted.open_connections == 1)
    await settled()
    assert len(scripted.conversations) == 3


async def test_an_open_connection_is_better_than_one_on_its_way(
    connector: Connector, scripted: ScriptedServer
) -> None:
    """What is being opened is given up, also for a call that has begun to wait for it."""
    begun = asyncio.Event()

    async def hang() -> Connection:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    room = Standby(hang, connector.spawn)
    filling = asyncio.create_task(room.fill())
    taking = asyncio.create_task(room.take())
    await begun.wait()
    connection = await connector.connect_stream(False, PATIENCE)
    room.lend(connection)
    connection.give_back()
    await asyncio.wait_for(filling, PATIENCE)
    assert await asyncio.wait_for(taking, PATIENCE) is connection
    room.close()
    connection.drop()
    await scripted.all_closed()


@pytest.mark.parametrize("again", [False, True], ids=["given back", "given back twice"])
async def test_a_connection_that_is_given_back_before_it_has_answered_must_still_answer(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, again: bool
) -> None:
    scripted.scripts.append(deaf)
    await tts.prewarm()
    await think(tts)
    with logged(OPEN) as replaced:
        if again:
            await clock.advance(0.6)
            await think(tts)
            await clock.advance(0.5)
        else:
            await clock.advance(1.1)
        await asyncio.wait_for(replaced.wait(), PATIENCE)
    assert len(scripted.conversations) == 2
    seen = measure(tts)
    await tts.synthesize("The next turn.")
    assert scripted.conversations[1].texts == ["The next turn."]
    assert [(metrics.standby_used, metrics.retries) for metrics in seen] == [(True, 0)]
    scripted.conversations[0].closed.set()


async def test_a_connection_that_has_answered_stays(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    await tts.prewarm()
    with logged("The connection is alive") as answered:
        await think(tts)
        await asyncio.wait_for(answered.wait(), PATIENCE)
    await clock.advance(2.0)
    await tts.synthesize("The next turn.")
    assert scripted.conversations[0].texts == ["The next turn."]


async def test_only_an_untouched_connection_can_be_parked(
    connector: Connector, scripted: ScriptedServer
) -> None:
    """Else the next turn could hear what is left of the last one."""

    async def opened() -> Connection:
        return await connector.connect_stream(False, PATIENCE)

    never_parked, sending, parked, dropped = [await opened() for _ in range(4)]
    assert not never_parked.unpark()
    await sending.send(REQUEST)
    assert not sending.park()
    assert parked.park()
    await parked.send(REQUEST)  # By a call that has given it back.
    assert not parked.unpark()
    dropped.drop()
    assert not dropped.park()
    answered = await opened()
    await scripted.conversations[-1].audio(b"\1\2")
    assert await answered.receive() == Audio(b"\1\2")
    assert not answered.park()
    ended = await opened()
    await scripted.conversations[-1].ws.close()
    with pytest.raises(NetworkError):
        await ended.receive()
    assert not ended.park()
    for connection in (never_parked, sending, parked, answered, ended):
        connection.drop()
    await scripted.all_closed()


@pytest.mark.parametrize("options", [{"keep_warm": False}, {}])
async def test_without_prewarm_or_when_switched_off_each_call_opens_its_own(
    make_tts: Maker, scripted: ScriptedServer, options: dict[str, bool]
) -> None:
    tts = make_tts(scripted.url, **options)
    if options:
        await tts.prewarm()
    seen = measure(tts)
    await tts.synthesize("One.")
    await tts.synthesize("Two.")
    await scripted.all_closed()
    assert len(scripted.conversations) == 2
    assert [metrics.standby_used for metrics in seen] == [False, False]


async def test_a_failing_prewarm_harms_nothing_and_tells_nothing(
    make_tts: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    tts = make_tts("ws://127.0.0.1:9", max_retries=0)
    errors = listen(tts)
    with logged("No standby connection: NetworkError") as failed:
        await tts.prewarm()
        await asyncio.wait_for(failed.wait(), PATIENCE)
    assert errors == []
    assert [each for each in caplog.records if each.levelno > logging.DEBUG] == []


async def test_the_turn_after_a_barge_in_starts_on_an_open_socket(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    seen = measure(tts)
    scripted.scripts.append(half)
    await tts.prewarm()
    turn = asyncio.create_task(tts.synthesize("To be talked over."))
    await until(lambda: pushed_samples(track) > 0 and len(scripted.conversations) == 2)
    await tts.interrupt()
    await turn
    track.frame_buffer.clear()
    await tts.synthesize("The next turn.")
    assert on_track(track) == heard_for("The next turn.")
    assert [(metrics.interrupted, metrics.standby_used) for metrics in seen] == [
        (True, True),
        (False, True),
    ]


async def test_a_call_that_comes_while_the_socket_is_being_opened_waits_for_it(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    warming = asyncio.create_task(tts.prewarm())
    await asyncio.sleep(0)
    await tts.synthesize("One.")
    await warming
    assert scripted.conversations[0].requests


async def test_a_stream_leaves_the_waiting_socket_to_the_turn(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    await tts.prewarm()
    assert [piece async for piece in tts.stream_synthesize("For the cache.")]
    assert [len(conversation.requests) for conversation in scripted.conversations] == [0, 1]
    assert not scripted.conversations[0].closed.is_set()


async def deaf(conversation: Conversation) -> None:
    """Never read again, so that no pong comes either: a half-open connection."""
    await conversation.closed.wait()


@pytest.mark.parametrize("script", [close_on_request, cut_on_request, deaf])
async def test_a_call_that_was_handed_a_dead_socket_heals_itself(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    script: Callable[[Conversation], AsyncIterator[None]],
) -> None:
    seen = measure(tts)
    errors = listen(tts)
    scripted.scripts.append(script)  # type: ignore[arg-type]
    await tts.prewarm()
    await tts.synthesize(chunks_of(["Heard once,", "and whole."]))
    for conversation in scripted.conversations:
        conversation.closed.set()
    assert errors == []
    [healed] = [conversation for conversation in scripted.conversations[1:] if conversation.texts]
    assert on_track(track) == heard_for(*healed.texts)
    assert [metrics.retries for metrics in seen] == [1]


async def test_a_socket_that_ends_while_it_waits_is_replaced(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    scripted.scripts.append(close_at_once)
    await tts.prewarm()
    await until(lambda: len(scripted.conversations) == 2 and scripted.open_connections == 1)


async def test_chatter_on_a_waiting_socket_is_ignored(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def chatty(conversation: Conversation) -> None:
        await conversation.text('{"type":"welcome"}')
        await conversation.audio(b"\1\2")
        await conversation.is_read()
        conversation.ready.set()
        await speak(conversation)

    scripted.scripts.append(chatty)
    await tts.prewarm()
    await scripted.conversations[0].ready.wait()
    await tts.synthesize("One.")
    assert scripted.conversations[0].texts == ["One."]
    assert on_track(track) == heard_for("One.")


async def test_a_server_that_hangs_up_on_idle_sockets_is_not_stormed(
    connector: Connector, scripted: ScriptedServer
) -> None:
    scripted.scripts.extend([close_at_once] * 50)
    room = Standby(partial(open_one, connector), connector.spawn, replace_interval=3600.0)
    await room.fill()
    await until(lambda: len(scripted.conversations) == 2)
    await scripted.all_closed()
    await settled()
    assert len(scripted.conversations) == 2
    room.close()


async def test_a_socket_that_the_service_ends_again_and_again_is_replaced_ever_more_rarely(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    """Else an idle plugin would use up the requests of a small plan."""

    scripted.scripts.extend([close_at_once] * 50)
    await tts.prewarm()
    assert await plans.next() == 0.0  # The first is replaced at once.
    for number, interval in enumerate([10.0, 20.0, 40.0, 80.0], start=2):
        assert interval - 10.0 < await plans.next() <= interval
        assert len(scripted.conversations) == number
        await clock.advance(interval)
        await until(lambda number=number: len(scripted.conversations) == number + 1)  # type: ignore[misc]
    await plans.next()
    scripted.scripts.clear()
    await tts.synthesize("A turn begins anew.")
    await until(lambda: len(scripted.conversations) == 8 and scripted.open_connections == 1)
    await scripted.conversations[-1].ws.close()
    assert 0.0 < await plans.next() <= 10.0


async def test_no_interval_between_two_replacements_is_longer_than_the_idle_limit(
    connector: Connector, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.scripts.extend([close_at_once] * 50)
    room = Standby(partial(open_one, connector), connector.spawn, idle_limit=30.0)
    await room.fill()
    assert await plans.next() == 0.0
    for interval in (10.0, 20.0, 30.0, 30.0):
        assert interval - 10.0 < await plans.next() <= interval
        for _ in range(2):
            await clock.advance(interval / 2)
            room.refill()  # As in a turn, or it would be let go.
    room.close()


async def test_a_socket_that_can_not_be_opened_is_tried_again_without_a_turn(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.away = True
    await tts.prewarm()
    for tries, interval in enumerate([10.0, 20.0, 40.0], start=1):
        assert interval / 2 < await plans.next() <= interval
        assert scripted.refused == tries
        scripted.away = tries < 3
        await clock.advance(interval)
    await until(lambda: scripted.open_connections == 1)
    seen = measure(tts)
    await tts.synthesize("One.")
    assert [metrics.standby_used for metrics in seen] == [True]


async def test_a_replacement_that_fails_once_is_tried_again_without_a_turn(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    await tts.prewarm()
    scripted.away = True
    await scripted.conversations[0].ws.close()
    assert await plans.next() == 0.0
    assert 5.0 < await plans.next() <= 10.0
    assert scripted.refused == 1
    scripted.away = False
    await clock.advance(10.0)
    await until(lambda: len(scripted.conversations) == 2)


async def test_a_turn_does_not_wait_until_the_socket_is_tried_again(
    tts: LokutorTTS, scripted: ScriptedServer, plans: Plans
) -> None:
    scripted.away = True
    await tts.prewarm()
    await plans.next()
    scripted.away = False
    await tts.synthesize("One.")
    await until(lambda: len(scripted.conversations) == 2 and scripted.open_connections == 1)


async def test_a_refused_key_is_not_tried_again_without_a_turn(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    scripted.away, scripted.refusal = True, (401, {})
    with logged("No standby connection: AuthenticationError") as refused:
        await tts.prewarm()
        await refused.wait()
    await clock.advance(200.0)  # It is let go after 300 s without a turn.
    await settled()
    assert scripted.refused == 1


async def test_the_service_says_when_to_try_again(
    tts: LokutorTTS, scripted: ScriptedServer, plans: Plans
) -> None:
    scripted.away, scripted.refusal = True, (429, {"Retry-After": "60"})
    await tts.prewarm()
    assert 60 - PATIENCE < await plans.next() <= 60


async def test_an_idle_plugin_does_not_try_for_ever(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.away = True
    await tts.prewarm()
    await plans.next()
    scripted.hold()
    await clock.advance(11.0)
    await until(lambda: scripted.held == 1)  # One try is under way when the time is over.
    await clock.advance(300.0)
    scripted.answer_all()
    await until(lambda: scripted.refused == 2)
    await clock.advance(1_000.0)
    await settled()
    assert (scripted.refused, scripted.conversations) == (2, [])


async def test_the_socket_is_let_go_after_a_time_without_a_turn(
    connector: Connector, scripted: ScriptedServer
) -> None:
    room = Standby(partial(open_one, connector), connector.spawn, idle_limit=0.05)
    await room.fill()
    await scripted.all_closed()
    assert await room.take() is None
    room.close()


async def test_the_time_without_a_turn_also_ends_an_opening_that_is_under_way(
    connector: Connector, scripted: ScriptedServer, clock: Clock
) -> None:
    """Else it would stay open without any limit."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def open_slowly() -> Connection:
        begun.set()
        await go_on.wait()
        return await open_one(connector)

    room = Standby(open_slowly, connector.spawn, idle_limit=60.0)
    filling = asyncio.create_task(room.fill())
    await begun.wait()
    await clock.advance(61.0)
    go_on.set()
    await filling
    assert await room.take() is None
    await scripted.all_closed()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_an_opening_that_fails_before_it_ever_waits_is_not_remembered() -> None:
    tries = 0

    async def fail_at_once() -> Connection:
        nonlocal tries
        tries += 1
        raise NetworkError("no network at all")

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)  # type: ignore[call-arg]

    room = Standby(fail_at_once, spawn)
    for _ in range(3):
        await room.fill()
        assert await room.take() is None
    assert tries == 3
    room.close()


async def test_nothing_stays_open_after_200_turns_with_barge_ins(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    await tts.prewarm()
    for number in range(200):
        interrupted = number % 3 == 0
        pushed = pushed_samples(track)
        turn = asyncio.create_task(tts.synthesize(f"This is turn number {number}."))
        if interrupted:
            await until(lambda before=pushed: pushed_samples(track) > before)  # type: ignore[misc]
            await tts.interrupt()
        await asyncio.wait_for(turn, PATIENCE)
        track.frame_buffer.clear()
        track.audio_data_buffer.clear()
    await tts.aclose()
    await scripted.all_closed()
    assert scripted.open_connections == 0
    assert scripted.peak <= 2


async def test_a_late_second_interrupt_of_the_framework_does_not_hurt_the_next_turn(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(half)
    await interrupt_late(tts, track, "The next turn.")
    assert on_track(track) == heard_for("The next turn.")


async def test_the_metrics_of_a_turn_add_up(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    seen = measure(tts)
    await tts.synthesize("Hello there.")
    [metrics] = seen
    assert metrics.requests == 1
    assert metrics.characters == len("Hello there.")
    assert metrics.audio_received == pytest.approx(12 * 0.02)
    assert metrics.audio_pushed == pytest.approx(12 * 0.02)
    assert metrics.time_to_first_byte is not None
    assert metrics.time_to_first_byte >= 0  # uvloop's clock counts milliseconds.
    assert metrics.connect_time is not None
    assert (metrics.interrupted, metrics.retries, metrics.error_code, metrics.streamed) == (
        False,
        0,
        None,
        False,
    )


async def test_the_metrics_name_the_error(make_tts: Maker, scripted: ScriptedServer) -> None:
    tts = make_tts(scripted.url, max_retries=0)

    async def refuse(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text('{"type":"error","code":"validation.invalid_voice","message":"none such"}')
        await conversation.gone()

    seen = measure(tts)
    scripted.scripts.append(refuse)
    await tts.synthesize("Hello.")
    scripted.scripts.append(close_on_request)
    await tts.synthesize("Hello.")
    assert [metrics.error_code for metrics in seen] == ["validation.invalid_voice", "NetworkError"]


async def test_a_plugin_whose_closing_was_cancelled_can_be_closed_again(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    steps, cancelled = 0, True
    while cancelled:
        tts = make_tts(scripted.url)
        await tts.prewarm()
        session = tts._connector.session()
        closing = asyncio.create_task(tts.aclose())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        cancelled = closing.cancelled()
        await tts.aclose()
        assert session.closed
        await scripted.all_closed()
        steps += 1
    assert steps > 2


async def test_a_handshake_that_hangs_holds_up_one_call_only_and_not_for_long(
    tts: LokutorTTS, connector: Connector, scripted: ScriptedServer, clock: Clock
) -> None:
    hung = asyncio.Event()
    openings = [partial(open_one, connector)]

    async def open_connection() -> Connection:
        if openings:
            return await openings.pop()()
        hung.set()
        await asyncio.Event().wait()
        raise AssertionError

    room = Standby(open_connection, connector.spawn)
    await room.fill()
    first = await room.take(within=2.5)
    assert first is not None
    first.drop()
    await until(lambda: scripted.open_connections == 0)
    room.refill()
    await hung.wait()
    waiting = asyncio.create_task(room.take(within=2.5))
    await settled()
    await clock.advance(0.6)  # Far longer than the handshake before it took.
    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert await asyncio.wait_for(room.take(within=2.5), PATIENCE) is None  # Without waiting at all.
    own = await room.connect(open_one(connector))
    await clock.advance(5.0)
    own.drop()
    again = await room.connect(open_one(connector))
    assert not room.coming  # The service is well, so what hangs is given up.
    again.drop()
    room.close()


async def test_connections_whose_closing_was_cancelled_count_no_more(
    connector: Connector, scripted: ScriptedServer
) -> None:
    """Too many that seem to be open would keep the next from being opened."""
    await connector.standby.fill()
    for _ in range(2):
        connection = await connector.take_or_connect(False, PATIENCE)
        await connection.send(REQUEST)
        connection.drop()
        for task in plugin_tasks():
            task.cancel()
        await scripted.all_closed()
    connection = await connector.take_or_connect(False, PATIENCE)
    with logged(OPEN) as standby:
        await connection.send(REQUEST)
        await asyncio.wait_for(standby.wait(), PATIENCE)
    connection.drop()


@pytest.mark.usefixtures("patience")
async def test_a_loop_that_was_blocked_takes_no_connection_for_dead(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    """The timer is late, and what has come meanwhile is read after it."""
    with logged(OPEN) as standby:
        await tts.prewarm()
        await asyncio.wait_for(standby.wait(), PATIENCE)

    async def text() -> AsyncIterator[str]:
        await clock.advance(1.3)  # In one pass of the loop, as if it had been blocked.
        yield "It takes its time."

    seen = measure(tts)
    await tts.synthesize(text())
    assert [(metrics.standby_used, metrics.retries) for metrics in seen] == [(True, 0)]
    assert scripted.conversations[0].texts == ["It takes its time."]


# --- Limits of the plan -----------------------------------------------------------------------------------

SESSIONS = "tts.session_limit_reached"
FULL = json.dumps({"type": "error", "code": SESSIONS, "message": "too many sessions"})


async def full(conversation: Conversation) -> None:
    """Take the connection, and say that it is one too many."""
    await conversation.text(FULL)
    await conversation.gone()


async def full_on_request(conversation: Conversation) -> None:
    """Say so only when there is something to speak."""
    await conversation.request()
    await full(conversation)


async def streamed(tts: LokutorTTS) -> bytes:
    return b"".join([piece async for piece in tts.stream_synthesize("For the cache.")])


async def test_none_is_opened_before_the_service_wants_it_however_many_turns_there_are(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.away, scripted.refusal = True, (429, {"Retry-After": "60"})
    seen = measure(tts)
    await tts.prewarm()
    await until(lambda: scripted.refused == 1)
    scripted.away = False
    for text in ("One.", "Two."):
        await tts.synthesize(text)
        assert 60 - PATIENCE < await plans.latest() <= 60
    await tts.prewarm()
    assert 60 - PATIENCE < await plans.latest() <= 60
    assert scripted.texts == ["One.", "Two."]
    assert len(scripted.conversations) == 2
    await clock.advance(60)
    await until(lambda: len(scripted.conversations) == 3)
    await tts.synthesize("Three.")
    assert [metrics.standby_used for metrics in seen] == [False, False, True]


async def test_where_the_service_does_not_say_when_the_pauses_grow_also_with_turns_in_between(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.refusal = (429, {})
    for refused, pause in enumerate([10, 20, 40], start=1):
        scripted.away = True
        await (clock.advance(pause / 2) if refused > 1 else tts.prewarm())
        await until(lambda refused=refused: scripted.refused == refused)  # type: ignore[misc]
        scripted.away = False
        await tts.synthesize("A turn.")
        assert pause / 2 < await plans.latest() <= pause


async def test_a_limit_that_another_connection_meets_holds_the_next_one_back_but_keeps_the_one_that_is_open(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    await tts.prewarm()
    scripted.away, scripted.refusal = True, (429, {"Retry-After": "60"})
    with pytest.raises(RateLimitError):
        await streamed(tts)
    scripted.away = False
    seen = measure(tts)
    await tts.synthesize("One.")
    assert [metrics.standby_used for metrics in seen] == [True]
    assert 60 - PATIENCE < await plans.latest() <= 60
    assert len(scripted.conversations) == 1
    await clock.advance(60)
    await until(lambda: len(scripted.conversations) == 2)


async def test_too_many_requests_inside_a_connection_leave_an_open_one_alone(
    connector: Connector, scripted: ScriptedServer
) -> None:
    room = Standby(partial(open_one, connector), connector.spawn)
    await room.fill()
    room.on_limit(RateLimitError("slow down", code="auth.rate_limited"))
    connection = await room.take()
    assert connection is not None
    room.close()
    connection.drop()
    await scripted.all_closed()


async def test_the_standby_connection_is_given_up_for_another_that_is_one_too_many(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    await tts.prewarm()
    scripted.scripts.append(full)
    assert await streamed(tts)
    await asyncio.wait_for(scripted.conversations[0].closed.wait(), PATIENCE)
    assert [len(conversation.texts) for conversation in scripted.conversations] == [0, 1, 1]
    seen = measure(tts)
    for text in ("One.", "Two."):
        await tts.synthesize(text)
        assert 60 - PATIENCE < await plans.latest() <= 60
    await clock.advance(60)
    await until(lambda: len(scripted.conversations) == 6)
    await tts.synthesize("Three.")
    assert [(metrics.standby_used, metrics.retries) for metrics in seen] == [
        (False, 0),
        (False, 0),
        (True, 0),
    ]


async def test_one_that_is_told_while_it_waits_that_it_is_too_many_harms_no_turn(
    tts: LokutorTTS, scripted: ScriptedServer, plans: Plans
) -> None:
    scripted.scripts.append(full)
    await tts.prewarm()
    assert 60 - PATIENCE < await plans.latest() <= 60
    await scripted.all_closed()
    seen, errors = measure(tts), listen(tts)
    await tts.synthesize("One.")
    assert [(metrics.standby_used, metrics.retries) for metrics in seen] == [(False, 0)]
    assert errors == []
    assert len(scripted.conversations) == 2


async def test_none_is_kept_while_there_are_too_many(
    tts: LokutorTTS, scripted: ScriptedServer, plans: Plans
) -> None:
    scripted.scripts.append(full)
    await tts.prewarm()
    await plans.latest()
    await think(tts)
    await scripted.all_closed()
    assert len(scripted.conversations) == 2


async def test_a_turn_that_is_one_too_many_is_spoken_once_the_other_is_closed(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, plans: Plans
) -> None:
    scripted.scripts.append(full_on_request)
    errors = listen(tts)
    await tts.prewarm()
    await tts.synthesize("Spoken once.")
    assert on_track(track) == heard_for("Spoken once.")
    assert errors == []
    await scripted.all_closed()
    assert 60 - PATIENCE < await plans.latest() <= 60


async def test_pauses_for_sessions_double_until_one_is_of_use(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, plans: Plans
) -> None:
    scripted.scripts.extend([full, full])
    await tts.prewarm()
    assert 60 - PATIENCE < await plans.latest() <= 60
    await clock.advance(60)
    assert 120 - PATIENCE < await plans.latest() <= 120
    assert len(scripted.conversations) == 2
    with logged(OPEN) as standby:
        await clock.advance(120)
        await asyncio.wait_for(standby.wait(), PATIENCE)
    await tts.synthesize("One.")
    scripted.scripts.append(full)
    assert await streamed(tts)
    assert 60 - PATIENCE < await plans.latest() <= 60


async def test_one_that_is_being_opened_is_given_up_as_well(connector: Connector, clock: Clock) -> None:
    begun = asyncio.Event()

    async def hang() -> Connection:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    room = Standby(hang, connector.spawn)
    filling = asyncio.create_task(room.fill())
    await begun.wait()
    room.on_limit(RateLimitError("too many", code=SESSIONS))
    await asyncio.wait_for(filling, PATIENCE)
    assert not room.coming
    begun.clear()
    room.close()
    await clock.advance(1_000.0)
    assert not begun.is_set()


async def test_a_plugin_without_a_standby_connection_plans_none_after_a_limit(
    make_tts: Maker, scripted: ScriptedServer, clock: Clock
) -> None:
    tts = make_tts(scripted.url, keep_warm=False)
    scripted.scripts.append(full_on_request)
    await tts.synthesize("One.")
    await clock.advance(1_000.0)
    await settled()
    assert len(scripted.conversations) == 2

"""A language model that takes its time: the plugin waits for text, and no time-out runs meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    PATIENCE,
    Clock,
    Conversation,
    ScriptedServer,
    heard_for,
    listen,
    on_track,
    until,
)
from videosdk.agents import FallbackTTS
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import AuthenticationError, ReplyTimeoutError, ServiceError

Maker = Callable[..., LokutorTTS]
TEXT = "It took a while to think of this."
LONG = 60.0
"""Seconds, longer than all time-outs together."""


class Turn:
    """A turn whose text comes when the test lets it."""

    def __init__(self, tts: LokutorTTS, clock: Clock, *, ready: bool = False) -> None:
        self.errors = listen(tts)
        self.asked = asyncio.Event()  # The plugin waits for text.
        self._tts = tts
        self._clock = clock
        self._answer = asyncio.Event()
        if ready:
            self._answer.set()

    def begin(self, tts: LokutorTTS | FallbackTTS | None = None) -> None:
        self.task = asyncio.create_task((tts or self._tts).synthesize(self.text()))

    async def text(self) -> AsyncIterator[str]:
        self.asked.set()
        await self._answer.wait()
        yield TEXT

    async def think(self) -> None:
        """Let the model take longer than all time-outs together."""
        await self.asked.wait()
        await self._clock.advance(LONG)
        assert not self.task.done()

    def answer(self) -> None:
        """Let the text come."""
        self._answer.set()

    async def end(self) -> None:
        """Wait for the turn's end."""
        await asyncio.wait_for(self.task, PATIENCE)


@pytest.fixture
def turn(tts: LokutorTTS, clock: Clock) -> Turn:
    return Turn(tts, clock)


@pytest.mark.parametrize("warm", [False, True])
async def test_a_turn_waits_for_its_first_text_as_long_as_it_takes(
    tts: LokutorTTS, turn: Turn, track: CustomAudioStreamTrack, warm: bool
) -> None:
    if warm:
        await tts.prewarm()
    turn.begin()
    await turn.think()
    turn.answer()
    await turn.end()
    assert on_track(track) == heard_for(TEXT)
    assert not turn.errors


@pytest.mark.parametrize("warm", [False, True])
async def test_a_connection_that_dies_before_the_text_is_replaced(
    tts: LokutorTTS, scripted: ScriptedServer, turn: Turn, track: CustomAudioStreamTrack, warm: bool
) -> None:
    async def close(conversation: Conversation) -> None:
        await turn.asked.wait()
        await conversation.ws.close()

    scripted.scripts.append(close)
    if warm:
        await tts.prewarm()
    turn.begin()
    await until(lambda: scripted.conversations != [] and scripted.conversations[0].closed.is_set())
    await turn.think()
    turn.answer()
    await turn.end()
    assert on_track(track) == heard_for(TEXT)
    assert scripted.texts == [TEXT]


def gone_after(turn: Turn, server: ScriptedServer) -> None:
    """Let the service go away once the turn waits for its text."""

    async def go_away(conversation: Conversation) -> None:
        await turn.asked.wait()
        server.away = True
        conversation.abort()

    server.scripts.append(go_away)


async def test_a_service_that_is_away_while_there_is_no_text_is_no_failure(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, turn: Turn, track: CustomAudioStreamTrack
) -> None:
    """The standby connection is lost and no other can be opened, but all is well when the text comes."""
    gone_after(turn, scripted)
    await tts.prewarm()
    turn.begin()
    for attempt in range(1, 5):
        await until(lambda attempt=attempt: scripted.refused >= attempt)  # type: ignore[misc]
        await clock.advance(2.0)  # The delay before the next try is over.
    await turn.think()
    scripted.away = False
    turn.answer()
    await turn.end()
    assert on_track(track) == heard_for(TEXT)
    assert not turn.errors


async def test_a_service_that_stays_away_fails_the_turn_when_there_is_text(
    tts: LokutorTTS, scripted: ScriptedServer, turn: Turn
) -> None:
    gone_after(turn, scripted)
    turn.begin()
    await until(lambda: scripted.away)
    await turn.think()
    turn.answer()
    await turn.end()
    assert [type(error) for error in turn.errors] == [ServiceError]


async def test_the_clock_runs_once_the_text_is_there(
    scripted: ScriptedServer, clock: Clock, turn: Turn, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(lambda conversation: conversation.gone())
    turn.begin()
    await turn.think()
    turn.answer()
    await until(lambda: scripted.texts == [TEXT])
    await clock.advance(LONG)
    await turn.end()
    assert [type(error) for error in turn.errors] == [ReplyTimeoutError]
    assert not on_track(track)


async def test_text_that_was_ready_is_not_forgiven_the_time_that_connecting_took(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock
) -> None:
    """A listener's silence begins with the call where the text is there, and not with the connection."""
    turn = Turn(tts, clock, ready=True)
    scripted.hold()
    scripted.scripts.append(lambda conversation: conversation.gone())
    turn.begin()
    await until(lambda: scripted.held > 0)
    await clock.advance(4.0)  # Of the 5 s that a handshake may take, and of 20 s in all.
    scripted.answer_all()
    await until(lambda: scripted.texts == [TEXT])
    await clock.advance(16.5)
    await turn.end()
    assert [type(error) for error in turn.errors] == [ReplyTimeoutError]


async def test_another_provider_is_not_asked_because_the_model_is_slow(
    tts: LokutorTTS, make_tts: Maker, turn: Turn, track: CustomAudioStreamTrack
) -> None:
    fallback = FallbackTTS([tts, make_tts("ws://127.0.0.1:9")])
    fallback.audio_track = track  # type: ignore[assignment]
    turn.begin(fallback)
    await turn.think()
    turn.answer()
    await turn.end()
    assert fallback.active_provider is tts
    assert on_track(track) == heard_for(TEXT)


@pytest.mark.parametrize("warm", [False, True])
async def test_a_refused_key_is_final_before_there_is_a_request(
    tts: LokutorTTS, scripted: ScriptedServer, turn: Turn, warm: bool
) -> None:
    async def refuse(conversation: Conversation) -> None:
        if warm:
            await turn.asked.wait()
        await conversation.text('{"type":"error","data":{"code":"auth.invalid_key","message":"no"}}')
        await conversation.ws.close(code=1008)

    scripted.scripts.append(refuse)
    if warm:
        await tts.prewarm()
    turn.begin()
    await turn.end()
    assert [(type(error), error.code) for error in turn.errors] == [(AuthenticationError, "auth.invalid_key")]
    assert [len(conversation.requests) for conversation in scripted.conversations][:1] == [0]


async def test_a_refused_key_is_final_while_a_connection_is_on_standby(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    """The refusal ends the standby connection. A turn would otherwise begin on one that is of no use."""

    async def refuse(conversation: Conversation) -> None:
        await conversation.text("ERR: no")
        await conversation.gone()

    scripted.scripts.append(refuse)
    await tts.prewarm()
    await scripted.all_closed()

"""Trying again: a lost connection is healed, and the listener hears the reply once and whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from kit import (
    PATIENCE,
    Clock,
    Conversation,
    Script,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    listen,
    logged,
    on_track,
    pushed_samples,
    settled,
    speak,
    speech_of,
    until,
)
from videosdk.agents import FlushMarker
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, _utterance
from videosdk.plugins.lokutor._wire.retry import RetryPolicy
from videosdk.plugins.lokutor.errors import (
    AuthenticationError,
    LokutorError,
    NetworkError,
    RateLimitError,
    ReplyTimeoutError,
    ServiceError,
)

Maker = Callable[..., LokutorTTS]
TEXT = "A reply that is to be heard once, and whole."


@pytest.fixture
def errors(tts: LokutorTTS) -> list[LokutorError]:
    return listen(tts)


def cut_after(size: int, how: str) -> Script:
    """Return a script that speaks ``size`` bytes of the first request and then ends like ``how``."""

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"])[:size], 1_001)
        match how:
            case "close":
                await conversation.ws.close(code=1011)
            case "abort":
                await asyncio.sleep(0.02)  # So that the audio leaves before the reset overtakes it.
                conversation.abort()
            case "silence":
                await conversation.gone()
            case message:
                await conversation.text(message)
                await conversation.gone()

    return script


@pytest.mark.parametrize("how", ["close", "abort", "ERR: busy", '{"type":"error","code":"internal.error"}'])
@pytest.mark.parametrize("size", [0, 1, 20_001, 60_000])
async def test_a_connection_lost_inside_a_reply_is_healed_to_the_sample(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    how: str,
    size: int,
) -> None:
    scripted.scripts.append(cut_after(size, how))
    await tts.synthesize(chunks_of([TEXT]))
    assert errors == []
    assert scripted.texts == [TEXT, TEXT]
    assert on_track(track) == heard_for(TEXT)


async def test_a_service_that_falls_silent_in_mid_reply_is_left_for_another_connection(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([cut_after(0, "silence"), cut_after(30_000, "silence")])
    await make_tts(scripted.url, first_audio_timeout=0.3, idle_timeout=0.3).synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)


async def test_several_losses_in_a_row_are_healed_while_there_is_progress(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend(cut_after(size, "close") for size in range(5_000, 60_000, 10_000))
    await tts.synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)
    assert len(scripted.conversations) == 7


async def test_without_progress_it_gives_up_after_max_retries(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = make_tts(scripted.url, max_retries=2)
    emitted = listen(tts)
    scripted.scripts.extend([cut_after(5_000, "close")] * 10)
    await asyncio.wait_for(tts.synthesize(TEXT), PATIENCE)
    assert len(scripted.conversations) == 3
    assert [type(error) for error in emitted] == [NetworkError]


async def test_requests_that_had_ended_are_not_repeated_and_unsent_text_is_not_lost(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    async def second_is_lost(conversation: Conversation) -> None:
        first = await conversation.request()
        await conversation.audio(speech_of(first["text"]))
        await conversation.end()
        second = await conversation.request()
        await conversation.audio(speech_of(second["text"])[:9_999])
        await conversation.ws.close()

    scripted.scripts.append(second_is_lost)
    flush = FlushMarker()
    await tts.synthesize(chunks_of(["One.", flush, "Two is longer.", flush, "Three.", flush]))
    assert scripted.texts == ["One.", "Two is longer.", "Two is longer.", "Three."]
    assert on_track(track) == heard_for("One.", "Two is longer.", "Three.")
    assert errors == []


@pytest.mark.parametrize("more_text", [True, False])
async def test_a_connection_lost_between_requests_is_replaced_when_there_is_text(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    more_text: bool,
) -> None:
    # Its audio lasts longer than the gap behind it, also on a busy machine: no silence is put in there.
    one = f"This is the first{' and only' * 16}."

    async def one_only(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await conversation.ws.close()

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield one
        await until(lambda: bool(scripted.conversations) and scripted.conversations[0].closed.is_set())
        if more_text:
            yield "Two."
        yield FlushMarker()

    scripted.scripts.append(one_only)
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    spoken = [one, "Two."] if more_text else [one]
    assert scripted.texts == spoken
    assert on_track(track) == heard_for(*spoken)
    assert errors == []


@pytest.mark.parametrize("code", [1000, 1008])
@pytest.mark.parametrize("warm", [True, False])
async def test_a_connection_that_is_closed_before_the_first_text_is_replaced(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    warm: bool,
    code: int,
) -> None:
    """Some services and proxies say ``1008`` (policy) where a connection was idle for too long."""
    asked = asyncio.Event()

    async def idle_too_long(conversation: Conversation) -> None:
        await asked.wait()
        await conversation.ws.close(code=code)

    async def text() -> AsyncIterator[str]:
        asked.set()
        await scripted.conversations[0].closed.wait()
        await settled()
        yield TEXT

    scripted.scripts.append(idle_too_long)
    if warm:
        await tts.prewarm()
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert errors == []
    assert on_track(track) == heard_for(TEXT)


async def test_a_service_that_ends_each_connection_by_policy_is_left(
    tts: LokutorTTS, scripted: ScriptedServer, errors: list[LokutorError]
) -> None:
    async def refuse(conversation: Conversation) -> None:
        await conversation.ws.close(code=1008)

    async def text() -> AsyncIterator[str]:
        await until(lambda: bool(scripted.conversations) and scripted.conversations[0].closed.is_set())
        await settled()
        yield TEXT

    scripted.scripts.extend([refuse] * 10)
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    assert [(type(error), error.status, error.retryable) for error in errors] == [(ServiceError, 1008, False)]
    assert len(scripted.conversations) <= 3  # One of them for the next turn.


async def test_a_request_that_crosses_the_end_of_an_idle_connection_is_sent_again(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    async def one_only(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await conversation.request()  # It is on its way.
        await conversation.ws.close(code=1008)

    scripted.scripts.append(one_only)
    flush = FlushMarker()
    await tts.synthesize(chunks_of(["One.", flush, "Two.", flush, "Three.", flush]))
    assert scripted.texts == ["One.", "Two.", "Two.", "Three."]
    assert on_track(track) == heard_for("One.", "Two.", "Three.")
    assert errors == []


async def test_a_connection_that_died_in_a_pause_of_the_text_is_replaced_within_a_second(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    """As behind a router that forgets it: nobody says that it is gone."""
    over = asyncio.Event()

    async def one_only(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await over.wait()  # It reads nothing, and answers no ping.

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield "One."
        yield FlushMarker()
        await until(lambda: pushed_samples(track) > 0)
        clock.skip(4.0)
        yield "Two."
        yield FlushMarker()
        await settled()
        clock.skip(1.2)

    scripted.scripts.append(one_only)
    tts = make_tts(scripted.url, first_audio_timeout=3 * PATIENCE, max_retries=1)
    errors = listen(tts)
    await asyncio.wait_for(tts.synthesize(text()), PATIENCE)
    over.set()
    assert scripted.texts == ["One.", "Two."]
    assert errors == []


async def test_nothing_is_spoken_after_an_interruption_that_comes_while_recovering(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    scripted.scripts.append(cut_after(20_000, "close"))
    turn = asyncio.create_task(tts.synthesize(TEXT))
    await until(lambda: bool(scripted.conversations) and scripted.conversations[0].closed.is_set())
    await tts.interrupt()
    pushed = pushed_samples(track)
    await asyncio.wait_for(turn, PATIENCE)
    await scripted.all_closed()
    assert pushed_samples(track) == pushed
    assert errors == []


async def test_a_mute_service_is_asked_once_more_and_then_reported(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    async def mute(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.end()

    scripted.scripts.append(mute)
    await tts.synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)
    assert errors == []
    scripted.scripts.extend([mute, mute])
    await tts.synthesize(TEXT)
    assert [type(error) for error in errors] == [ServiceError]


async def test_an_emoji_may_stay_silent(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    async def mute_first(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.end()
        await speak(conversation)

    scripted.scripts.append(mute_first)
    await tts.synthesize(chunks_of(["😀", FlushMarker(), "Hello."]))
    assert scripted.texts == ["😀", "Hello."]
    assert on_track(track) == heard_for("Hello.")
    assert errors == []


async def test_a_service_that_never_stops_is_stopped(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    async def endless(conversation: Conversation) -> None:
        await conversation.request()
        while True:
            await conversation.ws.send_bytes(bytes(88_200))

    scripted.scripts.append(endless)
    await asyncio.wait_for(tts.synthesize("Hi."), PATIENCE)
    assert [(type(error), error.retryable) for error in errors] == [(ServiceError, False)]
    await scripted.all_closed()


async def test_the_callers_silence_is_bounded_however_many_tries(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    tts = make_tts(
        scripted.url, connect_timeout=0.2, first_audio_timeout=0.2, idle_timeout=0.2, max_retries=100
    )
    emitted = listen(tts)
    scripted.scripts.extend([cut_after(0, "silence")] * 100)
    await asyncio.wait_for(tts.synthesize(TEXT), PATIENCE)
    assert [type(error) for error in emitted] == [ReplyTimeoutError]
    # Without the bound, a hundred.
    assert len(scripted.conversations) < 20


async def test_an_unavailable_service_is_tried_again(make_tts: Maker) -> None:
    tries = 0

    async def refuse(_http: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/ws/tts", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(ServiceError):
            await make_tts(f"ws://127.0.0.1:{runner.addresses[0][1]}", max_retries=2).synthesize(TEXT)
    finally:
        await runner.cleanup()
    assert tries == 3


async def test_a_turn_is_tried_again_when_the_service_wants_it_where_there_is_time(
    tts: LokutorTTS, scripted: ScriptedServer, clock: Clock, track: CustomAudioStreamTrack
) -> None:
    scripted.away, scripted.refusal = True, (429, {"Retry-After": "4"})
    with logged("Trying again in 4.") as refused:
        turn = asyncio.create_task(tts.synthesize(TEXT))
        await asyncio.wait_for(refused.wait(), PATIENCE)
    scripted.away = False
    await clock.advance(4.2)
    await asyncio.wait_for(turn, PATIENCE)
    assert scripted.refused == 1
    assert on_track(track) == heard_for(TEXT)


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
async def test_a_turn_for_which_that_is_too_late_fails_at_once(
    tts: LokutorTTS, scripted: ScriptedServer, header: str
) -> None:
    scripted.away, scripted.refusal = True, (429, {header: "60"})
    with pytest.raises(RateLimitError, match="429"):
        await asyncio.wait_for(tts.synthesize(TEXT), PATIENCE)
    assert scripted.refused == 1


def test_the_policy_spreads_its_delays_and_resets_with_progress() -> None:
    recovery = RetryPolicy(3, random.Random(1))
    error = NetworkError("lost")
    first = [recovery.delay(error, 60.0) for _ in range(4)]
    assert first[3] is None
    delays = [delay for delay in first if delay is not None]
    assert delays == sorted(delays)
    assert all(0.05 <= delay <= 2.0 for delay in delays)
    recovery.progress()
    assert recovery.delay(error, 60.0) is not None


@pytest.mark.parametrize(
    ("error", "time_left", "expected"),
    [
        (AuthenticationError("no"), 60.0, None),
        (ServiceError("no", retryable=False), 60.0, None),
        (NetworkError("lost"), 0.01, None),
        (RateLimitError("slow down", retry_after=7.0), 7.04, 7.0),
        (RateLimitError("slow down", retry_after=7.0), 7.0, None),
        (RateLimitError("slow down", retry_after=70.0), 60.0, None),
    ],
)
def test_the_policy_knows_what_is_final_and_honours_retry_after(
    error: LokutorError, time_left: float, expected: float | None
) -> None:
    assert RetryPolicy(3).delay(error, time_left) == expected


def test_those_who_are_told_the_same_moment_do_not_return_together() -> None:
    error = RateLimitError("slow down", retry_after=7.0)
    delays = [RetryPolicy(3, random.Random(seed)).delay(error, 60.0) or 0.0 for seed in range(100)]
    assert all(7.05 <= delay <= 7.1 for delay in delays)
    assert max(delays) - min(delays) > 0.04


async def test_an_outage_in_the_middle_of_a_reply_is_waited_for(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    async def breaks_off(conversation: Conversation) -> None:
        scripted.away = True
        await conversation.audio(speech_of((await conversation.request())["text"])[:20_000])
        conversation.abort()

    scripted.scripts.extend([breaks_off, speak])
    turn = asyncio.create_task(make_tts(scripted.url, connect_timeout=300.0).synthesize(TEXT))
    await until(lambda: scripted.away)
    while not turn.done():
        scripted.away = scripted.refused < 6  # More often than max_retries.
        await clock.advance(0.2)
    await turn
    assert on_track(track) == heard_for(TEXT)


async def test_an_outage_from_the_start_ends_the_turn_soon_so_that_another_provider_can_speak(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    scripted.away = True
    with pytest.raises(LokutorError):
        await make_tts(scripted.url, max_retries=1).synthesize(TEXT)
    assert scripted.refused == 2


@pytest.mark.parametrize("first", [200, 8_000])
async def test_audio_that_begins_just_in_time_is_heard(
    first: int,
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though what the listener counts as sound, a tenth of a second, is there only after the time-out."""
    monkeypatch.setattr(_utterance, "_FIRST_SOUND", 3 * PATIENCE)  # Each step of a busy machine is in time.

    async def begin_late(conversation: Conversation) -> None:
        pcm = speech_of((await conversation.request())["text"])
        clock.skip(PATIENCE)
        await conversation.audio(pcm[:first])
        await settled()
        clock.skip(1.5 * PATIENCE)
        await settled()
        await conversation.audio(pcm[first:])
        await conversation.end()

    scripted.scripts.append(begin_late)
    tts = make_tts(scripted.url, first_audio_timeout=2 * PATIENCE, idle_timeout=PATIENCE)
    costs = emitted_by(tts, "metrics")
    await asyncio.wait_for(tts.synthesize(TEXT), 6 * PATIENCE)
    assert on_track(track) == heard_for(TEXT)
    assert [cost.retries for cost in costs] == [0]


@pytest.mark.parametrize(("first", "words"), [(0, "no audio for 10 s"), (200, "hardly any audio for 10 s")])
async def test_a_service_that_falls_silent_at_its_first_sound_is_told(
    first: int, words: str, make_tts: Maker, scripted: ScriptedServer, clock: Clock
) -> None:
    async def fall_silent(conversation: Conversation) -> None:
        pcm = speech_of((await conversation.request())["text"])
        clock.skip(5.0)  # In all less than until the next ping.
        await conversation.audio(pcm[:first])
        await settled()
        clock.skip(10.0)
        await conversation.gone()

    scripted.scripts.append(fall_silent)
    tts = make_tts(scripted.url, first_audio_timeout=10.0, max_retries=0)
    errors = listen(tts)
    await asyncio.wait_for(tts.synthesize(TEXT), 6 * PATIENCE)
    assert [words in str(error) for error in errors] == [True]


@pytest.mark.usefixtures("patience")
async def test_audio_that_came_while_the_loop_was_blocked_is_in_time(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, clock: Clock
) -> None:
    async def block(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        clock.skip(600.0)

    scripted.scripts.append(block)
    tts = make_tts(scripted.url, max_retries=0)
    tts.audio_track = track
    errors = listen(tts)
    await tts.synthesize(TEXT)
    assert not errors
    assert scripted.texts == [TEXT]

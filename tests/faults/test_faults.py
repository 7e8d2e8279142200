"""The table of faults, row by row: what is heard, what is seen, how long it took, and the turn after it.

The same run is searched for the API key, which nothing that goes wrong may show, and for the text.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Self

import numpy as np
import pytest
from kit import PATIENCE, at_track_rate, chunks_of, heard_for, on_track, speech_of, until
from kit.proxy import Link
from videosdk.agents import FallbackTTS, FlushMarker

from faults.leaks import KEY, all_logged, with_key, words_of_record, words_of_turn
from faults.plays import Moment
from faults.scripts import speak_dither, speak_silence
from faults.stage import NEXT_TEXT, TEXT, MineError, Outcome, Row, Stage, Turn
from faults.table import LINES, ROWS, reliability_table
from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.silence import LOUDEST_SILENCE
from videosdk.plugins.lokutor.errors import LokutorError, ReplyTimeoutError

SILENT = [row for row in ROWS if row.error is ReplyTimeoutError and not row.host]
"""What the plugin waits for in vain, for seconds; none changes what is around it."""
RAISED = [row for row in ROWS if row.outcome is Outcome.RAISED]
OWN_LOGGER = "videosdk.plugins.lokutor"
WHOLE = {Outcome.IGNORED, Outcome.HEALED}
TOLD = {Outcome.RAISED, Outcome.REPORTED}
CONNECTED = {Moment.BEFORE_AUDIO, Moment.MID_AUDIO, Moment.AFTER_AUDIO}
LASTING = {"untrusted", "plain", "nameless"}
"""Faults that lie in the address: the turn after them fails as well."""
ORDER = {
    Outcome.IGNORED: ["first audio", "metrics", "returned"],
    Outcome.HEALED: ["first audio", "metrics", "returned"],
    Outcome.SILENT: ["first audio", "metrics", "returned"],
    Outcome.RAISED: ["metrics", "error", "raised"],
    Outcome.REPORTED: ["first audio", "metrics", "error", "returned"],
    Outcome.PASSED_ON: ["metrics", "raised"],
    Outcome.STOPPED: ["metrics", "returned"],
}


def check_what_is_heard(row: Row, turn: Turn, heard: bytes) -> None:
    match row.outcome:
        case Outcome.SILENT:
            assert not heard
        case Outcome.IGNORED | Outcome.HEALED if row.moment in {Moment.BETWEEN, Moment.YOURS}:
            assert heard == heard_for(*dict.fromkeys(turn.stage.server.texts))
        case Outcome.IGNORED | Outcome.HEALED:
            assert heard == heard_for(TEXT)
        case _ if row.script is speak_silence:
            assert not any(heard)
        case _ if row.script is speak_dither:
            assert np.abs(np.frombuffer(heard, "<i2")).max(initial=0) <= LOUDEST_SILENCE
        case _ if row.line == "final error" and row.moment is Moment.BETWEEN:
            # The filter looks ahead; what it held back comes with the end of the turn.
            assert heard == heard_for(TEXT)
        case _ if row.heard is not None:
            assert heard == at_track_rate(speech_of(TEXT)[: row.heard])
        case _ if row.line != "excess":
            # The filter looks ahead and the last frame is filled up: the very end is its own.
            assert heard_for(TEXT).startswith(heard[: max(len(heard) - 1_100, 0)])
        case _:
            assert heard


def check_what_is_seen(row: Row, turn: Turn) -> None:
    optional = {"first audio"} if row.outcome is Outcome.PASSED_ON else set()
    assert [step for step in turn.order if step not in optional] == ORDER[row.outcome]
    assert len(turn.emitted) == (row.outcome in TOLD)
    if row.outcome is Outcome.RAISED:
        assert turn.raised is turn.emitted[0]
    seen = turn.emitted[0] if turn.emitted else turn.raised
    assert type(seen) is (row.error or type(None))
    if isinstance(seen, LokutorError):
        assert (seen.code, seen.status, seen.retryable) == (row.code, row.status, row.retryable)
        assert len(str(seen)) < 500
    if row.outcome is Outcome.IGNORED or (row.outcome is Outcome.HEALED and row.moment in CONNECTED):
        assert (turn.metrics[0].retries > 0) == (row.outcome is Outcome.HEALED)


async def check_the_next_turn(row: Row, stage: Stage) -> None:
    await stage.repair()
    if row.host in LASTING:
        return
    track = stage.new_track()
    await asyncio.wait_for(stage.tts.synthesize(NEXT_TEXT), PATIENCE)
    assert on_track(track) == heard_for(NEXT_TEXT)


def check_that_the_key_is_nowhere(words: list[str], logged: list[logging.LogRecord]) -> None:
    """At no log level, and in nothing that the developer gets."""
    assert not with_key(words)
    assert not [record for record in logged if with_key(words_of_record(record))]


def check_that_the_text_is_in_the_debug_log_at_most(logged: list[logging.LogRecord]) -> None:
    """There it is cut short."""
    own = [record for record in logged if record.name.startswith(OWN_LOGGER)]
    assert not [record for record in own if TEXT in record.getMessage()]
    assert not [
        record for record in own if record.levelno > logging.DEBUG and TEXT[:12] in record.getMessage()
    ]


@pytest.mark.parametrize("row", [row for row in ROWS if row not in SILENT], ids=str)
async def test_fault(row: Row) -> None:
    with all_logged() as logged:
        words = await play(row)
        gc.collect()  # So that what was not closed warns here.
    check_that_the_key_is_nowhere(words, logged)
    check_that_the_text_is_in_the_debug_log_at_most(logged)


async def test_faults_that_are_silences() -> None:
    """All at once: each is mostly waited for."""
    with all_logged() as logged:
        played = await asyncio.gather(*map(play, SILENT), return_exceptions=True)
        gc.collect()
    wrong = [
        named(error, row)
        for row, error in zip(SILENT, played, strict=True)
        if isinstance(error, BaseException)
    ]
    if wrong:
        raise BaseExceptionGroup(f"{len(wrong)} of {len(SILENT)} faults", wrong)
    words = [word for words in played if isinstance(words, list) for word in words]
    check_that_the_key_is_nowhere(words, logged)
    check_that_the_text_is_in_the_debug_log_at_most(logged)


def named(error: BaseException, row: Row) -> BaseException:
    error.add_note(f"The fault: {row}")
    return error


async def play(row: Row) -> list[str]:
    """Check what comes of ``row``, and return all that can be read off it."""
    async with Stage(row, KEY) as stage:
        await stage.break_down()
        turn = await stage.speak()
        words = [*words_of_turn(turn), *map(target_of, stage.proxy.links)]
        check_what_is_seen(row, turn)
        check_what_is_heard(row, turn, on_track(stage.tts.audio_track))
        assert turn.seconds >= row.at_least
        assert turn.seconds - turn.late < row.within
        assert row.tries in {len(stage.proxy.links), None}
        assert not stage.elsewhere.links
        if stage.is_quiet_between_turns:
            await stage.all_closed()
        await check_the_next_turn(row, stage)
        assert len(turn.emitted) == (row.outcome in TOLD)
        await stage.close()
    return words


def target_of(link: Link) -> str:
    """Return what was asked for: the first line of the handshake."""
    return link.head.split(b"\r\n")[0].decode("latin-1")


@pytest.mark.parametrize("row", [row for row in RAISED if row.arrange is None], ids=str)
async def test_another_provider_speaks_the_whole_text_in_the_same_turn(row: Row) -> None:
    async with Stage(row) as stage:
        other = LokutorTTS(api_key="another-key", base_url=stage.server.url)
        fallback = FallbackTTS([stage.tts, other])
        track = fallback.audio_track = stage.new_track()  # type: ignore[assignment]
        await stage.break_down()
        await asyncio.wait_for(fallback.synthesize(chunks_of([TEXT])), PATIENCE)
        assert on_track(track) == heard_for(TEXT)
        assert fallback.active_provider is other
        await other.aclose()


STREAMED = [row for row in ROWS if row.moment is not Moment.YOURS and not row.warm and row.arrange is None]


@pytest.mark.parametrize("row", STREAMED[::4], ids=str)
async def test_a_stream_keeps_the_same_promises(row: Row) -> None:
    """A stream has no turn to release, so it raises whatever failed."""
    async with Stage(row) as stage:
        turn = Turn(stage, stage.tts, drive=read_stream)
        await stage.break_down()
        await turn.speak()
        ending = ["metrics", "returned"] if row.outcome in WHOLE else ["metrics", "error", "raised"]
        assert turn.order == ending
        assert type(turn.raised) is (row.error if row.outcome in TOLD else type(None))
        assert [error for error in [turn.raised] if error] == turn.emitted
        if row.outcome in WHOLE:
            assert bytes(turn.streamed) == heard_for(TEXT)
        await stage.close()


async def read_stream(turn: Turn) -> None:
    async for piece in turn.tts.stream_synthesize(turn.text):
        turn.streamed += piece


@pytest.mark.parametrize("outcome", [Outcome.HEALED, Outcome.RAISED, Outcome.REPORTED, Outcome.STOPPED])
async def test_a_text_iterator_is_closed_once_it_was_begun(outcome: Outcome) -> None:
    """One that was never begun is another provider's to speak."""
    steps: list[str] = []

    async def text() -> AsyncIterator[str | FlushMarker]:
        steps.append("begun")
        try:
            yield TEXT
            yield FlushMarker()
            if outcome is not Outcome.HEALED:
                await asyncio.Event().wait()
        finally:
            steps.append("closed")

    names = {Outcome.HEALED: "close 1000", Outcome.RAISED: "401", Outcome.REPORTED: "close 1008"}
    row = next(row for row in ROWS if row.name == names.get(outcome, "the text stalls"))
    async with Stage(row) as stage:
        turn = Turn(stage, stage.tts, text=text(), drive=cancelled if outcome is Outcome.STOPPED else None)
        await stage.break_down()
        await turn.speak()
        await turn.text.aclose()
    assert steps == ([] if outcome is Outcome.RAISED else ["begun", "closed"])


async def cancelled(turn: Turn) -> None:
    """Cancel the caller once something is heard, as the framework does after a barge-in."""
    call = asyncio.create_task(turn.tts.synthesize(turn.text))
    await until(lambda: bool(on_track(turn.tts.audio_track)))
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()


async def test_an_abandoned_stream_leaves_nothing_behind() -> None:
    row = next(row for row in ROWS if row.line == "slow")
    async with Stage(row) as stage:
        stream = stage.tts.stream_synthesize(TEXT)
        await anext(stream)
        await stream.aclose()
        await stage.all_closed()


class Unclosable:
    """A text iterator that fails when it is closed."""

    def __init__(self) -> None:
        self._chunks: list[str | FlushMarker] = [TEXT, FlushMarker()]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | FlushMarker:
        if not self._chunks:
            await asyncio.Event().wait()
        return self._chunks.pop(0)

    async def aclose(self) -> None:
        raise MineError


@pytest.mark.parametrize("fails", [False, True])
async def test_a_text_that_can_not_be_closed_does_not_hide_the_outcome(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    row = next(row for row in ROWS if row.name == "close 1008")
    async with Stage(row) as stage:
        turn = Turn(stage, stage.tts, text=Unclosable(), drive=None if fails else cancelled)
        if fails:
            await stage.break_down()
        await turn.speak()
    assert (turn.order[-1], len(turn.emitted)) == ("returned", int(fails))
    assert "MineError" in caplog.text


def test_each_row_has_its_own_name() -> None:
    names = [(row.line, str(row), row.host) for row in ROWS]
    assert sorted(set(names)) == sorted(names)


def test_each_line_is_one_promise_and_each_promise_is_tested() -> None:
    outcomes = {line: {row.outcome for row in ROWS if row.line == line} for line in LINES}
    assert {line: len(found) for line, found in outcomes.items()} == dict.fromkeys(LINES, 1)
    assert {row.line for row in ROWS} == set(LINES)
    assert len(reliability_table().splitlines()) == len(LINES) + 2

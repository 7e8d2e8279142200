"""The API key stays at home, where the service or the developer quotes it too.

What the table's faults show is searched by ``test_faults.py``, as it plays them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from kit import Conversation, Script

from faults.leaks import KEY, all_logged, frames_of, with_key, words_of, words_of_record, words_of_turn
from faults.plays import Moment
from faults.scripts import replying
from faults.stage import Outcome, Row, Stage
from faults.table import ROWS
from videosdk.plugins.lokutor import LokutorTTS


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    with all_logged() as records:
        yield records


@pytest.mark.parametrize(
    "form",
    [
        "ERR: {}",
        '{{"type":"error","code":"auth.invalid_key","message":"{}"}}',
        '{{"type":"error","code":"{0}","request_id":"{0}","message":"{0}"}}',
    ],
)
async def test_a_service_that_quotes_the_key_is_not_quoted(
    form: str, logged: list[logging.LogRecord]
) -> None:
    said = form.format(f"the key {KEY} is not known")
    row = Row("final error", "quoted", Moment.BEFORE_AUDIO, Outcome.REPORTED, script=replying(said), times=9)
    async with Stage(row, KEY) as stage:
        await stage.break_down()
        turn = await stage.speak()
    [error] = turn.emitted
    assert "***" in str(error)
    assert not with_key(words_of_turn(turn))
    assert not [record for record in logged if with_key(words_of_record(record))]


def closing_because(code: int, reason: str) -> Script:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.ws.close(code=code, message=reason.encode())

    return script


@pytest.mark.parametrize(
    "script",
    [
        closing_because(1008, f"the key {KEY} is not known"),
        closing_because(1011, f"the key {KEY} is not known"),
        replying(f'{{"type":"audio","data":"%%%","api_key":"{KEY}"}}'),
        replying(f"ERR: {KEY}"),
    ],
    ids=["close 1008", "close 1011", "broken audio", "ERR"],
)
async def test_the_key_that_a_service_quotes_stays_in_no_frame(script: Script) -> None:
    row = Row(
        "final error",
        "quoted",
        Moment.BEFORE_AUDIO,
        Outcome.REPORTED,
        script=script,
        times=9,
        options={"max_retries": 1},
    )
    async with Stage(row, KEY) as stage:
        await stage.break_down()
        turn = await stage.speak()
    [error] = turn.emitted
    assert len(list(frames_of(error))) > 1
    assert not with_key(words_of_turn(turn))


def test_the_search_finds_a_key_wherever_it_is(logged: list[logging.LogRecord]) -> None:
    service, other = logging.getLogger("aiohttp.client"), logging.getLogger("any.other")
    try:
        vars(logging)[KEY]
    except KeyError as cause:
        error = ValueError("no word of it")
        error.__context__ = cause
    assert with_key(words_of(error))
    service.debug("Sent %s", KEY)
    other.debug("Failed", exc_info=error)
    other.debug("Sent", extra={"headers": {"X-API-Key": KEY}})
    assert [bool(with_key(words_of_record(record))) for record in logged] == [True, True, True]


async def test_the_key_is_sent_in_the_header_to_the_service_alone() -> None:
    row = next(row for row in ROWS if row.outcome is Outcome.IGNORED and row.link is not None)
    async with Stage(row, KEY) as stage:
        await stage.speak()
        [link] = stage.proxy.links
        head = link.head.decode()
    assert f"X-API-Key: {KEY}\r\n" in head
    assert head.count(KEY) == 1
    assert head.startswith("GET /ws/tts HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "url",
    [
        "ws://example.com",
        "http://10.0.0.1",
        f"wss://{KEY}@example.com",
        f"wss://example.com/?api_key={KEY}",
        f"wss://example.com/?API_KEY={KEY}",
        f"wss://example.com/?X-Api-Key={KEY}",
        f"wss://example.com/?access_token={KEY}",
        f"wss://example.com/?region={KEY}",
        f"wss://example.com/{KEY}/ws",
        f"wss://example.com/ws#{KEY}",
    ],
)
def test_an_address_that_would_show_the_key_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        LokutorTTS(api_key=KEY, base_url=url)
    assert not [said for said in words_of(caught.value) if f"{KEY}" in said.replace(f'"{url}"', "")]

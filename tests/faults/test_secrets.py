"""The API key stays at home: nothing that goes wrong shows it, at any log level."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import Conversation, Script

from faults.plays import Moment
from faults.scripts import replying
from faults.stage import TEXT, Outcome, Row, Stage, Turn
from faults.table import ROWS
from videosdk.plugins.lokutor import LokutorTTS

KEY = "lk-7f3a9c-keep-me-at-home-51d2"
OWN_LOGGER = "videosdk.plugins.lokutor"


class Everything(logging.Handler):
    """Keeps all that any logger says, with its arguments and its exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    handler = Everything()
    names = ["", *logging.root.manager.loggerDict, "aiohttp", "aiohttp.client", "aiohttp.internal", "asyncio"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    yield handler.records
    logging.root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def words_of(error: BaseException | None) -> Iterator[str]:
    """Yield all that can be read off ``error`` and off what it came from."""
    seen: set[int] = set()
    due = [error]
    while due:
        error = due.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield "".join(traceback.format_exception(error))
        due += [error.__cause__, error.__context__]


def frames_of(error: BaseException | None) -> Iterator[str]:
    """Yield what the frames of ``error`` hold that are the plugin's or aiohttp's, as crash reports do."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if Path(frame.f_code.co_filename).parts[-2:-1] in {("lokutor",), ("aiohttp",)}:
                yield repr(frame.f_locals)
        error = error.__cause__ or error.__context__


def words_of_record(record: logging.LogRecord) -> Iterator[str]:
    yield record.getMessage()
    yield repr(vars(record))
    if record.exc_info:
        yield from words_of(record.exc_info[1])


def words_of_turn(turn: Turn) -> Iterator[str]:
    for error in [turn.raised, *turn.emitted]:
        yield from words_of(error)
        yield from frames_of(error)
    yield from map(repr, turn.metrics)
    yield repr(turn.tts)
    yield str(turn.tts)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_the_key_is_nowhere_to_be_read(row: Row, logged: list[logging.LogRecord]) -> None:
    async with Stage(row, KEY) as stage:
        await stage.break_down()
        turn = await stage.speak()
        words = list(words_of_turn(turn))
        assert not stage.elsewhere.links  # A redirect was not followed.
        targets = [link.head.split(b"\r\n")[0] for link in stage.proxy.links]
    gc.collect()
    assert not [said for said in words if KEY in said]
    assert not [record for record in logged if any(KEY in said for said in words_of_record(record))]
    assert not [target for target in targets if KEY.encode() in target]


@pytest.mark.parametrize("row", ROWS[::6], ids=str)
async def test_the_text_is_in_no_log_but_the_debug_log(row: Row, logged: list[logging.LogRecord]) -> None:
    async with Stage(row, KEY) as stage:
        await stage.break_down()
        await stage.speak()
    own = [record for record in logged if record.name.startswith(OWN_LOGGER)]
    assert not [record for record in own if TEXT in record.getMessage()]
    assert not [
        record for record in own if record.levelno > logging.DEBUG and TEXT[:12] in record.getMessage()
    ]


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
    assert not [words for words in words_of_turn(turn) if KEY in words]
    assert not [record for record in logged if any(KEY in words for words in words_of_record(record))]


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
    assert not [words for words in words_of_turn(turn) if KEY in words]


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

"""Looks for the API key wherever something can be read: logs, exceptions, frames, metrics."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.stage import Turn

KEY = "lk-7f3a9c-keep-me-at-home-51d2"


class Everything(logging.Handler):
    """Keeps all that any logger says, with its arguments and its exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def all_logged() -> Iterator[list[logging.LogRecord]]:
    """Yield all records that any logger makes from now on, at any level."""
    handler = Everything()
    names = ["", *logging.root.manager.loggerDict, "aiohttp", "aiohttp.client", "aiohttp.internal", "asyncio"]
    levels = {name: logging.getLogger(name).level for name in names}
    # The others have that of the loggers above them. Each change makes logging forget what it knows of all.
    levels = {name: level for name, level in levels.items() if not name or level != logging.NOTSET}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    try:
        yield handler.records
    finally:
        logging.root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def with_key(words: Iterable[str]) -> list[str]:
    return [said for said in words if KEY in said]


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

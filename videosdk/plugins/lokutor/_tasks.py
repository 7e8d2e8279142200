"""Tasks that nobody waits for any more, and whose cancellation is whose.

Rule of this file: it knows asyncio, and nothing of what the tasks do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_kept: set[asyncio.Task[Any]] = set()
"""Until they are done: the loop itself holds its tasks weakly."""


def keep(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Let ``tasks`` run to their end, although nobody holds them."""
    for task in tasks:
        _kept.add(task)
        task.add_done_callback(_kept.discard)


def was_cancelled(error: BaseException) -> bool:
    """Return whether ``error`` is the cancellation of the running task.

    Somebody else's code can raise a ``CancelledError`` that nobody has asked for: by awaiting a future that
    was cancelled.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0

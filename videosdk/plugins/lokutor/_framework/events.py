"""Subscriptions to the framework's events.

Rule of this file: a handler doesn't keep alive whom it is about. What emits the event holds its handlers, and
mostly is, or is held by, whom they are about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import ref

T = TypeVar("T")


def subscribe(emitter: Any, event: str, subject: T, handler: Callable[[T], None]) -> None:
    """Have ``handler`` called with ``subject`` at each event, as long as that lives."""
    known = ref(subject)

    def on_event(_data: object) -> None:
        living = known()
        if living is not None:
            handler(living)

    emitter.on(event, on_event)

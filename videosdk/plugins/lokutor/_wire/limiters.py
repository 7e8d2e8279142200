"""What an application may pass as its rate limiter, and how it is asked.

Rule of this file: it asks, and believes the answer. What follows from the answers is for the permits.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

Kind: TypeAlias = Literal["handshake", "request"]
AskPermit: TypeAlias = Callable[[Kind, float], Awaitable[bool | None]]
"""Waits so many seconds at most (0: not at all), and returns whether there is one. None is a yes."""
TakeBack: TypeAlias = Callable[[Kind], object]
"""Takes a permit back that wasn't used; async or not."""

GRACE = 1.0
"""Seconds that a limiter may take on top of the time that it was given, before it seems to hang."""


@runtime_checkable
class Bucket(Protocol):
    """A limiter of one process, such as ``aiolimiter.AsyncLimiter``. It counts requests.

    Attributes:
        max_rate: How many requests there may be in a period.
        time_period: Its seconds.
    """

    max_rate: float
    time_period: float

    def has_capacity(self, amount: float = 1) -> bool:
        """Return whether so many requests may be sent now."""

    async def acquire(self, amount: float = 1) -> object:
        """Wait until so many requests may be sent."""


Limiter: TypeAlias = AskPermit | Bucket
"""What ``LokutorTTS(limiter=…)`` takes."""


async def ask_limiter(ask: AskPermit, kind: Kind, within: float) -> bool:
    """Return whether the limiter permits it. Whatever is raised is the limiter's failure."""
    answer: Any = ask(kind, within)
    if inspect.isawaitable(answer):
        answer = await answer
    # Redis answers 0 and 1; limiters that wait for as long as it takes return nothing.
    return answer is None or bool(answer)


async def return_permit(take_back: TakeBack, kind: Kind) -> None:
    """Tell the limiter of a permit that wasn't used."""
    async with asyncio.timeout(GRACE):
        answer = take_back(kind)
        if inspect.isawaitable(answer):
            await answer


def check_limiter(limiter: object) -> None:
    """Check that something can be asked for permits.

    Raises:
        ValueError: It can't.
    """
    if limiter is None:
        return
    if isinstance(limiter, type) and not hasattr(limiter, "__await__"):
        raise _unusable(f"the class {limiter.__name__}: pass an instance of it")
    if isinstance(limiter, Bucket):
        if _is_plain(limiter.acquire):
            raise _unusable(f"a {type(limiter).__name__} whose acquire() isn't async")
    elif not callable(limiter):
        raise _unusable(f"a {type(limiter).__name__}")
    else:
        _check_call("limiter", limiter, "request", 1.0)
        if _is_plain(limiter):
            raise _unusable(
                f"{_name(limiter)}, which isn't async: the call would stand still while it waits. "
                "Write `async def`, or annotate that it returns an Awaitable"
            )
    give_back = getattr(limiter, "give_back", None)
    if give_back is not None:
        if not callable(give_back):
            raise _unusable(f"a {type(limiter).__name__} whose give_back is no function")
        _check_call("limiter.give_back", give_back, "request")


_NOT_AWAITABLE = (bool, int, None, bool | None, "bool", "int", "None", "bool | None")
"""What functions that aren't async are annotated to return."""


def _unusable(got: str) -> ValueError:
    return ValueError(
        "limiter must be an async function (kind, timeout) -> bool, or have acquire() and has_capacity() "
        f"as aiolimiter.AsyncLimiter has, got {got}"
    )


def _name(limiter: object) -> str:
    return getattr(limiter, "__qualname__", None) or f"a {type(limiter).__name__}"


def _check_call(what: str, function: Callable[..., object], *arguments: object) -> None:
    """Check that something takes ``arguments``, as far as it tells."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # It is written in C, and tells nothing.
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        names = "(kind, timeout)" if len(arguments) > 1 else "(kind)"
        raise ValueError(f"{what} must take {names}, got {_name(function)}{signature}: {error}") from None


def _is_plain(limiter: Callable[..., object]) -> bool:
    """Return whether it is known to return no awaitable.

    A function that isn't async can still return one: it says so in its annotation, decorates one that is
    async, hands all of its arguments on as decorators do, or is a lambda.
    """
    while isinstance(limiter, functools.partial):
        limiter = limiter.func
    called = limiter if inspect.isroutine(limiter) else getattr(type(limiter), "__call__")  # noqa: B004, B009
    wrapped = (inspect.unwrap(limiter), inspect.unwrap(called))
    if any(inspect.iscoroutinefunction(function) for function in (limiter, called, *wrapped)):
        return False
    function = getattr(called, "__func__", called)
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        return False
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return True
    if function.__code__.co_flags & inspect.CO_VARARGS:
        return False
    return function.__annotations__.get("return", bool) in _NOT_AWAITABLE


def find_take_back(limiter: Limiter | None) -> TakeBack | None:
    """Return how a limiter takes permits back, if it does."""
    return getattr(limiter, "give_back", None)


def find_ask(limiter: Limiter | None) -> AskPermit | None:
    """Return how a limiter is asked."""
    return _BucketQueue(limiter).ask if isinstance(limiter, Bucket) else limiter


class _BucketQueue:
    """Asks a limiter that only knows how to wait."""

    _waiting: ClassVar[Counter[int]] = Counter()
    """Who waits for each limiter, of all plugins in the process that share it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def ask(self, kind: Kind, within: float) -> bool:
        if kind != "request":
            return True
        bucket, waiting, name = self._bucket, self._waiting, id(self._bucket)
        leaked = within * bucket.max_rate / bucket.time_period
        if not bucket.has_capacity(waiting[name] + 1 - leaked):  # Nobody queues who would wait in vain.
            return False
        waiting[name] += 1
        try:
            async with asyncio.timeout(within + GRACE):
                taken = await bucket.acquire()
        except TimeoutError:  # Somebody else was faster.
            return False
        finally:
            waiting[name] -= 1
            if not waiting[name]:
                del waiting[name]
        return taken is None or bool(taken)

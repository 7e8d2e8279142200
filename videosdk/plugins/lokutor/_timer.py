"""Times that move: a callback that is due, a deadline for what is awaited, a task that keeps the loop.

Rule of this file: it knows the event loop and nothing else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType

_BLOCKED = 0.1
"""Seconds after its time at which a timer comes only because something else has kept the loop. Reading what
has come meanwhile takes no longer than that."""
_PASSES = 5
"""Of the loop, until what has come meanwhile was read: from the socket, over a task, to who waits."""


def do_nothing(*_: object) -> None:
    """Take the place of a callback that isn't wanted any more."""


class Timer:
    """Calls back after a time, unless stopped. Starting it again moves the time.

    Restarting is the hot path (once for each message), so it only notes the new time; the handle that
    is already armed looks at it when it fires.

    Where the loop was blocked until long after the time, what has come meanwhile is looked at first: it may
    start the timer again, or stop it.

    Args:
        loop: Where it runs.
        callback: What it calls.
        patient: Whether what has come is looked at first in any case. This takes some passes of the loop, so
            it is for timers that seldom run out.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object], *, patient: bool = False
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._patient = patient
        self._due: float | None = None
        self._left: float | None = None  # Seconds, while paused.
        self._closed = False
        self._handle: asyncio.Handle | None = None
        self._passes = 0  # That it has let go by, as the loop was blocked.
        self._armed_for = 0.0  # When the handle fires. uvloop's handles don't always tell.

    @property
    def running(self) -> bool:
        """Whether it will call back."""
        return self._due is not None

    @property
    def left(self) -> float:
        """Seconds until it calls back; infinity if it doesn't."""
        if self._left is not None:
            return self._left
        return math.inf if self._due is None else self._due - self._loop.time()

    def start(self, seconds: float) -> None:
        """Call back in ``seconds``, and at no earlier time set before."""
        if self._closed:
            return
        self._left = None
        self._passes = 0
        self._due = self._loop.time() + seconds
        if self._handle is None or self._armed_for > self._due:
            self._arm(self._due)

    def stop(self) -> None:
        """Don't call back."""
        self._due = self._left = None

    def pause(self) -> None:
        """Don't call back before :meth:`resume`; what is left of the time is kept."""
        if self._due is not None:
            self._left = self._due - self._loop.time()
            self._due = None

    def resume(self) -> None:
        """Go on after :meth:`pause`. Does nothing if the timer was not running then, or was set since."""
        if self._left is not None:
            self.start(self._left)

    def close(self) -> None:
        """Stop for good, and let go of the loop's reference to this timer, and of this one's to its owner.

        What refers to itself is only freed by a collection of garbage, which looks at all of the process.
        """
        self._closed = True
        self._callback = do_nothing
        self.stop()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = when
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        if self._due is None:
            return
        late = self._loop.time() - self._due
        if late < 0:
            self._arm(self._due)
            return
        if (late > _BLOCKED or self._patient) and self._passes < _PASSES:
            self._passes += 1
            self._handle = self._loop.call_soon(self._fire)
            return
        self._due = None
        self._callback()


class Deadline:
    """A time by which something awaited must have come, as a context around the ``await``.

    It may be set, moved and stopped at any time, also by another task while one waits inside the context.
    Time that passes between :meth:`pause` and :meth:`resume` doesn't count. Outside of the context nobody is
    disturbed: what has expired there raises ``TimeoutError`` 0.1 s after the next entry, as what has come
    meanwhile may not have been read.

    ``asyncio.timeout`` does the same, but takes a new handle of the loop for each entry; this is entered once
    for each message.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer = Timer(loop, self._expire, patient=True)
        self._waiting: asyncio.Task[object] | None = None
        self._cancelling = 0  # Requests to cancel the task that were there before ours.
        self._expired = False  # While nobody was waiting.
        self._fired = False  # And the waiting task was cancelled for it.

    def start(self, seconds: float) -> None:
        """Set the deadline to ``seconds`` from now."""
        self._expired = False
        self._timer.start(seconds)

    def extend(self, seconds: float) -> None:
        """Set the deadline to ``seconds`` from now, unless it is later than that."""
        if self._expired or self._timer.left < seconds:
            self.start(seconds)

    def stop(self) -> None:
        """Have no deadline."""
        self._expired = False
        self._timer.stop()

    def pause(self) -> None:
        """Stop the clock until :meth:`resume`."""
        self._timer.pause()

    def resume(self) -> None:
        """Go on after :meth:`pause`, unless the deadline was set or stopped since."""
        self._timer.resume()

    def close(self) -> None:
        """Stop for good."""
        self._expired = False
        self._timer.close()

    def __enter__(self) -> None:
        if self._expired:
            self.start(_BLOCKED)
        self._waiting = asyncio.current_task(self._loop)
        self._cancelling = 0 if self._waiting is None else self._waiting.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._waiting = self._waiting, None
        if self._fired and task is not None:
            self._fired = False
            # A cancellation that somebody else has asked for as well goes on.
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _expire(self) -> None:
        if self._waiting is None:
            self._expired = True
        else:
            self._fired = True
            self._waiting.cancel()


class Stretch:
    """Tells a task that never has to wait when to let others run: awaiting what is there gives up nothing."""

    _LONGEST = 0.005

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun: float | None = None

    @property
    def over(self) -> bool:
        """Whether the loop has not gone on for 5 ms, as far as this was asked: ``sleep(0)`` is due then."""
        if self._begun is None:
            self._begun = self._loop.time()
            self._loop.call_soon(self._end)  # Runs once the loop goes on, whatever the reason.
            return False
        return self._loop.time() - self._begun > self._LONGEST

    def _end(self) -> None:
        self._begun = None

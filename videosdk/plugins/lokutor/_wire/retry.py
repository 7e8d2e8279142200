"""When to retry, and when to give up.

Rule of this file: a policy without I/O. After each failure it returns a delay, or None to give up. The caller
waits and retries.
"""

from __future__ import annotations

import random

from ..errors import LokutorError, RateLimitError

FIRST_DELAY = 0.1
"""Seconds to wait at most after the first failure."""
_LONGEST_DELAY = 2.0


class RetryPolicy:
    """Counts one call's failures in a row.

    Args:
        max_retries: Retries in a row without progress between them.
        jitter: Source of random numbers from 0 to 1.
    """

    def __init__(self, max_retries: int, jitter: random.Random | None = None) -> None:
        self._max_retries = max_retries
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._failures = 0

    def begin(self) -> None:
        """Forget earlier failures: what comes next fails for the first time."""
        self._failures = 0

    def progress(self) -> None:
        """Note new audio or a finished request."""
        self.begin()

    def delay(self, error: LokutorError, time_left: float, *, patient: bool = False) -> float | None:
        """Return how many seconds to wait before the next try, or None to give up.

        Half of the delay is random, so that callers who failed together don't return together. Those whom the
        service told when to return, it told the same moment: the delay is added to that, where there is time.

        Args:
            error: What the last try failed with.
            time_left: Seconds in which the next try would have to begin.
            patient: Whether to go on for as long as there is time, however many tries that takes: there is a
                reply to finish, and nobody else to do it. Not where there shall be no retries at all.
        """
        self._failures += 1
        if patient and self._max_retries:
            self._failures = min(self._failures, self._max_retries)
        if not error.retryable or self._failures > self._max_retries:
            return None
        longest = min(FIRST_DELAY * 4 ** (self._failures - 1), _LONGEST_DELAY)
        delay = longest * (0.5 + 0.5 * self._jitter.random())
        if isinstance(error, RateLimitError) and error.retry_after is not None:
            spread = error.retry_after + delay
            delay = spread if spread < time_left else error.retry_after
        return delay if delay < time_left else None

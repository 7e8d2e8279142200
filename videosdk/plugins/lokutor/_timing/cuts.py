"""What was cut out of a reply's audio: from the service's time to the listener's, and back.

Rule of this file: pure. Times are seconds: those of the service count all of the audio that it has sent for
the reply, those of the listener only what is heard of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Cuts:
    """The cuts of one reply, in their order."""

    def __init__(self) -> None:
        self._starts: list[float] = []  # By the service's time.
        self._heard: list[float] = []  # The same by the listener's.
        self._lengths: list[float] = []

    def add(self, start: float, length: float) -> None:
        """Note a cut behind all others.

        Args:
            start: Where it begins, by the service's time.
            length: Its seconds.
        """
        self._heard.append(self.to_listener(start))
        self._starts.append(start)
        self._lengths.append(length)

    def to_listener(self, seconds: float) -> float:
        """Return when the listener hears what the service has at ``seconds``; of what was cut, its place."""
        last = bisect_right(self._starts, seconds) - 1
        if last < 0:
            return seconds
        return self._heard[last] + max(seconds - self._starts[last] - self._lengths[last], 0.0)

    def to_service(self, seconds: float) -> float:
        """Return where the service has what the listener hears at ``seconds``; of a cut, its start."""
        last = bisect_left(self._heard, seconds) - 1
        if last < 0:
            return seconds
        return self._starts[last] + self._lengths[last] + seconds - self._heard[last]

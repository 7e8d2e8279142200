"""What was cut out of a reply's audio and put into it: from the service's time to the listener's, and back.

Rule of this file: pure. Times are seconds: those of the service count all of the audio that it has sent for
the reply, those of the listener what is heard: without silence that was cut, and with pauses that were made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Edits:
    """The edits of one reply, in their order."""

    def __init__(self) -> None:
        self._starts: list[float] = []  # By the service's time.
        self._heard: list[float] = []  # The same by the listener's.
        self._lengths: list[float] = []  # What the listener doesn't hear; a pause is less than nothing.

    def cut(self, start: float, length: float) -> None:
        """Note a cut behind all other edits.

        Args:
            start: Where it begins, by the service's time.
            length: Its seconds.
        """
        self._heard.append(self.to_listener(start))
        self._starts.append(start)
        self._lengths.append(length)

    def insert(self, at: float, length: float) -> None:
        """Note a pause of ``length`` seconds behind all other edits, ``at`` a place in the service's time."""
        self.cut(at, -length)

    def to_listener(self, seconds: float) -> float:
        """Return when the listener hears what begins at ``seconds``; of what was cut, its place."""
        return self._after(bisect_right(self._starts, seconds) - 1, seconds)

    def end_to_listener(self, seconds: float) -> float:
        """Return when the listener has heard what ends at ``seconds``: a pause at this place comes later."""
        return self._after(bisect_left(self._starts, seconds) - 1, seconds)

    def to_service(self, seconds: float) -> float:
        """Return where the service has what the listener hears at ``seconds``; of an edit, its start."""
        last = bisect_left(self._heard, seconds) - 1
        if last < 0:
            return seconds
        begin = self._starts[last]
        return max(begin + self._lengths[last] + seconds - self._heard[last], begin)

    def _after(self, edit: int, seconds: float) -> float:
        """Return the listener's time of what comes behind an edit; -1 for none."""
        if edit < 0:
            return seconds
        return self._heard[edit] + max(seconds - self._starts[edit] - self._lengths[edit], 0.0)

"""What the service takes its time for, learned from the plugin's own requests.

Rule of this file: pure. It is told what was measured, and says what to expect.

The time to the first audio of a request is taken to be a time plus a time per character: some models begin
to speak at once, others make the whole audio first. Both are fitted to the last requests by least squares.
A first guess counts as a measurement of its own, so that a few requests of the same length can't
pretend to know the slope. What the fit doesn't explain goes into a margin.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass

_WINDOW = 32
"""Requests that are remembered."""
_CAREFUL = 12
"""Requests after which no more care is taken than what was measured asks for."""
_FIRST_GUESS = 0.3
"""Seconds to the first audio, before anything was measured."""
_SLOPE_GUESS = 0.0015
"""Seconds per character, which is what a model takes that makes the whole audio first."""
_STEEPEST = 0.01
_SLOPE_SPREAD = 0.001
"""Seconds per character by which the guess may be wrong: the noisier the times, the more they follow it."""
_LEAST_NOISE = 0.02
"""Seconds by which times vary at least."""
_FEWEST = 3
"""Measurements from which on their own spread tells how noisy they are."""
_LEAST_MARGIN = 0.05
_CAREFUL_MARGIN = 0.5
"""Seconds of margin on top, before anything was measured."""
_SPREAD = 1.25
"""How much larger than seen so far the next deviation may be."""
_OUTLIERS_FROM = 16
"""Requests from which on the largest deviation may be a single mishap, which the margin leaves out."""
_LONGEST_MARGIN = 2.0
_HANDSHAKE_GUESS = 0.3
_HANDSHAKES = 4
_AUDIO_PER_CHARACTER = 0.05
"""Seconds of speech for a character, before anything was measured: fast Latin script,"""
USUAL_AUDIO_PER_CHARACTER = 0.07
"""and as it usually is."""
_SHORT_SIDE = 0.9
"""Part of the mean that is counted on: some sentences are spoken faster than others."""
_SHORTEST_PART = 0.5
"""Part of that which every text takes: no sentence is spoken twice as fast as the others."""
_RATE_GUESS = 1.3
"""Seconds of audio per second of delivery, before anything was measured."""
_SLOWEST_RATE = 1.01
_TELLING_AUDIO = 0.7
"""Seconds of audio from which on the delivery of a request tells how fast the service is."""
_RATES = 8
_KINDS = 32
"""Kinds of requests whose times are kept; of more, those that were not used for longest are forgotten."""


@dataclass(frozen=True, slots=True)
class _Sample:
    characters: int
    seconds: float


class ServiceTimes:
    """How long the service needs for one kind of request, as far as is known.

    Args:
        handshakes: Seconds that the last connections took to open, whatever was asked for on them.
    """

    def __init__(self, handshakes: deque[float] | None = None) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_WINDOW)
        self._handshakes = _new_handshakes() if handshakes is None else handshakes
        self._speech: deque[_Sample] = deque(maxlen=_WINDOW)
        self._rates: deque[float] = deque(maxlen=_RATES)
        self._base = _FIRST_GUESS
        self._slope = _SLOPE_GUESS
        self._margin = _LEAST_MARGIN + _CAREFUL_MARGIN

    @property
    def margin(self) -> float:
        """Seconds by which :meth:`first_audio` may be too short."""
        return self._margin

    @property
    def handshake(self) -> float:
        """Seconds that a new connection takes."""
        return max(self._handshakes, default=_HANDSHAKE_GUESS)

    def first_audio(self, characters: int) -> float:
        """Return the seconds from sending a request to its first audio."""
        return self._base + self._slope * characters

    def audio(self, characters: int) -> float:
        """Return the seconds of audio that a text has, rather too few than too many."""
        if not self._speech:
            return _AUDIO_PER_CHARACTER * characters
        return _SHORT_SIDE * self.usual_audio(characters)

    def usual_audio(self, characters: int) -> float:
        """Return the seconds of audio that a text has, as likely too few as too many."""
        spoken = sum(sample.characters for sample in self._speech)
        seconds = sum(sample.seconds for sample in self._speech)
        return characters * (seconds / spoken if spoken else USUAL_AUDIO_PER_CHARACTER)

    def is_short(self, text: str, audio: float) -> bool:
        """Return whether a text can't be spoken in so many seconds, whatever its signs stand for."""
        letters = sum(map(str.isalnum, text))
        return audio < _SHORTEST_PART * min(self.audio(letters), _AUDIO_PER_CHARACTER * letters)

    def delivery(self, audio: float) -> float:
        """Return the seconds that so many seconds of audio take from their first byte to their last."""
        return audio / min(self._rates, default=_RATE_GUESS)

    def note_handshake(self, seconds: float) -> None:
        """Note how long opening a connection took."""
        self._handshakes.append(seconds)

    def note_first_audio(self, characters: int, seconds: float) -> None:
        """Note how long a request took to its first audio."""
        self._samples.append(_Sample(characters, seconds))
        self._fit()

    def note_request(self, characters: int, audio: float, delivery: float) -> None:
        """Note the end of a request.

        Args:
            characters: Length of its text.
            audio: Seconds of its audio.
            delivery: Seconds from the first byte to the last.
        """
        self._speech.append(_Sample(characters, audio))
        if audio >= _TELLING_AUDIO:
            self._rates.append(max(audio / max(delivery, 1e-3), _SLOWEST_RATE))

    def _fit(self) -> None:
        count = len(self._samples)
        mean_x = sum(sample.characters for sample in self._samples) / count
        mean_y = sum(sample.seconds for sample in self._samples) / count
        square = sum((sample.characters - mean_x) ** 2 for sample in self._samples)
        product = sum((sample.characters - mean_x) * (sample.seconds - mean_y) for sample in self._samples)
        weight = self._noise(mean_y, product**2 / square if square else 0.0) / _SLOPE_SPREAD**2
        slope = (product + weight * _SLOPE_GUESS) / (square + weight)
        # Neither is negative: a text that is longer takes no less, and none takes no time.
        steepest = min(_STEEPEST, mean_y / mean_x if mean_x else _STEEPEST)
        self._slope = min(max(slope, 0.0), steepest)
        self._base = max(mean_y - self._slope * mean_x, 0.0)
        self._margin = _LEAST_MARGIN + self._deviation() + _CAREFUL_MARGIN * max(1 - count / _CAREFUL, 0.0)

    def _noise(self, mean: float, explained: float) -> float:
        """Return the variance that no slope explains."""
        count = len(self._samples)
        if count < _FEWEST:
            return _LEAST_NOISE**2
        total = sum((sample.seconds - mean) ** 2 for sample in self._samples)
        return max((total - explained) / (count - 2), _LEAST_NOISE**2)

    def _deviation(self) -> float:
        late = sorted(sample.seconds - self.first_audio(sample.characters) for sample in self._samples)
        largest = late[-2] if len(late) >= _OUTLIERS_FROM else late[-1]
        return min(max(_SPREAD * largest, 0.0), _LONGEST_MARGIN)


class LearnedTimes:
    """What is known of a service, for each kind of request: a voice or a model may take its own time."""

    def __init__(self) -> None:
        self._handshakes = _new_handshakes()
        self._by_kind: OrderedDict[Hashable, ServiceTimes] = OrderedDict()

    def of(self, kind: Hashable) -> ServiceTimes:
        """Return the times of requests with the options ``kind``."""
        times = self._by_kind.setdefault(kind, ServiceTimes(self._handshakes))
        self._by_kind.move_to_end(kind)
        if len(self._by_kind) > _KINDS:
            self._by_kind.popitem(last=False)
        return times


def _new_handshakes() -> deque[float]:
    return deque(maxlen=_HANDSHAKES)

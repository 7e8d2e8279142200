"""When the next request of a reply is due, and how many segments of text it takes.

Rule of this file: pure. No clock, no socket, no text: lengths and seconds go in, a decision comes out.

The first segment of a reply is sent at once. After that, the listener's audio decides: a request is due when
what is still ahead of the listener is no more than the time to its first audio, and a reserve. The reserve
covers what was seen to vary, a service that becomes slower, and a connection that is lost at the worst
moment: just before the first audio, so that it takes a pause, a handshake and the same time again. Text that
isn't sent yet costs nothing when the caller interrupts, and more of it comes meanwhile, so that sentences are
spoken whole.

A request takes one sentence. It takes more where the audio of one would not last until the request after it
has its first audio, and where a sentence is so short that a request of its own would be wasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .._text.pieces import Segment
from .._wire.retry import FIRST_DELAY
from .times import ServiceTimes

_GAIN = 0.15
"""Seconds by which first audio may be later for a whole sentence, or for a sentence that is taken along."""
_LEAST = 50
"""Characters below which a request takes one more sentence, if that doesn't make it late."""
_SENTENCES = 2
_MOST = 60
"""Characters up to which a request may take more sentences than two,"""
_MOST_NEEDED = 300
"""and up to which it takes them where there would be silence otherwise."""
_SLOWDOWN = 0.2
"""Seconds by which the service may become slower at once without being heard."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request now.

    Attributes:
        segments: How many segments it takes.
    """

    segments: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Send nothing yet.

    Attributes:
        seconds: How long, if the listener goes on listening.
    """

    seconds: float


def decide(
    times: ServiceTimes, segments: Sequence[Segment], ahead: float | None, *, scarce: bool = False
) -> Send | Hold:
    """Return what to do with the text that is there.

    Args:
        times: What is known of the service.
        segments: The text that is complete, at least one.
        ahead: Seconds of audio that are still ahead of the listener. None before the reply's first request.
        scarce: Whether the account's requests are. Then each takes as much text as is there, up to a limit.
    """
    shortest = _shortest(times, segments, ahead)
    if ahead is None:
        return Send(_enough(times, segments, shortest, ahead=0.0, reserve=times.margin))
    first_audio = times.first_audio(_length(segments, shortest))
    again = FIRST_DELAY + times.handshake + first_audio
    due = first_audio + times.margin + _SLOWDOWN + again
    if ahead > due:
        return Hold(ahead - due)
    if scarce:
        return Send(_most(times, segments, shortest, ahead))
    reserve = times.margin + times.handshake
    return Send(_enough(times, segments, shortest, ahead=ahead, reserve=reserve))


def _most(times: ServiceTimes, segments: Sequence[Segment], shortest: int, ahead: float) -> int:
    """Return how many segments may be spoken together without being too late."""
    counts = range(shortest + 1, len(segments) + 1)
    longer = [count for count in counts if segments[count - 1].sentence or count == len(segments)]
    fits = [count for count in longer if _may_take(times, segments[:count], ahead, _MOST_NEEDED)]
    return max(fits, default=shortest)


def _shortest(times: ServiceTimes, segments: Sequence[Segment], ahead: float | None) -> int:
    """Return how many segments are a whole sentence, or a clause where the listener would wait for it."""
    sentence = next((count for count, segment in enumerate(segments, 1) if segment.sentence), len(segments))
    first_audio = times.first_audio(_length(segments, sentence))
    in_time = ahead is not None and first_audio < ahead
    gain = first_audio - times.first_audio(segments[0].length)
    return sentence if in_time or gain < _GAIN else 1


def _enough(
    times: ServiceTimes, segments: Sequence[Segment], shortest: int, *, ahead: float, reserve: float
) -> int:
    """Return how many segments last until the request after them has its first audio."""
    lengths = list(accumulate(segment.length for segment in segments))
    count = shortest
    while count < len(segments):
        length = lengths[count - 1]
        audio = times.audio(length)
        left = max(ahead - times.first_audio(length), 0.0) + audio - times.delivery(audio)
        sentence = _next_sentence(segments, count)
        lasts = left >= times.first_audio(lengths[sentence - 1] - length) + reserve
        if lasts and (not ahead or length >= _LEAST):
            break
        # A clause of a sentence that is too long is better than silence.
        most = _MOST if lasts else _MOST_NEEDED
        longer = sentence if lasts or _may_take(times, segments[:sentence], ahead, most) else count + 1
        if not _may_take(times, segments[:longer], ahead, most):
            break
        count = longer
    return count


def _next_sentence(segments: Sequence[Segment], count: int) -> int:
    """Return how many segments reach up to the end of the sentence behind the first ``count``."""
    return next((end for end in range(count + 1, len(segments)) if segments[end - 1].sentence), len(segments))


def _may_take(times: ServiceTimes, segments: Sequence[Segment], ahead: float, most: int) -> bool:
    """Return whether a request of these segments is not too late, and not much to be sent in vain."""
    length = _length(segments, len(segments))
    sentences = sum(segment.sentence for segment in segments)
    first_audio = times.first_audio(length)
    in_time = first_audio < ahead or first_audio - times.first_audio(segments[0].length) < _GAIN
    return in_time and (sentences <= _SENTENCES or length <= most)


def _length(segments: Sequence[Segment], count: int) -> int:
    return sum(segment.length for segment in segments[:count])

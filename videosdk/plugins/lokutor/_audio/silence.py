"""Finds the first sound of a reply's audio, and cuts silence that the listener would only wait for.

Rule of this file: pure. The service's audio goes in, what of it the listener gets comes out. Nothing is cut
behind the first sound of a request, and never half a sample.

Silence in front of a reply is cut down to its last 20 ms. Silence from the end of one request to the first
sound of the next is the melody's: up to 0.4 s of it stay. What is known to stay isn't held back, so it is the
part in front of the last 20 ms that is cut.

A sample is two bytes, the lower first. Each byte is looked up in a table, which makes the two of a silent
sample equal and those of any other different. The rest is done by methods of ``bytes``: a sample takes about
5 ns, where comparing numbers takes 100, and the machine's own byte order doesn't matter.
"""

from __future__ import annotations

from bisect import bisect_left

from .pcm import BYTES_PER_SECOND, SAMPLE_RATE, SAMPLE_WIDTH, SLICE_BYTES

LOUDEST_SILENCE = 32
"""Largest value of a sample that nobody hears: -60 dBFS."""
_LEAD = BYTES_PER_SECOND // 50
"""20 ms in front of a sound: it may fade in."""
_LONGEST_PAUSE = BYTES_PER_SECOND * 2 // 5
"""0.4 s: a long pause between two sentences."""
_LONGEST_TAIL = BYTES_PER_SECOND
"""More of the last audio isn't kept. Of what is dropped, only its silence at the end is known."""
_NO_LIMIT = 1 << 62
_LOOK = 64 * SAMPLE_WIDTH
"""64 samples, of which one is heard nearly always where there is a voice."""

_LOWER = bytes(
    0 if byte <= LOUDEST_SILENCE else 255 if byte >= 256 - LOUDEST_SILENCE else 1 for byte in range(256)
)
_UPPER = bytes(byte if byte in {0, 255} else 2 for byte in range(256))
"""Both give 0 for a small positive sample and 255 for a small negative one; all else differs."""


class SilenceTrimmer:
    """Takes the audio of one reply, request after request, and gives back what the listener gets.

    Args:
        trim: Whether to cut silence. False only finds the first sound.
    """

    def __init__(self, *, trim: bool = True) -> None:
        self._trim = trim
        self._taken = 0
        self._leading: int | None = None
        self._quiet = True  # Whether no sound of the request has come.
        self._room = 0 if trim else _NO_LIMIT  # How much silence passes at once,
        self._lead = _LEAD  # and how much of the rest stays in front of the sound.
        self._held = bytearray()  # Silence that stays if a sound follows.
        self._half = b""  # Half a sample, of which nobody knows whether it is silent.
        self._tail = bytearray()  # The last of what has come since the request's first sound,
        self._silent_before = 0  # and how much silence came right before that.
        self._cut: tuple[int, int] | None = None
        self._ending = 0  # How much silence the last request has ended with.

    @property
    def seconds_taken(self) -> float:
        """Seconds of the service's audio taken so far."""
        return self._taken / BYTES_PER_SECOND

    @property
    def leading_silence(self) -> float | None:
        """Seconds of the service's audio in front of the reply's first sound; None before it has come."""
        return None if self._leading is None else self._leading / BYTES_PER_SECOND

    def take(self, pcm: bytes) -> bytes:
        """Take the next piece, of any size, and return what the listener gets by now."""
        if not self._quiet:
            self._taken += len(pcm)
            self._remember(pcm)
            return pcm
        data = self._half + pcm
        silence = silence_at_start(data)
        passed = self._pass_silence(data[:silence])
        self._taken += len(pcm)
        rest = data[silence:]
        self._half = rest if len(rest) < SAMPLE_WIDTH else b""
        return passed if len(rest) < SAMPLE_WIDTH else passed + self.flush() + self._begin_sound(rest)

    def drop_half_sample(self) -> int:
        """Forget half a sample at the end of a request, since what follows would be noise.

        Returns:
            How many bytes were dropped: 1 or 0.
        """
        odd = self._taken % SAMPLE_WIDTH
        self._taken -= odd
        self._half = b""
        if odd:
            del self._tail[-1:]
        return odd

    def end_request(self) -> None:
        """Note that the request has ended: the silence up to the next sound goes on in the next one."""
        if self._quiet or not self._trim:
            return
        self._ending = self._silence_up_to(len(self._tail))
        left = max(_LONGEST_PAUSE - self._ending, 0)
        self._lead = min(left, _LEAD)
        self._room = left - self._lead
        self._quiet = True
        self._tail.clear()
        self._silent_before = 0

    def pause(self, seconds: float) -> bytes:
        """Return the silence for a pause between two requests.

        The silence from one sound to the next is as long as the pause: what the last request has ended with
        counts, and what the next one begins with is cut. Without trimming, the pause comes on top.
        """
        wanted = round(seconds * SAMPLE_RATE) * SAMPLE_WIDTH
        heard = min(self._ending, wanted)
        self._ending -= heard
        if self._trim:
            self._room = self._lead = 0
        return self.flush() + bytes(wanted - heard)

    def flush(self) -> bytes:
        """Return the silence that is still held, also where no sound will follow."""
        held = bytes(self._held)
        self._held.clear()
        return held

    def drop(self) -> None:
        """Cut the silence that is still held: the request ends without a sound, and is sent again."""
        if self._held:
            at, before = self._cut or (self._taken - len(self._held), 0)
            self._cut = at, before + len(self._held)
            self._held.clear()

    def pop_cut(self) -> tuple[float, float] | None:
        """Return what was cut since the last time: its place in the service's audio, and its seconds."""
        cut, self._cut = self._cut, None
        return None if cut is None else (cut[0] / BYTES_PER_SECOND, cut[1] / BYTES_PER_SECOND)

    def _pass_silence(self, silence: bytes) -> bytes:
        begin = self._taken - len(self._half) - len(self._held)
        passed = silence[: self._room]
        self._room -= len(passed)
        self._held += silence[len(passed) :]
        surplus = len(self._held) - self._lead
        if surplus > 0:
            del self._held[:surplus]
            at, before = self._cut or (begin + len(passed), 0)
            self._cut = at, before + surplus
        return passed

    def _begin_sound(self, sound: bytes) -> bytes:
        self._quiet = False
        if self._leading is None:
            self._leading = self._taken - len(sound)
        self._remember(sound)
        return sound

    def _remember(self, pcm: bytes) -> None:
        if not self._trim:
            return
        self._tail += pcm
        if len(self._tail) > _LONGEST_TAIL:  # Seldom, so that it costs next to nothing.
            old = len(self._tail) // SAMPLE_WIDTH * SAMPLE_WIDTH - _LEAD
            self._silent_before = self._silence_up_to(old)
            del self._tail[:old]

    def _silence_up_to(self, end: int) -> int:
        """Return how much silence ends at a place in the tail."""
        size, stop = _LEAD, end  # As a rule, a short look finds a sound.
        while stop > 0:
            begin = max(stop - size, 0)
            found = silence_at_end(bytes(self._tail[begin:stop]))
            if found < stop - begin:
                return end - stop + found
            size, stop = SLICE_BYTES, begin
        return end + self._silent_before


def has_sound(pcm: bytes) -> bool:
    """Return whether a piece that begins with a whole sample holds a sound. Half a sample is none."""
    if len(pcm) < SAMPLE_WIDTH:
        return False
    middle = len(pcm) // (2 * SAMPLE_WIDTH) * SAMPLE_WIDTH
    # As a rule a short look is enough.
    return any(lower != upper for lower, upper in map(_marks, (pcm[middle : middle + _LOOK], pcm)))


def silence_at_start(pcm: bytes) -> int:
    """Return how many bytes come before the first sound; half a sample at the end is neither."""
    for start in range(0, len(pcm), SLICE_BYTES):
        lower, upper = _marks(pcm[start : start + SLICE_BYTES])
        if lower != upper:
            return start + _equal(lower, upper) * SAMPLE_WIDTH
    return len(pcm) - len(pcm) % SAMPLE_WIDTH


def silence_at_end(pcm: bytes) -> int:
    """Return how many bytes come after the last sound; half a sample at the start is neither."""
    lower, upper = _marks(pcm[len(pcm) % SAMPLE_WIDTH :])
    if lower == upper:
        return len(lower) * SAMPLE_WIDTH
    return _equal(lower[::-1], upper[::-1]) * SAMPLE_WIDTH


def _marks(pcm: bytes) -> tuple[bytes, bytes]:
    """Return a byte for the lower half of each sample and one for the upper, equal where it is silent."""
    upper = pcm[1::SAMPLE_WIDTH].translate(_UPPER)
    return pcm[: len(upper) * SAMPLE_WIDTH : SAMPLE_WIDTH].translate(_LOWER), upper


def _equal(first: bytes, second: bytes) -> int:
    """Return how many bytes two of the same length have in common at their start."""
    lengths = range(1, len(first) + 1)
    return bisect_left(lengths, True, key=lambda length: first[:length] != second[:length])

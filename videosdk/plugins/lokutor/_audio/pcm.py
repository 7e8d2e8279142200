"""The formats of audio, on the wire and on the track.

Rule of this file: constants, each with its source.
"""

SAMPLE_RATE = 44_100
"""Rate of the service's audio in Hz: signed 16-bit little-endian, mono."""
SAMPLE_WIDTH = 2
"""Bytes of one sample."""
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_WIDTH
"""Of the service's audio."""
SLICE_BYTES = BYTES_PER_SECOND // 4
"""0.25 s: as much as is worked on at a time, about 1 ms. A huge message must not stall the loop."""
FRAME_SECONDS = 0.02
"""The track hands out frames of this length, and counts them as played; a shorter rest never plays."""
SAMPLE_RATE_RANGE = (8_000, 192_000)
"""Lowest and highest rate of a track, in Hz."""

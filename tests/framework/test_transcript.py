"""What the agent remembers of a reply that was cut off is what was heard of it."""

from __future__ import annotations

import random

import pytest
from transcripts import Cut, cut_replies, report

CUTS = 100


async def test_the_transcript_stops_where_the_voice_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(10_000)
    cuts = await cut_replies(CUTS, seed)
    with capsys.disabled():
        print(f"\n{CUTS} cuts, seed {seed}\n{report(cuts)}")
    assert len(cuts) == CUTS
    wrong = [cut for cut in cuts if cut.error]
    assert len(wrong) <= CUTS // 20, wrong
    assert max(cut.error for cut in cuts) <= 1, wrong
    # The cuts are such that an estimate doesn't do.
    assert sum(not cut.estimates_error for cut in cuts) < CUTS // 2


@pytest.mark.parametrize(
    ("remembered", "error"),
    [("one two", 0), ("one", 1), ("one two three", 1), ("", 2), ("one too", 2), ("two", 2)],
)
def test_the_measure_counts_words(remembered: str, error: int) -> None:
    assert Cut("one two", remembered, "").error == error

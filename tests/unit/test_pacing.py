"""When a request is sent, and how much text it takes: learned times, the policy, and thousands of replies."""

from __future__ import annotations

import asyncio

import pytest
from kit.tables import each

from benchmarks.pacing import POLICIES, SERVICES, TOKENS_PER_SECOND, Service, fixed, simulate
from videosdk.plugins.lokutor._pacing.pacer import Pacer
from videosdk.plugins.lokutor._pacing.policy import Hold, Send, decide
from videosdk.plugins.lokutor._pacing.times import LearnedTimes, ServiceTimes
from videosdk.plugins.lokutor._text.pieces import Segment
from videosdk.plugins.lokutor._text.spoken import SpokenText

REPLIES = 10
SENTENCE = Segment(70, sentence=True)
SHORT = Segment(7, sentence=True)
CLAUSE = Segment(30, sentence=False)


def times_of(
    base: float = 0.1, slope: float = 0.0, *, rate: float = 5.0, handshake: float = 0.12
) -> ServiceTimes:
    """Return what is known after some requests of 40 to 130 characters, 16 a second."""
    times = ServiceTimes()
    times.note_handshake(handshake)
    for characters in range(40, 140, 5):
        times.note_first_audio(characters, base + slope * characters)
        times.note_request(characters, characters / 16, characters / 16 / rate)
    return times


# --- learned times -----------------------------------------------------------------------------------


def test_a_constant_time_is_learned() -> None:
    times = times_of(0.1)
    assert times.first_audio(40) == pytest.approx(0.1, abs=0.01)
    assert times.first_audio(400) == pytest.approx(0.1, abs=0.03)
    assert times.margin == pytest.approx(0.05, abs=0.02)


def test_a_time_per_character_is_learned() -> None:
    times = times_of(0.06, 0.0015)
    assert times.first_audio(100) == pytest.approx(0.21, abs=0.01)
    assert times.first_audio(700) == pytest.approx(1.11, abs=0.05)


def test_requests_of_one_length_do_not_pretend_to_know_the_slope() -> None:
    times = ServiceTimes()
    for _ in range(20):
        times.note_first_audio(70, 0.2)
    assert times.first_audio(70) == pytest.approx(0.2)
    assert times.first_audio(700) > 1.0  # As a model would take that makes the whole audio first.


def test_a_longer_text_never_takes_less_and_none_takes_no_time() -> None:
    times = ServiceTimes()
    for characters, seconds in ((20, 0.6), (200, 0.06), (20, 0.5), (180, 0.1)):
        times.note_first_audio(characters, seconds)
    assert times.first_audio(200) >= times.first_audio(20) >= times.first_audio(0) >= 0.0


def test_nothing_is_taken_for_granted_before_anything_was_measured() -> None:
    times = ServiceTimes()
    assert times.first_audio(70) + times.margin > 0.9
    times.note_first_audio(70, 0.1)
    assert 0.4 < times.first_audio(70) + times.margin < 0.7
    for _ in range(12):
        times.note_first_audio(70, 0.1)
    assert times.first_audio(70) + times.margin < 0.2


def test_the_margin_covers_what_was_seen_to_vary() -> None:
    times = ServiceTimes()
    for seconds in [0.06, 0.6] * 8:
        times.note_first_audio(70, seconds)
    assert times.first_audio(70) + times.margin >= 0.6


def test_a_single_mishap_among_many_is_left_out() -> None:
    times = ServiceTimes()
    for count in range(20):
        times.note_first_audio(70, 3.0 if count == 10 else 0.1)
    assert times.margin < 0.5


def test_what_was_seen_long_ago_is_forgotten() -> None:
    times = ServiceTimes()
    for seconds in [1.0] * 10 + [0.1] * 32:
        times.note_first_audio(70, seconds)
    assert times.first_audio(70) == pytest.approx(0.1)
    assert times.margin == pytest.approx(0.05)


def test_each_kind_of_request_has_its_own_times_and_all_share_the_handshakes() -> None:
    learned = LearnedTimes()
    learned.of("fast").note_first_audio(70, 0.1)
    learned.of("slow").note_first_audio(70, 2.0)
    learned.of("fast").note_handshake(0.7)
    assert learned.of("fast").first_audio(70) < 0.2
    assert learned.of("slow").first_audio(70) > 1.9
    assert learned.of("slow").handshake == 0.7


def test_only_so_many_kinds_are_kept() -> None:
    learned = LearnedTimes()
    kept = learned.of(0)
    for kind in range(100):
        learned.of(kind)
        assert learned.of(0) is kept
    again = learned.of(1)
    assert again is learned.of(1)
    again.note_first_audio(70, 9.0)
    for kind in range(2, 100):
        learned.of(kind)
    assert learned.of(1).first_audio(70) < 1.0


# --- the policy --------------------------------------------------------------------------------------


def test_the_first_sentence_goes_out_at_once_and_alone() -> None:
    assert decide(times_of(), [SENTENCE, SENTENCE, SENTENCE], None) == Send(1)


def test_a_first_clause_goes_out_at_once_where_no_sentence_is_there() -> None:
    assert decide(times_of(), [CLAUSE], None) == Send(1)


def test_a_sentence_is_not_cut_at_its_clauses_where_that_gains_nothing() -> None:
    assert decide(times_of(), [CLAUSE, SENTENCE, SENTENCE], None) == Send(2)


def test_a_long_first_sentence_is_cut_at_a_clause_where_first_audio_grows_with_length() -> None:
    assert decide(times_of(0.06, 0.0015), [CLAUSE, Segment(200, sentence=True)], None) == Send(1)


def test_a_first_sentence_too_short_to_bridge_takes_the_next_along() -> None:
    slow = times_of(0.5)
    assert decide(slow, [SHORT, SENTENCE, SENTENCE], None) == Send(2)
    assert decide(times_of(0.05), [SHORT, SENTENCE, SENTENCE], None) == Send(1)


def test_it_takes_no_next_along_where_first_audio_would_come_later_for_it() -> None:
    assert decide(times_of(0.06, 0.0015), [SHORT, Segment(300, sentence=True)], None) == Send(1)


def test_the_next_request_waits_until_it_is_needed() -> None:
    plan = decide(times_of(0.1, handshake=0.12), [SENTENCE], 4.0)
    assert isinstance(plan, Hold)
    # The first audio, the margin and a slower service; then a lost try: a pause, a handshake, the same again.
    assert plan.seconds == pytest.approx(4.0 - 0.1 - 0.05 - 0.2 - 0.1 - 0.12 - 0.1, abs=0.03)
    assert decide(times_of(0.1), [SENTENCE], 0.2) == Send(1)


def test_a_slower_network_is_given_more_time() -> None:
    assert isinstance(decide(times_of(handshake=0.12), [SENTENCE], 1.0), Hold)
    assert decide(times_of(handshake=0.6), [SENTENCE], 1.0) == Send(1)


def test_a_clause_is_sent_only_where_the_listener_would_wait() -> None:
    assert isinstance(decide(times_of(), [CLAUSE], 2.0), Hold)
    assert decide(times_of(), [CLAUSE], 0.1) == Send(1)


def test_a_late_request_is_as_short_as_it_can_be_where_first_audio_grows_with_length() -> None:
    times = times_of(0.06, 0.0015)
    assert decide(times, [CLAUSE, Segment(200, sentence=True)], 0.2) == Send(1)
    assert decide(times, [CLAUSE, SENTENCE], 0.3) == Send(2)  # In time.


def test_a_request_takes_as_many_sentences_as_last_until_the_next() -> None:
    slow = times_of(0.15, rate=1.3, handshake=0.6)
    brief = Segment(20, sentence=True)
    assert decide(slow, [brief, brief, brief, brief], 0.3) == Send(3)
    assert decide(slow, [SENTENCE, SENTENCE, SENTENCE], 0.3) == Send(1)


def test_a_short_sentence_is_no_request_of_its_own() -> None:
    assert decide(times_of(), [SHORT, SENTENCE, SENTENCE], 0.2) == Send(2)


def test_a_service_no_faster_than_speech_is_not_sent_everything() -> None:
    assert decide(times_of(rate=1.0), [SENTENCE] * 9, 0.2) == Send(4)


def test_a_slow_service_gets_as_many_sentences_as_leave_no_silence() -> None:
    slow, brief = times_of(1.5, rate=1.8), Segment(24, sentence=True)
    plan = decide(slow, [brief] * 8, None)
    assert isinstance(plan, Send)
    audio = plan.segments * 24 / 16 * 0.9
    assert audio * (1 - 1 / 1.8) > 1.5


# --- thousands of replies ----------------------------------------------------------------------------


@each("service", SERVICES)
@each("speed", [*TOKENS_PER_SECOND, 0])
def test_a_caller_hears_no_gap_and_little_is_sent_in_vain(service: Service, speed: int) -> None:
    outcome = simulate(service, speed, POLICIES["this plugin"], replies=REPLIES, seed=1)
    assert outcome.gaps == 0
    assert outcome.requests_per_sentence <= 1
    assert outcome.unheard <= 90
    assert outcome.beyond == 0


def test_the_simulation_tells_a_bad_policy() -> None:
    """Otherwise the test above could not fail."""
    late = simulate(SERVICES[0], 0, fixed(0.0, 300), replies=REPLIES, seed=1)
    assert late.gaps > REPLIES
    everything = simulate(SERVICES[0], 60, POLICIES["all at once"], replies=REPLIES, seed=1)
    assert everything.unheard > 150
    assert everything.beyond > 100


def test_where_requests_are_scarce_each_takes_what_is_there_and_is_not_too_late() -> None:
    many = [SENTENCE] * 10
    plenty, scarce = decide(times_of(), many, 0.3), decide(times_of(), many, 0.3, scarce=True)
    assert plenty == Send(1)
    assert isinstance(scarce, Send)
    assert 240 < scarce.segments * SENTENCE.length <= 300
    assert decide(times_of(), many, None, scarce=True) == Send(1)  # The first is heard at once.
    assert decide(times_of(), [SENTENCE, CLAUSE, SENTENCE], 0.3, scarce=True) == Send(3)
    slow = times_of(0.06, 0.0015)
    assert decide(slow, [SENTENCE, Segment(290, sentence=True)], 0.2, scarce=True) == Send(1)


# --- what was heard, where nobody tells the words -----------------------------------------------------

LONG = (
    "Your order has been shipped today and it will arrive at your home address on Friday morning "
    "before noon, as you have asked us to do."
)


def pacer_of(times: ServiceTimes, *texts: str) -> Pacer:
    """Return the pacer of a reply whose last request is under way."""
    pacer, received = Pacer(times, None), 0.0
    for text in texts:
        if received:
            pacer.note_end(received)
        pacer.note_sent(SpokenText(text), received, more=False, again=False)
        received += len(text) / 16
    return pacer


@each("measured", [True, False])
@each("per_character", [0.06, 0.0625, 0.065])
@each("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0])
def test_who_goes_on_behind_a_request_that_was_cut_off_leaves_no_word_out(
    share: float, per_character: float, measured: bool
) -> None:
    async def text_until(seconds: float) -> str:
        return pacer_of(times_of() if measured else ServiceTimes(), LONG).text_until(seconds)

    said = asyncio.run(text_until(share * len(LONG) * per_character))
    assert LONG.startswith(said)
    assert said.split() == LONG.split()[: len(said.split())]  # No half of a word.
    heard = share * len(LONG)
    assert heard - (0.3 * heard + 12) <= len(said) <= heard
    assert said != LONG


async def test_requests_that_have_ended_are_told_to_the_character() -> None:
    pacer = pacer_of(ServiceTimes(), "We open at nine.", "We close at seven.", "Then we close at noon.")
    assert pacer.text_until(2.0) == "We open at nine. We close at"
    assert pacer.text_until(34 / 16) == "We open at nine. We close at seven."
    assert pacer.text_until(60.0) == "We open at nine. We close at seven. Then we close at"

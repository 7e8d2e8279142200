"""How far a voice is in its text, by the length of its audio alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each

from videosdk.plugins.lokutor._pacing.rates import SpeakingRate
from videosdk.plugins.lokutor._text.joints import sentence_start

TEXT = "The first one is heard. The second one breaks off. A third one follows it."


def rate_of(*spoken: tuple[str, float]) -> SpeakingRate:
    rate = SpeakingRate()
    for text, seconds in spoken:
        rate.note(text, seconds)
    return rate


def test_it_is_rather_too_few() -> None:
    usual = rate_of(("x" * 100, 5.0))
    assert 0.85 * len(TEXT) / 2 < usual.reached(TEXT, 0.05 * len(TEXT) / 2) < len(TEXT) / 2


def test_what_has_all_of_its_usual_audio_was_spoken_in_full() -> None:
    usual = rate_of(("x" * 100, 5.0))
    assert usual.reached(TEXT, 0.05 * len(TEXT)) == len(TEXT)
    assert usual.reached(TEXT, 0.05 * len(TEXT) * 0.9) < len(TEXT)


def test_before_anything_was_spoken_a_usual_voice_is_assumed() -> None:
    assert 10 < rate_of().reached("x" * 100, 1.0) < 15


def test_a_chinese_character_takes_longer_than_a_letter() -> None:
    assert 3 < rate_of().reached("\u4f60\u597d" * 50, 1.0) < 5
    assert rate_of().reached("\u4f60\u597d" * 50, 100.0) == 100


def test_the_latest_turns_tell_and_short_ones_do_not() -> None:
    rate = rate_of(*[("x" * 100, 5.0)] * 8, *[("x" * 100, 10.0)] * 8, ("Hello.", 60.0), (TEXT, 0.0))
    assert rate.reached("x" * 100, 5.0) == rate_of(("x" * 100, 10.0)).reached("x" * 100, 5.0)


@given(st.text(), st.floats(0, 1e6), st.lists(st.tuples(st.text(), st.floats(0, 1e6))))
def test_it_is_a_place_in_the_text(text: str, seconds: float, spoken: list[tuple[str, float]]) -> None:
    rate = rate_of(*spoken)
    place = rate.reached(text, seconds)
    assert 0 <= sentence_start(text, place) <= place <= len(text)
    assert place <= rate.reached(text, 2 * seconds)


@each(
    ("text", "place", "rest"),
    [
        (TEXT, 0, TEXT),
        (TEXT, 10, TEXT),
        (TEXT, 23, TEXT),  # The space in front belongs to no sentence.
        (TEXT, 24, "The second one breaks off. A third one follows it."),
        (TEXT, 40, "The second one breaks off. A third one follows it."),
        (TEXT, len(TEXT) - 1, "A third one follows it."),
        (TEXT, len(TEXT), ""),
        ('He says: "Go." Then he goes.', 20, "Then he goes."),
        ("It costs 12.50 in all.", 15, "It costs 12.50 in all."),
        ("At 10 a.m. tomorrow, not later.", 20, "At 10 a.m. tomorrow, not later."),
        ("A line\nand another one", 12, "A line\nand another one"),
        ("A line\nAnd another one", 12, "And another one"),
        ("\u4f60\u597d\u3002\u518d\u89c1\u3002", 4, "\u518d\u89c1\u3002"),
        ("", 0, ""),
    ],
)
def test_a_place_is_in_a_sentence(text: str, place: int, rest: str) -> None:
    assert text[sentence_start(text, place) :] == rest

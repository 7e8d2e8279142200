"""One reply's words and visemes over all its requests, and over all their tries."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from kit.tables import each

from videosdk.plugins.lokutor._text.spoken import SpokenText
from videosdk.plugins.lokutor._timing.timeline import Timeline
from videosdk.plugins.lokutor.visemes import MOUTH_SHAPES, SILENCE, Viseme, mouth_shape


def sounds_of(text: str, pace: float = 0.1) -> list[Viseme]:
    """Return a viseme for each character, from 0.0 on."""
    return [Viseme(index, char, index * pace) for index, char in enumerate(text)]


def spoken(timing: Timeline, position: float = 1e9) -> list[tuple[str, float]]:
    return [(event["word"], round(event["start"], 6)) for event in timing.pop_words(position)]


def begin(timing: Timeline, spoken: SpokenText, at: float) -> None:
    """Tell ``timing`` of a request whose audio begins with a sound."""
    timing.begin_request(spoken, at)
    timing.note_sound()


def speak(timing: Timeline, text: str, at: float, pace: float = 0.1) -> float:
    """Tell ``timing`` of a whole request; return where its audio ends."""
    begin(timing, SpokenText(text), at)
    timing.take(sounds_of(text, pace))
    timing.end_request(at + len(text) * pace)
    return at + len(text) * pace


def after_yes(timing: Timeline) -> float:
    """Tell ``timing`` of a first request, and take all that it tells of it; return where its audio ends."""
    start = speak(timing, "Yes.", 0.0)
    timing.pop_words(start)
    timing.pop_visemes(start)
    return start


def test_the_reply_is_one_text_and_one_time() -> None:
    timing = Timeline(words=True, visemes=True)
    speak(timing, "Bye.", speak(timing, "Hello, you.", 0.0))
    assert timing.pop_words(10.0) == [
        {"word": "Hello,", "cumulative_text": "Hello,", "start": 0.0, "end": pytest.approx(0.5)},
        {
            "word": "you.",
            "cumulative_text": "Hello, you.",
            "start": pytest.approx(0.7),
            "end": pytest.approx(1.0),
        },
        {
            "word": "Bye.",
            "cumulative_text": "Hello, you. Bye.",
            "start": pytest.approx(1.1),
            "end": pytest.approx(1.4),
        },
    ]
    visemes = timing.pop_visemes(10.0)
    assert all("Hello, you. Bye."[viseme.index] == viseme.sound for viseme in visemes)
    assert [round(viseme.start, 6) for viseme in visemes] == [round(0.1 * count, 6) for count in range(15)]


def test_scripts_without_spaces_are_joined_without() -> None:
    timing = Timeline(words=True, visemes=True)
    speak(timing, "好。", speak(timing, "你好。", 0.0))
    assert [event["cumulative_text"] for event in timing.pop_words(10.0)] == ["你", "你好。", "你好。好。"]
    assert [viseme.index for viseme in timing.pop_visemes(10.0)] == [0, 1, 2, 3, 4]


def test_what_is_due_comes_once_and_not_before() -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("ab cd"), 0.0)
    assert timing.next_due is None
    timing.take(sounds_of("ab cd"))
    assert timing.next_due == 0.0
    assert spoken(timing, 0.29) == [("ab", 0.0)]
    assert [viseme.index for viseme in timing.pop_visemes(0.25)] == [0, 1, 2]
    assert timing.next_due == pytest.approx(0.3)
    assert spoken(timing, 0.29) == []
    assert spoken(timing, 0.31) == [("cd", 0.3)]
    assert [viseme.index for viseme in timing.pop_visemes(5.0)] == [3, 4]
    assert timing.next_due is None


def test_only_what_was_asked_for_is_gathered() -> None:
    off, words, visemes = Timeline(), Timeline(words=True), Timeline(visemes=True)
    for timing in (off, words, visemes):
        speak(timing, "Hello.", 0.0)
    assert (off.wanted, words.wanted, visemes.wanted) == (False, True, True)
    assert off.next_due is None
    assert not off.pop_visemes(9.0) + words.pop_visemes(9.0) + off.pop_words(9.0) + visemes.pop_words(9.0)
    assert len(visemes.pop_visemes(9.0)) == 6
    assert len(words.pop_words(9.0)) == 1


def test_visemes_that_come_late_or_in_disorder_are_sorted() -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText("abc"), 0.0)
    timing.take([Viseme(2, "c", 0.2), Viseme(0, "a", 0.0)])
    timing.take([Viseme(1, "b", 0.1)])
    assert [viseme.sound for viseme in timing.pop_visemes(9.0)] == ["a", "b", "c"]


def test_visemes_outside_a_request_are_nobodys() -> None:
    timing = Timeline(words=True, visemes=True)
    timing.take(sounds_of("early"))
    speak(timing, "Hi.", 0.0)
    timing.take(sounds_of("late"))
    assert spoken(timing) == [("Hi.", 0.0)]
    assert [viseme.sound for viseme in timing.pop_visemes(9.0)] == list("Hi.")


def test_an_index_outside_the_text_is_moved_to_its_edge() -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText("ab"), 0.0)
    timing.take([Viseme(-3, "x", 0.0), Viseme(7, "y", 0.1)])
    assert [viseme.index for viseme in timing.pop_visemes(9.0)] == [0, 1]


@pytest.mark.parametrize("late", [0.41, 7.0, 1e308])
def test_a_time_behind_the_audio_is_its_end(late: float) -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("ab."), 0.0)
    timing.take([Viseme(0, "a", 0.0), Viseme(2, "sil", late)])
    timing.end_request(0.4)
    assert timing.pop_visemes(9.0) == [Viseme(0, "a", 0.0), Viseme(2, "sil", 0.4)]
    assert timing.pop_words(9.0)[0]["end"] == 0.4


@pytest.mark.parametrize("early", [-0.005, -3.0])
def test_a_time_before_the_audio_is_its_beginning(early: float) -> None:
    timing = Timeline(words=True, visemes=True)
    at = speak(timing, "ab cd", 0.0)
    begin(timing, SpokenText("ef"), at)
    timing.take([Viseme(0, "e", early)])
    timing.end_request(at + 0.2)
    assert spoken(timing)[-1] == ("ef", 0.5)
    assert timing.pop_visemes(9.0)[-1] == Viseme(6, "e", 0.5)


# Another try of a request


def test_a_healed_request_goes_on_where_it_was_heard() -> None:
    timing = Timeline(words=True, visemes=True)
    start = after_yes(timing)
    begin(timing, SpokenText("one two six"), start)
    timing.take(sounds_of("one two six"))
    heard = start + 0.56
    assert spoken(timing, start + 0.3) == [("one", 0.4)]
    assert [viseme.sound for viseme in timing.pop_visemes(start + 0.25)] == ["o", "n", "e"]
    begin(timing, SpokenText("one two six"), heard)  # This try speaks a little slower.
    assert spoken(timing) == [("two", 0.8)]
    timing.take(sounds_of("one two six", 0.11))
    timing.end_request(start + 1.21)
    assert spoken(timing) == [("six", 1.28)]
    rest = timing.pop_visemes(9.0)
    assert [viseme.sound for viseme in rest] == list(" two six")
    assert [round(viseme.start, 2) for viseme in rest][:4] == [0.7, 0.8, 0.9, 1.06]
    assert all(heard <= viseme.start for viseme in rest[3:])


def test_a_request_that_was_not_heard_at_all_is_told_anew() -> None:
    timing = Timeline(words=True)
    begin(timing, SpokenText("one two"), 1.0)
    timing.take(sounds_of("one two"))
    begin(timing, SpokenText("one two"), 1.0)
    assert timing.next_due is None
    timing.take(sounds_of("one two", 0.2))
    timing.end_request(2.4)
    assert spoken(timing) == [("one", 1.0), ("two", 1.8)]


# Silence


def test_nothing_is_told_before_the_first_sound() -> None:
    timing = Timeline(words=True, visemes=True)
    start = after_yes(timing)
    timing.begin_request(SpokenText("one two"), start)
    timing.take(sounds_of("one two"))
    assert timing.next_due is None
    assert timing.text_until(9.0) == "Yes."
    timing.note_sound()
    assert spoken(timing, start + 0.3) == [("one", 0.4)]
    timing.end_request(start + 0.7)
    assert spoken(timing) == [("two", 0.8)]


def test_a_try_of_nothing_but_silence_delays_the_next() -> None:
    timing = Timeline(words=True, visemes=True)
    start = after_yes(timing)
    timing.begin_request(SpokenText("one two"), start)
    timing.take(sounds_of("one two"))
    timing.note_silence(0.5)
    begin(timing, SpokenText("one two"), start + 0.5)
    timing.take(sounds_of("one two"))
    timing.end_request(start + 1.2)
    assert spoken(timing) == [("one", 0.9), ("two", 1.3)]
    assert [round(viseme.start, 1) for viseme in timing.pop_visemes(9.0)][:3] == [0.9, 1.0, 1.1]


def test_a_silent_try_in_mid_request_delays_only_what_was_not_heard() -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("one two"), 0.0)
    timing.take(sounds_of("one two"))
    assert spoken(timing, 0.3) == [("one", 0.0)]
    timing.begin_request(SpokenText("one two"), 0.35)  # It was lost there, and the next try is silent
    timing.note_silence(0.35)  # for 0.7 s.
    begin(timing, SpokenText("one two"), 0.7)
    timing.take(sounds_of("one two"))
    timing.end_request(1.05)
    assert spoken(timing) == [("two", 0.75)]


def test_a_text_without_a_sound_is_told_at_its_end() -> None:
    timing = Timeline(visemes=True)
    timing.begin_request(SpokenText("🙂"), 0.0)
    timing.take([Viseme(0, "sil", 0.1)])
    assert timing.next_due is None
    timing.end_request(0.5)
    assert timing.pop_visemes(9.0) == [Viseme(0, "sil", 0.1)]


# The end


def test_what_was_cut_off_is_dropped() -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("one two six"), 0.0)
    timing.take(sounds_of("one two six"))
    timing.end(0.5)
    assert timing.ended
    assert spoken(timing) == [("one", 0.0), ("two", 0.4)]
    assert [viseme.sound for viseme in timing.pop_visemes(9.0)] == list("one t")
    assert timing.next_due is None


def test_without_visemes_a_request_cut_off_has_no_words_and_the_ones_before_keep_theirs() -> None:
    timing = Timeline(words=True)
    begin(timing, SpokenText("one two"), 0.0)
    timing.end_request(0.7)
    begin(timing, SpokenText("three"), 0.7)
    timing.end(1.0)
    assert [event.get("estimated") for event in timing.pop_words(9.0)] == [True, True]
    assert timing.next_due is None


def test_a_mute_request_has_its_words_where_it_would_have_been() -> None:
    timing = Timeline(words=True)
    end = speak(timing, "Well", 0.0)
    begin(timing, SpokenText("🙂"), end)
    timing.end_request(end)
    speak(timing, "then", end)
    timing.end(1.0)
    assert spoken(timing) == [("Well", 0.0), ("🙂", 0.4), ("then", 0.4)]


def test_whoever_follows_hears_of_changes() -> None:
    timing, changes = Timeline(words=True), list[str]()
    timing.on_change = lambda: changes.append("")
    begin(timing, SpokenText("one"), 0.0)
    timing.take(sounds_of("one"))
    timing.end_request(0.3)
    timing.end(0.3)
    assert len(changes) == 3


# What the service counts


@pytest.mark.parametrize("healed", [None, 1, 2])
def test_times_from_the_start_of_the_connections_audio_are_understood(healed: int | None) -> None:
    """The second or the third request is cut off after 0.25 s, and said again on another connection."""
    timing = Timeline(words=True, visemes=True)
    texts, at, stream = ["one two", "six", "ten of it", "end."], 0.0, 0.0
    for number, text in enumerate(texts):
        begin(timing, SpokenText(text), at)
        if number == healed:
            timing.take(Viseme(item.index, item.sound, at - stream + item.start) for item in sounds_of(text))
            begin(timing, SpokenText(text), at + 0.25)
            stream = at
        timing.take(Viseme(item.index, item.sound, at - stream + item.start) for item in sounds_of(text))
        at += len(text) / 10
        timing.end_request(at)
    assert [start for _, start in spoken(timing)] == [0.0, 0.4, 0.7, 1.0, 1.4, 1.7, 1.9]
    assert [round(item.start * 10) for item in timing.pop_visemes(9.0)] == list(range(23))


# Late visemes of the request before


Service = Callable[[str, float], list[Viseme]]
"""What a service tells of a text whose audio begins at a time of its stream."""


def in_letters(text: str, _stream: float) -> list[Viseme]:
    return [Viseme(index, "sil" if char == " " else char, index / 10) for index, char in enumerate(text)]


def in_phonemes(text: str, _stream: float) -> list[Viseme]:
    phonemes = str.maketrans({"a": "æ", "e": "ɛ", "o": "oʊ", "u": "ʌ", " ": "sil"})
    return [Viseme(index, char.translate(phonemes), index / 10) for index, char in enumerate(text)]


def from_the_stream(text: str, stream: float) -> list[Viseme]:
    return [
        Viseme(item.index, item.sound, round(stream + item.start, 6)) for item in in_phonemes(text, stream)
    ]


SERVICES = [in_letters, in_phonemes, from_the_stream]
TEXTS = ["one two of us", "ten to twelve men", "and a last one"]


def told_by(service: Service, late: int, size: int) -> Timeline:
    """Return the timing of ``TEXTS``, the last ``late`` visemes of each come when the next is under way.

    A message holds so many of them.
    """
    timing, at, left = Timeline(words=True, visemes=True), 0.0, list[Viseme]()
    for text in TEXTS:
        begin(timing, SpokenText(text), at)
        tell(timing, left, size)
        items = service(text, at)
        in_time = len(items) - (late if text != TEXTS[-1] else 0)
        tell(timing, items[:in_time], size)
        left = items[in_time:]
        at += len(text) / 10
        timing.end_request(at)
    timing.end(at)
    return timing


def tell(timing: Timeline, visemes: list[Viseme], size: int) -> None:
    for first in range(0, len(visemes), size):
        timing.take(visemes[first : first + size])


def starts_of(*texts: str) -> list[tuple[str, float]]:
    """Return the words of a reply at ten characters a second, and when they start."""
    places, before = [], 0
    for text in texts:
        places += [(match[0], (before + match.start()) / 10) for match in re.finditer(r"\S+", text)]
        before += len(text)
    return places


@each("service", SERVICES)
@each("late", [0, 1, 4, 9])
@each("size", [1, 4, 100])
def test_late_visemes_are_of_the_request_that_they_go_on_with(service: Service, late: int, size: int) -> None:
    timing = told_by(service, late, size)
    assert spoken(timing) == starts_of(*TEXTS)
    visemes = timing.pop_visemes(1e9)
    whole = " ".join(TEXTS)
    assert [round(item.start * 10) for item in visemes] == list(range(len("".join(TEXTS))))
    assert [item.index for item in visemes] == [index for index in range(len(whole)) if index not in {13, 31}]


@pytest.mark.parametrize(("service", "size"), [(in_letters, 4), (in_letters, 100), (in_phonemes, 100)])
def test_a_request_whose_visemes_are_all_late_has_them(service: Service, size: int) -> None:
    timing = told_by(service, 100, size)
    assert spoken(timing) == starts_of(*TEXTS)
    assert len(timing.pop_visemes(1e9)) == len("".join(TEXTS))


def test_visemes_between_two_requests_are_late_ones() -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("one two"), 0.0)
    timing.take(in_letters("one two", 0.0)[:3])
    timing.end_request(0.7)
    timing.take(in_letters("one two", 0.0)[3:])
    assert len(timing.pop_visemes(9.0)) == 7
    assert timing.pop_words(9.0)[1]["start"] == 0.4


def test_a_late_word_that_was_already_given_out_changes_nothing() -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText("one two six"), 0.0)
    timing.take(in_letters("one two six", 0.0)[:4])
    timing.end_request(1.1)
    assert [word for word, _ in spoken(timing, 0.9)] == ["one", "two", "six"]
    assert len(timing.pop_visemes(0.9)) == 4
    begin(timing, SpokenText("ten"), 1.1)
    timing.take(in_letters("one two six", 0.0)[4:])
    timing.take(in_letters("ten", 0.0))
    timing.end_request(1.4)
    assert spoken(timing) == [("ten", 1.1)]
    assert [item.sound for item in timing.pop_visemes(9.0)] == [*list("two"), "sil", *list("sixten")]


def test_a_late_time_behind_the_audio_is_its_end() -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText("ab cd"), 0.0)
    timing.take([Viseme(0, "a", 0.0)])
    timing.end_request(0.5)
    begin(timing, SpokenText("ef."), 0.5)
    timing.take([Viseme(3, "c", 0.3), Viseme(4, "d", 0.505)])
    assert timing.pop_visemes(9.0) == [Viseme(0, "a", 0.0), Viseme(3, "c", 0.3), Viseme(4, "d", 0.5)]


@each(
    ("before", "told", "text", "first"),
    [
        ("ab cd", 5, "I go", [(0, "aɪ", 0.0)]),  # As every request begins.
        ("ab cd", 5, "Well so", [(5, "s", 0.5)]),  # Nothing for its first word.
        ("🙂", 0, "Hi", [(0, "H", 0.0)]),  # The one before has no sound to tell.
        ("on", 2, "🙂 fox", [(1, "sil", 0.15)]),  # Nothing for the emoji but its end.
        ("ab cd", 0, "two", [(0, "t", 0.0), (1, "w", 0.1)]),  # Nothing at all for the one before.
        ("two", 0, "two of us", [(0, "t", 0.0), (1, "w", 0.1)]),  # It could be either.
        ("a number", 0, "a name", [(0, "a", 0.0), (2, "n", 0.2), (3, "a", 0.3)]),  # Its own letters.
        ("one", 1, "a nice", [(2, "n", 0.15)]),  # It goes on with both, in its own letters.
    ],
)
def test_in_doubt_a_viseme_is_of_the_request_under_way(
    before: str, told: int, text: str, first: list[tuple[int, str, float]]
) -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText(before), 0.0)
    timing.take(in_letters(before, 0.0)[:told])
    timing.end_request(0.5)
    timing.pop_visemes(9.0)
    begin(timing, SpokenText(text), 0.5)
    timing.take(Viseme(*item) for item in first)
    assert [item.start for item in timing.pop_visemes(9.0)] == [0.5 + start for _, _, start in first]


def test_what_comes_after_the_first_of_a_request_is_its_own() -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText("one two six"), 0.0)
    timing.take(in_letters("one two six", 0.0)[:3])
    timing.end_request(1.1)
    begin(timing, SpokenText("ten and more"), 1.1)
    timing.take(in_letters("ten and more", 0.0)[:3])
    timing.take([Viseme(4, "a", 0.4)])  # Where the one before was left, too.
    assert [round(item.start, 6) for item in timing.pop_visemes(9.0)][3:] == [1.1, 1.2, 1.3, 1.5]


def test_another_connection_brings_no_late_visemes() -> None:
    timing = Timeline(visemes=True)
    begin(timing, SpokenText("one two six"), 0.0)
    timing.take(in_letters("one two six", 0.0)[:3])
    timing.end_request(1.1)
    begin(timing, SpokenText("and more"), 1.1)
    begin(timing, SpokenText("and more"), 1.1)  # Once more: the connection was lost.
    timing.take([Viseme(4, "m", 0.4)])
    assert [round(item.start, 6) for item in timing.pop_visemes(9.0)][3:] == [1.5]


EMOJI = "👍 yes 🙂 no 👍👍 ok"


def utf16_sounds(text: str) -> list[Viseme]:
    """Return what a service says that counts as JavaScript does."""
    return [
        Viseme(len(text[:index].encode("utf-16-le")) // 2, char, index / 10)
        for index, char in enumerate(text)
    ]


@pytest.mark.parametrize("count", [sounds_of, utf16_sounds])
def test_either_way_of_counting_is_understood(count: Callable[[str], list[Viseme]]) -> None:
    timing = Timeline(words=True, visemes=True)
    begin(timing, SpokenText(EMOJI), 0.0)
    timing.take(count(EMOJI))
    timing.end_request(len(EMOJI) / 10)
    assert [word for word, _ in spoken(timing)] == EMOJI.split()
    visemes = timing.pop_visemes(9.0)
    assert [EMOJI[viseme.index] for viseme in visemes] == list(EMOJI)


@pytest.mark.parametrize(
    "told",
    [
        [(5, "I", 0.6), (7, "t", 0.8)],  # Nothing for its first word.
        [(5, "I", 0.6), (0, "w", 0.1), (7, "t", 0.8)],  # In disorder.
        [(0, "w", 0.7), (5, "I", 0.9), (7, "t", 1.1)],  # After a long silence that isn't told.
    ],
)
def test_a_late_first_viseme_is_not_taken_for_another_way_of_counting(
    told: list[tuple[int, str, float]],
) -> None:
    timing = Timeline(words=True)
    at = speak(timing, "Hi...", 0.0)
    begin(timing, SpokenText("Well I think so."), at)
    timing.take(Viseme(*item) for item in told)
    timing.end_request(at + 1.6)
    starts = {index: start for index, _, start in told}
    assert dict(spoken(timing))["I"] == pytest.approx(at + starts[5])
    assert dict(spoken(timing)) == {}


def test_an_index_that_no_code_point_has_tells_the_way_of_counting() -> None:
    timing = Timeline(words=True)
    begin(timing, SpokenText("🙂 a"), 0.0)
    timing.take([Viseme(3, "eɪ", 0.3)])
    timing.end_request(0.5)
    assert spoken(timing)[1] == ("a", 0.3)


def test_a_silence_behind_the_text_tells_nothing() -> None:
    timing = Timeline(words=True)
    begin(timing, SpokenText("🙂🙂 ab cd"), 0.0)
    timing.take([Viseme(8, "sil", 0.8), Viseme(3, "f", 0.3), Viseme(6, "f", 0.6)])
    timing.end_request(0.9)
    assert spoken(timing)[1:] == [("ab", 0.3), ("cd", 0.6)]


def test_sounds_that_are_no_characters_are_counted_in_code_points() -> None:
    timing = Timeline(words=True)
    begin(timing, SpokenText("🙂 a b"), 0.0)
    timing.take([Viseme(2, "eɪ", 0.3), Viseme(4, "bi", 0.5)])
    timing.end_request(0.7)
    assert spoken(timing)[1:] == [("a", 0.3), ("b", 0.5)]


# Mouth shapes


@each(
    ("sound", "shape"),
    [
        ("a", "open_medium"), ("E", "open_medium"), ("é", "open_medium"), ("aɪ", "open_medium"),
        ("ˈiː", "open_medium"), ("O", "open_round"), ("ü", "open_round"), ("w", "open_round"),
        ("m", "lips_together"), ("P", "lips_together"), ("f", "lip_bite"), ("v", "lip_bite"),
        ("s", "teeth_close"), ("tʃ", "teeth_close"), ("l", "tongue_up"), (SILENCE, "closed"),
        ("k", None), ("7", None), ("", None),
    ],
)  # fmt: skip
def test_mouth_shapes_of_sounds(sound: str, shape: str | None) -> None:
    assert mouth_shape(sound) == shape


def test_the_table_is_replaceable_and_not_changeable() -> None:
    assert mouth_shape("Ä", {"a": "wide", "ä": "wider"}) == "wider"
    assert mouth_shape(SILENCE, {"s": "hiss"}) is None
    assert mouth_shape("k", {**MOUTH_SHAPES, "k": "back"}) == "back"
    with pytest.raises(TypeError):
        MOUTH_SHAPES["a"] = "b"  # type: ignore[index]

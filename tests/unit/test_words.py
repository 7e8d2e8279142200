"""Words and their times out of texts and visemes of all kinds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each

from videosdk.plugins.lokutor._text.characters import is_speakable
from videosdk.plugins.lokutor._timing.words import RequestWords, Word, spans_of
from videosdk.plugins.lokutor.visemes import Viseme


def words_in(text: str) -> list[str]:
    return [text[first:last] for first, last in spans_of(text)]


def told(text: str, *sounds: tuple[int, str, float], seconds: float) -> list[Word]:
    """Return the words of a request whose visemes and length are known."""
    words = RequestWords(text)
    for sound in sounds:
        words.take(Viseme(*sound))
    words.finish(seconds)
    return list(all_of(words))


def all_of(words: RequestWords) -> list[Word]:
    """Return the words whose starts are known."""
    known = []
    while words.next_start is not None:
        known.append(words.pop())
    return known


@each(
    ("text", "words"),
    [
        ("Hello there.", ["Hello", "there."]),
        ("  two\n\tlines  ", ["two", "lines"]),
        ("It costs 1,250.50 €, or $5.", ["It", "costs", "1,250.50", "€,", "or", "$5."]),
        ("Yes — no … maybe - well!", ["Yes —", "no …", "maybe -", "well!"]),
        ("— Well", ["— Well"]),
        ('He said: " no "', ["He", 'said: "', 'no "']),
        ("¿Qué? ¡Sí!", ["¿Qué?", "¡Sí!"]),
        ("see ( a ) b", ["see", "( a )", "b"]),
        ("cafe\u0301 na\u0308her", ["cafe\u0301", "na\u0308her"]),
        ("ok 👍🏽 fine", ["ok", "👍🏽", "fine"]),
        ("L'homme d'aujourd'hui", ["L'homme", "d'aujourd'hui"]),
        ("你好，世界。", ["你", "好，", "世", "界。"]),
        ("他说「好」。", ["他", "说", "「好」。"]),
        ("我用Python写3行", ["我", "用", "Python", "写", "3", "行"]),
        ("カ\u3099ラス", ["カ\u3099", "ラ", "ス"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("...", []),
        ("", []),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert words_in(text) == words


def test_a_word_starts_with_its_first_sound_and_ends_with_its_last() -> None:
    words = told(
        "Hello, you.",
        (0, "sil", 0.0), (0, "h", 0.1), (1, "e", 0.15), (3, "l", 0.2), (4, "o", 0.3), (5, "sil", 0.5),
        (7, "y", 0.8), (9, "u", 0.9), (10, "sil", 1.1),
        seconds=1.3,
    )  # fmt: skip
    assert words == [Word("Hello,", 6, 0.1, 0.5, False), Word("you.", 11, 0.8, 1.1, False)]


def test_a_word_is_known_with_its_first_sound() -> None:
    words = RequestWords("one two")
    assert words.next_start is None
    words.take(Viseme(0, "w", 0.1))
    words.take(Viseme(1, "n", 0.2))
    assert words.next_start == 0.1
    assert words.pop() == Word("one", 3, 0.1, 0.2, False)
    assert words.next_start is None
    words.take(Viseme(4, "t", 0.4))
    assert words.pop() == Word("two", 7, 0.4, 0.4, False)
    assert words.exhausted
    assert words.next_start is None


def test_a_number_that_is_read_out() -> None:
    sounds = [(3 + number * 4 // 12, "x", 0.2 + number / 10) for number in range(12)]
    words = told("In 1999 too", (0, "i", 0.0), *sounds, (8, "t", 1.4), seconds=1.8)
    assert [(word.text, word.start, word.end) for word in words] == [
        ("In", 0.0, 0.2),
        ("1999", 0.2, 1.4),
        ("too", 1.4, 1.8),
    ]


def test_indices_may_repeat_or_go_back() -> None:
    words = told(
        "ab cd", (0, "a", 0.0), (0, "a", 0.1), (3, "c", 0.3), (1, "b", 0.4), (4, "d", 0.5), seconds=0.7
    )
    assert [(word.start, word.end) for word in words] == [(0.0, 0.5), (0.3, 0.7)]


@pytest.mark.parametrize("index", [-1, 5, 10**9])
def test_an_index_outside_the_text_is_ignored(index: int) -> None:
    words = told("ab cd", (0, "a", 0.0), (index, "x", 0.1), (3, "c", 0.3), seconds=0.7)
    assert [word.start for word in words] == [0.0, 0.3]


def test_a_sound_in_a_gap_belongs_to_the_word_before() -> None:
    words = told(" ab  cd", (0, "a", 0.1), (3, "b", 0.2), (4, "b", 0.3), (5, "c", 0.4), seconds=0.7)
    assert [(word.start, word.end) for word in words] == [(0.1, 0.4), (0.4, 0.7)]


@pytest.mark.parametrize("pause", ["sil", "SIL", " ", "", ",", "…"])
def test_silence_is_no_word(pause: str) -> None:
    words = told("ab, cd", (0, "a", 0.0), (2, pause, 0.2), (4, pause, 0.3), (4, "c", 0.6), seconds=0.9)
    assert [(word.start, word.end) for word in words] == [(0.0, 0.2), (0.6, 0.9)]


def test_words_without_sounds_stand_between_their_neighbours_by_length() -> None:
    words = RequestWords("one of the best")
    words.take(Viseme(0, "w", 0.0))
    words.take(Viseme(2, "n", 0.3))
    assert [word.text for word in all_of(words)] == ["one"]
    words.take(Viseme(11, "b", 1.1))
    words.finish(1.5)
    assert [
        (word.text, round(word.start, 6), round(word.end, 6), word.estimated) for word in all_of(words)
    ] == [
        ("of", 0.4, 0.7, True),
        ("the", 0.7, 1.1, True),
        ("best", 1.1, 1.5, False),
    ]


def test_without_visemes_words_spread_over_the_audio_by_length() -> None:
    words = RequestWords("a word longest")
    assert words.next_start is None
    words.finish(1.4)
    assert [
        (word.text, round(word.start, 6), round(word.end, 6), word.estimated) for word in all_of(words)
    ] == [
        ("a", 0.0, 0.2, True),
        ("word", 0.2, 0.7, True),
        ("longest", 0.7, 1.4, True),
    ]


def test_no_word_starts_before_the_one_before_it_nor_after_the_audio() -> None:
    words = told("a b c", (0, "a", 0.5), (2, "b", 0.2), (4, "c", 1.2), seconds=1.0)
    assert [(word.start, word.estimated) for word in words] == [(0.5, False), (0.75, True), (1.0, False)]


@pytest.mark.parametrize("unit", [0.0, -0.1, 1000.0])
def test_times_that_can_not_be_are_not_believed(unit: float) -> None:
    """All words at once, or behind the audio: as a service would send that counts in another unit."""
    words = told("ab cd ef", *((index, "x", index * unit) for index in (0, 3, 6)), seconds=1.6)
    assert [round(word.start, 6) for word in words] == [0.0, 0.6, 1.2]
    assert [word.estimated for word in words] == [False, True, True]


def test_another_try_tells_again_what_was_not_heard() -> None:
    words = RequestWords("one two six")
    for sound in ((0, "w", 0.1), (4, "t", 0.5), (8, "s", 0.9)):
        words.take(Viseme(*sound))
    assert words.pop().start == 0.1
    words.forget(0.6)
    assert [word.start for word in all_of(words)] == [0.5]
    words.take(Viseme(8, "s", 1.0))
    words.finish(1.4)
    assert [(word.start, word.end) for word in all_of(words)] == [(1.0, 1.4)]


TEXTS = st.text(st.sampled_from('ab1é\u0301,.-—"( )」「你好สวี👍🏽 \n'), max_size=30)
SOUNDS = st.builds(
    Viseme,
    st.integers(-2, 40),
    st.sampled_from(["a", "sil", "oʊ", ",", ""]),
    st.floats(0, 20),
)


@given(TEXTS)
def test_words_cover_all_that_is_spoken(text: str) -> None:
    spans = spans_of(text)
    assert all(first < last for first, last in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(is_speakable(text[first:last]) for first, last in spans)
    spoken = {index for first, last in spans for index in range(first, last)}
    assert all(index in spoken for index, char in enumerate(text) if is_speakable(char))


@given(TEXTS, st.lists(st.one_of(SOUNDS, st.floats(0, 20)), max_size=30), st.floats(0, 20))
def test_every_word_comes_once_and_in_order(text: str, story: list[Viseme | float], seconds: float) -> None:
    """Whatever the service tells and repeats, and whenever words are taken."""
    words, given_out = RequestWords(text), []
    for event in story:
        if isinstance(event, Viseme):
            words.take(event)
            if event.start < 10:
                given_out += all_of(words)
        else:
            words.forget(event)
    words.finish(seconds)
    given_out += all_of(words)
    assert words.exhausted
    assert [word.end_index for word in given_out] == [last for _, last in spans_of(text)]
    assert all(one.start <= other.start for one, other in pairwise(given_out))
    assert all(0 <= word.start <= word.end for word in given_out)

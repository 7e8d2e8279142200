"""Two texts, one map: what is replaced, and which written character each spoken one stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each

from videosdk.plugins.lokutor._options import SpeechOptions
from videosdk.plugins.lokutor._text.pieces import RequestText
from videosdk.plugins.lokutor._text.pronunciations import Pronunciations
from videosdk.plugins.lokutor._text.spoken import Replacement, SpokenText
from videosdk.plugins.lokutor._timing.words import spans_of

CASES = [
    ({"nginx": "engine x"}, "Restart NGINX, then nginx.", "Restart engine x, then engine x."),
    ({"SQL": "sequel"}, "SQL's sql, MySQL, SQLite and SQL!", "sequel's sql, MySQL, SQLite and sequel!"),
    ({"Dr.": "doctor"}, "Dr. Smith, Dr.Smith, dr. who", "doctor Smith, doctor Smith, dr. who"),
    ({"New York": "noo yawk", "New": "noo"}, "New York, New Yorker", "noo yawk, noo Yorker"),
    ({"C++": "see plus plus"}, "C++ and C++11", "see plus plus and see plus plus 11"),
    ({"a": "b", "b": "a"}, "a b", "b a"),
    ({"tea": "T"}, "Tea, steam, tea-time", "T, steam, T-time"),
    ({"café": "kaffay"}, "Café, cafés", "kaffay, cafés"),
    ({"e": "x"}, "e\u0301 e", "e\u0301 x"),  # With an accent it is another letter.
    ({"東京": "とうきょう"}, "私は東京に住む。", "私はとうきょうに住む。"),
    ({"서울": "seoul"}, "서울 서울역", "seoul 서울역"),
    ({"Straße": "Strasse"}, "Straße, STRASSE", "Strasse, STRASSE"),
    ({"москва": "moskva"}, "Москва москва", "moskva moskva"),
    ({"x": "y"}, "", ""),
    ({"s": "seconds", "m": "meters"}, "it's 5 s, I'm 3 m", "it's 5 seconds, I'm 3 meters"),
    ({"eau": "o"}, "l'eau", "l'o"),
    ({"1": "one", "5": "five"}, "1.5, 1,000 and 1:30 are 1, 5.", "1.5, 1,000 and 1:30 are one, five."),
    ({"★": "star"}, "★★★ 5", "star star star 5"),
    ({"café": "kaffay"}, "Cafe\u0301, cafe\u0301s", "kaffay, cafe\u0301s"),
    ({"cafe\u0301": "kaffay"}, "Café Cafe\u0301", "kaffay kaffay"),
    ({"cafe": "x", "e": "y"}, "cafe\u0301 e\u0301 cafe e", "cafe\u0301 e\u0301 x y"),
    ({"q\u0323\u0307": "x"}, "q\u0307\u0323 q", "x q"),  # The order of accents makes no difference.
    ({"\uac00": "ga"}, "\u1100\u1161 \u1100\u1161\u11a8", "ga \u1100\u1161\u11a8"),
    ({"東京": "Tokyo", "大阪": "Osaka"}, "東京大阪", "Tokyo Osaka"),
    ({}, "As it is.", "As it is."),
    # In another spelling.
    ({"O'Brien": "oh bryan"}, "O’Brien and O'Brien’s", "oh bryan and oh bryan’s"),
    ({"O’Brien": "oh bryan"}, "O’Brien, O'Brien", "oh bryan, oh bryan"),
    ({"New York": "noo yawk"}, "New\u00a0York, New  York, New\nYork", "noo yawk, noo yawk, noo yawk"),
    ({"New York": "noo yawk"}, "New\n\nYork,  New", "New\n\nYork,  New"),
    ({"New\u202fYork": "noo yawk"}, "New York", "noo yawk"),
    ({"❤": "heart"}, "I ❤\ufe0f you ❤", "I heart you heart"),
    ({"❤\ufe0f": "heart"}, "I ❤ you ❤\ufe0f", "I heart you heart"),
    # Parts of a word, or of an emoji.
    ({"don": "dawn", "we": "oui", "can": "kan"}, "I don't, we’re, can’t, don", "I don't, we’re, can’t, dawn"),
    ({"Joan": "Jo Ann", "Don": "Dawn"}, "Joan'll, Joan's, Don't", "Jo Ann'll, Jo Ann's, Don't"),
    ({"l": "liters", "D": "dee"}, "l'eau, D'Angelo, 5 l, 'l'", "l'eau, D'Angelo, 5 liters, 'liters'"),
    ({"👍": "thumbs up"}, "👍🏽 👍👍🏿!", "thumbs up thumbs up thumbs up!"),
    ({"👍": "thumbs up", "👍🏽": "fine"}, "👍🏽 👍", "fine thumbs up"),
    ({"👨": "man", "👧": "girl"}, "👨\u200d👩\u200d👧 👨 👧", "👨\u200d👩\u200d👧 man girl"),
]


@each(("words", "written", "spoken"), CASES)
def test_whole_words_are_replaced(words: dict[str, str], written: str, spoken: str) -> None:
    text = SpokenText(written, Pronunciations(words).find(written))
    assert text.text == spoken
    assert text.written == written


@each(
    "words",
    [
        ["nginx"],
        "nginx",
        {"nginx": ""},
        {"": "x"},
        {"...": "x"},
        {"x": "..."},
        {1: "x"},
        {"x": None},
        {"x" * 201: "y"},
    ],
)
def test_what_is_no_pronunciation_is_refused(words: object) -> None:
    with pytest.raises(ValueError, match="pronunciations"):
        SpeechOptions(pronunciations=words)  # type: ignore[arg-type]


def test_they_can_be_changed_and_removed() -> None:
    options = SpeechOptions(pronunciations={"one": "two"})
    assert options.spoken(RequestText("one")).text == "two"
    assert options.changed({"speed": 1.5}).spoken(RequestText("one")).text == "two"
    assert options.changed({"pronunciations": {"one": "three"}}).spoken(RequestText("one")).text == "three"
    assert options.changed({"pronunciations": None}).spoken(RequestText("one")).text == "one"


def test_options_that_differ_in_them_only_have_the_same_times() -> None:
    assert hash(SpeechOptions(pronunciations={"a": "b"})) == hash(SpeechOptions())


WORDS = st.sampled_from(["nginx", "SQL", "New York", "a", "b-c", "東京", "Dr.", "😀", "one two three"])
SPOKEN = st.text(st.sampled_from("abcxyz éß東 "), min_size=1, max_size=12).filter(lambda text: text.strip())
WRITTEN = st.lists(
    st.sampled_from(
        [
            "nginx",
            "NGINX",
            "SQL",
            "New",
            "York",
            "a",
            "b-c",
            "東京",
            "Dr.",
            "😀",
            " ",
            ", ",
            "one two three",
            "x",
        ]
    )
).map("".join)


@given(st.dictionaries(WORDS, SPOKEN, max_size=6), WRITTEN)
def test_every_character_maps_into_its_own_place(words: dict[str, str], written: str) -> None:
    text = SpokenText(written, Pronunciations(words).find(written))
    places = [text.to_written(index) for index in range(len(text.text))]
    assert places == sorted(places)
    assert all(0 <= place < len(written) for place in places)
    for index, place in enumerate(places):
        # What was not replaced is the same character, and stands for itself.
        if places.count(place) == 1 and text.text[index] == written[place]:
            assert text.to_written(index) == place
    assert text.to_written(len(text.text)) == len(written)
    assert text.to_written(-1) == -1


@given(WRITTEN)
def test_without_words_both_texts_are_the_same(written: str) -> None:
    text = SpokenText(written, Pronunciations({"notthere": "x"}).find(written))
    assert text.text == written
    assert [text.to_written(index) for index in range(len(written))] == list(range(len(written)))


def test_an_accent_of_its_own_keeps_its_place_in_the_map() -> None:
    written = "man\u0303ana, cafe\u0301 \U0001f600 cafe\u0301."
    text = SpokenText(written, Pronunciations({"café": "kaffay"}).find(written))
    assert text.text == "man\u0303ana, kaffay \U0001f600 kaffay."
    assert text.to_written(text.text.index("k")) == written.index("cafe")
    assert text.to_written(text.text.index("\U0001f600")) == written.index("\U0001f600")
    assert text.to_written(text.text.rindex("k")) == written.rindex("cafe")
    assert text.to_written(len(text.text) - 1) == len(written) - 1


def test_another_spelling_keeps_its_place_in_the_map() -> None:
    written = "To  O’Brien,\u00a0❤\ufe0f New \n York 👍🏽 x."
    words = {"O'Brien": "oh bryan", "❤": "heart", "New York": "noo yawk", "👍": "up"}
    text = SpokenText(written, Pronunciations(words).find(written))
    assert text.text == "To  oh bryan,\u00a0heart noo yawk up x."
    for spoken, first in {"oh": "O", "heart": "❤", "noo": "N", "yawk": "Y", "up": "👍", "x.": "x"}.items():
        assert text.to_written(text.text.index(spoken)) == written.index(first)
    assert text.to_written(len(text.text) - 1) == len(written) - 1


def test_words_of_a_form_map_word_by_word() -> None:
    text = SpokenText("To New York now", [Replacement(3, 11, "noo yawk city")])
    assert text.text == "To noo yawk city now"
    even = SpokenText("To New York now", [Replacement(3, 11, "nooo yawk")])
    assert even.to_written(even.text.index("yawk")) == 7
    assert even.to_written(even.text.index("now")) == 12


@each(("words", "written", "spoken"), CASES)
def test_each_spoken_word_is_found_in_a_written_one(words: dict[str, str], written: str, spoken: str) -> None:
    text = SpokenText(written, Pronunciations(words).find(written))
    spans = spans_of(written)
    starts = [text.to_written(first) for first, _last in spans_of(spoken)]
    assert all(any(first <= start < last for first, last in spans) for start in starts)

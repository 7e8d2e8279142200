"""Chunks to requests: nothing lost, nothing glued, nothing split, nothing late."""

from __future__ import annotations

import inspect
import random
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each
from videosdk.agents import BasicSentenceChunker, FlushMarker

from videosdk.plugins.lokutor._text.characters import is_speakable, whole_words
from videosdk.plugins.lokutor._text.joints import TERMINATORS, Chunks
from videosdk.plugins.lokutor._text.markup import MarkupParser
from videosdk.plugins.lokutor._text.pieces import MAX_REQUEST_CHARS, Segment
from videosdk.plugins.lokutor._text.planner import TextPlanner

Chunk = str | FlushMarker
FLUSH = FlushMarker()


def next_text(planner: TextPlanner, segments: Sequence[Segment] | None = None) -> str | None:
    """Return the text of the next request."""
    request = planner.next_request(segments)
    return None if request is None else request.text


def ready(planner: TextPlanner) -> list[str]:
    """Take every request that is complete by now."""
    requests = []
    while (request := next_text(planner)) is not None:
        requests.append(request)
    return requests


def plan(
    chunks: Iterable[Chunk],
    *,
    busy: bool = True,
    language: str = "en",
    known: Chunks = Chunks.UNKNOWN,
    moments: random.Random | None = None,
) -> list[str]:
    """Return all requests for ``chunks``.

    Args:
        chunks: What the text iterator yields.
        busy: Whether the service is busy until the end; otherwise it takes each request at once.
        language: Language of the planner.
        known: What the planner knows of the chunks.
        moments: When given, decides after each chunk whether the service is free.
    """
    planner = TextPlanner(language, chunks=known)
    requests = []
    for chunk in chunks:
        if isinstance(chunk, str):
            planner.push(chunk)
        else:
            planner.flush()
        free = moments.random() < 0.5 if moments else not busy
        requests += ready(planner) if free else []
    planner.end()
    requests += ready(planner)
    assert planner.exhausted
    return requests


def tokens_of(text: str) -> list[str]:
    """Cut as LLMs do: a space leads its word, marks and groups of three digits stand alone."""
    return re.findall(r" ?[^\W\d]+| ?\d{1,3}|\s+|[^\w\s]", text)


def squeezed(text: str) -> str:
    return "".join(text.split())


# --- ready sentences ---------------------------------------------------------------------------------

PARAGRAPHS = {
    "en": (
        "Good morning, Dr. Smith! The invoice no. 17 comes to $250.75, due on 3 May. "
        'She said "Call me at noon." I did. (Nobody answered). Then... silence? '
        "Version 2.1.3 is at https://example.com/a?b=1.2, or write to a.b@example.com! "
        "In 2023, 2024 and 2025, the U.S. team, which had grown quickly, won. 😀 Great!\n"
        "Your options are\n- apples\n- pears\n\n.NET and Node.js work. 2024 was good."
    ),
    "es": (
        "¡Hola! ¿Cómo está usted, Sra. Pérez? Su cita es el martes, a las nueve de la mañana. "
        "—Muy bien —dijo—. Cuesta 3,50 €, más o menos. ¿Algo más?"
    ),
    "de": "Guten Tag, Hr. Müller. Das kostet rund 250,75 Euro; nicht wahr? Die Straße ist gesperrt.",
    "zh": "你好！我是小明，今天天气很好。我们去公园，好不好？「当然好。」他说。Python 3.12 很好用。",
    "ko": "안녕하세요. 저는 민수입니다. 오늘 날씨가 좋네요! 같이 갈까요?",
}


async def sentences_of(text: str, language: str) -> list[str]:
    """Return what the framework's pipeline hands to a TTS for ``text``, streamed in tokens."""
    stream = BasicSentenceChunker(language=language).stream()
    for token in tokens_of(text):
        await stream.push_text(token)
    await stream.end_input()
    return [sentence async for sentence in stream]


@pytest.mark.parametrize("language", PARAGRAPHS)
async def test_the_frameworks_sentences_pass_unhurt(language: str) -> None:
    sentences = await sentences_of(PARAGRAPHS[language], language)
    assert len(sentences) > 3
    assert squeezed("".join(plan(sentences, language=language))) == squeezed(PARAGRAPHS[language])
    if language != "zh":  # Which needs no spaces.
        words = " ".join(plan(sentences, language=language)).split()
        assert words == " ".join(sentences).split()


@pytest.mark.parametrize("known", [Chunks.UNKNOWN, Chunks.SENTENCES])
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hello. The doctor can see you at 10:30 tomorrow."),
        ("en", "Hello. With all the taxes it is $1,250.75, due today."),
        ("en", "The doctor can see you at 10:30 tomorrow."),
        ("en", "With all the taxes it is $1,250.75, due today."),
        ("de", "Guten Tag. Das kostet rund 1.234,56 Euro, und zwar heute."),
        ("de", "Das kostet rund 123.456,7 Euro. Und 1.250,75 kommen dazu."),
        ("es", "Son 3.500,50 € en total."),
    ],
)
async def test_a_number_that_the_framework_cuts_is_whole_again(
    language: str, text: str, known: Chunks
) -> None:
    sentences = await sentences_of(text, language)
    assert any(sentence[0].isdigit() for sentence in sentences)
    for busy in (True, False):
        requests = plan(sentences, busy=busy, language=language, known=known)
        assert " ".join(requests).split() == text.split()


def test_a_number_that_is_cut_at_its_comma_is_whole_again() -> None:
    """The framework does that where the LLM's tokens are single characters."""
    sentences = ["Das kostet rund 1.234,", "56 Euro, und zwar heute."]
    for busy in (True, False):
        assert plan(sentences, busy=busy, language="de", known=Chunks.SENTENCES) == ["".join(sentences)]


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("de", ["Wir waren 12.", "500 kamen später."]),
        ("de", ["Das steht in Kapitel 3.", "250, 300 und mehr Seiten."]),
        ("de", ["Das war 2012.", "345,50 Euro kostete es."]),
        ("de", ["Es waren 3,5.", "250,75 sind mehr."]),
        ("es", ["Son 3,", "4 o 5 cosas."]),
        ("en", ["We are 12.", "500,5 is a number."]),
    ],
)
async def test_numbers_that_nobody_cut_stay_apart(language: str, sentences: list[str]) -> None:
    for busy in (True, False):
        requests = plan(sentences, busy=busy, language=language, known=Chunks.SENTENCES)
        assert " ".join(requests) == " ".join(sentences)


@pytest.mark.parametrize(
    ("language", "sentence", "waits"),
    [
        ("de", "Das kostet 1.", True),
        ("es", "Son 250.", True),
        ("de", "Das war 2012.", False),
        ("de", "Das ist gut.", False),
        ("en", "It costs 1.", False),
        ("zh", "It costs 1.", False),
    ],
)
def test_a_sentence_waits_where_its_number_may_have_been_cut(
    language: str, sentence: str, waits: bool
) -> None:
    planner = TextPlanner(language, chunks=Chunks.SENTENCES)
    planner.push(sentence)
    assert ready(planner) == ([] if waits else [sentence])
    assert planner.quiet_time == (2.0 if waits else None)
    planner.release()
    assert ready(planner) == ([sentence] if waits else [])


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Good morning, Dr. Smith! How are you? That is 3.5 percent, or so. Great!"),
        ("en", "Well... I like example.com, as you know. In 2023. 2024 was good. I said no."),
        ("es", "¡Hola! ¿Cómo está usted, Sra. Pérez? Son 3,50 euros. ¿Algo más?"),
        ("de", "Guten Tag, Hr. Müller. Das kostet 250,75 Euro; nicht wahr? Gut."),
        ("zh", "你好！我是小明。我们去公园，好不好？"),
        ("ko", "안녕하세요. 저는 민수입니다. 오늘 날씨가 좋네요!"),
    ],
)
async def test_the_frameworks_sentences_are_released_at_once(language: str, text: str) -> None:
    planner = TextPlanner(language)
    for sentence in await sentences_of(text, language):
        planner.push(sentence)
        if planner.quiet_time == 0.0:  # As soon as the iterator has nothing more to give.
            planner.release()
        assert ready(planner) == [sentence]


def test_sentences_that_gathered_go_out_together() -> None:
    assert plan(["Hello there.", "How are you?", "Fine!"]) == ["Hello there. How are you? Fine!"]


def test_chinese_sentences_are_joined_without_a_space_and_korean_ones_with_one() -> None:
    assert plan(["你好。", "我是小明。"]) == ["你好。我是小明。"]
    assert plan(["안녕.", "반가워."]) == ["안녕. 반가워."]
    assert plan(["Great 👍", "Next one."]) == ["Great 👍 Next one."]


@each(
    "lines",
    [
        ["Here are your options", "Apples", "Pears and plums"],
        ["Options:", "Apples", "Pears"],
        ["Here are your options", "- apples", "- pears"],
        ["Here are your options", "1. Apples", "2. Pears"],
        ["Sus opciones son", "¿Manzanas?", "Peras"],
        ["We talked about the", "responsibilities of everyone."],  # The LLM paused in mid-sentence.
        ["It is done.", "We talked about", "it at length."],
        ["He left.", '"Why?"', "Nobody knows."],
        ["He left.", "'Tis so.", "* And so on."],
        ["Yes.", ".NET is fine."],
        ["Fin.", "—Hola, dijo."],
        ["We grew in 2022.", "A lot.", "In 2023.", "2024 was better."],
        ["안녕.", "오늘 날씨가", "좋네요."],
        ["We grew.", "We did so in 2023,", "2024 and 2025."],
        ["Look \ue000 at 3.5 here.", "Next."],
        ["Use either/www.example.com for it.", "Next."],
        ["-", "Alpha bravo.", "Charlie delta.", "Echo foxtrot."],
        ['Alpha bravo.""', "Charlie delta.", "Echo foxtrot."],
    ],
)
@each("busy", [True, False])
def test_lines_and_sentences_are_never_glued(lines: list[str], busy: bool) -> None:
    assert " ".join(plan(lines, busy=busy)).split() == " ".join(lines).split()


@each(
    ("chunks", "text"),
    [
        (["(He left.", ") Nobody knows."], "(He left.) Nobody knows."),
        (["He said \"Yes.'", '" Then he left.'], 'He said "Yes.\'" Then he left.'),
        (["Come in.", "I can see you at 10:", "30 tomorrow."], "Come in. I can see you at 10:30 tomorrow."),
        (["It costs 3.", "14 euros."], "It costs 3.14 euros."),
        (["Good.", "Cafe", "\u0301."], "Good. Cafe\u0301."),
        *(
            ([mark, "Alpha bravo.", "Charlie delta."], f"{mark}Alpha bravo. Charlie delta.")
            for mark in "\"'`“„‘([{«¿¡"
        ),
        (['He said, "', "Alpha bravo.", "Charlie delta."], 'He said, "Alpha bravo. Charlie delta.'),
    ],
)
def test_what_belongs_to_the_sentence_before_joins_it(chunks: list[str], text: str) -> None:
    assert plan(chunks) == [text]


def test_a_sentence_behind_an_opening_mark_is_released_at_once() -> None:
    planner = TextPlanner("en")
    planner.push('"')
    assert ready(planner) == []
    planner.push("Alpha bravo.")
    planner.push("Charlie delta.")
    assert ready(planner)[0].startswith('"Alpha bravo.')


@each("busy", [True, False])
@each(
    ("tokens", "text"),
    [
        (["—", "Y", "es", "."], "—Yes."),
        (["–", "Y", "es", ",", " I", " did", "."], "–Yes, I did."),
        (["—", "¿", "Qu", "é", "?"], "—¿Qué?"),
    ],
)
def test_a_dash_that_opens_raw_tokens_does_not_tear_the_first_word(
    tokens: list[str], text: str, busy: bool
) -> None:
    assert plan(tokens, busy=busy) == [text]


@each(
    ("chunks", "whole"),
    [
        (["Im Jahr von Kaiser Wilhelm II.", "wurde das Haus gebaut."], [False, True]),
        (["Im Jahr von Kaiser Wilhelm II.", "Wurde das Haus gebaut?"], [True, True]),
        (["Das Haus ist alt.", "14 Zimmer sind frei."], [True, True]),
        (["It is, as I said,", "very old."], [False, True]),
    ],
)
def test_what_a_small_letter_follows_is_no_whole_sentence(chunks: list[str], whole: list[bool]) -> None:
    planner = TextPlanner("de", chunks=Chunks.SENTENCES)
    for chunk in chunks:
        planner.push(chunk)
    assert [segment.sentence for segment in planner.segments()] == whole


def test_a_mark_behind_a_flush_opens_the_next_sentence() -> None:
    assert plan(["Alpha bravo.", FlushMarker(), '"', "Charlie delta.", "Echo foxtrot."]) == [
        "Alpha bravo.",
        '"Charlie delta. Echo foxtrot.',
    ]


def test_a_sentence_is_complete_when_the_next_begins_whatever_its_last_word() -> None:
    planner = TextPlanner("en")
    for chunk in ["Hi there.", "He lives in apt no.", "So"]:  # The chunker takes "no." for "number".
        planner.push(chunk)
    assert ready(planner) == ["Hi there. He lives in apt no."]


def test_a_time_of_day_that_the_framework_cut_is_not_spoken_in_two() -> None:
    planner = TextPlanner("en")
    planner.push("Come in.")
    planner.push("Sit down.")
    assert ready(planner) == ["Come in. Sit down."]
    planner.push("I can see you at 10:")
    assert ready(planner) == []
    planner.push("30 tomorrow.")
    assert ready(planner) == ["I can see you at 10:30 tomorrow."]


# --- raw tokens --------------------------------------------------------------------------------------


def test_tokens_become_sentences() -> None:
    planner = TextPlanner("en")
    requests = []
    for token in ["Hel", "lo", " world", ".", " How", " are", " you", "?", " "]:
        planner.push(token)
        requests.append(next_text(planner))
    assert requests == [None, None, None, None, "Hello world.", None, None, None, "How are you?"]


@each(
    "text",
    [
        "It costs 3.14 euros today.",
        "See example.com now.",
        "Go to www.example.co.uk today.",
        "Dr. Who met Mrs. Smith vs. e.g. nobody.",
        "The U.S. won at 10:30 with 1,000 points.",
        "Amazon.com and Node.js are names.",
        "Don't, it's well-known and/or true.",
        "YouTube, iPhone and McDonald's.",
        'He said "yes." Then he left (quickly).',
    ],
)
@each("busy", [True, False])
def test_an_llms_tokens_keep_every_word(text: str, busy: bool) -> None:
    assert " ".join(plan(tokens_of(text), busy=busy)).split() == text.split()


@pytest.mark.parametrize(
    "text",
    ["So 3.14 it is", "At 10:30 then", "Is it 1,000 now", "See example.com soon", "Un cafe\u0301 si"],
)
def test_numbers_and_names_survive_every_cut_in_three(text: str) -> None:
    for first, second in combinations(range(1, len(text)), 2):
        assert plan([text[:first], text[first:second], text[second:]]) == [text]


@pytest.mark.parametrize("number", ["3.14", "10:30", "1,000"])
def test_a_number_is_never_sent_in_two(number: str) -> None:
    for end in range(1, len(number)):
        assert plan([number[:end], number[end:], " it", " is."], busy=False) == [f"{number} it is."]


def test_a_name_is_never_sent_in_two() -> None:
    for chunks in (["example.", "com", " is", " up."], ["example", ".", "com", " is", " up."]):
        assert plan(chunks, busy=False) == ["example.com is up."]


@each(
    ("chunks", "quiet"),
    [
        ([], None),
        (["Hello"], None),
        (["Hel", "lo", " there,"], None),
        (["Hel", "lo", " there", "."], 0.15),
        (["Hel", "lo", " there", ".", '"'], 0.15),
        (["So", " 3", "."], 0.5),
        (["3."], 0.5),
        (["sure."], 0.15),
        (["See", " https", "://", "a.b", "/c", "."], 0.5),
        (["Write", " to", " john", ".doe", "@mail", ".example", "."], 0.5),
        (["Go", " to", " www", ".example", "."], 0.5),
        (["Write", " to", " a", "@b", ".org", " now", "."], 0.15),
        (["It costs 3."], 0.0),
        (["Come in.", "It costs $1,250."], 0.5),
        (["Come in.", "I can see you at 10:"], None),
        (["See", " Dr", "."], 0.15),
        (["..."], None),
        (["Hello."], None),  # It is complete already.
    ],
)
def test_the_quiet_time_after_which_a_sentence_is_complete(chunks: list[str], quiet: float | None) -> None:
    planner = TextPlanner("en")
    for chunk in chunks:
        planner.push(chunk)
    assert planner.quiet_time == quiet


def test_what_is_released_goes_out() -> None:
    planner = TextPlanner("en")
    for chunk in ["I", " am", " here", "."]:
        planner.push(chunk)
    assert next_text(planner) is None
    planner.release()
    assert next_text(planner) == "I am here."
    assert planner.quiet_time is None


def test_a_release_is_taken_back_when_the_word_goes_on_before_it_was_sent() -> None:
    planner = TextPlanner("en")
    for chunk in ["I", " like", " example", "."]:
        planner.push(chunk)
    planner.release()
    planner.push("com")
    assert next_text(planner) is None
    planner.end()
    assert ready(planner) == ["I like example.com"]


TORN_TOKENS = [
    ["You can use your Mac", "Book", " or your iPhone", " to pay."],
    ["I think the Wi", "Fi password is on the bo", "ttom of the rou", "ter."],
    ["Our partner is Master", "Card, and we acc", "ept it every", "where."],
    ["Welcome to Mc", "Donald's! What would you li", "ke?"],
    ["That is *really", "* good, isn't i", "t? I belie", "ve so."],
    ["We have two rooms (Room", "1) and (Room", "2) on the fl", "oor."],
    ["We take Master", "Card", ", and we take Pay", "Pal", "."],
    ["It is Mc", "Donald", "'s turn, and Mac", "Donald", "'s."],
    ["Hello! We sell the Mac", "Book", " Then", " we sell more."],
]


@each("tokens", TORN_TOKENS)
@each("busy", [True, False])
def test_a_capital_or_a_list_marker_inside_of_a_word_does_not_tear_it(tokens: list[str], busy: bool) -> None:
    assert " ".join(plan(tokens, busy=busy)).split() == "".join(tokens).split()


@each(
    "tokens",
    [*TORN_TOKENS, ["You can use your Mac", "Book or your i", "Phone to pay."], ["Hi.", "Sure", "."]],
)
@each("busy", [True, False])
def test_tokens_that_are_known_to_be_such_stay_as_they_are(tokens: list[str], busy: bool) -> None:
    assert " ".join(plan(tokens, busy=busy, known=Chunks.TOKENS)).split() == "".join(tokens).split()


def test_the_text_behind_a_joint_that_may_be_inside_of_a_word_waits() -> None:
    planner = TextPlanner("en")
    for chunk in ["Good morning! You can use your Mac", "Book. "]:
        planner.push(chunk)
        assert "Mac Book" not in " ".join(ready(planner))
    planner = TextPlanner("en")
    for chunk in ["Good morning! Here are your options", "Apples are fine."]:
        planner.push(chunk)
    assert ready(planner) == ["Good morning!"]
    assert planner.quiet_time == 0.15
    planner.release()
    assert ready(planner) == ["Here are your options Apples are fine."]


@each(
    ("chunks", "requests"),
    [
        (
            ["Here are your options", "Apples", "(", "Pears", " too"],
            ["Here are your optionsApples(Pears too"],
        ),
        (["It is on your Mac", FLUSH, "Book", " now"], ["It is on your Mac", "Book now"]),
    ],
)
def test_nothing_but_a_space_is_taken_out(chunks: list[Chunk], requests: list[str]) -> None:
    assert plan(chunks) == requests


def test_behind_what_was_taken_no_joint_is_in_doubt() -> None:
    planner = TextPlanner("en")
    planner.push("It is on your Mac")
    planner.release()
    assert ready(planner) == ["It is on your Mac"]
    planner.push("Book")
    planner.push(" now")
    planner.end()
    assert ready(planner) == ["Book now"]


def test_what_is_replaced_stays_in_its_place_when_a_joint_is_closed() -> None:
    parser, planner = MarkupParser(), TextPlanner("en")
    for chunk in ["You can use your Mac", 'Book with <sub alias="wifi">WLAN</sub>', " now."]:
        planner.push_marked(parser.push(chunk), pending=parser.pending)
    planner.end()
    request = planner.next_request()
    assert request is not None
    assert request.text == "You can use your MacBook with WLAN now."
    (replaced,) = request.replacements
    assert request.text[replaced.start : replaced.end] == "WLAN"


def test_words_in_parts_show_that_what_looked_like_sentences_are_tokens() -> None:
    tokens = ["So:", "Yes I belie", "ve so, it is ve", "ry go", "od."]
    assert plan(tokens) == ["So: Yes I belie ve so, it is very good."]


# --- flush and end -----------------------------------------------------------------------------------


@each("busy", [True, False])
@each(
    ("chunks", "requests"),
    [
        (["Hello", FLUSH, "world"], ["Hello", "world"]),
        (["Hel", "lo", FLUSH, " wor", "ld."], ["Hello", "world."]),
        (["One.", FLUSH, FLUSH, "Two.", FLUSH], ["One.", "Two."]),
        ([FLUSH, "One", FLUSH, "two", FLUSH, "three"], ["One", "two", "three"]),
        ([FLUSH], []),
        ([FLUSH, FLUSH, FLUSH], []),
        ([" \n", FLUSH, "...", FLUSH, "", FLUSH], []),
        ([], []),
    ],
)
def test_a_flush_marker_closes_what_is_buffered(chunks: list[Chunk], requests: list[str], busy: bool) -> None:
    assert plan(chunks, busy=busy) == requests


def test_a_flush_is_ready_at_once_and_separate_from_what_follows() -> None:
    planner = TextPlanner("en")
    planner.push("no full stop")
    assert next_text(planner) is None
    planner.flush()
    planner.push("Next sentence.")
    assert next_text(planner) == "no full stop"
    assert next_text(planner) == "Next sentence."


def test_it_is_exhausted_only_when_the_end_was_taken_and_all_was_sent() -> None:
    planner = TextPlanner("en")
    planner.push("Rest")
    assert not planner.exhausted
    planner.end()
    assert not planner.exhausted
    assert next_text(planner) == "Rest"
    assert planner.exhausted
    assert next_text(planner) is None


@each("text", ["", " \n\t", "...", '"', "—", "¿?", "\u200d", "\ue000", "\ud83d"])
def test_what_nobody_can_say_is_never_sent(text: str) -> None:
    assert not is_speakable(text)
    assert plan([text]) == []
    assert plan([text, "Hi."]) != [""]


@pytest.mark.parametrize("text", ["a", "7", "½", "😀", "你", "€", "٣"])
def test_letters_digits_and_symbols_can_be_said(text: str) -> None:
    assert is_speakable(text)
    assert plan([text]) == [text]


def test_a_stray_mark_waits_for_the_text_that_follows() -> None:
    assert plan(['"', "Yes", '."'], busy=False) == ['"Yes."']


def test_a_pair_of_surrogates_is_mended_and_half_a_pair_replaced() -> None:
    assert plan(["Yes ", "\ud83d", "\ude00"]) == ["Yes 😀"]
    assert plan(["Yes \ud83d no."]) == ["Yes \ufffd no."]


# --- long texts --------------------------------------------------------------------------------------


def test_a_long_text_is_cut_at_a_sentence() -> None:
    text = "This is a sentence of some length, with a clause. " * 50
    requests = plan([text])
    assert all(request.endswith("clause.") for request in requests)
    assert len(requests) == 3
    assert " ".join(requests).split() == text.split()


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    text = "this is a clause of some length, " * 60
    assert [request[-1] for request in plan([text])] == [","] * 2


def test_a_long_clause_is_cut_at_a_word() -> None:
    text = "word " * 500
    requests = plan([text])
    assert " ".join(requests).split() == text.split()
    assert len(requests) == 3


def test_a_text_of_exactly_the_limit_is_one_request() -> None:
    assert plan(["a" * MAX_REQUEST_CHARS]) == ["a" * MAX_REQUEST_CHARS]
    assert plan(["a" * MAX_REQUEST_CHARS + "b"]) == ["a" * MAX_REQUEST_CHARS, "b"]


@each(
    ("text", "length", "words"),
    [("one two", 9, "one two"), ("one two", 7, "one two"), ("one two", 6, "one"), ("one two", 4, "one"),
     ("one two", 3, "one"), ("one", 2, ""), ("one", 0, ""), ("", 0, "")],
)  # fmt: skip
def test_only_whole_words_are_kept(text: str, length: int, words: str) -> None:
    assert whole_words(text, length) == words


@each("character", ["e\u0301\u0323", "👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "\ud83d\ude00"])
@each("offset", range(4))
def test_a_word_without_end_is_not_cut_inside_a_character(character: str, offset: int) -> None:
    for request in plan(["x" * offset + character * 800]):
        mended = character.encode("utf-16", "surrogatepass").decode("utf-16")
        assert request.lstrip("x").replace(mended, "") == ""


def test_a_long_run_of_marks_is_dropped_without_end_to_the_stack() -> None:
    calls, limit = 100, sys.getrecursionlimit()
    marks = "." * (2 * calls * MAX_REQUEST_CHARS)
    sys.setrecursionlimit(len(inspect.stack(0)) + calls)
    try:
        requests = plan([f"{marks}a"])
    finally:
        sys.setrecursionlimit(limit)
    assert requests[-1][-1] == "a"


def test_a_long_run_of_words_is_ready_before_it_ends() -> None:
    planner = TextPlanner("en")
    planner.push("word " * 500)
    assert len(ready(planner)) == 2


# --- properties --------------------------------------------------------------------------------------

LATIN = st.text(st.sampled_from("abzéñüABZ019 .,:;!?…\"'()-—/@#$%&*\n"), max_size=60)
CJK = st.text(st.sampled_from("你好我日本語カ한국。！？、，：「」 a1."), max_size=40)
EMOJI = st.text(st.sampled_from("😀👍🏽👩\u200d🇪🇸❤\ufe0fe\u0301 .!a"), max_size=40)
ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
REALISTIC = st.sampled_from(list(PARAGRAPHS.values()))
BITS = st.one_of(LATIN, CJK, EMOJI, ODD, REALISTIC)
TEXTS = st.one_of(
    BITS, st.tuples(BITS, st.integers(1, 60), BITS).map(lambda parts: parts[0] * parts[1] + parts[2])
)


def cut(text: str, dice: random.Random, *, pieces: int) -> list[str]:
    """Cut ``text`` anywhere, into so many pieces at most."""
    places = sorted(dice.sample(range(1, len(text)), min(pieces, len(text)) - 1)) if text else []
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def what_was_left_out(text: str, requests: Sequence[str]) -> str:
    """Return what of ``text`` is in no request. The requests must be in it, in order."""
    rest, left_out = squeezed(text), ""
    for request in requests:
        before, found, rest = rest.partition(squeezed(request))
        assert found
        left_out += before
    return left_out + rest


@given(TEXTS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_chunking_sends_all_that_can_be_said_in_order(
    text: str, dice: random.Random, pieces: int
) -> None:
    """Joined back, the requests are the text up to white space and to pieces that nobody can say."""
    chunks: list[Chunk] = [*cut(text, dice, pieces=pieces)]
    if dice.random() < 0.3:
        chunks.insert(dice.randrange(len(chunks) + 1), FLUSH)
    requests = plan(chunks, moments=dice)
    assert not is_speakable(what_was_left_out(text, requests))
    for request in requests:
        assert is_speakable(request)
        assert request == request.strip()
        assert len(request) <= MAX_REQUEST_CHARS


@given(TEXTS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_release_at_any_moment_loses_nothing(text: str, dice: random.Random, pieces: int) -> None:
    planner = TextPlanner("en")
    requests = []
    for chunk in cut(text, dice, pieces=pieces):
        planner.push(chunk)
        if dice.random() < 0.3:
            planner.release()
        requests += ready(planner) if dice.random() < 0.5 else []
    planner.end()
    assert not is_speakable(what_was_left_out(text, requests + ready(planner)))


# Words up to 11 letters (a longer one may be where the LLM paused), without a capital, a terminator or
# a closing mark inside: those look like the edge of a line or a sentence when they come first.
STEMS = st.one_of(
    st.text(st.sampled_from("abcdeéñüßλж"), min_size=1, max_size=10),
    st.sampled_from(["3.14", "10:30", "1,000", "2024", "don't", "well-known", "and/or", "NASA", "B12", "$5"]),
)
WORDS = st.one_of(
    STEMS,
    STEMS.map(str.capitalize),
    st.builds("{}{}".format, STEMS, st.sampled_from(".,;:!?…")),
    st.builds("¿{}?".format, STEMS),
)
SPACES = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\u00a0"])
SPACED = st.lists(st.tuples(WORDS, SPACES), min_size=1, max_size=60).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)


@given(SPACED, st.randoms(use_true_random=False), st.integers(1, 60))
def test_tokens_cut_anywhere_keep_every_word(text: str, dice: random.Random, pieces: int) -> None:
    requests = plan(cut(text, dice, pieces=pieces), moments=dice)
    assert " ".join(requests).split() == text.split()


@given(SPACED, st.randoms(use_true_random=False))
def test_an_llms_tokens_keep_every_word_of_any_text(text: str, dice: random.Random) -> None:
    assert " ".join(plan(tokens_of(text), moments=dice)).split() == text.split()


PLAIN = st.text(st.sampled_from("abcdeéñ"), min_size=1, max_size=14)
SENTENCES = st.builds(
    lambda words, mark: " ".join(words).capitalize() + mark,
    st.lists(PLAIN, min_size=1, max_size=30),
    st.sampled_from([".", "!", "?", "…", '."', "?!", "。"]),
)
LINES = st.lists(PLAIN, min_size=2, max_size=30).map(lambda words: " ".join(words).capitalize())


@given(st.lists(st.one_of(SENTENCES, LINES), max_size=60), st.randoms(use_true_random=False))
def test_sentences_and_lines_keep_every_word(sentences: list[str], dice: random.Random) -> None:
    assert " ".join(plan(sentences, moments=dice)).split() == " ".join(sentences).split()


@given(st.lists(SENTENCES, min_size=1, max_size=20))
def test_every_sentence_is_ready_at_once(sentences: list[str]) -> None:
    assert plan(sentences, busy=False) == sentences


@given(st.text(st.sampled_from("你好我日本語カ。！？、「」"), max_size=60), st.randoms(use_true_random=False))
def test_scripts_without_spaces_get_none(text: str, dice: random.Random) -> None:
    for request in plan(cut(text, dice, pieces=20), moments=dice, language="zh"):
        assert request == squeezed(request)


@pytest.mark.parametrize(
    ("language", "chunks", "text"),
    [
        ("de", ["Die Temperatur liegt bei etwa 23,", "5 Grad."], "Die Temperatur liegt bei etwa 23,5 Grad."),
        ("es", ["Ha subido hasta un 3,", "2 por ciento."], "Ha subido hasta un 3,2 por ciento."),
        ("fr", ["Il fait à Paris environ 23,", "5 degrés."], "Il fait à Paris environ 23,5 degrés."),
        ("de", ["Sie kommen um 17,", "23 Leute."], "Sie kommen um 17, 23 Leute."),
        ("en", ["We counted almost 23,", "5 of them red."], "We counted almost 23, 5 of them red."),
    ],
)
def test_a_decimal_comma_is_not_the_end_of_a_clause(language: str, chunks: list[str], text: str) -> None:
    """The framework's chunker cuts it where one digit follows."""
    planner = TextPlanner(language, chunks=Chunks.SENTENCES)
    for chunk in chunks:
        planner.push(chunk)
    planner.end()
    assert ready(planner) == [text]


def test_a_space_in_front_of_a_sentence_makes_no_tokens_of_what_comes_from_a_chunker() -> None:
    """The framework's chunker leaves it there when the LLM pauses."""
    planner = TextPlanner("en", chunks=Chunks.SENTENCES)
    for chunk in ("It takes a while,", " so please stay on the line.", "Your parcel left Hamburg.", "Coffee"):
        planner.push(chunk)
    planner.end()
    assert ready(planner) == [
        "It takes a while, so please stay on the line. Your parcel left Hamburg. Coffee"
    ]


def test_a_very_long_text_is_handed_out_whole_and_in_order() -> None:
    planner = TextPlanner("en")
    text = " ".join(f"This is sentence number {number}." for number in range(300))
    planner.push(text)
    planner.end()
    requests = []
    while segments := planner.segments():
        assert len(segments) < 200  # Only what is near is looked at.
        request = next_text(planner, segments[:2])
        assert request is not None
        requests.append(request)
    assert " ".join(requests) == text


@pytest.mark.parametrize("language", ["en", "el", "hi"])
@given(text=st.text(st.characters(exclude_characters=TERMINATORS)), last=st.sampled_from(["", *TERMINATORS]))
def test_the_frameworks_chunker_cuts_nowhere_but_behind_a_terminator(
    language: str, text: str, last: str
) -> None:
    """So the planner need not ask it for each token."""
    assert (
        BasicSentenceChunker(language=language).tokenize_raw(text + last) == [text + last][: len(text + last)]
    )


# --- behind a hook, and behind a chunker of one's own ------------------------------------------------

REPLY = [
    "I can help with that.",
    "Let me look it up for you.",
    "The table is free tomorrow evening,",
    "but there is only room for four people,",
    "so I would book it right now.",
    "Shall I do that for you?",
    "Great.",
    "Then I need your name,",
    "and your number.",
    "Thank you very much.",
]


@each("known", [Chunks.SENTENCES, Chunks.MOSTLY_SENTENCES, Chunks.UNKNOWN])
@each("idle", [[number] for number in range(10)] + [[1, 4], [1, 4, 5, 9], [1, 2, 3, 4, 5]])
@each("busy", [True, False])
def test_sentences_stay_apart_though_the_llm_paused(idle: list[int], known: Chunks, busy: bool) -> None:
    """The framework's chunker leaves the space in front of a whole sentence that it lets go of then."""
    chunks = [
        f" {sentence}" if number in idle and sentence[-1] != "," and len(sentence) > 10 else sentence
        for number, sentence in enumerate(REPLY)
    ]
    assert " ".join(plan(chunks, busy=busy, known=known)).split() == " ".join(REPLY).split()


@pytest.mark.parametrize("known", [Chunks.SENTENCES, Chunks.MOSTLY_SENTENCES, Chunks.UNKNOWN])
def test_a_sentence_is_ready_at_once_though_the_llm_paused_before_it(known: Chunks) -> None:
    planner = TextPlanner("en", chunks=known)
    sentences = []
    for chunk in [
        "I can help.",
        " Let me look it up for you.",
        "The table is free tomorrow evening,",
        "So there.",
    ]:
        planner.push(chunk)
        if planner.quiet_time == 0.0:
            planner.release()
        sentences.append(ready(planner))
    assert sentences == [
        ["I can help."],
        ["Let me look it up for you."],
        ["The table is free tomorrow evening,"],
        ["So there."],
    ]


@each(
    "chunks",
    [
        ["Menu", "Coffee", "Tea with milk", "Cake"],
        ["Sure, ", *REPLY],
        ["Hm,", *REPLY],
        [f"{sentence} " for sentence in REPLY],
        [f" {sentence}" for sentence in REPLY],
        [REPLY[0], f" {REPLY[2]}", *REPLY[3:]],
        [*REPLY[:3], f"{REPLY[3]} ", *REPLY[4:]],
        [*REPLY[:4], " ", *REPLY[4:]],
        [REPLY[0], " ".join(REPLY[1:])],
    ],
)
@each("busy", [True, False])
def test_what_a_hook_makes_of_sentences_keeps_every_word(chunks: list[str], busy: bool) -> None:
    assert (
        " ".join(plan(chunks, busy=busy, known=Chunks.MOSTLY_SENTENCES)).split() == " ".join(chunks).split()
    )


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_hook_may_change_between_sentences_and_tokens(first: bool, busy: bool) -> None:
    text = "It is near the U.S. border, isn't it? See example.com, or 3.14 of them."
    chunks = [*tokens_of(text), *REPLY] if first else [*REPLY, *tokens_of(text)]
    words = f"{text} {' '.join(REPLY)}" if first else f"{' '.join(REPLY)} {text}"
    assert " ".join(plan(chunks, busy=busy, known=Chunks.MOSTLY_SENTENCES)).split() == words.split()


@each("language", [language for language in PARAGRAPHS if language != "zh"])
@each("cut", [tokens_of, list])
def test_a_hook_may_yield_tokens(language: str, cut: Callable[[str], list[str]]) -> None:
    text = PARAGRAPHS[language]
    for seed in range(10):
        requests = plan(
            cut(text), language=language, known=Chunks.MOSTLY_SENTENCES, moments=random.Random(seed)
        )
        assert " ".join(requests).split() == text.split()


@given(st.lists(st.one_of(SENTENCES, LINES), max_size=60), st.randoms(use_true_random=False))
def test_sentences_behind_a_hook_keep_every_word(sentences: list[str], dice: random.Random) -> None:
    requests = plan(sentences, moments=dice, known=Chunks.MOSTLY_SENTENCES)
    assert squeezed("".join(requests)) == squeezed("".join(sentences))


@given(TEXTS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_chunking_behind_a_hook_sends_all_that_can_be_said(
    text: str, dice: random.Random, pieces: int
) -> None:
    requests = plan(cut(text, dice, pieces=pieces), moments=dice, known=Chunks.MOSTLY_SENTENCES)
    assert not is_speakable(what_was_left_out(text, requests))


# --- what the framework's chunker tears at a full stop -----------------------------------------------


@pytest.mark.parametrize("known", [Chunks.SENTENCES, Chunks.MOSTLY_SENTENCES])
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("es", "Vive en la 2.ª planta, puerta 3.ª del edificio. Es el n.º 5. El 3.º dice que sí."),
        ("pt", "O 1.º lugar é o n.º 3. A 2.ª vez foi melhor."),
        ("fr", "Il y a une pause, c.-à-d. un arrêt. C'est bon."),
        ("en", "The U.S. team won. I live in the U.S.A. and the U.K. is near. So do I. A few do."),
        ("de", "Wir nehmen z.B. das. Er wohnt i.d.R. hier."),
    ],
)
async def test_an_abbreviation_that_the_framework_cuts_is_whole_again(
    language: str, text: str, known: Chunks
) -> None:
    sentences = await sentences_of(text, language)
    for busy in (True, False):
        requests = plan(sentences, busy=busy, language=language, known=known)
        assert " ".join(requests).split() == text.split()


@pytest.mark.parametrize("sentence", ["Es el n.", "Vive en la 2.", "I live in the U."])
def test_a_sentence_waits_where_its_abbreviation_may_have_been_cut(sentence: str) -> None:
    planner = TextPlanner("es", chunks=Chunks.SENTENCES)
    planner.push(sentence)
    assert not ready(planner)
    assert planner.quiet_time == (0.5 if sentence[-2].isupper() else 2.0)
    planner.push("Sí.")
    assert ready(planner) == [f"{sentence} Sí."]


@each(
    ("chunks", "text"),
    [
        (["A?", "B.", "C.", "e.", "g.", "this."], "A? B.C. e.g. this."),
        (["Take vitamin C.", "e.", "g.", "an orange."], "Take vitamin C. e.g. an orange."),
        (["D.", "h.", "es geht, z.", "B.", "hier."], "D.h. es geht, z.B. hier."),
        (["Mr. J.", "R.", "R.", "Tolkien."], "Mr. J.R.R. Tolkien."),
    ],
)
def test_a_sentence_of_one_letter_does_not_run_into_an_abbreviation(chunks: list[str], text: str) -> None:
    assert plan(chunks, known=Chunks.SENTENCES) == [text]


@pytest.mark.parametrize("lines", [["A.", "Paris", "B.", "London"], ["So do I.", "A.", "First."]])
def test_lettered_lines_are_no_abbreviations(lines: list[str]) -> None:
    assert plan(lines, known=Chunks.SENTENCES) == [" ".join(lines)]

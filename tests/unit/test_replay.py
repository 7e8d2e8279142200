"""A text that several readers speak one after the other: nothing of it is lost or said twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import PATIENCE, chunks_of
from videosdk.agents import FlushMarker

from videosdk.plugins.lokutor._text.markup import MarkupParser, Style
from videosdk.plugins.lokutor._text.replay import ReplayableText, count_letters

SENTENCES = ["Hello, you!", "It's 10:30 -- at last.", "¿Qué? «Sí», dijo."]


async def rest_of(text: ReplayableText) -> list[object]:
    return [piece async for piece in text.read()]


async def test_each_reader_gets_all_that_is_left() -> None:
    text = ReplayableText(chunks_of(["One.", FlushMarker(), "Two."]))
    first = await rest_of(text)
    assert [piece for piece in first if isinstance(piece, str)] == ["One.", "Two."]
    assert await rest_of(text) == first
    assert text.drop(2) == "One."
    assert await rest_of(text) == ["Two."]
    assert text.whole == "One. Two."


async def test_what_was_taken_is_one_text() -> None:
    table: list[tuple[list[str | FlushMarker], str]] = [
        (["One.", FlushMarker(), "Two.", "Three."], "One. Two."),
        (["Hel", "lo", " you."], "Hello you."),
    ]
    for pieces, taken in table:
        text = ReplayableText(chunks_of(pieces))
        await rest_of(text)
        assert text.first(3) == taken
        assert text.drop(3) == taken


async def test_more_to_say_is_looked_for_behind_what_was_taken() -> None:
    text = ReplayableText(chunks_of(["One.", FlushMarker(), "Two.", "..."]))
    assert [await text.has_more(behind=count) for count in range(5)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("spoken", "left"),
    [
        ("", SENTENCES),
        ("Hello,", ["you!", *SENTENCES[1:]]),
        ("Hello, you!", SENTENCES[1:]),
        ("Hello, you! It's 10:30", ["-- at last.", SENTENCES[2]]),
        ("Hello you Its 10 30 at last Qué", ["«Sí», dijo."]),
        (" ".join(SENTENCES), []),
        (" ".join(SENTENCES) + " and more", []),
    ],
)
async def test_what_was_spoken_is_dropped(spoken: str, left: list[str]) -> None:
    text = ReplayableText(chunks_of(SENTENCES))
    await rest_of(text)
    text.drop_spoken(spoken)
    assert [str(piece).lstrip(" ") for piece in await rest_of(text)] == left


async def test_tags_are_not_counted() -> None:
    text = ReplayableText('Say <break time="500ms"/> it <lang xml:lang="ca">bé</lang> now.')
    text.drop_spoken("Say it")
    assert await rest_of(text) == ['<lang xml:lang="ca">bé</lang> now.']


LEFT_OF_MARKUP = [
    # All pieces, what was spoken, and what is left.
    (
        ['<lang xml:lang="es">', "Hola amigo. ", "La segunda. ", "Adiós.</lang> ", "Bye."],
        "Hola amigo. La",
        ['<lang xml:lang="es">segunda. ', "Adiós.</lang> ", "Bye."],
    ),
    (
        ['<voice name="M2"><prosody rate="slow">One. ', "Two.</prosody> Three.</voice> Four."],
        "One. Two.",
        ['<voice name="M2">Three.</voice> Four.'],
    ),
    (["<speak><p><s>One.</s> <s>Two.</s></p></speak>"], "One.", ["<s>Two.</s></p></speak>"]),
    (['Say <break time="1s"/>it <break/>now.'], "Say", ['<break time="1s"/>it <break/>now.']),
    (["At AT&amp;T, they <b>say</b> R&#224;. Yes."], "At AT&T, they", ["<b>say</b> R&#224;. Yes."]),
    (["It's R&#224;. Yes."], "It's Rà", ["Yes."]),
    (["Write &lt;break/&gt; here. Then."], "Write <break/>", ["here. Then."]),
    (["<lang xml:", 'lang="ca">Bon dia, se', "nyor.</la", "ng> Bye."], "Bon dia", [
        '<lang xml:lang="ca">se', "nyor.</la", "ng> Bye.",
    ]),
    (['Ask <sub alias="Doctor Smith">Dr. S. Smith</sub> now.'], "Ask Dr.", ["S. Smith</sub> now."]),
    (['Ask <sub alias="Doctor">Dr.</sub> Smith.'], "Ask Dr.", ["Smith."]),
    (['It is <say-as interpret-as="characters">AB 7</say-as>.'], "It is AB", [
        '<say-as interpret-as="characters">7</say-as>.',
    ]),
    (['<lang xml:lang="es">Uno.</lang> ', "Two."], "Uno.", ["Two."]),
    (['<lang xml:lang="es">Uno.', "Dos."], "Uno. Dos. and more", []),
    (["Well <![CDATA[a & b <c>]]> so."], "Well a", ["&amp; b &lt;c&gt; so."]),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "spoken", "left"), LEFT_OF_MARKUP)
async def test_what_is_left_begins_with_the_elements_that_are_open(
    pieces: list[str], spoken: str, left: list[str]
) -> None:
    text = ReplayableText(chunks_of(pieces), markup=True)
    await rest_of(text)
    text.drop_spoken(spoken)
    assert await rest_of(text) == left


async def test_text_that_comes_later_begins_with_the_elements_that_are_open() -> None:
    come = asyncio.Event()

    async def slow() -> AsyncIterator[str | FlushMarker]:
        yield '<lang xml:lang="es">Uno.'
        await come.wait()
        yield FlushMarker()
        yield "Dos.</lang> Three."

    text = ReplayableText(slow(), markup=True)
    await anext(text.read())
    text.drop_spoken("Uno.")
    come.set()
    left = [piece for piece in await rest_of(text) if isinstance(piece, str)]
    assert left == ['<lang xml:lang="es">Dos.</lang> Three.']


async def test_what_was_taken_is_dropped_without_its_tags() -> None:
    text = ReplayableText(chunks_of(['<lang xml:lang="es">Uno &amp; <b>dos</b>.', "<la", "ng>"]), markup=True)
    await rest_of(text)
    assert text.drop(2) == "Uno & dos."
    assert "".join(map(str, await rest_of(text))) == '<lang xml:lang="es"><lang>'
    text = ReplayableText(chunks_of(['<lang xml:lang="es">It is <sub alias="x">W', "W</sub>."]), markup=True)
    await rest_of(text)
    assert text.drop(1) == "It is"
    assert "".join(map(str, await rest_of(text))) == '<lang xml:lang="es"><sub alias="x">WW</sub>.'


@pytest.mark.parametrize(("left", "more"), [("</lang>", False), ("<break/>.</p>", False), ("<b>1</b>", True)])
async def test_tags_alone_are_nothing_to_say(left: str, more: bool) -> None:
    text = ReplayableText(chunks_of([left]), markup=True)
    assert await text.has_more() is more


MARKED = (
    'One <lang xml:lang="es">dos <voice name="M2">tres, R&amp;D</voice> cuatro. Cinco</lang> '
    '<sub alias="six">vi. vii</sub> <prosody rate="slow">8 <say-as interpret-as="digits">91 2</say-as> <p>x'
    "</p></prosody>. <!-- not --><break/>End &#233; <3 now."
)


def letters_of(text: str) -> list[tuple[str, Style]]:
    """Return each letter of a marked text, with its style."""
    marked = MarkupParser().push(f"{text}&apos;")
    letters, style = [], Style()
    marks = sorted(
        [(place, mark) for place, mark in marked.marks if isinstance(mark, Style)], key=itemgetter(0)
    )
    for place, char in enumerate(marked.text):
        while marks and marks[0][0] <= place:
            style = marks.pop(0)[1]
        if char.isalnum():
            letters.append((char, style))
    return letters


@given(st.lists(st.integers(0, len(MARKED)), max_size=9), st.integers(0, 60), st.booleans())
def test_each_letter_that_is_left_keeps_its_style(cuts: list[int], count: int, again: bool) -> None:
    places = sorted({0, *cuts, len(MARKED)})
    letters = letters_of(MARKED)

    async def check() -> None:
        text = ReplayableText(chunks_of([MARKED[a:b] for a, b in pairwise(places)]), markup=True)
        await rest_of(text)
        for dropped in (count // 2, count - count // 2) if again else (count,):
            text.drop_spoken("x" * dropped)
        left = "".join(map(str, await rest_of(text)))
        assert letters_of(left) == letters[count:]

    asyncio.run(check())


@pytest.mark.parametrize("size", [1, 2, 5, 17, 1_000])
async def test_a_reader_may_get_the_text_without_its_tags(size: int) -> None:
    pieces: list[Any] = [MARKED[place : place + size] for place in range(0, len(MARKED), size)]
    pieces += [None, FlushMarker(), "<b>Then</b>"]
    text = ReplayableText(chunks_of(pieces), markup=True)
    read = [piece async for piece in text.read(plain=True)]
    assert [type(piece) for piece in read].count(FlushMarker) == 1
    plain = "".join(piece for piece in read if isinstance(piece, str))
    assert " ".join(plain.split()) == ("One dos tres, R&D cuatro. Cinco vi. vii 8 91 2 x . End é <3 now.Then")
    assert await rest_of(text) == pieces


async def test_sentences_without_their_tags_have_no_space_at_their_edges() -> None:
    sentences = ['<break time="0.5s"/> The street is <lang xml:', 'lang="ca">Carrer de Balmes,', "15</lang>."]
    text = ReplayableText(chunks_of(sentences), markup=True, sentences=True)
    assert [piece async for piece in text.read(plain=True)] == ["The street is", "Carrer de Balmes,", "15."]


async def test_a_word_in_several_tokens() -> None:
    text = ReplayableText(chunks_of(["Hel", "lo", " yo", "u", "."]))
    await rest_of(text)
    text.drop_spoken("Hello")
    assert "".join(map(str, await rest_of(text))) == " you."


@given(st.lists(st.text("aé漢1 ,.<", min_size=1), max_size=6), st.integers(0, 30))
def test_no_letter_is_lost_or_said_twice(pieces: list[str], letters: int) -> None:
    async def check() -> None:
        text = ReplayableText(chunks_of(pieces))
        await rest_of(text)
        before = sum(map(count_letters, pieces))
        text.drop_spoken("x" * letters)
        left = [piece for piece in await rest_of(text) if isinstance(piece, str)]
        assert sum(map(count_letters, left)) == max(before - letters, 0)

    asyncio.run(check())


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    come = asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        yield "One."
        await come.wait()
        yield "Two."

    text = ReplayableText(slow())
    first = text.read()
    assert await anext(first) == "One."
    waiting = asyncio.ensure_future(anext(first))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    come.set()
    assert await asyncio.wait_for(rest_of(text), PATIENCE) == ["One.", "Two."]


@pytest.mark.parametrize("ahead", [True, False])
async def test_only_for_a_reader_that_takes_all_at_once_it_is_pulled_ahead(*, ahead: bool) -> None:
    pulled: list[int] = []

    async def counted() -> AsyncIterator[str]:
        for number in range(3):
            pulled.append(number)
            yield str(number)

    text = ReplayableText(counted())
    assert await anext(text.read(ahead=ahead)) == "0"
    assert pulled == ([0, 1, 2] if ahead else [0])
    assert await rest_of(text) == ["0", "1", "2"]


async def test_a_reader_that_is_over_takes_nothing() -> None:
    text = ReplayableText(chunks_of(["One.", "Two."]))
    first = text.read()
    await anext(first)
    first.close()
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    assert await rest_of(text) == ["One.", "Two."]


@pytest.mark.parametrize("error", [KeyError("mine"), asyncio.CancelledError("mine")])
async def test_what_the_iterator_raises_reaches_each_reader(error: BaseException) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "One."
        raise error

    text = ReplayableText(broken())
    for _ in range(2):
        with pytest.raises(type(error), match="mine") as raised:
            await rest_of(text)
        assert raised.value is error


@pytest.mark.parametrize(
    ("pieces", "more"), [([], False), (["", " ", "...", FlushMarker()], False), (["...", "One."], True)]
)
async def test_whether_there_is_more_to_say(pieces: list[str | FlushMarker], more: bool) -> None:
    assert await ReplayableText(chunks_of(pieces)).has_more() is more


async def test_the_iterator_is_closed_if_it_was_begun() -> None:
    closed: list[str] = []
    asked = asyncio.Event()

    async def endless(name: str) -> AsyncIterator[str]:
        try:
            yield "One."
            asked.set()
            await asyncio.Event().wait()
        finally:
            closed.append(name)

    begun, untouched = ReplayableText(endless("begun")), ReplayableText(endless("untouched"))
    reader = begun.read()
    await anext(reader)
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    await begun.close()
    await untouched.close()
    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert closed == ["begun"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_a_piece_that_comes_at_once_is_not_missed_with_eager_tasks() -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    async with asyncio.timeout(PATIENCE):
        assert await rest_of(ReplayableText(chunks_of(["One.", "Two."]))) == ["One.", "Two."]

"""A text that several readers speak one after the other: nothing of it is lost or said twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import PATIENCE, chunks_of, until
from videosdk.agents import FlushMarker

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

    async def endless(name: str) -> AsyncIterator[str]:
        try:
            yield "One."
            await asyncio.Event().wait()
        finally:
            closed.append(name)

    begun, untouched = ReplayableText(endless("begun")), ReplayableText(endless("untouched"))
    reader = begun.read()
    await anext(reader)
    waiting = asyncio.ensure_future(anext(reader, None))
    await until(lambda: begun._pulling is not None and not begun._pulling.done())
    await begun.close()
    await untouched.close()
    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert closed == ["begun"]

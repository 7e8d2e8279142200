"""The example of the agent in the browser: a real Chromium joins it, hears it, and talks over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from kit import room as room_of_the_example
from kit.browser import STEP, Visit, speak, visit
from kit.room import ENDLESS, LONG, SHORT, parts_of_calls
from kit.waits import settled, until
from soak.leftovers import open_descriptors

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE

if TYPE_CHECKING:
    from playwright.async_api import Browser


pytestmark = room_of_the_example.marks
example = room_of_the_example.example
service = room_of_the_example.service
room = room_of_the_example.room
browser = room_of_the_example.browser
caller = room_of_the_example.caller
hurried = room_of_the_example.hurried

PRONUNCIATIONS = "nginx = engine x\nHello = a b c d e f g h i\nSQL = ess queue ell\nNew York = noo yawk"
FILLING = 20
"""Turns after which the page's lists are full at the latest; fewer behind other tests."""
TURNS = 6
NODES_OF_AN_EVENT = 7
SPARE = TURNS // 2
"""What may differ between two moments of rest: less than one for each question, or each text to be spoken."""


@pytest_asyncio.fixture(loop_scope="module")
async def respelled(hurried: Visit) -> AsyncIterator[Visit]:
    """The same caller, while some words are spoken otherwise than they are written."""
    spoken = dict(line.split(" = ") for line in PRONUNCIATIONS.splitlines())
    await pronounce(hurried, PRONUNCIATIONS, spoken)
    yield hurried
    await pronounce(hurried, "", {})


async def pronounce(caller: Visit, text: str, spoken: dict[str, str]) -> None:
    """Fill in pronunciations, and wait until they are these."""
    before, field = len(caller.events), caller.page.locator("[name=pronunciations]")
    await field.fill(text)
    await field.blur()
    await caller.told("changed", after=before, settings={"pronunciations": spoken})


def loudness_of(pcm: bytes) -> npt.NDArray[np.float64]:
    step = round(SAMPLE_RATE * STEP)
    samples = np.frombuffer(pcm, "<i2") / 32768
    loudness: npt.NDArray[np.float64] = np.sqrt(
        (samples[: len(samples) // step * step].reshape(-1, step) ** 2).mean(1)
    )
    return loudness


def likeness(heard: npt.NDArray[np.float64], spoken: npt.NDArray[np.float64]) -> float:
    """Return how well half a second of ``spoken`` is found in ``heard``: 0.82 for another text.

    A busy machine may have put silence between two of them.
    """
    size = round(0.5 / STEP)
    windows = np.lib.stride_tricks.sliding_window_view(heard, size)
    sounding = windows[windows.std(1) > 0]
    parts = (spoken[start : start + size] for start in range(0, len(spoken) - size + 1, size // 2))
    return float(np.median([max(np.corrcoef(part, sounding)[0, 1:]) for part in parts]))


async def test_the_greeting_is_heard_and_seen(caller: Visit, example: SimpleNamespace) -> None:
    greeting = example.script.SCRIPTS["en"].greeting
    await caller.told("played", turn=1)
    heard = await caller.heard()
    assert likeness(heard.loudness, loudness_of(await speak(greeting, "F1"))) > 0.9
    await caller.shows(1, "played")
    assert (await caller.page.inner_text("#words")).strip() == greeting
    assert await caller.page.locator("#words .heard").count() == len(greeting.split())
    assert await caller.page.inner_text("#memory li span") == greeting
    assert len({told["shape"] for told in caller.all_told("mouth")}) >= 4


async def test_a_voice_cuts_the_agent_off_and_the_next_turn_is_heard(caller: Visit) -> None:
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=5)
    await caller.page.click("#microphone")
    cut = await caller.told("cut", turn=turn)
    silent = await caller.told("silent", turn=turn)
    assert 0 <= silent["after"] <= 0.5  # 0: the cut fell into a pause.
    await caller.page.click("#microphone")
    following = await caller.ask(SHORT)
    sound = await caller.told("sound", turn=following)
    await caller.told("word", turn=following, count=3)
    heard = await caller.heard()
    # What the browser was sent has a clock of its own: the greeting's first sound is on both.
    ahead = (await caller.told("sound", turn=1))["played"] - heard.starts()[0]
    last = heard.last_sound(0, sound["played"] - ahead - 0.1) + ahead
    assert last <= cut["played"] + 0.5
    assert any(abs(start + ahead - sound["played"]) < 0.1 for start in heard.starts(0.2))


async def test_a_voice_cuts_off_what_is_spoken_as_it_is_written(caller: Visit) -> None:
    turn = await caller.say(ENDLESS)  # Behind an interruption.
    await caller.told("word", turn=turn, count=2)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    turn = await caller.say(ENDLESS)
    await caller.told("word", turn=turn, count=2)
    await caller.page.click("#microphone")
    await caller.told("cut", turn=turn)
    await caller.told("silent", turn=turn)
    assert not caller.all_told("played", turn=turn)
    await caller.page.click("#microphone")


async def test_a_word_with_a_silent_onset_belongs_to_its_own_turn(caller: Visit) -> None:
    text = "Please take the first boat to the island, and keep to the left of the pier."
    page, before = caller.page, len(caller.events)
    turn = await caller.say(text)
    await caller.told("metrics", turn=turn)  # All audio has come, and most of it is still to be heard.
    await caller.told("word", turn=turn, count=4)
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    await caller.shows(turn, "silent")
    words = caller.all_told("word", after=before)
    assert {word["turn"] for word in words} == {turn}
    heard = " ".join(word["word"] for word in words)
    assert text.startswith(heard)
    shown = [(await word.inner_text()).strip() for word in await page.locator("#words .heard").all()]
    assert " ".join(shown) == heard
    assert await page.locator("#words .heard.unheard").count() == 0
    # It is remembered once, and what was not heard of it was sent in vain.
    remembered = page.locator("#memory li", has_text="Please take")
    await page.locator("#memory li.interrupted", has_text="Please take").wait_for()
    assert await remembered.locator("span").all_inner_texts() == [heard]
    figure = page.locator(f"#turns li[data-turn='{turn}'] [data-figure='Characters sent'] dd")
    assert await figure.inner_text() == f"{len(text)}, {len(text) - len(heard)} in vain"


async def test_what_cannot_be_spoken_is_refused_in_words(caller: Visit) -> None:
    before = len(caller.events)
    await caller.page.fill("#text", "...")
    await caller.page.click("#say")
    refused = await caller.told("refused", after=before)
    assert "nothing" in refused["message"]
    assert not caller.all_told("turn", after=before)
    await caller.page.click("#problem-close")


async def test_the_words_are_shown_as_they_are_heard(caller: Visit) -> None:
    async def shown(script: str) -> list[str]:
        lines: list[str] = await caller.page.evaluate(SHOW_WORDS % script)
        return lines

    begin = "expect('One two three.'); words.hear('One');"
    rest = ["two:unheard", "three.:unheard"]
    assert await shown(begin + "words.end(false);") == ["One:heard", *rest]
    assert await shown(begin + "words.end(true);") == [
        "One:heard"
    ]  # It was sent otherwise than it is written.
    # The word of the cut is told behind it.
    assert await shown(begin + "words.end(false); words.hear('two');") == [
        "One:heard", "two:heard", "three.:unheard",
    ]  # fmt: skip
    # What was lost with a connection is sent again, as a whole or its rest.
    for again in ("One two three.", "two three."):
        assert len(await shown(begin + f"expect('{again}');")) == 3
    assert len(await shown(begin + "expect('And three.');")) == 5
    hear = "for (const word of 'I like %s.'.split(' ')) words.hear(word);"
    for written in ("nginx", "NGINX", "engine x"):
        told = await shown(
            "words.expect([['I', 'I'], ['like', 'like'], ['nginx.', 'engine x.']]);" + hear % written
        )
        assert [word.split(":")[0] for word in told] == f"I like {written}.".split()
    told = await shown(
        "words.expect([['C++', 'see plus plus'], ['11', '11'], ['is', 'is']]); words.hear('C++11');"
    )
    assert told == ["C++11:heard now", "is:"]


SHOW_WORDS = """async () => {
  const { Words } = await import("/words.js");
  const words = new Words(document.createElement("p"));
  const expect = (text) => words.expect(text.split(" ").map((word) => [word, word]));
  %s
  return words.words.map((span) => `${span.textContent}:${span.className}`);
}"""


async def test_a_language_that_is_written_from_the_right_is_laid_out_so(caller: Visit) -> None:
    direction = "text => { words.textContent = text; return getComputedStyle(words).direction; }"
    assert await caller.page.evaluate(direction, "\N{ARABIC LETTER MEEM}") == "rtl"
    assert await caller.page.evaluate(direction, "M") == "ltr"


async def test_it_remembers_what_was_heard(caller: Visit) -> None:
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=4)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    await caller.shows(turn, "silent")
    await caller.page.wait_for_function(
        """() => {
            const shown = [...document.querySelectorAll("#words .heard")];
            const words = shown.map((word) => word.innerText.trim());
            const remembered = [...document.querySelectorAll("#memory li.interrupted span")].at(-1);
            return words.length >= 4 && remembered?.innerText === words.join(" ");
        }"""
    )
    assert await caller.page.locator("#words .unheard").count() > 0


async def test_a_question_that_is_typed_cuts_the_agent_off(hurried: Visit) -> None:
    caller = hurried
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=2)
    before = len(caller.events)
    await caller.page.fill("#text", SHORT)
    await caller.page.press("#text", "Enter")
    await caller.told("silent", turn=turn)
    following = (await caller.told("turn", after=before, text=SHORT))["turn"]
    await caller.told("played", turn=following)


async def test_a_question_that_is_clicked_twice_is_asked_once(hurried: Visit) -> None:
    caller, before = hurried, len(hurried.events)
    await caller.page.get_by_role("button", name=SHORT, exact=True).dblclick()
    turn = (await caller.told("turn", after=before))["turn"]
    await caller.told("played", turn=turn)
    assert [told["text"] for told in caller.all_told("turn", after=before)] == [SHORT]


async def test_questions_that_are_picked_quickly_stay_apart(hurried: Visit) -> None:
    caller, page, before = hurried, hurried.page, len(hurried.events)
    first, second = (page.get_by_role("button", name=name, exact=True) for name in (LONG, SHORT))
    await first.click()
    await second.click()
    turn = (await caller.told("turn", after=before))["turn"]
    await caller.told("dropped", turn=turn)
    await caller.told("played", turn=turn + 1)
    assert [told["text"] for told in caller.all_told("turn", after=before)] == [LONG, SHORT]
    await caller.shows(turn + 1, "played")
    assert (await page.inner_text("#words")).startswith("A return ticket is twelve euros")


@pytest.mark.parametrize(
    "text",
    [
        "I like nginx",
        "Hello there, you",
        "My SQL is SQL.",
        "The engine x is in New York, is it?",
    ],
)
async def test_what_is_spoken_otherwise_is_shown_as_it_was_written(respelled: Visit, text: str) -> None:
    caller, page = respelled, respelled.page
    turn = await caller.say(text)
    await caller.shows(turn, "played")
    assert (await page.inner_text("#words")).strip() == text
    assert await page.locator("#words .heard").count() == len(text.split())
    assert await page.locator("#words .now").count() == 0
    assert await page.locator(f"#turns li[data-turn='{turn}'] .bar .speaking").count() == 1


async def test_what_was_not_heard_of_it_is_shown_as_it_was_written_as_well(respelled: Visit) -> None:
    caller, page = respelled, respelled.page
    text = "Hello, I like nginx, SQL, New York, and all the other words that come here."
    turn = await caller.say(text)
    await caller.told("word", turn=turn, word="SQL,")
    await page.keyboard.press("Escape")
    await caller.shows(turn, "silent")
    unheard = [await word.inner_text() for word in await page.locator("#words .unheard").all()]
    assert unheard
    heard = [word["word"] for word in caller.all_told("word", turn=turn)]
    assert " ".join([*heard, *unheard]) == text


async def test_turns_leave_nothing_behind(hurried: Visit, service: Any) -> None:
    kept: list[int] = []
    for _ in range(FILLING):
        now = await hurried.page.evaluate(COUNT_NODES)
        if now["listed"] == kept:  # The page drops as much as it is told.
            break
        kept = now["listed"]
        await cut_a_turn_off(hurried, asked=False)
    first = await usage_at_rest(hurried, service)
    for number in range(TURNS):
        await cut_a_turn_off(hurried, asked=number % 2 == 0)
    # What is still ending may take its time; what was left behind stays.
    await until(lambda: len(asyncio.all_tasks()) < first.tasks + SPARE)
    await until(lambda: (open_descriptors() or 0) < (first.descriptors or 0) + SPARE)
    second = await usage_at_rest(hurried, service)

    assert second.parts == first.parts
    assert second.listeners == first.listeners
    assert second.tasks < first.tasks + SPARE
    assert (second.descriptors or 0) < (first.descriptors or 0) + SPARE
    assert second.listed == first.listed
    assert second.elsewhere < first.elsewhere + SPARE
    assert second.detached < first.detached + NODES_OF_AN_EVENT * TURNS


async def cut_a_turn_off(caller: Visit, *, asked: bool) -> None:
    turn = await (caller.ask(LONG) if asked else caller.say(ENDLESS))
    await caller.told("word", turn=turn, count=1)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)


@dataclass(frozen=True)
class Usage:
    """What the agent's process and the page hold."""

    tasks: int
    descriptors: int | None
    parts: dict[str, int]
    listed: list[int]
    """How long the page's lists are."""
    elsewhere: int
    """Nodes of the page that are in none of them."""
    detached: int
    """Nodes that are kept, and in no page."""
    listeners: int


async def usage_at_rest(caller: Visit, service: Any) -> Usage:
    page = caller.page
    turn = caller.all_told("silent")[-1]["turn"]
    await caller.shows(turn, "silent")
    await service.server.wait_until(lambda: service.server.open_connections == 1)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await devtools.send("HeapProfiler.collectGarbage")
    shown = await page.evaluate(COUNT_NODES)
    metrics = await devtools.send("Performance.getMetrics")
    counted = {metric["name"]: int(metric["value"]) for metric in metrics["metrics"]}
    await devtools.detach()
    await settled()
    return Usage(
        tasks=len(asyncio.all_tasks()),
        descriptors=open_descriptors(),
        parts=parts_of_calls(),
        listed=shown["listed"],
        elsewhere=shown["elsewhere"],
        detached=counted["Nodes"] - shown["all"],
        listeners=counted["JSEventListeners"],
    )


COUNT_NODES = """() => {
  const count = (part) => {
    const walker = document.createTreeWalker(part);
    let nodes = 0;
    while (walker.nextNode()) nodes += 1;
    return nodes;
  };
  const lists = ["turns", "memory", "events"].map((id) => document.getElementById(id));
  const all = count(document);
  const inside = [...lists, document.getElementById("words")].reduce((sum, list) => sum + count(list), 0);
  return { all, elsewhere: all - inside, listed: lists.map((list) => list.childElementCount) };
}"""


async def test_what_is_to_be_spoken_takes_the_place_of_what_was(browser: Browser, room: Any) -> None:
    texts = [*(f"Number {number}: {ENDLESS}" for number in range(3)), "This is the last."]
    async with visit(browser, room.url) as caller:
        await caller.join()  # And in the place of the greeting.
        for text in texts:
            await caller.page.fill("#text", text)
            await caller.page.click("#say")
        await caller.told("played", turn=5)
        assert (await caller.page.inner_text("#words")).strip() == texts[-1]
        for number, text in enumerate(texts, start=2):
            sent = " ".join(told["text"].strip() for told in caller.all_told("sent", turn=number))
            assert text.startswith(sent)
        assert sent == texts[-1]
        await caller.shows(5, "played")
        states = await caller.page.locator("#turns li").evaluate_all(
            "all => all.map((one) => one.dataset.state)"
        )
        assert states[0] == "played"
        assert set(states[1:]) <= {"silent", "dropped"}

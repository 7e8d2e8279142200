"""What the page of the agent in the browser lets you set and see: settings, outages, a telephone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from kit import room as room_of_the_example
from kit.browser import Visit, visit
from kit.room import ENDLESS, FAST, LONG, SHORT
from kit.waits import PATIENCE, until

if TYPE_CHECKING:
    from playwright.async_api import Browser


pytestmark = room_of_the_example.marks
example = room_of_the_example.example
service = room_of_the_example.service
room = room_of_the_example.room
browser = room_of_the_example.browser
caller = room_of_the_example.caller
hurried = room_of_the_example.hurried


async def test_settings_apply_at_once(caller: Visit, service: Any) -> None:
    page = caller.page
    await page.select_option("[name=voice]", "M3")
    await page.locator("[name=speed]").fill("1.5")
    await page.locator("[name=steps]").fill("9")
    await page.fill("[name=pronunciations]", "nginx = engine x\nPostgreSQL = post gress")
    await page.locator("[name=pronunciations]").blur()
    await caller.told(
        "changed", settings={"pronunciations": {"nginx": "engine x", "PostgreSQL": "post gress"}}
    )
    turn = await caller.ask("What runs your website?")
    await caller.told("word", turn=turn, count=8)
    request = service.server.requests[-1].request
    assert (request.voice, request.speed, request.steps) == ("M3", 1.5, 9)
    sent = " ".join(told["text"] for told in caller.all_told("sent", turn=turn))
    assert "engine x" in sent
    await page.wait_for_selector("#words .heard:text('behind')")
    assert (await page.inner_text("#words")).startswith("It runs on nginx, with PostgreSQL behind it.")
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)


async def test_the_voice_changes_in_the_middle_of_a_reply(caller: Visit, service: Any) -> None:
    await caller.page.select_option("[name=voice]", "F1")
    await caller.told("changed", settings={"voice": "F1"})
    turn = await caller.say(ENDLESS)
    await caller.told("word", turn=turn, count=2)
    await caller.page.select_option("[name=voice]", "M4")
    server = service.server
    await server.wait_until(lambda: server.requests[-1].request.voice == "M4", timeout=PATIENCE)
    assert not caller.all_told("cut", turn=turn)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)


async def test_without_pacing_all_text_leaves_at_once(caller: Visit) -> None:
    text = (
        "This is the first sentence, and it is rather long, as first sentences go. This is the second one. "
    )
    text += "This is the third, which is about nothing at all. And here is the fourth and last of them."
    for pacing in (True, False):
        if not pacing:
            await caller.page.uncheck("[name=pacing]")
            await caller.told("changed", settings={"pacing": False})
        before = len(caller.events)
        await caller.page.fill("#text", text)
        await caller.page.click("#say")
        turn = (await caller.told("turn", after=before, text=text))["turn"]

        def is_sent(turn: int = turn) -> bool:
            # In two requests, perhaps: the framework may pass the text on in pieces.
            return " ".join(told["text"].strip() for told in caller.all_told("sent", turn=turn)) == text

        if pacing:
            await caller.told("word", turn=turn, count=2)
            assert not is_sent()
        else:
            await until(is_sent)
            assert len(caller.all_told("word", turn=turn)) < len(text.split(".")[0].split())
            await caller.told("sound", turn=turn)
        await caller.page.keyboard.press("Escape")
        await caller.told("silent", turn=turn)
    await caller.page.check("[name=pacing]")
    await caller.told("changed", settings={"pacing": True})


@pytest.mark.parametrize("pacing", [False, True])
async def test_pacing_changes_in_the_middle_of_a_reply(caller: Visit, pacing: bool) -> None:
    page, before = caller.page, len(caller.events)
    await page.set_checked("[name=pacing]", not pacing)
    turn = await caller.say(ENDLESS)
    await caller.told("word", turn=turn, count=2)
    await page.set_checked("[name=pacing]", pacing)
    await caller.told("changed", after=before, settings={"pacing": pacing})
    words = len(caller.all_told("word", turn=turn))
    await caller.told("word", turn=turn, count=words + 5)
    assert not caller.all_told("cut", turn=turn)
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    await page.check("[name=pacing]")


async def test_another_language_brings_its_own_questions(hurried: Visit, example: SimpleNamespace) -> None:
    caller = hurried
    await caller.page.select_option("[name=language]", "es")
    await caller.told("changed", settings={"language": "es"})
    question, answer = list(example.script.SCRIPTS["es"].answers.items())[1]
    turn = await caller.ask(question)
    await caller.told("played", turn=turn)
    await caller.shows(turn, "played")
    assert (await caller.page.inner_text("#words")).strip() == answer
    await caller.page.select_option("[name=language]", "en")
    await caller.told("changed", settings={"language": "en"})


async def test_an_invalid_setting_is_refused_in_words(hurried: Visit) -> None:
    caller = hurried
    before = len(caller.events)
    await caller.page.evaluate("document.querySelector('[name=speed]').max = 9")
    await caller.page.locator("[name=speed]").fill("8")
    assert "speed" in (await caller.told("refused", after=before))["message"]
    await caller.page.wait_for_selector("#problem:not([hidden]) >> text=speed")
    await caller.page.locator("[name=speed]").fill(str(FAST))
    await caller.told("changed", after=before, settings={"speed": FAST})
    await caller.page.click("#problem-close")


async def test_an_outage_is_told_with_what_to_do(hurried: Visit) -> None:
    caller = hurried
    before = len(caller.events)
    await caller.page.click("#outage")
    await caller.told("service", after=before, up=False)
    await caller.ask(SHORT)
    error = await caller.told("error", after=before)
    await caller.page.wait_for_selector("#problem:not([hidden])")
    await caller.page.wait_for_selector("#state:text('Ask again')")  # The framework's state is "thinking".
    assert await caller.page.inner_text("#problem-message") == error["message"]
    assert "Start it again" in await caller.page.inner_text("#problem-advice")
    before = len(caller.events)
    await caller.page.click("#outage")
    await caller.told("service", after=before, up=True)
    turn = await caller.ask(SHORT)
    await caller.told("played", turn=turn)
    await caller.page.wait_for_selector("#problem", state="hidden")


async def test_a_reply_that_an_outage_cuts_off_is_marked(caller: Visit) -> None:
    page = caller.page
    before = len(caller.events)
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=3)
    await page.click("#outage")
    await caller.shows(turn, "lost")
    figure = page.locator(f"#turns li[data-turn='{turn}'] [data-figure='Lost after'] dd")
    words = len(caller.all_told("word", turn=turn))
    assert await figure.inner_text() == f"{words} words"
    await page.click("#outage")
    await caller.told("service", after=before, up=True)
    await page.click("#problem-close")


async def test_events_are_filtered(caller: Visit) -> None:
    shown = caller.page.locator("#events li:visible b:text-is('word')")
    assert await shown.count() == 0
    await caller.page.check("#filter [name=words]")
    assert await shown.count() > 0
    await caller.page.uncheck("#filter [name=words]")
    assert await shown.count() == 0


async def test_without_a_microphone_and_by_keyboard_alone(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url) as caller:
        page = caller.page
        await page.evaluate(NO_MICROPHONE)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await caller.told("word", turn=1, count=1)
        await page.keyboard.press("Escape")
        await caller.told("silent", turn=1)
        await page.focus("#microphone")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#problem:not([hidden]) >> text=no such device")
        await page.focus("#questions button")
        await page.keyboard.press("Enter")
        await caller.told("sound", turn=2)


NO_MICROPHONE = """() => {
  navigator.mediaDevices.getUserMedia = async () => { throw new Error("no such device"); };
}"""


@room_of_the_example.module_fixture
async def telephone(browser: Browser, room: Any) -> AsyncIterator[Visit]:
    """One caller on a telephone."""
    async with visit(browser, room.url, viewport={"width": 360, "height": 740}) as caller:
        await caller.join()
        yield caller


async def test_it_is_legible_on_a_telephone(telephone: Visit) -> None:
    caller, page = telephone, telephone.page
    await caller.told("word", turn=1, count=2)
    await page.keyboard.press("Escape")
    await page.wait_for_selector("#words .unheard")
    await page.evaluate("document.getElementById('problem').hidden = false")
    width = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    needed, there = await page.evaluate(width)
    assert needed <= there
    assert not await page.evaluate(
        "[...document.querySelectorAll('button, select, #text')].filter((one) => one.offsetHeight)"
        ".filter((one) => one.offsetHeight < 44 || one.offsetWidth < 44).map((one) => one.outerHTML)"
    )
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        # At once: the words change their colors slowly otherwise.
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        contrasts = await page.evaluate(CONTRASTS)
        assert len(contrasts) > 20
        assert not {text: value for text, value in contrasts.items() if value < 4.5}, scheme


CONTRASTS = """() => {
  // The contrast of each text with what is behind it, as WCAG 2.2 defines it.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const numbers = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = numbers(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (numbers(color)[3] === 255) return color;
    }
    return "white";
  };
  const found = {};
  for (const element of document.querySelectorAll("body *:not(script, svg *, option)")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3);
    const text = texts.map((node) => node.data.trim()).join("");
    const visible = element.checkVisibility({ checkVisibilityCSS: true });
    if (!text || !visible || element.closest(":disabled")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    found[text] = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  }
  return found;
}"""


TALL = (
    "Straightforwardly environmentalists misunderstandings counterproductive misrepresentation "
    "telecommunication disadvantageously" + ", and so on" * 40 + "."
)
"""Long words: each takes a line of its own on a telephone, which shows six. More follow for some time."""
LINES = 7


async def test_on_a_telephone_the_agent_can_be_interrupted_all_the_time(telephone: Visit) -> None:
    caller, page = telephone, telephone.page
    await page.locator("[name=speed]").fill(str(FAST))
    await caller.told("changed", settings={"speed": FAST})
    turn = await caller.say(TALL)
    await caller.told("word", turn=turn, count=LINES)
    await page.wait_for_function(
        "lines => document.querySelectorAll('#words .heard').length >= lines", arg=LINES
    )
    assert await page.evaluate("document.getElementById('interrupt').getBoundingClientRect().bottom") <= 740
    words, now = await page.evaluate(
        "['#words', '#words .now'].map((name) => document.querySelector(name).getBoundingClientRect())"
        ".map(({ top, bottom }) => [top, bottom])"
    )
    assert words[0] <= now[0]
    assert now[1] <= words[1]
    await page.focus("#words")
    assert await page.evaluate("document.activeElement.id") == "words"
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)


async def test_on_a_telephone_a_long_title_is_cut_and_lists_are_reached_by_keyboard(telephone: Visit) -> None:
    caller, page = telephone, telephone.page
    turn = await caller.say(ENDLESS)
    title = page.locator(f"#turns li[data-turn='{turn}'] h3")
    await title.wait_for()
    assert await title.evaluate("title => title.offsetHeight") < 90
    for part in ("turns", "memory", "events"):
        await page.focus(f"#{part}")
        assert await page.evaluate("document.activeElement.id") == part

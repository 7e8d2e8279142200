"""The example of the agent in the browser: a real Chromium joins it, hears it, and talks over it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from kit.browser import CHROMIUM, STEP, Visit, open_browser, record_voice, speak, visit
from kit.examples import EXAMPLES, environment_with
from kit.processes import start_python
from kit.waits import PATIENCE, settled, until
from soak.leftovers import open_descriptors
from videosdk.agents import STT, SpeechData, SpeechEventType, STTResponse

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")

PAGE = EXAMPLES / "browser" / "page"
LONG = "What can I see on the island?"
TOUR = (
    "The island has a lighthouse, two beaches, and a museum of boats. The lighthouse is open all day, and it "
    "takes an hour to walk there from the pier, along the coast."
)
SHORT = "How much is a ticket?"
SPARE = 8
"""What may differ between two moments of rest: less than one for each of ten turns."""
UNNOTICED = 6 * PATIENCE
"""Seconds: that a page has gone without a word is noticed after a quarter of a minute."""
KEY = "lk-5c1d-keep-me-at-home"
KEYS = ("LOKUTOR_API_KEY", "LOKUTOR_BASE_URL", "OPENAI_API_KEY", "DEEPGRAM_API_KEY")


@pytest.fixture(scope="module")
def example() -> Iterator[SimpleNamespace]:
    """The modules of the example, without the developer's own keys."""
    with pytest.MonkeyPatch.context() as patch:
        for key in KEYS:
            patch.delenv(key, raising=False)
        patch.syspath_prepend(str(EXAMPLES))
        # The framework takes what is there at its first start out of the collection of garbage: a whole call.
        patch.setattr("videosdk.agents.pipeline._GC_FROZEN", True, raising=False)
        parts = {
            name: importlib.import_module(f"browser.{name}")
            for name in ("call", "hearing", "script", "service")
        }
        yield SimpleNamespace(agent=importlib.import_module("browser_agent"), **parts)


@module_fixture
async def service(example: SimpleNamespace) -> AsyncIterator[Any]:
    async with example.service.Service() as service:
        yield service


@module_fixture
async def room(example: SimpleNamespace, service: Any) -> AsyncIterator[Any]:
    async with example.agent.open_room(service) as room:
        yield room


@module_fixture
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    voice = tmp_path_factory.mktemp("microphone") / "voice.wav"
    await record_voice(voice)
    async with open_browser(voice) as browser:
        yield browser


@module_fixture
async def caller(browser: Browser, room: Any) -> AsyncIterator[Visit]:
    """One caller for all tests that need no call of their own."""
    async with visit(browser, room.url) as caller:
        await caller.join()
        yield caller


async def test_the_greeting_is_heard_and_seen(caller: Visit, example: SimpleNamespace) -> None:
    greeting = example.script.SCRIPTS["en"].greeting
    await caller.told("played", turn=1)
    heard = await caller.heard()
    spoken = np.frombuffer(await speak(greeting, "F1"), "<i2") / 32768
    step = round(SAMPLE_RATE * STEP)
    steps = spoken[: len(spoken) // step * step].reshape(-1, step)
    loudness = np.sqrt((steps**2).mean(1))
    begin = np.flatnonzero(loudness > 0.001)[0]
    first = np.flatnonzero(heard.times >= heard.starts()[0])[0]
    received = heard.loudness[first : first + len(loudness) - begin]
    assert np.corrcoef(received, loudness[begin:][: len(received)])[0, 1] > 0.9
    await caller.page.wait_for_selector("#turns li[data-turn='1'][data-state='played']")
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


async def say(caller: Visit, text: str) -> int:
    """Have a text spoken; return its turn."""
    before = len(caller.events)
    await caller.page.fill("#text", text)
    await caller.page.click("#say")
    return int((await caller.told("turn", after=before, text=text))["turn"])


async def test_a_voice_cuts_off_what_is_spoken_as_it_is_written(caller: Visit) -> None:
    turn = await say(caller, TOUR)  # Behind an interruption.
    await caller.told("word", turn=turn, count=2)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    turn = await say(caller, TOUR)
    await caller.told("word", turn=turn, count=2)
    await caller.page.click("#microphone")
    await caller.told("cut", turn=turn)
    await caller.told("silent", turn=turn)
    assert not caller.all_told("played", turn=turn)
    await caller.page.click("#microphone")


async def test_a_word_with_a_silent_onset_belongs_to_its_own_turn(caller: Visit) -> None:
    text = "Please take the first boat to the island, and keep to the left of the pier."
    page, before = caller.page, len(caller.events)
    turn = await say(caller, text)
    await caller.told("metrics", turn=turn)  # All audio has come, and most of it is still to be heard.
    await caller.told("word", turn=turn, count=4)
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    await page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='silent']")
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
    await caller.page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='silent']")
    await caller.page.wait_for_function(
        """() => {
            const shown = [...document.querySelectorAll("#words .heard")];
            const words = shown.map((word) => word.innerText.trim());
            const remembered = [...document.querySelectorAll("#memory li.interrupted span")].at(-1);
            return words.length >= 4 && remembered?.innerText === words.join(" ");
        }"""
    )
    assert await caller.page.locator("#words .unheard").count() > 0


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
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=2)
    await caller.page.select_option("[name=voice]", "M4")
    await service.server.wait_until(lambda: service.server.requests[-1].request.voice == "M4")
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
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=2)
    await page.set_checked("[name=pacing]", pacing)
    await caller.told("changed", after=before, settings={"pacing": pacing})
    words = len(caller.all_told("word", turn=turn))
    await caller.told("word", turn=turn, count=words + 5)
    assert not caller.all_told("cut", turn=turn)
    await page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    await page.check("[name=pacing]")


async def test_a_question_that_is_typed_cuts_the_agent_off(caller: Visit) -> None:
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=2)
    before = len(caller.events)
    await caller.page.fill("#text", SHORT)
    await caller.page.press("#text", "Enter")
    await caller.told("silent", turn=turn)
    following = (await caller.told("turn", after=before, text=SHORT))["turn"]
    await caller.told("played", turn=following)


async def test_another_language_brings_its_own_questions(caller: Visit, example: SimpleNamespace) -> None:
    await caller.page.select_option("[name=language]", "es")
    await caller.told("changed", settings={"language": "es"})
    question, answer = list(example.script.SCRIPTS["es"].answers.items())[1]
    turn = await caller.ask(question)
    await caller.told("played", turn=turn)
    await caller.page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='played']")
    assert (await caller.page.inner_text("#words")).strip() == answer
    await caller.page.select_option("[name=language]", "en")
    await caller.told("changed", settings={"language": "en"})


async def test_an_invalid_setting_is_refused_in_words(caller: Visit) -> None:
    before = len(caller.events)
    await caller.page.evaluate("document.querySelector('[name=speed]').max = 9")
    await caller.page.locator("[name=speed]").fill("8")
    assert "speed" in (await caller.told("refused", after=before))["message"]
    await caller.page.wait_for_selector("#problem:not([hidden]) >> text=speed")
    await caller.page.locator("[name=speed]").fill("1")
    await caller.told("changed", settings={"speed": 1})
    await caller.page.click("#problem-close")


async def test_an_outage_is_told_with_what_to_do(caller: Visit) -> None:
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


async def test_events_are_filtered(caller: Visit) -> None:
    shown = caller.page.locator("#events li:visible b:text-is('word')")
    assert await shown.count() == 0
    await caller.page.check("#filter [name=words]")
    assert await shown.count() > 0
    await caller.page.uncheck("#filter [name=words]")
    assert await shown.count() == 0


async def test_twenty_turns_leave_nothing_behind(caller: Visit, service: Any) -> None:
    usages = []
    for number in range(1, 21):
        before = len(caller.events)
        if number % 2:
            turn = await caller.ask(LONG)
        else:
            await caller.page.fill("#text", LONG)
            await caller.page.click("#say")
            turn = (await caller.told("turn", after=before, text=LONG))["turn"]
        await caller.told("word", turn=turn, count=1)
        await caller.page.keyboard.press("Escape")
        await caller.told("silent", turn=turn)
        if number in {10, 20}:
            usages.append(await usage_at_rest(caller, service))
    first, second = usages  # Ten turns lie between them, and the page's lists are full at both.
    assert second.parts == first.parts
    assert second.listeners == first.listeners
    assert second.tasks < first.tasks + SPARE
    assert (second.descriptors or 0) < (first.descriptors or 0) + SPARE
    assert second.nodes < first.nodes + 20 * SPARE


@dataclass(frozen=True)
class Usage:
    """What the agent's process and the page hold."""

    tasks: int
    descriptors: int | None
    parts: dict[str, int]
    nodes: int
    listeners: int


async def usage_at_rest(caller: Visit, service: Any) -> Usage:
    page = caller.page
    turn = caller.all_told("silent")[-1]["turn"]
    await page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='silent']")
    await service.server.wait_until(lambda: service.server.open_connections == 1)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await devtools.send("HeapProfiler.collectGarbage")
    metrics = await devtools.send("Performance.getMetrics")
    counted = {metric["name"]: int(metric["value"]) for metric in metrics["metrics"]}
    await devtools.detach()
    await settled()
    return Usage(
        tasks=len(asyncio.all_tasks()),
        descriptors=open_descriptors(),
        parts=parts_of_calls(),
        nodes=counted["Nodes"],
        listeners=counted["JSEventListeners"],
    )


def parts_of_calls() -> dict[str, int]:
    """Count what calls are made of."""
    gc.collect()
    names = {"AgentSession", "AgentTrack", "Conversation", "LokutorTTS", "Pipeline", "RTCPeerConnection"}
    return dict(Counter(name for thing in gc.get_objects() if (name := type(thing).__name__) in names))


async def test_who_joins_takes_the_call_and_who_leaves_leaves_nothing(
    browser: Browser, caller: Visit, room: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with visit(browser, room.url) as second:
        await second.join()
        await caller.page.wait_for_selector("#problem:not([hidden]) >> text=Another tab")
        await second.ask(LONG)  # While it greets: it leaves in the middle of a reply.
        await second.told("word", turn=2, count=1)
        await second.page.click("#leave")
        await second.page.wait_for_selector("#join:enabled")
        await until(lambda: not parts_of_calls(), UNNOTICED)
        await second.page.click("#join")  # And once more.
        await second.told("sound", after=len(second.events), turn=1)
    # The page is gone without a word.
    await until(lambda: not parts_of_calls(), UNNOTICED)
    assert not [record for record in caplog.records if record.name in {"asyncio", "browser.room"}]


async def test_who_joins_in_an_outage_can_talk_when_it_is_over(
    browser: Browser, room: Any, service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await service.stop()
    async with visit(browser, room.url) as caller:
        await caller.join()
        assert (await caller.told("error"))["advice"].startswith("The local server has stopped")
        await caller.page.click("#outage")
        await caller.told("service", up=True)
        turn = await caller.ask(SHORT)
        await caller.told("played", turn=turn)
    await until(lambda: not parts_of_calls(), UNNOTICED)
    assert not [record for record in caplog.records if record.name.startswith(("asyncio", "browser"))]


@pytest.mark.parametrize("everywhere", [False, True])
async def test_the_media_stay_on_this_machine_unless_asked(
    browser: Browser, example: SimpleNamespace, service: Any, everywhere: bool
) -> None:
    async with (
        example.agent.open_room(service, all_addresses=everywhere) as room,
        visit(browser, room.url) as caller,
    ):
        await caller.join()
        answer = await caller.page.evaluate("testPeer.remoteDescription.sdp")
        addresses = set(re.findall(r"a=candidate:\S+ \d udp \d+ (\S+)", answer))
        assert "127.0.0.1" in addresses
        if not everywhere:
            assert addresses == {"127.0.0.1"}
        await caller.told("sound", turn=1)


async def test_with_a_key_the_service_speaks_and_the_page_never_sees_it(
    browser: Browser, example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalServer(SignalEngine(), api_key=KEY) as server:
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        for key, advice in ((KEY, None), ("wrong-" + KEY, "Check LOKUTOR_API_KEY")):
            service = example.service.Service(key)
            async with example.agent.open_room(service) as room, visit(browser, room.url) as caller:
                await caller.join()
                assert caller.all_told("hello")[0]["local"] is False
                if advice:
                    assert (await caller.told("error"))["advice"].startswith(advice)
                else:
                    await caller.told("played", turn=1)
                assert KEY not in await caller.page.content()
                assert KEY not in json.dumps(caller.events)
        assert server.connections
        assert server.refusals["401"]


class Ears(STT):
    """Stands for speech recognition that needs a key."""

    def __init__(self) -> None:
        super().__init__(interim_results=True)
        self.log: list[str] = []

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        self.log.append(f"{len(audio_frames)} bytes")

    async def flush(self) -> None:
        self.log.append("flushed")

    async def aclose(self) -> None:
        self.log.append("closed")


async def test_speech_recognition_is_passed_through(example: SimpleNamespace) -> None:
    ears = Ears()
    stt = example.hearing.TypedSTT(ears)
    told: list[str] = []

    async def note(response: STTResponse) -> None:
        told.append(f"{response.event_type.name} {response.data.text}")

    stt.on_stt_transcript(note)
    stt.on("error", lambda error: told.append(error))  # noqa: PLW0108 - the framework looks into its code
    await stt.process_audio(bytes(8))
    await stt.flush()
    assert ears._transcript_callback is not None
    heard = STTResponse(event_type=SpeechEventType.INTERIM, data=SpeechData(text="hello"))
    await ears._transcript_callback(heard)
    await stt.type("typed")
    ears.emit("error", "it broke")
    await stt.aclose()
    assert ears.log == ["8 bytes", "flushed", "closed"]
    assert told == ["INTERIM hello", "FINAL typed", "it broke"]


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


async def test_it_is_legible_on_a_telephone(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url, viewport={"width": 360, "height": 740}) as caller:
        page = caller.page
        await caller.join()
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


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
    ],
)
async def test_only_its_own_page_may_use_it(headers: dict[str, str], status: int, room: Any) -> None:
    given = {name: value.format(own=room.url.rstrip("/")) for name, value in headers.items()}
    async with aiohttp.ClientSession() as http, http.get(room.url, headers=given) as response:
        assert response.status == status
        assert ("Talk with" in await response.text()) == (status == 200)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ('{"sdp": "v=0"}', "text/plain", 415),
        ('{"sdp": "v=0"}', "application/x-www-form-urlencoded", 415),
        ("not JSON", "application/json", 400),
        ("[]", "application/json", 400),
        ("{}", "application/json", 400),
        ('{"sdp": 5}', "application/json", 400),
        ('{"sdp": "nonsense"}', "application/json", 400),
        ('{"sdp": "' + "x" * 70_000 + '"}', "application/json", 413),
    ],
)
async def test_what_is_no_offer_is_refused(body: str, kind: str, status: int, room: Any) -> None:
    async with aiohttp.ClientSession(headers={"Content-Type": kind}) as http:
        response = await http.post(room.url + "call", data=body)
        assert response.status == status
    await until(lambda: not parts_of_calls(), UNNOTICED)


async def test_the_page_loads_nothing_from_elsewhere(room: Any) -> None:
    files = {file.name: file.read_bytes() for file in PAGE.iterdir()}
    async with aiohttp.ClientSession() as http:
        for name, content in files.items():
            async with http.get(room.url + name.replace("index.html", "")) as response:
                assert await response.read() == content
                assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
    text = b"".join(files.values()).decode()
    assert set(re.findall(r"(?:https?:)?//[\w.]+", text)) <= {"http://www.w3.org"}


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_is_run_as_a_user_does_and_ends_cleanly(browser: Browser, ending: signal.Signals) -> None:
    command = ("-W", "default::ResourceWarning", EXAMPLES / "browser_agent.py", "--port", "0")
    environment = environment_with(**dict.fromkeys(KEYS, ""))
    process = await start_python(*command, env=environment, anew=ending == signal.SIGINT)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        url = re.findall(r"http://127\.0\.0\.1:\d+/", line)[0]
        async with visit(browser, url) as caller:
            await caller.join()
            await caller.told("word", turn=1, count=2)
            process.send_signal(ending)
            stdout, stderr = await asyncio.wait_for(process.communicate(), PATIENCE)
            await caller.page.wait_for_selector("#problem:not([hidden]) >> text=hung up")
            await caller.page.click("#problem-close")
            await caller.page.click("#join")
            await caller.page.wait_for_selector("#problem:not([hidden]) >> text=doesn't answer")
            await caller.page.wait_for_selector("#join:enabled")
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert stdout.decode() == "Ended.\n"
    assert not stderr.decode()


PRONUNCIATIONS = "nginx = engine x\nHello = a b c d e f g h i\nSQL = ess queue ell\nNew York = noo yawk"


async def test_what_is_spoken_otherwise_is_shown_as_it_was_written(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url) as caller:
        page = caller.page
        await page.fill("[name=pronunciations]", PRONUNCIATIONS)
        await caller.join()
        for text in (
            "I like nginx",
            "Hello there, you",
            "My SQL is SQL.",
            "The engine x is in New York, is it?",
        ):
            turn = await say(caller, text)
            await page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='played']")
            assert (await page.inner_text("#words")).strip() == text
            assert await page.locator("#words .heard").count() == len(text.split())
            assert await page.locator("#words .now").count() == 0
            assert await page.locator(f"#turns li[data-turn='{turn}'] .bar .speaking").count() == 1
        turn = await say(
            caller, "Hello, I like nginx, SQL, New York, and all the other words that come here."
        )
        await caller.told("word", turn=turn, word="SQL,")
        await page.keyboard.press("Escape")
        await page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='silent']")
        unheard = [await word.inner_text() for word in await page.locator("#words .unheard").all()]
        heard = [word["word"] for word in caller.all_told("word", turn=turn)]
        assert " ".join([*heard, *unheard]) == (
            "Hello, I like nginx, SQL, New York, and all the other words that come here."
        )


async def test_questions_that_are_picked_quickly_stay_apart(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url) as caller:
        page = caller.page
        await caller.join()
        await caller.told("played", turn=1)
        question = "When does the next boat leave?"
        await page.get_by_role("button", name=question, exact=True).dblclick()
        await caller.told("played", turn=2)
        assert [told["text"] for told in caller.all_told("turn")][1:] == [question]
        first, second = (page.get_by_role("button", name=name, exact=True) for name in (LONG, SHORT))
        await first.click()
        await second.click()
        await caller.told("dropped", turn=3)
        await caller.told("played", turn=4)
        assert [told["text"] for told in caller.all_told("turn")][2:] == [LONG, SHORT]
        await page.wait_for_selector("#turns li[data-turn='4'][data-state='played']")
        assert (await page.inner_text("#words")).startswith("A return ticket is twelve euros")


async def test_what_is_to_be_spoken_takes_the_place_of_what_was(browser: Browser, room: Any) -> None:
    texts = [f"Number {number} is spoken now, quite slowly." for number in range(4)]
    async with visit(browser, room.url) as caller:
        await caller.join()  # And in the place of the greeting.
        for text in texts:
            await caller.page.fill("#text", text)
            await caller.page.click("#say")
        await caller.told("played", turn=5)
        assert (await caller.page.inner_text("#words")).strip() == texts[-1]
        for told in caller.all_told("sent")[1:]:
            assert told["text"] == texts[told["turn"] - 2]
        await caller.page.wait_for_selector("#turns li[data-turn='5'][data-state='played']")
        states = await caller.page.locator("#turns li").evaluate_all(
            "all => all.map((one) => one.dataset.state)"
        )
        assert states[0] == "played"
        assert set(states[1:]) <= {"silent", "dropped"}


async def test_a_greeting_that_is_refused_is_no_agent_that_is_coming(
    browser: Browser, example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalServer(SignalEngine(), api_key=KEY) as server:
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        async with (
            example.agent.open_room(example.service.Service("wrong")) as room,
            visit(browser, room.url) as caller,
        ):
            await caller.join()
            await caller.told("error")
            await caller.page.wait_for_selector("body[data-state='failed'] #state:text('Ask again')")


async def test_an_agent_that_can_not_be_made_is_told(
    browser: Browser, example: SimpleNamespace, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_nothing(*parts: Any) -> None:
        raise RuntimeError("The model has no license.")

    monkeypatch.setattr(example.agent, "make_pipeline", make_nothing)
    async with example.agent.open_room(service) as room, visit(browser, room.url) as caller:
        await caller.join()
        await caller.page.wait_for_selector("#problem:not([hidden]) >> text=The model has no license.")
        await caller.page.wait_for_selector("body[data-state='failed']")
        assert await caller.page.is_visible("#leave")


async def test_a_reply_that_an_outage_cuts_off_is_marked(browser: Browser, room: Any, service: Any) -> None:
    async with visit(browser, room.url) as caller:
        page = caller.page
        await caller.join()
        await caller.told("played", turn=1)
        turn = await caller.ask(LONG)
        await caller.told("word", turn=turn, count=3)
        await page.click("#outage")
        await page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='lost']")
        figure = page.locator(f"#turns li[data-turn='{turn}'] [data-figure='Lost after'] dd")
        words = len(caller.all_told("word", turn=turn))
        assert await figure.inner_text() == f"{words} words"
    await service.start()


@pytest.mark.parametrize(
    "sdp", ["nonsense", "v=0", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio", "[" * 60_000]
)
async def test_what_is_no_offer_leaves_the_call_alone(sdp: str, browser: Browser, room: Any) -> None:
    async with visit(browser, room.url) as caller, aiohttp.ClientSession() as http:
        await caller.join()
        await caller.told("sound", turn=1)
        body = sdp if sdp.startswith("[") else json.dumps({"sdp": sdp})
        headers = {"Content-Type": "application/json"}
        response = await http.post(room.url + "call", data=body, headers=headers)
        assert response.status == 400
        await caller.told("played", turn=1)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "", {"Host": "evil.example"}, 403),
        ("GET", "nowhere", {}, 404),
        ("PUT", "call", {}, 405),
        ("POST", "call", {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_refusals_have_the_same_headers(
    method: str, path: str, headers: dict[str, str], status: int, room: Any
) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, room.url + path, headers=headers) as response,
    ):
        assert response.status == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" in response.headers


async def test_a_name_of_this_machine_may_have_capitals(room: Any) -> None:
    headers = {"Host": f"LOCALHOST:{room.port}"}
    async with aiohttp.ClientSession() as http, http.get(room.url, headers=headers) as response:
        assert response.status == 200


async def test_who_leaves_while_joining_can_join_again(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url) as caller:
        for _ in range(3):
            await caller.page.evaluate(JOIN_AND_LEAVE)
        await caller.page.click("#join")
        await caller.told("sound", turn=1)
        await caller.told("word", turn=1, count=4)
        assert await caller.page.is_hidden("#problem")
        assert await caller.page.is_visible("#talking")


JOIN_AND_LEAVE = """async () => {
  document.getElementById("join").click();
  await new Promise((resolve) => setTimeout(resolve));
  document.getElementById("leave").click();
}"""


async def test_on_a_telephone_the_agent_can_be_interrupted_all_the_time(browser: Browser, room: Any) -> None:
    async with visit(browser, room.url, viewport={"width": 360, "height": 740}) as caller:
        page = caller.page
        await caller.join()
        await caller.told("played", turn=1)
        turn = await caller.ask(LONG)
        await caller.told("word", turn=turn, count=40)
        await page.wait_for_function("() => document.querySelectorAll('#words .heard').length >= 40")
        assert (
            await page.evaluate("document.getElementById('interrupt').getBoundingClientRect().bottom") <= 740
        )
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
        turn = await say(caller, ("This goes on and on. " * 95).strip())
        title = page.locator(f"#turns li[data-turn='{turn}'] h3")
        await title.wait_for()
        assert await title.evaluate("title => title.offsetHeight") < 90
        for part in ("turns", "memory", "events"):
            await page.focus(f"#{part}")
            assert await page.evaluate("document.activeElement.id") == part


async def test_a_lost_connection_is_told_at_once(browser: Browser) -> None:
    command = [sys.executable, str(EXAMPLES / "browser_agent.py"), "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=environment_with(**dict.fromkeys(KEYS, ""))
    )
    try:
        assert process.stdout is not None
        url = re.findall(r"http://127\.0\.0\.1:\d+/", (await process.stdout.readline()).decode())[0]
        async with visit(browser, url) as caller:
            await caller.join()
            await caller.told("word", turn=1, count=2)
            process.kill()
            await caller.page.wait_for_function(
                "() => testPeer.connectionState !== 'connected'", timeout=1000 * UNNOTICED
            )
            state = await caller.page.inner_text("#state")
            assert state.startswith(("Connection lost", "The call is over"))
            await caller.page.wait_for_selector(
                "#problem:not([hidden]) >> text=was lost", timeout=1000 * UNNOTICED
            )
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

"""The example of the agent in the browser: a real Chromium joins it, hears it, and talks over it."""

from __future__ import annotations

import importlib
import wave
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from kit.browser import CHROMIUM, STEP, Visit, open_browser, visit
from kit.examples import EXAMPLES

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.espeak import EspeakEngine

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")

LONG = "What can I see on the island?"
SHORT = "How much is a ticket?"
KEYS = ("LOKUTOR_API_KEY", "LOKUTOR_BASE_URL", "OPENAI_API_KEY", "DEEPGRAM_API_KEY")


@pytest.fixture(scope="module")
def example() -> Iterator[SimpleNamespace]:
    """The modules of the example, without the developer's own keys."""
    with pytest.MonkeyPatch.context() as patch:
        for key in KEYS:
            patch.delenv(key, raising=False)
        patch.syspath_prepend(str(EXAMPLES))
        yield SimpleNamespace(
            agent=importlib.import_module("browser_agent"),
            script=importlib.import_module("browser.script"),
            service=importlib.import_module("browser.service"),
        )


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
    pcm = await speak("Sorry to stop you there, but I have another question for you.", "M2")
    with wave.open(str(voice), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    async with open_browser(voice) as browser:
        yield browser


@module_fixture
async def caller(browser: Browser, room: Any) -> AsyncIterator[Visit]:
    """One caller for all tests that need no call of their own."""
    async with visit(browser, room.url) as caller:
        await caller.join()
        yield caller


async def speak(text: str, voice: str, speed: float = 1.05) -> bytes:
    engine = EspeakEngine()
    try:
        request = SpeechRequest(text, voice, "en", speed, 5)
        return b"".join([speech.pcm async for speech in engine.synthesize(request)])
    finally:
        await engine.close()


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
    assert 0 < silent["after"] <= 0.5
    await caller.page.click("#microphone")
    following = await caller.ask(SHORT)
    sound = await caller.told("sound", turn=following)
    await caller.told("word", turn=following, count=3)
    heard = await caller.heard()
    # What the browser was sent has a clock of its own: the greeting's first sound is on both.
    ahead = (await caller.told("sound", turn=1))["played"] - heard.starts()[0]
    last = heard.last_sound(0, sound["played"] - ahead - 0.1) + ahead
    assert cut["played"] < last <= cut["played"] + 0.5
    assert any(abs(start + ahead - sound["played"]) < 0.1 for start in heard.starts(0.2))


async def test_it_remembers_what_was_heard(caller: Visit) -> None:
    turn = await caller.ask(LONG)
    await caller.told("word", turn=turn, count=4)
    await caller.page.keyboard.press("Escape")
    await caller.told("silent", turn=turn)
    shown = caller.page.locator("#words .heard")
    await caller.page.wait_for_selector(f"#turns li[data-turn='{turn}'][data-state='silent']")
    words = " ".join([(await word.inner_text()).strip() for word in await shown.all()])
    remembered = caller.page.locator("#memory li.interrupted span").last
    await remembered.wait_for()
    assert await remembered.inner_text() == words
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
    await page.wait_for_selector("#words .heard:text('PostgreSQL')")
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

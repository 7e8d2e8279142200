"""The room of the example of the agent in the browser, for the modules that test it with a real Chromium.

Each takes the fixtures that it needs over by their names.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest
import pytest_asyncio

from kit.browser import CHROMIUM, Visit, open_browser, record_voice, visit
from kit.examples import EXAMPLES
from kit.waits import PATIENCE

if TYPE_CHECKING:
    from playwright.async_api import Browser

marks = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")

LONG = "What can I see on the island?"
SHORT = "How much is a ticket?"
ENDLESS = " ".join(["The island has a lighthouse, two beaches, and a museum of boats."] * 30)
"""So long that any machine can do something before its end; the page takes no more than 2,000 characters."""
FAST = 2.0
"""The highest speed: what must be heard to its end is over in half the time."""
UNNOTICED = 6 * PATIENCE
"""Seconds: that a page has gone without a word is noticed after a quarter of a minute."""
_FROM_BEFORE = WeakSet[Any]()
"""Parts of calls that modules tested before, in the same process, have left."""
KEYS = ("LOKUTOR_API_KEY", "LOKUTOR_BASE_URL", "OPENAI_API_KEY", "DEEPGRAM_API_KEY")


@pytest.fixture(scope="module")
def example() -> Iterator[SimpleNamespace]:
    """The modules of the example, without the developer's own keys."""
    _FROM_BEFORE.update(_parts())
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


@module_fixture
async def hurried(caller: Visit) -> Visit:
    """The same caller, to whom the agent talks fast from here on."""
    before = len(caller.events)
    await caller.page.locator("[name=speed]").fill(str(FAST))
    await caller.told("changed", after=before, settings={"speed": FAST})
    return caller


def parts_of_calls() -> dict[str, int]:
    """Count what the calls of this module are made of."""
    return dict(Counter(type(part).__name__ for part in _parts() if part not in _FROM_BEFORE))


def _parts() -> list[Any]:
    gc.collect()
    names = {"AgentSession", "AgentTrack", "Conversation", "LokutorTTS", "Pipeline", "RTCPeerConnection"}
    return [thing for thing in gc.get_objects() if type(thing).__name__ in names]


async def calls_are_over() -> None:
    """Wait until nothing is left of any call."""
    async with asyncio.timeout(UNNOTICED):
        while parts_of_calls():  # noqa: ASYNC110 - what is collected notifies nobody
            await asyncio.sleep(0.1)

"""Takes the pictures of the agent in the browser that the documents show: ``python tests/screenshots.py``."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from kit.browser import open_browser, record_voice, visit
from kit.examples import EXAMPLES

DOCS = Path(__file__).parents[1] / "docs"
PICTURES: dict[str, dict[str, Any]] = {
    "browser-light.png": {"color_scheme": "light", "viewport": {"width": 1180, "height": 900}},
    "browser-dark.png": {"color_scheme": "dark", "viewport": {"width": 1180, "height": 900}},
}


async def take_pictures(folder: Path) -> None:
    """Hold the same call for each picture, and take it while the agent speaks again after a barge-in."""
    sys.path.insert(0, str(EXAMPLES))
    import browser_agent
    from browser.service import Service

    with tempfile.TemporaryDirectory() as scratch:
        voice = Path(scratch, "voice.wav")
        await record_voice(voice)
        async with (
            Service() as service,
            browser_agent.open_room(service) as room,
            open_browser(voice) as browser,
        ):
            for name, options in PICTURES.items():
                async with visit(browser, room.url, reduced_motion="no-preference", **options) as caller:
                    await caller.join()
                    await caller.told("played", turn=1)
                    await caller.ask("What can I see on the island?")
                    await caller.told("word", turn=2, count=8)
                    await caller.page.click("#microphone")
                    await caller.told("silent", turn=2)
                    await caller.told("caller", state="idle", after=len(caller.events))
                    await caller.ask("When does the next boat leave?")
                    await caller.told("word", turn=3, count=5)
                    await caller.told("mouth", shape="open_medium", after=len(caller.events))
                    await caller.page.wait_for_selector("#face[data-mouth='open_medium']")
                    await caller.page.evaluate("scrollTo(0, 0)")
                    await caller.page.screenshot(path=folder / name)


if __name__ == "__main__":
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    asyncio.run(take_pictures(DOCS))

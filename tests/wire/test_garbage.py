"""What a turn leaves behind: nothing that only a collection of garbage would free.

A collection looks at all of the process, for a tenth of a second with the framework in it, and every call
in the process waits meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from faults.stage import plugin_tasks
from kit import (
    Conversation,
    ScriptedServer,
    chunks_of,
    follows,
    pushed_samples,
    speak_timed,
    speech_of,
    until,
    visemes_of,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
TURNS = 6
MODULES = ("videosdk.plugins.lokutor.", "av.filter.graph")


@pytest.fixture
def uncollected() -> Iterator[Callable[[], Counter[str]]]:
    """Return what counts the plugin's objects that are still there, without any collection."""
    gc.collect()
    gc.disable()

    def count() -> Counter[str]:
        kinds = [type(each) for each in gc.get_objects()]
        return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(MODULES))

    yield count
    gc.enable()


async def _whole(tts: LokutorTTS, track: CustomAudioStreamTrack) -> None:
    await tts.synthesize(chunks_of(["One is here.", " Two is here."]))


async def _interrupted(tts: LokutorTTS, track: CustomAudioStreamTrack) -> None:
    async def endless() -> AsyncIterator[str]:
        yield "One is here. "
        await asyncio.Event().wait()

    pushed = pushed_samples(track)
    turn = asyncio.create_task(tts.synthesize(endless()))
    await until(lambda: pushed_samples(track) > pushed)
    await tts.interrupt()
    await turn


async def _lost(tts: LokutorTTS, track: CustomAudioStreamTrack) -> None:
    await _whole(tts, track)


@pytest.mark.parametrize("turn", [_whole, _interrupted, _lost])
@pytest.mark.parametrize("words", [False, True])
async def test_a_turn_frees_itself(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    uncollected: Callable[[], Counter[str]],
    words: bool,
    turn: Callable[..., Any],
) -> None:
    async def breaks_off(conversation: Conversation) -> None:
        await conversation.request()
        conversation.abort()

    async def never_ends(conversation: Conversation) -> None:
        request = await conversation.request()
        await conversation.text(visemes_of(request["text"]))
        await conversation.audio(speech_of(request["text"]))
        await asyncio.Event().wait()

    # The turn that is kept has its unfinished request with it: an interrupted turn always has one.
    scripts = {_whole: [speak_timed], _interrupted: [never_ends], _lost: [breaks_off, speak_timed]}[turn]
    scripted.scripts.extend(scripts * 3 * TURNS)
    tts = make_tts(scripted.url, word_timestamps=words, keep_warm=False)
    counts = []
    for _ in range(TURNS):
        await turn(tts, track)
        await tts.interrupt()
        await until(lambda: not follows(tts) and not plugin_tasks())
        await asyncio.sleep(0)
        counts.append(uncollected())
    # The last turn is kept, as it may still be heard, and what was measured of the service.
    more = {kind: [count[kind] for count in counts] for kind in counts[-1] - counts[1] if kind != "_Sample"}
    assert not more

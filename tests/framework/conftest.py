"""Fixtures: a call whose agent speaks by a plugin alone or inside another one, with words and without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from kit import ScriptedServer, speak_timed
from kit.agents import SPEAKERS, Call, calling
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS


@pytest.fixture(params=[True, False], ids=["words", "estimate"])
def word_timestamps(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=list(SPEAKERS))
async def call(
    request: pytest.FixtureRequest,
    make_tts: Callable[..., LokutorTTS],
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    word_timestamps: bool,
) -> AsyncIterator[Call]:
    """Hold a call on a track that plays what ``call.listener`` hears."""
    if word_timestamps:
        scripted.scripts.extend([speak_timed] * 10)
    tts = SPEAKERS[request.param](make_tts(scripted.url, word_timestamps=word_timestamps))
    async with calling(tts, track) as call:
        await call.listener.hear()
        yield call

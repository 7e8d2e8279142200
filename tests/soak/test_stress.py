"""Many cancellations, many calls at once, and the soak in its smallest form."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from kit import (
    PATIENCE,
    Conversation,
    ScriptedServer,
    chunks_of,
    heard_for,
    on_track,
    speak,
    speech_of,
    until,
)
from kit.processes import start_python
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from soak.leftovers import Usage, check_leftovers, check_memory, open_sockets
from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._audio.resample import Resampler

Maker = Callable[..., LokutorTTS]
TEXT = "Cut off."
CANCELLATIONS = 400
CALLS = 130
"""More than the 100 connections that a client session allows unless told otherwise."""


@pytest.mark.parametrize("prewarmed", [False, True])
async def test_no_cancellation_around_connect_is_swallowed_and_no_socket_stays_open(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, prewarmed: bool
) -> None:
    sockets = len(open_sockets())
    tts = make_tts(scripted.url, keep_warm=prewarmed)
    rng = random.Random(20)
    moments: Counter[str] = Counter()
    # The delays must hit the moments that matter, or nothing is shown.
    while moments.total() - moments["over"] < CANCELLATIONS // 2 or rarest(moments) < 5:
        assert moments.total() < 20 * CANCELLATIONS, moments
        if prewarmed and rng.random() < 0.5:
            await tts.prewarm()
        moments[await cancel_somewhere(tts, scripted, track, rng)] += 1
    await tts.aclose()
    await scripted.all_closed()
    # On both sides: one that was cut off before its upgrade is no conversation yet.
    await until(lambda: len(open_sockets()) <= sockets)


def rarest(moments: Counter[str]) -> int:
    return min(moments[moment] for moment in ("connecting", "connected", "speaking"))


async def cancel_somewhere(
    tts: LokutorTTS, server: ScriptedServer, track: CustomAudioStreamTrack, rng: random.Random
) -> str:
    """Cancel a call after a random delay, check that it ends cancelled, and return where it was.

    What was heard is the reply's beginning, so nothing of an earlier call has come late.
    """
    track.frame_buffer.clear()
    track.audio_data_buffer.clear()  # A rest that didn't fill a frame: nobody has interrupted the track.
    pulled: list[str] = []

    async def text() -> AsyncIterator[str]:
        pulled.append(TEXT)
        await random_delay(rng)
        yield TEXT

    texts = len(server.texts)
    task = asyncio.create_task(tts.synthesize(text()))
    await random_delay(rng)
    if task.done():
        return "over"
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
    heard = on_track(track)
    assert heard == heard_for(TEXT)[: len(heard)]
    if heard or len(server.texts) > texts:
        return "speaking"
    return "connected" if pulled else "connecting"


async def random_delay(rng: random.Random) -> None:
    """Let a few passes of the event loop go by, or about the time of a handshake."""
    if rng.random() < 0.6:
        for _ in range(rng.randrange(20)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(rng.random() * 0.004)


def all_at_once(server: ScriptedServer, calls: int) -> Callable[[Conversation], Awaitable[None]]:
    """Return a script that speaks once so many calls have sent their requests."""
    asked = 0
    everybody = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        nonlocal asked
        request = await conversation.request()
        asked += 1
        if asked == calls:
            everybody.set()
        await everybody.wait()
        await conversation.audio(speech_of(request["text"]))
        await conversation.end()
        await speak(conversation)

    return script


async def listen_to(tts: LokutorTTS, text: str) -> bytes:
    return b"".join([pcm async for pcm in tts.stream_synthesize(chunks_of([text]))])


async def test_no_call_of_one_plugin_waits_for_a_connector_slot(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    tts = make_tts(scripted.url, first_audio_timeout=PATIENCE)
    scripted.scripts.extend([all_at_once(scripted, CALLS)] * CALLS)
    async with asyncio.timeout(3 * PATIENCE):
        heard = await asyncio.gather(*(listen_to(tts, TEXT) for _ in range(CALLS)))
    assert scripted.peak == CALLS
    assert set(heard) == {heard_for(TEXT)}
    await scripted.all_closed()


async def test_live_calls_of_many_plugins_are_heard_whole_at_the_same_time(scripted: ScriptedServer) -> None:
    loop = asyncio.get_running_loop()
    tracks = [CustomAudioStreamTrack(loop) for _ in range(CALLS)]
    plugins = [
        LokutorTTS(api_key="test-key", base_url=scripted.url, first_audio_timeout=PATIENCE) for _ in tracks
    ]
    scripted.scripts.extend([all_at_once(scripted, CALLS)] * CALLS)
    try:
        for tts, track in zip(plugins, tracks, strict=True):
            tts.audio_track = track
        async with asyncio.timeout(3 * PATIENCE):
            await asyncio.gather(*(tts.synthesize(TEXT) for tts in plugins))
    finally:
        await asyncio.gather(*(tts.aclose() for tts in plugins))
    assert scripted.peak == CALLS
    assert {on_track(track) for track in tracks} == {heard_for(TEXT)}
    await until(lambda: scripted.open_connections == 0)


def test_a_long_reply_leaves_nothing_in_memory() -> None:
    resampler = Resampler(44_100, 24_000)
    resampler.process(bytes(4_096))
    before = sys.getallocatedblocks()
    for _ in range(5_000):
        resampler.process(bytes(4_096))
    assert sys.getallocatedblocks() - before < 500


async def run_soak(*arguments: str, anew: bool = False) -> subprocess.CompletedProcess[str]:
    process = await start_python(Path(__file__).parent, "--seed", "7", *arguments, anew=anew)
    printed, said = await asyncio.wait_for(process.communicate(), 9 * PATIENCE)
    assert process.returncode is not None
    return subprocess.CompletedProcess(arguments, process.returncode, printed.decode(), said.decode())


async def test_the_soak_passes_in_its_smallest_form() -> None:
    result = await run_soak("--turns", "40", "--plugins", "4", anew=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "seed 7" in result.stdout
    assert "turns          40 " in result.stdout
    assert result.stderr == ""


async def test_the_soak_fails_and_says_why_where_promises_are_broken() -> None:
    sabotages = ("audio", "memory", "socket", "task", "warning")
    options = [option for sabotage in sabotages for option in ("--sabotage", sabotage)]
    result = await run_soak("--turns", "8", "--plugins", "2", *options)
    assert result.returncode == 1, result.stdout + result.stderr
    for complaint in ("heard", "memory grew", "1 sockets were left", "a task was left", "never awaited"):
        assert complaint in result.stderr


USAGE = Usage(blocks=500_000, resident=100 * 2**20, descriptors=9, sockets=2)


@pytest.mark.parametrize(
    ("blocks", "mebibytes", "wrong"),
    [(500_000, 100, 0), (504_000, 104, 0), (600_000, 100, 1), (500_000, 120, 1), (600_000, 120, 2)],
)
def test_growth_beyond_noise_is_a_violation(blocks: int, mebibytes: int, wrong: int) -> None:
    last = Usage(blocks, mebibytes * 2**20, USAGE.descriptors, USAGE.sockets)
    assert len(check_memory(USAGE, last, 1_000)) == wrong


async def test_what_is_left_behind_is_a_violation() -> None:
    assert check_leftovers(USAGE, USAGE, set()) == []
    left = Usage(USAGE.blocks, USAGE.resident, 10, 3)
    assert len(check_leftovers(USAGE, left, set())) == 2
    task = asyncio.create_task(asyncio.sleep(0))
    assert len(check_leftovers(USAGE, USAGE, {task})) == 1
    await task

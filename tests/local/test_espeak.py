"""The real voice: what it says, when, and what becomes of its process."""

from __future__ import annotations

import array
import asyncio
import gc
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import espeakng_loader
import pytest
from kit import PATIENCE

from videosdk.plugins.lokutor._wire.protocol import LANGUAGES, SpeechRequest
from videosdk.plugins.lokutor.local.engine import SynthesisError
from videosdk.plugins.lokutor.local.espeak import INSTALL_HINT, EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.visemes import Viseme

VOICES = [f"{kind}{number}" for kind in "FM" for number in range(1, 6)]
LONG = "The rain in Spain stays mainly in the plain, they say; is it so? " * 8
RATE = 44_100


@pytest.fixture(autouse=True)
def nothing_unclosed() -> Iterator[None]:
    yield
    gc.collect()  # So that an unclosed transport warns in the test that caused it.


class Processes(list[asyncio.subprocess.Process]):
    """Those that were started, in order."""

    @property
    def running(self) -> asyncio.subprocess.Process:
        """The only one that runs."""
        [process] = [process for process in self if process.returncode is None]
        return process

    @property
    def all_ended(self) -> bool:
        return all(process.returncode is not None for process in self)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Return the processes that this test starts."""
    started, start = Processes(), asyncio.create_subprocess_exec

    async def start_and_note(*args: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*args, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_note)
    return started


@pytest.fixture
async def engine(processes: Processes) -> AsyncIterator[EspeakEngine]:
    engine = EspeakEngine()
    yield engine
    await engine.close()
    assert processes.all_ended


def request(text: str, voice: str = "F1", language: str = "en", speed: float = 1.0) -> SpeechRequest:
    return SpeechRequest(text, voice, language, speed, 5, visemes=True)


async def speak(engine: EspeakEngine, text: str, *args: Any) -> tuple[bytes, list[Viseme]]:
    pcm = bytearray()
    visemes: list[Viseme] = []
    async with asyncio.timeout(3 * PATIENCE):
        async for piece in engine.synthesize(request(text, *args)):
            heard = len(pcm) / 2 / RATE
            # The resampler holds back some of what came before: a millisecond or two.
            assert all(viseme.start >= heard - 0.01 for viseme in piece.visemes)
            assert len(piece.pcm) % 2 == 0
            pcm += piece.pcm
            visemes += piece.visemes
    return bytes(pcm), visemes


Spoken = tuple[bytes, list[Viseme]]


def same(one: Spoken, other: Spoken) -> bool:
    """Return whether the same was said: espeak-ng varies the lengths of sounds a little at random."""
    (pcm, visemes), (other_pcm, other_visemes) = one, other
    return abs(len(pcm) - len(other_pcm)) < 0.03 * len(pcm) and [
        (viseme.index, viseme.sound) for viseme in visemes
    ] == [(viseme.index, viseme.sound) for viseme in other_visemes]


def loudness(pcm: bytes) -> float:
    samples = array.array("h", pcm)
    return math.sqrt(sum(value * value for value in samples) / max(1, len(samples)))


# What it says


@pytest.mark.parametrize("language", sorted(LANGUAGES))
async def test_ten_different_voices_in_every_language(engine: EspeakEngine, language: str) -> None:
    spoken = [(await speak(engine, "Ana 2.", voice, language))[0] for voice in VOICES]
    assert all(loudness(pcm) > 300 for pcm in spoken)
    assert all(0.3 < len(pcm) / 2 / RATE < 4 for pcm in spoken)
    assert len(set(spoken)) == 10


async def test_no_voice_is_clipped(engine: EspeakEngine) -> None:
    text = "The good people of Barcelona, Sevilla and Paris. 12 - 3!"
    for voice, language in itertools.product(VOICES, ["en", "es", "pt"]):
        pcm, _ = await speak(engine, text, voice, language)
        assert max(map(abs, array.array("h", pcm))) < 31_000, (voice, language)


async def test_languages_differ_and_galician_is_spoken_as_spanish(engine: EspeakEngine) -> None:
    text = "Buenas tardes."
    spoken = {language: await speak(engine, text, "F1", language) for language in LANGUAGES}
    assert len({tuple(viseme.sound for viseme in visemes) for _, visemes in spoken.values()}) >= 7
    assert same(spoken["gl"], spoken["es"])


@pytest.mark.parametrize(("voice", "base"), [("en_m3", "M3"), ("esca_f2", "F2")])
async def test_the_newer_names_are_the_same_voices(engine: EspeakEngine, voice: str, base: str) -> None:
    assert same(await speak(engine, "Hello.", voice), await speak(engine, "Hello.", base))


async def test_a_cloned_voice_speaks_and_is_always_the_same(engine: EspeakEngine) -> None:
    first, again = [await speak(engine, "Hello.", "clone_ñ_7") for _ in range(2)]
    assert loudness(first[0]) > 300
    assert same(first, again)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
async def test_speed_is_honoured(engine: EspeakEngine, language: str) -> None:
    normal = len((await speak(engine, LONG, "F1", language))[0])
    for speed in (0.5, 0.75, 1.5, 2.0):
        pcm, _ = await speak(engine, LONG, "F1", language, speed)
        assert normal / len(pcm) == pytest.approx(speed, rel=0.1), speed


@pytest.mark.parametrize(
    "text",
    [
        "Été à Zürich, señor — ¿cómo está?",
        "😀 👩‍👩‍👧 🇪🇸",
        "日本語のテキスト",
        "العربية и русский",
        "3.14, 1,000,000 and 2026-11-21",
        "a\0b\0\0c",
        "<b>bold</b> & [[h@l'oU]]",
        "...",
        "é",
        "e\u0301",
        "\ufeff\u200b x",
        "line\nline\r\n\r\nline\ttab",
    ],
)
async def test_texts_of_all_kinds(engine: EspeakEngine, text: str) -> None:
    pcm, visemes = await speak(engine, text)
    check_visemes(text, pcm, visemes)
    pcm, _ = await speak(engine, "And the next one.")
    assert loudness(pcm) > 300


async def test_the_longest_text(engine: EspeakEngine) -> None:
    text = ("Five thousand characters, of which some are not ASCII: é, ñ. " * 90)[:4999] + "."
    pcm, visemes = await speak(engine, text, "M1", "en", 2.0)
    assert len(pcm) / 2 / RATE > 60
    check_visemes(text, pcm, visemes)
    assert visemes[-1].index > 4900


async def test_the_longest_text_without_a_space(engine: EspeakEngine) -> None:
    pcm, visemes = await speak(engine, "a" * 5000, "M1", "en", 2.0)
    check_visemes("a" * 5000, pcm, visemes)


# Visemes


def check_visemes(text: str, pcm: bytes, visemes: list[Viseme]) -> None:
    assert all(0 <= viseme.index < len(text) for viseme in visemes)
    times = [viseme.start for viseme in visemes]
    assert times == sorted(times)
    assert all(0 <= start <= len(pcm) / 2 / RATE for start in times)
    assert all(viseme.sound for viseme in visemes)
    indices = [viseme.index for viseme in visemes]
    assert indices == sorted(indices)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog, twice.", "en"),
        ("El niño comió pingüinos; ¡qué ñandú más ágil!", "es"),
        ("Œuvre déjà été là-bas, où ça?", "fr"),
        ("Über größere Straßen, äh, weiß man nichts.", "de"),
    ],
)
async def test_words_begin_at_their_characters(engine: EspeakEngine, text: str, language: str) -> None:
    pcm, visemes = await speak(engine, text, "F2", language)
    check_visemes(text, pcm, visemes)
    indices = {viseme.index for viseme in visemes if viseme.sound != "sil"}
    begins = {
        index
        for index, char in enumerate(text)
        if char.isalpha() and (index == 0 or not text[index - 1].isalpha())
    }
    # Unstressed words may be joined to their neighbours ("of the"): most are there, and none is off by one.
    assert len(begins & indices) >= 0.75 * len(begins)
    assert all(text[index].isalnum() for index in indices)


async def test_silence_is_where_the_visemes_say(engine: EspeakEngine) -> None:
    text = "Hello there. This is a pause. And this is the end!"
    for voice in ("F1", "M2", "F5"):
        pcm, visemes = await speak(engine, text, voice)
        ends = [viseme.start for viseme in visemes[1:]] + [len(pcm) / 2 / RATE]
        quiet, loud = b"", b""
        for viseme, end in zip(visemes, ends, strict=True):
            piece = pcm[2 * round(viseme.start * RATE) : 2 * round(end * RATE)]
            if viseme.sound == "sil":
                quiet += piece
            else:
                loud += piece
        assert len(quiet) > 2 * 0.2 * RATE
        assert loudness(quiet) < 0.1 * loudness(loud), voice


# Many clients, aborted requests


async def test_several_at_once_get_what_they_get_alone(engine: EspeakEngine) -> None:
    cases = [(f"Text number {number}, for one of many.", VOICES[number]) for number in range(10)]
    alone = [await speak(engine, *case) for case in cases]
    together = await asyncio.gather(*(speak(engine, *case) for case in cases))
    assert all(map(same, together, alone))


async def test_an_aborted_request_leaves_the_next_one_whole(engine: EspeakEngine) -> None:
    whole = await speak(engine, "The next one.")
    chooser = random.Random(1)
    for _ in range(40):
        task = asyncio.create_task(speak(engine, LONG))
        for _ in range(chooser.choice([0, 1, 2, 5, 20, 50, 200])):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert same(await speak(engine, "The next one."), whole)


async def test_a_request_left_after_its_first_pieces(engine: EspeakEngine, processes: Processes) -> None:
    whole = await speak(engine, "The next one.")
    for pieces in range(20):
        async with aclosing(engine.synthesize(request(LONG))) as speech:
            for _ in range(pieces):
                await anext(speech)
        assert same(await speak(engine, "The next one."), whole)
    assert len(processes) == 1


async def test_a_cancellation_that_comes_too_late_harms_nobody(
    engine: EspeakEngine, processes: Processes
) -> None:
    await engine.start()
    stdin = processes.running.stdin
    assert stdin is not None
    with patch.object(stdin, "write", wraps=stdin.write) as write:
        whole = await speak(engine, "The next one.")
        for _ in range(10):
            said = json.loads(write.call_args.args[0])
            stdin.write(json.dumps({"cancel": said["id"]}).encode() + b"\n")
            assert same(await speak(engine, "The next one."), whole)


async def test_a_second_cancellation_during_the_abort(engine: EspeakEngine) -> None:
    whole = await speak(engine, "The next one.")
    for turns in range(1, 12):
        task = asyncio.create_task(speak(engine, LONG))
        for _ in range(5 * turns):
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(3):  # The first comes to the synthesis by and by; so does the second.
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert same(await speak(engine, "The next one."), whole)


async def test_waiting_requests_may_be_aborted_too(engine: EspeakEngine) -> None:
    tasks = [asyncio.create_task(speak(engine, LONG)) for _ in range(10)]
    for task in tasks[1::2]:
        await asyncio.sleep(0)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[1::2])
    spoken = [result for result in results[::2] if not isinstance(result, BaseException)]
    assert len(spoken) == 5
    assert all(same(spoken[0], other) for other in spoken[1:])


# Its process


async def test_starting_and_closing_at_will(engine: EspeakEngine, processes: Processes) -> None:
    await engine.close()
    await asyncio.gather(engine.start(), engine.start())
    await engine.start()
    [process] = processes
    await asyncio.gather(engine.close(), engine.close())
    assert process.returncode == 0
    await engine.close()
    with pytest.raises(SynthesisError, match="closed"):
        await speak(engine, "Too late.")
    assert processes == [process]
    await engine.start()
    assert loudness((await speak(engine, "Again."))[0]) > 300


async def test_closing_while_it_starts(engine: EspeakEngine, processes: Processes) -> None:
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0)
    await engine.close()
    await starting
    assert processes.all_ended


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10, 30])
async def test_a_start_that_is_cancelled(engine: EspeakEngine, turns: int) -> None:
    starting = asyncio.create_task(engine.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert loudness((await speak(engine, "Now."))[0]) > 300


async def test_closing_while_it_speaks(engine: EspeakEngine, processes: Processes) -> None:
    await engine.start()
    tasks = [asyncio.create_task(speak(engine, LONG * 5)) for _ in range(3)]
    await asyncio.sleep(0)
    await engine.close()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, SynthesisError)
    assert len(processes) == 1
    assert processes.all_ended


async def test_a_process_that_was_killed_while_idle_is_replaced(
    engine: EspeakEngine, processes: Processes
) -> None:
    await engine.start()
    process = processes.running
    process.kill()
    await process.wait()
    assert loudness((await speak(engine, "As if nothing had happened."))[0]) > 300
    assert processes == [process, processes.running]


@pytest.mark.skipif(sys.platform == "win32", reason="a process can't be stopped there")
async def test_a_process_killed_in_the_middle_fails_that_request_only(
    engine: EspeakEngine, processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalServer(engine) as server, aiohttp.ClientSession() as session:
        process = processes.running
        async with session.ws_connect(server.url + "/ws/tts", headers={"X-API-Key": "k"}) as ws:
            os.kill(process.pid, signal.SIGSTOP)  # So that it is in the middle for certain.
            await ws.send_json({"text": LONG})
            await server.wait_until(lambda: bool(server.requests))
            process.kill()
            async with asyncio.timeout(PATIENCE):
                error = (await ws.receive_json())["data"]
            assert error["code"] == "tts.synthesis_failed"
            await ws.send_json({"text": "Next."})
            size = 0
            async with asyncio.timeout(PATIENCE):
                while (message := await ws.receive()).data != "EOS":
                    size += len(message.data)
            assert size > RATE // 2
        assert process.returncode is not None
        second = processes.running
    assert second.returncode == 0
    assert "has died" in caplog.text


async def test_the_worker_ends_with_its_input(engine: EspeakEngine, processes: Processes) -> None:
    await engine.start()
    process = processes.running
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def test_no_process_outlives_an_aborted_server(engine: EspeakEngine, processes: Processes) -> None:
    async with LocalServer(engine) as server, aiohttp.ClientSession() as session:
        ws = await session.ws_connect(server.url + "/ws/tts", headers={"X-API-Key": "k"})
        await ws.send_json({"text": LONG})
        await ws.receive()
        assert processes.running
    assert processes.all_ended


# The extra that is not installed


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def test_without_the_extra_it_says_how_to_install_it() -> None:
    code = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "espeakng_loader" else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
try:
    EspeakEngine()
except LocalVoiceMissingError as error:
    print(error)
"""
    result = run(code)
    assert result.stdout.strip() == INSTALL_HINT
    assert '"videosdk-plugins-lokutor[local]"' in INSTALL_HINT


async def test_a_library_that_does_not_load_is_a_synthesis_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: EspeakEngine,
    processes: Processes,
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "espeakng_loader.py"
    broken.write_text("raise ImportError('no such library')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SynthesisError, match="can't be started: no such library"):
        await engine.start()
    with pytest.raises(SynthesisError, match="can't be started"):
        await speak(engine, "Hello.")
    assert len(processes) == 2
    assert processes.all_ended
    assert capfd.readouterr().err == ""
    broken.unlink()
    assert loudness((await speak(engine, "Hello."))[0]) > 300


async def test_a_worker_that_dies_at_its_start_is_a_synthesis_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EspeakEngine
) -> None:
    (tmp_path / "espeakng_loader.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SynthesisError, match="can't be started"):
        await engine.start()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
async def test_a_deep_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EspeakEngine
) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    (deep / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(deep))
    assert loudness((await speak(engine, "Down here."))[0]) > 300


async def test_the_library_is_never_loaded_into_this_process(
    engine: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "espeakng_loader")  # This file has imported it.
    assert loudness((await speak(engine, "Hello."))[0]) > 300
    assert "espeakng_loader" not in sys.modules

"""Every Python example of the documents runs: against the local server, on the framework's own track."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import DOCS, ROOT
from kit import PATIENCE, Listener, emitted_by, pushed_samples, until
from kit.examples import replace_plugins
from test_examples import bind_calls
from videosdk.agents import TTS, Agent
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import LokutorError
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

TEXT = "Hello there."
LOCAL_URL = "ws://127.0.0.1:8765"
"""Where the documents' local server listens; the tests' is at a free port."""
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "release" / "pages").glob("*.md"))]


def examples() -> Iterator[Any]:
    """Yield each Python block of the README, the documents and VideoSDK's pages, named by file and line."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text[: match.start(1)].count("\n") + 1
            yield pytest.param(match.group(1), id=f"{path.name}:{line}")


def needs_an_account(code: str) -> bool:
    return "WorkerJob" in code


EXAMPLES = list(examples())
RUNNABLE = [example for example in EXAMPLES if not needs_an_account(example.values[0])]
AGENTS = [example for example in EXAMPLES if needs_an_account(example.values[0])]


class Avatar:
    """What an application would move."""

    def __init__(self) -> None:
        self.shapes: list[str] = []

    def morph_to(self, shape: str) -> None:
        self.shapes.append(shape)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    async with LocalServer(SignalEngine()) as server:
        monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
        monkeypatch.setenv("LOKUTOR_BASE_URL", server.url)
        yield server


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    ours = logging.getLogger("videosdk.plugins.lokutor")
    level, root_level = ours.level, logging.root.level
    yield
    ours.setLevel(level)
    logging.root.setLevel(root_level)


async def run(code: str, names: dict[str, Any]) -> None:
    """Run an example: one with a loop of its own in a thread, the others here."""
    program = compile(code, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if "asyncio.run(" in code:
        await asyncio.to_thread(exec, program, names)
    elif program.co_flags & inspect.CO_COROUTINE:
        await eval(program, names)  # noqa: S307 - our own documents
    else:
        exec(program, names)  # noqa: S102


async def hear(tts: TTS) -> None:
    """Have a plugin speak on a track that is played."""
    track = CustomAudioStreamTrack(asyncio.get_running_loop())
    tts.audio_track = track  # type: ignore[assignment]
    await tts.synthesize(TEXT)
    assert pushed_samples(track) > 0
    listener = Listener(track)
    while track.frame_buffer:
        await listener.hear()
        await asyncio.sleep(0)


@pytest.mark.parametrize("code", RUNNABLE)
async def test_an_example_runs(
    code: str,
    server: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    avatar = Avatar()
    plugins = [LokutorTTS(max_retries=0), LokutorTTS()]
    plugins[0].audio_track = CustomAudioStreamTrack(asyncio.get_running_loop())
    names = {"__name__": "example", "LokutorTTS": LokutorTTS, "avatar": avatar}
    names |= {"tts": plugins[0], "other_tts": plugins[1]}
    async with asyncio.timeout(PATIENCE):
        await run(code.replace(LOCAL_URL, server.url), names)
        tts: Any = names["tts"]
        told = {event: emitted_by(tts, event) for event in tts._handlers if event != "error"}
        await hear(tts)
        await until(lambda: all(told.values()))
        if "avatar" in code:
            await until(lambda: bool(avatar.shapes))
        if '"error"' in code:  # A pipeline listens to it as well.
            await server.close()
            with pytest.raises(LokutorError):
                await tts.synthesize(TEXT)
        for plugin in {*plugins, *(value for value in names.values() if isinstance(value, TTS))}:
            await plugin.aclose()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("code", AGENTS)
def test_an_agent_for_users_with_an_account_can_be_set_up(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the room is there: its classes are made, and each call binds to its signature."""
    replace_plugins(monkeypatch)
    monkeypatch.setenv("LOKUTOR_API_KEY", "test-key")
    names: dict[str, Any] = {"__name__": "agent"}
    exec(compile(code, "example", "exec"), names)  # noqa: S102
    assert bind_calls(ast.parse(code)) >= 4
    assert isinstance(names["Assistant"](), Agent)
    assert inspect.iscoroutinefunction(names["entrypoint"])


def test_no_example_is_overlooked() -> None:
    """Indented, or marked in another way, it would not be run."""
    marked = re.compile(r"^[ >]*(?:```|~~~) ?(?:py\w*|Python|\{code\S*)", re.MULTILINE)
    for path in PAGES:
        found = [example for example in EXAMPLES if str(example.id).startswith(f"{path.name}:")]
        assert len(marked.findall(path.read_text(encoding="utf-8"))) == len(found), path.name

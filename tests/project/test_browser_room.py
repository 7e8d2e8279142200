"""How the room of the agent in the browser is entered and left, and who may enter it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from kit import room as room_of_the_example
from kit.browser import Visit, visit
from kit.examples import EXAMPLES, environment_with
from kit.processes import Process, start_python
from kit.room import FAST, KEYS, LONG, SHORT, UNNOTICED, calls_are_over
from kit.waits import PATIENCE
from videosdk.agents import STT, SpeechData, SpeechEventType, STTResponse

from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.local.signal_engine import SignalEngine

if TYPE_CHECKING:
    from playwright.async_api import Browser


pytestmark = room_of_the_example.marks
example = room_of_the_example.example
service = room_of_the_example.service
room = room_of_the_example.room
browser = room_of_the_example.browser
caller = room_of_the_example.caller

PAGE = EXAMPLES / "browser" / "page"
KEY = "lk-5c1d-keep-me-at-home"


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


async def test_the_page_loads_nothing_from_elsewhere(room: Any) -> None:
    files = {file.name: file.read_bytes() for file in PAGE.iterdir()}
    async with aiohttp.ClientSession() as http:
        for name, content in files.items():
            async with http.get(room.url + name.replace("index.html", "")) as response:
                assert await response.read() == content
                assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
    text = b"".join(files.values()).decode()
    assert set(re.findall(r"(?:https?:)?//[\w.]+", text)) <= {"http://www.w3.org"}


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
    await calls_are_over()


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


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_is_run_as_a_user_does_and_ends_cleanly(browser: Browser, ending: signal.Signals) -> None:
    command = ("-W", "default::ResourceWarning", EXAMPLES / "browser_agent.py", "--port", "0")
    environment = environment_with(**dict.fromkeys(KEYS, ""))
    process = await start_python(*command, env=environment, anew=ending == signal.SIGINT)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        url = re.findall(r"http://127\.0\.0\.1:\d+/", line)[0]
        async with visit(browser, url, reduced_motion="no-preference") as caller:
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


@asynccontextmanager
async def call_of_a_process(browser: Browser) -> AsyncIterator[tuple[Visit, Process]]:
    """Yield a caller whom an agent greets that has a process of its own, and the process."""
    environment = environment_with(**dict.fromkeys(KEYS, ""))
    process = await start_python(EXAMPLES / "browser_agent.py", "--port", "0", env=environment)
    try:
        assert process.stdout is not None
        url = re.findall(r"http://127\.0\.0\.1:\d+/", (await process.stdout.readline()).decode())[0]
        async with visit(browser, url) as caller:
            await caller.join()
            await caller.told("word", turn=1, count=2)
            yield caller, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@room_of_the_example.module_fixture
async def frozen(browser: Browser) -> AsyncIterator[tuple[Visit, Process]]:
    """A caller of a process that was stopped: nothing comes, and nothing is closed either."""
    async with call_of_a_process(browser) as (caller, process):
        process.send_signal(signal.SIGSTOP)
        yield caller, process


async def test_a_lost_connection_that_comes_back_is_told(frozen: tuple[Visit, Process]) -> None:
    caller, process = frozen
    await caller.page.wait_for_selector("body[data-state='lost'] #state:text('It may come back')")
    process.send_signal(signal.SIGCONT)
    await caller.page.wait_for_selector("body:not([data-state='lost']) #state:text('The agent')")
    turn = await caller.ask(SHORT)
    await caller.told("word", turn=turn, count=2)
    process.send_signal(signal.SIGSTOP)  # For the last test.


async def test_the_end_of_the_agents_process_is_told_at_once(browser: Browser) -> None:
    async with call_of_a_process(browser) as (caller, process):
        await caller.page.evaluate(NOTICE_NOTHING)  # The browser itself takes a quarter of a minute.
        process.kill()
        await caller.page.wait_for_selector("#problem:not([hidden]) >> text=was lost")
        assert await caller.page.inner_text("#state") == "The call is over."


NOTICE_NOTHING = """() => {
  Object.defineProperty(testPeer, "connectionState", { value: "connected" });
  testPeer.onconnectionstatechange = null;
}"""


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
        await calls_are_over()
        await second.page.click("#join")  # And once more.
        await second.told("sound", after=len(second.events), turn=1)
    # The page is gone without a word.
    await calls_are_over()
    assert not [record for record in caplog.records if record.name in {"asyncio", "browser.room"}]


async def test_who_joins_in_an_outage_can_talk_when_it_is_over(
    browser: Browser, room: Any, service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await service.stop()
    async with visit(browser, room.url) as caller:
        await caller.join(FAST)
        assert (await caller.told("error"))["advice"].startswith("The local server has stopped")
        await caller.page.click("#outage")
        await caller.told("service", up=True)
        turn = await caller.ask(SHORT)
        await caller.told("played", turn=turn)
    await calls_are_over()
    assert not [record for record in caplog.records if record.name.startswith(("asyncio", "browser"))]


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
                    # No agent is coming.
                    await caller.page.wait_for_selector("body[data-state='failed'] #state:text('Ask again')")
                else:
                    await caller.told("sound", turn=1)
                assert KEY not in await caller.page.content()
                assert KEY not in json.dumps(caller.events)
        assert server.connections
        assert server.refusals["401"]


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


async def test_what_is_no_offer_leaves_the_call_alone(browser: Browser, room: Any) -> None:
    offers = ["nonsense", "v=0", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio", "[" * 60_000]
    headers = {"Content-Type": "application/json"}
    async with visit(browser, room.url) as caller, aiohttp.ClientSession() as http:
        await caller.join(FAST)
        for sdp in offers:
            await caller.told("sound", turn=1)
            body = sdp if sdp.startswith("[") else json.dumps({"sdp": sdp})
            response = await http.post(room.url + "call", data=body, headers=headers)
            assert response.status == 400, sdp[:50]
            words = len(caller.all_told("word", turn=1))
            await caller.told("word", turn=1, count=words + 1)
        await caller.told("played", turn=1)


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


async def test_a_lost_connection_that_stays_away_ends_the_call(frozen: tuple[Visit, Process]) -> None:
    caller, _ = frozen
    await caller.page.wait_for_selector("#problem:not([hidden]) >> text=was lost", timeout=1000 * UNNOTICED)
    assert await caller.page.inner_text("#state") == "The call is over."

"""The parts of the example of the agent in the browser that need no browser."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from av import AudioFrame
from kit.examples import EXAMPLES, run_example
from kit.tables import each
from kit.waits import PATIENCE
from videosdk.agents import EOUConfig, VADEventType, VADResponse
from videosdk.agents.event_emitter import EventEmitter
from vsaiortc import MediaStreamTrack

from videosdk.plugins.lokutor import SynthesisMetrics, WordSpoken
from videosdk.plugins.lokutor.errors import NetworkError


@pytest.fixture(scope="module")
def example() -> Iterator[SimpleNamespace]:
    """The modules of the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        names = ("call", "reporter", "script", "service", "settings", "written")
        parts = {name: importlib.import_module(f"browser.{name}") for name in names}
        yield SimpleNamespace(
            agent=importlib.import_module("browser_agent"), stage=importlib.import_module("_stage"), **parts
        )


class Emitter(EventEmitter[str]):
    """Emits what the test says, in the place of the framework or the plugin."""

    agent = None


class Telling:
    """A reporter, and what it has told the page."""

    def __init__(self, example: SimpleNamespace) -> None:
        self.told: list[dict[str, Any]] = []
        self.frame = example.call.Frame
        self.call = example.call.Call()
        self.call.send = self.told.append
        self.reporter = example.reporter.Reporter(self.call, is_service_up=lambda: False)
        self.session, self.pipeline, self.tts = Emitter(), Emitter(), Emitter()
        self.pipeline.tts = self.tts  # type: ignore[attr-defined]
        self.reporter.follow(self.session, self.pipeline)

    def state(self, state: str) -> None:
        """Have the agent's state change."""
        self.session.emit("agent_state_changed", {"state": state})

    def begin(self, *texts: str) -> None:
        """Begin a turn of which these texts are sent."""
        self.reporter.begin_turn("A question", "asked")
        self.state("thinking")
        for text in texts:
            self.reporter.on_text(text)
        self.state("speaking")

    def hear(self, *words: str) -> None:
        """Tell these words, the first of a turn."""
        for count, word in enumerate(words, 1):
            text = " ".join(words[:count])
            self.tts.emit("word_spoken", WordSpoken(word=word, cumulative_text=text, start=0.0, end=0.1))

    def play(self, *, audible: bool, fading: bool = False) -> None:
        """Play a frame."""
        self.call.track.on_frame(self.frame(audible, fading))

    def all_told(self, event: str, *names: str) -> list[tuple[Any, ...]]:
        """Return these details of each such event."""
        return [tuple(told[name] for name in names) for told in self.told if told["type"] == event]


@pytest.fixture
async def telling(example: SimpleNamespace) -> Any:
    telling = Telling(example)
    yield telling
    await telling.call.close()


async def test_a_word_that_begins_in_silence_belongs_to_the_turn_that_was_sent(telling: Telling) -> None:
    telling.begin("One two.")
    telling.play(audible=True)
    telling.hear("One", "two.")
    telling.state("idle")
    telling.begin("Please wait.")
    telling.play(audible=False)
    telling.hear("Please")
    telling.play(audible=True)
    telling.hear("Please", "wait.")
    assert telling.all_told("word", "turn", "count")[2:] == [(2, 1), (2, 2), (2, 3)]
    assert telling.all_told("sound", "turn") == [(1,), (2,)]


async def test_a_turn_without_a_sound_ends_as_itself(telling: Telling) -> None:
    telling.begin("One.")
    telling.play(audible=True)
    telling.state("idle")
    telling.begin("...")
    telling.play(audible=False)
    telling.state("idle")
    assert telling.all_told("played", "turn") == [(1,), (2,)]


async def test_what_was_not_heard_is_counted_at_the_cut(telling: Telling) -> None:
    telling.begin("One two.", "Three four.")
    telling.play(audible=True)
    telling.hear("One", "two.")
    telling.state("listening")
    telling.begin("Five six.")
    telling.state("listening")
    assert telling.all_told("cut", "turn", "unheard") == [(1, len(" Three four.")), (2, len("Five six."))]


async def test_figures_and_failures_belong_to_their_own_turns(telling: Telling) -> None:
    telling.begin("One two.")
    telling.tts.emit("metrics", metrics(requests=1, characters=8))
    telling.hear("One")
    telling.tts.emit("error", NetworkError("The connection was lost."))
    telling.state("idle")
    telling.reporter.begin_turn("Another question", "asked")
    telling.state("thinking")
    telling.tts.emit("metrics", metrics(requests=0, characters=0))  # It failed before it was sent.
    telling.tts.emit("error", NetworkError("There is no connection."))
    telling.begin("Three.")
    telling.tts.emit("metrics", metrics(requests=0, characters=0))  # Of a turn that was cancelled before.
    telling.state("idle")
    assert telling.all_told("metrics", "turn", "characters") == [(1, 8), (2, 0), (None, 0)]
    assert telling.all_told("error", "turn") == [(1,), (2,)]
    assert telling.all_told("played", "turn", "whole") == [(1, False), (3, True)]


def metrics(*, requests: int, characters: int) -> SynthesisMetrics:
    return SimpleNamespace(  # type: ignore[return-value]
        time_to_first_byte=0.1,
        standby_used=True,
        requests=requests,
        characters=characters,
        characters_unheard=0,
        audio_received=1.0,
        interrupted=False,
    )


async def test_silence_is_no_voice_from_the_first_frame_on(example: SimpleNamespace) -> None:
    activity = example.stage.VoiceActivity(16_000)
    events: list[VADEventType] = []

    async def note(response: VADResponse) -> None:
        events.append(response.event_type)

    async def follow(seconds: float, *, voice: bool) -> None:
        for _ in range(round(seconds / 0.02)):
            await activity.follow(0.02, voice=voice, energy=0.1 * voice)

    activity.on_vad_event(note)
    await follow(1.0, voice=False)
    assert events == []
    await follow(0.2, voice=True)
    await follow(1.0, voice=False)
    assert events == [VADEventType.START_OF_SPEECH, VADEventType.END_OF_SPEECH]


class Microphone(MediaStreamTrack):
    """Sends a few frames, and nothing more once it is off."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._left = 5

    async def recv(self) -> AudioFrame:
        if not self._left:
            await asyncio.Event().wait()
        self._left -= 1
        frame = AudioFrame(format="s16", layout="mono", samples=960)
        frame.sample_rate = 48_000
        frame.planes[0].update(b"\x01" * 1_920)
        return frame


async def test_a_microphone_that_is_off_is_silent_for_long_enough_to_end_a_voice(
    example: SimpleNamespace,
) -> None:
    activity = example.stage.VoiceActivity(48_000)
    call, ended = example.call.Call(), asyncio.Event()

    async def note(response: VADResponse) -> None:
        if response.event_type is VADEventType.END_OF_SPEECH:
            ended.set()

    async def take(pcm: bytes) -> None:
        await activity.follow(len(pcm) / 2 / 48_000, voice=any(pcm), energy=0.1)

    activity.on_vad_event(note)
    call.on_audio = take
    call._peer.emit("track", Microphone())
    await asyncio.wait_for(ended.wait(), PATIENCE)
    await call.close()


@each(
    ("question", "language", "expected"),
    [
        ("Who are you?", "en", "I have no language model here"),
        ("Who are you?", "es", "Aqu\N{LATIN SMALL LETTER I WITH ACUTE}"),
        ("Wer bist du?", "de", "Ich habe hier kein Sprachmodell"),
        ("Who are you?", "xx", "I have no language model here"),
        ("how much is a ticket?", "de", "A return ticket is twelve euros"),
    ],
)
def test_an_unknown_question_is_answered_in_the_language_of_the_call(
    question: str, language: str, expected: str, example: SimpleNamespace
) -> None:
    assert example.script.find_answer(question, language).startswith(expected)


def test_what_is_no_port_is_refused_in_words() -> None:
    ended = run_example("browser_agent.py", "--port", "70000")
    assert ended.returncode == 2
    assert "must be a whole number from 0 to 65535, got '70000'" in ended.stderr
    assert "Traceback" not in ended.stderr


@each("port", ["-1", "65536", "8770.5", "", "eight", "\N{SUPERSCRIPT TWO}"])
def test_other_texts_are_no_ports_either(port: str, example: SimpleNamespace) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        example.agent.port_number(port)


PRONUNCIATIONS = {"nginx": "engine x", "SQL": "ess queue ell", "New York": "noo yawk", "C++": "see plus plus"}


@each(
    ("sent", "written"),
    [
        ("I like engine x", "I like nginx"),
        ("My ess queue ell is ess queue ell.", "My SQL is SQL."),
        ("(engine x), in noo yawk!", "(nginx), in New York!"),
        ("engine xyz or see plus plus 11", "engine xyz or C++ 11"),
        ("engine x/engine x", "nginx/nginx"),
        ("Nothing else.", "Nothing else."),
    ],
)
def test_what_was_sent_is_found_as_it_was_written(sent: str, written: str, example: SimpleNamespace) -> None:
    units = example.written.find_units(sent, PRONUNCIATIONS)
    assert " ".join(unit.written for unit in units) == written
    assert " ".join(unit.spoken for unit in units) == sent


async def test_what_was_not_heard_is_counted_as_it_was_sent(telling: Telling) -> None:
    telling.reporter.pronunciations = PRONUNCIATIONS
    telling.begin("My ess queue ell is", "engine x behind noo yawk, engine x and more.")
    telling.play(audible=True)
    # Whoever has written "engine x" hears these words.
    telling.hear("My", "SQL", "is", "nginx", "behind", "New", "York,", "engine", "x")
    telling.state("listening")
    assert telling.all_told("cut", "unheard") == [(len(" and more."),)]


async def test_a_turn_that_ends_before_it_sounds_is_told(telling: Telling) -> None:
    telling.begin("One.")
    telling.play(audible=True)
    telling.state("idle")
    telling.reporter.begin_turn("A question", "asked")
    telling.state("thinking")
    telling.state("listening")  # Interrupted.
    telling.reporter.begin_turn("Another", "asked")
    telling.reporter.on_text("Two.")
    telling.begin("Three.")  # In its place.
    telling.play(audible=True)
    telling.state("idle")
    assert telling.all_told("dropped", "turn") == [(2,), (3,)]
    assert telling.all_told("played", "turn") == [(1,), (4,)]


async def test_without_speech_recognition_no_voice_is_taken_for_over_because_it_has_no_words(
    example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework would drop the interruption by a voice that begins at that moment."""
    monkeypatch.setattr(example.agent, "find_mind", lambda language: None)
    async with example.service.Service() as service, aiohttp.ClientSession() as http:
        for ears, seconds in ((None, 0.0), (example.stage.ScriptedSTT(), EOUConfig().stt_silence_timeout)):
            monkeypatch.setattr(example.agent, "find_ears", lambda ears=ears: ears)
            pipeline = example.agent.make_pipeline(service, example.settings.Settings(), http)
            assert pipeline.eou_config.stt_silence_timeout == seconds
            await pipeline.tts.aclose()


async def test_a_local_server_that_is_stopped_keeps_its_port(example: SimpleNamespace) -> None:
    service = example.service.Service()
    async with service:
        port = service.server.port
        await service.stop()
        with socket.socket() as other, pytest.raises(OSError, match=r"(?i)in use|only one usage"):
            other.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await service.start()
        assert service.server.port == port
        await service.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))

"""The examples: one conversation is held, as a user would, and its files are listened to and looked at."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import inspect
import itertools
import os
import re
import signal
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kit import at_track_rate
from kit.examples import EXAMPLES, Running, fork_python, replace_plugins, run_python
from kit.processes import start_python
from PIL import Image
from videosdk.agents import AgentSession, RoomOptions, _plugins
from videosdk.agents.event_emitter import EventEmitter

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE, SAMPLE_WIDTH
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.visemes import MOUTH_SHAPES, Viseme

CONVERSATION = EXAMPLES / "conversation.py"
VOICE_AGENT = EXAMPLES / "voice_agent.py"

RATE = 24_000
AUDIBLE = 33  # -60 dB of full scale.
TIMEOUT = 180

# Runs the example. It ends at once when anything but this machine is looked up or connected to, and complains
# of tasks that are left over. Garbage is collected at the end, so that what was never closed can warn.
GUARD = """
import asyncio, gc, ipaddress, os, runpy, sys

def is_here(host):
    if isinstance(host, bytes):
        host = host.decode()
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def watch(event, arguments):
    host = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if not is_here(host):
        os.write(2, f"{event} {host}\\n".encode())
        os._exit(97)

async def watched(main):
    result = await main
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        print("left over:", task, file=sys.stderr)
    return result

run = asyncio.run
asyncio.run = lambda main: run(watched(main))
sys.addaudithook(watch)
script = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
runpy.run_path(script, run_name="__main__")
gc.unfreeze()
gc.collect()
"""


@dataclass(frozen=True)
class Call:
    """What a run of the conversation left behind."""

    stdout: str
    stderr: str
    status: int
    folder: Path

    @property
    def story(self) -> list[tuple[float, str, str]]:
        """Each line of the story: when, who, what."""
        begun = re.split(r"^ *(\d+\.\d\d)  (\w+) +", self.stdout, flags=re.MULTILINE)[1:]
        texts = (" ".join(text.split("\n\n")[0].split()) for text in begun[2::3])
        return [(float(at), who, text) for at, who, text in zip(begun[::3], begun[1::3], texts, strict=True)]

    @property
    def sent(self) -> str:
        return " ".join(what.strip('"') for _, who, what in self.story if who == "sent")

    @property
    def memory(self) -> tuple[int, str]:
        """What is remembered of the answer that was cut off: how many words it says, and which."""
        (line,) = [what for _, who, what in self.story if who == "agent" and what.startswith("remembers")]
        told = re.fullmatch(r'remembers the (\d+) words that were heard: "(.+)"', line)
        assert told, line
        return int(told[1]), told[2]

    def moments(self, start: str) -> list[float]:
        return [at for at, who, what in self.story if who == "agent" and what.startswith(start)]

    def channels(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        with wave.open(str(self.folder / "conversation.wav")) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
            stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).astype(np.int32)
        return stereo[:, 0], stereo[:, 1]


@pytest.fixture(scope="module", autouse=True)
def conversation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, Path]]:
    """Begin the conversation, which takes its time: meanwhile, the tests that don't need it are run.

    Then, each test waits for the next part of it.
    """
    folder = tmp_path_factory.mktemp("call")
    guard = folder / "guard.py"
    guard.write_text(GUARD, encoding="utf-8")
    command: list[str | Path] = [
        "-W",
        "default::ResourceWarning",
        guard,
        CONVERSATION,
        "--out",
        folder / "out",
    ]
    if not any(PARTS & set(getattr(item, "fixturenames", ())) for item in request.session.items):
        command = ["-c", ""]  # Nobody asks for it.
    # A developer's own token must not make the example phone home either.
    with Running(command, anew=True, VIDEOSDK_AUTH_TOKEN="token") as running:
        yield running, folder / "out"


PARTS = {"running", "call"}
"""The fixtures of the tests that need the conversation."""


@pytest.fixture(scope="module")
def running(conversation: tuple[Running, Path]) -> Running:
    return conversation[0]


@pytest.fixture(scope="module")
def call(conversation: tuple[Running, Path]) -> Call:
    running, folder = conversation
    done = running.ends()
    return Call(done.stdout, done.stderr, done.returncode, folder)


def spans(samples: npt.NDArray[np.int32], gap: float = 0.8) -> list[tuple[float, float]]:
    """Return where it sounds, pauses shorter than ``gap`` seconds included."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    if not loud.size:
        return []
    breaks = np.flatnonzero(np.diff(loud) > gap * RATE)
    first = [loud[0], *loud[breaks + 1]]
    last = [*loud[breaks], loud[-1]]
    return [(start / RATE, end / RATE) for start, end in zip(first, last, strict=True)]


SHAPES = sorted(set(MOUTH_SHAPES.values()))


def short_call(made: ModuleType, words_per_second: float) -> Any:
    """Return the recording of a reply of eight words, cut off at 2.5 s and silent at 2.7 s."""
    hum = (8_000 * np.sin(np.arange(round(2.7 * RATE)) / 20)).astype("<i2").tobytes()
    voice = bytes(RATE) + hum[RATE:] + bytes(5 * RATE)
    size = 2 * made.FRAME
    words = [made.Word(f"word-{number}", "", 0.5 + number / words_per_second) for number in range(8)]
    turn = made.Turn(
        requests=[made.Request("All of it.", 0.4)],
        first_audio_at=0.5,
        words=[*words[:-1], made.Word("word-7", "the whole", words[-1].at)],
        mouths=[made.Mouth(shape, 0.6 + number * 0.1) for number, shape in enumerate(SHAPES)],
        interruption=made.Speech("Stop!", 2.0, 3.0),
        cut_at=2.5,
        remembered="the whole",
    )
    recording = made.Recording([turn])
    for start in range(0, len(voice) // size * size, size):
        recording.add_frame(voice[start : start + size], bytes(size))
    return recording


@pytest.mark.parametrize("words_per_second", [3.5, 6.0])
def test_words_stand_legibly_where_they_were_heard(
    words_per_second: float, examples: SimpleNamespace
) -> None:
    recording = short_call(examples.recording, words_per_second)
    figure = examples.timeline._draw(recording)
    labels = {label.get_text(): label for axes in figure.axes for label in axes.texts}
    boxes = [labels[word.text].get_window_extent() for word in recording.turns[0].words]
    strip = labels["word-0"].axes
    for word, box in zip(recording.turns[0].words, boxes, strict=True):
        assert 0 <= strip.transData.inverted().transform(box)[0][0] - word.at < 0.05
    boxes.append(labels["the agent remembers up to here"].get_window_extent())
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])


def test_words_without_room_are_lines_alone(examples: SimpleNamespace) -> None:
    figure = examples.timeline._draw(short_call(examples.recording, 30.0))
    boxes = [
        label.get_window_extent()
        for axes in figure.axes
        for label in axes.texts
        if label.get_text().startswith("word-")
    ]
    assert 3 <= len(boxes) < 8
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])


def test_timeline_does_not_claim_a_memory_that_differs(examples: SimpleNamespace) -> None:
    recording = short_call(examples.recording, 3.5)
    recording.turns[0].remembered = "the"
    figure = examples.timeline._draw(recording)
    texts = [label.get_text() for axes in figure.axes for label in axes.texts]
    assert "word-7" in texts
    assert "the agent remembers up to here" not in texts


def test_each_mouth_shape_lasts_until_the_next_or_the_cut(examples: SimpleNamespace) -> None:
    figure = examples.timeline._draw(short_call(examples.recording, 3.5))
    (strip,) = [axes for axes in figure.axes if axes.patches]
    drawn = [(patch.get_extents(), patch.get_facecolor()) for patch in strip.patches]
    extents = [strip.transData.inverted().transform(box)[:, 0] for box, _ in drawn]
    moments = [*(0.6 + number * 0.1 for number in range(len(SHAPES))), 2.5]
    assert np.allclose(extents, list(itertools.pairwise(moments)))
    assert len({color for _, color in drawn}) == len({box.height for box, _ in drawn}) == len(SHAPES)


def test_timeline_needs_neither_words_nor_visemes(examples: SimpleNamespace) -> None:
    """A server need not send any."""
    recording = short_call(examples.recording, 3.5)
    recording.turns[0].words.clear()
    recording.turns[0].mouths.clear()
    recording.turns[0].remembered = ""
    figure = examples.timeline._draw(recording)
    assert not any(axes.patches for axes in figure.axes)
    assert not any("remembers up to" in label.get_text() for axes in figure.axes for label in axes.texts)


def test_events_belong_to_the_reply_that_is_heard(examples: SimpleNamespace) -> None:
    """Also while the next one is being made."""
    recording = examples.recording.Recording()
    narrator = examples.narrator.Narrator(recording, "Good morning.")
    tts, session = EventEmitter[str](), EventEmitter[str]()
    session.get_context_history = list  # type: ignore[attr-defined]
    pipeline: Any = EventEmitter[str]()
    pipeline.tts = tts
    narrator.follow(SimpleNamespace(now=lambda: 1.5), session, pipeline)

    def tell(word: str) -> None:
        tts.emit("word_spoken", {"word": word, "cumulative_text": word, "start": 0.0, "end": 0.1})
        tts.emit("visemes", [Viseme(0, "m", 0.0), Viseme(1, "\u02c8", 0.1), Viseme(2, "a", 0.1)])

    session.emit("agent_state_changed", {"state": "speaking"})
    tell("Good")
    narrator.on_answer("At ten.")
    tell("morning.")
    session.emit("agent_state_changed", {"state": "idle"})
    session.emit("agent_state_changed", {"state": "speaking"})
    tell("At")
    first, second = recording.turns
    assert [(word.text, word.at) for word in first.words] == [("Good", 1.5), ("morning.", 1.5)]
    assert first.heard_text == "morning."
    assert [word.text for word in second.words] == ["At"]
    assert [mouth.shape for mouth in second.mouths] == ["lips_together", "open_medium"]
    assert len(first.mouths) == 4


MISSING = {
    "matplotlib": "matplotlib is not installed",
    "videosdk.plugins.lokutor": "videosdk.plugins.lokutor is not installed",
    "espeakng_loader": "The local voice is not installed",
}


@pytest.mark.parametrize("package", MISSING)
def test_missing_package_is_one_line(package: str, tmp_path: Path) -> None:
    blocker = tmp_path / "block.py"
    blocker.write_text(
        "import runpy, sys\n"
        # A fork has imported them already.
        "for name in [name for name in sys.modules if name.startswith('videosdk.plugins.lokutor')]:\n"
        "    del sys.modules[name]\n"
        f"sys.modules[{package!r}] = None\n"
        f"sys.path.insert(0, {str(EXAMPLES)!r})\n"
        f"runpy.run_path({str(CONVERSATION)!r}, run_name='__main__')\n",
        encoding="utf-8",
    )
    done = fork_python([blocker])
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert MISSING[package] in done.stderr
    assert "pip install" in done.stderr
    assert "[local]" in done.stderr


INTERRUPTED = (130, "Interrupted.\n")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell and its signals")


@POSIX
@pytest.mark.parametrize("module", ["aiohttp", "_timeline"])
def test_ctrl_c_while_it_starts_is_one_line(module: str, tmp_path: Path) -> None:
    starter = tmp_path / "start.py"
    starter.write_text(
        "import os, runpy, signal, sys\n"
        "class Interrupter:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupter())\n"
        f"sys.path.insert(0, {str(EXAMPLES)!r})\n"
        f"runpy.run_path({str(CONVERSATION)!r}, run_name='__main__')\n",
        encoding="utf-8",
    )
    done = (fork_python if module == "_timeline" else run_python)([starter])
    assert (done.returncode, done.stderr) == INTERRUPTED


@POSIX
@pytest.mark.parametrize("moment", ["sent", "speaks"])
async def test_ctrl_c_in_the_call_is_one_line_and_leaves_nothing(moment: str, tmp_path: Path) -> None:
    options = ("-W", "default::ResourceWarning")
    process = await start_python(*options, CONVERSATION, "--out", tmp_path / "out")
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT):
        while moment not in (line := (await process.stdout.readline()).decode()):
            assert line
        os.killpg(process.pid, signal.SIGINT)
        # Ends when nobody has these open any more: neither the program nor the local voice's process.
        _, said = await process.communicate()
    assert (process.returncode, said.decode()) == INTERRUPTED
    assert os.listdir(tmp_path) == []


@POSIX
async def test_a_reader_that_has_enough_is_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", 0) as output:  # noqa: ASYNC230 - it is a pipe
        process = await start_python(CONVERSATION, "--out", tmp_path, streams={"stdout": writing})
        os.close(writing)
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.to_thread(output.readline)
    async with asyncio.timeout(TIMEOUT):
        _, said = await process.communicate()
    assert said.startswith(b"The call failed.")
    assert said.count(b"\n") == 1


def test_a_folder_that_can_not_be_made_is_one_line(
    examples: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = importlib.import_module("conversation")
    file = tmp_path / "a file"
    file.touch()
    # The call itself is held elsewhere; this one has been.
    monkeypatch.setattr(conversation, "hold_conversation", lambda _: short_call(examples.recording, 3.5))
    monkeypatch.setattr(sys, "argv", ["conversation.py", "--out", str(file)])
    with pytest.raises(SystemExit) as ended:
        conversation.main()
    assert str(file) in str(ended.value)
    assert "\n" not in str(ended.value)


def test_service_needs_a_key() -> None:
    done = fork_python([CONVERSATION, "--service"])
    assert done.returncode == 2
    assert "LOKUTOR_API_KEY" in done.stderr.splitlines()[-1]


def test_unreachable_service_is_one_line(closed_port: int, tmp_path: Path) -> None:
    base_url = f"ws://127.0.0.1:{closed_port}"
    done = fork_python(
        [CONVERSATION, "--service", "--out", tmp_path],
        LOKUTOR_API_KEY="secret-key",
        LOKUTOR_BASE_URL=base_url,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The call failed.")
    assert done.stderr.count("\n") == 1
    assert "secret-key" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_error_in_the_call_is_one_line(tmp_path: Path) -> None:
    done = fork_python([CONVERSATION, "--voice", "nobody", "--out", tmp_path])
    assert done.returncode == 1
    assert done.stderr.startswith("The call failed. TTS: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_voice_agent_imports_what_there_is() -> None:
    imports = [node for node in ast.walk(parse(VOICE_AGENT)) if isinstance(node, ast.ImportFrom)]
    plugins = 0
    for node in imports:
        for alias in node.names:
            if alias.name in _plugins._REGISTRY:
                assert _plugins._REGISTRY[alias.name] == node.module
                plugins += 1
            else:
                assert hasattr(importlib.import_module(str(node.module)), alias.name), alias.name
    assert plugins >= 4


def test_voice_agent_calls_what_there_is() -> None:
    assert bind_calls(parse(VOICE_AGENT)) >= 6


def bind_calls(tree: ast.Module) -> int:
    """Bind each call of the framework's classes to their signatures; return how many there are."""
    module = importlib.import_module("videosdk.agents")
    checked = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        target = AgentSession.start if name == "session.start" else getattr(module, name, None)
        if target is None:
            continue
        keywords = {str(keyword.arg): None for keyword in node.keywords}
        own = [None] if name == "session.start" else []
        inspect.signature(target).bind(*own, *(None for _ in node.args), **keywords)
        if target is RoomOptions:  # It takes any keyword, and forgets the unknown ones.
            assert all(hasattr(RoomOptions, keyword) for keyword in keywords)
        checked += 1
    return checked


def test_voice_agent_can_be_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other vendors' plugins replaced, the module loads and describes its room."""
    replace_plugins(monkeypatch)
    monkeypatch.setenv("VIDEOSDK_AUTH_TOKEN", "token")
    spec = importlib.util.spec_from_file_location("voice_agent", VOICE_AGENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "ferries" in module.FerryAgent().instructions.lower()
    assert inspect.iscoroutinefunction(module.entrypoint)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def load_constants(path: Path) -> dict[str, Any]:
    """Return the literals that a module assigns at its top, without running it."""
    constants = {}
    for node in parse(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                constants[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return constants


# The conversation, which was begun before all of these


def told(who: str, what: str = "") -> str:
    """Return what matches the beginning of a line of the story."""
    return rf"^ *\d+\.\d\d  {who} +{what}"


def played_out(text: str) -> str:
    """Return what matches the line of a reply that was heard to its end."""
    return told("agent", rf"has spoken {len(text.split())} words in \d")


def in_order(*patterns: str) -> str:
    return r"[\s\S]*?".join(patterns)


def test_the_agent_greets_the_caller(running: Running) -> None:
    running.prints(played_out(load_constants(CONVERSATION)["GREETING"]))


def test_the_caller_has_heard_the_greeting_before_the_question(running: Running) -> None:
    said = load_constants(CONVERSATION)
    question = told("caller", re.escape(f'"{said["WHEN"]}'))
    running.prints(in_order(r"\A", played_out(said["GREETING"]), question, told("agent", "thinks")))


def test_an_answer_arrives_while_it_is_heard(running: Running) -> None:
    part = running.prints(in_order(told("agent", "thinks"), told("agent", "speaks"), told("cost")))
    assert "has spoken" not in part[0]


def test_an_answer_is_heard_to_its_end(running: Running) -> None:
    running.prints(played_out(load_constants(CONVERSATION)["ANSWERS"]["next boat"]))


def test_the_next_question_is_answered(running: Running) -> None:
    heard = played_out(load_constants(CONVERSATION)["ANSWERS"]["next boat"])
    running.prints(in_order(heard, told("caller"), told("agent", "thinks"), told("agent", "speaks")))


def test_the_caller_talks_while_the_agent_speaks(running: Running) -> None:
    price = load_constants(CONVERSATION)["PRICE"]
    part = running.prints(in_order(r"\A", told("caller", re.escape(f'"{price}'))))[0]
    assert part.count("agent   speaks") == part.count("has spoken") + 1


def test_the_answer_is_cut_off_and_remembered(running: Running) -> None:
    running.prints(in_order(told("agent", "is cut off"), told("agent", "remembers the")))


def test_the_last_answer_arrives_while_it_is_heard(running: Running) -> None:
    cut, thinks, speaks = (told("agent", what) for what in ("is cut off", "thinks", "speaks"))
    part = running.prints(in_order(cut, thinks, speaks, told("cost")))
    assert "has spoken" not in part[0]


def test_the_last_answer_is_heard_to_its_end(running: Running) -> None:
    running.prints(played_out(load_constants(CONVERSATION)["ANSWERS"]["ticket"]))


def test_conversation_ends_well_and_quietly(call: Call) -> None:
    assert (call.status, call.stderr) == (0, ""), call.stdout


def test_conversation_is_heard_in_four_turns(call: Call) -> None:
    agent, caller = call.channels()
    assert 20 < len(agent) / RATE < 40
    turns = spans(agent)
    assert len(turns) == 4
    assert all(end - start > 1.5 for start, end in turns)
    assert all(np.abs(agent[round(start * RATE) : round(end * RATE)]).max() > 3_000 for start, end in turns)
    assert np.abs(agent).max() < 32_767
    assert len(spans(caller)) == 3


def test_the_story_agrees_with_the_recording(call: Call) -> None:
    first_audio = call.moments("speaks")
    starts = [start for start, _ in spans(call.channels()[0])]
    assert len(first_audio) == 4
    # A voice needs a moment to rise, and a busy machine one to tell of it.
    assert all(abs(start - at) < 0.25 for at, start in zip(first_audio, starts, strict=True))


def test_each_turn_tells_what_it_cost(call: Call) -> None:
    costs = [what for _, who, what in call.story if who == "cost"]
    assert len(costs) == 4
    assert all("the standby connection, first byte after" in cost for cost in costs)
    assert [cost.endswith("interrupted") for cost in costs] == [False, False, True, False]


def test_caller_cuts_the_agent_off(call: Call) -> None:
    agent, caller = call.channels()
    (cut,) = call.moments("is cut off")
    breaks_in = spans(caller)[2][0]
    assert 0.1 < cut - breaks_in < 1.2
    before = agent[round((cut - 0.5) * RATE) : round(cut * RATE)]
    assert np.abs(before).max() > 1_000
    answer = next(at for at in call.moments("speaks") if at > cut)
    # The framework fades out for 0.4 s, and a frame may be on its way. A busy machine tells of the answer
    # late.
    after = agent[round((cut + 0.45) * RATE) : round((answer - 0.25) * RATE)]
    assert len(after) > RATE
    assert np.abs(after).max() == 0


def test_what_comes_after_the_cut_is_never_sent(call: Call) -> None:
    answers = load_constants(CONVERSATION)["ANSWERS"]
    long = answers["can i see"]
    assert answers["next boat"] in call.sent
    assert call.sent.endswith(answers["ticket"])
    assert long[:100] in call.sent
    assert long not in call.sent
    last_sentence = long.rsplit(". ", 1)[1]
    assert last_sentence not in call.sent


def test_every_word_of_a_reply_that_is_played_out_is_told(call: Call) -> None:
    told = [what for _, who, what in call.story if who == "agent" and what.startswith("has spoken")]
    constants = load_constants(CONVERSATION)
    texts = [constants["GREETING"], constants["ANSWERS"]["next boat"], constants["ANSWERS"]["ticket"]]
    counts = [f"has spoken {len(text.split())} words in" for text in texts]
    assert all(line.startswith(count) for line, count in zip(told, counts, strict=True)), told


def test_agent_remembers_the_long_answer_word_by_word(call: Call) -> None:
    count, remembered = call.memory
    words = load_constants(CONVERSATION)["ANSWERS"]["can i see"].split()
    assert remembered.split() == words[:count]
    assert 8 < count < len(words) / 2
    assert f" {remembered} " in f" {call.sent} "


async def test_agent_remembers_what_is_on_the_recording(call: Call) -> None:
    """The reply is spoken again, to know where on the recording its words begin."""
    long = load_constants(CONVERSATION)["ANSWERS"]["can i see"]
    sent = [what.strip('"') for _, who, what in call.story if who == "sent"]
    pcm, starts = await speak([text for text in sent if text in long])
    whole = np.frombuffer(at_track_rate(pcm), "<i2").astype(np.int32)
    agent, _ = call.channels()
    begun = spans(agent)[2][0] - spans(whole)[0][0]
    (cut,) = call.moments("is cut off")
    on_recording = agent[round(begun * RATE) : round(cut * RATE)]
    again = whole[: len(on_recording)]
    assert np.corrcoef(loudness(on_recording), loudness(again))[0, 1] > 0.95
    count, _ = call.memory
    # A word is told with the frame of 20 ms that it begins in; one that begins with the cut may be missed.
    assert starts[count - 1] < cut - begun + 0.03
    assert starts[count] > cut - begun - 0.08


def loudness(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Return it for each 10 ms."""
    step = RATE // 100
    pieces = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    return np.asarray(np.sqrt((pieces**2).mean(1)))


async def speak(texts: list[str]) -> tuple[bytes, list[float]]:
    """Return the agent's voice for a reply's requests, and when each of its words begins."""
    engine = EspeakEngine()
    pcm, starts = b"", []
    try:
        for text in texts:
            before = len(pcm) / SAMPLE_WIDTH / SAMPLE_RATE
            visemes: list[Viseme] = []
            async for speech in engine.synthesize(SpeechRequest(text, "F1", "en", 1.05, 5)):
                pcm += speech.pcm
                visemes += speech.visemes
            for word in re.finditer(r"\S+", text):
                sounds = [item.start for item in visemes if word.start() <= item.index < word.end()]
                starts.append(before + min(sounds))
    finally:
        await engine.close()
    return pcm, starts


def test_timeline_shows_all_that_it_should(call: Call) -> None:
    with Image.open(call.folder / "timeline.png") as picture:
        width, height = picture.size
        colours = picture.convert("RGB").getcolors(width * height)
    assert colours is not None
    assert width > 1_500
    assert height > 2_500
    counts = np.array([count for count, _ in colours])
    shades = np.array([shade for _, shade in colours])
    least = {"#0072B2": 5_000, "#C98200": 2_000, "#007F5F": 500, "#D55E00": 200}
    mouths = {"#CC6677": 5_000, "#882255": 2_000, "#DDCC77": 200, "#88CCEE": 1_000, "#332288": 200}
    for color, count in {**least, **mouths}.items():
        wanted = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
        assert counts[np.abs(shades - wanted).max(-1) <= 2].sum() > count, color


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules that the conversation is made of."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = ("recording", "timeline", "narrator")
    return SimpleNamespace(**{name: importlib.import_module(f"_{name}") for name in names})

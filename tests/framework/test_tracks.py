"""Every audio track of the framework: audio whole, silent at a barge-in, words and visemes, the next turn.

The tracks are videosdk-agents' own, each with what is behind it: a listener, sinks, a client's WebSocket.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import websockets
from kit import (
    Conversation,
    Listener,
    ScriptedServer,
    emitted_by,
    follows,
    heard_for,
    on_track,
    requests_of,
    settled,
    speak_timed,
    speech_of,
    until,
    visemes_of,
)
from videosdk.agents.room.output_stream import (
    CustomAudioStreamTrack,
    MixingCustomAudioStreamTrack,
    TeeCustomAudioStreamTrack,
    TeeMixingCustomAudioStreamTrack,
)
from videosdk.agents.speech_generation import SpeechGeneration
from videosdk.agents.transports.webrtc_handler import WebRTCOutputTrack
from videosdk.agents.transports.websocket_handler import WebSocketTransportHandler

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]

TEXTS = ["Whole, and to the sample.", "This as well."]
LONG = "This goes on for a long time, much longer than anybody wants to hear."
NEXT = "Of course: the next."


@dataclass
class Place:
    """A track, and what is behind it.

    Attributes:
        track: The track.
        received: Returns all audio that has come to whoever listens, played or waiting.
        listener: Plays the track; None where nobody does.
        counts: Whether the track counts what it plays.
        signals: What the other side was told besides audio.
    """

    track: Any
    received: Callable[[], bytes]
    listener: Listener | WebRTCListener | None
    counts: bool = True
    signals: list[str] = field(default_factory=list)

    def play_at(self, rate: int) -> None:
        """Let the track be one of ``rate``."""
        track = self.track
        track.sample_rate = rate
        track.samples = track.samples_per_frame = rate // 50
        track.chunk_size = track.frame_size = rate // 25


Kind = Callable[[], AbstractAsyncContextManager[Place]]


def played(kind: type[CustomAudioStreamTrack]) -> Kind:
    """Return a track that the room plays."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        track = kind(asyncio.get_running_loop())
        listener = Listener(track)
        yield Place(track, lambda: listener.heard + on_track(track), listener)

    return place


def recorded(kind: type[TeeCustomAudioStreamTrack | TeeMixingCustomAudioStreamTrack]) -> Kind:
    """Return a track that passes its audio on to a recorder as well, which then hears in the room's place."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        recording = bytearray()
        track = kind(asyncio.get_running_loop(), sinks=[recording.extend])
        yield Place(track, lambda: bytes(recording), Listener(track))

    return place


class Avatar:
    """A sink like the framework's ``AvatarAudioOut``, whose module Python 3.11 can't compile (1.0.30).

    It sends audio on in chunks, and each takes a while to leave.
    """

    def __init__(self) -> None:
        self.sent = b""

    async def handle_audio_input(self, audio_data: bytes) -> None:
        for start in range(0, len(audio_data), 15_000):
            await asyncio.sleep(0.002)
            self.sent += audio_data[start : start + 15_000]


@asynccontextmanager
async def of_an_avatar() -> AsyncIterator[Place]:
    """Return a track that hands its audio to an avatar, which suspends in it."""
    avatar = Avatar()
    track = TeeCustomAudioStreamTrack(asyncio.get_running_loop(), sinks=[avatar])
    yield Place(track, lambda: avatar.sent, Listener(track))


@asynccontextmanager
async def of_a_websocket() -> AsyncIterator[Place]:
    """Return the WebSocket transport's track, with a client that takes what comes: nobody plays the track."""
    handler = WebSocketTransportHandler(asyncio.get_running_loop(), pipeline=None)
    audio, signals = bytearray(), list[str]()

    async def listen(client: websockets.ClientConnection) -> None:
        async for message in client:
            if isinstance(message, bytes):
                audio.extend(message)
            else:
                signals.append(json.loads(message)["type"])

    async with websockets.serve(handler._handle_connection, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]  # type: ignore[index]
        async with websockets.connect(f"ws://127.0.0.1:{port}") as client:
            listening = asyncio.create_task(listen(client))
            await until(lambda: bool(handler.audio_track.sinks))  # type: ignore[union-attr]
            yield Place(handler.audio_track, lambda: bytes(audio), None, signals=signals)
        await listening


class WebRTCListener:
    """Plays a track of the WebRTC transport."""

    def __init__(self, track: WebRTCOutputTrack) -> None:
        self._track = track
        self.heard = b""

    async def hear(self, frames: int) -> None:
        """Play so many frames of 20 ms."""
        for _ in range(frames):
            self._track._start_time = 0.0  # Long ago: there is much to catch up on.
            frame = await self._track.recv()
            self.heard += frame.to_ndarray().tobytes()


@asynccontextmanager
async def of_webrtc() -> AsyncIterator[Place]:
    """Return the WebRTC transport's track, which counts nothing."""
    track = WebRTCOutputTrack(asyncio.get_running_loop())
    if not hasattr(track, "readyState"):
        track.readyState = (
            "live"  # As of aiortc's track, which the framework does without where it is missing.
        )
    listener = WebRTCListener(track)

    def received() -> bytes:
        waiting = [frame.to_ndarray().tobytes() for frame in track.frame_queue._queue]  # type: ignore[attr-defined]
        return listener.heard + b"".join(waiting) + bytes(track.audio_buffer)

    yield Place(track, received, listener, counts=False)


KINDS: dict[str, Kind] = {
    "room": played(CustomAudioStreamTrack),
    "room with background audio": played(MixingCustomAudioStreamTrack),
    "recorded": recorded(TeeCustomAudioStreamTrack),
    "recorded with background audio": recorded(TeeMixingCustomAudioStreamTrack),
    "avatar": of_an_avatar,
    "WebSocket": of_a_websocket,
    "WebRTC": of_webrtc,
}


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with KINDS[request.param]() as place:
        yield place


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer, place: Place) -> LokutorTTS:
    scripted.scripts.extend([speak_timed] * 5)
    tts = make_tts(scripted.url, word_timestamps=True, visemes=True)
    tts.audio_track = place.track
    return tts


@pytest.fixture
async def generation(tts: LokutorTTS, place: Place) -> SpeechGeneration:
    """Return what drives the plugin and the track in the framework."""
    generation = SpeechGeneration(tts=tts, audio_track=place.track)
    generation.set_audio_track(place.track)
    return generation


def texts(words: list[dict[str, Any]]) -> list[str]:
    return [word["word"] for word in words]


async def hear(place: Place, frames: int) -> None:
    if place.listener is not None:
        await place.listener.hear(frames)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_the_audio_is_whole(
    generation: SpeechGeneration, place: Place, scripted: ScriptedServer, rate: int
) -> None:
    place.play_at(rate)
    await generation.synthesize(requests_of(*TEXTS))  # type: ignore[arg-type]
    expected = heard_for(*TEXTS, rate=rate)
    await until(lambda: len(place.received()) >= len(expected))
    assert place.received() == expected
    assert scripted.texts == TEXTS


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
async def test_words_and_visemes_come_with_their_audio(
    generation: SpeechGeneration, tts: LokutorTTS, place: Place, rate: int
) -> None:
    place.play_at(rate)
    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    await generation.synthesize(requests_of(*TEXTS))  # type: ignore[arg-type]
    assert follows(tts)
    if place.listener is None:  # Nobody plays it, so nothing is heard.
        await settled()
        assert (words, visemes) == ([], [])
        return
    if place.counts:
        await settled()
        assert words == []
        await hear(place, len(TEXTS[0]) - 1)
        await until(lambda: texts(words) == TEXTS[0].split())
    await hear(place, len(TEXTS[1]) + 1)
    await until(lambda: not follows(tts))
    assert texts(words) == " ".join(TEXTS).split()
    starts = [words[number]["start"] for number in (0, 1, -1)]
    assert starts == pytest.approx([0.0, 7 / 50, (len(TEXTS[0]) + TEXTS[1].index("well")) / 50])
    sounds = [item for batch in visemes for item in batch]
    assert [round(item.start * 50) for item in sounds] == list(range(len("".join(TEXTS))))


def half(go_on: asyncio.Event) -> Callable[[Conversation], Any]:
    """Return the script of a service that has the rest of ``LONG`` ready when it was talked over."""

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of(LONG))
        await conversation.audio(speech_of(LONG[:40]))
        await go_on.wait()
        await conversation.audio(speech_of(LONG[40:]))
        await conversation.end()

    return script


@pytest.mark.parametrize("done", [False, True], ids=["in the middle", "after the last audio"])
async def test_a_barge_in_silences_it_and_the_next_turn_is_whole(
    generation: SpeechGeneration, tts: LokutorTTS, place: Place, scripted: ScriptedServer, done: bool
) -> None:
    go_on, words = asyncio.Event(), emitted_by(tts, "word_spoken")
    place.track.interrupt_fade_duration = 0.0
    if not done:
        scripted.scripts.appendleft(half(go_on))
    turn = asyncio.create_task(generation.synthesize(LONG))
    await until(lambda: len(place.received()) > 9_600)
    if done:
        await turn
    await hear(place, 5)
    await generation.interrupt()
    await until(lambda: bool(place.signals) or place.listener is not None)
    told, before = len(words), place.received()
    go_on.set()
    await turn
    await hear(place, 5)
    await settled()
    silence = place.received()[len(before) :]
    assert silence == bytes(len(silence))
    assert len(words) == told
    assert not follows(tts)

    words.clear()
    before = place.received()
    await generation.synthesize(NEXT)
    expected = heard_for(NEXT)
    await until(lambda: len(place.received()) >= len(before) + len(expected))
    assert place.received()[len(before) :] == expected
    await hear(place, len(NEXT))
    if place.listener is not None:
        await until(lambda: texts(words) == NEXT.split())


async def test_three_turns_one_after_another(
    generation: SpeechGeneration, tts: LokutorTTS, place: Place
) -> None:
    words, whole = emitted_by(tts, "word_spoken"), b""
    for text in (*TEXTS, NEXT):
        words.clear()
        await generation.synthesize(text)
        whole += heard_for(text)
        await until(lambda whole=whole: len(place.received()) >= len(whole))  # type: ignore[misc]
        assert place.received() == whole
        await hear(place, len(text))
        if place.listener is not None:
            await until(lambda text=text: texts(words) == text.split())  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["room", "avatar", "WebRTC"])
async def test_a_call_keeps_its_track_when_there_is_none_any_more(
    make_tts: Maker, scripted: ScriptedServer, kind: str
) -> None:
    """As where a pipeline lets go of its track in mid-call."""
    go_on = asyncio.Event()

    async def slowly(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.text(visemes_of(text))
        await conversation.audio(speech_of(text[:20]))
        await go_on.wait()
        await conversation.audio(speech_of(text[20:]))
        await conversation.end()

    scripted.scripts.append(slowly)
    tts = make_tts(scripted.url, word_timestamps=True)
    words = emitted_by(tts, "word_spoken")
    async with KINDS[kind]() as place:
        tts.audio_track = place.track
        turn = asyncio.create_task(tts.synthesize(LONG))
        await until(lambda: len(place.received()) > 9_600)
        tts.audio_track = None
        go_on.set()
        await turn
        assert place.received() == heard_for(LONG)
        await hear(place, len(LONG))
        await until(lambda: texts(words) == LONG.split())
        await tts.interrupt()
        tts.audio_track = place.track


async def test_late_visemes_do_not_move_the_words_of_the_next_request(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    """They come behind the end of their request, when the next was already sent."""
    first, second = "All of it is in its place.", "And so is this."

    async def late(conversation: Conversation) -> None:
        items = json.loads(visemes_of((await conversation.request())["text"]))
        await conversation.text(json.dumps(items[:5]))
        await conversation.audio(speech_of(first))
        await conversation.end()
        await conversation.request()
        await conversation.text(json.dumps(items[5:]))
        await conversation.text(visemes_of(second))
        await conversation.audio(speech_of(second))
        await conversation.end()

    scripted.scripts.append(late)
    tts = make_tts(scripted.url, word_timestamps=True, visemes=True)
    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    async with KINDS["room"]() as place:
        tts.audio_track = place.track
        await tts.synthesize(requests_of(first, second))
        await hear(place, len(first + second))
        await until(lambda: texts(words) == f"{first} {second}".split())
    places = [match.start() for match in re.finditer(r"\S+", first)]
    places += [len(first) + match.start() for match in re.finditer(r"\S+", second)]
    assert [word["start"] * 50 for word in words] == pytest.approx(places)
    assert not any("estimated" in word for word in words)
    sounds = [item for batch in visemes for item in batch]
    assert [round(item.start * 50) for item in sounds] == list(range(len(first + second)))


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
async def test_a_listener_that_raises_hurts_neither_audio_nor_the_next_word(
    generation: SpeechGeneration, tts: LokutorTTS, place: Place, error: type[BaseException]
) -> None:
    """The framework's emitter lets a CancelledError out, as of a task that was cancelled."""

    def raises(_told: Any) -> None:
        raise error("somebody's mistake")

    async def is_async(_told: Any) -> None:
        return

    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    for event in ("word_spoken", "visemes"):
        tts.on(event, raises)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Async handlers are not supported"):
            tts.on(event, is_async)  # type: ignore[arg-type]
    await generation.synthesize(TEXTS[0])
    await until(lambda: len(place.received()) >= len(heard_for(TEXTS[0])))
    assert place.received() == heard_for(TEXTS[0])
    await hear(place, len(TEXTS[0]))
    if place.listener is not None:
        await until(lambda: texts(words) == TEXTS[0].split())
        await until(lambda: sum(map(len, visemes)) == len(TEXTS[0]))

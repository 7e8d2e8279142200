"""Several providers in one turn: what is heard, told and remembered when one of them fails in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kit import (
    PATIENCE,
    Conversation,
    Listener,
    Script,
    ScriptedServer,
    chunks_of,
    emitted_by,
    heard_for,
    interrupt_late,
    listen,
    on_track,
    pushed_samples,
    requests_of,
    settled,
    speak_timed,
    speech_of,
    until,
    visemes_of,
)
from kit.agents import Call, calling, left_to_us
from videosdk.agents import TTS, FallbackTTS, FlushMarker, Pipeline
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk.plugins.lokutor import LokutorTTS, TransparentFallbackTTS, text_filter
from videosdk.plugins.lokutor.errors import InvalidRequestError, NetworkError, RateLimitError, ServiceError

Maker = Callable[..., LokutorTTS]
KINDS = ["say", "reply", "user"]
NOBODY = "ws://127.0.0.1:9"
REPLY = "Half of it is lost."
BROKEN_OFF = "Half of it"


def failing_after(spoken: str) -> Script:
    """Return a script that speaks so much of its request, and fails for good."""

    async def fail(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.text(visemes_of(text))
        await conversation.audio(speech_of(spoken))
        await conversation.text('{"type": "error", "code": "internal.cancelled"}')
        await conversation.gone()

    return fail


async def refuse(conversation: Conversation) -> None:
    """Open the connection, and refuse the first request for good."""
    await conversation.request()
    await conversation.text('{"type": "error", "code": "validation.invalid_voice"}')
    await conversation.gone()


async def speak_one(conversation: Conversation) -> None:
    """Speak the first request, and refuse the next."""
    await conversation.audio(speech_of((await conversation.request())["text"]))
    await conversation.end()
    await refuse(conversation)


@pytest.fixture
async def second() -> AsyncIterator[ScriptedServer]:
    """Return the service of the second provider."""
    async with ScriptedServer() as server:
        server.scripts.extend([speak_timed] * 10)
        yield server


Pair = Callable[..., TransparentFallbackTTS]


@pytest.fixture
def pair(
    make_tts: Maker, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> Pair:
    """Return a maker of two providers in one, each with a service of its own, on the test's track."""

    def make(url: str = scripted.url, seconds: float = 60.0, **options: Any) -> TransparentFallbackTTS:
        first = make_tts(url, max_retries=0, **options)
        tts = TransparentFallbackTTS([first, make_tts(second.url, **options)], temporary_disable_sec=seconds)
        tts.audio_track = track
        return tts

    return make


class ForeignTTS(TTS):
    """A plugin of somebody else's: it takes all text at once, then speaks it, then fails if it shall.

    Args:
        fails_after: How many characters it speaks before it fails; None if it doesn't.
        raises: Whether it raises then; otherwise it only emits its error.
        words: Whether it tells words.
    """

    def __init__(self, fails_after: int | None = None, *, raises: bool = True, words: bool = False) -> None:
        super().__init__(sample_rate=24_000, word_timestamps=words)
        self.fails_after = fails_after
        self.raises = raises
        self.taken: list[str] = []
        self.first_chunk_sent = False
        self.loop: Any = None

    def reset_first_audio_tracking(self) -> None:
        self.first_chunk_sent = False

    async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
        self.taken.append(" ".join([piece async for piece in text if isinstance(piece, str)]))
        spoken = self.taken[-1][: self.fails_after]
        if spoken:
            await self._push(spoken)
        if self.fails_after is not None:
            self.emit("error", "out of order")
            if self.raises:
                raise RuntimeError("out of order")

    async def _push(self, spoken: str) -> None:
        if not self.first_chunk_sent and self._first_audio_callback is not None:
            self.first_chunk_sent = True
            await self._first_audio_callback()
        assert self.audio_track is not None
        await self.audio_track.add_new_bytes(heard_for(spoken))
        words = spoken.split()
        for count in range(len(words) if self.supports_word_timestamps else 0):
            word = {"word": words[count], "cumulative_text": " ".join(words[: count + 1])}
            self.emit("word_spoken", word)

    async def interrupt(self) -> None:
        return


def interims_of(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: count + 1]) for count in range(len(words))]


async def heard_up_to(call: Call, words: str) -> None:
    """Play the track until the words were heard, frame by frame."""
    async with asyncio.timeout(PATIENCE):
        while call.room.interims[-1:] != [words]:
            await call.listener.hear()
            await settled()


async def heard_to_the_end(call: Call, text: str) -> None:
    """Wait until the room was told of each word, and then of the whole."""
    await until(lambda: call.room.interims[-1:] == [text])
    await until(lambda: call.room.has_exactly(text) and bool(call.room.finals))
    await call.over()
    await until(lambda: call.session.agent_state.value == "idle")
    await settled()
    assert call.room.has_exactly(text)
    assert call.room.interims == interims_of(text)


async def spoken(tts: TransparentFallbackTTS, track: CustomAudioStreamTrack, text: Any) -> bytes:
    """Speak ``text`` while the track is played, and return all that is heard."""
    heard = bytearray()

    async def play() -> None:
        while True:  # As fast as the clock: played faster, words are told late.
            heard.extend((await track.recv()).to_ndarray().astype("<i2").tobytes())

    playing = asyncio.create_task(play())
    await until(lambda: bool(heard))
    await asyncio.wait_for(tts.synthesize(text), PATIENCE)
    await until(lambda: not track.frame_buffer)
    playing.cancel()
    await asyncio.wait({playing})
    return bytes(heard).strip(b"\0")


# What is passed on


async def test_all_providers_are_prewarmed(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer
) -> None:
    await pair().prewarm()
    assert (len(scripted.conversations), len(second.conversations)) == (1, 1)


async def test_a_provider_that_cannot_be_prewarmed_keeps_no_other_from_it(
    second: ScriptedServer, pair: Pair
) -> None:
    tts = pair()

    async def fail() -> None:
        raise RuntimeError("no")

    tts.providers[0].prewarm = fail
    await tts.prewarm()
    assert len(second.conversations) == 1


async def test_the_pipelines_chunker_takes_the_active_providers_language(make_tts: Maker) -> None:
    tts = TransparentFallbackTTS([make_tts(NOBODY, language="es"), ForeignTTS()])
    assert Pipeline(tts=tts).chunking_language == "es"
    assert TransparentFallbackTTS([ForeignTTS()]).language is None


@pytest.mark.parametrize("kind", KINDS)
async def test_words_reach_the_room_and_the_memory(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    scripted.scripts.append(speak_timed)
    tts = pair(word_timestamps=True)
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, "Hello there. How are you?")
        await heard_to_the_end(call, "Hello there. How are you?")
        assert len(words) == 5


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_is_talked_over_is_remembered_as_heard(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    scripted.scripts.append(speak_timed)
    async with calling(pair(word_timestamps=True), track) as call:  # type: ignore[arg-type]
        await call.begin(kind, "This goes on for a long time.")
        await until(lambda: len(track.frame_buffer) >= 29)
        await heard_up_to(call, "This goes on")
        await call.cut()
        await settled()
        assert call.room.has_exactly("This goes on")
        assert ("assistant", "This goes on") in call.memory


async def test_a_reply_that_is_cut_off_before_its_first_word_is_not_remembered(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(lambda conversation: conversation.gone())
    async with calling(pair(word_timestamps=True), track) as call:  # type: ignore[arg-type]
        await call.begin("reply", REPLY)
        await until(lambda: scripted.texts == [REPLY])
        await call.cut()
        assert call.room.ours == []
        assert ("assistant", REPLY) not in call.memory


async def test_visemes_and_metrics_are_passed_on(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_timed)
    tts = pair(visemes=True)
    visemes = emitted_by(tts, "visemes")  # type: ignore[arg-type]
    metrics = emitted_by(tts, "metrics")  # type: ignore[arg-type]
    await spoken(tts, track, "Hello.")
    await until(lambda: sum(map(len, visemes)) == len("Hello."))
    assert len(metrics) == 1


async def test_a_stream_is_the_active_providers(pair: Pair, track: CustomAudioStreamTrack) -> None:
    pcm = b"".join([piece async for piece in pair().stream_synthesize("A phrase.")])
    assert pcm == heard_for("A phrase.")
    assert not pushed_samples(track)


async def test_a_hooks_turn_has_its_final_transcript(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = pair(word_timestamps=True)
    async with calling(tts, track) as call:  # type: ignore[arg-type]

        @call.pipeline.on("tts")
        async def speak(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for pcm in tts.stream_synthesize(text):
                yield pcm

        call.play()
        await call.begin("reply", "Hello there.")
        await until(lambda: bool(call.room.finals))
        assert call.room.finals == ["Hello there."]


async def test_text_that_is_there_goes_out_in_as_few_requests_as_without_it(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tokens = ["Here ", "is ", "a ", "first ", "one. ", "And ", "here ", "is ", "another ", "one."]
    first = make_tts(scripted.url, pacing=False)
    await first.synthesize(chunks_of(tokens))
    tts = TransparentFallbackTTS([first])
    tts.audio_track = track
    await tts.synthesize(chunks_of(tokens))
    assert scripted.texts == ["".join(tokens)] * 2


# The next provider, in the same turn


@pytest.mark.parametrize("kind", KINDS)
async def test_the_whole_reply_if_the_first_cannot_be_reached(
    pair: Pair, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    tts = pair(NOBODY, word_timestamps=True)
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, "Hello there.")
        await heard_to_the_end(call, "Hello there.")
        assert second.texts == ["Hello there."]
    assert [type(error) for error in errors] == [NetworkError]  # Once, though it was raised as well.


@pytest.mark.parametrize("kind", KINDS)
async def test_the_whole_reply_if_the_first_refuses_it_when_text_was_taken(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    scripted.scripts.append(refuse)
    tts = pair()
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, "Hello there. How are you?")
        await until(lambda: " ".join(second.texts) == "Hello there. How are you?")
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle")
        await settled()
        assert call.memory[-1] == ("assistant", "Hello there. How are you?")
    assert [type(error) for error in errors] == [InvalidRequestError]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_goes_on_behind_the_word_at_which_the_first_broke_off(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    tts = pair(word_timestamps=True)
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, REPLY)
        await heard_to_the_end(call, REPLY)
        assert second.texts == ["is lost."]
        assert call.memory[-1] == ("assistant", REPLY)
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    assert starts[3] == pytest.approx(len(BROKEN_OFF) * 0.02, abs=0.021)


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("Half of e", "everything is lost."),
        ("Half of ever", "everything is lost."),
        ("Half of everythi", "is lost."),
    ],
)
async def test_a_word_of_which_less_than_half_was_heard_is_said_again(
    pair: Pair,
    scripted: ScriptedServer,
    second: ScriptedServer,
    track: CustomAudioStreamTrack,
    heard: str,
    rest: str,
) -> None:
    reply = "Half of everything is lost."
    scripted.scripts.append(failing_after(heard))
    async with calling(pair(word_timestamps=True), track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("reply", reply)
        await until(lambda: bool(call.room.finals))
        await call.over()
        assert second.texts == [rest]
        assert call.room.has_exactly(reply)
        assert call.memory[-1] == ("assistant", reply)


async def test_nothing_is_heard_twice_or_lost(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_one)
    heard = await spoken(pair(), track, requests_of("One two.", "Three four.", "Five."))
    assert scripted.texts == ["One two.", "Three four."]
    assert second.texts == ["Three four.", "Five."]
    assert heard.startswith(heard_for("One two.").strip(b"\0"))
    assert heard.endswith(heard_for("Three four.", "Five.").strip(b"\0"))


async def test_visemes_go_on_behind_those_of_the_first(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    tts = pair(visemes=True, word_timestamps=True)
    visemes = emitted_by(tts, "visemes")  # type: ignore[arg-type]
    await spoken(tts, track, REPLY)
    await until(lambda: sum(map(len, visemes)) >= len(REPLY) - 1)
    told = {viseme.index: viseme.sound for batch in visemes for viseme in batch}
    assert {index: REPLY[index] for index in told if told[index] != "sil"} == {
        index: sound for index, sound in told.items() if sound != "sil"
    }
    assert max(told) == len(REPLY) - 1


async def test_an_interruption_behind_the_change_remembers_what_both_have_said(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    async with calling(pair(word_timestamps=True), track) as call:  # type: ignore[arg-type]
        await call.listener.hear()
        await call.begin("reply", REPLY)
        await heard_up_to(call, "Half of it is")
        await call.cut()
        await settled()
        assert call.room.has_exactly("Half of it is")
        assert call.memory[-1] == ("assistant", "Half of it is")


async def test_without_word_timing_too(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """An estimate, as it is without a change."""
    first = "This is a first sentence that is short."
    rest = "And this is the second one that is spoken by somebody else in another voice."

    async def only_one(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.audio(speech_of(text))
        await conversation.end()
        await refuse(conversation)

    scripted.scripts.append(only_one)
    async with calling(pair(), track) as call:  # type: ignore[arg-type]
        await call.listener.hear()
        await call.begin("reply", f"{first} {rest}")
        async with asyncio.timeout(PATIENCE):
            while not (second.texts and len(track.frame_buffer) >= len(second.texts[0])):
                await call.listener.hear(not second.texts)
                await asyncio.sleep(0.001)
        assert scripted.texts[0] == first
        await call.listener.hear(len(rest) // 2)
        await call.cut()
        remembered = call.memory[-1][1]
    assert remembered.startswith(first)
    assert f"{first} {rest}".startswith(remembered)
    assert len(remembered) == pytest.approx(len(first) + len(rest) / 2, abs=12)


@asynccontextmanager
async def half_heard(
    kind: str, pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> AsyncIterator[Call]:
    """Hold a call in which the first provider has failed, and half of what it has spoken is heard."""
    scripted.scripts.append(failing_after(BROKEN_OFF))
    tts = pair(word_timestamps=True)
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        await call.listener.hear()
        await call.begin(kind, REPLY)
        await until(lambda: bool(errors))
        await heard_up_to(call, "Half of")
        yield call


async def test_an_interruption_while_the_first_is_still_heard_begins_no_second(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with half_heard("say", pair, scripted, track) as call:
        await call.cut()
        await settled()
        assert call.room.has_exactly("Half of")
        assert second.texts == []


async def test_an_interruption_while_the_language_model_thinks_ends_the_turn(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    closed = asyncio.Event()

    async def thinking() -> AsyncIterator[str]:
        try:
            yield "One two."
            await asyncio.Event().wait()
        finally:
            closed.set()

    scripted.scripts.append(failing_after("One two."))
    tts = pair(word_timestamps=True)
    errors, words = listen(tts), emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    listener = Listener(track)
    await listener.hear()
    turn = asyncio.create_task(tts.synthesize(thinking()))
    await until(lambda: bool(errors))
    while len(words) < 2:
        await listener.hear()
        await settled()
    await listener.hear(20)
    await tts.interrupt()
    await asyncio.wait_for(turn, PATIENCE)
    assert closed.is_set()
    assert second.texts == []


async def test_the_first_audio_is_told_once(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    tts = pair()
    released: list[None] = []

    async def on_first_audio() -> None:
        released.append(None)

    tts.on_first_audio_byte(on_first_audio)
    await spoken(tts, track, REPLY)
    assert len(released) == 1


@pytest.mark.parametrize("whole", [False, True])
async def test_the_late_second_interrupt_does_not_reach_the_next_turn(
    whole: bool, pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([speak_timed] * 2)
    await interrupt_late(pair(), track, "Heard whole.", spoken=whole)  # type: ignore[arg-type]
    assert on_track(track) == heard_for("Heard whole.")


@pytest.mark.parametrize("broken_off", ["", BROKEN_OFF])
async def test_a_user_who_talks_over_a_failing_provider_hears_the_next_answer_whole(
    pair: Pair,
    scripted: ScriptedServer,
    second: ScriptedServer,
    track: CustomAudioStreamTrack,
    broken_off: str,
) -> None:
    scripted.scripts.append(failing_after(broken_off) if broken_off else refuse)
    second.scripts.appendleft(speak_timed)
    tts = pair(word_timestamps=True)
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("user", REPLY)
        await until(lambda: len(call.room.interims) >= 2)
        said = call.room.interims[-1]
        call.mind.answers.append("I wait until you have spoken.")
        await call.ears.hear("No, wait a moment.")
        await until(lambda: call.room.interims[-1:] == ["I wait until you have spoken."])
        await until(lambda: call.session.agent_state.value == "idle")
        await call.over()
        await until(lambda: call.memory[-1] == ("assistant", "I wait until you have spoken."))
        remembered = [text for role, text in call.memory if role == "assistant"]
        assert len(remembered) == 2
        assert REPLY.startswith(remembered[0])
        assert remembered[0].startswith(said)
        if left_to_us("one"):
            assert call.room.finals == remembered


async def test_what_the_text_iterator_raises_is_nobodys_failure(
    pair: Pair, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "One two."
        raise KeyError("mine")

    tts = pair()
    errors = listen(tts)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="mine"):
        await tts.synthesize(broken())
    assert errors == []
    assert tts.active_provider is tts.providers[0]


async def test_a_turn_that_nobody_can_begin_raises(pair: Pair, second: ScriptedServer) -> None:
    tts = pair(NOBODY)
    second.away = True
    errors = listen(tts)  # type: ignore[arg-type]
    with pytest.raises(ServiceError):
        await tts.synthesize("Hello.")
    assert [type(error) for error in errors] == [NetworkError, ServiceError]


async def test_a_turn_that_nobody_can_end_is_released(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    second.scripts.clear()
    second.scripts.append(failing_after("is"))
    async with calling(pair(word_timestamps=True), track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("say", REPLY)
        await call.over()
        await until(lambda: call.room.ours == left_to_us("Half of it is"))
        await until(lambda: call.session.agent_state.value == "idle")


async def test_closing_tells_what_was_heard_and_begins_no_second(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with half_heard("reply", pair, scripted, track) as call:
        await call.close()
        assert call.room.has_exactly("Half of")
        assert second.texts == []


async def test_while_the_track_is_paused_the_second_waits(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    tts = pair(word_timestamps=True)
    errors, words = listen(tts), emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    listener = Listener(track)
    await listener.hear()
    turn = asyncio.create_task(tts.synthesize(REPLY))
    await until(lambda: bool(errors))
    await track.pause()
    await listener.hear(len(BROKEN_OFF))
    await settled()
    assert second.texts == []
    await track.resume()
    while not turn.done():
        await listener.hear()
        await settled()
    await turn
    assert second.texts == ["is lost."]
    assert [word["word"] for word in words[:3]] == BROKEN_OFF.split()


# Coming back


async def test_the_first_is_tried_again_after_its_cool_down_and_heard_when_it_fails_again(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([refuse, speak_timed, refuse])
    tts = pair(seconds=0.0, word_timestamps=True)
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        for text in ("The first turn.", "The next.", "And another."):
            await call.begin("say", text)
            await call.over()
        assert scripted.texts == ["The first turn.", "The next.", "And another."]
        assert second.texts == ["The first turn.", "And another."]
        assert call.room.has_exactly("The first turn.", "The next.", "And another.")
    assert len(errors) == 2


async def test_until_then_the_second_speaks(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(refuse)
    tts = pair()
    await spoken(tts, track, "The first turn.")
    await spoken(tts, track, "The next.")
    assert scripted.texts == ["The first turn."]
    assert second.texts == ["The first turn.", "The next."]


async def limit(conversation: Conversation) -> None:
    """Open the connection, and refuse the first request because the plan is full."""
    await conversation.request()
    await conversation.text('{"type": "error", "code": "auth.rate_limited"}')
    await conversation.gone()


@pytest.mark.parametrize("scripts", [[limit] * 5, [refuse, speak_timed] * 4], ids=["limited", "recovered"])
async def test_the_first_is_not_disabled_for_good(
    scripts: list[Script],
    pair: Pair,
    scripted: ScriptedServer,
    second: ScriptedServer,
    track: CustomAudioStreamTrack,
) -> None:
    """Only failures in a row count, and a full plan is none."""
    scripted.scripts.extend(scripts)
    tts = pair(seconds=0.0)
    for number in range(len(scripts)):
        await spoken(tts, track, f"Turn {number}.")
    assert len(scripted.texts) == len(scripts)
    assert len(second.texts) == len([script for script in scripts if script is not speak_timed])


@pytest.mark.parametrize(("seconds", "speaks"), [(0.0, 0), (30.0, 1)])
async def test_one_that_was_limited_is_asked_again_when_its_limit_allows(
    seconds: float, speaks: int, pair: Pair, track: CustomAudioStreamTrack
) -> None:
    tts = pair(seconds=60.0)
    tts.providers[0].emit("error", RateLimitError("Too much", retry_after=seconds))
    await until(lambda: tts.active_provider is tts.providers[1])
    await spoken(tts, track, "The next turn.")
    assert tts.active_provider is tts.providers[speaks]


async def test_the_second_goes_on_soon_where_the_first_is_gone_for_long(
    make_tts: Maker, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """An outage in the middle of a reply is waited for only where nobody else can go on."""

    async def break_off(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.text(visemes_of(text))
        await conversation.audio(speech_of(BROKEN_OFF))
        scripted.away = True
        conversation.abort()

    scripted.scripts.append(break_off)
    first = make_tts(scripted.url, max_retries=2, connect_timeout=600.0, word_timestamps=True)
    costs = emitted_by(first, "metrics")
    tts = TransparentFallbackTTS([first, make_tts(second.url, word_timestamps=True)])
    tts.audio_track = track
    await asyncio.wait_for(spoken(tts, track, REPLY), PATIENCE)
    assert second.texts == ["is lost."]
    assert costs[0].retries <= 2


async def test_an_error_between_two_turns_is_emitted_and_switches(pair: Pair) -> None:
    tts = pair()
    errors = listen(tts)  # type: ignore[arg-type]
    tts.providers[0].emit("error", "out of order")
    await until(lambda: tts.active_provider is tts.providers[1])
    assert [str(error) for error in errors] == ["out of order"]


# Plugins of somebody else's


@pytest.mark.parametrize("raises", [True, False])
async def test_another_plugin_that_fails_before_its_audio_is_followed_from_the_start(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, *, raises: bool
) -> None:
    tts = TransparentFallbackTTS([ForeignTTS(0, raises=raises), make_tts(scripted.url)])
    tts.audio_track = track
    await spoken(tts, track, chunks_of(["Hello there.", "How are you?", FlushMarker()]))
    assert " ".join(scripted.texts) == "Hello there. How are you?"


@pytest.mark.parametrize("raises", [True, False])
async def test_another_plugin_that_tells_words_is_followed_behind_them(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, *, raises: bool
) -> None:
    scripted.scripts.append(speak_timed)
    first = ForeignTTS(len(BROKEN_OFF), raises=raises, words=True)
    tts = TransparentFallbackTTS([first, make_tts(scripted.url, word_timestamps=True)])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("reply", REPLY)
        await heard_to_the_end(call, REPLY)
        assert scripted.texts == ["is lost."]


async def test_another_plugin_that_tells_none_is_followed_by_what_it_has_not_taken(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    class Taker(ForeignTTS):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            await self._push(await anext(text))
            raise RuntimeError("out of order")

    tts = TransparentFallbackTTS([Taker(), make_tts(scripted.url)])
    tts.audio_track = track
    await spoken(tts, track, chunks_of(["Hello there.", "How are you?"]))
    assert scripted.texts[-1] == "How are you?"


async def test_a_first_word_that_was_told_is_not_said_again(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after("Hel"))
    tts = pair(word_timestamps=True)
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("say", "Hello there, you.")
        await until(lambda: bool(call.room.finals))
        await call.over()
        await call.stop_playing()
    assert second.texts == ["there, you."]
    assert [word["word"] for word in words] == ["Hello", "there,", "you."]


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_another_plugin_as_the_second_goes_on(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str, *, words: bool
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    second = ForeignTTS(words=words)
    second.first_chunk_sent = True  # By an earlier turn.
    tts = TransparentFallbackTTS([make_tts(scripted.url, max_retries=0, word_timestamps=True), second])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, REPLY)
        await until(lambda: bool(second.taken))
        await until(lambda: call.room.ours == left_to_us(REPLY) and bool(call.room.finals))
        await call.over()
        assert second.taken == ["is lost."]
        assert call.room.interims == interims_of(REPLY if words else BROKEN_OFF)


async def test_an_interruption_of_another_plugin_without_words_is_estimated_over_the_whole_turn(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    second = ForeignTTS()
    tts = TransparentFallbackTTS([make_tts(scripted.url, max_retries=0, word_timestamps=True), second])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("reply", REPLY)
        await until(lambda: bool(second.taken) and bool(track.frame_buffer))
        await call.stop_playing()
        assert second.taken == ["is lost."]
        while call.speech.compute_spoken_transcript() != "Half of it is":
            assert track.frame_buffer
            await call.listener.hear()
        await call.cut()
        await settled()
        assert call.memory[-1][1] == "Half of it is"
        assert call.room.ours == left_to_us("Half of it is")


LOST = "The first one is heard. The second one breaks off in the middle. A third one follows."
LEARNED = "So fast does the first one speak, as it has been heard by now."


async def speaks_once(call: Call) -> None:
    """Have a reply spoken to its end, from which it is known how fast the first plugin speaks."""
    await call.begin("say", LEARNED)
    await call.over()
    await until(lambda: call.session.agent_state.value == "idle")


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_another_plugin_has_taken_and_lost_is_said_from_its_sentence_on(
    make_tts: Maker, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str, *, raises: bool
) -> None:
    first = ForeignTTS(raises=raises)
    tts = TransparentFallbackTTS([first, make_tts(second.url, word_timestamps=True)])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await speaks_once(call)
        first.fails_after = len("The first one is heard. The second one breaks")
        await call.begin(kind, LOST)
        await until(lambda: call.room.ours[1:] == left_to_us(LOST) and len(call.room.finals) > 1)
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle")
        assert " ".join(second.texts) == LOST.removeprefix("The first one is heard. ")
        assert [text.strip() for text, _ in call.replies] == [LEARNED, LOST]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_nobody_can_say_is_not_remembered(track: CustomAudioStreamTrack, kind: str) -> None:
    first, second = ForeignTTS(), ForeignTTS(0)
    tts = TransparentFallbackTTS([first, second])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await speaks_once(call)
        first.fails_after = len("The first one is heard. The second one breaks o")
        await call.begin(kind, LOST)
        await until(lambda: bool(second.taken))
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle" and len(call.replies) > 1)
        await settled()
        assert second.taken == [LOST.removeprefix("The first one is heard. ")]
        heard = call.replies[1][0]
        assert "The first one is heard. The second one breaks".startswith(heard)
        assert heard.startswith("The first one is heard. The second")
        # Without word events, the framework tells the room all before it is spoken.
        assert call.room.ours == []


@pytest.mark.parametrize("kind", KINDS)
async def test_of_another_plugin_that_nobody_follows_its_words_are_remembered(
    track: CustomAudioStreamTrack, kind: str
) -> None:
    first = ForeignTTS(0)
    tts = TransparentFallbackTTS([first, ForeignTTS(len(BROKEN_OFF), words=True)])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, REPLY)
        await until(lambda: call.room.ours == left_to_us(BROKEN_OFF) and bool(call.room.finals))
        await call.over()
        await until(lambda: call.session.agent_state.value == "idle")
        assert [text for text, _ in call.replies] == [BROKEN_OFF]


async def test_an_interruption_while_a_lost_text_is_heard_remembers_no_more_of_it(
    track: CustomAudioStreamTrack,
) -> None:
    first, second = ForeignTTS(), ForeignTTS()
    tts = TransparentFallbackTTS([first, second])
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await speaks_once(call)
        await call.stop_playing()
        first.fails_after = len("The first one is heard. The second one breaks")
        await call.begin("reply", LOST)
        await until(lambda: bool(errors))
        await call.listener.hear(len("The first one is heard. The second"))
        await call.cut()
        await settled()
        assert second.taken == []
        assert call.replies[-1][0] in {"The first one is heard.", "The first one is heard. The"}
        assert call.replies[-1][1]


async def test_an_estimate_keeps_the_spaces_between_sentences(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_after(BROKEN_OFF))
    second = ForeignTTS()
    tts = TransparentFallbackTTS([make_tts(scripted.url, max_retries=0, word_timestamps=True), second])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("reply", f"{REPLY} The next sentence follows.")
        await until(lambda: bool(second.taken) and bool(track.frame_buffer))
        await call.stop_playing()
        while len(track.frame_buffer) > len("sentence follows."):
            await call.listener.hear()
        await call.cut()
        await settled()
        assert call.replies[-1] == (f"{REPLY} The next", True)
        assert call.room.ours == left_to_us(f"{REPLY} The next")


async def test_an_estimate_takes_back_no_word_that_was_told(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    class SlowTTS(ForeignTTS):
        async def _push(self, spoken: str) -> None:
            await super()._push("".join(char * 5 for char in spoken))

    scripted.scripts.append(failing_after(BROKEN_OFF))
    second = SlowTTS()
    tts = TransparentFallbackTTS([make_tts(scripted.url, max_retries=0, word_timestamps=True), second])
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("say", REPLY)
        await until(lambda: bool(second.taken) and bool(track.frame_buffer))
        await call.stop_playing()
        await call.cut()
        await settled()
        assert call.replies == [(BROKEN_OFF, True)]
        assert call.room.ours == left_to_us(BROKEN_OFF)


@pytest.mark.parametrize("spoken", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
async def test_another_plugin_that_returns_before_the_end_of_the_text_is_followed(
    make_tts: Maker, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str, spoken: int
) -> None:
    class ShortTTS(ForeignTTS):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            piece = await anext(text)
            if spoken:
                await self._push("".join(char * 4 for char in piece))  # As fast as any voice.

    tts = TransparentFallbackTTS([ShortTTS(), make_tts(second.url, word_timestamps=True)])
    errors = listen(tts)  # type: ignore[arg-type]
    async with calling(tts, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, "One sentence is heard. Another one follows behind it.")
        await until(lambda: bool(second.texts) and call.session.agent_state.value == "idle")
        await call.over()
    assert (
        " ".join(second.texts)
        == ["One sentence is heard. Another one follows behind it.", "Another one follows behind it."][spoken]
    )
    assert [str(error) for error in errors] == [
        f"{tts.providers[0].label} returned before the end of the text"
    ]
    assert tts.active_provider is tts.providers[1]


async def test_one_that_leaves_only_a_flush_behind_is_not(track: CustomAudioStreamTrack) -> None:
    class FlushedTTS(ForeignTTS):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            await self._push(await anext(text))

    second = ForeignTTS()
    tts = TransparentFallbackTTS([FlushedTTS(), second])
    tts.audio_track = track
    await spoken(tts, track, chunks_of(["Hello there.", FlushMarker(), "..."]))
    assert second.taken == []
    assert tts.active_provider is tts.providers[0]


async def test_where_nobody_plays_the_track_the_second_goes_on_at_once(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_one)
    tts = pair(word_timestamps=True)
    await asyncio.wait_for(tts.synthesize(requests_of("One two.", "Three.")), PATIENCE)
    assert second.texts == ["Three."]


async def test_the_frameworks_own_does_not(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """So that this file fails when the class isn't needed any more."""
    scripted.scripts.append(refuse)
    tts = FallbackTTS(pair(word_timestamps=True).providers)
    tts.audio_track = track  # type: ignore[assignment]
    speech = SpeechGeneration(tts=tts, audio_track=track)
    assert speech.tts is tts
    assert not tts.supports_word_timestamps
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    await tts.synthesize("Hello.")
    assert on_track(track) == b""
    assert words == []


# Speech markup


SPANISH = (
    '<lang xml:lang="es"><prosody rate="slow">Hola amigo.</prosody> La segunda frase de hoy. '
    'Y la <voice name="M2">tercera</voice>.</lang> Bye, AT&amp;T <sub alias="good luck">GL</sub>.'
)
WRITTEN = "Hola amigo. La segunda frase de hoy. Y la tercera. Bye, AT&T GL."
HEARD = "Hola amigo. La segunda"


def failing_in_the_second(spoken: str) -> Script:
    """Return a script that speaks one request, and so much of the next, and fails for good."""

    async def fail(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.text(visemes_of(text))
        await conversation.audio(speech_of(text))
        await conversation.end()
        await failing_after(spoken)(conversation)

    return fail


def sent(server: ScriptedServer) -> list[tuple[Any, ...]]:
    return [
        (request["text"], request["voice"], request["lang"], request["speed"])
        for conversation in server.conversations
        for request in conversation.requests
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_next_provider_goes_on_in_the_elements_that_are_open(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    scripted.scripts.append(failing_in_the_second("La segunda"))
    tts = pair(word_timestamps=True, markup=True, speed=1.0)
    async with calling(tts, track, text_filter=text_filter("en")) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, SPANISH)
        await heard_to_the_end(call, WRITTEN)
        await until(lambda: call.memory[-1:] == [("assistant", WRITTEN)])
    assert sent(scripted)[0] == ("Hola amigo.", "F1", "es", 0.8)
    told = [(text, *rest) for text, *rest in sent(second)]
    assert " ".join(request[0] for request in told) == "frase de hoy. Y la tercera. Bye, AT&T good luck."
    assert {request[1:] for request in told} == {("F1", "es", 1.0), ("M2", "es", 1.0), ("F1", "en", 1.0)}


async def test_without_words_too_it_goes_on_in_the_elements_that_are_open(
    pair: Pair, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_in_the_second(""))
    tts = pair(markup=True, speed=1.0, pacing=False)
    await spoken(tts, track, chunks_of(SPANISH))
    texts = " ".join(text for text, *_ in sent(second))
    assert texts == "La segunda frase de hoy. Y la tercera. Bye, AT&T good luck."
    assert sent(second)[0][1:] == ("F1", "es", 1.0)


@pytest.mark.known_fault("final-transcripts")
@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_without_markup_gets_no_tags(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str, *, words: bool
) -> None:
    scripted.scripts.append(failing_in_the_second("La segunda"))
    second = ForeignTTS(words=words)
    first = make_tts(scripted.url, max_retries=0, word_timestamps=True, markup=True)
    tts = TransparentFallbackTTS([first, second])
    async with calling(tts, track, text_filter=text_filter("en")) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin(kind, SPANISH)
        await until(lambda: call.room.ours == left_to_us(WRITTEN) and bool(call.room.finals))
        await call.over()
        # A later turn, which the first has no part in.
        await call.begin(kind, f"{SPANISH} <break/>")
        await until(lambda: len(second.taken) == 2)
        await until(lambda: call.memory[-1:] == [("assistant", WRITTEN)])
        await call.over()
        assert call.room.interims[: len(interims_of(HEARD))] == interims_of(HEARD)
        assert not any("<" in text for text in [*call.room.interims, *call.room.finals])
    assert second.taken == ["frase de hoy. Y la tercera. Bye, AT&T GL.", WRITTEN]


async def test_a_lokutor_without_markup_gets_no_tags(
    make_tts: Maker, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    options: dict[str, Any] = {"word_timestamps": True, "visemes": True}
    scripted.scripts.append(failing_in_the_second("La segunda"))
    first = make_tts(scripted.url, max_retries=0, markup=True, **options)
    tts = TransparentFallbackTTS([first, make_tts(second.url, **options)])
    tts.audio_track = track
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    await spoken(tts, track, chunks_of(SPANISH[place : place + 3] for place in range(0, len(SPANISH), 3)))
    await until(lambda: bool(words) and words[-1]["cumulative_text"] == WRITTEN)
    assert " ".join(second.texts) == "frase de hoy. Y la tercera. Bye, AT&T GL."


async def test_behind_a_provider_without_markup_the_elements_are_still_open(
    make_tts: Maker, scripted: ScriptedServer, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(failing_in_the_second("La"))
    options: dict[str, Any] = {"word_timestamps": True, "speed": 1.0}
    first = make_tts(scripted.url, max_retries=0, markup=True, **options)
    other = ForeignTTS(fails_after=len("segunda frase"), raises=False, words=True)
    tts = TransparentFallbackTTS([first, other, make_tts(second.url, markup=True, **options)])
    tts.audio_track = track
    words = emitted_by(tts, "word_spoken")  # type: ignore[arg-type]
    await spoken(tts, track, SPANISH)
    await until(lambda: bool(words) and words[-1]["cumulative_text"] == WRITTEN)
    assert other.taken == ["segunda frase de hoy. Y la tercera. Bye, AT&T GL."]
    told = sent(second)
    assert " ".join(request[0] for request in told) == "de hoy. Y la tercera. Bye, AT&T good luck."
    assert {request[1:] for request in told} == {("F1", "es", 1.0), ("M2", "es", 1.0), ("F1", "en", 1.0)}


async def test_a_provider_that_comes_first_gets_the_text_as_it_is(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    class Reader(ForeignTTS):
        reads_markup = True

    scripted.scripts.extend([speak_timed] * 3)
    tags = '<lang xml:lang="es">Uno. Dos.</lang>'
    first, reader = ForeignTTS(fails_after=0, raises=False), Reader(fails_after=0, raises=False)
    tts = TransparentFallbackTTS([first, make_tts(NOBODY, markup=True, connect_timeout=0.1), reader])
    tts.audio_track = track
    await asyncio.wait_for(tts.synthesize(tags), PATIENCE)
    assert first.taken == reader.taken == [tags]


async def test_a_stream_of_a_provider_without_markup_has_no_tags(
    make_tts: Maker, second: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = TransparentFallbackTTS([make_tts(NOBODY, markup=True, connect_timeout=0.1), make_tts(second.url)])
    tts.audio_track = track
    with pytest.raises(NetworkError):
        await tts.providers[0].synthesize("Hello.")
    await until(lambda: tts.active_provider is tts.providers[1])
    for text in ("One <b>two</b>.", chunks_of(["One <", "b>two</b>."])):
        assert b"".join([piece async for piece in tts.stream_synthesize(text)]) == heard_for("One two.")
    assert second.texts == ["One two."] * 2


class ChangeableTTS(ForeignTTS):
    """One whose options can be changed, but not all."""

    changes: dict[str, Any]

    def update_options(self, *, voice: str | None = None, stability: float = 0.5) -> None:
        self.changes = {"voice": voice, "stability": stability}


async def test_options_are_changed_of_all_providers_that_have_them(
    make_tts: Maker, scripted: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    lokutor, changeable = make_tts(scripted.url), ChangeableTTS()
    tts = TransparentFallbackTTS([lokutor, ForeignTTS(), changeable])
    tts.update_options(voice="M2", now=True)
    assert lokutor.voice == "M2"
    assert changeable.changes == {"voice": "M2", "stability": 0.5}
    assert not caplog.records
    tts.update_options(language="ca")  # That is nothing to the others.
    assert lokutor.language == "ca"
    assert changeable.changes["voice"] == "M2"
    tts.update_options(stability=0.9)
    assert changeable.changes == {"voice": None, "stability": 0.9}
    assert "keeps its options: unknown option 'stability'" in caplog.text


async def test_options_that_no_provider_takes_are_an_error(make_tts: Maker, scripted: ScriptedServer) -> None:
    tts = TransparentFallbackTTS([make_tts(scripted.url), ChangeableTTS()])
    with pytest.raises(ValueError, match="speed"):
        tts.update_options(speed=9)
    with pytest.raises(TypeError, match="unknown option 'sped'"):
        tts.update_options(sped=1.0)
    with pytest.raises(TypeError, match="no provider takes sped"):
        TransparentFallbackTTS([ChangeableTTS(), ForeignTTS()]).update_options(sped=1.0)


async def test_a_change_is_heard_in_the_reply_that_is_spoken(
    pair: Pair, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([speak_timed] * 3)
    tts = pair()
    spoken = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "One is here. "
        await spoken.wait()
        yield "Two is here."

    turn = asyncio.create_task(tts.synthesize(text()))
    await until(lambda: len(scripted.texts) == 1)
    tts.update_options(voice="M2", now=True)
    spoken.set()
    await asyncio.wait_for(turn, PATIENCE)
    voices = [each["voice"] for conversation in scripted.conversations for each in conversation.requests]
    assert voices == ["F1", "M2"]

"""The plugin in a real ``AgentSession``: what the room sees, and what the agent remembers, of each reply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    PATIENCE,
    Conversation,
    ScriptedServer,
    emitted_by,
    settled,
    speak_timed,
    speech_of,
    until,
    visemes_of,
)
from kit.agents import Call, calling, left_to_us
from videosdk.agents import FallbackTTS
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS

Maker = Callable[..., LokutorTTS]
KINDS = ["say", "reply", "user"]
LONG = "This goes on for a long time."


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    """Return a plugin that tells words, and speaks to a server that sends visemes."""
    scripted.scripts.extend([speak_timed] * 10)
    return make_tts(scripted.url, word_timestamps=True)


@pytest.fixture
async def call(tts: LokutorTTS, track: CustomAudioStreamTrack) -> AsyncIterator[Call]:
    async with calling(tts, track) as call:
        yield call


def interims_of(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: count + 1]) for count in range(len(words))]


async def heard_up_to(call: Call, words: str) -> None:
    """Play the track until the words were heard, frame by frame."""
    async with asyncio.timeout(PATIENCE):
        while call.room.interims[-1:] != [words]:
            await call.listener.hear()
            await settled()


async def pushed_whole(call: Call, text: str) -> None:
    await until(lambda: len(call.track.frame_buffer) >= len(text))


# The final transcript


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_is_heard_to_its_end_has_one_final_transcript(call: Call, kind: str) -> None:
    call.play()
    await call.begin(kind, "Hello there. How are you?")
    await until(lambda: call.room.has_exactly("Hello there. How are you?") and bool(call.room.finals))
    await call.over()
    await until(lambda: call.session.agent_state.value == "idle")
    assert call.room.has_exactly("Hello there. How are you?")
    assert call.room.interims == interims_of("Hello there. How are you?")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_is_talked_over_has_one_final_transcript_of_what_was_heard(
    call: Call, kind: str
) -> None:
    await call.begin(kind, LONG)
    await pushed_whole(call, LONG)
    await heard_up_to(call, "This goes on")
    await call.cut()
    await settled()
    assert call.room.has_exactly("This goes on")
    assert ("assistant", "This goes on") in call.memory


async def test_each_reply_has_its_own(call: Call) -> None:
    call.play()
    await call.begin("say", "One moment.")
    await call.over()
    await call.begin("reply", "Here it is.")
    await call.over()
    assert call.room.has_exactly("One moment.", "Here it is.")


async def test_a_turn_that_comes_while_a_reply_is_heard_does_not_shorten_its_transcript(call: Call) -> None:
    await call.begin("say", "Heard to its end.")
    await pushed_whole(call, "Heard to its end.")
    await heard_up_to(call, "Heard to")
    await call.begin("say", "The next.")
    await pushed_whole(call, "end. The next.")
    await heard_up_to(call, "The next.")
    assert call.room.interims == [*interims_of("Heard to"), *interims_of("The next.")]
    await until(lambda: call.room.has_exactly("Heard to its end.", "The next."))
    await call.cut()
    assert call.room.has_exactly("Heard to its end.", "The next.")


async def test_a_cached_phrase_that_comes_while_a_reply_is_heard_does_neither(call: Call) -> None:
    await call.begin("say", "Heard to its end.")
    await pushed_whole(call, "Heard to its end.")
    await heard_up_to(call, "Heard to")
    phrase = asyncio.create_task(call.session.say("Cached.", audio_data=bytes(960 * 10)))
    await until(lambda: "Cached." in call.room.finals)
    await call.listener.hear(len("Heard to its end."))
    await until(lambda: call.room.ours == left_to_us("Heard to its end."))
    phrase.cancel()
    await call.cut()
    assert call.room.ours == left_to_us("Heard to its end.")
    assert call.room.interims == interims_of("Heard to")


async def test_an_interruption_while_two_replies_wait_tells_what_was_heard_of_each(call: Call) -> None:
    await call.begin("say", "Heard to its end.")
    await pushed_whole(call, "Heard to its end.")
    await heard_up_to(call, "Heard to")
    await call.begin("say", "The next.")
    await pushed_whole(call, "its end. The next.")
    await call.cut()
    assert call.room.has_exactly("Heard to")


async def test_closing_the_session_tells_what_was_heard(call: Call) -> None:
    await call.begin("say", LONG)
    await pushed_whole(call, LONG)
    await heard_up_to(call, "This goes on")
    await call.close()
    assert call.room.has_exactly("This goes on")


async def test_a_reply_that_fails_has_a_final_transcript_of_what_came(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def fail(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of("Half of it is lost."))
        await conversation.audio(speech_of("Half of it"))
        await conversation.text('{"type": "error", "code": "internal.cancelled"}')
        await conversation.gone()

    scripted.scripts.append(fail)
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        call.play()
        await call.begin("reply", "Half of it is lost.")
        await call.over()
        assert call.room.has_exactly("Half of it")


async def test_a_reply_of_which_nothing_comes_has_none(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async def refuse(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text('{"type": "error", "code": "validation.invalid_voice"}')
        await conversation.gone()

    scripted.scripts.extend([refuse, speak_timed])
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        call.play()
        await call.begin("say", "Nothing of it.")
        await call.over()
        assert call.room.ours == []
        await call.begin("say", "All of it.")
        await call.over()
        assert call.room.ours == left_to_us("All of it.")


@pytest.mark.parametrize("text", ["...", "\N{EM DASH}", "?!"])
async def test_a_reply_with_nothing_to_pronounce_has_none(call: Call, text: str) -> None:
    call.play()
    await call.begin("say", "Heard before.")
    await call.over()
    await call.begin("say", text)
    await until(call.speech.tts_lock.locked)
    await call.cut()
    assert call.room.ours == left_to_us("Heard before.")


async def test_without_word_timing_the_framework_sends_it_as_ever(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(make_tts(scripted.url, visemes=True), track) as call:
        call.play()
        await call.begin("say", "Hello there.")
        await call.over()
        assert (call.room.finals, call.room.ours) == (["Hello there."], [])


async def test_in_a_fallback_the_framework_sends_it_as_ever(
    tts: LokutorTTS, track: CustomAudioStreamTrack
) -> None:
    fallback = FallbackTTS([tts])
    async with calling(fallback, track) as call:  # type: ignore[arg-type]
        call.play()
        await call.begin("say", "Hello there.")
        await call.over()
        assert (call.room.finals, call.room.ours) == (["Hello there."], [])


# What the agent remembers


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_is_cut_off_before_its_first_word_is_not_remembered(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    pause = 0.3

    async def after_a_pause(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        items = visemes_of(text).replace('"t": 0.0', f'"t": {pause}')
        await conversation.text(items)
        await conversation.audio(bytes(int(44_100 * pause) * 2) + speech_of(text))
        await conversation.end()
        await conversation.gone()

    scripted.scripts.extend([speak_timed, after_a_pause])
    tts = make_tts(scripted.url, word_timestamps=True, trim_silence=False)
    async with calling(tts, track) as call:
        call.play()
        await call.begin("reply", "Heard before.")
        await call.over()
        await call.stop_playing()
        before = call.memory
        await call.begin(kind, "No.")
        await until(lambda: len(track.frame_buffer) >= 15 + len("No."))
        await call.listener.hear(10)  # The framework's estimate: a word and a half.
        await call.cut()
        await settled()
        added = [message for message in call.memory[len(before) :] if message[0] == "assistant"]
        assert added == []
        assert call.room.ours == left_to_us("Heard before.")


async def test_a_reply_is_not_remembered_that_is_cut_off_before_any_audio(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.extend([lambda conversation: conversation.gone(), speak_timed])
    async with calling(make_tts(scripted.url, word_timestamps=True), track) as call:
        await call.begin("user", LONG)
        await until(lambda: scripted.texts == [LONG])
        await call.ears.hear("No, wait a moment.")
        call.mind.answers.append("I wait.")
        await until(lambda: len(call.mind.contexts) == 2)
        assert [role for role, _text in call.mind.contexts[1]] == ["user", "user"]


@pytest.mark.parametrize("kind", ["reply", "user"])
async def test_text_that_was_not_sent_yet_is_not_remembered_without_word_timing_either(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, kind: str
) -> None:
    """The framework estimates by the share of the audio, but most of the text has no audio yet."""
    first = "This is the first of three sentences and it takes its time to be spoken to its end as it should."
    reply = f"{first} The second one isn't needed for some seconds. Neither is the third of them."
    async with calling(make_tts(scripted.url), track) as call:
        await call.listener.hear()
        await call.begin(kind, reply)
        await until(lambda: len(track.frame_buffer) >= len(first) - 5)
        await call.listener.hear(len(first) // 2)
        await call.cut()
        remembered = call.memory[-1][1]
        assert remembered
        assert first.startswith(remembered)
        assert len(remembered) == pytest.approx(len(first) / 2, abs=8)


async def test_a_turn_of_somebody_elses_is_remembered_as_the_framework_thinks(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(make_tts(scripted.url), track) as call:
        call.play()
        await call.begin("say", "Hello there.")
        await call.over()
        await call.stop_playing()
        cached = asyncio.create_task(call.session.say("A cached phrase.", audio_data=bytes(48_000)))
        await until(lambda: len(track.frame_buffer) >= 50)
        await call.listener.hear(30)
        await call.cut()
        await cached
        assert call.speech.spoken_transcript == "A cached"


@pytest.mark.parametrize("word_timestamps", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("frames", [1, 20])
async def test_a_second_interruption_of_a_turn_adds_nothing_that_was_not_heard(
    make_tts: Maker,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    word_timestamps: bool,
    at_once: bool,
    frames: int,
) -> None:
    """Two detectors may hear the same caller."""
    scripted.scripts.extend([speak_timed])
    async with calling(make_tts(scripted.url, word_timestamps=word_timestamps), track) as call:
        await call.listener.hear()
        await call.begin("user", f"{LONG} And nothing of this is heard.")
        await until(lambda: len(track.frame_buffer) >= 25)
        await call.listener.hear(frames)
        await settled()
        call.session.interrupt()
        if not at_once:
            await settled()
        call.session.interrupt()
        await call.over()
        await settled()
        remembered = [text for role, text in call.memory if role == "assistant"]
        assert len(remembered) <= (2 if at_once else 1)  # Nobody knows which comes first.
        begun = [
            text
            for text in remembered
            if LONG.startswith(text) and len(text) - len(text.split()[-1]) <= frames
        ]
        assert remembered == begun
        assert remembered or frames < 10


async def test_a_turn_after_two_interruptions_is_remembered(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    async with calling(make_tts(scripted.url), track) as call:
        await call.listener.hear()
        for _ in range(2):
            before = len(call.memory)
            await call.begin("reply", LONG)
            await until(lambda: len(track.frame_buffer) >= 25)
            await call.listener.hear(20)
            await call.cut()
            await call.cut()
            remembered = [text for role, text in call.memory[before:] if role == "assistant"]
            assert len(remembered) == 1
            assert LONG.startswith(remembered[0])


async def test_where_nobody_plays_the_track_the_framework_is_left_to_itself(call: Call) -> None:
    await call.begin("reply", LONG)
    await pushed_whole(call, LONG)
    await call.cut()
    assert ("assistant", LONG) in call.memory


# What the framework traces


@pytest.mark.parametrize(("model", "shown"), [(None, "default"), ("versa-1.0", "versa-1.0")])
async def test_the_model_has_a_name_in_the_frameworks_traces(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, model: str | None, shown: str
) -> None:
    tts = make_tts(scripted.url, model=model)
    async with calling(tts, track) as call:
        assert call.session._get_provider_info(tts, "tts") == ("LokutorTTS", shown)
        assert call.session._get_provider_info(FallbackTTS([tts]), "tts") == ("LokutorTTS", shown)


async def test_the_services_default_model_is_not_asked_for_by_name(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    tts = make_tts(scripted.url)
    await tts.synthesize("One.")
    await tts.synthesize("Two.", model=tts.model)
    tts.update_options(model="versa-1.0")
    await tts.synthesize("Three.")
    tts.update_options(model="default")
    await tts.synthesize("Four.")
    requests = [request for talk in scripted.conversations for request in talk.requests]
    assert [request.get("version") for request in requests] == [None, None, "versa-1.0", None]


async def test_word_events_are_the_plugins_own_users_too(call: Call) -> None:
    words = emitted_by(call.tts, "word_spoken")
    call.play()
    await call.begin("say", "One two.")
    await call.over()
    assert [word["word"] for word in words] == ["One", "two."]


# What the framework's chunker hands over


@pytest.mark.parametrize("turn", ["say", "reply", "user"])
@pytest.mark.parametrize(
    "text",
    [
        "We have:\n- red\n- blue\nWhich one?",
        "Menu\nCoffee\nTea\nWhat would you like?",
        "ok\ni will do it now\nplease wait",
        "Roses are red,\nviolets are blue.",
        'He said, "\nAlpha bravo. Charlie delta."',
    ],
)
async def test_lines_without_a_full_stop_are_not_glued(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, turn: str, text: str
) -> None:
    """To a plugin that doesn't know of the chunker, short lines look like an LLM's tokens."""
    async with calling(tts, track) as call:
        call.play()
        await call.begin(turn, text)
        words = re.findall(r"\w+", text)
        await until(lambda: words[-1] in " ".join(scripted.texts))
        await call.stop_playing()
        assert re.findall(r"\w+", " ".join(scripted.texts)) == words


@pytest.mark.parametrize("size", [0, 5_001])
async def test_closing_in_the_middle_of_a_turn_leaves_none_hanging(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, size: int
) -> None:
    async def stalls(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        await conversation.audio(speech_of(text)[:size])
        await conversation.gone()

    scripted.scripts.append(stalls)
    tts = make_tts(scripted.url)
    async with calling(tts, track) as call:
        call.play()
        await call.begin("say", LONG)
        await until(lambda: scripted.texts == [LONG])
        if size:
            await until(lambda: bool(track.snapshot_playback()[1]))
            await until(lambda: not track.frame_buffer and not track._is_speaking)
        await tts.aclose()
        async with asyncio.timeout(5.0):  # The framework itself would give up after 10 s, or never.
            await call.over()
        await call.stop_playing()

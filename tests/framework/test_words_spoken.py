"""Word and viseme events of the plugin: each once, in its time, and none that wasn't heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from kit import (
    BareTrack,
    Conversation,
    Listener,
    ScriptedServer,
    emitted_by,
    follows,
    heard_for,
    interrupt_late,
    listen,
    on_track,
    requests_of,
    settled,
    speak_timed,
    speech_of,
    until,
    visemes_of,
)
from videosdk.agents import TTSAudioCache
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.visemes import Viseme

Maker = Callable[..., LokutorTTS]
Words = list[dict[str, Any]]

PER_SECOND = 50
"""Characters that the scripted server speaks in a second: a frame of the track for each."""


@pytest.fixture
async def tts(make_tts: Maker, scripted: ScriptedServer) -> LokutorTTS:
    """Return a plugin that tells words and visemes, and speaks to a server that sends visemes."""
    scripted.scripts.extend([speak_timed] * 10)
    return make_tts(scripted.url, word_timestamps=True, visemes=True)


@pytest.fixture
async def listener(track: CustomAudioStreamTrack) -> Listener:
    track.mark_synthesis_start()
    return Listener(track)


def words_of(tts: LokutorTTS) -> Words:
    return emitted_by(tts, "word_spoken")


def visemes_told(tts: LokutorTTS) -> list[list[Viseme]]:
    return emitted_by(tts, "visemes")


def texts(words: Words) -> list[str]:
    return [word["word"] for word in words]


def frames_of(*requests: str) -> int:
    return sum(map(len, requests))


# Words


async def test_words_over_several_requests(
    tts: LokutorTTS, scripted: ScriptedServer, listener: Listener
) -> None:
    words, first, second = words_of(tts), "Hello, you.", "And bye!"
    await tts.synthesize(requests_of(first, second))
    assert scripted.texts == [first, second]
    await listener.hear(frames_of(first, second))
    await until(lambda: len(words) == 4)
    whole = f"{first} {second}"
    assert [(word["word"], word["cumulative_text"]) for word in words] == [
        ("Hello,", "Hello,"),
        ("you.", "Hello, you."),
        ("And", "Hello, you. And"),
        ("bye!", whole),
    ]
    starts = [0, first.index("you"), len(first), len(first) + second.index("bye")]
    ends = [
        first.index(","),
        first.index("."),
        len(first) + second.index(" "),
        len(first) + second.index("!"),
    ]
    assert [word["start"] for word in words] == pytest.approx([at / PER_SECOND for at in starts])
    assert [word["end"] for word in words] == pytest.approx([at / PER_SECOND for at in ends])
    assert all(set(word) == {"word", "cumulative_text", "start", "end"} for word in words)


async def test_each_word_comes_with_its_sample(tts: LokutorTTS, listener: Listener) -> None:
    words, text = words_of(tts), "One by one, as they are heard."
    await tts.synthesize(text)
    for frame in range(1, len(text) + 1):
        await listener.hear(1)
        due = [word for word in text.split() if text.index(word) <= frame]
        await until(lambda due=due: texts(words) == due)  # type: ignore[misc]


async def test_words_do_not_wait_for_the_end_of_their_request(
    make_tts: Maker, scripted: ScriptedServer, listener: Listener
) -> None:
    more = asyncio.Event()

    async def slowly(conversation: Conversation) -> None:
        text = (await conversation.request())["text"]
        items = json.loads(visemes_of(text))
        await conversation.text(json.dumps(items[:8]))
        await conversation.audio(speech_of(text[:8]))
        await more.wait()
        await conversation.text(json.dumps({"type": "visemes", "data": items[8:]}))
        await conversation.audio(speech_of(text[8:]))
        await conversation.end()

    scripted.scripts.append(slowly)
    tts = make_tts(scripted.url, word_timestamps=True)
    words = words_of(tts)
    speaking = asyncio.create_task(tts.synthesize("one two six ten"))
    while not words or words[-1]["word"] != "two":
        await listener.hear(1)
        await asyncio.sleep(0.005)
    assert texts(words) == ["one", "two"]
    more.set()
    await speaking
    await listener.hear(20)
    await until(lambda: texts(words) == ["one", "two", "six", "ten"])


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
async def test_the_tracks_rate_does_not_matter(
    tts: LokutorTTS, track: CustomAudioStreamTrack, listener: Listener, rate: int
) -> None:
    track.sample_rate, track.samples, track.chunk_size = rate, rate // 50, rate // 25
    words, text = words_of(tts), "At any rate, it fits."
    await tts.synthesize(text)
    await listener.hear(text.index("fits"))
    await until(lambda: texts(words) == text.split())
    assert words[-1]["start"] == pytest.approx(text.index("fits") / PER_SECOND)


async def test_a_healed_reply_tells_each_word_once(
    make_tts: Maker, scripted: ScriptedServer, listener: Listener
) -> None:
    first, second = "It is all here.", "Cut in two, and healed."

    async def cut(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of(first))
        await conversation.audio(speech_of(first))
        await conversation.end()
        await conversation.request()
        await conversation.text(visemes_of(second))  # More than what is heard of it.
        await conversation.audio(speech_of(second[:9]))
        conversation.abort()

    scripted.scripts.extend([cut, speak_timed])
    tts = make_tts(scripted.url, word_timestamps=True, visemes=True)
    words, visemes = words_of(tts), visemes_told(tts)
    await tts.synthesize(requests_of(first, second))
    assert scripted.texts == [first, second, second]
    await listener.hear(frames_of(first, second))
    await until(lambda: texts(words) == f"{first} {second}".split())
    assert listener.heard == heard_for(first, second)
    assert words[-1]["cumulative_text"] == f"{first} {second}"
    assert words[-1]["start"] == pytest.approx((len(first) + second.index("healed")) / PER_SECOND)
    items = [viseme for batch in visemes for viseme in batch]
    assert [round(item.start * PER_SECOND) for item in items] == list(range(frames_of(first, second)))


async def test_a_server_without_visemes(
    make_tts: Maker, scripted: ScriptedServer, listener: Listener
) -> None:
    tts = make_tts(scripted.url, word_timestamps=True, visemes=True)
    words, visemes, errors = words_of(tts), visemes_told(tts), listen(tts)
    await tts.synthesize(requests_of("Spread by length.", "So too."))
    await listener.hear(24)
    await until(lambda: len(words) == 5)
    assert texts(words) == ["Spread", "by", "length.", "So", "too."]
    assert [round(word["start"] * PER_SECOND, 3) for word in words] == [0, 7, 10, 17, 20]
    assert all(word["estimated"] is True for word in words)
    assert (visemes, errors) == ([], [])
    assert all(request["visemes"] is True for request in scripted.conversations[0].requests)


async def test_a_failed_reply_tells_what_was_heard_of_it(
    make_tts: Maker, scripted: ScriptedServer, listener: Listener
) -> None:
    async def fail(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of("Half of it is lost."))
        await conversation.audio(speech_of("Half of it"))
        await conversation.text('{"type": "error", "code": "internal.cancelled"}')
        await conversation.gone()

    scripted.scripts.append(fail)
    tts = make_tts(scripted.url, word_timestamps=True)
    words, errors = words_of(tts), listen(tts)
    await tts.synthesize("Half of it is lost.")
    assert len(errors) == 1
    await listener.hear(30)
    await until(lambda: texts(words) == ["Half", "of", "it"])
    await until(lambda: not follows(tts))


async def test_a_cancelled_call_tells_what_the_track_still_plays(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, listener: Listener
) -> None:
    async def stall(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of("Half of it is lost."))
        await conversation.audio(speech_of("Half of it"))
        await conversation.gone()

    scripted.scripts.append(stall)
    tts = make_tts(scripted.url, word_timestamps=True)
    words = words_of(tts)
    speaking = asyncio.create_task(tts.synthesize("Half of it is lost."))
    await until(lambda: len(on_track(track)) >= 9 * 960)
    speaking.cancel()
    await asyncio.wait({speaking})
    await listener.hear(30)
    await until(lambda: texts(words) == ["Half", "of", "it"])
    await until(lambda: not follows(tts))


async def test_a_handler_that_raises_hears_the_next_word_too(tts: LokutorTTS, listener: Listener) -> None:
    words = words_of(tts)

    def on_word(_event: Any) -> None:
        raise RuntimeError("somebody's mistake")

    tts.on("word_spoken", on_word)
    await tts.synthesize("One two six.")
    await listener.hear(12)
    await until(lambda: len(words) == 3)


async def test_by_the_clock_where_the_track_does_not_count(tts: LokutorTTS) -> None:
    track = BareTrack()
    tts.audio_track = track
    words, text, clock = words_of(tts), "By the clock.", asyncio.get_running_loop().time
    begun = clock()
    await tts.synthesize(text)
    assert track.pcm == heard_for(text)
    await until(lambda: texts(words) == text.split())
    assert clock() - begun >= text.index("clock") / PER_SECOND - 0.001


# What ends them


async def test_no_word_after_a_barge_in_and_none_of_the_tail_in_the_next_turn(
    tts: LokutorTTS, track: CustomAudioStreamTrack
) -> None:
    """As the framework drives it: the transcript is what was heard, of both turns."""
    generation = SpeechGeneration(tts=tts, audio_track=track)
    generation.set_audio_track(track)
    listener, words = Listener(track), words_of(tts)
    long = "This goes on for a long time, much longer than anybody wants to hear."
    await generation.synthesize(long)
    await listener.hear(long.index("for") + 1)
    await until(lambda: texts(words) == ["This", "goes", "on", "for"])
    await generation.interrupt()
    await generation.interrupt()
    assert generation.spoken_transcript == "This goes on for"
    await listener.hear(5)
    await settled()
    assert len(words) == 4

    words.clear()
    await generation.synthesize("Of course: twelve euros.")
    tail = len(on_track(track)) // 960 - len("Of course: twelve euros.")
    assert tail == 15
    await listener.hear(tail)
    await settled()
    assert words == []
    await listener.hear(1)
    await until(lambda: texts(words) == ["Of"])
    await listener.hear("Of course: twelve euros.".index("twelve") - 1)
    await until(lambda: texts(words) == ["Of", "course:", "twelve"])
    await generation.interrupt()
    assert generation.spoken_transcript == "Of course: twelve"


async def test_the_next_turn_ends_the_words_of_the_last(tts: LokutorTTS, listener: Listener) -> None:
    words = words_of(tts)
    await tts.synthesize("Not heard to its end.")
    await listener.hear(5)
    await until(lambda: texts(words) == ["Not", "heard"])
    await tts.synthesize("The next.")
    await listener.hear(16)
    await settled()
    assert texts(words) == ["Not", "heard"]  # The rest of the last turn comes first, told by nobody.
    await listener.hear(9)
    await until(lambda: texts(words) == ["Not", "heard", "The", "next."])
    assert words[-1]["cumulative_text"] == "The next."
    assert words[-1]["start"] == pytest.approx(4 / PER_SECOND)


@pytest.mark.parametrize("end", ["interrupt", "aclose"])
async def test_an_end_that_comes_before_the_last_word(tts: LokutorTTS, listener: Listener, end: str) -> None:
    words = words_of(tts)
    await tts.synthesize("Not heard to its end.")
    await listener.hear(5)
    await until(lambda: texts(words) == ["Not", "heard"])
    await getattr(tts, end)()
    await listener.hear(20)
    await settled()
    assert texts(words) == ["Not", "heard"]


async def test_an_interruption_between_two_turns_ends_them_too(
    tts: LokutorTTS, scripted: ScriptedServer, listener: Listener
) -> None:
    words = words_of(tts)
    scripted.hold()
    speaking = asyncio.create_task(tts.synthesize("Cut while it is spoken."))
    await until(lambda: scripted.held == 1)
    await tts.interrupt()
    scripted.answer_all()
    await speaking
    await listener.hear(30)
    await settled()
    assert words == []


async def test_a_late_second_interrupt_leaves_the_words_of_the_next_turn(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, listener: Listener
) -> None:
    async def stall(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(visemes_of("To be talked over."))
        await conversation.audio(speech_of("To be"))
        await conversation.gone()

    scripted.scripts.extend([stall, speak_timed])
    tts = make_tts(scripted.url, word_timestamps=True)
    words = words_of(tts)
    await interrupt_late(tts, track, "The next turn.")
    await listener.hear(14)
    await until(lambda: texts(words) == ["The", "next", "turn."])


async def test_pause_and_resume(tts: LokutorTTS, listener: Listener) -> None:
    words = words_of(tts)
    await tts.synthesize("Wait a moment.")
    await listener.hear(5)
    await until(lambda: texts(words) == ["Wait", "a"])
    await tts.pause()
    await listener.hear(20)
    await settled()
    assert texts(words) == ["Wait", "a"]
    await tts.resume()
    await listener.hear(2)
    await until(lambda: texts(words) == ["Wait", "a", "moment."])


# Who gets none


async def test_streams_and_cache_fills_tell_none(
    tts: LokutorTTS, scripted: ScriptedServer, listener: Listener
) -> None:
    words, visemes = words_of(tts), visemes_told(tts)
    await tts.synthesize("Live.")
    assert [piece async for piece in tts.stream_synthesize("Not live.")]
    await TTSAudioCache(tts).preload(["Cached."])
    asked = [request["visemes"] for talk in scripted.conversations for request in talk.requests]
    assert asked == [True, False, False]
    await listener.hear(5)
    await until(lambda: texts(words) == ["Live."])
    await until(lambda: sum(map(len, visemes)) == 5)


async def test_switched_off_it_costs_nothing(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, listener: Listener
) -> None:
    tts = make_tts(scripted.url)
    words, visemes = words_of(tts), visemes_told(tts)
    await tts.synthesize("Nothing but audio.")
    assert not follows(tts)
    assert not tts.supports_word_timestamps
    assert scripted.conversations[0].requests[0]["visemes"] is False
    await listener.hear(20)
    await settled()
    assert (words, visemes) == ([], [])


@pytest.mark.parametrize(("option", "other"), [("word_timestamps", "visemes"), ("visemes", "word_spoken")])
async def test_each_can_be_had_alone(
    make_tts: Maker, scripted: ScriptedServer, listener: Listener, option: str, other: str
) -> None:
    scripted.scripts.append(speak_timed)
    tts = make_tts(scripted.url, **{option: True})
    events = {"word_timestamps": words_of(tts), "visemes": visemes_told(tts)}
    assert tts.supports_word_timestamps is (option == "word_timestamps")
    await tts.synthesize("One two.")
    await listener.hear(8)
    await until(lambda: bool(events[option]) and not follows(tts))
    assert [name for name, told in events.items() if told] == [option]


async def test_the_framework_takes_the_words(tts: LokutorTTS, track: CustomAudioStreamTrack) -> None:
    generation = SpeechGeneration(tts=tts, audio_track=track)
    generation.set_audio_track(track)
    listener = Listener(track)
    await generation.synthesize("All of it is heard.")
    await listener.hear(19)
    await until(lambda: generation.compute_spoken_transcript() == "All of it is heard.")


# Visemes


async def test_visemes_are_of_the_reply(tts: LokutorTTS, listener: Listener) -> None:
    told, texts = visemes_told(tts), ["Sí 🙂, señor.", "Vale."]
    await tts.synthesize(requests_of(*texts))
    await listener.hear(frames_of(*texts))
    await until(lambda: sum(map(len, told)) == frames_of(*texts))
    whole = " ".join(texts)
    items = [item for batch in told for item in batch]
    assert [item.index for item in items] == [*range(12), *range(13, 18)]
    assert all(item.sound == ("sil" if whole[item.index] == " " else whole[item.index]) for item in items)
    assert [item.start for item in items] == pytest.approx([count / PER_SECOND for count in range(17)])
    assert all(isinstance(batch, list) for batch in told)
    with pytest.raises(AttributeError):
        items[0].start = 0.0  # type: ignore[misc]


async def test_words_are_told_as_they_were_written(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    scripted.scripts.append(speak_timed)
    listener = Listener(track)
    tts = make_tts(
        scripted.url,
        word_timestamps=True,
        visemes=True,
        pronunciations={"nginx": "engine x", "SQL": "sequel"},
    )
    words, visemes = emitted_by(tts, "word_spoken"), emitted_by(tts, "visemes")
    written, spoken = "Does nginx speak SQL well?", "Does engine x speak sequel well?"
    await tts.synthesize(written)
    assert scripted.texts == [spoken]
    await listener.hear(frames_of(spoken))
    await until(lambda: len(words) == 5)
    assert [word["word"] for word in words] == ["Does", "nginx", "speak", "SQL", "well?"]
    assert words[-1]["cumulative_text"] == written
    starts = [spoken.index(word) for word in ("Does", "engine", "speak", "sequel", "well")]
    assert [word["start"] for word in words] == pytest.approx([at / PER_SECOND for at in starts])
    indices = [viseme.index for group in visemes for viseme in group]
    assert indices == sorted(indices)
    assert max(indices) == len(written) - 1

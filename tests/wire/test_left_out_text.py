"""A text that the service doesn't speak costs the reply no more than that text."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from kit import (
    Conversation,
    Script,
    ScriptedServer,
    emitted_by,
    heard_for,
    listen,
    on_track,
    requests_of,
    speech_of,
    told,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics
from videosdk.plugins.lokutor.errors import InvalidRequestError, LokutorError, ServiceError

Maker = Callable[..., LokutorTTS]
FIRST, SECOND, LAST = "This is heard.", "So is that one.", "And this is the end."
MUTE = "Das hier nicht."


async def skip(conversation: Conversation) -> None:
    await conversation.end()


async def refuse(conversation: Conversation) -> None:
    error = {"type": "error", "code": "validation.text_too_long", "message": "The text is too long"}
    await conversation.text(json.dumps(error))


def speaking_all_but(*mute: str, answer: Script = skip) -> Script:
    """Return a script of a service that gives another answer where a text contains one of ``mute``."""

    async def script(conversation: Conversation) -> None:
        while True:
            text = (await conversation.request())["text"]
            if any(each in text for each in mute):
                await answer(conversation)
            else:
                await conversation.audio(speech_of(text))
                await conversation.end()

    return script


@pytest.fixture
def errors(tts: LokutorTTS) -> list[LokutorError]:
    return listen(tts)


@pytest.fixture
def metrics(tts: LokutorTTS) -> list[SynthesisMetrics]:
    return emitted_by(tts, "metrics")


@pytest.mark.parametrize(("answer", "tries"), [(skip, 2), (refuse, 1)])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_all_other_sentences_are_heard(
    place: int,
    answer: Script,
    tries: int,
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    metrics: list[SynthesisMetrics],
) -> None:
    scripted.scripts.extend([speaking_all_but(MUTE, answer=answer)] * 3)
    texts = [FIRST, LAST]
    texts.insert(place, MUTE)
    await tts.synthesize(requests_of(*texts))
    assert on_track(track) == heard_for(FIRST, LAST)
    assert sorted(scripted.texts) == sorted([FIRST, LAST, *[MUTE] * tries])
    assert errors == []
    [cost] = metrics
    assert (cost.characters_left_out, cost.error_code) == (len(MUTE), None)


async def test_of_a_request_of_several_sentences_one_is_left_out(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = make_tts(scripted.url, pacing=False, pronunciations={"heard": "herd"})
    errors = listen(tts)
    scripted.scripts.extend([speaking_all_but(MUTE)] * 9)
    whole = f"{FIRST} {SECOND} {MUTE} {LAST}"
    await tts.synthesize(whole)
    spoken = [text.replace("heard", "herd") for text in (FIRST, SECOND, LAST)]
    assert scripted.texts[:3] == [whole.replace("heard", "herd")] * 2 + [spoken[0]]
    assert on_track(track) == heard_for(*spoken)
    assert errors == []


async def test_words_and_their_text_do_without_it(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    tts = make_tts(scripted.url, word_timestamps=True)
    scripted.scripts.extend([speaking_all_but(MUTE)] * 3)
    words, _ = await told(tts, track, FIRST, MUTE, LAST)
    assert words[-1]["cumulative_text"] == f"{FIRST} {LAST}"
    assert tts.spoken_text == f"{FIRST} {LAST}"


async def test_a_service_that_speaks_nothing_any_more_is_reported(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    metrics: list[SynthesisMetrics],
) -> None:
    scripted.scripts.extend([speaking_all_but("not")] * 9)
    await tts.synthesize(requests_of(FIRST, "One not.", "Two not.", "Three not.", LAST))
    assert on_track(track) == heard_for(FIRST)
    assert [type(error) for error in errors] == [ServiceError]
    assert scripted.texts == [FIRST, "One not.", "One not.", "Two not.", "Three not."]
    [cost] = metrics
    assert cost.characters_left_out == len("One not.") + len("Two not.")


@pytest.mark.parametrize(("answer", "kind"), [(skip, ServiceError), (refuse, InvalidRequestError)])
async def test_a_reply_of_which_nothing_is_spoken_has_failed(
    answer: Script,
    kind: type[LokutorError],
    tts: LokutorTTS,
    scripted: ScriptedServer,
    errors: list[LokutorError],
) -> None:
    scripted.scripts.extend([speaking_all_but("not", answer=answer)] * 9)
    await tts.synthesize(requests_of("One not.", "Two not."))
    assert [type(error) for error in errors] == [kind]

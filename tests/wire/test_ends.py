"""A second end of a request, in the same spelling as the first: it must not cut the next request off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest
from kit import (
    PATIENCE,
    BareTrack,
    Clock,
    Conversation,
    Script,
    ScriptedServer,
    heard_for,
    listen,
    logged,
    requests_of,
    speech_of,
    until,
)
from kit.speech import at_track_rate
from videosdk.agents import FlushMarker

from videosdk.plugins.lokutor import LokutorTTS, _utterance
from videosdk.plugins.lokutor.errors import LokutorError

Maker = Callable[..., LokutorTTS]
TEXTS = ("The first sentence of a reply.", "The second one of the same.", "And a third that ends it.")
DOUBTS = "Waiting for more audio"


@pytest.fixture
def heard(tts: LokutorTTS) -> BareTrack:
    track = tts.audio_track = BareTrack()
    return track


@pytest.fixture
def errors(tts: LokutorTTS) -> list[LokutorError]:
    return listen(tts)


@pytest.fixture
def no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an end that is doubted be doubted for ever."""
    monkeypatch.setattr(_utterance, "_DOUBT", 3_600.0)


def part_of(speech: bytes, share: float) -> int:
    return int(len(speech) / 2 * share) * 2


def ending_late(share: float, odd: int = 0) -> Script:
    """Return a script that ends each request again when so much of the next one's audio has come."""

    async def script(conversation: Conversation) -> None:
        begun = False
        while True:
            speech = speech_of((await conversation.request())["text"])
            place = part_of(speech, share) + odd
            await conversation.audio(speech[:place])
            if begun:
                await conversation.end()
            await conversation.audio(speech[place:])
            await conversation.end()
            begun = True

    return script


async def say(tts: LokutorTTS, text: AsyncIterator[str | FlushMarker]) -> None:
    await asyncio.wait_for(tts.synthesize(text), PATIENCE)


@pytest.mark.usefixtures("no_doubt")
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
async def test_an_end_behind_too_little_audio_is_no_end_where_more_follows(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack, errors: list[LokutorError], share: float
) -> None:
    scripted.scripts.append(ending_late(share))
    await say(tts, requests_of(*TEXTS))
    assert errors == []
    assert scripted.texts == [*TEXTS]
    assert heard.pcm == heard_for(*TEXTS)


@pytest.mark.usefixtures("no_doubt")
@pytest.mark.parametrize("share", [0.1, 0.7, 0.95])
async def test_a_service_that_ends_twice_is_known_from_then_on(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack, share: float
) -> None:
    """Also in the next turn; and an end that comes behind much audio is doubted, too."""

    async def end_twice(conversation: Conversation) -> None:
        await conversation.audio(speech_of((await conversation.request())["text"]))
        await conversation.end()
        await conversation.end()
        await conversation.is_read()
        noticed.set()
        await conversation.gone()

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield TEXTS[0]
        yield FlushMarker()
        await noticed.wait()

    noticed = asyncio.Event()
    scripted.scripts.extend([end_twice, ending_late(share)])
    await say(tts, text())
    heard.pcm = b""
    await say(tts, requests_of(*TEXTS))
    assert heard.pcm == heard_for(*TEXTS)
    assert scripted.texts == [TEXTS[0], *TEXTS]


async def test_an_end_that_nothing_follows_is_believed_a_moment_later(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack, clock: Clock, errors: list[LokutorError]
) -> None:
    async def short_of_words(conversation: Conversation) -> None:
        for share in (1.0, 0.1, 1.0):
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech[: part_of(speech, share)])
            await conversation.end()
        await conversation.gone()

    scripted.scripts.append(short_of_words)
    with logged(DOUBTS) as doubted:
        turn = asyncio.create_task(say(tts, requests_of(*TEXTS)))
        await asyncio.wait_for(doubted.wait(), PATIENCE)
    await clock.advance(0.2)
    assert scripted.texts == [*TEXTS[:2]]
    await clock.advance(0.15)
    await turn
    assert errors == []
    assert scripted.texts == [*TEXTS]
    assert not tts._ends.doubled


@pytest.mark.usefixtures("no_doubt")
async def test_two_ends_behind_too_little_audio_are_one(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack, errors: list[LokutorError]
) -> None:
    async def short_of_words(conversation: Conversation) -> None:
        for share in (1.0, 0.1):
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech[: part_of(speech, share)])
            await conversation.end()
        await conversation.end()
        await conversation.gone()

    scripted.scripts.append(short_of_words)
    await say(tts, requests_of(*TEXTS[:2]))
    assert errors == []


@pytest.mark.usefixtures("no_doubt")
async def test_a_connection_that_is_lost_behind_an_end_in_doubt_is_replaced(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack, errors: list[LokutorError]
) -> None:
    async def cut(conversation: Conversation) -> None:
        for share in (1.0, 0.1):
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech[: part_of(speech, share)])
            await conversation.end()
        await conversation.ws.close()

    scripted.scripts.append(cut)
    await say(tts, requests_of(*TEXTS))
    assert errors == []
    assert scripted.texts == [*TEXTS[:2], *TEXTS[1:]]
    assert heard.pcm == heard_for(*TEXTS)


@pytest.mark.usefixtures("no_doubt")
async def test_an_interruption_ends_an_end_in_doubt(
    tts: LokutorTTS, scripted: ScriptedServer, heard: BareTrack
) -> None:
    async def short_of_words(conversation: Conversation) -> None:
        for share in (1.0, 0.1):
            speech = speech_of((await conversation.request())["text"])
            await conversation.audio(speech[: part_of(speech, share)])
            await conversation.end()
        await conversation.gone()

    scripted.scripts.append(short_of_words)
    with logged(DOUBTS) as doubted:
        turn = asyncio.create_task(say(tts, requests_of(*TEXTS)))
        await asyncio.wait_for(doubted.wait(), PATIENCE)
    await tts.interrupt()
    await turn
    assert scripted.texts == [*TEXTS[:2]]


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("ends", [1, 2])
async def test_audio_behind_an_end_is_heard_while_no_other_request_was_sent(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    heard: BareTrack,
    errors: list[LokutorError],
    ends: int,
    odd: int,
) -> None:
    """A second end that comes behind so much audio that nothing shows what it is.

    One that cuts a sample in two is no end where more audio follows. Where another end follows, it is, and
    nothing of that sample is heard.
    """

    async def end_twice(conversation: Conversation) -> None:
        await conversation.audio(speech_of((await conversation.request())["text"]))
        await conversation.end()
        speech = speech_of((await conversation.request())["text"])
        place = part_of(speech, 0.8) + odd
        await conversation.audio(speech[:place])
        for _ in range(ends):
            await conversation.end()
        await conversation.audio(speech[place:])
        await conversation.end()
        speech = speech_of((await conversation.request())["text"])
        await conversation.audio(speech[: place - 200])
        await conversation.end()
        await conversation.audio(speech[place - 200 :])
        await conversation.end()
        await conversation.gone()

    async def text() -> AsyncIterator[str | FlushMarker]:
        for sentence in TEXTS[:2]:
            yield sentence
            yield FlushMarker()
        await until(lambda: len(heard.pcm) > len(heard_for(*TEXTS[:2])) - 2_000)
        yield TEXTS[2]

    scripted.scripts.append(end_twice)
    await say(tts, text())
    assert errors == []
    assert scripted.texts == [*TEXTS]
    first, second, third = map(speech_of, TEXTS)
    place = part_of(second, 0.8)
    lost = 2 if odd and ends > 1 else 0
    assert heard.pcm == at_track_rate(first + second[:place] + second[place + lost :] + third, 24_000)


@pytest.mark.usefixtures("no_doubt")
async def test_an_end_that_cuts_a_sample_in_two_lets_no_other_request_take_the_rest(
    make_tts: Maker, scripted: ScriptedServer
) -> None:
    """The rest would shift the next request's samples by a byte, which is noise."""

    scripted.scripts.append(ending_late(0.8, odd=1))
    tts = make_tts(scripted.url, pacing=False)
    heard = tts.audio_track = BareTrack()
    await say(tts, requests_of(*TEXTS))
    assert heard.pcm == heard_for(*TEXTS)


@pytest.mark.usefixtures("no_doubt")
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_waited_for_where_each_request_ends_once(
    make_tts: Maker, scripted: ScriptedServer, seed: int
) -> None:
    """A healthy service must not be slower for those that end twice."""
    chance = random.Random(seed)
    words = ("a", "Oh!", "1.5", "...", "\N{PARTY POPPER}\N{PARTY POPPER}", "well,", "incomprehensibilities")
    texts = [f"So {' '.join(chance.choices(words, k=chance.choice((0, 1, 3, 20))))}." for _ in range(20)]
    tts = make_tts(scripted.url, pacing=False)
    heard = tts.audio_track = BareTrack()
    await say(tts, requests_of(*texts))
    assert heard.pcm == heard_for(*scripted.texts)
    assert len(scripted.texts) >= 20
    assert not tts._ends.doubled

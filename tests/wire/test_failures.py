"""What happens when the service or the network fails: the turn is released, and somebody is told."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import pytest
from kit import (
    PATIENCE,
    Conversation,
    Script,
    ScriptedServer,
    chunks_of,
    close_on_request,
    cut_on_request,
    heard_for,
    listen,
    on_track,
    pushed_samples,
    refusing,
    settled,
    speech_of,
)
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    LokutorError,
    NetworkError,
    ProtocolError,
    RateLimitError,
    ReplyTimeoutError,
    ServiceError,
)

Maker = Callable[..., LokutorTTS]
TEXT = "A sentence that fails."
LIMITS = {
    "Retry-After": "7",
    "X-RateLimit-Limit": "100",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": "42",
}


@pytest.fixture
async def tts(make_tts: Callable[..., LokutorTTS], scripted: ScriptedServer) -> LokutorTTS:
    """Return a plugin that doesn't try again: what recovery does is told elsewhere."""
    return make_tts(scripted.url, max_retries=0)


@pytest.fixture
def errors(tts: LokutorTTS) -> list[LokutorError]:
    return listen(tts)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (200, ConfigurationError, False),
        (302, ConfigurationError, False),
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, ConfigurationError, False),
        (408, ServiceError, True),
        (429, RateLimitError, True),
        (500, ServiceError, True),
        (503, ServiceError, True),
    ],
)
async def test_a_refused_handshake_is_emitted_once_and_raised_before_any_text_is_pulled(
    make_tts: Callable[..., LokutorTTS], status: int, kind: type[LokutorError], retryable: bool
) -> None:
    pulled = False

    async def text() -> AsyncIterator[str]:
        nonlocal pulled
        pulled = True
        yield TEXT

    runner, url = await refusing(status, {"Location": "http://127.0.0.1:9/", **LIMITS})
    try:
        tts = make_tts(url, max_retries=0)
        emitted = listen(tts)
        with pytest.raises(kind) as caught:
            await tts.synthesize(text())
    finally:
        await runner.cleanup()
    assert emitted == [caught.value]
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert not pulled
    if isinstance(caught.value, RateLimitError):
        error = caught.value
        assert (error.retry_after, error.limit, error.remaining, error.reset_after) == (7.0, 100, 0, 42.0)


async def test_a_refused_connection_is_emitted_and_raised(make_tts: Callable[..., LokutorTTS]) -> None:
    tts = make_tts("ws://127.0.0.1:9", max_retries=0)
    emitted = listen(tts)
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9") as caught:
        await tts.synthesize(TEXT)
    assert emitted == [caught.value]


async def test_no_track_is_emitted_and_raised(tts: LokutorTTS, errors: list[LokutorError]) -> None:
    tts.audio_track = None
    with pytest.raises(ConfigurationError, match="audio_track"):
        await tts.synthesize(TEXT)
    assert len(errors) == 1


async def test_the_key_is_in_no_part_of_a_failure(
    make_tts: Callable[..., LokutorTTS], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    runner, url = await refusing(401)
    try:
        with pytest.raises(AuthenticationError) as caught:
            await make_tts(url).synthesize(TEXT)
    finally:
        await runner.cleanup()
    error: BaseException | None = caught.value
    seen = caplog.text + "".join(traceback.format_exception(caught.value))
    while error is not None:
        seen += repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    assert "test-key" not in seen


async def close_early(conversation: Conversation) -> None:
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"])[:20_000])
    await conversation.ws.close()


async def policy(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.ws.close(code=1008)


def replying(message: str) -> Callable[[Conversation], Awaitable[None]]:
    async def reply(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.text(message)
        await conversation.gone()

    return reply


FAILURES: dict[str, tuple[Script, type[LokutorError], str | None]] = {
    "closed without audio": (close_on_request, NetworkError, None),
    "cut off": (cut_on_request, NetworkError, None),
    "close code 1008": (policy, ServiceError, None),
    "ERR": (replying("ERR: busy"), ServiceError, None),
    "bad voice": (
        replying('{"type":"error","data":{"code":"validation.invalid_voice","message":"no such voice"}}'),
        InvalidRequestError,
        "validation.invalid_voice",
    ),
    "rate limit": (
        replying('{"type":"error","code":"auth.rate_limited","message":"slow down"}'),
        RateLimitError,
        "auth.rate_limited",
    ),
    "broken audio": (replying('{"type":"audio","data":"%%%"}'), ProtocolError, None),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_after_text_was_pulled_releases_the_turn_and_is_emitted(
    tts: LokutorTTS,
    scripted: ScriptedServer,
    track: CustomAudioStreamTrack,
    errors: list[LokutorError],
    name: str,
) -> None:
    script, kind, code = FAILURES[name]
    order: list[str] = []

    async def first_audio() -> None:
        order.append("released")

    def on_error(error: LokutorError) -> None:
        order.append("told")

    scripted.scripts.append(script)
    tts.on_first_audio_byte(first_audio)
    tts.on("error", on_error)
    await tts.synthesize(chunks_of([TEXT]))
    assert [type(error) for error in errors] == [kind]
    assert errors[0].code == code
    assert order == ["released", "told"]
    assert pushed_samples(track) == 0
    await tts.synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)


async def test_what_came_before_a_failure_is_heard_and_ends_on_a_whole_frame(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    calls: list[None] = []

    async def first_audio() -> None:
        calls.append(None)

    tts.on_first_audio_byte(first_audio)
    scripted.scripts.append(close_early)
    await tts.synthesize(TEXT)
    heard = on_track(track)
    assert [type(error) for error in errors] == [NetworkError]
    assert calls == [None]
    assert len(heard) % 960 == 0
    # The filter looks ahead 1.4 ms, so the very last samples differ from those of the whole reply.
    assert heard[:10_800] == heard_for(TEXT)[:10_800]


async def test_a_failed_stream_raises_instead_of_ending_early(
    tts: LokutorTTS, scripted: ScriptedServer, errors: list[LokutorError]
) -> None:
    scripted.scripts.append(close_early)
    with pytest.raises(NetworkError) as caught:
        assert [piece async for piece in tts.stream_synthesize(TEXT)]
    assert errors == [caught.value]


async def test_a_stream_that_is_closed_with_the_plugin_raises(
    tts: LokutorTTS, scripted: ScriptedServer
) -> None:
    stream = tts.stream_synthesize("A longer text. " * 50)
    await anext(stream)
    await tts.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        async for _ in stream:
            pass


async def test_a_service_that_sends_nothing_counts_as_hung(
    make_tts: Callable[..., LokutorTTS], scripted: ScriptedServer
) -> None:
    tts = make_tts(scripted.url, max_retries=0, first_audio_timeout=0.05)
    emitted = listen(tts)
    scripted.scripts.append(lambda conversation: conversation.gone())
    await asyncio.wait_for(tts.synthesize(TEXT), PATIENCE)
    assert [type(error) for error in emitted] == [ReplyTimeoutError]
    await scripted.all_closed()


async def test_messages_that_mean_nothing_are_ignored(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    early = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        await early.wait()
        await settled()
        yield TEXT

    async def noisy(conversation: Conversation) -> None:
        await conversation.text("EOS")  # Nothing was asked for yet.
        early.set()
        request = await conversation.request()
        for message in [
            '{"type":"timing","ttfb_ms":139}',
            "hello",
            "[]",
            '{"type":"new"}',
            "{broken",
            "[" * 9000,
        ]:
            await conversation.text(message)
        await conversation.audio(b"")
        await conversation.audio(speech_of(request["text"]))
        await conversation.text('[{"v":0,"c":"A","t":0.0}]')
        await conversation.text(" EOS\n")
        await conversation.audio(speech_of("too late"))
        await conversation.gone()

    scripted.scripts.append(noisy)
    await tts.synthesize(text())
    assert on_track(track) == heard_for(TEXT)
    assert errors == []


async def test_an_exception_of_the_users_text_comes_out_as_it_is(
    tts: LokutorTTS, scripted: ScriptedServer, errors: list[LokutorError]
) -> None:
    class MineError(Exception):
        pass

    async def text() -> AsyncIterator[str]:
        yield TEXT
        raise MineError

    with pytest.raises(MineError):
        await tts.synthesize(text())
    assert errors == []
    await scripted.all_closed()


class PlainText:
    """A text iterator whose ``__anext__`` is no coroutine: it raises at once, and returns a future."""

    def __init__(self, end: BaseException) -> None:
        self._texts = [TEXT]
        self._end = end

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> asyncio.Future[str]:
        if not self._texts:
            raise self._end
        text: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        text.set_result(self._texts.pop())
        return text


async def test_a_text_iterator_need_not_be_a_coroutine(
    tts: LokutorTTS, track: CustomAudioStreamTrack, errors: list[LokutorError]
) -> None:
    """The interpreter crashes where a default is given to ``anext()`` for one like this."""
    await tts.synthesize(PlainText(StopAsyncIteration()))
    assert on_track(track) == heard_for(TEXT)
    with pytest.raises(LookupError):
        await tts.synthesize(PlainText(LookupError()))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await tts.synthesize(PlainText(StopIteration()))
    assert errors == []


async def test_a_stream_ends_with_whatever_the_text_has_raised(tts: LokutorTTS) -> None:
    class StopError(BaseException):
        pass

    async def text() -> AsyncIterator[str]:
        yield TEXT
        raise StopError

    with pytest.raises(StopError):
        async with asyncio.timeout(PATIENCE):
            assert [piece async for piece in tts.stream_synthesize(text())]


async def test_text_of_a_wrong_type_is_named(tts: LokutorTTS, scripted: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="bytes"):
        await tts.synthesize(chunks_of([b"bytes"]))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="async iter"):
        await tts.synthesize(["a list"])  # type: ignore[arg-type]
    await scripted.all_closed()


async def test_an_error_listener_that_raises_changes_nothing(
    tts: LokutorTTS, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    def on_error(error: LokutorError) -> None:
        raise RuntimeError("the listener's own fault")

    tts.on("error", on_error)
    scripted.scripts.append(close_on_request)
    await tts.synthesize(TEXT)
    await tts.synthesize(TEXT)
    assert on_track(track) == heard_for(TEXT)


async def test_all_text_before_an_exception_of_the_text_is_heard(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack
) -> None:
    """Also what was held back, because the listener had enough to hear."""

    async def text() -> AsyncIterator[str]:
        yield "A first sentence. "
        yield "And what stands behind it is long enough to be paced, as it is in a reply. "
        await asyncio.sleep(0)
        yield "So is this, and it waits while the one before is heard. And the last is not whole"
        raise LookupError

    tts = make_tts(scripted.url)
    with pytest.raises(LookupError):
        await tts.synthesize(text())
    assert " ".join(scripted.texts) == " ".join(
        [
            "A first sentence.",
            "And what stands behind it is long enough to be paced, as it is in a reply.",
            "So is this, and it waits while the one before is heard.",
            "And the last is not whole",
        ]
    )
    assert on_track(track) == heard_for(*scripted.texts)


@pytest.mark.parametrize("kind", [ServiceError, NetworkError])
async def test_an_error_of_ours_that_the_text_raises_comes_out_as_it_is(
    make_tts: Maker, scripted: ScriptedServer, kind: type[LokutorError]
) -> None:
    """A text may come from another plugin call. It is the caller's to handle, like every other exception."""

    async def text() -> AsyncIterator[str]:
        yield "The beginning. "
        raise kind("somebody else's")

    tts = make_tts(scripted.url)
    errors = listen(tts)
    with pytest.raises(kind, match="somebody else's"):
        await tts.synthesize(text())
    with pytest.raises(kind, match="somebody else's"):
        async for _ in tts.stream_synthesize(text()):
            pass
    assert not errors

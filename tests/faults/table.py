"""Everything that goes wrong, as data: the fault, its moment, what is heard then and what is seen.

:data:`ROWS` is the table. ``test_faults.py`` holds the plugin to each of its rows, and
:func:`reliability_table` tells the same rows in words, so that promise and test can't drift apart.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

from kit import PATIENCE, Conversation, heard_for, logged, speech_of, until
from kit.endings import NO_UTF8, Ending
from kit.proxy import Link, Play
from videosdk.agents import FlushMarker

from faults.application import (
    beginning_late,
    closed_session,
    of_a_cancelled_task,
    of_bytes,
    on_broken_track,
    on_cancelling_track,
    on_miscounting_track,
    on_slow_track,
    on_track_without_a_rate,
    raises_at_once,
    raises_later,
    raising_callback,
    raising_listener,
    saying_only,
    stalled,
    stubborn,
    with_half_a_character,
    with_nones,
    with_text,
)
from faults.plays import Moment, answering, at, drip, injecting, saying
from faults.scripts import (
    between_requests,
    changing_ends,
    close_at_once,
    closing,
    coded,
    ending_again_late,
    ending_twice,
    ending_with,
    endless,
    in_pieces,
    mute,
    out_of_order,
    pinging,
    refuse_at_once,
    refuse_later,
    replying,
    send_one_byte,
    silent,
    speak_dither,
    speak_silence,
    surrounding,
    trickle,
    with_half_a_sample,
)
from faults.stage import NEXT_TEXT, TEXT, MineError, Outcome, Row, Turn
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
    TrackError,
)

ALWAYS = 1_000
"""How many connections meet a fault that doesn't pass."""
SHORT = {"first_audio_timeout": 0.5, "idle_timeout": 0.5}
"""Limits for faults that only a limit ends."""

LINES: dict[str, str] = {
    "passing": "The service can't be reached for a moment: name lookup, refused or lost connection, "
    "broken TLS handshake, HTTP 408, 429, 5xx",
    "down": "It can't be reached within `connect_timeout` or `max_retries`",
    "key": "It refuses the API key (HTTP 401, 403), or asks for payment (402)",
    "limit": "Its rate limit lasts longer than `connect_timeout` (HTTP 429 with `Retry-After`)",
    "address": "The address is wrong: HTTP 404, no WebSocket there, an untrusted certificate, a redirect "
    "(never followed: the key would travel along)",
    "proxy": "The proxy that the environment names refuses to connect (HTTP 407)",
    "waiting": "The standby connection has died, noticed or not",
    "lost": "The connection is lost or falls silent inside a reply, or between two requests",
    "gone": "It is lost again and again without progress, or no other can be opened",
    "slow": "The network is slow, or cuts messages into single bytes",
    "passing error": "The service reports an error that may pass, ends a request without any audio, or "
    "breaks the WebSocket protocol: once",
    "lasting error": "It does so at every attempt",
    "final error": "It refuses the request for good: key, voice, language, speed, steps, text, close 1008 "
    "while a request is under way",
    "excess": "It sends unreadable audio, a message over 16 MiB, or more audio than the text can need",
    "nonsense": "It sends messages that the protocol doesn't know, timing after its audio, an end before any "
    "request, a second end of a request, or audio after the last one's end",
    "text raises": "Your text iterator raises, is cancelled, or yields something that isn't text",
    "silent text": "Your text holds nothing that can be heard: `...`, a lone quotation mark, an emoji "
    "that the service keeps silent about",
    "late text": "Your text iterator takes longer than any time-out to yield its first text",
    "odd text": "Your text iterator yields `None` or half a character",
    "text stalls": "Your text iterator stalls, and the user interrupts",
    "track raises": "Your audio track raises",
    "callbacks": "Your audio track is slow or tells nonsense, or your callback or listener raises",
}
"""Lines of the reliability table: what goes wrong, in words."""

_BEFORE, _MID, _AFTER = Moment.BEFORE_AUDIO, Moment.MID_AUDIO, Moment.AFTER_AUDIO
_SPEECH = len(speech_of(TEXT))
_HEARD = len(heard_for(TEXT))
_PART = 20_001
"""Bytes of audio before a fault in the middle: half a sample is among them."""
_MESSAGES = {_BEFORE: 0, _MID: _PART, _AFTER: _SPEECH}
_ENDINGS: dict[str, Play] = {"reset": Link.reset, "FIN": Link.finish, "silence": Link.swallow}
_UNKNOWN: tuple[str | bytes, ...] = (
    "hello",
    "",
    "[]",
    "{broken",
    '{"type":"new"}',
    '{"type":["error"]}',
    '{"type":"timing","ttfb_ms":139}',
    '{"type":"visemes","data":7}',
    "[" * 9_000,
    '{"a":' * 9_000,
    "9" * 9_000,
    "[" + "9" * 9_000 + "]",
    b"",
)
_ERRORS = {
    "ERR: with a space": "ERR: busy",
    "ERR: without a space": "ERR:busy",
    "type error with a message": '{"type":"error","message":"busy"}',
    "type error with data": '{"type":"error","data":{"code":"tts.synthesis_failed","message":"busy"}}',
    "type error with a code on top": '{"type":"error","code":"internal.error","message":"busy"}',
    "type error with nothing": '{"type":"error"}',
    "type error with an unknown code": '{"type":"error","code":"new.code","message":"busy"}',
}
_FINAL: dict[str, type[LokutorError]] = {
    "auth.missing_key": AuthenticationError,
    "auth.invalid_key": AuthenticationError,
    "auth.time_limited": AuthenticationError,
    "validation.invalid_voice": InvalidRequestError,
    "validation.invalid_language": InvalidRequestError,
    "validation.text_too_long": InvalidRequestError,
    "validation.speed_out_of_range": InvalidRequestError,
    "validation.steps_out_of_range": InvalidRequestError,
    "validation.invalid_request_format": InvalidRequestError,
    "internal.cancelled": ServiceError,
}


def _handshake_rows() -> list[Row]:
    """Return what goes wrong before there is a WebSocket."""
    passing = {
        Moment.TCP: {"reset": at(Moment.TCP, Link.reset), "FIN": at(Moment.TCP, Link.finish)},
        Moment.UPGRADE: {
            "reset": at(Moment.UPGRADE, Link.reset),
            "FIN": at(Moment.UPGRADE, Link.finish),
            "408": answering("408 Request Timeout"),
            "429": answering("429 Too Many Requests"),
            "429 with a Retry-After that is no number": answering(
                "429 Too Many Requests", "Retry-After: \u00b2\r\n"
            ),
            "500": answering("500 Internal Server Error"),
            "503": answering("503 Service Unavailable"),
            "garbage": saying(b"\x00\xff\x15 garbage\r\n\r\n"),
            "half an answer": saying(b"HTTP/1.1 101 Switching Pro"),
        },
    }
    rows = [
        Row(
            "passing", name, moment, Outcome.HEALED, link, tries=2
        )  # aiohttp itself tries a lost one once more.
        for moment, plays in passing.items()
        for name, link in plays.items()
    ]
    return [
        *rows,
        Row(
            "passing",
            "a handshake that hangs",
            Moment.UPGRADE,
            Outcome.HEALED,
            at(Moment.UPGRADE, Link.swallow),
            options={"connect_timeout": 4.0},
            tries=2,
        ),
        Row("passing", "unknown host", Moment.DNS, Outcome.HEALED, times=2, host="unresolved"),
        Row("passing", "cut off", Moment.TLS, Outcome.HEALED, _drop_tls, host="tls", tries=2),
        Row(
            "passing",
            "429 with Retry-After",
            Moment.UPGRADE,
            Outcome.HEALED,
            answering("429 Too Many Requests", "Retry-After: 1\r\n"),
            at_least=1.0,
            tries=2,
        ),
        Row(
            "down",
            "a name that nobody has",
            Moment.DNS,
            Outcome.RAISED,
            error=NetworkError,
            retryable=True,
            host="nameless",
            options={"connect_timeout": 2.0},
            tries=0,
        ),
        Row("passing", "refused", Moment.TCP, Outcome.HEALED, host="refused", arrange=listening_late),
        *_unreachable_rows(),
        *_refusal_rows(),
    ]


async def _drop_tls(link: Link) -> None:
    """Cut the connection right after the TLS handshake, which the client then sees fail or end."""
    await link.reset()


def _unreachable_rows() -> list[Row]:
    down = functools.partial(Row, "down", outcome=Outcome.RAISED, retryable=True, times=ALWAYS)
    network = functools.partial(down, error=NetworkError)
    brief, once = {"connect_timeout": 1.0}, {"max_retries": 1}
    black_holes = {Moment.TCP: "", Moment.TLS: "plain", Moment.UPGRADE: ""}
    return [
        network("unknown host", Moment.DNS, host="unresolved", options={"max_retries": 2}),
        network("refused", Moment.TCP, host="refused", options={"max_retries": 2}),
        network("reset", Moment.TCP, link=at(Moment.TCP, Link.reset), options=once),
        network("cut off", Moment.TLS, link=at(Moment.TLS, Link.reset), host="plain", options=brief),
        network("ended", Moment.TLS, link=at(Moment.TLS, Link.finish), host="plain", options=brief),
        network(
            "garbage", Moment.UPGRADE, link=saying(b"\x00\xff\x15 garbage\r\n\r\n"), options=once, tries=2
        ),
        *(
            network(
                "silence",
                moment,
                link=at(moment, Link.swallow),
                host=host,
                options=brief,
                at_least=1.0,
                tries=1,
            )
            for moment, host in black_holes.items()
        ),
        *(
            down(
                str(status),
                Moment.UPGRADE,
                link=answering(str(status)),
                error=ServiceError,
                status=status,
                tries=4,
            )
            for status in (500, 503)
        ),
        network(
            "silence for a standby connection",
            Moment.UPGRADE,
            link=at(Moment.UPGRADE, Link.swallow),
            options={"connect_timeout": 1.5},
            at_least=1.4,
            within=2.9,
            arrange=while_warming,
        ),
    ]


def listening_late(turn: Turn) -> None:
    """Let the port be open when the first try has failed."""

    async def drive(turn: Turn) -> None:
        with logged("Trying again") as failed:
            call = asyncio.create_task(turn.tts.synthesize(turn.text))
            await asyncio.wait_for(failed.wait(), PATIENCE)
        await turn.stage.proxy.listen()
        await call

    turn.drive = drive


def while_warming(turn: Turn) -> None:
    """Let the turn begin while the socket for it is being opened."""

    async def drive(turn: Turn) -> None:
        warming = asyncio.create_task(turn.stage.prewarm())
        await until(lambda: bool(turn.stage.proxy.links))
        try:
            await turn.tts.synthesize(turn.text)
        finally:
            await warming

    turn.drive = drive


def _refusal_rows() -> list[Row]:
    refused = functools.partial(Row, moment=Moment.UPGRADE, outcome=Outcome.RAISED, times=ALWAYS, tries=1)
    redirect = "Location: {elsewhere}\r\nConnection: close\r\n"
    wrong = functools.partial(refused, "address", error=ConfigurationError)
    return [
        *(
            refused("key", str(status), link=answering(str(status)), error=AuthenticationError, status=status)
            for status in (401, 402, 403)
        ),
        *(
            refused(
                "limit",
                f"429 with a long {header}",
                link=answering("429 Too Many Requests", f"{header}: 60\r\n"),
                error=RateLimitError,
                status=429,
                retryable=True,
            )
            for header in ("Retry-After", "X-RateLimit-Reset")
        ),
        wrong("400", link=answering("400 Bad Request"), status=400),
        wrong("404", link=answering("404 Not Found"), status=404),
        wrong("200 without upgrade", link=answering("200 OK", body="hello"), status=200),
        *(
            wrong(
                f"{status} to another host{' for a session of your own' * bool(host)}",
                link=answering(f"{status} Moved", redirect),
                status=status,
                host=host,
            )
            for status, host in [(301, ""), (302, ""), (302, "own"), (303, ""), (307, "own"), (308, "")]
        ),
        *(
            refused(
                line,
                f"{answer[:3]} for a session that raises for each status",
                link=answering(answer, f"Connection: close\r\n{headers}"),
                error=error,
                status=int(answer[:3]),
                retryable=error is RateLimitError,
                host="strict",
            )
            for line, answer, headers, error in [
                ("key", "401 Unauthorized", "", AuthenticationError),
                ("limit", "429 Too Many Requests", "Retry-After: 60\r\n", RateLimitError),
                ("address", "404 Not Found", "", ConfigurationError),
            ]
        ),
        wrong("302 to nowhere", link=answering("302 Found"), status=302),
        wrong(
            "302 to something unreadable", link=answering("302 Found", "Location: http://[\r\n"), status=302
        ),
        refused(
            "proxy",
            "407 of a proxy",
            link=answering("407 Proxy Authentication Required"),
            error=ConfigurationError,
            status=407,
            host="proxied",
        ),
        wrong("untrusted certificate", moment=Moment.TLS, host="untrusted", tries=None),
        wrong(
            "a session that is closed", moment=Moment.YOURS, arrange=closed_session, host="own", tries=None
        ),
    ]


def _connection_rows() -> list[Row]:
    """Return what goes wrong with the connection once it is open."""
    healed = functools.partial(Row, "lost", outcome=Outcome.HEALED, options=SHORT)
    gone = functools.partial(Row, "gone", outcome=Outcome.REPORTED, times=ALWAYS, retryable=True)
    codes, once = (1000, 1001, 1009, 1011, 1013), {"max_retries": 1}
    return [
        *(
            healed(f"{name}{' over TLS' * bool(host)}", moment, link=at(moment, ending), host=host)
            for name, ending in _ENDINGS.items()
            for moment in (_BEFORE, _MID)
            for host in ("", "tls")
        ),
        *(
            healed(f"close {code}", moment, script=closing(code, size))
            for code in codes
            for moment, size in _MESSAGES.items()
        ),
        *(
            gone(
                f"close {code}",
                moment,
                script=closing(code, size),
                status=code,
                error=NetworkError,
                heard=size,
                options=once,
            )
            for code in codes
            for moment, size in {_BEFORE: 0, _MID: _PART}.items()
        ),
        *(healed("nothing but pings", moment, script=pinging(size)) for moment, size in _MESSAGES.items()),
        gone(
            "nothing but pings",
            _BEFORE,
            script=pinging(0),
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "silence",
            _BEFORE,
            link=at(_BEFORE, Link.swallow),
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "silence",
            _MID,
            link=at(_MID, Link.swallow),
            error=ReplyTimeoutError,
            heard=None,
            options={**SHORT, "connect_timeout": 1.0},
            within=8.0,
        ),
        gone(
            "part of it, then silence",
            _MID,
            script=replying(b"", _PART),
            heard=_PART,
            error=ReplyTimeoutError,
            options={**SHORT, "connect_timeout": 1.0, "max_retries": 100},
            within=6.0,
        ),
        *(
            gone(
                name,
                _MID,
                script=script,
                heard=None,
                error=ReplyTimeoutError,
                options={**SHORT, "connect_timeout": 1.0, "max_retries": 100},
                within=6.0,
            )
            for name, script in {
                "a trickle of bytes": trickle,
                "silence as audio": speak_silence,
                "noise that nobody hears": speak_dither,
            }.items()
        ),
        gone("reset", _BEFORE, link=at(_BEFORE, Link.reset), error=NetworkError, status=1006, options=once),
        gone(
            "FIN", _MID, link=at(_MID, Link.finish), error=NetworkError, heard=None, status=1006, options=once
        ),
        *_between_rows(),
        *_waiting_rows(),
        Row("slow", "one byte at a time", _MID, Outcome.IGNORED, drip),
        Row("slow", "one byte at a time, over TLS", _MID, Outcome.IGNORED, drip, host="tls"),
        *(
            Row("slow", f"messages of {size}", _MID, Outcome.IGNORED, script=in_pieces(size))
            for size in (1, 3, 4097)
        ),
    ]


def _between_rows() -> list[Row]:
    endings: dict[str, Ending] = {
        "close 1000": lambda conversation: conversation.ws.close(),
        "close 1011": lambda conversation: conversation.ws.close(code=1011),
        "close 1008 while idle": lambda conversation: conversation.ws.close(code=1008),
        "cut off": _abort,
        "an error": lambda conversation: conversation.text("ERR: restarting"),
    }
    return [
        *(
            Row(
                "lost",
                name,
                Moment.BETWEEN,
                Outcome.HEALED,
                script=between_requests(ending),
                arrange=in_two_requests,
            )
            for name, ending in endings.items()
        ),
        Row(
            "lost",
            "silence where the end should be, which comes in another form",
            Moment.BETWEEN,
            Outcome.HEALED,
            script=changing_ends("EOS", '{"type":"eos"}'),
            arrange=in_two_requests,
            options=SHORT,
            tries=2,
        ),
    ]


async def of_three_requests() -> AsyncIterator[str | FlushMarker]:
    for text in (TEXT, NEXT_TEXT, "And one more."):
        yield text
        yield FlushMarker()


async def _abort(conversation: Conversation) -> None:
    await asyncio.sleep(0.05)  # So that the audio leaves before the reset overtakes it.
    conversation.abort()


def in_two_requests(turn: Turn) -> None:
    """Let the second request's text come when the first request has ended."""

    async def text() -> AsyncIterator[str | FlushMarker]:
        yield TEXT
        yield FlushMarker()
        await until(lambda: turn.tts.audio_track._cumulative_input_samples >= _SPEECH // 2 * 240 // 441 - 40)
        yield NEXT_TEXT

    turn.text = text()


def _waiting_rows() -> list[Row]:
    waiting = functools.partial(Row, "waiting", outcome=Outcome.HEALED, warm=True)
    return [
        *(
            waiting(name, Moment.WAITING, link=at(Moment.WAITING, ending))
            for name, ending in _ENDINGS.items()
        ),
        *(
            waiting(f"{name} when it is needed", _BEFORE, link=at(_BEFORE, ending))
            for name, ending in _ENDINGS.items()
        ),
        waiting("silence over TLS", Moment.WAITING, link=at(Moment.WAITING, Link.swallow), host="tls"),
        waiting("reset over TLS", Moment.WAITING, link=at(Moment.WAITING, Link.reset), host="tls"),
        waiting("close 1008 when it is needed", _BEFORE, script=closing(1008)),
        Row(
            "gone",
            "silence, and the service is down",
            Moment.WAITING,
            Outcome.REPORTED,
            at(Moment.WAITING, Link.swallow),
            error=ServiceError,
            status=503,
            retryable=True,
            warm=True,
            arrange=then_down,
        ),
    ]


def then_down(turn: Turn) -> None:
    """Let nothing take the place of the standby connection."""
    turn.stage.proxy.faults.extend([answering("503")] * ALWAYS)


def _service_rows() -> list[Row]:
    """Return what the service itself does wrong."""
    return [
        *(
            Row("passing error", name, moment, Outcome.HEALED, script=replying(message, size))
            for name, message in _ERRORS.items()
            for moment, size in _MESSAGES.items()
        ),
        *_lasting_rows(),
        *_final_rows(),
        Row("passing error", "EOS without audio", _BEFORE, Outcome.HEALED, script=_mute_once),
        Row("passing error", "EOS after half a sample", _BEFORE, Outcome.HEALED, script=send_one_byte),
        Row(
            "passing error",
            "EOS without audio after a reset",
            _BEFORE,
            Outcome.HEALED,
            script=mute,
            link=None,
            arrange=reset_first,
        ),
        Row(
            "lasting error",
            "EOS without audio",
            _BEFORE,
            Outcome.REPORTED,
            script=mute,
            times=ALWAYS,
            error=ServiceError,
        ),
        Row("passing error", "silence instead of speech", _BEFORE, Outcome.HEALED, script=_silent_once),
        Row(
            "lasting error",
            "silence instead of speech",
            _BEFORE,
            Outcome.REPORTED,
            script=silent,
            times=ALWAYS,
            error=ServiceError,
        ),
        Row(
            "excess",
            "audio without end",
            _MID,
            Outcome.REPORTED,
            script=endless,
            error=ServiceError,
            heard=None,
        ),
        *_nonsense_rows(),
        *_unreadable_rows(),
    ]


async def _mute_once(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.end()
    await conversation.gone()


async def _silent_once(conversation: Conversation) -> None:
    await conversation.audio(bytes(len(speech_of((await conversation.request())["text"]))))
    await conversation.end()
    await conversation.gone()


def reset_first(turn: Turn) -> None:
    turn.stage.server.scripts.appendleft(closing(1011))


def _lasting_rows() -> list[Row]:
    lasting = functools.partial(
        Row,
        "lasting error",
        outcome=Outcome.REPORTED,
        times=ALWAYS,
        retryable=True,
        options={"max_retries": 1},
    )
    codes: dict[str, type[LokutorError]] = {
        "tts.synthesis_failed": ServiceError,
        "tts.voice_unavailable": ServiceError,
        "tts.model_not_found": ServiceError,
        "internal.error": ServiceError,
        "internal.timeout": ServiceError,
        "auth.rate_limited": RateLimitError,
        "tts.session_limit_reached": RateLimitError,
    }
    return [
        *(
            lasting(code, _BEFORE, script=replying(coded(code)), code=code, error=error)
            for code, error in codes.items()
        ),
        lasting("ERR:", _MID, script=replying("ERR: busy", _PART), heard=_PART, error=ServiceError),
        lasting(
            "an error of 1 MB", _BEFORE, script=replying("ERR: " + "busy " * 200_000), error=ServiceError
        ),
    ]


def _final_rows() -> list[Row]:
    final = functools.partial(Row, "final error", outcome=Outcome.REPORTED, times=ALWAYS, tries=1)
    return [
        *(
            final(code, _BEFORE, script=replying(coded(code)), code=code, error=error)
            for code, error in _FINAL.items()
        ),
        *(
            final(
                "validation.invalid_voice",
                moment,
                script=replying(coded("validation.invalid_voice"), size),
                code="validation.invalid_voice",
                error=InvalidRequestError,
                heard=size,
            )
            for moment, size in {_MID: _PART, _AFTER: _SPEECH}.items()
        ),
        final(
            "auth.invalid_key before a request",
            Moment.UPGRADE,
            script=refuse_at_once,
            code="auth.invalid_key",
            error=AuthenticationError,
        ),
        final(
            "auth.time_limited",
            Moment.BETWEEN,
            script=refuse_later,
            code="auth.time_limited",
            error=AuthenticationError,
            heard=_SPEECH,
            arrange=in_two_requests,
        ),
        final(
            "close 1008 right after the upgrade",
            Moment.UPGRADE,
            script=close_at_once,
            status=1008,
            error=ServiceError,
            tries=None,
        ),
        *(
            final(
                "close 1008", moment, script=closing(1008, size), status=1008, error=ServiceError, heard=size
            )
            for moment, size in {_BEFORE: 0, _MID: _PART}.items()
        ),
    ]


def _nonsense_rows() -> list[Row]:
    nonsense = functools.partial(Row, "nonsense", outcome=Outcome.IGNORED)
    both_ways = (("EOS", '{"type":"eos"}'), ('{"type":"eos"}', "EOS"))
    ends = (" EOS", "EOS\n", "\tEOS \r\n", '{"type":"eos"}', ' {"type": "eos"}\n')
    return [
        *(
            nonsense(f"message {number}", _MID, script=surrounding(message))
            for number, message in enumerate(_UNKNOWN)
        ),
        *(nonsense(f"the end as {end!r}", _AFTER, script=ending_with(end)) for end in ends),
        *(
            nonsense(
                f"two ends, {first!r} and {second!r}",
                Moment.BETWEEN,
                script=ending_twice(first, second),
                arrange=with_text(of_three_requests),
                tries=1,
            )
            for first, second in both_ways
        ),
        *(
            nonsense(
                f"two ends, {first!r} and {second!r} in the next request's audio",
                Moment.BETWEEN,
                script=ending_again_late(first, second),
                arrange=with_text(of_three_requests),
                tries=1,
            )
            for first, second in both_ways
        ),
        nonsense(
            "a second end in the same form in the next request's audio",
            Moment.BETWEEN,
            script=ending_again_late("EOS", "EOS"),
            arrange=with_text(of_three_requests),
            tries=1,
        ),
        nonsense(
            "half a sample at the end",
            Moment.BETWEEN,
            script=with_half_a_sample,
            arrange=with_text(of_three_requests),
            tries=1,
        ),
        nonsense("timing after audio, audio after EOS", _AFTER, script=out_of_order),
        nonsense(
            "EOS before any request",
            Moment.WAITING,
            script=_early_end,
            warm=True,
            arrange=once_it_is_read,
        ),
    ]


def once_it_is_read(turn: Turn) -> None:
    """Let the turn begin when what came before it was read."""

    async def drive(turn: Turn) -> None:
        await turn.stage.server.conversations[0].ready.wait()
        await turn.tts.synthesize(turn.text)

    turn.drive = drive


async def _early_end(conversation: Conversation) -> None:
    await conversation.end()
    await conversation.audio(b"\1\2\3")
    await conversation.is_read()
    conversation.ready.set()
    request = await conversation.request()
    await conversation.audio(speech_of(request["text"]))
    await conversation.end()
    await conversation.gone()


def _unreadable_rows() -> list[Row]:
    frames = {
        "text that isn't UTF-8": NO_UTF8,
        "an unknown opcode": b"\x83\x00",
        "reserved bits": b"\xf1\x01a",
        "a continuation of nothing": b"\x80\x01a",
        "a ping that is too long": b"\x89\x7e\x00\x7e" + bytes(126),
    }
    broken = '{"type":"audio","data":"%%%"}'
    final = functools.partial(Row, "excess", outcome=Outcome.REPORTED, error=ProtocolError, times=ALWAYS)
    return [
        *(
            Row("passing error", name, _BEFORE, Outcome.HEALED, injecting(frame))
            for name, frame in frames.items()
        ),
        Row(
            "lasting error",
            "text that isn't UTF-8",
            _BEFORE,
            Outcome.REPORTED,
            injecting(frames["text that isn't UTF-8"]),
            times=ALWAYS,
            error=ProtocolError,
            status=1007,
            retryable=True,
        ),
        *(
            final("audio that isn't base64", moment, script=replying(broken, size), heard=size, tries=1)
            for moment, size in _MESSAGES.items()
        ),
        final("64 MiB", _BEFORE, script=replying(bytes(64 * 1024**2)), status=1009, tries=1),
        final("64 MiB", _MID, script=replying(bytes(64 * 1024**2), _PART), status=1009, heard=_PART, tries=1),
        final("64 MiB of text", _BEFORE, script=replying("x" * 64 * 1024**2), status=1009, tries=1),
    ]


def _own_rows() -> list[Row]:
    """Return what goes wrong in the application itself."""
    yours = functools.partial(Row, moment=Moment.YOURS)
    passed_on, ignored = Outcome.PASSED_ON, Outcome.IGNORED
    return [
        yours(
            "text raises",
            "the text raises at once",
            outcome=passed_on,
            error=MineError,
            arrange=with_text(raises_at_once),
        ),
        yours(
            "text raises",
            "the text raises later",
            outcome=passed_on,
            error=MineError,
            heard=None,
            arrange=with_text(raises_later),
        ),
        yours(
            "text raises",
            "the text yields bytes",
            outcome=passed_on,
            error=TypeError,
            arrange=with_text(of_bytes),
        ),
        yours(
            "text raises",
            "the text is cancelled",
            outcome=passed_on,
            error=asyncio.CancelledError,
            arrange=with_text(of_a_cancelled_task),
        ),
        *(
            yours("silent text", f"the text is {text!r}", outcome=Outcome.SILENT, arrange=saying_only(text))
            for text in ("...", "—", "?!", '"', "。", " ")
        ),
        yours(
            "silent text",
            "the text is an emoji without a sound",
            outcome=Outcome.SILENT,
            arrange=saying_only("🙂"),
            script=mute,
        ),
        yours(
            "late text",
            "the text begins late",
            outcome=ignored,
            arrange=with_text(beginning_late),
            options={"connect_timeout": 1.0, "first_audio_timeout": 1.8},
        ),
        yours("odd text", "the text yields None", outcome=ignored, arrange=with_text(with_nones)),
        yours(
            "odd text",
            "the text yields half a character",
            outcome=ignored,
            arrange=with_text(with_half_a_character),
        ),
        yours("text stalls", "the text stalls", outcome=Outcome.STOPPED, arrange=stalled),
        yours("text stalls", "the text ignores its cancellation", outcome=Outcome.STOPPED, arrange=stubborn),
        *(
            yours(
                "track raises",
                f"the track raises at {where}",
                outcome=Outcome.REPORTED,
                error=TrackError,
                arrange=on_broken_track(size),
                heard=None,
            )
            for where, size in {"once": 0, "a later time": 20_000, "the very end": _HEARD - 10}.items()
        ),
        yours(
            "track raises",
            "the track raises CancelledError",
            outcome=Outcome.REPORTED,
            error=TrackError,
            arrange=on_cancelling_track,
            heard=None,
        ),
        yours(
            "callbacks",
            "the track is slow",
            outcome=ignored,
            arrange=on_slow_track,
            options={"idle_timeout": 1.0},
        ),
        yours(
            "callbacks",
            "the track's count raises",
            outcome=ignored,
            arrange=on_miscounting_track,
            options={"word_timestamps": True, "visemes": True},
        ),
        yours("callbacks", "the track's rate is 0", outcome=ignored, arrange=on_track_without_a_rate),
        yours("callbacks", "the first-audio callback raises", outcome=ignored, arrange=raising_callback),
        yours(
            "lasting error",
            "the error listener raises",
            outcome=Outcome.REPORTED,
            arrange=raising_listener,
            script=replying("ERR: busy"),
            times=ALWAYS,
            error=ServiceError,
            retryable=True,
            options={"max_retries": 0},
        ),
    ]


ROWS: list[Row] = [*_handshake_rows(), *_connection_rows(), *_service_rows(), *_own_rows()]
"""The table: each row is a test."""


def reliability_table() -> str:
    """Return the table in words, as Markdown: one line for each kind of fault."""
    lines = ["| What goes wrong | What the caller hears | What the developer sees |", "|---|---|---|"]
    for key, fault in LINES.items():
        rows = [row for row in ROWS if row.line == key]
        [outcome] = {row.outcome for row in rows}
        names = dict.fromkeys(_name(row.error) for row in rows if row.error is not None)
        errors = " or ".join(names)
        lines.append(f"| {fault} | {outcome.heard} | {outcome.seen.format(errors=errors)} |")
    return "\n".join(lines) + "\n"


def _name(error: type[BaseException]) -> str:
    return "Your exception" if error is MineError else f"`{error.__name__}`"

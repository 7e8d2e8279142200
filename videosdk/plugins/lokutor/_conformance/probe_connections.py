"""Probes of how connections are opened, kept, shared and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from yarl import URL

from .._wire.protocol import API_KEY_HEADER, Audio, ErrorReply
from ..errors import LokutorError, RateLimitError
from .client import Answer, Wire
from .findings import Finding, judged, unknown
from .lab import LAST_WORDS, LIMITED, OLD_PATH, SENTENCE, SHORT, Lab, passage, probe, with_key
from .replies import Ending, Reply

_SWITCHING = 101
_TOO_MANY = 429
_REFUSED = 401
_WRONG_KEY = "not-a-key-of-anybody"
_PING_TIME = 1.0
"""Seconds that the plugin gives a connection on standby for a sign of life."""
_CANCELLED_CHARACTERS = 150
_LATE = 1.0
"""Seconds by which a turn may be later than usual after a barge-in."""


@probe("path")
async def probe_path(lab: Lab) -> Finding:
    """Connect as the plugin does."""
    endpoint = lab.client.endpoint
    finding = await _speaks_at(lab, endpoint.url, endpoint.headers)
    if lab.address != endpoint.url:
        return Finding(finding.verdict, f"{finding.evidence}; {lab.address.path} was used instead")
    return finding


@probe("old-path")
async def probe_old_path(lab: Lab) -> Finding:
    """Connect to the path that older clients use."""
    endpoint = lab.client.endpoint
    return await _speaks_at(lab, endpoint.url.with_path(OLD_PATH), endpoint.headers)


@probe("key-in-url")
async def probe_key_in_url(lab: Lab) -> Finding:
    """Send the key as older clients do."""
    return await _speaks_at(lab, with_key(lab.place, lab.client.endpoint.api_key), {})


async def _speaks_at(lab: Lab, url: URL, headers: Mapping[str, str]) -> Finding:
    try:
        async with lab.wire(url, headers) as wire:
            reply = await lab.ask(lab.request(SHORT), wire)
    except RateLimitError as error:
        return unknown(str(error))
    except LokutorError as error:
        return judged(False, str(error))
    return judged(bool(reply.pcm), reply.outcome)


@probe("missing-key")
async def probe_missing_key(lab: Lab) -> Finding:
    """Connect without a key."""
    return await _is_refused(lab, lab.place, {}, "auth.missing_key")


@probe("wrong-key")
async def probe_wrong_key(lab: Lab) -> Finding:
    """Connect with a key that nobody has."""
    if lab.headers:
        return await _is_refused(lab, lab.place, {API_KEY_HEADER: _WRONG_KEY}, "auth.invalid_key")
    return await _is_refused(lab, with_key(lab.place, _WRONG_KEY), {}, "auth.invalid_key")


async def _is_refused(lab: Lab, url: URL, headers: Mapping[str, str], code: str) -> Finding:
    answer = await lab.client.knock(url, headers)
    if answer.status == _TOO_MANY:
        await lab.wait_for_minute()
        answer = await lab.client.knock(url, headers)
    if answer.status == _TOO_MANY:
        return unknown(_shown(answer))
    if answer.status == _SWITCHING:
        async with lab.wire(url, headers) as wire:
            reply = await lab.ask(lab.request(SHORT), wire)
        return judged(False, f"the handshake was accepted; then {reply.outcome}")
    return judged(answer.status == _REFUSED and answer.error_code == code, _shown(answer))


def _shown(answer: Answer) -> str:
    told = f": {answer.text}" if answer.text and answer.error_code is None else ""
    return f"{answer.status_line}, {answer.error_code or 'no code'}{told}"


@probe("ping")
async def probe_ping(lab: Lab) -> Finding:
    """Ping, as a turn does that takes a connection from standby."""
    async with lab.wire() as wire:
        seconds = await wire.ping(_PING_TIME)
    return judged(seconds is not None, "no answer" if seconds is None else f"after {seconds * 1000:.0f} ms")


@probe("two-requests")
async def probe_two_requests(lab: Lab) -> Finding:
    """Look at two requests on one connection."""
    first, second = await lab.twice()
    if first.pcm and first.is_unended:
        return unknown(f"the first has no end: {first.outcome}")
    return judged(first.spoken and second.spoken, f"first {first.outcome}, second {second.outcome}")


@probe("after-end")
async def probe_after_end(lab: Lab) -> Finding:
    """Listen behind an end."""
    async with lab.wire() as wire:
        reply = await lab.ask(lab.request(LAST_WORDS), wire)
        rest = await wire.rest(lab.limits.quiet)
    if reply.ending is not Ending.END:
        return unknown(reply.outcome)
    late = sum(len(event.pcm) for event in rest if isinstance(event, Audio))
    ends = sum(not isinstance(event, Audio) for event in rest)
    return judged(not late, f"{late} bytes of audio and {ends} other messages in {lab.limits.quiet:g} s")


@probe("early-request")
async def probe_early_request(lab: Lab) -> Finding:
    """Send a request behind another that has not ended."""
    plain = await lab.plain()
    if not plain.spoken:
        return unknown(f"the sentence alone: {plain.outcome}")
    first, second = await _ask_early(lab)
    while await lab.has_waited_for_limit(first.error) or await lab.has_waited_for_limit(second.error):
        first, second = await _ask_early(lab)
    queued = first.spoken and second.spoken and 0.7 < first.seconds / plain.seconds < 1.4  # noqa: PLR2004
    return judged(queued, f"first {first.outcome} (alone {plain.seconds:.2f} s), second {second.outcome}")


async def _ask_early(lab: Lab) -> tuple[Reply, Reply]:
    async with lab.wire() as wire:
        lab.spend(lab.request(SHORT))
        begun = asyncio.get_running_loop().time()
        # What is said of a limit is not waited for here: the next that comes is the second's.
        first_asked = asyncio.create_task(lab.ask_unlimited(lab.request(SENTENCE), wire))
        await asyncio.sleep(0)  # It sends first.
        await wire.send(lab.request(SHORT))
        first = await first_asked
        return first, await wire.reply(lab.request(SHORT), begun, lab.limits.patience)


@probe("cancel")
async def probe_cancel(lab: Lab) -> Finding:
    """Hang up in the middle of a reply, and ask again on another connection."""
    try:
        return await _cancel(lab)
    except RateLimitError:  # Of sessions, or of requests a minute: the second passes.
        await lab.wait_for_minute()
    try:
        return await _cancel(lab)
    except RateLimitError as error:
        return judged(False, f"the next connection: {error}")


async def _cancel(lab: Lab) -> Finding:
    usual = (await lab.plain()).first_audio or 0.0
    message = lab.request(passage(_CANCELLED_CHARACTERS))
    instead = await _hang_up(lab, message)
    while isinstance(instead, ErrorReply) and await lab.has_waited_for_limit(instead):
        instead = await _hang_up(lab, message)
    if instead is not None:
        return unknown("the reply to be cancelled has not begun")
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        async with lab.client.wire(lab.address, lab.headers) as wire:
            opened = clock() - begun
            reply = await lab.ask(lab.request(SHORT), wire)
    except RateLimitError:
        raise
    except LokutorError as error:
        return judged(False, f"the next connection: {error}")
    if reply.first_audio is None:
        return judged(False, f"the next connection: {reply.outcome}")
    evidence = (
        f"first audio {reply.first_audio * 1000:.0f} ms after the next request, {opened:.2f} s to connect"
    )
    return judged(reply.first_audio < usual + _LATE, evidence)


async def _hang_up(lab: Lab, message: Mapping[str, Any]) -> ErrorReply | Ending | None:
    """Hang up at a reply's first audio, and return None, or what came in its place."""
    async with lab.wire() as wire:
        lab.spend(message)
        await wire.send(message)
        return await wire.until_audio(lab.limits.patience)


@probe("sessions")
async def probe_sessions(lab: Lab) -> Finding:
    """Speak on several connections at the same time."""
    outcomes = await _speak_at_once(lab)
    if outcomes.count("spoken") < 2:  # noqa: PLR2004 - a minute's limit, it may be
        await lab.wait_for_minute()
        outcomes = await _speak_at_once(lab)
    spoken = outcomes.count("spoken")
    others = {outcome for outcome in outcomes if outcome != "spoken"}
    evidence = f"{spoken} of {len(outcomes)} were spoken" + "".join(f"; {other}" for other in sorted(others))
    if spoken < 2 and any(LIMITED in other for other in others):  # noqa: PLR2004
        return unknown(evidence)  # Of sessions or of requests: the code doesn't tell.
    return judged(spoken >= 2, evidence)  # noqa: PLR2004


async def _speak_at_once(lab: Lab) -> list[str]:
    """Return what came of each: all are open before the first speaks."""
    outcomes: list[str] = []
    async with AsyncExitStack() as stack:
        wires: list[Wire] = []
        for _ in range(lab.limits.sessions):
            try:
                wires.append(await stack.enter_async_context(lab.client.wire(lab.address, lab.headers)))
            except LokutorError as error:
                outcomes.append(str(error))
        asked = [lab.ask_unlimited(lab.request(SHORT), wire) for wire in wires]
        replies = await asyncio.gather(*asked)
        return outcomes + [_outcome(reply) for reply in replies]


def _outcome(reply: Reply) -> str:
    return "spoken" if reply.pcm else reply.outcome


@probe("idle")
async def probe_idle(lab: Lab) -> Finding:
    """Leave two connections alone, one of which has spoken, and see whether they still speak."""
    async with lab.wire() as unused, lab.wire() as used:
        if not (await lab.ask(lab.request(SHORT), used)).pcm:
            return unknown("the second connection speaks nothing")
        await asyncio.gather(unused.ended(lab.limits.idle), used.ended(lab.limits.idle))
        said = [await _outcome_on(lab, wire) for wire in (unused, used)]
    evidence = f"after {lab.limits.idle:g} s, before the first request {said[0]}, between two {said[1]}"
    return judged(said == ["spoken", "spoken"], evidence)


async def _outcome_on(lab: Lab, wire: Wire) -> str:
    return _outcome(await lab.ask(lab.request(SHORT), wire))


@probe("rate-limit")
async def probe_rate_limit(lab: Lab) -> Finding:
    """Find out what the limit a minute counts, if that was asked for."""
    count = lab.limits.requests
    if not count:
        return unknown("not tried: --rate-limit N tries")
    await lab.wait_for_minute()
    handshakes = await _handshakes_until_limit(lab, count)
    if handshakes is not None:
        return judged(False, f"handshake {handshakes} was refused, with no request made")
    requests = await _requests_until_limit(lab, count)
    if requests is None:
        return unknown(f"neither {count} handshakes nor {count} requests were refused")
    return judged(True, f"{count} handshakes were taken, and request {requests} was refused")


async def _handshakes_until_limit(lab: Lab, count: int) -> int | None:
    for number in range(1, count + 1):
        try:
            async with lab.client.wire(lab.address, lab.headers):
                pass
        except RateLimitError:
            return number
    return None


async def _requests_until_limit(lab: Lab, count: int) -> int | None:
    async with lab.wire() as wire:
        for number in range(1, count + 1):
            reply = await lab.ask_unlimited(lab.request(SHORT), wire)
            if reply.error is not None and reply.error.code == LIMITED:
                return number
    return None

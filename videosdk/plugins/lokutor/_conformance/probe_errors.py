"""Probes of the errors that can be provoked, and of what follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import LokutorError
from .client import Client
from .findings import Finding, judged, unknown
from .lab import SHORT, Lab, probe
from .replies import Ending

_NO_VOICE = "no_such_voice"
_LONGEST = 5_000
"""Characters of the longest text, where the service doesn't say it."""
BEYOND = 2
"""Characters by which a text over the longest is longer, at most."""


@probe("error-voice")
async def probe_error_voice(lab: Lab) -> Finding:
    """Ask for a voice that doesn't exist."""
    return await _refusal(lab, lab.request(SHORT, voice=_NO_VOICE), "validation.invalid_voice")


@probe("error-language")
async def probe_error_language(lab: Lab) -> Finding:
    """Ask for a language that doesn't exist."""
    return await _refusal(lab, lab.request(SHORT, **lab.in_language("xx")), "validation.invalid_language")


@probe("error-speed")
async def probe_error_speed(lab: Lab) -> Finding:
    """Ask for a speed that nobody could follow."""
    return await _refusal(lab, lab.request(SHORT, speed=9.0), "validation.speed_out_of_range")


@probe("error-steps")
async def probe_error_steps(lab: Lab) -> Finding:
    """Ask for more steps than there are."""
    return await _refusal(lab, lab.request(SHORT, steps=99), "validation.steps_out_of_range")


@probe("error-format")
async def probe_error_format(lab: Lab) -> Finding:
    """Send what is not JSON."""
    return await _refusal(lab, "this is not JSON", "validation.invalid_request_format")


@probe("error-empty")
async def probe_error_empty(lab: Lab) -> Finding:
    """Ask for no text at all."""
    return await _refusal(lab, lab.request(""), "validation.invalid_request_format")


@probe("error-length")
async def probe_error_length(lab: Lab) -> Finding:
    """Send a text over the longest, if that was asked for."""
    if not lab.limits.too_long:
        return unknown("not tried: --too-long tries")
    longest = await longest_text(lab.client)
    if longest + BEYOND > lab.limits.allowance - lab.spent:
        return unknown(f"the longest text has {longest} characters: that is too many to send")
    text = "a " * (longest // 2 + 1)
    return await _refusal(lab, lab.request(text), "validation.text_too_long")


async def longest_text(client: Client) -> int:
    """Return how many characters a text may have, as the service says it, or as is known of others."""
    try:
        body = (await client.route("config")).body
    except LokutorError:
        return _LONGEST
    stated = body.get("max_text_length") if isinstance(body, dict) else None
    return stated if isinstance(stated, int) and stated > 0 else _LONGEST


async def _refusal(lab: Lab, message: Mapping[str, Any] | str, code: str) -> Finding:
    reply = await lab.ask(message)
    return judged(reply.error is not None and reply.error.code == code and not reply.pcm, reply.outcome)


@probe("after-error")
async def probe_after_error(lab: Lab) -> Finding:
    """Ask again on a connection that has refused a request."""
    async with lab.wire() as wire:
        refused = await lab.ask(lab.request(SHORT, voice=_NO_VOICE), wire)
        if refused.ending is not Ending.ERROR:
            return unknown(f"nothing was refused: {refused.outcome}")
        reply = await lab.ask(lab.request(SHORT), wire)
    return judged(reply.spoken or bool(reply.pcm and reply.is_unended), reply.outcome)

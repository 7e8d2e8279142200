"""Probes of what the service says about itself over plain HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._audio.pcm import SAMPLE_RATE
from .._wire.discovery import LANGUAGE_KEYS, VOICE_KEYS, listing_of, shape_of
from .._wire.protocol import LANGUAGES, SPEED_RANGE, STEPS_RANGE
from .findings import Finding, judged
from .lab import Lab, probe

_OK = 200
_VOICES = frozenset(
    f"{family}_{kind}{number}" for family in ("en", "esca") for kind in "fm" for number in range(1, 6)
)
_CONFIG = {
    "sample_rate": SAMPLE_RATE,
    "channels": 1,
    "min_speed": SPEED_RANGE[0],
    "max_speed": SPEED_RANGE[1],
    "min_steps": STEPS_RANGE[0],
    "max_steps": STEPS_RANGE[1],
}
_HEALTHY = ("ok", "warming_up")
_SHOWN = 12
"""Names that are listed; of more, only how many there are."""


@probe("voices")
async def probe_voices(lab: Lab) -> Finding:
    """Read what the voices are called."""
    found = await _names(lab, "voices", VOICE_KEYS)
    if isinstance(found, Finding):
        return found
    names, shape = found
    evidence = f"{len(names)} voices{_missing(_VOICES - names)}{_further(names - _VOICES)}{shape}"
    return judged(names >= _VOICES, evidence)


@probe("languages")
async def probe_languages(lab: Lab) -> Finding:
    """Read the languages."""
    found = await _names(lab, "languages", LANGUAGE_KEYS)
    if isinstance(found, Finding):
        return found
    names, shape = found
    evidence = f"{len(names)} languages{_missing(LANGUAGES - names)}{_further(names - LANGUAGES)}{shape}"
    return judged(names == LANGUAGES, evidence)


@probe("models")
async def probe_models(lab: Lab) -> Finding:
    """Read the models."""
    body = await _object(lab, "models")
    if isinstance(body, Finding):
        return body
    models = body.get("models")
    if not (isinstance(models, list) and models):
        shape = f"`models` is {shape_of(models)}" if "models" in body else shape_of(body)
        return judged(False, f"no list of models: {shape}")
    names = [_model(item) for item in models]
    evidence = _listed(frozenset(filter(None, names)))
    lacking = names.count(None)
    return judged(not lacking, f"{evidence}; {lacking} without name or default" if lacking else evidence)


def _model(item: object) -> str | None:
    """Return a model's name, and whether it is the default, or None if one of both isn't told."""
    name, default = (item.get("name"), item.get("default")) if isinstance(item, dict) else (None, None)
    if not (isinstance(name, str) and isinstance(default, bool)):
        return None
    return f"{name} (default)" if default else name


@probe("config")
async def probe_config(lab: Lab) -> Finding:
    """Read the limits and the format of the audio."""
    body = await _object(lab, "config")
    if isinstance(body, Finding):
        return body
    others = {name: body.get(name) for name, value in _CONFIG.items() if body.get(name) != value}
    longest = f"max_text_length {body.get('max_text_length')}"
    return judged(not others, ", ".join([longest, *(f"{name} {value!r}" for name, value in others.items())]))


@probe("health")
async def probe_health(lab: Lab) -> Finding:
    """Read how the service is."""
    body = await _object(lab, "health")
    if isinstance(body, Finding):
        return body
    status = body.get("status")
    return judged(status in _HEALTHY, f"status {status!r}, version {body.get('version')!r}")


async def _object(lab: Lab, route: str) -> dict[str, Any] | Finding:
    body = await _answer(lab, route)
    if isinstance(body, dict | Finding):
        return body
    return judged(False, f"{shape_of(body)} in place of an object")


async def _answer(lab: Lab, route: str) -> Any | Finding:
    """Return the JSON that a route answers with, which isn't null."""
    answer = await lab.client.route(route)
    if answer.status != _OK or answer.body is None:
        return judged(False, f"{answer.status_line}{'' if answer.body is not None else ', no JSON object'}")
    return answer.body


async def _names(lab: Lab, route: str, keys: Sequence[str]) -> tuple[frozenset[str], str] | Finding:
    """Return the names that a route lists, and what has another shape, for the evidence."""
    body = await _answer(lab, route)
    if isinstance(body, Finding):
        return body
    listing = listing_of(body, route, keys)
    if listing.shape and not listing.entries:
        return judged(False, f"no list of {route} that can be read: {listing.shape}")
    return frozenset(listing.ids), f"; in another shape: {listing.shape}" if listing.shape else ""


def _missing(names: frozenset[str]) -> str:
    return f"; missing: {_listed(names)}" if names else ""


def _further(names: frozenset[str]) -> str:
    return f"; further: {_listed(names)}" if names else ""


def _listed(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "none"

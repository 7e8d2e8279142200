"""What a service offers, by its discovery routes.

Rule of this file: plain HTTP without a key, and nothing is printed. A service that can't be asked is an
error of ``errors.py``; what a service leaves out of its answer is empty, never an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from ..errors import ConfigurationError, LokutorError, NetworkError, ProtocolError
from .connection import proxy_refusal, unreached
from .endpoint import parse_base_url
from .proxy import find_proxy

TIMEOUT = 10.0
"""Seconds for one route, connecting included."""

_HTTP_SCHEMES = {"ws": "http", "wss": "https"}
_OK = 200
_PROXY_AUTHENTICATION_REQUIRED = 407


@dataclass(frozen=True, slots=True)
class OfferedVoice:
    """A voice of the service."""

    id: str
    gender: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferedLanguage:
    """A language of the service."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What a service can speak with, in its own order."""

    voices: tuple[OfferedVoice, ...]
    languages: tuple[OfferedLanguage, ...]


async def discover(base_url: str) -> Offer:
    """Ask the service at ``base_url`` for its voices and languages.

    Args:
        base_url: As for :class:`~videosdk.plugins.lokutor.LokutorTTS`. Only its host counts, and plain
            ``ws://`` to any host is fine: no key is sent.

    Raises:
        ValueError: Not the URL of a service.
        LokutorError: The service can't be asked, or its answer can't be read.
    """
    url = parse_base_url(base_url, allow_insecure=True)
    root = url.with_scheme(_HTTP_SCHEMES[url.scheme]).origin()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        voices = await _fetch(session, root, "voices")
        languages = await _fetch(session, root, "languages")
    return Offer(tuple(map(_voice, voices)), tuple(map(_language, languages)))


async def _fetch(session: aiohttp.ClientSession, root: URL, name: str) -> list[dict[str, Any]]:
    """Return the objects of the list ``name`` that the route of that name answers with."""
    url = root / name
    try:
        async with session.get(url, proxy=find_proxy(url)) as response:
            return _objects(await response.read(), response.status, name, url)
    except TimeoutError:
        failure: LokutorError = NetworkError(f"{url} did not answer within {TIMEOUT:g} s")
    except (aiohttp.ClientError, OSError, UnicodeError) as error:  # A redirect can lead to no host.
        failure = unreached(error, url)
    raise failure


def _objects(body: bytes, status: int, name: str, url: URL) -> list[dict[str, Any]]:
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        raise proxy_refusal(status)
    if status != _OK:
        raise ConfigurationError(f"{url} was not found (HTTP {status}): check the base URL", status=status)
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    items = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise ProtocolError(f"{url} did not return a list of {name}")
    return [item for item in items if isinstance(item, dict)]


def _voice(item: dict[str, Any]) -> OfferedVoice:
    languages = item.get("languages")
    codes = languages if isinstance(languages, list) else []
    return OfferedVoice(_text(item.get("id")), _text(item.get("gender")), tuple(map(_text, codes)))


def _language(item: dict[str, Any]) -> OfferedLanguage:
    return OfferedLanguage(_text(item.get("code")), _text(item.get("name")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

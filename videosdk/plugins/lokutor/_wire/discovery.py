"""What a service offers, by its discovery routes.

Rule of this file: plain HTTP without a key, and nothing is printed. A service that can't be asked, or whose
list can't be read, is an error of ``errors.py``; what else it leaves out is empty, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

VOICE_KEYS = ("id", "voice_id", "name")
"""Where a voice's id stands, and where else it may."""
LANGUAGE_KEYS = ("code", "id", "language")
_SHAPE = 200
"""Characters that tell a shape, at most."""
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


@dataclass(frozen=True, slots=True)
class Listing:
    """What an answer lists.

    Attributes:
        entries: The id of each entry that has one, and what it says besides.
        shape: What has another shape than the documentation's, or empty.
    """

    entries: tuple[tuple[str, Mapping[str, Any]], ...]
    shape: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids."""
        return tuple(key for key, _ in self.entries)


def listing_of(answer: object, name: str, keys: Sequence[str]) -> Listing:
    """Return what an answer lists under ``name``, also where its shape is another that is plain.

    Args:
        answer: JSON, decoded.
        name: What is listed.
        keys: Where the id of an entry stands: as documented, then others.
    """
    items = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(items, list) or not (items or isinstance(answer, dict)):
        within = isinstance(answer, dict) and name in answer
        return Listing((), f"`{name}` is {shape_of(items)}" if within else shape_of(answer))
    entries: list[tuple[str, Mapping[str, Any]]] = []
    shapes = [] if isinstance(answer, dict) else ["a list without an object around it"]
    for item in items:
        found, shape = _id_of(item, keys)
        shapes.append(shape)
        if found:
            entries.append((found, item if isinstance(item, dict) else {}))
    return Listing(tuple(entries), "; ".join(dict.fromkeys(filter(None, shapes)))[:_SHAPE])


def _id_of(item: object, keys: Sequence[str]) -> tuple[str, str]:
    """Return the id of an entry, or an empty one, and what its shape is if it isn't as documented."""
    if isinstance(item, str) and item:
        return item, "plain strings"
    if not isinstance(item, dict):
        return "", shape_of(item)
    key = next((key for key in keys if key in item), None)
    if key is None:
        return "", shape_of(item)
    value = item[key]
    if not (isinstance(value, str) and value):
        return "", f"`{key}` is {shape_of(value)}"
    return value, "" if key == keys[0] else f"`{key}` in place of `{keys[0]}`"


def shape_of(value: object) -> str:
    """Return what a value of JSON is, in a few words."""
    match value:
        case dict():
            return f"an object with {', '.join(map(str, value))}"[:_SHAPE] if value else "an empty object"
        case list():
            return "a list" if value else "an empty list"
        case str():
            return "a string" if value else "an empty string"
        case bool():
            return "true or false"
        case None:
            return "null"
        case _:
            return "a number"


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
        voices = await _fetch(session, root, "voices", VOICE_KEYS)
        languages = await _fetch(session, root, "languages", LANGUAGE_KEYS)
    return Offer(
        tuple(_voice(key, item) for key, item in voices.entries),
        tuple(OfferedLanguage(key, _text(item.get("name"))) for key, item in languages.entries),
    )


async def _fetch(session: aiohttp.ClientSession, root: URL, name: str, keys: Sequence[str]) -> Listing:
    """Return the list ``name`` that the route of that name answers with."""
    url = root / name
    try:
        async with session.get(url, proxy=find_proxy(url)) as response:
            answer = _decoded(await response.read(), response.status, name, url)
            return _readable(listing_of(answer, name, keys), name, url)
    except TimeoutError:
        failure: LokutorError = NetworkError(f"{url} did not answer within {TIMEOUT:g} s")
    except (aiohttp.ClientError, OSError, UnicodeError) as error:  # A redirect can lead to no host.
        failure = unreached(error, url)
    raise failure


def _decoded(body: bytes, status: int, name: str, url: URL) -> object:
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        raise proxy_refusal(status)
    if status != _OK:
        raise ConfigurationError(f"{url} was not found (HTTP {status}): check the base URL", status=status)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    raise ProtocolError(f"{url} did not return a list of {name}: it is no JSON")


def _readable(listing: Listing, name: str, url: URL) -> Listing:
    if listing.shape and not listing.entries:
        raise ProtocolError(f"{url} did not return a list of {name} that can be read: {listing.shape}")
    return listing


def _voice(key: str, item: Mapping[str, Any]) -> OfferedVoice:
    languages = item.get("languages")
    codes = languages if isinstance(languages, list) else []
    return OfferedVoice(key, _text(item.get("gender")), tuple(map(_text, codes)))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

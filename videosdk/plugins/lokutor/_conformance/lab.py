"""What the probes work with: requests that are counted, and replies that several of them look at.

Rule of this file: no character is sent to be spoken beyond the allowance, whatever a probe asks for. Neither
a limit of requests a minute nor a lost connection is reported as what it isn't: the one is waited for, and
what met the other is tried once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from yarl import URL

from .._options import SpeechOptions
from .._wire.protocol import TTS_PATH, ErrorReply
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    LokutorError,
    RateLimitError,
    ServiceError,
    error_from_reply,
)
from .client import Client, Wire, is_loss
from .findings import Finding
from .replies import Ending, Reply

ALLOWANCE = 3_000
"""Characters that a run may send without asking."""
REPEATS = 280
"""Those of them that may go to what a lost connection has cut off: all others are spoken for."""
SHORT = "Hi."
LAST_WORDS = "Nothing comes behind these words."
"""For listening behind the end: long enough for an end that comes too early."""
SENTENCE = "The train to Lisbon leaves at noon, and the next one in the evening."
_PASSAGE = (
    "A river begins as water that nobody wants to keep. It leaves the hill by the shortest way, takes the "
    "sand along that lies loose, and drops it where the land is flat and the current is slow. In spring it "
    "is loud and brown; by the end of the summer, children cross it on stones. Those who live beside it "
    "know both, and build their houses a little higher than they have to. "
)
LENGTHS = (20, 80, 160, 20, 320, 80, 1000, 160, 20)
"""Characters of the requests whose first audio is timed: mixed, so that warming up is no slope."""
MEASURED = 320
"""Characters of the one whose sample rate is measured: some 20 seconds, of which the length of the last
sound, which nobody tells, is a small part."""
OLD_PATH = "/ws"
_HURRY = 3.0
"""Seconds without a sound after which a reply is given up, where one has had no end; and for which one is
listened to, where one went on for ever."""
LIMITED = "auth.rate_limited"
_DEFAULTS = SpeechOptions()
_OMISSIONS: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"lang"}),
    frozenset({"voice"}),
    frozenset({"language"}),
    frozenset({"voice", "language", "lang", "speed", "steps", "visemes"}),
)
"""Keys of a request that are left out, in this order, for a service that refuses it with them."""


class AllowanceError(Exception):
    """A probe would spend more characters than are allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a run goes.

    Attributes:
        allowance: Characters.
        patience: Seconds without a sound after which a reply is given up.
        handshake: Seconds for a handshake.
        quiet: Seconds to look for what comes behind an end.
        idle: Seconds that idle connections are left alone.
        sessions: Connections that speak at the same time.
        requests: How many handshakes and requests are made to find the limit a minute; 0 makes none.
        too_long: Whether a text over the longest is sent.
        limit_waits: How often a limit a minute is waited for, altogether.
        limit_wait: Seconds for each time.
        repeats: Whether what was lost is tried once more.
    """

    allowance: int = ALLOWANCE
    patience: float = 15.0
    handshake: float = 10.0
    quiet: float = 2.0
    idle: float = 20.0
    sessions: int = 4
    requests: int = 0
    too_long: bool = False
    limit_waits: int = 20
    limit_wait: float = 61.0
    repeats: bool = True


class Loss(Enum):
    """How often a sample was lost."""

    ONCE = auto()
    TWICE = auto()


@dataclass(frozen=True, slots=True)
class _Sample:
    """Replies that more than one probe looks at, and whether they came at the second try."""

    replies: tuple[Reply, ...]
    is_second: bool = False

    @property
    def is_lost(self) -> bool:
        return any(reply.lost for reply in self.replies)


_Ask = Callable[[], Awaitable[tuple[Reply, ...]]]


class Lab:
    """One service under examination.

    Args:
        client: How it is reached.
        limits: How far to go.
        notify: Told what takes long.
    """

    def __init__(self, client: Client, limits: Limits, notify: Callable[[str], None]) -> None:
        self.client = client
        self.limits = limits
        self.spent = 0
        self.replies: list[Reply] = []
        self._notify = notify
        self.is_unsteady = False
        """Whether something was lost that came at the second try."""
        self.met: set[Loss] = set()
        """What the samples that were looked at have lost; a probe begins with none."""
        self._samples: dict[tuple[str, int], _Sample] = {}
        self._repeating = False
        self._room = REPEATS
        self._made_good = 0
        self._waits = 0
        self.is_mute = False
        """Whether nothing at all is spoken."""
        self._patience = limits.patience
        self._within: float | None = None
        self._way: tuple[URL, Mapping[str, str]] = client.endpoint.url, client.endpoint.headers
        self._omitted = _OMISSIONS[0]

    @property
    def address(self) -> URL:
        """The address that works."""
        return self._way[0]

    @property
    def place(self) -> URL:
        """The same without a key."""
        return self.client.endpoint.url.with_path(self.address.path).with_query(
            self.client.endpoint.url.query
        )

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that work with it."""
        return self._way[1]

    @property
    def losses(self) -> int:
        """How often something was lost, but for handshakes that came at the second try."""
        return self.client.losses - self._made_good

    async def find_way(self) -> None:
        """Find an address, a place for the key and a form of request that the service takes.

        Raises:
            LokutorError: There is none: what the plugin's own way has failed with.
        """
        failure: LokutorError | None = None
        for way in ways(self.client):
            self._way = way
            try:
                async with self.wire():
                    break
            except (AuthenticationError, ConfigurationError) as error:
                failure = failure or error
        else:
            assert failure is not None
            raise failure
        await self._find_form()

    def fall_back(self) -> None:
        """Take the plugin's own way, where none was found."""
        self.is_mute = True
        self._way = self.client.endpoint.url, self.client.endpoint.headers

    async def _find_form(self) -> None:
        first: Reply | None = None
        for omitted in _OMISSIONS:
            self._omitted = omitted
            reply = (await self._sampled(self._ask_short, len(SHORT))).replies[0]
            if reply.pcm:
                if self.client.habits.learn(reply):
                    self._patience = self.limits.patience
                return
            first = first or reply
        assert first is not None
        if first.error is not None:
            raise error_from_reply(first.error.message, first.error.code)
        raise ServiceError(f"Lokutor speaks nothing: {first.outcome}")

    async def _ask_short(self) -> tuple[Reply]:
        return (await self.ask(self.request(SHORT)),)

    async def speaks(self) -> bool:
        """Return whether a request that was spoken before is spoken whole now."""
        try:
            return (await self.ask(self.request(SHORT))).spoken
        except (LokutorError, AllowanceError):
            return False

    def request(self, text: str, **fields: Any) -> dict[str, Any]:
        """Return a request as the plugin sends it; of ``fields``, None leaves a key out."""
        message = {
            "text": text,
            "voice": _DEFAULTS.voice,
            "language": "en",
            "lang": "en",
            "speed": _DEFAULTS.speed,
            "steps": _DEFAULTS.steps,
            "visemes": False,
        }
        kept = {name: value for name, value in message.items() if name not in self._omitted}
        return {name: value for name, value in {**kept, **fields}.items() if value is not None}

    def in_language(self, code: str) -> dict[str, str]:
        """Return the fields of a request that choose a language."""
        return {name: code for name in ("language", "lang") if name not in self._omitted}

    @asynccontextmanager
    async def wire(
        self, url: URL | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Wire]:
        """Open a connection, if need be when the limit of this minute is over, or at the second try.

        Args:
            url: Another address than the one that works.
            headers: Those for it.

        Raises:
            LokutorError: The handshake failed.
        """
        way = self._way if url is None else (url, headers or {})
        context = self.client.wire(*way)
        failed = False
        while True:
            try:
                wire = await context.__aenter__()
                break
            except RateLimitError as error:
                await self._wait_for_limit(error, error.retry_after)
                context = self.client.wire(*way)
            except LokutorError as error:
                if failed or not (self.limits.repeats and is_loss(error)):
                    raise
                failed = True
                context = self.client.wire(*way)
        if failed:
            self.is_unsteady = True
            self._made_good += 1
        try:
            yield wire
        finally:
            await context.__aexit__(None, None, None)

    async def ask(self, message: Mapping[str, Any] | str, wire: Wire | None = None) -> Reply:
        """Send a request, on a connection of its own unless there is one, and return what comes for it."""
        while True:
            reply = await self.ask_unlimited(message, wire)
            if not await self.has_waited_for_limit(reply.error):
                return reply

    async def ask_unlimited(self, message: Mapping[str, Any] | str, wire: Wire | None = None) -> Reply:
        """Do the same, and return also that the limit of requests a minute is reached."""
        if wire is None:
            async with self.wire() as own:
                return await self.ask_unlimited(message, own)
        self.spend(message)
        reply = await wire.ask(message, self._patience, self._within)
        if reply.ending is Ending.SILENT:  # It may end no request at all, and there are many to come.
            self._patience = min(self._patience, _HURRY)
        elif reply.ending is Ending.ENDLESS:
            self._within = _HURRY
        self.replies.append(reply)
        return reply

    def spend(self, message: Mapping[str, Any] | str) -> None:
        """Count what is about to be sent.

        Raises:
            AllowanceError: It is too much.
        """
        cost = 0 if isinstance(message, str) else len(str(message.get("text", "")))
        if self.spent + cost > self.limits.allowance:
            raise AllowanceError(f"it would take more than {self.limits.allowance} characters")
        if self._repeating:
            if cost > self._room:
                raise AllowanceError(f"more than {REPEATS} characters would be repeated")
            self._room -= cost
        self.spent += cost

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """Count what is sent meanwhile as repeated."""
        before, self._repeating = self._repeating, True
        try:
            yield
        finally:
            self._repeating = before

    async def wait_for_minute(self) -> None:
        """Wait until what was done before doesn't count any more."""
        self._notify(f"waiting {self.limits.limit_wait:.0f} s for the limit of requests a minute")
        await asyncio.sleep(self.limits.limit_wait)

    async def has_waited_for_limit(self, error: ErrorReply | None) -> bool:
        """Return whether an error says that the limit of requests a minute is reached, and wait for it.

        Raises:
            RateLimitError: It does, and was waited for too often.
        """
        if error is None or error.code != LIMITED:
            return False
        await self._wait_for_limit(error_from_reply(error.message, LIMITED), None)
        return True

    async def _wait_for_limit(self, error: LokutorError, seconds: float | None) -> None:
        if self._waits >= self.limits.limit_waits:
            raise error
        self._waits += 1
        if seconds is None or seconds > self.limits.limit_wait:
            await self.wait_for_minute()
        else:
            await asyncio.sleep(seconds)

    # Replies that more than one probe looks at

    async def plain(self) -> Reply:
        """Return the reply to a sentence, which has come twice, once after the other."""
        [first] = await self._pair("plain", self.request(SENTENCE), count=1)
        return first

    async def twice(self) -> tuple[Reply, Reply]:
        """Return the replies to the same sentence, one after another on one connection."""
        first, second = await self._pair("plain", self.request(SENTENCE))
        return first, second

    async def timed(self) -> tuple[Reply, Reply]:
        """Return the replies to the same sentence with visemes, one after another on one connection."""
        first, second = await self._pair("timed", self.request(SENTENCE, visemes=True))
        return first, second

    async def passages(self) -> list[Reply]:
        """Return the replies to texts of several lengths, with visemes if the service makes them."""
        visemes = (await self.timed())[0].spoken
        return [await self._passage(place, visemes=visemes) for place in range(len(LENGTHS))]

    async def measured(self) -> Reply:
        """Return the one of them that is :data:`MEASURED` characters long, with visemes."""
        return await self._passage(LENGTHS.index(MEASURED), visemes=True)

    async def _passage(self, place: int, *, visemes: bool) -> Reply:
        message = self.request(passage(LENGTHS[place]), **({"visemes": True} if visemes else {}))

        async def ask() -> tuple[Reply]:
            return (await self.ask(message),)

        return (await self._kept(("passage", place), ask, LENGTHS[place]))[0]

    async def _pair(self, name: str, message: Mapping[str, Any], count: int = 2) -> tuple[Reply, ...]:
        async def ask() -> tuple[Reply, ...]:
            async with self.wire() as wire:
                return await self.ask(message, wire), await self.ask(message, wire)

        return await self._kept((name, 0), ask, 2 * len(message["text"]), count)

    async def _kept(self, key: tuple[str, int], ask: _Ask, cost: int, count: int = 1) -> tuple[Reply, ...]:
        """Return the first replies of a sample, which is asked for when the first probe looks at it."""
        if key not in self._samples:
            self._samples[key] = await self._sampled(ask, cost)
        sample = self._samples[key]
        replies = sample.replies[:count]
        if any(reply.lost for reply in replies):
            self.met.add(Loss.TWICE if sample.is_second else Loss.ONCE)
        return replies

    async def _sampled(self, ask: _Ask, cost: int) -> _Sample:
        """Ask, and once more where a connection was lost and there is room for it."""
        first = _Sample(await ask())
        if not (first.is_lost and self.limits.repeats and cost <= self._room):
            return first
        try:
            with self.repeating():
                second = _Sample(await ask(), is_second=True)
        except (LokutorError, AllowanceError):
            return first
        self.is_unsteady = self.is_unsteady or not second.is_lost
        return second


def ways(client: Client) -> list[tuple[URL, Mapping[str, str]]]:
    """Return the addresses of a service and the headers for each, the plugin's own first."""
    endpoint = client.endpoint
    urls = [endpoint.url, *(endpoint.url.with_path(path) for path in (TTS_PATH, OLD_PATH))]
    headed: list[tuple[URL, Mapping[str, str]]] = [(url, endpoint.headers) for url in dict.fromkeys(urls)]
    return [*headed, *((with_key(url, endpoint.api_key), {}) for url in dict.fromkeys(urls))]


def with_key(url: URL, key: str) -> URL:
    """Return a URL with the key in it, as older clients have it."""
    return url.update_query(api_key=key)


def passage(length: int) -> str:
    """Return a text of exactly so many characters, which ends with a letter."""
    text = (_PASSAGE * (length // len(_PASSAGE) + 1))[:length]
    return text[:-1] + "s" if not text[-1].isalpha() else text


Probe = Callable[[Lab], Awaitable[Finding]]
PROBES: dict[str, Probe] = {}
"""The probe for each fact, by its name; the modules of probes fill it."""


def probe(name: str) -> Callable[[Probe], Probe]:
    """Return what makes a function the probe for a fact."""

    def register(function: Probe) -> Probe:
        PROBES[name] = function
        return function

    return register

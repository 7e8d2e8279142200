"""Runs the checks, from what is installed to what is heard.

Rule of this file: each check runs if what it needs is there, so that the first wrong line is the cause.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime

from yarl import URL

from .._conformance.client import Client, connected
from .._conformance.lab import Lab, Limits
from .._wire.endpoint import Endpoint, redact_key
from ..errors import LokutorError
from .lines import Health, Line, skipped, wrong
from .network import advice, answer_of, check_clock, check_handshake, check_name, check_quota, check_tls
from .setting import check_address, check_key, check_proxy, check_versions
from .speech import check_speech

logger = logging.getLogger("videosdk.plugins.lokutor")
_LIMITS = Limits(limit_waits=0, repeats=False)  # One lost connection is what it looks for.


async def diagnose(base_url: str, key: str | None) -> AsyncGenerator[Line, None]:
    """Yield a line for each check, as soon as it is done."""
    for line in check_versions():
        yield line
    keyed = check_key(key)
    yield keyed
    line, url = check_address(base_url)
    yield line
    if url is None:
        return
    line, passable = check_proxy(url)
    yield line
    if not passable:
        return
    async with aclosing(_on_the_way(url, keyed, (key or "").strip())) as lines:
        async for line in lines:
            yield line


async def _on_the_way(url: URL, keyed: Line, key: str) -> AsyncGenerator[Line, None]:
    for name, check in (("name", check_name), ("tls", check_tls)):
        line = await _checked(name, key, check, url)
        yield line
        if line.health is Health.WRONG:
            return
    if keyed.health is Health.WRONG:
        yield skipped("handshake", "not without a key")
        return
    try:
        endpoint = Endpoint(url, key)
    except ValueError as error:
        yield wrong("address", str(error), "remove the key from the address")
        return
    async with connected(endpoint, _LIMITS.handshake) as client, aclosing(_spoken_to(client)) as lines:
        async for line in lines:
            yield _without_key(endpoint, line)


def _without_key(endpoint: Endpoint, line: Line) -> Line:
    """Return a line without the key, which a service may quote."""
    return Line(line.name, line.health, endpoint.redact(line.says), line.do)


async def _checked(
    name: str, key: str, check: Callable[..., Line | Awaitable[Line]], *arguments: object
) -> Line:
    """Return a check's line. A fault of the check itself isn't the deployment's: the others go on."""
    try:
        line = check(*arguments)
        return line if isinstance(line, Line) else await line
    except Exception as error:  # noqa: BLE001
        return _failed(name, key, error)


def _failed(name: str, key: str, error: Exception) -> Line:
    shown = "".join(traceback.format_exception(error))
    logger.debug("The check of %s failed:\n%s", name, redact_key(shown, key) if key else shown)
    return skipped(name, f"the check failed ({type(error).__name__}): please report it")


async def _spoken_to(client: Client) -> AsyncGenerator[Line, None]:
    key = client.endpoint.api_key
    handshake = await _checked("handshake", key, check_handshake, client)
    yield handshake
    answer = await answer_of(client)
    if answer is not None:
        yield await _checked("clock", key, check_clock, answer.headers, datetime.now(UTC))
        yield await _checked("quota", key, check_quota, answer.headers)
    if handshake.health is Health.WRONG:
        return
    try:
        async with aclosing(check_speech(Lab(client, _LIMITS, lambda _: None))) as lines:
            async for line in lines:
                yield line
    except LokutorError as error:
        yield wrong("first audio", str(error), advice(error))
    except Exception as error:  # noqa: BLE001 - as in _checked()
        yield _failed("speech", key, error)

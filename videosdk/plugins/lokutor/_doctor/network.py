"""Checks of the way to the service: name, TLS, handshake, clock and quotas.

Rule of this file: the key is sent in a header only, and no line carries it.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address

from yarl import URL

from .._conformance.client import Answer, Client
from .._wire.endpoint import is_loopback
from .._wire.proxy import find_proxy
from .._wire.quota import read_date
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    LokutorError,
    NetworkError,
    RateLimitError,
    ServiceError,
)
from .lines import Line, note, ok, skipped, wrong

_PATIENCE = 10.0
_SLOW_NAME = 0.5
_SLOW_HANDSHAKE = 1.0
_SOON = 14
"""Days before a certificate ends."""
_DAY = 86_400
_AUTHORITIES = "SSL_CERT_FILE"
_UNTRUSTED = "set SSL_CERT_FILE to the authorities that you trust"
_OUT_OF_DATE = "look at this machine's clock; if it is right, the service needs another certificate"
_OTHER_NAME = "use the name that the certificate is for"
_CERTIFICATE_ADVICE = {9: _OUT_OF_DATE, 10: _OUT_OF_DATE, 62: _OTHER_NAME, 64: _OTHER_NAME}
"""By OpenSSL's codes (``x509_vfy.h``): not yet valid, expired, another host name, another address."""
_SKEW = 60.0
"""Seconds by which a clock may be wrong before signatures and certificates are refused."""
_QUOTA = re.compile(r"ratelimit|rate-limit|quota|credit|characters|remaining")
_REMAINING = re.compile(r"remaining")
_LEFT = re.compile(r"(?:^|,)\s*(-?\d+(?:\.\d+)?)", re.ASCII)
"""What is left by a header of its own, which may hold one number for each window, as in ``9, 0;w=60``."""
_LEFT_OF = re.compile(r"\b(?:r|remaining)\s*=\s*(-?\d+(?:\.\d+)?)", re.ASCII)
"""What is left by ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers, as it is and as it was)."""
_PAYMENT_REQUIRED = 402
_ADVICE: tuple[tuple[type[LokutorError], str], ...] = (
    (AuthenticationError, "the key is wrong or has expired: copy it again"),
    (RateLimitError, "wait a minute, or get a larger plan"),
    (ConfigurationError, "look at LOKUTOR_BASE_URL, and at what stands between: proxy, certificates"),
    (NetworkError, "look whether a firewall or a proxy stands between"),
    (ServiceError, "the fault is the service's: try again later"),
)


async def check_name(url: URL) -> Line:
    """Look the host up, or the proxy's."""
    proxy = find_proxy(url)
    target = proxy or url
    name = target.host if proxy is None else f"the proxy {target.host}"
    if _is_address(target.host or ""):
        return skipped("name", f"{name} is an address")
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port)
    except TimeoutError:
        says = f"{name} was not resolved within {_PATIENCE:g} s"
        return wrong("name", says, "look at the DNS server")
    except (OSError, UnicodeError):
        says = f"{name} can't be resolved"
        spelling = "the spelling" if proxy is None else "the spelling of the proxy"
        return wrong("name", says, f"look at {spelling}, and at the DNS server")
    took = time.monotonic() - begun
    says = f"{name} is {found[0][4][0]}, found in {_ms(took)}"
    return note("name", says, "cache names on this machine") if took > _SLOW_NAME else ok("name", says)


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


async def check_tls(url: URL) -> Line:
    """Connect, and look at the certificate."""
    if url.scheme != "wss":
        return skipped("tls", "none: the address is ws://, on this machine")
    if find_proxy(url) is not None:
        return skipped("tls", "seen at the handshake: the way leads through a proxy")
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            # As aiohttp trusts them, so that both say the same.
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=ssl.create_default_context())
    except OSError as error:
        return _unconnected(error)
    took = time.monotonic() - begun
    line = _certificate(writer.get_extra_info("ssl_object"), took)
    writer.transport.abort()
    return line


def _unconnected(error: OSError) -> Line:
    match error:
        case TimeoutError():
            return wrong("tls", f"no answer within {_PATIENCE:g} s", "look whether a firewall stands between")
        case ssl.SSLCertVerificationError():
            says = f"the certificate is not trusted: {error.verify_message}"
            advised = _CERTIFICATE_ADVICE.get(error.verify_code)
            return wrong("tls", says, advised or _authorities_advice() or _UNTRUSTED)
        case ssl.SSLError():
            return wrong("tls", f"no handshake ({error.reason})", "look whether this port speaks TLS")
        case _:
            return wrong("tls", f"no connection ({type(error).__name__})", "look at port, firewall and proxy")


def _authorities_advice() -> str:
    """Return what to do about the file of authorities that is set, or nothing: OpenSSL is silent about it."""
    path = os.environ.get(_AUTHORITIES)
    if path is None:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except FileNotFoundError:
        fault = "isn't there"
    except ssl.SSLError:
        fault = "holds no certificates that can be read"
    except OSError as error:
        fault = f"can't be read ({error.strerror})"
    else:
        return ""
    return f"correct or unset {_AUTHORITIES}: it names {path!r}, which {fault}"


def _certificate(session: ssl.SSLObject, took: float) -> Line:
    ends = ssl.cert_time_to_seconds(str((session.getpeercert() or {}).get("notAfter")))
    days = int((ends - time.time()) / _DAY)
    says = f"{session.version()} in {_ms(took)}, certificate for {days} more days"
    return note("tls", says, "have it renewed") if days < _SOON else ok("tls", says)


async def check_handshake(client: Client) -> Line:
    """Open a WebSocket as the plugin does."""
    endpoint = client.endpoint
    begun = time.monotonic()
    try:
        async with client.wire(endpoint.url, endpoint.headers):
            took = time.monotonic() - begun
    except LokutorError as error:
        return wrong("handshake", str(error), _handshake_advice(endpoint.url, error))
    if took > _SLOW_HANDSHAKE:
        return note("handshake", _ms(took), "call prewarm(), and run the agent nearer to the service")
    return ok("handshake", _ms(took))


def _handshake_advice(url: URL, error: LokutorError) -> str:
    if isinstance(error, NetworkError) and is_loopback(url.host or ""):
        return "look whether the server is running: 'lokutor serve' starts the local one"
    if isinstance(error, ConfigurationError) and url.scheme == "wss" and error.status is None:
        return _authorities_advice() or advice(error)  # Behind a proxy, no certificate was looked at before.
    return advice(error)


def advice(error: LokutorError) -> str:
    """Return what to do about an error."""
    if error.status == _PAYMENT_REQUIRED:
        return "whoever pays for the account looks at its plan and its balance, at app.lokutor.com"
    return next((do for kind, do in _ADVICE if isinstance(error, kind)), "please report it")


async def answer_of(client: Client) -> Answer | None:
    """Return what a handshake is answered with, or None if it isn't."""
    try:
        return await client.knock(client.endpoint.url, client.endpoint.headers)
    except LokutorError:
        return None


def check_clock(headers: Mapping[str, str], now: datetime) -> Line:
    """Compare this machine's clock with the service's."""
    theirs = read_date(headers.get("date"))
    if theirs is None:
        return skipped("clock", "the service doesn't tell the time")
    skew = (now - theirs).total_seconds()
    if abs(skew) <= _SKEW:
        return ok("clock", f"within {abs(skew):.0f} s of the service's")
    side = "ahead of" if skew > 0 else "behind"
    return wrong("clock", f"{abs(skew):.0f} s {side} the service's", "set it: switch on NTP")


def check_quota(headers: Mapping[str, str]) -> Line:
    """Read what the service says of quotas."""
    found = {name: value for name, value in sorted(headers.items()) if _QUOTA.search(name)}
    if not found:
        return skipped("quota", "the service says nothing of it")
    says = ", ".join(f"{name} {value}" for name, value in found.items())
    if any(map(_is_used_up, found, found.values())):
        return wrong("quota", says, "wait until it is renewed, or get a larger plan")
    return ok("quota", says)


def _is_used_up(name: str, value: str) -> bool:
    pattern = _LEFT if _REMAINING.search(name) else _LEFT_OF
    return any(float(left) <= 0 for left in pattern.findall(value))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"

"""Which proxy the environment names for an address.

Rule of this file: it reads environment variables and nothing else. What aiohttp's ``trust_env`` reads besides
stays unread: a ``.netrc`` would send an ``Authorization`` of its own to the service. A variable's value may
hold a password, so it is in no message.
"""

from __future__ import annotations

# The second is as public as the first, but has no types.
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from yarl import URL

from ..errors import ConfigurationError
from .endpoint import is_loopback

_VARIABLES = {
    "wss": ("wss_proxy", "https_proxy"),
    "https": ("https_proxy",),
    "ws": ("ws_proxy", "http_proxy"),
    "http": ("http_proxy",),
}
"""Of which the first that is set counts. aiohttp's own ``trust_env`` knows only ``WSS_PROXY`` for ``wss://``."""
_SCHEMES = frozenset({"http", "https"})


def find_proxy(url: URL) -> URL | None:
    """Return the proxy on the way to ``url``, with its credentials if it has any, or None for none.

    There is never one on the way to this machine itself: ``ws://`` may go there without anybody's leave, and
    a proxy would see the key.

    Raises:
        ConfigurationError: The variable's value is no URL of an HTTP proxy.
    """
    host = url.host or ""
    if is_loopback(host):
        return None
    named = getproxies_environment()
    names = (name for name in _VARIABLES[url.scheme] if named.get(name.removesuffix("_proxy")))
    name = next(names, None)
    # With its port, too: NO_PROXY may name one.
    if name is None or _is_spared(host, named) or _is_spared(f"{host}:{url.port}", named):
        return None
    proxy = _parse(named[name.removesuffix("_proxy")])
    if proxy is None:
        raise ConfigurationError(
            f"{name.upper()} must be the URL of an HTTP proxy, such as http://proxy.example:3128"
        )
    return proxy


def is_only_named_for_all(url: URL) -> bool:
    """Return whether ``ALL_PROXY`` alone names a proxy for ``url``. It is not read, nor by aiohttp."""
    named = getproxies_environment()
    return (
        bool(named.get("all"))
        and not any(named.get(name.removesuffix("_proxy")) for name in _VARIABLES[url.scheme])
        and not is_loopback(url.host or "")
    )


def _is_spared(host: str, named: dict[str, str]) -> bool:
    return bool(proxy_bypass_environment(host, named))


def _parse(value: str) -> URL | None:
    try:
        url = URL(value if "://" in value else f"http://{value}")
        # No name may hold a colon: it ends there.
        known = url.scheme in _SCHEMES and bool(url.host) and ":" not in (url.user or "")
    except ValueError:
        return None
    return url if known else None

"""Which web pages may use the local server.

Rule of this file: pure. A browser lets every page open a WebSocket to this machine and only tells the server
whose page it is (``Origin``), so the server decides. A page can also point a domain of its own at this
machine (DNS rebinding); its requests then look like the server's own, except for their ``Host``.
Sources: RFC 6454, section 7; RFC 6455, section 10.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from yarl import URL

from .._wire.endpoint import is_loopback, shown_address


class OriginPolicy:
    """Admits clients that aren't web pages, the pages of this machine, and those of named origins.

    Args:
        host: The address that the server listens on.
        allowed: Further origins, such as ``https://app.example``.

    Raises:
        ValueError: One of ``allowed`` is not an origin.
    """

    def __init__(self, host: str, allowed: Iterable[str]) -> None:
        if isinstance(allowed, str):  # Iterable too: each letter would count as an origin.
            raise ValueError(f"allowed_origins must be a list of origins, not {allowed!r}")  # noqa: TRY004
        self._host = host.lower()
        self._allowed = frozenset(map(_parse_allowed, allowed))
        self._allowed_hosts = {origin.host for origin in self._allowed}

    def admits_origin(self, origin: str, own: str) -> bool:
        """Return whether pages of ``origin`` may use the server, whose own origin is ``own``."""
        url = _parse(origin)
        if url is None:
            return False
        return _is_local_page(url) or url in self._allowed or url == _parse(own)

    def admits_host(self, host: str) -> bool:
        """Return whether a request may name the server so.

        Beyond this machine the server can't know its own names; there it is its key that keeps pages out.
        """
        if not is_loopback(self._host):
            return True
        url = _parse(f"http://{host}")
        return url is not None and (_is_local_page(url) or url.host in {self._host, *self._allowed_hosts})


def _is_local_page(origin: URL) -> bool:
    return origin.scheme in {"http", "https"} and is_loopback(origin.host or "")


def _parse(origin: str) -> URL | None:
    """Return an origin in its normal form, or None if it isn't one, such as the ``null`` of a local file."""
    try:
        url = URL(origin)
        normal = url.origin()
    except (TypeError, ValueError):
        return None
    return normal if url.host and url == normal else None


def _parse_allowed(origin: str) -> URL:
    url = _parse(origin)
    if url is None:
        raise ValueError(f"an allowed origin must be like 'https://app.example', got {shown_address(origin)}")
    return url

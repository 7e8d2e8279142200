"""Where the service is, and the key that it takes.

Rule of this file: pure values. The key is in no ``repr`` and in no message.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache

from yarl import URL

from .._shown import shown
from .protocol import API_KEY_HEADER, TTS_PATH

LONG_KEY = 8
"""Characters. No key of a service is shorter; one for a server of your own may be."""
_CREDENTIAL = re.compile(r"(key|token|secret|password|passwd|pwd|auth|authorization|jwt|signature|sig)$")
"""How the name of a credential ends, without its separators and in lower case."""
_SUSPICIOUS = re.compile(r"[@?#%;]|[^\x00-\x7f]|:[^/\d][^/]{3}")
"""What a credential in an address needs: a separator, an escape, or a word where a port belongs."""
_ADDRESS = re.compile(r"\[[\da-fA-F:.]*\]?")
_ADDRESS_SIGN = re.compile(r"[.:/\s]")
"""What an address holds, and a key doesn't."""
_HOST_NAME = re.compile(r"[a-z0-9_.-]+")
_ESCAPED = frozenset('"\\/')
"""Characters in front of which JSON has a backslash."""
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is and who asks. Its ``repr`` doesn't show the key."""

    url: URL
    api_key: str = field(repr=False)

    def __post_init__(self) -> None:
        visible = f"{self.url.path}?{self.url.query_string}"
        if len(self.api_key) >= LONG_KEY and self.api_key in visible:
            raise ValueError("base_url must not contain the API key: pass it as api_key, sent in a header")

    def __repr__(self) -> str:
        return f"Endpoint(url='{self.shown_url}')"

    @property
    def shown_url(self) -> str:
        """The URL for people. A query is left out: nobody can tell what its values mean."""
        return f"{self.url.with_query(None)}{'?...' * bool(self.url.query_string)}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        return {API_KEY_HEADER: self.api_key}

    def redact(self, text: str) -> str:
        """Return ``text`` with the key, should it hold it, hidden."""
        return redact_key(text, self.api_key)


def redact_key(text: str, key: str) -> str:
    """Return ``text`` with ``key`` hidden, also where it is percent-encoded or escaped as in JSON.

    A long key is hidden wherever it stands, and so are its Base64, also within that of something longer such
    as ``user:key``, and its hexadecimal digits. A short one, such as ``api``, may as well be a part of a
    word, a host name or a path: it is hidden where it stands alone.
    """
    return _pattern(key).sub("***", text)


@lru_cache(maxsize=16)
def _pattern(key: str) -> re.Pattern[str]:
    """Return what finds a key."""
    spelt = "".join(map(_spellings, key))
    if len(key) < LONG_KEY:
        return re.compile(rf"(?<![\w./@-]){spelt}(?![\w/-]|\.\w|:\d)")
    data = key.encode()
    digits = "".join(f"(?i:{byte:02x})[ :]?" for byte in data)
    return re.compile("|".join([spelt, *(_in_base64(data, shift) for shift in range(3)), digits]))


def _in_base64(data: bytes, shift: int) -> str:
    """Return a pattern for bytes in Base64, as they come out behind ``shift`` others in a group of three."""
    encoded = base64.b64encode(bytes(shift) + data).decode().rstrip("=")
    # Of a character that other bytes have a part in, only its place is known.
    before = (shift * 8 + 5) // 6
    after = 1 if (shift + len(data)) % 3 else 0
    sure = encoded[before : len(encoded) - after]
    shared = "[A-Za-z0-9+/_-]?"
    spelt = "".join(map(_base64_spellings, sure))
    return f"{shared * bool(shift)}{spelt}{shared * after}(?:=|(?i:%3d)){{0,2}}"


def _base64_spellings(char: str) -> str:
    """Return a pattern for a character of Base64, with its other alphabet for URLs."""
    twin = {"+": "-", "/": "_"}.get(char)
    return _spellings(char) if twin is None else f"(?:{_spellings(char)}|{twin})"


def _spellings(char: str) -> str:
    """Return a pattern for a character of a key, as it is or as an encoding writes it."""
    literal = rf"\\?{re.escape(char)}" if char in _ESCAPED else re.escape(char)
    plus = r"|\+" if char == " " else ""
    return rf"(?:{literal}|(?i:%{ord(char):02x}|\\u{ord(char):04x}){plus})"


def parse_base_url(base_url: str, *, allow_insecure: bool) -> URL:
    """Return the WebSocket URL for ``base_url``.

    Args:
        base_url: ``ws(s)`` or ``http(s)`` URL. A path is kept; without one it is ``/ws/tts``.
        allow_insecure: Whether plain ``ws://`` may leave this machine.

    Raises:
        ValueError: Not such a URL, or one that would show the key to others.
    """
    url, host = _split(base_url)
    if url.scheme not in _SCHEMES or not host:
        raise ValueError(
            f"base_url must be a ws://, wss://, http:// or https:// URL, got {shown_address(base_url)}"
        )
    if url.user or url.password or any(map(_is_credential, url.query)):
        raise ValueError(
            "base_url must not contain credentials: pass the key as api_key, which is sent in a header"
        )
    if url.fragment:
        raise ValueError("base_url must not have a fragment (#...): WebSocket URLs can't have one")
    url = url.with_scheme(_SCHEMES[url.scheme])
    if url.scheme == "ws" and not allow_insecure and not is_loopback(host):
        raise ValueError(
            f"base_url {shown_address(base_url)} would send the API key unencrypted: use wss://, "
            "or pass allow_insecure=True if you trust the network"
        )
    return url if url.path not in {"", "/"} else url.with_path(TTS_PATH).with_query(url.query)


def _split(base_url: str) -> tuple[URL, str]:
    """Return the URL and its host, which is empty where it is none that can be looked up."""
    try:
        url = URL(base_url)
        host, name = url.host or "", url.raw_host or ""
        # As the system's own look-up does: it knows no empty label and none of over 63 characters.
        name.encode("idna")
        return (url, host) if url.port and (_HOST_NAME.fullmatch(name) or _is_address(host)) else (url, "")
    except (TypeError, ValueError, IndexError):  # yarl knows some broken URLs by an IndexError.
        return URL(), ""


def _is_credential(name: str) -> bool:
    return _CREDENTIAL.search(re.sub(r"[\W_]", "", name).lower()) is not None


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine: a loopback address or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def shown_address(address: object) -> str:
    """Return an address for a message, unless it could be or hold a credential."""
    text = str(address)
    suspicious = may_be_key(text) or _SUSPICIOUS.search(_ADDRESS.sub("", text))
    return "(not shown: it may hold a credential)" if suspicious else shown(address)


def may_be_key(word: str) -> bool:
    """Return whether ``word``, given as an address, may be a key that stands in the wrong place."""
    return len(word) >= LONG_KEY and not (_ADDRESS_SIGN.search(word) or is_loopback(word))

"""Which proxy the environment names, and for which addresses."""

from __future__ import annotations

import pytest
from yarl import URL

from videosdk.plugins.lokutor._wire.proxy import find_proxy
from videosdk.plugins.lokutor.errors import ConfigurationError

THERE = URL("http://proxy.example:3128")
OTHER = URL("http://other.example:8080")


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("wss://tts.example", {}, None),
        ("wss://tts.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, THERE),
        ("wss://tts.example", {"https_proxy": "http://proxy.example:3128/"}, THERE),
        ("wss://tts.example", {"HTTPS_PROXY": "proxy.example:3128"}, THERE),
        ("wss://tts.example", {"WSS_PROXY": "http://proxy.example:3128"}, THERE),
        (
            "wss://tts.example",
            {"WSS_PROXY": "http://proxy.example:3128", "HTTPS_PROXY": "http://other.example:8080"},
            THERE,
        ),
        ("wss://tts.example", {"HTTP_PROXY": "http://proxy.example:3128"}, None),
        ("wss://tts.example", {"HTTPS_PROXY": ""}, None),
        ("https://tts.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, THERE),
        ("https://tts.example", {"WSS_PROXY": "http://proxy.example:3128"}, None),
        ("ws://tts.example", {"HTTP_PROXY": "http://proxy.example:3128"}, THERE),
        ("ws://tts.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, None),
        (
            "ws://tts.example",
            {"WS_PROXY": "http://proxy.example:3128", "HTTP_PROXY": "http://other.example:8080"},
            THERE,
        ),
        ("http://tts.example", {"HTTP_PROXY": "http://other.example:8080"}, OTHER),
        ("wss://tts.example", {"HTTPS_PROXY": "https://proxy.example"}, URL("https://proxy.example")),
        # A server that takes HTTP_PROXY from a request's header is not asked: see getproxies_environment().
        ("ws://tts.example", {"HTTP_PROXY": "http://proxy.example:3128", "REQUEST_METHOD": "GET"}, None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxy: URL | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(URL(url)) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "spared"),
    [
        ("wss://tts.example", "tts.example", True),
        ("wss://eu.tts.example", "localhost, .tts.example", True),
        ("wss://tts.example:8443", "tts.example:8443", True),
        ("wss://tts.example", "tts.example:8443", False),
        ("wss://tts.example", "other.example", False),
        ("wss://tts.example", "*", True),
        ("wss://10.1.2.3", "10.1.2.3", True),
        ("wss://[2001:db8::1]", "2001:db8::1", True),
        ("wss://[2001:db8::1]", "2001:db8::2", False),
    ],
)
def test_no_proxy_spares_hosts(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, spared: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (find_proxy(URL(url)) is None) is spared


@pytest.mark.parametrize("host", ["localhost", "tts.localhost", "127.0.0.1", "127.0.0.2", "[::1]"])
@pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
def test_this_machine_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str, host: str
) -> None:
    """Plain ws:// goes there without ``allow_insecure``: a proxy would be told the key."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "WS_PROXY", "WSS_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    assert find_proxy(URL(f"{scheme}://{host}:8080")) is None


@pytest.mark.parametrize(
    "value", ["http://ada:love%40lace@proxy.example:3128", "ada:love%40lace@proxy.example:3128"]
)
def test_a_proxy_may_ask_for_a_password(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    proxy = find_proxy(URL("wss://tts.example"))
    assert proxy is not None
    assert (proxy.user, proxy.password, proxy.host, proxy.port) == ("ada", "love@lace", "proxy.example", 3128)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://ada:lovelace@proxy.example:1080",
        "http://",
        "http://ada:lovelace@",
        "http://ada:lovelace@proxy.example:port",
        "http://[ada:lovelace",
        "http://ad%3Aa:lovelace@proxy.example",
    ],
)
def test_what_is_no_proxy_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY must be the URL of an HTTP proxy") as caught:
        find_proxy(URL("wss://tts.example"))
    assert "lovelace" not in str(caught.value)

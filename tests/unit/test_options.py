"""What a caller can choose: refused with the name, the value and the range, or frozen."""

from __future__ import annotations

import base64
import dataclasses
import logging
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.tables import each
from yarl import URL

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._options import SpeechOptions, check_sample_rate
from videosdk.plugins.lokutor._wire.endpoint import Endpoint, is_loopback, parse_base_url, redact_key
from videosdk.plugins.lokutor._wire.protocol import LANGUAGES, SpeechRequest

NAN, INFINITY = float("nan"), float("inf")

# --- speech ------------------------------------------------------------------------------------------


def test_the_defaults_are_the_services() -> None:
    assert SpeechOptions() == SpeechOptions(voice="F1", language="en", speed=1.05, steps=5, model=None)


@each("speed", [0.5, 1, 1.05, 2, 2.0])
@each("steps", [1, 5, 50])
def test_the_ends_of_the_ranges_are_in_them(speed: float, steps: int) -> None:
    options = SpeechOptions(voice="clone_7f", language="es", speed=speed, steps=steps, model="versa-1.0")
    assert options.request("Hola.") == SpeechRequest(
        "Hola.", "clone_7f", "es", speed, steps, model="versa-1.0"
    )


@each("speed", [0.49, 2.01, 0, -1, NAN, INFINITY, -INFINITY, "1.0", None, True, [1], 1j, 10**400])
def test_a_bad_speed_is_refused(speed: Any) -> None:
    expected = f"speed must be a number from 0.5 to 2.0, got {speed!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        SpeechOptions(speed=speed)


@each("steps", [0, 51, -1, 5.0, NAN, INFINITY, "5", None, True, False, 10**400])
def test_bad_steps_are_refused(steps: Any) -> None:
    expected = f"steps must be a whole number from 1 to 50, got {steps!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        SpeechOptions(steps=steps)


@each("name", ["voice", "language", "model"])
@each("value", ["", "  ", 5, b"F1", ["F1"], True])
def test_a_name_that_is_none_is_refused(name: str, value: Any) -> None:
    expected = f"{name} must be a non-empty string, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        SpeechOptions(**{name: value})


@pytest.mark.parametrize("name", ["voice", "language"])
def test_only_the_model_may_be_none(name: str) -> None:
    options: dict[str, Any] = {name: None}
    with pytest.raises(ValueError, match=f"{name} must be a non-empty string, got None"):
        SpeechOptions(**options)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 192_000])
def test_a_usable_sample_rate_is_returned(rate: int) -> None:
    assert check_sample_rate(rate) == rate


@each("rate", [7_999, 192_001, 0, -8_000, 24_000.0, "24000", None, True, NAN])
def test_a_bad_sample_rate_is_refused(rate: Any) -> None:
    expected = f"sample_rate must be a whole number from 8000 to 192000, got {rate!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        check_sample_rate(rate)


def test_options_are_frozen() -> None:
    options = SpeechOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.voice = "M1"  # type: ignore[misc]


def test_a_change_is_a_checked_copy() -> None:
    options = SpeechOptions(voice="M1", steps=8)
    changed = options.changed({"speed": 2.0, "language": "pt-BR"})
    assert changed == SpeechOptions(voice="M1", steps=8, speed=2.0, language="pt")
    assert options == SpeechOptions(voice="M1", steps=8)
    assert options.changed({}) == options
    with pytest.raises(ValueError, match="steps must be a whole number from 1 to 50, got 0"):
        options.changed({"steps": 0})


def test_an_unknown_option_is_named_with_the_known_ones() -> None:
    expected = "unknown option 'pitch': use one of voice, language, speed, steps, model"
    with pytest.raises(TypeError, match=expected):
        SpeechOptions().changed({"voice": "M1", "pitch": 2, "volume": 3})


# --- language ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("en_GB", "en"),
        ("EN", "en"),
        ("pt-BR", "pt"),
        (" es-419 ", "es"),
        ("de-Latn-DE", "de"),
    ],
)
def test_a_regional_tag_is_reduced_without_a_word(
    tag: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert SpeechOptions(language=tag).language == code
    assert not caplog.records


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_language_of_the_service_passes(code: str, caplog: pytest.LogCaptureFixture) -> None:
    assert SpeechOptions(language=code).language == code
    assert not caplog.records


def test_an_unknown_language_passes_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "videosdk.plugins.lokutor"):
        assert SpeechOptions(language="tlh").language == "tlh"
        SpeechOptions(language="tlh-US").changed({"speed": 1.5})
    (record,) = caplog.records
    assert "'tlh'" in record.getMessage()
    assert record.name == "videosdk.plugins.lokutor"


@pytest.mark.parametrize("tag", ["-", "-US", "_"])
def test_a_tag_without_a_language_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match=f"language must be a code such as 'en' or 'en-US', got '{tag}'"):
        SpeechOptions(language=tag)


# --- base_url ----------------------------------------------------------------------------------------


@each(
    ("base_url", "url"),
    [
        ("wss://api.lokutor.com", "wss://api.lokutor.com/ws/tts"),
        ("wss://api.lokutor.com/", "wss://api.lokutor.com/ws/tts"),
        ("https://api.lokutor.com", "wss://api.lokutor.com/ws/tts"),
        ("HTTPS://API.lokutor.com", "wss://api.lokutor.com/ws/tts"),
        ("wss://api.lokutor.com/ws", "wss://api.lokutor.com/ws"),
        ("https://proxy.example/tts/v2/", "wss://proxy.example/tts/v2/"),
        ("wss://api.lokutor.com:8443", "wss://api.lokutor.com:8443/ws/tts"),
        ("wss://api.lokutor.com?region=eu", "wss://api.lokutor.com/ws/tts?region=eu"),
        ("wss://api.lokutor.com/ws?region=eu", "wss://api.lokutor.com/ws?region=eu"),
        ("ws://localhost:8765", "ws://localhost:8765/ws/tts"),
        ("ws://LOCALHOST:8765", "ws://localhost:8765/ws/tts"),
        ("ws://tts.localhost", "ws://tts.localhost/ws/tts"),
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765/ws/tts"),
        ("ws://127.9.9.9", "ws://127.9.9.9/ws/tts"),
        ("ws://[::1]:8765/ws", "ws://[::1]:8765/ws"),
    ],
)
def test_a_base_url_becomes_the_sockets(base_url: str, url: str) -> None:
    assert parse_base_url(base_url, allow_insecure=False) == URL(url)


@each(
    "host",
    [
        "api.lokutor.com",
        "192.168.1.7",
        "10.0.0.1",
        "[fe80::1]",
        "0.0.0.0",  # noqa: S104
        "localhost.evil.example",
        "127.0.0.1.nip",
    ],
)
@each("scheme", ["ws", "http"])
def test_an_unencrypted_url_may_leave_this_machine_only_when_allowed(scheme: str, host: str) -> None:
    base_url = f"{scheme}://{host}:9000"
    with pytest.raises(ValueError, match="allow_insecure=True") as caught:
        parse_base_url(base_url, allow_insecure=False)
    assert base_url in str(caught.value)
    assert parse_base_url(base_url, allow_insecure=True) == URL(f"ws://{host}:9000/ws/tts")


@each(
    "base_url",
    [
        "", " ", "api.lokutor.com", "/ws/tts", "ftp://host", "wss://", "wss:///ws", "wss://h:99999", "wss://h:x",
        "wss://[::1", "wss://[]", "wss://api..lokutor.com", "wss://.lokutor.com", f"wss://{'a' * 64}.com",
        "wss://h:0", "://h", "mailto:a", None, 5, b"wss://host", ["wss://host"],
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_service_is_refused(base_url: Any) -> None:
    with pytest.raises(
        ValueError, match="base_url must be a ws://, wss://, http:// or https:// URL"
    ) as caught:
        parse_base_url(base_url, allow_insecure=True)
    assert repr(base_url) in str(caught.value)


@each(
    "base_url",
    [
        "wss://host?api_key=s3cret",
        "wss://host/ws?a=b&api_key=s3cret",
        "wss://user:s3cret@host",
        "wss://s3cret@host",
        "wss://[]@s3cret",
        "ws://user:s3cret@host/ws",
        "ftp://user:s3cret@host",
        "user:s3cret@host",
        "wss://user:s3cret?x@host",
        "wss://user:s3cret#x@host",
        "wss://user:s3cret/x@host",
        "wss://host:x?api_key=a@s3cret",
        "ws://host?token=s3cret",
        "wss://host?API_KEY=s3cret",
        "wss://host?ApiKey=s3cret",
        "wss://host?api-key=s3cret",
        "wss://host?key=s3cret",
        "wss://host?x-api-key=s3cret",
        "wss://host?access%5Ftoken=s3cret",
        "wss://host?region=eu&client_secret=s3cret",
        "wss://host?password=s3cret",
        "wss://host?Authorization=s3cret",
        "wss://host#s3cret",
        "ftp://host?token=s3cret",
    ],
)
def test_a_credential_in_the_url_is_refused_and_never_repeated(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        parse_base_url(base_url, allow_insecure=False)
    assert "s3cret" not in str(caught.value)


SIGNS = [*"[]@:/?#.%&=-_ aZ0é\u3002\x00\n", "::1", "%00", "127.0.0.1", "xn--", "." * 64, "a" * 64]
PARTS = st.lists(st.sampled_from(SIGNS)).map("".join)
"""Text that is nearly a URL."""


@settings(max_examples=3 * settings().max_examples)
@given(
    st.one_of(
        st.text(),
        st.text().map("wss://{}".format),
        PARTS.map("wss://{}".format),
        PARTS.map("ws://localhost{}".format),
        PARTS.map("wss://api.{}.lokutor.com:8443/ws?a=b".format),
    )
)
@example("ws://[]@")
@example("wss://api..lokutor.com")
def test_any_text_is_a_url_that_can_be_looked_up_or_a_value_error(base_url: str) -> None:
    try:
        url = parse_base_url(base_url, allow_insecure=False)
    except ValueError:
        return
    assert url.scheme in {"ws", "wss"}
    assert url.host
    assert url.scheme == "wss" or is_loopback(url.host)
    with suppress(socket.gaierror):  # Not there: that is all that a look-up may say.
        socket.getaddrinfo(url.raw_host, url.port, flags=socket.AI_NUMERICHOST)
    assert URL(str(url)) == url


def test_an_endpoint_sends_the_key_in_a_header_and_never_shows_it() -> None:
    endpoint = Endpoint(URL("wss://api.lokutor.com/ws/tts"), "s3cret")
    assert endpoint.headers == {"X-API-Key": "s3cret"}
    assert "s3cret" not in f"{endpoint} {endpoint!r}"
    assert "api.lokutor.com" in repr(endpoint)


# --- the key -----------------------------------------------------------------------------------------


@each(
    "text",
    [
        "{}",
        "key {}.",
        "the key '{}' is wrong",
        "X-API-Key: {}",
        "?api_key={}&x=1",
        "[{}]",
        "{}: no",
        "u:{}@host",
    ],
)
@each("key", ["api", "k+.9", "a-long-key-5f2c9e"])
def test_a_key_that_stands_alone_is_hidden(key: str, text: str) -> None:
    assert redact_key(text.format(key), key) == text.format("***")


def test_a_long_key_is_hidden_in_other_words_too() -> None:
    assert redact_key("Bearer_a-long-key.old/a-long-keys", "a-long-key") == "Bearer_***.old/***s"


@each(
    "said",
    [
        "sk-a%2Fb%2Bc%3D%3DQ%25x", "sk-a%2fb%2bc%3d%3dQ%25x", "sk-a/b%2Bc%3D%3DQ%25x", r"sk-a\/b+c==Q%x",
        r"sk\u002da\u002Fb\u002bc\u003d\u003dQ%x", "%73k-a/b+c==Q%x",
    ],
)  # fmt: skip
def test_an_encoded_key_is_hidden(said: str) -> None:
    assert redact_key(f"no: {said}.", "sk-a/b+c==Q%x") == "no: ***."


@each("said", ["a+k%22y", "a%20k%22y", r"a k\"y", 'a k"y'])
def test_an_encoded_space_or_quotation_mark_is_hidden(said: str) -> None:
    for more in ("", " of 8 and more"):
        assert redact_key(f"no: {said}{more}.", f'a k"y{more}') == "no: ***."


@each("key", ["a-long-key-5f2c9e", "sk-a/b+c==Q%x", "lk_??>>~~ÿ", "lk_live_1", "lk_live_12"])
def test_a_key_in_base64_or_hexadecimal_digits_is_hidden(key: str) -> None:
    data = key.encode()
    standard, for_urls = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    for said in (
        standard,
        standard.rstrip("="),
        for_urls,
        for_urls.rstrip("="),
        data.hex(),
        data.hex(" ").upper(),
    ):
        assert redact_key(f"no: {said}.", key) == "no: ***."
        if " " not in said:
            assert redact_key(f"?k={quote(said, safe='')}&x=1", key) == "?k=***&x=1"


def test_a_key_within_longer_base64_is_hidden() -> None:
    key = "a-long-key-5f2c9e"
    for before in ("", "u", "us", "user:"):
        for behind in ("", "x", "xy", "xyz"):
            said = base64.b64encode(f"{before}{key}{behind}".encode()).decode()
            hidden = redact_key(said, key)
            assert "***" in hidden
            assert len(hidden.replace("***", "")) <= len(said) - len(key) * 8 // 6 + 2


def test_nothing_but_a_spelling_of_the_key_is_hidden() -> None:
    for text in ("sk-a%2Fb%2Bc%3D%3DR%25x", "sk-a b+c==Q%x", "SK-A/B+C==Q%X", "sk-a//b+c==Q%x"):
        assert redact_key(text, "sk-a/b+c==Q%x") == text


@each(
    "text",
    [
        "wss://api.lokutor.com/ws/tts", "wss://eu.api/api/v1", "ws://api:8765", "api:443", "me@api.example",
        "apis", "my_api", "api-2", "rapid",
    ],
)  # fmt: skip
def test_a_short_key_is_no_secret_as_a_part_of_something_else(text: str) -> None:
    assert redact_key(text, "api") == text


def test_an_endpoint_hides_its_key_the_same_way() -> None:
    endpoint = Endpoint(URL("wss://api.lokutor.com"), "api")
    assert endpoint.redact("api.lokutor.com refused 'api'") == "api.lokutor.com refused '***'"


def test_a_query_is_sent_but_not_shown() -> None:
    endpoint = Endpoint(URL("wss://api.lokutor.com/ws?region=eu"), "s3cret")
    assert repr(endpoint) == "Endpoint(url='wss://api.lokutor.com/ws?...')"
    assert endpoint.url.query["region"] == "eu"


def test_a_key_in_the_address_is_refused() -> None:
    for url in ("wss://api.lokutor.com/lk-7f3a9c51/ws", "wss://api.lokutor.com/ws?region=lk-7f3a9c51"):
        with pytest.raises(ValueError, match="must not contain the API key"):
            Endpoint(URL(url), "lk-7f3a9c51")
    assert Endpoint(URL("wss://api.lokutor.com/ws/tts"), "tts")


@each(
    ("key", "text", "hidden"),
    [
        ("lk-7f3a9c51", "no: xlk-7f3a9c51y", "no: x***y"),
        ("lk-7f3a9c51", "wss://lk-7f3a9c51.com", "wss://***.com"),
        ("api", "api.lokutor.com refused api", "api.lokutor.com refused ***"),
        ("api", "the key 'api' is not known", "the key '***' is not known"),
        ("api", "no key (api).", "no key (***)."),
        ("api", "invalid key: api.", "invalid key: ***."),
        ("api", "api_key=api", "api_key=***"),
        ("api", "wss://tts.api.com/api/x-api rapid", "wss://tts.api.com/api/x-api rapid"),
        ("a", "a key", "*** key"),
        ("a.b", "a.b a-b", "*** a-b"),
    ],
)
def test_a_key_is_hidden_and_a_short_one_only_where_it_stands_alone(key: str, text: str, hidden: str) -> None:
    assert Endpoint(URL("wss://api.lokutor.com/ws/tts"), key).redact(text) == hidden


# --- what a constructor is given by mistake -------------------------------------------------------------


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no name")


@each("name", ["allow_insecure", "word_timestamps", "visemes", "keep_warm", "pacing", "trim_silence"])
@each("value", ["false", "0", 1, None, Unprintable()])
def test_a_switch_is_a_bool(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be True or False"):
        LokutorTTS(api_key="k", base_url="ws://remote.example", **{"allow_insecure": True, name: value})


@each("name", ["api_key", "base_url", "voice", "language", "model"])
@each("value", [5, True, b"k", ["k"], Unprintable()])
def test_a_name_is_a_string(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        LokutorTTS(**{"api_key": "k", name: value})


def test_a_session_is_aiohttps() -> None:
    with pytest.raises(ValueError, match=r"session must be an aiohttp\.ClientSession, got a str"):
        LokutorTTS(api_key="k", session="session")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["voice", "language", "model"])
def test_what_can_not_be_sent_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LokutorTTS(**{"api_key": "k", name: "\ud800"})  # type: ignore[arg-type]


@each(
    ("name", "value"),
    [
        ("speed", "x" * 1_000_000),
        ("steps", 10**5_000),
        ("sample_rate", -(10**5_000)),
        ("max_retries", [10**5_000]),
        ("idle_timeout", 10**5_000),
        ("heartbeat", 10**5_000),
        ("visemes", 10**5_000),
        ("language", "-" * 100_000),
        ("base_url", "x." * 50_000),
        ("base_url", f"ws://{'x.' * 50_000}example"),
        ("base_url", f"ws://x.example/{'x' * 100_000}"),
    ],
    # pytest can't print such numbers either.
)
def test_a_long_mistake_is_shortened(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} ") as caught:
        LokutorTTS(**{"api_key": "k", name: value})
    assert len(str(caught.value)) < 700


def test_a_long_mistake_is_shortened_in_a_call_as_well(caplog: pytest.LogCaptureFixture) -> None:
    tts = LokutorTTS(api_key="k")
    with pytest.raises(ValueError, match="voice_id is") as caught:
        tts._call_options("x" * 1_000_000, {"voice": "F1"})
    tts.update_options(language="x" * 1_000_000)
    assert len(str(caught.value)) < 300
    assert len(caplog.text) < 500


@each(
    "url",
    ["wss://u:SECRET%40h:80", "wss://u%3ASECRET%40h", "wss://u:SECRET＠h", "wss://h;SECRET/x",
     "SECRET-key-4711", "ws://localhost:SECRET", "javascript:SECRET", "wss://u:SECRET@h", "wss://h?token=SECRET"],
)  # fmt: skip
def test_a_base_url_that_could_hold_a_credential_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        LokutorTTS(api_key="k", base_url=url)
    assert "SECRET" not in str(caught.value)


def test_a_blank_address_in_the_environment_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKUTOR_BASE_URL", " ")
    assert "wss://api.lokutor.com" in repr(LokutorTTS(api_key="k"))

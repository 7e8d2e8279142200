"""The codec: every request and reply form, and anything else that may come over a socket."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kit.tables import each

from videosdk.plugins.lokutor._wire.protocol import (
    Audio,
    EndOfRequest,
    ErrorReply,
    Event,
    SpeechRequest,
    Telemetry,
    Unknown,
    Visemes,
    decode_binary,
    decode_text,
    encode_request,
)
from videosdk.plugins.lokutor.errors import ProtocolError
from videosdk.plugins.lokutor.visemes import Viseme

REQUEST = SpeechRequest(text="Hi.", voice="F1", language="en", speed=1.05, steps=5)


# --- requests ----------------------------------------------------------------------------------------


def test_a_request_has_exactly_the_keys_that_servers_of_all_ages_read() -> None:
    assert json.loads(encode_request(REQUEST)) == {
        "text": "Hi.",
        "voice": "F1",
        "language": "en",
        "lang": "en",
        "speed": 1.05,
        "steps": 5,
        "visemes": False,
    }


def test_a_model_goes_out_as_version_and_visemes_are_asked_for() -> None:
    request = SpeechRequest("Hi.", "F1", "es", 1.0, 8, visemes=True, model="versa-1.0")
    message = json.loads(encode_request(request))
    assert (message["version"], message["visemes"]) == ("versa-1.0", True)
    assert (message["language"], message["lang"]) == ("es", "es")


@pytest.mark.parametrize("text", ["¿Qué tal, señor?", "你好", "😀", 'a "quoted"\nline \\ \t'])
def test_any_text_comes_out_as_it_went_in_and_unescaped(text: str) -> None:
    message = encode_request(SpeechRequest(text, "F1", "en", 1.0, 5))
    assert json.loads(message)["text"] == text
    assert "\\u" not in message
    assert message.encode()


# --- replies -----------------------------------------------------------------------------------------

O_SOUND = Viseme(index=12, sound="o", start=0.418)

REPLIES: list[tuple[str, Event]] = [
    ("EOS", EndOfRequest()),
    (" EOS\r\n", EndOfRequest()),
    ('{"type":"eos"}', EndOfRequest("eos")),
    ('\n{"type": "eos", "request_id": "r"} ', EndOfRequest("eos")),
    ("ERR: no such voice", ErrorReply("no such voice")),
    ("ERR:no such voice", ErrorReply("no such voice")),
    ("ERR:", ErrorReply("")),
    ('{"type":"error","message":"No."}', ErrorReply("No.")),
    ('{"type":"error","code":"internal.error","message":"No."}', ErrorReply("No.", "internal.error")),
    (
        '{"type":"error","data":{"code":"auth.invalid_key","message":"No."}}',
        ErrorReply("No.", "auth.invalid_key"),
    ),
    (
        '{"type":"error","request_id":"r-7","message":"outer","data":{"code":"c","message":"inner"}}',
        ErrorReply("inner", "c", "r-7"),
    ),
    ('{"type":"error","data":{"request_id":"r-8","message":"m"}}', ErrorReply("m", None, "r-8")),
    ('{"type":"error","data":"No."}', ErrorReply("No.")),
    ('{"type":"error","code":"c","data":"No."}', ErrorReply("No.", "c")),
    ('{"type":"error"}', ErrorReply("")),
    ('{"type":"error","message":5,"code":["x"],"data":null}', ErrorReply("")),
    ('[{"v":12,"c":"o","t":0.418}]', Visemes((O_SOUND,))),
    ('[{"id":12,"char":"o","timestamp":0.418}]', Visemes((O_SOUND,))),
    ('{"type":"visemes","data":[{"v":12,"c":"o","t":0.418}]}', Visemes((O_SOUND,))),
    ('[{"v":0,"c":"sil","t":0},{"v":1,"char":"a","t":1}]', Visemes((Viseme(0, "sil", 0), Viseme(1, "a", 1)))),
    ("[]", Visemes(())),
    ('{"type":"visemes"}', Visemes(())),
    ('{"type":"visemes","data":"o"}', Visemes(())),
    ('{"type":"audio","data":"AQID"}', Audio(b"\x01\x02\x03")),
    ('{"type":"audio","data":""}', Audio(b"")),
    ('{"type":"timing","ttfb_ms":139}', Telemetry({"ttfb_ms": 139})),
    ('{"type":"timing"}', Telemetry({})),
]


@each(("message", "event"), REPLIES)
def test_every_form_of_a_reply_has_its_event(message: str, event: Event) -> None:
    assert decode_text(message) == event


@each(
    "message",
    [
        "", " ", "eos", "EOSS", "EOS EOS", "error", "err: x", "hello", "ready", "null", "true", "12", '"EOS"',
        "NaN", "{", "[", "{}", "[1", '{"type":"EOS"}', '{"type":null}', '{"type":["eos"]}',
        '{"type":{"a":1}}',
        '{"type":"transcript","data":"x"}', '{"status":"ok"}', "[" * 100_000, '{"a":' * 100_000,
        '{"a":' + "9" * 10_000 + "}",
    ],
)  # fmt: skip
def test_what_the_protocol_does_not_list_is_explicitly_unknown(message: str) -> None:
    assert decode_text(message) == Unknown(message)


@each("data", [None, 5, [], {}, "A", "AQI", "****", "AQ==AQ==", "é", "\ud800", "AQ ID"])
def test_audio_that_cannot_be_read_is_an_error_and_not_silence(data: object) -> None:
    with pytest.raises(ProtocolError, match="base64") as caught:
        decode_text(json.dumps({"type": "audio", "data": data}))
    assert not caught.value.retryable


@each(
    "item",
    [
        None, 5, "o", [], {}, {"v": 1}, {"v": 1, "c": "o"}, {"v": 1, "t": 1.0}, {"c": "o", "t": 1.0},
        {"v": True, "c": "o", "t": 1}, {"v": 1.5, "c": "o", "t": 1}, {"v": "one", "c": "o", "t": 1},
        {"v": 1, "c": 5, "t": 1}, {"v": 1, "c": "o", "t": "1 s"}, {"v": "1_0", "c": "o", "t": 1},
        {"v": "1.5", "c": "o", "t": 1}, {"v": 1, "c": "o", "t": "nan"},
        {"v": "9" * 400, "c": "o", "t": 1}, {"v": 1, "c": "o", "t": False},
        {"v": 1, "c": "o", "t": None}, {"v": 1, "c": "o", "t": float("nan")},
        {"v": 1, "c": "o", "t": float("inf")}, {"v": 1, "c": "o", "t": 10**400},
    ],
)  # fmt: skip
def test_a_broken_viseme_is_left_out_and_the_rest_kept(item: object) -> None:
    message = json.dumps([{"v": 12, "c": "o", "t": 0.418}, item])
    assert decode_text(message) == Visemes((O_SOUND,))


@each("item", [{"v": "12", "c": "o", "t": "0.418"}, {"v": 12.0, "c": "o", "t": "418e-3"}])
def test_a_number_is_read_however_it_is_written(item: object) -> None:
    assert decode_text(json.dumps([item])) == Visemes((O_SOUND,))


# --- anything else -----------------------------------------------------------------------------------

KEYS = st.sampled_from(
    ["type", "data", "message", "code", "request_id", "v", "c", "t", "id", "char", "timestamp"]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(10**400), 10**400),
        st.floats(),
        st.text(),
        st.sampled_from(["eos", "error", "visemes", "audio", "timing", "AQID", "\ud800"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=20,
)
TYPED = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(["eos", "error", "visemes", "audio", "timing", "other"]),
    st.dictionaries(KEYS, VALUES, max_size=5),
)
SURROGATES = st.text(st.characters())
NESTED = st.builds(
    lambda opening, depth, middle: opening * depth + middle,
    st.sampled_from(["[", '{"data":', '{"type":"error","data":', '[{"v":']),
    st.integers(1, 50_000),
    st.text(),
)
MESSAGES = st.one_of(
    st.text(),
    SURROGATES,
    NESTED,
    VALUES.map(json.dumps),
    TYPED.map(json.dumps),
    TYPED.map(lambda value: json.dumps(value, ensure_ascii=False)[:-1]),
    st.text().map(lambda text: f"ERR:{text}"),
)


@given(MESSAGES)
@example('{"type":"audio","data":"\ud800"}')
@example("[" + "9" * 5_000 + "]")
@example('{"type":"timing","x":' + "9" * 5_000 + "}")
def test_no_text_raises_anything_but_a_protocol_error(message: str) -> None:
    try:
        event = decode_text(message)
    except ProtocolError:
        return
    assert isinstance(event, Event)
    if isinstance(event, ErrorReply):
        parts: list[Any] = [event.message, event.code or "", event.request_id or ""]
        assert all(isinstance(part, str) for part in parts)


@given(st.binary())
def test_every_binary_message_is_audio_byte_for_byte(data: bytes) -> None:
    assert decode_binary(data) == Audio(data)
    assert decode_text(json.dumps({"type": "audio", "data": base64.b64encode(data).decode()})) == Audio(data)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(min_size=1))
def test_every_request_is_json_that_says_what_was_asked(text: str, voice: str) -> None:
    message = json.loads(encode_request(SpeechRequest(text, voice, "en", 0.5, 50)))
    assert (message["text"], message["voice"], message["speed"], message["steps"]) == (text, voice, 0.5, 50)

"""The server's codec: every refusal, every default, and arbitrary input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk.plugins.lokutor._wire.protocol import ErrorReply, SpeechRequest, Visemes, decode_text
from videosdk.plugins.lokutor._wire.protocol import encode_request as encode_by_plugin
from videosdk.plugins.lokutor.local import _wire
from videosdk.plugins.lokutor.local._wire import RequestRefusedError, decode_request
from videosdk.plugins.lokutor.visemes import Viseme

FORMAT = "validation.invalid_request_format"
VOICE = "validation.invalid_voice"
LANGUAGE = "validation.invalid_language"
SPEED = "validation.speed_out_of_range"
STEPS = "validation.steps_out_of_range"


def decode(**fields: Any) -> SpeechRequest:
    return decode_request(json.dumps({"text": "Hello.", **fields}))


def code_of(message: str) -> str:
    with pytest.raises(RequestRefusedError) as caught:
        decode_request(message)
    assert str(caught.value)
    return caught.value.code


def test_what_is_left_out_has_the_defaults_of_the_official_sdks() -> None:
    assert decode() == SpeechRequest("Hello.", "F1", "en", 1.05, 5, visemes=False, model=None)


def test_null_means_left_out() -> None:
    nulls = dict.fromkeys(("voice", "language", "lang", "speed", "steps", "visemes", "version"))
    assert decode(**nulls) == decode()


def test_what_the_plugin_encodes_is_understood() -> None:
    request = SpeechRequest("Olá — 日本 😀\n\0", "esca_m3", "pt", 0.5, 50, visemes=True, model="versa-1.0")
    assert decode_request(encode_by_plugin(request)) == request


@pytest.mark.parametrize("key", ["language", "lang"])
def test_both_spellings_of_the_language(key: str) -> None:
    assert decode(**{key: "gl"}).language == "gl"


def test_the_newer_spelling_wins() -> None:
    assert decode(language="fr", lang="de").language == "fr"
    assert decode(language=None, lang="de").language == "de"


def test_unknown_keys_are_ignored() -> None:
    assert decode(type="tts", codec=None, nested={"deep": [1]}, flush=True) == decode()


@pytest.mark.parametrize("voice", [*_wire.VOICES, "clone_1", "clone_", "clone_é"])
def test_every_voice_is_known_and_sounds_like_one_of_ten(voice: str) -> None:
    assert decode(voice=voice).voice == voice
    assert _wire.base_voice(voice) in {"F1", "F2", "F3", "F4", "F5", "M1", "M2", "M3", "M4", "M5"}


def test_the_three_families_map_to_the_same_ten() -> None:
    assert len(_wire.VOICES) == 30
    assert _wire.base_voice("en_m4") == _wire.base_voice("esca_m4") == _wire.base_voice("M4") == "M4"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", FORMAT),
        ("hello", FORMAT),
        ("{", FORMAT),
        ("[]", FORMAT),
        ('"text"', FORMAT),
        ("null", FORMAT),
        ("{}", FORMAT),
        ('{"text": null}', FORMAT),
        ('{"text": 7}', FORMAT),
        ('{"text": ""}', FORMAT),
        ('{"text": " \\n\\t\\u00a0"}', FORMAT),
        ('{"text": "half \\ud83d"}', FORMAT),
        ('{"text": "a", "visemes": "yes"}', FORMAT),
        ('{"text": "a", "visemes": 1}', FORMAT),
        ('{"text": "a", "version": 2}', FORMAT),
        ("[" * 100_000, FORMAT),
        ('{"text":' * 50_000, FORMAT),
        ('{"text": "a", "steps": ' + "9" * 5000 + "}", FORMAT),
        ('{"text": "a", "voice": "X9"}', VOICE),
        ('{"text": "a", "voice": "f1"}', VOICE),
        ('{"text": "a", "voice": 1}', VOICE),
        ('{"text": "a", "voice": ["F1"]}', VOICE),
        ('{"text": "a", "language": "xx"}', LANGUAGE),
        ('{"text": "a", "language": "en-US"}', LANGUAGE),
        ('{"text": "a", "language": ["en"]}', LANGUAGE),
        ('{"text": "a", "lang": ""}', LANGUAGE),
        ('{"text": "a", "speed": 0.49}', SPEED),
        ('{"text": "a", "speed": 2.01}', SPEED),
        ('{"text": "a", "speed": -1}', SPEED),
        ('{"text": "a", "speed": true}', SPEED),
        ('{"text": "a", "speed": "1"}', SPEED),
        ('{"text": "a", "speed": NaN}', SPEED),
        ('{"text": "a", "speed": Infinity}', SPEED),
        ('{"text": "a", "speed": 1e999}', SPEED),
        ('{"text": "a", "speed": 1' + "0" * 400 + "}", SPEED),
        ('{"text": "a", "steps": 0}', STEPS),
        ('{"text": "a", "steps": 51}', STEPS),
        ('{"text": "a", "steps": 5.5}', STEPS),
        ('{"text": "a", "steps": false}', STEPS),
        ('{"text": "a", "steps": -1' + "0" * 400 + "}", STEPS),
        ('{"text": "a", "steps": {}}', STEPS),
    ],
    ids=lambda value: value if len(value) < 60 else f"{value[:30]}...",
)
def test_refusals(message: str, code: str) -> None:
    assert code_of(message) == code


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"speed": 0.5}, 0.5),
        ({"speed": 2}, 2),
        ({"speed": 2.0}, 2.0),
    ],
)
def test_the_ends_of_the_speed_range_are_legal(fields: dict[str, Any], expected: float) -> None:
    assert decode(**fields).speed == expected


@pytest.mark.parametrize("steps", [1, 50, 5.0])
def test_the_ends_of_the_steps_range_are_legal(steps: float) -> None:
    decoded = decode(steps=steps).steps
    assert decoded == steps
    assert type(decoded) is int


def test_the_longest_text_is_counted_in_code_points() -> None:
    assert len(decode(text="😀" * _wire.MAX_TEXT_LENGTH).text) == 5000
    assert code_of(json.dumps({"text": "é" * 5001})) == "validation.text_too_long"


def test_a_blank_text_is_refused_before_its_length_counts() -> None:
    assert code_of(json.dumps({"text": " " * 5001})) == FORMAT


def test_an_error_is_read_back_by_the_plugin() -> None:
    assert decode_text(_wire.encode_error(VOICE, "no “X9”\n\0")) == ErrorReply("no “X9”\n\0", VOICE)


def test_visemes_are_read_back_by_the_plugin() -> None:
    visemes = (Viseme(0, "sil", 0.0), Viseme(1, "ˈaɪ", 0.123456), Viseme(2, "😀", 12.5))
    assert decode_text(_wire.encode_visemes(visemes)) == Visemes(visemes)


def check(message: str) -> None:
    """Decode arbitrary text: a request within the documented ranges, or the one typed error."""
    try:
        request = decode_request(message)
    except RequestRefusedError as error:
        refused = error
    else:
        assert request.text.strip()
        assert 0.5 <= request.speed <= 2
        assert 1 <= request.steps <= 50
        assert decode_request(encode_by_plugin(request)) == request
        return
    assert refused.code.startswith("validation.")
    assert len(str(refused)) < 200  # Never the message back, whatever its size.


@given(st.text())
def test_arbitrary_text(message: str) -> None:
    check(message)


_numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 1, 5, 0.5, 2.0])
_anything = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.text(st.characters(), max_size=30) | _anything,
            "voice": st.sampled_from([*_wire.VOICES]) | _anything,
            "language": st.sampled_from(["en", "gl"]) | _anything,
            "lang": st.sampled_from(["en", "xx"]) | _anything,
            "speed": _numbers | _anything,
            "steps": _numbers | _anything,
            "visemes": st.booleans() | _anything,
            "version": st.text() | _anything,
        },
    )
)
def test_arbitrary_objects(fields: dict[str, Any]) -> None:
    check(json.dumps(fields))


@given(_anything)
def test_arbitrary_json(value: Any) -> None:
    check(json.dumps(value))

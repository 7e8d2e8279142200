"""The conformance check: our notes hold for the local server, and each way to be otherwise is found out.

Every deviation meets the whole check, so that a probe that takes one for another is found out as well.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from kit import PATIENCE, Clock, Conversation, until
from kit.conformance import ASKED_FOR, BRIEF, HURRIED, examined, finding, lines, unknowns
from kit.service import (
    KEY,
    TIMED,
    Fields,
    NotedService,
    Refused,
    Sent,
    pieces,
    speech,
    timing,
    timing_first,
)

from videosdk.plugins.lokutor._conformance import client, formats
from videosdk.plugins.lokutor._conformance.facts import FACTS
from videosdk.plugins.lokutor._conformance.findings import Finding, Verdict
from videosdk.plugins.lokutor._conformance.lab import (
    ALLOWANCE,
    LAST_WORDS,
    LENGTHS,
    PROBES,
    REPEATS,
    SENTENCE,
    SHORT,
    Lab,
    Limits,
)
from videosdk.plugins.lokutor._conformance.run import examine
from videosdk.plugins.lokutor._wire.endpoint import Endpoint, parse_base_url
from videosdk.plugins.lokutor._wire.recording import read_recording
from videosdk.plugins.lokutor.errors import NetworkError
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.replay import ReplayServer
from videosdk.plugins.lokutor.local.server import LocalServer, _discovery

Deviate = Callable[[NotedService], None]


@pytest.fixture
async def service() -> AsyncIterator[NotedService]:
    async with NotedService() as service:
        yield service


def test_each_fact_has_a_probe() -> None:
    assert [fact.name for fact in FACTS if fact.name not in PROBES] == []
    assert len({fact.name for fact in FACTS}) == len(FACTS) == len(PROBES)


async def test_the_local_server_is_as_noted() -> None:
    async with LocalServer(EspeakEngine(), api_key=KEY) as server:
        report = await examined(server.url)
        assert report.characters >= sum(len(request.text) for request in server.requests)
    assert report.differing == []
    assert unknowns(report) == ASKED_FOR
    assert report.characters + REPEATS <= ALLOWANCE


async def test_a_service_that_is_as_noted(service: NotedService) -> None:
    report = await examined(service.address)
    assert report.differing == []
    assert unknowns(report) == ASKED_FOR
    assert report.handshakes >= len(service.conversations)


async def test_audio_is_read_once_in_each_way(service: NotedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the processor's time while replies are timed, and half of the probes need its format."""
    ways: list[tuple[Any, ...]] = []
    samples = formats._samples

    def noted(pcm: bytes, kind: str = "h", *, big: bool = False) -> list[int]:
        ways.append((pcm, kind, big))
        return samples(pcm, kind, big=big)

    monkeypatch.setattr(formats, "_samples", noted)
    assert (await examined(service.address)).differing == []
    assert len(ways) == len(set(ways)) > 0


async def test_an_end_that_comes_too_early(service: NotedService) -> None:
    def end_early(visemes: list[dict[str, Any]], pcm: bytes) -> list[Sent]:
        return [*timing_first(visemes, pcm[:20_000]), "EOS", *pieces(pcm[20_000:])]

    service.arrange = end_early
    assert "after-end" in (await examined(service.address, HURRIED, facts={"after-end"})).differing


async def test_audio_that_comes_late_behind_the_end(service: NotedService) -> None:
    """A check with its own limits listens for longer than a network takes."""

    async def send_more(conversation: Conversation, fields: Fields) -> None:
        if fields.get("text") == LAST_WORDS:
            await asyncio.sleep(0.2)
            await conversation.audio(bytes(100))

    service.after = send_more
    limits = replace(BRIEF, quiet=Limits().quiet)
    assert (await examined(service.address, limits, facts={"after-end"})).differing == ["after-end"]


async def test_audio_that_is_silent(service: NotedService) -> None:
    service.speak = lambda fields: bytes(len(speech(fields)))
    report = await examined(service.address, facts={"pcm", "sample-rate"})
    assert report.differing == ["pcm"]
    assert "silence" in finding(report, "pcm").evidence


async def test_a_text_over_the_longest_is_only_sent_when_asked_for(service: NotedService) -> None:
    limits = replace(BRIEF, too_long=True, allowance=3 * ALLOWANCE)
    assert finding(await examined(service.address, limits), "error-length").verdict is Verdict.HOLDS
    service.ignored.add("validation.text_too_long")
    assert (await examined(service.address, limits)).differing == ["error-length"]


async def test_a_longest_text_that_is_too_long_to_send(service: NotedService) -> None:
    service.routes["/config"]["max_text_length"] = 10**18
    limits = replace(BRIEF, too_long=True, allowance=3 * ALLOWANCE)
    report = await examined(service.address, limits, facts={"error-length"})
    assert finding(report, "error-length").verdict is Verdict.UNKNOWN


async def test_a_passage_that_is_too_short_to_measure(service: NotedService) -> None:
    """Spoken in a second, the length of its last sound may be a third of it."""
    service.speak = lambda fields: speech({**fields, "speed": fields["speed"] * 8})
    service.time = lambda fields, _: timing({**fields, "speed": fields["speed"] * 8})
    found = finding(await examined(service.address, facts={"sample-rate"}), "sample-rate")
    assert found.verdict is Verdict.UNKNOWN
    assert "too short to tell" in found.evidence


ODD: list[Any] = [
    None, [], [None], {}, {"a": [[[]]]}, "text", 7, {"voices": {}}, {"voices": [None, {"id": 7}, {"id": []}]},
]  # fmt: skip


@pytest.mark.parametrize("body", ODD, ids=str)
async def test_whatever_discovery_answers_is_a_verdict(service: NotedService, body: Any) -> None:
    names = {"voices", "languages", "models", "config", "health"}
    service.routes = {f"/{name}": body for name in names}
    report = await examined(service.address, facts=names)
    assert set(report.differing) == names


IDS = [voice["id"] for voice in _discovery()["/voices"]["voices"]]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"voices": IDS}, "plain strings"),
        ({"voices": [{"name": name} for name in IDS]}, "`name` in place of `id`"),
        ({"voices": [{"voice_id": name, "name": "Ann"} for name in IDS]}, "`voice_id` in place of `id`"),
        ([{"id": name} for name in IDS], "a list without an object around it"),
    ],
    ids=["strings", "name", "voice_id", "list"],
)
async def test_voices_in_another_shape_are_read_and_it_is_told(
    service: NotedService, body: Any, shape: str
) -> None:
    service.routes["/voices"] = body
    found = finding(await examined(service.address, facts={"voices"}), "voices")
    assert found.verdict is Verdict.HOLDS
    assert found.evidence.startswith(f"{len(IDS)} voices;")
    assert found.evidence.endswith(f"; in another shape: {shape}")


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"voices": {"en": ["F1"]}}, "`voices` is an object with en"),
        ({"voices": [{"id": ["en_f1"]}]}, "`id` is a list"),
        ({"voices": [["en_f1"], 7]}, "a list; a number"),
        ({"items": []}, "an object with items"),
        ({"voices": [{"gender": "female"}]}, "an object with gender"),
    ],
    ids=str,
)
async def test_voices_that_can_not_be_read_differ_by_their_shape(
    service: NotedService, body: Any, shape: str
) -> None:
    service.routes["/voices"] = body
    found = finding(await examined(service.address, facts={"voices"}), "voices")
    assert found == Finding(Verdict.DIFFERS, f"no list of voices that can be read: {shape}")


async def test_few_voices_in_another_shape_are_named(service: NotedService) -> None:
    service.routes["/voices"] = {"voices": ["maria", "en_f1"]}
    found = finding(await examined(service.address, facts={"voices"}), "voices")
    assert found.verdict is Verdict.DIFFERS
    assert found.evidence.startswith("2 voices; missing: en_f2, ")
    assert found.evidence.endswith("; further: maria; in another shape: plain strings")


ODD_VALUES: list[Any] = [["ok"], {"tts": "ok"}, None, 7]


@pytest.mark.parametrize("value", ODD_VALUES, ids=str)
async def test_a_value_of_another_type_is_a_verdict(service: NotedService, value: Any) -> None:
    service.routes = {
        "/voices": {"voices": [{"id": value, "languages": value}]},
        "/languages": {"languages": [{"code": value, "name": value}]},
        "/models": {"models": [{"name": value, "default": value}]},
        "/config": dict.fromkeys(service.routes["/config"], value),
        "/health": {"status": value, "version": value},
    }
    names = {"voices", "languages", "models", "config", "health"}
    assert set((await examined(service.address, facts=names)).differing) == names


async def test_a_probe_that_fails_is_unknown_and_the_run_goes_on(
    service: NotedService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Lab) -> Finding:
        raise TypeError(f"unhashable, with {KEY}")

    monkeypatch.setitem(PROBES, "models", fail)
    with caplog.at_level(logging.DEBUG, "videosdk.plugins.lokutor"):
        report = await examined(service.address, facts={"languages", "models", "config"})
    assert finding(report, "models") == Finding(
        Verdict.UNKNOWN, "the check failed (TypeError): please report it"
    )
    assert len(report.findings) == 3
    assert report.complete
    assert "in fail" in caplog.text
    assert KEY not in caplog.text


async def test_a_run_that_is_cancelled_in_a_probe_ends(
    service: NotedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(_: Lab) -> Finding:
        raise asyncio.CancelledError

    monkeypatch.setitem(PROBES, "models", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await examined(service.address, facts={"models"})


async def test_a_second_request_that_is_too_much_is_unknown_each_time(service: NotedService) -> None:
    """A pair of which only the first was paid for is no pair for the next probe either."""
    allowance = len(SHORT) + len(SENTENCE) + 1
    report = await examined(
        service.address, replace(BRIEF, allowance=allowance), facts={"two-requests", "repeatable"}
    )
    assert unknowns(report) == {"two-requests", "repeatable"}
    assert all("the check failed" not in found.evidence for _, found in report.findings)


async def test_an_answer_that_is_nested_deeply_is_a_verdict(service: NotedService) -> None:
    service.raw_routes = {"/voices": "[" * 900 + "]" * 900}
    assert (await examined(service.address, facts={"voices"})).differing == ["voices"]


async def test_nothing_is_spent_beyond_the_allowance(service: NotedService) -> None:
    report = await examined(service.address, replace(BRIEF, allowance=500))
    assert sum(len(fields["text"]) for fields in service.served) <= report.characters <= 500
    assert "500 characters" in finding(report, "long-text").evidence
    assert report.differing == []


# Each way to be otherwise

DEVIATIONS: dict[str, tuple[Deviate, set[str]]] = {}
"""By name: what makes a service otherwise, and all the facts that then differ."""


def deviation(*differing: str) -> Callable[[Deviate], Deviate]:
    def register(deviate: Deviate) -> Deviate:
        DEVIATIONS[deviate.__name__] = deviate, set(differing)
        return deviate

    return register


@deviation("path")
def only_the_old_path(service: NotedService) -> None:
    service.paths = {"/ws"}


@deviation("path", "old-path")
def only_the_key_in_the_url(service: NotedService) -> None:
    service.takes_header = False


@deviation("old-path")
def no_old_path(service: NotedService) -> None:
    service.paths = {"/ws/tts"}


@deviation("key-in-url")
def no_key_in_the_url(service: NotedService) -> None:
    service.takes_key_in_url = False


@deviation("missing-key")
def speaks_without_a_key(service: NotedService) -> None:
    service.keyless = None


@deviation("wrong-key")
def another_answer_to_a_wrong_key(service: NotedService) -> None:
    service.wrong_key = 400, "auth.invalid_key"


@deviation("missing-key")
def another_code_without_a_key(service: NotedService) -> None:
    service.keyless = 401, "auth.who_are_you"


@deviation("missing-key")
def another_status_without_a_key(service: NotedService) -> None:
    service.keyless = 403, "auth.missing_key"


@deviation("missing-key", "wrong-key")
def keys_are_refused_without_a_code(service: NotedService) -> None:
    service.keyless = service.wrong_key = 401, ""


@deviation("ping")
def deaf_to_pings(service: NotedService) -> None:
    service.answers_pings = False


@deviation("two-requests", "early-request", "idle")
def one_request_for_each_connection(service: NotedService) -> None:
    async def close(conversation: Conversation, fields: Fields) -> None:
        if "refused" not in fields:
            await conversation.ws.close()

    service.after = close


@deviation("after-end")
def audio_behind_the_end(service: NotedService) -> None:
    async def send_more(conversation: Conversation, fields: Fields) -> None:
        if fields.get("text") == LAST_WORDS:
            await conversation.audio(bytes(100))

    service.after = send_more


@deviation("cancel")
def a_session_outlives_its_connection(service: NotedService) -> None:
    left: list[Conversation] = []

    async def speak_on(conversation: Conversation, fields: Fields) -> None:
        if len(fields["text"]) == 150:
            left.append(conversation)
            await conversation.audio(bytes(100))
            await conversation.gone()

    service.before = speak_on
    service.refuse_handshake = lambda: bool(left) and left.pop() is not None


@deviation("sessions")
def one_session_at_a_time(service: NotedService) -> None:
    service.refuse_handshake = lambda: bool(service.open_now)


@deviation("idle")
def unused_connections_are_closed(service: NotedService) -> None:
    async def close_unused(_: Conversation, fields: Fields) -> None:
        if fields.get("text") == SHORT and len(service.open_now) == 2:
            for other in service.open_now:
                if not other.requests:
                    await other.ws.close()

    service.after = close_unused


@deviation("voices")
def another_name_for_a_voice(service: NotedService) -> None:
    service.routes["/voices"]["voices"][0]["id"] = "maria"


@deviation("languages")
def another_language(service: NotedService) -> None:
    service.routes["/languages"]["languages"].append({"code": "pl", "name": "Polish"})


@deviation("models")
def no_models(service: NotedService) -> None:
    service.routes["/models"] = {"items": []}


@deviation("models")
def no_default_model(service: NotedService) -> None:
    service.routes["/models"] = {"models": [{"name": "versa-2.0"}, {"name": "versa-1.0"}]}


@deviation("config")
def another_sample_rate_in_the_config(service: NotedService) -> None:
    service.routes["/config"]["sample_rate"] = 24_000


@deviation("health")
def another_word_for_health(service: NotedService) -> None:
    service.routes["/health"] = {"status": "fine"}


@deviation("voices", "languages", "models", "config", "health")
def no_discovery(service: NotedService) -> None:
    service.routes = {}


def refusing(service: NotedService, wrong: Callable[[dict[str, Any]], bool], code: str) -> None:
    """Have a service refuse what else it took."""

    def check(fields: Fields) -> None:
        if wrong(fields["sent"]):
            raise Refused(code)
        service.check_fields(fields)

    service.check = check


@deviation("defaults")
def a_voice_is_required(service: NotedService) -> None:
    refusing(service, lambda sent: "voice" not in sent, "validation.invalid_request_format")


@deviation("unknown-keys")
def unknown_keys_are_refused(service: NotedService) -> None:
    refusing(service, lambda sent: "x_of_nobody" in sent, "validation.invalid_request_format")


@deviation("unknown-keys")
def the_older_spelling_is_refused(service: NotedService) -> None:
    refusing(service, lambda sent: "lang" in sent, "validation.invalid_request_format")


@deviation("language")
def only_lang_is_read(service: NotedService) -> None:
    service.reads = {"lang"}


@deviation("lang")
def only_language_is_read(service: NotedService) -> None:
    service.reads = {"language"}


@deviation("new-voices")
def no_new_voices(service: NotedService) -> None:
    service.voices = frozenset({"F1"})


@deviation("old-voices")
def no_old_voices(service: NotedService) -> None:
    service.voices, service.default_voice = frozenset({"en_f1"}), "en_f1"


@deviation("speed")
def one_speed(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "speed": 1.05})


@deviation("speed")
def speeds_up_to_one_and_a_half(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "speed": min(fields["speed"], 1.55)})


@deviation("steps")
def few_steps(service: NotedService) -> None:
    service.most_steps = 20


@deviation("model")
def no_old_model(service: NotedService) -> None:
    refusing(service, lambda sent: sent.get("version") == "versa-1.0", "tts.model_not_found")


@deviation("long-text")
def long_texts_are_cut_off(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "text": fields["text"][:500]})


@deviation("long-text")
def long_texts_lose_a_third(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "text": fields["text"][:650]})


@deviation("long-text")
def long_texts_lose_their_last_words(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "text": fields["text"][:950]})
    service.time = lambda fields, _: timing({**fields, "text": fields["text"][:950]})


@deviation("long-text")
def long_texts_lose_words_of_which_there_are_visemes(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "text": fields["text"][:930]})


@deviation("long-text", "visemes")
def long_texts_are_cut_without_visemes(service: NotedService) -> None:
    long_texts_lose_a_third(service)
    no_visemes(service)


@deviation("repeatable")
def each_reply_is_another(service: NotedService) -> None:
    service.speak = lambda fields: speech(fields) + bytes(9_000 * (len(service.served) % 2))


@deviation("numbers", "number-language")
def digits_are_left_out(service: NotedService) -> None:
    service.speak = lambda fields: speech(
        {**fields, "text": "".join(char for char in fields["text"] if not char.isdecimal())}
    )


@deviation("number-language")
def numbers_are_english(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "language": "en"})


def samples_of(fields: Fields) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.frombuffer(speech(fields), "<i2")


@deviation("pcm")
def big_endian(service: NotedService) -> None:
    service.speak = lambda fields: samples_of(fields).byteswap().tobytes()


@deviation("pcm")
def wav_files(service: NotedService) -> None:
    service.speak = lambda fields: b"RIFF" + bytes(40) + speech(fields)


@deviation("sample-rate")
def another_sample_rate(service: NotedService) -> None:
    service.speak = lambda fields: speech({**fields, "speed": fields["speed"] * 2})


@deviation("sample-rate")
def stereo(service: NotedService) -> None:
    service.speak = lambda fields: samples_of(fields).repeat(2).tobytes()


def read_as_44_100(service: NotedService, rate: int) -> None:
    """Have a service make its audio at another rate: so much longer or shorter is it then."""
    service.speak = lambda fields: speech({**fields, "speed": fields["speed"] * 44_100 / rate})


@deviation("sample-rate")
def audio_at_48_khz(service: NotedService) -> None:
    read_as_44_100(service, 48_000)


@deviation("sample-rate")
def audio_at_40_khz(service: NotedService) -> None:
    read_as_44_100(service, 40_000)


@deviation("pcm")
def unsigned_samples(service: NotedService) -> None:
    service.speak = lambda fields: (samples_of(fields) ^ np.int16(-0x8000)).tobytes()


@deviation("binary-audio")
def audio_in_json(service: NotedService) -> None:
    def in_json(visemes: list[dict[str, Any]], pcm: bytes) -> list[Sent]:
        sent = timing_first(visemes, pcm)
        return [piece if isinstance(piece, str) else as_json(piece) for piece in sent]

    service.arrange = in_json


def as_json(piece: bytes) -> str:
    return json.dumps({"type": "audio", "data": base64.b64encode(piece).decode()})


@deviation("whole-samples")
def half_a_sample_at_the_end(service: NotedService) -> None:
    service.speak = lambda fields: speech(fields) + b"\0"


@deviation("known-messages")
def a_message_of_a_new_kind(service: NotedService) -> None:
    service.arrange = lambda visemes, pcm: [
        json.dumps({"type": "queue", "text": "secret"}),
        *timing_first(visemes, pcm),
    ]


@deviation("silence")
def silence_in_front(service: NotedService) -> None:
    service.speak = lambda fields: bytes(44_100) + speech(fields)
    service.time = lambda fields, _: [{**item, "t": item["t"] + 0.5} for item in timing(fields)]


@deviation("visemes")
def no_visemes(service: NotedService) -> None:
    service.time = lambda *_: []


@deviation("visemes-off")
def visemes_that_nobody_asked_for(service: NotedService) -> None:
    service.before = send_visemes


async def send_visemes(conversation: Conversation, fields: Fields) -> None:
    if not fields["visemes"]:
        await conversation.text(json.dumps(timing(fields)))


def counted(service: NotedService, count: Callable[[str], int]) -> None:
    """Have visemes count what stands in front of a character otherwise."""

    def count_otherwise(fields: Fields, _: Conversation) -> list[dict[str, Any]]:
        return [{**item, "v": count(fields["text"][: item["v"]])} for item in timing(fields)]

    service.time = count_otherwise


@deviation("viseme-index")
def visemes_from_one(service: NotedService) -> None:
    counted(service, lambda text: len(text) + 1)


@deviation("viseme-index")
def visemes_in_utf_16(service: NotedService) -> None:
    counted(service, lambda text: len(text.encode("utf-16-le")) // 2)


@deviation("viseme-index")
def visemes_in_bytes(service: NotedService) -> None:
    counted(service, lambda text: len(text.encode()))


@deviation("viseme-index")
def visemes_of_another_text(service: NotedService) -> None:
    counted(service, lambda text: len(text.replace("😀", "")))


@deviation("viseme-unit")
def visemes_in_milliseconds(service: NotedService) -> None:
    service.time = lambda fields, _: [{**item, "t": item["t"] * 1000} for item in timing(fields)]


@deviation("viseme-base")
def visemes_count_from_the_connection(service: NotedService) -> None:
    def since_the_connection(fields: Fields, conversation: Conversation) -> list[dict[str, Any]]:
        before = sum(len(speech(request)) for request in conversation.requests[:-1]) / 88_200
        return [{**item, "t": item["t"] + before} for item in timing(fields)]

    service.time = since_the_connection


@deviation("viseme-start")
def visemes_a_quarter_of_a_second_late(service: NotedService) -> None:
    service.time = lambda fields, _: [{**item, "t": item["t"] + 0.25} for item in timing(fields)]


@deviation("viseme-start")
def visemes_that_leave_out_the_silence_in_front(service: NotedService) -> None:
    service.speak = lambda fields: bytes(26_460) + speech(fields)


@deviation("viseme-order")
def visemes_in_disorder(service: NotedService) -> None:
    service.time = lambda fields, _: timing(fields)[1::2] + timing(fields)[::2]


@deviation("viseme-lateness")
def late_visemes(service: NotedService) -> None:
    service.arrange = lambda visemes, pcm: [*pieces(pcm), json.dumps(visemes)]


def with_another_code(code: str) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.codes[code] = "internal.error"

    return deviate


for name, code in {
    "error-voice": "validation.invalid_voice",
    "error-language": "validation.invalid_language",
    "error-speed": "validation.speed_out_of_range",
    "error-steps": "validation.steps_out_of_range",
}.items():
    DEVIATIONS[f"another code: {name}"] = with_another_code(code), {name}
DEVIATIONS["another code: error-format"] = (
    with_another_code("validation.invalid_request_format"),
    {"error-format", "error-empty"},
)


@deviation("error-voice", "error-language", "error-speed", "error-steps", "error-format", "error-empty")
def errors_without_codes(service: NotedService) -> None:
    service.coded = False


@deviation("error-voice")
def any_voice_speaks(service: NotedService) -> None:
    service.ignored.add("validation.invalid_voice")


@deviation("error-empty")
def an_empty_text_is_silence(service: NotedService) -> None:
    service.ignored.add("validation.invalid_request_format")


@deviation("after-error")
def an_error_ends_the_connection(service: NotedService) -> None:
    async def close(conversation: Conversation, fields: Fields) -> None:
        if "refused" in fields:
            await conversation.ws.close()

    service.after = close


@deviation("after-error")
def an_error_cuts_the_connection(service: NotedService) -> None:
    async def cut_refused(conversation: Conversation, fields: Fields) -> None:
        if "refused" in fields:
            conversation.abort()

    service.after = cut_refused


@deviation("two-requests", "early-request", "idle")
def each_connection_is_cut_behind_a_request(service: NotedService) -> None:
    async def cut_answered(conversation: Conversation, fields: Fields) -> None:
        if "refused" not in fields:
            conversation.abort()

    service.after = cut_answered


@deviation("new-voices")
def a_new_voice_cuts_the_connection(service: NotedService) -> None:
    async def cut(conversation: Conversation, fields: Fields) -> None:
        if fields["voice"] == "en_f1":
            conversation.abort()
            raise EOFError

    service.before = cut


@deviation("missing-key", "wrong-key")
def keys_that_are_refused_make_the_service_fail(service: NotedService) -> None:
    service.keyless = service.wrong_key = 500, "internal.error"


RECORDED = [
    "only_the_old_path",
    "only_the_key_in_the_url",
    "another_code_without_a_key",
    "one_request_for_each_connection",
    "audio_behind_the_end",
    "a_session_outlives_its_connection",
    "unused_connections_are_closed",
    "no_discovery",
    "unknown_keys_are_refused",
    "each_reply_is_another",
    "audio_in_json",
    "visemes_count_from_the_connection",
    "late_visemes",
    "any_voice_speaks",
    "an_error_ends_the_connection",
]
"""A few of each kind. A server that plays a recording answers pings, whatever was recorded."""


@pytest.mark.parametrize("name", [name for name in DEVIATIONS if name not in RECORDED])
async def test_what_is_otherwise_is_found_out(service: NotedService, name: str) -> None:
    deviate, differing = DEVIATIONS[name]
    deviate(service)
    report = await examined(service.address)
    assert set(report.differing) - (TIMED - differing) == differing, lines(report)


@pytest.mark.parametrize("name", RECORDED)
async def test_what_is_otherwise_is_found_out_and_a_recording_of_it_is_so_too(
    service: NotedService, name: str
) -> None:
    deviate, differing = DEVIATIONS[name]
    deviate(service)
    written: list[str] = []
    report = await examined(service.address, record=written.append)
    assert set(report.differing) - (TIMED - differing) == differing, lines(report)
    async with ReplayServer(read_recording(written)) as server:
        replayed = await examined(server.url)
    assert set(replayed.differing) - (TIMED - differing) == differing, lines(replayed)
    assert KEY not in "".join(written)


def test_each_fact_can_be_found_out() -> None:
    elsewhere = {"rate-limit", "error-length", "end", "early-request", *TIMED}
    found_out = set[str]().union(*(differing for _, differing in DEVIATIONS.values()))
    assert {fact.name for fact in FACTS} == found_out | elsewhere


async def test_requests_without_an_end(service: NotedService) -> None:
    service.endings = ()
    report = await examined(service.address, HURRIED, facts={"end"})
    assert report.differing == ["end"]
    assert "no end came" in finding(report, "end").evidence


def going_on(service: NotedService, message: str | bytes, every: float = 0.02) -> None:
    """Have a service send the same again and again in place of an end."""

    async def go_on(conversation: Conversation, _: Fields) -> None:
        while True:
            await (conversation.text(message) if isinstance(message, str) else conversation.audio(message))
            await asyncio.sleep(every)

    service.endings, service.after = (), go_on


ENDLESS: dict[str, tuple[str | bytes, float]] = {
    "a sign of life": ('{"type":"keepalive"}', 0.02),
    "signs of life without a pause": ('{"type":"keepalive"}', 0.0),
    "silence": (bytes(882), 0.02),
    "an odd silence": (bytes(883), 0.02),
    "a sound without a pause": (b"\x10\x10" * 40_000, 0.0),
    "silence as JSON without a pause": (as_json(bytes(80_000)), 0.0),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_replies_that_never_end(service: NotedService, name: str) -> None:
    going_on(service, *ENDLESS[name])
    async with asyncio.timeout(3 * PATIENCE):
        report = await examined(service.address, HURRIED, facts={"end"})
    assert report.differing == ["end"]
    assert "no end came" in finding(report, "end").evidence


async def test_a_connection_that_is_flooded_is_not_read(
    service: NotedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody looks at is held up to a limit, and read on when there is room."""
    monkeypatch.setattr(client, "_MOST_HELD", 100_000)
    flood = 200

    async def send_all(conversation: Conversation) -> None:
        for _ in range(flood):
            await conversation.audio(bytes(50_000))
        await conversation.text("EOS")
        await conversation.gone()

    service._talk = send_all  # type: ignore[method-assign]
    endpoint = Endpoint(parse_base_url(service.address, allow_insecure=False), KEY)
    async with (
        client.connected(endpoint, PATIENCE) as opened,
        opened.wire(endpoint.url, endpoint.headers) as wire,
    ):
        await until(lambda: wire.held > 100_000)
        assert await wire.ping(0.1) is None  # Its answer lies behind what isn't read.
        assert wire.held < 200_000
        reply = await wire.reply({"text": "a" * 1_000}, asyncio.get_running_loop().time(), PATIENCE)
    assert len(reply.pcm) == flood * 50_000


@pytest.mark.parametrize(
    ("endings", "evidence"),
    [
        (("EOS",), "EOS in plain text"),
        (('{"type":"eos"}',), "eos in JSON"),
    ],
)
async def test_each_end_is_one(service: NotedService, endings: tuple[str, ...], evidence: str) -> None:
    service.endings = endings
    assert finding(await examined(service.address, facts={"end"}), "end") == Finding(Verdict.HOLDS, evidence)


async def test_an_early_request_that_is_dropped(service: NotedService) -> None:
    async def drop(conversation: Conversation, fields: Fields) -> None:
        if fields["text"] != SENTENCE or len(service.conversations) < 4:
            return  # On those before, nothing comes early.
        await conversation.receive()

    service.before = drop
    report = await examined(service.address, HURRIED, facts={"early-request"})
    assert report.differing == ["early-request"]
    assert "second no end came" in finding(report, "early-request").evidence


# What is lost by chance


def cut_at(service: NotedService, is_lost: Callable[[int, Fields], bool]) -> None:
    """Have a service lose the connections of such requests, by their numbers from 1 on."""
    numbers = itertools.count(1)

    async def cut(conversation: Conversation, fields: Fields) -> None:
        if is_lost(next(numbers), fields):
            conversation.abort()
            raise EOFError

    service.before = cut


@pytest.mark.parametrize("number", [1, 2, 5, 8, 12, 20, 24, 29, 30, 36, 44])
async def test_one_lost_connection_is_no_deviation(service: NotedService, number: int) -> None:
    cut_at(service, lambda count, _: count == number)
    report = await examined(service.address)
    assert set(report.differing) <= TIMED, lines(report)
    assert unknowns(report) == ASKED_FOR, lines(report)
    assert report.characters <= ALLOWANCE


async def test_a_passage_that_is_lost_and_too_long_to_repeat_is_not_known(service: NotedService) -> None:
    cut_at(service, lambda _, fields: len(fields["text"]) == max(LENGTHS))
    report = await examined(service.address)
    assert set(report.differing) <= TIMED, lines(report)
    assert unknowns(report) - TIMED == {*ASKED_FOR, "long-text"}, lines(report)
    assert sum(len(fields["text"]) == max(LENGTHS) for fields in service.served) == 1
    assert report.characters <= ALLOWANCE


async def test_what_is_lost_each_time_is_not_known_where_others_were_lost_by_chance(
    service: NotedService,
) -> None:
    cut_at(service, lambda count, fields: count == 2 or fields["voice"] == "en_f1")
    report = await examined(service.address)
    assert set(report.differing) <= TIMED, lines(report)
    assert unknowns(report) == {*ASKED_FOR, "new-voices"}, lines(report)
    assert "code 1006" in finding(report, "new-voices").evidence


async def test_all_connections_are_lost_from_some_moment_on(service: NotedService) -> None:
    cut_at(service, lambda count, _: count > 3)
    report = await examined(service.address)
    assert set(report.differing) <= TIMED, lines(report)
    assert report.complete
    assert report.characters <= ALLOWANCE


def fail_at_every_third_handshake(service: NotedService) -> None:
    handshakes, refusal_of = itertools.count(1), service._refusal_of

    def fail(http: web.Request) -> tuple[int, str] | None:
        return (503, "") if next(handshakes) % 3 == 0 else refusal_of(http)

    service._refusal_of = fail  # type: ignore[method-assign]


async def test_what_is_otherwise_is_found_out_beside_handshakes_that_fail(service: NotedService) -> None:
    fail_at_every_third_handshake(service)
    digits_are_left_out(service)
    report = await examined(service.address, facts={"numbers", "number-language"})
    assert set(report.differing) == {"numbers", "number-language"}, lines(report)


async def test_a_service_that_fails_at_every_third_handshake(service: NotedService) -> None:
    fail_at_every_third_handshake(service)
    report = await examined(service.address)
    assert set(report.differing) <= {"sessions", *TIMED}, lines(report)
    assert unknowns(report) <= {*ASKED_FOR, "sessions", "cancel"}, lines(report)


async def test_routes_that_fail_are_asked_again(service: NotedService) -> None:
    asked = itertools.count(1)
    routes = service.routes

    class Failing(dict[str, Any]):
        def __contains__(self, path: object) -> bool:
            if path in routes and next(asked) % 2:
                raise web.HTTPBadGateway
            return path in routes

    service.routes = Failing(routes)
    names = {"voices", "languages", "models", "config", "health"}
    report = await examined(service.address, facts=names)
    assert {found.verdict for _, found in report.findings} == {Verdict.HOLDS}, lines(report)


# What is a matter of time


def slow(service: NotedService, clock: Clock, seconds: Callable[[int], float]) -> None:
    """Have a service take its time, by the length of the text."""

    async def wait(_: Conversation, fields: Fields) -> None:
        await clock.advance(seconds(len(fields["text"])))

    service.before = wait


async def test_a_late_first_audio(service: NotedService, clock: Clock) -> None:
    slow(service, clock, lambda _: 5.0)
    report = await examined(service.address, facts={"first-audio", "first-audio-length"})
    assert report.differing == ["first-audio"]
    assert "median 5" in finding(report, "first-audio").evidence


@pytest.mark.parametrize(("seconds", "verdict"), [(0.6, Verdict.HOLDS), (2.0, Verdict.DIFFERS)])
async def test_the_way_there_and_back_is_not_the_services(
    service: NotedService, clock: Clock, seconds: float, verdict: Verdict
) -> None:
    def answer_from_afar() -> bool:
        clock.skip(0.5)
        return False

    service.refuse_handshake = answer_from_afar
    slow(service, clock, lambda _: seconds)
    found = finding(await examined(service.address, facts={"first-audio"}), "first-audio")
    assert found.verdict is verdict, found
    way = re.search(r"the way there and back takes (\d+) ms of them", found.evidence)
    assert way
    assert 500 <= int(way[1]) < 600


async def test_a_first_audio_that_depends_on_the_length(service: NotedService, clock: Clock) -> None:
    slow(service, clock, lambda length: 0.01 * length)
    report = await examined(service.address, facts={"first-audio-length"})
    assert report.differing == ["first-audio-length"]
    figures = re.search(r"([+-][\d.]+) ± ([\d.]+) ms", finding(report, "first-audio-length").evidence)
    assert figures
    assert float(figures[1]) == pytest.approx(1000, abs=200)


async def test_audio_that_is_made_slower_than_it_is_played(service: NotedService, clock: Clock) -> None:
    slow(service, clock, lambda length: 15.0 if length == 320 else 0.0)
    assert (await examined(service.address, facts={"real-time"})).differing == ["real-time"]


# The limit of requests a minute


async def test_a_limit_that_counts_handshakes(service: NotedService) -> None:
    service.refuse_handshake = lambda: len(service.conversations) > 3
    report = await examined(service.address, replace(BRIEF, requests=9), facts={"rate-limit"})
    assert report.differing == ["rate-limit"]
    assert "handshake 3 was refused" in finding(report, "rate-limit").evidence


async def test_a_limit_that_counts_requests(service: NotedService) -> None:
    def limit(_: Fields) -> None:
        if len(service.served) > 4:
            raise Refused("auth.rate_limited")

    service.check = limit
    report = await examined(service.address, replace(BRIEF, requests=9), facts={"rate-limit"})
    assert finding(report, "rate-limit").verdict is Verdict.HOLDS
    assert "request 5 was refused" in finding(report, "rate-limit").evidence


async def test_no_limit_within_what_was_tried(service: NotedService) -> None:
    report = await examined(service.address, replace(BRIEF, requests=3), facts={"rate-limit"})
    assert finding(report, "rate-limit").verdict is Verdict.UNKNOWN


async def test_a_limit_is_waited_for(service: NotedService) -> None:
    """A free plan takes ten requests a minute, and the check makes more."""
    handshakes = itertools.count(1)
    service.refuse_handshake = lambda: next(handshakes) % 3 == 0
    told: list[str] = []
    endpoint = Endpoint(parse_base_url(service.address, allow_insecure=False), KEY)
    report = await examine(endpoint, BRIEF, notify=told.append)
    assert set(report.differing) <= {"sessions", *TIMED}  # Four at once are over any limit of three.
    assert unknowns(report) == ASKED_FOR
    assert any("limit of requests a minute" in line for line in told)


async def test_a_limit_of_requests_is_taken_for_no_deviation(service: NotedService) -> None:
    """It strikes in all places: first requests, second ones, and such that are sent early."""
    requests = itertools.count(1)

    def limit(fields: Fields) -> None:
        if next(requests) % 3 == 0:
            raise Refused("auth.rate_limited")
        service.check_fields(fields)

    service.check = limit
    report = await examined(service.address, replace(BRIEF, allowance=3 * ALLOWANCE))
    assert set(report.differing) <= TIMED, lines(report)
    assert unknowns(report) == ASKED_FOR


async def test_a_limit_that_no_key_passes(service: NotedService) -> None:
    service.keyless = 429, "auth.rate_limited"
    report = await examined(service.address, facts={"missing-key"})
    assert finding(report, "missing-key").verdict is Verdict.UNKNOWN


async def test_sessions_that_a_limit_of_requests_refuses(service: NotedService) -> None:
    def limit(fields: Fields) -> None:
        if len(service.served) > 1:
            raise Refused("auth.rate_limited")

    service.check = limit
    report = await examined(service.address, facts={"sessions"})
    assert finding(report, "sessions").verdict is Verdict.UNKNOWN


async def test_a_reply_that_ends_before_it_can_be_cancelled(service: NotedService) -> None:
    service.speak = lambda fields: b"" if len(fields["text"]) == 150 else speech(fields)
    report = await examined(service.address, facts={"cancel"})
    assert finding(report, "cancel").verdict is Verdict.UNKNOWN


# Where nothing can be told


async def test_a_service_that_takes_no_key_of_ours(service: NotedService) -> None:
    report = await examined(service.address, key="another-key-5f2c9e")
    assert "(HTTP 401)" in report.obstacle
    assert report.came == ('HTTP 401: {"type": "error", "data": {"code": "auth.invalid_key"}}',)
    assert finding(report, "path").verdict is Verdict.UNKNOWN
    assert report.differing == []


async def test_a_service_that_is_not_there(closed_port: int) -> None:
    with pytest.raises(NetworkError):
        await examined(f"ws://127.0.0.1:{closed_port}")


async def test_a_service_that_refuses_every_request(service: NotedService) -> None:
    refusing(service, lambda _: True, "tts.synthesis_failed")
    report = await examined(service.address)
    assert "synthesis_failed" in report.obstacle
    assert report.came == ("tts.synthesis_failed",)


async def test_a_service_that_says_nothing(service: NotedService) -> None:
    service.speak = lambda _: b""
    report = await examined(service.address)
    assert report.obstacle == "Lokutor speaks nothing: an end without audio"
    assert report.differing == []
    assert report.complete


# The report


async def test_the_report_holds_no_key_and_no_words_of_unknown_messages(service: NotedService) -> None:
    service.codes["validation.invalid_voice"] = f"unknown to {KEY}"
    a_message_of_a_new_kind(service)
    report = await examined(service.address)
    told = json.dumps(report.as_json()) + lines(report)
    assert {"error-voice", "known-messages"} <= set(report.differing)
    assert KEY not in told
    assert "secret" not in told
    assert "'queue'" in finding(report, "known-messages").evidence


async def test_the_report_says_what_follows(service: NotedService) -> None:
    no_visemes(service)
    report = await examined(service.address)
    [fact] = [fact for fact in report.as_json()["facts"] if fact["verdict"] == "differs"]
    assert fact["name"] == "visemes"
    assert fact["means"]
    assert fact["means"] in lines(report)
    assert report.summary().startswith(f"Of {len(FACTS)} assumptions: ")

"""The conformance check tells causes apart: one deviation is one difference, and it is named.

Each meets the whole check, so that a probe that is misled by another's deviation is found out as well.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kit import Conversation
from kit.conformance import ASKED_FOR, BRIEF, HURRIED, examined, finding, lines, unknowns
from kit.service import KEY, TIMED, Fields, NotedService, Refused, Sent, pieces, speech, timing, timing_first

from videosdk.plugins.lokutor._conformance.facts import FACTS
from videosdk.plugins.lokutor._conformance.findings import Verdict
from videosdk.plugins.lokutor._conformance.lab import ALLOWANCE, REPEATS
from videosdk.plugins.lokutor._doctor.run import diagnose

Deviate = Callable[[NotedService], None]


@pytest.fixture
async def service() -> AsyncIterator[NotedService]:
    async with NotedService() as service:
        yield service


# What is spoken in another way

Case = tuple[Deviate, dict[str, str], set[str]]
CASES: dict[str, Case] = {}
"""What makes a service otherwise, words of the evidence of each fact that differs, and what is unknown."""


def case(*unknown: str, **differing: str) -> Callable[[Deviate], Deviate]:
    def register(deviate: Deviate) -> Deviate:
        named = {name.replace("_", "-"): words for name, words in differing.items()}
        CASES[deviate.__name__] = deviate, named, set(unknown)
        return deviate

    return register


UNMEASURED = ("sample-rate", "whole-samples", "silence", "viseme-unit", "viseme-start", "viseme-lateness")
"""What is measured by the audio, and can't be where it has another format."""


def samples_of(fields: Fields) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.frombuffer(speech(fields), "<i2")


@case(*UNMEASURED, pcm="32-bit floating point")
def floats(service: NotedService) -> None:
    service.speak = lambda fields: (samples_of(fields).astype("<f4") / 32_768).tobytes()


def mu_law(samples: np.ndarray[Any, Any]) -> bytes:
    """Return samples by the formula of G.711, in its bytes."""
    biased = np.minimum(np.abs(samples.astype(int)), 32_635) + 132
    exponents = np.floor(np.log2(biased)).astype(int) - 7
    mantissas = biased >> (exponents + 3) & 15
    return bytes((~(128 * (samples < 0) | exponents << 4 | mantissas) & 255).astype("u1"))


@case(*UNMEASURED, pcm="8-bit mu-law")
def mu_law_bytes(service: NotedService) -> None:
    service.speak = lambda fields: mu_law(samples_of(fields))


@case(*UNMEASURED, pcm="unsigned 8-bit")
def unsigned_bytes(service: NotedService) -> None:
    service.speak = lambda fields: bytes(((samples_of(fields) >> 8) + 128).astype("u1"))


@case(*UNMEASURED, pcm="big-endian 16-bit")
def big_endian(service: NotedService) -> None:
    service.speak = lambda fields: samples_of(fields).byteswap().tobytes()


def noise(count: int) -> bytes:
    return np.random.default_rng(7).integers(0, 256, count, dtype="u1").tobytes()


def compressed(head: bytes) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.speak = lambda fields: (
            head + noise(len(speech(fields)) // 2 // 8 * 2) if fields["text"] else b""
        )

    return deviate


for name, head in {
    "MP3": b"\xff\xfb\x90\x64",
    "MP3 of MPEG-2": b"\xff\xf3\x84\xc4",
    "MP3 with tags": b"ID3\x04",
    "Ogg": b"OggS\0\2" + bytes(22) + b"\1vorbis",
    "Ogg with Opus": b"OggS\0\2" + bytes(22) + b"OpusHead",
    "FLAC": b"fLaC",
}.items():
    CASES[name] = (
        compressed(head),
        {"pcm": f"it begins like {name.split(' of ')[0].split(' with tags')[0]}"},
        set(UNMEASURED),
    )


def header(count: int, *, rate: int = 44_100, bits: int = 16) -> bytes:
    """Return the header of a WAV."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * bits // 8, bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 36 + count) + b"WAVEfmt " + form + b"data" + struct.pack("<I", count)


@case(pcm="of 44 bytes (44100 Hz, 1 channel, 16 bits); the PCM behind it is as assumed")
def a_wav_header_in_front(service: NotedService) -> None:
    service.speak = lambda fields: header(len(speech(fields))) + speech(fields)


@case(pcm="more messages; the PCM behind it is as assumed")
def a_wav_header_in_each_message(service: NotedService) -> None:
    service.arrange = lambda visemes, pcm: [
        *([json.dumps(visemes)] if visemes else []),
        *(header(len(piece)) + piece for piece in pieces(pcm, 50_000) if isinstance(piece, bytes)),
    ]


@case("viseme-unit", sample_rate="only as two channels")
def two_channels(service: NotedService) -> None:
    def left(fields: Fields) -> bytes:
        samples = samples_of(fields)
        return np.stack([samples, np.zeros_like(samples)], 1).tobytes()

    service.speak = left


def at_rate(rate: int) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.speak = lambda fields: speech({**fields, "speed": fields["speed"] * 44_100 / rate})

    return deviate


for rate in (8_000, 16_000, 24_000, 96_000):
    CASES[f"audio at {rate} Hz"] = at_rate(rate), {"sample-rate": "mono; by the visemes of"}, set()


def in_unit(a_second: float) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.time = lambda fields, _: [{**item, "t": item["t"] * a_second} for item in timing(fields)]

    return deviate


for unit, a_second in {"milliseconds": 1e3, "samples": 44_100.0, "frames of 1/60 s": 60.0}.items():
    CASES[f"visemes in {unit}"] = in_unit(a_second), {"viseme-unit": f"as in {unit}"}, set()


NO_VISEMES = (
    "sample-rate",
    "viseme-base",
    "viseme-index",
    "viseme-lateness",
    "viseme-order",
    "viseme-start",
    "viseme-unit",
)


@case(*NO_VISEMES, visemes="they come behind the end")
def visemes_behind_the_end(service: NotedService) -> None:
    async def send_visemes(conversation: Conversation, fields: Fields) -> None:
        if fields.get("visemes"):
            await conversation.text(json.dumps(timing(fields)))

    service.time, service.after = lambda *_: [], send_visemes


def renamed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.time = lambda fields, _: [change(item) for item in timing(fields)]

    return deviate


CASES["visemes with other keys"] = (
    renamed(lambda item: {"viseme": item["v"], "phoneme": item["c"], "time": item["t"]}),
    {"visemes": "can't be read: without `v`, `c`, `t`: an object with viseme, phoneme, time"},
    set(NO_VISEMES),
)
CASES["visemes with parts of a character"] = (
    renamed(lambda item: {**item, "v": item["v"] + 0.5}),
    {"visemes": "can't be read: `v` is 0.5"},
    set(NO_VISEMES),
)
CASES["visemes as strings and floats"] = (
    renamed(lambda item: {**item, "t": str(item["t"]), "v": float(item["v"])}), {}, set(),
)  # fmt: skip


# How requests end


def ending_with(*endings: str) -> Deviate:
    def deviate(service: NotedService) -> None:
        service.endings = endings

    return deviate


for name, endings in {
    "an end in both forms": ('{"type":"eos"}', "EOS"),
    "an end that comes twice": ("EOS", "EOS"),
}.items():
    CASES[name] = ending_with(*endings), {"end": "it comes more than once: "}, set()


@pytest.mark.parametrize("name", CASES)
async def test_one_deviation_is_one_difference(service: NotedService, name: str) -> None:
    deviate, differing, unknown = CASES[name]
    deviate(service)
    report = await examined(service.address)
    assert set(report.differing) - TIMED == set(differing), lines(report)
    assert unknowns(report) - ASKED_FOR <= unknown, lines(report)
    for fact, words in differing.items():
        assert words in finding(report, fact).evidence, lines(report)
    assert all("the check failed" not in found.evidence for _, found in report.findings)
    assert report.characters + REPEATS <= ALLOWANCE


OTHER_ENDS = {
    "done": ('{"type":"done"}', "type 'done' with type"),
    "lower case": ("eos", "text of 3 characters"),
    "another key": ('{"event":"eos"}', "type None with event"),
}


@pytest.mark.parametrize("name", OTHER_ENDS)
async def test_another_end_is_taken_for_one(service: NotedService, name: str) -> None:
    message, words = OTHER_ENDS[name]
    service.endings = (message,)
    report = await examined(service.address, HURRIED)
    assert set(report.differing) - TIMED == {"end"}, lines(report)
    assert unknowns(report) - ASKED_FOR == set(), lines(report)
    assert finding(report, "end").evidence.endswith(words)


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("two-requests", {"two-requests"}),
        ("early-request", {"early-request"}),
        ("long-text", set()),
        ("after-error", set()),
    ],
)
async def test_without_an_end_the_rest_is_not_blamed(
    service: NotedService, name: str, unknown: set[str]
) -> None:
    service.endings = ()
    # Each request takes that long; a long text comes after a dozen.
    report = await examined(service.address, replace(BRIEF, patience=0.6), facts={"end", name})
    assert report.differing == ["end"], lines(report)
    assert unknowns(report) == unknown


async def test_a_close_in_place_of_an_end_is_taken_for_one(service: NotedService) -> None:
    """What needs a second request on a connection can't be had; the rest is judged as ever."""

    async def close(conversation: Conversation, fields: Fields) -> None:
        if "refused" not in fields:
            await conversation.ws.close()

    service.endings, service.after = (), close
    report = await examined(service.address)
    assert set(report.differing) - TIMED == {"end", "two-requests", "early-request", "idle"}, lines(report)
    assert "closed (code 1000)" in finding(report, "end").evidence


async def test_replies_that_are_all_cut_off(service: NotedService) -> None:
    async def cut(conversation: Conversation, fields: Fields) -> None:
        await conversation.audio(speech(fields)[:20_000])
        conversation.abort()
        raise EOFError

    service.before = cut
    report = await examined(service.address)
    assert set(report.differing) - TIMED == {"end"}, lines(report)
    found = finding(report, "end")
    assert "every reply is cut off in its audio" in found.evidence
    assert "code 1006" in found.evidence
    assert "another connection" in found.means
    assert found.means in lines(report)


async def test_what_follows_is_told_of_this_very_deviation(service: NotedService) -> None:
    a_wav_header_in_front(service)
    report = await examined(service.address, facts={"pcm"})
    assert "heard as a click" in lines(report)
    assert "noise" not in lines(report)
    told = {line.name: line async for line in diagnose(service.address, KEY)}
    assert "header of a WAV" in told["sample format"].says
    assert "click" in told["sample format"].do


# Where nothing is spoken


def audio_of_another_type(visemes: list[dict[str, Any]], pcm: bytes) -> list[Sent]:
    return [
        json.dumps({"type": "audio_chunk", "audio": base64.b64encode(piece).decode()})
        for piece in timing_first(visemes, pcm)
        if isinstance(piece, bytes)
    ]


async def test_audio_of_another_type_is_reported(service: NotedService) -> None:
    service.arrange = audio_of_another_type
    report = await examined(service.address)
    assert report.obstacle.startswith("Lokutor speaks nothing: an end without audio")
    assert report.came == ("type 'audio_chunk' with audio (base64), type",)
    assert set(report.differing) == {"known-messages"}
    assert {"voices", "languages", "models", "config", "health", "missing-key", "wrong-key", "ping"} <= {
        fact.name for fact, found in report.findings if found.verdict is Verdict.HOLDS
    }
    assert len(report.findings) == len(FACTS)
    assert report.complete
    told = {line.name: line async for line in diagnose(service.address, KEY)}
    assert "type 'audio_chunk' with audio (base64)" in told["first audio"].says


async def test_a_request_that_is_never_answered_is_reported(service: NotedService) -> None:
    async def hang(conversation: Conversation, _: Fields) -> None:
        await conversation.gone()

    service.before = hang
    # Nothing that is looked at here comes on a connection: it is waited for in vain, however long.
    report = await examined(service.address, replace(BRIEF, patience=0.5))
    assert report.obstacle == "Lokutor speaks nothing: no end came, after 0.00 s of audio"
    assert report.came == ("nothing",)
    assert finding(report, "voices").verdict is Verdict.HOLDS


async def test_a_key_that_is_required_besides_is_reported(service: NotedService) -> None:
    def need_version(fields: Fields) -> None:
        if "version" not in fields["sent"]:
            raise Refused("validation.version_required")

    service.check = need_version
    report = await examined(service.address)
    assert "[validation.version_required]" in report.obstacle
    assert finding(report, "health").verdict is Verdict.HOLDS


@pytest.mark.parametrize("status", [401, 402, 403, 404, 500])
async def test_a_handshake_that_is_refused_is_reported(service: NotedService, status: int) -> None:
    service._refusal_of = lambda http: (status, "no")  # type: ignore[method-assign]
    report = await examined(service.address, replace(BRIEF, repeats=False))
    assert f"HTTP {status}" in report.obstacle
    assert report.came == (f'HTTP {status}: {{"type": "error", "data": {{"code": "no"}}}}',)
    assert finding(report, "path").verdict is (Verdict.DIFFERS if status == 404 else Verdict.UNKNOWN)
    assert finding(report, "voices").verdict is Verdict.HOLDS
    assert finding(report, "missing-key").verdict is (Verdict.DIFFERS if status == 401 else Verdict.UNKNOWN)
    assert unknowns(report) - ASKED_FOR >= {"long-text", "pcm", "visemes", "known-messages"}


# Errors in other words

WORDS = {
    "an object": '{"error": {"code": "bad_voice", "message": "no such voice"}}',
    "a detail": '{"detail": "no such voice", "status": 422}',
    "plain text": "Error: no such voice",
}


@pytest.mark.parametrize("name", WORDS)
async def test_an_error_in_other_words_is_shown(service: NotedService, name: str) -> None:
    async def answer(conversation: Conversation, fields: Fields) -> None:
        if fields["voice"] == "no_such_voice":
            await conversation.text(WORDS[name].replace("voice", f"voice {KEY}"))
            await conversation.gone()

    service.ignored.add("validation.invalid_voice")
    service.before = answer
    report = await examined(service.address, HURRIED, facts={"error-voice"})
    evidence = finding(report, "error-voice").evidence
    assert "no such voice ***" in evidence
    assert KEY not in evidence


async def test_a_key_in_a_long_message_is_hidden_before_it_is_shortened(service: NotedService) -> None:
    """Else a part of it would be left."""
    for length in range(60, 125, 3):
        service.speak = lambda _: b""
        service.arrange = lambda *_, length=length: [f"Error: {'x' * length} {KEY}"]
        report = await examined(service.address, facts={"known-messages"})
        assert KEY[:6] not in json.dumps(report.as_json())


# Encoded keys


async def test_an_encoded_key_is_in_neither_the_report_nor_the_recording(service: NotedService) -> None:
    encodings = [
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(KEY.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        KEY.encode().hex(),
    ]
    service.routes["/voices"] = {"voices": [{"id": text} for text in encodings]}
    service.codes["validation.invalid_voice"] = "bad." + ".".join(encodings)
    service.arrange = lambda visemes, pcm: [
        json.dumps({"type": "hello", **dict.fromkeys(encodings, 1)}),
        "Error: " + " ".join(encodings),
        *timing_first(visemes, pcm),
    ]
    written: list[str] = []
    names = {"voices", "known-messages", "error-voice"}
    report = await examined(service.address, facts=names, record=written.append)
    told = json.dumps(report.as_json()) + "".join(written)
    assert set(report.differing) == names
    for text in (KEY, *encodings):
        assert text[4:-4] not in told

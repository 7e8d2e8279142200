"""Recordings of the wire: what is written is read again, and nothing else is."""

from __future__ import annotations

import json

import pytest
from yarl import URL

from videosdk.plugins.lokutor._conformance.recorder import Recorder
from videosdk.plugins.lokutor._wire.endpoint import Endpoint
from videosdk.plugins.lokutor._wire.recording import (
    RIGHT_KEY,
    Answered,
    Exchange,
    Handshake,
    Recording,
    RecordingError,
    close_line,
    handshake_line,
    message_line,
    read_recording,
    route_line,
)

KEY = "key-5f2c9e"
GREETED = handshake_line(0.0, Handshake("/ws/tts", RIGHT_KEY, in_url=False), Answered(101))
REQUEST = '{"text": "He said \\"no\\".", "voice": "F1"}'


def read(*lines: str) -> Recording:
    return read_recording([GREETED, *lines])


def test_what_was_written_is_read_again() -> None:
    refused = Handshake("/ws", "wrong", in_url=True)
    recording = read(
        handshake_line(0.1, refused, Answered(401, {"type": "error"})),
        route_line(0.2, "/voices", Answered(200, {"voices": []})),
        message_line(1.0, 1, REQUEST, sent=True),
        message_line(1.5, 1, "[]", sent=False),
        message_line(2.0, 1, b"\0\xff\1", sent=False),
        close_line(2.5, 1, 1000),
    )
    assert recording.handshakes[refused] == [Answered(401, {"type": "error"})]
    assert recording.wrong_keys == {"wrong"}
    assert recording.routes == {"/voices": Answered(200, {"voices": []})}
    [exchange] = recording.exchanges
    assert exchange == Exchange(REQUEST, [(0.5, "[]"), (1.0, b"\0\xff\1")], 1000, 1.5)
    assert exchange.text == 'He said "no".'


def test_connections_are_kept_apart() -> None:
    first, second = read(
        message_line(1.0, 1, "one", sent=True),
        message_line(2.0, 2, "two", sent=True),
        message_line(3.0, 1, "for one", sent=False),
        message_line(4.0, 2, "for two", sent=False),
    ).exchanges
    assert (first.came, second.came) == ([(2.0, "for one")], [(2.0, "for two")])
    assert first.text == ""


def test_what_is_sent_behind_a_close_is_no_exchange() -> None:
    recording = read(
        message_line(1.0, 1, "one", sent=True),
        close_line(2.0, 1, None),
        message_line(3.0, 1, "two", sent=True),
    )
    assert [exchange.request for exchange in recording.exchanges] == ["one"]
    assert recording.exchanges[0].close_code == 1006


def test_a_connection_that_is_closed_before_its_first_request_answers_by_that() -> None:
    recording = read(close_line(1.0, 1, 1001), message_line(2.0, 1, "one", sent=True))
    assert recording.exchanges == [Exchange("one", close_code=1001)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"at": 0, "event": "dance"}',
        '{"at": "x", "event": "sent", "connection": 1, "text": "a"}',
        '{"at": 0, "event": "sent", "connection": 1}',
        '{"at": 0, "event": "received", "connection": 1, "binary": "?"}',
        '{"at": 0, "event": "sent", "connection": [], "text": "a"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_recording_names_its_line(line: str) -> None:
    with pytest.raises(RecordingError, match="line 2"):
        read(line)


def test_a_recording_of_nothing_is_none() -> None:
    with pytest.raises(RecordingError, match="no handshake"):
        read_recording([])


async def test_the_key_is_in_no_line() -> None:
    lines: list[str] = []
    url = URL("wss://tts.example/ws/tts")
    recorder = Recorder(Endpoint(url, KEY), lines.append)
    number = recorder.on_handshake(url, {"X-API-Key": KEY}, 101)
    recorder.on_handshake(url.update_query(api_key=KEY), {}, 401, {"message": f"not {KEY}"})
    recorder.on_message(number, f"ERR: {KEY} is wrong", sent=False)
    escaped = KEY.replace("k", "\\u006b")
    recorder.on_message(number, f'{{"type": "error", "message": "{escaped}"}}', sent=False)
    recorder.on_route("/health", 200, {"status": KEY})
    assert len(lines) == 5
    assert all(KEY not in line and "u006b" not in line for line in lines)
    assert sum(RIGHT_KEY in line for line in lines) == 5
    assert [json.loads(line)["event"] for line in lines] == [
        "handshake", "handshake", "received", "received", "route",
    ]  # fmt: skip
    assert set(read_recording(lines).handshakes) == {
        Handshake("/ws/tts", RIGHT_KEY, in_url=False),
        Handshake("/ws/tts", RIGHT_KEY, in_url=True),
    }

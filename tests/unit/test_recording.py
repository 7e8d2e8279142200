"""Recordings of the wire: what is written is read again, and nothing else is."""

from __future__ import annotations

import base64
import json

import aiohttp
import pytest
from kit.tables import each
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
from videosdk.plugins.lokutor.local.replay import ReplayServer

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


@each(
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


QUOTED: dict[str, str | bytes] = {
    "in a binary message": f"ERR: {KEY} is wrong".encode(),
    "in JSON in a binary message": f'{{"type": "error", "message": "{KEY}"}}'.encode(),
    "escaped in a binary message": b'{"message": "\\u006bey-5f2c9e"}',
    "behind audio": b"\xff\x00\xfe" + KEY.encode() + b"\xff",
    "in the first of two members of a name": f'{{"k": "{KEY}", "k": "x"}}',
    "escaped in the first of two": '{"a": [{"k": "\\u006bey-5f2c9e", "k": "x"}]}',
    "in the last of two members of a name": f'{{"k": "x", "k": "{KEY}"}}',
    "as the name of a member": f'{{"{KEY}": 1}}',
    "in JSON in JSON": json.dumps({"m": json.dumps({"k": KEY.replace("k", "\u043a")}) + KEY}),
}


@pytest.mark.parametrize("where", QUOTED)
async def test_a_key_that_a_service_quotes_is_in_no_line(where: str) -> None:
    lines: list[str] = []
    recorder = Recorder(Endpoint(URL("wss://tts.example/ws/tts"), KEY), lines.append)
    recorder.on_message(1, QUOTED[where], sent=False)
    entry = json.loads(lines[0])
    came = entry["text"] if "text" in entry else base64.b64decode(entry["binary"]).decode("latin-1")
    assert KEY not in came
    assert "u006b" not in came
    assert "***" in came or "x" in came


AUDIO = [bytes(range(256)) * 9, b"\0k\0", b""]
"""The bytes of a short key may be in any audio."""
TEXTS = [b"none", b'{"a":  1}', '{"a":  1,"a":2}', "EOS", '{"text":"key","a":"\\u00e9"}']


@pytest.mark.parametrize(
    ("key", "message"),
    [*((KEY, message) for message in (*AUDIO, *TEXTS)), *(("k", audio) for audio in AUDIO)],
)
async def test_what_holds_no_key_is_kept_as_it_was(key: str, message: str | bytes) -> None:
    lines: list[str] = []
    recorder = Recorder(Endpoint(URL("wss://tts.example/ws/tts"), key), lines.append)
    recorder.on_message(1, message, sent=False)
    assert lines == [message_line(json.loads(lines[0])["at"], 1, message, sent=False)]


SPELLINGS = [
    '{"text":"He said \\"no\\".","voice":"F1"}',
    '{"voice": "F1", "text": "He said \\"no\\"."}',
    '{\n "text" : "He said \\u0022no\\u0022.",\n "voice": "F1"\n}',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_request_is_the_same_in_every_spelling(spelling: str) -> None:
    asked = Exchange(spelling)
    assert asked.text == 'He said "no".'
    assert asked.meaning == Exchange(REQUEST).meaning


@pytest.mark.parametrize("request_", ["", "{", "[]", "7", '{"text": 7}', '"text"', "[" * 100_000])
def test_a_request_without_a_text_has_none(request_: str) -> None:
    assert Exchange(request_).text == ""


def test_the_text_of_a_request_is_its_own_and_no_word_of_another_member() -> None:
    assert Exchange('{"note": "\\"text\\": \\"Hi.\\"", "text": "Bye."}').text == "Bye."


async def test_a_replay_answers_a_request_in_any_spelling() -> None:
    """JavaScript writes no spaces, and other clients other keys first."""
    answers = {"A short one.": b"\1\0" * 10, "Another that is a little longer.": b"\2\0" * 10}
    recording = read(
        *(
            line
            for number, (text, pcm) in enumerate(answers.items())
            for line in (
                message_line(number, 1, json.dumps({"text": text, "voice": "F1"}), sent=True),
                message_line(number, 1, pcm, sent=False),
                message_line(number, 1, "EOS", sent=False),
            )
        )
    )
    async with ReplayServer(recording) as server, aiohttp.ClientSession() as session:
        # What was asked for first comes last: the order tells nothing.
        for text, pcm in reversed(answers.items()):
            for request in (
                json.dumps({"voice": "F1", "text": text}, separators=(",", ":")),
                json.dumps({"text": text}, indent=1),
            ):
                async with session.ws_connect(f"{server.url}/ws/tts", headers={"X-API-Key": "any"}) as ws:
                    await ws.send_str(request)
                    assert await ws.receive_bytes() == pcm

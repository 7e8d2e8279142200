"""The doctor: every line that can be wrong, and what it says to do."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
from kit import PATIENCE, Conversation, ScriptedServer
from kit.certificates import authority, server_context, server_context_until
from kit.proxy import FaultProxy
from kit.server import refusing
from kit.service import KEY, Fields, NotedService, Refused, speech, timing
from yarl import URL

from videosdk.plugins.lokutor._doctor import network, run, setting
from videosdk.plugins.lokutor._doctor import speech as speaking
from videosdk.plugins.lokutor._doctor.lines import Health, Line
from videosdk.plugins.lokutor._doctor.network import check_clock, check_name, check_quota, check_tls
from videosdk.plugins.lokutor._doctor.run import diagnose
from videosdk.plugins.lokutor._doctor.setting import check_address, check_key, check_proxy, check_versions
from videosdk.plugins.lokutor._doctor.versions import OLDEST
from videosdk.plugins.lokutor.errors import ConfigurationError

NAMES = [
    "python", "videosdk-agents", "aiohttp", "av", "key", "address", "proxy", "name", "tls", "handshake",
    "clock", "quota", "first audio", "first sound", "end", "sample format", "sample rate",
]  # fmt: skip


@pytest.fixture
async def service() -> AsyncIterator[NotedService]:
    async with NotedService() as service:
        yield service


async def diagnosed(url: str, key: str | None = KEY) -> dict[str, Line]:
    return {line.name: line async for line in diagnose(url, key)}


async def wrong_line(url: str, key: str | None = KEY) -> Line:
    """Return the only line that is wrong."""
    [line] = [line for line in (await diagnosed(url, key)).values() if line.health is Health.WRONG]
    assert_advises(line)
    return line


def assert_advises(line: Line, health: Health = Health.WRONG) -> None:
    assert line.health is health, line
    assert line.do, line
    assert str(line).count("\n") == 0
    assert KEY not in str(line)


async def test_a_healthy_service_has_no_wrong_line(service: NotedService) -> None:
    lines = await diagnosed(service.address)
    assert list(lines) == NAMES
    assert [str(line) for line in lines.values() if line.health is Health.WRONG] == []
    assert "mono" in lines["sample rate"].says
    assert sum(len(fields["text"]) for fields in service.served) == 388


async def test_each_line_is_told_as_soon_as_it_is_known(service: NotedService) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_conversation: Conversation, _fields: Fields) -> None:
        asked.set()
        await go_on.wait()

    service.before = wait
    told: list[str] = []
    async with asyncio.timeout(PATIENCE), aclosing(diagnose(service.address, KEY)) as lines:
        async for line in lines:
            told.append(line.name)
            if line.name == "quota":
                assert not asked.is_set()
                go_on.set()
    assert told == NAMES


async def test_a_reply_that_never_ends(service: NotedService, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go_on(conversation: Conversation, _: Fields) -> None:
        while True:
            await conversation.audio(bytes(882))
            await asyncio.sleep(0.01)

    service.endings, service.after = (), go_on
    monkeypatch.setattr(run, "_LIMITS", replace(run._LIMITS, patience=1.0))
    async with asyncio.timeout(3 * PATIENCE):
        line = await wrong_line(service.address)
    assert line.name == "end"
    assert "no end came" in line.says


@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("check_name", "name"),
        ("check_tls", "tls"),
        ("check_handshake", "handshake"),
        ("check_clock", "clock"),
        ("check_quota", "quota"),
        ("check_speech", "speech"),
    ],
)
async def test_a_check_that_fails_is_said_and_the_others_go_on(
    service: NotedService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    check: str,
    name: str,
) -> None:
    def fail(*_: Any) -> Any:
        raise TypeError(f"unhashable, with {KEY}")

    monkeypatch.setattr(run, check, fail)
    with caplog.at_level(logging.DEBUG, "videosdk.plugins.lokutor"):
        lines = await diagnosed(service.address)
    assert lines[name] == Line(name, Health.SKIPPED, "the check failed (TypeError): please report it")
    assert [line.name for line in lines.values() if line.health is Health.WRONG] == []
    assert set(lines) >= {"name", "tls", "handshake", "clock", "quota"}
    assert "in fail" in caplog.text
    assert KEY not in caplog.text


# What is installed


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the versions that are installed, which a test can change."""
    versions = {"videosdk-agents": "1.0.31", "aiohttp": "3.11.0", "av": "14.0.0rc1"}

    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(setting, "version", version)
    return versions


def version_lines() -> dict[str, Line]:
    return {line.name: line for line in check_versions()}


def test_versions_that_are_new_enough(installed: dict[str, str]) -> None:
    assert {line.health for line in version_lines().values()} == {Health.OK}


@pytest.mark.parametrize(
    ("package", "version"), [("videosdk-agents", "1.0.9"), ("aiohttp", "3.9.5"), ("av", "13.1.0")]
)
def test_a_package_that_is_too_old(installed: dict[str, str], package: str, version: str) -> None:
    installed[package] = version
    assert_advises(version_lines()[package])
    assert f"pip install '{package}>=" in version_lines()[package].do


def test_a_package_that_is_missing(installed: dict[str, str]) -> None:
    del installed["av"]
    assert_advises(version_lines()["av"])


def test_a_framework_that_can_not_be_imported(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "videosdk.agents", None)  # As the import system marks what isn't there.
    line = version_lines()["videosdk-agents"]
    assert_advises(line)
    assert "can't be imported: ModuleNotFoundError" in line.says
    del installed["videosdk-agents"]
    assert "not installed" in version_lines()["videosdk-agents"].says


def test_the_doctor_needs_no_framework() -> None:
    command = "import sys; sys.modules['videosdk.agents'] = None; from {} import main; main(['--version'])"
    command = command.format("videosdk.plugins.lokutor._cli.commands")
    said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("videosdk-plugins-lokutor ")


def test_a_version_with_a_known_fault(installed: dict[str, str]) -> None:
    installed["videosdk-agents"] = "1.0.30"
    line = version_lines()["videosdk-agents"]
    assert_advises(line, Health.NOTE)
    assert "reply()" in line.says


def test_a_version_with_two_known_faults(installed: dict[str, str]) -> None:
    installed["videosdk-agents"] = "1.0.28"
    lines = [line for line in check_versions() if line.name == "videosdk-agents"]
    for line in lines:
        assert_advises(line, Health.NOTE)
    assert [("final transcript" in line.says, "reply()" in line.says) for line in lines] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("running", [(3, 10), (3, 14)])
def test_a_python_that_is_not_tested(running: tuple[int, int]) -> None:
    assert_advises(setting._python(running))


def test_the_oldest_versions_are_those_of_the_package() -> None:
    needed = [line for line in requires("videosdk-plugins-lokutor") or [] if "extra" not in line]
    stated = {re.split(">=", line)[0]: re.split(">=", line)[1] for line in needed}
    assert stated == {name: ".".join(map(str, oldest)) for name, oldest in OLDEST.items()}


# What is set


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "not set"),
        ("  ", "not set"),
        ('"key-5f2c9e"', "quotation marks"),
        ("'key-5f2c9e", "quotation marks"),
        ("“key-5f2c9e”", "quotation marks"),
        ("Bearer key-5f2c9e", "more in it"),
        ("X-API-Key: key-5f2c9e", "more in it"),
        ("LOKUTOR_API_KEY=key-5f2c9e", "more in it"),
        ("key-5f 2c9e", "a space"),
        ("key-5f\n2c9e", "no header"),
        ("kéy-5f2c9e", "no header"),
    ],
)
def test_a_key_that_can_be_none(key: str | None, words: str) -> None:
    line = check_key(key)
    assert_advises(line)
    assert words in line.says
    assert "5f" not in str(line)


@pytest.mark.parametrize(
    "key",
    [
        "your-lokutor-api-key", "YOUR_API_KEY_HERE", "YourApiKey", "<key>", "changeme",
        "${LOKUTOR_API_KEY}", "$LOKUTOR_API_KEY", "%LOKUTOR_API_KEY%", "{{lokutor_api_key}}", "$(cat_key)",
        "[api-key]", "xxxxxxxxxx", "***", "sk-...", "null", "undefined", "example-key",
    ],
)  # fmt: skip
def test_a_key_that_stands_for_one(key: str) -> None:
    line = check_key(key)
    assert_advises(line, Health.NOTE)
    assert "placeholder" in line.says
    assert key not in str(line)


@pytest.mark.parametrize("key", ["sk-live-the-key-5f2c9e", "akeyakey1", "lk_0000111122223333"])
def test_a_key_that_looks_like_one(key: str) -> None:
    assert check_key(key).health is Health.OK


@pytest.mark.parametrize("key", [" key-5f2c9e\n", "key-5f2"])
def test_a_key_that_is_odd(key: str) -> None:
    assert_advises(check_key(key), Health.NOTE)
    assert "5f" not in str(check_key(key))


def test_a_key_is_not_shown() -> None:
    assert check_key("key-5f2c9e") == Line("key", Health.OK, "set, 10 characters")


@pytest.mark.parametrize("url", ["ftp://x", "ws://tts.example", "wss://u:secret@tts.example"])
def test_an_address_that_is_none(url: str) -> None:
    line, parsed = check_address(url)
    assert_advises(line)
    assert parsed is None
    assert "secret" not in str(line)


async def test_nothing_is_tried_without_an_address() -> None:
    assert list(await diagnosed("ftp://x"))[-1] == "address"


async def test_a_key_in_the_address(service: NotedService) -> None:
    line = await wrong_line(f"{service.address}/ws/{KEY}")
    assert line.name == "address"


def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy.example")
    line, passable = check_proxy(URL("wss://tts.example/ws/tts"))
    assert_advises(line)
    assert "HTTPS_PROXY" in line.says
    assert "secret" not in str(line)
    assert not passable


async def test_nothing_is_tried_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    assert list(await diagnosed("wss://tts.example"))[-1] == "proxy"


def test_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example:3128")
    line, passable = check_proxy(URL("wss://tts.example/ws/tts"))
    assert (line.health, line.says) == (Health.OK, "proxy.example:3128 with a user and password")
    assert passable


# The way


def resolving(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have every name be that of this machine, after some time."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        await asyncio.sleep(seconds)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)


async def test_a_name_that_nobody_knows() -> None:
    line = await wrong_line("wss://nowhere.invalid")
    assert (line.name, "nowhere.invalid" in line.says) == ("name", True)


async def test_a_name_that_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, 3600.0)
    monkeypatch.setattr(network, "_PATIENCE", 0.01)
    line = await check_name(URL("wss://tts.example"))
    assert_advises(line)
    assert "0.01 s" in line.says


async def test_a_name_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, 0.0)
    monkeypatch.setattr(network, "_SLOW_NAME", -1.0)
    assert_advises(await check_name(URL("wss://tts.example")), Health.NOTE)


async def test_the_name_of_the_proxy_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://nowhere.invalid:3128")
    line = await check_name(URL("wss://tts.example"))
    assert line.says == "the proxy nowhere.invalid can't be resolved"
    assert "proxy" in line.do
    assert (await check_tls(URL("wss://tts.example"))).health is Health.SKIPPED


@asynccontextmanager
async def tls_port(context: Any) -> AsyncIterator[URL]:
    """Listen with TLS, or with ``context`` None without."""
    async with ScriptedServer() as server, FaultProxy(server, context) as proxy:
        yield URL(f"wss://127.0.0.1:{proxy.port}/ws/tts")


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authority.pem").write_text(authority())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.mark.usefixtures("trusting")
async def test_a_certificate_that_is_good() -> None:
    async with tls_port(server_context()) as url:
        line = await check_tls(url)
    assert line.health is Health.OK
    assert "TLSv1" in line.says


@pytest.mark.usefixtures("trusting")
async def test_a_certificate_that_ends_soon() -> None:
    async with tls_port(server_context_until(datetime.now(UTC) + timedelta(days=3, hours=1))) as url:
        line = await check_tls(url)
    assert_advises(line, Health.NOTE)
    assert "3 more days" in line.says


@pytest.mark.usefixtures("trusting")
async def test_a_certificate_that_has_ended() -> None:
    async with tls_port(server_context_until(datetime.now(UTC) - timedelta(days=1))) as url:
        line = await check_tls(url)
    assert_advises(line)
    assert "expired" in line.says
    assert "clock" in line.do


@pytest.mark.usefixtures("trusting")
async def test_a_certificate_for_another_name() -> None:
    async with tls_port(server_context()) as url:
        line = await check_tls(url.with_host("localhost"))
    assert_advises(line)
    assert "the name that the certificate is for" in line.do


async def test_a_certificate_that_nobody_trusts() -> None:
    async with tls_port(server_context()) as url:
        line = await wrong_line(str(url))
    assert (line.name, "SSL_CERT_FILE" in line.do) == ("tls", True)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "isn't there"),
        ("", "holds no certificates that can be read"),
        ("no certificate\n", "holds no certificates that can be read"),
    ],
)
async def test_authorities_that_can_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, fault: str
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with tls_port(server_context()) as url:
        line = await wrong_line(str(url))
    assert line.name == "tls"
    assert line.do == f"correct or unset SSL_CERT_FILE: it names {str(path)!r}, which {fault}"


async def test_authorities_that_are_good_and_not_the_right_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    async with tls_port(server_context()) as url:
        line = await wrong_line(str(url))
    assert (line.name, line.do) == ("tls", "set SSL_CERT_FILE to the authorities that you trust")


def test_authorities_that_are_missing_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    error = ConfigurationError("The certificate of tts.example is not trusted")
    advised = network._handshake_advice(URL("wss://tts.example/ws/tts"), error)
    assert "'/nowhere/authorities.pem', which isn't there" in advised


async def test_a_port_without_tls(service: NotedService) -> None:
    line = await wrong_line(service.address.replace("ws:", "wss:"))
    assert (line.name, "speaks TLS" in line.do) == ("tls", True)


async def test_a_port_that_is_closed(closed_port: int) -> None:
    assert (await wrong_line(f"wss://127.0.0.1:{closed_port}")).name == "tls"
    line = await wrong_line(f"ws://127.0.0.1:{closed_port}")
    assert (line.name, "lokutor serve" in line.do) == ("handshake", True)


async def test_a_port_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_PATIENCE", 0.1)

    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while await reader.read(1_000):
                pass
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        line = await check_tls(URL(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        await gone.wait()
    assert_advises(line)
    assert "0.1 s" in line.says


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "copy it again"),
        (404, "LOKUTOR_BASE_URL"),
        (429, "larger plan"),
        (503, "try again later"),
    ],
)
async def test_a_handshake_that_is_refused(status: int, words: str) -> None:
    runner, url = await refusing(status)
    try:
        line = await wrong_line(url)
    finally:
        await runner.cleanup()
    assert (line.name, words in line.do) == ("handshake", True)


async def test_a_handshake_that_is_slow(service: NotedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_SLOW_HANDSHAKE", -1.0)
    assert_advises((await diagnosed(service.address))["handshake"], Health.NOTE)


async def test_without_a_key_the_way_is_seen(service: NotedService) -> None:
    lines = await diagnosed(service.address, None)
    assert lines["handshake"].health is Health.SKIPPED
    assert not service.conversations


NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "words"),
    [("Mon, 05 Jan 2026 11:50:00 GMT", "600 s ahead of"), ("Mon, 05 Jan 2026 13:00:00 GMT", "3600 s behind")],
)
def test_a_clock_that_is_wrong(date: str, words: str) -> None:
    line = check_clock({"date": date}, NOW)
    assert_advises(line)
    assert words in line.says


@pytest.mark.parametrize(
    ("date", "health"),
    [
        ("Mon, 05 Jan 2026 12:00:03 GMT", Health.OK),
        ("soon", Health.SKIPPED),
        ("Mon, 05 Jan 99999999999999999999 12:00:00 GMT", Health.SKIPPED),
        ("Mon, 05 Jan 2026 12:00:00 99999999999999999999", Health.SKIPPED),
        ("Mon, 05 Jan 2026 12:00:03", Health.OK),
    ],
)
def test_a_clock_that_is_right(date: str, health: Health) -> None:
    assert check_clock({"date": date}, NOW).health is health
    assert check_clock({}, NOW).health is Health.SKIPPED


def test_a_quota_that_is_used_up() -> None:
    line = check_quota({"x-ratelimit-remaining": "0", "x-ratelimit-limit": "10", "server": "x"})
    assert_advises(line)
    assert line.says == "x-ratelimit-limit 10, x-ratelimit-remaining 0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-ratelimit-remaining", "0.0"),
        ("x-ratelimit-remaining", " -3 "),
        ("x-ratelimit-remaining-minute", "0;w=60"),
        ("ratelimit-remaining", "120, 0;w=60"),
        ("ratelimit", '"default";r=0;t=30'),
        ("ratelimit", '"minute";r=3;t=30, "day";r=0;t=3000'),
        ("ratelimit", "limit=100, remaining=0, reset=50"),
        ("x-characters-remaining", "-0"),
    ],
)
def test_each_way_to_say_that_a_quota_is_used_up(name: str, value: str) -> None:
    assert_advises(check_quota({name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-ratelimit-remaining", "7"),
        ("x-ratelimit-remaining", "0.5"),
        ("x-ratelimit-remaining", "7;w=0"),
        ("x-ratelimit-remaining", "unlimited"),
        ("ratelimit", '"default";r=50;t=0'),
        ("ratelimit-policy", '"default";q=100;w=60'),
        ("x-ratelimit-reset", "0"),
    ],
)
def test_a_quota_that_lasts(name: str, value: str) -> None:
    assert check_quota({name: value}).health is Health.OK


# The speech


async def test_a_request_that_is_refused(service: NotedService) -> None:
    def refuse(_: Fields) -> None:
        raise Refused("auth.rate_limited")

    service.check = refuse
    line = await wrong_line(service.address)
    assert (line.name, "larger plan" in line.do) == ("first audio", True)


async def test_a_request_without_audio(service: NotedService) -> None:
    service.speak = lambda _: b""
    line = await wrong_line(service.address)
    assert (line.name, "lokutor conformance" in line.do) == ("first audio", True)


async def test_a_key_that_a_service_quotes(service: NotedService) -> None:
    service.codes["validation.invalid_voice"] = KEY
    service.voices = frozenset()
    assert (await wrong_line(service.address)).name == "first audio"


async def test_audio_that_is_silent(service: NotedService) -> None:
    service.speak = lambda fields: bytes(len(speech(fields)))
    line = await wrong_line(service.address)
    assert (line.name, "another voice" in line.do) == ("first sound", True)


async def test_audio_that_is_late(service: NotedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "_SLOW_AUDIO", -1.0)
    assert_advises((await diagnosed(service.address))["first audio"], Health.NOTE)


async def test_silence_in_front(service: NotedService) -> None:
    service.speak = lambda fields: bytes(44_100) + speech(fields)
    service.time = lambda fields, _: [{**item, "t": item["t"] + 0.5} for item in timing(fields)]
    line = (await diagnosed(service.address))["first sound"]
    assert_advises(line, Health.NOTE)
    assert "500 ms of them silence" in line.says


@pytest.mark.parametrize("rate", [22_050, 40_000, 48_000])
async def test_another_sample_rate(service: NotedService, rate: int) -> None:
    service.speak = lambda fields: speech({**fields, "speed": fields["speed"] * 44_100 / rate})
    assert (await wrong_line(service.address)).name == "sample rate"


async def test_another_sample_format(service: NotedService) -> None:
    def unsigned(fields: Fields) -> bytes:
        return (np.frombuffer(speech(fields), "<i2") ^ np.int16(-0x8000)).tobytes()

    service.speak = unsigned
    assert (await wrong_line(service.address)).name == "sample format"
    assert (await diagnosed(service.address))["sample rate"].health is Health.SKIPPED


async def test_a_limit_that_the_measurement_meets(service: NotedService) -> None:
    service.refuse_handshake = lambda: bool(service.served)
    line = (await diagnosed(service.address))["sample rate"]
    assert line.health is Health.SKIPPED
    assert "429" in line.says


async def test_no_visemes_to_measure_the_rate_by(service: NotedService) -> None:
    service.time = lambda *_: []
    assert (await diagnosed(service.address))["sample rate"].health is Health.SKIPPED


def test_a_proxy_for_all_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@proxy.example:3128")
    line, passable = check_proxy(URL("wss://tts.example/ws/tts"))
    assert passable
    assert_advises(line, Health.NOTE)
    assert "ALL_PROXY is set, and is not read" in line.says
    assert "secret" not in str(line)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert check_proxy(URL("wss://tts.example/ws/tts"))[0].health is Health.OK


async def test_a_payment_is_asked_of_whoever_pays() -> None:
    runner, url = await refusing(402)
    try:
        line = await wrong_line(url)
    finally:
        await runner.cleanup()
    assert "payment (HTTP 402)" in line.says
    assert "whoever pays for the account" in line.do

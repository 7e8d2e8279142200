"""A redirect is never followed by what carries the key, and it is told where it leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kit.service import KEY

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._conformance.client import connected
from videosdk.plugins.lokutor._conformance.lab import Limits, ways
from videosdk.plugins.lokutor._conformance.run import examine
from videosdk.plugins.lokutor._doctor.run import diagnose
from videosdk.plugins.lokutor._wire.endpoint import Endpoint, parse_base_url
from videosdk.plugins.lokutor.errors import ConfigurationError

BRIEF = Limits(idle=0.01, quiet=0.02)


class Redirecting:
    """A service that redirects all that it is asked to another host.

    Attributes:
        status: The HTTP status of its answers.
        followed: What the other host was asked.
    """

    def __init__(self) -> None:
        self.status = 307
        self.followed: list[str] = []
        self.url = self.location = ""

    async def answer(self, http: web.Request) -> web.Response:
        return web.Response(status=self.status, headers={"Location": self.location + http.path_qs})

    async def take(self, http: web.Request) -> web.Response:
        self.followed.append(http.path_qs)
        return web.Response(status=404)


async def started(handler: Any, host: str) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    return runner, runner.addresses[0][1]


@pytest.fixture
async def redirecting() -> AsyncIterator[Redirecting]:
    service = Redirecting()
    other, other_port = await started(service.take, "127.0.0.1")
    runner, port = await started(service.answer, "127.0.0.1")
    service.location = f"http://localhost:{other_port}"
    service.url = f"ws://127.0.0.1:{port}"
    yield service
    await runner.cleanup()
    await other.cleanup()


def endpoint_of(service: Redirecting) -> Endpoint:
    return Endpoint(parse_base_url(service.url, allow_insecure=False), KEY)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_way_to_connect_follows_a_redirect(redirecting: Redirecting, status: int) -> None:
    """The key in the URL would be told to the other host as well."""
    redirecting.status = status
    async with connected(endpoint_of(redirecting), 10.0) as client:
        for url, headers in ways(client):
            with pytest.raises(
                ConfigurationError, match=r"127\.0\.0\.1 redirects to localhost \(HTTP 30"
            ) as e:
                async with client.wire(url, headers):
                    pass
            assert e.value.status == status
    assert redirecting.followed == []


async def test_the_check_says_where_a_redirect_leads(redirecting: Redirecting) -> None:
    report = await examine(endpoint_of(redirecting), BRIEF)
    assert "redirects to localhost (HTTP 307)" in report.obstacle
    told = str(report.as_json())
    assert "HTTP 307 to localhost" in told  # Of discovery.
    assert KEY not in told
    assert redirecting.followed == []


async def test_the_doctor_says_where_a_redirect_leads(redirecting: Redirecting) -> None:
    lines = [str(line) async for line in diagnose(redirecting.url, KEY)]
    assert any("redirects to localhost (HTTP 307)" in line for line in lines)
    assert redirecting.followed == []


async def test_the_plugin_says_where_a_redirect_leads(redirecting: Redirecting) -> None:
    async with LokutorTTS(api_key=KEY, base_url=redirecting.url) as tts:
        with pytest.raises(ConfigurationError, match=r"redirects to localhost \(HTTP 307\)"):
            [piece async for piece in tts.stream_synthesize("Hello.")]
    assert redirecting.followed == []


async def test_a_key_that_a_redirect_names_as_its_host_is_hidden(redirecting: Redirecting) -> None:
    redirecting.location = f"http://{KEY}.example"
    async with LokutorTTS(api_key=KEY, base_url=redirecting.url) as tts:
        with pytest.raises(ConfigurationError, match=r"redirects to \*\*\*\.example") as raised:
            [piece async for piece in tts.stream_synthesize("Hello.")]
    assert KEY not in repr(raised.value)

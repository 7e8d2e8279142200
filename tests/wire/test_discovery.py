"""Asking a service for what it offers: what goes wrong is an error of ours, whatever the network says."""

from __future__ import annotations

import pytest
from kit import refusing

from videosdk.plugins.lokutor._wire.discovery import discover
from videosdk.plugins.lokutor.errors import NetworkError


@pytest.mark.parametrize("location", ["http://api..lokutor.com/", "http://[", "mailto:a@b"])
async def test_a_redirect_to_no_address_is_a_network_error(location: str) -> None:
    runner, url = await refusing(302, {"Location": location})
    try:
        with pytest.raises(NetworkError, match="can't be reached"):
            await discover(url)
    finally:
        await runner.cleanup()

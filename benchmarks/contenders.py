"""Who is measured: this plugin, four of VideoSDK's own, and a raw socket as the floor."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .certificates import HOST

if TYPE_CHECKING:  # It is slow to load, and only the process that is measured needs it.
    from videosdk.agents import TTS

FLOOR = "floor"
_KEY = "benchmark"


@dataclass(frozen=True, slots=True)
class Contender:
    """A plugin under test.

    Attributes:
        name: Short name, which is also that of its service's dialect.
        package: Distribution that holds it.
        module: Where its class is.
        cls: Name of its class.
        url_option: Its parameter for the service's address.
        address: Value of that parameter; ``{port}`` is filled in.
    """

    name: str
    package: str
    module: str
    cls: str
    url_option: str
    address: str

    def make(self, port: int) -> TTS:
        """Return a new plugin that talks to the service behind ``port``."""
        tts: TTS = self.load()(api_key=_KEY, **{self.url_option: self.address.format(host=HOST, port=port)})
        return tts

    def load(self) -> Any:
        """Return its class."""
        return getattr(importlib.import_module(self.module), self.cls)

    @property
    def version(self) -> str | None:
        """Version that is installed, or None."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


CONTENDERS = (
    Contender(
        name="lokutor",
        package="videosdk-plugins-lokutor",
        module="videosdk.plugins.lokutor",
        cls="LokutorTTS",
        url_option="base_url",
        address="wss://{host}:{port}/lokutor",
    ),
    Contender(
        name="lmnt",
        package="videosdk-plugins-lmnt",
        module="videosdk.plugins.lmnt",
        cls="LMNTTTS",
        url_option="ws_url",
        address="wss://{host}:{port}/lmnt",
    ),
    Contender(
        name="cartesia",
        package="videosdk-plugins-cartesia",
        module="videosdk.plugins.cartesia",
        cls="CartesiaTTS",
        url_option="base_url",
        address="https://{host}:{port}/cartesia",
    ),
    Contender(
        name="elevenlabs",
        package="videosdk-plugins-elevenlabs",
        module="videosdk.plugins.elevenlabs",
        cls="ElevenLabsTTS",
        url_option="base_url",
        address="https://{host}:{port}/elevenlabs",
    ),
    Contender(
        name="deepgram",
        package="videosdk-plugins-deepgram",
        module="videosdk.plugins.deepgram",
        cls="DeepgramTTS",
        url_option="base_url",
        address="wss://{host}:{port}/deepgram",
    ),
)


def installed() -> tuple[Contender, ...]:
    """Return the contenders that are installed."""
    return tuple(contender for contender in CONTENDERS if contender.version is not None)


def by_name(name: str) -> Contender:
    """Return the contender called ``name``."""
    return next(contender for contender in CONTENDERS if contender.name == name)

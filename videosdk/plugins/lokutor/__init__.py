"""Lokutor text-to-speech for VideoSDK's agent framework."""

from . import errors
from .tts import LokutorTTS
from .version import __version__

__all__ = ["LokutorTTS", "__version__", "errors"]

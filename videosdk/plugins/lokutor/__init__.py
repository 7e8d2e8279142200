"""Lokutor text-to-speech for VideoSDK's agent framework."""

from . import errors
from ._numbers import text_filter
from ._options import SpeechChanges
from ._timing.timeline import WordSpoken
from .fallback import TransparentFallbackTTS
from .metrics import SynthesisMetrics
from .tts import LokutorTTS
from .version import __version__
from .visemes import Viseme, mouth_shape

__all__ = [
    "LokutorTTS",
    "SpeechChanges",
    "SynthesisMetrics",
    "TransparentFallbackTTS",
    "Viseme",
    "WordSpoken",
    "__version__",
    "errors",
    "mouth_shape",
    "text_filter",
]

"""Lokutor text-to-speech for VideoSDK's agent framework.

What needs the framework is imported when it is first used. The command line starts sooner without it, and
``lokutor doctor`` also runs where the framework can't be imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import errors
from ._options import SpeechChanges
from ._timing.timeline import WordSpoken
from .metrics import SynthesisMetrics
from .version import __version__
from .visemes import Viseme, mouth_shape

if TYPE_CHECKING:
    from ._numbers import text_filter
    from .fallback import TransparentFallbackTTS
    from .tts import LokutorTTS

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

_NEED_THE_FRAMEWORK = {
    "LokutorTTS": ".tts",
    "TransparentFallbackTTS": ".fallback",
    "text_filter": "._numbers",
}


def __getattr__(name: str) -> object:
    module = _NEED_THE_FRAMEWORK.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NEED_THE_FRAMEWORK})

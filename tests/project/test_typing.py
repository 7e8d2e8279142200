"""The types that users see: what can be imported from the package's root, and what a type checker finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from documents import ROOT

from videosdk.plugins import lokutor
from videosdk.plugins.lokutor import LokutorTTS, SpeechChanges
from videosdk.plugins.lokutor._options import SpeechOptions

CALLS = Path(__file__).with_name("typed_calls.py")
NOT_READ = """
[[tool.mypy.overrides]]
module = [
    "cryptography.*",
    "dns.*",
    "google.*",
    "httpx.*",
    "mcp.*",
    "mcp_types.*",
    "numpy.*",
    "opentelemetry.*",
    "pydantic.*",
    "requests.*",
    "urllib3.*",
    "vsaiohttp.*",
    "vsaiortc.*",
    "websockets.*",
]
follow_imports = "skip"
follow_imports_for_stubs = true
"""
"""What the framework imports and the plugin doesn't: no call of the plugin has a type of theirs, and reading
them takes two thirds of the time."""


def test_what_users_need_can_be_imported_from_the_root() -> None:
    public = {"LokutorTTS", "SpeechChanges", "SynthesisMetrics", "Viseme", "WordSpoken", "mouth_shape"}
    public |= {"TransparentFallbackTTS", "__version__", "errors", "text_filter"}
    assert set(lokutor.__all__) == public
    assert all(hasattr(lokutor, name) for name in public)


def test_every_option_of_a_call_can_be_changed() -> None:
    # A function for a language is an option of its own inside.
    assert set(get_type_hints(SpeechChanges)) == set(SpeechOptions.__dataclass_fields__) - {"choose_language"}


async def test_an_unknown_keyword_is_refused_when_it_runs(tts: LokutorTTS) -> None:
    unknown: Any = {"pitch": 2}
    with pytest.raises(TypeError, match="unknown option 'pitch'"):
        tts.update_options(**unknown)
    with pytest.raises(TypeError, match="unknown option 'pitch'"):
        await tts.synthesize("Hello.", **unknown)
    with pytest.raises(TypeError, match="unknown option 'pitch'"):
        await anext(tts.stream_synthesize("Hello.", **unknown))


def test_a_type_checker_finds_mistakes_in_calls(tmp_path: Path) -> None:
    settings = tmp_path / "mypy.toml"
    settings.write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8") + NOT_READ, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(CALLS)]
    command += ["--cache-dir", str(tmp_path / "cache")]  # Another one's settings are others.
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

"""What espeak-ng itself says about a text: its word and phoneme events as they come, unread by the plugin.

Imported, it runs itself as a process of its own: the library is GPL-3 and stays out of this one. Of the
local server's worker it takes the declarations of the library, and none of its reading of the events.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videosdk.plugins.lokutor._protocol import SpeechRequest

_RATE = 22_050


@dataclass(frozen=True)
class Events:
    """The events of one text; times in seconds from its first audio.

    Attributes:
        words: Index of the first character, in code points, and time of each word.
        sounds: Name and time of each phoneme; some have no name.
        seconds: Length of the audio.
    """

    words: list[tuple[int, float]]
    sounds: list[tuple[str, float]]
    seconds: float


def events_of(requests: Sequence[SpeechRequest]) -> list[Events]:
    """Return the engine's events for what the local server speaks for each request."""
    from videosdk.plugins.lokutor.local import espeak

    commands = [espeak._command(request) for request in requests]
    worker = str(espeak._WORKER)
    done = subprocess.run(
        [sys.executable, "-P", __file__],
        input=json.dumps([worker, commands]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [
        Events([(at, time) for at, time in words], [(name, time) for name, time in sounds], seconds)
        for words, sounds, seconds in json.loads(done.stdout)
    ]


class _Witness:
    """Notes the events of one text after another."""

    def __init__(self, declarations: Any) -> None:
        import espeakng_loader

        self._declarations = declarations
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        os.chdir(data.parent)
        # Synchronous, 50 ms buffers; phoneme events in IPA, and no exit of its own.
        rate = self._library.espeak_Initialize(2, 50, data.name.encode(), 0x8003)
        assert rate == _RATE
        self._callback = declarations._Callback(self._made)
        self._library.espeak_SetSynthCallback(self._callback)

    def hear(self, command: dict[str, Any]) -> tuple[list[Any], list[Any], float]:
        self._words: list[tuple[int, float]] = []
        self._sounds: list[tuple[str, float]] = []
        self._samples = 0
        assert self._library.espeak_SetVoiceByName(command["voice"].encode()) == 0
        self._library.espeak_SetParameter(1, command["rate"], 0)
        text = command["text"].encode()
        size = ctypes.c_size_t(len(text) + 1)
        # UTF-8, with the pause at the end of a sentence.
        assert self._library.espeak_Synth(text, size, 0, 1, 0, 0x1001, None, None) == 0
        return self._words, self._sounds, self._samples / _RATE

    def _made(self, _wave: Any, samples: int, events: Any) -> int:
        self._samples += max(samples, 0)
        index = 0
        while (event := events[index]).type:
            if event.type == 1:
                self._words.append((event.text_position - 1, event.sample / _RATE))
            elif event.type == 7:
                name = bytes(event.id.string).split(b"\0", 1)[0].decode(errors="ignore")
                self._sounds.append((name, event.sample / _RATE))
            index += 1
        return 0


def _main() -> None:
    path, commands = json.load(sys.stdin)
    specification = importlib.util.spec_from_file_location("worker", path)
    assert specification is not None
    assert specification.loader is not None
    declarations = importlib.util.module_from_spec(specification)
    sys.modules["worker"] = declarations
    specification.loader.exec_module(declarations)
    witness = _Witness(declarations)
    json.dump([witness.hear(command) for command in commands], sys.stdout)


if __name__ == "__main__":
    _main()

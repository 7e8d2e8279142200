"""What espeak-ng itself says happens when, as a witness beside the local server's voice.

Run as a script it speaks and tells the library's events as they come: one JSON object a line in, ``{"text",
"voice", "rate"}``, and one out, ``{"words": [[index, seconds], ...], "sounds": [[name, seconds], ...],
"seconds"}``. It shares nothing with the plugin's worker, not even the declarations, so that no mistake can
be in both. espeak-ng is GPL-3: it is loaded by the script only, never where this is imported.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from videosdk.plugins.lokutor._wire.protocol import SpeechRequest


class Events(NamedTuple):
    """The events of one text.

    Attributes:
        words: Where each word begins: in the text, from 0 in code points, and in seconds.
        sounds: Each phoneme and its begin in seconds; pauses and some links have no name.
        seconds: How long it takes in all.
    """

    words: list[tuple[int, float]]
    sounds: list[tuple[str, float]]
    seconds: float


def events_of(requests: Iterable[SpeechRequest]) -> list[Events]:
    """Return the events of what the local server's voice speaks for ``requests``, by the library alone.

    espeak-ng varies lengths at random, in the same way in every process: a voice that was asked for the same
    requests in the same order, and for no others before, spoke precisely this.
    """
    from videosdk.plugins.lokutor.local.espeak import _command

    done = subprocess.run(
        [sys.executable, "-P", __file__],
        input="".join(json.dumps(_command(request)) + "\n" for request in requests),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    told = map(json.loads, done.stdout.splitlines())
    return [
        Events([(at, start) for at, start in one["words"]], list(map(tuple, one["sounds"])), one["seconds"])
        for one in told
    ]


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of espeak-ng's ``speak_lib.h``."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _main() -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = Path(espeakng_loader.get_data_path())
    os.chdir(data.parent)  # espeak-ng cuts long paths.
    # Synchronous, 50 ms at a time; phoneme events, their names in IPA, no exit. Then: the volume.
    sample_rate = library.espeak_Initialize(2, 50, data.name.encode(), 0x0001 | 0x0002 | 0x8000)
    library.espeak_SetParameter(2, 65, 0)
    words: list[tuple[int, float]] = []
    sounds: list[tuple[str, float]] = []
    samples = 0

    def made(_wave: Any, count: int, events: Any) -> int:
        nonlocal samples
        samples += count
        number = 0
        while (event := events[number]).type != 0:
            start = event.sample / sample_rate
            if event.type == 1:
                words.append((event.text_position - 1, start))
            elif event.type == 7:
                sounds.append((event.name.decode(errors="ignore"), start))
            number += 1
        return 0

    callback = _Callback(made)
    library.espeak_SetSynthCallback(callback)
    for line in sys.stdin:
        command = json.loads(line)
        if library.espeak_SetVoiceByName(command["voice"].encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {command['voice']}")
        library.espeak_SetParameter(1, command["rate"], 0)
        text = command["text"].encode()
        words.clear()
        sounds.clear()
        samples = 0
        # From the start, characters; UTF-8, with the pause at the end.
        size = ctypes.c_size_t(len(text) + 1)
        if library.espeak_Synth(text, size, 0, 1, 0, 0x0001 | 0x1000, None, None) != 0:
            raise SystemExit("espeak-ng can't speak this text")
        print(json.dumps({"words": words, "sounds": sounds, "seconds": samples / sample_rate}))


if __name__ == "__main__":
    _main()

"""espeak-ng in a process of its own: run as a script, by path.

espeak-ng is GPL-3 and not thread-safe, so it lives here and nowhere else: this script imports the
standard library and ``espeakng_loader``, nothing of the plugin, and is talked to over pipes.

In: one JSON object a line, ``{"id", "text", "voice", "rate"}`` to speak or ``{"cancel": id}``, which may
come too late; the end of the input ends the process. Out: frames of one letter, a big-endian length and a payload:
``R`` ready (the sample rate), ``V`` visemes (JSON), ``A`` audio (s16le mono), ``E`` end, ``F`` failed.
A frame of visemes comes before the audio in which they sound. Sources: espeak-ng's ``speak_lib.h``.
"""

from __future__ import annotations

import ctypes
import json
import queue
import signal
import struct
import sys
import threading
from typing import Any

import espeakng_loader

_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_CHARS_UTF8, _END_PAUSE = 0x0001, 0x1000
_RATE = 1
_EVENT_END, _EVENT_WORD, _EVENT_SENTENCE, _EVENT_PHONEME = 0, 1, 2, 7
_BUFFER_MS = 50


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def send(kind: bytes, payload: bytes = b"") -> None:
    """Write one frame."""
    sys.stdout.buffer.write(struct.pack(">cI", kind, len(payload)) + payload)
    sys.stdout.buffer.flush()


class Cancellation:
    """Which requests are not wanted any more: all up to an id."""

    def __init__(self) -> None:
        self.up_to = 0.0


class Utterance:
    """Collects audio and events of one text, and sends them word by word.

    Only when a word is over is it known over how many sounds its characters spread.
    """

    def __init__(self, number: int, text: str, sample_rate: int, cancellation: Cancellation) -> None:
        self._number = number
        self._length = len(text)
        self._sample_rate = sample_rate
        self._cancellation = cancellation
        self._pcm = bytearray()
        self._sounds: list[tuple[str, int]] = []
        self._word = (0, 1)

    def take(self, pcm: bytes, events: list[tuple[int, int, int, int, str]]) -> bool:
        """Take what espeak-ng made next; return whether to go on."""
        self._pcm += pcm
        for kind, position, length, sample, sound in events:
            if kind in (_EVENT_WORD, _EVENT_SENTENCE):
                self.finish_word()
            if kind == _EVENT_WORD:
                self._word = (min(max(position - 1, 0), self._length - 1), max(length, 1))
            if kind == _EVENT_PHONEME:
                self._sounds.append((sound, sample))
        return self._number > self._cancellation.up_to

    def finish_word(self) -> None:
        """Send the current word's visemes and all audio so far."""
        if self._sounds:
            send(b"V", json.dumps(self._visemes()).encode())
            self._sounds.clear()
        if self._pcm:
            send(b"A", bytes(self._pcm))
            self._pcm.clear()

    def _visemes(self) -> list[tuple[int, str, float]]:
        first, length = self._word
        spoken = sum(bool(sound) for sound, _ in self._sounds) or 1
        visemes = []
        number = 0
        for sound, sample in self._sounds:
            index = min(first + min(number * length // spoken, length - 1), self._length - 1)
            visemes.append((index, sound or "sil", sample / self._sample_rate))
            number += bool(sound)
        return visemes


class Espeak:
    """The library, initialized once in this process."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, options
        )
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng can't be initialized")
        self._utterance: Utterance | None = None
        self._callback = _Callback(self._made)  # Kept: the library calls it as long as it lives.
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, number: int, text: str, voice: str, rate: int) -> None:
        """Send the speech of ``text``.

        Raises:
            RuntimeError: espeak-ng refuses the voice or the text.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._utterance = Utterance(number, text, self.sample_rate, self._cancellation)
        encoded = text.replace("\0", " ").encode()
        size = len(encoded) + 1
        flags = _CHARS_UTF8 | _END_PAUSE
        if self._library.espeak_Synth(encoded, size, 0, 1, 0, flags, None, None) != 0:
            raise RuntimeError("espeak-ng can't speak this text")
        self._utterance.finish_word()

    def _made(self, wave: Any, samples: int, events: Any) -> int:
        assert self._utterance is not None
        pcm = ctypes.string_at(wave, samples * 2) if wave and samples else b""
        return 0 if self._utterance.take(pcm, list(_read_events(events))) else 1


def _read_events(events: Any) -> Any:
    index = 0
    while events[index].type != _EVENT_END:
        event = events[index]
        sound = event.id.string.decode(errors="replace") if event.type == _EVENT_PHONEME else ""
        yield event.type, event.text_position, event.length, event.sample, sound
        index += 1


def _read_commands(commands: queue.Queue[dict[str, Any] | None], cancellation: Cancellation) -> None:
    for line in sys.stdin.buffer:
        command = json.loads(line)
        if "cancel" in command:
            cancellation.up_to = command["cancel"]
        else:
            commands.put(command)
    cancellation.up_to = float("inf")
    commands.put(None)


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this process.
    commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
    cancellation = Cancellation()
    threading.Thread(target=_read_commands, args=(commands, cancellation), daemon=True).start()
    espeak = Espeak(cancellation)
    send(b"R", str(espeak.sample_rate).encode())
    while (command := commands.get()) is not None:
        try:
            espeak.speak(command["id"], command["text"], command["voice"], command["rate"])
        except RuntimeError as error:
            send(b"F", str(error).encode())
        else:
            send(b"E")


if __name__ == "__main__":
    main()

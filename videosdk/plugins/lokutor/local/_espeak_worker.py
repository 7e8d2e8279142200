"""espeak-ng in a process of its own: run as a script, by path.

espeak-ng is GPL-3 and not thread-safe, so it lives here and nowhere else: this script imports the
standard library and ``espeakng_loader``, nothing of the plugin, and is talked to over pipes.

In: one JSON object a line, ``{"id", "text", "voice", "rate"}`` to speak or ``{"cancel": id}``, which may
come too late; the end of the input ends the process. Out: frames of one letter, a big-endian length and
a payload: ``R`` ready (the sample rate), ``V`` visemes (JSON), ``A`` audio (s16le mono), ``E`` end,
``F`` failed (why; instead of ``R``, or of ``E``). A frame of visemes comes before the audio in which they
sound. Sources: espeak-ng's ``speak_lib.h``.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO
from unicodedata import category

_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_CHARS_UTF8, _END_PAUSE = 0x0001, 0x1000
_RATE, _VOLUME = 1, 2
_EVENT_END, _EVENT_WORD, _EVENT_SENTENCE, _EVENT_PHONEME = 0, 1, 2, 7
_BUFFER_MS = 50
_HEADROOM = 65  # Percent of the usual volume, at which some voices reach full scale and are clipped.
_QUIET = 300  # RMS of what counts as silence: the echo of some voices is below, their speech far above.
_LONGEST_HOLD = 0.1  # Seconds of silence in a word before its first sound bursts; a longer one is a pause.
_SAMPLE_WIDTH = 2


class _Id(ctypes.Union):
    # "string" is no C string: a name of eight bytes or more fills it without a closing zero.
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_ubyte * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # From 1, in code points.
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),  # From the start of the text.
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Output:
    """Where the frames go."""

    def __init__(self) -> None:
        while os.open(os.devnull, os.O_RDWR) <= 2:  # noqa: PLR2004 - a closed one would be given to the frames
            pass
        # Whatever the library prints goes to standard error: between frames it would be read as one.
        self._file: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Write one frame; where nobody reads any more, end the process."""
        try:
            self._file.write(struct.pack(">cI", kind, len(payload)) + payload)
            self._file.flush()
        except OSError:
            os._exit(0)  # At once: an exception would not get out of the library's callback.


class Cancellation:
    """Which requests are not wanted any more: all up to an id."""

    def __init__(self) -> None:
        self.up_to = 0.0


class Utterance:
    """Collects audio and events of one text, and sends them word by word.

    Only when a word is over is it known over how many sounds its characters spread.
    """

    def __init__(self, number: int, text: str, sample_rate: int, output: Output) -> None:
        self.number = number
        self._text = text
        self._length = len(text)
        self._sample_rate = sample_rate
        self._output = output
        self._pcm = bytearray()
        self._sent = 0
        self._sounds: list[tuple[str, int]] = []
        self._word = (0, 1)
        self._linked = -1  # The sample at which the word before had its last sound.
        self._index = 0

    def take(self, pcm: bytes, events: list[tuple[int, int, int, int, str]]) -> None:
        """Take what espeak-ng made next."""
        self._pcm += pcm
        for kind, position, length, sample, sound in events:
            if kind in (_EVENT_WORD, _EVENT_SENTENCE):
                self._stretch_word(position - 1)
                self.finish_word(sample)
            if kind == _EVENT_WORD:
                self._word = (min(max(position - 1, 0), self._length - 1), max(length, 1))
            if kind == _EVENT_PHONEME:
                self._sounds.append((sound, sample))

    def finish(self) -> None:
        """Send the rest."""
        self._stretch_word(self._length)
        self.finish_word()

    def _stretch_word(self, following: int) -> None:
        """Let the current word reach to the last letter before the next: "of the" is reported as "of"."""
        first, length = self._word
        behind = range(first + length, min(following, self._length))
        letters = [index for index in behind if self._text[index].isalnum()]
        if letters:
            self._word = (first, letters[-1] + 1 - first)

    def finish_word(self, until: int | None = None) -> None:
        """Send the current word's visemes and its audio: all that there is, or up to a sample.

        What comes after that sample belongs to the next word, whose visemes must be ahead of it.
        """
        size = len(self._pcm) if until is None else max(0, until * _SAMPLE_WIDTH - self._sent)
        pcm = bytes(self._pcm[:size])
        del self._pcm[:size]
        if visemes := self._visemes(pcm):
            self._output.send(b"V", json.dumps(visemes).encode())
        if pcm:
            self._output.send(b"A", pcm)
        self._sounds.clear()
        self._sent += len(pcm)

    def _visemes(self, pcm: bytes) -> list[tuple[int, str, float]]:
        sounds = self._named_sounds(pcm)
        spoken = sum(sound != "sil" for sound, _ in sounds) or 1
        first, length = self._word
        visemes = []
        number = 0
        for sound, sample in sounds:
            index = min(first + min(number * length // spoken, length - 1), self._length - 1)
            # Several words are spoken for the same characters where they are read out, such as digits.
            self._index = max(self._index, index)
            visemes.append((self._index, sound, sample / self._sample_rate))
            number += sound != "sil"
        return visemes

    def _named_sounds(self, pcm: bytes) -> list[tuple[str, int]]:
        """Return the word's sounds; one without a name is silence, unless it only links two others.

        The first one begins where the word does: a plosive is held before it bursts. But a last sound of the
        word before may still be heard there ("open at").
        """
        begin = self._sent // _SAMPLE_WIDTH
        closing = ("", begin + len(pcm) // _SAMPLE_WIDTH)
        named = []
        for (sound, sample), (_, end) in pairwise([*self._sounds, closing]):
            if sound or _is_quiet(pcm[(sample - begin) * _SAMPLE_WIDTH : (end - begin) * _SAMPLE_WIDTH]):
                named.append((sound or "sil", sample))
        first = next((number for number, (sound, _) in enumerate(named) if sound != "sil"), None)
        if first is not None and self._linked < begin > named[first][1] - self._sample_rate * _LONGEST_HOLD:
            named[: first + 1] = [(named[first][0], begin)]
        if named:
            self._linked = named[-1][1]
        return named


def _is_quiet(pcm: bytes) -> bool:
    """Return whether there is silence in ``pcm``: more than no samples, and nearly no sound."""
    samples = array.array("h", pcm)
    return bool(samples) and sum(value * value for value in samples) < _QUIET * _QUIET * len(samples)


class Espeak:
    """The library, initialized once in this process."""

    def __init__(self, cancellation: Cancellation, output: Output) -> None:
        import espeakng_loader  # Here, so that its absence is told like any other failure.

        self._cancellation = cancellation
        self._output = output
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        # espeak-ng cuts paths at 160 bytes, which a deep environment reaches; a relative one stays short.
        os.chdir(data.parent)
        options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        self.sample_rate: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, _BUFFER_MS, data.name.encode(), options
        )
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng can't be initialized")
        self._library.espeak_SetParameter(_VOLUME, _HEADROOM, 0)
        self._utterance: Utterance | None = None
        self._failure: Exception | None = None
        self._callback = _Callback(self._made)  # Kept: the library calls it as long as it lives.
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, number: int, text: str, voice: str, rate: int) -> None:
        """Send the speech of ``text``.

        Raises:
            RuntimeError: espeak-ng refuses the voice or the text, or what it made could not be read.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._utterance = Utterance(number, text, self.sample_rate, self._output)
        # Spaces, so that positions stay: a NUL would end the text, and others give the library commands.
        encoded = "".join(" " if category(char) == "Cc" else char for char in text).encode()
        size = ctypes.c_size_t(len(encoded) + 1)
        flags = _CHARS_UTF8 | _END_PAUSE
        if self._library.espeak_Synth(encoded, size, 0, 1, 0, flags, None, None) != 0:
            raise RuntimeError("espeak-ng can't speak this text")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise RuntimeError(f"espeak-ng's reply can't be read: {failure!r}") from failure
        self._utterance.finish()

    def _made(self, wave: Any, samples: int, events: Any) -> int:
        assert self._utterance is not None
        pcm = ctypes.string_at(wave, samples * _SAMPLE_WIDTH) if wave and samples > 0 else b""
        try:
            self._utterance.take(pcm, list(_read_events(events)))
        except Exception as error:  # noqa: BLE001 - kept for "speak": it would not get out of here
            self._failure = error
        return 0 if self._failure is None and self._utterance.number > self._cancellation.up_to else 1


def _read_events(events: Any) -> Iterator[tuple[int, int, int, int, str]]:
    index = 0
    while events[index].type != _EVENT_END:
        event = events[index]
        sound = _sound(bytes(event.id.string)) if event.type == _EVENT_PHONEME else ""
        yield event.type, event.text_position, event.length, event.sample, sound
        index += 1


def _sound(name: bytes) -> str:
    """Return a phoneme's name; of one that was cut at eight bytes, the whole characters."""
    return name.split(b"\0", 1)[0].decode(errors="ignore")


def _read_commands(commands: queue.Queue[dict[str, Any] | None], cancellation: Cancellation) -> None:
    for line in sys.stdin.buffer:
        command = json.loads(line)
        if "cancel" in command:
            cancellation.up_to = command["cancel"]
        else:
            commands.put(command)
    cancellation.up_to = float("inf")
    commands.put(None)


def _serve(espeak: Espeak, output: Output, commands: queue.Queue[dict[str, Any] | None]) -> None:
    while (command := commands.get()) is not None:
        try:
            espeak.speak(command["id"], command["text"], command["voice"], command["rate"])
        except RuntimeError as error:
            output.send(b"F", str(error).encode())
        else:
            output.send(b"E")


def main() -> None:
    """Serve until the input ends."""
    # These are for the server, which then ends this process.
    for name in {"SIGINT", "SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    output = Output()
    cancellation = Cancellation()
    try:
        espeak = Espeak(cancellation, output)
    except (ImportError, OSError, RuntimeError) as error:
        output.send(b"F", str(error).encode())
        return
    commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_read_commands, args=(commands, cancellation), daemon=True).start()
    output.send(b"R", str(espeak.sample_rate).encode())
    _serve(espeak, output, commands)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.resampling docs/resampling.png``: what becomes of a sweep at 44.1 kHz.

Three converters get the same sweep in pieces of 20 ms, as audio arrives: this plugin's, the one behind the
framework's ``set_input_format()``, and soxr at its highest quality. A spectrogram shows what comes out: one
line is the sweep, everything else is an alias or noise. Beside it stand levels: of the tone itself, and of
all that isn't the tone.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor._audio.resample import Resampler

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pcm = NDArray[np.int16]
Convert = Callable[[Pcm, int], Pcm]

_RATES = (24_000, 8_000)
_PIECE = SAMPLE_RATE // 50
_AMPLITUDE = 0.5 * 32_767
_SECONDS = 4.0
_TONE_SECONDS = 0.35
_TONES = 64
_FLOOR = -110.0
_COLOURS = {"this plugin": "#0072B2", "framework": "#D55E00", "soxr VHQ": "#666666"}


def ours(pcm: Pcm, rate: int) -> Pcm:
    """Convert as this plugin does."""
    resampler = Resampler(SAMPLE_RATE, rate)
    parts = [resampler.process(piece.tobytes()) for piece in _pieces(pcm)]
    return np.frombuffer(b"".join([*parts, resampler.flush()]), np.int16)


def framework(pcm: Pcm, rate: int) -> Pcm:
    """Convert as the framework's track does after ``set_input_format()``."""
    native = importlib.import_module("videosdk.agents.audio_native")
    converter = native.converter(in_rate=SAMPLE_RATE, in_channels=1, out_rate=rate, out_channels=1)
    return np.frombuffer(
        b"".join(bytes(converter.process(piece.tobytes())) for piece in _pieces(pcm)), np.int16
    )


def soxr(pcm: Pcm, rate: int) -> Pcm:
    """Convert with soxr at its highest quality."""
    stream = importlib.import_module("soxr").ResampleStream(SAMPLE_RATE, rate, 1, "int16", "VHQ")
    pieces = _pieces(pcm)
    last = len(pieces) - 1
    parts = [stream.resample_chunk(piece, last=place == last) for place, piece in enumerate(pieces)]
    return np.concatenate(parts).astype(np.int16)


CONVERTERS: dict[str, Convert] = {"this plugin": ours, "framework": framework, "soxr VHQ": soxr}


def _pieces(pcm: Pcm) -> list[Pcm]:
    return [pcm[start : start + _PIECE] for start in range(0, len(pcm), _PIECE)]


def sweep() -> Pcm:
    """Return a sweep from nothing to half of Lokutor's rate, as fast at each frequency."""
    time = np.arange(int(_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    phase = np.pi * (SAMPLE_RATE / 2 / _SECONDS) * time**2
    return np.asarray(np.sin(phase) * _AMPLITUDE, np.int16)


def tone(frequency: float) -> Pcm:
    """Return a tone, dithered, so that rounding is noise and no tone of its own."""
    time = np.arange(int(_TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(1).triangular(-1, 0, 1, len(time))
    return np.asarray(np.round(np.sin(2 * np.pi * frequency * time) * _AMPLITUDE + noise), np.int16)


def levels(converted: Pcm, rate: int, frequency: float) -> tuple[float, float]:
    """Return the level of the tone, and of all else, in dB of the tone that went in.

    Args:
        converted: What came out.
        rate: Its rate.
        frequency: That of the tone; above half of ``rate`` all that came out is an alias.
    """
    edge = rate // 20  # The beginning and the end of the tone are no tone.
    part = converted[edge : len(converted) - edge].astype(np.float64) / _AMPLITUDE
    time = np.arange(len(part)) / rate
    if frequency >= rate / 2:
        return _FLOOR, _decibels(np.mean(part**2))
    base = np.stack([np.sin(2 * np.pi * frequency * time), np.cos(2 * np.pi * frequency * time)], axis=1)
    weights = np.linalg.lstsq(base, part, rcond=None)[0]
    return _decibels(np.sum(weights**2) / 2), _decibels(np.mean((part - base @ weights) ** 2))


def _decibels(power: Any) -> float:
    """Return a power in dB of the power of a full tone."""
    return max(_FLOOR, float(10 * np.log10(max(float(power), 1e-20) * 2)))


def draw(path: Path) -> None:
    """Write the picture."""
    # Not at the top: it is slow to load, and whoever only converts needs none of it.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(_RATES), len(CONVERTERS) + 1, figsize=(15, 6.6), width_ratios=[1] * len(CONVERTERS) + [1.45]
    )
    given = sweep()
    for line, rate in zip(axes, _RATES, strict=True):
        for place, (name, convert) in enumerate(CONVERTERS.items()):
            _draw_spectrogram(line[place], convert(given, rate), rate, f"{name}, 44.1 to {rate / 1000:g} kHz")
        _draw_levels(line[-1], rate)
        line[0].set_ylabel("frequency out, kHz")
    for axis in axes[-1]:
        axis.set_xlabel("frequency in, kHz")
    figure.tight_layout()
    figure.savefig(path, dpi=80, facecolor="white")
    plt.close(figure)
    with Image.open(path) as picture:  # A third of the size, and no difference to the eye.
        picture.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def _draw_spectrogram(axes: Axes, pcm: Pcm, rate: int, title: str) -> None:
    window = 512
    nothing = np.random.default_rng(1).normal(scale=1e-6, size=len(pcm))  # Its logarithm can be taken.
    axes.specgram(
        pcm / _AMPLITUDE + nothing,
        NFFT=window,
        Fs=rate / 1000,
        noverlap=window - window * rate // 96_000,
        window=np.kaiser(window, 14),
        scale="dB",
        mode="psd",
        vmin=-130,
        vmax=-10,
        cmap="magma",
        # In place of time stands the frequency that goes in then.
        xextent=(0, SAMPLE_RATE / 2000),
    )
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(visible=False)


def _draw_levels(axes: Axes, rate: int) -> None:
    frequencies = np.linspace(100, SAMPLE_RATE / 2 - 200, _TONES)
    near = rate / 2 + np.linspace(-0.12, 0.12, 17) * rate / 2  # Where the slope is.
    frequencies = np.unique(np.concatenate([frequencies, near[near < SAMPLE_RATE / 2]]))
    for name, convert in CONVERTERS.items():
        found = np.array([levels(convert(tone(each), rate), rate, each) for each in frequencies])
        below = frequencies < rate / 2
        axes.plot(frequencies[below] / 1000, found[below, 0], color=_COLOURS[name], linewidth=1.6, label=name)
        axes.plot(
            frequencies / 1000, found[:, 1], color=_COLOURS[name], linewidth=1.2, linestyle=(0, (3, 1.5))
        )
    axes.axvline(rate / 2000, color="#BBBBBB", linewidth=0.8)
    axes.set_xlim(0, SAMPLE_RATE / 2000)
    axes.set_ylim(_FLOOR, 6)
    axes.set_title("tone (solid), all else (dashed), dB", fontsize=10, loc="left")
    axes.legend(fontsize=8, loc="center right")
    axes.grid(color="#EEEEEE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.resampling", description="Draw what becomes of a sweep."
    )
    parser.add_argument("picture", type=Path, help="where the picture goes (PNG)")
    draw(parser.parse_args(arguments).picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())

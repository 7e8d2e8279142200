"""The document as one picture: a panel for each moment, a bar for each plugin, a line for the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from .contenders import CONTENDERS, FLOOR
from .goals import OURS

_COLOURS = {
    "lokutor": "#0072B2",
    "lmnt": "#E69F00",
    "cartesia": "#999999",
    "elevenlabs": "#009E73",
    "deepgram": "#CC79A7",
}
"""From Okabe and Ito's palette: told apart with any kind of colour vision, and in grey."""
_INK, _FAINT = "#222222", "#666666"


@dataclass(frozen=True, slots=True)
class _Panel:
    """What one panel shows.

    Attributes:
        key: Key of the row.
        title: What it says.
        unit: Its unit.
        digits: Decimals shown.
        full: Where the axis ends; a longer bar is broken off and labelled.
    """

    key: str
    title: str
    unit: str
    digits: int = 0
    full: float | None = None


_HEADINGS = ("Until the caller hears the agent", "Until the agent stops, and what it costs")
_PANELS = (
    (
        _Panel("cold_heard", "First sound,\nfirst turn (cold)", "ms"),
        _Panel("warm_heard", "First sound,\nlater turns (warm)", "ms"),
        _Panel("after_reply_heard", "First sound right after\na barge-in (reply)", "ms"),
        _Panel("after_say_heard", "First sound right after\na barge-in (say)", "ms"),
        _Panel("tokens_heard", "From the first LLM token\nto the first sound", "ms"),
    ),
    (
        _Panel("stop", "Barge-in to the old\nreply's last sound", "ms", full=100),
        _Panel("synthesize_ends_stubborn", "Interrupted turn ends\nwhen the server hangs", "ms", 1, full=60),
        _Panel("sent_after", "Audio the server still sends\nafter a barge-in", "s", 1),
        _Panel("stall", "Event loop blocked by\na 20 s message", "ms", 1),
        _Panel("processor", "Processor time per\nsecond of audio", "ms", 1),
    ),
)


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write the picture of ``document`` to ``path``."""
    rows = {row["key"]: row for row in document["rows"]}
    longest = max(
        taken["p95"] for panel in _PANELS[0] for taken in [{"p95": 0.0}, *rows[panel.key]["spread"].values()]
    )
    names = [each.name for each in CONTENDERS if any(each.name in row["values"] for row in document["rows"])]
    figure, axes = plt.subplots(2, len(_PANELS[0]), figsize=(17, 8.2))
    figure.subplots_adjust(left=0.065, right=0.99, top=0.78, bottom=0.05, hspace=0.75, wspace=0.22)
    for line, panels in enumerate(_PANELS):
        for place, panel in enumerate(panels):
            shown = panel if line else replace(panel, full=longest)  # Moments are compared across.
            _draw_panel(axes[line][place], shown, rows[panel.key], names)
            axes[line][place].set_yticks(range(len(names)), names if place == 0 else [""] * len(names))
        top = axes[line][0].get_position().y1
        figure.text(0.012, top + 0.092, _HEADINGS[line], fontsize=13, fontweight="bold", color=_INK)
    figure.text(0.012, 0.953, "Lokutor beside VideoSDK's own TTS plugins", fontsize=17, color=_INK)
    figure.text(0.012, 0.918, _conditions(document), fontsize=10, color=_FAINT)
    figure.savefig(path, dpi=120, facecolor="white")
    plt.close(figure)


def _conditions(document: Mapping[str, Any]) -> str:
    parameters = document["parameters"]
    return (
        f"Shorter is better. The same synthetic voice for all, {parameters['round_trip_ms']:g} ms round "
        f"trip, first audio {parameters['server_first_audio_ms']:g} ms after the text; "
        f"medians of up to {parameters['samples']} turns, and a thin line to P95. "
        "Dashed: the floor, a raw WebSocket that is already open."
    )


def _draw_panel(axes: Axes, panel: _Panel, row: Mapping[str, Any], names: Sequence[str]) -> None:
    figures, floor = row["values"], row["values"].get(FLOOR)
    end = panel.full or max([*figures.values(), 1e-9])
    axes.set_title(f"{panel.title}, {panel.unit}", fontsize=10.5, loc="left", color=_INK, pad=16)
    axes.set_xlim(0, end * 1.3)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for place, name in enumerate(names):
        if name in figures:
            _draw_bar(axes, place, replace(panel, full=end), name, row)
        else:
            axes.text(0, place, " never heard", va="center", fontsize=10, style="italic", color=_FAINT)
    if floor is not None and floor > end / 10:  # Nearer to zero there is no place for it.
        _draw_floor(axes, floor, panel.digits)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=11)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_FAINT)


def _draw_bar(axes: Axes, place: int, panel: _Panel, name: str, row: Mapping[str, Any]) -> None:
    figure, p95, end = row["values"][name], row["spread"][name]["p95"], panel.full or 0.0
    axes.barh(place, min(figure, end), height=0.62, color=_COLOURS[name])
    if figure > end:
        _break_off(axes, place, end)
    shown = end
    if figure <= end:
        shown = max(figure, min(p95, end))
        axes.plot([figure, shown], [place, place], color=_INK, linewidth=1.0)
    weight = "bold" if name == OURS else "normal"
    label = f" {figure:,.{panel.digits}f}".replace(",", "\u2009")
    axes.text(shown, place, label, va="center", fontsize=11, fontweight=weight, color=_INK)


def _break_off(axes: Axes, place: int, end: float) -> None:
    """Draw two slanted strokes across a bar that is longer than its panel."""
    for shift in (0.80, 0.86):
        axes.plot([end * shift, end * (shift + 0.03)], [place + 0.4, place - 0.4], color="white", linewidth=3)


def _draw_floor(axes: Axes, floor: float, digits: int) -> None:
    axes.axvline(floor, color=_INK, linestyle=(0, (4, 3)), linewidth=1.3)
    axes.annotate(
        f"floor {floor:,.{digits}f}",
        (floor, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        color=_FAINT,
    )

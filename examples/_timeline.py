"""The picture of a call: a strip for each reply, with what was said, sent and heard on one time axis."""

from __future__ import annotations

import re
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from _recording import RATE, Recording, Samples, Turn, audible_span
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MultipleLocator

# Okabe and Ito's palette, the orange and the green a little darker: told apart without red and green as well.
AGENT = "#0072B2"
CALLER = "#C98200"
SENT = "#007F5F"
CUT = "#D55E00"
INK = "#222222"
FAINT = "#777777"
EARLIER = "#C3CFD8"
RULE = "#E6E6E6"

# How far each mouth shape opens, from 0 to 1, its color, and its name in the legend. The colors are Paul
# Tol's muted ones: told apart as well, and none of them means something else here.
MOUTHS = {
    "open_medium": (1.0, "#CC6677", "open"),
    "open_round": (0.8, "#882255", "round"),
    "tongue_up": (0.6, "#DDCC77", "tongue up"),
    "teeth_close": (0.45, "#88CCEE", "teeth close"),
    "lip_bite": (0.3, "#332288", "lip bite"),
    "lips_together": (0.12, INK, "lips together"),
    "closed": (0.05, "#999999", "silent"),
}

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "xtick.color": FAINT,
    "figure.facecolor": "white",
}
HALO = [withStroke(linewidth=2.5, foreground="white")]

# Inches. The height of the picture follows from the number of replies.
WIDTH = 14.0
HEAD = 0.95
OVERVIEW = 0.9
HEADING = 0.34
STRIP = 3.4
AXIS = 0.36
GAP = 0.22
LEFT, RIGHT = 0.92, 13.8

# Where the lanes of a strip lie, from 0 (bottom) to 1.
CALLER_LANE, CALLER_HEIGHT = 0.884, 0.064
CUT_LANE = 0.801
SENT_LANE, SENT_STEP, SENT_ROWS = 0.738, 0.05, 5
HEARD_LANE, HEARD_HEIGHT = 0.374, 0.109
WORDS_LANE, WORDS_STEP, WORDS_ROWS = 0.234, 0.047, 3
MOUTH_LANE, MOUTH_HEIGHT = 0.06, 0.046
LEAD = 0.35
"""Seconds shown before the first and after the last event of a strip."""

GUIDE = (
    "Each strip is a reply, all at the same scale. A green dot is a text on its way to Lokutor, "
    "the green line its first audio on the agent's track. Blue is what the caller then heard, "
    "and below it are its words and mouth shapes, each at the moment at which the plugin told it. "
    "Red is where the caller broke in, and what was left to fade."
)


def draw_timeline(recording: Recording, path: Path) -> None:
    """Draw a call and write it to a PNG file."""
    mpl.use("Agg")
    with plt.rc_context(STYLE):
        figure = _draw(recording)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _draw(recording: Recording) -> Figure:
    turns = [turn for turn in recording.turns if recording.heard(turn) and turn.requests]
    strip = HEADING + STRIP + AXIS + GAP
    top = HEAD + OVERVIEW + AXIS + GAP
    figure = plt.figure(figsize=(WIDTH, top + len(turns) * strip))
    _draw_title(figure, recording, turns)
    _draw_overview(_axes(figure, HEAD, OVERVIEW), recording, turns)
    spans = [_span(recording, turn) for turn in turns]
    seconds = max((end - start for start, end in spans), default=1.0)
    for number, (turn, span) in enumerate(zip(turns, spans, strict=True), 1):
        axes = _axes(figure, top + (number - 1) * strip + HEADING, STRIP)
        axes.set_xlim(span[0], span[0] + seconds)
        _draw_strip(axes, recording, turn, number)
        if span[1] < span[0] + seconds / 2:
            _draw_guide(axes, span[0] + seconds / 2)
    return figure


def _axes(figure: Figure, top: float, height: float) -> Axes:
    """Add axes over the whole width, at a distance in inches from the top."""
    whole = figure.get_figheight()
    axes = figure.add_axes(
        (LEFT / WIDTH, (whole - top - height) / whole, (RIGHT - LEFT) / WIDTH, height / whole)
    )
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    return axes


def _draw_title(figure: Figure, recording: Recording, turns: list[Turn]) -> None:
    height = figure.get_figheight()
    title = "A conversation, as the caller heard it"
    figure.text(LEFT / WIDTH, 1 - 0.42 / height, title, fontsize=19, weight="bold")
    waits = [wait for turn in turns if (wait := turn.wait) is not None]
    facts = [f"{recording.seconds:.0f} s, {len(turns)} replies"]
    if waits:
        facts.append(f"first audio {1000 * min(waits):.0f} to {1000 * max(waits):.0f} ms after the text")
    fades = [fade for turn in turns if (fade := recording.fade(turn)) is not None]
    facts += [f"silent {fade:.2f} s after the cut" for fade in fades]
    figure.text(LEFT / WIDTH, 1 - 0.7 / height, "   \u00b7   ".join(facts), fontsize=10.5, color=FAINT)


def _draw_overview(axes: Axes, recording: Recording, turns: list[Turn]) -> None:
    axes.set_xlim(0, recording.seconds)
    axes.xaxis.set_major_locator(MultipleLocator(5))
    _draw_lane(axes, "caller", 0.78, CALLER)
    _draw_lane(axes, "agent", 0.25, AGENT)
    _draw_wave(axes, recording.caller, (0.78, 0.2), CALLER, (0, recording.seconds))
    _draw_wave(axes, recording.agent, (0.25, 0.22), AGENT, (0, recording.seconds))
    for number, turn in enumerate(turns, 1):
        heard = recording.heard(turn)
        if heard:
            axes.text(heard[0], 0.47, str(number), color=AGENT, weight="bold", va="bottom")
        if turn.cut_at is not None:
            axes.axvline(turn.cut_at, color=CUT, lw=1.3)


def _span(recording: Recording, turn: Turn) -> tuple[float, float]:
    """Return the time that a strip has to show."""
    moments = [speech.start for speech in (turn.question, turn.interruption) if speech]
    moments += [speech.end for speech in (turn.question, turn.interruption) if speech]
    moments += [*(recording.heard(turn) or ()), *(request.at for request in turn.requests)]
    return min(moments) - LEAD, max(moments) + LEAD


def _draw_guide(axes: Axes, x: float) -> None:
    text = "\n".join(textwrap.wrap(GUIDE, 68))
    axes.text(x, 0.6, text, color=FAINT, fontsize=9.5, va="center", linespacing=1.6, backgroundcolor="white")
    _draw_legend(axes, x)


def _draw_legend(axes: Axes, x: float) -> None:
    """Draw each mouth shape with its name, from ``x`` on."""
    for opening, color, name in MOUTHS.values():
        _draw_mouth(axes, (x, x + 0.13), opening, color)
        label = axes.text(x + 0.17, MOUTH_LANE, name, color=FAINT, fontsize=8.5, va="center_baseline")
        x = _end(axes, label) + 0.13


def _draw_strip(axes: Axes, recording: Recording, turn: Turn, number: int) -> None:
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.grid(axis="x", color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    _draw_lane(axes, "caller", CALLER_LANE, CALLER)
    _draw_lane(axes, "text sent", SENT_LANE, SENT)
    _draw_lane(axes, "heard", HEARD_LANE, AGENT)
    _draw_lane(axes, "words", WORDS_LANE, AGENT)
    _draw_lane(axes, "mouth", MOUTH_LANE, AGENT)
    _draw_heading(axes, recording, turn, number)
    _draw_caller(axes, recording, turn)
    _draw_heard(axes, recording, turn)
    _draw_words(axes, turn)
    _draw_mouths(axes, recording, turn)
    _draw_earlier(axes, recording, turn, number)
    _draw_cut(axes, recording, turn)
    _draw_requests(axes, turn)


def _draw_heading(axes: Axes, recording: Recording, turn: Turn, number: int) -> None:
    heard = recording.heard(turn) or (0.0, 0.0)
    facts = [f"{heard[1] - heard[0]:.1f} s heard"]
    if turn.question is None:
        title = "The agent greets the caller"
    elif turn.cut_at is None:
        title = "The agent answers"
    else:
        title = "The agent answers at length, and the caller breaks in"
        facts.append(f"{_words(turn.sent)} of {_words(turn.planned)} words sent")
        facts.append(f"{len(turn.words)} of them heard")
        facts.append(f"the agent remembers {_words(turn.remembered or '')} of them")
    place = axes.annotate(
        f"{number}   {title}", (0, 1), (0, 7), "axes fraction", "offset points", fontsize=12, weight="bold"
    )
    beside = "   \u00b7   ".join(facts)
    axes.annotate(beside, (1, 0), (16, 0), place, "offset points", color=FAINT, fontsize=9.5, va="bottom")


def _words(text: str) -> int:
    return len(re.findall(r"[\w']+", text))


def _draw_caller(axes: Axes, recording: Recording, turn: Turn) -> None:
    for speech in (turn.question, turn.interruption):
        if speech:
            _draw_wave(
                axes, recording.caller, (CALLER_LANE, CALLER_HEIGHT), CALLER, (speech.start, speech.end + 0.1)
            )
            quote = f"\u201c{speech.text}\u201d"
            axes.text(speech.start, CALLER_LANE + CALLER_HEIGHT, quote, color=CALLER, va="bottom")
    if turn.question and turn.first_audio_at is not None:
        answered = turn.question.end, turn.first_audio_at
        _draw_distance(axes, answered, CALLER_LANE, f"answers after {answered[1] - answered[0]:.2f} s", FAINT)


def _draw_distance(axes: Axes, span: tuple[float, float], y: float, label: str, color: str) -> None:
    arrow = {"arrowstyle": "<->", "color": color, "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (span[0], y), (span[1], y), arrowprops=arrow)
    _note(axes, sum(span) / 2, y + 0.012, label, color, ha="center")


def _draw_requests(axes: Axes, turn: Turn) -> None:
    """Draw a dot for each text as it left, and the text beside it, in as many rows as they need."""
    ends: list[float] = []
    for request in turn.requests:
        row = _free_row(ends, request.at)
        y = SENT_LANE - min(row, SENT_ROWS - 1) * SENT_STEP
        axes.plot(request.at, y, "o", color=SENT, ms=3.5, zorder=4)
        if row == SENT_ROWS:
            continue  # No room left for its text: the dot alone has to do.
        label = _note(axes, request.at + 0.06, y, request.text, INK, va="center_baseline", fontsize=8)
        ends[row : row + 1] = [_fit(axes, label)]


def _free_row(ends: list[float], at: float) -> int:
    """Return the first row in which nothing reaches up to ``at``, given where the rows' texts end."""
    return next((row for row, end in enumerate(ends) if end < at - 0.05), len(ends))


def _fit(axes: Axes, label: Text) -> float:
    """Shorten a label until it ends inside the axes; return where it ends."""
    limit, whole = axes.get_xlim()[1], label.get_text()
    for length in range(len(whole), 0, -1):
        label.set_text(whole if length == len(whole) else whole[:length].rstrip() + "\u2026")
        if (end := _end(axes, label)) <= limit:
            return end
    return limit


def _end(axes: Axes, label: Text) -> float:
    return float(axes.transData.inverted().transform(label.get_window_extent())[1][0])


def _draw_heard(axes: Axes, recording: Recording, turn: Turn) -> None:
    heard = recording.heard(turn)
    if heard is None or turn.first_audio_at is None or turn.wait is None:
        return
    lane = HEARD_LANE, HEARD_HEIGHT
    _draw_wave(axes, recording.agent, lane, AGENT, (turn.first_audio_at, turn.cut_at or heard[1]))
    axes.plot([turn.first_audio_at] * 2, [HEARD_LANE - HEARD_HEIGHT, SENT_LANE], color=SENT, lw=1.1, zorder=3)
    label = f"first audio, {1000 * turn.wait:.0f} ms after the text"
    above = HEARD_LANE + HEARD_HEIGHT + 0.015
    _note(axes, turn.first_audio_at + 0.06, above, label, SENT)


def _draw_words(axes: Axes, turn: Turn) -> None:
    """Draw each word beside a line at the moment at which it was heard, in as many rows as they need."""
    ends: list[float] = []
    for word in turn.words:
        row = _free_row(ends, word.at)
        y = WORDS_LANE - min(row, WORDS_ROWS - 1) * WORDS_STEP
        axes.plot([word.at] * 2, [HEARD_LANE + HEARD_HEIGHT, y - 0.016], color=EARLIER, lw=0.8, zorder=1.5)
        if row == WORDS_ROWS:
            continue  # No room left for it: the line alone has to do.
        label = _note(axes, word.at + 0.02, y, word.text, INK, va="center_baseline", fontsize=8.5)
        ends[row : row + 1] = [_end(axes, label)]
    if turn.cut_at is not None and turn.words and turn.remembered == turn.heard_text:
        y = WORDS_LANE - min(_free_row(ends, turn.cut_at), WORDS_ROWS) * WORDS_STEP
        _note(axes, turn.cut_at + 0.06, y, "the agent remembers up to here", CUT, va="center_baseline")


def _draw_mouths(axes: Axes, recording: Recording, turn: Turn) -> None:
    """Draw each shape of the mouth from its moment to the next one's."""
    heard = recording.heard(turn)
    if heard is None:
        return
    moments = [mouth.at for mouth in turn.mouths] + [turn.cut_at or heard[1]]
    for mouth, span in zip(turn.mouths, pairwise(moments), strict=True):
        opening, color, _ = MOUTHS[mouth.shape]
        _draw_mouth(axes, span, opening, color)


def _draw_mouth(axes: Axes, span: tuple[float, float], opening: float, color: str) -> None:
    middle, width = sum(span) / 2, max(0.0, span[1] - span[0])
    axes.add_patch(Ellipse((middle, MOUTH_LANE), width, 2 * opening * MOUTH_HEIGHT, color=color, lw=0))


def _draw_earlier(axes: Axes, recording: Recording, turn: Turn, number: int) -> None:
    """Draw what was still heard of the reply before, where the caller broke in."""
    span = max(0.0, axes.get_xlim()[0]), turn.first_audio_at or 0.0
    if audible_span(recording.agent, *span):
        _draw_wave(axes, recording.agent, (HEARD_LANE, HEARD_HEIGHT), EARLIER, span)
        above = HEARD_LANE + HEARD_HEIGHT + 0.015
        _note(axes, span[0] + 0.06, above, f"reply {number - 1}", FAINT)


def _draw_cut(axes: Axes, recording: Recording, turn: Turn) -> None:
    heard = recording.heard(turn)
    if heard is None or turn.cut_at is None or turn.interruption is None:
        return
    _draw_wave(axes, recording.agent, (HEARD_LANE, HEARD_HEIGHT), CUT, (turn.cut_at, heard[1]))
    axes.plot([turn.cut_at] * 2, [0, CUT_LANE], color=CUT, lw=1.3, zorder=2)
    since = turn.interruption.start, turn.cut_at
    _draw_distance(axes, since, CUT_LANE, "", CUT)
    cut = f"cut {since[1] - since[0]:.2f} s after the caller began"
    _note(axes, turn.cut_at + 0.06, CUT_LANE, cut, CUT, va="center")
    silent = f"silent {heard[1] - turn.cut_at:.2f} s after the cut"
    _note(axes, heard[1] + 0.12, HEARD_LANE, silent, CUT, va="center")


def _note(axes: Axes, x: float, y: float, text: str, color: str, **style: Any) -> Text:
    """Write a label that stays legible over lines."""
    return axes.text(x, y, text, color=color, path_effects=HALO, **{"fontsize": 8.5, "va": "bottom", **style})


def _draw_lane(axes: Axes, name: str, y: float, color: str) -> None:
    across = axes.get_yaxis_transform()
    axes.annotate(
        name, (0, y), (-8, 0), across, "offset points", color=color, weight="bold", ha="right", va="center"
    )


def _draw_wave(
    axes: Axes, samples: Samples, lane: tuple[float, float], color: str, span: tuple[float, float]
) -> None:
    """Draw the envelope of a span, in columns of 5 ms; the loudest of the whole call fills the lane."""
    column = RATE // 200
    loudest = max(1, int(np.abs(samples.astype(np.int32)).max(initial=0)))
    first, last = (max(0, round(at * RATE / column)) for at in span)
    columns = samples[: len(samples) // column * column].reshape(-1, column)[first:last] / loudest
    if columns.size:
        at = (first + np.arange(len(columns)) + 0.5) * column / RATE
        y, height = lane
        axes.fill_between(at, y + height * columns.min(1), y + height * columns.max(1), color=color, lw=0.4)

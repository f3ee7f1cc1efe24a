"""A description as a picture: how each cost is spread, and what moves it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from space.colours import BASELINE, FEASIBLE, LIMIT, OTHER
from space.description import COSTS, CostWords, Description
from space.effects import Effect
from space.histogram import Histogram, histogram, number_of_steps
from space.sheets import shown_effects

_DPI = 120
_WIDTH = 13.0
_STEPS = 72
_HISTOGRAM_HEIGHT, _EFFECT_HEIGHT, _AROUND = 2.9, 0.36, 2.3
_SOFT = "#5b6876"
_LONGEST = 24
"""Letters of a label that have room beside its bar."""


_ROOM = 2.0
"""How far the axis of effects goes, in lengths of the longest bar: labels stand beside the bars."""


def picture_png(told: Description) -> bytes:
    """A PNG, 1560 pixels wide; the description must have costs."""
    return _saved(_figure(told), "png")


def picture_svg(told: Description) -> str:
    """The same as an element of a page, which needs nothing from elsewhere."""
    text = _saved(_figure(told), "svg").decode()
    return text[text.index("<svg") :]


def _figure(told: Description) -> Figure:
    shown = {words.name: shown_effects(told.found.costs[words.name].effects) for words in COSTS}
    heights = (_HISTOGRAM_HEIGHT, _EFFECT_HEIGHT * max(2, *map(len, shown.values())))
    figure = Figure(figsize=(_WIDTH, sum(heights) + _AROUND), dpi=_DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(2, len(COSTS), height_ratios=heights)
    for column, words in enumerate(COSTS):
        _draw_histogram(axes[0][column], told, words)
        _draw_effects(axes[1][column], shown[words.name], words)
    title = f"{told.space.name}: {told.looked_at}, for an image of {told.image}"
    figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold", parse_math=False)
    return figure


def _draw_histogram(axis: Axes, told: Description, words: CostWords) -> None:
    costs = told.found.costs[words.name].costs
    found = histogram(costs, number_of_steps(len(costs), _STEPS))
    limit = told.budget.limits.get(words.name)
    axis.stairs(found.counts, found.edges, fill=True, color=FEASIBLE if limit is None else OTHER)
    if found.is_log:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: words.short(cost)))
    axis.set_xlim(found.edges[0], found.edges[-1])
    axis.set_ylim(0, 1.28 * found.counts.max())
    axis.set_xlabel(f"{words.label} ({words.unit})")
    axis.set_ylabel("legal points")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    _plain(axis)
    cost = getattr(told.baseline, words.name)
    _mark(axis, found, cost, f"baseline {words.number(cost)}", BASELINE, height=0.93)
    if limit is not None:
        _fill_up_to(axis, found, limit)
        _mark(axis, found, limit, f"budget {limit:g}", LIMIT, height=0.83)


def _fill_up_to(axis: Axes, found: Histogram, limit: float) -> None:
    """What is within the budget, over what is not."""
    begun = found.edges[:-1][found.edges[:-1] < limit]
    edges = np.append(begun, min(limit, found.edges[-1]))
    if len(edges) > 1:
        axis.stairs(found.counts[: len(edges) - 1], edges, fill=True, color=FEASIBLE)


def _mark(axis: Axes, found: Histogram, cost: float, text: str, colour: str, height: float) -> None:
    """A line at a cost with its text; one that lies beyond the picture is told at its edge."""
    place = found.place(cost)
    if 0 <= place <= 1:
        axis.axvline(cost, color=colour, linewidth=1.4)
    else:
        text = f"◀ {text}" if place < 0 else f"{text} ▶"
    at_left = place < 0.6
    place = min(1.0, max(0.0, place))
    axis.annotate(
        text, (place, height), xycoords="axes fraction", xytext=(5 if at_left else -5, 0), textcoords="offset points",
        ha="left" if at_left else "right", va="center", color=colour, fontsize=9.5,
        bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def _draw_effects(axis: Axes, effects: Sequence[Effect], words: CostWords) -> None:
    """A bar an axis, from the mean cost of its cheapest choice to that of its dearest."""
    axis.set_title(f"What moves {words.label}", loc="left", fontsize=11)
    axis.set_xlabel(f"mean {words.label} of a choice, from the mean of all")
    places = range(len(effects))
    axis.barh(
        places, [effect.highest - effect.lowest for effect in effects], left=[effect.lowest for effect in effects],
        height=0.58, color=FEASIBLE,
    )  # fmt: skip
    axis.axvline(0, color=_SOFT, linewidth=0.8)
    axis.set_yticks(places, [effect.axis for effect in effects], parse_math=False)
    axis.set_ylim(max(1, len(effects)) - 0.4, -0.6)
    reach = max((max(-effect.lowest, effect.highest) for effect in effects), default=0.5)
    axis.set_xlim(-_ROOM * reach, _ROOM * reach)
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _plain(axis)
    for place, effect in zip(places, effects, strict=True):
        _beside(axis, effect.lowest, place, effect.cheapest, "right")
        _beside(axis, effect.highest, place, effect.dearest, "left")
        axis.annotate(
            f"{effect.explained:.1%}", (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=9
        )
    axis.annotate("of variance", (1.02, 1.02), xycoords="axes fraction", va="bottom", fontsize=8.5, color=_SOFT)


def _beside(axis: Axes, cost: float, place: int, label: str, side: str) -> None:
    text = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
    axis.annotate(
        text, (cost, place), xytext=(4 if side == "left" else -4, 0), textcoords="offset points", ha=side,
        va="center", fontsize=8.5, color=_SOFT, parse_math=False,
    )  # fmt: skip


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", alpha=0.25)
    axis.set_axisbelow(True)


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Text stays text in an SVG, in the fonts of the page; equal figures give equal files.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "space"}):
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()

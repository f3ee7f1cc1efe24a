"""The fronts as one PNG: accuracy against each cost, the front's points named below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.frame import HALF_WIDTH
from analysis.metrics import ACCURACY
from analysis.panel import FRONT_COLOUR, OTHER_COLOUR, Group, Panel, make_panel, shown_costs

_DPI = 120
_PANEL_WIDTH = 13 / 3
"""Inches."""
_MOST_NAMES = 12
_LETTERS = {4: 38, 3: 54, 2: 84}
"""Longest name that has room, by the number of names in a line."""
_OTHERS = "other variants"
_MARKERS = {"baseline": "D"}
_DUST: dict[str, Any] = {"markersize": 2.2, "alpha": 0.2, "markeredgewidth": 0}
"""How each of very many points is drawn: where there are more, it is darker."""
_BASELINE_INK = "#9a5300"


def front_png(frame: pd.DataFrame, title: str) -> bytes:
    """A PNG of a panel a cost, three of them 1560 pixels wide; numbers are the variants' places in the table.

    Without a complete trial the picture says so.
    """
    panels = [make_panel(frame, cost) for cost in shown_costs(frame)]
    named = _named(panels)
    columns = _name_columns(named)
    lines = -(-len(named) // columns)
    height = 4.3 + 0.2 * lines
    figure = Figure(figsize=(_PANEL_WIDTH * len(panels), height), dpi=_DPI, facecolor="white")
    axes = figure.subplots(1, len(panels), sharey=True)
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel)
    axes[0].set_ylabel(ACCURACY.title)
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
    told = "diamond: baseline   blue: front   bars: 95 % interval of the mean   numbers: places in the table"
    figure.text(0.988, 0.962, told, ha="right", fontsize=8.5, color="#5b6876")
    figure.tight_layout(rect=(0, (0.2 * lines + 0.12) / height, 1, 1))
    _name_points(figure, named, columns)
    return _encode(figure)


def _draw(axis: Axes, panel: Panel) -> None:
    column = panel.cost.column
    axis.set_xlabel(panel.cost.title)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    if panel.shown.empty:
        axis.text(0.5, 0.5, "no complete trial", ha="center", va="center", transform=axis.transAxes)
        return
    if panel.shaded is not None:
        axis.plot(panel.shaded[column], panel.shaded[ACCURACY.column], "o", color=OTHER_COLOUR, **_DUST)
    axis.step(panel.front[column], panel.front[ACCURACY.column], where="post", color=FRONT_COLOUR)
    for group in panel.groups:
        _draw_group(axis, panel, group)
    axis.ticklabel_format(useOffset=False)
    axis.margins(x=0.09 if panel.shaded is None else 0.16, y=0.1)  # places of many variants have many digits
    if panel.is_log:
        axis.set_xscale("log")


def _draw_group(axis: Axes, panel: Panel, group: Group) -> None:
    column = panel.cost.column
    x, y = group.rows[column], group.rows[ACCURACY.column]
    if group.bars:
        axis.errorbar(x, y, group.rows[HALF_WIDTH].fillna(0), fmt="none", ecolor=group.colour, elinewidth=0.8)
    axis.plot(x, y, _MARKERS.get(group.name, "o"), color=group.colour, markersize=0.65 * group.size)
    if group.name != _OTHERS:
        for place, row in group.rows.loc[panel.numbered(group)].iterrows():
            _number(axis, f"{place + 1}", row, column)  # type: ignore[operator]


def _number(axis: Axes, text: str, row: pd.Series[Any], column: str) -> None:
    """Above and left of a front's point is no other; the baseline's number goes below, out of the way."""
    offset, side = ((6, -12), "left") if row["is_baseline"] else ((-5, 4), "right")
    point = (row[column], row[ACCURACY.column])
    axis.annotate(text, point, xytext=offset, textcoords="offset points", ha=side, fontsize=9)


def _named(panels: Sequence[Panel]) -> pd.DataFrame:
    """The rows whose numbers stand in a panel."""
    groups = [
        group.rows.loc[panel.numbered(group)] for panel in panels for group in panel.groups if group.name != _OTHERS
    ]
    rows = pd.concat(groups).sort_index()
    return rows[~rows.index.duplicated()].head(_MOST_NAMES)


def _name_columns(named: pd.DataFrame) -> int:
    longest = max(map(len, named["label"]), default=0)
    return next((columns for columns, letters in _LETTERS.items() if longest <= letters), min(_LETTERS))


def _name_points(figure: Figure, named: pd.DataFrame, columns: int) -> None:
    most, height = _LETTERS[columns], figure.get_figheight()
    lines = -(-len(named) // columns)
    for position, (place, row) in enumerate(named.iterrows()):
        line, column = divmod(position, columns)
        label = row["label"] if len(row["label"]) <= most else row["label"][: most - 1] + "…"
        figure.text(
            0.04 + 0.96 / columns * column,
            (0.2 * (lines - line) - 0.1) / height,
            f"{place + 1}  {label}",  # type: ignore[operator]
            fontsize=8.5,
            color=_BASELINE_INK if row["is_baseline"] else "#333333",
            parse_math=False,
        )


def _encode(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

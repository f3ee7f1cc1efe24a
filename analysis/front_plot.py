"""A panel as plotly.js draws it: accuracy against a cost, a point a variant."""

from __future__ import annotations

import math
from html import escape

import pandas as pd

from analysis.frame import HALF_WIDTH
from analysis.metrics import ACCURACY, COLUMNS
from analysis.panel import FRONT_COLOUR, Group, Panel
from analysis.plotly_layout import Figure, layout
from analysis.shading import shading_trace
from analysis.words import Row, accuracy_text, difference_text, number_text, verdict_text

_SYMBOLS = {"baseline": "diamond"}
_FAINT = "99"
"""Opacity of error bars, as the last two digits of a colour."""


def front_figure(panel: Panel) -> Figure:
    """The panel's points with their 95 % bars, and the front's staircase.

    Points on the front carry their number in the table, which is their place in the frame from 1.
    """
    staircase = {
        "type": "scatter",
        "mode": "lines",
        "x": panel.front[panel.cost.column].tolist(),
        "y": panel.front[ACCURACY.column].tolist(),
        "line": {"shape": "hv", "color": FRONT_COLOUR, "width": 1.5},
        "hoverinfo": "skip",
    }
    shading = [] if panel.shaded is None else [shading_trace(panel, panel.shaded)]
    traces = [*shading, staircase, *(_points(panel, group) for group in panel.groups)]
    shape = layout(panel.cost.title, ACCURACY.title, log_x=panel.is_log)
    if panel.shaded is not None:
        shape["xaxis"] = {**shape["xaxis"], "range": _roomy(panel)}
    return {"data": traces, "layout": {**shape, "annotations": _baseline_names(panel)}}


def hover_text(row: Row) -> str:
    """A variant in the small HTML that plotly understands, what users wrote escaped."""
    lines = [
        *(f"<b>{escape(part)}</b>" for part in row["label"].split(", ")),
        f"accuracy {accuracy_text(row)} % over {row['seeds']} seed{'s' * (row['seeds'] != 1)}",
        f"{_cost(row, 'gmacs')}, {_cost(row, 'params')} parameters, trained in {_cost(row, 'train_time')}",
    ]
    if not math.isnan(row[COLUMNS["latency"].column]):
        lines.append(f"latency {_cost(row, 'latency')}")
    if row["verdict"]:
        lines += [f"{difference_text(row)} points to the baseline:", escape(verdict_text(row))]
    return "<br>".join([*lines, escape(row["arch_id"])])


def _cost(row: Row, name: str) -> str:
    return f"{number_text(COLUMNS[name], row[COLUMNS[name].column])} {COLUMNS[name].unit}"


def _points(panel: Panel, group: Group) -> Figure:
    rows = group.rows
    numbers = [str(place + 1) if told else "" for place, told in zip(rows.index, panel.numbered(group), strict=True)]
    numbered = group.name == "front"
    return {
        "type": "scatter",
        "mode": "markers+text" if numbered else "markers",
        "name": group.name,
        "x": rows[panel.cost.column].tolist(),
        "y": rows[ACCURACY.column].tolist(),
        "text": numbers if numbered else None,
        # Above and left of a point on the front there is no other.
        "textposition": "top left",
        "error_y": {
            "type": "data",
            "array": _nulls(rows[HALF_WIDTH]),
            "visible": group.bars,
            "thickness": 1,
            "width": 0,
            "color": group.colour + _FAINT,
        },
        "marker": {"color": group.colour, "size": group.size, "symbol": _SYMBOLS.get(group.name, "circle")},
        "hovertext": [hover_text(row) for row in rows.to_dict("records")],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _roomy(panel: Panel) -> list[float]:
    """The cost axis's ends, in its own scale, with room on the left for places of five digits."""
    values = panel.shown[panel.cost.column]
    low, high = float(values.min()), float(values.max())
    if panel.is_log:
        low, high = math.log10(low), math.log10(high)
    span = (high - low) or 1.0
    return [low - 0.16 * span, high + 0.04 * span]


def _baseline_names(panel: Panel) -> list[Figure]:
    """The baseline's name and number: below it, away from the nearer edge."""
    column = panel.cost.column
    middle = (panel.shown[column].min() + panel.shown[column].max()) / 2
    names: list[Figure] = []
    for place, row in panel.shown[panel.shown["is_baseline"]].iterrows():
        x, at_left = row[column], row[column] <= middle
        names.append(
            {
                "text": f"{place + 1} baseline",  # type: ignore[operator]
                "x": math.log10(x) if panel.is_log else x,
                "y": row[ACCURACY.column],
                "showarrow": False,
                "xanchor": "left" if at_left else "right",
                "xshift": 5 if at_left else -5,
                "yshift": -15,
                "borderpad": 1,
            }
        )
    return names


def _nulls(values: pd.Series[float]) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]

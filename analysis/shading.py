"""Variants that are too many for points: a panel's cells, the darker the more variants are in them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from analysis.metrics import ACCURACY, Metric
from analysis.panel import Panel
from analysis.plotly_layout import Figure

_CELLS = (72, 54)
"""Across and up: about five pixels each."""
_SHADES = [[0, "rgba(135, 149, 166, 0.18)"], [1, "rgba(75, 88, 104, 1)"]]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def shading_trace(panel: Panel, rows: pd.DataFrame) -> Figure:
    """Rows of a panel as plotly's heat map; shades are by the logarithm of the count, which the pointer tells."""
    costs, accuracies = rows[panel.cost.column].to_numpy(float), rows[ACCURACY.column].to_numpy(float)
    across = _edges(costs, _CELLS[0], is_log=panel.is_log)
    up = _edges(accuracies, _CELLS[1], is_log=False)
    counts = np.histogram2d(accuracies, costs, bins=(up, across))[0].astype(int)
    return {
        "type": "heatmap",
        "x": across.tolist(),
        "y": up.tolist(),
        "z": [[float(np.log10(count)) if count else None for count in row] for row in counts.tolist()],
        "text": [
            [_told(count, panel.cost, across[x : x + 2], up[y : y + 2]) for x, count in enumerate(row)]
            for y, row in enumerate(counts.tolist())
        ],
        "hoverinfo": "text",
        "hoverongaps": False,
        "colorscale": _SHADES,
        "showscale": False,
    }


def _edges(values: Numbers, cells: int, *, is_log: bool) -> Numbers:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.linspace(low - 0.5, low + 0.5, cells + 1)
    edges = np.geomspace(low, high, cells + 1) if is_log else np.linspace(low, high, cells + 1)
    edges[[0, -1]] = low, high  # rounding must leave no value out
    return edges


def _told(count: int, cost: Metric, across: Numbers, up: Numbers) -> str:
    if not count:
        return ""
    of_cost = " to ".join(f"{value:.{cost.digits}f}" for value in across)
    of_accuracy = " to ".join(f"{value:.{ACCURACY.digits}f}" for value in up)
    return f"{count:,} variant{'s' * (count != 1)}<br>accuracy {of_accuracy} %<br>{cost.label} {of_cost} {cost.unit}"

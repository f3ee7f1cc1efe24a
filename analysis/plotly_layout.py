"""What all the page's plots share, in the words of plotly.js; colours of text and grid are the page's."""

from __future__ import annotations

from typing import Any

Figure = dict[str, Any]
"""A plotly.js figure or trace: plain lists, numbers and texts."""


def layout(x_title: str, y_title: str, *, log_x: bool = False) -> Figure:
    """A layout with titled axes and a legend, hidden at first, below the plot."""
    return {
        "margin": {"l": 58, "r": 18, "t": 30, "b": 48},
        "hovermode": "closest",
        "showlegend": False,
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "xanchor": "left"},
        "xaxis": {
            "title": {"text": x_title},
            "nticks": 6,
            "automargin": True,
            "type": "log" if log_x else "linear",
        },
        "yaxis": {"title": {"text": y_title}, "nticks": 7, "automargin": True},
        "dragmode": "zoom",
    }

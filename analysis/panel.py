"""What a panel of accuracy against one cost shows, however it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.front import pareto_front
from analysis.metrics import ACCURACY, COLUMNS, Metric

ALWAYS_SHOWN = ("gmacs", "params", "train_time")
"""Costs that every study has, by metric."""
BASELINE_COLOUR, FRONT_COLOUR, OTHER_COLOUR = "#e07b00", "#2a78d6", "#8795a6"
_MOST_BARS = 30
"""Beyond so many variants, only the front and the baseline show their intervals: the others would be a hedge."""
MOST_POINTS = 2_000
"""More others than this are shown by how many there are in a place: as points they would hide one another."""
_APART = 0.05
"""Of a panel's height: the room of a number."""
_LOG_FROM = 20
"""A cost axis is logarithmic where the dearest variant costs more than this many times the cheapest."""


def shown_costs(frame: pd.DataFrame) -> tuple[str, ...]:
    """The costs of a variant frame that there is something to show of: latency only where it was measured."""
    return (*ALWAYS_SHOWN, *(("latency",) if frame[COLUMNS["latency"].column].notna().any() else ()))


@dataclass(frozen=True)
class Group:
    """Variants that are marked alike."""

    name: str
    rows: pd.DataFrame
    """Of the variant frame; their index is their place in the table, from 0."""
    colour: str
    size: int
    bars: bool
    """Whether their intervals are drawn."""


@dataclass(frozen=True)
class Panel:
    """A panel's variants, of which accuracy and cost are known."""

    cost: Metric
    shown: pd.DataFrame
    """All of them: accuracy, this cost and is_baseline."""
    front: pd.DataFrame
    """On the front of accuracy against this cost, the cheapest first."""
    groups: Sequence[Group]
    """Others, front and baseline, to be drawn in this order; no variant stands in two."""
    is_log: bool
    shaded: pd.DataFrame | None = None
    """Of `shown`, others that are too many to be drawn as points: they stand here rather than among the groups."""

    def numbered(self, group: Group) -> list[bool]:
        """Which of a group's rows carry their number: none that would be written over the one before.

        All do where there are few, whose places are numbers of one or two digits.
        """
        if self.shaded is None:
            return [True] * len(group.rows)
        height = self.shown[ACCURACY.column].max() - self.shown[ACCURACY.column].min()
        numbered: list[float] = []
        return [_is_apart(value, numbered, _APART * height) for value in group.rows[ACCURACY.column]]

    @property
    def span(self) -> str:
        """How far the cost axis really reaches, as it does not begin at 0."""
        values = self.shown[self.cost.column]
        if values.empty:
            return "not recorded"
        low, high = values.min(), values.max()
        reach = f"{low:.{self.cost.digits}f} to {high:.{self.cost.digits}f} {self.cost.unit}"
        if not 0 < low < high:
            return reach
        more = f"{high / low:.1f} times" if high >= 2 * low else f"+{100 * (high / low - 1):.1f} %"
        return f"{reach} ({more})"


def _is_apart(value: float, others: list[float], distance: float) -> bool:
    """Whether a value is far from all others; it is then one of them."""
    is_apart = all(abs(value - other) >= distance for other in others)
    if is_apart:
        others.append(value)
    return is_apart


def make_panel(frame: pd.DataFrame, cost: str) -> Panel:
    """The panel of a variant frame for a cost (a metric's name)."""
    entry = COLUMNS[cost]
    is_shown = frame[ACCURACY.column].notna() & frame[entry.column].notna()
    shown = frame.loc[is_shown, [ACCURACY.column, entry.column, "is_baseline"]]
    few = len(shown) <= _MOST_BARS
    on_front, is_baseline = pareto_front(shown, [ACCURACY.column], [entry.column]), shown["is_baseline"]
    others = shown[~on_front & ~is_baseline]
    shaded = others if len(others) > MOST_POINTS else None
    groups = (
        *([Group("other variants", frame.loc[others.index], OTHER_COLOUR, 7, few)] if shaded is None else []),
        Group("front", frame.loc[shown.index[on_front & ~is_baseline]], FRONT_COLOUR, 10, True),
        Group("baseline", frame.loc[shown.index[is_baseline]], BASELINE_COLOUR, 13, True),
    )
    low, high = shown[entry.column].min(), shown[entry.column].max()
    is_log = bool(0 < low * _LOG_FROM < high)
    return Panel(entry, shown, shown[on_front].sort_values(entry.column), groups, is_log, shaded)

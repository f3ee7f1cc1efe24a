"""Which variants are worth a look: the Pareto front, its knee, and the most accurate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from analysis.metrics import ACCURACY, metric

Gains: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
"""A row a variant, a column an objective; more is better."""
Places: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]


def pareto_front(frame: pd.DataFrame, maximise: Sequence[str], minimise: Sequence[str]) -> pd.Series[bool]:
    """A mask of the rows that no other row dominates, over columns to maximise and to minimise.

    A row dominates another if it is no worse in every column and better in one, so equal rows both stay.
    Rows that lack a number are never on the front. Raises ValueError without a column.
    """
    if not [*maximise, *minimise]:
        raise ValueError("a front needs at least one column to maximise or minimise, got none")
    gain = np.column_stack(
        [frame[name].to_numpy(float) for name in maximise] + [-frame[name].to_numpy(float) for name in minimise]
    )
    mask = np.zeros(len(frame), bool)
    mask[_undominated(gain, np.flatnonzero(np.isfinite(gain).all(axis=1)))] = True
    return pd.Series(mask, index=frame.index, dtype=bool)


def _undominated(gain: Gains, rows: Places) -> Places:
    """Those of the rows that no other of them dominates.

    Rows are asked in an order in which none is dominated by a later one, and each strikes out all that it dominates:
    the work is that of the front's length times the rows, not of the rows squared.
    """
    left = rows[np.lexsort(-gain[rows].T)]
    found = []
    while len(left):
        values, first = gain[left], gain[left[0]]
        found.append(left[(values == first).all(axis=1)])
        left = left[(values > first).any(axis=1)]
    return np.concatenate([rows[:0], *found])


def front_of(frame: pd.DataFrame, objectives: Sequence[str]) -> pd.Series[bool]:
    """The Pareto front over metrics by name, each in its own direction; ValueError for an unknown one."""
    metrics = [metric(name) for name in objectives]
    return pareto_front(
        frame,
        maximise=[entry.column for entry in metrics if entry.direction == "max"],
        minimise=[entry.column for entry in metrics if entry.direction == "min"],
    )


def best(frame: pd.DataFrame) -> int:
    """Index of the row with the highest mean accuracy, among equals the one with the fewest multiply-adds.

    Raises ValueError if no row has an accuracy.
    """
    rows = _with_accuracy(frame).sort_values([ACCURACY.column, "gmacs"], ascending=[False, True])
    return int(rows.index[0])


def knee(frame: pd.DataFrame, cost: str = "gmacs") -> int:
    """Index of the front's knee: where more of the cost (a metric's name) stops paying.

    The front is scaled so that its cheapest point is (0, 0) and its most accurate is (1, 1); the knee is the
    point farthest above the chord between them (Das, "On characterizing the knee of the Pareto curve", 1999).
    With fewer than three points, or none above the chord, there is no bend to find: then it is the front's
    point with the most accuracy per cost.
    Raises ValueError if no row has an accuracy.
    """
    column = metric(cost).column
    rows = _with_accuracy(frame)
    front = rows[pareto_front(rows, [ACCURACY.column], [column])].drop_duplicates([ACCURACY.column, column])
    if len(front) >= 3:
        above = _unit(front[ACCURACY.column]) - _unit(front[column])
        if above.max() > 1e-12:
            return _index(above)
    return _index(front[ACCURACY.column] / front[column])


def _with_accuracy(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame[frame[ACCURACY.column].notna()]
    if rows.empty:
        raise ValueError("a choice needs at least one complete trial, got none; run the sweep first")
    return rows


def _index(values: pd.Series[float]) -> int:
    return int(values.index[int(values.to_numpy().argmax())])


def _unit(values: pd.Series[float]) -> pd.Series[float]:
    return (values - values.min()) / (values.max() - values.min())

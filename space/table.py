"""A table over a few axes of a space, a row for each combination of their choices, and how tables are merged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from transxnet.columns import Column

Axes = tuple[int, ...]
"""Places of axes in their space, in increasing order; from row to row the last one's choices change fastest."""


MOST_ROWS = 4_000_000
"""Rows of the largest table that is worked out."""


class TooWide(ValueError):
    """A space in which so many choices matter together that no table holds their combinations."""


@dataclass(frozen=True)
class Table:
    """Numbers that depend on a few axes."""

    axes: Axes
    columns: Mapping[str, Column]
    """By name, a number a row; a column that is missing is 0 everywhere."""


@dataclass(frozen=True)
class DemandTable:
    """Where a demand is kept."""

    name: str
    """Of a rule, or of the field whose values it is about."""
    stage: int | None
    """Index of the stage that it looks at; None for a demand on the whole network."""
    axes: Axes
    kept: Column
    """Whether each combination of the axes' choices keeps it."""

    @property
    def share(self) -> float:
        """Share of all points of the space that keeps it, however many there are."""
        return float(self.kept.mean())


def number_of_rows(axes: Iterable[int], counts: Sequence[int]) -> int:
    """Rows of a table over these axes; `counts` has the number of choices of each axis of the space."""
    return math.prod(counts[axis] for axis in axes)


def require_rows(axes: Iterable[int], counts: Sequence[int]) -> None:
    """Raises TooWide if a table over these axes would have more than MOST_ROWS rows."""
    rows = number_of_rows(axes, counts)
    if rows > MOST_ROWS:
        raise TooWide(f"a table may have at most {MOST_ROWS:,} rows, got {rows:,}; drop choices")


def spread(values: Column, axes: Axes, wider: Axes, counts: Sequence[int]) -> Column:
    """A column over `axes` as an array with a dimension for each of `wider`: 1 long for an axis that it lacks."""
    return values.reshape([counts[axis] if axis in axes else 1 for axis in wider])


def summed(tables: Iterable[Table], name: str, wider: Axes, counts: Sequence[int]) -> Column:
    """A column over `wider`: the sum of what tables over some of these axes have of it."""
    total = np.zeros([counts[axis] for axis in wider], np.int64)
    for table in tables:
        if name in table.columns:
            total += spread(table.columns[name], table.axes, wider, counts)
    return total.ravel()


def merged(tables: Sequence[Axes], counts: Sequence[int], most_rows: int) -> dict[Axes, list[int]]:
    """The places of tables to merge, by the axes of what they become.

    Two are merged as long as that has up to `most_rows` rows, the smallest such pair first; a table over some of
    another's axes always joins it.
    """
    groups: dict[Axes, list[int]] = {}
    for place, axes in enumerate(tables):
        groups.setdefault(axes, []).append(place)
    while pair := _smallest_pair(list(groups), counts, most_rows):
        first, second = (groups.pop(axes) for axes in pair)
        groups.setdefault(_union(*pair), []).extend(first + second)
    return groups


def _smallest_pair(groups: Sequence[Axes], counts: Sequence[int], most_rows: int) -> tuple[Axes, Axes] | None:
    pairs = [
        (rows, pair)
        for pair in itertools.combinations(groups, 2)
        if (rows := number_of_rows(union := _union(*pair), counts)) <= most_rows or union in pair
    ]
    return min(pairs)[1] if pairs else None


def _union(first: Axes, second: Axes) -> Axes:
    return tuple(sorted({*first, *second}))

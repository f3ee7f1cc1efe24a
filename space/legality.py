"""How much of a space is legal, exactly, and legal points drawn uniformly, however large the space: axis by axis.

Demands look at few axes each. An axis is taken out by averaging over its choices in the product of all tables that
look at it, which leaves a table over their other axes; after the last axis one number is left, the legal share. Drawn
in the reverse order, each axis finds all that its chances depend on drawn before (variable elimination; for example
Koller and Friedman, Probabilistic Graphical Models, chapters 9 and 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from space.codes import Codes, Coding, rows_of
from space.table import Axes, DemandTable, number_of_rows, require_rows, spread
from transxnet.columns import Column

_NEVER = 2.0
"""A threshold that no draw from [0, 1) reaches."""


@dataclass(frozen=True)
class _Weights:
    """How much of what was taken out is legal with each combination of some axes' choices."""

    axes: Axes
    shares: Column


@dataclass(frozen=True)
class _Draw:
    """How an axis is drawn when those that it depends on have been."""

    axis: int
    given: Axes
    thresholds: Column
    """Shape (combinations of `given`, choices): the place of a draw from [0, 1) among them is the choice."""


class Legality:
    """The legal points of a space. Raises ValueError if there is none, and TooWide where rules bind too many axes."""

    def __init__(self, coding: Coding, demands: Sequence[DemandTable]) -> None:
        self._coding = coding
        self._demands = [_Weights(demand.axes, demand.kept.astype(np.float64)) for demand in demands]
        self.constrained = tuple(sorted({axis for demand in demands for axis in demand.axes}))
        """The axes that a demand looks at; every choice on the others is always legal."""
        self._draws, left = self._take_out(self.constrained)
        self.share = float(left[0])
        if not self.share:
            raise ValueError("a space must have a legal point, got none; drop a rule or add choices")

    def shares(self, axis: int) -> Column:
        """The legal share of the points with each choice on an axis; 0 for a choice that is never legal."""
        if axis not in self.constrained:
            return np.full(self._coding.counts[axis], self.share)
        return self._take_out([other for other in self.constrained if other != axis])[1]

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Points drawn uniformly from the legal ones, with replacement."""
        codes = self._coding.draw(n, rng)
        for step in reversed(self._draws):
            chances = step.thresholds.T
            rows = rows_of(codes, step.given, self._coding.counts)
            drawn = rng.random(n)
            codes[step.axis] = 0
            for thresholds in chances[:-1]:
                codes[step.axis] += drawn >= thresholds.take(rows)
        return codes

    def _take_out(self, axes: Sequence[int]) -> tuple[list[_Draw], Column]:
        """Take axes out of the demands: how each is drawn, in this order, and the legal shares that are left."""
        left, waiting, draws = list(self._demands), list(axes), []
        while waiting:
            axis = min(waiting, key=lambda axis: number_of_rows(_company(left, axis), self._coding.counts))
            waiting.remove(axis)
            require_rows(_company(left, axis), self._coding.counts)
            given = tuple(other for other in _company(left, axis) if other != axis)
            table = self._product([weights for weights in left if axis in weights.axes], (*given, axis))
            draws.append(_Draw(axis, given, _thresholds(table)))
            left = [weights for weights in left if axis not in weights.axes] + [_Weights(given, table.mean(axis=1))]
        remaining = tuple(sorted({axis for weights in left for axis in weights.axes}))
        return draws, self._product(left, remaining).ravel()

    def _product(self, parts: Sequence[_Weights], axes: Axes) -> Column:
        """The product of some weights over `axes`, of which the last is set apart: shape (combinations, choices)."""
        counts = self._coding.counts
        product = np.ones([counts[axis] for axis in axes])
        for weights in parts:
            kept = tuple(axis for axis in axes if axis in weights.axes)
            in_order = np.transpose(
                weights.shares.reshape([counts[axis] for axis in weights.axes]),
                [weights.axes.index(axis) for axis in kept],
            )
            product *= spread(in_order, kept, axes, counts)
        return product.reshape(-1, counts[axes[-1]]) if axes else product.reshape(1, 1)


def _company(left: Sequence[_Weights], axis: int) -> Axes:
    """An axis and all that it shares a table with."""
    return tuple(sorted({axis}.union(*(weights.axes for weights in left if axis in weights.axes))))


def _thresholds(table: Column) -> Column:
    """Where a draw from [0, 1) passes from one choice to the next, so that choices come by their weights in a row."""
    totals = table.cumsum(axis=1)
    whole = np.where(totals[:, -1:] > 0, totals[:, -1:], 1)
    # No rounding may lead past the last choice of any weight.
    return np.where(totals >= totals[:, -1:], _NEVER, totals / whole)

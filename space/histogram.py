"""How costs are spread: counts of networks in equal steps, of the cost or, where it spans much, of its logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from transxnet.columns import Column

_LOG_FROM = 20
"""The axis is logarithmic where the dearest network costs more than this many times the cheapest."""


@dataclass(frozen=True)
class Histogram:
    """Counts of networks by their cost."""

    edges: Column
    """Of the steps, one more than there are steps."""
    counts: Column
    is_log: bool
    """Whether the steps are equal in the cost's logarithm."""

    def place(self, cost: float) -> float:
        """Where a cost stands: 0 at the first edge, 1 at the last, beyond them outside of both."""
        scale = np.log if self.is_log else float
        first, last = scale(self.edges[0]), scale(self.edges[-1])
        return float((scale(cost) - first) / (last - first))


def number_of_steps(points: int, most: int) -> int:
    """Steps that show the shape of so many points: fewer for few, so that not every point stands alone."""
    return max(1, min(most, math.ceil(3 * math.sqrt(points))))


def histogram(costs: Column, steps: int) -> Histogram:
    """The histogram of costs above 0, of which there is one at least, from the least to the greatest."""
    low, high = float(costs.min()), float(costs.max())
    if low == high:
        low, high = 0.95 * low, 1.05 * high
    is_log = high > _LOG_FROM * low
    edges = np.geomspace(low, high, steps + 1) if is_log else np.linspace(low, high, steps + 1)
    counts, _ = np.histogram(costs.clip(edges[0], edges[-1]), edges)
    return Histogram(edges, counts, is_log)

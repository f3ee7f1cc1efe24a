"""Which choice moves a cost, and by how much, over legal points of a space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space.points import Points
from transxnet.columns import Column


@dataclass(frozen=True)
class Effect:
    """What the choice on one axis does to a cost, the other axes being whatever they are."""

    axis: str
    cheapest: str
    """Label of the choice with the least mean cost, of those that any legal point makes."""
    dearest: str
    lowest: float
    """Mean cost of the points that make the cheapest choice, as a share of the mean of all, less 1."""
    highest: float
    explained: float
    """Share of the cost's variance that lies between the choices, 0 to 1; axes that a rule binds share theirs."""


def effects(points: Points, costs: Column) -> tuple[Effect, ...]:
    """The effect of each axis of several choices on a cost of at least one point, the strongest first."""
    axes = [pair for pair in zip(points.coding.axes, points.codes, strict=True) if len(pair[0].labels) > 1]
    found = [_effect(axis.name, axis.labels, codes, costs) for axis, codes in axes]
    return tuple(sorted(found, key=lambda effect: -effect.explained))


def _effect(axis: str, labels: tuple[str, ...], codes: Column, costs: Column) -> Effect:
    points = np.bincount(codes, minlength=len(labels))
    made = np.flatnonzero(points)
    means = np.bincount(codes, weights=costs, minlength=len(labels))[made] / points[made]
    mean, variance = costs.mean(), costs.var()
    between = (points[made] * (means - mean) ** 2).sum() / len(costs)
    low, high = int(means.argmin()), int(means.argmax())
    return Effect(
        axis,
        cheapest=labels[made[low]],
        dearest=labels[made[high]],
        lowest=float(means[low] / mean - 1),
        highest=float(means[high] / mean - 1),
        explained=float(between / variance) if variance > 0 else 0.0,
    )

"""What a space holds: how much of it is legal and affordable, and what its networks cost. Nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from space.budget import Budget
from space.costs import Costs
from space.effects import Effect, effects
from space.points import Points
from space.share import Share
from space.space import Space
from space.table import DemandTable
from transxnet.columns import Column

LISTED_UP_TO = 1_000_000
"""Points of the largest space that is looked at whole."""
BUILT = 1_000
"""Networks at most that are built, to see whether they differ."""


@dataclass(frozen=True)
class Spread:
    """How a number is spread over networks: its least and greatest value, and quantiles."""

    least: float
    low: float
    """A twentieth of the networks is below."""
    middle: float
    """The median."""
    high: float
    """A twentieth of the networks is above."""
    greatest: float


@dataclass(frozen=True)
class CostSurvey:
    """What was found of one cost, over the legal points that were looked at."""

    costs: Column = field(compare=False)
    """Of each point."""
    spread: Spread
    effects: tuple[Effect, ...]
    """Of each axis, the strongest first."""


@dataclass(frozen=True)
class Survey:
    """What was found in a space."""

    is_whole: bool
    """Whether every point was looked at; otherwise legal ones were drawn uniformly at random."""
    points: Points = field(compare=False)
    """The legal points that were looked at."""
    legal: Share
    """Share of all points that is legal."""
    feasible: Share | None
    """Share of the legal points within the budget; None without a budget, or where no legal point was found."""
    demands: Sequence[DemandTable] = field(compare=False)
    """What some point of the space breaks, with the exact share that does not; none where points are built instead."""
    built: int
    """Networks that were built to see whether they differ."""
    distinct: int
    """How many different ones they are."""
    costs: dict[str, CostSurvey]
    """By gmacs and params_m; nothing where no legal point was found."""
    never_legal: tuple[tuple[str, str], ...]
    """Axis and label of each choice that no legal point makes, as far as is known."""


def survey(space: Space, samples: int = 100_000, seed: int = 0, budget: Budget | None = None) -> Survey:
    """Look at every point of a space of up to a million, and at `samples` random ones of a larger space.

    A space whose points must be built is looked at whole up to 5,000 points, by 1,000 at most beyond. Equal seeds give
    equal surveys. Raises ValueError if `samples` is not above 0.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}; write for example 100000")
    rng = np.random.default_rng(seed)
    is_whole = space.size <= min(LISTED_UP_TO, space.prices.most_enumerated)
    points, legal = _all(space) if is_whole else _some(space, samples, rng)
    chosen = rng.choice(len(points), min(BUILT, len(points)), replace=False) if len(points) else ()
    return Survey(
        is_whole=is_whole,
        points=points,
        legal=legal,
        feasible=_feasible(points, budget, is_whole) if budget and budget.limits and len(points) else None,
        demands=space.prices.demands,
        built=len(chosen),
        distinct=len({points.arch(int(row)).id for row in chosen}),
        costs=_costs(points) if len(points) else {},
        never_legal=_never_legal(space, points, is_whole),
    )


def _all(space: Space) -> tuple[Points, Share]:
    points = space.enumerate()
    return points, Share.exactly(len(points) / space.size)


def _some(space: Space, samples: int, rng: np.random.Generator) -> tuple[Points, Share]:
    prices = space.prices
    if prices.legal_share is not None:
        return space.sample(samples, rng).points, prices.legal_share
    drawn = Costs(prices, prices.draw(min(samples, BUILT), rng))
    points = Points(drawn[drawn.is_legal], space.build)
    return points, Share.measured(len(points), len(drawn))


def _feasible(points: Points, budget: Budget, is_whole: bool) -> Share:
    hits = int(np.count_nonzero(budget.admits(points.costs)))
    return Share.exactly(hits / len(points)) if is_whole else Share.measured(hits, len(points))


def _costs(points: Points) -> dict[str, CostSurvey]:
    columns = {"gmacs": points.costs.gmacs, "params_m": points.costs.params_m}
    return {name: CostSurvey(costs, _spread(costs), effects(points, costs)) for name, costs in columns.items()}


def _spread(costs: Column) -> Spread:
    return Spread(*np.quantile(costs, [0, 0.05, 0.5, 0.95, 1]).tolist())


def _never_legal(space: Space, points: Points, is_whole: bool) -> tuple[tuple[str, str], ...]:
    """Exact where every point was looked at or tables know; of another space nothing is said."""
    found = []
    for place, axis in enumerate(space.axes):
        counted = np.bincount(points.codes[place], minlength=len(axis.labels))
        legal = counted if is_whole else space.prices.legal_shares(place)
        found += [(axis.name, label) for label, share in zip(axis.labels, legal, strict=True) if not share]
    return tuple(found)

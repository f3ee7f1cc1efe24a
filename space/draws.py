"""All legal points of a space that can be listed, and random ones of a space of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from space.codes import Codes, Coding
from space.costs import MAIN, Costs
from space.points import Points, Sample
from space.prices import Build, Prices
from space.share import Share

BLOCK = 16_384
"""Points at least that are listed at a time."""
BATCH = 65_536
"""Points at most that are drawn at a time."""
LISTED_UP_TO = 500_000
"""Points of the largest space that is listed before it is drawn from, so that the rarest feasible point is met."""

DRAWN_FOR_ONE = 100
"""Points that may be drawn for each one that is asked for, where those that may be drawn at least do not suffice."""

Feasible: TypeAlias = Callable[[Costs], Any]
"""From the costs of points to a mask."""


class NothingFeasible(ValueError):
    """A space of whose legal points none is feasible, or so few that chance does not meet them."""


def list_points(prices: Prices, build: Build, feasible: Feasible | None = None) -> Points:
    """All points that are legal, and feasible, the last axis changing fastest. Raises ValueError for too many."""
    size = prices.coding.size
    if size > prices.most_enumerated:
        raise ValueError(
            f"only a space of up to {prices.most_enumerated:,} points is listed, got {size:,}; draw a sample of it"
        )
    # Memory that is never written to is never taken: room for all points costs what the found ones need.
    codes = np.empty((len(prices.coding.axes), size), prices.coding.dtype)
    known = {name: np.empty(size, np.int64) for name in MAIN}
    end = 0
    for block in _blocks(prices.coding):
        found = _kept(_legal(Costs(prices, block)), feasible)
        start, end = end, end + len(found)
        codes[:, start:end] = found.codes
        for name, column in known.items():
            column[start:end] = found.column(name)
    return Points(Costs(prices, codes[:, :end], {name: column[:end] for name, column in known.items()}), build)


def sample_points(
    prices: Prices, build: Build, n: int, rng: np.random.Generator, feasible: Feasible | None = None
) -> Sample:
    """`n` points drawn uniformly, with replacement, from those that are legal, and feasible.

    Raises NothingFeasible, and ValueError unless `n` is above 0.
    """
    if n < 1:
        raise ValueError(f"a sample has at least 1 point, got {n}; write for example 1000")
    if feasible is not None and prices.coding.size <= min(LISTED_UP_TO, prices.most_enumerated):
        return _from_list(list_points(prices, build), n, rng, feasible)
    return _by_rejection(prices, build, n, rng, feasible)


def _from_list(legal: Points, n: int, rng: np.random.Generator, feasible: Feasible) -> Sample:
    found = legal[feasible(legal.costs)]
    if not len(found):
        raise NothingFeasible(f"a sample needs a feasible point, got none in {len(legal):,} legal ones; {_REMEDY}")
    size = legal.coding.size
    shares = Share.exactly(len(legal) / size), Share.exactly(len(found) / len(legal))
    return Sample(found[rng.integers(len(found), size=n)], *shares)


def _by_rejection(prices: Prices, build: Build, n: int, rng: np.random.Generator, feasible: Feasible | None) -> Sample:
    parts: list[Costs] = []
    tried = legal = hits = 0
    most = max(prices.most_drawn, DRAWN_FOR_ONE * n)
    while hits < n:
        if tried >= most:
            raise NothingFeasible(
                f"a sample of {n:,} points must be met in {most:,} random ones, "
                f"got {hits:,} that are feasible; {_REMEDY}, or draw fewer"
            )
        batch = min(most - tried, BATCH, BATCH if tried else n)
        drawn = Costs(prices, prices.draw(batch, rng))
        if prices.legal_share is None:
            drawn = _legal(drawn)
        parts.append(_kept(drawn, feasible))
        tried, legal, hits = tried + batch, legal + len(drawn), hits + len(parts[-1])
    return Sample(
        Points(Costs.joined(parts)[:n], build),
        prices.legal_share or Share.measured(legal, tried),
        Share.measured(hits, legal) if feasible else Share.exactly(1.0),
    )


_REMEDY = "raise the budget"


def _legal(costs: Costs) -> Costs:
    return costs[costs.is_legal]


def _kept(costs: Costs, feasible: Feasible | None) -> Costs:
    return costs[feasible(costs)] if feasible else costs


def _blocks(coding: Coding) -> Iterator[Codes]:
    """All points in order, at least BLOCK at a time: in each, the last axes go through all of their choices."""
    first = len(coding.axes)
    while first and np.prod(coding.counts[first:]) < BLOCK:
        first -= 1
    places = range(len(coding.axes))
    within = coding.combinations(places[first:])
    for outer in np.ndindex(coding.counts[:first]):
        block = np.empty((len(places), len(within[places[-1]])), coding.dtype)
        for place in places:
            block[place] = outer[place] if place < first else within[place]
        yield block

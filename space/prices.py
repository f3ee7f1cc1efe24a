"""What is known of a space's points by their codes: from tables, or else by building them one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from space.codes import Codes, Coding
from space.share import Share
from space.table import DemandTable, TooWide
from space.tables import BROKEN, COLUMNS, Tables
from transxnet.arch import ArchConfig
from transxnet.columns import Column
from transxnet.cost import estimate

Build = Callable[[Mapping[str, str]], ArchConfig]
"""From a point's labels to its network; raises ValueError for an illegal one."""


class Prices(Protocol):
    """Cost and legality of points, and how to draw them."""

    @property
    def coding(self) -> Coding:
        """What the codes mean."""

    @property
    def demands(self) -> Sequence[DemandTable]:
        """What a point may break, as far as that is known."""

    @property
    def legal_share(self) -> Share | None:
        """Share of all points that is legal: exact, and then `draw` gives legal points; None where it is not known."""

    @property
    def most_enumerated(self) -> int:
        """Points of the largest space that may be looked at whole."""

    @property
    def most_drawn(self) -> int:
        """Points that may be drawn in search of some that are feasible."""

    def add_up(self, codes: Codes, names: Sequence[str]) -> dict[str, Column]:
        """Columns of COLUMNS with a number for each point."""

    def legal_shares(self, axis: int) -> Column:
        """The legal share of the points with each choice on an axis, or 1 for all of them where it is not known."""

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Points drawn uniformly, with replacement, from the legal ones where `legal_share` is known, else from all."""


class Built:
    """A space that is known only by building its points."""

    demands: Sequence[DemandTable] = ()
    legal_share: Share | None = None
    most_enumerated = 5_000
    most_drawn = 5_000

    def __init__(self, coding: Coding, build: Build) -> None:
        self.coding = coding
        self._price = lru_cache(maxsize=self.most_drawn)(lambda codes: _price(build, coding.labels(codes)))

    def add_up(self, codes: Codes, names: Sequence[str]) -> dict[str, Column]:
        """Columns of COLUMNS with a number for each point."""
        prices = [self._price(tuple(point)) for point in codes.T.tolist()]
        return {name: np.array([price[name] for price in prices], np.int64) for name in names}

    def legal_shares(self, axis: int) -> Column:
        """Nothing is known of them."""
        return np.ones(self.coding.counts[axis])

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Points drawn uniformly from all, illegal ones included."""
        return self.coding.draw(n, rng)


def _price(build: Build, labels: Mapping[str, str]) -> dict[str, int]:
    try:
        cost = estimate(build(labels))
    except ValueError:
        return dict.fromkeys(COLUMNS, 0) | {BROKEN: 1}
    return {name: getattr(cost, name) for name in COLUMNS if name != BROKEN} | {BROKEN: 0}


def prices_of(coding: Coding, rules: tuple[str, ...], build: Build, match: str | None) -> Prices:
    """From tables, unless every network is built in its own way, or depends on too much at once."""
    if match is not None:
        return Built(coding, build)
    try:
        return Tables(coding, rules)
    except TooWide:
        return Built(coding, build)

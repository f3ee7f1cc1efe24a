"""Points of a space as columns: one of small whole numbers for each axis, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from space.codes import Codes, Coding
from space.costs import MAIN, Costs
from space.prices import Build
from space.share import Share
from transxnet.arch import ArchConfig
from transxnet.columns import Column


@dataclass(frozen=True)
class Points:
    """Legal points of a space."""

    costs: Costs
    build: Build

    def __len__(self) -> int:
        return len(self.costs)

    def __getitem__(self, rows: Any) -> Points:
        """Some of the points, by mask, slice or places."""
        return Points(self.costs[rows], self.build)

    @property
    def coding(self) -> Coding:
        """What the codes mean."""
        return self.costs.prices.coding

    @property
    def codes(self) -> Codes:
        """Shape (axes, points): the place, from 0, of each choice among its axis's choices."""
        return self.costs.codes

    def labels(self, row: int) -> dict[str, str]:
        """The choices of one point, by axis."""
        return self.coding.labels(self.codes[:, row].tolist())

    def arch(self, row: int) -> ArchConfig:
        """The network of one point."""
        return self.build(self.labels(row))

    def to_columns(self) -> dict[str, Column]:
        """The labels of each axis, params and macs: ready for a pandas.DataFrame."""
        axes = zip(self.coding.axes, self.codes, strict=True)
        labels = {axis.name: np.array(axis.labels, object)[codes] for axis, codes in axes}
        return labels | {name: self.costs.column(name) for name in MAIN}


@dataclass(frozen=True)
class Sample:
    """Points drawn uniformly, with replacement, from the legal and feasible points of a space."""

    points: Points
    legal: Share
    """Share of all points of the space that is legal."""
    feasible: Share
    """Share of the legal points that is feasible."""

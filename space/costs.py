"""What many points of a space cost, a numpy column for each number; what nobody asks for is never worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from space.codes import Codes
from space.prices import Prices
from space.tables import BROKEN, COLUMNS
from transxnet.columns import Column
from transxnet.cost_terms import OPERATORS

MAIN = ("params", "macs")
"""What is worked out together: who asks for one of them mostly asks for the other too."""


class Costs:
    """The costs of points: the columns of transxnet.cost.Cost, as far as they are exact."""

    def __init__(self, prices: Prices, codes: Codes, known: Mapping[str, Column] | None = None) -> None:
        self.prices = prices
        self.codes = codes
        self._known = dict(known or {})

    def __len__(self) -> int:
        return int(self.codes.shape[1])

    def __getitem__(self, rows: Any) -> Costs:
        """The costs of some of the points, by mask, slice or places."""
        return Costs(self.prices, self.codes[:, rows], {name: column[rows] for name, column in self._known.items()})

    @classmethod
    def joined(cls, parts: Sequence[Costs]) -> Costs:
        """The costs of the points of all parts, one part after the other."""
        known = set.intersection(*(set(part._known) for part in parts))
        columns = {name: np.concatenate([part._known[name] for part in parts]) for name in known}
        return cls(parts[0].prices, np.concatenate([part.codes for part in parts], axis=1), columns)

    @property
    def params(self) -> Column:
        """Learned values."""
        return self.column("params")

    @property
    def params_m(self) -> Column:
        """Learned values, in 10^6."""
        return self.params / 1e6

    @property
    def macs(self) -> Column:
        """Multiply-adds by fvcore's convention."""
        return self.column("macs")

    @property
    def gmacs(self) -> Column:
        """Multiply-adds by fvcore's convention, in 10^9."""
        return self.macs / 1e9

    @property
    def macs_published(self) -> Column:
        """Multiply-adds by the paper's counter."""
        return self.column("macs_published")

    @property
    def gmacs_published(self) -> Column:
        """Multiply-adds by the paper's counter, in 10^9."""
        return self.macs_published / 1e9

    @property
    def activations(self) -> Column:
        """Elements that convolutions and matrix products put out."""
        return self.column("activations")

    @property
    def is_legal(self) -> Column:
        """Which of the points are legal: a mask."""
        return np.equal(self.column(BROKEN), 0)

    def by_operator(self) -> dict[str, Column]:
        """Multiply-adds of each operator that fvcore counts, by fvcore's names."""
        return {name: self.column(name) for name in OPERATORS}

    def column(self, name: str) -> Column:
        """A number of Cost, macs or broken: for each point."""
        assert name in COLUMNS, name
        if name not in self._known:
            self._known |= self.prices.add_up(self.codes, MAIN if name in MAIN else (name,))
        return self._known[name]

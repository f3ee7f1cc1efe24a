"""Cost and legality of a space's points without building any: sums over small tables of a few axes each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from space.codes import Codes, Coding, Slot, rows_of
from space.legality import Legality
from space.reads import Watch
from space.refused import refused_choices
from space.share import Share
from space.table import Axes, DemandTable, Table, merged, number_of_rows, require_rows, summed
from space.terms import Formula, Term, cost_terms, demands
from transxnet.columns import Column
from transxnet.cost_terms import Cost

MERGED_ROWS = 32_768
"""Tables are merged up to so many rows: fewer are looked up a point, and each still stays in the processor's cache."""
CHUNK = 16_384
"""Points that are looked up at a time, so that all that is done to them stays in the cache."""

BROKEN = "broken"
"""The column of legality: how many demands a point breaks."""
COLUMNS = (*(field.name for field in dataclasses.fields(Cost) if field.compare), "macs", BROKEN)
"""What is known of a point: the exact numbers of a Cost, and how many demands it breaks."""


class Tables:
    """The tables of a space: its Prices. Raises TooWide."""

    most_enumerated = 10_000_000
    most_drawn = 10_000_000

    def __init__(self, coding: Coding, rules: tuple[str, ...]) -> None:
        self.coding = coding
        self._watch = Watch(coding)
        with np.errstate(divide="ignore", invalid="ignore"):  # of illegal points, whose cost nobody reads
            parts = [self._cost_table(term) for term in cost_terms()]
            kept = [self._demand_table(*key, formula) for key, formula in demands(rules).items()]
        self.demands = [table for table in (*refused_choices(coding), *kept) if not table.kept.all()]
        """Those that a point may break."""
        self._parts = parts + [Table(table.axes, {BROKEN: (~table.kept).astype(np.uint8)}) for table in self.demands]
        self._groups = merged([part.axes for part in self._parts], coding.counts, MERGED_ROWS)
        self._columns: dict[tuple[str, ...], dict[Axes, Column]] = {}
        self.legality = Legality(coding, self.demands)

    @property
    def legal_share(self) -> Share:
        """Share of all points that is legal."""
        return Share.exactly(self.legality.share)

    def legal_shares(self, axis: int) -> Column:
        """The legal share of the points with each choice on an axis."""
        return self.legality.shares(axis)

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Points drawn uniformly, with replacement, from the legal ones."""
        return self.legality.draw(n, rng)

    def add_up(self, codes: Codes, names: Sequence[str]) -> dict[str, Column]:
        """Columns of COLUMNS with a number for each point."""
        tables = self._merged(tuple(names))
        found = np.zeros((codes.shape[1], len(names)), _dtype(names))
        for start in range(0, len(found), CHUNK):
            part, total = codes[:, start : start + CHUNK].astype(np.int32), found[start : start + CHUNK]
            for axes, table in tables.items():
                # A row at a time, all columns at once; no row is out of range, so that clipping is only the quickest.
                total += table.take(rows_of(part, axes, self.coding.counts), axis=0, mode="clip")
        return {name: np.ascontiguousarray(column) for name, column in zip(names, found.T, strict=True)}

    def _merged(self, names: tuple[str, ...]) -> dict[Axes, Column]:
        """Tables of some columns, by their axes: shape (rows, columns)."""
        if names not in self._columns:
            self._columns[names] = {
                axes: table for axes, places in self._groups.items() if (table := self._sum(axes, places, names)).any()
            }
        return self._columns[names]

    def _sum(self, axes: Axes, places: Sequence[int], names: Sequence[str]) -> Column:
        counts, members = self.coding.counts, [self._parts[place] for place in places]
        columns = [summed(members, name, axes, counts) for name in names]
        return np.stack(columns, axis=1).astype(_dtype(names))

    def _cost_table(self, term: Term) -> Table:
        felt = (slot for slot in self._watch.reads(term.cost) if slot[0] is None or slot[1] in term.may_feel)
        axes = self._axes(felt)
        cost = term.cost(self.coding.networks(self.coding.combinations(axes)))
        rows = number_of_rows(axes, self.coding.counts)
        numbers = {name: getattr(cost, name) for name in COLUMNS if name != BROKEN}
        return Table(axes, {name: _filled(value, rows, np.int64) for name, value in numbers.items() if np.any(value)})

    def _demand_table(self, name: str, stage: int | None, formula: Formula) -> DemandTable:
        axes = self._axes(self._watch.reads(formula))
        kept = formula(self.coding.networks(self.coding.combinations(axes)))
        return DemandTable(name, stage, axes, _filled(kept, number_of_rows(axes, self.coding.counts), np.bool_))

    def _axes(self, slots: Iterable[Slot]) -> Axes:
        """The axes that vary any of these slots."""
        setters = self.coding.setters
        axes = tuple(sorted({setters[slot] for slot in slots if slot in setters}))
        require_rows(axes, self.coding.counts)
        return axes


def _dtype(names: Sequence[str]) -> Any:
    return np.uint8 if list(names) == [BROKEN] else np.int64


def _filled(value: Any, rows: int, dtype: Any) -> Column:
    """A column of its own, from one or from a value that all rows share."""
    column = np.empty(rows, dtype)
    column[:] = value
    return column

"""Widths that every choice of a space allows: networks scaled down to them differ in what was chosen alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from space.codes import Coding
from space.space import Space
from transxnet.bounds import MOST
from transxnet.columns import STAGE_FIELDS, Column, StageColumns
from transxnet.stage_rules import STAGE_RULES, StageRule

WIDER = 5
"""Widths are looked at up to so many times a stage's own."""


class CommonWidths:
    """For each stage the widths at which all that may be chosen there can be built, if it can at the stage's own."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._known: dict[tuple[int, int], Column] = {}

    def nearest(self, stage: int, own: int, wanted: float) -> int:
        """The one nearest to the `wanted` width for a stage, by index, of width `own`; of two the wider."""
        widths = self._widths(stage, own)
        distances = abs(widths - wanted)
        return int(widths[distances == distances.min()].max())

    def _widths(self, stage: int, own: int) -> Column:
        if (stage, own) not in self._known:
            widths = np.arange(1, min(WIDER * own, MOST["width"]) + 1)
            legal = np.ones(len(widths), dtype=bool)
            for rule in STAGE_RULES.values():
                if "width" in rule.fields:
                    for chosen in self._choices(rule, stage, own):
                        legal &= rule.holds(StageColumns({**chosen, "width": widths}))
            self._known[stage, own] = widths[legal]
        return self._known[stage, own]

    def _choices(self, rule: StageRule, stage: int, own: int) -> Iterator[dict[str, Any]]:
        """Stages that differ in what a rule looks at, of those that it allows at the stage's own width."""
        coding = self._coding
        slots = [(stage, field) for field in rule.fields if field != "width"]
        axes = sorted({coding.setters[slot] for slot in slots if slot in coding.setters})
        found = vars(coding.networks(coding.combinations(axes)).stages[stage])
        different: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in range(int(np.prod([coding.counts[axis] for axis in axes]))):
            values = {field: _at(found[field], row) for field in STAGE_FIELDS}
            different.setdefault(tuple(values[field] for _, field in slots), values)
        for values in different.values():
            if np.all(rule.holds(StageColumns({**values, "width": np.array([own])}))):
                yield values

    @cached_property
    def _coding(self) -> Coding:
        return Coding(self._space.base, self._space.axes)


def _at(values: Any, row: int) -> Any:
    """A row's value of a column, or the value that all rows share, as StageConfig would hold it."""
    value = values[row] if isinstance(values, np.ndarray) else values
    return value.item() if isinstance(value, np.generic) else value

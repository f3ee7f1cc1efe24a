"""Points of a space as small whole numbers, the places of their choices, and the columns of values these stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from space.axis import Axis
from transxnet.arch import ArchConfig
from transxnet.columns import STAGE_FIELDS, ArchColumns, Column, StageColumns, column
from transxnet.operators import WORDS

Codes: TypeAlias = np.ndarray[Any, Any]
"""Shape (axes, points): for each axis the place, from 0, of each point's choice among its choices."""

Slot: TypeAlias = tuple[int | None, str]
"""A field of a stage, by the stage's index, or of the whole network, under None."""

WHOLE_FIELDS = ("image_size", "stem_stride")
"""Fields of ArchConfig that an axis may set."""


@dataclass(frozen=True)
class Coding:
    """What the codes of a space's points mean."""

    base: ArchConfig
    axes: tuple[Axis, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of choices of each axis."""
        return tuple(len(axis.choices) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of points, illegal ones included."""
        return math.prod(self.counts)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of codes: the smallest that holds the most choices."""
        return np.min_scalar_type(max(self.counts) - 1)

    @cached_property
    def setters(self) -> Mapping[Slot, int]:
        """The one axis that varies each slot that varies."""
        found: dict[Slot, int] = {}
        for place, axis in enumerate(self.axes):
            for slot in _slots(axis):
                if len(set(self.values(place, slot))) > 1:
                    assert slot not in found, f"two axes set {slot}"
                    found[slot] = place
        return found

    def values(self, axis: int, slot: Slot) -> tuple[Any, ...]:
        """What a slot holds at each choice of an axis."""
        stage, field = slot
        own = getattr(self.base if stage is None else self.base.stages[stage], field)
        choices = self.axes[axis].choices
        return tuple((choice.whole if stage is None else choice.stages[stage]).get(field, own) for choice in choices)

    def networks(self, codes: Mapping[int, Codes]) -> ArchColumns:
        """The networks at codes by axis; an axis that is left out is at the base's own choice."""
        size = self._column((None, "image_size"), codes)
        return ArchColumns(
            stages=tuple(
                StageColumns({field: self._column((stage, field), codes) for field in STAGE_FIELDS})
                for stage in range(len(self.base.stages))
            ),
            image_size=size if isinstance(size, tuple) else (size[:, 0], size[:, 1]),
            stem_stride=self._column((None, "stem_stride"), codes),
            in_channels=self.base.in_channels,
            num_classes=self.base.num_classes,
        )

    def labels(self, codes: Sequence[int]) -> dict[str, str]:
        """The labels of one point's choices, by axis."""
        return {axis.name: axis.labels[code] for axis, code in zip(self.axes, codes, strict=True)}

    def combinations(self, axes: Sequence[int]) -> dict[int, Codes]:
        """Codes of all combinations of some axes' choices, the last axis changing fastest."""
        counts = [self.counts[axis] for axis in axes]
        return {axis: codes.ravel() for axis, codes in zip(axes, np.indices(counts, np.intp), strict=True)}

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """Points drawn uniformly from all, illegal ones included."""
        codes = np.empty((len(self.axes), n), self.dtype)
        for place, count in enumerate(self.counts):
            codes[place] = rng.integers(count, size=n, dtype=self.dtype)
        return codes

    def _column(self, slot: Slot, codes: Mapping[int, Codes]) -> Any:
        """A slot's values, or its one value where none of these axes varies it."""
        stage, field = slot
        axis = self.setters.get(slot)
        if axis is None or axis not in codes:
            return getattr(self.base if stage is None else self.base.stages[stage], field)
        return _as_column(field, self.values(axis, slot))[codes[axis]]


def rows_of(codes: Codes, axes: Sequence[int], counts: Sequence[int]) -> Column:
    """The row of each point in a table of all combinations of some axes' choices, the last axis changing fastest.

    Quickest with codes of int32, which rows are.
    """
    if not axes:
        return np.zeros(codes.shape[1], np.int32)
    rows: Column = codes[axes[0]].astype(np.int32)
    for axis in axes[1:]:
        rows *= counts[axis]
        rows += codes[axis]
    return rows


def _slots(axis: Axis) -> Iterable[Slot]:
    """What an axis sets, each once."""
    found: dict[Slot, None] = {}
    for choice in axis.choices:
        found |= dict.fromkeys((None, field) for field in choice.whole)
        for stage, part in enumerate(choice.stages):
            found |= dict.fromkeys((stage, field) for field in part)
    return found


def _as_column(field: str, values: Sequence[Any]) -> Column:
    # Words as fixed-width text: numpy compares that faster than objects.
    return np.array(values) if field in WORDS or field in WHOLE_FIELDS else column(field, values)

"""Many networks at once: a numpy column a field, from which cost and legality of all come in one go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from transxnet.arch import NUM_STAGES, ArchConfig, StageConfig, stage_grids
from transxnet.stage_numbers import Number, StageNumbers, are_sound_kernels

Column: TypeAlias = np.ndarray[Any, Any]

STAGE_FIELDS = tuple(field.name for field in dataclasses.fields(StageConfig))
_NUMBERS = {"int": np.int64, "float": np.float64, "bool": np.bool_}
_TYPES = {field.name: _NUMBERS.get(str(field.type), object) for field in dataclasses.fields(StageConfig)}


def column(field: str, values: Sequence[Any]) -> Column:
    """The column of a field of StageConfig with these values; ValueError is not raised for illegal ones."""
    dtype = _TYPES[field]
    if dtype is not object:
        return np.array(values, dtype=dtype)
    made = np.empty(len(values), dtype=object)
    made[:] = values  # a list of equally long tuples would otherwise become a table
    return made


class StageColumns(StageNumbers):
    """A stage of many networks: each field of StageConfig is a column, or one value that all share."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        vars(self).update({name: _shared(values) for name, values in fields.items()})
        kernels = vars(self)["ffn_kernels"]
        self._kernels = kernels if isinstance(kernels, tuple) else None
        if self._kernels is None:
            different, self._which = _distinct(kernels)
            self._different: Sequence[tuple[int, ...]] = different

    @property
    def ffn_scales(self) -> Number:
        """Number of MS-FFN kernels."""
        return self._of_kernels(len)

    @property
    def ffn_tap_sum(self) -> Number:
        """Taps of one kernel of each size of the MS-FFN, summed."""
        return self._of_kernels(lambda kernels: sum(kernel**2 for kernel in kernels))

    @property
    def ffn_first_taps(self) -> Number:
        """Taps of the MS-FFN's first kernel."""
        return self._of_kernels(lambda kernels: kernels[0] ** 2 if kernels else 0)

    @property
    def ffn_kernels_are_sound(self) -> Any:
        """Whether the MS-FFN's kernels are odd, and increase."""
        return self._of_kernels(are_sound_kernels)

    def _of_kernels(self, number: Any) -> Any:
        if self._kernels is not None:
            return number(self._kernels)
        return np.array([number(kernels) for kernels in self._different])[self._which]


def _shared(values: Any) -> Any:
    """The one value of a column of words or kernels where all rows have the same: comparing words is slow."""
    if not isinstance(values, np.ndarray) or values.dtype != object or not len(values):
        return values
    first, rows = values[0], values.tolist()
    return first if rows.count(first) == len(rows) else values


def _distinct(values: Column) -> tuple[list[Any], Column]:
    """The different values of an object column, and where each row's stands among them."""
    places: dict[Any, int] = {}
    which = np.array([places.setdefault(value, len(places)) for value in values.tolist()], dtype=np.intp)
    return list(places), which


@dataclass(frozen=True)
class ArchColumns:
    """Many networks: four StageColumns, and columns of what stands around them."""

    stages: tuple[StageColumns, ...]
    image_size: tuple[Number, Number]
    stem_stride: Number
    in_channels: Number
    num_classes: Number

    def grids(self, image_size: tuple[int, int] | None = None) -> tuple[tuple[Number, Number], ...]:
        """Height and width of each stage's map for an image of `image_size` (the tables' own by default)."""
        height, width = image_size or self.image_size
        return stage_grids(height, width, self.stem_stride)

    @classmethod
    def of(cls, archs: Sequence[ArchConfig]) -> ArchColumns:
        """The columns of these networks, a row each."""
        return cls(
            stages=tuple(
                StageColumns(
                    {name: column(name, [getattr(arch.stages[i], name) for arch in archs]) for name in STAGE_FIELDS}
                )
                for i in range(NUM_STAGES)
            ),
            image_size=(
                np.array([arch.image_size[0] for arch in archs]),
                np.array([arch.image_size[1] for arch in archs]),
            ),
            stem_stride=np.array([arch.stem_stride for arch in archs]),
            in_channels=np.array([arch.in_channels for arch in archs]),
            num_classes=np.array([arch.num_classes for arch in archs]),
        )

"""What a formula over networks depends on: the fields that it reads, found by watching it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from space.codes import WHOLE_FIELDS, Coding, Slot
from transxnet.columns import STAGE_FIELDS, ArchColumns, StageColumns

WATCHED = 512
"""Points at least that a formula is watched on, so that it meets operators in all their company."""

_OF_KERNELS = [name for name, value in vars(StageColumns).items() if isinstance(value, property)]
_FIELDS: Mapping[str, str] = {name: name for name in STAGE_FIELDS} | dict.fromkeys(_OF_KERNELS, "ffn_kernels")
"""Field that is read with an attribute of StageColumns; what it works out itself, it works out of the kernels."""


class Watch:
    """Runs formulas on random points of a space, each choice among them, and notes which slots they read."""

    def __init__(self, coding: Coding) -> None:
        rng = np.random.default_rng(0)
        cycle = np.arange(max(WATCHED, *coding.counts))
        codes = {axis: rng.permutation(cycle % count) for axis, count in enumerate(coding.counts)}
        networks = coding.networks(codes)
        self._read: set[Slot] = set()
        self._networks = _Networks(
            stages=tuple(_Stage(stage, place, self._read) for place, stage in enumerate(networks.stages)),
            image_size=networks.image_size,
            stem_stride=networks.stem_stride,
            in_channels=networks.in_channels,
            num_classes=networks.num_classes,
            read=self._read,
        )

    def reads(self, formula: Callable[[ArchColumns], Any]) -> frozenset[Slot]:
        """The slots that a formula reads."""
        self._read.clear()
        formula(self._networks)
        return frozenset(self._read)


class _Stage(StageColumns):
    """A stage that notes what is read of it."""

    def __init__(self, stage: StageColumns, place: int, read: set[Slot]) -> None:
        vars(self).update(vars(stage), noted=(place, read))

    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS:
            place, read = object.__getattribute__(self, "noted")
            read.add((place, _FIELDS[name]))
        return object.__getattribute__(self, name)


@dataclass(frozen=True)
class _Networks(ArchColumns):
    """Networks that note what is read of them beside their stages."""

    read: set[Slot] = field(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        if name in WHOLE_FIELDS:
            object.__getattribute__(self, "read").add((None, name))
        return object.__getattribute__(self, name)

"""Which points of a space a sweep may train: legal, within the budget, each network once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from db import ArchitectureRecord
from space import IllegalVariant, Space
from space.budget import Budget
from space.space import UnmatchedVariant
from transxnet.arch import ArchConfig
from transxnet.cost import Cost, estimate

__all__ = ["Budget", "Candidates", "EarlierVariant", "Variant", "architecture_record"]


@dataclass(frozen=True)
class Variant:
    """A network of the space, at the target's size."""

    labels: dict[str, str]
    """Choice by axis."""
    arch: ArchConfig
    cost: Cost | StoredCost

    @cached_property
    def id(self) -> str:
        """The architecture's."""
        return self.arch.id

    @property
    def is_stored(self) -> bool:
        """Whether the record has its architecture already."""
        return False

    @cached_property
    def record(self) -> ArchitectureRecord:
        """The row of its architecture."""
        assert isinstance(self.cost, Cost), "an earlier variant's row is given"
        return architecture_record(self.arch, cost=self.cost)


@dataclass(frozen=True)
class StoredCost:
    """What an architecture costs, as its row tells it."""

    record: ArchitectureRecord

    @property
    def params(self) -> int:
        """Learned values."""
        return self.record.params

    @property
    def params_m(self) -> float:
        """Learned values, in 10^6."""
        return self.record.params / 1e6

    @property
    def gmacs(self) -> float:
        """Multiply-adds by fvcore's convention, in 10^9."""
        return self.record.macs / 1e9

    @property
    def gmacs_published(self) -> float:
        """Multiply-adds by the paper's counter, in 10^9."""
        return self.record.macs_published / 1e9


class EarlierVariant(Variant):
    """A variant that the record knows: its network is built again only if it is asked for, for most never are."""

    def __init__(self, labels: Mapping[str, str], record: ArchitectureRecord) -> None:
        vars(self).update(labels=dict(labels), id=record.arch_id, cost=StoredCost(record), record=record)

    @cached_property
    def arch(self) -> ArchConfig:
        """Built from its description."""
        return ArchConfig.from_dict(self.record.description)

    @property
    def is_stored(self) -> bool:
        """It is."""
        return True


@dataclass
class Candidates:
    """Turns points into variants, and counts why points were refused."""

    space: Space
    budget: Budget
    refused: Counter[str] = field(default_factory=Counter)
    """Points refused, by reason."""
    taken: dict[str, dict[str, str]] = field(default_factory=dict)
    """Labels of the variants that were given out, by id."""

    def take(self, labels: dict[str, str]) -> Variant | None:
        """The variant at a point, or None if it is illegal, too expensive or was taken before."""
        variant = self._variant(labels)
        if isinstance(variant, str):
            self.refused[variant] += 1
            return None
        if variant is not None:
            self.taken[variant.id] = variant.labels
        return variant

    def baseline(self) -> Variant:
        """The space's baseline, whatever it costs: all others are compared with it."""
        labels = dict(self.space.baseline)
        arch = self.space.build(labels)
        self.taken[arch.id] = labels
        return Variant(labels, arch, estimate(arch))

    def untaken(self) -> Iterator[Variant]:
        """All that `take` would still give, in the order of the points; for spaces that can be enumerated."""
        for labels in self.space.points():
            if (variant := self.take(labels)) is not None:
                yield variant

    def _variant(self, labels: dict[str, str]) -> Variant | str | None:
        """The variant, why it is refused, or None for a point that was given out itself."""
        try:
            arch = self.space.build(labels)
        except UnmatchedVariant:
            return "no width matches the baseline's cost"
        except IllegalVariant:
            return "illegal"
        if (before := self.taken.get(arch.id)) is not None:
            return None if before == labels else "the same network as another"
        cost = estimate(arch)
        return self.budget.refusal(cost) or Variant(labels, arch, cost)


def architecture_record(
    arch: ArchConfig, latency_ms: float | None = None, cost: Cost | None = None
) -> ArchitectureRecord:
    """The row of an architecture, with its cost at its own image size, which is worked out unless it is known."""
    cost = cost or estimate(arch)
    costs = (cost.params, cost.macs, cost.macs_published, cost.activations)
    return ArchitectureRecord(arch.id, arch.to_dict(), *costs, latency_ms)

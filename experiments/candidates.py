"""Which points of a space a sweep may train: legal, within the budget, each network once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from db import ArchitectureRecord
from space import IllegalVariant, Space
from space.budget import Budget
from space.space import UnmatchedVariant
from transxnet.arch import ArchConfig
from transxnet.cost import estimate

__all__ = ["Budget", "Candidates", "Variant", "architecture_record"]


@dataclass(frozen=True)
class Price:
    """What an architecture costs at its own image size."""

    params: int
    macs: int
    macs_published: int
    activations: int

    @property
    def gmacs(self) -> float:
        """Multiply-adds by fvcore's convention, in 10^9."""
        return self.macs / 1e9

    @property
    def gmacs_published(self) -> float:
        """Multiply-adds by the paper's counter, in 10^9."""
        return self.macs_published / 1e9

    @property
    def params_m(self) -> float:
        """Learned values, in 10^6."""
        return self.params / 1e6


@dataclass(frozen=True)
class Variant:
    """A network of the space, at the target's size."""

    labels: dict[str, str]
    """Choice by axis."""
    id: str
    """The architecture's."""
    cost: Price
    read: Callable[[], ArchConfig] = field(compare=False, repr=False)
    """Gives the architecture: of many variants of the record nobody ever asks for it."""

    @classmethod
    def of(cls, labels: dict[str, str], arch: ArchConfig) -> Variant:
        """Of an architecture."""
        cost = estimate(arch)
        price = Price(cost.params, cost.macs, cost.macs_published, cost.activations)
        return cls(labels, arch.id, price, lambda: arch)

    @classmethod
    def stored(cls, labels: dict[str, str], row: ArchitectureRecord) -> Variant:
        """Of the record."""
        price = Price(row.params, row.macs, row.macs_published, row.activations)
        return cls(labels, row.arch_id, price, lambda: ArchConfig.from_dict(row.description))

    @cached_property
    def arch(self) -> ArchConfig:
        """The target architecture."""
        return self.read()

    def record(self) -> ArchitectureRecord:
        """The row of its architecture."""
        return ArchitectureRecord(self.id, self.arch.to_dict(), **vars(self.cost))


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

    def release(self, variant: Variant) -> None:
        """Take a variant back, which may then be given out again."""
        del self.taken[variant.id]

    def baseline(self) -> Variant:
        """The space's baseline, whatever it costs: all others are compared with it."""
        variant = Variant.of(dict(self.space.baseline), self.space.build(dict(self.space.baseline)))
        self.taken[variant.id] = variant.labels
        return variant

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
        variant = Variant.of(labels, arch)
        return self.budget.refusal(variant.cost) or variant


def architecture_record(arch: ArchConfig) -> ArchitectureRecord:
    """The row of an architecture, with its cost at its own image size."""
    return Variant.of({}, arch).record()

"""Which points of a space a sweep may train: legal, within the budget, each network once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from space import IllegalVariant, Space
from space.budget import Budget
from space.space import UnmatchedVariant
from transxnet.arch import ArchConfig
from transxnet.cost import Cost, estimate

__all__ = ["Budget", "Candidates", "Variant"]


@dataclass(frozen=True)
class Variant:
    """A network of the space, at the target's size."""

    labels: dict[str, str]
    """Choice by axis."""
    arch: ArchConfig
    cost: Cost

    @property
    def id(self) -> str:
        """The architecture's."""
        return self.arch.id


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

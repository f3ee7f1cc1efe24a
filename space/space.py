"""A space of networks: a base, the dimensions in which it may vary, and the rules that all must keep."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from space.axis import Axis
from space.base import read_base
from space.codes import Coding
from space.dimension import Dimension
from space.draws import Feasible, list_points, sample_points
from space.match import MATCHES, TOLERANCE, check_match, match_cost
from space.names import check_space_name
from space.points import Points, Sample
from space.prices import Prices, prices_of
from space.rules import RULES
from space.words import remedy, require_known
from transxnet.arch import ArchConfig

Labels = Mapping[str, str]
"""A point of a space: the label of the choice made on each axis."""


class IllegalVariant(ValueError):
    """A point of the space whose network cannot be built, or breaks a rule of the space."""


class UnmatchedVariant(IllegalVariant):
    """A point of a space with a `match` whose network costs what the base costs at none of its widths."""


@dataclass(frozen=True)
class Ineffective:
    """Choices on one axis that all build the same network, the other axes being at the baseline."""

    axis: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """All variants of a base. Raises ValueError where its parts do not fit or the base is not in it."""

    name: str
    about: str
    """The question that the space asks, in a sentence or two."""
    base: ArchConfig
    """The network that each point starts from; itself a point, the baseline."""
    base_name: str
    dimensions: tuple[Dimension, ...]
    rules: tuple[str, ...] = ()
    """Names in RULES that every network must keep, beyond being buildable."""
    match: str | None = None
    """The cost, in MATCHES, that variants have in common with the base, by their widths; None leaves them theirs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        object.__setattr__(self, "rules", tuple(self.rules))
        check_space_name(self.name)
        if not self.dimensions:
            raise ValueError(f"a space needs at least one dimension, got none in {self.name}; add one to dimensions")
        _require_once("field", [field for dimension in self.dimensions for field in dimension.fields])
        _require_once("dimension", [dimension.name for dimension in self.dimensions])
        for rule in self.rules:
            require_known(rule, RULES, "rule")
        if self.match is not None:
            check_match(self.match, [field for dimension in self.dimensions for field in dimension.fields])
        try:
            self.build(self.baseline)
        except IllegalVariant as error:
            raise ValueError(f"the base must be in its own space, but it breaks {error}; drop the rule") from error

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The choices that a variant makes, in the order of the dimensions and stages."""
        return tuple(axis for dimension in self.dimensions for axis in dimension.axes)

    @property
    def size(self) -> int:
        """Number of points, illegal ones included."""
        return math.prod(len(axis.labels) for axis in self.axes)

    @cached_property
    def baseline(self) -> Labels:
        """The point that builds the base."""
        return {axis.name: axis.label_of(self.base) for axis in self.axes}

    def build(self, labels: Labels) -> ArchConfig:
        """The network at a point, of the base's cost if the space has a `match`.

        Raises IllegalVariant if it cannot be built, matched or breaks a rule, plain ValueError if `labels` is none.
        """
        arch = self._matched(self.build_unmatched(labels))
        for name in self.rules:
            if not RULES[name].holds(arch):
                raise IllegalVariant(f"rule {name} of space {self.name}: {RULES[name].sentence}")
        return arch

    def build_unmatched(self, labels: Labels) -> ArchConfig:
        """The network at a point, of the base's widths though the space may have a `match`; no rule is asked.

        Raises IllegalVariant if it cannot be built, plain ValueError if `labels` is none.
        """
        whole, by_stage = self._changes(labels)
        stages = []
        for number, (stage, changes) in enumerate(zip(self.base.stages, by_stage, strict=True), start=1):
            try:
                stages.append(dataclasses.replace(stage, **changes))
            except ValueError as error:
                raise IllegalVariant(f"stage {number}: {error}") from error
        try:
            return dataclasses.replace(self.base, stages=tuple(stages), **whole)
        except ValueError as error:
            raise IllegalVariant(str(error)) from error

    def points(self) -> Iterator[dict[str, str]]:
        """Every point, illegal ones included, the last axis changing fastest."""
        names = [axis.name for axis in self.axes]
        for labels in itertools.product(*(axis.labels for axis in self.axes)):
            yield dict(zip(names, labels, strict=True))

    def enumerate(self, feasible: Feasible | None = None) -> Points:
        """Every legal point of which `feasible` says yes to its costs; raises ValueError for a space of too many."""
        return list_points(self.prices, self.build, feasible)

    def sample(self, n: int, rng: np.random.Generator, feasible: Feasible | None = None) -> Sample:
        """`n` points drawn uniformly, with replacement, from those that are legal, and feasible by their costs.

        Raises NothingFeasible where there are none, or so few that they are not met; ValueError unless `n` is above 0.
        """
        return sample_points(self.prices, self.build, n, rng, feasible)

    @cached_property
    def prices(self) -> Prices:
        """Cost and legality of its points by their codes: from tables, unless its networks are matched."""
        return prices_of(Coding(self.base, self.axes), self.rules, self.build, self.match)

    def ineffective(self) -> tuple[Ineffective, ...]:
        """Choices that change nothing in the network: axis by axis, the other axes being at the baseline."""
        found = []
        for axis in self.axes:
            labels_by_id = defaultdict(list)
            for label in axis.labels:
                try:
                    labels_by_id[self.build({**self.baseline, axis.name: label}).id].append(label)
                except IllegalVariant:
                    continue
            found += [Ineffective(axis.name, tuple(labels)) for labels in labels_by_id.values() if len(labels) > 1]
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and words, ready for JSON; `from_dict` is the inverse."""
        # Written down only where there is one, so that spaces stored before it was thought of are still the same.
        match = {} if self.match is None else {"match": self.match}
        return {
            "name": self.name,
            "about": self.about,
            "base": self.base.to_dict(),
            "base_name": self.base_name,
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "rules": list(self.rules),
            **match,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Space:
        """The space that `to_dict` or a YAML file described; raises ValueError for an unknown or missing key.

        `base` is whatever `read_base` reads; `dimensions` a list, or a mapping of name to the rest.
        """
        if not isinstance(plain, Mapping):
            raise ValueError(f"a space must be a mapping with keys name, about, base, dimensions, got {plain!r}")
        for key in plain:
            require_known(key, [field.name for field in dataclasses.fields(cls)], "key in space")
        for key in ("name", "about", "base", "dimensions"):
            if plain.get(key) is None:
                raise ValueError(f"a space must have the key {key}, got none; add {key}: ...")
        base, base_name = read_base(plain["base"])
        return cls(
            name=str(plain["name"]),
            about=" ".join(str(plain["about"]).split()),
            base=base,
            base_name=plain.get("base_name") or base_name,
            dimensions=_read_dimensions(plain["dimensions"]),
            rules=_read_rules(plain.get("rules") or []),
            match=plain.get("match"),
        )

    def _matched(self, arch: ArchConfig) -> ArchConfig:
        if self.match is None:
            return arch
        found = match_cost(arch, self.base, self.match)
        if not found.holds:
            raise UnmatchedVariant(
                f"no widths give it the base's {MATCHES[self.match].label} within {TOLERANCE:.0%}: the nearest, "
                f"{', '.join(map(str, found.arch.column('width')))}, depart by {found.departure:+.1%}"
            )
        return found.arch

    def _changes(self, labels: Labels) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What a point sets: fields of the whole network, and fields of each of the four stages."""
        if len(labels) != len(self.axes):
            raise self._not_a_point(labels)
        whole: dict[str, Any] = {}
        stages: list[dict[str, Any]] = [{} for _ in self.base.stages]
        for axis in self.axes:
            try:
                choice = axis.by_label[labels[axis.name]]
            except KeyError:
                raise self._not_a_point(labels) from None
            whole |= choice.whole
            for stage, part in zip(stages, choice.stages, strict=True):
                stage |= part
        return whole, stages

    def _not_a_point(self, labels: Labels) -> ValueError:
        """Why `labels` is not a point of this space."""
        axes = {axis.name: axis for axis in self.axes}
        for name, label in labels.items():
            if name not in axes:
                return ValueError(f"unknown axis {name!r} of space {self.name}; {remedy(name, axes)}")
            if label not in axes[name].labels:
                known = axes[name].labels
                return ValueError(f"unknown choice {label!r} for {name}; {remedy(str(label), known)}")
        missing = ", ".join(name for name in axes if name not in labels)
        return ValueError(f"a variant must choose on every axis of space {self.name}, got none for {missing}; add it")


def _require_once(what: str, names: list[str]) -> None:
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles:
        raise ValueError(f"two dimensions must not have one {what}, got {doubles[0]} twice; merge or drop one")


def _read_dimensions(plain: Any) -> tuple[Dimension, ...]:
    if isinstance(plain, Mapping):
        for name, rest in plain.items():
            if not isinstance(rest, Mapping):
                raise ValueError(f"dimension {name} must be a mapping with keys field, vary, choices, got {rest!r}")
        plain = [{"name": name, **rest} for name, rest in plain.items()]
    if not isinstance(plain, list | tuple):
        raise ValueError(f"dimensions must be a list or a mapping of name to dimension, got {plain!r}")
    return tuple(Dimension.from_dict(dimension) for dimension in plain)


def _read_rules(plain: Any) -> tuple[str, ...]:
    if not isinstance(plain, list | tuple):
        raise ValueError(f"rules must be a list of names, got {plain!r}; write for example [{next(iter(RULES))}]")
    return tuple(plain)

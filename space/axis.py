"""An axis: one choice that a variant makes, and what each choice sets in the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from space.fields import FIELDS
from transxnet.arch import NUM_STAGES, ArchConfig


@dataclass(frozen=True)
class Choice:
    """What one choice sets; everything else is the base's own."""

    stages: tuple[Mapping[str, Any], ...] = ({},) * NUM_STAGES
    """Fields of StageConfig with their values, for each of the four stages."""
    whole: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ArchConfig with their values."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that it sets, each once."""
        return tuple(dict.fromkeys(name for part in (*self.stages, self.whole) for name in part))

    def is_in(self, arch: ArchConfig) -> bool:
        """Whether an architecture has all the values that this sets."""
        parts = [*zip(arch.stages, self.stages, strict=True), (arch, self.whole)]
        return all(getattr(described, name) == value for described, part in parts for name, value in part.items())


@dataclass(frozen=True)
class Axis:
    """One choice that a variant makes, by label. Raises ValueError if two choices have one label."""

    name: str
    """Of the dimension, and of the stage where stages choose alone: osr_stride.stage1."""
    labels: tuple[str, ...]
    """Short words for the choices, in their order: 2, 2-2-3-4, 1+3+5+7."""
    choices: tuple[Choice, ...]
    """What each label stands for, in the order of the labels."""

    def __post_init__(self) -> None:
        doubles = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if doubles:
            raise ValueError(f"choices of {self.name} must differ, got {', '.join(doubles)} twice; drop the double")

    @cached_property
    def by_label(self) -> Mapping[str, Choice]:
        """Label to choice."""
        return dict(zip(self.labels, self.choices, strict=True))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that any of its choices sets, each once."""
        return tuple(dict.fromkeys(name for choice in self.choices for name in choice.fields))

    def label_of(self, base: ArchConfig) -> str:
        """The label of the choice that changes nothing in a base; raises ValueError if that is none, or several."""
        own = [label for label, choice in self.by_label.items() if choice.is_in(base)]
        if len(own) > 1:
            raise ValueError(f"choices of {self.name} must differ, got {', '.join(own)} all like the base; keep one")
        if not own:
            raise ValueError(
                f"a space must hold its base, with which its variants are compared; {self.name} has the choices "
                f"{', '.join(self.labels)} but the base has {self._told(base)}; {self._remedy}"
            )
        return own[0]

    @property
    def _remedy(self) -> str:
        several = len(self.fields) > 1
        return "add a choice that sets nothing: base: {}" if several else "add the base's value to the choices"

    def _told(self, base: ArchConfig) -> str:
        """The base's own values of the fields of this axis."""
        told = {name: self._label(name, base) for name in self.fields}
        return ", ".join(told.values() if len(told) == 1 else (f"{name} {label}" for name, label in told.items()))

    def _label(self, name: str, base: ArchConfig) -> str:
        field = FIELDS[name]
        if not field.per_stage:
            return field.kind.label(getattr(base, name))
        sets = [any(name in choice.stages[stage] for choice in self.choices) for stage in range(NUM_STAGES)]
        return field.label_four(tuple(value for value, is_set in zip(base.column(name), sets, strict=True) if is_set))

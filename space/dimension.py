"""A dimension: one field of the network, the choices for it, and whether stages choose alone or together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from space.fields import FIELDS, Field, Value
from space.words import require_known
from transxnet.arch import NUM_STAGES

STAGE_NAMES = tuple(f"stage{number}" for number in range(1, NUM_STAGES + 1))


class Vary(StrEnum):
    """How a dimension varies."""

    STAGE = "stage"
    """Each stage has its own choice."""
    TIED = "tied"
    """One choice, the same value in the four stages; the only way for a field of the whole network."""
    TUPLE = "tuple"
    """One choice among tuples of four values."""


@dataclass(frozen=True)
class Axis:
    """One choice that a variant makes, by label. Raises ValueError if two choices have one label."""

    name: str
    """Of the dimension, and of the stage where stages choose alone: osr_stride.stage1."""
    field: str
    stage: int | None
    """Index, from 0, of the stage that it sets; None sets the whole network."""
    labels: tuple[str, ...]
    """Short words for the choices, in their order: 2, 2-2-3-4, 1+3+5+7."""
    values: tuple[Any, ...]
    """What each label stands for: one value, or four where a field of stages is set in all of them."""

    def __post_init__(self) -> None:
        doubles = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if doubles:
            raise ValueError(f"choices of {self.name} must differ, got {', '.join(doubles)} twice; drop the double")

    @cached_property
    def choices(self) -> Mapping[str, Any]:
        """Label to value."""
        return dict(zip(self.labels, self.values, strict=True))


@dataclass(frozen=True)
class Dimension:
    """What may vary in one field. Raises ValueError where field, way of varying and choices do not fit."""

    field: str
    """A field of StageConfig, or stem_stride or image_size of ArchConfig."""
    vary: Vary
    choices: tuple[Any, ...]
    """Tied: values. Tuple: fours of values; one value stands for the same in the four stages. Stage: values
    for all stages, or four lists of values, or a mapping of stage1 .. stage4 to lists. Kept as a tuple of
    values (tied), of fours (tuple), of four tuples of values (stage)."""
    name: str = ""
    """What its axes are called; the field by default."""
    axes: tuple[Axis, ...] = dataclasses.field(init=False, repr=False, compare=False)
    """One axis, or four where each stage chooses alone."""

    def __post_init__(self) -> None:
        require_known(self.field, FIELDS, "field")
        require_known(self.vary, list(Vary), f"way to vary {self.field}:")
        field, vary, name = FIELDS[self.field], Vary(self.vary), self.name or self.field
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"a dimension's name must be letters, digits and _, got {name!r}; write {self.field}")
        if vary is not Vary.TIED and not field.per_stage:
            raise ValueError(f"{self.field} belongs to the whole network, got vary: {vary}; write vary: tied")
        choices = _READ[vary](field, self.choices)
        changes = {"vary": vary, "name": name, "choices": choices, "axes": _AXES[vary](field, name, choices)}
        for attribute, value in changes.items():
            object.__setattr__(self, attribute, value)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and words, ready for JSON; `from_dict` is the inverse."""
        return {
            "name": self.name,
            "field": self.field,
            "vary": str(self.vary),
            "choices": _plain(self.choices),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Dimension:
        """The dimension that a mapping with keys name, field, vary and choices describes; raises ValueError.

        One of name and field may be missing: it is then the other.
        """
        if not isinstance(plain, Mapping):
            raise ValueError(f"a dimension must be a mapping with keys field, vary, choices, got {plain!r}")
        for key in plain:
            require_known(key, ("name", "field", "vary", "choices"), "key in a dimension")
        name = plain.get("name") or plain.get("field")
        if name is None:
            raise ValueError(f"a dimension must name its field, got {dict(plain)}; add for example field: depth")
        for key in ("vary", "choices"):
            if key not in plain:
                raise ValueError(f"dimension {name} lacks {key}; add {key}: {_EXAMPLES[key]}")
        return cls(plain.get("field") or name, plain["vary"], plain["choices"], str(name))


_EXAMPLES = {"vary": "tied, or stage, or tuple", "choices": "[...]"}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _choices(field: Field, plain: Any) -> Sequence[Any]:
    if not isinstance(plain, list | tuple) or not plain:
        raise ValueError(
            f"choices of {field.name} must be a list of at least one, got {plain!r}; "
            f"write for example {[field.example]}"
        )
    return plain


def _read_tied(field: Field, plain: Any) -> tuple[Value, ...]:
    for choice in _choices(field, plain):
        if field.is_four(choice) and field.per_stage:
            raise ValueError(
                f"{field.name}: a choice must be one value, got {choice}; for four values write vary: tuple"
            )
    return tuple(field.read(choice) for choice in plain)


def _read_tuple(field: Field, plain: Any) -> tuple[tuple[Value, ...], ...]:
    return tuple(field.read_four(choice) for choice in _choices(field, plain))


def _read_stage(field: Field, plain: Any) -> tuple[tuple[Value, ...], ...]:
    return tuple(_read_tied(field, choices) for choices in _by_stage(field, plain))


def _by_stage(field: Field, plain: Any) -> Sequence[Any]:
    """The plain choices of each stage, from any of the three ways to write them."""
    if isinstance(plain, Mapping):
        for key in plain:
            require_known(key, STAGE_NAMES, f"stage in the choices of {field.name}:")
        plain = [plain[name] for name in STAGE_NAMES if name in plain]
    elif not any(field.is_four(choice) for choice in _choices(field, plain)):
        return [plain] * NUM_STAGES
    if len(plain) != NUM_STAGES:
        raise ValueError(
            f"choices of {field.name} need a list for each of the {NUM_STAGES} stages, got {len(plain)}; "
            f"write {NUM_STAGES} lists, or one list of values for all stages"
        )
    return list(plain)


_READ = {Vary.TIED: _read_tied, Vary.TUPLE: _read_tuple, Vary.STAGE: _read_stage}


def _tied_axes(field: Field, name: str, choices: tuple[Any, ...]) -> tuple[Axis, ...]:
    labels = tuple(field.kind.label(value) for value in choices)
    values = tuple((value,) * NUM_STAGES for value in choices) if field.per_stage else choices
    return (Axis(name, field.name, None, labels, values),)


def _tuple_axes(field: Field, name: str, choices: tuple[Any, ...]) -> tuple[Axis, ...]:
    labels = tuple(field.label_four(four) for four in choices)
    return (Axis(name, field.name, None, labels, choices),)


def _stage_axes(field: Field, name: str, choices: tuple[Any, ...]) -> tuple[Axis, ...]:
    return tuple(
        Axis(f"{name}.{STAGE_NAMES[stage]}", field.name, stage, tuple(map(field.kind.label, values)), values)
        for stage, values in enumerate(choices)
    )


_AXES = {Vary.TIED: _tied_axes, Vary.TUPLE: _tuple_axes, Vary.STAGE: _stage_axes}

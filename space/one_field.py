"""Dimensions of one field: how their choices are read and written, and the axes that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from space.axis import Axis, Choice
from space.fields import FIELDS, Field, Value
from space.words import require_known
from transxnet.arch import NUM_STAGES

STAGE_NAMES = tuple(f"stage{number}" for number in range(1, NUM_STAGES + 1))


def read_tied(name: str, plain: Any) -> tuple[Value, ...]:
    """Values of the field `name`."""
    return _values(_field(name), plain)


def read_tuple(name: str, plain: Any) -> tuple[tuple[Value, ...], ...]:
    """Fours of values; one value stands for the same in the four stages."""
    field = _field_of_stages(name, "tuple")
    return tuple(field.read_four(choice) for choice in _choices(field, plain))


def read_stage(name: str, plain: Any) -> tuple[tuple[Value, ...], ...]:
    """Four tuples of values, from values for all stages, four lists of values, or a mapping of stage1 .. stage4."""
    field = _field_of_stages(name, "stage")
    return tuple(_values(field, choices) for choices in _by_stage(field, plain))


def tied_axes(field: str, name: str, values: tuple[Any, ...]) -> tuple[Axis, ...]:
    """The axis `name` of these values."""
    kind = FIELDS[field].kind
    return (Axis(name, tuple(map(kind.label, values)), tuple(_everywhere(FIELDS[field], value) for value in values)),)


def tuple_axes(field: str, name: str, fours: tuple[Any, ...]) -> tuple[Axis, ...]:
    """The axis `name` of these fours of values."""
    choices = tuple(Choice(stages=tuple({field: value} for value in four)) for four in fours)
    return (Axis(name, tuple(map(FIELDS[field].label_four, fours)), choices),)


def stage_axes(field: str, name: str, by_stage: tuple[Any, ...]) -> tuple[Axis, ...]:
    """An axis for each stage: `name`.stage1 and so on."""
    return tuple(
        Axis(
            f"{name}.{STAGE_NAMES[stage]}",
            tuple(map(FIELDS[field].kind.label, values)),
            tuple(_in_stage(stage, field, value) for value in values),
        )
        for stage, values in enumerate(by_stage)
    )


def as_lists(choices: Any) -> Any:
    """Choices as plain lists, ready for JSON."""
    return [as_lists(part) for part in choices] if isinstance(choices, tuple) else choices


def _everywhere(field: Field, value: Value) -> Choice:
    parts = {field.name: value}
    return Choice(stages=(parts,) * NUM_STAGES) if field.per_stage else Choice(whole=parts)


def _in_stage(stage: int, field: str, value: Value) -> Choice:
    return Choice(stages=tuple({field: value} if index == stage else {} for index in range(NUM_STAGES)))


def _field(name: str) -> Field:
    require_known(name, FIELDS, "field")
    return FIELDS[name]


def _field_of_stages(name: str, vary: str) -> Field:
    field = _field(name)
    if not field.per_stage:
        raise ValueError(f"{name} belongs to the whole network, got vary: {vary}; write vary: tied")
    return field


def _choices(field: Field, plain: Any) -> Sequence[Any]:
    if not isinstance(plain, list | tuple) or not plain:
        raise ValueError(
            f"choices of {field.name} must be a list of at least one, got {plain!r}; "
            f"write for example {[field.example]}"
        )
    return plain


def _values(field: Field, plain: Any) -> tuple[Value, ...]:
    for choice in _choices(field, plain):
        if field.is_four(choice) and field.per_stage:
            raise ValueError(
                f"{field.name}: a choice must be one value, got {choice}; for four values write vary: tuple"
            )
    return tuple(field.read(choice) for choice in plain)


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

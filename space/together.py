"""Dimensions whose choices set several fields at once: how they are read and written, and the axis that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from space.axis import Axis, Choice
from space.fields import FIELDS, Field
from space.one_field import as_lists
from space.words import require_known
from transxnet.arch import NUM_STAGES

Settings = tuple[tuple[str, Any], ...]
"""Pairs of field and value, four values where each stage has its own, in the order of FIELDS."""


def read_together(name: str, plain: Any) -> tuple[tuple[str, Settings], ...]:
    """Pairs of label and settings, from a mapping of label to settings or from a list of such mappings."""
    parts = [plain] if isinstance(plain, Mapping) else plain
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, Mapping) for part in parts):
        raise ValueError(
            f"choices of {name} must be a mapping of label to the fields that it sets, got {plain!r}; "
            f"write for example plain: {{ffn: plain, dpe: off}}"
        )
    pairs = [pair for part in parts for pair in part.items()]
    read = tuple((_read_label(name, label), _read_settings(name, label, settings)) for label, settings in pairs)
    if not any(settings for _, settings in read):
        raise ValueError(f"choices of {name} must set a field, got none in all of them; add for example ffn: plain")
    return read


def together_axes(field: str, name: str, choices: tuple[tuple[str, Settings], ...]) -> tuple[Axis, ...]:
    """The axis `name` of these choices; `field` must be empty."""
    if field:
        raise ValueError(f"choices that set fields together have no field of their own, got {field}; drop field")
    return (Axis(name, tuple(label for label, _ in choices), tuple(_choice(settings) for _, settings in choices)),)


def as_mappings(choices: tuple[tuple[str, Settings], ...]) -> list[dict[str, Any]]:
    """Choices as plain mappings of one label each, in their order, ready for JSON."""
    return [{label: {name: _plain(FIELDS[name], value) for name, value in settings}} for label, settings in choices]


def _read_label(name: str, plain: Any) -> str:
    # YAML reads the words on and off, and numbers, as values.
    label = ("off", "on")[plain] if isinstance(plain, bool) else str(plain)
    if not re.fullmatch(r"[^\s,]([^,\n]*[^\s,])?", label):
        raise ValueError(f"a label of {name} must be words without a comma, got {label!r}; write for example plain")
    return label


def _read_settings(name: str, label: Any, plain: Any) -> Settings:
    settings = {} if plain is None else plain
    if not isinstance(settings, Mapping):
        raise ValueError(
            f"choice {label} of {name} must be a mapping of field to value, got {plain!r}; "
            f"write for example {{ffn: plain}}, or {{}} for the base"
        )
    for key in settings:
        require_known(key, FIELDS, f"field in choice {label} of {name}:")
    try:
        return tuple((key, _read(field, settings[key])) for key, field in FIELDS.items() if key in settings)
    except ValueError as error:
        raise ValueError(f"choice {label} of {name}: {error}") from error


def _read(field: Field, plain: Any) -> Any:
    return field.read_four(plain) if field.per_stage else field.read(plain)


def _choice(settings: Settings) -> Choice:
    fours = {name: four for name, four in settings if FIELDS[name].per_stage}
    return Choice(
        stages=tuple({name: four[stage] for name, four in fours.items()} for stage in range(NUM_STAGES)),
        whole={name: value for name, value in settings if not FIELDS[name].per_stage},
    )


def _plain(field: Field, value: Any) -> Any:
    """One value where the four stages have the same."""
    shortest = value[0] if field.per_stage and len(set(value)) == 1 else value
    return as_lists(shortest)

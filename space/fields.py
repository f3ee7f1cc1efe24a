"""The fields of a network that a dimension may vary: how values are read, checked and labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from space.words import remedy
from transxnet.arch import NUM_STAGES, StageConfig
from transxnet.bounds import MOST
from transxnet.operators import WORDS

Value = int | float | str | tuple[int, ...]
"""One stage's (or the whole network's) value of a field."""


@dataclass(frozen=True)
class Kind:
    """What sort of value a field takes."""

    read: Callable[[Any], Value]
    """The value that a plain one (from YAML or JSON) stands for. Raises ValueError."""
    label: Callable[[Value], str]
    """A short word for a value, without a hyphen."""
    example: Any
    """A value as one would write it."""
    is_list: bool = False
    """Whether one value is itself a list of numbers."""


@dataclass(frozen=True)
class Field:
    """A field of StageConfig, or one of ArchConfig that a search may change."""

    name: str
    kind: Kind
    per_stage: bool
    """Whether each stage has its own value."""

    @property
    def example(self) -> Any:
        """A value as one would write it."""
        return self.kind.example

    def read(self, plain: Any) -> Value:
        """One value; raises ValueError that names the field."""
        try:
            value = self.kind.read(plain)
            self._require_at_most(value)
            return value
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def _require_at_most(self, value: Value) -> None:
        """Here, and not where networks are built, since whole columns of values are reckoned with before that."""
        for number in value if isinstance(value, tuple) else (value,):
            if self.name in MOST and number > MOST[self.name]:  # type: ignore[operator]  # words have no bound
                raise ValueError(f"a value must be at most {MOST[self.name]:,}, got {number:,}; write a smaller one")

    def is_four(self, plain: Any) -> bool:
        """Whether a plain choice lists a value for each stage, rather than being one value for all."""
        return isinstance(plain, list | tuple) and (not self.kind.is_list or any(map(_is_list, plain)))

    def read_four(self, plain: Any) -> tuple[Value, ...]:
        """Four values from a list of four, or from one that stands for the same in every stage."""
        if not self.is_four(plain):
            return (self.read(plain),) * NUM_STAGES
        if len(plain) != NUM_STAGES:
            raise ValueError(
                f"{self.name} needs a value for each of the {NUM_STAGES} stages or one for all, got {plain}; "
                f"write {NUM_STAGES} values"
            )
        return tuple(self.read(value) for value in plain)

    def label_four(self, values: tuple[Value, ...]) -> str:
        """The values' labels joined by hyphens; one label where all four are the same."""
        labels = [self.kind.label(value) for value in values]
        return labels[0] if len(set(labels)) == 1 else "-".join(labels)


def _is_list(plain: Any) -> bool:
    return isinstance(plain, list | tuple)


def _read_whole(plain: Any) -> int:
    if isinstance(plain, bool) or not isinstance(plain, int) or plain < 0:
        raise ValueError(f"a value must be a whole number of at least 0, got {plain!r}; write for example 2")
    return plain


def _read_number(plain: Any) -> float:
    if isinstance(plain, bool) or not isinstance(plain, int | float) or not 0 < plain < float("inf"):
        raise ValueError(f"a value must be a number above 0, got {plain!r}; write for example 2.5")
    return float(plain)


def _read_kernels(plain: Any) -> tuple[int, ...]:
    if not _is_list(plain) or not plain:
        raise ValueError(f"a value must be a list of kernel sizes, got {plain!r}; write for example [3, 5]")
    return tuple(_read_whole(size) for size in plain)


def _read_size(plain: Any) -> tuple[int, ...]:
    sizes = tuple(plain) if _is_list(plain) else (plain, plain)
    if len(sizes) != 2:
        raise ValueError(f"a value must be one number or height and width, got {plain!r}; write for example 224")
    return tuple(_read_whole(size) for size in sizes)


def _read_switch(plain: Any) -> bool:
    # YAML reads on and off as true and false; an override of the command line does not.
    value = _SWITCH_WORDS.get(plain) if isinstance(plain, str) else plain
    if not isinstance(value, bool):
        raise ValueError(f"a value must be on or off, got {plain!r}; write on or off, or true or false")
    return value


def _label_switch(value: Any) -> str:
    return "on" if value else "off"


_SWITCH_WORDS = {"on": True, "off": False}


def _label_number(value: Any) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _label_kernels(value: Any) -> str:
    return "+".join(map(str, value))


def _label_size(value: Any) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"


def _one_of(words: tuple[str, ...]) -> Kind:
    """The kind of a field that takes one of some words."""

    def read(plain: Any) -> str:
        if plain not in words:
            raise ValueError(f"unknown value {plain!r}; {remedy(str(plain), words)}")
        return str(plain)

    return Kind(read, str, words[0])


_WHOLE = Kind(_read_whole, _label_number, 2)
_NUMBER = Kind(_read_number, _label_number, 2.5)
_KERNELS = Kind(_read_kernels, _label_kernels, [3, 5], is_list=True)
_SIZE = Kind(_read_size, _label_size, 224, is_list=True)
_SWITCH = Kind(_read_switch, _label_switch, "off")

_KIND_OF_TYPE = {"int": _WHOLE, "float": _NUMBER, "bool": _SWITCH, "tuple[int, ...]": _KERNELS}


def _kind(field: dataclasses.Field[Any]) -> Kind:
    """The kind of a field of StageConfig."""
    return _one_of(WORDS[field.name]) if field.name in WORDS else _KIND_OF_TYPE[str(field.type)]


FIELDS: dict[str, Field] = {
    **{field.name: Field(field.name, _kind(field), per_stage=True) for field in dataclasses.fields(StageConfig)},
    # Channels of the image and classes are not here: they come with the data, which all variants share.
    "stem_stride": Field("stem_stride", _WHOLE, per_stage=False),
    "image_size": Field("image_size", _SIZE, per_stage=False),
}
"""What a dimension may name."""

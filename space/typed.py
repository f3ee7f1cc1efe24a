"""Turns plain mappings into frozen dataclasses, with errors that name the dotted key."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from space.words import remedy

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MISSING = "???"
"""How a config writes a value that must still be given."""


def read_dataclass(plain: Any, cls: type[T], key: str = "") -> T:
    """`cls` with the values of a mapping, converted to the types of its fields, nested dataclasses too.

    `key` is the dotted key at which the mapping stands. Raises ValueError for an unknown or missing key or a
    value of another type. A ValueError of the dataclass itself gets the key before it, if it does not begin with it.
    """
    if not isinstance(plain, Mapping):
        _refuse(key, "a group of keys", plain)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in plain:
        if name not in fields:
            hint = remedy(str(name), fields, prefix=_dotted(key, ""))
            raise ValueError(f"unknown key {_dotted(key, name)!r}; {hint}")
    hints = typing.get_type_hints(cls)
    values = {name: _convert(value, hints[name], _dotted(key, name)) for name, value in plain.items()}
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            _refuse_missing(_dotted(key, name))
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(_under(key, str(error), fields)) from error


def _under(key: str, message: str, fields: Iterable[str]) -> str:
    """What a dataclass says of its own values, with the dotted key at which it stands."""
    if not key or message.startswith(key) or f"{key}." in message:
        return message
    return f"{key}.{message}" if message.partition(" ")[0] in fields else f"{key}: {message}"


def _convert(value: Any, kind: Any, key: str) -> Any:
    """`value` as a `kind`, which is any annotation that a field may have here."""
    if value == MISSING:
        _refuse_missing(key)
    origin = typing.get_origin(kind) or kind
    if dataclasses.is_dataclass(origin):
        return read_dataclass(value, typing.cast("type[Any]", origin), key)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return _read_enum(value, origin, key)
    assert origin in _READERS, f"{key}: no reader for fields of type {kind}"
    return _READERS[origin](value, kind, key)


def _read_enum(value: Any, kind: type[Enum], key: str) -> Enum:
    known = {str(member.value): member for member in kind}
    if str(value) not in known:
        raise ValueError(f"unknown {key} {str(value)!r}; {remedy(str(value), known)}")
    return known[str(value)]


def _read_literal(value: Any, kind: Any, key: str) -> Any:
    if value not in typing.get_args(kind):
        raise ValueError(f"unknown {key} {value!r}; {remedy(str(value), map(str, typing.get_args(kind)))}")
    return value


def _read_union(value: Any, kind: Any, key: str) -> Any:
    members = typing.get_args(kind)
    if value is None and type(None) in members:
        return None
    members = tuple(member for member in members if member is not type(None))
    for member in members[:-1]:
        try:
            return _convert(value, member, key)
        except ValueError:
            continue
    return _convert(value, members[-1], key)


def _read_tuple(value: Any, kind: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        _refuse(key, "a list", value)
    kinds = typing.get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        _refuse(key, f"a list of {len(kinds)}", value)
    return tuple(_convert(part, kinds[index], f"{key}[{index}]") for index, part in enumerate(value))


def _read_mapping(value: Any, kind: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(key, "a group of keys", value)
    _, part = typing.get_args(kind) or (str, Any)
    return {str(name): _convert(inner, part, _dotted(key, name)) for name, inner in value.items()}


def _read_bool(value: Any, kind: Any, key: str) -> bool:
    return value if isinstance(value, bool) else _refuse(key, "true or false", value)


def _read_int(value: Any, kind: Any, key: str) -> int:
    if isinstance(value, float) and value.is_integer():
        _refuse(key, "a whole number", value, f"write {key}={value:.0f}")
    return value if isinstance(value, int) and not isinstance(value, bool) else _refuse(key, "a whole number", value)


def _read_float(value: Any, kind: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(key, "a number", value)
    if not abs(value) <= sys.float_info.max:
        _refuse(key, "a finite number", value)
    return float(value)


def _read_str(value: Any, kind: Any, key: str) -> str:
    # A name of digits alone, such as study=2024, is a name.
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_text else _refuse(key, "text", value)


def _read_path(value: Any, kind: Any, key: str) -> Path:
    return Path(_read_str(value, str, key))


_READERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    Any: lambda value, kind, key: value,
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    str: _read_str,
    Path: _read_path,
    tuple: _read_tuple,
    Mapping: _read_mapping,
    dict: _read_mapping,
    Literal: _read_literal,
    typing.Union: _read_union,
    types.UnionType: _read_union,
}


def _dotted(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)


_REMEDIES = {
    "a whole number": "write digits alone, such as 3",
    "a number": "write a number such as 0.001 or 1e-3",
    "a finite number": "write a number such as 0.001 or 1e-3",
    "true or false": "write true or false",
    "a list": "write {key}=[...]",
    "text": "write {key}=NAME",
    "a group of keys": "write its keys with their values below {key}",
}
"""What to do, by what is wanted."""
_SHOWN = 60
"""Characters of a value, which may be a number of a thousand digits."""


def _refuse(key: str, wanted: str, value: Any, remedy: str = "") -> NoReturn:
    shown = repr(value) if len(repr(value)) <= _SHOWN else f"{repr(value)[:_SHOWN]}..."
    told = remedy or _REMEDIES.get(wanted, "change {key}").format(key=key)
    raise ValueError(f"{key or 'the config'} must be {wanted}, got {shown}{f'; {told}' if key else ''}")


def _refuse_missing(key: str) -> NoReturn:
    raise ValueError(f"{key} must be given, got none; add {key}=... to the command")

"""A dimension: what of the network varies, the choices for it, and whether stages choose alone or together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from space.axis import Axis
from space.one_field import as_lists, read_stage, read_tied, read_tuple, stage_axes, tied_axes, tuple_axes
from space.together import as_mappings, read_together, together_axes
from space.words import require_known


class Vary(StrEnum):
    """How a dimension varies."""

    STAGE = "stage"
    """Each stage has its own choice."""
    TIED = "tied"
    """One choice, the same value in the four stages; the only way for a field of the whole network."""
    TUPLE = "tuple"
    """One choice among tuples of four values."""
    TOGETHER = "together"
    """One choice among named sets of values, each of one field or several."""


@dataclass(frozen=True)
class Dimension:
    """What may vary, as one choice or one a stage. Raises ValueError where fields, way and choices do not fit."""

    field: str
    """A field of StageConfig, or stem_stride or image_size of ArchConfig; empty where several vary together."""
    vary: Vary
    choices: Any
    """Tied: values. Tuple: fours of values; one value stands for the same in the four stages. Stage: values
    for all stages, or four lists of values, or a mapping of stage1 .. stage4 to lists. Together: a mapping of
    label to a mapping of field to one value or four, or a list of such mappings with one label each; a field that
    a choice leaves out is the base's own. Kept as a tuple of values (tied), of fours (tuple), of four tuples of
    values (stage), of pairs of label and pairs of field and value (together)."""
    name: str = ""
    """What its axes are called; the field by default."""
    axes: tuple[Axis, ...] = dataclasses.field(init=False, repr=False, compare=False)
    """One axis, or four where each stage chooses alone."""

    def __post_init__(self) -> None:
        require_known(self.vary, list(Vary), f"way to vary {self.field or self.name}:")
        vary, name = Vary(self.vary), self.name or self.field
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(
                f"a dimension's name must be letters, digits and _, got {name!r}; write {self.field or 'step'}"
            )
        choices = _WAYS[vary].read(self.field or name, self.choices)
        axes = _WAYS[vary].axes(self.field, name, choices)
        changes = {"vary": vary, "name": name, "choices": choices, "axes": axes}
        for attribute, value in changes.items():
            object.__setattr__(self, attribute, value)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that it varies."""
        return tuple(dict.fromkeys(name for axis in self.axes for name in axis.fields))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and words, ready for JSON; `from_dict` is the inverse."""
        plain = {"name": self.name, "field": self.field, "vary": str(self.vary)}
        return {key: word for key, word in plain.items() if word} | {"choices": _WAYS[self.vary].plain(self.choices)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Dimension:
        """The dimension that a mapping with keys name, field, vary and choices describes; raises ValueError.

        One of name and field may be missing: it is then the other. Where several fields vary together there is
        only a name.
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
        has_field = plain["vary"] != Vary.TOGETHER or "field" in plain
        field = (plain.get("field") or name) if has_field else ""
        return cls(field, plain["vary"], plain["choices"], str(name))


_EXAMPLES = {"vary": "tied, or stage, or tuple, or together", "choices": "[...]"}


@dataclass(frozen=True)
class _Way:
    """How the choices of a dimension are read and written, and the axes that they make."""

    read: Callable[[str, Any], tuple[Any, ...]]
    """The choices as they are kept, from the field (or the name, where there is none) and the plain choices."""
    axes: Callable[[str, str, Any], tuple[Axis, ...]]
    """From the field, the name and the choices as they are kept."""
    plain: Callable[[Any], list[Any]] = as_lists


_WAYS = {
    Vary.TIED: _Way(read_tied, tied_axes),
    Vary.TUPLE: _Way(read_tuple, tuple_axes),
    Vary.STAGE: _Way(read_stage, stage_axes),
    Vary.TOGETHER: _Way(read_together, together_axes, as_mappings),
}

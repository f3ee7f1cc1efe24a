"""An operator: what may stand in one place of a block, under one name."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transxnet.cost_terms import Cost
from transxnet.stage_numbers import IDENTITY, Number, StageNumbers


@dataclass(frozen=True)
class Setting:
    """Where a block stands: map positions n (queries), key positions m (0 without attention)."""

    n: Number
    m: Number


@dataclass(frozen=True)
class Operator:
    """One choice for a place of a block: what it is, what it costs, what tells its networks apart, how it is built."""

    sentence: str
    """What it is, with its source."""
    cost: Callable[[StageNumbers, Setting], Cost]
    """Of one block on one image."""
    felt: Callable[[Any], Mapping[str, Any]]
    """What a built network feels of a StageConfig at this place: equal exactly for equal modules."""
    fields: tuple[str, ...] = ()
    """Fields of StageConfig that it feels, beside width."""
    builder: str = ""
    """What builds its torch module from a StageConfig, as `package.module:name`. Empty: there is none to build."""
    attribute: str = ""
    """Under what name a block holds it: the same for all operators that are one class."""
    keys: Callable[[StageNumbers, tuple[Number, Number]], Number] | None = None
    """Key positions that an attention has on a map of height and width; None for what is no attention."""

    def build(self, stage: Any) -> Any:
        """The torch module for a StageConfig."""
        module, _, name = self.builder.partition(":")
        return operator.attrgetter(name)(importlib.import_module(module))(stage)


NOTHING = Operator(
    "nothing: the place is empty, and a mixer beside it sees all channels",
    cost=lambda stage, setting: Cost(),
    felt=lambda stage: {},
)
"""The entry of every place that may be left empty, under the name IDENTITY."""

__all__ = ["IDENTITY", "NOTHING", "Operator", "Setting"]

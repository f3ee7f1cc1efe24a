"""Rules that a space may demand of its networks beyond their being buildable."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

from transxnet.arch import ArchConfig
from transxnet.columns import ArchColumns


@dataclass(frozen=True)
class Rule:
    """A demand on a whole network."""

    sentence: str
    """The demand, with its reason."""
    holds: Callable[[ArchConfig | ArchColumns], Any]
    """Whether it holds: a bool, or an array with one for each of many networks."""


def _pairwise(field: str, keeps: Callable[[Any, Any], Any]) -> Callable[[ArchConfig | ArchColumns], Any]:
    """Whether a field's values in each stage and the next one keep something."""

    def holds(arch: ArchConfig | ArchColumns) -> Any:
        values = [getattr(stage, field) for stage in arch.stages]
        return reduce(operator.and_, (keeps(earlier, later) for earlier, later in pairwise(values)))

    return holds


RULES: dict[str, Rule] = {
    "osr_stride_never_grows": Rule(
        "osr_stride never grows from one stage to the next: it is there because early maps are large",
        _pairwise("osr_stride", operator.ge),
    ),
    "widths_never_shrink": Rule(
        "width never shrinks from one stage to the next: a stage has a quarter of the last one's positions",
        _pairwise("width", operator.le),
    ),
    "each_stage_mixes": Rule(
        "each stage has a local or a global mixer: without either, it mixes tokens by small static kernels alone",
        lambda arch: reduce(operator.and_, (stage.has_local | stage.has_global for stage in arch.stages)),
    ),
}
"""Rule by the name that a space gives."""

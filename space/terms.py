"""What a network's cost and legality are made of: formulas of few fields each, all of them of `transxnet` or a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from space.rules import RULES
from transxnet.arch import NUM_STAGES, is_map_too_large
from transxnet.columns import STAGE_FIELDS, ArchColumns
from transxnet.cost.closed_form import BLOCK_PARTS, downsampling_cost, head_cost, stem_cost, table_cost
from transxnet.cost_terms import Cost
from transxnet.operators import PARTS
from transxnet.stage_rules import STAGE_RULES

Formula: TypeAlias = Callable[[ArchColumns], Any]
"""From networks to a number for each: to a Cost, or to whether a demand is kept."""

FIRST_MAP = "first_map_is_not_too_large"
"""What image_size and stem_stride must keep together."""


@dataclass(frozen=True)
class Term:
    """A summand of the cost of networks, each at its own image size."""

    cost: Callable[[ArchColumns], Cost]
    may_feel: frozenset[str] = frozenset(STAGE_FIELDS)
    """Fields of stages that it may depend on. It may read others: every part of a block is told attention's keys."""


def cost_terms() -> list[Term]:
    """What adds up to `transxnet.cost.estimate`."""
    stages = range(NUM_STAGES)
    return [
        Term(lambda arch: stem_cost(arch.in_channels, arch.stages[0].width, arch.grids()[0])),
        *(_downsampling(stage) for stage in stages[1:]),
        *(_part(part, stage) for stage in stages for part in BLOCK_PARTS),
        *(_table(stage) for stage in stages),
        Term(lambda arch: head_cost(arch.stages[-1].width, arch.num_classes, arch.grids()[-1])),
    ]


def demands(rules: tuple[str, ...]) -> Mapping[tuple[str, int | None], Formula]:
    """What a network keeps that can be built and has these rules, by the rule's name and the stage's index."""
    kept: dict[tuple[str, int | None], Formula] = {}
    kept |= {(name, stage): _stage_rule(name, stage) for name in STAGE_RULES for stage in range(NUM_STAGES)}
    kept[FIRST_MAP, None] = lambda arch: np.logical_not(is_map_too_large(*arch.image_size, arch.stem_stride))
    kept |= {(name, None): RULES[name].holds for name in rules}
    return kept


def _downsampling(stage: int) -> Term:
    def cost(arch: ArchColumns) -> Cost:
        before, after = arch.stages[stage - 1], arch.stages[stage]
        return downsampling_cost(before.width, after.width, arch.grids()[stage])

    return Term(cost)


def _part(part: str, stage: int) -> Term:
    def cost(arch: ArchColumns) -> Cost:
        of_all_blocks: Cost = BLOCK_PARTS[part](arch.stages[stage], arch.grids()[stage]) * arch.stages[stage].depth
        return of_all_blocks

    return Term(cost, frozenset({"width", "depth", *PARTS.get(part, ())}))


def _table(stage: int) -> Term:
    return Term(lambda arch: table_cost(arch.stages[stage], arch.grids()[stage]))


def _stage_rule(name: str, stage: int) -> Formula:
    return lambda arch: STAGE_RULES[name].holds(arch.stages[stage])

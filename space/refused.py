"""Choices of a value that no stage and no network can have, whatever stands around it: a depth of 0, say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from space.codes import Coding
from space.table import DemandTable
from transxnet.arch import ArchConfig, StageConfig
from transxnet.bounds import MOST
from transxnet.columns import StageColumns, column
from transxnet.stage_numbers import IDENTITY
from transxnet.stage_rules import STAGE_RULES

BARE = StageConfig(
    depth=1, width=MOST["width"], heads=1, osr_stride=1, local_mixer=IDENTITY, global_mixer=IDENTITY, ffn="plain"
)
"""A stage with so little in it that it takes any one value which any stage takes."""


def refused_choices(coding: Coding) -> Iterator[DemandTable]:
    """Which choices of each axis set only possible values, by slot, without what a rule about one field tells."""
    for (stage, field), axis in coding.setters.items():
        takes = _whole_takes if stage is None else _stage_takes
        kept = [takes(coding.base, field, value) for value in coding.values(axis, (stage, field))]
        yield DemandTable(field, stage, (axis,), np.array(kept))


def _whole_takes(base: ArchConfig, field: str, value: Any) -> bool:
    try:
        # With a first map as small as can be: a rule about image_size and stem_stride together stands apart.
        dataclasses.replace(base, **{"image_size": 1, "stem_stride": MOST["stem_stride"], field: value})
    except ValueError:
        return False
    return True


def _stage_takes(base: ArchConfig, field: str, value: Any) -> bool:
    try:
        dataclasses.replace(BARE, **{field: value})
    except ValueError:
        return _a_rule_tells(field, value)
    return True


def _a_rule_tells(field: str, value: Any) -> bool:
    stage = StageColumns({**vars(BARE), field: column(field, [value])})
    return not all(np.all(rule.holds(stage)) for rule in STAGE_RULES.values() if rule.fields == (field,))

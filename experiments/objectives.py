"""The objectives' values of a variant, by the one table of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from analysis.metrics import COLUMNS, Metric
from db import ArchitectureRecord, TrialRecord
from space.words import remedy

OBJECTIVES = ("accuracy", "gmacs", "params", "train_time", "latency")


def read_objectives(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics that a sweep optimises; raises ValueError for an unknown or repeated name, or for none."""
    for name in names:
        if name not in OBJECTIVES:
            some = ", ".join(OBJECTIVES)
            raise ValueError(f"objectives are some of {some}, got {name!r}; {remedy(name, OBJECTIVES)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"objectives must be one or more different names, got {list(names)}; write objectives=[accuracy,gmacs]"
        )
    return tuple(COLUMNS[name] for name in names)


Direction = Literal["maximize", "minimize"]


def directions(objectives: Sequence[Metric]) -> list[Direction]:
    """Optuna's word for each objective's good direction."""
    return ["maximize" if metric.direction == "max" else "minimize" for metric in objectives]


def values(
    objectives: Sequence[Metric], architecture: ArchitectureRecord, trials: Sequence[TrialRecord]
) -> tuple[float, ...]:
    """Each objective's value: the architecture's cost, or the mean over the seeds' complete trials."""
    return tuple(_value(metric, architecture, trials) for metric in objectives)


def _value(metric: Metric, architecture: ArchitectureRecord, trials: Sequence[TrialRecord]) -> float:
    records = [architecture] if metric.record is ArchitectureRecord else trials
    return fmean(value for value in metric.values(records) if value is not None)

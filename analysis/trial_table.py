"""The trials of a study as a table: a row a trial, a column a choice that its space leaves open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pandas as pd

from analysis.metrics import ACCURACY, COLUMNS, Metric
from analysis.one_experiment import require_one_experiment
from db.records import ArchitectureRecord, StudyRecord, TrialRecord, TrialState

TRIAL_COLUMNS = (
    "trial_id", "arch_id", "trained_arch_id", "is_baseline", "seed", "state",
    "epochs_run", "epochs_planned", *(metric.column for metric in COLUMNS.values()), "val_loss", "reason",
    "reused_from", "retry_of", "started_at", "finished_at", "code_version", "spec_key",
)  # fmt: skip
CHOICE = "choice."
"""Before the name of a dimension, which may be that of another column."""

_FIELDS = {"trial_id": "id", "state": "state.value", "code_version": "provenance.code_version"}
"""Of a trial's record, for the columns that are not called as their field is."""


@dataclass(frozen=True)
class TrialTable:
    """The rows, which can be gone through once: of very many trials they are never held all at once."""

    columns: Sequence[str]
    """TRIAL_COLUMNS, then one for each dimension that a trial has a choice of."""
    rows: Iterator[Sequence[Any]]
    """None where there is no number or no choice."""


def trial_frame(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Mapping[str, ArchitectureRecord]
) -> pd.DataFrame:
    """`trial_table` as a frame. Raises ValueError for trials that are not of one experiment."""
    require_one_experiment(study, trials)
    table = trial_table(study, trials, architectures)
    return pd.DataFrame(list(table.rows), columns=list(table.columns), dtype=None if trials else object)


def trial_table(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Mapping[str, ArchitectureRecord]
) -> TrialTable:
    """A row a trial of any state, in the record's order. Accuracy is empty unless COMPLETE."""
    axes = list(dict.fromkeys(axis for trial in trials for axis in trial.variant))
    columns = _columns(study, trials, architectures)
    own = zip(*(columns[name] for name in TRIAL_COLUMNS), strict=True)
    rows = ((*row, *_choices(trial.variant, axes)) for row, trial in zip(own, trials, strict=True))
    return TrialTable([*TRIAL_COLUMNS, *(f"{CHOICE}{axis}" for axis in axes)], rows)


def _columns(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Mapping[str, ArchitectureRecord]
) -> dict[str, Iterable[Any]]:
    special: dict[str, Iterable[Any]] = {
        "is_baseline": (trial.arch_id == study.baseline_arch_id for trial in trials),
        **{metric.column: _numbers(metric, trials) for metric in COLUMNS.values() if metric.record is TrialRecord},
        **_costs(trials, architectures),
    }
    fields = {name: _FIELDS.get(name, name) for name in TRIAL_COLUMNS if name not in special}
    return special | {name: map(attrgetter(field), trials) for name, field in fields.items()}


def _costs(
    trials: Sequence[TrialRecord], architectures: Mapping[str, ArchitectureRecord]
) -> dict[str, Iterable[float | None]]:
    """What each trial's target costs, by column; worked out once a target."""
    targets = {trial.arch_id: architectures[trial.arch_id] for trial in trials}
    costs = [metric for metric in COLUMNS.values() if metric.record is ArchitectureRecord]
    known = {metric.column: dict(zip(targets, metric.values(targets.values()), strict=True)) for metric in costs}
    return {column: map(by_id.__getitem__, map(attrgetter("arch_id"), trials)) for column, by_id in known.items()}


def _numbers(metric: Metric, trials: Sequence[TrialRecord]) -> Iterable[float | None]:
    """A metric of each trial; no accuracy unless it is COMPLETE."""
    numbers = metric.values(trials)
    if metric is not ACCURACY:
        return numbers
    pairs = zip(numbers, trials, strict=True)
    return (number if trial.state is TrialState.COMPLETE else None for number, trial in pairs)


def _choices(variant: Mapping[str, Any], axes: Sequence[str]) -> list[str | None]:
    """The variant's choice on each axis, as the space calls it; what is no text as JSON."""
    return [
        choice if choice is None or isinstance(choice, str) else json.dumps(choice) for choice in map(variant.get, axes)
    ]

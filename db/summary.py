"""What a study holds, in numbers that the database works out: no trial is read for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, SQLColumnExpression, case, cast, func, select
from sqlalchemy.orm import Session

from db.records import StudyRecord, TrialState
from db.rows import study_record
from db.schema import StudyRow, TrialRow


@dataclass(frozen=True)
class StudySummary:
    """A study and its trials in numbers."""

    study: StudyRecord
    states: Mapping[TrialState, int]
    """Trials by state, those without any left out."""
    variants: int = 0
    """Different target architectures."""
    seeds: int = 0
    """Different seeds."""
    reused: int = 0
    """Trials whose result is another's, which were not trained here."""
    best_accuracy: float | None = None
    """Of one COMPLETE trial, 0 to 1."""
    epochs: int = 0
    """That were trained, without those of reused trials; likewise the seconds."""
    train_seconds: float = 0.0
    started_at: datetime | None = None
    """When its first trial began."""
    last_result_at: datetime | None = None
    """When the last trial that has ended did."""


@dataclass(frozen=True)
class Ending:
    """How often trials of a study ended in a state for a reason."""

    state: TrialState
    reason: str
    count: int


def summarise(session: Session, studies: Sequence[StudyRow]) -> list[StudySummary]:
    """A summary for each of the studies, in their order."""
    of_these = TrialRow.study.in_([study.name for study in studies])
    states: dict[str, dict[TrialState, int]] = {study.name: {} for study in studies}
    counted = select(TrialRow.study, TrialRow.state, func.count()).group_by(TrialRow.study, TrialRow.state)
    for name, state, count in session.execute(counted.where(of_these)):
        states[name][state] = count
    asked = select(TrialRow.study, *_NUMBERS.values()).where(of_these).group_by(TrialRow.study)
    numbers = {name: dict(zip(_NUMBERS, row, strict=True)) for name, *row in session.execute(asked)}
    return [StudySummary(study_record(row), states[row.name], **numbers.get(row.name, {})) for row in studies]


def count_endings(session: Session, study: str) -> list[Ending]:
    """Why trials of a study ended without a result, the most frequent first."""
    without = (TrialState.STOPPED, TrialState.FAILED, TrialState.INTERRUPTED)
    asked = select(TrialRow.state, TrialRow.reason, func.count()).group_by(TrialRow.state, TrialRow.reason)
    rows = session.execute(asked.where(TrialRow.study == study, TrialRow.state.in_(without)))
    endings = [Ending(state, reason or "", count) for state, reason, count in rows]
    return sorted(endings, key=lambda ending: (-ending.count, ending.state, ending.reason))  # alike in both databases


def _trained(column: SQLColumnExpression[Any]) -> ColumnElement[Any]:
    """The sum of a column over the trials that were trained here."""
    return func.coalesce(func.sum(case((TrialRow.reused_from.is_(None), column))), 0)


_NUMBERS: dict[str, ColumnElement[Any]] = {
    "variants": func.count(TrialRow.arch_id.distinct()),
    "seeds": func.count(TrialRow.seed.distinct()),
    "reused": func.count(TrialRow.reused_from),
    "best_accuracy": func.max(TrialRow.val_accuracy),
    # PostgreSQL adds whole numbers up to a decimal one.
    "epochs": cast(_trained(TrialRow.epochs_run), BigInteger),
    "train_seconds": cast(_trained(TrialRow.train_seconds), Double),
    "started_at": func.min(TrialRow.started_at),
    "last_result_at": func.max(TrialRow.finished_at),
}
"""The fields of StudySummary that are an expression over a study's trials."""

"""What a batch of records does to the tables, in one transaction; a batch that is written again changes nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import queries
from db.checks import check_epoch, check_reuse, check_same_result, check_trial
from db.records import ArchitectureRecord, ArtifactRecord, EpochRecord, TrialEnd, TrialRecord, TrialStart, TrialState
from db.rows import columns_of, trial_record
from db.schema import ArchitectureRow, ArtifactRow, Base, EpochRow, StudyRow, TrialRow

Write = ArchitectureRecord | TrialRecord | TrialStart | EpochRecord | ArtifactRecord | TrialEnd
Row = TypeVar("Row", bound=Base)
Way = Callable[[Session, Any], list[TrialRecord]]
"""Writes records of one kind; gives the trials that they began or ended."""


def apply(session: Session, batch: Iterable[Write], *, late: bool = False) -> list[TrialRecord]:
    """Write a batch in its order; gives the trials that it began or ended, as they are stored.

    `late` is for what was kept while the database was away: a trial that was taken for interrupted meanwhile ends as
    the batch says, unless it has been run again.
    Raises ValueError for what contradicts itself or the rows.
    """
    ways: dict[type, Way] = {**_WAYS, TrialEnd: partial(_end, late=late)}
    groups = ((kind, list(group)) for kind, group in itertools.groupby(batch, type))
    return [trial for kind, group in groups for trial in ways[kind](session, group)]


def require(session: Session, table: type[Row], what: str, key: Any, *, lock: bool = False) -> Row:
    """The row of this key, for us alone if `lock`; raises ValueError if there is none."""
    row = session.get(table, key, with_for_update=lock or None)
    if row is None:
        kind = table.__name__.removesuffix("Row").lower()
        raise ValueError(f"{what} must name a stored {kind}, got {key!r}; store the {kind} first")
    return row


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def update(session: Session, row: TrialRow, changes: dict[str, Any]) -> TrialRecord:
    """Change a trial's columns; gives it as it is then."""
    for name, value in changes.items():
        setattr(row, name, value)
    session.flush()
    return trial_record(row)


def _add_architectures(session: Session, architectures: Sequence[ArchitectureRecord]) -> list[TrialRecord]:
    columns = [columns_of(architecture) for architecture in architectures]
    session.execute(queries.insert_or_keep(_dialect(session), ArchitectureRow), columns)
    return []


def _add_trials(session: Session, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [_add_trial(session, _with_times(trial)) for trial in trials]


def _start_trials(session: Session, starts: Sequence[TrialStart]) -> list[TrialRecord]:
    trials = _add_trials(session, [start.trial for start in starts])
    for trial, start in zip(trials, starts, strict=True):
        if start.epochs:
            assert trial.id is not None
            _add_epochs(session, [dataclasses.replace(epoch, trial_id=trial.id) for epoch in start.epochs])
    return trials


def _with_times(trial: TrialRecord) -> TrialRecord:
    if trial.id is not None:
        raise ValueError(f"a trial's id is given by the store, got id={trial.id}; leave it None")
    times: dict[str, Any] = {"started_at": trial.started_at or now()}
    if trial.state is not TrialState.RUNNING:
        times["finished_at"] = trial.finished_at or now()
    trial = dataclasses.replace(trial, uid=trial.uid or uuid4().hex, **times)
    check_trial(trial)
    return trial


def _add_trial(session: Session, trial: TrialRecord) -> TrialRecord:
    stored = session.scalar(select(TrialRow).where(TrialRow.uid == trial.uid))
    if stored is not None:
        return trial_record(stored)
    _require_named(session, trial)
    row = TrialRow(**columns_of(trial))
    session.add(row)
    session.flush()
    session.refresh(row)
    return trial_record(row)


def _require_named(session: Session, trial: TrialRecord) -> None:
    require(session, StudyRow, "study", trial.study)
    require(session, ArchitectureRow, "arch_id", trial.arch_id)
    require(session, ArchitectureRow, "trained_arch_id", trial.trained_arch_id)
    if trial.retry_of is not None:
        require(session, TrialRow, "retry_of", trial.retry_of)
    if trial.reused_from is not None:
        check_reuse(trial, trial_record(require(session, TrialRow, "reused_from", trial.reused_from)))


def _add_epochs(session: Session, epochs: Sequence[EpochRecord]) -> list[TrialRecord]:
    for trial_id, group in itertools.groupby(epochs, key=lambda epoch: epoch.trial_id):
        trial = trial_record(require(session, TrialRow, "trial_id", trial_id))
        for epoch in group:
            check_epoch(epoch, trial)
    session.execute(queries.insert_or_keep(_dialect(session), EpochRow), [columns_of(epoch) for epoch in epochs])
    return []


def _add_artifacts(session: Session, artifacts: Sequence[ArtifactRecord]) -> list[TrialRecord]:
    for artifact in artifacts:
        require(session, TrialRow, "trial_id", artifact.trial_id)
        session.execute(queries.insert_or_replace(_dialect(session), ArtifactRow), columns_of(artifact))
    return []


def _end(session: Session, ends: Sequence[TrialEnd], *, late: bool) -> list[TrialRecord]:
    return [_end_trial(session, end, late) for end in ends]


def _end_trial(session: Session, end: TrialEnd, late: bool) -> TrialRecord:
    if end.state is TrialState.RUNNING:
        raise ValueError(f"trial {end.trial_id}: no trial finishes as RUNNING; name the state in which it ended")
    result = {field.name: getattr(end, field.name) for field in dataclasses.fields(end) if field.name != "trial_id"}
    row = require(session, TrialRow, "trial_id", end.trial_id, lock=True)
    stored = trial_record(row)
    finished = dataclasses.replace(stored, **{**result, "finished_at": end.finished_at or now()})
    check_trial(finished)
    if stored.state is TrialState.RUNNING or (late and _was_given_up(session, stored)):
        return update(session, row, {**result, "finished_at": finished.finished_at})
    if not late:
        check_same_result(stored, finished)
    return stored


def _was_given_up(session: Session, trial: TrialRecord) -> bool:
    """Whether a trial was taken for interrupted and has not been run again."""
    again = select(TrialRow.id).where(TrialRow.retry_of == trial.id).limit(1)
    return trial.state is TrialState.INTERRUPTED and session.scalar(again) is None


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name


_WAYS: dict[type, Way] = {
    ArchitectureRecord: _add_architectures,
    TrialRecord: _add_trials,
    TrialStart: _start_trials,
    EpochRecord: _add_epochs,
    ArtifactRecord: _add_artifacts,
}

"""The store: the only place that touches a database session; it takes and gives plain records."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from db import queries
from db.checks import check_epoch, check_reuse, check_same_result, check_same_settings, check_trial
from db.engine import open_engine, refusals, writing
from db.migrate import migrate
from db.names import check_name
from db.reading import read_architectures, read_epochs, read_trials
from db.records import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    LatencyRecord,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from db.rows import (
    artifact_record,
    columns_of,
    latency_record,
    study_record,
    trial_record,
)
from db.schema import ArchitectureRow, ArtifactRow, Base, EpochRow, LatencyRow, StudyRow, TrialRow
from db.summary import Ending, StudySummary, count_endings, summarise
from db.urls import parse_url, show_url

Row = TypeVar("Row", bound=Base)


class Store:
    """A database of sweeps. Each method is one transaction; threads and programs may share a database.

    What a record names (a trial its study, a study its baseline) must be stored before it, else ValueError.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self.url = url
        """The database's URL, its password hidden."""
        self._engine = engine
        self._reading = sessionmaker(engine)
        self._writing = sessionmaker(writing(engine))

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """The store at a URL, its tables made or upgraded; with `create` false, they must be there already.

        Raises ValueError, and changes nothing, for a URL that is none, and for a database that cannot be
        opened or written, is somebody else's, or is of a newer version than this code.
        """
        parsed = parse_url(url)
        engine = open_engine(parsed, create=create)
        with ExitStack() as undo:
            undo.callback(engine.dispose)
            with refusals(parsed):
                migrate(engine, parsed, create=create)
            undo.pop_all()
        return cls(engine, show_url(parsed))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_study(self, study: StudyRecord) -> StudyRecord:
        """The study as stored, now or before; raises ValueError if before with other settings."""
        check_name("the name of a study", study.name)
        columns = columns_of(dataclasses.replace(study, created_at=study.created_at or _now()))
        with self._writing.begin() as session:
            _require(session, ArchitectureRow, "baseline_arch_id", study.baseline_arch_id)
            session.execute(queries.insert_or_keep(self._dialect, StudyRow), columns)
            stored = study_record(session.get_one(StudyRow, study.name))
            check_same_settings(stored, study)
        return stored

    def study(self, name: str) -> StudyRecord:
        """The study of this name; raises ValueError, which names those nearest to it, if there is none."""
        with self._reading.begin() as session:
            return study_record(self._study_row(session, name))

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        with self._reading.begin() as session:
            return [study_record(row) for row in session.scalars(queries.all_studies())]

    def summaries(self, name: str | None = None) -> list[StudySummary]:
        """What each study holds, oldest first, or the one of this name; raises ValueError if there is none of it."""
        with self._reading.begin() as session:
            studies = session.scalars(queries.all_studies()).all() if name is None else [self._study_row(session, name)]
            return summarise(session, studies)

    def endings(self, study: str) -> list[Ending]:
        """Why the study's trials ended without a result, and how often, the most frequent first."""
        with self._reading.begin() as session:
            self._study_row(session, study)
            return count_endings(session, study)

    def add_architectures(self, architectures: Iterable[ArchitectureRecord]) -> None:
        """Store those whose arch_id is not there yet; the others stay as they are."""
        columns = [columns_of(architecture) for architecture in architectures]
        if columns:
            with self._writing.begin() as session:
                session.execute(queries.insert_or_keep(self._dialect, ArchitectureRow), columns)

    def architectures(self, study: str, *, described: bool = True) -> dict[str, ArchitectureRecord]:
        """By arch_id: all that the study's trials name, as target or as trained, and its baseline.

        With their latency by the study's settings, as far as it was measured. Where their costs are enough, leave
        out their descriptions, which are most of what is read: without `described` nobody may look into them.
        """
        with self._reading.begin() as session:
            return read_architectures(session, self._study_row(session, study), described=described)

    def add_latency(self, latency: LatencyRecord) -> LatencyRecord:
        """The latency as stored, now or before: an architecture is measured once by the same settings."""
        columns = columns_of(dataclasses.replace(latency, measured_at=latency.measured_at or _now()))
        with self._writing.begin() as session:
            _require(session, ArchitectureRow, "arch_id", latency.arch_id)
            session.execute(queries.insert_or_keep(self._dialect, LatencyRow), columns)
            return latency_record(session.get_one(LatencyRow, (latency.arch_id, latency.settings_key)))

    def find_latency(self, arch_id: str, settings_key: str) -> LatencyRecord | None:
        """What was measured of an architecture by these settings, for any study."""
        with self._reading.begin() as session:
            row = session.get(LatencyRow, (arch_id, settings_key))
            return latency_record(row) if row else None

    def add_trial(self, trial: TrialRecord) -> TrialRecord:
        """The trial as stored, with id and times; raises ValueError if it has an id or contradicts itself."""
        if trial.id is not None:
            raise ValueError(f"a trial's id is given by the store, got id={trial.id}; leave it None")
        times: dict[str, Any] = {"started_at": trial.started_at or _now()}
        if trial.state is not TrialState.RUNNING:
            times["finished_at"] = trial.finished_at or _now()
        trial = dataclasses.replace(trial, **times)
        check_trial(trial)
        with self._writing.begin() as session:
            _require_named(session, trial)
            row = TrialRow(**columns_of(trial))
            session.add(row)
            session.flush()
            session.refresh(row)
            return trial_record(row)

    def add_epoch(self, epoch: EpochRecord) -> None:
        """Store what an epoch measured; an epoch that is already there stays as it is."""
        with self._writing.begin() as session:
            check_epoch(epoch, trial_record(_require(session, TrialRow, "trial_id", epoch.trial_id)))
            session.execute(queries.insert_or_keep(self._dialect, EpochRow), columns_of(epoch))

    def finish_trial(
        self,
        trial_id: int,
        state: TrialState,
        *,
        epochs_run: int,
        val_accuracy: float | None,
        val_loss: float | None,
        train_seconds: float | None,
        reason: str | None,
    ) -> TrialRecord:
        """The trial as it ended, which stays if it had; raises ValueError if it had ended otherwise."""
        if state is TrialState.RUNNING:
            raise ValueError(f"trial {trial_id}: no trial finishes as RUNNING; name the state in which it ended")
        result: dict[str, Any] = {
            "state": state,
            "epochs_run": epochs_run,
            "val_accuracy": val_accuracy,
            "val_loss": val_loss,
            "train_seconds": train_seconds,
            "reason": reason,
        }
        with self._writing.begin() as session:
            row = _require(session, TrialRow, "trial_id", trial_id, lock=True)
            stored = trial_record(row)
            finished = dataclasses.replace(stored, **result)
            check_trial(finished)
            if stored.state is not TrialState.RUNNING:
                check_same_result(stored, finished)
                return stored
            return _update(session, row, {**result, "finished_at": _now()})

    def interrupt_running(self, study: str, reason: str) -> list[TrialRecord]:
        """Mark the study's RUNNING trials INTERRUPTED after the epochs that are stored; gives them by id."""
        with self._writing.begin() as session:
            self._study_row(session, study)
            ended = {"state": TrialState.INTERRUPTED, "reason": reason, "finished_at": _now()}
            running = session.execute(queries.running_trials(study)).all()
            return [_update(session, row, {**ended, "epochs_run": epochs}) for row, epochs in running]

    def trials(self, study: str) -> list[TrialRecord]:
        """The study's trials by id."""
        with self._reading.begin() as session:
            self._study_row(session, study)
            return read_trials(session, study)

    def trial(self, trial_id: int) -> TrialRecord:
        """The trial of that id, of any study; raises ValueError if there is none."""
        with self._reading.begin() as session:
            return trial_record(_require(session, TrialRow, "trial_id", trial_id))

    def find_complete(self, spec_key: str, code_version: str | None = None) -> TrialRecord | None:
        """The earliest COMPLETE trial of any study with this key that was itself trained, if there is one.

        With `code_version`, the earliest that this code trained.
        """
        with self._reading.begin() as session:
            row = session.scalar(queries.complete_trials(spec_key, code_version).limit(1))
            return trial_record(row) if row else None

    def epochs(self, study: str, trials: Collection[int] | None = None) -> list[EpochRecord]:
        """The epochs of the study's trials, or of those with these ids, by trial and epoch."""
        with self._reading.begin() as session:
            self._study_row(session, study)
            return read_epochs(session, study, trials)

    def add_artifact(self, artifact: ArtifactRecord) -> None:
        """Store what is known of a file that a trial left, in place of an earlier one of the same kind."""
        with self._writing.begin() as session:
            _require(session, TrialRow, "trial_id", artifact.trial_id)
            session.execute(queries.insert_or_replace(self._dialect, ArtifactRow), columns_of(artifact))

    def artifacts(self, study: str) -> list[ArtifactRecord]:
        """The files that the study's trials left, by trial and kind."""
        with self._reading.begin() as session:
            self._study_row(session, study)
            return [artifact_record(row) for row in session.scalars(queries.artifacts_of(study))]

    @property
    def _dialect(self) -> str:
        return self._engine.dialect.name

    def _study_row(self, session: Session, name: str) -> StudyRow:
        row = session.get(StudyRow, name)
        if row is None:
            names = session.scalars(select(StudyRow.name).order_by(StudyRow.name)).all()
            raise ValueError(f"no study named {name!r} in {self.url}; {_suggest(name, names)}")
        return row


def _require(session: Session, table: type[Row], what: str, key: Any, *, lock: bool = False) -> Row:
    """The row of this key, for us alone if `lock`; raises ValueError if there is none."""
    row = session.get(table, key, with_for_update=lock or None)
    if row is None:
        kind = table.__name__.removesuffix("Row").lower()
        raise ValueError(f"{what} must name a stored {kind}, got {key!r}; store the {kind} first")
    return row


def _require_named(session: Session, trial: TrialRecord) -> None:
    _require(session, StudyRow, "study", trial.study)
    _require(session, ArchitectureRow, "arch_id", trial.arch_id)
    _require(session, ArchitectureRow, "trained_arch_id", trial.trained_arch_id)
    if trial.retry_of is not None:
        _require(session, TrialRow, "retry_of", trial.retry_of)
    if trial.reused_from is not None:
        check_reuse(trial, trial_record(_require(session, TrialRow, "reused_from", trial.reused_from)))


def _update(session: Session, row: TrialRow, changes: dict[str, Any]) -> TrialRecord:
    for name, value in changes.items():
        setattr(row, name, value)
    session.flush()
    return trial_record(row)


def _suggest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known are {', '.join(names)}" if names else "it holds none yet: run a sweep first"


def _now() -> datetime:
    return datetime.now(UTC)

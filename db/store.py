"""The store: the only place that touches a database session; it takes and gives plain records."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from db import leads, queries
from db.checks import check_same_settings
from db.engine import open_engine, refusals, writing
from db.faults import fault_of
from db.migrate import migrate
from db.names import check_name
from db.new_file import make_new_file
from db.reading import read_architectures, read_epochs, read_trials
from db.records import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    LatencyRecord,
    LeadRecord,
    StudyRecord,
    TrialEnd,
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
from db.schema import ArchitectureRow, LatencyRow, StudyRow, TrialRow
from db.summary import Ending, StudySummary, count_endings, summarise
from db.urls import parse_url, show_url
from db.writes import Write, apply, now, require, update


class Store:
    """A database of sweeps. Each method is one transaction; threads and programs may share a database.

    What a record names (a trial its study, a study its baseline) must be stored before it, else ValueError.
    A database that is away, full or damaged raises the RecordFault that says so.
    """

    def __init__(self, engine: Engine, url: str, backup: str | None = None) -> None:
        self.url = url
        """The database's URL, its password hidden."""
        self.backup = backup
        """Where a copy of the database is as it was before it was upgraded; None if it was not."""
        self._engine = engine
        self._reading = sessionmaker(engine)
        self._writing = sessionmaker(writing(engine))

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """The store at a URL, its tables made, or copied and upgraded; without `create` they must be there already.

        Raises ValueError, and changes nothing, for a URL that is none, and for a database that cannot be
        opened or written, is somebody else's, or is of a newer version than this code. RecordFull: its disk is full.
        """
        parsed = parse_url(url)
        with refusals(parsed):
            if create:
                make_new_file(parsed)
        engine = open_engine(parsed, create=create)
        with ExitStack() as undo:
            undo.callback(engine.dispose)
            with refusals(parsed):
                backup = migrate(engine, parsed, create=create)
            undo.pop_all()
        return cls(engine, show_url(parsed), backup)

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
        columns = columns_of(dataclasses.replace(study, created_at=study.created_at or now()))
        with self._write() as session:
            require(session, ArchitectureRow, "baseline_arch_id", study.baseline_arch_id)
            session.execute(queries.insert_or_keep(self._dialect, StudyRow), columns)
            stored = study_record(session.get_one(StudyRow, study.name))
            check_same_settings(stored, study)
        return stored

    def study(self, name: str) -> StudyRecord:
        """The study of this name; raises ValueError, which names those nearest to it, if there is none."""
        with self._read() as session:
            return study_record(self._study_row(session, name))

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        with self._read() as session:
            return [study_record(row) for row in session.scalars(queries.all_studies())]

    def summaries(self, name: str | None = None) -> list[StudySummary]:
        """What each study holds, oldest first, or the one of this name; raises ValueError if there is none of it."""
        with self._read() as session:
            studies = session.scalars(queries.all_studies()).all() if name is None else [self._study_row(session, name)]
            return summarise(session, studies)

    def endings(self, study: str) -> list[Ending]:
        """Why the study's trials ended without a result, and how often, the most frequent first."""
        with self._read() as session:
            self._study_row(session, study)
            return count_endings(session, study)

    def write(self, batch: Sequence[Write], lead: LeadRecord | None = None, *, late: bool = False) -> list[TrialRecord]:
        """Store a batch in its order, or nothing of it; a batch that is stored again changes nothing.

        Gives the trials that it began or ended, as they are stored. `lead` is the writer's: LeadLost if another driver
        has it. `late` as in `db.writes.apply`. Raises ValueError for what contradicts itself or the rows.
        """
        with self._write() as session:
            if lead is not None:
                leads.require(session, lead)
            return apply(session, batch, late=late)

    def add_architectures(self, architectures: Iterable[ArchitectureRecord]) -> None:
        """Store those whose arch_id is not there yet; the others stay as they are."""
        if batch := list(architectures):
            self.write(batch)

    def architectures(self, study: str, *, described: bool = True) -> dict[str, ArchitectureRecord]:
        """By arch_id: all that the study's trials name, as target or as trained, and its baseline.

        With their latency by the study's settings, as far as it was measured. Where their costs are enough, leave
        out their descriptions, which are most of what is read: without `described` nobody may look into them.
        """
        with self._read() as session:
            return read_architectures(session, self._study_row(session, study), described=described)

    def add_latency(self, latency: LatencyRecord) -> LatencyRecord:
        """The latency as stored, now or before: an architecture is measured once by the same settings."""
        columns = columns_of(dataclasses.replace(latency, measured_at=latency.measured_at or now()))
        with self._write() as session:
            require(session, ArchitectureRow, "arch_id", latency.arch_id)
            session.execute(queries.insert_or_keep(self._dialect, LatencyRow), columns)
            return latency_record(session.get_one(LatencyRow, (latency.arch_id, latency.settings_key)))

    def find_latency(self, arch_id: str, settings_key: str) -> LatencyRecord | None:
        """What was measured of an architecture by these settings, for any study."""
        with self._read() as session:
            row = session.get(LatencyRow, (arch_id, settings_key))
            return latency_record(row) if row else None

    def add_trial(self, trial: TrialRecord) -> TrialRecord:
        """The trial as stored, with id and times; raises ValueError if it has an id or contradicts itself."""
        return self.write([trial])[0]

    def add_epoch(self, epoch: EpochRecord) -> None:
        """Store what an epoch measured; an epoch that is already there stays as it is."""
        self.write([epoch])

    def finish_trial(self, end: TrialEnd) -> TrialRecord:
        """The trial as it ended, which stays if it had; raises ValueError if it had ended otherwise."""
        return self.write([end])[0]

    def interrupt_running(self, study: str, reason: str, lead: LeadRecord | None = None) -> list[TrialRecord]:
        """Mark the study's RUNNING trials INTERRUPTED after the epochs that are stored; gives them by id."""
        with self._write() as session:
            self._study_row(session, study)
            if lead is not None:
                leads.require(session, lead)
            ended = {"state": TrialState.INTERRUPTED, "reason": reason, "finished_at": now()}
            running = session.execute(queries.running_trials(study)).all()
            return [update(session, row, {**ended, "epochs_run": epochs}) for row, epochs in running]

    def take_lead(self, lead: LeadRecord, instead_of: LeadRecord | None = None) -> LeadRecord:
        """Lead a study that nobody leads, or in place of a driver as it was last read; gives whose the lead is then."""
        with self._write() as session:
            require(session, StudyRow, "study", lead.study)
            return leads.take(session, lead, instead_of)

    def lead(self, study: str) -> LeadRecord | None:
        """Who leads the study, if anybody does."""
        with self._read() as session:
            return leads.read(session, study)

    def renew_lead(self, lead: LeadRecord) -> None:
        """Say that its driver lives; LeadLost if another driver has the lead."""
        with self._write() as session:
            leads.renew(session, lead)

    def give_up_lead(self, lead: LeadRecord) -> None:
        """Let others lead the study; nothing if another driver does already."""
        with self._write() as session:
            leads.give_up(session, lead)

    def trials(self, study: str) -> list[TrialRecord]:
        """The study's trials by id."""
        with self._read() as session:
            self._study_row(session, study)
            return read_trials(session, study)

    def trial(self, trial_id: int) -> TrialRecord:
        """The trial of that id, of any study; raises ValueError if there is none."""
        with self._read() as session:
            return trial_record(require(session, TrialRow, "trial_id", trial_id))

    def trial_ids(self, study: str, uids: Collection[str]) -> dict[str, int]:
        """The ids of the study's trials with these uids, by uid; nothing of those that it does not have."""
        with self._read() as session:
            found = session.execute(queries.ids_of(study)).all()
            return {uid: trial_id for uid, trial_id in found if uid is not None and uid in uids}

    def find_complete(self, spec_key: str, code_version: str | None = None) -> TrialRecord | None:
        """The earliest COMPLETE trial of any study with this key that was itself trained, if there is one.

        With `code_version`, the earliest that this code trained.
        """
        with self._read() as session:
            row = session.scalar(queries.complete_trials(spec_key, code_version).limit(1))
            return trial_record(row) if row else None

    def epochs(self, study: str, trials: Collection[int] | None = None) -> list[EpochRecord]:
        """The epochs of the study's trials, or of those with these ids, by trial and epoch."""
        with self._read() as session:
            self._study_row(session, study)
            return read_epochs(session, study, trials)

    def add_artifact(self, artifact: ArtifactRecord) -> None:
        """Store what is known of a file that a trial left, in place of an earlier one of the same kind."""
        self.write([artifact])

    def artifacts(self, study: str) -> list[ArtifactRecord]:
        """The files that the study's trials left, by trial and kind."""
        with self._read() as session:
            self._study_row(session, study)
            return [artifact_record(row) for row in session.scalars(queries.artifacts_of(study))]

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with self._faults(), self._writing.begin() as session:
            yield session

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with self._faults(), self._reading.begin() as session:
            yield session

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (fault := fault_of(error, self.url)) is None:
                raise
            raise fault from error

    @property
    def _dialect(self) -> str:
        return self._engine.dialect.name

    def _study_row(self, session: Session, name: str) -> StudyRow:
        row = session.get(StudyRow, name)
        if row is None:
            names = session.scalars(select(StudyRow.name).order_by(StudyRow.name)).all()
            raise ValueError(f"no study named {name!r} in {self.url}; {_suggest(name, names)}")
        return row


def _suggest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known are {', '.join(names)}" if names else "it holds none yet: run a sweep first"

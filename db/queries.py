"""The questions that the store asks, as statements without a session."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Insert, Select, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from db.records import TrialState
from db.schema import ArchitectureRow, ArtifactRow, Base, EpochRow, LatencyRow, StudyRow, TrialRow

# Both databases can insert with a rule for a key that is there already, each in its own words.
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_or_keep(dialect: str, table: type[Base]) -> Insert:
    """An insert that leaves a row with the same key as it is."""
    insert: Insert = _INSERT[dialect](table.__table__).on_conflict_do_nothing()
    return insert


def insert_or_replace(dialect: str, table: type[Base]) -> Insert:
    """An insert that takes the place of a row with the same primary key."""
    insert = _INSERT[dialect](table.__table__)
    keys = list(table.__table__.primary_key)
    replaced: Insert = insert.on_conflict_do_update(index_elements=keys, set_=dict(insert.excluded.items()))
    return replaced


def all_studies() -> Select[StudyRow]:
    """Oldest first."""
    return select(StudyRow).order_by(StudyRow.created_at, StudyRow.name)


def trials_of(study: str) -> Select[TrialRow]:
    """By id."""
    return select(TrialRow).where(TrialRow.study == study).order_by(TrialRow.id)


def complete_trials(spec_key: str, code_version: str | None) -> Select[TrialRow]:
    """Of any study, trained and not reused, by this code if one is named, earliest first."""
    same = [
        TrialRow.spec_key == spec_key,
        TrialRow.state == TrialState.COMPLETE,
        TrialRow.reused_from.is_(None),
    ]
    if code_version is not None:
        same.append(TrialRow.code_version == code_version)
    return select(TrialRow).where(*same).order_by(TrialRow.id)


def running_trials(study: str) -> Select[TrialRow, int]:
    """By id, each with the last of its stored epochs, 0 if it has none."""
    last = select(func.coalesce(func.max(EpochRow.epoch), 0)).where(EpochRow.trial_id == TrialRow.id)
    running = select(TrialRow, last.scalar_subquery())
    return running.where(TrialRow.study == study, TrialRow.state == TrialState.RUNNING).order_by(TrialRow.id)


def ids_of(study: str) -> Select[str | None, int]:
    """Uid and id of the trials that have both."""
    return select(TrialRow.uid, TrialRow.id).where(TrialRow.study == study, TrialRow.uid.is_not(None))


def architectures_of(study: StudyRow) -> Select[ArchitectureRow]:
    """The baseline, and those that the study's trials name as target or as trained, by arch_id."""
    of_study = TrialRow.study == study.name
    named = or_(
        ArchitectureRow.arch_id == study.baseline_arch_id,
        ArchitectureRow.arch_id.in_(select(TrialRow.arch_id).where(of_study)),
        ArchitectureRow.arch_id.in_(select(TrialRow.trained_arch_id).where(of_study)),
    )
    return select(ArchitectureRow).where(named).order_by(ArchitectureRow.arch_id)


def latencies_of(architectures: Select[ArchitectureRow]) -> Select[LatencyRow]:
    """Of these architectures, by any settings."""
    ids = architectures.with_only_columns(ArchitectureRow.arch_id).order_by(None)
    return select(LatencyRow).where(LatencyRow.arch_id.in_(ids))


def epochs_of(study: str) -> Select[EpochRow]:
    """By trial and epoch."""
    epochs = select(EpochRow).join(TrialRow, TrialRow.id == EpochRow.trial_id)
    return epochs.where(TrialRow.study == study).order_by(EpochRow.trial_id, EpochRow.epoch)


def artifacts_of(study: str) -> Select[ArtifactRow]:
    """By trial and kind."""
    artifacts = select(ArtifactRow).join(TrialRow, TrialRow.id == ArtifactRow.trial_id).where(TrialRow.study == study)
    return artifacts.order_by(ArtifactRow.trial_id, ArtifactRow.kind)

"""Rows from records, and records from rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from db.records import (
    DERIVED,
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    LatencyRecord,
    LeadRecord,
    Provenance,
    StudyRecord,
    TrialRecord,
)
from db.schema import ArchitectureRow, ArtifactRow, Base, EpochRow, LatencyRow, LeadRow, StudyRow, TrialRow

_TABLES: dict[type, type[Base]] = {
    StudyRecord: StudyRow,
    ArchitectureRecord: ArchitectureRow,
    LatencyRecord: LatencyRow,
    LeadRecord: LeadRow,
    TrialRecord: TrialRow,
    EpochRecord: EpochRow,
    ArtifactRecord: ArtifactRow,
}
Record = StudyRecord | ArchitectureRecord | LatencyRecord | LeadRecord | TrialRecord | EpochRecord | ArtifactRecord


def table_of(record: Record) -> type[Base]:
    """The table whose rows are such records."""
    return _TABLES[type(record)]


def columns_of(record: Record | Provenance) -> dict[str, Any]:
    """The record's values by column name; raises ValueError for what the database would not give back."""
    columns: dict[str, Any] = {}
    for name in _names(type(record)):
        value = getattr(record, name)
        if isinstance(value, Provenance):
            columns |= columns_of(value)
        else:
            columns[name] = _column(name, value)
    return columns


def _column(name: str, value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{name} must have a time zone, got {value}; use datetime.now(UTC)")
    return _plain_json(name, value) if isinstance(value, Mapping | tuple) else value


def _plain_json(name: str, value: Any) -> Any:
    """The value as dicts with text keys, lists, text and finite numbers; raises ValueError else."""
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain_json(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_json(f"{name}[{index}]", item) for index, item in enumerate(value)]
    raise ValueError(
        f"{name} must be JSON (finite numbers, text, lists, mappings with text keys), got {value!r} of type "
        f"{type(value).__name__}; turn it into one of these"
    )


def study_record(row: StudyRow) -> StudyRecord:
    """The study of a row."""
    return StudyRecord(**{**_fields(row, StudyRecord), "objectives": tuple(row.objectives)})


def latency_record(row: LatencyRow) -> LatencyRecord:
    """The latency of a row."""
    return LatencyRecord(**_fields(row, LatencyRecord))


def lead_record(row: LeadRow, now: datetime) -> LeadRecord:
    """The lead of a row, `now` by the clock that the row was written by."""
    return LeadRecord(**_fields(row, LeadRecord), age_s=max((now - row.renewed_at).total_seconds(), 0.0))


def trial_record(row: TrialRow) -> TrialRecord:
    """The trial of a row."""
    return TrialRecord(**_fields(row, TrialRecord), provenance=Provenance(**_fields(row, Provenance)))


def artifact_record(row: ArtifactRow) -> ArtifactRecord:
    """The artifact of a row."""
    return ArtifactRecord(**_fields(row, ArtifactRecord), metadata=row.metadata_)


def _fields(row: Base, record: type) -> dict[str, Any]:
    """The row's values of those fields of the record that are attributes of the row by the same name."""
    attributes = row.__mapper__.column_attrs.keys()
    return {name: getattr(row, name) for name in _names(record) if name in attributes}


def _names(record: Any) -> Iterable[str]:
    return [field.name for field in dataclasses.fields(record) if field.metadata != DERIVED]

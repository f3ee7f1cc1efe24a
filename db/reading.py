"""Many rows as records: read as columns rather than as entities, and equal texts of JSON parsed once.

Records of one reading share what was parsed from equal texts.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import JSON, ColumnElement, Select, Text, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from db import queries
from db.collector import collector_paused
from db.records import DERIVED, ArchitectureRecord, EpochRecord, Provenance, TrialRecord
from db.schema import ArchitectureRow, Base, EpochRow, LatencyRow, StudyRow, TrialRow

Parse = Callable[[str], Any]
_STREAMED = {"yield_per": 1_000}
"""Rows come so many at a time, rather than all before the first is a record."""
_MOST_VALUES = 5_000
"""Of one statement: both databases have a limit."""


class StoredJson(Mapping[str, Any]):
    """A mapping that is parsed when it is first looked into: of many descriptions most never are."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self._text))

    def __getitem__(self, key: str) -> Any:
        return self._parsed[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)

    def __repr__(self) -> str:
        return repr(self._parsed)


class Unread(Mapping[str, Any]):
    """In the place of a mapping that nobody asked for; who looks into it after all has made a mistake."""

    def __getitem__(self, key: str) -> Any:
        raise self._mistake()

    def __iter__(self) -> Iterator[str]:
        raise self._mistake()

    def __len__(self) -> int:
        raise self._mistake()

    def _mistake(self) -> RuntimeError:
        return RuntimeError("this description was not read; ask the store for described architectures")


class _Fields:
    """The fields of a record that are columns of a table."""

    def __init__(self, record: type, table: type[Base], without: Collection[str] = ()) -> None:
        columns = table.__table__.c
        names = [field.name for field in dataclasses.fields(record) if field.metadata != DERIVED]
        self.names = [name for name in names if name in columns and name not in without]
        self._own = [columns[name] for name in self.names]
        self._json_places = [place for place, own in enumerate(self._own) if isinstance(own.type, JSON)]

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """What to select, JSON as its text."""
        return [as_type(own, Text) if isinstance(own.type, JSON) else own for own in self._own]

    def values(self, row: Iterable[Any], parse: Parse) -> list[Any]:
        """The fields of a row of `columns`, in the record's order."""
        values = list(row)
        for place in self._json_places:
            if values[place] is not None:
                values[place] = parse(values[place])
        return values


def read_trials(session: Session, study: str) -> list[TrialRecord]:
    """The study's trials by id; those of the same code and machine share their provenance."""
    own, origin = _Fields(TrialRecord, TrialRow), _Fields(Provenance, TrialRow)
    parse = cache(_parse_choices)
    provenance = cache(lambda *row: Provenance(*origin.values(row, parse)))
    table, size = TrialRow.__table__.c, len(own.names)

    def record(row: Sequence[Any]) -> TrialRecord:
        values = own.values(row[:size], parse)
        values.insert(_PROVENANCE, provenance(*row[size:]))
        return TrialRecord(*values)

    asked = select(*own.columns, *origin.columns).where(table.study == study)
    with collector_paused():
        rows = session.execute(asked, execution_options=_STREAMED)
        trials = [record(row) for row in rows]
    return sorted(trials, key=attrgetter("id"))  # SQLite would carry whole rows about to sort them


def read_epochs(session: Session, study: str, trials: Collection[int] | None) -> list[EpochRecord]:
    """The epochs of the study's trials, or of some of them, by trial and epoch."""
    fields = _Fields(EpochRecord, EpochRow)
    asked = queries.epochs_of(study).with_only_columns(*fields.columns)
    parts = [asked] if trials is None else [asked.where(EpochRow.trial_id.in_(part)) for part in _parts(sorted(trials))]
    rows = (row for part in parts for row in session.execute(part, execution_options=_STREAMED))
    return [EpochRecord(*row) for row in rows]


def read_architectures(session: Session, study: StudyRow, *, described: bool) -> dict[str, ArchitectureRecord]:
    """By arch_id, those that the study's trials name and its baseline, with their latency by the study's settings."""
    fields = _Fields(ArchitectureRecord, ArchitectureRow, without=() if described else ("description",))
    asked = queries.architectures_of(study)
    measured = _latencies(session, queries.latencies_of(asked), study.latency) if study.latency else {}

    def record(row: Sequence[Any]) -> ArchitectureRecord:
        values = fields.values(row, StoredJson)
        if not described:
            values.insert(_DESCRIPTION, _UNREAD)
        values.append(measured.get(values[0]))
        return ArchitectureRecord(*values)

    with collector_paused():
        # By the connection, as the session would look for entities among these rows.
        rows = session.connection().execute(asked.with_only_columns(*fields.columns), execution_options=_STREAMED)
        records = (record(row) for row in rows)
        return {architecture.arch_id: architecture for architecture in records}


def _latencies(session: Session, asked: Select[LatencyRow], settings: Mapping[str, Any]) -> dict[str, float]:
    """Median milliseconds by arch_id, of those measured by these settings."""
    same = cache(lambda text: json.loads(text) == settings)
    rows = session.execute(
        asked.with_only_columns(LatencyRow.arch_id, LatencyRow.p50_ms, as_type(LatencyRow.settings, Text))
    )
    return {arch_id: p50_ms for arch_id, p50_ms, text in rows if same(text)}


def _parse_choices(text: str) -> dict[str, Any]:
    """What many mappings have in common, names of dimensions and choices, is held once: else it is most of a study."""
    pairs = json.loads(text).items()
    return {sys.intern(name): sys.intern(value) if isinstance(value, str) else value for name, value in pairs}


def _place(record: type, name: str) -> int:
    """Of a field among the record's: many records are made faster of values by place than by name."""
    return [field.name for field in dataclasses.fields(record)].index(name)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Few enough at a time for one statement."""
    return (ids[start : start + _MOST_VALUES] for start in range(0, len(ids), _MOST_VALUES))


_UNREAD = Unread()
_DESCRIPTION, _PROVENANCE = _place(ArchitectureRecord, "description"), _place(TrialRecord, "provenance")

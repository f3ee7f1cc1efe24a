"""Databases as each release left them: `PYTHONPATH=. python tests/releases.py` makes what is missing, nothing twice.

Beside each stands what it holds as JSON, written from what was put in rather than read back.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import db_examples
from sqlalchemy import Connection, MetaData, create_engine, text

from db import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    LatencyRecord,
    LeadRecord,
    Provenance,
    Store,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from db.migrate import upgrade
from db.records import DERIVED
from db.rows import Record, columns_of, table_of

FOLDER = Path(__file__).with_name("data") / "releases"
REVISIONS = ("0001", "0002", "0003")
KINDS = (StudyRecord, ArchitectureRecord, TrialRecord, EpochRecord, ArtifactRecord, LatencyRecord, LeadRecord)
MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)
STUDIES = ("groups", "kernels", "empty")
Export = dict[str, list[dict[str, Any]]]


def records() -> Iterator[Record]:
    """Three studies, one of them empty; trials in all states, one retried, one reused; what belongs to them."""
    yield from (db_examples.architecture(name) for name in ("base", "small", "other"))
    for number, name in enumerate(STUDIES):
        settings = db_examples.LATENCY_SETTINGS if name == "kernels" else None
        yield db_examples.study(name, created_at=MOMENT + timedelta(days=number), latency=settings)
    yield db_examples.latency("base", measured_at=MOMENT)
    yield db_examples.latency("other", measured_at=MOMENT, p50_ms=0.1 + 0.2)
    yield from trials()
    for trial_id, last in ((1, 2), (3, 1), (4, 1)):
        yield from (db_examples.epoch(trial_id, number) for number in range(1, last + 1))
    yield db_examples.epoch(4, 2, train_loss=math.nan, val_loss=math.nan)
    yield db_examples.artifact(1)
    yield db_examples.artifact(1, kind="log", metadata={"ä 😀": [1, None, {"b": 0.1}]})
    yield LeadRecord("kernels", "c" * 32, "host", 4711, "boot", MOMENT)


def trials() -> Iterator[TrialRecord]:
    ended = {"started_at": MOMENT, "finished_at": MOMENT + timedelta(seconds=7.25)}
    yield db_examples.complete(id=1, uid="1" * 32, **ended)
    yield db_examples.trial(id=2, started_at=MOMENT)
    yield db_examples.trial(id=3, state=TrialState.INTERRUPTED, epochs_run=1, reason="Ctrl-C", **ended)
    yield db_examples.trial(id=4, state=TrialState.FAILED, epochs_run=2, reason="val_loss is nan", retry_of=3, **ended)
    yield db_examples.trial(id=5, state=TrialState.STOPPED, epochs_run=1, study="kernels", arch_id="other", **ended)
    yield db_examples.complete(id=6, study="kernels", reused_from=1, resumed_epochs=1, uid="6" * 32, **ended)


def plain(record: Any) -> dict[str, Any]:
    """The fields of a record as JSON gives them back."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    for field in dataclasses.fields(record):
        if field.metadata == DERIVED:
            del fields[field.name]
    return dict(json.loads(json.dumps(fields, default=_plain)))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else vars(value)


def export(store: Store) -> Export:
    """All that a store gives."""
    names = [study.name for study in store.studies()]
    architectures = {found.arch_id: found for name in names for found in store.architectures(name).values()}
    keys = [(name, latency.settings_key) for name in architectures for latency in (db_examples.latency(),)]
    found: dict[type, Iterable[Any]] = {
        StudyRecord: store.studies(),
        ArchitectureRecord: [architectures[name] for name in sorted(architectures)],
        TrialRecord: [trial for name in names for trial in store.trials(name)],
        EpochRecord: [epoch for name in names for epoch in store.epochs(name)],
        ArtifactRecord: [artifact for name in names for artifact in store.artifacts(name)],
        LatencyRecord: filter(None, (store.find_latency(*key) for key in sorted(keys))),
        LeadRecord: filter(None, (store.lead(name) for name in names)),
    }
    return {kind.__name__: [plain(one) for one in found[kind]] for kind in KINDS}


def with_defaults(stored: Export) -> Export:
    """What a release exported, as records of today: fields that it did not know have their defaults."""
    return {kind.__name__: [{**_defaults(kind), **one} for one in stored.get(kind.__name__, [])] for kind in KINDS}


def _defaults(kind: Any) -> dict[str, Any]:
    fields = [field for field in dataclasses.fields(kind) if field.metadata != DERIVED]
    return {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}


def make(revision: str) -> None:
    """Make a release's database and its export."""
    exported: Export = {}
    engine = create_engine(f"sqlite:///{FOLDER / revision}.db")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA page_size = 512")
        connection.commit()
        upgrade(connection, revision)
        tables = MetaData()
        tables.reflect(connection)
        for record in records():
            table = tables.tables.get(table_of(record).__tablename__)
            if table is not None:
                columns = {name: value for name, value in columns_of(record).items() if name in table.columns}
                connection.execute(table.insert(), {name: _stored(value) for name, value in columns.items()})
                exported.setdefault(type(record).__name__, []).append(_known(record, columns))
        connection.commit()
    engine.dispose()
    for kind, key in _ORDER.items():
        exported.get(kind, []).sort(key=lambda one, key=key: [one[name] for name in key])
    (FOLDER / f"{revision}.json").write_text(json.dumps(exported, indent=1, ensure_ascii=False) + "\n")


_ORDER = {"ArchitectureRecord": ["arch_id"], "ArtifactRecord": ["trial_id", "kind"], "LatencyRecord": ["arch_id"]}
"""How the store gives them; the others are put in so."""


def _stored(value: Any) -> Any:
    """As the store has it: without a zone, NULL for NaN."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return None if isinstance(value, float) and math.isnan(value) else value


def _known(record: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    provenance = {field.name for field in dataclasses.fields(Provenance)}
    fields = plain(record)
    return {
        name: fields[name]
        for name in fields
        if name in columns or (name == "provenance" and columns.keys() >= provenance)
    }


def load(connection: Connection, revision: str) -> None:
    """Make a release's tables in another database, with the same rows."""
    upgrade(connection, revision)
    source, target = MetaData(), MetaData()
    target.reflect(connection)
    engine = create_engine(f"sqlite:///{FOLDER / revision}.db")
    with engine.connect() as release:
        source.reflect(release)
        for table in source.sorted_tables:
            if rows := [dict(row._mapping) for row in release.execute(table.select().order_by(*table.primary_key))]:
                wanted = target.tables[table.name]
                connection.execute(wanted.delete())
                connection.execute(wanted.insert(), [{name: _zoned(row[name]) for name in row} for row in rows])
    engine.dispose()
    connection.execute(text("SELECT setval('tx_trials_id_seq', (SELECT max(id) FROM tx_trials))"))


def _zoned(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for missing in (one for one in REVISIONS if not (FOLDER / f"{one}.db").exists()):
        make(missing)

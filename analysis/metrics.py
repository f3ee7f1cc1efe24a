"""What a variant is measured by: one record a metric, with its column, label, unit and direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from db.records import ArchitectureRecord, TrialRecord
from space.words import require_known


@dataclass(frozen=True)
class Metric:
    """A number of a variant: where the record keeps it and how frames, plots and pages show it."""

    name: str
    """What users type."""
    column: str
    """Column of the frames, with the unit in its name."""
    label: str
    """Axis title, without the unit."""
    unit: str
    direction: Literal["max", "min"]
    """Which way is good."""
    record: type[TrialRecord] | type[ArchitectureRecord]
    field: str
    """Field of the record that holds it."""
    transform: Callable[[float], float]
    """From the record's number to the column's."""
    digits: int
    """Decimals shown."""

    def values(self, records: Iterable[TrialRecord | ArchitectureRecord]) -> list[float | None]:
        """The number of each record in the column's unit; None for those that have none."""
        return [None if raw is None else self.transform(raw) for raw in map(attrgetter(self.field), records)]

    def of(self, record: TrialRecord | ArchitectureRecord) -> float | None:
        """`values` of one record."""
        assert isinstance(record, self.record)
        return self.values((record,))[0]

    @property
    def title(self) -> str:
        """Label and unit, for an axis or a table's head."""
        return f"{self.label} ({self.unit})"


COLUMNS: dict[str, Metric] = {
    entry.name: entry
    for entry in (
        Metric("accuracy", "val_accuracy_pct", "validation accuracy", "%", "max",
               TrialRecord, "val_accuracy", lambda share: 100 * share, 2),
        Metric("gmacs", "gmacs", "multiply-adds", "GMACs", "min",
               ArchitectureRecord, "macs", lambda macs: macs / 1e9, 3),
        Metric("params", "params_m", "parameters", "M", "min",
               ArchitectureRecord, "params", lambda params: params / 1e6, 2),
        Metric("train_time", "train_seconds", "training time", "s", "min",
               TrialRecord, "train_seconds", float, 1),
        Metric("latency", "latency_ms", "latency", "ms", "min",
               ArchitectureRecord, "latency_ms", float, 2),
        Metric("gmacs_published", "gmacs_published", "multiply-adds as published", "GMACs", "min",
               ArchitectureRecord, "macs_published", lambda macs: macs / 1e9, 3),
    )
}  # fmt: skip

ACCURACY = COLUMNS["accuracy"]


def metric(name: str) -> Metric:
    """The metric of that name, frame column or record field; raises ValueError with the nearest word."""
    by_any_name: dict[str, Metric] = {}
    for entry in COLUMNS.values():
        by_any_name |= {entry.field: entry, entry.column: entry, entry.name: entry}
    require_known(name, by_any_name, "metric")
    return by_any_name[name]


def objectives_text(objectives: Sequence[str]) -> str:
    """The objectives as people say them: "validation accuracy against multiply-adds"."""
    return " against ".join(metric(name).label for name in objectives)

"""The tables, one for each kind of record, column by column as db/records.py names the fields.

Optuna keeps its own tables in the same database, hence the prefix `tx_` on ours.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.names import MAX_NAME_LENGTH
from db.records import TrialState

PREFIX = "tx_"
VERSION_TABLE = f"{PREFIX}alembic_version"

# Named constraints are ones that a later migration can change.
_CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite stores no time zone, so it is taken off there and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; db/rows.py sees to it that it has a time zone."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            return datetime.combine(value.date(), value.time(), UTC)  # value.replace() takes six times as long
        return value.astimezone(UTC)


class Measured(TypeDecorator[float]):
    """What was measured, be it a number or NaN. SQLite cannot store NaN, so NULL stands for it."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """NULL for NaN."""
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        """NaN for NULL."""
        return math.nan if value is None else value


class Base(DeclarativeBase):
    """What all our tables share."""

    metadata = MetaData(naming_convention=_CONSTRAINT_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[str]: JSON,
        datetime: UtcDateTime,
        float: Double,
        int: BigInteger,
        TrialState: Enum(TrialState, native_enum=False, length=16),
    }


class ArchitectureRow(Base):
    """ArchitectureRecord."""

    __tablename__ = f"{PREFIX}architectures"

    arch_id: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[dict[str, Any]]
    params: Mapped[int]
    macs: Mapped[int]
    macs_published: Mapped[int]
    activations: Mapped[int]


class StudyRow(Base):
    """StudyRecord."""

    __tablename__ = f"{PREFIX}studies"

    name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH), primary_key=True)
    space: Mapped[dict[str, Any]]
    recipe: Mapped[dict[str, Any]]
    data: Mapped[dict[str, Any]]
    fidelity: Mapped[dict[str, Any]]
    objectives: Mapped[list[str]]
    baseline_arch_id: Mapped[str] = mapped_column(ForeignKey(ArchitectureRow.arch_id))
    command: Mapped[str]
    created_at: Mapped[datetime]
    # Without this, None would be stored as JSON's null beside the NULL of older rows.
    latency: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class LatencyRow(Base):
    """LatencyRecord."""

    __tablename__ = f"{PREFIX}latencies"

    arch_id: Mapped[str] = mapped_column(ForeignKey(ArchitectureRow.arch_id), primary_key=True)
    settings_key: Mapped[str] = mapped_column(primary_key=True)
    p10_ms: Mapped[float]
    p50_ms: Mapped[float]
    p90_ms: Mapped[float]
    repeats: Mapped[int]
    settings: Mapped[dict[str, Any]]
    measured_at: Mapped[datetime]


class TrialRow(Base):
    """TrialRecord, with its provenance beside the other columns."""

    __tablename__ = f"{PREFIX}trials"
    __table_args__ = (
        Index(None, "study", "state"),
        Index(None, "spec_key", "state"),
        Index(None, "arch_id"),
        Index(None, "trained_arch_id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uid: Mapped[str | None] = mapped_column(String(32), index=True, unique=True)
    study: Mapped[str] = mapped_column(ForeignKey(StudyRow.name))
    arch_id: Mapped[str] = mapped_column(ForeignKey(ArchitectureRow.arch_id))
    trained_arch_id: Mapped[str] = mapped_column(ForeignKey(ArchitectureRow.arch_id))
    variant: Mapped[dict[str, Any]]
    seed: Mapped[int]
    spec_key: Mapped[str]
    state: Mapped[TrialState]
    epochs_planned: Mapped[int]
    code_version: Mapped[str]
    packages: Mapped[dict[str, Any]]
    machine: Mapped[dict[str, Any]]
    epochs_run: Mapped[int]
    val_accuracy: Mapped[float | None]
    val_loss: Mapped[float | None]
    train_seconds: Mapped[float | None]
    reason: Mapped[str | None]
    reused_from: Mapped[int | None] = mapped_column(ForeignKey(id))
    retry_of: Mapped[int | None] = mapped_column(ForeignKey(id))
    resumed_epochs: Mapped[int] = mapped_column(server_default=text("0"))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class LeadRow(Base):
    """LeadRecord."""

    __tablename__ = f"{PREFIX}leads"

    study: Mapped[str] = mapped_column(ForeignKey(StudyRow.name), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    host: Mapped[str]
    process: Mapped[int]
    place: Mapped[str]
    renewed_at: Mapped[datetime]


class EpochRow(Base):
    """EpochRecord."""

    __tablename__ = f"{PREFIX}epochs"

    trial_id: Mapped[int] = mapped_column(ForeignKey(TrialRow.id), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    train_loss: Mapped[float] = mapped_column(Measured, nullable=True)
    val_loss: Mapped[float] = mapped_column(Measured, nullable=True)
    val_accuracy: Mapped[float] = mapped_column(Measured, nullable=True)
    learning_rate: Mapped[float]
    seconds: Mapped[float]


class ArtifactRow(Base):
    """ArtifactRecord. Its field `metadata` is the column of that name; the attribute cannot be called so."""

    __tablename__ = f"{PREFIX}artifacts"

    trial_id: Mapped[int] = mapped_column(ForeignKey(TrialRow.id), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")

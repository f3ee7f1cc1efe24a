"""The plain records that the store takes and gives: what the rows mean, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]
DERIVED = {"derived": True}
"""Metadata of a field that the store fills when it reads, and that has no column of its own."""


class TrialState(StrEnum):
    """Where a trial stands. Only COMPLETE ran all its epochs; only its accuracy may be compared."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    STOPPED = "STOPPED"
    """Stopped early by the scheduler, after the epochs that its row tells."""
    FAILED = "FAILED"
    """Ended by an error or by a metric that is not a finite number; the row tells the reason."""
    INTERRUPTED = "INTERRUPTED"
    """The sweep ended while it ran; it will be run again."""


@dataclass(frozen=True)
class StudyRecord:
    """A sweep: everything that its trials share. Two trials of one study differ in architecture and seed alone."""

    name: str
    """Unique; letters, digits, dot, underscore and hyphen, at most 64."""
    space: Json
    """The space as it was described: base architecture, dimensions, rules."""
    recipe: Json
    """Optimiser, schedule, augmentation, regularisation."""
    data: Json
    """Name, fingerprint, classes, channels, sizes of the splits, and what is needed to open the data again."""
    fidelity: Json
    """How a trial is cheaper than the target."""
    objectives: tuple[str, ...]
    """Names of columns, such as val_accuracy and gmacs."""
    baseline_arch_id: str
    """Id of the target architecture that all others are compared with."""
    command: str
    """What was typed to start it."""
    created_at: datetime | None = None
    latency: Json | None = None
    """By which settings its architectures' latency is measured; None if it is no objective."""


@dataclass(frozen=True)
class ArchitectureRecord:
    """An architecture and its cost at its own image size."""

    arch_id: str
    description: Json
    """What ArchConfig.from_dict reads."""
    params: int
    macs: int
    """Multiply-adds by fvcore's convention."""
    macs_published: int
    """Multiply-adds by the convention of the paper's tables."""
    activations: int
    """Elements that convolutions and matrix products put out."""
    latency_ms: float | None = field(default=None, metadata=DERIVED)
    """Median latency by the settings of the study that it is read for; None if that measures none."""


@dataclass(frozen=True)
class LatencyRecord:
    """How long an architecture takes for one batch at its own size, measured once by some settings."""

    arch_id: str
    settings_key: str
    """Hash of the settings: equal settings, equal keys."""
    p10_ms: float
    """A tenth of the runs took no longer; likewise half and nine tenths."""
    p50_ms: float
    p90_ms: float
    repeats: int
    """Runs measured."""
    settings: Json
    """Device, batch, precision and all else that it depends on."""
    measured_at: datetime | None = None


@dataclass(frozen=True)
class Provenance:
    """What code ran a trial, on what."""

    code_version: str
    packages: Json
    machine: Json


@dataclass(frozen=True)
class TrialRecord:
    """One training of one network with one seed, whole enough to be run again."""

    study: str
    arch_id: str
    """Id of the target architecture: the one at full size, whose costs count."""
    trained_arch_id: str
    """Id of the architecture at the proxy's size, which was trained."""
    variant: Json
    """Choice by dimension: what the space calls this variant, readable."""
    seed: int
    spec_key: str
    """Hash of all that decides the result: trained network, recipe, data, fidelity, seed. Equal keys, equal results."""
    state: TrialState
    epochs_planned: int
    provenance: Provenance
    id: int | None = None
    """Given by the store."""
    uid: str | None = None
    """32 hexadecimal digits, of whoever began it or else of the store: one uid is one trial, however often it is
    stored. None for trials of before there were such."""
    epochs_run: int = 0
    val_accuracy: float | None = None
    """Share of the validation split classified correctly after the last epoch, 0 to 1. None unless COMPLETE."""
    val_loss: float | None = None
    train_seconds: float | None = None
    """Seconds spent in training steps, summed over epochs, without validation and start."""
    reason: str | None = None
    """Why it failed, was stopped or interrupted."""
    reused_from: int | None = None
    """Id of the trial with the same spec_key whose result this is, if it was not trained again."""
    retry_of: int | None = None
    """Id of the interrupted or failed trial that this one runs again."""
    resumed_epochs: int = 0
    """How many of its epochs are those of the trial that it retries, from whose checkpoint it went on."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class TrialStart:
    """A trial that begins with epochs of the trial that it retries."""

    trial: TrialRecord
    epochs: tuple[EpochRecord, ...] = ()
    """Whatever trial they name, they become this one's."""


@dataclass(frozen=True)
class TrialEnd:
    """How a running trial ended; the fields are those of TrialRecord."""

    trial_id: int
    state: TrialState
    epochs_run: int
    val_accuracy: float | None = None
    val_loss: float | None = None
    train_seconds: float | None = None
    reason: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class LeadRecord:
    """Which driver runs a study. It alone may write the study's trials."""

    study: str
    holder: str
    """32 hexadecimal digits that no other driver has."""
    host: str
    process: int
    """Its number on that host."""
    place: str = ""
    """Tells apart what the host's name and the process's number may have in common: boots, containers, processes."""
    renewed_at: datetime | None = None
    """When the driver was last heard of, by the database's clock."""
    age_s: float = field(default=0.0, metadata=DERIVED)
    """Seconds since then."""

    @property
    def who(self) -> str:
        """For people."""
        return f"process {self.process} on {self.host}"


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch measured."""

    trial_id: int
    epoch: int
    """From 1."""
    train_loss: float
    val_loss: float
    val_accuracy: float
    """0 to 1."""
    learning_rate: float
    seconds: float
    """Seconds of training in this epoch."""


@dataclass(frozen=True)
class ArtifactRecord:
    """A file that a trial left."""

    trial_id: int
    kind: str
    """Such as "weights"."""
    path: str
    sha256: str
    size_bytes: int
    metadata: Json = field(default_factory=dict)

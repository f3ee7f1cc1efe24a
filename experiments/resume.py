"""Where a retry goes on: the newest checkpoint of the trials that it retries, and the epochs up to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db import EpochRecord, Store, TrialRecord
from experiments.checkpoints import Checkpoints
from experiments.spec import TrialSpec


@dataclass(frozen=True)
class Resume:
    """Nothing, unless there is a checkpoint."""

    checkpoint: Path | None = None
    epochs: tuple[EpochRecord, ...] = ()
    """Of the trial that left it, up to it."""


def find_resume(
    store: Store,
    checkpoints: Checkpoints,
    earlier: Sequence[TrialRecord],
    spec: TrialSpec,
    may_resume: Callable[[TrialRecord, TrialSpec], bool],
) -> Resume:
    """Of `earlier`, the trials that ended without a result, the latest whose checkpoint and epochs are whole."""
    for trial in reversed(earlier):
        if trial.id is None or trial.uid is None or not may_resume(trial, spec):
            continue
        if (found := checkpoints.find(trial.uid, spec.key)) is not None:
            epochs = tuple(epoch for epoch in store.epochs(trial.study, [trial.id]) if epoch.epoch <= found.epoch)
            if len(epochs) == found.epoch:
                return Resume(found.folder, epochs)
    return Resume()

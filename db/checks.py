"""What must hold of records before they are stored."""

from __future__ import annotations

import math
from typing import Any

from db.differences import describe_differences
from db.records import EpochRecord, StudyRecord, TrialRecord, TrialState
from db.rows import columns_of

_SETTINGS = ("space", "recipe", "data", "fidelity", "objectives", "latency", "baseline_arch_id")
_RESULT = ("state", "epochs_run", "val_accuracy", "val_loss", "train_seconds", "reason")


def check_same_settings(stored: StudyRecord, study: StudyRecord) -> None:
    """Raises ValueError if a study of this name was stored with other settings."""
    found = describe_differences(_settings(stored), _settings(study))
    if found:
        raise ValueError(
            f"a study keeps its settings, but study {study.name!r} was stored with others ({found}); "
            f"give this sweep another name with study=NAME, or use the same settings"
        )


def _settings(study: StudyRecord) -> dict[str, Any]:
    """What decides the results of a study: not how its space and data are described, nor where the data lie."""
    columns = columns_of(study)
    settings = {key: columns[key] for key in _SETTINGS}
    settings["space"] = {key: value for key, value in study.space.items() if key != "about"}
    settings["data"] = {key: value for key, value in study.data.items() if key not in ("caution", "config")}
    return settings


def check_same_result(stored: TrialRecord, trial: TrialRecord) -> None:
    """Raises ValueError if the stored trial ended otherwise."""
    found = describe_differences(
        {field: getattr(stored, field) for field in _RESULT},
        {field: getattr(trial, field) for field in _RESULT},
    )
    if found:
        raise ValueError(f"a trial ends once, but trial {stored.id} ended otherwise ({found}); store it as a new trial")


def check_trial(trial: TrialRecord) -> None:
    """Raises ValueError if the trial's numbers contradict its state."""
    _check_numbers(trial)
    if trial.state is TrialState.COMPLETE:
        _check_complete(trial)
    elif trial.val_accuracy is not None:
        raise ValueError(
            f"{_name(trial)}: only a COMPLETE trial has a val_accuracy, got {trial.val_accuracy} with "
            f"{trial.state}; leave it None, its epochs tell theirs"
        )
    if trial.state is TrialState.RUNNING and trial.finished_at is not None:
        raise ValueError(f"{_name(trial)}: a RUNNING trial has no finished_at, got {trial.finished_at}; leave it None")


def check_epoch(epoch: EpochRecord, trial: TrialRecord) -> None:
    """Raises ValueError if the trial was not to run such an epoch."""
    if not 1 <= epoch.epoch <= trial.epochs_planned:
        raise ValueError(
            f"{_name(trial)}: an epoch must be between 1 and epochs_planned = {trial.epochs_planned}, "
            f"got {epoch.epoch}; count epochs from 1"
        )


def check_reuse(trial: TrialRecord, source: TrialRecord) -> None:
    """Raises ValueError if the source's result is not the trial's as well."""
    if source.state is not TrialState.COMPLETE or source.spec_key != trial.spec_key:
        raise ValueError(
            f"a reused result must be that of a COMPLETE trial with spec_key {trial.spec_key!r}, got trial "
            f"{source.id}, {source.state}, {source.spec_key!r}; find it with find_complete"
        )


def _check_numbers(trial: TrialRecord) -> None:
    if not 0 <= trial.epochs_run <= trial.epochs_planned:
        raise ValueError(
            f"{_name(trial)}: epochs_run must be between 0 and epochs_planned, got {trial.epochs_run} of "
            f"{trial.epochs_planned}; count the epochs that it really ran"
        )
    for field in ("val_loss", "train_seconds"):
        value = getattr(trial, field)
        if value is not None and not math.isfinite(value):
            raise ValueError(
                f"{_name(trial)}: {field} must be a finite number or None, got {value}; "
                f"store it as FAILED with {field}=None and the reason"
            )


def _check_complete(trial: TrialRecord) -> None:
    if trial.epochs_run != trial.epochs_planned:
        raise ValueError(
            f"{_name(trial)}: a COMPLETE trial ran all its epochs, got {trial.epochs_run} of "
            f"{trial.epochs_planned}; store it as STOPPED"
        )
    if trial.val_accuracy is None or not 0 <= trial.val_accuracy <= 1:
        raise ValueError(
            f"{_name(trial)}: a COMPLETE trial must have a val_accuracy between 0 and 1, got "
            f"{trial.val_accuracy}; store a trial without one as FAILED"
        )


def _name(trial: TrialRecord) -> str:
    return f"trial {trial.id}" if trial.id is not None else f"a trial of study {trial.study!r}"

"""Records to store, small but with every field in use."""

from __future__ import annotations

from typing import Any

from db import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    LatencyRecord,
    Provenance,
    Store,
    StudyRecord,
    TrialRecord,
    TrialState,
)

PROVENANCE = Provenance(code_version="1a2b3c", packages={"torch": "2.15"}, machine={"cores": 2, "gpu": None})


def architecture(arch_id: str = "base", **changes: Any) -> ArchitectureRecord:
    sizes = {"params": 12_780_000, "macs": 8_000_000_000, "macs_published": 1_800_000_000, "activations": 5}
    return ArchitectureRecord(arch_id=arch_id, description={"stages": [{"depth": 3}]}, **{**sizes, **changes})


LATENCY_SETTINGS = {"device": "cpu", "device_name": "AMD EPYC", "batch": 1, "image_size": None}


def latency(arch_id: str = "base", **changes: Any) -> LatencyRecord:
    times = {"p10_ms": 1.25, "p50_ms": 1.5, "p90_ms": 1.75, "repeats": 20}
    fields: dict[str, Any] = {"settings_key": "5e77", **times, "settings": LATENCY_SETTINGS}
    return LatencyRecord(arch_id=arch_id, **{**fields, **changes})


def study(name: str = "groups", **changes: Any) -> StudyRecord:
    fields: dict[str, Any] = {
        "name": name,
        "space": {"base": "transxnet_t", "dimensions": [{"field": "idconv_groups", "choices": [1, 2]}]},
        "recipe": {"optimiser": {"lr": 1e-3, "betas": [0.9, 0.999]}, "label_smoothing": 0.1},
        "data": {"name": "photos", "fingerprint": "f00", "classes": 15},
        "fidelity": {"image_size": 32, "epochs": 2},
        "objectives": ("val_accuracy", "gmacs"),
        "baseline_arch_id": "base",
        "command": "python -m experiments.sweep",
    }
    return StudyRecord(**{**fields, **changes})


def trial(**changes: Any) -> TrialRecord:
    fields: dict[str, Any] = {
        "study": "groups",
        "arch_id": "base",
        "trained_arch_id": "small",
        "variant": {"idconv_groups": [2, 2, 3, 4]},
        "seed": 2**40,
        "spec_key": "key",
        "state": TrialState.RUNNING,
        "epochs_planned": 2,
        "provenance": PROVENANCE,
    }
    return TrialRecord(**{**fields, **changes})


def complete(**changes: Any) -> TrialRecord:
    result = {"epochs_run": 2, "val_accuracy": 0.5, "val_loss": 1.25, "train_seconds": 3.5}
    return trial(state=TrialState.COMPLETE, **{**result, **changes})


def epoch(trial_id: int, number: int = 1, **changes: Any) -> EpochRecord:
    measured = {
        "train_loss": 2.0,
        "val_loss": 1.9,
        "val_accuracy": 0.1,
        "learning_rate": 1e-3,
        "seconds": 7.5,
    }
    return EpochRecord(trial_id=trial_id, epoch=number, **{**measured, **changes})


def artifact(trial_id: int, **changes: Any) -> ArtifactRecord:
    fields: dict[str, Any] = {"kind": "weights", "path": "w.safetensors", "sha256": "ab", "size_bytes": 2**33}
    return ArtifactRecord(trial_id=trial_id, **{**fields, "metadata": {"dtype": "float32"}, **changes})


def with_study(store: Store, *names: str) -> Store:
    """The store, holding the example architectures and studies."""
    store.add_architectures([architecture("base"), architecture("small"), architecture("other")])
    for name in names or ("groups",):
        store.add_study(study(name))
    return store

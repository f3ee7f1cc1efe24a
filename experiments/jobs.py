"""What all trials of a sweep share, and the one that a worker is to run now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from db import EpochRecord, Provenance, TrialRecord, TrialState
from experiments.candidates import Variant
from experiments.data.config import DataConfig
from experiments.proxies import Proxies
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from transxnet.arch import ArchConfig

MEASURED = tuple(field.name for field in fields(EpochRecord) if field.name not in ("trial_id", "epoch"))
"""What a worker reports of an epoch."""


@dataclass(frozen=True)
class Conditions:
    """What all trials of a sweep share."""

    study: str
    recipe: Recipe
    data: DataConfig
    data_fingerprint: str
    proxies: Proxies
    provenance: Provenance

    def spec(self, target: ArchConfig, seed: int) -> TrialSpec:
        """The training that stands for `target` under these conditions."""
        arch = self.proxies.of(target)
        return TrialSpec(arch, self.recipe, self.proxies.fidelity, self.data, self.data_fingerprint, seed)

    def trial(self, variant: Variant, spec: TrialSpec, state: TrialState, retry_of: int | None) -> TrialRecord:
        """The row of a training that begins, or whose result is known."""
        return TrialRecord(
            study=self.study,
            arch_id=variant.id,
            trained_arch_id=spec.arch.id,
            variant=variant.labels,
            seed=spec.seed,
            spec_key=spec.key,
            state=state,
            epochs_planned=spec.fidelity.epochs,
            provenance=self.provenance,
            retry_of=retry_of,
        )

    def may_resume(self, earlier: TrialRecord, spec: TrialSpec) -> bool:
        """Whether a training of these conditions may go on from an earlier one's checkpoint as if it were its own."""
        then, now = earlier.provenance, self.provenance
        same_code = (then.code_version, then.packages) == (now.code_version, now.packages)
        same_way = then.machine.get("trial") == now.machine.get("trial")
        return earlier.spec_key == spec.key and same_code and same_way


@dataclass(frozen=True)
class Job:
    """A trial that a worker is to run now."""

    trial: TrialRecord
    """Its row."""
    variant: Variant
    spec: TrialSpec
    is_baseline: bool
    checkpoint: Path | None = None
    """Where to go on from; None: from the beginning."""

    @property
    def trial_id(self) -> int:
        """Of its row."""
        assert self.trial.id is not None
        return self.trial.id


def bad_metric(metrics: Mapping[str, Any]) -> str | None:
    """What is wrong with the first reported metric that is not a finite number; None if all are."""
    for name in ("epoch", *MEASURED):
        value = metrics.get(name)
        if name not in metrics:
            return f"{name} must be reported every epoch, but is missing"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{name} must be a finite number, got {value!r}"
    return None

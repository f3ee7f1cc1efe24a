"""What the rows of a study say was done, for a sweep that takes it up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from db import Store, TrialRecord, TrialState
from experiments.candidates import Variant


@dataclass
class History:
    """Trials by variant and seed."""

    variants: dict[str, Variant] = field(default_factory=dict)
    """By id, in the order in which they were first trained; the baseline is among them if it was."""
    finished: dict[str, dict[int, TrialRecord]] = field(default_factory=lambda: defaultdict(dict))
    """What is not run again, by variant and seed."""
    unfinished: dict[tuple[str, int], list[TrialRecord]] = field(default_factory=lambda: defaultdict(list))
    """The trials that ended without a result, by variant and seed, the latest last."""
    failures: Counter[str] = field(default_factory=Counter)
    """Trials that failed, by variant."""
    began: dict[str, datetime] = field(default_factory=dict)
    """When a variant's first trial began."""

    def ended(self, variant_id: str) -> datetime:
        """When the driver had the last of a variant's results."""
        return max(_known_at(trial) for trial in self.finished[variant_id].values())


def read_history(store: Store, study: str, finished: Collection[TrialState]) -> History:
    """All that the record knows; trials in the states `finished` are not to be run again."""
    history = History()
    architectures = store.architectures(study)
    for trial in store.trials(study):
        if trial.arch_id not in history.variants:
            history.variants[trial.arch_id] = Variant.stored(dict(trial.variant), architectures[trial.arch_id])
            history.began[trial.arch_id] = _began_at(trial)
        history.failures[trial.arch_id] += trial.state is TrialState.FAILED
        if trial.state in finished:
            history.finished[trial.arch_id][trial.seed] = trial
        else:
            history.unfinished[trial.arch_id, trial.seed].append(trial)
    return history


def _began_at(trial: TrialRecord) -> datetime:
    assert trial.started_at is not None
    return trial.started_at


def _known_at(trial: TrialRecord) -> datetime:
    """A result that was taken from another trial is older than its row."""
    assert trial.finished_at is not None
    return max(trial.finished_at, _began_at(trial))

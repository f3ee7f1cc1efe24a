"""The page's account of trials that ended without a result: each, or of many some, and how often each reason was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.results import Results
from db.records import TrialRecord, TrialState

MOST_LISTED = 200
_MOST_REASONS = 20
_COUNTED = (TrialState.COMPLETE, TrialState.RUNNING)


@dataclass(frozen=True)
class EndedTrial:
    """A trial without a result."""

    id: int | None
    label: str
    seed: int
    state: str
    epochs: str
    reason: str


@dataclass(frozen=True)
class EndedReason:
    """How often trials ended so."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True)
class Ended:
    """All trials without a result."""

    count: int
    listed: Sequence[EndedTrial]
    """The earliest of them."""
    reasons: Sequence[EndedReason]
    """The most frequent first; empty where all are listed."""


def ended_trials(results: Results, frame: pd.DataFrame) -> Ended:
    """The stopped, failed and interrupted trials of a study and its variant frame."""
    ended = [trial for trial in results.trials if trial.state not in _COUNTED]
    labels = dict(zip(frame["arch_id"].tolist(), frame["label"].tolist(), strict=True))
    listed = [_ended(trial, labels) for trial in ended[:MOST_LISTED]]
    return Ended(len(ended), listed, _reasons(ended) if len(ended) > len(listed) else [])


def _ended(trial: TrialRecord, labels: Mapping[str, str]) -> EndedTrial:
    return EndedTrial(
        id=trial.id,
        label=labels[trial.arch_id],
        seed=trial.seed,
        state=trial.state.value.lower(),
        epochs=f"{trial.epochs_run} of {trial.epochs_planned}",
        reason=trial.reason or "",
    )


def _reasons(ended: Sequence[TrialRecord]) -> list[EndedReason]:
    counts = Counter((trial.state.value.lower(), trial.reason or "") for trial in ended)
    return [EndedReason(state, reason, count) for (state, reason), count in counts.most_common(_MOST_REASONS)]

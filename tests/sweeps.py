"""What tests of killed sweeps look at: the rows of a study, and what they should be."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
from optuna.trial import TrialState as OptunaState
from sqlalchemy import make_url

from db import Store, TrialRecord, TrialState
from experiments.optuna_tables import open_optuna

CONCURRENT = 2


def rows(url: str, study: str) -> list[TrialRecord]:
    """The study's trials; none while the record is being made."""
    try:
        with Store.open(url, create=False) as store:
            return store.trials(study)
    except ValueError:
        return []


def wait_for(what: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def stored(url: str, what: str) -> int:
    """How many rows a SQLite file has of `epochs`, or of `trials`; cheap enough to be asked all the time."""
    path = make_url(url).database
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM tx_{what}").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


def complete(trials: list[TrialRecord]) -> dict[int | None, TrialRecord]:
    """By id."""
    return {trial.id: trial for trial in trials if trial.state is TrialState.COMPLETE}


def require_whole(url: str, study: str, variants: int, seeds: int) -> dict[tuple[str, int], list[TrialRecord]]:
    """Every variant and seed is complete once, every other attempt interrupted, each naming the one before."""
    attempts: dict[tuple[str, int], list[TrialRecord]] = defaultdict(list)
    for trial in rows(url, study):
        attempts[trial.arch_id, trial.seed].append(trial)
    assert len(attempts) == variants * seeds
    assert len({arch_id for arch_id, _ in attempts}) == variants
    for trials in attempts.values():
        states = [trial.state for trial in trials]
        assert states == [TrialState.INTERRUPTED] * (len(trials) - 1) + [TrialState.COMPLETE]
        assert [trial.retry_of for trial in trials] == [None, *(trial.id for trial in trials[:-1])]
    require_epochs(url, study)
    require_shown(url, study, variants)
    return attempts


def require_epochs(url: str, study: str) -> None:
    """Each complete trial has all its epochs once and ends with its accuracy; resumed ones are an earlier trial's."""
    with Store.open(url, create=False) as store:
        trials, epochs = store.trials(study), defaultdict(list)
        for epoch in store.epochs(study):
            epochs[epoch.trial_id].append(epoch)
    for trial in trials:
        own = [epoch.epoch for epoch in epochs[trial.id]]
        assert own == list(range(1, len(own) + 1))
        if trial.state is TrialState.COMPLETE:
            assert len(own) == trial.epochs_planned == trial.epochs_run
            assert epochs[trial.id][-1].val_accuracy == trial.val_accuracy
        if trial.resumed_epochs:
            ended = [e.val_accuracy for e in epochs[trial.id][: trial.resumed_epochs]]
            assert ended in [
                [e.val_accuracy for e in epochs[other.id][: trial.resumed_epochs]]
                for other in trials
                if (other.arch_id, other.seed) == (trial.arch_id, trial.seed) and (other.id or 0) < (trial.id or 0)
            ]


def require_shown(url: str, study: str, variants: int) -> None:
    """Optuna shows each variant complete, and nothing as running."""
    shown = optuna.load_study(study_name=study, storage=open_optuna(url)).trials
    finished = [trial.user_attrs["arch_id"] for trial in shown if trial.state is OptunaState.COMPLETE]
    assert len(finished) == len(set(finished)) == variants
    assert {trial.state for trial in shown} <= {OptunaState.COMPLETE, OptunaState.FAIL}


def ticked(url: str, study: str) -> dict[int | None, float]:
    """The accuracy that TickTrial must have come to, by trial: of all its epochs, whoever ran them."""
    with Store.open(url, create=False) as store:
        architectures = store.architectures(study)
        trials = store.trials(study)
    found = {}
    for trial in trials:
        key = json.dumps([dict(architectures[trial.trained_arch_id].description), trial.seed], sort_keys=True)
        value = ""
        for epoch in range(1, trial.epochs_planned + 1):
            value = hashlib.sha256(f"{value}{key}{epoch}".encode()).hexdigest()
        found[trial.id] = int(value[:8], 16) / 16**8
    return found


def said(folder: Path) -> str:
    return (folder / "said").read_text()

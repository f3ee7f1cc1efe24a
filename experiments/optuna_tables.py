"""A sweep's variants as trials in Optuna's tables, a transaction or two each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from analysis.metrics import Metric
from db import TrialState
from db.urls import is_sqlite, parse_url, secrets_of, show_url
from experiments.candidates import Price, Variant
from experiments.objectives import directions
from experiments.suggest import distributions
from space import Space

# How a variant's end stands in Optuna's words. Only COMPLETE carries values, so only it can be on a front there.
STATES = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.STOPPED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.INTERRUPTED: OptunaState.FAIL,
}
ARCH_ID = "arch_id"


def open_optuna(url: str) -> optuna.storages.RDBStorage:
    """Optuna's tables in the record's database; on SQLite as patient with other writers as the store is.

    Its `url` has no password, nor has its pickle.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = parse_url(url)
    connect = {"timeout": 30} if is_sqlite(database) else secrets_of(database)
    # Optuna takes its URL for a template, in which braces name what is to be filled in.
    template = show_url(database).replace("{", "{{").replace("}", "}}")
    storage = optuna.storages.RDBStorage(template, engine_kwargs={"connect_args": connect})
    storage.engine_kwargs = {}  # the engine is made: what remains would go into a pickle
    return storage


@dataclass(frozen=True)
class Shown:
    """How a variant stands. Many may wait to be shown: none holds its architecture."""

    id: str
    """The variant's."""
    labels: Mapping[str, str]
    """Its choice by axis."""
    cost: Price
    state: TrialState
    values: Sequence[float] | None = None
    """Of the objectives, means over seeds; None unless COMPLETE."""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, variant: Variant, state: TrialState, *rest: Any) -> Shown:
        """With the fields of a variant that are shown."""
        return cls(variant.id, variant.labels, variant.cost, state, *rest)


class OptunaTables:
    """The study of a sweep, which one process writes."""

    def __init__(self, url: str, study: str, space: Space, objectives: Sequence[Metric]) -> None:
        """Whatever a killed driver left open there is shown as failed: nobody will finish it under its number."""
        self._distributions = distributions(space)
        self._storage = open_optuna(url)
        made = optuna.create_study(
            storage=self._storage, study_name=study, directions=directions(objectives), load_if_exists=True
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made.set_metric_names([metric.column for metric in objectives])
        self._study = self._storage.get_study_id_from_name(study)
        self._running: dict[str, int] = {}  # Optuna's trial, by id of the variant
        for trial in self._all(OptunaState.RUNNING, OptunaState.WAITING):
            self._storage.set_trial_state_values(trial._trial_id, OptunaState.FAIL)

    def close(self) -> None:
        """Close the connections."""
        self._storage.engine.dispose()

    def show(self, shown: Shown) -> None:
        """Show how a variant stands now."""
        id, state = shown.id, STATES[shown.state]
        if state is OptunaState.RUNNING:
            if id not in self._running:
                self._running[id] = self._add(shown)
        elif id in self._running:
            for name, value in shown.attributes.items():
                self._storage.set_trial_user_attr(self._running[id], name, value)
            self._storage.set_trial_state_values(self._running[id], state, shown.values)
            del self._running[id]
        else:
            self._add(shown)

    def show_missing(self, finished: Sequence[Shown]) -> None:
        """Show what earlier runs finished, as far as it is not shown so already."""
        for state in {STATES[shown.state] for shown in finished}:
            wanted = [shown for shown in finished if STATES[shown.state] is state]
            if self._storage.get_n_trials(self._study, state) >= len(wanted):
                continue  # of many thousands nobody looks which
            there = {trial.user_attrs.get(ARCH_ID) for trial in self._all(state)}
            for shown in wanted:
                if shown.id not in there:
                    self._add(shown)

    def fail_running(self) -> None:
        """Show all that runs as failed."""
        for trial in self._running.values():
            self._storage.set_trial_state_values(trial, OptunaState.FAIL)
        self._running.clear()

    def _add(self, shown: Shown) -> int:
        trial = optuna.trial.create_trial(
            state=STATES[shown.state],
            params=dict(shown.labels),
            distributions=self._distributions,
            values=None if shown.values is None else list(shown.values),
            user_attrs={**_costs(shown), **shown.attributes},
        )
        return self._storage.create_new_trial(self._study, template_trial=trial)

    def _all(self, *states: OptunaState) -> list[optuna.trial.FrozenTrial]:
        return self._storage.get_all_trials(self._study, deepcopy=False, states=states)


def _costs(shown: Shown) -> dict[str, Any]:
    return {
        ARCH_ID: shown.id,
        "gmacs": round(shown.cost.gmacs, 4),
        "gmacs_published": round(shown.cost.gmacs_published, 4),
        "params_m": round(shown.cost.params_m, 4),
    }

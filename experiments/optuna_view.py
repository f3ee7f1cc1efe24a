"""The sweep as a study in Optuna's tables, for optuna-dashboard: a view of the rows, never read back as truth."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from analysis.metrics import Metric
from db import TrialState
from db.urls import is_sqlite, parse_url, secrets_of, show_url
from experiments.candidates import Variant
from experiments.objectives import directions
from experiments.suggest import distributions
from space import Space

# How a variant's end stands in Optuna's words. Only COMPLETE carries values, so only it can be on a front there.
STATES = {
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


class OptunaView:
    """One Optuna trial for each variant: its labels as parameters, its mean over seeds as values."""

    def __init__(self, url: str, study: str, space: Space, objectives: Sequence[Metric]) -> None:
        self._distributions = distributions(space)
        self._study = optuna.create_study(
            storage=open_optuna(url),
            study_name=study,
            directions=directions(objectives),
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.set_metric_names([metric.column for metric in objectives])
        self._running: dict[str, optuna.trial.Trial] = {}  # by id of the variant
        self._close_open_trials()

    def add_finished(
        self, variant: Variant, state: TrialState, values: Sequence[float] | None, attributes: Mapping[str, Any]
    ) -> None:
        """Show a variant that was finished earlier, unless it is shown so already."""
        for trial in self._study.get_trials(deepcopy=False, states=(STATES[state],)):
            if trial.user_attrs.get(ARCH_ID) == variant.id:
                return
        self._study.add_trial(
            optuna.trial.create_trial(
                state=STATES[state],
                params=variant.labels,
                distributions=self._distributions,
                values=None if values is None else list(values),
                user_attrs={**_costs(variant), **attributes},
            )
        )

    def start(self, variant: Variant) -> None:
        """Show a variant as running."""
        self._study.enqueue_trial(variant.labels, user_attrs=_costs(variant))
        self._running[variant.id] = self._study.ask(self._distributions)

    def finish(
        self, variant: Variant, state: TrialState, values: Sequence[float] | None, attributes: Mapping[str, Any]
    ) -> None:
        """Show how a variant that was started ended."""
        trial = self._running.pop(variant.id)
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        self._study.tell(trial, values=values, state=STATES[state])

    def interrupt(self) -> None:
        """Show all that runs as failed: the sweep ends."""
        for trial in self._running.values():
            self._study.tell(trial, state=OptunaState.FAIL)
        self._running.clear()

    def _close_open_trials(self) -> None:
        # A driver that was killed leaves trials open, which nobody will ever finish under their old numbers.
        for _ in self._study.get_trials(deepcopy=False, states=(OptunaState.WAITING,)):
            self._study.ask()  # only what runs can be ended
        for trial in self._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)):
            self._study.tell(trial.number, state=OptunaState.FAIL)


def _costs(variant: Variant) -> dict[str, Any]:
    return {
        ARCH_ID: variant.id,
        "gmacs": round(variant.cost.gmacs, 4),
        "gmacs_published": round(variant.cost.gmacs_published, 4),
        "params_m": round(variant.cost.params_m, 4),
    }

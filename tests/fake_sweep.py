"""A sweep without Ray and without training: a real store, driver and Optuna view, and made-up results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna

from db import EpochRecord, LeadRecord, Provenance, Recorder, Spool, Store, StudyRecord, TrialRecord, TrialState
from experiments.candidates import Budget, Candidates, Variant, architecture_record
from experiments.checkpoints import Checkpoints
from experiments.data.config import DataConfig
from experiments.driver import Driver
from experiments.fidelity import Fidelity
from experiments.jobs import Conditions, Job
from experiments.objectives import directions, read_objectives
from experiments.optuna_tables import OptunaTables, open_optuna
from experiments.optuna_view import OptunaView
from experiments.proxies import Proxies
from experiments.recipe import Recipe
from experiments.suggest import SearchConfig, make_suggester
from space import Space
from space.presets import load_preset

EPOCHS = 2
PROVENANCE = Provenance("1.0", {"torch": "2"}, {"cores": 2})


def accuracy_of(job: Job) -> float:
    """What a training of the job gives after its last epoch: of the trained network and the seed alone."""
    return (int(job.spec.arch.id[:6], 16) + 7 * job.spec.seed) % 1000 / 1000


@dataclass
class Heard:
    """A listener that keeps what it is told."""

    plans: list[int] = field(default_factory=list)
    earlier: list[TrialRecord] = field(default_factory=list)
    begun: list[TrialRecord] = field(default_factory=list)
    ends: list[TrialRecord] = field(default_factory=list)
    broken: list[TrialRecord] = field(default_factory=list)

    def planned(self, trials: int) -> None:
        self.plans.append(trials)

    def known(self, trials: Iterable[TrialRecord]) -> None:
        self.earlier += trials

    def started(self, trial: TrialRecord) -> None:
        self.begun.append(trial)

    def epoch(self, epoch: EpochRecord) -> None: ...

    def ended(self, trial: TrialRecord, variant: Variant) -> None:
        self.ends.append(trial)

    def broken_off(self, trial: TrialRecord, variant: Variant) -> None:
        self.broken.append(trial)


@dataclass(frozen=True)
class FakeSweep:
    """A study in a database; each driver of it is a run of the same command."""

    folder: Path
    space: Space = field(default_factory=lambda: load_preset("tiny_demo"))
    name: str = "fake"
    objectives: tuple[str, ...] = ("accuracy", "gmacs")
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(width_scale=1.0, depth_scale=1.0, epochs=EPOCHS))
    provenance: Provenance = PROVENANCE
    latency: dict[str, Any] | None = None
    views: list[OptunaView] = field(default_factory=list, compare=False)
    database: str | None = None
    """Its URL; None: a file in the folder."""

    @property
    def url(self) -> str:
        return self.database or f"sqlite:///{self.folder / 'sweeps.db'}"

    def store(self) -> Store:
        """The record, with the study in it."""
        store = Store.open(self.url)
        store.add_architectures([architecture_record(self.space.base)])
        store.add_study(
            StudyRecord(
                self.name,
                self.space.to_dict(),
                asdict(Recipe()),
                {"fingerprint": "f" * 16},
                asdict(self.fidelity),
                self.objectives,
                self.space.base.id,
                "python -m experiments.sweep",
                latency=self.latency,
            )
        )
        return store

    def driver(
        self,
        *,
        seeds: int = 2,
        variants: int | None = None,
        search: str = "grid",
        budget: Budget | None = None,
        listener: Heard | None = None,
        recorder: Recorder | None = None,
        **options: Any,
    ) -> Driver:
        """A new run, as the command line would start it."""
        objectives = read_objectives(self.objectives)
        candidates = Candidates(self.space, budget or Budget())
        store = self.store()
        return Driver(
            store,
            recorder or self.recorder(store),
            self.conditions,
            candidates,
            make_suggester(SearchConfig(search), candidates, directions(objectives), 0),
            self.view(),
            objectives,
            listener or Heard(),
            checkpoints=Checkpoints(self.folder / "checkpoints"),
            weights=self.folder / "weights",
            seeds=seeds,
            variants=variants,
            **options,
        )

    def recorder(self, store: Store, patience_s: float = 5.0) -> Recorder:
        """Of a driver that takes the lead from whoever has it."""
        own = LeadRecord(self.name, uuid4().hex, "host", 1)
        before = store.lead(self.name)
        lead = store.take_lead(own, instead_of=before)
        return Recorder(store, lead, Spool(self.folder, store), patience_s=patience_s)

    def view(self) -> OptunaView:
        """A new one; what `shown` tells waits for it."""
        objectives = read_objectives(self.objectives)
        for earlier in self.views:
            earlier.flush()
        view = OptunaView(lambda: OptunaTables(self.url, self.name, self.space, objectives))
        self.views.append(view)
        return view

    @property
    def conditions(self) -> Conditions:
        data = DataConfig("digits", cache="cache")
        return Conditions(
            self.name, Recipe(), data, "f" * 16, Proxies(self.space, self.fidelity, 1, 10), self.provenance
        )

    def named(self, name: str) -> FakeSweep:
        """The same sweep under another name in the same database."""
        return replace(self, name=name)

    @property
    def trials(self) -> list[TrialRecord]:
        return self.store().trials(self.name)

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.trials]

    def shown(self) -> list[optuna.trial.FrozenTrial]:
        """What Optuna's dashboard would read."""
        for view in self.views:
            view.flush()
        return optuna.load_study(study_name=self.name, storage=open_optuna(self.url)).trials


Ending = Callable[[Driver, Job], None]


def complete(driver: Driver, job: Job) -> None:
    """Train all epochs."""
    train_epochs(driver, job, job.spec.fidelity.epochs)
    driver.take_end(job.trial_id)


def stop_early(driver: Driver, job: Job) -> None:
    """One epoch, then the scheduler's decision."""
    train_epochs(driver, job, 1)
    driver.take_end(job.trial_id)


def fail(driver: Driver, job: Job) -> None:
    """One epoch, then an error."""
    train_epochs(driver, job, 1)
    driver.take_end(job.trial_id, "training loss is nan in epoch 2")


def die(driver: Driver, job: Job) -> None:
    """One epoch, then the worker's death."""
    train_epochs(driver, job, 1)
    driver.take_death(job.trial_id, "worker: killed")


def train_epochs(driver: Driver, job: Job, epochs: int) -> None:
    for epoch in range(1, epochs + 1):
        accuracy = accuracy_of(job) * epoch / job.spec.fidelity.epochs
        measured = {"train_loss": 1.0, "val_loss": 0.5, "val_accuracy": accuracy, "learning_rate": 0.1, "seconds": 1.5}
        driver.take_epoch(job.trial_id, {"epoch": epoch, **measured, "done": False, "pid": 1})


def work(driver: Driver, ending: Ending = complete, *, slots: int = 1, most: float = float("inf")) -> list[Job]:
    """Run jobs, up to `slots` at once and `most` in all, the oldest ending first; gives them in their order."""
    jobs: list[Job] = []
    running: list[Job] = []
    while True:
        while len(running) < slots and len(jobs) < most and (job := driver.next_job()) is not None:
            running.append(job)
            jobs.append(job)
        if not running:
            driver._recorder.flush()
            return jobs
        ending(driver, running.pop(0))


def pairs(trials: Iterable[TrialRecord]) -> list[tuple[str, int]]:
    """Variant and seed of each."""
    return [(trial.arch_id, trial.seed) for trial in trials]


def in_optuna(sweep: FakeSweep) -> Counter[optuna.trial.TrialState]:
    """How often each state is shown."""
    return Counter(trial.state for trial in sweep.shown())

"""A small study whose trials are really trained, in this process, without Ray."""

from __future__ import annotations

from pathlib import Path

import torch

from db import EpochRecord, LeadRecord, Provenance, Recorder, Spool, Store, StudyRecord, TrialRecord
from experiments.candidates import Budget, Candidates, architecture_record
from experiments.checkpoint_files import save_checkpoint
from experiments.checkpoints import Checkpoints
from experiments.data.config import DataConfig
from experiments.data.load import load_dataset
from experiments.driver import Driver
from experiments.fidelity import Fidelity
from experiments.jobs import Conditions
from experiments.objectives import directions, read_objectives
from experiments.optuna_tables import OptunaTables
from experiments.optuna_view import OptunaView
from experiments.proxies import Proxies
from experiments.recipe import Recipe
from experiments.suggest import SearchConfig, make_suggester
from experiments.training import Training
from space.presets import load_preset

STUDY = "tiny"
OBJECTIVES = ("accuracy", "gmacs")


class Silent:
    """A listener that shows nothing."""

    def planned(self, trials: int) -> None: ...
    def known(self, trials: list[TrialRecord]) -> None: ...
    def started(self, trial: TrialRecord) -> None: ...
    def epoch(self, epoch: EpochRecord) -> None: ...
    def ended(self, trial: TrialRecord, variant: object) -> None: ...
    def broken_off(self, trial: TrialRecord, variant: object) -> None: ...


def train_study(folder: Path) -> str:
    """Train two variants of tiny_demo on digits, one epoch each; returns the database's URL."""
    torch.set_num_threads(1)
    url = f"sqlite:///{folder / 'sweeps.db'}"
    space = load_preset("tiny_demo")
    fidelity = Fidelity(image_size=16, width_scale=0.5, depth_scale=0.5, data_share=0.5, epochs=1)
    dataset = load_dataset(DataConfig("digits", cache=str(folder / "cache")), 16)
    data = dataset.describe()
    data["config"].pop("cache")
    recipe, objectives = Recipe(batch_size=32), read_objectives(OBJECTIVES)
    provenance = Provenance("test", {}, {})
    conditions = Conditions(
        STUDY,
        recipe,
        dataset.config,
        dataset.fingerprint,
        Proxies(space, fidelity, dataset.channels, dataset.num_classes),
        provenance,
    )
    with Store.open(url) as store:
        store.add_architectures([architecture_record(space.base)])
        store.add_study(
            StudyRecord(
                name=STUDY,
                space=space.to_dict(),
                recipe=recipe.__dict__,
                data={**data, "caution": dataset.caution},
                fidelity=fidelity.__dict__,
                objectives=OBJECTIVES,
                baseline_arch_id=space.base.id,
                command="python -m experiments.sweep space=tiny_demo",
            )
        )
        candidates = Candidates(space, Budget())
        suggester = make_suggester(SearchConfig("grid"), candidates, directions(objectives), 0)
        view = OptunaView(lambda: OptunaTables(url, STUDY, space, objectives))
        lead = store.take_lead(LeadRecord(STUDY, "inline", "host", 1))
        recorder = Recorder(store, lead, Spool(folder, store), patience_s=5)
        files = {"checkpoints": Checkpoints(folder / "checkpoints"), "weights": folder / "weights"}
        driver = Driver(
            store, recorder, conditions, candidates, suggester, view, objectives, Silent(), seeds=2, variants=2, **files
        )
        while (job := driver.next_job()) is not None:
            training = Training(job.spec)
            driver.take_epoch(job.trial_id, training.run_epoch().to_dict())
            save_checkpoint(training, folder)
            driver.take_checkpoint(job.trial_id, folder)
            driver.take_end(job.trial_id)
        recorder.flush()
        view.close()
    return url

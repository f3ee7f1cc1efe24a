"""Real sweeps through Ray Tune, in this process, over one shared Ray."""

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from hydra import compose, initialize_config_module
from rich.console import Console
from safetensors.torch import load_file

from db import Store, TrialState
from experiments import ray_run
from experiments.lead import leading
from experiments.scheduler_config import SchedulerConfig
from experiments.schedulers import make_scheduler
from experiments.slots import ResourcesConfig, Slots, plan_slots
from experiments.sweep import sweep
from experiments.sweep_config import SweepConfig
from experiments.trainable import ProxyTrial
from space.cli import to_typed
from transxnet.arch import ArchConfig
from transxnet.network import TransXNet

pytestmark = pytest.mark.usefixtures("shared_ray")

SMALL = ["space=tiny_demo", "data=digits", "proxy.image_size=16", "proxy.epochs=1", "seeds=1"]


def config_of(folder: Path, *words: str) -> SweepConfig:
    places = [
        f"runs={folder / 'runs'}",
        f"storage.url=sqlite:///{folder / 'sweeps.db'}",
        f"data.cache={folder / 'cache'}",
    ]
    with initialize_config_module("experiments.conf", version_base=None):
        return to_typed(compose("sweep", [*SMALL, *places, *words]), SweepConfig)


def run(folder: Path, *words: str, trainable: type = ProxyTrial) -> tuple[int, str]:
    said = io.StringIO()
    code = sweep(config_of(folder, *words), Console(file=said, width=200), trainable=trainable)
    return code, said.getvalue()


def trials_in(folder: Path, study: str = "tiny_demo-digits"):
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        return store.trials(study)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "runs" / "tiny_demo-digits" / "ray-left-by-a-killed-run").mkdir(parents=True)
    rounds = mock.Mock(wraps=ray_run._tuner)
    with mock.patch.multiple(ray_run, ROUND=4, ROUND_OF_SLOT=1, _tuner=rounds):
        code, said = run(folder)
    assert rounds.call_count == 2
    return folder, code, said


def test_a_sweep_completes_and_says_what_is_next(finished):
    folder, code, said = finished
    assert code == 0
    assert {trial.state for trial in trials_in(folder)} == {TrialState.COMPLETE}
    assert len(trials_in(folder)) == 6
    for word in (
        "Front of",
        "baseline",
        "experiments.dashboard",
        "experiments.export",
        "analysis.report",
        "report.html",
    ):
        assert word in said


def test_a_row_has_all_that_is_needed_to_run_the_trial_again(finished):
    folder = finished[0]
    trial = trials_in(folder)[0]
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        study, architectures = store.study(trial.study), store.architectures(trial.study)
    assert {"learning_rate", "batch_size", "weight_decay"} <= study.recipe.keys()
    assert {"epochs", "image_size", "width_scale"} <= study.fidelity.keys()
    assert len(study.data["fingerprint"]) == 16
    assert ArchConfig.from_dict(architectures[trial.trained_arch_id].description).id == trial.trained_arch_id
    assert {"torch", "timm", "ray"} <= trial.provenance.packages.keys()
    assert trial.provenance.machine["cores"] >= 1
    assert trial.provenance.machine["trial"] == {"cpus": 1, "gpus": 0, "deterministic": False, "kernels": "auto"}
    assert trial.provenance.code_version


def test_costs_are_those_of_the_target_and_the_proxys_own_stand_beside(finished):
    with Store.open(f"sqlite:///{finished[0] / 'sweeps.db'}") as store:
        architectures = store.architectures("tiny_demo-digits")
        trial = store.trials("tiny_demo-digits")[0]
    target, proxy = architectures[trial.arch_id], architectures[trial.trained_arch_id]
    assert target.description["image_size"] == [64, 64]
    assert proxy.description["image_size"] == [16, 16]
    assert target.macs > proxy.macs


def test_the_weights_of_each_trial_are_kept_whole(finished):
    folder = finished[0]
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        trials = {trial.id: trial for trial in store.trials("tiny_demo-digits")}
        artifacts = store.artifacts("tiny_demo-digits")
        architectures = store.architectures("tiny_demo-digits")
    assert {artifact.trial_id for artifact in artifacts} == trials.keys()
    for artifact in artifacts:
        content = Path(artifact.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        arch = architectures[trials[artifact.trial_id].trained_arch_id].description
        TransXNet(ArchConfig.from_dict(arch)).load_state_dict(load_file(artifact.path))


def test_nothing_of_rays_stays_behind(finished):
    study = finished[0] / "runs" / "tiny_demo-digits"
    assert sorted(path.name for path in study.iterdir()) == [".lock", "report", "weights"]


def test_the_same_sweep_again_trains_nothing(finished):
    folder = finished[0]
    before = trials_in(folder)
    code, said = run(folder)
    assert code == 0
    assert trials_in(folder) == before
    assert "6 trials are in the record already" in said


def test_another_study_takes_the_results_of_equal_trainings(finished):
    folder = finished[0]
    code, _ = run(folder, "study=second", "trials=3")
    second = trials_in(folder, "second")
    assert code == 0
    assert len(second) == 3
    by_id = {trial.id: trial for trial in trials_in(folder)}
    assert [trial.val_accuracy for trial in second] == [by_id[t.reused_from].val_accuracy for t in second]


def test_other_settings_need_another_study(finished):
    with pytest.raises(ValueError, match=r"fidelity\.epochs.*study=NAME"):
        run(finished[0], "proxy.epochs=2")


@pytest.mark.parametrize("lead_in", ["runs/tiny_demo-digits", "another/folder"])
def test_a_second_driver_of_a_study_is_refused(finished, lead_in):
    folder, study = finished[0], "tiny_demo-digits"
    with (
        Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store,
        leading(store, study, [folder / lead_in], print),
        pytest.raises(ValueError, match=rf"is being run by process {os.getpid()} on .*study=NAME"),
    ):
        run(folder)


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """A search within a budget that ASHA shortened."""
    folder = tmp_path_factory.mktemp("asha")
    words = ["scheduler=asha", "proxy.epochs=4", "proxy.data_share=0.2", "seeds=3", "resources.max_concurrent=1"]
    return folder, run(folder, *words, "search=tpe", "trials=4", "budget.max_params_m=0.42")[0]


def test_asha_stores_the_stopped_as_stopped_with_the_epochs_they_ran(halved):
    folder, code = halved
    trials = trials_in(folder)
    stopped = [trial for trial in trials if trial.state is TrialState.STOPPED]
    assert code == 0
    assert stopped, "ASHA must have stopped some of 12"
    assert all(0 < trial.epochs_run < 4 and trial.val_accuracy is None and trial.reason for trial in stopped)
    assert all(trial.epochs_run == 4 for trial in trials if trial.state is TrialState.COMPLETE)
    assert len(trials) == 12


def test_the_baseline_is_never_stopped_early(halved):
    folder, _ = halved
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        baseline = store.study("tiny_demo-digits").baseline_arch_id
    states = [trial.state for trial in trials_in(folder) if trial.arch_id == baseline]
    assert states == [TrialState.COMPLETE] * 3


def test_asha_stops_the_worst_unless_it_is_to_be_spared():
    scheduler = make_scheduler(SchedulerConfig("asha", grace_epochs=1, reduction_factor=2), 4)

    def decision(name, epoch, accuracy, spared=False):
        trial = SimpleNamespace(trial_id=name, config={"spared": spared})
        if epoch == 1:
            scheduler.on_trial_add(None, trial)
        return scheduler.on_trial_result(None, trial, {"epoch": epoch, "val_accuracy": accuracy})

    assert [decision("a", 1, 0.5), decision("b", 1, 0.6)] == ["CONTINUE"] * 2
    assert decision("worse", 1, 0.1) == "STOP"
    assert [decision("baseline", epoch, 0.1, spared=True) for epoch in (1, 2, 3, 4)] == ["CONTINUE"] * 3 + ["STOP"]


def test_a_search_trains_nothing_beyond_the_budget(halved):
    folder, _ = halved
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        study, architectures = store.study("tiny_demo-digits"), store.architectures("tiny_demo-digits")
    tried = {trial.arch_id for trial in trials_in(folder)}
    assert len(tried) == 4
    assert study.baseline_arch_id in tried
    assert all(architectures[arch_id].params <= 420_000 for arch_id in tried - {study.baseline_arch_id})


def test_trials_that_fail_are_kept_with_their_reason(tmp_path):
    diverging = ["recipe.learning_rate=1e30", "recipe.clip_grad_norm=0", "trials=2", "proxy.epochs=2"]
    code, _ = run(tmp_path, *diverging, "resources.max_concurrent=1")
    trials = trials_in(tmp_path)
    assert code == 1
    assert [trial.state for trial in trials] == [TrialState.FAILED] * 2
    assert all("loss is" in (trial.reason or "") for trial in trials)
    assert (tmp_path / "runs" / "tiny_demo-digits" / "report" / "report.html").is_file()


def test_a_worker_that_dies_or_has_no_memory_fails_its_trial_alone(tmp_path):
    class Ailing(ProxyTrial):  # local, so that Ray sends it to the workers whole
        def step(self):
            training = self.trial.training
            if training.spec.seed == 0:
                os._exit(1)
            if training.spec.seed == 1:
                training.model.register_forward_pre_hook(lambda *given: torch.empty(2**50))
            return super().step()

    words = ("trials=1", "seeds=3", "proxy.data_share=0.2", "resources.max_concurrent=1", "max_failures=3")
    run(tmp_path, *words, trainable=Ailing)
    *dead, without_memory, alive = trials_in(tmp_path)
    assert [trial.state for trial in dead] == [TrialState.INTERRUPTED, TrialState.INTERRUPTED, TrialState.FAILED]
    assert [trial.retry_of for trial in dead] == [None, dead[0].id, dead[1].id]
    assert all((trial.reason or "").startswith("worker: ") for trial in dead)
    assert without_memory.state is TrialState.FAILED
    assert (without_memory.reason or "").startswith("out of memory: ")
    assert (alive.state, alive.seed) == (TrialState.COMPLETE, 2)


@pytest.mark.parametrize(("concurrent", "trials"), [(2, 500), (20, 500), (100, 2500)])
def test_a_round_gives_every_slot_of_a_cluster_enough_to_do(concurrent, trials):
    assert ray_run._DriverSearcher(None, Slots(1, 0, concurrent), 0.0)._left == trials


def test_a_trial_that_fits_no_machine_is_refused():
    with pytest.raises(ValueError, match="must fit a machine"):
        plan_slots(ResourcesConfig(cpus=1000))
    assert plan_slots(dataclasses.replace(ResourcesConfig(), max_concurrent=1)).concurrent == 1


@pytest.mark.parametrize(
    ("wanted", "there", "concurrent"),
    [(0.25, 1, 4), (0.1, 1, 10), (1 / 3, 2, 6), (0.4, 2, 4), (1, 2, 2), (2, 4, 2), (None, 3, 3), (0, 0, 16)],
)
def test_small_trials_share_a_gpu(wanted, there, concurrent, monkeypatch):
    monkeypatch.setattr("experiments.slots.alive_nodes", lambda: [{"Resources": {"CPU": 16.0, "GPU": float(there)}}])
    assert plan_slots(ResourcesConfig(gpus=wanted)).concurrent == concurrent


def test_deterministic_trials_are_refused_on_gpus_and_run_on_cpus(monkeypatch):
    monkeypatch.setattr("experiments.slots.alive_nodes", lambda: [{"Resources": {"CPU": 16.0, "GPU": 1.0}}])
    with pytest.raises(ValueError, match=r"must run on CPUs, .* got resources\.gpus=1: .*; write resources\.gpus=0 or"):
        plan_slots(ResourcesConfig(deterministic=True))
    assert plan_slots(ResourcesConfig(deterministic=True, gpus=0)).concurrent == 16
    assert plan_slots(ResourcesConfig()).gpus == 1


def test_a_part_of_several_gpus_is_refused():
    with pytest.raises(ValueError, match=r"resources\.gpus must be between 0 and 1 or a whole number, got 1\.5"):
        ResourcesConfig(gpus=1.5)


def test_unknown_kernels_are_refused_before_anything_runs():
    with pytest.raises(ValueError, match=r"kernels must be one of auto, reference, .* got 'fast'"):
        ResourcesConfig(kernels="fast")


def test_workers_sleep_while_they_wait_for_a_core_and_the_driver_keeps_its_environment():
    program = """
import os
from experiments.cluster import WORKER_ENVIRONMENT, RayConfig, connected
import ray

before = dict(os.environ)
with connected(RayConfig()):
    remote = ray.remote(lambda: {name: os.environ.get(name) for name in WORKER_ENVIRONMENT})
    assert ray.get(remote.remote()) == WORKER_ENVIRONMENT
    assert all(os.environ.get(name) == before.get(name) for name in WORKER_ENVIRONMENT)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)

"""What goes wrong with trials: bad numbers, dead workers, networks that fail again and again, and going on after it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import ray
from fake_sweep import EPOCHS, FakeSweep, Heard, complete, fail, train_epochs, work
from optuna.trial import TrialState as OptunaState

from db import Provenance, TrialState
from experiments.driver import Driver
from experiments.fidelity import Fidelity
from experiments.jobs import Job
from experiments.ray_run import why_it_died

COMPLETE, FAILED, INTERRUPTED = TrialState.COMPLETE, TrialState.FAILED, TrialState.INTERRUPTED
MEASURED = {"epoch": 1, "train_loss": 1.0, "val_loss": 0.5, "val_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0}


@pytest.fixture
def sweep(tmp_path: Path) -> FakeSweep:
    return FakeSweep(tmp_path, fidelity=Fidelity(width_scale=1.0, depth_scale=1.0, epochs=3))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("val_accuracy", math.nan, "val_accuracy must be a finite number, got nan"),
        ("val_loss", math.inf, "val_loss must be a finite number, got inf"),
        ("train_loss", -math.inf, "train_loss must be a finite number, got -inf"),
        ("val_accuracy", "0.5", "val_accuracy must be a finite number, got '0.5'"),
        ("val_accuracy", None, "val_accuracy must be a finite number, got None"),
        ("seconds", True, "seconds must be a finite number, got True"),
        ("learning_rate", ..., "learning_rate must be reported every epoch, but is missing"),
    ],
)
def test_a_metric_that_is_no_finite_number_fails_its_trial(
    sweep: FakeSweep, name: str, value: object, said: str
) -> None:
    def report(driver: Driver, job: Job) -> None:
        metrics = {key: number for key, number in {**MEASURED, name: value}.items() if number is not ...}
        driver.take_epoch(job.trial_id, metrics)
        driver.take_end(job.trial_id)

    work(sweep.driver(seeds=1, variants=2), lambda d, job: (report if job.is_baseline else complete)(d, job))
    trial, other = sweep.trials
    assert (trial.state, trial.reason, trial.val_accuracy, trial.epochs_run) == (FAILED, said, None, 0)
    assert other.state is COMPLETE
    assert {shown.state: shown.values is None for shown in sweep.shown()} == {
        OptunaState.FAIL: True,
        OptunaState.COMPLETE: False,
    }


# Workers that die.


def dying_after(deaths: Iterable[int]) -> Callable[[Driver, Job], None]:
    """The ending of workers that die after so many epochs each, until one trains all."""
    left = iter(deaths)

    def end(driver: Driver, job: Job) -> None:
        epochs = next(left, None)
        if epochs is None:
            return complete(driver, job)
        train_epochs(driver, job, epochs)
        return driver.take_death(job.trial_id, "worker: killed")

    return end


def test_a_trial_whose_workers_die_is_retried_as_long_as_it_gets_further(sweep: FakeSweep) -> None:
    heard = Heard()
    jobs = work(sweep.driver(seeds=1, variants=1, max_failures=1, listener=heard), dying_after([1, 2]))
    assert sweep.states() == [INTERRUPTED, INTERRUPTED, COMPLETE]
    assert [trial.retry_of for trial in sweep.trials] == [None, *(trial.id for trial in sweep.trials[:-1])]
    assert {trial.reason for trial in sweep.trials[:-1]} == {"worker: killed"}
    assert [trial.id for trial in heard.broken] == [job.trial_id for job in jobs[:-1]]
    assert [shown.state for shown in sweep.shown()] == [OptunaState.COMPLETE]


def test_workers_that_always_die_at_the_same_place_fail_the_trial_in_the_end(sweep: FakeSweep) -> None:
    # Each begins anew, without a checkpoint, so that an epoch is no progress.
    work(sweep.driver(seeds=1, variants=1, max_failures=3), dying_after([1, 1, 2, 1, 2, 2, 1]))
    assert sweep.states() == [INTERRUPTED] * 5 + [FAILED]


def test_workers_that_die_before_the_first_epoch_fail_the_trial_in_the_end(sweep: FakeSweep) -> None:
    work(
        sweep.driver(seeds=2, variants=1, max_failures=3),
        lambda driver, job: (
            complete(driver, job) if job.spec.seed else driver.take_death(job.trial_id, "worker: killed")
        ),
    )
    by_seed = {seed: [t.state for t in sweep.trials if t.seed == seed] for seed in (0, 1)}
    assert by_seed == {0: [INTERRUPTED, INTERRUPTED, FAILED], 1: [COMPLETE]}


def test_a_worker_out_of_memory_fails_its_trial_at_once_and_the_sweep_goes_on(sweep: FakeSweep) -> None:
    work(
        sweep.driver(seeds=1, variants=2),
        lambda driver, job: (
            driver.take_death(job.trial_id, "out of memory: killed", is_fatal=True)
            if job.is_baseline
            else complete(driver, job)
        ),
    )
    assert [(trial.state, trial.reason) for trial in sweep.trials] == [
        (FAILED, "out of memory: killed"),
        (COMPLETE, None),
    ]


def test_what_ray_says_of_a_dead_worker_tells_whether_it_lacked_memory() -> None:
    killed = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nMemory: 1 GB")
    assert why_it_died(str(killed)) == ("out of memory: Memory: 1 GB", True)
    died = ray.exceptions.RayActorError(error_msg="The actor died.")
    assert why_it_died(str(died)) == ("worker: The actor died.", False)
    assert why_it_died("") == ("worker: it ended without a word", False)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_network_that_fails_so_often_is_not_proposed_again(sweep: FakeSweep, slots: int) -> None:
    heard = Heard()
    first = sweep.driver(seeds=5, variants=2, max_failures=2, listener=heard)
    work(first, lambda driver, job: (fail if job.is_baseline else complete)(driver, job), slots=slots)
    by_state = {state: [t for t in sweep.trials if t.state is state] for state in (FAILED, COMPLETE)}
    assert 2 <= len(by_state[FAILED]) <= 2 + slots - 1, "those that ran at that moment ended as well"
    assert len(by_state[COMPLETE]) == 5
    assert heard.plans[-1] == len(sweep.trials), "what is given up is not waited for"
    assert sorted(shown.state.name for shown in sweep.shown()) == ["COMPLETE", "FAIL"]
    assert work(sweep.driver(seeds=5, variants=2, max_failures=2, retry_failed=True)) == []
    more = work(sweep.driver(seeds=5, variants=2, max_failures=20, retry_failed=True))
    assert {job.is_baseline for job in more} == {True}
    assert {trial.seed for trial in sweep.trials if trial.state is COMPLETE} == set(range(5))


# Checkpoints.


def save(driver: Driver, job: Job, folder: Path) -> None:
    """What Ray hands over after an epoch."""
    folder.mkdir(exist_ok=True)
    (folder / "state.pt").write_text(str(job.trial_id))
    driver.take_checkpoint(job.trial_id, folder)


def interrupted(sweep: FakeSweep, epochs: int, saved: int) -> Job:
    """A job of a killed driver: it ran `epochs` and was saved after `saved` of them."""
    driver = sweep.driver(seeds=1, variants=1)
    job = driver.next_job()
    assert job is not None
    for epoch in range(1, epochs + 1):
        driver.take_epoch(job.trial_id, {**MEASURED, "epoch": epoch, "val_accuracy": epoch / 10})
        if epoch == saved:
            save(driver, job, sweep.folder / "checkpoint")
    driver._recorder.flush()
    return job


def test_a_retry_goes_on_from_the_checkpoint_with_the_epochs_before_it(sweep: FakeSweep) -> None:
    killed = interrupted(sweep, epochs=2, saved=1)
    driver = sweep.driver(seeds=1, variants=1)
    job = driver.next_job()
    assert job is not None
    assert job.checkpoint is not None
    assert (job.checkpoint / "state.pt").read_text() == str(killed.trial_id)
    assert (job.trial.retry_of, job.trial.resumed_epochs) == (killed.trial_id, 1)
    for epoch in (2, 3):
        driver.take_epoch(job.trial_id, {**MEASURED, "epoch": epoch, "val_accuracy": 0.5})
    assert driver.is_trained(job.trial_id)
    driver.take_end(job.trial_id)
    driver._recorder.flush()
    first, second = sweep.trials
    assert (first.state, first.epochs_run, second.state, second.epochs_run) == (INTERRUPTED, 2, COMPLETE, 3)
    curve = [epoch.val_accuracy for epoch in sweep.store().epochs(sweep.name, [job.trial_id])]
    assert curve == [0.1, 0.5, 0.5], "epoch 2 of the killed trial was after its checkpoint"
    assert not list((sweep.folder / "checkpoints").iterdir()), "nobody needs them any more"


def test_a_checkpoint_is_there_until_the_end_of_its_trial_is_in_the_record(sweep: FakeSweep) -> None:
    """A driver that dies in between must find it."""
    driver = sweep.driver(seeds=1, variants=1)
    job = driver.next_job()
    assert job is not None
    driver.take_epoch(job.trial_id, {**MEASURED, "epoch": 1})
    save(driver, job, sweep.folder / "checkpoint")
    for epoch in (2, 3):
        driver.take_epoch(job.trial_id, {**MEASURED, "epoch": epoch})
    driver.take_end(job.trial_id)
    assert list((sweep.folder / "checkpoints").iterdir())
    driver._recorder.flush()
    assert not list((sweep.folder / "checkpoints").iterdir())


def test_a_retry_of_a_retry_finds_the_checkpoint_of_the_first(sweep: FakeSweep) -> None:
    interrupted(sweep, epochs=2, saved=2)
    interrupted(sweep, epochs=0, saved=0)
    job = sweep.driver(seeds=1, variants=1).next_job()
    assert job is not None
    assert job.trial.resumed_epochs == 2
    assert [trial.retry_of for trial in sweep.trials] == [None, 1, 2]


@pytest.mark.parametrize("harm", ["truncated", "another spec's", "gone", "another code"])
def test_a_checkpoint_that_is_not_the_trials_own_is_not_used(sweep: FakeSweep, harm: str) -> None:
    interrupted(sweep, epochs=2, saved=2)
    (folder,) = (sweep.folder / "checkpoints").iterdir()
    if harm == "truncated":
        (folder / "state.pt").write_text("")
    elif harm == "gone":
        (folder / "state.pt").unlink()
    elif harm == "another spec's":
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps({**about, "spec_key": "other"}))
    else:
        sweep = dataclasses.replace(sweep, provenance=Provenance("2.0", {"torch": "2"}, {"cores": 2}))
    job = sweep.driver(seeds=1, variants=1).next_job()
    assert job is not None
    assert (job.checkpoint, job.trial.resumed_epochs, job.trial.retry_of) == (None, 0, 1)


def test_a_checkpoint_is_kept_only_of_a_trial_that_is_not_trained_yet(sweep: FakeSweep) -> None:
    driver = sweep.driver(seeds=1, variants=1)
    job = driver.next_job()
    assert job is not None
    train_epochs(driver, job, 3)
    folder = sweep.folder / "last"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    driver.take_checkpoint(job.trial_id, folder)
    driver.take_end(job.trial_id)
    driver._recorder.flush()
    (artifact,) = sweep.store().artifacts(sweep.name)
    assert Path(artifact.path).read_bytes() == b"weights"
    assert not (sweep.folder / "checkpoints").exists()


# The same seed, whatever happens.


@pytest.mark.parametrize("search", ["random", "tpe", "nsga2"])
@pytest.mark.parametrize("killed_after", [1, 3, 8, 9])
def test_a_search_goes_on_after_a_kill_as_if_there_had_been_none(
    tmp_path: Path, search: str, killed_after: int
) -> None:
    from space.presets import load_preset

    space = load_preset("osr_stride")
    options = {"seeds": 2, "variants": 9, "search": search}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = FakeSweep(tmp_path / "whole", space), FakeSweep(tmp_path / "killed", space)
    work(whole.driver(**options))
    driver = killed.driver(**options)
    work(driver, most=killed_after)
    if (job := driver.next_job()) is not None:  # it runs when the driver dies
        train_epochs(driver, job, EPOCHS - 1)
    work(killed.driver(**options))

    def results(sweep: FakeSweep) -> list[tuple[str, int, float | None]]:
        return [(trial.arch_id, trial.seed, trial.val_accuracy) for trial in sweep.trials if trial.state is COMPLETE]

    assert results(killed) == results(whole)
    assert len(results(whole)) == 18

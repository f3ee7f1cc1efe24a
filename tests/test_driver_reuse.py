"""Results that are there already: of another study, or of a variant that trains the same network."""

import dataclasses

import pytest
from fake_sweep import (
    EPOCHS,
    FakeSweep,
    complete,
    fail,
    in_optuna,
    stop_early,
    work,
)
from optuna.trial import TrialState as OptunaState

from db import Provenance, TrialState
from experiments.fidelity import Fidelity
from space import Space

COMPLETE, STOPPED, FAILED, INTERRUPTED, RUNNING = (
    TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED, TrialState.INTERRUPTED, TrialState.RUNNING,
)  # fmt: skip

BASE = {
    "variant": "transxnet_t",
    "image_size": 64,
    "stages": {"depth": [1, 1, 2, 1], "width": [16, 32, 64, 96]},
}
# At a third of the depth all of these are one trained network.
DEPTHS = Space.from_dict(
    {
        "name": "depths",
        "about": "Three targets, one proxy.",
        "base": BASE,
        "dimensions": {"depth": {"vary": "tuple", "choices": [[1, 1, 2, 1], [1, 1, 3, 1], [1, 1, 4, 1]]}},
    }
)
SHALLOW = Fidelity(width_scale=1.0, depth_scale=0.34, epochs=EPOCHS)


@pytest.fixture
def twins(tmp_path):
    return FakeSweep(tmp_path, space=DEPTHS, fidelity=SHALLOW)


def test_the_same_training_in_another_study_is_taken_over(sweep):
    work(sweep.driver(seeds=1))
    other = sweep.named("other")
    assert work(other.driver(seeds=2), most=0) == []
    jobs = work(other.driver(seeds=2))
    assert {job.spec.seed for job in jobs} == {1}
    first, taken = sweep.trials, [trial for trial in other.trials if trial.seed == 0]
    assert [trial.reused_from for trial in taken] == [trial.id for trial in first]
    for name in ("state", "val_accuracy", "val_loss", "train_seconds", "epochs_run", "spec_key", "provenance"):
        assert [getattr(trial, name) for trial in taken] == [getattr(trial, name) for trial in first]
    assert in_optuna(other) == {OptunaState.COMPLETE: 6}


def test_a_result_that_was_taken_over_names_the_training_itself(sweep):
    work(sweep.driver(seeds=1, variants=1))
    work(sweep.named("second").driver(seeds=1, variants=1))
    third = sweep.named("third")
    work(third.driver(seeds=1, variants=1))
    assert third.trials[0].reused_from == sweep.trials[0].id


@pytest.mark.parametrize("ending", [fail, stop_early])
def test_only_complete_results_are_taken_over(sweep, ending):
    work(sweep.driver(seeds=1, variants=1), ending)
    other = sweep.named("other")
    assert len(work(other.driver(seeds=1, variants=1))) == 1


def test_results_of_other_code_are_not_taken_over(sweep):
    work(sweep.driver(seeds=1, variants=1))
    newer = dataclasses.replace(sweep, name="newer", provenance=Provenance("2.0", {}, {}))
    assert len(work(newer.driver(seeds=1, variants=1))) == 1


def test_results_of_this_code_are_taken_over_though_older_code_has_some(sweep):
    work(sweep.driver(seeds=1, variants=1))
    newer = dataclasses.replace(sweep, name="newer", provenance=Provenance("2.0", {}, {}))
    work(newer.driver(seeds=1, variants=1))
    last = newer.named("last")
    assert work(last.driver(seeds=1, variants=1)) == []
    assert last.trials[0].reused_from == newer.trials[0].id


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_variants_with_one_trained_network_train_once(twins, slots):
    jobs = work(twins.driver(seeds=2), slots=slots)
    assert [job.spec.seed for job in jobs] == [0, 1]
    assert twins.states() == [COMPLETE] * 6
    trained = {trial.seed: trial for trial in twins.trials if trial.reused_from is None}
    for trial in twins.trials:
        assert trial.val_accuracy == trained[trial.seed].val_accuracy
        assert trial.reused_from in (None, trained[trial.seed].id)
    assert len({trial.arch_id for trial in twins.trials}) == 3
    assert in_optuna(twins) == {OptunaState.COMPLETE: 3}


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("ending", [fail, stop_early])
def test_variants_that_wait_for_a_result_that_never_comes_are_trained(twins, slots, ending):
    work(twins.driver(seeds=1), lambda d, job: (ending if job.trial_id == 1 else complete)(d, job), slots=slots)
    states = twins.states()
    assert states[0] in (FAILED, STOPPED)
    assert states[1:] == [COMPLETE, COMPLETE]
    assert twins.trials[2].reused_from == twins.trials[1].id


def test_variants_that_waited_at_the_interrupt_are_taken_up(twins):
    driver = twins.driver(seeds=1)
    driver.next_job()
    assert driver.next_job() is None  # both others wait
    driver.interrupt("Ctrl-C")
    work(twins.driver(seeds=1), slots=2)
    assert twins.states() == [INTERRUPTED] + [COMPLETE] * 3
    complete_ones = [shown for shown in twins.shown() if shown.state is OptunaState.COMPLETE]
    assert len(complete_ones) == 3
    assert OptunaState.RUNNING not in in_optuna(twins)

"""What a sweep decides and records: every variant and seed once, whatever ends, fails or is killed."""

import dataclasses
from collections import Counter

import optuna
import pytest
from fake_sweep import (
    Heard,
    accuracy_of,
    complete,
    fail,
    in_optuna,
    pairs,
    stop_early,
    train_epochs,
    work,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from db import TrialState
from experiments.optuna_tables import open_optuna

COMPLETE, STOPPED, FAILED, INTERRUPTED, RUNNING = (
    TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED, TrialState.INTERRUPTED, TrialState.RUNNING,
)  # fmt: skip


# All goes well.


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_every_variant_completes_with_every_seed_once(sweep, slots):
    work(sweep.driver(seeds=3), slots=slots)
    assert sweep.states() == [COMPLETE] * 18
    assert len(set(pairs(sweep.trials))) == 18
    assert {trial.seed for trial in sweep.trials} == {0, 1, 2}
    assert {trial.arch_id for trial in sweep.trials} == {sweep.space.build(point).id for point in sweep.space.points()}


def test_the_baseline_comes_first_and_every_variant_before_a_second_seed(sweep):
    jobs = work(sweep.driver(seeds=2))
    assert jobs[0].variant.arch == sweep.space.base
    assert [job.is_baseline for job in jobs] == ([True] + [False] * 5) * 2
    assert [job.spec.seed for job in jobs] == [0] * 6 + [1] * 6


def test_a_row_tells_what_the_last_epoch_measured(sweep):
    job = work(sweep.driver(seeds=1, variants=1))[0]
    trial = sweep.trials[0]
    assert trial.val_accuracy == accuracy_of(job)
    assert (trial.epochs_run, trial.epochs_planned, trial.val_loss, trial.train_seconds) == (2, 2, 0.5, 3.0)
    assert (trial.arch_id, trial.trained_arch_id) == (job.variant.id, job.spec.arch.id)
    assert (trial.variant, trial.spec_key) == (job.variant.labels, job.spec.key)
    assert (trial.reason, trial.reused_from, trial.retry_of) == (None, None, None)
    epochs = sweep.store().epochs(sweep.name)
    assert [(epoch.trial_id, epoch.epoch, epoch.val_accuracy) for epoch in epochs] == [
        (trial.id, 1, accuracy_of(job) / 2),
        (trial.id, 2, accuracy_of(job)),
    ]


def test_a_job_is_in_the_record_as_running_before_it_runs(sweep):
    driver = sweep.driver()
    job = driver.next_job()
    assert [(trial.id, trial.state) for trial in sweep.trials] == [(job.trial_id, RUNNING)]
    assert driver.running == 1


@pytest.mark.parametrize("search", ["grid", "random", "tpe", "nsga2"])
def test_no_more_variants_are_trained_than_asked_for(sweep, search):
    work(sweep.driver(search=search, variants=4, seeds=2), slots=2)
    assert len({trial.arch_id for trial in sweep.trials}) == 4
    assert sweep.states() == [COMPLETE] * 8


@pytest.mark.parametrize("search", ["random", "tpe", "nsga2"])
def test_a_small_space_ends_the_search(sweep, search):
    heard = Heard()
    driver = sweep.driver(search=search, variants=100, seeds=1, listener=heard)
    work(driver, slots=3)
    assert len({trial.arch_id for trial in sweep.trials}) == 6
    assert driver.next_job() is None
    assert heard.plans[-1] == 6


def test_a_space_without_more_is_not_looked_through_at_each_question(sweep):
    driver = sweep.driver(search="random", variants=100, seeds=1)
    jobs = [driver.next_job() for _ in range(6)]
    assert None not in jobs
    asked = []
    driver._suggester.suggest = lambda: asked.append(1) or []
    assert [driver.next_job() for _ in range(10)] == [None] * 10
    assert len(asked) <= 1


def test_the_listener_hears_of_every_trial(sweep):
    heard = Heard()
    work(sweep.driver(seeds=2, listener=heard), slots=2)
    assert heard.plans[-1] == 12
    assert [trial.id for trial in heard.begun] == [trial.id for trial in sweep.trials]
    assert sorted(trial.id for trial in heard.ends) == [trial.id for trial in sweep.trials]
    again = Heard()
    work(sweep.driver(seeds=2, listener=again))
    assert (again.plans[-1], again.begun, again.ends) == (12, [], [])
    assert sorted(trial.id for trial in again.earlier) == [trial.id for trial in sweep.trials]


# What Optuna shows.


def test_optuna_shows_each_variant_with_its_choices_values_and_costs(sweep):
    work(sweep.driver(seeds=2))
    shown = {trial.user_attrs["arch_id"]: trial for trial in sweep.shown()}
    assert len(sweep.shown()) == len(shown) == 6
    for arch_id, trial in shown.items():
        rows = [row for row in sweep.trials if row.arch_id == arch_id]
        cost = sweep.store().architectures(sweep.name)[arch_id]
        mean = sum(row.val_accuracy for row in rows) / 2
        assert trial.state is OptunaState.COMPLETE
        assert trial.params == rows[0].variant
        assert trial.values == pytest.approx([100 * mean, cost.macs / 1e9])
        assert trial.user_attrs["params_m"] == pytest.approx(cost.params / 1e6, abs=1e-4)
        assert trial.user_attrs["gmacs"] == pytest.approx(cost.macs / 1e9, abs=1e-4)
        assert trial.user_attrs["val_accuracy_seed1"] == rows[1].val_accuracy


def test_a_variant_is_shown_as_running_until_its_last_seed(sweep):
    driver = sweep.driver(seeds=2, variants=1)
    work(driver, most=1)
    assert in_optuna(sweep) == {OptunaState.RUNNING: 1}
    work(driver)
    assert in_optuna(sweep) == {OptunaState.COMPLETE: 1}


@pytest.mark.parametrize(
    ("objectives", "directions"),
    [
        (("accuracy",), "max"),
        (("gmacs", "accuracy"), "min max"),
        (("accuracy", "params", "train_time"), "max min min"),
    ],
)
def test_objectives_keep_their_order_and_direction(sweep, objectives, directions):
    sweep = dataclasses.replace(sweep, objectives=objectives)
    work(sweep.driver(seeds=1, variants=2))
    sweep.shown()
    study = optuna.load_study(study_name=sweep.name, storage=open_optuna(sweep.url))
    words = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
    assert study.directions == [words[word] for word in directions.split()]
    row, architecture = sweep.trials[0], sweep.store().architectures(sweep.name)[sweep.trials[0].arch_id]
    value = {
        "accuracy": 100 * row.val_accuracy,
        "gmacs": architecture.macs / 1e9,
        "params": architecture.params / 1e6,
        "train_time": row.train_seconds,
    }
    assert study.trials[0].values == pytest.approx([value[name] for name in objectives])


# An early end.


@pytest.mark.parametrize("slots", [1, 3])
def test_an_interrupt_leaves_nothing_running(sweep, slots):
    driver = sweep.driver(seeds=2)
    work(driver, most=4)
    running = [driver.next_job() for _ in range(slots)]
    train_epochs(driver, running[0], 1)
    driver.interrupt("Ctrl-C")
    assert sweep.states() == [COMPLETE] * 4 + [INTERRUPTED] * slots
    ended = sweep.trials[4]
    assert (ended.reason, ended.epochs_run, ended.val_accuracy) == ("Ctrl-C", 1, None)
    assert OptunaState.RUNNING not in in_optuna(sweep)
    assert driver.running == 0


def test_a_new_run_goes_on_and_repeats_nothing_that_finished(sweep):
    driver = sweep.driver(seeds=2)
    work(driver, most=5)
    left = driver.next_job()
    driver.interrupt("Ctrl-C")
    kept = sweep.trials[:5]
    heard = Heard()
    jobs = work(sweep.driver(seeds=2, listener=heard), slots=2)
    assert heard.earlier == kept
    assert len(jobs) == 7
    assert sweep.trials[:5] == kept
    finished = [trial for trial in sweep.trials if trial.state is COMPLETE]
    assert len(finished) == len(set(pairs(finished))) == 12
    retried = {trial.retry_of: (trial.arch_id, trial.seed) for trial in finished if trial.retry_of}
    assert retried == {left.trial_id: (left.variant.id, left.spec.seed)}
    complete_ones = [t for t in sweep.shown() if t.state is OptunaState.COMPLETE]
    assert len({t.user_attrs["arch_id"] for t in complete_ones}) == len(complete_ones) == 6


def test_a_killed_run_is_taken_up(sweep):
    killed = sweep.driver(seeds=1)
    work(killed, most=2)
    job = killed.next_job()
    train_epochs(killed, job, 1)
    driver = sweep.driver(seeds=1)  # nobody told the record that the other one died
    assert sweep.states() == [COMPLETE, COMPLETE, INTERRUPTED]
    assert OptunaState.RUNNING not in in_optuna(sweep)
    work(driver)
    assert sorted(sweep.states()) == sorted([COMPLETE] * 6 + [INTERRUPTED])
    assert [trial.retry_of for trial in sweep.trials if trial.retry_of] == [job.trial_id]
    assert in_optuna(sweep)[OptunaState.COMPLETE] == 6


def test_a_run_killed_before_optuna_heard_of_a_result_is_taken_up(sweep):
    killed = sweep.driver(seeds=1)
    job = killed.next_job()
    killed._view.flush()
    killed._view.show = lambda shown: None
    complete(killed, job)
    killed._recorder.flush()
    work(sweep.driver(seeds=1))
    assert sweep.states() == [COMPLETE] * 6
    assert in_optuna(sweep)[OptunaState.COMPLETE] == 6


def test_a_run_killed_while_it_tells_optuna_of_a_start_is_taken_up(sweep):
    sweep.driver(seeds=1)._view.flush()
    optuna.load_study(study_name=sweep.name, storage=open_optuna(sweep.url)).enqueue_trial({}, user_attrs={})
    work(sweep.driver(seeds=1))
    assert sweep.states() == [COMPLETE] * 6
    assert in_optuna(sweep)[OptunaState.COMPLETE] == 6
    assert OptunaState.WAITING not in in_optuna(sweep)


def test_a_record_whose_view_was_deleted_is_shown_again(sweep):
    work(sweep.driver(seeds=1), lambda driver, job: (stop_early if job.trial_id == 2 else complete)(driver, job))
    sweep.shown()  # the view has followed
    optuna.delete_study(study_name=sweep.name, storage=open_optuna(sweep.url))
    assert work(sweep.driver(seeds=1)) == []
    assert in_optuna(sweep) == {OptunaState.COMPLETE: 5, OptunaState.PRUNED: 1}


# Trials without a result.


def test_a_trial_that_was_stopped_early_has_no_accuracy_and_no_place_on_a_front(sweep):
    work(sweep.driver(seeds=1, variants=1), stop_early)
    trial = sweep.trials[0]
    assert (trial.state, trial.epochs_run, trial.val_accuracy) == (STOPPED, 1, None)
    assert "scheduler" in trial.reason
    assert [(shown.state, shown.values) for shown in sweep.shown()] == [(OptunaState.PRUNED, None)]


def test_a_failure_is_kept_with_its_reason_and_the_others_go_on(sweep):
    work(sweep.driver(seeds=1), lambda driver, job: (fail if job.trial_id == 2 else complete)(driver, job))
    assert Counter(sweep.states()) == {COMPLETE: 5, FAILED: 1}
    trial = sweep.trials[1]
    assert (trial.epochs_run, trial.val_accuracy) == (1, None)
    assert trial.reason == "training loss is nan in epoch 2"
    assert in_optuna(sweep) == {OptunaState.COMPLETE: 5, OptunaState.FAIL: 1}


def test_a_failure_before_the_first_epoch_is_a_failure(sweep):
    work(sweep.driver(seeds=1, variants=1), lambda driver, job: driver.take_end(job.trial_id, "worker: killed"))
    trial = sweep.trials[0]
    assert (trial.state, trial.epochs_run, trial.train_seconds, trial.reason) == (FAILED, 0, None, "worker: killed")


@pytest.mark.parametrize(("ending", "state"), [(fail, OptunaState.FAIL), (stop_early, OptunaState.PRUNED)])
def test_one_seed_without_a_result_leaves_the_variant_without_values(sweep, ending, state):
    endings = {1: complete, 2: ending}
    work(sweep.driver(seeds=2, variants=1), lambda driver, job: endings[job.trial_id](driver, job))
    assert [(shown.state, shown.values) for shown in sweep.shown()] == [(state, None)]


def test_what_failed_or_was_stopped_is_not_run_again_unasked(sweep):
    endings = {1: complete, 2: fail, 3: stop_early}
    work(sweep.driver(seeds=1, variants=3), lambda driver, job: endings[job.trial_id](driver, job))
    assert work(sweep.driver(seeds=1, variants=3)) == []


def test_failures_alone_are_run_again_when_asked(sweep):
    endings = {1: complete, 2: fail, 3: stop_early}
    work(sweep.driver(seeds=1, variants=3), lambda driver, job: endings[job.trial_id](driver, job))
    jobs = work(sweep.driver(seeds=1, variants=3, retry_failed=True))
    assert [job.variant.id for job in jobs] == [sweep.trials[1].arch_id]
    assert sweep.states() == [COMPLETE, FAILED, STOPPED, COMPLETE]
    assert sweep.trials[3].retry_of == 2
    assert work(sweep.driver(seeds=1, variants=3, retry_failed=True)) == []
    complete_ones = [shown for shown in sweep.shown() if shown.state is OptunaState.COMPLETE]
    assert len(complete_ones) == 2

"""The sweep's decisions, with trials that only pretend to train."""

import dataclasses

import optuna
import pytest
from inline_sweep import OBJECTIVES, Silent

from db import Provenance, Store, StudyRecord, TrialState
from experiments.candidates import Budget, Candidates
from experiments.data.config import DataConfig
from experiments.driver import Conditions, Driver, architecture_record
from experiments.fidelity import Fidelity
from experiments.objectives import directions, read_objectives
from experiments.optuna_view import OptunaView
from experiments.recipe import Recipe
from experiments.suggest import SearchConfig, make_suggester
from space import Space
from space.presets import load_preset

EPOCHS = 2
TINY = load_preset("tiny_demo")  # 6 variants
DEPTHS = Space.from_dict(
    {
        "name": "depths",
        "about": "Depths that a proxy cannot tell apart.",
        "base": "transxnet_t",
        "dimensions": {"depth": {"vary": "tuple", "choices": [[3, 3, 9, 3], [3, 3, 10, 3], [3, 3, 12, 3]]}},
    }
)


class Sweep:
    """A driver over a store in a folder; a new one is a new run of the same command."""

    def __init__(self, folder, *, study="s", space=TINY, search="grid", budget=None, code="1", **changes):
        self.url = f"sqlite:///{folder / 'sweeps.db'}"
        self.study, self.store = study, Store.open(self.url)
        fidelity = Fidelity(width_scale=0.5, depth_scale=0.2, epochs=EPOCHS)
        data = DataConfig("digits")
        self.store.add_architectures([architecture_record(space.base)])
        self.store.add_study(
            StudyRecord(
                study, space.to_dict(), {}, {}, dataclasses.asdict(fidelity), OBJECTIVES, space.base.id, "typed"
            )
        )
        objectives = read_objectives(OBJECTIVES)
        candidates = Candidates(space, budget or Budget())
        self.base = space.base
        self.driver = Driver(
            self.store,
            Conditions(study, Recipe(), fidelity, data, "0" * 16, 1, 10, Provenance(code, {}, {})),
            candidates,
            make_suggester(SearchConfig(search), candidates, directions(objectives), 0),
            OptunaView(self.url, study, space, objectives),
            objectives,
            Silent(),
            **{"seeds": 2, "variants": None, **changes},
        )

    def train(self, job, epochs=EPOCHS, failure=None, accuracy=0.5):
        for epoch in range(1, epochs + 1):
            metrics = {
                "train_loss": 1.0,
                "val_loss": 1.0,
                "val_accuracy": accuracy,
                "learning_rate": 0.1,
                "seconds": 1.0,
            }
            self.driver.take_epoch(job.trial_id, {"epoch": epoch, **metrics})
        self.driver.take_end(job.trial_id, failure)

    def finish(self, **how):
        jobs = []
        while (job := self.driver.next_job()) is not None:
            jobs.append(job)
            self.train(job, **how)
        assert self.driver.running == 0
        return jobs

    def trials(self, *states):
        return [trial for trial in self.store.trials(self.study) if not states or trial.state in states]

    def shown(self, *states):
        trials = optuna.load_study(study_name=self.study, storage=self.url).trials
        return [trial for trial in trials if not states or trial.state.name in states]


def test_every_variant_runs_with_every_seed_the_baseline_first(tmp_path):
    sweep = Sweep(tmp_path)
    jobs = sweep.finish()
    assert jobs[0].variant.id == sweep.base.id
    assert [job.spec.seed for job in jobs] == [0] * 6 + [1] * 6
    assert len({(job.variant.id, job.spec.seed) for job in jobs}) == 12
    assert {trial.state for trial in sweep.trials()} == {TrialState.COMPLETE}


def test_the_study_shows_in_optuna_with_labels_values_and_costs(tmp_path):
    sweep = Sweep(tmp_path, seeds=2)
    sweep.finish(accuracy=0.25)
    shown = sweep.shown()
    assert [trial.state.name for trial in shown] == ["COMPLETE"] * 6
    first = shown[0]
    assert first.params == {"idconv_groups": "2", "ffn_kernels": "1+3+5+7"}
    target = architecture_record(sweep.base)
    assert first.values == [pytest.approx(25.0), pytest.approx(target.macs / 1e9)]
    assert first.user_attrs["arch_id"] == sweep.base.id
    assert first.user_attrs["params_m"] == pytest.approx(target.params / 1e6, abs=1e-4)
    study = optuna.load_study(study_name="s", storage=sweep.url)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_an_ended_sweep_leaves_nothing_running_and_goes_on_without_repeating(tmp_path):
    first = Sweep(tmp_path)
    for _ in range(3):
        first.train(first.driver.next_job())
    first.driver.next_job()
    first.driver.next_job()
    assert len(first.trials(TrialState.RUNNING)) == 2
    first.driver.interrupt("Ctrl-C")
    assert len(first.trials(TrialState.COMPLETE)) == 3
    assert not first.trials(TrialState.RUNNING)
    assert not first.shown("RUNNING", "WAITING")
    kept = first.trials(TrialState.COMPLETE)

    second = Sweep(tmp_path)
    jobs = second.finish()
    assert len(jobs) == 12 - 3
    complete = second.trials(TrialState.COMPLETE)
    assert complete[:3] == kept
    assert len({(trial.arch_id, trial.seed) for trial in complete}) == len(complete) == 12
    interrupted = [trial.id for trial in second.trials(TrialState.INTERRUPTED)]
    assert sorted(trial.retry_of for trial in complete if trial.retry_of is not None) == interrupted
    assert len(second.shown("COMPLETE")) == 6


def test_a_killed_driver_leaves_rows_that_the_next_one_sets_right(tmp_path):
    killed = Sweep(tmp_path)
    killed.train(killed.driver.next_job())
    killed.driver.next_job()  # and nobody ever hears of it
    sweep = Sweep(tmp_path)
    assert not sweep.trials(TrialState.RUNNING)
    assert not sweep.shown("RUNNING")
    assert len(sweep.finish()) == 11


def test_a_finished_sweep_has_nothing_left(tmp_path):
    Sweep(tmp_path).finish()
    again = Sweep(tmp_path)
    assert again.driver.next_job() is None
    assert len(again.shown("COMPLETE")) == 6


def test_a_stopped_trial_has_no_accuracy_and_no_values(tmp_path):
    sweep = Sweep(tmp_path, seeds=1)
    sweep.finish(epochs=1)
    assert {trial.state for trial in sweep.trials()} == {TrialState.STOPPED}
    assert all(t.epochs_run == 1 and t.val_accuracy is None and t.train_seconds == 1.0 for t in sweep.trials())
    assert [trial.state.name for trial in sweep.shown()] == ["PRUNED"] * 6
    assert all(trial.values is None for trial in sweep.shown())


def test_a_failed_trial_keeps_its_reason_and_is_run_again_on_demand_only(tmp_path):
    sweep = Sweep(tmp_path, seeds=1)
    sweep.finish(epochs=1, failure="loss is nan")
    assert {(trial.state, trial.reason) for trial in sweep.trials()} == {(TrialState.FAILED, "loss is nan")}
    assert [trial.state.name for trial in sweep.shown()] == ["FAIL"] * 6
    assert Sweep(tmp_path, seeds=1).driver.next_job() is None
    retried = Sweep(tmp_path, seeds=1, retry_failed=True)
    assert len(retried.finish()) == 6
    failed = [trial.id for trial in retried.trials(TrialState.FAILED)]
    assert [trial.retry_of for trial in retried.trials(TrialState.COMPLETE)] == failed


def test_more_seeds_later_train_the_new_ones_alone(tmp_path):
    Sweep(tmp_path, seeds=1).finish()
    jobs = Sweep(tmp_path, seeds=3).finish()
    assert sorted(job.spec.seed for job in jobs) == [1] * 6 + [2] * 6


def test_more_variants_later_go_on(tmp_path):
    first = Sweep(tmp_path, seeds=1, variants=2).finish()
    second = Sweep(tmp_path, seeds=1, variants=5).finish()
    assert (len(first), len(second)) == (2, 3)
    assert len({job.variant.id for job in [*first, *second]}) == 5


@pytest.mark.parametrize("search", ["grid", "random", "tpe", "nsga2"])
def test_every_search_ends_when_the_space_is_exhausted(tmp_path, search):
    sweep = Sweep(tmp_path, search=search, seeds=1, variants=50)
    jobs = sweep.finish()
    assert len({job.variant.id for job in jobs}) == len(jobs) == 6
    assert sweep.driver.next_job() is None


def test_a_budget_refuses_before_training_but_never_the_baseline(tmp_path):
    limit = architecture_record(TINY.base).params / 1e6
    Sweep(tmp_path, seeds=1, variants=3).finish()
    jobs = Sweep(tmp_path, budget=Budget(max_params_m=limit - 1e-6)).finish()
    assert all(job.variant.cost.params_m < limit for job in jobs if not job.is_baseline)
    only = Sweep(tmp_path, study="none", budget=Budget(max_params_m=1e-3), seeds=1, code="2").finish()
    assert [job.is_baseline for job in only] == [True]


def test_another_study_takes_the_result_of_an_equal_training(tmp_path):
    first = Sweep(tmp_path, seeds=1)
    first.finish(accuracy=0.75)
    second = Sweep(tmp_path, study="second", seeds=1)
    assert second.finish() == []
    assert [t.reused_from for t in second.trials()] == [t.id for t in first.trials()]
    assert {t.val_accuracy for t in second.trials()} == {0.75}
    assert len(second.shown("COMPLETE")) == 6


def test_results_of_other_code_are_not_taken(tmp_path):
    Sweep(tmp_path, seeds=1).finish()
    assert len(Sweep(tmp_path, study="second", seeds=1, code="2").finish()) == 6


def test_variants_that_are_one_network_at_the_proxys_size_are_trained_once(tmp_path):
    sweep = Sweep(tmp_path, space=DEPTHS, seeds=1)
    assert len(sweep.finish()) == 1
    trials = sweep.trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert len({trial.arch_id for trial in trials}) == 3
    assert len({trial.trained_arch_id for trial in trials}) == 1
    assert [trial.reused_from for trial in trials] == [None, trials[0].id, trials[0].id]


@pytest.mark.parametrize("failure", [None, "the worker died"])
def test_an_equal_training_that_still_runs_is_waited_for(tmp_path, failure):
    sweep = Sweep(tmp_path, space=DEPTHS, seeds=1)
    running = sweep.driver.next_job()
    assert sweep.driver.next_job() is None  # the others wait for it
    assert sweep.driver.running == 1
    sweep.train(running, failure=failure)
    assert len(sweep.finish()) == (0 if failure is None else 1)
    assert len(sweep.trials(TrialState.COMPLETE)) == (3 if failure is None else 2)


def test_costs_of_the_target_and_of_the_proxy_are_both_recorded(tmp_path):
    sweep = Sweep(tmp_path, seeds=1)
    sweep.finish()
    architectures = sweep.store.architectures("s")
    trial = sweep.trials()[0]
    assert architectures[trial.arch_id].macs == architecture_record(sweep.base).macs
    assert architectures[trial.trained_arch_id].macs < architectures[trial.arch_id].macs

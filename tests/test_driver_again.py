"""A study is run again with other wishes: more or fewer seeds, variants, another budget or search."""

import pytest
from fake_sweep import Heard, complete, pairs, work

from db import TrialState
from experiments.candidates import Budget
from transxnet.cost import estimate

COMPLETE, STOPPED, FAILED, INTERRUPTED, RUNNING = (
    TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED, TrialState.INTERRUPTED, TrialState.RUNNING,
)  # fmt: skip


def test_more_seeds_later_train_the_new_seeds_alone(sweep):
    work(sweep.driver(seeds=1))
    jobs = work(sweep.driver(seeds=3))
    assert sorted(job.spec.seed for job in jobs) == [1] * 6 + [2] * 6
    assert len(set(pairs(sweep.trials))) == len(sweep.trials) == 18


def test_the_mean_over_more_seeds_takes_the_place_of_that_over_fewer(sweep):
    work(sweep.driver(seeds=1, variants=1))
    work(sweep.driver(seeds=2, variants=1))
    newest = sweep.shown()[-1]
    assert newest.values[0] == pytest.approx(50 * sum(trial.val_accuracy for trial in sweep.trials))


def test_fewer_seeds_later_train_nothing_and_count_what_they_ask_for(sweep):
    work(sweep.driver(seeds=3, variants=2))
    heard = Heard()
    assert work(sweep.driver(seeds=1, variants=2, listener=heard)) == []
    assert {trial.seed for trial in heard.earlier} == {0}
    assert heard.plans[-1] == len(heard.earlier) == 2


def test_more_seeds_than_finished_with_a_seed_between_missing(sweep):
    driver = sweep.driver(seeds=3, variants=1)
    jobs = [driver.next_job() for _ in range(3)]
    complete(driver, jobs[2])
    driver.interrupt("Ctrl-C")
    assert [job.spec.seed for job in work(sweep.driver(seeds=3, variants=1))] == [0, 1]


@pytest.mark.parametrize("search", ["grid", "random", "tpe", "nsga2"])
def test_more_variants_later_go_on(sweep, search):
    work(sweep.driver(seeds=2, variants=3, search=search))
    first = sweep.trials
    work(sweep.driver(seeds=2, variants=5, search=search))
    assert sweep.trials[: len(first)] == first
    assert len(set(pairs(sweep.trials))) == len(sweep.trials) == 10


def test_fewer_variants_later_train_nothing_new(sweep):
    work(sweep.driver(seeds=1, variants=4))
    assert work(sweep.driver(seeds=1, variants=2)) == []
    assert {job.spec.seed for job in work(sweep.driver(seeds=2, variants=2))} == {1}
    assert len(sweep.trials) == 4 + 2


def test_a_lower_budget_later_leaves_what_is_now_too_expensive_alone(sweep):
    driver = sweep.driver(seeds=2)
    work(driver, most=6)
    driver.interrupt("Ctrl-C")
    params = sorted({a.params for a in sweep.store().architectures(sweep.name).values()})
    budget = Budget(max_params_m=params[2] / 1e6)
    jobs = work(sweep.driver(seeds=2, budget=budget))
    assert all(job.is_baseline or job.variant.cost.params <= params[2] for job in jobs)
    assert jobs


def test_another_search_later_goes_on_with_the_same_rows(sweep):
    work(sweep.driver(seeds=1, variants=3, search="random"))
    work(sweep.driver(seeds=1, search="grid"))
    assert sweep.states() == [COMPLETE] * 6
    assert len(set(pairs(sweep.trials))) == 6


@pytest.mark.parametrize("search", ["tpe", "nsga2"])
def test_a_search_learns_from_the_rows_of_an_earlier_run(sweep, search):
    work(sweep.driver(seeds=1, variants=4, search=search))
    learned = sweep.driver(seeds=1, variants=4, search=search)._suggester._study.trials
    assert {tuple(t.params.items()) for t in learned} >= {tuple(trial.variant.items()) for trial in sweep.trials}
    assert sorted(t.values[0] for t in learned if t.values) == sorted(100 * t.val_accuracy for t in sweep.trials)


def test_a_finished_sweep_is_taken_up_without_building_or_pricing_a_network(sweep, monkeypatch):
    work(sweep.driver(seeds=2))
    earlier = sweep.trials
    built = []
    monkeypatch.setattr("experiments.candidates.ArchConfig.from_dict", lambda plain: built.append(plain))
    monkeypatch.setattr("experiments.candidates.estimate", lambda arch: built.append(arch) or estimate(arch))
    heard = Heard()
    driver = sweep.driver(seeds=2, variants=6, search="random", listener=heard)
    assert driver.next_job() is None
    assert built == [sweep.space.base] * len(built)
    assert sorted(trial.id for trial in heard.earlier) == [trial.id for trial in earlier]


def test_a_variant_of_an_earlier_run_is_built_where_it_is_trained(sweep):
    driver = sweep.driver(seeds=1)
    work(driver, most=3)
    driver.interrupt("Ctrl-C")
    again = sweep.driver(seeds=2)
    jobs = work(again)
    assert {job.variant.arch.id for job in jobs} == {sweep.space.build(point).id for point in sweep.space.points()}
    assert all(job.variant.id == job.variant.arch.id == job.variant.record().arch_id for job in jobs)
    for job in jobs:
        cost = estimate(job.variant.arch)
        assert (job.variant.cost.gmacs, job.variant.cost.params_m) == (cost.gmacs, cost.params_m)
        assert job.variant.cost.gmacs_published == cost.gmacs_published

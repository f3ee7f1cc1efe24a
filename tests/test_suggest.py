"""Every way to search: legal, affordable and different networks, to the last one; one seed, one sequence."""

import re
from collections import Counter

import pytest

from experiments.candidates import Budget, Candidates
from experiments.suggest import SUGGESTERS, SearchConfig, make_suggester
from space import Space
from space.presets import load_preset

DIRECTIONS = ["maximize", "minimize"]
LEARNING = [name for name in SUGGESTERS if name not in ("grid", "random")]


def feasible(space, budget=None):
    """The ids of all networks that a search may give, by looking at all."""
    return {variant.id for variant in Candidates(space, budget or Budget()).untaken()}


def searched(name, space, budget=None, seed=0, most=10_000, value=lambda variant: variant.cost.params_m):
    """Variants in the order in which they are suggested, each learned at once, until there are no more."""
    config = SearchConfig(name, population_size=4, startup_trials=4)
    suggester = make_suggester(config, Candidates(space, budget or Budget()), DIRECTIONS, seed)
    found = []
    while len(found) < most and (variants := suggester.suggest()):
        found += variants
        for variant in variants:
            suggester.learn(variant.labels, (value(variant), variant.cost.gmacs))
    return found[:most]


@pytest.mark.parametrize("name", SUGGESTERS)
@pytest.mark.parametrize("preset", ["tiny_demo", "osr_stride"])
def test_every_network_of_a_small_space_comes_exactly_once(name, preset):
    space = load_preset(preset)
    found = [variant.id for variant in searched(name, space)]
    assert len(found) == len(set(found))
    assert set(found) == feasible(space)


@pytest.mark.parametrize("name", SUGGESTERS)
def test_the_end_is_an_end(name):
    suggester = make_suggester(SearchConfig(name), Candidates(load_preset("tiny_demo"), Budget()), DIRECTIONS, 0)
    while suggester.suggest():
        pass
    assert suggester.suggest() == []


@pytest.mark.parametrize("name", SUGGESTERS)
def test_a_budget_that_excludes_half_of_the_space_is_kept(name):
    space = load_preset("osr_stride")
    costs = sorted(variant.cost.gmacs for variant in Candidates(space, Budget()).untaken())
    budget = Budget(max_gmacs=costs[len(costs) // 2])
    found = searched(name, space, budget)
    assert {variant.id for variant in found} == feasible(space, budget)
    assert max(variant.cost.gmacs for variant in found) <= budget.max_gmacs


@pytest.mark.parametrize("name", [name for name in SUGGESTERS if name != "grid"])
def test_proposals_in_a_huge_space_are_legal_and_different(name):
    space = load_preset("transxnet")
    found = searched(name, space, Budget(max_gmacs=10, max_params_m=40), most=20)
    assert len({variant.id for variant in found}) == 20
    for variant in found:
        assert space.build(variant.labels) == variant.arch
        assert variant.cost.gmacs <= 10
        assert variant.cost.params_m <= 40


def test_chance_proposes_only_what_is_feasible():
    candidates = Candidates(load_preset("transxnet"), Budget(max_gmacs=0.7, max_params_m=8))
    suggester = make_suggester(SearchConfig("random"), candidates, DIRECTIONS, 0)
    for _ in range(100):
        (variant,) = suggester.suggest()
        assert candidates.budget.refusal(variant.cost) is None
    assert not candidates.refused


@pytest.mark.parametrize("match", [None, "gmacs"])
def test_chance_ends_where_nothing_is_feasible(match):
    space = load_preset("transxnet")
    if match:
        space = Space.from_dict({**load_preset("ffn").to_dict(), "match": match})
    candidates = Candidates(space, Budget(max_gmacs=1e-6))
    suggester = make_suggester(SearchConfig("random"), candidates, DIRECTIONS, 0)
    assert suggester.suggest() == suggester.suggest() == []


def test_chance_is_uniform_over_the_feasible_points():
    space = load_preset("osr_stride")
    firsts = Counter()
    for seed in range(1360):
        (variant,) = make_suggester(SearchConfig("random"), Candidates(space, Budget()), DIRECTIONS, seed).suggest()
        firsts[variant.id] += 1
    assert len(firsts) == 68
    # Chi squared of 67 degrees of freedom: mean 67, standard deviation 11.6.
    assert sum((count - 20) ** 2 / 20 for count in firsts.values()) < 67 + 5 * 11.6


@pytest.mark.parametrize("name", SUGGESTERS)
def test_one_seed_gives_one_sequence(name):
    sequences = [[variant.id for variant in searched(name, load_preset("expansion"), most=12)] for _ in range(2)]
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize("name", [name for name in SUGGESTERS if name != "grid"])
def test_another_seed_gives_another_sequence(name):
    space = load_preset("expansion")
    first, second = ([variant.id for variant in searched(name, space, seed=seed, most=12)] for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_learned_decides_what_is_proposed(name):
    space = load_preset("expansion")
    rising, falling = (
        [
            variant.id
            for variant in searched(name, space, most=24, value=lambda variant, sign=sign: sign * variant.cost.params_m)
        ]
        for sign in (1, -1)
    )
    assert rising[:4] == falling[:4]  # by chance alone
    assert rising != falling


@pytest.mark.parametrize("name", LEARNING)
def test_results_of_an_earlier_run_are_learned_too(name):
    space = load_preset("expansion")
    earlier = searched("random", space, most=24)
    proposals = []
    for sign in (1, -1):
        config = SearchConfig(name, population_size=4, startup_trials=4)
        suggester = make_suggester(config, Candidates(space, Budget()), DIRECTIONS, 0)
        for variant in earlier:
            suggester.learn(variant.labels, (sign * variant.cost.params_m, variant.cost.gmacs))
        proposals.append([suggester.suggest()[0].id for _ in range(8)])
    assert proposals[0] != proposals[1]


@pytest.mark.parametrize("name", LEARNING)
def test_one_objective_is_enough(name):
    candidates = Candidates(load_preset("tiny_demo"), Budget())
    suggester = make_suggester(SearchConfig(name), candidates, ["maximize"], 0)
    variant = suggester.suggest()[0]
    suggester.learn(variant.labels, (0.5,))
    assert suggester.suggest()[0].id != variant.id


def test_a_grid_refuses_a_space_that_nobody_would_wait_for():
    with pytest.raises(
        ValueError, match=r"search=grid trains every point of the space, got .* write search=tpe trials="
    ):
        make_suggester(SearchConfig("grid"), Candidates(load_preset("transxnet"), Budget()), DIRECTIONS, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "bayes"}, "unknown search.name 'bayes'; known are grid, random, tpe, nsga2"),
        ({"population_size": 1}, "search.population_size must be at least 2, got 1"),
        ({"startup_trials": 0}, "search.startup_trials must be at least 1, got 0"),
    ],
)
def test_a_search_that_is_none_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchConfig(**changes)

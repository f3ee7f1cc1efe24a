"""A survey tells what a space holds: exactly where every point is looked at, and from a seeded sample elsewhere."""

import numpy as np
import pytest

from space.budget import Budget
from space.dimension import Dimension
from space.presets import load_preset
from space.space import Space
from space.survey import survey
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch
HEADS = Dimension("heads", "tuple", [[1, 2, 4, 8], [1, 2, 5, 8]])  # T's third stage has 112 channels in OSRA


def make(*dimensions, rules=(), match=None):
    return Space("mine", "A question?", T, "transxnet_t", dimensions, rules, match)


def test_a_small_space_is_looked_at_whole():
    found = survey(make(HEADS, Dimension("osr_overlap", "stage", [[3], [3], [3], [3, 0]])))
    assert found.is_whole
    # T's heads are legal and the others not; overlap is not felt in the last stage.
    assert (len(found.points), found.built, found.distinct) == (2, 2, 1)
    assert (found.legal.low, found.legal.value, found.legal.high) == (0.5, 0.5, 0.5)
    params, gmacs = (found.costs[name].spread for name in ("params_m", "gmacs"))
    assert params.least == params.greatest == 12.834808
    assert gmacs.middle == pytest.approx(1.8455812)
    assert found.never_legal == (("heads", "1-2-5-8"),)
    assert found.feasible is None
    # What never changes explains nothing.
    assert [effect.explained for effect in found.costs["gmacs"].effects] == [0, 0]


def test_a_large_space_is_sampled_by_seed_and_its_legal_share_is_exact():
    fours = [Dimension(field, "stage", [2, 3, 4, 6]) for field in ("idconv_groups", "ffn_ratio", "idconv_reduction")]
    large = make(HEADS, *(Dimension(one.field, "stage", [*one.choices[0], 1]) for one in fours[:1]), *fours[1:2],
                 Dimension("idconv_reduction", "stage", [2, 4]), Dimension("dpe_kernel", "stage", [3, 7]))  # fmt: skip
    assert large.size > 1_000_000
    found = survey(large, samples=400, seed=0)
    assert not found.is_whole
    assert len(found.points) == 400
    assert found.legal.is_exact
    assert found.legal.value == pytest.approx(0.5)
    assert found.never_legal == (("heads", "1-2-5-8"),)
    assert found == survey(large, samples=400, seed=0)
    assert found != survey(large, samples=400, seed=4)


def test_the_feasible_share_is_that_of_the_legal_points():
    space = load_preset("osr_stride")
    gmacs = np.sort(space.enumerate().costs.gmacs)
    found = survey(space, budget=Budget(max_gmacs=float(gmacs[16])))
    assert found.feasible.is_exact
    assert found.feasible.value == 17 / len(gmacs)
    assert survey(space, budget=Budget()).feasible is None
    measured = survey(load_preset("transxnet"), samples=2000, budget=Budget(max_gmacs=1.5)).feasible
    assert measured.low < measured.value < measured.high < measured.low + 0.05


def test_what_alone_moves_a_cost_explains_all_of_it():
    # Depth multiplies a stage's blocks; nothing else varies.
    found = survey(make(Dimension("depth", "stage", [[3], [3], [3, 6, 9], [3]])))
    *_, third = sorted(found.costs["params_m"].effects, key=lambda effect: effect.explained)
    assert (third.axis, third.cheapest, third.dearest) == ("depth.stage3", "3", "9")
    assert third.explained == pytest.approx(1)
    costs = found.costs["params_m"].costs
    assert third.lowest == pytest.approx(costs.min() / costs.mean() - 1)
    assert third.highest == pytest.approx(costs.max() / costs.mean() - 1)


def test_effects_of_independent_axes_share_out_the_variance():
    effects = survey(load_preset("expansion")).costs["params_m"].effects
    assert sum(effect.explained for effect in effects) == pytest.approx(1)
    assert [effect.explained for effect in effects] == sorted((e.explained for e in effects), reverse=True)


def test_a_matched_space_is_surveyed_by_building():
    found = survey(make(Dimension("ffn", "tied", ["msffn", "plain", "inverted_residual"]), match="gmacs"))
    assert found.is_whole
    assert len(found.points) == 3
    gmacs = found.costs["gmacs"].costs
    assert np.all(abs(gmacs / gmacs[0] - 1) <= 0.02)
    assert found.demands == ()
    assert found.never_legal == ()


def test_a_large_matched_space_is_sampled():
    fields = ("idconv_groups", "ffn_ratio", "osr_overlap")
    large = make(*(Dimension(field, "stage", [2, 3, 4, 1]) for field in fields[:2]),
                 Dimension("osr_overlap", "stage", [3, 0]), match="gmacs")  # fmt: skip
    found = survey(large, samples=5)
    assert not found.is_whole
    assert len(found.points) <= 5
    assert not found.legal.is_exact


def test_at_least_one_point_is_sampled():
    with pytest.raises(ValueError, match="samples must be at least 1, got 0; write for example 100000"):
        survey(load_preset("tiny_demo"), samples=0)

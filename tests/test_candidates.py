"""Which points may be trained: legal ones within the budget, each network once, and a count of the others."""

import re

import pytest

from experiments.candidates import Budget, Candidates, Variant
from space import IllegalVariant, Space
from space.dimension import Dimension
from space.presets import load_preset
from transxnet.cost import estimate
from transxnet.variants import VARIANTS

# With a static convolution (no overlap to feel at stride 1) many points are one network.
TWINS = Space.from_dict(
    {
        "name": "twins",
        "about": "Two points for each network: the base has no spatial reduction, so nobody feels the overlap.",
        "base": {
            "variant": "transxnet_t",
            "image_size": 32,
            "stages": {"depth": [1, 1, 1, 1], "width": [16, 16, 16, 16], "osr_stride": [1, 1, 1, 1]},
        },
        "dimensions": {
            "idconv_groups": {"vary": "tied", "choices": [2, 1]},
            "osr_overlap": {"vary": "tied", "choices": [3, 0]},
        },
    }
)


def everything(candidates):
    return list(candidates.untaken())


def test_a_variant_carries_its_labels_network_and_cost():
    space = load_preset("tiny_demo")
    labels = {"idconv_groups": "4", "ffn_kernels": "3"}
    variant = Candidates(space, Budget()).take(labels)
    arch = space.build(labels)
    assert variant == Variant.of(labels, arch)
    assert (variant.cost.params, variant.cost.macs) == (estimate(arch).params, estimate(arch).macs)
    assert variant.id == arch.id


def test_a_point_is_given_out_once_and_its_repetition_is_not_counted():
    candidates = Candidates(load_preset("tiny_demo"), Budget())
    labels = {"idconv_groups": "4", "ffn_kernels": "3"}
    assert candidates.take(labels) is not None
    assert candidates.take(labels) is None
    assert not candidates.refused


def test_a_network_is_given_out_once_whatever_its_labels():
    candidates = Candidates(TWINS, Budget())
    assert [variant.labels["idconv_groups"] for variant in everything(candidates)] == ["2", "1"]
    assert candidates.refused == {"the same network as another": 2}


def test_the_baseline_is_taken():
    candidates = Candidates(TWINS, Budget())
    assert candidates.baseline().arch == TWINS.base
    assert [variant.labels["idconv_groups"] for variant in everything(candidates)] == ["1"]


def test_illegal_points_are_refused_and_counted():
    space = load_preset("osr_stride")
    candidates = Candidates(space, Budget())
    found = everything(candidates)
    illegal = 0
    for labels in space.points():
        try:
            space.build(labels)
        except IllegalVariant:
            illegal += 1
    assert candidates.refused["illegal"] == illegal > 0
    assert len(found) == space.size - sum(candidates.refused.values())


def test_a_variant_that_no_width_matches_is_refused_for_that() -> None:
    costly = Dimension("image_size", "tied", [224, 1792])
    space = Space("mine", "A question?", VARIANTS["transxnet_t"].arch, "transxnet_t", (costly,), match="gmacs")
    candidates = Candidates(space, Budget())
    assert [variant.arch for variant in everything(candidates)] == [space.base]
    assert candidates.refused == {"no width matches the baseline's cost": 1}


@pytest.mark.parametrize("limit", ["max_gmacs", "max_params_m"])
def test_a_budget_admits_exactly_what_costs_no_more(limit):
    space = load_preset("tiny_demo")
    column = limit.removeprefix("max_")
    costs = sorted(getattr(variant.cost, column) for variant in everything(Candidates(space, Budget())))
    candidates = Candidates(space, Budget(**{limit: costs[2]}))
    assert sorted(getattr(variant.cost, column) for variant in everything(candidates)) == costs[:3]
    assert candidates.refused == {f"over budget.{limit}": 3}


def test_the_baseline_is_given_whatever_it_costs():
    candidates = Candidates(load_preset("tiny_demo"), Budget(max_params_m=1e-6))
    assert candidates.baseline().arch == load_preset("tiny_demo").base
    assert everything(candidates) == []


@pytest.mark.parametrize("limit", [-1.0, 0.0, float("nan")])
def test_a_budget_must_be_above_0(limit):
    with pytest.raises(ValueError, match=re.escape("budget.max_gmacs must be above 0, got")):
        Budget(max_gmacs=limit)

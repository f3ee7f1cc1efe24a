"""Before a sweep trains anything it says what its proxy hides, and what its times compare."""

import dataclasses
import re

import pytest

from experiments.cautions import kernel_caution, proxy_cautions
from experiments.fidelity import Fidelity
from experiments.proxies import Proxies
from space.dimension import Dimension
from space.presets import load_preset

WHOLE = Fidelity(image_size=224, stem_stride=4, width_scale=1, depth_scale=1)
GPU = Fidelity(image_size=64, stem_stride=4, width_scale=0.5, depth_scale=0.67)


def cautions(space, fidelity, num_classes=15):
    return list(proxy_cautions(Proxies(space, fidelity, 3, num_classes)))


def matched(name, match):
    return dataclasses.replace(load_preset(name), match=match)


@pytest.mark.parametrize(("match", "label"), [("gmacs", "multiply-adds"), ("params", "parameters")])
def test_a_proxy_too_small_to_be_matched_says_how_far_its_networks_are_from_equal_cost(match, label):
    (caution,) = cautions(matched("channel_split", match), Fidelity())
    low, high = map(float, re.search(rf"{label} by (\S+) % to (\S+) %", caution).groups())
    assert -5 < low <= 0 < high < 5
    assert max(-low, high) > 1


@pytest.mark.parametrize("fidelity", [WHOLE, GPU])
def test_where_widths_are_fine_enough_the_match_holds_in_what_is_trained(fidelity):
    assert cautions(matched("ffn", "gmacs"), fidelity) == []


def test_departures_are_those_of_the_networks_for_the_datas_classes():
    few, many = (cautions(matched("idconv_groups", "params"), Fidelity(), classes) for classes in (2, 1000))
    assert few != many


def test_a_variant_that_costs_otherwise_at_the_proxy_than_its_target_is_named():
    (caution,) = cautions(load_preset("local_mixer"), Fidelity())
    assert re.search(r"local_mixer=none has -\d+% multiply-adds at this proxy, \+12% at the target's size", caution)


@pytest.mark.parametrize("name", ["layer_scale", "osr_stride", "idconv_groups"])
def test_where_proxies_cost_beside_the_baseline_what_targets_do_nothing_is_said(name):
    assert cautions(load_preset(name), Fidelity()) == []
    assert cautions(load_preset(name), WHOLE) == []


def test_a_proxy_that_cannot_tell_variants_apart_or_attend_says_so():
    depths = Dimension("depth", "tuple", [[3, 3, 9, 3], [3, 3, 10, 3]])
    space = dataclasses.replace(load_preset("ffn"), dimensions=(depths,))
    alone, same = cautions(space, Fidelity(stem_stride=32))[:2]
    assert "single position to attend to" in alone
    assert "the 2 variants are only 1 different networks at this proxy's size" in same


def test_points_of_a_large_space_are_looked_at_too():
    depths = Dimension("depth", "stage", [[1, 2], [1, 2], [1, 2], [1, 2]])
    kernels = Dimension("idconv_kernel", "stage", [[3, 5, 7, 9]] * 4)
    base = load_preset("ffn").base.with_stages(depth=[1] * 4)
    space = dataclasses.replace(load_preset("ffn"), base=base, dimensions=(depths, kernels))
    assert space.size == 4096
    (same,) = cautions(space, Fidelity())
    assert re.match(r"the \d+ variants that were looked at are only \d+ different networks", same)


@pytest.mark.parametrize(
    ("name", "kernels", "told"),
    [
        ("ffn", {"train_time": "auto"}, "times (train_time) tell of kernels"),
        ("ffn", {"latency": "pytorch"}, "latency.kernels=reference computes all alike"),
        ("ffn", {"train_time": "reference", "latency": "auto"}, "times (latency) tell of kernels"),
        ("ffn", {"train_time": "auto", "latency": "reference"}, "resources.kernels=reference computes all alike"),
        ("everything", {"train_time": "auto"}, "times (train_time) tell of kernels"),
        ("ffn", {"train_time": "reference"}, None),
        ("ffn", {}, None),
        ("idconv_groups", {"train_time": "auto"}, None),  # all of the paper's own parts
    ],
)
def test_times_that_compare_kernels_as_well_as_networks_are_told_of(name, kernels, told):
    caution = kernel_caution(load_preset(name), kernels)
    assert caution is None if told is None else told in caution

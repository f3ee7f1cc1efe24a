"""Before a sweep trains anything it says what its proxy hides."""

import dataclasses
import re

import pytest

from experiments.cautions import kernel_caution, proxy_cautions
from experiments.fidelity import Fidelity
from space.dimension import Dimension
from space.presets import load_preset

WHOLE = Fidelity(image_size=224, stem_stride=4, width_scale=1, depth_scale=1)


def matched(name, match):
    return dataclasses.replace(load_preset(name), match=match)


@pytest.mark.parametrize(("match", "label"), [("gmacs", "multiply-adds"), ("params", "parameters")])
def test_a_proxy_too_small_to_be_matched_says_how_far_its_networks_are_from_equal_cost(match, label):
    (caution,) = proxy_cautions(matched("token_mixer", match), Fidelity(width_scale=0.01))
    low, high = map(float, re.search(rf"{label} by (\S+) % to (\S+) %", caution).groups())
    assert -60 < low < -1
    assert low <= high < 60


@pytest.mark.parametrize("fidelity", [WHOLE, Fidelity(image_size=64, stem_stride=4, width_scale=0.5, depth_scale=0.67)])
def test_where_widths_are_fine_enough_the_match_holds_in_what_is_trained(fidelity):
    assert list(proxy_cautions(matched("ffn", "gmacs"), fidelity)) == []


def test_without_a_match_nothing_is_said_of_it():
    assert list(proxy_cautions(load_preset("ffn"), Fidelity())) == []


def test_a_proxy_that_cannot_tell_variants_apart_or_attend_says_so():
    depths = Dimension("depth", "tuple", [[3, 3, 9, 3], [3, 3, 10, 3]])
    space = dataclasses.replace(load_preset("ffn"), dimensions=(depths,))
    alone, same = proxy_cautions(space, Fidelity(stem_stride=32))
    assert "single position to attend to" in alone
    assert "the 2 variants are only 1 different networks at this proxy's size" in same


@pytest.mark.parametrize(
    ("name", "objectives", "kernels", "is_told"),
    [
        ("ffn", ("accuracy", "train_time"), "auto", True),
        ("ffn", ("accuracy", "latency"), "pytorch", True),
        ("ffn", ("accuracy", "train_time"), "reference", False),
        ("ffn", ("accuracy", "gmacs"), "auto", False),
        ("idconv_groups", ("accuracy", "train_time"), "auto", False),  # all of the paper's own parts
    ],
)
def test_times_that_compare_kernels_as_well_as_networks_are_told_of(name, objectives, kernels, is_told):
    told = kernel_caution(load_preset(name), objectives, kernels)
    assert (told is not None) == is_told
    assert told is None or f"{objectives[1]} compare kernels" in told

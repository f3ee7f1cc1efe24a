"""Before a sweep trains anything it says what its proxy hides."""

import dataclasses
import re

import pytest

from experiments.cautions import proxy_cautions
from experiments.fidelity import Fidelity
from space.dimension import Dimension
from space.presets import load_preset

WHOLE = Fidelity(image_size=224, stem_stride=4, width_scale=1, depth_scale=1)


def matched(name, match):
    return dataclasses.replace(load_preset(name), match=match)


@pytest.mark.parametrize(("match", "label"), [("gmacs", "multiply-adds"), ("params", "parameters")])
def test_a_proxy_of_matched_variants_says_how_far_they_are_from_equal_cost(match, label):
    (caution,) = proxy_cautions(matched("ffn", match), Fidelity())
    low, high = map(float, re.search(rf"{label} by (\S+) % to (\S+) %", caution).groups())
    assert -30 < low < 0 <= high < 30


def test_at_the_targets_own_size_the_match_holds():
    (caution,) = proxy_cautions(matched("ffn", "gmacs"), WHOLE)
    low, high = map(float, re.search(r"by (\S+) % to (\S+) %", caution).groups())
    assert -1 <= low <= high <= 1


def test_without_a_match_nothing_is_said_of_it():
    assert list(proxy_cautions(load_preset("ffn"), Fidelity())) == []


def test_a_proxy_that_cannot_tell_variants_apart_or_attend_says_so():
    depths = Dimension("depth", "tuple", [[3, 3, 9, 3], [3, 3, 10, 3]])
    space = dataclasses.replace(load_preset("ffn"), dimensions=(depths,))
    alone, same = proxy_cautions(space, Fidelity(stem_stride=32))
    assert "single position to attend to" in alone
    assert "the 2 variants are only 1 different networks at this proxy's size" in same

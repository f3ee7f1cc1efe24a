"""What numbers a description may hold: whatever is legal has costs that numpy's int64 holds, and sizes read one way."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from space.dimension import Dimension
from space.space import Space
from transxnet.arch import ArchConfig, StageConfig
from transxnet.bounds import MOST, MOST_MAP_SIDE, read_image_size
from transxnet.columns import ArchColumns
from transxnet.cost import estimate, latency, measure, training_memory
from transxnet.operators import PLACES, WORDS
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch


def largest(**words: Any) -> ArchConfig:
    """The dearest network with these words: all numbers at their bounds, divisors and strides at the other end."""
    own = {name: MOST[name] for name in ("depth", "width", "heads", "idconv_groups", "ste_floor", "ffn_ratio")}
    kernels = {"idconv_kernel": 127, "dpe_kernel": 127, "ffn_kernels": (127,)}
    divisors = {"idconv_reduction": 1, "ste_reduction": 1, "idconv_share": 0.5}
    stage = StageConfig(**{**own, **kernels, **divisors, "osr_stride": 1, "mixing": "series", **words})
    around = {name: MOST[name] for name in ("in_channels", "num_classes")}
    return ArchConfig((stage,) * 4, image_size=MOST_MAP_SIDE, stem_stride=1, **around)


@pytest.mark.parametrize("osr", [(1, 0), (2, 1023), (1024, 1023), (1024, 0)], ids=str)
def test_the_cost_of_the_largest_networks_fits_int64(osr: tuple[int, int]) -> None:
    for local, far, ffn in itertools.product(*(PLACES[place] for place in ("local_mixer", "global_mixer", "ffn"))):
        arch = largest(osr_stride=osr[0], osr_overlap=osr[1], local_mixer=local, global_mixer=far, ffn=ffn)
        cost = estimate(arch)  # of one network: whole numbers of Python, which have no bound
        assert max(*vars(cost).values(), cost.macs) < 2**63
    assert estimate(ArchColumns.of([arch])).macs.tolist() == [cost.macs]


def test_a_large_image_needs_a_stem_that_makes_a_small_map() -> None:
    assert T.replace(image_size=4096).grids()[0] == (1024, 1024)
    with pytest.raises(ValueError, match="the first map must have at most 1,024 positions a side, got image_size 4096"):
        T.replace(image_size=4096, stem_stride=2)
    space = Space("mine", "A question?", T, "transxnet_t", (
        Dimension("image_size", "tied", [224, 4096]), Dimension("stem_stride", "tied", [4, 2])))  # fmt: skip
    assert [space.enumerate().labels(row) for row in range(3)] == [
        {"image_size": "224", "stem_stride": "4"}, {"image_size": "224", "stem_stride": "2"},
        {"image_size": "4096", "stem_stride": "4"},
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in MOST if name not in ("in_channels", "num_classes")])
def test_a_number_beyond_its_bound_is_refused_in_one_line(name: str) -> None:
    value, said = MOST[name] + 1, re.escape(f"at most {MOST[name]:,}, got {MOST[name] + 1:,}")
    many = (value,) if name == "ffn_kernels" else value
    with pytest.raises(ValueError, match=f"^{name} must be {said}; choose a smaller one$"):
        T.replace(**{name: many}) if hasattr(T, name) else T.with_stages(**{name: [many] * 4})
    with pytest.raises(ValueError, match=rf"^{name}: a value must be {said}(\.0)?; write a smaller one$"):
        Dimension(name, "tied", [many])


@pytest.mark.parametrize("name", ["osr_overlap", "ffn_ratio"])
def test_numbers_that_no_column_holds_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: a value must be at most"):
        Dimension(name, "tied", [3, 99999999999999999999])


def test_every_number_of_a_description_has_a_bound() -> None:
    is_word = {*WORDS, "dpe", "position_table", "layer_scale", "stages"}
    assert {*vars(T), *vars(T.stages[0])} - is_word == set(MOST)


TAKE_A_SIZE: dict[str, Callable[[Any], object]] = {
    "estimate": lambda size: estimate(T, size),
    "estimate of columns": lambda size: estimate(ArchColumns.of([T]), size),
    "measure": lambda size: measure(T, size),
    "training_memory": lambda size: training_memory(T, 2, image_size=size),
    "latency": lambda size: latency(T, image_size=size),
    "ArchConfig": lambda size: T.replace(image_size=size),
}


@pytest.mark.parametrize("take", TAKE_A_SIZE.values(), ids=TAKE_A_SIZE)
@pytest.mark.parametrize(
    ("size", "said"),
    [
        (1.5, "image_size must be a whole number of at least 1, got 1.5"),
        ((0, -5), "image_size must be a whole number of at least 1, got 0"),
        (True, "image_size must be a whole number"),
        ("224", "image_size must be a whole number of at least 1, got '224'"),
        ((224,), "image_size must be one number or height and width"),
        (10**6, "image_size must be at most 4,096"),
    ],
)
def test_everything_that_takes_an_image_size_refuses_it_alike(
    take: Callable[[Any], object], size: Any, said: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said)) as caught:
        take(size)
    assert "\n" not in str(caught.value)


def test_one_number_is_height_and_width(small_arch: ArchConfig) -> None:
    assert read_image_size(32) == (32, 32)
    assert estimate(small_arch, 48) == estimate(small_arch, (48, 48)) == measure(small_arch, 48)
    assert training_memory(T, 2, image_size=64) == training_memory(T, 2, image_size=(64, 64))
    assert np.array_equal(estimate(ArchColumns.of([T]), 64).macs, [estimate(T, 64).macs])


@pytest.mark.parametrize("batch", [0, 1.5, True, "2"])
def test_a_batch_is_a_whole_number(batch: Any) -> None:
    with pytest.raises(ValueError, match=r"^batch must be a whole number of at least 1, got"):
        training_memory(T, batch)

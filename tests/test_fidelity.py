"""The proxy of a target: a legal network, near the wanted size, that keeps what the variant is about."""

import dataclasses
import itertools
import re

import pytest

from experiments.fidelity import Fidelity, proxy_arch
from space.presets import load_preset
from transxnet.arch import StageConfig
from transxnet.variants import VARIANTS

TARGETS = {name: variant.arch for name, variant in VARIANTS.items()}
SCALES = (0.05, 0.125, 0.2, 0.25, 0.34, 0.5, 0.77, 1.0, 1.5, 4.0)
KEPT = [field.name for field in dataclasses.fields(StageConfig) if field.name not in ("depth", "width")]


def proxy(target, **changes):
    return proxy_arch(target, Fidelity(**changes), channels=3, num_classes=10)


def legal_widths(stage):
    """Every legal width around the stage's own, by trying them."""
    for width in range(1, 5 * stage.width):
        try:
            yield dataclasses.replace(stage, width=width).width
        except ValueError:
            continue


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_legal_width_nearest_to_the_wanted_is_taken(name, scale):
    scaled = proxy(TARGETS[name], width_scale=scale)
    for stage, small in zip(TARGETS[name].stages, scaled.stages, strict=True):
        wanted = stage.width * scale
        assert abs(small.width - wanted) == min(abs(width - wanted) for width in legal_widths(stage))


@pytest.mark.parametrize(("name", "scale"), itertools.product(TARGETS, SCALES))
def test_all_but_depth_and_width_is_the_targets(name, scale):
    scaled = proxy(TARGETS[name], width_scale=scale, depth_scale=scale)
    for stage, small in zip(TARGETS[name].stages, scaled.stages, strict=True):
        assert {field: getattr(small, field) for field in KEPT} == {field: getattr(stage, field) for field in KEPT}


@pytest.mark.parametrize(
    ("scale", "depths"),
    [(0.01, (1, 1, 1, 1)), (0.34, (1, 1, 3, 1)), (0.67, (2, 2, 6, 2)), (1.0, (3, 3, 9, 3)), (2.0, (6, 6, 18, 6))],
)
def test_depths_are_rounded_and_at_least_one(scale, depths):
    assert proxy(TARGETS["transxnet_t"], depth_scale=scale).column("depth") == depths


@pytest.mark.parametrize("name", TARGETS)
def test_scale_1_keeps_the_stages(name):
    target = TARGETS[name]
    assert proxy(target, width_scale=1.0, depth_scale=1.0).stages == target.stages


def test_the_images_decide_size_stem_channels_and_classes():
    scaled = proxy_arch(TARGETS["transxnet_t"], Fidelity(image_size=28, stem_stride=1), channels=1, num_classes=7)
    assert (scaled.image_size, scaled.stem_stride, scaled.in_channels, scaled.num_classes) == ((28, 28), 1, 1, 7)


def test_variants_that_differ_stay_different_at_the_default_proxy():
    space = load_preset("idconv_groups")
    proxies = {proxy(space.build(labels)).id for labels in space.points()}
    assert len(proxies) == space.size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "proxy.epochs must be at least 1, got 0"),
        ({"image_size": 0}, "proxy.image_size must be at least 1, got 0"),
        ({"stem_stride": -1}, "proxy.stem_stride must be at least 1, got -1"),
        ({"width_scale": 0}, "proxy.width_scale must be above 0 and at most 4, got 0"),
        ({"depth_scale": 4.5}, "proxy.depth_scale must be above 0 and at most 4, got 4.5"),
        ({"data_share": 0}, "proxy.data_share must be above 0 and at most 1, got 0"),
        ({"data_share": 1.01}, "proxy.data_share must be above 0 and at most 1, got 1.01"),
        ({"width_scale": float("nan")}, "proxy.width_scale must be above 0 and at most 4, got nan"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Fidelity(**changes)

"""What is trained in place of a space's targets differs in what was chosen, not in width or shape."""

import dataclasses

import numpy as np
import pytest

from experiments.fidelity import Fidelity, proxy_arch
from experiments.proxies import MOST_UNEVEN, Proxies
from space import IllegalVariant
from space.common_widths import CommonWidths
from space.match import MATCHES
from space.presets import load_preset
from transxnet.cost import estimate

FIDELITIES = {
    "quick": Fidelity(),
    "cifar": Fidelity(width_scale=0.25, depth_scale=0.34),
    "gpu": Fidelity(image_size=64, stem_stride=4, width_scale=0.5, depth_scale=0.67),
}
ABLATIONS = [
    "token_mixer", "local_mixer", "global_mixer", "idconv_groups", "idconv_kernel", "osr_overlap", "osr_stride",
    "channel_split", "enhancer", "ffn", "msffn_kernels", "position", "layer_scale", "component_ladder",
]  # fmt: skip


def networks(space):
    for labels in space.points():
        try:
            yield space.build(labels)
        except IllegalVariant:
            continue


@pytest.mark.parametrize("name", ABLATIONS)
def test_all_variants_of_an_ablation_are_trained_at_the_same_widths(name):
    space = load_preset(name)
    for fidelity in FIDELITIES.values():
        proxies = Proxies(space, fidelity, 3, 15)
        assert {proxies.of(arch).column("width") for arch in networks(space)} == {proxies.baseline.column("width")}


def test_each_alone_would_take_another_width():
    # What the common widths are for: rounding alone would double a stage of one variant and not of another.
    space = load_preset("channel_split")
    alone = {proxy_arch(arch, Fidelity(), 3, 15).column("width") for arch in networks(space)}
    assert len(alone) > 1


def test_a_common_width_is_the_nearest_that_every_choice_allows():
    space = load_preset("channel_split")
    shares = {arch.stages[0].idconv_share for arch in networks(space)}
    assert shares == {0.25, 0.5, 0.75}
    legal = []
    for width in range(1, 100):
        try:
            for share in shares:
                dataclasses.replace(space.base.stages[0], width=width, idconv_share=share)
        except ValueError:
            continue
        legal.append(width)
    widths = CommonWidths(space)
    for wanted in np.linspace(1, 60, 119):
        nearest = min(legal, key=lambda width, wanted=wanted: (abs(width - wanted), -width))
        assert widths.nearest(0, 48, wanted) == nearest


def test_where_widths_vary_each_has_a_proxy_whatever_the_heads():
    space = load_preset("transxnet")
    proxies = Proxies(space, Fidelity(), 3, 15)
    points = space.sample(60, np.random.default_rng(0)).points
    found = {}
    for row in range(len(points)):
        target = points.arch(row)
        found.setdefault(target.column("width"), set()).add(proxies.of(target).column("width"))
    assert len(found) > 3
    assert all(len(widths) == 1 for widths in found.values())


@pytest.mark.parametrize("match", MATCHES)
@pytest.mark.parametrize("name", ["token_mixer", "channel_split", "component_ladder", "position"])
@pytest.mark.parametrize("fidelity", FIDELITIES.values(), ids=FIDELITIES)
def test_matched_proxies_keep_their_shape_and_come_near_the_baselines_cost(fidelity, name, match):
    space = dataclasses.replace(load_preset(name), match=match)
    proxies = Proxies(space, fidelity, 3, 15)
    base, price = proxies.baseline, MATCHES[match].of
    for arch in networks(space):
        proxy = proxies.of(arch)
        ratios = np.array(proxy.column("width")) / base.column("width")
        assert ratios.max() / ratios.min() <= MOST_UNEVEN + 1e-9
        unmatched = proxy.with_stages(width=base.column("width"))
        departure, before = (abs(price(estimate(x)) / price(estimate(base)) - 1) for x in (proxy, unmatched))
        assert departure <= max(before, 0.01)
        assert departure <= 0.05


def test_the_targets_own_size_trains_the_target():
    whole = Fidelity(image_size=224, stem_stride=4, width_scale=1, depth_scale=1)
    for match in (None, "gmacs"):
        space = dataclasses.replace(load_preset("ffn"), match=match)
        for arch in networks(space):
            assert Proxies(space, whole, 3, 1000).of(arch).id == arch.id

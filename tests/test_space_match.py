"""Variants of one cost: all that a preset asks about can be matched by small steps of width; others say how near."""

import dataclasses
import json

import pytest

from space.dimension import Dimension
from space.match import MATCHES, TOLERANCE, match_cost, width_factor
from space.presets import load_preset
from space.space import IllegalVariant, Space
from transxnet.cost import estimate
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch
MATCHED = ("token_mixer", "local_mixer", "global_mixer", "channel_split", "ffn", "enhancer", "component_ladder",
           "msffn_kernels", "idconv_groups", "position")  # fmt: skip


def matched(name, match):
    return dataclasses.replace(load_preset(name), match=match)


@pytest.fixture(params=sorted(MATCHES))
def match(request):
    return request.param


@pytest.mark.parametrize("name", MATCHED)
def test_every_variant_of_an_ablation_gets_the_bases_cost_at_nearly_its_shape(name, match):
    space = matched(name, match)
    wanted = MATCHES[match].of(estimate(T))
    for labels in space.points():
        arch = space.build(labels)
        assert abs(MATCHES[match].of(estimate(arch)) / wanted - 1) <= TOLERANCE
        assert arch.with_stages(width=T.column("width")) == space.build_unmatched(labels)
        ratios = [width / own for width, own in zip(arch.column("width"), T.column("width"), strict=True)]
        assert max(ratios) / min(ratios) < 1.16  # steps of 32 channels in a stage of 448


def test_the_base_and_what_costs_nearly_as_much_keep_their_widths(match):
    space = matched("layer_scale", match)
    assert space.build(space.baseline) == T
    for labels in space.points():
        assert space.build(labels) == space.build_unmatched(labels)


def test_what_costs_more_becomes_narrower_and_what_costs_less_wider():
    space = matched("token_mixer", "gmacs")
    factors = {label: width_factor(space.build({"token_mixer": label}), T) for label in space.axes[0].labels}
    assert factors["D-Mixer"] == 1
    assert factors["none"] > 1 > factors["OSRA"] > factors["late full attention"] > 0.85


def test_the_same_variant_is_always_matched_in_the_same_way(match):
    arch = load_preset("local_mixer").build({"local_mixer": "none"})
    again = match_cost.__wrapped__(arch, T, match)
    assert again == match_cost(arch, T, match) == match_cost.__wrapped__(arch, T, match)


def test_matched_networks_differ_where_the_variants_do(match):
    space = matched("component_ladder", match)
    assert len({space.build(labels).id for labels in space.points()}) == space.size


def test_what_no_width_can_match_is_illegal_and_says_how_near_it_came():
    costly = Dimension("image_size", "tied", [224, 1792])
    space = Space("mine", "A question?", T, "transxnet_t", (costly,), match="gmacs")
    with pytest.raises(IllegalVariant, match=r"base's multiply-adds within 1%: the nearest, .* depart by \+\d+\.\d%"):
        space.build({"image_size": "1792"})


def test_a_coarse_space_says_how_near_it_came():
    # With 56 heads widths come in steps of 112 in the last stage, too coarse for a network of that stage alone.
    base = T.with_stages(depth=[1, 1, 1, 30], heads=[24, 48, 112, 224])
    groups = Dimension("idconv_groups", "tied", [2, 8])
    space = Space("mine", "A question?", base, "custom", (groups,), match="params")
    with pytest.raises(IllegalVariant, match="depart by"):
        space.build({"idconv_groups": "8"})


def test_rules_are_asked_of_the_matched_network():
    base = T.with_stages(width=[48, 48, 224, 448], heads=[1, 3, 4, 8])
    space = Space("mine", "A question?", base, "custom", (Dimension("ffn", "tied", ["msffn", "plain"]),),
                  ("widths_never_shrink",), match="gmacs")  # fmt: skip
    assert space.build_unmatched({"ffn": "plain"}).column("width") == (48, 48, 224, 448)
    with pytest.raises(IllegalVariant, match="rule widths_never_shrink"):  # its second stage becomes the narrower one
        space.build({"ffn": "plain"})


def test_a_matched_space_does_not_vary_width():
    width = Dimension("width", "tuple", [[48, 96, 224, 448], [32, 64, 128, 256]])
    together = Dimension("", "together", {"t": {}, "small": {"width": [32, 64, 128, 256]}}, name="size")
    for dimension in (width, together):
        with pytest.raises(ValueError, match="must not vary it, got match=gmacs and a dimension of width") as caught:
            Space("mine", "A question?", T, "transxnet_t", (dimension,), match="gmacs")
        assert "\n" not in str(caught.value)


def test_an_unknown_match_is_refused():
    with pytest.raises(ValueError, match="unknown match 'gmac'; did you mean gmacs"):
        matched("ffn", "gmac")


def test_json_keeps_the_match_and_a_space_without_one_is_as_before():
    space = matched("ffn", "params")
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert "match" not in load_preset("ffn").to_dict()
    assert Space.from_dict(load_preset("ffn").to_dict() | {"match": None}) == load_preset("ffn")

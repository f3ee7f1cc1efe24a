"""Every preset is a sound space around its base, of the size that its file says."""

import json
from itertools import islice, pairwise

import numpy as np
import pytest

from space.presets import load_preset, preset_names
from space.space import IllegalVariant, Space
from space.survey import survey
from transxnet.cost import estimate
from transxnet.variants import VARIANTS

SIZES = {
    "token_mixer": 9,
    "local_mixer": 5,
    "global_mixer": 6,
    "channel_split": 5,
    "idconv_groups": 8,
    "idconv_kernel": 5,
    "msffn_kernels": 16,
    "osr_stride": 108,
    "osr_overlap": 5,
    "enhancer": 3,
    "ffn": 3,
    "expansion": 625,
    "position": 4,
    "layer_scale": 2,
    "component_ladder": 10,
    "tiny_demo": 6,
    "transxnet": 477_757_440,
    "everything": 135 * 625 * 2 * 625 * 320 * 2 * 81 * 256 * 256 * 54 * 4 * 2 * 2 * 81 * 81 * 6 * 625 * 2,
}


@pytest.fixture(params=sorted(SIZES))
def space(request):
    return load_preset(request.param)


def test_the_presets_are_these():
    assert preset_names() == sorted(SIZES)
    with pytest.raises(ValueError, match="unknown space 'idconv_grops'; did you mean idconv_groups"):
        load_preset("idconv_grops")


def test_size_is_exact(space):
    assert space.size == SIZES[space.name]


def test_the_baseline_is_the_papers_t(space):
    if space.name == "tiny_demo":
        assert 200_000 < estimate(space.base).params < 600_000
    else:
        assert space.base == VARIANTS["transxnet_t"].arch
    assert space.build(space.baseline) == space.base


def test_every_choice_beside_the_baseline_keeps_its_label(space):
    again = Space.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    for axis in space.axes:
        for label in axis.labels:
            assert again.axes[space.axes.index(axis)].by_label[label] == axis.by_label[label]
            assert label.strip() == label != ""


def test_points_build_different_networks_or_are_illegal(space):
    ids, built = set(), 0
    for labels in islice(space.points(), 700):
        try:
            ids.add(space.build(labels).id)
            built += 1
        except IllegalVariant:
            continue
    assert len(ids) == built > 0


def test_no_choice_is_without_effect(space):
    assert space.ineffective() == ()


def test_every_choice_can_be_made_legally(space):
    assert survey(space, samples=2000).never_legal == ()


def test_the_papers_groups_are_in_idconv_groups():
    space = load_preset("idconv_groups")
    for name in ("transxnet_s", "transxnet_b"):
        groups = VARIANTS[name].arch.column("idconv_groups")
        assert space.build({"idconv_groups": "-".join(map(str, groups))}).column("idconv_groups") == groups


def test_overlap_by_stage_is_not_felt_at_stride_one():
    described = load_preset("osr_stride").to_dict()
    described["dimensions"][1]["vary"] = "stage"
    space = Space.from_dict(described)
    assert [(same.axis, same.labels) for same in space.ineffective()] == [("osr_overlap.stage4", ("3", "0"))]


def test_the_ladder_gains_one_part_a_step_from_a_plain_network_to_the_base():
    space = load_preset("component_ladder")
    fields = space.axes[0].fields
    steps = [space.build({"step": label}).stages[0] for label in space.axes[0].labels]
    changes = [
        {name for name in fields if getattr(one, name) != getattr(next_, name)} for one, next_ in pairwise(steps)
    ]
    assert changes == [
        {"layer_scale"}, {"dpe"}, {"position_table"}, {"global_mixer"}, {"local_mixer"}, {"local_mixer"},
        {"token_enhancer"}, {"ffn"}, {"ffn"},
    ]  # fmt: skip
    assert steps[-1] == space.base.stages[0]


def test_the_large_space_holds_t_and_s_and_is_mostly_sound():
    space = load_preset("transxnet")
    s = space.build(
        {**space.baseline, "depth": "4-4-12-4", "width": "64-128-320-512", "heads": "1-2-5-8",
         "idconv_groups": "2-2-3-4", "ffn_ratio.stage1": "6", "ffn_ratio.stage2": "6"}
    )  # fmt: skip
    assert s == VARIANTS["transxnet_s"].arch
    found = space.sample(1000, np.random.default_rng(0))
    assert 0.4 < found.legal.value < 0.55
    assert found.points.costs.gmacs.min() < estimate(space.base).gmacs < found.points.costs.gmacs.max()


def test_everything_is_the_largest_preset_and_mostly_sound():
    space = load_preset("everything")
    assert space.size == max(load_preset(name).size for name in SIZES) > 10**20
    found = space.sample(1000, np.random.default_rng(0))
    assert 0.4 < found.legal.value < 0.5
    assert found.points.costs.gmacs.min() < estimate(space.base).gmacs < found.points.costs.gmacs.max()


def test_sampling_a_preset_gives_legal_points_of_it(space):
    points = space.sample(50, np.random.default_rng(0)).points
    for row in range(50):
        labels = points.labels(row)
        assert all(labels[axis.name] in axis.labels for axis in space.axes)
        assert space.build(labels) == points.arch(row)

"""A space counts, builds, lists and draws its points, and refuses parts that do not fit together."""

import json
import time

import pytest

from space.dimension import Dimension
from space.space import IllegalVariant, Ineffective, Space
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch


def make(*dimensions, rules=(), base=T):
    return Space("mine", "A question?", base, "transxnet_t", dimensions, rules)


GROUPS = Dimension("idconv_groups", "tuple", [2, 1, [2, 2, 3, 4]])
STRIDES = Dimension("osr_stride", "stage", [[8, 4], [4], [2, 4], [1, 2]])
HEADS = Dimension("heads", "tuple", [[1, 2, 4, 8], [1, 2, 5, 8]])  # T's third stage has 112 channels in OSRA


def test_size_is_the_exact_product_however_large():
    many = [Dimension(field, "stage", list(range(1, 50))) for field in ("depth", "ste_floor", "osr_overlap")]
    assert make(*many, Dimension("ste_reduction", "stage", [8]), Dimension("heads", "tuple", [[1, 2, 4, 8]])).size == (
        49**12
    )


def test_points_are_all_different_and_in_a_fixed_order():
    space = make(GROUPS, STRIDES)
    points = list(space.points())
    assert len(points) == space.size == 3 * 2 * 1 * 2 * 2
    assert len({tuple(point.items()) for point in points}) == space.size
    assert points == list(space.points())
    assert points[0] == {
        "idconv_groups": "2", "osr_stride.stage1": "8", "osr_stride.stage2": "4", "osr_stride.stage3": "2",
        "osr_stride.stage4": "1",
    }  # fmt: skip
    assert points[1]["osr_stride.stage4"] == "2"


def test_the_baseline_builds_the_base():
    space = make(GROUPS, STRIDES, Dimension("ffn_kernels", "tied", [[3], [1, 3, 5, 7]]))
    assert space.baseline["ffn_kernels"] == "1+3+5+7"
    assert space.build(space.baseline) == T


def test_build_sets_each_axis_where_it_belongs():
    space = make(GROUPS, STRIDES, Dimension("image_size", "tied", [224, 192]))
    arch = space.build({**space.baseline, "idconv_groups": "2-2-3-4", "osr_stride.stage3": "4", "image_size": "192"})
    assert arch.column("idconv_groups") == (2, 2, 3, 4)
    assert arch.column("osr_stride") == (8, 4, 4, 1)
    assert arch.image_size == (192, 192)
    assert arch.column("width") == T.column("width")


def test_a_network_that_cannot_be_built_is_an_illegal_variant():
    with pytest.raises(
        IllegalVariant, match="stage 3: the channels of the global mixer must be divisible by its heads"
    ):
        make(HEADS).build({"heads": "1-2-5-8"})


def test_a_network_that_breaks_a_rule_is_an_illegal_variant():
    wide = Dimension("osr_stride", "stage", [[8], [4], [2, 8], [1]])
    assert make(wide).build({**make(wide).baseline, "osr_stride.stage3": "8"}).column("osr_stride") == (8, 4, 8, 1)
    ruled = make(wide, rules=["osr_stride_never_grows"])
    with pytest.raises(IllegalVariant, match="rule osr_stride_never_grows of space mine"):
        ruled.build({**ruled.baseline, "osr_stride.stage3": "8"})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"idconv_groups": "5"}, "unknown choice '5' for idconv_groups; known are 2, 1, 2-2-3-4"),
        ({"idconv_grups": "2"}, "unknown axis 'idconv_grups' of space mine; did you mean idconv_groups"),
        ({}, "got none for idconv_groups"),
        ({"idconv_groups": "2", "depth": "1"}, "unknown axis 'depth'"),
        ({"idconv_groups": 2}, "unknown choice 2 for idconv_groups"),
    ],
)
def test_words_that_are_no_point_are_a_plain_mistake(labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(GROUPS).build(labels)
    assert not isinstance(caught.value, IllegalVariant)


def test_json_is_lossless():
    space = make(GROUPS, STRIDES, rules=["osr_stride_never_grows"])
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_a_base_may_be_a_changed_variant():
    described = make(GROUPS).to_dict() | {"base": {"variant": "transxnet_t", "image_size": 64, "stages": {"depth": 1}}}
    base = Space.from_dict(described).base
    assert base == T.with_stages(depth=[1, 1, 1, 1]).replace(image_size=(64, 64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimention": []}, "unknown key in space 'dimention'; did you mean dimensions"),
        ({"about": None}, "a space must have the key about, got none; add about"),
        ({"base": "transxnet_x"}, "unknown variant 'transxnet_x'; did you mean transxnet_"),
        ({"base": {"variant": "transxnet_t", "image_sise": 64}}, "key in base 'image_sise'; did you mean image_size"),
        ({"base": {"variant": "transxnet_t", "stages": {"widht": 8}}}, "in base 'widht'; did you mean width"),
        ({"base": {"stages": {"depth": 1}}}, "add variant: transxnet_t"),
        ({"base": {"variant": "transxnet_t", "stages": {"depth": [1, 2]}}}, "depth needs a value for each of the 4"),
        ({"rules": ["osr_stride_grows"]}, "unknown rule 'osr_stride_grows'; did you mean osr_stride_never"),
        ({"rules": "osr_stride_never_grows"}, "rules must be a list"),
        ({"dimensions": {"depth": [1]}}, "dimension depth must be a mapping"),
        ({"dimensions": []}, "at least one dimension"),
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        Space.from_dict(make(GROUPS).to_dict() | changes)
    assert "\n" not in str(caught.value)


def test_two_dimensions_may_not_set_one_field():
    with pytest.raises(ValueError, match="two dimensions must not have one field, got idconv_groups twice"):
        make(GROUPS, Dimension("idconv_groups", "tied", [1, 2], name="other"))


STEP = Dimension(
    "",
    "together",
    {
        "full": {},
        "no table": {"position_table": False},
        "plain": {"position_table": False, "ffn": "plain", "stem_stride": 2},
    },
    name="step",
)


def test_choices_that_set_fields_together_build_and_keep_the_rest():
    space = make(STEP, GROUPS)
    assert space.baseline == {"step": "full", "idconv_groups": "2"}
    plain = space.build({"step": "plain", "idconv_groups": "1"})
    assert plain.column("ffn") == ("plain",) * 4
    assert (plain.stem_stride, plain.column("position_table")) == (2, (False,) * 4)
    assert plain.column("idconv_groups") == (1,) * 4
    assert Space.from_dict(json.loads(json.dumps(space.to_dict(), sort_keys=True))) == space


def test_a_space_stored_before_fields_varied_together_is_still_read():
    stored = {"name": "osr_overlap", "field": "osr_overlap", "vary": "tied", "choices": [3, 0]}
    assert make(Dimension("osr_overlap", "tied", [3, 0])).to_dict()["dimensions"] == [stored]
    assert make(GROUPS).to_dict() | {"dimensions": [stored]} == make(Dimension.from_dict(stored)).to_dict()


def test_a_field_set_together_is_no_other_dimensions():
    with pytest.raises(ValueError, match="two dimensions must not have one field, got ffn twice; merge or drop one"):
        make(STEP, Dimension("ffn", "tied", ["msffn", "plain"]))


def test_the_base_is_one_choice_of_those_that_set_fields_together():
    none = Dimension("", "together", {"plain": {"ffn": "plain", "dpe": "off"}, "wide": {"ffn_ratio": 8}}, name="step")
    with pytest.raises(ValueError, match="step has the choices plain, wide but the base has") as caught:
        make(none)
    assert str(caught.value).endswith("dpe on, ffn_ratio 4; add a choice that sets nothing: base: {}")
    twice = Dimension("", "together", {"full": {}, "ms": {"ffn": "msffn"}, "plain": {"ffn": "plain"}}, name="step")
    with pytest.raises(ValueError, match="choices of step must differ, got full, ms all like the base; keep one"):
        make(twice)


def test_the_base_must_be_in_the_space():
    with pytest.raises(ValueError, match="idconv_groups has the choices 1, 3 but the base has 2; add"):
        make(Dimension("idconv_groups", "tied", [1, 3]))
    with pytest.raises(ValueError, match="the base has 3-3-9-3"):
        make(Dimension("depth", "tied", [3]))
    base = T.with_stages(osr_stride=[2, 4, 2, 1])
    with pytest.raises(ValueError, match=r"the base must be in its own space.*osr_stride_never_grows"):
        make(GROUPS, base=base, rules=["osr_stride_never_grows"])


def test_choices_that_change_nothing_are_found():
    overlap = Dimension("osr_overlap", "stage", [3, 0])
    assert make(overlap).ineffective() == (Ineffective("osr_overlap.stage4", ("3", "0")),)
    assert make(GROUPS, STRIDES, HEADS).ineffective() == ()


def test_building_is_quick_enough_for_large_loops():
    space = make(GROUPS, STRIDES, rules=["osr_stride_never_grows"])
    start = time.process_time()
    for _ in range(1000):
        space.build(space.baseline)
    assert (time.process_time() - start) / 1000 < 500e-6  # some 50 us; the rest is for a busy machine

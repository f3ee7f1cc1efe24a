"""Dimensions read every way to write choices, name their axes and labels, and refuse what does not fit."""

import json

import pytest

from space.axis import Choice
from space.dimension import Dimension, Vary


def labels(dimension):
    return {axis.name: axis.labels for axis in dimension.axes}


def values(dimension, field, index=0):
    """What each choice of an axis sets a field to, in the stages where it does."""
    choices = dimension.axes[index].by_label
    return {
        label: tuple(stage[field] for stage in choice.stages if field in stage) for label, choice in choices.items()
    }


def test_tied_sets_one_value_in_all_stages():
    dimension = Dimension("idconv_groups", "tied", [1, 2])
    assert labels(dimension) == {"idconv_groups": ("1", "2")}
    assert values(dimension, "idconv_groups")["2"] == (2, 2, 2, 2)


def test_tuple_takes_one_value_for_all_or_four():
    dimension = Dimension("idconv_groups", "tuple", [2, [2, 2, 3, 4]])
    assert values(dimension, "idconv_groups") == {"2": (2, 2, 2, 2), "2-2-3-4": (2, 2, 3, 4)}


def test_stage_gives_each_stage_its_axis_with_the_same_choices():
    dimension = Dimension("ffn_ratio", "stage", [2, 2.5])
    assert labels(dimension) == {f"ffn_ratio.stage{n}": ("2", "2.5") for n in (1, 2, 3, 4)}
    assert dimension.axes[3].choices == (
        Choice(({}, {}, {}, {"ffn_ratio": 2.0})),
        Choice(({}, {}, {}, {"ffn_ratio": 2.5})),
    )
    assert values(dimension, "ffn_ratio", 3) == {"2": (2.0,), "2.5": (2.5,)}


def test_choices_by_stage_are_four_lists_or_a_mapping():
    lists = [[4, 8], [2, 4], [1, 2], [1]]
    mapping = {f"stage{n}": choices for n, choices in enumerate(lists, start=1)}
    by_list, by_mapping = (Dimension("osr_stride", "stage", choices) for choices in (lists, mapping))
    assert by_list == by_mapping
    assert [axis.labels for axis in by_list.axes] == [("4", "8"), ("2", "4"), ("1", "2"), ("1",)]


def test_a_list_of_numbers_is_one_kernel_set():
    tied = Dimension("ffn_kernels", "tied", [[3], [1, 3, 5, 7]])
    assert labels(tied) == {"ffn_kernels": ("3", "1+3+5+7")}
    four = Dimension("ffn_kernels", "tuple", [[3, 5], [[3], [3], [3, 5], [3, 5]]])
    assert four.axes[0].labels == ("3+5", "3-3-3+5-3+5")
    assert values(four, "ffn_kernels")["3+5"] == ((3, 5),) * 4
    same = Dimension("ffn_kernels", "stage", [[3], [3, 5], [7], [9]])
    assert {axis.labels for axis in same.axes} == {("3", "3+5", "7", "9")}
    by_stage = Dimension("ffn_kernels", "stage", [[[3], [5]], [[3]], [[5]], [[7]]])
    assert [axis.labels for axis in by_stage.axes] == [("3", "5"), ("3",), ("5",), ("7",)]


def test_fields_of_the_whole_network_are_tied():
    size = Dimension("image_size", "tied", [224, [192, 256]])
    assert labels(size) == {"image_size": ("224", "192x256")}
    assert size.axes[0].choices == (Choice(whole={"image_size": (224, 224)}), Choice(whole={"image_size": (192, 256)}))
    stride = Dimension("stem_stride", "tied", [2, 4])
    assert stride.axes[0].by_label == {"2": Choice(whole={"stem_stride": 2}), "4": Choice(whole={"stem_stride": 4})}


def test_a_name_of_its_own_names_the_axes():
    dimension = Dimension("osr_stride", "stage", [1, 2], name="reduction")
    assert dimension.axes[0].name == "reduction.stage1"
    assert dimension.axes[0].fields == dimension.fields == ("osr_stride",)


def test_words_and_switches_are_choices_too():
    mixers = Dimension("global_mixer", "tuple", ["osra", ["osra", "osra", "full", "full"]])
    assert labels(mixers) == {"global_mixer": ("osra", "osra-osra-full-full")}
    assert values(mixers, "global_mixer")["osra-osra-full-full"] == ("osra", "osra", "full", "full")
    for written in ([True, False], ["on", "off"]):
        switch = Dimension("dpe", "tied", written)
        assert labels(switch) == {"dpe": ("on", "off")}
        assert values(switch, "dpe") == {"on": (True,) * 4, "off": (False,) * 4}


TOGETHER = {
    "whole": {},
    "late": {"global_mixer": ["osra", "osra", "full", "full"], "position_table": "off"},
    "plain": {"ffn_kernels": [3], "ffn_ratio": 2, "image_size": 192},
}


def test_together_sets_several_fields_at_once():
    dimension = Dimension("", "together", TOGETHER, name="step")
    assert labels(dimension) == {"step": ("whole", "late", "plain")}
    assert set(dimension.fields) == {"global_mixer", "position_table", "ffn_kernels", "ffn_ratio", "image_size"}
    whole, late, plain = dimension.axes[0].choices
    assert whole == Choice()
    assert late.stages[0] == {"global_mixer": "osra", "position_table": False}
    assert late.stages[3] == {"global_mixer": "full", "position_table": False}
    assert plain == Choice(({"ffn_kernels": (3,), "ffn_ratio": 2.0},) * 4, {"image_size": (192, 192)})


def test_together_keeps_the_order_of_its_choices_in_json():
    dimension = Dimension("", "together", TOGETHER, name="step")
    plain = json.loads(json.dumps(dimension.to_dict(), sort_keys=True))
    assert Dimension.from_dict(plain) == dimension
    assert Dimension.from_dict({"name": "step", "vary": "together", "choices": TOGETHER}) == dimension
    assert plain["choices"][2] == {"plain": {"ffn_kernels": [3], "ffn_ratio": 2.0, "image_size": [192, 192]}}
    assert Dimension.from_dict(plain).axes == dimension.axes


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([], r"choices of step must be a mapping of label to the fields that it sets, got \[\]; write"),
        ({}, "choices of step must set a field, got none in all of them; add for example ffn: plain"),
        ({"a": {}, "b": {}}, "must set a field"),
        ({"a": 3}, "choice a of step must be a mapping of field to value, got 3; write for example"),
        ({"a": {"fnn": "plain"}}, "unknown field in choice a of step: 'fnn'; did you mean ffn"),
        ({"a": {"ffn": "plane"}}, "choice a of step: ffn: unknown value 'plane'; did you mean plain"),
        ({"a": {"ffn": ["plain", "msffn"]}}, "choice a of step: ffn needs a value for each of the 4 stages"),
        ({"a": {"num_classes": 10}}, "unknown field in choice a of step: 'num_classes'"),
        ({"a, b": {"ffn": "plain"}}, "a label of step must be words without a comma, got 'a, b'"),
        ([{"a": {"ffn": "plain"}}, {"a": {}}], "choices of step must differ, got a twice"),
    ],
)
def test_together_refuses_what_does_not_fit(choices, message):
    with pytest.raises(ValueError, match=message) as caught:
        Dimension("", "together", choices, name="step")
    assert "\n" not in str(caught.value)


def test_together_has_a_name_and_no_field():
    with pytest.raises(ValueError, match="no field of their own, got ffn; drop field"):
        Dimension("ffn", "together", TOGETHER, name="step")
    with pytest.raises(ValueError, match="name must be letters, digits and _, got ''; write step"):
        Dimension("", "together", TOGETHER)


@pytest.mark.parametrize(
    ("field", "vary", "choices"),
    [
        ("idconv_groups", "tuple", [1, [2, 2, 3, 4]]),
        ("idconv_groups", "tied", [1, 2]),
        ("ffn_ratio", "stage", [2, 2.5]),
        ("osr_stride", "stage", [[4], [2, 4], [1], [1]]),
        ("ffn_kernels", "tied", [[3], [1, 3]]),
        ("ffn_kernels", "tuple", [[3], [[3], [3], [5], [5]]]),
        ("ffn_kernels", "stage", [[3], [1, 3]]),
        ("image_size", "tied", [224, [192, 256]]),
        ("ffn", "tied", ["msffn", "plain"]),
        ("mixing", "tuple", ["parallel", ["parallel", "parallel", "series", "series"]]),
        ("dpe", "stage", [True, False]),
    ],
)
def test_json_is_lossless(field, vary, choices):
    dimension = Dimension(field, vary, choices, name="mine")
    assert Dimension.from_dict(json.loads(json.dumps(dimension.to_dict()))) == dimension


@pytest.mark.parametrize(
    ("field", "vary", "choices", "message"),
    [
        ("idconv_grops", "tied", [1], "unknown field 'idconv_grops'; did you mean idconv_groups"),
        ("num_classes", "tied", [10], "unknown field 'num_classes'"),
        ("depth", "tid", [1], "unknown way to vary depth: 'tid'; did you mean tied"),
        ("depth", "tied", [], r"choices of depth must be a list of at least one, got \[\]"),
        ("depth", "tied", 3, "must be a list of at least one, got 3; write for example"),
        ("depth", "stage", [[1], [], [1], [1]], "at least one"),
        ("depth", "tied", [1, 1], "choices of depth must differ, got 1 twice"),
        ("ffn_ratio", "tied", [4, 4.0], "choices of ffn_ratio must differ, got 4 twice"),
        ("depth", "tuple", [2, [2, 2, 2, 2]], "choices of depth must differ, got 2 twice"),
        ("depth", "stage", [[1], [1, 1], [1], [1]], "choices of depth.stage2 must differ"),
        ("depth", "tuple", [[1, 2, 3]], "depth needs a value for each of the 4 stages or one for all"),
        ("depth", "stage", [[1], [1], [1]], "need a list for each of the 4 stages, got 3"),
        ("depth", "stage", {"stage1": [1]}, "need a list for each of the 4 stages, got 1"),
        ("depth", "stage", {"stag1": [1]}, "did you mean stage1"),
        ("depth", "tied", [[1, 1, 2, 1]], "for four values write vary: tuple"),
        ("depth", "tied", [1.5], "depth: a value must be a whole number"),
        ("depth", "tied", [True], "depth: a value must be a whole number"),
        ("ffn", "tied", ["plane"], "ffn: unknown value 'plane'; did you mean plain?"),
        ("local_mixer", "tied", ["osra"], "local_mixer: unknown value 'osra'; known are idconv, dwconv, dyconv"),
        ("dpe", "tied", ["of"], "dpe: a value must be on or off, got 'of'; write on or off, or true or false"),
        ("dpe", "tied", [1], "dpe: a value must be on or off, got 1"),
        ("ffn_ratio", "tied", [0], "ffn_ratio: a value must be a number above 0"),
        ("ffn_kernels", "tied", [3], r"a value must be a list of kernel sizes, got 3; write for example \[3, 5\]"),
        ("stem_stride", "stage", [2, 4], "stem_stride belongs to the whole network.*write vary: tied"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(field, vary, choices, message):
    with pytest.raises(ValueError, match=message) as caught:
        Dimension(field, vary, choices)
    assert "\n" not in str(caught.value)


def test_a_described_dimension_needs_its_keys_and_no_others():
    with pytest.raises(ValueError, match="unknown key in a dimension 'choises'; did you mean choices"):
        Dimension.from_dict({"field": "depth", "vary": "tied", "choises": [1]})
    with pytest.raises(ValueError, match="dimension depth lacks vary"):
        Dimension.from_dict({"field": "depth", "choices": [1]})
    assert Dimension.from_dict({"name": "depth", "vary": "tied", "choices": [1]}).vary is Vary.TIED

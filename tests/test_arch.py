"""What an architecture may be, and when two descriptions are one network."""

import dataclasses

import pytest

from transxnet.arch import ArchConfig, StageConfig
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch
STAGE = T.stages[1]


@pytest.mark.parametrize("name", VARIANTS)
def test_json_is_lossless(name):
    arch = VARIANTS[name].arch
    again = ArchConfig.from_json(arch.to_json())
    assert again == arch
    assert again.id == arch.id


def test_ids_stay_the_same_across_releases():
    # A changed id would cut every stored result loose from its architecture.
    assert T.id == "798002033d54e9c5"


@pytest.mark.parametrize(
    ("change", "rule", "remedy"),
    [
        ({"width": 97}, "whole number", "even"),
        ({"heads": 5}, "divisible by its heads", "multiple of 10"),
        ({"width": 6, "heads": 1}, "at least 1 channel", "at most 3"),
        ({"ffn_ratio": 0.02}, "hidden channel for each kernel", "raise ffn_ratio"),
        ({"idconv_kernel": 4}, "odd", "choose 3 or 5"),
        ({"dpe_kernel": 2}, "odd", "choose 1 or 3"),
        ({"ffn_kernels": [1, 2]}, "odd", "choose 1 or 3"),
        ({"ffn_kernels": [3, 1]}, "increasing", r"\[1, 3, 5, 7\]"),
        ({"ffn_kernels": []}, "one or more", "increasing"),
        ({"ffn_kernels": "1357"}, "list of whole numbers", "'1357'"),
        ({"osr_stride": 3}, "1 or even", "choose 2 or 4"),
        ({"osr_overlap": 2}, "odd", "choose 1 or 3"),
        ({"idconv_groups": 0}, "at least 1", "0"),
        ({"depth": 1.5}, "whole number", "1.5"),
        ({"ffn_ratio": float("nan")}, "above 0", "nan"),
        ({"idconv_share": 1.0}, "between 1 and width - 1", "share"),
    ],
)
def test_illegal_stages_are_refused_with_rule_and_remedy(change, rule, remedy):
    with pytest.raises(ValueError, match=rule) as caught:
        dataclasses.replace(STAGE, **change)
    assert caught.match(remedy)


def test_unknown_and_missing_keys_are_refused_with_the_nearest_word():
    plain = T.to_dict()
    with pytest.raises(ValueError, match="did you mean stem_stride"):
        ArchConfig.from_dict({**plain, "stem_strid": 2})
    plain["stages"][2]["idconv_group"] = 3
    with pytest.raises(ValueError, match=r"stage 3.*did you mean idconv_groups"):
        ArchConfig.from_dict(plain)
    with pytest.raises(ValueError, match="lacks depth"):
        ArchConfig.from_dict({"stages": [{"width": 8, "heads": 1, "osr_stride": 1}]})


def test_groups_of_one_equal_neighbours_and_other_kernels_are_legal():
    arch = T.with_stages(idconv_groups=[1] * 4, width=[96] * 4, heads=[1] * 4, ffn_kernels=[(9,)] * 4)
    assert arch.column("ffn_split") == ((384,),) * 4


@pytest.mark.parametrize(
    "same",
    [
        T.with_stages(osr_overlap=[3, 3, 3, 7]),  # stage 4 does not reduce
        T.with_stages(ste_floor=[17, 1, 1, 1], ste_reduction=[3, 6, 8, 8]).with_stages(ste_floor=[16, 1, 1, 1]),
        T.with_stages(ffn_ratio=[4.01, 4.0, 4.0, 4.0]),  # int(48 * 4.01) is int(48 * 4)
        T.replace(image_size=(221, 224)),  # the same maps
    ],
)
def test_words_that_the_network_cannot_feel_share_an_id(same):
    assert same != T
    assert same.id == T.id


@pytest.mark.parametrize("field", ["depth", "width", "heads", "idconv_groups", "osr_stride", "ffn_ratio"])
def test_each_felt_field_changes_the_id(field):
    values = list(T.column(field))
    values[0] = values[0] * 2
    assert T.with_stages(**{field: values}).id != T.id


def test_the_remainder_of_the_hidden_channels_goes_to_the_first_kernel():
    stage = StageConfig(depth=1, width=10, heads=1, osr_stride=1, ffn_ratio=2.5, ffn_kernels=(1, 3, 5))
    assert stage.ffn_split == (9, 8, 8)

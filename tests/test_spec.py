"""A trial's spec: lossless as JSON, and a key that changes exactly with what decides the result."""

import dataclasses
import json

import pytest

from experiments.data.config import DataConfig
from experiments.fidelity import Fidelity, proxy_arch
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from transxnet.variants import VARIANTS

TARGET = VARIANTS["transxnet_t"].arch
FIDELITY = Fidelity()
SPEC = TrialSpec(
    arch=proxy_arch(TARGET, FIDELITY, 3, 10),
    recipe=Recipe(),
    fidelity=FIDELITY,
    data=DataConfig("photos"),
    data_fingerprint="0123456789abcdef",
    seed=0,
)


def with_stages(**columns):
    return dataclasses.replace(SPEC, arch=SPEC.arch.with_stages(**columns))


def with_fidelity(**changes):
    return dataclasses.replace(SPEC, fidelity=dataclasses.replace(SPEC.fidelity, **changes))


def with_recipe(**changes):
    return dataclasses.replace(SPEC, recipe=dataclasses.replace(SPEC.recipe, **changes))


def another(value):
    """Another legal value of a recipe's field."""
    return not value if isinstance(value, bool) else type(value)(value / 2) or 0.25


def test_json_loses_nothing():
    again = TrialSpec.from_dict(json.loads(json.dumps(SPEC.to_dict())))
    assert again == SPEC
    assert again.key == SPEC.key


@pytest.mark.parametrize(
    "other",
    [
        with_stages(idconv_groups=[2, 2, 2, 4]),
        dataclasses.replace(SPEC, arch=SPEC.arch.replace(num_classes=11)),
        dataclasses.replace(SPEC, data_fingerprint="f" * 16),
        dataclasses.replace(SPEC, data=DataConfig("npz", path="photos.npz")),  # may be mirrored or not
        dataclasses.replace(SPEC, seed=1),
        with_fidelity(data_share=0.5),
        with_fidelity(epochs=9),
        *(with_recipe(**{field.name: another(field.default)}) for field in dataclasses.fields(Recipe)),
    ],
)
def test_what_decides_the_result_changes_the_key(other):
    assert other.key != SPEC.key


@pytest.mark.parametrize(
    "same",
    [
        dataclasses.replace(SPEC, data=DataConfig("photos", cache="/elsewhere")),
        with_stages(osr_overlap=[3, 3, 3, 5]),  # the last stage has no spatial reduction
        with_fidelity(width_scale=0.2501, depth_scale=0.35),  # rounded to the same network
    ],
)
def test_what_the_training_cannot_feel_leaves_the_key(same):
    assert same.key == SPEC.key
    assert same != SPEC

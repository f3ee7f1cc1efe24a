"""A recipe: its learning rate over the steps, what it refuses, and that old ones are read."""

import dataclasses

import pytest

from experiments.recipe import Recipe
from experiments.training import learning_rate


def test_the_learning_rate_rises_to_the_peak_and_falls_to_the_minimum():
    recipe = Recipe(learning_rate=1.0, min_learning_rate=0.1, warmup_share=0.2)
    rates = [learning_rate(recipe, step, 11) for step in range(11)]
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.55)  # half of the way down
    assert rates[10] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_without_warm_up_the_first_step_has_the_peak():
    recipe = Recipe(learning_rate=1.0, min_learning_rate=0.0, warmup_share=0.0)
    assert [learning_rate(recipe, step, 3) for step in range(3)] == pytest.approx([1.0, 0.5, 0.0])
    assert learning_rate(recipe, 0, 1) == 1.0


def test_a_recipe_from_before_there_were_more_augmentations_can_be_read():
    added = {"rand_augment_magnitude", "rand_augment_operations", "erasing", "mixup", "cutmix", "mix_probability"}
    plain = {name: value for name, value in dataclasses.asdict(Recipe()).items() if name not in added}
    assert Recipe(**plain) == Recipe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0}, "recipe.learning_rate must be above 0, got 0"),
        ({"batch_size": -1}, "recipe.batch_size must be at least 2, as batch normalisation needs, got -1"),
        ({"weight_decay": -0.1}, "recipe.weight_decay must be 0 or above, got -0.1"),
        ({"warmup_share": 1}, "recipe.warmup_share must be at least 0 and below 1, got 1"),
        ({"drop_path": float("nan")}, "recipe.drop_path must be at least 0 and below 1, got nan"),
        (
            {"learning_rate": 1e-6},
            "recipe.min_learning_rate must be at most recipe.learning_rate, which is 1e-06, got 1e-05",
        ),
    ],
)
def test_a_recipe_out_of_range_is_refused_by_name(change, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        Recipe(**change)
    assert str(caught.value).startswith(message)

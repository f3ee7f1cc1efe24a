"""The table of augmentations: one entry for each, in the order of their use."""

from __future__ import annotations

from collections.abc import Callable

from experiments.augment import erase, mix, normalise, place, rand_augment
from experiments.augment.batch import Facts, Step
from experiments.augment.settings import Augmentation

AUGMENTATIONS: dict[str, Callable[[Augmentation, Facts], Step | None]] = {
    "place": place.make,
    "rand_augment": rand_augment.make,
    "normalise": normalise.make,
    "erase": erase.make,
    "mix": mix.make,
}
"""What makes each of them from a recipe, or None where the recipe leaves it off."""


def make_steps(settings: Augmentation, facts: Facts) -> tuple[Step, ...]:
    """The augmentations that are on. Raises ValueError for a setting that does not fit the data."""
    steps = (make(settings, facts) for make in AUGMENTATIONS.values())
    return tuple(step for step in steps if step is not None)

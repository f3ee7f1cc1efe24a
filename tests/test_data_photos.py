"""The embedded photographs: regions that do not meet, and images whose colour does not give the answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier

from experiments.data import photos
from experiments.data.config import DataConfig
from experiments.data.load import Dataset, load_dataset
from experiments.data.parts import Split

Features = NDArray[np.float64]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(DataConfig("photos", cache=str(tmp_path_factory.mktemp("cache")), validation_share=0.2), 32)


def test_each_class_has_the_same_number_of_images(dataset: Dataset) -> None:
    assert dataset.num_classes == 15
    for split, count in zip((dataset.train, dataset.validation, dataset.test), photos.IMAGES_PER_CLASS, strict=True):
        assert np.bincount(split.labels).tolist() == [count] * 15


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("count", [21, 36, 54])
def test_a_block_of_a_photograph_is_in_one_split(count: int, seed: int) -> None:
    train, validation, test = (set(chosen.tolist()) for chosen in photos.assign_blocks(count, 3, 0.2, seed))
    assert train | validation | test == set(range(count))
    assert len(train) + len(validation) + len(test) == count
    assert len(test) == len(validation) == round(0.2 * count)


@pytest.mark.parametrize("source", photos.sources(None), ids=list(photos.PHOTOS))
def test_blocks_of_a_photograph_do_not_overlap(source: Path) -> None:
    blocks = photos.cut_blocks(source)
    assert len(blocks) >= 15
    assert {block.shape for block in blocks} == {(64, 64, 3)}
    assert all(block.base is blocks[0].base for block in blocks), "they are windows of one array"
    assert not any(np.shares_memory(one, other) for one, other in itertools.combinations(blocks, 2))


def test_no_image_is_flat(dataset: Dataset) -> None:
    grey = dataset.train.images.mean(axis=1)
    assert (grey.std(axis=(1, 2)) > 1).all()


def test_grey_and_coloured_photographs_both_come_in_colour(dataset: Dataset) -> None:
    spread = np.ptp(dataset.train.images.mean(axis=(2, 3)), axis=1)  # between the channels' means
    for name in ("brick", "coffee"):
        assert spread[dataset.train.labels == dataset.class_names.index(name)].mean() > 10


def test_every_order_of_the_channels_is_as_likely(dataset: Dataset) -> None:
    brightest = dataset.train.images.mean(axis=(2, 3)).argmax(axis=1)
    assert np.bincount(brightest).min() > 0.3 * len(brightest)


def test_colour_does_not_answer_but_texture_does(dataset: Dataset) -> None:
    chance = 1 / 15
    assert _accuracy(dataset, _mean_colour, RandomForestClassifier(40, random_state=0)) < 2 * chance
    assert _accuracy(dataset, _colour, LinearDiscriminantAnalysis()) < 0.25
    assert _accuracy(dataset, _texture, LinearDiscriminantAnalysis()) > 0.4


def _accuracy(dataset: Dataset, features: Callable[[NDArray[np.uint8]], Features], model: Any) -> float:
    train, test = (Split(split.images[::2], split.labels[::2]) for split in (dataset.train, dataset.test))
    model.fit(features(train.images), train.labels)
    return float(model.score(features(test.images), test.labels))


def _mean_colour(images: NDArray[np.uint8]) -> Features:
    return images.mean(axis=(2, 3))


def _colour(images: NDArray[np.uint8]) -> Features:
    """Mean, spread and histogram of each channel, brightest channel last."""
    order = images.mean(axis=(2, 3)).argsort(axis=1)[..., None]
    pixels = np.take_along_axis(images.reshape(*images.shape[:2], -1), order, axis=1)
    bins = [(pixels // 16 == level).mean(axis=2) for level in range(15)]
    return np.concatenate([pixels.mean(axis=2), pixels.std(axis=2), *bins], axis=1)


def _texture(images: NDArray[np.uint8]) -> Features:
    """How much neighbours at 1, 2 and 4 px differ, free of brightness and contrast."""
    grey = images.mean(axis=1)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) / (grey.std(axis=(1, 2), keepdims=True) + 1)
    found = []
    for step in (1, 2, 4):
        for steps in (grey[:, step:] - grey[:, :-step], grey[:, :, step:] - grey[:, :, :-step]):
            size = np.abs(steps)
            found += [kind.mean(axis=(1, 2)) for kind in (size, size**2, size < 0.1, size > 1)]
    return np.stack(found, axis=1)

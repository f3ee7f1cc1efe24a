"""Batches: order, augmentation and normalisation as tensors."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from experiments.augment.place import place_images
from experiments.augment.settings import Augmentation
from experiments.data.batches import PLAIN, TrainBatches, evaluation_batches
from experiments.data.config import DataConfig
from experiments.data.load import Dataset
from experiments.data.parts import Split
from experiments.data.prefetch import prefetched
from experiments.data.statistics import ChannelStatistics, channel_statistics

UNIT = ChannelStatistics((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

ALL = Augmentation(
    rand_augment_magnitude=9.0, rand_augment_operations=3, erasing=0.5, mixup=0.8, cutmix=1.0, mix_probability=0.9
)
"""Every augmentation there is."""
UNMIRRORED = torch.zeros(1, dtype=torch.bool)


def make_dataset(name: str = "photos", count: int = 50, size: int = 8) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), np.uint8)
    split = Split(images, np.arange(count, dtype=np.int64))  # the label is the place
    names = tuple(str(place) for place in range(count))
    return Dataset(DataConfig(name), size, names, "0" * 16, split, split, split)


def batches(
    dataset: Dataset,
    augmentation: Augmentation = PLAIN,
    seed: int = 0,
    batch_size: int = 10,
    indices: np.ndarray | None = None,
    statistics: ChannelStatistics = UNIT,
    prefetch: bool | None = None,
) -> TrainBatches:
    generator = torch.Generator().manual_seed(seed)
    return TrainBatches(dataset, batch_size, generator, statistics, augmentation, indices, prefetch=prefetch)


def pixels(dataset: Dataset, labels: Tensor) -> Tensor:
    return torch.from_numpy(dataset.train.images[labels.numpy()])


def test_an_epoch_shows_each_image_once_in_a_new_order() -> None:
    feed = batches(make_dataset())
    epochs = [torch.cat([labels for _, labels in feed]).tolist() for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(50))
    assert epochs[0] != epochs[1]
    assert len(feed) == 5


def test_the_incomplete_batch_is_left_out() -> None:
    feed = batches(make_dataset(), batch_size=20)
    assert [len(labels) for _, labels in feed] == [20, 20]
    assert len(feed) == 2


def test_only_the_chosen_images_are_shown() -> None:
    chosen = np.arange(0, 50, 2)
    shown = torch.cat([labels for _, labels in batches(make_dataset(), batch_size=5, indices=chosen)])
    assert sorted(shown.tolist()) == chosen.tolist()


def test_without_augmentation_images_come_as_they_are() -> None:
    dataset = make_dataset()
    for images, labels in batches(dataset):
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert torch.allclose(images * 255, pixels(dataset, labels).float(), atol=1e-4)


@pytest.mark.parametrize("augmentation", [PLAIN, Augmentation(), Augmentation(4, False), ALL])
def test_one_seed_gives_one_sequence(augmentation: Augmentation) -> None:
    def run(seed: int) -> Tensor:
        feed = batches(make_dataset(), augmentation, seed)
        return torch.cat([images for _ in range(2) for images, _ in feed])

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_half_of_the_images_are_mirrored() -> None:
    dataset = make_dataset(count=400)
    mirrored = 0
    for images, labels in batches(dataset, Augmentation(0, True)):
        plain = pixels(dataset, labels).float()
        for image, before in zip((images * 255).round(), plain, strict=True):
            assert torch.equal(image, before) or torch.equal(image, before.flip(-1))
            mirrored += int(not torch.equal(image, before))
    assert 150 < mirrored < 250


def test_data_that_must_not_be_mirrored_are_not() -> None:
    dataset = make_dataset("digits")
    assert not dataset.flip_safe
    for images, labels in batches(dataset, Augmentation(0, True)):
        assert torch.equal((images * 255).round(), pixels(dataset, labels).float())


@pytest.mark.parametrize("padding", [0, 1, 2, 3])
def test_a_placed_image_is_a_crop_of_the_reflected_one_and_may_be_mirrored(padding: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (20, 3, 8, 8), generator=generator, dtype=torch.uint8)
    shifts = torch.randint(0, 2 * padding + 1, (2, 20), generator=generator)
    mirrored = torch.rand(20, generator=generator) < 0.5
    placed = place_images(images, shifts, mirrored, padding)
    padded = functional.pad(images.float(), [padding] * 4, mode="reflect")
    for index, (top, left) in enumerate(shifts.T.tolist()):
        crop = padded[index, :, top : top + 8, left : left + 8]
        assert torch.equal(placed[index].float(), crop.flip(-1) if mirrored[index] else crop)


def test_every_shift_occurs() -> None:
    dataset = make_dataset(count=600)
    plain = torch.from_numpy(dataset.train.images)
    all_shifts = [torch.full((2, 1), 0) + torch.tensor([[top], [left]]) for top in range(3) for left in range(3)]
    seen = set()
    for images, labels in batches(dataset, Augmentation(1, False)):
        for image, label in zip((images * 255).round(), labels.tolist(), strict=True):
            seen |= {
                tuple(shift.flatten().tolist())
                for shift in all_shifts
                if torch.equal(place_images(plain[label : label + 1], shift, UNMIRRORED, 1)[0].float(), image)
            }
    assert len(seen) == 9


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    dataset = make_dataset(count=200)
    feed = batches(dataset, statistics=channel_statistics(dataset.train))
    images = torch.cat([images for images, _ in feed]).double()
    assert torch.allclose(images.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-5)
    assert torch.allclose(images.std((0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-5)


def test_statistics_are_those_of_the_pixels() -> None:
    split = make_dataset(count=5000).train
    found = channel_statistics(split)
    assert np.allclose(found.mean, split.images.mean((0, 2, 3)) / 255)
    assert np.allclose(found.std, split.images.std((0, 2, 3)) / 255)


def test_a_constant_channel_is_not_divided_by_zero() -> None:
    split = make_dataset().train
    images = split.images.copy()
    images[:, 1] = 7
    assert channel_statistics(Split(images, split.labels)).std[1] == 1.0


def test_evaluation_shows_everything_once_in_order() -> None:
    split = make_dataset().validation
    shown = list(evaluation_batches(split, 20, UNIT))
    assert [len(labels) for _, labels in shown] == [20, 20, 10]
    assert torch.cat([labels for _, labels in shown]).tolist() == list(range(50))
    assert torch.allclose(torch.cat([images for images, _ in shown]) * 255, torch.from_numpy(split.images).float())


@pytest.mark.parametrize(
    ("batch_size", "told"), [(51, "choose a batch_size of 50 or less"), (1, "at least 2"), (0, "at least 2")]
)
def test_a_batch_size_that_cannot_be_filled_is_refused(batch_size: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        batches(make_dataset(), batch_size=batch_size)


def test_a_wrong_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="got -1"):
        Augmentation(crop_padding=-1)
    with pytest.raises(ValueError, match="got 8 at 8 px"):
        batches(make_dataset(), Augmentation(crop_padding=8))
    with pytest.raises(ValueError, match="got 0"):
        list(evaluation_batches(make_dataset().test, 0, UNIT))


def test_a_memory_mapped_split_is_not_changed(tmp_path: Path) -> None:
    dataset = make_dataset()
    np.save(tmp_path / "images.npy", dataset.train.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), dataset.train.labels)
    list(batches(replace(dataset, train=mapped), Augmentation()))
    list(evaluation_batches(mapped, 20, UNIT))
    assert np.array_equal(mapped.images, dataset.train.images)


@pytest.mark.parametrize("augmentation", [Augmentation(), ALL])
def test_a_thread_that_fetches_ahead_changes_no_batch(augmentation: Augmentation) -> None:
    fetched, plain = (batches(make_dataset(), augmentation, prefetch=prefetch) for prefetch in (True, False))
    for _ in range(2):
        for (images, targets), (same_images, same_targets) in zip(fetched, plain, strict=True):
            assert torch.equal(images, same_images)
            assert torch.equal(targets, same_targets)
    assert torch.equal(fetched.generator.get_state(), plain.generator.get_state())


def test_an_epoch_left_early_leaves_no_thread() -> None:
    before = threading.active_count()
    epoch = iter(batches(make_dataset(count=200), prefetch=True))
    next(epoch)
    assert threading.active_count() == before + 1
    epoch.close()
    assert threading.active_count() == before


def test_what_is_fetched_ahead_comes_in_order_and_a_fault_where_it_is_due() -> None:
    def half(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2

    assert list(prefetched(half, range(0, 20, 2))) == list(range(10))
    due = prefetched(half, [0, 2, 3])
    assert [next(due), next(due)] == [0, 1]
    with pytest.raises(ValueError, match="3 is odd"):
        next(due)


def test_an_augmented_image_of_32_px_costs_microseconds() -> None:
    feed = batches(make_dataset(count=2048, size=32), Augmentation(), batch_size=128)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert min(_epoch_seconds(feed) for _ in range(3)) / 2048 < 100e-6  # about 7 on an idle core
    finally:
        torch.set_num_threads(threads)


def _epoch_seconds(feed: TrainBatches) -> float:
    start = time.perf_counter()
    for _ in feed:
        pass
    return time.perf_counter() - start

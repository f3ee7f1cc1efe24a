"""Feeding a split to a network: normalised batches, those of training shuffled and augmented as tensors.

No worker processes: decoded images lie in a mapped file, and a batch of them is one copy of memory.
Letters of shapes: B images of a batch, C channels, H = W pixels, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from experiments.augment.batch import Batch, Facts
from experiments.augment.normalise import Normalise
from experiments.augment.settings import Augmentation
from experiments.augment.table import make_steps
from experiments.data.load import Dataset
from experiments.data.parts import Indices, Split
from experiments.data.prefetch import prefetched
from experiments.data.statistics import ChannelStatistics
from experiments.data.train_share import require_full_batch

PLAIN = Augmentation(crop_padding=0, flip=False)
"""Images as they are."""


class TrainBatches:
    """The training split in batches; each iteration is an epoch in a new order, drawn from the generator.

    Yields normalised float32 images [B, C, H, W] and targets on `device`: int64 [B], or float32 [B, K] if images are
    mixed. The last, incomplete batch is left out: batch normalisation cannot learn from a single image. Its state is
    the generator's alone, which no thread touches.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        generator: torch.Generator,
        statistics: ChannelStatistics,
        augmentation: Augmentation = PLAIN,
        indices: Indices | None = None,
        device: torch.device | str = "cpu",
        prefetch: bool | None = None,
    ) -> None:
        """Raises ValueError if the images, or those of `indices`, do not fill a batch.

        `generator` is a CPU generator; `prefetch` None is `needs_prefetch`.
        """
        self._split = dataset.train
        self._indices = np.arange(len(dataset.train)) if indices is None else indices
        require_full_batch(batch_size, len(self._indices))
        self._batch_size = batch_size
        self.generator = generator
        self.statistics = statistics
        self._device = torch.device(device)
        facts = Facts(
            dataset.image_size,
            dataset.num_classes,
            dataset.flip_safe,
            statistics.mean,
            statistics.std,
            self._device,
        )
        self._steps = make_steps(augmentation, facts)
        self._prefetch = needs_prefetch(self._split, self._device) if prefetch is None else prefetch

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._indices) // self._batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._indices[torch.randperm(len(self._indices), generator=self.generator).numpy()]
        chosen = (order[start : start + self._batch_size] for start in self._starts())
        for batch in _gathered(self._split, chosen, self._device, self._prefetch):
            for step in self._steps:
                batch = step(batch, self.generator)
            yield batch.images, batch.targets

    def _starts(self) -> range:
        return range(0, len(self) * self._batch_size, self._batch_size)


def evaluation_batches(
    split: Split, batch_size: int, statistics: ChannelStatistics, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """The whole split, unvaried and in its order, the last batch perhaps smaller.

    Yields normalised float32 images [B, C, H, W] and int64 labels [B]; raises ValueError for an empty batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = torch.device(device)
    normalise = Normalise.of(statistics.mean, statistics.std, device)
    chosen = (slice(start, start + batch_size) for start in range(0, len(split), batch_size))
    for batch in _gathered(split, chosen, device, needs_prefetch(split, device)):
        yield normalise.images(batch.images), batch.targets


def needs_prefetch(split: Split, device: torch.device) -> bool:
    """Whether a thread should fetch what comes next: for a GPU, and where images may have to come from disk.

    In memory a batch is fetched in microseconds, and the only core of a trial has no time for a second thread.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return device.type == "cuda" or split.images.nbytes > memory / 2


def _gathered(split: Split, chosen: Iterable[Indices | slice], device: torch.device, prefetch: bool) -> Iterator[Batch]:
    """The chosen images, uint8, with their labels, on the device."""
    gather: Callable[[Indices | slice], Batch] = partial(_gather, split, device.type == "cuda")
    for batch in prefetched(gather, chosen) if prefetch else map(gather, chosen):
        yield Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))


def _gather(split: Split, pin: bool, chosen: Indices | slice) -> Batch:
    """In memory of this process; pinned memory goes to a GPU while it works."""
    tensors = (torch.from_numpy(np.array(part[chosen])) for part in (split.images, split.labels))
    return Batch(*(tensor.pin_memory() if pin else tensor for tensor in tensors))

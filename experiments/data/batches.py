"""Feeding a split to a network: normalised batches, those of training shuffled and augmented as tensors.

Letters of shapes: B images of a batch, C channels, H = W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.data.load import Dataset
from experiments.data.parts import Images, Indices, Labels, Split

_CHUNK = 4096
_WHITE = 255


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied. Raises ValueError for a padding that is no whole number."""

    crop_padding: int = 2
    """The image moves by up to so many pixels each way; what comes in is its mirrored edge."""
    flip: bool = True
    """Whether half of the images are mirrored left to right, on data sets where that keeps the class."""

    def __post_init__(self) -> None:
        if isinstance(self.crop_padding, bool) or not isinstance(self.crop_padding, int) or self.crop_padding < 0:
            raise ValueError(f"crop_padding must be a whole number of at least 0, got {self.crop_padding!r}")


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel, on the scale of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(split: Split) -> ChannelStatistics:
    """Mean and standard deviation of each channel, from exact counts; a constant channel gets std 1."""
    counts = np.zeros((split.images.shape[1], _WHITE + 1), np.int64)
    for start in range(0, len(split), _CHUNK):
        chunk = split.images[start : start + _CHUNK]
        for channel, count in enumerate(counts):
            count += np.bincount(chunk[:, channel].ravel(), minlength=_WHITE + 1)
    levels = np.arange(_WHITE + 1) / _WHITE
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ levels
    std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))
    return ChannelStatistics(tuple(mean.tolist()), tuple(np.where(std < 1e-6, 1.0, std).tolist()))


class TrainBatches:
    """The training split in batches; each iteration is an epoch in a new order, drawn from the generator.

    Yields normalised float32 images [B, C, H, W] and int64 labels [B] on `device`. The last, incomplete batch
    is left out: batch normalisation cannot learn from a single image. Its state is the generator's alone.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        generator: torch.Generator,
        statistics: ChannelStatistics,
        augmentation: Augmentation | None = None,
        indices: Indices | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Raises ValueError if the images, or those of `indices`, do not fill a batch.

        `generator` is a CPU generator; without `augmentation` images come as they are.
        """
        self._split = dataset.train
        self._indices = np.arange(len(dataset.train)) if indices is None else indices
        _require_batch_size(batch_size, len(self._indices))
        augmentation = augmentation or Augmentation(crop_padding=0, flip=False)
        _require_padding(augmentation.crop_padding, dataset.image_size)
        self._padding = augmentation.crop_padding
        self._flip = augmentation.flip and dataset.flip_safe
        self._batch_size = batch_size
        self.generator = generator
        self.statistics = statistics
        self._device = torch.device(device)
        self._scale = _scale(statistics, self._device)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._indices) // self._batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._indices), generator=self.generator).numpy()
        for start in range(0, len(self) * self._batch_size, self._batch_size):
            chosen = self._indices[order[start : start + self._batch_size]]
            images = self._augment(_on_device(self._split.images[chosen], self._device))
            yield _normalise(images, self._scale), _on_device(self._split.labels[chosen], self._device)

    def _augment(self, images: Tensor) -> Tensor:
        """uint8 [B, C, H, W], each image moved and mirrored by its own draw."""
        if self._padding:
            shifts = torch.randint(0, 2 * self._padding + 1, (2, len(images)), generator=self.generator)
            images = shift_images(images, shifts.to(self._device), self._padding)
        if self._flip:
            mirrored = torch.rand(len(images), generator=self.generator).to(self._device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        return images


def evaluation_batches(
    split: Split, batch_size: int, statistics: ChannelStatistics, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """The whole split, unvaried and in its order, the last batch perhaps smaller.

    Yields normalised float32 images [B, C, H, W] and int64 labels [B]; raises ValueError for an empty batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = torch.device(device)
    scale = _scale(statistics, device)
    for start in range(0, len(split), batch_size):
        chosen = slice(start, start + batch_size)
        images = _on_device(np.array(split.images[chosen]), device)
        yield _normalise(images, scale), _on_device(np.array(split.labels[chosen]), device)


def shift_images(images: Tensor, shifts: Tensor, padding: int) -> Tensor:
    """Crops [B, C, H, W] out of the images with mirrored edges; shifts int64 [2, B] are their top and left.

    A shift of `padding` gives the image itself.
    """
    size = images.shape[-1]
    mirrored = _mirrored_places(size, padding).to(images.device)
    padded = images[:, :, mirrored][..., mirrored]  # [B, C, H + 2 padding, W + 2 padding]
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # [B, C, tops, lefts, H, W], a view
    batch = torch.arange(len(images), device=images.device)
    return windows[batch, :, shifts[0], shifts[1]]


def _mirrored_places(size: int, padding: int) -> Tensor:
    """Which row (or column) of the image stands at each of the padded image: 2 1 0 1 2 ... for padding 2."""
    places = torch.arange(-padding, size + padding).abs()
    return (size - 1) - ((size - 1) - places).abs()


def _scale(statistics: ChannelStatistics, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and offset [C, 1, 1] that take a pixel of 0 to 255 to mean 0 and standard deviation 1."""
    mean = torch.tensor(statistics.mean, dtype=torch.float64)[:, None, None]
    std = torch.tensor(statistics.std, dtype=torch.float64)[:, None, None]
    return (1 / (_WHITE * std)).float().to(device), (-mean / std).float().to(device)


def _normalise(images: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    factor, offset = scale
    return images.to(torch.float32).mul_(factor).add_(offset)


def _on_device(array: Images | Labels, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)


def _require_batch_size(batch_size: int, count: int) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 2:
        raise ValueError(
            f"batch_size must be at least 2 (batch normalisation needs more than one image), got {batch_size}"
        )
    if batch_size > count:
        raise ValueError(
            f"batch_size must be at most the number of training images, got {batch_size} for {count} images; "
            f"choose a batch_size of {count} or less, or a larger share of the data"
        )


def _require_padding(padding: int, image_size: int) -> None:
    if padding >= image_size:
        raise ValueError(
            f"crop_padding must be below the image size, got {padding} at {image_size} px; make it smaller"
        )

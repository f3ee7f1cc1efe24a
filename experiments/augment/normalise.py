"""Normalising: pixels of 0 to 255 become numbers of mean 0 and standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.augment.batch import Batch, Facts, Step
from experiments.augment.settings import Augmentation

_WHITE = 255


def make(settings: Augmentation, facts: Facts) -> Step:
    """Always on."""
    return Normalise.of(facts.mean, facts.std, facts.device)


@dataclass(frozen=True, eq=False)
class Normalise:
    """Factor and offset of each channel, float32 [C, 1, 1] on the batches' device."""

    factor: Tensor
    offset: Tensor

    @classmethod
    def of(cls, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> Normalise:
        """By the statistics of the data, on the scale of 0 to 1."""
        means, stds = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
        return cls((1 / (_WHITE * stds)).float().to(device), (-means / stds).float().to(device))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draws nothing."""
        return batch._replace(images=self.images(batch.images))

    def images(self, images: Tensor) -> Tensor:
        """float32 of the same shape; the images may be uint8."""
        return images.to(torch.float32, copy=True).mul_(self.factor).add_(self.offset)

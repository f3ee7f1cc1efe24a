"""Random erasing (Zhong et al., 2020), as timm does it: a rectangle of noise in some of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.augment.batch import Batch, Facts, Step
from experiments.augment.settings import Augmentation

SMALLEST_AREA, LARGEST_AREA = 0.02, 1 / 3
"""Of the image."""
MOST_OBLONG = 1 / 0.3
"""Height to width, or width to height."""


def make(settings: Augmentation, facts: Facts) -> Step | None:
    """None unless some images are to be erased."""
    return Erase(settings.erasing) if settings.erasing else None


@dataclass(frozen=True)
class Erase:
    """A `share` of the normalised images gets a rectangle of normal noise."""

    share: float

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A new batch where an image drew a rectangle."""
        images = batch.images
        drawn = torch.rand(5, len(images), generator=generator)
        seed = int(torch.randint(2**62, (), generator=generator))
        chosen = torch.nonzero(drawn[0] < self.share).flatten()
        if not len(chosen):
            return batch
        inside = rectangles(drawn[1:, chosen], images.shape[-1]).to(images.device, non_blocking=True)[:, None]
        chosen = chosen.to(images.device, non_blocking=True)
        # Noise is made where the images are, too much to be carried there; its seed comes from the trial's draws.
        noise_generator = torch.Generator(images.device).manual_seed(seed)
        shape = (len(chosen), *images.shape[1:])
        noise = torch.randn(shape, generator=noise_generator, device=images.device)
        erased = torch.where(inside, noise, images[chosen])
        return batch._replace(images=images.index_copy(0, chosen, erased))


def rectangles(drawn: Tensor, size: int) -> Tensor:
    """bool [B, H, W], where the rectangles are; `drawn` [4, B] of 0 to 1 decides area, aspect, top and left.

    A rectangle that would be longer than the image is cut to its length.
    """
    area = size**2 * (SMALLEST_AREA + (LARGEST_AREA - SMALLEST_AREA) * drawn[0])
    aspect = torch.exp((2 * drawn[1] - 1) * math.log(MOST_OBLONG))
    height, width = (side.round().clamp(1, size) for side in ((area * aspect).sqrt(), (area / aspect).sqrt()))
    rows, columns = (
        _between((place * (size - side + 1)).floor(), side, size)
        for place, side in ((drawn[2], height), (drawn[3], width))
    )
    return rows[:, :, None] & columns[:, None, :]


def _between(start: Tensor, length: Tensor, size: int) -> Tensor:
    """bool [B, size], the places from start [B] on for a length [B]."""
    places = torch.arange(size)
    return (places >= start[:, None]) & (places < (start + length)[:, None])

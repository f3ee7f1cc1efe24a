"""Moving and mirroring images, in one pass over their rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.augment.batch import Batch, Facts, Step
from experiments.augment.settings import Augmentation


def make(settings: Augmentation, facts: Facts) -> Step | None:
    """Raises ValueError for a padding that the images do not have."""
    settings.require_fit(facts.image_size)
    flip = settings.flip and facts.flip_safe
    return Place(settings.crop_padding, flip) if settings.crop_padding or flip else None


@dataclass(frozen=True)
class Place:
    """Each image moved by its own draw, and mirrored by another."""

    padding: int
    flip: bool

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draws where and whether for each image; uint8 stays uint8."""
        count = len(batch.images)
        shifts = torch.zeros(2, count, dtype=torch.int64)
        mirrored = torch.zeros(count, dtype=torch.bool)
        if self.padding:
            shifts = torch.randint(0, 2 * self.padding + 1, (2, count), generator=generator)
        if self.flip:
            mirrored = torch.rand(count, generator=generator) < 0.5
        return batch._replace(images=place_images(batch.images, shifts, mirrored, self.padding))


def place_images(images: Tensor, shifts: Tensor, mirrored: Tensor, padding: int) -> Tensor:
    """Crops [B, C, H, W] out of the images with reflected edges, then mirrored left to right where told.

    shifts are int64 [2, B], the crops' top and left: `padding` gives the image itself; mirrored is bool [B].
    """
    count, channels, size, _ = images.shape
    shifts, mirrored = (drawn.to(images.device, non_blocking=True) for drawn in (shifts, mirrored))
    wide = _reflect_sides(images, padding)
    wide = torch.cat([wide, wide.flip(-1)])  # [2 B, C, H, W + 2 padding]
    width = wide.shape[-1]
    row = _reflected_rows(shifts[0], size, padding)  # [B, H], where the rows of the crop are in the image
    image = torch.arange(count, device=images.device) + count * mirrored
    left = torch.where(mirrored, 2 * padding - shifts[1], shifts[1])
    channel = torch.arange(channels, device=images.device)[:, None] * size
    starts = (image[:, None, None] * channels * size + channel + row[:, None]) * width + left[:, None, None]
    # Every run of `size` values of `wide` is a row of this view: choosing rows of it moves and mirrors at once, a
    # copy of memory a row. Indexing by pixels is ten times slower on a CPU.
    runs = wide.as_strided((wide.numel() - size + 1, size), (1, 1))
    return runs.index_select(0, starts.flatten()).view(images.shape)


def _reflect_sides(images: Tensor, padding: int) -> Tensor:
    """[B, C, H, W + 2 padding]; torch's own reflection takes no uint8."""
    if not padding:
        return images.contiguous()
    left, right = images[..., 1 : padding + 1].flip(-1), images[..., -padding - 1 : -1].flip(-1)
    return torch.cat([left, images, right], dim=-1)


def _reflected_rows(tops: Tensor, size: int, padding: int) -> Tensor:
    """Rows of the image [B, H] that stand in crops with these tops [B]: 2 1 0 1 2 ... for padding 2 and top 0."""
    rows = (tops[:, None] + torch.arange(-padding, size - padding, device=tops.device)).abs()
    return (size - 1) - ((size - 1) - rows).abs()

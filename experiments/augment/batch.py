"""What augmentations pass on: a batch, and the facts about the data that they may need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Letters of shapes in this folder: B images of a batch, C channels, H = W pixels, K classes.


class Batch(NamedTuple):
    """Images with what is to be learned from them, both on the trial's device."""

    images: Tensor
    """uint8 [B, C, H, W] of 0 to 255 until they are normalised, float32 from then on."""
    targets: Tensor
    """int64 [B], or float32 [B, K] once images of several classes are mixed."""


@dataclass(frozen=True)
class Facts:
    """About the data."""

    image_size: int
    num_classes: int
    flip_safe: bool
    """Whether an image mirrored left to right still shows its class."""
    mean: tuple[float, ...]
    """Of each channel, on the scale of 0 to 1."""
    std: tuple[float, ...]
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a value that cannot change
    """Where the batches are."""


Step = Callable[[Batch, torch.Generator], Batch]
"""An augmentation at work. It draws from a CPU generator, whatever the device: the same for all devices."""

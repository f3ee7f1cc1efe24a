"""RandAugment (Cubuk et al., 2020): a few operations on each image, all at one magnitude, batched by operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.augment import affine, colour
from experiments.augment.batch import Batch, Facts, Step
from experiments.augment.settings import Augmentation

_LARGEST_MAGNITUDE = 10


@dataclass(frozen=True)
class Operation:
    """What is done to the images that drew it."""

    apply: Callable[[Tensor, Tensor], Tensor]
    """Of images, float32 [B, C, H, W] of 0 to 255, and an amount [B] for each."""
    limit: float
    """The amount at the largest magnitude."""
    signed: bool = True
    """Whether half of the images get the amount below 0."""


OPERATIONS: dict[str, Operation] = {
    "identity": Operation(lambda images, amount: images, 0.0),
    "shear_x": Operation(affine.shear_x, 0.3),
    "shear_y": Operation(affine.shear_y, 0.3),
    "translate_x": Operation(affine.translate_x, 0.45),
    "translate_y": Operation(affine.translate_y, 0.45),
    "rotate": Operation(affine.rotate, 30.0),
    "brightness": Operation(colour.brightness, 0.9),
    "saturation": Operation(colour.saturation, 0.9),
    "contrast": Operation(colour.contrast, 0.9),
    "sharpness": Operation(colour.sharpness, 0.9),
    "posterize": Operation(colour.posterize, 4.0, signed=False),
    "solarize": Operation(colour.solarize, 255.0, signed=False),
    "autocontrast": Operation(colour.autocontrast, 0.0),
    "equalize": Operation(colour.equalize, 0.0),
}
"""By name, with the limits of torchvision's RandAugment. None mirrors an image."""


def make(settings: Augmentation, facts: Facts) -> Step | None:
    """None unless it has a magnitude and operations."""
    if not settings.rand_augment_magnitude or not settings.rand_augment_operations:
        return None
    strength = settings.rand_augment_magnitude / _LARGEST_MAGNITUDE
    return RandAugment(strength, settings.rand_augment_operations, tuple(OPERATIONS.values()))


@dataclass(frozen=True)
class RandAugment:
    """`rounds` operations on each image, at `strength` of 0 to 1 of their limits."""

    strength: float
    rounds: int
    operations: tuple[Operation, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """float32 of 0 to 255."""
        shape = (self.rounds, len(batch.images))
        drawn = torch.randint(0, len(self.operations), shape, generator=generator)
        signs = torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
        images = batch.images.float()
        for chosen, sign in zip(drawn, signs, strict=True):
            images = self._round(images, chosen, sign)
        return batch._replace(images=images)

    def _round(self, images: Tensor, chosen: Tensor, sign: Tensor) -> Tensor:
        """One operation on each image: sorted by operation, each done once on its images, sorted back."""
        order = chosen.argsort(stable=True)
        counts = chosen.bincount(minlength=len(self.operations)).tolist()
        parts = torch.split(images[order.to(images.device, non_blocking=True)], counts)
        signs = torch.split(sign[order].to(images.device, non_blocking=True), counts)
        done = [
            self._apply(operation, part, part_sign)
            for operation, part, part_sign in zip(self.operations, parts, signs, strict=True)
            if len(part)
        ]
        return torch.cat(done)[order.argsort().to(images.device, non_blocking=True)]

    def _apply(self, operation: Operation, images: Tensor, sign: Tensor) -> Tensor:
        amount = self.strength * operation.limit
        return operation.apply(images, sign * amount if operation.signed else torch.full_like(sign, amount))

"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), as timm does them on whole batches.

Each image meets the one at the mirrored place of the batch; all pairs of a batch have one share. The targets are
mixed by the same share, and smoothing of labels is left to the loss, which gives the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.augment.batch import Batch, Facts, Step
from experiments.augment.settings import Augmentation


def make(settings: Augmentation, facts: Facts) -> Step | None:
    """None unless mixup or cutmix is on, in some of the batches."""
    if not settings.mix_probability or not (settings.mixup or settings.cutmix):
        return None
    return Mix(settings.mixup, settings.cutmix, settings.mix_probability, facts.num_classes)


@dataclass(frozen=True)
class Mix:
    """Mixup or cutmix, of both one by a coin; their alphas of 0 are off."""

    mixup: float
    cutmix: float
    probability: float
    num_classes: int

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Targets [B, K] in any case, so that all batches of a trial are alike."""
        # torch draws no Beta from a generator of one's own; numpy does, from a seed that the trial's generator drew.
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        targets = F.one_hot(batch.targets, self.num_classes).float()
        if rng.random() >= self.probability:
            return batch._replace(targets=targets)
        if self.cutmix and (not self.mixup or rng.random() < 0.5):
            images, share = cut(batch.images, rng.beta(self.cutmix, self.cutmix), rng.random(2))
        else:
            share = rng.beta(self.mixup, self.mixup)
            images = batch.images.lerp(batch.images.flip(0), 1 - share)
        return Batch(images, targets.lerp(targets.flip(0), 1 - share))


def cut(images: Tensor, share: float, centre: np.ndarray) -> tuple[Tensor, float]:
    """Images with a rectangle of their partners, and the share of each that is its own.

    The rectangle around `centre` (0 to 1, down and across) has 1 - share of the area, less what lies outside.
    """
    size = images.shape[-1]
    half = int(size * math.sqrt(1 - share)) // 2
    places = [int(place * size) for place in centre]
    rows, columns = (slice(max(place - half, 0), min(place + half, size)) for place in places)
    mixed = images.clone()
    mixed[:, :, rows, columns] = images.flip(0)[:, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1 - area / size**2

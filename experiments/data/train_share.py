"""Which images of the training split a trial trains on, and whether they fill a batch."""

from __future__ import annotations

import numpy as np

from experiments.data.parts import Indices, Split
from experiments.data.stratify import take_share


def train_share(split: Split, share: float) -> Indices:
    """Increasing indices. One subset for all seeds: seeds tell the noise of training, not that of choosing images."""
    return take_share(split, share, seed=0) if share < 1 else np.arange(len(split))


def require_full_batch(batch_size: int, count: int) -> None:
    """Raises ValueError for a batch that so many images do not fill."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 2:
        raise ValueError(
            f"batch_size must be at least 2 (batch normalisation needs more than one image), got {batch_size}"
        )
    if batch_size > count:
        raise ValueError(
            f"batch_size must be at most the number of training images, got {batch_size} for {count} images; "
            f"choose a batch_size of {count} or less, or a larger share of the data"
        )

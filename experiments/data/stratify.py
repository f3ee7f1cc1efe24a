"""Choosing a share of the images at random so that each class gives the same share."""

from __future__ import annotations

import numpy as np

from experiments.data.parts import Indices, Labels, Split


def split_off(labels: Labels, share: float, seed: int) -> tuple[Indices, Indices]:
    """Divides images [N] into those that stay and a `share` of each class that leaves: increasing indices.

    Each class keeps at least one image and gives at least one; raises ValueError for a class with one image.
    """
    counts = np.bincount(labels)
    if (counts == 1).any():
        raise ValueError(
            f"a class needs 2 training images or more, so that one can validate, got 1 image of label "
            f"{int(np.argmax(counts == 1))}; add images or drop the class"
        )
    leaves = _chosen(labels, np.clip(np.rint(counts * share), 1, counts - 1), seed)
    return np.flatnonzero(~leaves), np.flatnonzero(leaves)


def take_share(split: Split, share: float, seed: int) -> Indices:
    """Increasing indices of a `share` of each class of the split, at least one image of each.

    With one seed a smaller share is part of a larger one. Raises ValueError unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of the data must be above 0 and at most 1, got {share}; write for example 0.5")
    counts = np.bincount(split.labels)
    return np.flatnonzero(_chosen(split.labels, np.clip(np.rint(counts * share), 1, counts), seed))


def _chosen(labels: Labels, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Whether each image [N] is among the first `wanted` [classes] of its class in a random order."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(labels)), labels))
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    chosen: np.ndarray = ranks < wanted[labels]
    return chosen

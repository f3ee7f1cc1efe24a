"""Mean and standard deviation of the channels of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.data.parts import Split

_CHUNK = 4096
_WHITE = 255


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

"""Constant matrices that turn a convolution or a pooling of a small map into a matrix product."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


def placement(source: Grid, target: Grid, kernel: Grid, stride: int, padding: Grid, like: Tensor) -> Tensor:
    """[kh * kw, pixels in, pixels out]: one where a tap of the kernel carries a pixel to another."""
    return torch.from_numpy(_placement(source, target, kernel, stride, padding)).to(like.dtype)


def pooling(grid: Grid, size: int, like: Tensor) -> Tensor:
    """[pixels, size * size]: the weights of an adaptive average pool."""
    return torch.from_numpy(_pooling(grid, size)).to(like.dtype)


@lru_cache(maxsize=256)
def _placement(source: Grid, target: Grid, kernel: Grid, stride: int, padding: Grid) -> np.ndarray:
    rows, columns = (
        _along(*sides, stride, pad) for *sides, pad in zip(source, target, kernel, padding, strict=True)
    )
    both = np.einsum("iqp,jrs->ijqrps", rows, columns)
    return both.reshape(kernel[0] * kernel[1], -1)


def _along(source: int, target: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    tap, q, p = np.ogrid[:kernel, :source, :target]
    return (q == p * stride - padding + tap).astype(np.float32)


@lru_cache(maxsize=64)
def _pooling(grid: Grid, size: int) -> np.ndarray:
    pixels = torch.eye(grid[0] * grid[1], dtype=torch.float64).view(-1, *grid)
    return F.adaptive_avg_pool2d(pixels, size).flatten(1).numpy()

"""Constant matrices that make a convolution or a pooling of a small map a matrix product."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]
"""Height and width of a map or a kernel."""


def placement(source: Grid, target: Grid, kernel: Grid, stride: int, padding: Grid, like: Tensor) -> Tensor:
    """[taps, pixels in * pixels out]: one where a tap of `kernel` carries a pixel of `source` to one of `target`.

    A kernel [1, taps] times it is the Toeplitz matrix whose product with a map [1, pixels in] is the convolution.
    """
    return torch.from_numpy(_placement(source, target, kernel, stride, padding)).to(like.dtype)


def pooling(grid: Grid, size: int, like: Tensor) -> Tensor:
    """[pixels, size * size]: the product of a map [1, pixels] with it is its adaptive average pool."""
    return torch.from_numpy(_pooling(grid, size)).to(like.dtype)


# Arrays, not tensors: a tensor made in inference mode could not serve training later.
@lru_cache(maxsize=64)
def _placement(source: Grid, target: Grid, kernel: Grid, stride: int, padding: Grid) -> npt.NDArray[Any]:
    down, right = (
        _along(source[axis], target[axis], kernel[axis], stride, padding[axis]) for axis in (0, 1)
    )  # each [taps, in, out]
    placed: npt.NDArray[Any] = np.einsum("iqp,jrs->ijqrps", down, right)
    return placed.reshape(kernel[0] * kernel[1], -1)


def _along(source: int, target: int, kernel: int, stride: int, padding: int) -> npt.NDArray[Any]:
    tap, entry, exit = np.ogrid[:kernel, :source, :target]
    met: npt.NDArray[Any] = entry == exit * stride - padding + tap
    return met.astype(np.float32)


@lru_cache(maxsize=64)
def _pooling(grid: Grid, size: int) -> npt.NDArray[Any]:
    pixels = torch.eye(grid[0] * grid[1], dtype=torch.float64).view(-1, 1, *grid)
    pooled: npt.NDArray[Any] = F.adaptive_avg_pool2d(pixels, size).flatten(1).numpy()
    return pooled

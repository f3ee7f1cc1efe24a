"""The closed-form fill and input under which the official network's outputs are known."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch


def wave(key: str, count: int) -> np.ndarray:
    """Deterministic values in [-1, 1] for the tensor of an official key, float64."""
    digest = zlib.crc32(key.encode())
    phase = 2 * math.pi * (digest % 10007) / 10007
    speed = 0.5 + (digest % 7919) / 7919
    return np.sin(speed * (np.arange(count, dtype=np.float64) + 1) + phase)


def fill(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value of an official checkpoint's tensor, float32 (int64 for num_batches_tracked)."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    s = wave(key, math.prod(shape))
    return torch.from_numpy((_scaled(key, shape, s)).astype(np.float32).reshape(shape))


def _scaled(key: str, shape: tuple[int, ...], s: np.ndarray) -> np.ndarray:
    if key.endswith("running_mean"):
        return 0.05 * s
    if key.endswith("running_var"):
        return 1 + 0.25 * s
    if "layer_scale" in key:
        return 0.5 + 0.25 * s if key.endswith("weight") else 0.05 * s
    if "relative_pos_enc" in key:
        return 0.5 * s
    if key.endswith(".bias"):
        return 0.05 * s
    if len(shape) == 1:
        return 1 + 0.1 * s
    if key.endswith("local_unit.weight"):
        return math.sqrt(2) * s / shape[-1]
    return math.sqrt(2) * s / math.sqrt(math.prod(shape[1:]))


def image(batch: int, height: int, width: int) -> torch.Tensor:
    """The known input, [B, 3, H, W] float32."""
    i = np.arange(batch * 3 * height * width, dtype=np.float64)
    x = np.sin(0.37 * (i % 1009)) + np.cos(0.0113 * i)
    return torch.from_numpy(x.astype(np.float32).reshape(batch, 3, height, width))


def official_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """A whole official checkpoint under the fill."""
    return {key: fill(key, shape) for key, shape in shapes.items()}

"""The convolutions that the network is mostly made of."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm; [B, Cin, H, W] to [B, Cout, H', W']."""

    def __init__(self, channels_in: int, channels: int, kernel_size: int, **conv: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel_size, bias=False, **conv)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise."""
        out: Tensor = self.bn(self.conv(x))
        return out


def depthwise(channels: int, kernel_size: int) -> nn.Conv2d:
    """Depthwise convolution with bias that keeps the map's size; `kernel_size` is odd."""
    return nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)


def depthwise_by_sample(x: Tensor, kernels: Tensor, biases: Tensor | None) -> Tensor:
    """Depthwise convolution of x [B, C, H, W] with each sample's own kernels [B, C, K, K] and biases [B, C]."""
    batch, channels, height, width = x.shape
    size = kernels.shape[-1]
    out = F.conv2d(
        x.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, size, size),
        None if biases is None else biases.flatten(),
        padding=size // 2,
        groups=batch * channels,
    )
    return out.reshape(batch, channels, height, width)

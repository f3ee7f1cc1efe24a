"""The convolution that the network is mostly made of: without bias, followed by batch norm."""

from __future__ import annotations

from typing import Any

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

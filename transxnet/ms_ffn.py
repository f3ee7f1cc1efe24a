"""MS-FFN: a feed-forward network with depthwise convolutions of several sizes in its middle (paper, section III-D)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.conv import depthwise


class MSFFN(nn.Module):
    """Multi-scale feed-forward network, [B, C, H, W] to the same shape.

    `split` tells how many hidden channels each of `kernels` gets.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], split: tuple[int, ...]) -> None:
        super().__init__()
        hidden = sum(split)
        self.split = list(split)
        self.expand = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.GELU(), nn.BatchNorm2d(hidden))
        self.scales = nn.ModuleList(depthwise(share, kernel) for share, kernel in zip(split, kernels, strict=True))
        self.norm = nn.BatchNorm2d(hidden)
        self.project = nn.Sequential(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Expand, convolve each share at its scale, project back."""
        x = self.expand(x)  # [B, hidden, H, W]
        shares = torch.split(x, self.split, dim=1)
        scaled = torch.cat([conv(share) for conv, share in zip(self.scales, shares, strict=True)], dim=1)
        out: Tensor = self.project(self.norm(F.gelu(scaled + x)))
        return out

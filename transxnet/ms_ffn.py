"""MS-FFN: a feed-forward network with depthwise convolutions of several sizes in its middle (paper, section III-D)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import depthwise
from transxnet.operators.ffns import INVERTED_RESIDUAL_KERNELS


class MSFFN(nn.Module):
    """Multi-scale feed-forward network, [B, C, H, W] to the same shape.

    `split` tells how many hidden channels each of `kernels` gets.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], split: tuple[int, ...]) -> None:
        super().__init__()
        hidden = sum(split)
        self.split = list(split)
        self.expand = _expand(channels, hidden)
        self.scales = nn.ModuleList(depthwise(share, kernel) for share, kernel in zip(split, kernels, strict=True))
        self.norm = nn.BatchNorm2d(hidden)
        self.project = _project(hidden, channels)

    @classmethod
    def of(cls, stage: StageConfig) -> MSFFN:
        """That of a stage's blocks."""
        return cls(stage.width, stage.ffn_kernels, stage.ffn_split)

    def forward(self, x: Tensor) -> Tensor:
        """Expand, convolve each share at its scale, project back."""
        x = self.expand(x)  # [B, hidden, H, W]
        shares = torch.split(x, self.split, dim=1)
        scaled = torch.cat([conv(share) for conv, share in zip(self.scales, shares, strict=True)], dim=1)
        out: Tensor = self.project(self.norm(F.gelu(scaled + x)))
        return out


class PlainFFN(nn.Module):
    """The MS-FFN's control without depthwise convolutions, [B, C, H, W] to the same shape: no tokens are mixed."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = _expand(channels, hidden)
        self.project = _project(hidden, channels)

    @classmethod
    def of(cls, stage: StageConfig) -> PlainFFN:
        """That of a stage's blocks."""
        return cls(stage.width, stage.ffn_hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Expand, project back."""
        out: Tensor = self.project(self.expand(x))
        return out


def inverted_residual(stage: StageConfig) -> MSFFN:
    """The MS-FFN's control with one depthwise 3x3: CMT's inverted residual FFN is an MS-FFN of that kernel alone."""
    return MSFFN(stage.width, INVERTED_RESIDUAL_KERNELS, (stage.ffn_hidden,))


def _expand(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.GELU(), nn.BatchNorm2d(hidden))


def _project(hidden: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels))

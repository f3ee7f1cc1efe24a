"""OSRA: attention whose keys and values come from an overlapping spatial reduction (paper, section III-A)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import ConvNorm, depthwise

# Shapes: B batch, C channels, H x W map, n = H * W queries, m reduced positions, h heads, d = C / h.


def filled_up(x: Tensor, stride: int) -> Tensor:
    """The map, filled up with zeros to a multiple of `stride`, so that patches cover it."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % stride, 0, -height % stride))


class OverlappingReduction(nn.Module):
    """Reduce [B, C, H, W] to [B, C, ceil(H / stride), ceil(W / stride)] with windows of stride + overlap pixels."""

    def __init__(self, channels: int, stride: int, overlap: int) -> None:
        super().__init__()
        self.stride, self.overlap = stride, overlap
        # An odd kernel is centred. Without overlap the windows are PVT's patches, which start at the corner.
        padding = (stride + overlap) // 2 if overlap else 0
        self.spatial = ConvNorm(channels, channels, stride + overlap, stride=stride, padding=padding, groups=channels)
        self.pointwise = ConvNorm(channels, channels, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce the map."""
        out: Tensor = self.pointwise(F.gelu(self.spatial(self.fill(x))))
        return out

    def fill(self, x: Tensor) -> Tensor:
        """The map, filled up to whole patches where windows are such."""
        return x if self.overlap else filled_up(x, self.stride)


class OSRA(nn.Module):
    """Overlapping spatial reduction attention, [B, C, H, W] to the same shape."""

    def __init__(self, channels: int, heads: int, stride: int, overlap: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.q = nn.Conv2d(channels, channels, 1)
        self.kv = nn.Conv2d(channels, 2 * channels, 1)
        self.reduce = OverlappingReduction(channels, stride, overlap) if stride > 1 else nn.Identity()
        self.local = depthwise(channels, 3)

    @classmethod
    def of(cls, stage: StageConfig) -> OSRA:
        """That of a stage's blocks."""
        return cls(stage.global_width, stage.heads, stage.osr_stride, stage.osr_overlap)

    def forward(self, x: Tensor, position_table: Tensor | None) -> Tensor:
        """Attend; `position_table` [1, h, n, m], if there is one, is added to the attention logits."""
        reduced = self.reduce(x)
        reduced = self.local(reduced) + reduced
        q = self._split_heads(self.q(x)).transpose(-1, -2)  # [B, h, n, d]
        k, v = self.kv(reduced).chunk(2, dim=1)
        attention = q @ self._split_heads(k) * self.scale  # [B, h, n, m]
        if position_table is not None:
            attention = attention + position_table
        out = attention.softmax(dim=-1) @ self._split_heads(v).transpose(-1, -2)  # [B, h, n, d]
        mixed: Tensor = out.transpose(-1, -2).reshape(x.shape)
        return mixed

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        return x.reshape(batch, self.heads, channels // self.heads, -1)  # [B, h, d, positions]

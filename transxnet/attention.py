"""OSRA's controls: attentions whose keys and values come from patches, from averages, or from every position."""

from __future__ import annotations

import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.osra import filled_up
from transxnet.stage_numbers import POOLED_SIDE

# Shapes: B batch, C channels, H x W map, n = H * W queries, m keys, h heads, d = C / h.


class Attention(nn.Module):
    """Multi-head attention on [B, C, H, W] to the same shape; `reduce` makes the map that keys and values come from.

    Like OSRA it ends without a projection, which is the token enhancer's part.
    """

    def __init__(self, channels: int, heads: int, reduce: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Conv2d(channels, channels, 1)
        self.kv = nn.Conv2d(channels, 2 * channels, 1)
        self.reduce = reduce

    def forward(self, x: Tensor, position_table: Tensor | None) -> Tensor:
        """Attend; `position_table` [1, h, n, m], if there is one, is added to the attention logits."""
        k, v = self.kv(self.reduce(x)).chunk(2, dim=1)
        q, k, v = (self._split_heads(each) for each in (self.q(x), k, v))  # [B, h, positions, d]
        out = F.scaled_dot_product_attention(q, k, v, position_table)
        return out.transpose(-1, -2).reshape(x.shape)

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        return x.reshape(batch, self.heads, channels // self.heads, -1).transpose(-1, -2)


class PatchReduction(nn.Module):
    """[B, C, H, W] to [B, C, ceil(H / stride), ceil(W / stride)], patch by patch, normalised over the channels."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(channels, channels, stride, stride=stride)
        self.norm = LayerNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce the map."""
        out: Tensor = self.norm(self.conv(filled_up(x, self.stride)))
        return out


class PoolAtMost(nn.AdaptiveAvgPool2d):
    """Averages [B, C, H, W] to `output_size` positions a side, or to as many as the map has if that is less."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool the map."""
        side = int(self.output_size)  # type: ignore[arg-type]
        height, width = input.shape[-2:]
        return F.adaptive_avg_pool2d(input, (min(side, height), min(side, width)))


class PooledTokens(nn.Module):
    """[B, C, H, W] to at most POOLED_SIDE positions a side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = PoolAtMost(POOLED_SIDE)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = LayerNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce the map."""
        return F.gelu(self.norm(self.conv(self.pool(x))))


def full_attention(stage: StageConfig) -> Attention:
    """Every position is a key."""
    return Attention(stage.global_width, stage.heads, nn.Identity())


def patch_attention(stage: StageConfig) -> Attention:
    """SRA, the attention of PVT: Wang et al., Pyramid Vision Transformer, ICCV 2021."""
    reduces = stage.osr_stride > 1
    reduce = PatchReduction(stage.global_width, stage.osr_stride) if reduces else nn.Identity()
    return Attention(stage.global_width, stage.heads, reduce)


def pooled_attention(stage: StageConfig) -> Attention:
    """Linear SRA: Wang et al., PVT v2: Improved Baselines with Pyramid Vision Transformer, 2022."""
    return Attention(stage.global_width, stage.heads, PooledTokens(stage.global_width))

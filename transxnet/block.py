"""A TransXNet block: position encoding, the dual token mixer, the multi-scale feed-forward network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import depthwise
from transxnet.idconv import IDConv
from transxnet.ms_ffn import MSFFN
from transxnet.osra import OSRA
from transxnet.ste import STE

NORM_EPS = 1e-5


class LayerScale(nn.Module):
    """A learned scale and shift a channel on [B, C, H, W]; the scale starts at 1e-5, so that a block starts near 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The official shape, [C, 1, 1, 1]: with it timm decays the scale, as the official recipe does.
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), 1e-5))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift, as a depthwise 1x1 convolution: so fvcore counts it as it does in the official graph."""
        return F.conv2d(x, self.weight, self.bias, groups=x.shape[1])


class DMixer(nn.Module):
    """Dual token mixer, [B, C, H, W] to the same shape: IDConv on one share of the channels, OSRA on the rest, STE."""

    def __init__(self, stage: StageConfig) -> None:
        super().__init__()
        self.split = [stage.local_width, stage.global_width]
        self.idconv = IDConv(stage.local_width, stage.idconv_kernel, stage.idconv_groups, stage.idconv_bottleneck)
        self.osra = OSRA(stage.global_width, stage.heads, stage.osr_stride, stage.osr_overlap)
        self.ste = STE(stage.width, stage.ste_width)

    def forward(self, x: Tensor, position_table: Tensor) -> Tensor:
        """Mix tokens near and far."""
        near, far = torch.split(x, self.split, dim=1)
        mixed = torch.cat([self.idconv(near), self.osra(far, position_table)], dim=1)
        out: Tensor = self.ste(mixed)
        return out


class Block(nn.Module):
    """DPE, then mixer and feed-forward network, each normalised, scaled and added; [B, C, H, W] to the same shape."""

    def __init__(self, stage: StageConfig, drop_path: float) -> None:
        super().__init__()
        self.dpe = depthwise(stage.width, stage.dpe_kernel)
        self.norm1 = nn.GroupNorm(1, stage.width, eps=NORM_EPS)
        self.mixer = DMixer(stage)
        self.layer_scale1 = LayerScale(stage.width)
        self.norm2 = nn.GroupNorm(1, stage.width, eps=NORM_EPS)
        self.ffn = MSFFN(stage.width, stage.ffn_kernels, stage.ffn_split)
        self.layer_scale2 = LayerScale(stage.width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, position_table: Tensor) -> Tensor:
        """One block; `position_table` [1, heads, n, m] is its stage's."""
        x = x + self.dpe(x)
        x = x + self.drop_path(self.layer_scale1(self.mixer(self.norm1(x), position_table)))
        out: Tensor = x + self.drop_path(self.layer_scale2(self.ffn(self.norm2(x))))
        return out

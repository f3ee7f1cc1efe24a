"""A TransXNet block: position encoding, the dual token mixer, the multi-scale feed-forward network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import depthwise
from transxnet.idconv import IDConv
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
    """Dual token mixer, [B, C, H, W] to the same shape: a local and a global mixer, then a token enhancer.

    The paper's has IDConv on one share of the channels, OSRA on the rest, and STE. A mixer that stands alone, or in
    series with the other, has all channels. Each module stands under its own name, as a checkpoint then tells.
    """

    idconv: IDConv
    osra: OSRA
    ste: STE

    def __init__(self, stage: StageConfig) -> None:
        super().__init__()
        self.split = [stage.local_width, stage.global_width] if stage.is_split else []
        self.local_name, self.global_name, self.enhancer_name = (
            self._add(stage, place) for place in ("local_mixer", "global_mixer", "token_enhancer")
        )

    def forward(self, x: Tensor, position_table: Tensor | None) -> Tensor:
        """Mix tokens near and far."""
        if self.split:
            near, far = torch.split(x, self.split, dim=1)
            mixed = torch.cat([self._near(near), self._far(far, position_table)], dim=1)
        else:
            mixed = self._far(self._near(x), position_table)
        out: Tensor = getattr(self, self.enhancer_name)(mixed) if self.enhancer_name else mixed
        return out

    def _near(self, x: Tensor) -> Tensor:
        out: Tensor = getattr(self, self.local_name)(x) if self.local_name else x
        return out

    def _far(self, x: Tensor, position_table: Tensor | None) -> Tensor:
        out: Tensor = getattr(self, self.global_name)(x, position_table) if self.global_name else x
        return out

    def _add(self, stage: StageConfig, place: str) -> str:
        """Build what stands at a place; returns its name, empty if nothing does."""
        operator = stage.operator(place)
        if operator.attribute:
            self.add_module(operator.attribute, operator.build(stage))
        return operator.attribute


class Block(nn.Module):
    """DPE, then mixer and feed-forward network, each normalised, scaled and added; [B, C, H, W] to the same shape."""

    dpe: nn.Conv2d | None

    def __init__(self, stage: StageConfig, drop_path: float) -> None:
        super().__init__()
        self.has_all_parts = stage.has_all_parts
        self.dpe = depthwise(stage.width, stage.dpe_kernel) if stage.dpe else None
        self.norm1 = nn.GroupNorm(1, stage.width, eps=NORM_EPS)
        self.mixer = DMixer(stage)
        self.layer_scale1 = LayerScale(stage.width) if stage.layer_scale else nn.Identity()
        self.norm2 = nn.GroupNorm(1, stage.width, eps=NORM_EPS)
        self.ffn = stage.operator("ffn").build(stage)
        self.layer_scale2 = LayerScale(stage.width) if stage.layer_scale else nn.Identity()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, position_table: Tensor | None) -> Tensor:
        """One block; `position_table` [1, heads, n, m] is its stage's, if it has one."""
        if self.dpe is not None:
            x = x + self.dpe(x)
        x = x + self.drop_path(self.layer_scale1(self.mixer(self.norm1(x), position_table)))
        out: Tensor = x + self.drop_path(self.layer_scale2(self.ffn(self.norm2(x))))
        return out

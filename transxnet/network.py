"""TransXNet: stem, four stages of blocks, head; built for any legal ArchConfig (paper, section III)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import checkpoint
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from transxnet.arch import STEM_KERNEL, ArchConfig, StageConfig
from transxnet.block import NORM_EPS, Block
from transxnet.conv import ConvNorm
from transxnet.kernels.choice import implementation
from transxnet.kernels.names import AUTO, check_name

# Shapes: B batch, C channels, H x W map, n = H * W positions, m positions of OSRA's reduced map, h heads.


class Stage(nn.Module):
    """Downsampling (except in the first stage), then equal blocks that share one position table."""

    def __init__(
        self,
        stage: StageConfig,
        width_in: int | None,
        table_grid: tuple[int, int],
        drop_paths: Sequence[float],
    ) -> None:
        super().__init__()
        self.config = stage
        self.table_grid = table_grid
        self.grad_checkpointing = False
        self.kernels = AUTO
        self.downsample = nn.Identity() if width_in is None else ConvNorm(width_in, stage.width, 3, stride=2, padding=1)
        self.position_table = None
        if stage.has_table:
            self.position_table = nn.Parameter(torch.zeros(position_table_shape(stage, table_grid)))
        self.blocks = nn.ModuleList(Block(stage, drop_path) for drop_path in drop_paths)

    def forward(self, x: Tensor) -> Tensor:
        """[B, Cin, H, W] to [B, C, H / 2, W / 2]; the first stage keeps the shape."""
        x = self.downsample(x)
        table = self._table_for(x.shape[-2], x.shape[-1])
        for block in self.blocks:
            assert isinstance(block, Block)
            compute = implementation(self.kernels, block, x)
            x = checkpoint(compute, block, x, table) if self.grad_checkpointing else compute(block, x, table)
        return x

    def _table_for(self, height: int, width: int) -> Tensor | None:
        # The official code resizes in every block; once a stage is the same table. It resizes over the flattened
        # token axes, which mixes rows of the map: kept, since the published weights were evaluated so.
        if self.position_table is None or (height, width) == self.table_grid:
            return self.position_table
        _, _, queries, keys = position_table_shape(self.config, (height, width))
        return resize_position_table(self.position_table, (queries, keys))


class Head(nn.Module):
    """GroupNorm, global average pool, 1x1 convolution: [B, C, H, W] to [B, classes]."""

    def __init__(self, channels: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.norm: nn.Module = nn.GroupNorm(1, channels, eps=NORM_EPS)
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1)
        self.fc: nn.Module = _classifier(channels, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits, or the pooled features if `pre_logits`."""
        x = self.pool(self.norm(x))
        if not pre_logits:
            x = self.fc(F.dropout(x, self.drop_rate, self.training))
        return x if isinstance(self.pool, nn.Identity) else x.flatten(1)


class TransXNet(nn.Module):
    """A network of `arch`, [B, in_chans, H, W] images to [B, num_classes] logits, of any image size.

    `num_classes`, `in_chans` and `img_size` (of the position tables), if given, replace those of `arch`, as timm's
    users expect. `global_pool` is "avg", or "" to keep the map. `kernels` names how blocks are computed: see
    `set_kernels`. Raises ValueError for what cannot be built.
    """

    def __init__(
        self,
        arch: ArchConfig | dict[str, Any],
        *,
        num_classes: int | None = None,
        in_chans: int | None = None,
        img_size: int | tuple[int, int] | None = None,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        kernels: str = AUTO,
    ) -> None:
        super().__init__()
        arch = arch if isinstance(arch, ArchConfig) else ArchConfig.from_dict(arch)
        given = {"num_classes": num_classes, "in_channels": in_chans, "image_size": img_size}
        arch = arch.replace(**{field: value for field, value in given.items() if value is not None})
        self.arch = arch
        self.num_classes = arch.num_classes
        self.num_features = self.head_hidden_size = arch.stages[-1].width
        self.feature_info = [
            {"num_chs": stage.width, "reduction": arch.stem_stride * 2**index, "module": f"stages.{index}"}
            for index, stage in enumerate(arch.stages)
        ]
        self.stem = ConvNorm(
            arch.in_channels,
            arch.stages[0].width,
            STEM_KERNEL,
            stride=arch.stem_stride,
            padding=STEM_KERNEL // 2,
        )
        self.stages = _stages(arch, drop_path_rate)
        self.head = Head(self.num_features, 0, drop_rate)
        self.reset_classifier(arch.num_classes, global_pool)
        self.apply(_init_weights)
        self.set_kernels(kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, num_classes]; pooled features [B, C] if there are no classes."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last stage's map, [B, C, H / 32, W / 32]."""
        x = self.stem(self._laid_out(x))
        for stage in self.stages:
            x = stage(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits of `forward_features`' map, or what the classifier would see if `pre_logits`."""
        out: Tensor = self.head(x, pre_logits=pre_logits)
        return out

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The stages' maps at `indices` (all by default, the last n if a number), with the last map unless told not.

        `norm` applies the head's norm to the last stage's map.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be NCHW, got {output_fmt!r}")
        take, last = feature_take_indices(len(self.stages), indices)
        maps = []
        x = self.stem(self._laid_out(x))
        for index, stage in enumerate(self.stages[: last + 1] if stop_early else self.stages):
            x = stage(x)
            if index in take:
                maps.append(self.head.norm(x) if norm and index == len(self.arch.stages) - 1 else x)
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the stages behind the last of `indices` and the head; returns the indices taken."""
        take, last = feature_take_indices(len(self.stages), indices)
        self.stages = self.stages[: last + 1]
        self.num_features = self.head_hidden_size = self.arch.stages[last].width
        if prune_norm or last < len(self.arch.stages) - 1:
            self.head.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        taken: list[int] = take
        return taken

    def get_classifier(self) -> nn.Module:
        """The last layer: a 1x1 convolution, or an identity if there are no classes."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new head for `num_classes` (0: none). `global_pool` "avg" or ""; None keeps it."""
        if global_pool not in (None, "avg", ""):
            raise ValueError(f"global_pool must be 'avg' or '' (keep the map), got {global_pool!r}")
        self.num_classes = num_classes
        if global_pool is not None:
            self.head.pool = nn.AdaptiveAvgPool2d(1) if global_pool else nn.Identity()
        weight = self.stem.conv.weight
        self.head.fc = _classifier(self.num_features, num_classes).to(weight.device, weight.dtype)
        self.arch = dataclasses.replace(self.arch, num_classes=num_classes)

    def no_weight_decay(self) -> set[str]:
        """IDConv's and DyConv's learned biases, which timm would not know for biases, and the position tables.

        Exempting the tables is what timm's other networks with such tables do; the official recipe decays them.
        """
        names = (name for name, _ in self.named_parameters())
        return {name for name in names if name.endswith(("position_table", "conv.biases"))}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that group parameters by depth: by stage if `coarse`, otherwise by block."""
        by_block = [
            (r"^stages\.(\d+)\.(?:downsample|position_table)", (0,)),
            (r"^stages\.(\d+)\.blocks\.(\d+)", None),
            (r"^head\.norm", (99999,)),
        ]
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" if coarse else by_block}

    def set_kernels(self, name: str) -> None:
        """Compute blocks by the implementation `name`: one of `transxnet.kernels.choice.IMPLEMENTATIONS`, or auto.

        All compute the same from the same parameters. `reference` calls every module; the others do so only where
        somebody hooked into a block or exchanged one of its modules. Raises ValueError for an unknown name.
        """
        self.kernels = check_name(name)
        for stage in self.stages:
            assert isinstance(stage, Stage)
            stage.kernels = self.kernels

    def _laid_out(self, x: Tensor) -> Tensor:
        # Depthwise convolutions and 1x1 products of the fast graphs want a pixel's channels side by side.
        return x if self.kernels == "reference" else x.contiguous(memory_format=torch.channels_last)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass instead of keeping their activations."""
        for stage in self.stages:
            assert isinstance(stage, Stage)
            stage.grad_checkpointing = enable


def position_table_shape(stage: StageConfig, grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """[1, h, n, m] of a stage's table for a map of `grid`."""
    keys = stage.operator("global_mixer").keys
    assert keys is not None, "a stage without attention has no table"
    return 1, stage.heads, grid[0] * grid[1], keys(stage, grid)


def resize_position_table(table: Tensor, tokens: tuple[int, int]) -> Tensor:
    """A table [1, h, n, m] resized over its flattened token axes to `tokens` (n, m), bicubic."""
    return F.interpolate(table, size=tokens, mode="bicubic", align_corners=False)


def _stages(arch: ArchConfig, drop_path_rate: float) -> nn.Sequential:
    blocks = sum(stage.depth for stage in arch.stages)
    rates = [drop_path_rate * index / max(blocks - 1, 1) for index in range(blocks)]
    stages, first, width_in = [], 0, None
    for stage, grid in zip(arch.stages, arch.grids(), strict=True):
        stages.append(Stage(stage, width_in, grid, rates[first : first + stage.depth]))
        first, width_in = first + stage.depth, stage.width
    return nn.Sequential(*stages)


def _classifier(channels: int, num_classes: int) -> nn.Module:
    if not num_classes:
        return nn.Identity()
    classifier = nn.Conv2d(channels, num_classes, 1)
    _init_weights(classifier)
    return classifier


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

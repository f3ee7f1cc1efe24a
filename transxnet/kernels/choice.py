"""Which implementation computes a block: by name, or by what was measured to be the fastest for a device and dtype."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from transxnet.block import Block, DMixer, LayerScale
from transxnet.conv import ConvNorm
from transxnet.idconv import IDConv
from transxnet.kernels import pytorch
from transxnet.kernels.native import ops as native
from transxnet.ms_ffn import MSFFN
from transxnet.osra import OSRA, OverlappingReduction
from transxnet.ste import STE

_OWN = frozenset({
    Block, DMixer, IDConv, OSRA, OverlappingReduction, STE, MSFFN, LayerScale, ConvNorm, DropPath,
    nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.GELU, nn.AdaptiveAvgPool2d, nn.Identity, nn.Sequential, nn.ModuleList,
})  # fmt: skip

BlockFunction = Callable[[Block, Tensor, Tensor], Tensor]
"""Block, map [B, C, H, W] and position table [1, h, n, m] to the map that the block makes of it."""

AUTO = "auto"


def _reference(block: Block, x: Tensor, position_table: Tensor) -> Tensor:
    out: Tensor = block(x, position_table)
    return out


IMPLEMENTATIONS: dict[str, BlockFunction] = {
    "reference": _reference,
    "pytorch": pytorch.block,
    "native": native.block,
}
"""What can be asked for by name, beside auto."""


def check_name(name: str) -> str:
    """`name`, if it is one of an implementation or auto; raises ValueError otherwise."""
    if name not in (AUTO, *IMPLEMENTATIONS):
        raise ValueError(f"kernels must be one of {', '.join((AUTO, *IMPLEMENTATIONS))}, got {name!r}")
    return name


def implementation(name: str, block: Block, x: Tensor) -> BlockFunction:
    """How to compute `block` of `x`."""
    if name == "reference" or not _is_as_built(block):
        return _reference
    if name in (AUTO, "native") and not torch.compiler.is_compiling() and native.fits(block, x):
        return native.block
    return IMPLEMENTATIONS["pytorch"]


def _is_as_built(block: nn.Module) -> bool:
    """Whether nobody watches or has exchanged a module of the block: the fast graphs do not call most of them."""
    return all(type(module) in _OWN and not _is_hooked(module) for module in block.modules())


def _is_hooked(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )

"""Which implementation computes a block: by name, or by what was measured to be the fastest for a device and dtype."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from timm.layers import DropPath, LayerNorm2d
from torch import Tensor, nn
from torch.nn.modules import module as everywhere

from transxnet.attention import Attention, PatchReduction, PoolAtMost, PooledTokens
from transxnet.block import Block, DMixer, LayerScale
from transxnet.conv import ConvNorm
from transxnet.idconv import IDConv
from transxnet.kernels import pytorch
from transxnet.kernels.names import AUTO
from transxnet.kernels.native import ops as native
from transxnet.local_mixers import DyConv, DynamicDepthwiseConv
from transxnet.ms_ffn import MSFFN, PlainFFN
from transxnet.osra import OSRA, OverlappingReduction
from transxnet.ste import STE

_OWN = frozenset({
    Block, DMixer, LayerScale, ConvNorm, DropPath, IDConv, DyConv, DynamicDepthwiseConv, OSRA, OverlappingReduction,
    Attention, PatchReduction, PooledTokens, PoolAtMost, LayerNorm2d, STE, MSFFN, PlainFFN,
    nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.GELU, nn.AdaptiveAvgPool2d, nn.Identity, nn.Sequential, nn.ModuleList,
})  # fmt: skip

BlockFunction = Callable[[Block, Tensor, Tensor | None], Tensor]
"""Block, map [B, C, H, W] and position table [1, h, n, m] (None without one) to the map that the block makes of it."""


def _reference(block: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    out: Tensor = block(x, position_table)
    return out


def _triton(block: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    from transxnet.kernels.triton.block import block as compute  # only where somebody asks for it: Triton may be absent

    return compute(block, x, position_table)


IMPLEMENTATIONS: dict[str, BlockFunction] = {
    "reference": _reference,
    "pytorch": pytorch.block,
    "native": native.block,
    "triton": _triton,
}
"""One for each of NAMES."""


def implementation(name: str, block: Block, x: Tensor) -> BlockFunction:
    """How to compute `block` of `x`; `auto` is native on a CPU where it is built, pytorch elsewhere.

    On a GPU `auto` will be triton once that was measured to be faster; today it must be asked for.
    """
    if name == "reference" or not _is_as_built(block):
        return _reference
    if name in (AUTO, "native") and native.fits(block, x):
        return native.block
    if name == "triton" and x.is_cuda and importlib.util.find_spec("triton") is not None:
        return _triton
    return pytorch.block


def _is_as_built(block: nn.Module) -> bool:
    """Whether nobody watches or has exchanged a module of the block: the fast graphs do not call most of them."""
    return not _is_every_module_hooked() and all(
        type(module) in _OWN and not _is_hooked(module) for module in block.modules()
    )


def _is_every_module_hooked() -> bool:
    return bool(everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks)


def _is_hooked(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )

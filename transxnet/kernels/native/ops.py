"""A block through the native library: one autograd function, which calls C++ once forward and once backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from transxnet.block import Block
from transxnet.kernels.native import library
from transxnet.kernels.rules import exact_on_cpu
from transxnet.osra import OverlappingReduction


def fits(block: Block, x: Tensor) -> bool:
    """Whether the library is there and can compute `block` of the map x [B, C, H, W]."""
    if not exact_on_cpu(x) or not block.has_all_parts or not library.load():
        return False
    norms = _norms(block)
    first = norms[0]
    alike = all(
        norm.training == block.training
        and norm.momentum == first.momentum
        and norm.eps == first.eps
        and norm.running_mean is not None
        for norm in norms
    )
    return (
        alike
        and first.momentum is not None
        and first.eps == block.norm1.eps == block.norm2.eps
        and block.norm1.weight.dtype == x.dtype
        and not (block.training and len(x) < 2)  # the plain graph says what is wrong
    )


def block(module: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    """`module(x, position_table)`; ask `fits` before."""
    norms = _norms(module)
    settings = (_config(module), module.training, norms[0].momentum, norms[0].eps)
    buffers = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var, norm.num_batches_tracked)]
    drops = (_drop(module.drop_path, x), _drop(module.drop_path, x))
    if position_table is None:  # the library always adds one
        position_table = _no_table(module, x)
    out: Tensor = _Block.apply(x, position_table, settings, buffers, drops, *_parameters(module))
    return out


def _no_table(module: Block, x: Tensor) -> Tensor:
    """A position table [1, h, n, m] that changes nothing."""
    reduce = module.mixer.osra.reduce
    stride = reduce.stride if isinstance(reduce, OverlappingReduction) else 1
    height, width = x.shape[-2:]
    return x.new_zeros(1, module.mixer.osra.heads, height * width, -(-height // stride) * -(-width // stride))


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, table: Tensor, settings: Any, buffers: list[Tensor], drops: Any, *params: Tensor
    ) -> Tensor:
        config, training, momentum, eps = settings
        out: Tensor
        out, *saved = torch.ops.transxnet.block_forward(
            x, table, params, buffers, config, training, momentum, eps, *drops
        )
        ctx.config, ctx.training, ctx.drops, ctx.count = config, training, drops, len(saved)
        ctx.save_for_backward(*saved, *params)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # once: gradient checkpointing gives them out a single time
        saved, params = tensors[: ctx.count], tensors[ctx.count :]
        dx, dtable, *grads = torch.ops.transxnet.block_backward(
            grad, saved, params, ctx.config, ctx.training, *ctx.drops
        )
        return (dx, dtable, None, None, None, *grads)


def _drop(drop_path: nn.Module, x: Tensor) -> Tensor | None:
    """timm's drop path, by the same draw: the factor of each sample [B]; None where nothing is dropped."""
    rate = getattr(drop_path, "drop_prob", 0.0)
    if not rate or not drop_path.training:
        return None
    keep = 1 - rate
    kept = x.new_empty((len(x), 1, 1, 1)).bernoulli_(keep)
    if keep > 0 and drop_path.scale_by_keep:
        kept.div_(keep)
    return kept.flatten()


def _config(module: Block) -> list[int]:
    """As csrc/params.h reads it into its Layout."""
    idconv, osra = module.mixer.idconv, module.mixer.osra
    reduce = osra.reduce
    stride, overlap = (reduce.stride, reduce.overlap) if isinstance(reduce, OverlappingReduction) else (1, 0)
    return [idconv.channels, idconv.kernel_size, idconv.groups, osra.heads, stride, overlap]


def _parameters(module: Block) -> list[Tensor]:
    """In the order of csrc/params.h."""
    idconv, osra, ffn = module.mixer.idconv, module.mixer.osra, module.ffn
    widen: Any
    narrow: Any
    spread, _, norm1, squeeze, _, norm2, expand, norm3 = module.mixer.ste.enhance
    widen, _, ffn_norm1 = ffn.expand
    narrow, ffn_norm3 = ffn.project
    params: list[Tensor] = [
        *_both(module.dpe), *_both(module.norm1),
        idconv.squeeze.conv.weight, *_both(idconv.squeeze.bn), *_both(idconv.expand), idconv.kernels, idconv.biases,
        *_both(osra.q), *_both(osra.local), *_both(osra.kv),
        *_both(spread), *_both(norm1), *_both(squeeze), *_both(norm2), *_both(expand), *_both(norm3),
        *_both(module.layer_scale1), *_both(module.norm2),
        widen.weight, *_both(ffn_norm1), *_both(ffn.norm), narrow.weight, *_both(ffn_norm3),
        *_both(module.layer_scale2),
    ]  # fmt: skip
    if isinstance(osra.reduce, OverlappingReduction):
        for layer in (osra.reduce.spatial, osra.reduce.pointwise):
            params += [layer.conv.weight, *_both(layer.bn)]
    for conv in ffn.scales:
        params += _both(conv)
    return params


def _both(layer: Any) -> tuple[Tensor, Tensor]:
    return layer.weight, layer.bias


def _norms(module: Block) -> list[nn.BatchNorm2d]:
    """In the order of csrc/params.h."""
    ste, ffn, reduce = module.mixer.ste.enhance, module.ffn, module.mixer.osra.reduce
    norms: list[Any] = [module.mixer.idconv.squeeze.bn, ste[2], ste[5], ste[7], ffn.expand[2], ffn.norm, ffn.project[1]]
    if isinstance(reduce, OverlappingReduction):
        norms += [reduce.spatial.bn, reduce.pointwise.bn]
    return norms

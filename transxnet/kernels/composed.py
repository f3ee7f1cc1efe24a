"""A block composed of operators that an implementation gives: the graph of `transxnet.block`, made to be fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.attention import Attention
from transxnet.block import Block, DMixer, LayerScale
from transxnet.idconv import IDConv
from transxnet.kernels.batch_norm import batch_norm
from transxnet.kernels.parts import bias_of, conv_of, norm_of
from transxnet.kernels.rules import has_few_keys
from transxnet.local_mixers import DyConv, DynamicDepthwiseConv
from transxnet.ms_ffn import MSFFN, PlainFFN
from transxnet.osra import OSRA, OverlappingReduction
from transxnet.ste import STE

# Shapes: B batch, C channels, H x W map, K kernel size, n = H * W queries, m reduced positions, h heads, d = C / h.
# Maps are [B, C, H, W] with channels_last strides throughout, so that a map is also a matrix [B * H * W, C] for free.


class DepthwiseGroup(Protocol):
    """Depthwise convolutions of several sizes, stride 1, each over its share of the channels, side by side."""

    def __call__(self, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], *, residual: bool) -> Tensor:
        """[B, C, H, W] to the same; weights [Ci, 1, Ki, Ki], biases [Ci]; plus x itself if `residual`."""


@dataclass(frozen=True)
class Operators:
    """What an implementation may replace."""

    depthwise_group: DepthwiseGroup
    per_sample: Callable[[Tensor, Tensor, Tensor], Tensor]
    """x [B, C, H, W], kernels [B, C, K, K] and biases [B, C] of each sample: IDConv's own convolution."""
    reduce: Callable[[nn.Conv2d, Tensor], Tensor]
    """OSRA's strided depthwise convolution."""
    pointwise: Callable[[nn.Conv2d, Tensor], Tensor]
    """A 1x1 convolution."""


def block(module: Block, x: Tensor, position_table: Tensor | None, ops: Operators) -> Tensor:
    """`module(x, position_table)`."""
    if module.dpe is not None:
        x = ops.depthwise_group(x, [module.dpe.weight], [bias_of(module.dpe)], residual=True)
    mixed = _mixer(module.mixer, module.norm1(x), position_table, ops)
    x = _add_scaled(x, mixed, module.layer_scale1, module.drop_path)
    ffn = _FFNS[type(module.ffn)](module.ffn, module.norm2(x), ops)
    return _add_scaled(x, ffn, module.layer_scale2, module.drop_path)


def _add_scaled(x: Tensor, branch: Tensor, scale: nn.Module, drop_path: nn.Module) -> Tensor:
    if isinstance(scale, LayerScale):
        branch = torch.addcmul(scale.bias.view(1, -1, 1, 1), branch, scale.weight.view(1, -1, 1, 1))
    out: Tensor = x + drop_path(branch)
    return out


def _mixer(module: DMixer, x: Tensor, position_table: Tensor | None, ops: Operators) -> Tensor:
    if module.split:
        near, far = torch.split(x, module.split, dim=1)
        mixed = torch.cat([_near(module, near, ops), _far(module, far, position_table, ops)], dim=1)
    else:
        mixed = _far(module, _near(module, x, ops), position_table, ops)
    if not module.enhancer_name:
        return mixed
    enhancer = getattr(module, module.enhancer_name)
    return _ENHANCERS[type(enhancer)](enhancer, mixed, ops)


def _near(module: DMixer, x: Tensor, ops: Operators) -> Tensor:
    if not module.local_name:
        return x
    local = getattr(module, module.local_name)
    return _LOCAL_MIXERS[type(local)](local, x, ops)


def _far(module: DMixer, x: Tensor, position_table: Tensor | None, ops: Operators) -> Tensor:
    if not module.global_name:
        return x
    attention = getattr(module, module.global_name)
    return _GLOBAL_MIXERS[type(attention)](attention, x, position_table, ops)


def _static(module: nn.Conv2d, x: Tensor, ops: Operators) -> Tensor:
    return ops.depthwise_group(x, [module.weight], [bias_of(module)], residual=False)


def _dyconv(module: DyConv, x: Tensor, ops: Operators) -> Tensor:
    squeezed = F.relu(ops.pointwise(module.squeeze, module.pool(x)))
    return ops.per_sample(x, *module.mix(ops.pointwise(module.vote, squeezed)))


def _d_dwconv(module: DynamicDepthwiseConv, x: Tensor, ops: Operators) -> Tensor:
    squeezed = F.relu(module.squeeze.bn(ops.pointwise(module.squeeze.conv, module.pool(x))))
    kernels = module.as_kernels(ops.pointwise(module.expand, squeezed))
    return ops.per_sample(x, kernels, kernels.new_zeros(x.shape[:2]))


def _idconv(module: IDConv, x: Tensor, ops: Operators) -> Tensor:
    # The order matters in training: the projection's batch norm sees the pooled map first, then the mean.
    votes = _vote(module, module.pool(x), ops)  # [B, K, K, G, C]
    kernels = (votes * module.kernels.permute(2, 3, 0, 1)).sum(dim=3).permute(0, 3, 1, 2)  # [B, C, K, K]
    votes = _vote(module, x.mean(dim=(2, 3), keepdim=True), ops)[:, 0, 0]  # [B, G, C]
    return ops.per_sample(x, kernels, (votes * module.biases).sum(dim=1))


def _vote(module: IDConv, pooled: Tensor, ops: Operators) -> Tensor:
    squeezed = module.squeeze.bn(ops.pointwise(module.squeeze.conv, pooled))
    logits = ops.pointwise(module.expand, F.gelu(squeezed)).permute(0, 2, 3, 1)  # [B, k, k, G*C]
    return logits.reshape(*logits.shape[:3], module.groups, module.channels).softmax(dim=3)


def _osra(module: OSRA, x: Tensor, position_table: Tensor | None, ops: Operators) -> Tensor:
    reduced = _reduce(module.reduce, x, ops) if isinstance(module.reduce, OverlappingReduction) else x
    reduced = ops.depthwise_group(reduced, [module.local.weight], [bias_of(module.local)], residual=True)
    return _attend(module, x, reduced, position_table, ops)


def _attention(module: Attention, x: Tensor, position_table: Tensor | None, ops: Operators) -> Tensor:
    return _attend(module, x, module.reduce(x), position_table, ops)


def _attend(module: OSRA | Attention, x: Tensor, reduced: Tensor, table: Tensor | None, ops: Operators) -> Tensor:
    q = _split_heads(ops.pointwise(module.q, x), module.heads)  # [B, h, n, d]
    k, v = (_split_heads(half, module.heads) for half in ops.pointwise(module.kv, reduced).chunk(2, dim=1))
    out = _products(q, k * q.shape[-1] ** -0.5, v, table)  # [B, h, n, d]
    pixels: Tensor = out.permute(0, 2, 1, 3).reshape(x.shape[0], *x.shape[-2:], -1)
    return pixels.permute(0, 3, 1, 2)


def _products(q: Tensor, k: Tensor, v: Tensor, table: Tensor | None) -> Tensor:
    if has_few_keys(k):
        attention = k @ q.mT  # [B, h, m, n]
        return (attention if table is None else attention + table.mT).softmax(dim=-2).mT @ v
    attention = q @ k.mT
    return (attention if table is None else attention + table).softmax(dim=-1) @ v


def _split_heads(x: Tensor, heads: int) -> Tensor:
    batch, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(batch, height * width, heads, channels // heads).transpose(1, 2)


def _reduce(module: OverlappingReduction, x: Tensor, ops: Operators) -> Tensor:
    x = module.fill(x)
    x = F.gelu(module.spatial.bn(ops.reduce(module.spatial.conv, x)))
    scale = module.pointwise.conv.weight.view(1, -1, 1, 1)
    out: Tensor = module.pointwise.bn(x * scale)
    return out


def _ste(module: STE, x: Tensor, ops: Operators) -> Tensor:
    spread, _, norm1, squeeze, _, norm2, expand, norm3 = module.enhance
    spread, squeeze, expand = conv_of(spread), conv_of(squeeze), conv_of(expand)
    y = F.gelu(ops.depthwise_group(x, [spread.weight], [bias_of(spread)], residual=False))
    y = F.gelu(ops.pointwise(squeeze, batch_norm(norm_of(norm1), y)))
    return x + batch_norm(norm_of(norm3), ops.pointwise(expand, batch_norm(norm_of(norm2), y)))


def _ffn(module: MSFFN, x: Tensor, ops: Operators) -> Tensor:
    widen, _, norm = module.expand
    narrow, last_norm = module.project
    scales = [conv_of(conv) for conv in module.scales]
    x = batch_norm(norm_of(norm), F.gelu(ops.pointwise(conv_of(widen), x)))  # [B, hidden, H, W]
    x = ops.depthwise_group(x, [conv.weight for conv in scales], [bias_of(conv) for conv in scales], residual=True)
    return batch_norm(norm_of(last_norm), ops.pointwise(conv_of(narrow), batch_norm(module.norm, F.gelu(x))))


def _plain(module: PlainFFN, x: Tensor, ops: Operators) -> Tensor:
    widen, _, norm = module.expand
    narrow, last_norm = module.project
    x = batch_norm(norm_of(norm), F.gelu(ops.pointwise(conv_of(widen), x)))
    return batch_norm(norm_of(last_norm), ops.pointwise(conv_of(narrow), x))


_LOCAL_MIXERS: dict[type, Callable[..., Tensor]] = {
    IDConv: _idconv,
    nn.Conv2d: _static,
    DyConv: _dyconv,
    DynamicDepthwiseConv: _d_dwconv,
}
_GLOBAL_MIXERS: dict[type, Callable[..., Tensor]] = {OSRA: _osra, Attention: _attention}
_ENHANCERS: dict[type, Callable[..., Tensor]] = {STE: _ste, nn.Conv2d: lambda module, x, ops: ops.pointwise(module, x)}
_FFNS: dict[type, Callable[..., Tensor]] = {MSFFN: _ffn, PlainFFN: _plain}

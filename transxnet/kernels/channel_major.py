"""A block on a small map, with a channel's pixels side by side: there every operator is a matrix product.

A map is [C, B, P], so that a 1x1 convolution is a product of matrices, a depthwise one a product with a matrix for
each channel (see `placement`), and what scales and shifts a channel, a batch norm above all, passes into the weights
of what comes next. Taps that can only meet padding are cut away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.block import Block, LayerScale
from transxnet.idconv import IDConv
from transxnet.kernels.depthwise import depthwise
from transxnet.kernels.moments import Affine, batch_norm, group_norm
from transxnet.kernels.parts import bias_of, conv_of, norm_of
from transxnet.kernels.placement import Grid, placement, pooling
from transxnet.ms_ffn import MSFFN
from transxnet.osra import OSRA, OverlappingReduction
from transxnet.ste import STE

# Shapes: B batch, C channels, H x W map, P = H * W pixels, K kernel size, G groups, h heads, d = C / h, m reduced
# pixels, R IDConv's bottleneck, T taps that can meet the map.


def block(module: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    """`module(x, position_table)`, of a block that has all parts."""
    grid = (x.shape[2], x.shape[3])
    y = x.transpose(0, 1).flatten(2).contiguous()  # no copy behind another such block
    y = _depthwise([conv_of(module.dpe)], Affine(y), grid, residual=True)
    near, far = torch.split(group_norm(module.norm1, y), module.mixer.split)
    mixed = torch.cat([_idconv(module.mixer.idconv, near, grid), _osra(module.mixer.osra, far, position_table, grid)])
    y = _add_scaled(y, _ste(module.mixer.ste, mixed, grid), module.layer_scale1, module.drop_path, mixed)
    y = _add_scaled(y, _ffn(module.ffn, group_norm(module.norm2, y), grid), module.layer_scale2, module.drop_path)
    out: Tensor = _Leave.apply(y, grid)
    return out


class _Leave(torch.autograd.Function):
    """[C, B, P] as [B, C, H, W] without a copy; its gradient, however it lies, becomes channel-major again."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Grid) -> Tensor:
        return y.view(*y.shape[:2], *grid).transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.transpose(0, 1).flatten(2).contiguous(), None


def _add_scaled(
    x: Tensor, branch: Affine, layer_scale: nn.Module, drop_path: nn.Module, skipped: Tensor | None = None
) -> Tensor:
    """x plus the scaled branch, which has skipped a part itself."""
    assert isinstance(layer_scale, LayerScale)
    weight, bias = layer_scale.weight.view(-1, 1, 1), layer_scale.bias.view(-1, 1, 1)
    scaled = branch.then(weight, bias).value()
    if skipped is not None:
        scaled = torch.addcmul(scaled, skipped, weight)
    dropped: Tensor = drop_path(scaled.transpose(0, 1))
    return x + dropped.transpose(0, 1)


def _idconv(module: IDConv, x: Tensor, grid: Grid) -> Tensor:
    channels, batch, pixels = x.shape
    reach = _reach(module.kernel_size, grid)
    votes = _pointwise(module.expand, Affine(_ballots(module, x, grid, reach)))
    votes = votes.view(module.groups, channels, batch, -1).softmax(dim=0)
    kernels = module.kernels.flatten(0, 1).unsqueeze(1)
    bank = torch.cat([_cut(kernels, reach).view(module.groups, channels, -1), module.biases.unsqueeze(2)], dim=2)
    mixed = (votes * bank.unsqueeze(2)).sum(dim=0)  # [C, B, T + 1]
    kernels, biases = mixed[..., :-1], mixed[..., -1:]
    if pixels == 1:
        return torch.addcmul(biases, x, kernels)
    out = depthwise(x.view(1, channels * batch, *grid), kernels.reshape(channels * batch, 1, *reach), None)
    return out.view(x.shape) + biases


def _ballots(module: IDConv, x: Tensor, grid: Grid, reach: Grid) -> Tensor:
    """What votes for the taps within reach, and for the bias behind them: [R, B, T + 1]."""
    squeezed = _pointwise(module.squeeze.conv, Affine(x))  # before it is pooled: both are linear
    size, norm = module.kernel_size, module.squeeze.bn
    # The batch norm must see the whole pooled map first, then the mean.
    pooled = batch_norm(norm, squeezed @ pooling(grid, size, x)).value()
    mean = batch_norm(norm, squeezed.mean(dim=2, keepdim=True)).value()
    taps = _cut(pooled.view(*pooled.shape[:2], size, size), reach).flatten(2)
    return F.gelu(torch.cat([taps, mean], dim=2))


def _osra(module: OSRA, x: Tensor, position_table: Tensor | None, grid: Grid) -> Tensor:
    channels, batch, pixels = x.shape
    reduced, small = Affine(x), grid
    if isinstance(module.reduce, OverlappingReduction):
        reduced, small = _reduce(module.reduce, x, grid)
    reduced = Affine(_depthwise([module.local], reduced, small, residual=True))
    q = _split_heads(_pointwise(module.q, Affine(x)), module.heads)  # [h * B, d, P]
    k, v = (_split_heads(half, module.heads) for half in _pointwise(module.kv, reduced).chunk(2))  # [h * B, d, m]
    # Queries last: a softmax over the few keys runs along them.
    attention = ((k * module.scale).mT @ q).view(module.heads, batch, -1, pixels)
    if position_table is not None:
        attention = attention + position_table[0].mT.unsqueeze(1)
    attention = attention.softmax(dim=2)  # [h, B, m, P]
    out = v @ attention.view(module.heads * batch, -1, pixels)  # [h * B, d, P]
    merged: Tensor = out.view(module.heads, batch, -1, pixels).transpose(1, 2)
    return merged.reshape(channels, batch, pixels)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    channels, batch, pixels = x.shape
    return x.view(heads, -1, batch, pixels).transpose(1, 2).reshape(heads * batch, channels // heads, pixels)


def _reduce(module: OverlappingReduction, x: Tensor, grid: Grid) -> tuple[Affine, Grid]:
    conv, stride = module.spatial.conv, module.stride
    small = -(-grid[0] // stride), -(-grid[1] // stride)
    matrix = placement(grid, small, (conv.kernel_size[0],) * 2, stride, (int(conv.padding[0]),) * 2, x)
    y = torch.bmm(x, (conv.weight.flatten(1) @ matrix).view(len(x), x.shape[2], -1))
    y = F.gelu(batch_norm(module.spatial.bn, y).value()) * module.pointwise.conv.weight.view(-1, 1, 1)
    return batch_norm(module.pointwise.bn, y), small


def _ste(module: STE, x: Tensor, grid: Grid) -> Affine:
    """P(x) of the enhancer x + P(x)."""
    spread, _, norm1, squeeze, _, norm2, expand, norm3 = module.enhance
    y = batch_norm(norm_of(norm1), F.gelu(_depthwise([conv_of(spread)], Affine(x), grid, residual=False)))
    y = batch_norm(norm_of(norm2), F.gelu(_pointwise(conv_of(squeeze), y)))
    return batch_norm(norm_of(norm3), _pointwise(conv_of(expand), y))


def _ffn(module: MSFFN, x: Tensor, grid: Grid) -> Affine:
    widen, _, norm = module.expand
    narrow, last_norm = module.project
    y = batch_norm(norm_of(norm), F.gelu(_pointwise(conv_of(widen), Affine(x))))
    y = batch_norm(module.norm, F.gelu(_depthwise([conv_of(conv) for conv in module.scales], y, grid, residual=True)))
    return batch_norm(norm_of(last_norm), _pointwise(conv_of(narrow), y))


def _pointwise(conv: nn.Conv2d, x: Affine) -> Tensor:
    """A 1x1 convolution."""
    weight, bias = conv.weight.flatten(1), conv.bias
    if x.shift is not None:
        moved = weight @ x.shift.flatten()
        bias = moved if bias is None else bias + moved
    if x.scale is not None:
        weight = weight * x.scale.view(1, -1)
    flat = x.map.flatten(1)
    out = weight @ flat if bias is None else torch.addmm(bias.unsqueeze(1), weight, flat)
    return out.view(-1, *x.map.shape[1:])


def _depthwise(convs: Sequence[nn.Conv2d], x: Affine, grid: Grid, *, residual: bool) -> Tensor:
    """Convolutions of several sizes, each over its share of the channels, plus x itself if `residual`."""
    reach = _reach(max(conv.kernel_size[0] for conv in convs), grid)
    weight = torch.cat([_cut(conv.weight, reach) for conv in convs]).flatten(1)  # [C, T]
    bias = torch.cat([bias_of(conv) for conv in convs]).unsqueeze(1)
    if residual:
        weight = weight + F.pad(weight.new_ones(1), (weight.shape[1] // 2,) * 2)
    taps = placement(grid, grid, reach, 1, (reach[0] // 2, reach[1] // 2), x.map)  # [T, P * P]
    pixels = x.map.shape[2]
    if x.shift is not None:  # a pixel at the border gets less of it: padding is not shifted
        bias = torch.addmm(bias, weight * x.shift.view(-1, 1), taps.view(len(taps), pixels, pixels).sum(dim=1))
    if x.scale is not None:
        weight = weight * x.scale.view(-1, 1)
    if pixels == 1:
        return torch.addcmul(bias.unsqueeze(1), x.map, weight.unsqueeze(2))
    return torch.baddbmm(bias.unsqueeze(1), x.map, (weight @ taps).view(-1, pixels, pixels))


def _reach(size: int, grid: Grid) -> Grid:
    """The part of a kernel of `size` whose taps can meet a map of `grid`."""
    return min(size, 2 * grid[0] - 1), min(size, 2 * grid[1] - 1)


def _cut(kernels: Tensor, reach: Grid) -> Tensor:
    """[.., .., K, K], cut or filled up with zeros to `reach` around its middle."""
    down, right = ((side - kernels.shape[-1]) // 2 for side in reach)
    return F.pad(kernels, (right, right, down, down)) if down or right else kernels

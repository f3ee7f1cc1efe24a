"""A block on a small map, with a channel's pixels side by side: every operator is one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.block import Block, DMixer, LayerScale
from transxnet.idconv import IDConv
from transxnet.kernels.depthwise import depthwise
from transxnet.kernels.placement import placement, pooling
from transxnet.ms_ffn import MSFFN
from transxnet.osra import OSRA, OverlappingReduction
from transxnet.ste import STE

# Shapes: B batch, C channels, H x W map, P = H * W pixels, m reduced pixels, h heads, d = C / h, R bottleneck.
# Maps are [C, B, P].

Grid = tuple[int, int]


def block(module: Block, x: Tensor, position_table: Tensor) -> Tensor:
    """`module(x, position_table)`."""
    batch, channels, height, width = x.shape
    grid = (height, width)
    y = x.transpose(0, 1).reshape(channels, batch, height * width)
    y = _depthwise(y, [module.dpe], grid, residual=True)
    y = _mixer(module, _group_norm(module.norm1, y), y, position_table, grid)
    y = _ffn(module, _group_norm(module.norm2, y), y, grid)
    return y.view(channels, batch, height, width).transpose(0, 1)


def _mixer(module: Block, x: Tensor, skipped: Tensor, position_table: Tensor, grid: Grid) -> Tensor:
    mixer, scale = module.mixer, module.layer_scale1
    near, far = torch.split(x, mixer.split)
    mixed = torch.cat([_idconv(mixer.idconv, near, grid), _osra(mixer.osra, far, position_table, grid)])
    enhanced, alpha, shift = _ste(mixer.ste, mixed, grid)
    weight = scale.weight.view(-1, 1, 1)
    branch = torch.addcmul(shift * weight + scale.bias.view(-1, 1, 1), mixed, weight)
    branch = torch.addcmul(branch, enhanced, alpha * weight)
    return skipped + module.drop_path(branch.transpose(0, 1)).transpose(0, 1)


def _ffn(module: Block, x: Tensor, skipped: Tensor, grid: Grid) -> Tensor:
    ffn, scale = module.ffn, module.layer_scale2
    widen, _, norm = ffn.expand
    narrow, last_norm = ffn.project
    y, alpha, shift = _centred(norm, F.gelu(_pointwise(widen, x)))
    y = _depthwise(y, list(ffn.scales), grid, residual=True, alpha=alpha, shift=shift)
    y, alpha, shift = _centred(ffn.norm, F.gelu(y))
    y, alpha, shift = _centred(last_norm, _pointwise(narrow, y, alpha, shift))
    weight = scale.weight.view(-1, 1, 1)
    branch = torch.addcmul(shift * weight + scale.bias.view(-1, 1, 1), y, alpha * weight)
    return skipped + module.drop_path(branch.transpose(0, 1)).transpose(0, 1)


def _ste(module: STE, x: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    spread, _, norm1, squeeze, _, norm2, expand, norm3 = module.enhance
    y, alpha, shift = _centred(norm1, F.gelu(_depthwise(x, [spread], grid, residual=False)))
    y, alpha, shift = _centred(norm2, F.gelu(_pointwise(squeeze, y, alpha, shift)))
    return _centred(norm3, _pointwise(expand, y, alpha, shift))


def _idconv(module: IDConv, x: Tensor, grid: Grid) -> Tensor:
    channels, batch, pixels = x.shape
    size, groups = module.kernel_size, module.groups
    squeezed = _pointwise(module.squeeze.conv, x)  # [R, B, P]
    pooled = squeezed @ pooling(grid, size, x)  # [R, B, K * K]
    first = torch.addcmul(*_affine(module.squeeze.bn, pooled))
    second = torch.addcmul(*_affine(module.squeeze.bn, squeezed.mean(dim=2, keepdim=True)))
    reach = [min(size, 2 * side - 1) for side in grid]
    top, left = ((size - side) // 2 for side in reach)
    window = (slice(top, top + reach[0]), slice(left, left + reach[1]))
    first = first.view(*first.shape[:2], size, size)[..., window[0], window[1]].flatten(2)
    hidden = F.gelu(torch.cat([first, second], dim=2))
    bank = torch.cat([module.kernels[..., window[0], window[1]].flatten(2), module.biases[..., None]], dim=2)
    bank = bank.unsqueeze(2)  # [G, C, 1, T + 1]
    votes = _pointwise(module.expand, hidden).view(groups, channels, batch, -1).softmax(dim=0)
    mixed = (votes * bank).sum(0)
    kernels, biases = mixed[..., :-1], mixed[..., -1:]
    if pixels == 1:
        return torch.addcmul(biases, x, kernels)
    out = depthwise(x.view(1, -1, *grid), kernels.reshape(channels * batch, 1, *reach), None)
    return out.view(x.shape) + biases


def _osra(module: OSRA, x: Tensor, position_table: Tensor, grid: Grid) -> Tensor:
    channels, batch, pixels = x.shape
    heads = module.heads
    if isinstance(module.reduce, OverlappingReduction):
        reduced, alpha, shift, small = _reduce(module.reduce, x, grid)
    else:
        reduced, alpha, shift, small = x, None, None, grid
    reduced = _depthwise(reduced, [module.local], small, residual=True, alpha=alpha, shift=shift)
    q = _heads(_pointwise(module.q, x), heads)  # [h * B, d, P]
    k, v = (_heads(half, heads) for half in _pointwise(module.kv, reduced).chunk(2))  # [h * B, d, m]
    scores = torch.baddbmm if False else None
    scores = (k * module.scale).mT @ q  # [h * B, m, P]
    scores = scores.view(heads, batch, -1, pixels) + position_table[0].mT.unsqueeze(1)
    out = v @ scores.softmax(dim=2).view(heads * batch, -1, pixels)  # [h * B, d, P]
    return out.view(heads, batch, -1, pixels).transpose(1, 2).reshape(channels, batch, pixels)


def _heads(x: Tensor, heads: int) -> Tensor:
    channels, batch, pixels = x.shape
    return x.view(heads, -1, batch, pixels).transpose(1, 2).reshape(heads * batch, -1, pixels)


def _reduce(module: OverlappingReduction, x: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor, Grid]:
    small = (-(-grid[0] // module.stride), -(-grid[1] // module.stride))
    conv = module.spatial.conv
    matrix = placement(grid, small, conv.kernel_size, module.stride, conv.padding, x)
    y = torch.bmm(x, (conv.weight.flatten(1) @ matrix).view(len(conv.weight), grid[0] * grid[1], -1))
    y = F.gelu(torch.addcmul(*_affine(module.spatial.bn, y))) * module.pointwise.conv.weight.view(-1, 1, 1)
    return *_centred(module.pointwise.bn, y), small


def _depthwise(
    x: Tensor,
    convs: Sequence[nn.Conv2d],
    grid: Grid,
    *,
    residual: bool,
    alpha: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    channels, batch, pixels = x.shape
    largest = max(conv.kernel_size[0] for conv in convs)
    reach = tuple(min(largest, 2 * side - 1) for side in grid)
    weights = []
    for conv in convs:
        size = conv.kernel_size[0]
        dy, dx = (reach[0] - size) // 2, (reach[1] - size) // 2
        weights.append(F.pad(conv.weight, (dx, dx, dy, dy)) if dx or dy else conv.weight)
    weight = (torch.cat(weights) if len(weights) > 1 else weights[0]).flatten(1)
    bias = (torch.cat([conv.bias for conv in convs]) if len(weights) > 1 else convs[0].bias).view(-1, 1)
    if residual:
        centre = weight.new_zeros(weight.shape[1])
        centre[len(centre) // 2] = 1
        weight = weight + centre
    matrix = placement(grid, grid, reach, 1, (reach[0] // 2, reach[1] // 2), x)
    if alpha is not None:
        bias = bias + shift.view(-1, 1) * (weight @ matrix.view(len(matrix), pixels, -1).sum(1))
        weight = weight * alpha.view(-1, 1)
    if pixels == 1:
        return torch.addcmul(bias.view(-1, 1, 1), x, weight.view(-1, 1, 1))
    return torch.baddbmm(bias.unsqueeze(1), x, (weight @ matrix).view(channels, pixels, pixels))


def _pointwise(conv: nn.Conv2d, x: Tensor, alpha: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    weight, bias = conv.weight.flatten(1), conv.bias
    if shift is not None:
        moved = torch.mv(weight, shift.flatten())
        bias = moved if bias is None else bias + moved
        weight = weight * alpha.view(1, -1)
    flat = x.flatten(1)
    out = weight @ flat if bias is None else torch.addmm(bias.unsqueeze(1), weight, flat)
    return out.view(-1, *x.shape[1:])


def _affine(norm: nn.BatchNorm2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    centred, alpha, shift = _centred(norm, x)
    return shift, centred, alpha


def _centred(norm: nn.BatchNorm2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x [C, B, P] as (centred, alpha, shift): its batch norm is alpha * centred + shift."""
    if norm.training:
        centred, mean, variance = _Centre.apply(x)
        with torch.no_grad():
            count = x.shape[1] * x.shape[2]
            norm.num_batches_tracked.add_(1)
            norm.running_mean.lerp_(mean.flatten(), norm.momentum)
            norm.running_var.lerp_(variance.flatten() * (count / (count - 1)), norm.momentum)
    else:
        centred, variance = x - norm.running_mean.view(-1, 1, 1), norm.running_var.view(-1, 1, 1)
    alpha = norm.weight.view(-1, 1, 1) * (variance + norm.eps).rsqrt()
    return centred, alpha, norm.bias.view(-1, 1, 1)


class _Centre(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean((1, 2), keepdim=True)
        centred = x - mean
        ctx.count = x.shape[1] * x.shape[2]
        variance = torch.linalg.vector_norm(centred, dim=(1, 2), keepdim=True).square_().div_(ctx.count)
        ctx.save_for_backward(centred)
        ctx.mark_non_differentiable(mean)
        return centred, mean, variance

    @staticmethod
    def backward(ctx: Any, gc: Tensor, _: Tensor, gv: Tensor) -> Tensor:
        (centred,) = ctx.saved_tensors
        out = gc - gc.mean((1, 2), keepdim=True)
        return out.addcmul_(centred, gv * (2 / ctx.count))


def _group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    return _GroupNorm.apply(x, norm.weight, norm.bias, norm.eps)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        ctx.count = x.shape[0] * x.shape[2]
        centred = x - x.mean(2, keepdim=True).mean(0)
        rstd = (centred.square().sum(2, keepdim=True).mean(0) / x.shape[2]).add_(eps).rsqrt_()
        normed = centred.mul_(rstd)
        ctx.save_for_backward(normed, rstd, weight)
        return torch.addcmul(bias.view(-1, 1, 1), normed, weight.view(-1, 1, 1))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normed, rstd, weight = ctx.saved_tensors
        both = grad * normed
        dots, sums = both.sum(2), grad.sum(2)  # [C, B]
        gw, gb = dots.sum(1), sums.sum(1)
        dots, sums = (weight @ dots).view(-1, 1) / ctx.count, (weight @ sums).view(-1, 1) / ctx.count
        gx = torch.addcmul(grad * weight.view(-1, 1, 1), normed, dots, value=-1).sub_(sums).mul_(rstd)
        return gx, gw, gb, None

"""Depthwise convolution whose gradient with respect to the weights is a fast convolution itself.

oneDNN computes the output of a depthwise convolution fast and the gradient of its weights slowly. That gradient is,
for every sample and channel, the correlation of the padded input with the output's gradient: a depthwise convolution
whose kernel is a whole map, which oneDNN computes fast again (see `rules`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transxnet.kernels.rules import LONGEST_SUM, is_map_the_better_kernel

# Shapes: B batch, C channels, H x W map, kh x kw kernel, both odd; the map keeps its size.


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[B, C, H, W] convolved with `weight` [C, 1, kh, kw], plus `bias` [C]."""
    if is_map_the_better_kernel(x, weight):
        out: Tensor = _Depthwise.apply(x, weight, bias)
        return out
    return F.conv2d(x, weight, bias, padding=_padding(weight), groups=weight.shape[0])


def per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """[B, C, H, W] convolved with a kernel [B, C, kh, kw] and bias [B, C] of each sample and channel."""
    if torch.compiler.is_exporting():
        return _by_patches(x, kernels) + biases[..., None, None]
    batch, channels, height, width = x.shape
    # Folded into the channels, the batch needs no copy of its own layout: pixels stay outermost.
    folded = x.permute(2, 3, 0, 1).reshape(1, height, width, batch * channels).permute(0, 3, 1, 2)
    out = depthwise(folded, kernels.reshape(batch * channels, 1, *kernels.shape[-2:]), biases.flatten())
    out = out.permute(2, 3, 0, 1).reshape(height, width, batch, channels)
    return out.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def _by_patches(x: Tensor, kernels: Tensor) -> Tensor:
    # Slow and large, but the batch is no part of the number of groups: an exported network takes any.
    channels, height, width = x.shape[1:]
    size = kernels.shape[-1]
    patches = F.unfold(x, size, padding=size // 2).view(-1, channels, size * size, height * width)
    return (patches * kernels.flatten(2).unsqueeze(3)).sum(dim=2).view(-1, channels, height, width)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=_padding(weight), groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        flipped = weight.flip(2, 3)
        return (
            F.conv2d(grad, flipped, padding=_padding(weight), groups=weight.shape[0]) if needs_x else None,
            _weight_gradient(x, grad, _padding(weight)) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
        )


def _weight_gradient(x: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    batch, channels, height, width = x.shape
    maps = batch * channels
    folded = x.permute(2, 3, 0, 1).reshape(height, width, maps)
    padded = F.pad(folded, (0, 0, 0, 0, padding[0], padding[0])).permute(2, 0, 1).unsqueeze(0)
    kernels = grad.reshape(maps, 1, height, width)
    rows = max(1, LONGEST_SUM // width)
    bands = [
        F.conv2d(padded[:, :, top : top + rows + 2 * padding[0]], band, padding=(0, padding[1]), groups=maps)
        for top, band in zip(range(0, height, rows), torch.split(kernels, rows, dim=2), strict=True)
    ]
    out = bands[0] if len(bands) == 1 else torch.stack(bands).sum(dim=0)
    return out.view(batch, channels, *out.shape[2:]).sum(dim=0).unsqueeze(1)


def _padding(weight: Tensor) -> tuple[int, int]:
    return weight.shape[-2] // 2, weight.shape[-1] // 2

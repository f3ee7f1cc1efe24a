"""Depthwise convolution on a CPU whose gradient with respect to the weights is a fast convolution itself.

oneDNN computes a depthwise convolution's output fast and the gradient of its weights slowly. That gradient is, for
every sample and channel, the correlation of the padded input with the output's gradient: a depthwise convolution
whose kernel is a whole map, which oneDNN computes fast again.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`conv2d` of [B, C, H, W] with [C, 1, kh, kw], both odd, which keeps the map's size."""
    out: Tensor = _Depthwise.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def _padding(weight: Tensor) -> tuple[int, int]:
    return weight.shape[-2] // 2, weight.shape[-1] // 2


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=_padding(weight), groups=len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gx = gw = gb = None
        if ctx.needs_input_grad[0]:
            gx = F.conv2d(grad, weight.flip(2, 3), padding=_padding(weight), groups=len(weight))
        if ctx.needs_input_grad[1]:
            gw = _weight_gradient(x, grad, _padding(weight)).sum(0).unsqueeze(1)
        if ctx.needs_input_grad[2]:
            gb = grad.sum((0, 2, 3))
        return gx, gw, gb


def _weight_gradient(x: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    batch, channels, height, width = x.shape
    maps = batch * channels
    kernels = grad.reshape(maps, 1, height, width)
    out = F.conv2d(x.reshape(1, maps, height, width), kernels, padding=padding, groups=maps)

    return out.view(batch, channels, *out.shape[-2:])

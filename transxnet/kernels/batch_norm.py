"""Batch norm of large channels_last maps whose statistics do not lose digits.

torch sums a channels_last map one row after the other into float32, as it does not a contiguous one: on T at 224 pixels
that alone made the logits' rounding error 3.0 to 3.5 times that of the contiguous graph. Its `mean` sums in a cascade.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transxnet.kernels.moments import follow
from transxnet.kernels.rules import LONGEST_BATCH_NORM_SUM, is_long_sum

_PIXELS = (0, 2, 3)


def batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """`norm(x)` of x [B, C, H, W]."""
    if not norm.training or not is_long_sum(x):
        plain: Tensor = norm(x)
        return plain
    out, mean, variance = _BatchNorm.apply(x, norm.weight, norm.bias, norm.eps)
    follow(norm, mean, variance, x.numel() // x.shape[1])
    normed: Tensor = out
    return normed


def _mean_square(x: Tensor, mean: Tensor) -> Tensor:
    # In parts that fit a cache: what is squared is not needed again.
    samples = max(1, LONGEST_BATCH_NORM_SUM // (x.shape[2] * x.shape[3]))
    parts = torch.split(x, samples)
    sums = [(part - mean).square_().sum(_PIXELS) for part in parts]
    return torch.stack(sums).sum(dim=0) / (x.numel() // x.shape[1])


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(_PIXELS)
        variance = _mean_square(x, mean.view(1, -1, 1, 1))
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        scale = weight * inverse
        shift = bias - mean * scale
        return torch.addcmul(shift.view(1, -1, 1, 1), x, scale.view(1, -1, 1, 1)), mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        grads = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, None, None, mean, inverse, True, ctx.eps, wanted
        )
        return (*(each if needed else None for each, needed in zip(grads, wanted, strict=True)), None)

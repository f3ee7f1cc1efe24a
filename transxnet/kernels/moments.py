"""Normalisation of maps [C, B, P], left as a scale and a shift that the next product can take in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Affine:
    """`scale * map + shift`, not computed yet: map [C, B, P], scale and shift [C, 1, 1], where None changes nothing."""

    map: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None

    def value(self) -> Tensor:
        """The map [C, B, P] itself."""
        assert self.scale is not None
        assert self.shift is not None
        return torch.addcmul(self.shift, self.map, self.scale)

    def then(self, scale: Tensor, shift: Tensor) -> Affine:
        """Scaled and shifted once more."""
        assert self.scale is not None
        assert self.shift is not None
        return Affine(self.map, self.scale * scale, self.shift * scale + shift)


def batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Affine:
    """`norm` of x [C, B, P]; its running statistics move as they do in `norm(x)`.

    Raises ValueError for a single value a channel in training.
    """
    bias = norm.bias.view(-1, 1, 1)
    if norm.training or norm.running_mean is None or norm.running_var is None:
        centred, scale, _, mean, variance = _Standardise.apply(x, norm.weight, norm.eps, (1, 2))
        follow(norm, mean.flatten(), variance.flatten(), x.shape[1] * x.shape[2])
        return Affine(centred, scale, bias)
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return Affine(x - norm.running_mean.view(-1, 1, 1), scale.view(-1, 1, 1), bias)


def group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """`norm`, of a single group, of x [C, B, P]."""
    centred, scale, *_ = _Standardise.apply(x, norm.weight, norm.eps, (0, 2))
    return Affine(centred, scale, norm.bias.view(-1, 1, 1)).value()


def follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards a batch's mean and variance [C] of `count` values, as torch does."""
    if count == 1:
        raise ValueError("batch norm in training needs more than one value a channel, got 1; use a larger batch")
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


class _Standardise(torch.autograd.Function):
    """x less its mean over `dims`; weight / deviation, which is left to multiply it by; 1 / deviation, mean, variance.

    Written out because autograd would go over the map twice more, and over a dozen tensors of a channel's size.
    Context and forward pass in one: apart, torch binds the arguments anew in every call, which takes 0.1 ms.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dims: tuple[int, int]) -> tuple[Tensor, ...]:
        mean = _mean(x, dims)
        centred = x - mean
        variance = _mean(centred.square(), dims)
        inverse = (variance + eps).rsqrt_()
        ctx.dims = dims
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        # Only inputs and outputs are kept, so that the backward pass can be differentiated again.
        ctx.save_for_backward(centred, weight, inverse)
        return centred, weight.view(-1, 1, 1) * inverse, inverse, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        centred, weight, inverse = ctx.saved_tensors
        grad, grad_scale, grad_inverse, _, _ = grads
        assert grad is not None
        assert grad_scale is not None
        felt = grad_scale * weight.view(-1, 1, 1)
        if inverse.shape[0] == 1:
            felt = felt.sum(dim=0, keepdim=True)
        if grad_inverse is not None:
            felt = felt + grad_inverse
        count = centred.shape[ctx.dims[0]] * centred.shape[ctx.dims[1]]
        grad_x = torch.addcmul(grad - _mean(grad, ctx.dims), centred, felt * inverse**3, value=-1 / count)
        return grad_x, (grad_scale * inverse).sum(dim=(1, 2)), None, None


def _mean(x: Tensor, dims: tuple[int, int]) -> Tensor:
    # Over dimensions that are not neighbours torch is up to 18 times slower in one call than in two.
    return x.mean(dims, keepdim=True) if dims == (1, 2) else x.mean(dims[1], True).mean(dims[0], True)

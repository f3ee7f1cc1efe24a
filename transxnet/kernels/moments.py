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
    if norm.training or norm.running_mean is None:
        map, mean, variance = _centre(x, (1, 2))
        _follow(norm, mean.flatten(), variance.flatten(), x.shape[1] * x.shape[2])
    else:
        assert norm.running_var is not None
        map, variance = x - norm.running_mean.view(-1, 1, 1), norm.running_var.view(-1, 1, 1)
    return Affine(map, norm.weight.view(-1, 1, 1) * (variance + norm.eps).rsqrt(), norm.bias.view(-1, 1, 1))


def group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """`norm`, of a single group, of x [C, B, P]."""
    map, _, variance = _centre(x, (0, 2))
    return torch.addcmul(norm.bias.view(-1, 1, 1), map, norm.weight.view(-1, 1, 1) * (variance + norm.eps).rsqrt())


@torch.no_grad()
def _follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    if count == 1:
        raise ValueError("batch norm in training needs more than one value a channel, got 1; use a larger batch")
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


def _centre(x: Tensor, dims: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean over `dims`, that mean (without gradient) and the variance."""
    out: tuple[Tensor, Tensor, Tensor] = _Centre.apply(x, dims)
    return out


class _Centre(torch.autograd.Function):
    # Through autograd alone the variance's gradient would cost two more passes over the map.
    @staticmethod
    def forward(x: Tensor, dims: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        mean = _mean(x, dims)
        centred = x - mean
        return centred, mean, _mean(centred.square(), dims)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        centred, mean, _ = output
        ctx.dims = inputs[1]
        ctx.mark_non_differentiable(mean)
        ctx.save_for_backward(centred)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: None, grad_variance: Tensor) -> tuple[Tensor, None]:
        (centred,) = ctx.saved_tensors
        count = centred.shape[ctx.dims[0]] * centred.shape[ctx.dims[1]]
        return torch.addcmul(grad - _mean(grad, ctx.dims), centred, grad_variance, value=2 / count), None


def _mean(x: Tensor, dims: tuple[int, int]) -> Tensor:
    # Over dimensions that are not neighbours torch is up to 18 times slower in one call than in two.
    return x.mean(dims, keepdim=True) if dims == (1, 2) else x.mean(dims[1], True).mean(dims[0], True)

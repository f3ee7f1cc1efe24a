"""A fast block in PyTorch alone, for every device: exact rewrites, no kernels of our own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.block import Block
from transxnet.kernels import channel_major, composed
from transxnet.kernels.composed import Operators
from transxnet.kernels.depthwise import depthwise, per_sample
from transxnet.kernels.rules import exact_on_cpu, is_small_map


def block(module: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    """`module(x, position_table)`: channel-major on small maps if it has all parts, channels_last otherwise."""
    if is_small_map(x) and module.has_all_parts:
        return channel_major.block(module, x, position_table)
    return composed.block(module, x, position_table, OPERATORS)


def depthwise_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], *, residual: bool) -> Tensor:
    """See `composed.DepthwiseGroup`."""
    fold = residual and exact_on_cpu(x)
    if fold:
        weights = [weight + _identity(weight) for weight in weights]
    shares = torch.split(x, [weight.shape[0] for weight in weights], dim=1)
    parts = [_convolve(*each) for each in zip(shares, weights, biases, strict=True)]
    out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    return out + x if residual and not fold else out


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if exact_on_cpu(x) and weight.shape[-1] == 1:  # oneDNN leaves this one to a loop over the channels
        return torch.addcmul(bias.view(1, -1, 1, 1), x, weight.view(1, -1, 1, 1))
    return depthwise(x, weight, bias)


def _identity(weight: Tensor) -> Tensor:
    """The kernel [1, 1, K, K] that leaves a map as it is: one in the middle."""
    reach = weight.shape[-1] // 2
    return F.pad(weight.new_ones(1, 1, 1, 1), (reach, reach, reach, reach))


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution as a matrix product over the channel-last view."""
    return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


def reduce(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """OSRA's strided depthwise convolution."""
    out: Tensor = conv(x)
    return out


OPERATORS = Operators(depthwise_group, per_sample, reduce, pointwise)

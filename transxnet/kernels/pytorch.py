"""The operators of a fast block in PyTorch alone, for every device: exact rewrites, no kernels of our own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.kernels.composed import Operators
from transxnet.kernels.depthwise import depthwise


def depthwise_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], *, residual: bool) -> Tensor:
    """See `composed.DepthwiseGroup`."""
    shares = torch.split(x, [len(weight) for weight in weights], dim=1)
    parts = [
        share*weight.view(1,-1,1,1)+bias.view(1,-1,1,1) if weight.shape[-1]==1 else depthwise(share, weight, bias) if weight.shape[-1] != 3 else
        F.conv2d(share, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))
        for share, weight, bias in zip(shares, weights, biases, strict=True)
    ]
    out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    return out + x if residual else out


def per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """See `composed.Operators`."""
    batch, channels, height, width = x.shape
    size = kernels.shape[-1]
    out = depthwise(
        x.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, size, size),
        biases.flatten(),
    )
    return out.reshape(x.shape)


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution as a matrix product over the channel-last view."""
    return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


def reduce(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """OSRA's strided depthwise convolution."""
    out: Tensor = conv(x)
    return out


OPERATORS = Operators(depthwise_group, per_sample, reduce, pointwise)

"""The modules of a block with the types that a type checker cannot see through containers."""

from __future__ import annotations

from torch import Tensor, nn


def conv_of(module: nn.Module | None) -> nn.Conv2d:
    """`module`, which is a convolution."""
    assert isinstance(module, nn.Conv2d)
    return module


def norm_of(module: nn.Module) -> nn.BatchNorm2d:
    """`module`, which is a batch norm."""
    assert isinstance(module, nn.BatchNorm2d)
    return module


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias [C] of a convolution that has one."""
    assert conv.bias is not None
    return conv.bias

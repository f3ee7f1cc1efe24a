"""A block whose depthwise convolutions are Triton kernels; the rest of it is PyTorch on channels_last maps."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from transxnet.block import Block
from transxnet.kernels import composed, pytorch
from transxnet.kernels.triton.ops import depthwise_group, per_sample

OPERATORS = dataclasses.replace(pytorch.OPERATORS, depthwise_group=depthwise_group, per_sample=per_sample)


def block(module: Block, x: Tensor, position_table: Tensor | None) -> Tensor:
    """`module(x, position_table)`. Raises ValueError for tensors that are not on a GPU."""
    return composed.block(module, x, position_table, OPERATORS)

"""Weights of several kernel sizes in one buffer that a block of channels reads in one row a tap."""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# Triton has no types, and the arguments of a kernel are values of the device.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from transxnet.kernels.triton.launch import OPTIONS, on_device_of
from transxnet.kernels.triton.layout import Shares, power_of_two

BLOCK = 16


@triton.jit
def _pack(weights, biases, packed, widths, kernels: tl.constexpr, taps_block: tl.constexpr, block_c: tl.constexpr):
    """Transposes each share's weights from [C_i, K * K] to [K * K, C_i], one after another, then all biases."""
    block = tl.program_id(0)
    bias_out = packed
    for i in tl.static_range(len(kernels)):
        bias_out += kernels[i] * kernels[i] * widths[i]
    for i in tl.static_range(len(kernels)):
        taps = kernels[i] * kernels[i]
        blocks = tl.cdiv(widths[i], block_c)
        if (block >= 0) & (block < blocks):
            c = block * block_c + tl.arange(0, block_c)
            live = c < widths[i]
            tl.store(bias_out + c, tl.load(biases[i] + c, mask=live), mask=live)
            tap = tl.arange(0, taps_block)
            inside = live[:, None] & (tap < taps)[None, :]
            values = tl.load(weights[i] + c[:, None] * taps + tap[None, :], mask=inside)
            tl.store(packed + tap[None, :] * widths[i] + c[:, None], values, mask=inside)
        block -= blocks
        packed += taps * widths[i]
        bias_out += widths[i]


def pack(weights: tuple[Tensor, ...], biases: tuple[Tensor, ...], shares: Shares, dtype: torch.dtype) -> Tensor:
    """One vector in `dtype`: for each share its weights as [K * K, C_i], then the biases of all channels."""
    packed = torch.empty(shares.taps + shares.channels, dtype=dtype, device=weights[0].device)
    with on_device_of(packed):
        _pack[(shares.blocks(BLOCK),)](
            tuple(weight.contiguous() for weight in weights),
            tuple(bias.contiguous() for bias in biases),
            packed,
            shares.widths,
            kernels=shares.kernels,
            taps_block=power_of_two(max(shares.kernels) ** 2),
            block_c=BLOCK,
            **OPTIONS,
        )
    return packed

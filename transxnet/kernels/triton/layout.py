"""How a depthwise convolution's work is cut: channels into shares and blocks, pixels into tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

# A vector load is 16 bytes, 8 channels of bfloat16. The compiler issues one only where it knows that a row starts at
# a multiple of 8 channels; so numbers of channels are passed in units of their common divisor.
LARGEST_UNIT = 16
CHANNEL_BLOCKS = {64: 1.0, 32: 1.25, 16: 2.0}
"""Channels a program may take, and what a lane costs then: narrow blocks gather a load from more lines of the cache."""


@dataclass(frozen=True)
class Shares:
    """The channels in their order: `widths[i]` of them are convolved with a kernel of `kernels[i]` pixels a side."""

    kernels: tuple[int, ...]
    widths: tuple[int, ...]

    @cached_property
    def channels(self) -> int:
        """All channels."""
        return sum(self.widths)

    @cached_property
    def taps(self) -> int:
        """Numbers in all kernels together: the length of the packed weights."""
        return sum(kernel * kernel * width for kernel, width in zip(self.kernels, self.widths, strict=True))

    @cached_property
    def block(self) -> int:
        """Channels a program takes: one of CHANNEL_BLOCKS, what costs least with the lanes that it leaves idle."""
        return min(CHANNEL_BLOCKS, key=lambda block: CHANNEL_BLOCKS[block] * block * self.blocks(block))

    @cached_property
    def block_rows(self) -> int:
        """Rows of kernels, counted once for each block of channels."""
        return sum(
            ceil_div(width, self.block) * kernel for kernel, width in zip(self.kernels, self.widths, strict=True)
        )

    def blocks(self, block: int) -> int:
        """Blocks of `block` channels; a block lies in one share."""
        return sum(ceil_div(width, block) for width in self.widths)


@lru_cache(maxsize=1024)
def shares_of(kernels: tuple[int, ...], widths: tuple[int, ...]) -> Shares:
    """The same object for the same question, so that its properties are worked out once a network, not once a call."""
    return Shares(kernels, widths)


@dataclass(frozen=True)
class Pixels:
    """A map as rows of adjacent channels: pixel n of the flattened [B, H, W] starts at `n * stride`."""

    rows: Tensor
    stride: int


def as_pixels(x: Tensor) -> Pixels:
    """`x` [B, C, H, W] as rows of channels: itself if it is channels_last or a channel slice of such, else a copy."""
    stride = _pixel_stride(x)
    if stride is not None:
        return Pixels(x, stride)
    return Pixels(x.contiguous(memory_format=torch.channels_last), x.shape[1])


def channel_unit(*counts: int) -> int:
    """The largest power of two up to 16 that divides all `counts`."""
    return math.gcd(LARGEST_UNIT, *counts)


def ceil_div(count: int, size: int) -> int:
    """Pieces of `size` that hold `count`. Triton's own takes microseconds, as long as the rest of a launch."""
    return -(-count // size)


def power_of_two(least: int) -> int:
    """The smallest power of two that is at least `least`."""
    return 1 << (least - 1).bit_length()


def accumulator(x: Tensor) -> torch.dtype:
    """What sums over `x` are kept in: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _pixel_stride(x: Tensor) -> int | None:
    """Elements between neighbouring pixels, None if pixels are not evenly spaced rows of channels."""
    batch, channels, height, width = x.shape
    if channels > 1 and x.stride(1) != 1:
        return None
    # A dimension of size 1 says nothing: its stride is arbitrary.
    spans = ((width, x.stride(3), 1), (height, x.stride(2), width), (batch, x.stride(0), height * width))
    told = [(stride, pixels) for size, stride, pixels in spans if size > 1]
    stride = told[0][0] // told[0][1] if told else channels
    even = all(found == stride * pixels for found, pixels in told)
    return stride if even and stride >= channels else None

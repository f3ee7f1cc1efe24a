"""Depthwise convolution of pixel rows: forward, and with mirrored taps the gradient of its input."""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# Triton has no types, and the arguments of a kernel are values of the device.

from __future__ import annotations

from functools import partial
from typing import Any

import triton
import triton.language as tl
import triton.testing
from torch import Tensor

from transxnet.kernels.triton.launch import INTERPRETED, OPTIONS, TRITON_DTYPE, on_device_of
from transxnet.kernels.triton.layout import Pixels, Shares, accumulator, ceil_div, channel_unit, power_of_two

# A program makes a tile of [pixels, channels]. Pixels are counted through rows, maps and, where all samples share the
# weights, the whole batch: so no lane idles on small maps. Each tap's input is read again for each tap, from the cache.


@triton.jit
def _add_taps(
    sums, x, weights, pixel, live, row, column, c, live_c, share, stride,
    k: tl.constexpr, height: tl.constexpr, width: tl.constexpr, mirrored: tl.constexpr,
):  # fmt: skip
    """Adds to `sums` [pixels, channels] all taps of a kernel k x k; taps beyond the map's size only meet padding."""
    reach: tl.constexpr = k // 2
    top: tl.constexpr = reach - height + 1 if reach >= height else 0
    bottom: tl.constexpr = reach + height if reach >= height else k
    left: tl.constexpr = reach - width + 1 if reach >= width else 0
    right: tl.constexpr = reach + width if reach >= width else k
    at = pixel.to(tl.int64)[:, None] * stride + c[None, :]
    for dy in range(top, bottom):
        on_map = live & (row + (dy - reach) >= 0) & (row + (dy - reach) < height)
        for dx in tl.static_range(left, right):
            inside = on_map & (column + (dx - reach) >= 0) & (column + (dx - reach) < width)
            tap = dy * k + dx
            if mirrored:
                tap = k * k - 1 - tap
            weight = tl.load(weights + tap * share + c, mask=live_c, other=0.0).to(sums.dtype)
            step = ((dy - reach) * width + (dx - reach)) * stride
            value = tl.load(x + at + step, mask=inside[:, None] & live_c[None, :], other=0.0)
            sums = tl.fma(value.to(sums.dtype), tl.broadcast_to(weight[None, :], sums.shape), sums)
    return sums


@triton.jit
def _convolve(
    x, weights, biases, out, widths, channels, stride, weights_stride, pixels,
    kernels: tl.constexpr, unit: tl.constexpr, height: tl.constexpr, width: tl.constexpr,
    residual: tl.constexpr, mirrored: tl.constexpr, sum_type: tl.constexpr,
    block_c: tl.constexpr, most_pixels: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """One tile of `out`; `channels`, `stride` and `widths` count units. Axis 1 of the grid: samples of own weights."""
    block_p: tl.constexpr = tile // block_c if tile // block_c < most_pixels else most_pixels
    channels *= unit
    stride *= unit
    sample = tl.program_id(1).to(tl.int64)
    x += sample * pixels * stride
    out += sample * pixels * channels
    weights += sample * weights_stride
    blocks = 0
    for i in tl.static_range(len(kernels)):
        blocks += tl.cdiv(widths[i] * unit, block_c)
    block = tl.program_id(0) % blocks
    pixel = tl.program_id(0) // blocks * block_p + tl.arange(0, block_p)
    live = pixel < pixels
    column = pixel % width
    row = pixel // width % height
    first = 0
    for i in tl.static_range(len(kernels)):
        share = widths[i] * unit
        if (block >= 0) & (block < tl.cdiv(share, block_c)):
            c = block * block_c + tl.arange(0, block_c)
            live_c = c < share
            inside = live[:, None] & live_c[None, :]
            at = pixel.to(tl.int64)[:, None]
            sums = tl.zeros((block_p, block_c), sum_type)
            if residual:
                own = tl.load(x + first + at * stride + c[None, :], mask=inside, other=0.0)
                sums += own.to(sum_type)
            if not mirrored:
                bias = tl.load(biases + sample * channels + first + c, mask=live_c, other=0.0)
                sums += bias.to(sum_type)[None, :]
            sums = _add_taps(
                sums, x + first, weights, pixel, live, row, column, c, live_c, share, stride,
                kernels[i], height, width, mirrored,
            )  # fmt: skip
            tl.store(out + first + at * channels + c[None, :], sums, mask=inside)
        block -= tl.cdiv(share, block_c)
        first += share
        weights += kernels[i] * kernels[i] * share


# The order of the sums does not depend on the configuration, so neither does a bit of the result. The key leaves out
# the number of channels (their block stands for it) and the batch: a search over widths then tunes once.
_tuned = triton.autotune(
    [triton.Config({"tile": tile}, num_warps=warps) for tile, warps in ((256, 1), (1024, 4), (2048, 4), (4096, 4))],
    key=["kernels", "height", "width", "block_c", "most_pixels", "mirrored"],
    do_bench=partial(triton.testing.do_bench, warmup=5, rep=20),  # milliseconds
    cache_results=True,
)(_convolve)


def convolve(
    x: Pixels,
    size: tuple[int, int],
    weights: Tensor,
    biases: Tensor | None,
    shares: Shares,
    out: Tensor,
    *,
    samples: int = 1,
    residual: bool = False,
) -> None:
    """Fill `out` [B, C, H, W] (channels_last) with the convolutions of `x`, whose maps are of `size` (H, W).

    `weights` holds [K * K, C_i] for each share, `samples` times if samples have their own. Without `biases` the taps
    are mirrored: the gradient of the input. `residual` adds `x`.
    """
    height, width = size
    block = shares.block
    unit = channel_unit(x.stride, *shares.widths)
    pixels = out.numel() // (samples * shares.channels)

    def grid(meta: dict[str, Any]) -> tuple[int, int]:
        tile_pixels = min(meta["tile"] // block, meta["most_pixels"])
        return ceil_div(pixels, tile_pixels) * shares.blocks(block), samples

    launch = _convolve[grid] if INTERPRETED else _tuned[grid]
    with on_device_of(out):
        launch(
            x.rows,
            weights,
            weights if biases is None else biases,
            out,
            tuple(share // unit for share in shares.widths),
            shares.channels // unit,
            x.stride // unit,
            shares.taps,
            pixels,
            kernels=shares.kernels,
            unit=unit,
            height=height,
            width=width,
            residual=residual,
            mirrored=biases is None,
            sum_type=TRITON_DTYPE[accumulator(x.rows)],
            block_c=block,
            most_pixels=min(power_of_two(pixels), 1024),
            **({"tile": 4096} if INTERPRETED else {}),
            **OPTIONS,
        )

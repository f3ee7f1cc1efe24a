"""Gradients of depthwise kernels and biases: sums over pixels, in an order that the shapes alone decide."""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# Triton has no types, and the arguments of a kernel are values of the device.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from transxnet.kernels.triton.launch import INTERPRETED, OPTIONS, TRITON_DTYPE, on_device_of
from transxnet.kernels.triton.layout import Pixels, Shares, accumulator, ceil_div, channel_unit, power_of_two

# A program sums a chunk of pixels for a row of taps: [taps, pixels, channels] sums that are added up at its end. Chunks
# are added by `_add_chunks`, not by atomics, whose order changes from run to run. Nothing is autotuned here: another
# tile is another order. Enough programs to fill a large GPU a few times over:
PROGRAMS = 2048
TILE = 4096 if INTERPRETED else 1024
CHUNKS_AT_ONCE = 16


@triton.jit
def _sum_row(
    x, grad, weight_sums, bias_sums, dy, c, share, stride, grad_stride, pixels, start, stop,
    k: tl.constexpr, taps_block: tl.constexpr, height: tl.constexpr, width: tl.constexpr, sum_type: tl.constexpr,
    block_p: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    """Writes the sums of row `dy` of the taps, and in row 0 of the biases, over pixels `start` to `stop`."""
    reach: tl.constexpr = k // 2
    left: tl.constexpr = reach - width + 1 if reach >= width else 0
    right: tl.constexpr = reach + width if reach >= width else k
    dx = left + tl.arange(0, taps_block)
    live_c = c < share
    sums = tl.zeros((taps_block, block_p, block_c), sum_type)
    bias = tl.zeros((block_p, block_c), sum_type)
    for tile in range(start, stop, block_p):
        pixel = tile + tl.arange(0, block_p)
        live = pixel < pixels
        far = pixel.to(tl.int64)[:, None]
        g = tl.load(grad + far * grad_stride + c[None, :], mask=live[:, None] & live_c[None, :], other=0.0)
        g = g.to(sum_type)
        row = pixel // width % height + (dy - reach)
        column = (pixel % width)[None, :] + (dx - reach)[:, None]
        inside = (live & (row >= 0) & (row < height))[None, :] & (column >= 0) & (column < width)
        inside = inside & (dx < right)[:, None]
        shifted = far[None, :, :] + ((dy - reach) * width + (dx - reach))[:, None, None]
        mask = inside[:, :, None] & live_c[None, None, :]
        value = tl.load(x + shifted * stride + c[None, None, :], mask=mask, other=0.0)
        sums = tl.fma(value.to(sum_type), tl.broadcast_to(g[None, :, :], sums.shape), sums)
        bias += g
    tap = (dy * k + dx)[:, None] * share + c[None, :]
    tl.store(weight_sums + tap, tl.sum(sums, axis=1), mask=(dx < right)[:, None] & live_c[None, :])
    for dead in tl.static_range(k - (right - left)):  # taps that only meet padding
        column_dead = dead if dead < left else dead - left + right
        tl.store(weight_sums + (dy * k + column_dead) * share + c, tl.zeros((block_c,), sum_type), mask=live_c)
    if dy == 0:
        tl.store(bias_sums + c, tl.sum(bias, axis=0), mask=live_c)


@triton.jit
def _correlate(
    x, grad, weight_sums, bias_sums, widths, stride, grad_stride, weight_step, bias_step, pixels, chunk,
    kernels: tl.constexpr, taps_blocks: tl.constexpr, unit: tl.constexpr,
    height: tl.constexpr, width: tl.constexpr, sum_type: tl.constexpr, block_p: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    """Grid: rows of taps of channel blocks, chunks of pixels, samples of own weights."""
    stride *= unit
    grad_stride *= unit
    sample = tl.program_id(2).to(tl.int64)
    x += sample * pixels * stride
    grad += sample * pixels * grad_stride
    slot = sample * tl.num_programs(1) + tl.program_id(1)
    weight_sums += slot * weight_step
    bias_sums += slot * bias_step
    start = tl.program_id(1) * chunk
    stop = tl.minimum(start + chunk, pixels)
    job = tl.program_id(0)
    first = 0
    for i in tl.static_range(len(kernels)):
        share = widths[i] * unit
        jobs = tl.cdiv(share, block_c) * kernels[i]
        if (job >= 0) & (job < jobs):
            c = job // kernels[i] * block_c + tl.arange(0, block_c)
            _sum_row(
                x + first, grad + first, weight_sums, bias_sums + first, job % kernels[i], c, share, stride,
                grad_stride, pixels, start, stop, kernels[i], taps_blocks[i], height, width, sum_type, block_p, block_c,
            )  # fmt: skip
        job -= jobs
        first += share
        weight_sums += kernels[i] * kernels[i] * share


@triton.jit
def _add_chunks(
    sums, grads, widths, chunks, numbers, kernels: tl.constexpr, block: tl.constexpr, at_once: tl.constexpr
):
    """Adds the chunks' sums [chunks, numbers], writes each share's weights as [C_i, K * K], then the biases."""
    job = tl.program_id(0)
    for i in tl.static_range(len(kernels)):
        taps = kernels[i] * kernels[i]
        jobs = tl.cdiv(taps * widths[i], block)
        if (job >= 0) & (job < jobs):
            n = job * block + tl.arange(0, block)
            live = n < taps * widths[i]
            total = tl.zeros((block,), sums.dtype.element_ty)
            for start in range(0, chunks, at_once):
                slot = start + tl.arange(0, at_once)
                mask = (slot < chunks)[:, None] & live[None, :]
                part = tl.load(sums + slot.to(tl.int64)[:, None] * numbers + n[None, :], mask=mask, other=0.0)
                total += tl.sum(part, axis=0)
            tl.store(grads + n % widths[i] * taps + n // widths[i], total, mask=live)
        job -= jobs
        sums += taps * widths[i]
        grads += taps * widths[i]


def shared_gradients(x: Pixels, grad: Pixels, size: tuple[int, int], shares: Shares, dtype: torch.dtype) -> Tensor:
    """Gradients in `dtype` of weights that all samples share: those of each share as [C_i, K, K], then the biases'."""
    pixels = grad.rows.numel() // shares.channels
    chunk = _chunk(pixels, shares)
    sums = _empty(grad.rows, ceil_div(pixels, chunk), shares.taps + shares.channels)
    _correlate_into(sums, sums[:, shares.taps :], x, grad, size, shares, chunk=chunk)
    grads = torch.empty(sums.shape[1], dtype=dtype, device=sums.device)
    # The biases are one more share, of a kernel of one number: their sums only change their type.
    kernels, widths = (*shares.kernels, 1), (*shares.widths, shares.channels)
    block = 128
    jobs = sum(ceil_div(kernel * kernel * width, block) for kernel, width in zip(kernels, widths, strict=True))
    with on_device_of(grads):
        _add_chunks[(jobs,)](
            sums,
            grads,
            widths,
            *sums.shape,
            kernels=kernels,
            block=block,
            at_once=CHUNKS_AT_ONCE,
            **OPTIONS,
        )
    return grads


def own_gradients(
    x: Pixels, grad: Pixels, size: tuple[int, int], shares: Shares, samples: int
) -> tuple[Tensor, Tensor]:
    """Gradients of kernels [B, K * K, C] and biases [B, C] that each sample has for itself."""
    # A sample's pixels are one chunk: a training batch has samples enough to fill the GPU.
    weight_sums = _empty(grad.rows, samples, shares.taps)
    bias_sums = _empty(grad.rows, samples, shares.channels)
    _correlate_into(weight_sums, bias_sums, x, grad, size, shares, samples=samples)
    return weight_sums, bias_sums


def _correlate_into(
    weight_sums: Tensor,
    bias_sums: Tensor,
    x: Pixels,
    grad: Pixels,
    size: tuple[int, int],
    shares: Shares,
    *,
    samples: int = 1,
    chunk: int | None = None,
) -> None:
    height, width = size
    pixels = grad.rows.numel() // (samples * shares.channels)
    unit = channel_unit(x.stride, grad.stride, *shares.widths)
    block = shares.block
    block_p = min(_tile_pixels(shares), power_of_two(pixels))
    chunks = 1 if chunk is None else ceil_div(pixels, chunk)
    with on_device_of(weight_sums):
        _correlate[(shares.block_rows, chunks, samples)](
            x.rows,
            grad.rows,
            weight_sums,
            bias_sums,
            tuple(share // unit for share in shares.widths),
            x.stride // unit,
            grad.stride // unit,
            weight_sums.stride(0),
            bias_sums.stride(0),
            pixels,
            pixels if chunk is None else chunk,
            kernels=shares.kernels,
            taps_blocks=tuple(power_of_two(min(kernel, 2 * width - 1)) for kernel in shares.kernels),
            unit=unit,
            height=height,
            width=width,
            sum_type=TRITON_DTYPE[accumulator(x.rows)],
            block_p=block_p,
            block_c=block,
            num_warps=max(1, min(4, block_p * block // 256)),
            **OPTIONS,
        )


def _tile_pixels(shares: Shares) -> int:
    return TILE // shares.block


def _chunk(pixels: int, shares: Shares) -> int:
    """Pixels that one program sums: whole tiles, and chunks enough for PROGRAMS programs if there are pixels enough."""
    tile = _tile_pixels(shares)
    chunks = max(1, PROGRAMS // shares.block_rows)
    return ceil_div(ceil_div(pixels, chunks), tile) * tile


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(*shape, dtype=accumulator(like), device=like.device)

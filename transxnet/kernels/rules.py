"""Where each rewrite of a block pays: rules by device, precision and shape, with what was measured.

All times: training, float32, one thread of a 2-core AVX-512 CPU (EPYC, Zen 4), torch 2.15. A GPU keeps plain
convolutions: nothing was measured there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

# A whole block, forward and backward, ms: the plain graph / channels_last rewrite / channel-major products.
#
# | map   | batch 8, 48 channels | batch 8, 224 channels | batch 64, 48 channels | batch 64, 224 channels |
# |-------|----------------------|-----------------------|-----------------------|------------------------|
# | 1 x 1 |  8.4 / 10.1 /  4.6   | 24.1 / 29.3 /  7.0    | 23.4 / 52.1 /  5.7    |  76.3 / 217.6 /   9.5  |
# | 2 x 2 |  9.1 /  5.7 /  5.2   | 34.4 / 10.9 /  8.3    | 28.5 / 15.0 /  8.0    | 103.0 /  53.2 /  21.9  |
# | 4 x 4 |  9.2 /  5.9 /  6.0   | 31.4 / 13.0 / 13.8    | 27.0 / 14.2 / 11.5    | 112.6 /  65.8 /  55.5  |
# | 5 x 5 | 10.5 /  6.6 /  7.3   | 38.9 / 16.3 / 19.0    | 34.9 / 17.4 / 15.2    | 163.5 /  94.7 /  87.5  |
# | 7 x 7 | 12.4 /  7.7 / 10.0   | 51.9 / 26.5 / 46.1    | 49.0 / 26.3 / 25.7    | 269.9 / 179.9 / 176.8  |
# | 8 x 8 | 13.6 /  8.6 / 12.7   | 58.0 / 31.1 / 53.3    | 58.2 / 33.6 / 34.6    | 330.8 / 235.1 / 243.8  |
#
# Building the products' matrices costs the same for every batch, so that a larger batch affords larger ones.
ALWAYS_SMALL_PIXELS = 16
NEVER_SMALL_PIXELS = 64

# Gradient of a depthwise convolution's weights, us: oneDNN's own / as a convolution with the map as kernel.
#
# | map, channels_last   |      3 x 3 |       5 x 5 |        7 x 7 |
# |----------------------|------------|-------------|--------------|
# | [8, 24, 28, 28]      |  116 / 293 |  1096 / 349 |  1900 / 420  |
# | [8, 24, 56, 56]      |            |             |  8330 / 1569 |
# | [8, 112, 14, 14]     |   98 /     |             |  2175 / 459  |
# | [64, 24, 8, 8]       |   80 /     |      - /236 |  1281 / 313  |
# | [1, 7168, 2, 2] (*)  | 1327 / 115 |             |              |
#
# (*) Contiguous: IDConv's convolution on a channel-major map. oneDNN is slow where the kernel is larger than the map.
SLOW_WEIGHT_GRADIENT_KERNEL = 5

# One accumulator runs over the whole map there, so that a large one is taken in bands of rows. Relative error on
# [8, 24, 56, 56] and us: oneDNN 4.8e-7, 8087; one band 1.0e-6, 1695; bands of 14 rows 5.1e-7, 2036; of 8 4.0e-7, 2140.
LONGEST_SUM = 512
"""Pixels."""

# Pixels of a batch that torch's channels_last batch norm may sum; T at 224 pixels, batch 8, has 25,088 in stage 1.
LONGEST_BATCH_NORM_SUM = 4096

# Attention, forward and backward, us: softmax along the keys as the last dimension / with the queries last.
#
# | [B, h, n, m]       | [64, 1, 256, 4] | [64, 2, 64, 4] | [64, 4, 64, 16] | [8, 8, 49, 49] | [8, 1, 3136, 49] |
# |--------------------|-----------------|----------------|-----------------|----------------|------------------|
# | forward + backward |      2814 / 890 |     1922 / 827 |     3113 / 3288 |    1574 / 1677 |     8783 / 12088 |
FEW_KEYS = 8


def exact_on_cpu(x: Tensor) -> bool:
    """Whether `x` is computed on a CPU in the full precision of float32 or float64, and not recorded for elsewhere.

    Only then may an identity be folded into a kernel (in a short format it would swallow the kernel), and only there
    the rules below were measured. A recorded graph keeps convolutions, which are not tied to a map's size, and so does
    one that torch.func transforms or that a mode watches, which may count or fake what is computed.
    """
    if torch.compiler.is_compiling():  # on a line of its own: the compiler cannot read the rest
        return False
    return (
        x.device.type == "cpu"
        and type(x) in (Tensor, nn.Parameter)
        and torch._C._len_torch_dispatch_stack() == 0
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
        and not torch._C._are_functorch_transforms_active()
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and torch.get_float32_matmul_precision() == "highest"
    )


def is_small_map(x: Tensor) -> bool:
    """Whether a block of the map `x` [B, C, H, W] is best computed channel-major."""
    pixels = x.shape[-2] * x.shape[-1]
    return exact_on_cpu(x) and (pixels <= ALWAYS_SMALL_PIXELS or pixels < min(x.shape[0], NEVER_SMALL_PIXELS))


def is_long_sum(x: Tensor) -> bool:
    """Whether torch loses digits when it sums the pixels of a channels_last `x` [B, C, H, W]."""
    return exact_on_cpu(x) and x.numel() > LONGEST_BATCH_NORM_SUM * x.shape[1]


def has_few_keys(keys: Tensor) -> bool:
    """Whether attention to `keys` [B, h, m, d] is best computed with the queries last."""
    return keys.device.type == "cpu" and keys.shape[2] <= FEW_KEYS


def is_map_the_better_kernel(x: Tensor, weight: Tensor) -> bool:
    """Whether the gradient of depthwise `weight` [C, 1, kh, kw] is best computed with the map `x` as kernel."""
    return exact_on_cpu(x) and (
        max(weight.shape[-2:]) >= SLOW_WEIGHT_GRADIENT_KERNEL or max(weight.shape[-2:]) > min(x.shape[-2:])
    )

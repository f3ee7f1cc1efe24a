"""What fits together in a depthwise convolution; everything else is refused with one line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor

from transxnet.kernels.triton.launch import require_device
from transxnet.kernels.triton.layout import Shares, shares_of

Shape = tuple[int, ...]


def check_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Shares:
    """How the weights share out the channels of a map on a GPU. Raises ValueError if they do not."""
    check_map(x)
    shares = group_shares(x.shape[1], tuple(weight.shape for weight in weights), tuple(bias.shape for bias in biases))
    _check_alike(x, (*weights, *biases))
    return shares


def check_per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> None:
    """Raises ValueError unless each sample of a map on a GPU has a kernel and a bias."""
    check_map(x)
    batch, channels = x.shape[:2]
    shape = kernels.shape
    if not (len(shape) == 4 and shape[:2] == (batch, channels) and shape[2] == shape[3] and shape[3] % 2 == 1):
        raise _broken(f"kernels must have the shape [{batch}, {channels}, K, K] with odd K", tuple(shape))
    if biases.shape != (batch, channels):
        raise _broken(f"biases must have the shape [{batch}, {channels}]", tuple(biases.shape))
    _check_alike(x, (kernels, biases))


def check_map(x: Tensor) -> None:
    """Raises ValueError unless `x` is a map [B, C, H, W] on a GPU."""
    if x.dim() != 4 or x.numel() == 0:
        raise _broken("x must be a map [B, C, H, W] that is not empty", tuple(x.shape))
    if not x.dtype.is_floating_point:
        raise _broken("x must be of a floating-point type", x.dtype)
    require_device(x)


@lru_cache(maxsize=1024)  # a network asks the same few questions in every step
def group_shares(channels: int, weights: tuple[Shape, ...], biases: tuple[Shape, ...]) -> Shares:
    """How weights of these shapes share out the channels. Raises ValueError if they do not."""
    if not weights or len(weights) != len(biases):
        raise _broken("weights and biases must be as many, at least one each", f"{len(weights)} and {len(biases)}")
    for weight, bias in zip(weights, biases, strict=True):
        if not (len(weight) == 4 and weight[1] == 1 and weight[2] == weight[3] and weight[3] % 2 == 1):
            raise _broken("a weight must have the shape [C_i, 1, K_i, K_i] with odd K_i", tuple(weight))
        if tuple(bias) != (weight[0],):
            raise _broken(f"the bias of {weight[0]} channels must have the shape [{weight[0]}]", tuple(bias))
    shares = shares_of(tuple(weight[3] for weight in weights), tuple(weight[0] for weight in weights))
    if shares.channels != channels:
        raise _broken(f"the weights must share out the map's {channels} channels", list(shares.widths))
    return shares


def _check_alike(x: Tensor, weights: tuple[Tensor, ...]) -> None:
    first = weights[0]
    for weight in weights:
        if weight.device != x.device:
            raise _broken("all tensors must be on one device", _listed(str(x.device), str(weight.device)))
        if weight.dtype != first.dtype:
            raise _broken("weights and biases must be of one type", _listed(str(first.dtype), str(weight.dtype)))


def _listed(*names: str) -> str:
    return ", ".join(sorted(names))


def _broken(rule: str, value: object) -> ValueError:
    return ValueError(f"{rule}, got {value}")

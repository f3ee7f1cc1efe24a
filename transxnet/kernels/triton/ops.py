"""The network's depthwise convolutions as operators of torch that Triton computes, with their gradients.

`depthwise_group` convolves shares of the channels with kernels of several sizes in one launch; `per_sample` convolves
each sample with kernels of its own. Both sum in float32 (float64 for float64), whatever the type of their input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from transxnet.kernels.triton.convolve import convolve
from transxnet.kernels.triton.correlate import own_gradients, shared_gradients
from transxnet.kernels.triton.launch import require_device
from transxnet.kernels.triton.layout import Shares, accumulator, as_pixels
from transxnet.kernels.triton.pack import pack

# Shapes: B batch, C channels, H x W map, K kernel size; C_i channels with a kernel of K_i.


def depthwise_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], *, residual: bool) -> Tensor:
    """Depthwise convolutions of several sizes at once, [B, C, H, W] to the same shape, channels_last.

    The channels are split in the order of `weights` [C_i, 1, K_i, K_i] with `biases` [C_i]; the maps keep their size.
    `residual` adds `x`. Under autocast `x` is cast as by a convolution, the weights stay as they are. Raises
    ValueError for what does not fit together and for tensors that are not on a GPU.
    """
    _check_group(x, weights, biases)
    out: Tensor = _depthwise_group(_autocast(x), list(weights), list(biases), residual)[0]
    return out


def per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """IDConv's own convolution: sample b of `x` [B, C, H, W] with `kernels[b]` [C, K, K] and `biases[b]` [C].

    The result is channels_last. `kernels` of any strides are taken; a permuted [B, K, K, C] is not copied, and their
    gradient is laid out so. Autocast and errors as in `depthwise_group`.
    """
    _check_per_sample(x, kernels, biases)
    out: Tensor = _per_sample(_autocast(x), kernels, biases)
    return out


@torch.library.custom_op("transxnet::depthwise_group", mutates_args=())
def _depthwise_group(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: bool
) -> tuple[Tensor, Tensor]:
    shares = _shares(weights)
    packed = pack(tuple(weights), tuple(biases), shares, accumulator(x))
    out = _like(x)
    convolve(as_pixels(x), _size(x), packed, packed[shares.taps :], shares, out, residual=residual)
    return out, packed


@_depthwise_group.register_fake
def _(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: bool) -> tuple[Tensor, Tensor]:
    numbers = sum(weight.numel() for weight in weights) + x.shape[1]
    return _like(x), x.new_empty(numbers, dtype=accumulator(x))


@torch.library.custom_op("transxnet::depthwise_group_grad_input", mutates_args=())
def _group_grad_input(
    grad: Tensor, packed: Tensor, kernels: Sequence[int], widths: Sequence[int], residual: bool
) -> Tensor:
    out = _like(grad)
    shares = Shares(tuple(kernels), tuple(widths))
    convolve(as_pixels(grad), _size(grad), packed, None, shares, out, residual=residual)
    return out


@_group_grad_input.register_fake
def _(grad: Tensor, packed: Tensor, kernels: Sequence[int], widths: Sequence[int], residual: bool) -> Tensor:
    return _like(grad)


@torch.library.custom_op("transxnet::depthwise_group_grad_weights", mutates_args=())
def _group_grad_weights(
    grad: Tensor, x: Tensor, kernels: Sequence[int], widths: Sequence[int], dtype: torch.dtype
) -> Tensor:
    shares = Shares(tuple(kernels), tuple(widths))
    return shared_gradients(as_pixels(x), as_pixels(grad), _size(x), shares, dtype)


@_group_grad_weights.register_fake
def _(grad: Tensor, x: Tensor, kernels: Sequence[int], widths: Sequence[int], dtype: torch.dtype) -> Tensor:
    shares = Shares(tuple(kernels), tuple(widths))
    return x.new_empty(shares.taps + shares.channels, dtype=dtype)


def _group_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weights, _, ctx.residual = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, output[1])
    ctx.shares, ctx.dtype = _shares(weights), weights[0].dtype


def _group_backward(
    ctx: Any, grad: Tensor, _: Tensor | None
) -> tuple[Tensor | None, list[Tensor | None], list[Tensor | None], None]:
    x, packed = ctx.saved_tensors
    kernels, widths = list(ctx.shares.kernels), list(ctx.shares.widths)
    grad_x = _group_grad_input(grad, packed, kernels, widths, ctx.residual) if ctx.needs_input_grad[0] else None
    grads = _group_grad_weights(grad, x, kernels, widths, ctx.dtype)
    sizes = [kernel * kernel * width for kernel, width in zip(kernels, widths, strict=True)]
    parts = grads.split(sizes + widths)
    weights = [part.view(width, 1, kernel, kernel) for part, width, kernel in zip(parts, widths, kernels, strict=False)]
    return grad_x, [*weights], [*parts[len(kernels) :]], None


_depthwise_group.register_autograd(_group_backward, setup_context=_group_context)


@torch.library.custom_op("transxnet::per_sample", mutates_args=())
def _per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    out = _like(x)
    rows = _channels_adjacent(kernels)
    convolve(as_pixels(x), _size(x), rows, biases.contiguous(), _own(kernels), out, samples=x.shape[0])
    return out


@_per_sample.register_fake
def _(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    return _like(x)


@torch.library.custom_op("transxnet::per_sample_grad_input", mutates_args=())
def _own_grad_input(grad: Tensor, kernels: Tensor) -> Tensor:
    out = _like(grad)
    rows = _channels_adjacent(kernels)
    convolve(as_pixels(grad), _size(grad), rows, None, _own(kernels), out, samples=grad.shape[0])
    return out


@_own_grad_input.register_fake
def _(grad: Tensor, kernels: Tensor) -> Tensor:
    return _like(grad)


@torch.library.custom_op("transxnet::per_sample_grad_kernels", mutates_args=())
def _own_grad_kernels(grad: Tensor, x: Tensor, kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    batch, channels = x.shape[:2]
    shares = Shares((kernel,), (channels,))
    kernels, biases = own_gradients(as_pixels(x), as_pixels(grad), _size(x), shares, batch)
    rows = kernels.view(batch, kernel, kernel, channels).permute(0, 3, 1, 2)
    return rows.to(dtype), biases.to(dtype)


@_own_grad_kernels.register_fake
def _(grad: Tensor, x: Tensor, kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    batch, channels = x.shape[:2]
    rows = x.new_empty((batch, kernel, kernel, channels), dtype=dtype).permute(0, 3, 1, 2)
    return rows, x.new_empty((batch, channels), dtype=dtype)


def _own_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])


def _own_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    x, kernels = ctx.saved_tensors
    grad_x = _own_grad_input(grad, kernels) if ctx.needs_input_grad[0] else None
    return grad_x, *_own_grad_kernels(grad, x, kernels.shape[-1], kernels.dtype)


_per_sample.register_autograd(_own_backward, setup_context=_own_context)


def _autocast(x: Tensor) -> Tensor:
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or x.dtype == torch.float64:
        return x
    return x.to(torch.get_autocast_dtype(kind))


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


def _shares(weights: Sequence[Tensor]) -> Shares:
    return Shares(tuple(weight.shape[-1] for weight in weights), tuple(weight.shape[0] for weight in weights))


def _own(kernels: Tensor) -> Shares:
    return Shares((kernels.shape[-1],), (kernels.shape[1],))


def _channels_adjacent(kernels: Tensor) -> Tensor:
    """[B, C, K, K] as [B, K, K, C]: programs read a tap's channels in one row."""
    return kernels.permute(0, 2, 3, 1).contiguous()


def _check_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
    _check_map(x)
    _require(len(weights) > 0 and len(weights) == len(biases), "weights and biases must be as many, at least one each",
             f"{len(weights)} and {len(biases)}")  # fmt: skip
    for weight, bias in zip(weights, biases, strict=True):
        shape = tuple(weight.shape)
        square = len(shape) == 4 and shape[1] == 1 and shape[2] == shape[3] and shape[3] % 2 == 1
        _require(square, "a weight must have the shape [C_i, 1, K_i, K_i] with odd K_i", shape)
        _require(tuple(bias.shape) == shape[:1], f"the bias of {shape[0]} channels must have the shape [{shape[0]}]",
                 tuple(bias.shape))  # fmt: skip
    _require(_shares(weights).channels == x.shape[1], f"the weights must share out the map's {x.shape[1]} channels",
             [weight.shape[0] for weight in weights])  # fmt: skip
    _check_alike(x, (*weights, *biases))


def _check_per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> None:
    _check_map(x)
    batch, channels = x.shape[:2]
    shape = tuple(kernels.shape)
    fits = len(shape) == 4 and shape[:2] == (batch, channels) and shape[2] == shape[3] and shape[3] % 2 == 1
    _require(fits, f"kernels must have the shape [{batch}, {channels}, K, K] with odd K", shape)
    _require(tuple(biases.shape) == (batch, channels), f"biases must have the shape [{batch}, {channels}]",
             tuple(biases.shape))  # fmt: skip
    _check_alike(x, (kernels, biases))


def _check_map(x: Tensor) -> None:
    _require(x.dim() == 4 and x.numel() > 0, "x must be a map [B, C, H, W] that is not empty", tuple(x.shape))
    _require(x.dtype.is_floating_point, "x must be of a floating-point type", x.dtype)
    require_device(x)


def _check_alike(x: Tensor, weights: tuple[Tensor, ...]) -> None:
    devices = {str(tensor.device) for tensor in (x, *weights)}
    _require(len(devices) == 1, "all tensors must be on one device", ", ".join(sorted(devices)))
    dtypes = {str(weight.dtype) for weight in weights}
    _require(len(dtypes) == 1, "weights and biases must be of one type", ", ".join(sorted(dtypes)))


def _require(holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{rule}, got {value}")

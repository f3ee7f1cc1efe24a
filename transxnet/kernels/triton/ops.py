"""The network's depthwise convolutions as operators of torch that Triton computes, with their gradients.

`depthwise_group` convolves shares of the channels with kernels of several sizes in one launch; `per_sample` convolves
each sample with kernels of its own. Both sum in float32 (float64 for float64), whatever the type of their input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from transxnet.kernels.triton.check import check_group, check_per_sample
from transxnet.kernels.triton.convolve import convolve
from transxnet.kernels.triton.correlate import own_gradients, shared_gradients
from transxnet.kernels.triton.layout import Shares, accumulator, as_pixels, shares_of
from transxnet.kernels.triton.pack import pack

# Shapes: B batch, C channels, H x W map, K kernel size; C_i channels with a kernel of K_i.
#
# Each operator is a function, known to torch.library under a name with what it returns for tensors without data. A
# compiler sees the named operator. Eager calls go around it, to the same functions as an autograd.Function: torch's
# wrapping of an operator in Python took longer than the operator on small maps.


def depthwise_group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], *, residual: bool) -> Tensor:
    """Depthwise convolutions of several sizes at once, [B, C, H, W] to the same shape, channels_last.

    The channels are split in the order of `weights` [C_i, 1, K_i, K_i] with `biases` [C_i]; the maps keep their size.
    `residual` adds `x`. Under autocast `x` is cast as by a convolution, the weights stay as they are. Raises
    ValueError for what does not fit together and for tensors that are not on a GPU.
    """
    x = _autocast(x)
    if _is_eager(x):
        out: Tensor = _Group.apply(x, residual, len(weights), *weights, *biases)
    else:
        out = _group_op(x, list(weights), list(biases), residual)[0]
    return out


def per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """IDConv's own convolution: sample b of `x` [B, C, H, W] with `kernels[b]` [C, K, K] and `biases[b]` [C].

    The result is channels_last. `kernels` of any strides are taken; a permuted [B, K, K, C] is not copied, and their
    gradient is laid out so. Autocast and errors as in `depthwise_group`.
    """
    x = _autocast(x)
    function = _Own.apply if _is_eager(x) else _own_op
    out: Tensor = function(x, kernels, biases)
    return out


def _group(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: bool) -> tuple[Tensor, Tensor]:
    """The result, and the packed weights for the gradient of `x`."""
    shares = check_group(x, weights, biases)
    packed = pack(tuple(weights), tuple(biases), shares, accumulator(x))
    out = _like(x)
    convolve(as_pixels(x), _size(x), packed, packed[shares.taps :], shares, out, residual=residual)
    return out, packed


def _group_grad_input(
    grad: Tensor, packed: Tensor, kernels: Sequence[int], widths: Sequence[int], residual: bool
) -> Tensor:
    out = _like(grad)
    shares = shares_of(tuple(kernels), tuple(widths))
    convolve(as_pixels(grad), _size(grad), packed, None, shares, out, residual=residual)
    return out


def _group_grad_weights(
    grad: Tensor, x: Tensor, kernels: Sequence[int], widths: Sequence[int], dtype: torch.dtype
) -> Tensor:
    """One vector: each share's weights [C_i, K_i, K_i] after another, then all biases."""
    shares = shares_of(tuple(kernels), tuple(widths))
    return shared_gradients(as_pixels(x), as_pixels(grad), _size(x), shares, dtype)


def _own(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    check_per_sample(x, kernels, biases)
    out = _like(x)
    rows = _channels_adjacent(kernels)
    convolve(as_pixels(x), _size(x), rows, biases.contiguous(), _own_shares(kernels), out, samples=x.shape[0])
    return out


def _own_grad_input(grad: Tensor, kernels: Tensor) -> Tensor:
    out = _like(grad)
    rows = _channels_adjacent(kernels)
    convolve(as_pixels(grad), _size(grad), rows, None, _own_shares(kernels), out, samples=grad.shape[0])
    return out


def _own_grad_kernels(grad: Tensor, x: Tensor, kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Gradients of the kernels, laid out as [B, K, K, C], and of the biases."""
    batch, channels = x.shape[:2]
    shares = shares_of((kernel,), (channels,))
    kernels, biases = own_gradients(as_pixels(x), as_pixels(grad), _size(x), shares, batch)
    rows = kernels.view(batch, kernel, kernel, channels).permute(0, 3, 1, 2)
    return rows.to(dtype), biases.to(dtype)


_group_op = torch.library.custom_op("transxnet_triton::depthwise_group", mutates_args=())(_group)
_group_grad_input_op = torch.library.custom_op("transxnet_triton::depthwise_group_grad_input", mutates_args=())(
    _group_grad_input
)
_group_grad_weights_op = torch.library.custom_op("transxnet_triton::depthwise_group_grad_weights", mutates_args=())(
    _group_grad_weights
)
_own_op = torch.library.custom_op("transxnet_triton::per_sample", mutates_args=())(_own)
_own_grad_input_op = torch.library.custom_op("transxnet_triton::per_sample_grad_input", mutates_args=())(
    _own_grad_input
)
_own_grad_kernels_op = torch.library.custom_op("transxnet_triton::per_sample_grad_kernels", mutates_args=())(
    _own_grad_kernels
)


@_group_op.register_fake
def _(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: bool) -> tuple[Tensor, Tensor]:
    numbers = sum(weight.numel() for weight in weights) + x.shape[1]
    return _like(x), x.new_empty(numbers, dtype=accumulator(x))


@_group_grad_input_op.register_fake
def _(grad: Tensor, packed: Tensor, kernels: Sequence[int], widths: Sequence[int], residual: bool) -> Tensor:
    return _like(grad)


@_group_grad_weights_op.register_fake
def _(grad: Tensor, x: Tensor, kernels: Sequence[int], widths: Sequence[int], dtype: torch.dtype) -> Tensor:
    numbers = sum((kernel * kernel + 1) * width for kernel, width in zip(kernels, widths, strict=True))
    return x.new_empty(numbers, dtype=dtype)


@_own_op.register_fake
def _(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    return _like(x)


@_own_grad_input_op.register_fake
def _(grad: Tensor, kernels: Tensor) -> Tensor:
    return _like(grad)


@_own_grad_kernels_op.register_fake
def _(grad: Tensor, x: Tensor, kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    batch, channels = x.shape[:2]
    rows = x.new_empty((batch, kernel, kernel, channels), dtype=dtype).permute(0, 3, 1, 2)
    return rows, x.new_empty((batch, channels), dtype=dtype)


def _keep_group(ctx: Any, x: Tensor, weights: Sequence[Tensor], packed: Tensor, residual: bool) -> None:
    ctx.save_for_backward(x, packed)
    ctx.kernels, ctx.widths = [weight.shape[-1] for weight in weights], [len(weight) for weight in weights]
    ctx.dtype, ctx.residual = weights[0].dtype, residual


def _group_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, list[Tensor], list[Tensor]]:
    """Of the map, the weights and the biases."""
    x, packed = ctx.saved_tensors
    kernels, widths = ctx.kernels, ctx.widths
    to_input, to_weights = (
        (_group_grad_input, _group_grad_weights) if _is_eager(x) else (_group_grad_input_op, _group_grad_weights_op)
    )
    grad_x = to_input(grad, packed, kernels, widths, ctx.residual) if ctx.needs_input_grad[0] else None
    grads = to_weights(grad, x, kernels, widths, ctx.dtype)
    sizes = [kernel * kernel * width for kernel, width in zip(kernels, widths, strict=True)]
    parts = grads.split([*sizes, *widths])
    weights = [part.view(width, 1, kernel, kernel) for part, width, kernel in zip(parts, widths, kernels, strict=False)]
    return grad_x, weights, [*parts[len(kernels) :]]


def _group_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weights, _, residual = inputs
    ctx.mark_non_differentiable(output[1])
    _keep_group(ctx, x, weights, output[1], residual)


def _group_backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    return *_group_gradients(ctx, grad), None


_group_op.register_autograd(_group_backward, setup_context=_group_context)


class _Group(torch.autograd.Function):
    """`_group` on eager tensors: x, residual, number of shares, their weights, their biases."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: bool, count: int, *tensors: Tensor) -> Tensor:
        out, packed = _group(x, tensors[:count], tensors[count:], residual)
        _keep_group(ctx, x, tensors[:count], packed, residual)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_x, weights, biases = _group_gradients(ctx, grad)
        return grad_x, None, None, *weights, *biases


def _own_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])


def _own_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    x, kernels = ctx.saved_tensors
    to_input, to_kernels = (
        (_own_grad_input, _own_grad_kernels) if _is_eager(x) else (_own_grad_input_op, _own_grad_kernels_op)
    )
    grad_x = to_input(grad, kernels) if ctx.needs_input_grad[0] else None
    return grad_x, *to_kernels(grad, x, kernels.shape[-1], kernels.dtype)


_own_op.register_autograd(_own_backward, setup_context=_own_context)


class _Own(torch.autograd.Function):
    """`_own` on eager tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        return _own(x, kernels, biases)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        return _own_backward(ctx, grad)


def _is_eager(x: Tensor) -> bool:
    """Whether `x` holds numbers: tensors that a compiler traces with are of other types."""
    return not torch.compiler.is_compiling() and type(x) in (Tensor, torch.nn.Parameter)


def _autocast(x: Tensor) -> Tensor:
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or x.dtype == torch.float64:
        return x
    return x.to(torch.get_autocast_dtype(kind))


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


def _own_shares(kernels: Tensor) -> Shares:
    return shares_of((kernels.shape[-1],), (kernels.shape[1],))


def _channels_adjacent(kernels: Tensor) -> Tensor:
    """[B, C, K, K] as [B, K, K, C]: programs read a tap's channels in one row."""
    return kernels.permute(0, 2, 3, 1).contiguous()

"""The judge: the cost of the built network, counted by fvcore on its trace."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.activation_count import _DEFAULT_SUPPORTED_OPS as OUTPUT_HANDLES
from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as FLOP_HANDLES
from fvcore.nn.jit_handles import get_shape
from torch import Tensor, nn

from transxnet.arch import ArchConfig
from transxnet.cost_terms import BATCH_NORM_FLOPS, OPERATORS, Cost
from transxnet.network import TransXNet

FUSED_ATTENTION = "aten::scaled_dot_product_attention"
OUTPUTS = "outputs"
"""Under what name the elements that operators put out are counted, beside the operators' own."""

Handle: TypeAlias = Callable[[list[Any], list[Any]], Any]
"""fvcore's: from an operator's inputs and outputs to a number, or to numbers by name."""

# Operators that fvcore's convention counts as nothing: element-wise arithmetic, reductions, copies.
UNCOUNTED = {
    "aten::add", "aten::add_", "aten::div", "aten::feature_dropout", "aten::dropout", "aten::gelu", "aten::mean",
    "aten::mul", "aten::neg", "aten::pad", "aten::relu", "aten::softmax", "aten::sum", "aten::unflatten",
    "aten::upsample_bicubic2d",
}  # fmt: skip


def measure_built(arch: ArchConfig, image_size: tuple[int, int]) -> Cost:
    """Cost for one image of `image_size` (height, width); raises ValueError for an operator not decided on."""
    network = TransXNet(arch, kernels="reference").eval()
    image = torch.zeros(1, arch.in_channels, *image_size)
    with _quiet(), torch.no_grad():
        counts = FlopCountAnalysis(network, image).set_op_handle(**_handles())
        by_operator = counts.by_operator()
        published = _published(network, image)
    activations = by_operator.pop(OUTPUTS, 0)
    _refuse_unknown(counts.unsupported_ops(), by_operator)
    return Cost(
        params=sum(parameter.numel() for parameter in network.parameters()),
        **{name: int(by_operator[name]) for name in OPERATORS},
        macs_published=published,
        activations=int(activations),
    )


def _handles() -> dict[str, Handle]:
    """fvcore's handles of flops and of activations together: a trace takes longer than all counting."""
    outputs: dict[str, Handle] = {**OUTPUT_HANDLES, FUSED_ATTENTION: _fused_outputs}
    flops: dict[str, Handle] = {**FLOP_HANDLES, FUSED_ATTENTION: _fused_products}
    return {kind: _both(kind, flops[kind], handle) for kind, handle in outputs.items() if kind in flops}


def _both(kind: str, flops: Handle, outputs: Handle) -> Handle:
    def count(given: list[Any], made: list[Any]) -> Counter[str]:
        elements = sum(_by_name(kind, outputs(given, made)).values())
        return _by_name(kind, flops(given, made)) + Counter({OUTPUTS: elements})

    return count


def _by_name(kind: str, found: Any) -> Counter[str]:
    """What a handle found; a number alone goes by the operator's name."""
    return found if isinstance(found, Counter) else Counter({kind.partition("::")[2]: found})


def _fused_products(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """fvcore knows no fused attention, and would count nothing: its two products, as if they stood alone."""
    (*batch, queries, width), (*_, keys, _), (*_, width_out) = (get_shape(each) for each in inputs[:3])
    return Counter(matmul=math.prod(batch) * queries * keys * (width + width_out))


def _fused_outputs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Elements that the two products of a fused attention put out."""
    (*batch, queries, _), (*_, keys, _), (*_, width_out) = (get_shape(each) for each in inputs[:3])
    return Counter(matmul=math.prod(batch) * queries * (keys + width_out))


def _refuse_unknown(unsupported: Counter[str], counted: Counter[str]) -> None:
    unknown = sorted((set(unsupported) - UNCOUNTED) | (set(counted) - set(OPERATORS)))
    if unknown:
        raise ValueError(
            f"every operator of the network must have a decided cost, got {', '.join(unknown)}; "
            f"give it a column in Cost or add it to UNCOUNTED"
        )


def _published(network: nn.Module, image: Tensor) -> int:
    """The paper's counter: hooks on modules, so that bare tensor operations go unseen."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            area = module.kernel_size[0] * module.kernel_size[1]
            taps = module.in_channels // module.groups * area + (module.bias is not None)
            total += output.numel() * taps
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            total += BATCH_NORM_FLOPS * inputs[0].numel()
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            total += inputs[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return total


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """fvcore warns of every operator without a handle; here each of them is decided on."""
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

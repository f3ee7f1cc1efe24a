"""The judge: the cost of the built network, counted by fvcore on its trace."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import Tensor, nn

from transxnet.arch import ArchConfig
from transxnet.cost_terms import BATCH_NORM_FLOPS, OPERATORS, Cost
from transxnet.network import TransXNet

FUSED_ATTENTION = "aten::scaled_dot_product_attention"

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
        flops = FlopCountAnalysis(network, image).set_op_handle(FUSED_ATTENTION, _fused_products)
        by_operator = flops.by_operator()
        outputs = ActivationCountAnalysis(network, image).set_op_handle(FUSED_ATTENTION, _fused_outputs)
        activations = outputs.total()
        published = _published(network, image)
    _refuse_unknown(flops.unsupported_ops(), by_operator)
    return Cost(
        params=sum(parameter.numel() for parameter in network.parameters()),
        **{name: int(by_operator[name]) for name in OPERATORS},
        macs_published=published,
        activations=int(activations),
    )


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

"""Closed form and fvcore agree on any network, part by part; one network and many as columns cost the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_archs import architectures, sizes
from torch import Tensor

from transxnet.arch import ArchConfig
from transxnet.columns import ArchColumns
from transxnet.cost import COMPONENTS, estimate, estimate_components, measure, training_memory
from transxnet.cost.traced import FUSED_ATTENTION, _fused_products, _quiet
from transxnet.cost_terms import FIELDS
from transxnet.network import TransXNet
from transxnet.operators import PLACES

Result = TypeVar("Result")

NETWORKS = 200
THOROUGH = settings(max_examples=NETWORKS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@THOROUGH
@given(architectures(), sizes(), sizes())
def test_closed_form_equals_fvcore_operator_by_operator(arch: ArchConfig, height: int, width: int) -> None:
    assert estimate(arch, (height, width)) == on_a_short_stack(measure, arch, (height, width))


def on_a_short_stack(function: Callable[..., Result], *words: Any) -> Result:
    """In a thread of its own: a trace writes down the stack at each operation, and pytest's is a hundred calls deep."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *words).result()


@settings(THOROUGH, max_examples=25)
@given(architectures())
def test_closed_form_equals_fvcore_part_by_part(arch: ArchConfig) -> None:
    counted, learned = dict.fromkeys(COMPONENTS, 0), dict.fromkeys(COMPONENTS, 0)
    network = TransXNet(arch, kernels="reference").eval()
    with _quiet(), torch.no_grad():
        image = torch.zeros(1, arch.in_channels, *arch.image_size)
        flops = FlopCountAnalysis(network, image).set_op_handle(FUSED_ATTENTION, _fused_products).by_module()
    for name, module in network.named_modules():
        if (part := part_of(name)) is not None:
            counted[part] += flops[name]
            learned[part] += sum(parameter.numel() for parameter in module.parameters())
    learned["position_table"] = sum(
        stage.position_table.numel() for stage in network.stages if stage.position_table is not None
    )
    # Layer scale and what a mixer convolves by hand are operations of the module that holds them.
    parts = estimate_components(arch)
    assert {part: cost.macs for part, cost in parts.items()} == counted
    assert {part: cost.params for part, cost in parts.items()} == learned


PART_OF_MODULE = {
    "stem": "stem", "downsample": "downsampling", "dpe": "dpe", "norm1": "norm", "norm2": "norm", "ffn": "ffn",
    "layer_scale1": "layer_scale", "layer_scale2": "layer_scale", "head": "head",
    **{operator.attribute: place for place, table in PLACES.items() for operator in table.values()},
}  # fmt: skip


def part_of(name: str) -> str | None:
    """The component that a module of this dotted name is, if it is a whole one."""
    *inside, last = name.split(".")
    is_whole = not any(word in PART_OF_MODULE for word in inside)
    return PART_OF_MODULE.get(last) if last and is_whole else None


@settings(THOROUGH, max_examples=20)
@given(st.lists(architectures(), min_size=1, max_size=40))
def test_one_network_and_many_as_columns_cost_the_same(archs: list[ArchConfig]) -> None:
    together = estimate(ArchColumns.of(archs))
    for name in FIELDS:
        found = np.broadcast_to(getattr(together, name), len(archs)).tolist()
        assert found == [getattr(estimate(arch), name) for arch in archs], name


@settings(THOROUGH, max_examples=30)
@given(architectures(), st.integers(20, 72), st.integers(20, 72))
def test_training_memory_is_what_autograd_keeps(arch: ArchConfig, height: int, width: int) -> None:
    batch, arch = 3, arch.replace(image_size=(height, width))  # on smaller maps small change counts
    kept = kept_bytes(arch, batch)
    assert training_memory(arch, batch).activations == pytest.approx(kept, rel=0.1)


def test_training_memory_of_t_is_what_autograd_keeps() -> None:
    from transxnet.variants import VARIANTS

    arch = VARIANTS["transxnet_t"].arch.replace(image_size=(96, 96))
    memory = training_memory(arch, 2)
    assert memory.activations == pytest.approx(kept_bytes(arch, 2), rel=0.02)
    assert memory.parameters == memory.gradients == memory.optimizer / 2 == 4 * estimate(arch).params
    assert training_memory(arch, 4).activations == 2 * memory.activations
    half = training_memory(arch, 2, "bfloat16")
    assert half.parameters == memory.parameters
    assert half.activations == pytest.approx(kept_bytes(arch, 2, torch.bfloat16), rel=0.02)
    assert training_memory(arch, 8, "bfloat16").activations == pytest.approx(
        kept_bytes(arch, 8, torch.bfloat16), rel=0.02
    )


@pytest.mark.parametrize(("wrong", "told"), [({"batch": 0}, "batch"), ({"precision": "float8"}, "bfloat16")])
def test_training_memory_refuses_what_it_does_not_know(wrong: dict, told: str, small_arch: ArchConfig) -> None:
    with pytest.raises(ValueError, match=told):
        training_memory(small_arch, **{"batch": 2, **wrong})


def kept_bytes(arch: ArchConfig, batch: int, dtype: torch.dtype = torch.float32) -> int:
    """Bytes of all that autograd saves in a step of the plain graph, each storage once, parameters apart.

    Below float32 the step runs under autocast.
    """
    network = TransXNet(arch, kernels="reference").train()
    parameters = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    saved: dict[int, Tensor] = {}  # the tensors are held, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    autocast = torch.autocast("cpu", dtype, enabled=dtype != torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        network(torch.zeros(batch, arch.in_channels, *arch.image_size))
    return sum(tensor.untyped_storage().nbytes() for key, tensor in saved.items() if key not in parameters)

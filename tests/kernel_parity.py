"""What a network or block computes in training, all of it, and how far one such outcome is from another."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.block import Block
from transxnet.kernels.choice import IMPLEMENTATIONS, implementation
from transxnet.network import position_table_shape

Values = dict[str, Tensor]

FAST = [name for name in IMPLEMENTATIONS if name not in ("reference", "triton")]
"""Of a CPU; tests/test_triton_kernels.py holds Triton's kernels and block."""

FLOOR = 1e-4
"""Share of the largest norm of its kind below which a tensor counts as zero: a bias before a batch norm has gradient 0,
of which rounding leaves something."""


@dataclass(frozen=True)
class Outcome:
    """One step: what came out, every gradient, every buffer behind it."""

    output: Values
    gradients: Values
    buffers: Values

    def kinds(self) -> dict[str, Values]:
        return {"output": self.output, "gradients": self.gradients, "buffers": self.buffers}


def step(module: nn.Module, compute: Callable[..., Tensor], *inputs: Tensor | None, seed: int = 0) -> Outcome:
    """Forward and backward from fresh leaves; the loss weighs every element differently."""
    torch.manual_seed(seed)
    leaves = [None if x is None else x.detach().clone().requires_grad_() for x in inputs]
    module.zero_grad()
    output = compute(*leaves)
    weights = torch.arange(output.numel(), dtype=output.dtype).view(output.shape).sin()
    (output * weights).sum().backward()
    named = dict(module.named_parameters()) | {f"input {i}": leaf for i, leaf in enumerate(leaves) if leaf is not None}
    missing = [name for name, leaf in named.items() if leaf.requires_grad and leaf.grad is None]
    assert not missing, f"without gradient: {missing}"
    return Outcome(
        {"output": output.detach()},
        {name: leaf.grad.clone() for name, leaf in named.items() if leaf.grad is not None},
        {name: buffer.clone() for name, buffer in module.named_buffers()},
    )


def distances(values: Values, truth: Values) -> dict[str, float]:
    """Error of each tensor in L2, relative to its own norm or to a share of the largest."""
    assert values.keys() == truth.keys()
    norms = {name: value.double().norm().item() for name, value in truth.items()}
    floor = FLOOR * max(norms.values()) or 1.0
    return {
        name: (values[name].double() - truth[name].double()).norm().item() / max(norms[name], floor) for name in truth
    }


def assert_same(outcome: Outcome, truth: Outcome, tolerance: float = 1e-10) -> None:
    for kind, values in outcome.kinds().items():
        expected = truth.kinds()[kind]
        worst = max(distances(values, expected).items(), key=lambda item: item[1])
        assert worst[1] <= tolerance, (kind, worst)
        assert {name: value.dtype for name, value in values.items()} == {n: v.dtype for n, v in expected.items()}


def mean_squared_errors(outcome: Outcome, truth: Outcome) -> dict[str, float]:
    """Of each kind, over its tensors; every tensor counts alike."""
    errors = {kind: distances(values, truth.kinds()[kind]) for kind, values in outcome.kinds().items()}
    return {kind: sum(error**2 for error in each.values()) / len(each) for kind, each in errors.items()}


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Parameters of the size that training gives, so that no part is too faint to be seen."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        around_one = parameter.dim() == 1 and name.endswith("weight")
        scale = 0.3 if parameter.dim() == 1 else parameter[0].numel() ** -0.5
        parameter.data.copy_(noise * scale + around_one)


def a_block(size: tuple[int, int], drop_path: float = 0.0, **settings: object) -> tuple[Block, Tensor, Tensor | None]:
    """A float64 block with its input of batch 3 and, if it has one, its position table."""
    stage = StageConfig(**{"depth": 1, "width": 16, "heads": 2, "osr_stride": 2} | settings)
    block = Block(stage, drop_path).double()
    randomise(block)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, stage.width, *size, generator=generator, dtype=torch.float64)
    if not stage.has_table:
        return block, x, None
    return block, x, torch.randn(position_table_shape(stage, size), generator=generator, dtype=torch.float64)


def block_step(name: str, block: Block, x: Tensor, table: Tensor | None) -> Outcome:
    """By the implementation `name`, from an untouched copy of the block."""
    block = copy.deepcopy(block)
    return step(block, lambda x, table: implementation(name, block, x)(block, x, table), x, table)


def runs_here(name: str) -> bool:
    """Whether blocks on this machine's CPU are computed by `name`, not by what stands in for it."""
    block, x, _ = a_block((4, 4))
    return implementation(name, block, x) is IMPLEMENTATIONS[name]


def ready(request: pytest.FixtureRequest) -> str:
    """The implementation that a fixture of FAST asks for, which is there; what a test with that parameter is given."""
    name: str = request.param
    if name == "native":
        request.getfixturevalue("native_kernels")
    assert runs_here(name), f"something stands in for {name}, which would be tested in its place"
    return name

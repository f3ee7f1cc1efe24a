"""Maps whose channels are shared out, what Triton's kernels must make of them, and where those can run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

triton = pytest.importorskip("triton", reason="triton is not installed")


INTERPRETED = bool(triton.knobs.runtime.interpret)
RUNS_HERE = INTERPRETED or torch.cuda.is_available()
DEVICE = "cuda" if RUNS_HERE and not INTERPRETED else "cpu"


@dataclass(frozen=True)
class Case:
    """A map of `size` whose channels are shared out."""

    size: tuple[int, int]
    kernels: tuple[int, ...]
    widths: tuple[int, ...]
    residual: bool = True
    batch: int = 2


CASES = {
    "ms_ffn_with_odd_shares": Case((7, 5), (1, 3, 5, 7), (17, 3, 8, 4)),
    "one_pixel": Case((1, 1), (7,), (24,)),
    "kernel_beyond_the_map": Case((2, 2), (9, 3), (8, 8)),
    "one_column": Case((5, 1), (5,), (40,), residual=False),
    "several_tiles_and_chunks": Case((15, 13), (3,), (8,)),
    "channel_blocks": Case((2, 3), (3,), (80,), residual=False),
}


def group_tensors(case: Case, dtype: torch.dtype) -> list[Tensor]:
    """The map, the weights, the biases and a gradient of the result, all of the same numbers in any type."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        # Rounded to bfloat16, so that every type starts from the same numbers.
        return torch.randn(shape, generator=generator).bfloat16().to(DEVICE, dtype)

    shape = (case.batch, sum(case.widths), *case.size)
    shares = list(zip(case.widths, case.kernels, strict=True))
    weights = [draw(width, 1, kernel, kernel) for width, kernel in shares]
    biases = [draw(width) for width in case.widths]
    return [draw(*shape).to(memory_format=torch.channels_last), *weights, *biases, draw(*shape)]


def own_tensors(case: Case, dtype: torch.dtype) -> list[Tensor]:
    """The map, a kernel and a bias of each sample, and a gradient of the result."""
    x, *_, grad = group_tensors(case, dtype)
    generator = torch.Generator().manual_seed(1)
    kernels = torch.randn(*x.shape[:2], case.kernels[-1], case.kernels[-1], generator=generator)
    biases = torch.randn(*x.shape[:2], generator=generator)
    return [x, kernels.bfloat16().to(DEVICE, dtype), biases.bfloat16().to(DEVICE, dtype), grad]


def group_of(case: Case, convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
    count = len(case.kernels)
    return lambda x, *rest: convolve(x, rest[:count], rest[count:], residual=case.residual)


def plain_group(x: Tensor, weights: tuple[Tensor, ...], biases: tuple[Tensor, ...], *, residual: bool) -> Tensor:
    shares = torch.split(x, [len(weight) for weight in weights], dim=1)
    parts = [
        F.conv2d(share, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))
        for share, weight, bias in zip(shares, weights, biases, strict=True)
    ]
    return torch.cat(parts, dim=1) + x if residual else torch.cat(parts, dim=1)


def plain_per_sample(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    size = kernels.shape[-1]
    maps, weights = x.reshape(1, -1, *x.shape[2:]), kernels.reshape(-1, 1, size, size)
    return F.conv2d(maps, weights, biases.flatten(), padding=size // 2, groups=len(weights)).view(x.shape)


def run(function: Callable[..., Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """The result, then the gradients of all inputs."""
    *inputs, grad = tensors
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    out = function(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad.to(out.dtype))]


def error(found: Tensor, exact: Tensor) -> float:
    return (found.double() - exact).norm().item()


def assert_as_exact(function: Callable[..., Tensor], plain: Callable[..., Tensor], tensors: Any) -> None:
    """In float64 equal to `plain`; in other types at most 3 times as far from float64 as `plain` itself."""
    exact = run(plain, tensors(torch.float64))
    for found, true in zip(run(function, tensors(torch.float64)), exact, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-10, atol=1e-10)
    for dtype in (torch.float32, torch.bfloat16):
        results = run(function, tensors(dtype)), run(plain, tensors(dtype)), exact
        for found, own, true in zip(*results, strict=True):
            assert found.dtype == dtype
            rounding = torch.finfo(dtype).eps / 2 * true.norm().item()
            assert error(found, true) <= 3 * max(error(own, true), rounding)

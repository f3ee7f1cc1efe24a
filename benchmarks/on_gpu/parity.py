"""How wrong an implementation is under autocast, as a ratio to how wrong the reference is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.on_gpu.cases import Case
from benchmarks.on_gpu.variants import Batch, baseline, build, compiled, draw_batch, forward

BATCH = 16


def parity_error(case: Case, implementation: str, device: torch.device, *, with_compile: bool = False) -> float:
    """Distance from float64 over the reference's own distance; the larger one of logits and of all gradients.

    1 is as good as the reference, 3 is the project's limit.
    """
    batch = draw_batch(case, BATCH, device)
    reference = baseline(case).implementation
    exact = _results(_network(case, reference, device).double(), batch, exactly=True)
    own = _results(_network(case, reference, device), batch)
    found = _results(_network(case, implementation, device), batch, with_compile=with_compile)
    return max(_distance(mine, true) / _distance(its, true) for mine, its, true in zip(found, own, exact, strict=True))


def _network(case: Case, implementation: str, device: torch.device) -> nn.Module:
    network = build(case, implementation, device)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "layer_scale" in name and name.endswith("weight"):
                parameter.fill_(0.5)  # as it is made, 1e-5, a block does not reach the logits
    return network


def _results(
    network: nn.Module, batch: Batch, *, exactly: bool = False, with_compile: bool = False
) -> tuple[Tensor, Tensor]:
    """Logits and all gradients, flat, float64."""
    if exactly:
        logits = network(batch.images.double())
    else:
        logits = forward(compiled(network) if with_compile else network, batch.images)
    F.cross_entropy(logits.double(), batch.labels).backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return logits.detach().double().flatten(), torch.cat([gradient.double().flatten() for gradient in gradients])


def _distance(found: Tensor, true: Tensor) -> float:
    return float((found - true).norm())

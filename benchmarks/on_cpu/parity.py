"""How wrong an implementation is in float32, as a ratio to how wrong the reference is."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.on_cpu.cases import REFERENCE, Case
from benchmarks.on_cpu.steps import build, draw_batch
from transxnet.network import TransXNet

MOST_IMAGES = 16
"""float64 is slow."""

Results = dict[str, Tensor]


class Parity:
    """Errors of a case's network against the reference graph in float64. 1 is as good as the reference's float32."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def error_ratio(self, kernels: str, mode: str) -> float:
        """The worst of logits, gradients and running statistics, each in L2."""
        found, own = self._errors(kernels, mode), self._own[mode]
        return max(found[name] / own[name] for name in own)

    @cached_property
    def _exact(self) -> dict[str, Results]:
        return {mode: _results(self.case, REFERENCE, mode, torch.float64) for mode in ("train", "infer")}

    @cached_property
    def _own(self) -> dict[str, dict[str, float]]:
        return {mode: self._errors(REFERENCE, mode) for mode in ("train", "infer")}

    def _errors(self, kernels: str, mode: str) -> dict[str, float]:
        found, exact = _results(self.case, kernels, mode, torch.float32), self._exact[mode]
        return {name: float((found[name].double() - true).norm()) for name, true in exact.items()}


def _results(case: Case, kernels: str, mode: str, dtype: torch.dtype) -> Results:
    network, batch = _felt(build(case, kernels)).to(dtype), draw_batch(case, min(case.batch, MOST_IMAGES))
    images = batch.images.to(dtype)
    if mode == "infer":
        with torch.inference_mode():
            return {"logits": network.eval()(images).clone()}
    logits = network(images)
    F.cross_entropy(logits, batch.labels).backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
    statistics = [value.flatten() for name, value in network.named_buffers() if value.is_floating_point()]
    return {"logits": logits.detach(), "gradients": torch.cat(gradients), "statistics": torch.cat(statistics)}


def _felt(network: TransXNet) -> TransXNet:
    """With scales that let every block reach the logits; as they are made, 1e-5, none does."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "layer_scale" in name and name.endswith("weight"):
                parameter.fill_(0.5)
    return network

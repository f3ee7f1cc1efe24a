"""One step of a case, as a function without arguments: of training or of inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.on_cpu.cases import Case, Row
from transxnet.kernels.choice import IMPLEMENTATIONS, implementation
from transxnet.network import Stage, TransXNet

Step = Callable[[], Tensor]
MODES = ("train", "infer")


@dataclass(frozen=True)
class Batch:
    """Images [B, in_channels, H, W] and their classes [B]."""

    images: Tensor
    labels: Tensor


def draw_batch(case: Case, count: int) -> Batch:
    """Noise; always the same."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, case.arch.in_channels, *case.arch.image_size, generator=generator)
    return Batch(images, torch.randint(case.arch.num_classes, (count,), generator=generator))


def build(case: Case, kernels: str) -> TransXNet:
    """The network, from one seed whatever the implementation."""
    torch.manual_seed(0)
    return TransXNet(case.arch, kernels=kernels)


def is_computed_by(case: Case, kernels: str) -> bool:
    """Whether the CPU computes this network's blocks by `kernels`, not by what stands in for it."""
    network = build(case, "reference")
    images = draw_batch(case, case.batch).images
    first = network.stages[0]
    assert isinstance(first, Stage)
    return implementation(kernels, first.blocks[0], images) is IMPLEMENTATIONS[kernels]  # type: ignore[arg-type]


def make_step(case: Case, row: Row, mode: str) -> Step:
    """Training: forward, backward and the row's AdamW. Inference: forward in evaluation mode."""
    network, batch = build(case, row.kernels), draw_batch(case, case.batch)
    images = batch.images
    if row.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    if mode == "infer":
        return _inference(network, images)
    optimiser = row.optimiser(network)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(network(images), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    return step


def _inference(network: TransXNet, images: Tensor) -> Step:
    network.eval()

    @torch.inference_mode()
    def step() -> Tensor:
        logits: Tensor = network(images)
        return logits

    return step

"""How a step is run: by which implementation, compiled or not, as a CUDA graph or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.on_gpu.cases import REFERENCE, Case
from experiments.graphed_step import GraphedStep

Network = Callable[[Tensor], Tensor]
"""Images [B, 3, H, W] to logits [B, classes]: a module, compiled or not."""

MODES = ("eager", "graph", "compile", "compile+graph")


@dataclass(frozen=True)
class Variant:
    """An implementation and one of MODES."""

    implementation: str
    mode: str

    @property
    def compiled(self) -> bool:
        """Whether torch.compile takes part."""
        return self.mode.startswith("compile")

    @property
    def graphed(self) -> bool:
        """Whether the step is replayed as a CUDA graph."""
        return self.mode.endswith("graph")


@dataclass(frozen=True)
class Batch:
    """Images [B, 3, H, W] and labels [B] on the device."""

    images: Tensor
    labels: Tensor


def variants_of(case: Case, modes: list[str]) -> list[Variant]:
    """Every implementation in every mode, the eager first one always first. Raises ValueError for no mode."""
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f"a mode must be one of {', '.join(MODES)}, got {mode!r}")
    every = [Variant(implementation, mode) for implementation in case.implementations for mode in modes]
    first = baseline(case)
    return [first, *(variant for variant in every if variant != first)]


def baseline(case: Case) -> Variant:
    """What the others are compared with."""
    return Variant(case.implementations[0], "eager")


def draw_batch(case: Case, batch: int, device: torch.device) -> Batch:
    """Random images of the case's size, always the same."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, case.image_size, case.image_size, generator=generator)
    labels = torch.randint(case.num_classes, (batch,), generator=generator)
    return Batch(images.to(device), labels.to(device))


def build(case: Case, implementation: str, device: torch.device) -> nn.Module:
    """The network in training mode, the same weights in every implementation."""
    torch.manual_seed(0)
    network = case.make(implementation).to(device).train()
    return network if implementation == REFERENCE else network.to(memory_format=torch.channels_last)


def forward(network: Network, images: Tensor) -> Tensor:
    """Logits under bfloat16 autocast."""
    with torch.autocast(images.device.type, torch.bfloat16):
        logits: Tensor = network(images)
    return logits


def make_step(case: Case, variant: Variant, batch: Batch) -> Callable[[], Tensor]:
    """A training step of the case on `batch`: forward, cross entropy, backward, fused AdamW; returns the loss."""
    network = build(case, variant.implementation, batch.images.device)
    layout = torch.contiguous_format if variant.implementation == REFERENCE else torch.channels_last
    images = batch.images.contiguous(memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True, capturable=variant.graphed)
    called: Network = compiled(network) if variant.compiled else network

    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(forward(called, images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    if variant.graphed:
        graphed = GraphedStep(step, network, optimizer, images, batch.labels)
        return lambda: graphed(images, batch.labels)
    return lambda: step(images, batch.labels)


def compiled(network: nn.Module) -> Network:
    """torch.compile as it comes; another network's code is thrown away first, or torch gives up after eight."""
    torch.compiler.reset()
    out: Network = torch.compile(network)
    return out

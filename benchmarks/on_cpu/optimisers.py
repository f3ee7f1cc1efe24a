"""What updates a network after its backward pass: torch's AdamW in two forms, and the platform's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from experiments.flat_adamw import FlatAdamW
from experiments.recipe import Recipe

LEARNING_RATE = 1e-3
CLIP_GRAD_NORM = Recipe().clip_grad_norm


class Updates(Protocol):
    """An optimiser and whatever comes between the gradients and its step."""

    def zero_grad(self) -> None:
        """Before a backward pass."""

    def step(self) -> object:
        """After it."""


Optimiser = Callable[[nn.Module], Updates]


def plain_adamw(network: nn.Module) -> Updates:
    """torch's AdamW as it comes; no gradient is clipped."""
    return torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)


def fused_adamw(network: nn.Module) -> Updates:
    """The same as one kernel a group of tensors."""
    return torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, fused=True)


def flat_adamw(network: nn.Module) -> Updates:
    """What a trial of the platform trains with, clipping by the default recipe."""
    return _Clipped([{"params": list(network.parameters()), "weight_decay": 0.01}], LEARNING_RATE)


class _Clipped(FlatAdamW):
    def step(self, closure: Any = None) -> Any:
        """Clip, then step."""
        self.clip_grad_norm(CLIP_GRAD_NORM)
        return super().step(closure)
